//! Keys that a query names: predicates that hold only near the query, at the beginning, and for blocks of keys that lists of the query name.
//!
//! `any(n: chosen[head, n] == j / 16) || i - j < 64`: what such a query reads does not grow with the sequence. Kernels go through the named
//! blocks instead of all keys ([`Named`]), the cost model counts them.

use super::span::AttentionSpan;
use seqc_ir::{AttendSpec, BinaryOp, Graph, Normaliser, Op, PairExpr, UnaryOp, Value};
use std::fmt;

/// Lists longer than this together are not looked up for each query: it sees that many keys anyway.
const LONGEST: usize = 1 << 16;

/// What bounds the keys of a query, however long the sequence is: a superset, in which the predicate still decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Keys near the query and at the beginning; bounded.
    pub near: AttentionSpan,
    /// Blocks that the query names, at least one list of them.
    pub lists: Vec<List>,
    /// The predicate says nothing else: a query sees all these keys.
    pub exact: bool,
}

/// A list of blocks of keys.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// The query stream that is the list, or its only entry.
    pub stream: usize,
    /// The function of the key's position that is compared with its entries.
    pub block: PairExpr,
    /// The same in other words.
    pub blocks: KeyBlocks,
    /// Entries for each query head.
    pub entries: usize,
}

/// Blocks of neighbouring keys: key `j` is in block `floor((j + shift) / size)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyBlocks {
    /// Keys of a block.
    pub size: u64,
    /// By how much the blocks begin before key 0.
    pub shift: i64,
}

impl Named {
    /// Those of the attention `v`, where its predicate is of that form and nothing else governs what is kept.
    pub fn of(graph: &Graph, v: Value) -> Option<Named> {
        let Op::Attend(spec) = graph.op(v) else { return None };
        let operands = graph.operands(v);
        let heads = graph.ty(operands[0]).dims[0].size;
        let entries = |o: &Value| graph.ty(*o).dims.last().map_or(1, |dim| dim.size);
        let entries: Vec<usize> = operands[spec.query_operands()].iter().map(entries).collect();
        Named::new(spec, heads, &entries)
    }

    /// Those of an attention with `heads` query heads; `entries` of each query stream as a list for each head.
    pub fn new(spec: &AttendSpec, heads: usize, entries: &[usize]) -> Option<Named> {
        let alone = spec.causal && spec.policy.is_none() && !matches!(spec.normaliser, Normaliser::Top(_));
        // Sums over the keys behind a key go over pages in order.
        let alone = alone && spec.sums_behind().is_empty();
        if !alone || AttentionSpan::new(spec, heads).distance.is_some() {
            return None;
        }
        let named = Search { heads, entries }.bound(spec.predicate.as_ref()?)?;
        (!named.lists.is_empty() && named.names() <= LONGEST).then_some(named)
    }

    /// Entries of all lists for one query and head.
    pub fn names(&self) -> usize {
        self.lists.iter().map(|list| list.entries).sum()
    }

    /// Most keys that a query sees.
    pub fn keys(&self) -> u64 {
        let of_list = |list: &List| list.blocks.size.saturating_mul(list.entries as u64);
        let near = self.near.limit().unwrap_or(u64::MAX);
        self.lists.iter().map(of_list).fold(near, u64::saturating_add)
    }

    /// Either of two.
    fn or(self, other: Named) -> Named {
        let mut lists = self.lists;
        for list in other.lists {
            if !lists.contains(&list) {
                lists.push(list);
            }
        }
        Named {
            near: self.near.or(other.near),
            lists,
            exact: self.exact && other.exact,
        }
    }
}

/// Bounds a predicate.
struct Search<'a> {
    heads: usize,
    /// Entries of each query stream as a list.
    entries: &'a [usize],
}

impl Search<'_> {
    /// `None` where the keys that a query sees may grow with the sequence.
    fn bound(&self, predicate: &PairExpr) -> Option<Named> {
        let near = AttentionSpan::of_predicate(predicate, self.heads);
        if near.distance.is_some() {
            let exact = is_exact(predicate, near);
            return Some(Named {
                near,
                lists: Vec::new(),
                exact,
            });
        }
        match predicate {
            PairExpr::Binary(BinaryOp::Or, x, y) => Some(self.bound(x)?.or(self.bound(y)?)),
            // Each alone is a bound.
            PairExpr::Binary(BinaryOp::And, x, y) => {
                let named = match (self.bound(x), self.bound(y)) {
                    (Some(x), Some(y)) => Some(if x.keys() <= y.keys() { x } else { y }),
                    (x, y) => x.or(y),
                };
                named.map(|named| Named { exact: false, ..named })
            }
            other => {
                let (stream, block) = membership(other)?;
                let entries = match other {
                    PairExpr::Listed(..) => *self.entries.get(stream)?,
                    _ => 1,
                };
                let list = List {
                    stream,
                    block: block.clone(),
                    blocks: KeyBlocks::of(block)?,
                    entries,
                };
                Some(Named {
                    near: AttentionSpan::NONE,
                    lists: vec![list],
                    exact: true,
                })
            }
        }
    }
}

