//! The evaluator against cases worked out by hand.

use seqc_ir::{
    AttendSpec, BinaryOp, Clock, Elem, Graph, IndexExpr, Normaliser, Op, PairExpr, ReduceOp, Ty, UnaryOp, dims,
    eval::{EvalError, Evaluator, Tensor},
};

fn axis(n: usize) -> IndexExpr {
    IndexExpr::Axis(n)
}

fn plus(a: IndexExpr, c: i64) -> IndexExpr {
    IndexExpr::Add(Box::new(a), Box::new(IndexExpr::Const(c)))
}

/// Runs one input stream of vectors through the graph and gives the first result of each token.
fn run(graph: &Graph, params: &[Tensor], tokens: &[&[f64]]) -> Vec<Vec<f64>> {
    let mut evaluator = Evaluator::new(graph, params).unwrap();
    let shape = graph.inputs[0].ty.sizes();
    let inputs: Vec<_> = tokens.iter().map(|t| vec![Tensor::new(&shape, t.to_vec())]).collect();
    let steps: Vec<_> = inputs.iter().map(|i| evaluator.step(i).unwrap()).collect();
    assert_eq!(
        steps,
        evaluator.run_whole(&inputs).unwrap(),
        "step by step and all at once"
    );
    steps.into_iter().map(|mut s| s.swap_remove(0).data).collect()
}

fn close(found: &[Vec<f64>], expected: &[&[f64]]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert_eq!(f.len(), e.len());
        assert!(
            f.iter().zip(*e).all(|(a, b)| (a - b).abs() < 1e-12),
            "{found:?} is not {expected:?}"
        );
    }
}

/// One head of size 1; query 1, key 0 unless `keyed`, value `x`: uniform weights over what is seen.
fn averaging(predicate: Option<PairExpr>, normaliser: Normaliser, causal: bool) -> Graph {
    let mut g = Graph::new("average");
    let x = g.add_input("x", Ty::f32(&[1, 1]));
    let one = g.constant(1.0, Ty::f32(&[1, 1]));
    let spec = AttendSpec {
        scale: 1.0,
        predicate,
        score: None,
        normaliser,
        causal,
        ..AttendSpec::default()
    };
    let key = if normaliser == Normaliser::Softmax {
        g.constant(0.0, Ty::f32(&[1, 1]))
    } else {
        one
    };
    let y = g.attend(spec, &[one, key, x]);
    g.add_output("y", y);
    g
}

fn distance_below(n: f64) -> PairExpr {
    let distance = PairExpr::binary(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos);
    PairExpr::binary(BinaryOp::Lt, distance, PairExpr::Const(n))
}

#[test]
fn a_scan_decays_and_adds() {
    let mut g = Graph::new("scan");
    let x = g.add_input("x", Ty::f32(&[2]));
    let a = g.add_param("a", Ty::f32(&[2]));
    let h = g.add_state("h", Ty::f32(&[2]));
    let before = g.prev(h);
    let kept = g.product_of(a, before);
    let next = g.sum_of(kept, x);
    g.set_next(h, next);
    g.add_output("h", next);
    let a = Tensor::new(&[2], vec![0.5, -1.0]);
    close(
        &run(&g, &[a], &[&[1.0, 1.0], &[0.0, 2.0], &[4.0, 0.0]]),
        &[&[1.0, 1.0], &[0.5, 1.0], &[4.25, -1.0]],
    );
}

#[test]
fn a_convolution_reads_delayed_values() {
    let mut g = Graph::new("conv");
    let x = g.add_input("x", Ty::f32(&[1]));
    let w = g.add_param("w", Ty::f32(&[3, 1]));
    let lags: Vec<_> = [2, 1].map(|steps| g.delay(x, steps)).into_iter().chain([x]).collect();
    let taps = g.concat(0, &lags);
    let w = g.reshape(w, dims(&[3]));
    let product = g.product_of(w, taps);
    let y = g.reduce(ReduceOp::Sum, product, 1);
    g.add_output("y", y);
    let w = Tensor::new(&[3, 1], vec![100.0, 10.0, 1.0]);
    close(
        &run(&g, &[w], &[&[1.0], &[2.0], &[3.0], &[4.0]]),
        &[&[1.0], &[12.0], &[123.0], &[234.0]],
    );
}

