//! Random models of which parts run at some tokens only: generated code computes what the evaluator says, however a sequence is cut.

use crate::{
    generated::{MAX_CHUNK, Machine, TOLERANCE, cases, distance, either_form, reference, widest},
    sequences::{Segment, TOKENS},
    support,
};
use seqc_backends::mlir::Target;
use seqc_ir::random::random_model_clocked;

fn check(seed: u64, target: &Target) {
    let random = random_model_clocked(seed, 2 + seed as usize % 4);
    let inputs = random.input_values(seed + 1, TOKENS);
    let expected = reference(&random, seed, &inputs);
    let machine = Machine::new(&random, target, seed, MAX_CHUNK, either_form(seed * 8));
    let cuts: [(&[usize], usize); 4] = [(&[MAX_CHUNK], 1), (&[1], 1), (&[MAX_CHUNK], 3), (&[7, 1, 16, 2], 2)];
    for (cut, threads) in cuts {
        let found = machine.run(&inputs, cut, threads);
        let off = distance(&found, &expected, 0);
        assert!(
            off <= TOLERANCE,
            "seed {seed}, chunks {cut:?}, {threads} threads: off by {off:e}"
        );
    }
}

#[test]
fn random_models_run_at_ticks_as_the_evaluator_says() {
    for (seed, target) in (0..cases(12)).zip(support::targets().iter().cycle()) {
        check(seed, target);
    }
}

#[test]
fn random_models_run_at_ticks_on_threads_of_a_gpu() {
    for seed in 100..100 + cases(12) / 8 {
        check(seed, &support::fibers());
    }
}

/// Each of three sequences has ticks of its own, and one of them none in most steps.
#[test]
fn sequences_of_a_batch_have_ticks_of_their_own() {
    for seed in 0..cases(8) {
        let random = random_model_clocked(seed, 3);
        let machine = Machine::new(&random, &widest(), seed, 3 * MAX_CHUNK, either_form(0));
        let inputs = [1, 2, 3].map(|n| random.input_values(seed + n, 12));
        let expected = inputs.each_ref().map(|inputs| reference(&random, seed, inputs));
        let mut sequences = [(); 3].map(|()| machine.begin());
        let mut found = [(); 3].map(|()| Vec::new());
        for step in [0..1, 1..4, 4..5, 5..12] {
            let mut segments = Vec::new();
            for (sequence, inputs) in sequences.iter_mut().zip(&inputs) {
                segments.push(Segment {
                    sequence,
                    inputs: &inputs[step.clone()],
                    wanted_from: 0,
                });
            }
            let rows = machine.step(&mut segments, 2);
            for (found, rows) in found.iter_mut().zip(rows.chunks(step.len())) {
                found.extend(rows.to_vec());
            }
        }
        for (found, expected) in found.iter().zip(&expected) {
            let off = distance(found, expected, 0);
            assert!(off <= TOLERANCE, "seed {seed}: off by {off:e}");
        }
    }
}
