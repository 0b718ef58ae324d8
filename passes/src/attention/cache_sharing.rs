//! Caches that layers share: two attentions over the same streams of keys and values keep them once.
//!
//! Legality: both see all tokens (no clock), causally, without streams of their own at the key; heads and sizes agree, and so does what
//! their predicates keep. The first call appends, the others read (YOCO, Sun et al. 2024, arXiv:2405.05254; SambaY, Ren et al. 2025,
//! arXiv:2507.06607).

use crate::attention::{PairAnalysis, span::AttentionSpan};
use seqc_formats::Encoding;
use seqc_ir::{Call, Graph, IndexExpr, Model, Op, StreamId, Value};
use std::collections::HashMap;

/// An attention of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// Number of the call.
    pub call: usize,
    /// The node in its graph.
    pub value: Value,
}

/// What two caches must have in common to be one.
#[derive(PartialEq, Eq, Hash)]
struct Cache {
    keys: StreamId,
    values: StreamId,
    key_sizes: Vec<usize>,
    value_sizes: Vec<usize>,
    stored: Encoding,
    span: AttentionSpan,
}

/// The attentions that read the cache of another one, and whose. The model's graphs went through the passes; `attentions`
/// says of each kind what is known of its attentions.
pub fn cache_sharing(model: &Model, attentions: &[&HashMap<Value, PairAnalysis>]) -> HashMap<Site, Site> {
    let mut owners: HashMap<Cache, Site> = HashMap::new();
    let mut found = HashMap::new();
    for (n, call) in model.calls.iter().enumerate() {
        let kind = call.kind.0 as usize;
        let graph = &model.kinds[kind].graph;
        for v in graph.live_order() {
            let known = attentions[kind].get(&v).filter(|known| known.is_shareable);
            let Some(cache) = known.and_then(|known| cache(graph, call, v, known.span)) else {
                continue;
            };
            let site = Site { call: n, value: v };
            match owners.get(&cache) {
                // Within one call there is no order of the kernels to rely on.
                Some(owner) if owner.call != n => drop(found.insert(site, *owner)),
                Some(_) => {}
                None => drop(owners.insert(cache, site)),
            }
        }
    }
    found
}

/// The cache of an attention that keeps `span`; `None` where its keys or values are no streams of the model.
fn cache(graph: &Graph, call: &Call, v: Value, span: AttentionSpan) -> Option<Cache> {
    let Op::Attend(spec) = graph.op(v) else { return None };
    let operands = graph.operands(v);
    let (keys, values) = (operands[1], operands[2]);
    Some(Cache {
        keys: stream(graph, call, keys)?,
        values: stream(graph, call, values)?,
        key_sizes: graph.ty(keys).sizes(),
        value_sizes: graph.ty(values).sizes(),
        stored: spec.stored,
        span,
    })
}

/// The stream of the model that a value is, whatever its shape.
fn stream(graph: &Graph, call: &Call, v: Value) -> Option<StreamId> {
    let source = unshaped(graph, v);
    if let Op::Input(n) = graph.op(source) {
        return call.args.get(*n).copied();
    }
    let n = graph.outputs.iter().position(|(_, o)| unshaped(graph, *o) == source)?;
    call.results.get(n).copied()
}

/// The value whose elements these are, in their order.
fn unshaped(graph: &Graph, v: Value) -> Value {
    let mut at = v;
    while keeps_elements(graph, at) {
        at = graph.operands(at)[0];
    }
    at
}

/// Whether a value has the elements of its operand in their order.
fn keeps_elements(graph: &Graph, v: Value) -> bool {
    let Op::View(map) = graph.op(v) else {
        return matches!(graph.op(v), Op::Reshape);
    };
    let same = graph.ty(graph.operands(v)[0]).sizes() == graph.ty(v).sizes();
    same && map.iter().enumerate().all(|(n, e)| *e == IndexExpr::Axis(n))
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
        let found = cache_sharing(&model, &known.each_ref());
        let mut pairs: Vec<(usize, usize)> = found.iter().map(|(reader, owner)| (reader.call, owner.call)).collect();
        pairs.sort_unstable();
        assert_eq!(pairs, [(1, 0), (3, 2)]);
    }
}