#[test]
fn a_window_holds_the_last_values_the_oldest_first() {
    let mut g = Graph::new("window");
    let x = g.add_input("x", Ty::f32(&[1]));
    let window = g.window(x, 3, 2);
    let y = g.reshape(window, dims(&[3]));
    g.add_output("y", y);
    close(
        &run(&g, &[], &[&[1.0], &[2.0], &[3.0], &[4.0], &[5.0]]),
        &[
            &[0.0, 0.0, 1.0],
            &[0.0, 0.0, 2.0],
            &[0.0, 1.0, 3.0],
            &[0.0, 2.0, 4.0],
            &[1.0, 3.0, 5.0],
        ],
    );
}

#[test]
fn a_long_convolution_reads_as_far_back_as_its_filter() {
    let mut g = Graph::new("long");
    let x = g.add_input("x", Ty::f32(&[2]));
    let f = g.add_param("f", Ty::f32(&[2, 3]));
    let y = g.long_conv(x, f);
    g.add_output("y", y);
    let f = Tensor::new(&[2, 3], vec![1.0, 10.0, 100.0, 1.0, 0.0, -1.0]);
    close(
        &run(&g, &[f], &[&[1.0, 1.0], &[2.0, 2.0], &[3.0, 4.0], &[4.0, 8.0]]),
        &[&[1.0, 1.0], &[12.0, 2.0], &[123.0, 3.0], &[234.0, 6.0]],
    );
}

#[test]
fn attention_averages_what_it_sees() {
    let tokens: &[&[f64]] = &[&[2.0], &[4.0], &[6.0], &[8.0]];
    let all = averaging(None, Normaliser::Softmax, true);
    close(&run(&all, &[], tokens), &[&[2.0], &[3.0], &[4.0], &[5.0]]);
    let window = averaging(Some(distance_below(2.0)), Normaliser::Softmax, true);
    close(&run(&window, &[], tokens), &[&[2.0], &[3.0], &[5.0], &[7.0]]);
    let nothing = averaging(Some(distance_below(0.0)), Normaliser::Softmax, true);
    close(&run(&nothing, &[], tokens), &[&[0.0], &[0.0], &[0.0], &[0.0]]);
    let plain = averaging(None, Normaliser::None, true);
    close(&run(&plain, &[], tokens), &[&[2.0], &[6.0], &[12.0], &[20.0]]);
}

#[test]
fn attention_to_the_future_has_no_step_but_a_whole() {
    let g = averaging(None, Normaliser::Softmax, false);
    let mut evaluator = Evaluator::new(&g, &[]).unwrap();
    let token = |x: f64| vec![Tensor::new(&[1, 1], vec![x])];
    assert!(matches!(evaluator.step(&token(1.0)), Err(EvalError::NotCausal { .. })));
    let all = evaluator.run_whole(&[token(1.0), token(2.0), token(6.0)]).unwrap();
    assert_eq!(all.iter().map(|o| o[0].data[0]).collect::<Vec<_>>(), [3.0, 3.0, 3.0]);
}

