//! The batch law: sequences that are read together get what each gets alone, however the steps mix them.

use crate::{
    generated::{Machine, TOLERANCE, cases, distance, reference, together, widest},
    sequences::{Segment, Sequence, TOKENS},
};
use seqc_backends::mlir::Target;
use seqc_ir::{
    eval::Tensor,
    random::{RandomModel, Rng},
};
use seqc_passes::plan::Chunks;

const MAX_CHUNK: usize = 40;
const MODELS: u64 = 8;

/// A sequence, and what it gave so far.
#[derive(Clone)]
struct Reader {
    sequence: Sequence,
    /// Which of the inputs it reads.
    inputs: usize,
    /// Results by token and output; `None` where they were not asked for.
    results: Vec<Option<Vec<Vec<f64>>>>,
}

impl Reader {
    fn new(machine: &Machine, inputs: usize) -> Reader {
        Reader {
            sequence: machine.begin(),
            inputs,
            results: Vec::new(),
        }
    }

    fn left(&self) -> usize {
        TOKENS - self.results.len()
    }
}

/// What one reader does in a step.
struct Turn {
    tokens: usize,
    wanted_from: usize,
}

/// As many tokens as fit for some of the readers: single ones, or several.
fn turns(rng: &mut Rng, machine: &Machine, readers: &[Reader]) -> Vec<Option<Turn>> {
    let mut room = machine.room();
    let turn = |reader: &Reader| {
        let tokens = match rng.below(3) {
            0 => 1 + rng.below(12),
            _ => 1,
        };
        let tokens = tokens.min(reader.left());
        if tokens == 0 || rng.below(5) == 0 {
            return None;
        }
        room = room.take(tokens)?;
        let wanted_from = match rng.below(3) {
            0 => 0,
            1 => tokens - 1,
            _ => rng.below(tokens + 1),
        };
        Some(Turn { tokens, wanted_from })
    };
    readers.iter().map(turn).collect()
}

/// One step of all readers that have a turn.
fn step(
    machine: &Machine,
    inputs: &[Vec<Vec<Tensor>>],
    readers: &mut [Reader],
    turns: &[Option<Turn>],
    threads: usize,
) {
    let mut segments = Vec::new();
    for (reader, turn) in readers.iter_mut().zip(turns) {
        let Some(Turn { tokens, wanted_from }) = turn else {
            continue;
        };
        let at = reader.results.len();
        segments.push(Segment {
            sequence: &mut reader.sequence,
            inputs: &inputs[reader.inputs][at..at + tokens],
            wanted_from: *wanted_from,
        });
    }
    if segments.is_empty() {
        return;
    }
    let mut rows = machine.step(&mut segments, threads).into_iter();
    for (reader, turn) in readers.iter_mut().zip(turns) {
        let Some(Turn { tokens, wanted_from }) = turn else {
            continue;
        };
        let results = (0..*tokens).map(|t| if t < *wanted_from { None } else { rows.next() });
        reader.results.extend(results);
    }
}

fn check(seed: u64, target: &Target) -> Option<String> {
    let random: RandomModel = together(seed..seed + MODELS);
    let mut rng = Rng::new(seed);
    let inputs: Vec<Vec<Vec<Tensor>>> = (0..3).map(|n| random.input_values(seed + 1 + n, TOKENS)).collect();
    let expected: Vec<Vec<Vec<Vec<f64>>>> = inputs.iter().map(|i| reference(&random, seed, i)).collect();
    let chunks = if (seed / MODELS).is_multiple_of(2) {
        Chunks::Products
    } else {
        Chunks::Tokens
    };
    let machine = Machine::new(&random, target, seed, MAX_CHUNK, chunks);
    let mut readers: Vec<Reader> = (0..3).map(|n| Reader::new(&machine, n)).collect();
    while readers.iter().any(|reader| reader.left() > 0) {
        let turns = turns(&mut rng, &machine, &readers);
        step(&machine, &inputs, &mut readers, &turns, 1 + rng.below(2));
        // Forks go on from where another sequence is, new ones begin.
        if readers.len() < 8 && rng.below(4) == 0 {
            let fork = readers[rng.below(readers.len())].clone();
            readers.push(fork);
        }
        if readers.len() < 8 && rng.below(8) == 0 {
            readers.push(Reader::new(&machine, rng.below(3)));
        }
    }
    let outputs = expected[0][0].len();
    let mut wrong = Vec::new();
    for (n, reader) in readers.iter().enumerate() {
        let asked = |rows: &[Vec<Vec<f64>>]| -> Vec<Vec<Vec<f64>>> {
            let rows = rows.iter().zip(&reader.results);
            rows.filter(|(_, found)| found.is_some())
                .map(|(row, _)| row.clone())
                .collect()
        };
        let (found, expected): (Vec<_>, _) = (
            reader.results.iter().flatten().cloned().collect(),
            asked(&expected[reader.inputs]),
        );
        wrong.extend((0..outputs).filter_map(|output| {
            let off = distance(&found, &expected, output);
            let seed = seed + output as u64;
            (off > TOLERANCE).then(|| format!("seed {seed}, sequence {n}: off by {off:e}"))
        }));
    }
    (!wrong.is_empty()).then(|| wrong.join("\n"))
}

fn check_seeds(seeds: std::ops::Range<u64>, target: &Target) {
    let wrong: Vec<String> = seeds
        .step_by(MODELS as usize)
        .filter_map(|seed| check(seed, target))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_batch_gives_each_sequence_what_it_gets_alone() {
    check_seeds(40_000..40_000 + cases(40), &widest());
}

#[test]
fn a_batch_gives_each_sequence_the_same_with_narrow_vectors() {
    check_seeds(50_000..50_000 + cases(40) / 2, &crate::support::targets()[0]);
}
