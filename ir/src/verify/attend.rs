//! Law 11: attention.

use super::{
    limits::{MAX_TABLE, MAX_TOP},
    policy,
    report::{Report, shape},
    typed::{self, Typed, mixed},
};
use crate::{AttendSpec, BinaryOp, Clock, Elem, Normaliser, Op, PairDomain, PairLeaf, Ty, UnaryOp, Value};

pub(super) fn check(report: &mut Report<'_>, value: Value, spec: &AttendSpec, types: &[&Ty]) {
    let (q, k) = (types[0], types[1]);
    let v = if spec.has_values() { types[2] } else { k };
    let real = [q, k, v, report.graph.ty(value)].iter().all(|t| t.elem == Elem::F32);
    report.require(real, 6, value, || "queries, keys and values are real".to_owned());
    let ([h, e], [g, key], [gv, f]) = (&q.sizes()[..], &k.sizes()[..], &v.sizes()[..]) else {
        return report.at(11, value, "queries, keys and values have two axes: heads and entries");
    };
    report.require(g == gv, 11, value, || format!("{g} key heads and {gv} value heads"));
    report.require(h % g == 0, 11, value, || {
        format!("{h} query heads are not a multiple of {g} key heads")
    });
    report.require(e == key, 11, value, || format!("queries have {e} entries, keys {key}"));
    shape(report, value, &spec.result(*h, *f));
    report.require(spec.scale.is_finite(), 11, value, || {
        "the scale is not finite".to_owned()
    });
    report.require(spec.stored.nearest().is_some(), 11, value, || {
        format!("a cache does not hold {}", spec.stored)
    });
    normaliser(report, value, spec, [*h, *g]);
    memory(report, value, spec);
    policy::check(report, value, spec, types, [*e, *f]);
    streams(report, value, spec, types);
    let ranks: Vec<usize> = types[spec.table_operands()].iter().map(|ty| ty.rank()).collect();
    for (expr, truth, what) in [(&spec.predicate, true, "predicate"), (&spec.score, false, "score")] {
        let Some(expr) = expr else { continue };
        let mut typing = Typing {
            spec,
            ranks: &ranks,
            query: &types[spec.query_operands()],
            heads: *h,
            with_score: !truth,
        };
        match typing.value(expr) {
            Err(message) => report.at(11, value, format!("{message} in the {what}")),
            Ok(found) if found != truth => report.at(11, value, format!("the {what} has the wrong type")),
            Ok(_) => {}
        }
    }
    sums_behind(report, value, spec);
}

/// Sums over the keys behind a key are not nested, and all keys that count are in the cache, from which none is picked.
fn sums_behind(report: &mut Report<'_>, value: Value, spec: &AttendSpec) {
    let sums = spec.sums_behind();
    if sums.is_empty() {
        return;
    }
    let flat = sums.into_iter().all(|of| !of.uses_sums_behind());
    report.require(flat, 11, value, || {
        "a sum over the keys behind a key has another one inside".to_owned()
    });
    let all = spec.policy.is_none() && spec.has_values();
    report.require(all, 11, value, || {
        "sums over the keys behind a key go over all keys: there is no policy, and no choice of keys".to_owned()
    });
}

/// Whether a stream is a scalar, or has a number for each query head.
fn of_heads(ty: &Ty, heads: usize) -> bool {
    ty.rank() == 0 || ty.sizes() == [heads]
}

/// Rows of a memory are inputs, which nothing but attention to it reads.
fn memory(report: &mut Report<'_>, value: Value, spec: &AttendSpec) {
    if spec.clock != Clock::Memory {
        return;
    }
    let graph = report.graph;
    report.require(!spec.causal, 19, value, || {
        "the rows of a memory are not causal".to_owned()
    });
    let operands = graph.operands(value);
    for at in spec.read_at_keys() {
        let row = operands[at];
        let is_key = |user: &Value| {
            let read: Vec<usize> = (0..)
                .zip(graph.operands(*user))
                .filter(|(_, o)| *o == row)
                .map(|(n, _)| n)
                .collect();
            let Op::Attend(spec) = graph.op(*user) else {
                return false;
            };
            spec.clock == Clock::Memory && read.iter().all(|n| spec.read_at_keys().any(|k| k == *n))
        };
        let alone = matches!(graph.op(row), Op::Input(_))
            && graph.users(row).iter().all(is_key)
            && graph.outputs.iter().all(|(_, v)| *v != row);
        report.require(alone, 19, value, || {
            format!("{row} is no input that attention to a memory alone reads")
        });
    }
}