#[test]
fn softmax_scores_and_groups() {
    // Two query heads share one key head; head 1 sees its scores doubled, and a key stream is added.
    let mut g = Graph::new("scores");
    let x = g.add_input("x", Ty::f32(&[1]));
    let q = g.constant(1.0, Ty::f32(&[2, 1]));
    let k = g.reshape(x, dims(&[1, 1]));
    let s = g.reshape(x, dims(&[]));
    let factor = PairExpr::binary(BinaryOp::Add, PairExpr::Head, PairExpr::Const(1.0));
    let score = PairExpr::binary(BinaryOp::Mul, PairExpr::Score, factor);
    let score = PairExpr::binary(BinaryOp::Add, score, PairExpr::KeyStream(0));
    let spec = AttendSpec {
        scale: 0.5,
        predicate: None,
        score: Some(score),
        normaliser: Normaliser::Softmax,
        key_streams: 1,
        ..AttendSpec::default()
    };
    let y = g.attend(spec, &[q, k, k, s]);
    g.add_output("y", y);
    let weighted = |factor: f64| {
        let (a, b) = ((1.0 * factor).exp(), (2.0 * factor).exp());
        (a + 2.0 * b) / (a + b)
    };
    close(
        &run(&g, &[], &[&[1.0], &[2.0]]),
        &[&[1.0, 1.0], &[weighted(1.5), weighted(2.0)]],
    );
}

#[test]
fn key_streams_may_differ_between_heads() {
    // Weights are what the key brings for each head, values its second entry.
    let mut g = Graph::new("heads");
    let x = g.add_input("x", Ty::f32(&[2]));
    let q = g.constant(0.0, Ty::f32(&[2, 1]));
    let k = g.constant(0.0, Ty::f32(&[1, 1]));
    let v = g.view(x, dims(&[1, 1]), vec![IndexExpr::Const(1)]);
    let spec = AttendSpec {
        scale: 1.0,
        predicate: None,
        score: Some(PairExpr::KeyStream(0)),
        normaliser: Normaliser::Sum,
        key_streams: 1,
        ..AttendSpec::default()
    };
    let y = g.attend(spec, &[q, k, v, x]);
    g.add_output("y", y);
    // Head 0: (3 * 1 + 1 * 5) / 4; head 1: (1 * 1 + 5 * 5) / 6.
    close(
        &run(&g, &[], &[&[3.0, 1.0], &[1.0, 5.0]]),
        &[&[1.0, 1.0], &[2.0, 26.0 / 6.0]],
    );
}

/// Attention of one head of size 1 with query 1 where key and value are `x[0]`, and a tick is where `x[1] > 0`;
/// `tables` are parameters.
fn ticking(spec: AttendSpec, tables: &[&[usize]]) -> Graph {
    let mut g = Graph::new("ticking");
    let x = g.add_input("x", Ty::f32(&[2]));
    let q = g.constant(1.0, Ty::f32(&[1, 1]));
    let k = g.view(x, dims(&[1, 1]), vec![IndexExpr::Const(0)]);
    let mut operands = vec![q, k];
    if spec.has_values() {
        operands.push(k);
    }
    if spec.on().is_some() {
        let mark = g.view(x, Vec::new(), vec![IndexExpr::Const(1)]);
        let zero = g.constant(0.0, Ty::scalar(Elem::F32));
        operands.push(g.binary(BinaryOp::Gt, mark, zero));
    }
    for (n, sizes) in tables.iter().enumerate() {
        operands.push(g.add_param(format!("t{n}"), Ty::f32(sizes)));
    }
    let y = g.attend(spec, &operands);
    let y = g.reshape(y, dims(&[g.ty(y).len()]));
    g.add_output("y", y);
    let text = g.to_string();
    assert_eq!(text.parse::<Graph>().unwrap().to_string(), text);
    g
}

#[test]
fn tables_are_read_at_expressions_rounded_down_and_clamped() {
    // Weights are bias[(i - j) / 2]: distances 0 and 1 read entry 0, all from 4 on the last.
    let distance = PairExpr::binary(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos);
    let half = PairExpr::binary(BinaryOp::Div, distance, PairExpr::Const(2.0));
    let spec = AttendSpec {
        score: Some(PairExpr::Table(0, vec![PairExpr::Const(-3.0), half])),
        normaliser: Normaliser::None,
        tables: 1,
        ..AttendSpec::default()
    };
    let g = ticking(spec, &[&[2, 3]]);
    let table = Tensor::new(&[2, 3], vec![1.0, 10.0, 100.0, 0.0, 0.0, 0.0]);
    let tokens: Vec<[f64; 2]> = (1..=7).map(|x| [f64::from(x), 0.0]).collect();
    let tokens: Vec<&[f64]> = tokens.iter().map(|x| &x[..]).collect();
    close(
        &run(&g, &[table], &tokens),
        &[&[1.0], &[3.0], &[15.0], &[37.0], &[159.0], &[381.0], &[703.0]],
    );
}

