//! The caches of a model: what its attentions keep, each once, however many of them read it.
//!
//! Two attentions have one cache where keys and values are the same streams, heads and sizes agree, and so does what is kept of them, and how: the
//! type, what their predicates reach, their policies. Both see all tokens (no clock), causally, without streams of their own at the key. The
//! first call appends, the others read (YOCO, Sun et al. 2024, arXiv:2405.05254; SambaY, Ren et al. 2025, arXiv:2507.06607).
//!
//! A chunk goes through one call after another: a reader finds the cache as it is behind the chunk. Under a policy it must find there all that its
//! tokens see, so that nothing may leave, be coded later or be counted, and nothing may depend on the queries of one call ([`Apart`]).

use crate::attention::{
    PairAnalysis,
    span::AttentionSpan,
    streams::{self, Port},
};
use seqc_formats::Encoding;
use seqc_ir::{
    Call, Clock, Graph, Model, Op, StreamId, Value,
    policy::{Coding, Policy},
};
use std::{collections::HashMap, fmt};

/// An attention of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// Number of the call.
    pub call: usize,
    /// The node in its graph.
    pub value: Value,
}

/// A cache of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// The attention that appends to it.
    pub owner: Site,
    /// Those that read it beside, in order.
    pub readers: Vec<Site>,
    /// The cache of an earlier call with the same keys and values, and why it is not this one.
    pub beside: Option<(CacheId, Apart)>,
}

/// Number of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheId(pub usize);

/// Why an attention over the same keys and values as an earlier one has a cache of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// A clock, a future, or streams at the keys of one of them.
    Keys,
    /// The types of stored numbers differ.
    Type,
    /// Their predicates reach other tokens.
    Tokens,
    /// Their policies differ.
    Policy,
    /// Blocks are known by query heads, whose numbers differ.
    Heads,
    /// Entries leave.
    Leaves,
    /// Entries are coded after tokens have seen them as they were.
    CodedLater,
    /// Tokens update numbers.
    Updated,
    /// Queries decide what is kept of entries or blocks.
    Queries,
    /// A choice of blocks holds for several tokens.
    Together,
}

/// The caches of a model, in the order of their owners.
#[derive(Clone, Debug, Default)]
pub struct Caches {
    /// All of them.
    pub all: Vec<Cache>,
    /// The cache of each attention.
    of: HashMap<Site, CacheId>,
}

/// What two caches must have in common to be one.
#[derive(Clone, Copy)]
struct Contents<'g> {
    policy: Option<&'g Policy>,
    stored: Encoding,
    span: AttentionSpan,
    heads: usize,
    /// Its keys are those of all tokens, and nothing beside.
    plain: bool,
}

/// Where keys and values come from, with their sizes.
#[derive(PartialEq, Eq, Hash)]
struct Streams {
    keys: StreamId,
    values: StreamId,
    key_sizes: Vec<usize>,
    value_sizes: Vec<usize>,
}

