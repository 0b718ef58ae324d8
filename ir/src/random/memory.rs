//! Random models of two sequences: layers over one that is read whole, and layers over tokens that attend to it.

use super::{Generator, RandomGraph, RandomModel, Rng, SIZES, generate, model::source_of};
use crate::{
    AttendSpec, BinaryOp, Call, Clock, Kind, KindId, Model, ModelInput, Normaliser, PairExpr, StreamId, Ty, Value, dims,
};
use seqc_formats::Encoding;

type Expr = PairExpr;

/// Sizes of an attention to a memory.
#[derive(Clone, Copy)]
struct Heads {
    groups: usize,
    ratio: usize,
    key: usize,
    value: usize,
    /// Whether rows bring a number along.
    stream: bool,
    /// How scores become weights; where keys are only looked for, rows have no values.
    normaliser: Normaliser,
}

/// A model of two layers over tokens that attend to a memory, with graphs of `size` constructions each. Layers of the memory may read later rows.
pub fn random_model_with_memory(seed: u64, size: usize) -> RandomModel {
    let mut rng = Rng::new(seed);
    let [rows, tokens] = [(); 2].map(|()| *rng.choose(&SIZES[1..]));
    let mut random = RandomModel {
        model: Model::default(),
        inputs: Vec::new(),
        params: Vec::new(),
    };
    random.model.name = format!("memory{seed}");
    let causal = rng.once_in(2);
    let encoder = generate(Rng::new(rng.bits()), size, rows, causal);
    random.model.memory.inputs = inputs(&mut random.model, &encoder, "memory.");
    let memory = streams(&random.model.memory.inputs);
    let encoder = add(&mut random, encoder, &memory);
    let encoded = call(&mut random.model, "encoder", encoder, memory.clone());
    let mut layers = Vec::new();
    for _ in 0..2 {
        let heads = Heads::random(&mut rng);
        let kept = add(
            &mut random,
            rows_graph(Rng::new(rng.bits()), size / 2, rows, heads),
            &memory,
        );
        let layer = tokens_graph(Rng::new(rng.bits()), size, tokens, heads);
        layers.push((kept, layer));
    }
    let mut all_rows = Vec::new();
    for (n, (kept, _)) in layers.iter().enumerate() {
        let args = [&[encoded[0]], &memory[1..]].concat();
        all_rows.push(call(&mut random.model, &format!("layers.{n}.rows"), *kept, args));
    }
    random.model.memory.calls = random.model.calls.len();
    for (n, (_, layer)) in layers.into_iter().enumerate() {
        if n == 0 {
            random.model.inputs = inputs(&mut random.model, &layer, "");
            random.inputs = layer.inputs[..3].to_vec();
        }
        let own = streams(&random.model.inputs);
        let before = random.model.calls.last().map(|call| call.results[0]).filter(|_| n > 0);
        let args = [&[before.unwrap_or(own[0])], &own[1..], &all_rows[n]].concat();
        let kind = add(&mut random, layer, &args);
        call(&mut random.model, &format!("layers.{n}"), kind, args);
    }
    let last = random.model.calls.last().map(|call| call.results[0]);
    random.model.outputs = last.into_iter().map(|stream| ("y".to_owned(), stream)).collect();
    random
}

impl Heads {
    fn random(rng: &mut Rng) -> Heads {
        Heads {
            groups: *rng.choose(&[1, 2, 3]),
            ratio: *rng.choose(&[1, 1, 2]),
            key: *rng.choose(&[1, 4, 5, 16]),
            value: *rng.choose(&[1, 3, 16, 17]),
            stream: rng.once_in(2),
            normaliser: *rng.choose(&[Normaliser::Softmax, Normaliser::Softmax, Normaliser::Top(3)]),
        }
    }
}

/// Keys, values and perhaps a number of each row.
fn rows_graph(rng: Rng, size: usize, d: usize, heads: Heads) -> RandomGraph {
    let mut g = Generator::new(rng, d, true);
    for _ in 0..size {
        g.construct();
    }
    let u = g.pick();
    let k = g.projected(u, &[heads.groups, heads.key]);
    g.graph.add_output("k", k);
    if heads.normaliser == Normaliser::Softmax {
        let v = g.projected(u, &[heads.groups, heads.value]);
        g.graph.add_output("v", v);
    }
    if heads.stream {
        let document = g.graph.cast(crate::Elem::F32, g.document);
        g.graph.add_output("document", document);
    }
    g.into_graph()
}