#[test]
fn attentions_merge_by_the_logarithms_of_their_sums() {
    let seen = |predicate| {
        let spec = AttendSpec {
            predicate: Some(predicate),
            log_sum: true,
            ..AttendSpec::default()
        };
        let tokens: &[&[f64]] = &[&[0.5, 0.0], &[-1.0, 0.0], &[2.0, 0.0], &[0.25, 0.0]];
        run(&ticking(spec, &[]), &[], tokens)
    };
    let near = || distance_below(2.0);
    let far = near().negated();
    let all = seen(PairExpr::binary(BinaryOp::Or, near(), far.clone()));
    let (near, far) = (seen(near()), seen(far));
    assert_eq!(far[0], [0.0, -1e30]);
    let merged: Vec<Vec<f64>> = near
        .iter()
        .zip(&far)
        .map(|(a, b)| {
            let (wa, wb) = (a[1].exp(), b[1].exp());
            vec![(wa * a[0] + wb * b[0]) / (wa + wb), (wa + wb).ln()]
        })
        .collect();
    let all: Vec<&[f64]> = all.iter().map(|x| &x[..]).collect();
    close(&merged, &all);
}

#[test]
fn a_clock_counts_ticks() {
    let tokens: &[&[f64]] = &[&[1.0, 0.0], &[2.0, 1.0], &[4.0, 0.0], &[8.0, 1.0], &[16.0, 1.0]];
    let spec = |clock| AttendSpec {
        // The last two ticks, weighted by the query's number.
        predicate: Some(distance_below(2.0)),
        score: Some(PairExpr::QueryPos),
        normaliser: Normaliser::None,
        clock,
        ..AttendSpec::default()
    };
    let keys = ticking(spec(Clock::Keys), &[]);
    close(&run(&keys, &[], tokens), &[&[0.0], &[0.0], &[0.0], &[10.0], &[48.0]]);
    let both = ticking(spec(Clock::Both), &[]);
    close(&run(&both, &[], tokens), &[&[0.0], &[0.0], &[0.0], &[10.0], &[48.0]]);
    let position = |clock| AttendSpec {
        score: Some(PairExpr::binary(
            BinaryOp::Add,
            PairExpr::QueryPos,
            PairExpr::Const(1.0),
        )),
        ..spec(clock)
    };
    let keys = ticking(position(Clock::Keys), &[]);
    close(&run(&keys, &[], tokens), &[&[0.0], &[2.0], &[2.0], &[20.0], &[72.0]]);
    let both = ticking(position(Clock::Both), &[]);
    close(&run(&both, &[], tokens), &[&[0.0], &[2.0], &[0.0], &[20.0], &[72.0]]);
    let logs = AttendSpec {
        log_sum: true,
        clock: Clock::Both,
        ..AttendSpec::default()
    };
    let both = run(&ticking(logs, &[]), &[], &tokens[..2]);
    close(&both, &[&[0.0, -1e30], &[2.0, 2.0]]);
}