impl Caches {
    /// The caches of a model whose graphs went through the passes; `attentions` says of each kind what is known of its attentions.
    pub fn new(model: &Model, attentions: &[&HashMap<Value, PairAnalysis>]) -> Caches {
        let mut caches = Caches::default();
        let mut over: HashMap<Streams, Vec<(CacheId, Contents<'_>)>> = HashMap::new();
        for (n, call) in model.calls.iter().enumerate() {
            let kind = call.kind.0 as usize;
            let graph = &model.kinds[kind].graph;
            for v in graph.live_order() {
                let Some(known) = attentions[kind].get(&v) else {
                    continue;
                };
                let site = Site { call: n, value: v };
                let Some((streams, contents)) = sources(graph, call, v).zip(contents(graph, v, known.span)) else {
                    caches.add(site, None);
                    continue;
                };
                let others = over.entry(streams).or_default();
                // Within one call there is no order of the kernels to rely on.
                let others_before = others.iter().filter(|(id, _)| caches.all[id.0].owner.call != n);
                let apart: Vec<(CacheId, Option<Apart>)> =
                    others_before.map(|(id, other)| (*id, other.apart(&contents))).collect();
                match apart.iter().find(|(_, why)| why.is_none()) {
                    Some((id, _)) => {
                        caches.all[id.0].readers.push(site);
                        caches.of.insert(site, *id);
                    }
                    None => {
                        let first = apart.first().and_then(|(id, why)| Some((*id, (*why)?)));
                        others.push((caches.add(site, first), contents));
                    }
                }
            }
        }
        caches
    }

    fn add(&mut self, owner: Site, beside: Option<(CacheId, Apart)>) -> CacheId {
        let id = CacheId(self.all.len());
        self.of.insert(owner, id);
        self.all.push(Cache {
            owner,
            readers: Vec::new(),
            beside,
        });
        id
    }

    /// The attention whose cache another one reads; `None` for one that has its own.
    pub fn elsewhere(&self, reader: Site) -> Option<Site> {
        let owner = self.all[self.of.get(&reader)?.0].owner;
        (owner != reader).then_some(owner)
    }

    /// The attentions that read another one's cache.
    pub fn readers(&self) -> impl Iterator<Item = Site> {
        self.all.iter().flat_map(|cache| cache.readers.iter().copied())
    }
}

impl Contents<'_> {
    /// Why a later attention does not read this cache; `None` where it does.
    fn apart(&self, later: &Contents<'_>) -> Option<Apart> {
        if !self.plain || !later.plain {
            return Some(Apart::Keys);
        }
        if self.stored != later.stored {
            return Some(Apart::Type);
        }
        if self.policy != later.policy {
            return Some(Apart::Policy);
        }
        let Some(policy) = self.policy else {
            return (self.span != later.span).then_some(Apart::Tokens);
        };
        (policy.blocks.is_some() && self.heads != later.heads)
            .then_some(Apart::Heads)
            .or_else(|| of_one_call(policy))
    }
}

/// Why what a policy keeps is that of one call.
fn of_one_call(policy: &Policy) -> Option<Apart> {
    let later = |coding: &Coding| coding.until.is_some();
    let blocks = policy.blocks.as_ref();
    if policy.evict.is_some() {
        Some(Apart::Leaves)
    } else if [&policy.keys, &policy.values].into_iter().flatten().any(later) {
        Some(Apart::CodedLater)
    } else if !policy.memories.is_empty() || !policy.counters.is_empty() {
        Some(Apart::Updated)
    } else if policy.queries() > 0 {
        Some(Apart::Queries)
    } else if blocks.is_some_and(|b| b.together > 1 || b.refresh > 1) {
        Some(Apart::Together)
    } else {
        None
    }
}

/// What the cache of an attention that reaches `span` holds; `None` where it keeps no values.
fn contents(graph: &Graph, v: Value, span: AttentionSpan) -> Option<Contents<'_>> {
    let Op::Attend(spec) = graph.op(v) else { return None };
    spec.has_values().then(|| Contents {
        policy: spec.policy.as_deref(),
        stored: spec.stored,
        span,
        heads: graph.ty(graph.operands(v)[0]).dims[0].size,
        plain: spec.causal && spec.clock == Clock::Every && spec.key_streams == 0,
    })
}

/// Where the keys and values of an attention come from; `None` where they are no streams of the model.
fn sources(graph: &Graph, call: &Call, v: Value) -> Option<Streams> {
    let operands = graph.operands(v);
    let (keys, values) = (operands[1], *operands.get(2)?);
    Some(Streams {
        keys: stream(graph, call, keys)?,
        values: stream(graph, call, values)?,
        key_sizes: graph.ty(keys).sizes(),
        value_sizes: graph.ty(values).sizes(),
    })
}

/// `entries leave while the tokens of a chunk are read`
impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Apart::Keys => "a clock, or streams at its keys, say what is kept",
            Apart::Type => "numbers are stored in another type",
            Apart::Tokens => "other tokens are kept",
            Apart::Policy => "another policy says what is kept",
            Apart::Heads => "its blocks are known by another number of query heads",
            Apart::Leaves => "entries leave while the tokens of a chunk are read",
            Apart::CodedLater => "entries are coded after tokens have seen them as they were",
            Apart::Updated => "every token updates numbers of its policy",
            Apart::Queries => "its own queries decide what is kept",
            Apart::Together => "its own queries choose for several tokens",
        })
    }
}

