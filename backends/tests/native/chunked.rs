//! Recurrences with one decay for each head, and delta rules: as matrix products they compute what the evaluator says, however the
//! sequence is cut and whichever form each piece takes.

use crate::generated::{Machine, TOLERANCE, difference, distance, reference, spoil, widest};
use seqc_ir::{
    BinaryOp, Call, Graph, IndexExpr, Kind, KindId, Model, ModelInput, Port, ReduceOp, Ty, UnaryOp, Value, dims,
    random::{RandomModel, Range},
};
use seqc_passes::{
    machine,
    plan::{Chunks, Kernel, Plan, Settings},
};

/// Sizes of `S[h, p, n] = a[h] prev(S) + dt[h] x[h, p] b[h / span, n]` and `y[h, p] = sum(n: S[h, p, n] c[h / span, n])`.
#[derive(Clone, Copy)]
struct Sizes {
    heads: usize,
    span: usize,
    p: usize,
    n: usize,
    /// Decays are `max(a, 0)` of something around zero: half of them are exactly zero.
    zeros: bool,
}

fn graph(s: Sizes) -> Graph {
    let mut g = Graph::new("heads");
    let groups = s.heads / s.span;
    let x = g.add_input("x", Ty::f32(&[s.heads, s.p]));
    let b = g.add_input("b", Ty::f32(&[groups, s.n]));
    let c = g.add_input("c", Ty::f32(&[groups, s.n]));
    let dt = g.add_input("dt", Ty::f32(&[s.heads]));
    let [h, p, n] = [s.heads, s.p, s.n];
    let zero = g.constant(0.0, Ty::f32(&[h]));
    let decay = if s.zeros {
        g.binary(BinaryOp::Max, dt, zero)
    } else {
        let rate = g.unary(UnaryOp::Softplus, dt);
        let rate = g.unary(UnaryOp::Neg, rate);
        g.unary(UnaryOp::Exp, rate)
    };
    let shape = [h, p, n];
    let of_head = |g: &mut Graph, v: Value| g.broadcast(v, dims(&shape), &[0]);
    let of_group = |g: &mut Graph, v: Value| {
        let group = IndexExpr::Div(Box::new(IndexExpr::Axis(0)), s.span as i64);
        g.view(v, dims(&shape), vec![group, IndexExpr::Axis(2)])
    };
    let state = g.add_state("S", Ty::f32(&shape));
    let prev = g.prev(state);
    let (a, step, b, c) = (
        of_head(&mut g, decay),
        of_head(&mut g, dt),
        of_group(&mut g, b),
        of_group(&mut g, c),
    );
    let wide = g.broadcast(x, dims(&shape), &[0, 1]);
    let kept = g.product_of(a, prev);
    let value = g.product_of(step, wide);
    let added = g.product_of(value, b);
    let next = g.sum_of(kept, added);
    g.set_next(state, next);
    let seen = g.product_of(next, c);
    let y = g.reduce(ReduceOp::Sum, seen, 1);
    let y = g.sum_of(y, x);
    g.add_output("y", y);
    g
}

/// The delta rule `S[h, n, p] = a[h] prev(S) + b[h, n] (x[h, p] - g[h] a[h] sum(n: b[h, n] prev(S)[h, n, p]))` at the same sizes,
/// read as `y[h, p] = sum(n: c[h, n] S[h, n, p])`.
fn delta(s: Sizes) -> Graph {
    let mut g = Graph::new("delta");
    let [h, p, n] = [s.heads, s.p, s.n];
    let x = g.add_input("x", Ty::f32(&[h, p]));
    let b = g.add_input("b", Ty::f32(&[h / s.span, n]));
    let c = g.add_input("c", Ty::f32(&[h / s.span, n]));
    let dt = g.add_input("dt", Ty::f32(&[h]));
    let gain = g.unary(UnaryOp::Sigmoid, dt);
    let decay = if s.zeros {
        let zero = g.constant(0.0, Ty::f32(&[h]));
        g.binary(BinaryOp::Max, dt, zero)
    } else {
        gain
    };
    let scale = g.constant((n as f64).sqrt().recip(), Ty::f32(&[h / s.span, n]));
    let b = g.product_of(b, scale);
    let (state_shape, read_shape) = ([h, n, p], [h, p, n]);
    let group = || IndexExpr::Div(Box::new(IndexExpr::Axis(0)), s.span as i64);
    let state = g.add_state("S", Ty::f32(&state_shape));
    let prev = g.prev(state);
    let read = |g: &mut Graph, state: Value, by: Value| {
        let by = g.view(by, dims(&read_shape), vec![group(), IndexExpr::Axis(2)]);
        let turned = g.transpose(state, &[0, 2, 1]);
        let product = g.product_of(by, turned);
        g.reduce(ReduceOp::Sum, product, 1)
    };
    let old = read(&mut g, prev, b);
    let factor = g.product_of(gain, decay);
    let factor = g.broadcast(factor, dims(&[h, p]), &[0]);
    let old = g.product_of(factor, old);
    let error = g.binary(BinaryOp::Sub, x, old);
    let a = g.broadcast(decay, dims(&state_shape), &[0]);
    let kept = g.product_of(a, prev);
    let key = g.view(b, dims(&state_shape), vec![group(), IndexExpr::Axis(1)]);
    let error = g.broadcast(error, dims(&state_shape), &[0, 2]);
    let added = g.product_of(key, error);
    let next = g.sum_of(kept, added);
    g.set_next(state, next);
    let y = read(&mut g, next, c);
    g.add_output("y", y);
    g
}

