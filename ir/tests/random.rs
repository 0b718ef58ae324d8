//! Properties of random graphs: they are well formed, stay small, print and parse, and step like a whole.

use seqc_ir::{
    Graph, Model, Op, Port, ReduceOp, Rounding, UnaryOp,
    eval::{EvalError, Evaluator, ModelEvaluator, Tensor},
    random::{
        RandomModel, Rng, random_graph, random_graph_whole, random_model, random_model_clocked,
        random_model_with_memory,
    },
    verify::{verify, verify_model},
};
use std::collections::BTreeSet;

const SEEDS: u64 = 300;

#[test]
fn random_graphs_are_well_formed_and_print_what_they_parse() {
    for seed in 0..SEEDS {
        let graph = random_graph(seed, 1 + seed as usize % 12).graph;
        let violations: Vec<_> = verify(&graph).iter().map(ToString::to_string).collect();
        assert!(violations.is_empty(), "seed {seed}: {}\n{graph}", violations.join("\n"));
        let text = graph.to_string();
        let parsed: Graph = text.parse().unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert_eq!(parsed.to_string(), text, "seed {seed}");
    }
}

#[test]
fn random_values_stay_small() {
    for seed in 0..SEEDS {
        let random = random_graph(seed, 1 + seed as usize % 12);
        let mut evaluator = Evaluator::new(&random.graph, &random.param_values(seed)).unwrap();
        for (t, inputs) in random.input_values(seed, 40).iter().enumerate() {
            for (n, out) in evaluator.step(inputs).unwrap().iter().enumerate() {
                let worst = out
                    .data
                    .iter()
                    .fold(0.0, |a: f64, x| if x.is_nan() { f64::NAN } else { a.max(x.abs()) });
                assert!(
                    worst < 5.0,
                    "seed {seed}, token {t}, result {n}: {worst}\n{}",
                    random.graph
                );
            }
        }
    }
}

#[test]
fn steps_and_whole_agree() {
    for seed in 0..100 {
        let random = random_graph(seed, 8);
        let mut evaluator = Evaluator::new(&random.graph, &random.param_values(seed)).unwrap();
        let inputs = random.input_values(seed, 20);
        let steps: Vec<_> = inputs.iter().map(|i| evaluator.step(i).unwrap()).collect();
        assert_eq!(steps, evaluator.run_whole(&inputs).unwrap(), "seed {seed}");
        evaluator.reset();
        assert_eq!(evaluator.step(&inputs[0]).unwrap(), steps[0], "seed {seed}");
    }
}

#[test]
fn graphs_that_look_ahead_have_a_whole() {
    for seed in 0..60 {
        let random = random_graph_whole(seed, 6);
        assert_eq!(verify(&random.graph), [], "seed {seed}");
        let evaluator = Evaluator::new(&random.graph, &random.param_values(seed)).unwrap();
        let whole = evaluator.run_whole(&random.input_values(seed, 12)).unwrap();
        assert!(
            whole.iter().flatten().all(|t| t.data.iter().all(|x| x.abs() < 5.0)),
            "seed {seed}"
        );
    }
}

#[test]
fn random_models_run() {
    for seed in 0..30 {
        let random = random_model(seed, 4, 4);
        let mut evaluator = sound(&random, seed);
        let inputs = random.input_values(seed, 9);
        let steps: Vec<_> = inputs.iter().map(|i| evaluator.step(i).unwrap()).collect();
        assert_eq!(steps, evaluator.run_whole(&inputs).unwrap(), "seed {seed}");
    }
}

/// The evaluator of a model that obeys the laws and is what its text says.
fn sound(random: &RandomModel, seed: u64) -> ModelEvaluator {
    assert_eq!(verify_model(&random.model), [], "seed {seed}");
    let text = random.model.to_string();
    assert_eq!(text.parse::<Model>().unwrap().to_string(), text);
    let params = random.param_values(seed);
    let of = |call: usize, param: usize| Ok::<_, EvalError>(params[call][param].clone());
    ModelEvaluator::new(&random.model, of).unwrap()
}

/// A memory is the same for all tokens, whether they come one by one or at once.
#[test]
fn random_models_with_memories_run() {
    for seed in 0..20 {
        let random = random_model_with_memory(seed, 4);
        let mut evaluator = sound(&random, seed);
        let inputs = random.input_values(seed, 9);
        let mut with = |rows: usize| {
            evaluator.reset();
            evaluator.remember(&random.memory_values(seed, rows)).unwrap();
            let steps: Vec<_> = inputs.iter().map(|i| evaluator.step(i).unwrap()).collect();
            assert_eq!(steps, evaluator.run_whole(&inputs).unwrap(), "seed {seed}");
            steps
        };
        let some = with(7);
        assert_ne!(some, with(3), "seed {seed}: the memory matters");
        assert_eq!(some, with(7), "seed {seed}: an earlier one does not");
    }
}

/// Parts of a model run at some tokens only, whether these come one by one or at once.
#[test]
fn random_models_with_clocked_parts_run() {
    let mut ticked = 0;
    for seed in 0..40 {
        let random = random_model_clocked(seed, 4);
        let mut evaluator = sound(&random, seed);
        let inputs = random.input_values(seed, 19);
        let steps: Vec<_> = inputs.iter().map(|i| evaluator.step(i).unwrap()).collect();
        assert_eq!(steps, evaluator.run_whole(&inputs).unwrap(), "seed {seed}");
        let inside = random.model.clocked[0].calls.start;
        ticked += evaluator.call(inside).unwrap().position();
        evaluator.reset();
        let parts: Vec<_> = inputs
            .chunks(5)
            .flat_map(|part| evaluator.steps(part).unwrap())
            .collect();
        assert_eq!(steps, parts, "seed {seed}");
    }
    assert!((40..40 * 18).contains(&ticked), "{ticked} ticks");
}