/// `c3`
impl fmt::Display for CacheId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

/// The stream of the model that a value is, whatever its shape.
fn stream(graph: &Graph, call: &Call, v: Value) -> Option<StreamId> {
    match streams::port(graph, v)? {
        Port::Input(n) => call.args.get(n).copied(),
        Port::Output(n) => call.results.get(n).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::analysis::analyses;
    use seqc_ir::{AttendSpec, BinaryOp, Elem, Kind, KindId, ModelInput, PairExpr, Ty};

    fn ty(sizes: &[usize]) -> Ty {
        Ty::new(Elem::F32, sizes.iter().map(|s| seqc_ir::Dim::new("", *s)).collect())
    }

    /// A layer that attends to its inputs `k` and `v`, flat or not, with a window.
    fn reader(window: i64) -> Graph {
        let mut g = Graph::new("reader");
        let x = g.add_input("x", ty(&[4]));
        let (k, v) = (g.add_input("k", ty(&[2, 2])), g.add_input("v", ty(&[4])));
        let (q, v) = (g.reshape(x, ty(&[2, 2]).dims), g.reshape(v, ty(&[2, 2]).dims));
        let distance = PairExpr::binary(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos);
        let near = PairExpr::binary(BinaryOp::Lt, distance, PairExpr::Const(window as f64));
        let spec = AttendSpec {
            predicate: (window > 0).then_some(near),
            ..AttendSpec::default()
        };
        let o = g.attend(spec, &[q, k, v]);
        let y = g.reshape(o, ty(&[4]).dims);
        g.add_output("y", y);
        g
    }

    /// A layer that publishes its own keys and values.
    fn owner() -> Graph {
        let mut g = Graph::new("owner");
        let x = g.add_input("x", ty(&[4]));
        let k = g.binary(BinaryOp::Mul, x, x);
        let v = g.binary(BinaryOp::Add, x, x);
        let [q, k2, v2] = [x, k, v].map(|t| g.reshape(t, ty(&[2, 2]).dims));
        let o = g.attend(AttendSpec::default(), &[q, k2, v2]);
        let y = g.reshape(o, ty(&[4]).dims);
        g.add_output("y", y);
        g.add_output("tap.k", k2);
        g.add_output("tap.v", v);
        g
    }

    fn call(kind: u32, args: &[u32], results: &[u32]) -> Call {
        Call {
            name: String::new(),
            kind: KindId(kind),
            args: args.iter().map(|s| StreamId(*s)).collect(),
            results: results.iter().map(|s| StreamId(*s)).collect(),
            params: Vec::new(),
        }
    }

    #[test]
    fn readers_of_published_keys_keep_none_of_their_own() {
        let graphs = [owner(), reader(0), reader(8)];
        let kinds = graphs.iter().map(|graph| Kind {
            graph: graph.clone(),
            encodings: Vec::new(),
        });
        let model = Model {
            kinds: kinds.collect(),
            calls: vec![
                call(0, &[0], &[1, 2, 3]),
                call(1, &[1, 2, 3], &[4]),
                // A window keeps less: a cache of its own, which the next one shares.
                call(2, &[4, 2, 3], &[5]),
                call(2, &[5, 2, 3], &[6]),
                // Other values.
                call(1, &[6, 2, 1], &[7]),
            ],
            inputs: vec![ModelInput {
                name: "x".to_owned(),
                ty: ty(&[4]),
                stream: StreamId(0),
            }],
            ..Model::default()
        };
        let known = graphs.each_ref().map(analyses);
        let caches = Caches::new(&model, &known.each_ref());
        let pairs = caches
            .readers()
            .map(|reader| (reader.call, caches.elsewhere(reader).map(|owner| owner.call)));
        assert_eq!(pairs.collect::<Vec<_>>(), [(1, Some(0)), (3, Some(2))]);
        let beside = caches.all.iter().map(|cache| cache.beside);
        assert_eq!(
            beside.collect::<Vec<_>>(),
            [None, Some((CacheId(0), Apart::Tokens)), None]
        );
    }
}