/// Whether a predicate is that the key is one of the last ones, or one of the first: all that a bound of its pairs admits.
fn is_exact(predicate: &PairExpr, near: AttentionSpan) -> bool {
    let PairExpr::Binary(BinaryOp::Lt, x, keys) = predicate else {
        return false;
    };
    let whole = whole(keys).and_then(|keys| u64::try_from(keys).ok());
    let distance = PairExpr::binary(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos);
    let bound = if **x == distance {
        whole.map(|keys| AttentionSpan {
            distance: Some(keys),
            first: 0,
        })
    } else if **x == PairExpr::KeyPos {
        whole.map(|keys| AttentionSpan {
            distance: Some(0),
            first: keys,
        })
    } else {
        None
    };
    bound == Some(near)
}

/// The query stream and the function of the pair of which a truth value says that one lists, or is, the other.
fn membership(predicate: &PairExpr) -> Option<(usize, &PairExpr)> {
    match predicate {
        PairExpr::Listed(n, x) => Some((*n, x)),
        PairExpr::Binary(BinaryOp::Eq, x, y) => match (&**x, &**y) {
            (PairExpr::QueryStream(n), block) | (block, PairExpr::QueryStream(n)) => Some((*n, block)),
            _ => None,
        },
        _ => None,
    }
}

impl List {
    /// Whether a truth value is that the list names the key.
    pub fn says(&self, truth: &PairExpr) -> bool {
        membership(truth).is_some_and(|(stream, block)| stream == self.stream && *block == self.block)
    }
}

impl KeyBlocks {
    /// What an expression is: sums of a key's position and whole numbers, divided and rounded down.
    fn of(expr: &PairExpr) -> Option<KeyBlocks> {
        match expr {
            PairExpr::KeyPos => Some(KeyBlocks { size: 1, shift: 0 }),
            PairExpr::Unary(UnaryOp::Floor, quotient) => match &**quotient {
                PairExpr::Binary(BinaryOp::Div, x, by) => {
                    let (inner, by) = (KeyBlocks::of(x)?, whole(by)?);
                    let size = inner.size.checked_mul(u64::try_from(by).ok().filter(|by| *by > 0)?)?;
                    (size < SMALL as u64).then_some(KeyBlocks { size, ..inner })
                }
                _ => None,
            },
            PairExpr::Binary(BinaryOp::Add, x, y) => match (whole(x), whole(y)) {
                (Some(c), _) => KeyBlocks::of(y)?.later(c),
                (_, Some(c)) => KeyBlocks::of(x)?.later(c),
                _ => None,
            },
            PairExpr::Binary(BinaryOp::Sub, x, y) => KeyBlocks::of(x)?.later(-whole(y)?),
            _ => None,
        }
    }

    /// Those whose numbers are larger by `blocks`.
    fn later(self, blocks: i64) -> Option<KeyBlocks> {
        let shift = self.shift + blocks.checked_mul(self.size as i64)?;
        (shift.abs() < SMALL).then_some(KeyBlocks { shift, ..self })
    }
}

/// Sizes and shifts stay below this.
const SMALL: i64 = 1 << 31;

/// A whole number that is no large one.
fn whole(expr: &PairExpr) -> Option<i64> {
    let c = expr.constant()?;
    (c.fract() == 0.0 && c.abs() < SMALL as f64).then_some(c as i64)
}

/// `4 blocks of 16 keys by number, 64 last ones`
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, list) in self.lists.iter().enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            let plural = if list.entries == 1 { "" } else { "s" };
            match list.blocks.size {
                1 => write!(f, "{comma}{} key{plural}", list.entries)?,
                size => write!(f, "{comma}{} block{plural} of {size} keys", list.entries)?,
            }
        }
        f.write_str(" by number")?;
        match (self.near.first, self.near.distance) {
            (0, None | Some(0)) => Ok(()),
            (first, None | Some(0)) => write!(f, ", {first} first ones"),
            (0, Some(distance)) => write!(f, ", {distance} last ones"),
            (first, Some(distance)) => write!(f, ", {first} first ones, {distance} last ones"),
        }
    }
}
