//! Random cache policies: generated code keeps and sees what the evaluator says, however the sequence is cut.

use crate::{
    generated::{Machine, TOLERANCE, cases, distance, widest},
    sequences::ROOM,
};
use seqc_backends::mlir::Target;
use seqc_ir::{
    eval::{ModelEvaluator, Tensor},
    random::{RandomModel, Rng, random_policy},
};
use seqc_passes::plan::Chunks;

const TOKENS: usize = ROOM - 42;
const MAX_CHUNK: usize = 40;

fn reference(random: &RandomModel, seed: u64, inputs: &[Vec<Tensor>], prompt: Option<usize>) -> Vec<Vec<Vec<f64>>> {
    let params = random.param_values(seed);
    let mut evaluator = ModelEvaluator::new(&random.model, |call, p| {
        Ok::<_, seqc_ir::eval::EvalError>(params[call][p].clone())
    })
    .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    evaluator.set_prompt(prompt);
    let tokens = evaluator.steps(inputs).unwrap_or_else(|error| panic!("{error}"));
    let data = |token: Vec<Tensor>| token.into_iter().map(|t| t.data).collect();
    tokens.into_iter().map(data).collect()
}

/// Inputs that differ by what rounding makes of them.
fn nearby(inputs: &[Vec<Tensor>], seed: u64) -> Vec<Vec<Tensor>> {
    let mut rng = Rng::new(seed);
    let mut out = inputs.to_vec();
    for x in out.iter_mut().flatten().flat_map(|t| &mut t.data) {
        *x *= 1.0 + 4e-6 * (rng.below(2001) as f64 / 1000.0 - 1.0);
    }
    out
}

/// Compares one policy; `None` where a decision hangs on rounding, else the message of a difference.
fn check(seed: u64, target: &Target) -> Option<Result<(), String>> {
    let random = random_policy(seed);
    let inputs = random.input_values(seed + 1, TOKENS);
    let mut rng = Rng::new(seed + 2);
    let prompt = (!rng.once_in(4)).then(|| 1 + rng.below(TOKENS - 20));
    let expected = reference(&random, seed, &inputs, prompt);
    for other in 0..2 {
        let near = reference(&random, seed, &nearby(&inputs, other), prompt);
        if distance(&near, &expected, 0) > 1e-4 {
            return None;
        }
    }
    let machine = Machine::new(&random, target, seed, MAX_CHUNK, Chunks::Products);
    let cuts: [(&[usize], usize); 4] = [(&[MAX_CHUNK], 1), (&[1], 1), (&[MAX_CHUNK], 2), (&[7, 1, 16, 2], 2)];
    let together = random.model.together();
    for (cut, threads) in cuts {
        // Tokens that choose together are read together.
        let cut: Vec<usize> = cut.iter().map(|n| n.next_multiple_of(together)).collect();
        let found = machine.run_prompt(&inputs, &cut, threads, prompt);
        let off = distance(&found, &expected, 0);
        if off > TOLERANCE {
            let first = (0..TOKENS).find(|t| distance(&found[*t..=*t], &expected[*t..=*t], 0) > TOLERANCE);
            return Some(Err(format!(
                "seed {seed}, chunks {cut:?}, {threads} threads, prompt {prompt:?}: off by {off:e}, first at {first:?}\n{:?}",
                random.model.kinds[0].graph.to_string()
            )));
        }
    }
    Some(Ok(()))
}

#[test]
fn random_policies_keep_what_the_evaluator_says() {
    let (mut checked, mut wrong) = (0, Vec::new());
    let count = cases(40);
    for target in [crate::support::targets()[0].clone(), widest()] {
        for seed in 0..count {
            match check(seed, &target) {
                None => {}
                Some(Ok(())) => checked += 1,
                Some(Err(message)) => wrong.push(message),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} policies differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(checked > count, "most decisions hang on rounding: {checked}");
}