/// A layer over tokens; what it reads of rows are its last inputs.
fn tokens_graph(rng: Rng, size: usize, d: usize, heads: Heads) -> RandomGraph {
    let mut g = Generator::new(rng, d, true);
    let k = g.graph.add_input("k", Ty::f32(&[heads.groups, heads.key]));
    let values = Ty::f32(&[heads.groups, heads.value]);
    let v = (heads.normaliser == Normaliser::Softmax).then(|| g.graph.add_input("v", values));
    let stream = heads.stream.then(|| g.graph.add_input("row", Ty::f32(&[])));
    for _ in 0..size / 2 {
        g.construct();
    }
    let u = g.pick();
    let q = g.projected(u, &[heads.groups * heads.ratio, heads.key]);
    let seen = g.of_rows(heads.normaliser, [Some(q), Some(k), v, stream]);
    g.pool.push(seen);
    for _ in 0..size / 2 {
        g.construct();
    }
    // The result depends on the rows, whatever was built on.
    let last = g.pick();
    let [last, seen] = [last, seen].map(|v| g.projected(v, &[d]));
    let both = g.mean(last, seen);
    g.pool.push(both);
    g.finish()
}

impl Generator {
    /// Attention to rows: queries, keys, values where there are, and the number that rows bring along.
    fn of_rows(&mut self, normaliser: Normaliser, [q, k, v, row]: [Option<Value>; 4]) -> Value {
        let document = self.graph.cast(crate::Elem::F32, self.document);
        let compare = Expr::binary;
        let predicate = match (self.rng.below(5), row) {
            (0, _) => None,
            (1, _) => Some(compare(BinaryOp::Le, Expr::KeyPos, Expr::QueryPos)),
            (2, Some(_)) => Some(compare(BinaryOp::Le, Expr::KeyStream(0), Expr::QueryStream(0))),
            (3, _) => {
                let third = |x| compare(BinaryOp::Mod, x, Expr::Const(3.0));
                Some(compare(BinaryOp::Ne, third(Expr::KeyPos), third(Expr::QueryPos)))
            }
            _ => {
                let back = compare(BinaryOp::Sub, Expr::QueryPos, Expr::KeyPos);
                Some(compare(BinaryOp::Lt, back, Expr::Const(7.0)))
            }
        };
        let score = self.rng.once_in(2).then(|| {
            let far = compare(BinaryOp::Sub, Expr::QueryPos, Expr::KeyPos);
            compare(
                BinaryOp::Sub,
                Expr::Score,
                compare(BinaryOp::Mul, far, Expr::Const(0.03125)),
            )
        });
        let spec = AttendSpec {
            scale: 0.5,
            predicate,
            score,
            normaliser,
            causal: false,
            clock: Clock::Memory,
            query_streams: usize::from(row.is_some()),
            key_streams: usize::from(row.is_some()),
            ..AttendSpec::default()
        };
        let scores_only = !spec.has_values();
        let query = row.map(|_| document);
        let operands: Vec<Value> = [q, k, v, query, row].into_iter().flatten().collect();
        let y = self.graph.attend(spec, &operands);
        if !scores_only {
            return y;
        }
        let sizes = self.sizes(y);
        let part = vec![
            crate::IndexExpr::Axis(0),
            crate::IndexExpr::Const(0),
            crate::IndexExpr::Axis(1),
        ];
        let scores = self.graph.view(y, dims(&[sizes[0], sizes[2]]), part);
        self.small(scores)
    }

    fn into_graph(self) -> RandomGraph {
        RandomGraph {
            graph: self.graph,
            inputs: self.inputs,
            params: self.params,
        }
    }
}

pub(super) fn inputs(model: &mut Model, layer: &RandomGraph, prefix: &str) -> Vec<ModelInput> {
    let ports = layer.graph.inputs.iter().take(3).cloned().collect::<Vec<_>>();
    let input = |port: crate::Port| ModelInput {
        name: format!("{prefix}{}", port.name),
        ty: port.ty,
        stream: model.new_stream(),
    };
    ports.into_iter().map(input).collect()
}

pub(super) fn streams(inputs: &[ModelInput]) -> Vec<StreamId> {
    inputs.iter().map(|input| input.stream).collect()
}

/// A kind of layer, which reads as many streams as are given.
pub(super) fn add(random: &mut RandomModel, layer: RandomGraph, args: &[StreamId]) -> KindId {
    let mut graph = layer.graph;
    assert_eq!(graph.inputs.len(), args.len(), "one stream for each input");
    let kind = KindId(random.model.kinds.len() as u32);
    graph.name = format!("random{}", kind.0);
    let encodings = vec![Encoding::F32; layer.params.len()];
    random.params.push(layer.params);
    random.model.kinds.push(Kind { graph, encodings });
    kind
}

/// Adds a call; gives its results.
pub(super) fn call(model: &mut Model, name: &str, kind: KindId, args: Vec<StreamId>) -> Vec<StreamId> {
    let graph = &model.kinds[kind.0 as usize].graph;
    let params = graph.params.iter().map(|port| source_of(name, port)).collect();
    let count = graph.outputs.len();
    let results: Vec<StreamId> = (0..count).map(|_| model.new_stream()).collect();
    model.calls.push(Call {
        name: name.to_owned(),
        kind,
        args,
        results: results.clone(),
        params,
    });
    results
}