#[test]
fn the_best_keys_come_with_their_scores() {
    let spec = |clock| AttendSpec {
        normaliser: Normaliser::Top(3),
        predicate: Some(distance_below(4.0)),
        clock,
        ..AttendSpec::default()
    };
    let tokens: &[&[f64]] = &[&[5.0, 1.0], &[2.0, 1.0], &[5.0, 0.0], &[7.0, 1.0], &[1.0, 1.0]];
    let unseen = -1e30;
    close(
        &run(&ticking(spec(Clock::Every), &[]), &[], tokens),
        &[
            &[5.0, unseen, unseen, 0.0, -1.0, -1.0],
            &[5.0, 2.0, unseen, 0.0, 1.0, -1.0],
            &[5.0, 5.0, 2.0, 0.0, 2.0, 1.0],
            &[7.0, 5.0, 5.0, 3.0, 0.0, 2.0],
            &[7.0, 5.0, 2.0, 3.0, 2.0, 1.0],
        ],
    );
    close(
        &run(&ticking(spec(Clock::Both), &[]), &[], tokens),
        &[
            &[5.0, unseen, unseen, 0.0, -1.0, -1.0],
            &[5.0, 2.0, unseen, 0.0, 1.0, -1.0],
            &[unseen, unseen, unseen, -1.0, -1.0, -1.0],
            &[7.0, 5.0, 2.0, 2.0, 0.0, 1.0],
            &[7.0, 5.0, 2.0, 2.0, 0.0, 1.0],
        ],
    );
}

#[test]
fn sums_of_products_agree_with_the_plain_way() {
    // y[i] = sum(j, k: a[j, i] * b[(i * 2 + k) / 3] * c[k]), contracted, and through a Max-free detour.
    let mut g = Graph::new("contract");
    let a = g.add_input("a", Ty::f32(&[3, 2]));
    let b = g.add_param("b", Ty::f32(&[2]));
    let c = g.add_param("c", Ty::f32(&[4]));
    let shape = dims(&[2, 3, 4]);
    let mixed = IndexExpr::Div(
        Box::new(IndexExpr::Add(
            Box::new(IndexExpr::Mul(Box::new(axis(0)), 2)),
            Box::new(axis(2)),
        )),
        3,
    );
    let a = g.view(a, shape.clone(), vec![axis(1), axis(0)]);
    let b = g.view(b, shape.clone(), vec![mixed]);
    let c = g.broadcast(c, shape, &[2]);
    let ab = g.product_of(a, b);
    let abc = g.product_of(ab, c);
    let y = g.reduce(ReduceOp::Sum, abc, 2);
    let negated = g.unary(UnaryOp::Neg, abc);
    let z = g.reduce(ReduceOp::Sum, negated, 2);
    g.add_output("y", y);
    g.add_output("z", z);
    let mut evaluator = Evaluator::new(
        &g,
        &[Tensor::new(&[2], vec![1.0, 10.0]), Tensor::fill(&[4], |n| n as f64)],
    )
    .unwrap();
    let out = evaluator.step(&[Tensor::fill(&[3, 2], |n| n as f64)]).unwrap();
    // i = 0: sum_j a = 0 + 2 + 4, b by k: 1 1 1 10 -> 0 + 1 + 2 + 30. i = 1: 1 + 3 + 5, b: 1 10 10 10 -> 60.
    assert_eq!(out[0].data, [6.0 * 33.0, 9.0 * 60.0]);
    assert_eq!(out[1].data, [-6.0 * 33.0, -9.0 * 60.0]);
}

#[test]
fn integers_round_down_and_rows_clamp() {
    let mut g = Graph::new("rows");
    let t = g.add_input("t", Ty::scalar(Elem::I64));
    let table = g.add_param("table", Ty::f32(&[3, 2]));
    let two = g.constant(2.0, Ty::scalar(Elem::I64));
    let half = g.binary(BinaryOp::Div, t, two);
    let odd = g.binary(BinaryOp::Mod, t, two);
    let row = g.gather(table, half);
    let odd = g.cast(Elem::F32, odd);
    let odd = g.broadcast(odd, dims(&[2]), &[]);
    let y = g.sum_of(row, odd);
    g.add_output("y", y);
    let table = Tensor::fill(&[3, 2], |n| 10.0 * n as f64);
    close(
        &run(&g, &[table], &[&[-1.0], &[3.0], &[9.0]]),
        &[&[1.0, 11.0], &[21.0, 31.0], &[41.0, 51.0]],
    );
}

