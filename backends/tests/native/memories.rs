//! Random models of two sequences: what tokens compute is what the evaluator says of a memory of any length, however they are cut.

use crate::{
    generated::{MAX_CHUNK, Machine, TOLERANCE, cases, distance, either_form, widest},
    sequences::{Given, Segment, Sequence, TOKENS},
    support,
};
use seqc_abi::batch::{Batch, OPEN_PROMPT, Part};
use seqc_backends::mlir::Target;
use seqc_ir::{
    eval::{EvalError, ModelEvaluator, Tensor},
    random::{RandomModel, random_model_with_memory},
};

impl Machine {
    /// A sequence of no tokens whose memory are these rows.
    pub(crate) fn remember(&self, rows: &[Vec<Tensor>], threads: usize) -> Sequence {
        let (d, mut sequence) = (&self.program.descriptor, self.begin());
        let (states, _pages) = sequence.table(d);
        let batch = Batch::new(&[Part {
            count: rows.len(),
            position: 0,
            wanted_from: rows.len(),
            states: states.as_ptr() as u64,
            prompt: OPEN_PROMPT,
        }]);
        let given = Given::of_memory(d, rows);
        let memory = d.memory.as_ref().map_or(0, |memory| memory.calls);
        self.enter(&batch, [&given, &given], [0, d.calls.len() - memory], threads);
        sequence
    }
}

/// What the evaluator says of the tokens behind a memory.
fn reference(random: &RandomModel, seed: u64, rows: &[Vec<Tensor>], inputs: &[Vec<Tensor>]) -> Vec<Vec<Vec<f64>>> {
    let params = random.param_values(seed);
    let of = |call: usize, p: usize| Ok::<_, EvalError>(params[call][p].clone());
    let mut evaluator = ModelEvaluator::new(&random.model, of).unwrap_or_else(|error| panic!("{error}"));
    evaluator.remember(rows).unwrap_or_else(|error| panic!("{error}"));
    let steps = evaluator.steps(inputs).unwrap_or_else(|error| panic!("{error}"));
    let data = |token: Vec<Tensor>| token.into_iter().map(|t| t.data).collect();
    steps.into_iter().map(data).collect()
}

fn check(seed: u64, target: &Target) {
    let random = random_model_with_memory(seed, 2 + seed as usize % 5);
    let machine = Machine::new(&random, target, seed, MAX_CHUNK, either_form(seed * 8));
    for (rows, threads) in [(1, 1), (MAX_CHUNK, 1), (17, 2), (MAX_CHUNK, 3)] {
        let memory = random.memory_values(seed + 2, rows);
        let inputs = random.input_values(seed + 1, TOKENS);
        let expected = reference(&random, seed, &memory, &inputs);
        let sequence = machine.remember(&memory, threads);
        for cut in [&[MAX_CHUNK][..], &[1], &[7, 1, 16, 2]] {
            let found = machine.run_from(sequence.clone(), &inputs, cut, threads);
            let off = distance(&found, &expected, 0);
            assert!(
                off <= TOLERANCE,
                "seed {seed}, {rows} rows, chunks {cut:?}, {threads} threads: off by {off:e}"
            );
        }
    }
}

#[test]
fn random_models_attend_to_memories_as_the_evaluator_says() {
    for (seed, target) in (0..cases(12)).zip(support::targets().iter().cycle()) {
        check(seed, target);
    }
}

#[test]
fn random_models_attend_to_memories_on_threads_of_a_gpu() {
    for seed in 100..100 + cases(24) / 8 {
        check(seed, &support::fibers());
    }
}

/// Of two sequences that read in one step each attends to its own memory.
#[test]
fn sequences_of_a_batch_have_memories_of_their_own() {
    let (seed, target) = (7, widest());
    let random = random_model_with_memory(seed, 4);
    let machine = Machine::new(&random, &target, seed, MAX_CHUNK, either_form(0));
    let inputs = random.input_values(seed, 6);
    let memories = [5, 23].map(|rows| random.memory_values(rows as u64, rows));
    let expected = memories.each_ref().map(|rows| reference(&random, seed, rows, &inputs));
    let mut sequences = memories.each_ref().map(|rows| machine.remember(rows, 2));
    let segment = |sequence| Segment {
        sequence,
        inputs: &inputs,
        wanted_from: 0,
    };
    let found = machine.step(&mut sequences.each_mut().map(segment), 2);
    let off = distance(&found, &expected.concat(), 0);
    assert!(off <= TOLERANCE, "off by {off:e}");
}