fn normaliser(report: &mut Report<'_>, value: Value, spec: &AttendSpec, heads: [usize; 2]) {
    let softmax = spec.normaliser == Normaliser::Softmax;
    report.require(softmax || !spec.log_sum, 11, value, || {
        "only softmax has the logarithm of its sum".to_owned()
    });
    if let Normaliser::Top(n) = spec.normaliser {
        report.require((1..=MAX_TOP).contains(&n), 11, value, || {
            format!("asks for {n} keys, not for 1 to {MAX_TOP}")
        });
    }
    let share = heads[0] / heads[1].max(1);
    let fits = match spec.normaliser {
        Normaliser::Top(_) => spec.together >= 1 && share.is_multiple_of(spec.together),
        Normaliser::Softmax | Normaliser::Sum | Normaliser::None => spec.together == 1,
    };
    report.require(fits, 11, value, || {
        format!(
            "{} heads choose together of {share} that share a key head",
            spec.together
        )
    });
}

fn streams(report: &mut Report<'_>, value: Value, spec: &AttendSpec, types: &[&Ty]) {
    let heads = types[0].dims[0].size;
    if let Some(on) = spec.on() {
        let fits = types[on].elem == Elem::Bool && types[on].rank() == 0;
        report.require(fits, 11, value, || {
            format!("`on` is {}, not a scalar truth value", types[on])
        });
    }
    for ty in &types[spec.key_operands()] {
        report.require(of_heads(ty, heads), 11, value, || {
            format!("a key stream is {ty}, neither a scalar nor [{heads}]")
        });
    }
    for ty in &types[spec.query_operands().start..spec.key_operands().end] {
        report.require(ty.elem != Elem::Bool, 11, value, || {
            "streams are real or integer".to_owned()
        });
    }
    for ty in &types[spec.table_operands()] {
        report.require(ty.elem == Elem::F32 && ty.rank() > 0, 11, value, || {
            format!("a table is {ty}, not real with an axis")
        });
        report.require(ty.len() <= MAX_TABLE, 11, value, || {
            format!("a table of {} entries has more than {MAX_TABLE}", ty.len())
        });
    }
}

/// What expressions over pairs may use.
struct Typing<'a> {
    spec: &'a AttendSpec,
    /// Axes of each table.
    ranks: &'a [usize],
    /// Types of the query streams.
    query: &'a [&'a Ty],
    /// Query heads.
    heads: usize,
    /// The scaled product is there.
    with_score: bool,
}

impl PairDomain for Typing<'_> {
    type Value = Typed;

    fn leaf(&mut self, leaf: PairLeaf) -> Typed {
        match leaf {
            PairLeaf::Score if !self.with_score => Err("the score is used".to_owned()),
            PairLeaf::QueryStream(n) => match self.query.get(n) {
                None => Err(format!("there is no query stream {n}")),
                Some(ty) if !of_heads(ty, self.heads) => Err(format!(
                    "a query stream is {ty}, neither a scalar nor [{}],",
                    self.heads
                )),
                Some(_) => Ok(false),
            },
            PairLeaf::KeyStream(n) if n >= self.spec.key_streams => Err(format!("there is no key stream {n}")),
            PairLeaf::Score
            | PairLeaf::QueryPos
            | PairLeaf::KeyPos
            | PairLeaf::Head
            | PairLeaf::KeyStream(_)
            | PairLeaf::Const(_) => Ok(false),
        }
    }

    fn unary(&mut self, op: UnaryOp, x: Typed) -> Typed {
        typed::unary(op, x)
    }

    fn binary(&mut self, op: BinaryOp, x: Typed, y: Typed) -> Typed {
        typed::binary(op, x, y)
    }

    fn select(&mut self, c: Typed, a: Typed, b: Typed) -> Typed {
        typed::select(c, a, b)
    }

    fn listed(&mut self, n: usize, x: Typed) -> Typed {
        let Some(ty) = self.query.get(n) else {
            return Err(format!("there is no query stream {n}"));
        };
        let fits = match ty.sizes()[..] {
            [_] => true,
            [heads, _] => heads == self.heads,
            _ => false,
        };
        if !fits {
            return Err(format!(
                "query stream {n} is {ty}, not a list for each token or query head"
            ));
        }
        if x? { mixed("a list") } else { Ok(true) }
    }

    fn after(&mut self, x: Typed) -> Typed {
        if !self.with_score {
            return Err("a sum over the keys behind a key is used".to_owned());
        }
        if x? { mixed("a sum") } else { Ok(false) }
    }

    fn table(&mut self, n: usize, indices: Vec<Typed>) -> Typed {
        let rank = *self.ranks.get(n).ok_or_else(|| format!("there is no table {n}"))?;
        if rank != indices.len() {
            return Err(format!("table {n} of {rank} axes is read at {} indices", indices.len()));
        }
        if indices.into_iter().collect::<Result<Vec<bool>, _>>()?.contains(&true) {
            return mixed("a table");
        }
        Ok(false)
    }
}