#[test]
fn views_slice_reverse_and_repeat() {
    let mut g = Graph::new("views");
    let x = g.add_input("x", Ty::f32(&[4]));
    let tail = g.slice(x, 0, 2, 2);
    let backwards = g.view(x, dims(&[4]), vec![plus(IndexExpr::Mul(Box::new(axis(0)), -1), 3)]);
    let twice = g.view(tail, dims(&[4]), vec![IndexExpr::Div(Box::new(axis(0)), 2)]);
    let around = g.view(tail, dims(&[4]), vec![IndexExpr::Mod(Box::new(axis(0)), 2)]);
    let y = g.concat(0, &[tail, backwards, twice, around]);
    g.add_output("y", y);
    let expected = [3., 4., 4., 3., 2., 1., 3., 3., 4., 4., 3., 4., 3., 4.];
    close(&run(&g, &[], &[&[1.0, 2.0, 3.0, 4.0]]), &[&expected]);
}

#[test]
fn wrong_tensors_are_refused() {
    let g = averaging(None, Normaliser::Softmax, true);
    assert!(matches!(
        Evaluator::new(&g, &[Tensor::scalar(1.0)]),
        Err(EvalError::Count { .. })
    ));
    let mut evaluator = Evaluator::new(&g, &[]).unwrap();
    assert!(matches!(
        evaluator.step(&[Tensor::scalar(1.0)]),
        Err(EvalError::Shape { .. })
    ));
}

/// What a query does not see does not matter, whatever it is; what it sees does.
#[test]
fn what_is_not_seen_may_be_no_number() {
    let tokens: [&[f64]; 6] = [&[1.0], &[f64::NAN], &[3.0], &[f64::INFINITY], &[5.0], &[7.0]];
    for normaliser in [Normaliser::Softmax, Normaliser::Sum] {
        let graph = averaging(Some(distance_below(2.0)), normaliser, true);
        let found = run_any(&graph, &tokens);
        assert!(found[0] == 1.0 && found[5] == 6.0, "{found:?}");
        assert!(found[1].is_nan() && found[2].is_nan(), "{found:?}");
        assert!(found[3..5].iter().all(|x| *x == f64::INFINITY), "{found:?}");
    }
    // A score of minus infinity is a key that is not seen.
    let mut graph = averaging(None, Normaliser::Softmax, true);
    for v in graph.order() {
        if let Op::Attend(spec) = graph.op(v).clone() {
            let near = Box::new(distance_below(2.0));
            let [open, none] = [0.0, f64::NEG_INFINITY].map(|c| Box::new(PairExpr::Const(c)));
            let spec = AttendSpec {
                score: Some(PairExpr::Select(near, open, none)),
                ..*spec
            };
            let new = graph.attend(spec, &graph.operands(v));
            graph.replace(v, new);
        }
    }
    assert_eq!(run_any(&graph, &tokens)[5], 6.0);
}

/// The one result of each token.
fn run_any(graph: &Graph, tokens: &[&[f64]]) -> Vec<f64> {
    let mut evaluator = Evaluator::new(graph, &[]).unwrap();
    let step = |token: &&[f64]| evaluator.step(&[Tensor::new(&[1, 1], token.to_vec())]).unwrap();
    tokens.iter().map(step).map(|out| out[0].data[0]).collect()
}

#[test]
fn what_is_no_number_is_no_candidate() {
    let mut g = Graph::new("best");
    let x = g.add_input("x", Ty::f32(&[1, 1]));
    let one = g.constant(1.0, Ty::f32(&[1, 1]));
    let spec = AttendSpec {
        normaliser: Normaliser::Top(2),
        ..AttendSpec::default()
    };
    let best = g.attend(spec, &[one, x]);
    g.add_output("y", best);
    let mut evaluator = Evaluator::new(&g, &[]).unwrap();
    let values = [f64::NAN, 2.0, f64::NAN, 3.0];
    let step = |v: &f64| evaluator.step(&[Tensor::new(&[1, 1], vec![*v])]).unwrap();
    let last = values.iter().map(step).last().unwrap();
    assert_eq!(last[0].data, [3.0, 2.0, 3.0, 1.0]);
}