#[test]
fn every_operation_occurs() {
    let (mut names, mut words) = (BTreeSet::new(), BTreeSet::new());
    let of_steps = (0..SEEDS).map(|seed| random_graph(seed, 12).graph);
    let whole = (0..SEEDS / 10).map(|seed| random_graph_whole(seed, 4).graph);
    for graph in of_steps.chain(whole) {
        for value in graph.values() {
            let op = graph.op(value);
            names.insert(op.row().name);
            words.insert(match op {
                Op::Reduce { op, .. } => format!("reduce {}", op.name()),
                Op::Attend(spec) => format!("attend {}", spec.normaliser.name()),
                op => op.word().to_owned(),
            });
        }
    }
    // Rounding jumps, so that results of random models would not be comparable.
    let rounding = Op::RoundRow(Rounding::Int8).row().name;
    let all: BTreeSet<&str> = Op::NAMES.iter().copied().filter(|name| *name != rounding).collect();
    assert_eq!(names, all, "random graphs lack an operation");
    insta::assert_snapshot!(words.into_iter().collect::<Vec<_>>().join(" "));
}

#[test]
fn small_errors_stay_small() {
    // What single precision does to parameters and inputs must not change results much: else comparing with
    // generated code would mean nothing.
    let nudge = |tensors: &mut Vec<Tensor>, rng: &mut Rng, integers: bool| {
        for x in tensors
            .iter_mut()
            .filter(|t| !(integers && t.shape.is_empty()))
            .flat_map(|t| &mut t.data)
        {
            *x *= 1.0 + 1e-7 * (rng.unit() - 0.5);
        }
    };
    for seed in 0..SEEDS {
        let random = random_graph(seed, 1 + seed as usize % 12);
        let mut rng = Rng::new(seed);
        let mut params = random.param_values(seed);
        let mut exact = Evaluator::new(&random.graph, &params).unwrap();
        nudge(&mut params, &mut rng, false);
        let mut nudged = Evaluator::new(&random.graph, &params).unwrap();
        for mut inputs in random.input_values(seed, 40) {
            let expected = exact.step(&inputs).unwrap();
            nudge(&mut inputs, &mut rng, true);
            for (n, (a, b)) in nudged.step(&inputs).unwrap().iter().zip(&expected).enumerate() {
                let worst = a
                    .data
                    .iter()
                    .zip(&b.data)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f64::max);
                assert!(worst < 5e-6, "seed {seed}, result {n}: {worst}\n{}", random.graph);
            }
        }
    }
}

#[test]
fn contractions_agree_with_products_that_are_built() {
    for seed in 0..100 {
        let random = random_graph(seed, 10);
        let mut plain = random.graph.clone();
        // A sum over anything but a product of views is computed from the built operand.
        for value in plain.values() {
            if matches!(plain.op(value), Op::Reduce { op: ReduceOp::Sum, .. }) {
                let operand = plain.operands(value)[0];
                let twice = plain.unary(UnaryOp::Neg, operand);
                let twice = plain.unary(UnaryOp::Neg, twice);
                plain.set_operand(value, 0, twice);
            }
        }
        let params = random.param_values(seed);
        let mut a = Evaluator::new(&random.graph, &params).unwrap();
        let mut b = Evaluator::new(&plain, &params).unwrap();
        for inputs in random.input_values(seed, 10) {
            let pairs = a.step(&inputs).unwrap().into_iter().zip(b.step(&inputs).unwrap());
            for (x, y) in pairs.flat_map(|(x, y)| x.data.into_iter().zip(y.data)) {
                assert!((x - y).abs() < 1e-10, "seed {seed}: {x} and {y}\n{}", random.graph);
            }
        }
    }
}

#[test]
fn what_the_verifier_accepts_can_be_evaluated() {
    let mut accepted = 0;
    for seed in 0..3000 {
        let mut rng = Rng::new(seed);
        let text = random_graph(seed, 1 + seed as usize % 4).graph.to_string();
        // One number of the text is replaced by another.
        let digits: Vec<_> = text
            .char_indices()
            .filter(|(_, c)| c.is_ascii_digit())
            .map(|(n, _)| n)
            .collect();
        let at = *rng.choose(&digits);
        let text = format!("{}{}{}", &text[..at], rng.below(10), &text[at + 1..]);
        let Ok(graph) = text.parse::<Graph>() else { continue };
        if !verify(&graph).is_empty() {
            continue;
        }
        accepted += 1;
        let fill = |p: &Port| Tensor::fill(&p.ty.sizes(), |n| n as f64 - 3.0);
        let params: Vec<_> = graph.params.iter().map(fill).collect();
        let inputs: Vec<_> = graph.inputs.iter().map(fill).collect();
        let mut evaluator = Evaluator::new(&graph, &params).unwrap();
        for _ in 0..3 {
            evaluator.step(&inputs).unwrap();
        }
        evaluator.run_whole(&[inputs.clone(), inputs]).unwrap();
    }
    assert!(accepted > 100, "{accepted}");
}