/// A model of one layer.
pub(crate) fn model(graph: Graph) -> RandomModel {
    let mut model = Model::default();
    let input = |model: &mut Model, port: &Port| {
        let stream = model.new_stream();
        model.inputs.push(ModelInput {
            name: port.name.clone(),
            ty: port.ty.clone(),
            stream,
        });
        stream
    };
    let args: Vec<_> = graph.inputs.iter().map(|port| input(&mut model, port)).collect();
    let result = model.new_stream();
    model.calls.push(Call {
        name: "heads".to_owned(),
        kind: KindId(0),
        args,
        results: vec![result],
        params: Vec::new(),
    });
    model.outputs.push(("y".to_owned(), result));
    let inputs = vec![Range::Real { low: -1.0, high: 1.0 }; graph.inputs.len()];
    model.kinds.push(Kind {
        graph,
        encodings: Vec::new(),
    });
    RandomModel {
        model,
        inputs,
        params: vec![Vec::new()],
    }
}

#[test]
fn products_compute_what_the_recurrence_says() {
    let plain = [
        (3, 1, 16, 16, false),
        (4, 2, 20, 5, false),
        (6, 6, 33, 17, true),
        (2, 1, 5, 33, true),
        (4, 4, 72, 40, false),
    ];
    // Smaller states than these are stored for every token.
    let corrected = [
        (3, 1, 33, 64, false),
        (4, 2, 40, 37, false),
        (6, 6, 20, 50, true),
        (2, 1, 64, 64, false),
    ];
    let plain = plain.map(|s| (s, Chunks::Products, false));
    let corrected = corrected.map(|s| (s, Chunks::Products, true));
    // Where the choice is the compiler's, short chunks go from token to token.
    let chosen = [false, true].map(|corrected| ((2, 2, 64, 64, false), Chunks::Cheapest, corrected));
    let cases = plain.into_iter().chain(corrected).chain(chosen);
    for ((heads, span, p, n, zeros), chunks, corrected) in cases {
        let s = Sizes {
            heads,
            span,
            p,
            n,
            zeros,
        };
        let graph = if corrected { delta(s) } else { graph(s) };
        let settings = Settings {
            chunks,
            ..Settings::of(&machine::Machine::PORTABLE)
        };
        let plan = Plan::new(&optimised(&graph), &settings);
        let form = plan.kernels.iter().find_map(|kernel| match kernel {
            Kernel::Scan(scan) => scan.products().map(|(form, shortest)| (form.shared, shortest > 1)),
            Kernel::Heads {
                chunked: Some(scan), ..
            } => scan.products().map(|(form, n)| (form.shared, n > 1)),
            _ => None,
        });
        assert_eq!(form, Some((span, chunks == Chunks::Cheapest)));
        let random = model(graph);
        let inputs = random.input_values(7, 130);
        let expected = reference(&random, 0, &inputs);
        let machine = Machine::new(&random, &widest(), 0, 128, chunks);
        let cuts: [(&[usize], usize); 5] = [
            (&[128], 1),
            (&[1], 1),
            (&[100, 1, 1, 128], 2),
            (&[1, 49, 3, 7], 2),
            (&[48, 47, 2, 128], 3),
        ];
        for (cut, threads) in cuts {
            let found = machine.run(&inputs, cut, threads);
            let off = distance(&found, &expected, 0);
            assert!(off < TOLERANCE, "{heads} x {p} x {n}, chunks {cut:?}: off by {off:e}");
        }
        for seed in 0..3 {
            let mut inputs = inputs.clone();
            spoil(&random, &mut inputs, seed);
            let expected = reference(&random, 0, &inputs);
            for (cut, threads) in cuts {
                let found = machine.run(&inputs, cut, threads);
                let off = difference(&found, &expected, 0);
                assert_eq!(off, None, "{heads} x {p} x {n}, chunks {cut:?}, seed {seed}");
            }
        }
    }
}

fn optimised(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    seqc_passes::optimise(&mut graph);
    graph
}

/// `cargo test -p seqc-backends --test native -- --ignored --nocapture time_of`
#[test]
#[ignore = "measures, and prints what it finds"]
fn time_of_both_forms() {
    let sizes = [(24, 24, 64, 128), (12, 1, 128, 64)].map(|s| (s, false));
    let corrected = [(6, 1, 192, 96), (12, 1, 64, 64), (16, 1, 32, 32)].map(|s| (s, true));
    for ((heads, span, p, n), corrected) in sizes.into_iter().chain(corrected) {
        let s = Sizes {
            heads,
            span,
            p,
            n,
            zeros: false,
        };
        let random = model(if corrected { delta(s) } else { graph(s) });
        let inputs = random.input_values(7, 256);
        let forms = [Chunks::Tokens, Chunks::Products].map(|c| Machine::new(&random, &widest(), 0, 256, c));
        for chunk in [8, 24, 256] {
            let mut least = [f64::INFINITY; 2];
            for _ in 0..5 {
                for (form, least) in forms.iter().zip(&mut least) {
                    *least = least.min(form.seconds(&inputs[..chunk], 40) / chunk as f64);
                }
            }
            let [scan, products] = least.map(|s| s * 1e6);
            println!("{heads} x {p} x {n}, chunks of {chunk}: scan {scan:.2} us a token, products {products:.2}");
        }
    }
}
