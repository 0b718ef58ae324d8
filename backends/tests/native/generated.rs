//! Random models: what the generated code computes is what the evaluator says, however the sequence is cut.

use crate::{
    sequences::{Given, Segment, Sequence, TOKENS},
    support::Loaded,
};
use seqc_abi::{
    Level,
    batch::{Batch, Part, Room},
    frame, symbols,
};
use seqc_backends::{
    kernel::{Func, Scalar, Ty},
    lower::{Program, program},
    mlir::Target,
};
use seqc_ir::{
    KindId, Model, ModelInput, StreamId,
    eval::{ModelEvaluator, Tensor},
    random::{RandomModel, Range, Rng, random_model, random_model_whole},
};
use seqc_passes::{
    plan::{Chunks, Settings},
    planned::PlannedModel,
};
use std::{sync::Barrier, time::Instant};

pub(crate) use crate::support::widest;

/// max |difference| / max |reference|, f32 against double precision.
pub(crate) const TOLERANCE: f64 = 2e-4;
pub(crate) const MAX_CHUNK: usize = 40;

type Entry = extern "C" fn(*const u64, i64, i64);

/// A compiled model with its parameters and threads' meeting place.
pub(crate) struct Machine {
    pub(crate) program: Program,
    loaded: Loaded,
    level: Level,
    params: Vec<Vec<f32>>,
    constants: Vec<u64>,
}

/// What `seqc_barrier` gets: the function to call, then what it waits at.
#[repr(C)]
struct Meeting {
    call: extern "C" fn(*const Meeting),
    barrier: Barrier,
}

extern "C" fn meet(meeting: *const Meeting) {
    // SAFETY: the frame holds a live meeting.
    unsafe { (*meeting).barrier.wait() };
}

impl Machine {
    pub(crate) fn new(random: &RandomModel, target: &Target, seed: u64, max_chunk: usize, chunks: Chunks) -> Machine {
        let mut program = lowered(random, target, settings(target, seed, max_chunk, chunks));
        add_barrier(&mut program);
        let module = std::mem::take(&mut program.module);
        let loaded = Loaded::new(module, target);
        let params = random.param_values(seed).into_iter().flatten();
        let params = params.map(|t| t.data.iter().map(|x| *x as f32).collect()).collect();
        let constants = vec![0; program.descriptor.constant_bytes / 8 + 8];
        let mut machine = Machine {
            program,
            loaded,
            level: target.level,
            params,
            constants,
        };
        machine.load();
        machine
    }

    fn load(&mut self) {
        let mut slots = [0_u64; frame::SLOTS];
        let params: Vec<*const f32> = self.params.iter().map(Vec::as_ptr).collect();
        slots[frame::PARAMS] = params.as_ptr() as u64;
        slots[frame::CONSTANTS] = self.constants.as_mut_ptr() as u64;
        // SAFETY: the type is that of the ABI.
        let load: Entry = unsafe { self.loaded.function(&symbols::load(self.level)) };
        load(slots.as_ptr(), 0, 1);
    }

    /// A sequence of no tokens yet.
    pub(crate) fn begin(&self) -> Sequence {
        Sequence::new(&self.program.descriptor)
    }

    /// Results of all tokens by token and output, the sequence cut into these chunks, the last one repeated.
    pub(crate) fn run(&self, inputs: &[Vec<Tensor>], cut: &[usize], threads: usize) -> Vec<Vec<Vec<f64>>> {
        self.run_prompt(inputs, cut, threads, None)
    }

    /// The same; so many tokens are a prompt, or all where that is not known.
    pub(crate) fn run_prompt(
        &self,
        inputs: &[Vec<Tensor>],
        cut: &[usize],
        threads: usize,
        prompt: Option<usize>,
    ) -> Vec<Vec<Vec<f64>>> {
        let mut sequence = self.begin();
        if let Some(prompt) = prompt {
            sequence.prompt = prompt as u64;
        }
        self.run_from(sequence, inputs, cut, threads)
    }

    /// The same of a sequence that goes on.
    pub(crate) fn run_from(
        &self,
        mut sequence: Sequence,
        inputs: &[Vec<Tensor>],
        cut: &[usize],
        threads: usize,
    ) -> Vec<Vec<Vec<f64>>> {
        let (mut at, mut n) = (0, 0);
        let mut rows = Vec::new();
        while at < inputs.len() {
            let chunk = cut[n.min(cut.len() - 1)]
                .min(self.program.descriptor.max_chunk)
                .min(inputs.len() - at);
            let segment = Segment {
                sequence: &mut sequence,
                inputs: &inputs[at..at + chunk],
                wanted_from: 0,
            };
            rows.extend(self.step(&mut [segment], threads));
            (at, n) = (at + chunk, n + 1);
        }
        rows
    }

    /// What a step takes.
    pub(crate) fn room(&self) -> Room {
        Room::of(&self.program.descriptor)
    }

    /// Results of the wanted tokens by token and output, those of the first segment first.
    pub(crate) fn step(&self, segments: &mut [Segment], threads: usize) -> Vec<Vec<Vec<f64>>> {
        self.timed_step(segments, threads).0
    }

    fn timed_step(&self, segments: &mut [Segment], threads: usize) -> (Vec<Vec<Vec<f64>>>, f64) {
        let d = &self.program.descriptor;
        let tables: Vec<_> = segments.iter_mut().map(|s| s.sequence.table(d)).collect();
        let states = tables.iter().map(|(states, _)| states);
        let part = |(segment, states): (&Segment, &Vec<*mut u64>)| Part {
            count: segment.inputs.len(),
            position: segment.sequence.position,
            wanted_from: segment.wanted_from,
            states: states.as_ptr() as u64,
            prompt: segment.sequence.prompt,
        };
        let batch = Batch::new(&segments.iter().zip(states).map(part).collect::<Vec<_>>());
        let all: Vec<Vec<Tensor>> = segments.iter().flat_map(|s| s.inputs.iter().cloned()).collect();
        let wanted: Vec<Vec<Tensor>> = batch
            .wanted
            .rows
            .iter()
            .map(|row| all[row.row as usize].clone())
            .collect();
        let (all, wanted) = (Given::new(d, &all), Given::new(d, &wanted));
        let skipped = [d.memory.as_ref().map_or(0, |memory| memory.calls), 0];
        let found = self.enter(&batch, [&all, &wanted], skipped, threads);
        for segment in segments {
            segment.sequence.position += segment.inputs.len() as u64;
        }
        found
    }

    /// Outputs of the wanted rows of a step without the `skipped` first and last calls, and its seconds.
    pub(crate) fn enter(
        &self,
        batch: &Batch,
        [all, wanted]: [&Given; 2],
        skipped: [usize; 2],
        threads: usize,
    ) -> (Vec<Vec<Vec<f64>>>, f64) {
        let d = &self.program.descriptor;
        let widths: Vec<usize> = d.outputs.iter().map(|o| o.shape.iter().product()).collect();
        let rows = batch.wanted.rows.len();
        let mut out: Vec<Vec<f32>> = widths.iter().map(|n| vec![0.0; n * rows]).collect();
        let outputs: Vec<*mut f32> = out.iter_mut().map(Vec::as_mut_ptr).collect();
        let params: Vec<*const f32> = self.params.iter().map(Vec::as_ptr).collect();
        // Rubbish in the arena: nothing may be read before it is written.
        let mut arena = vec![u64::MAX; d.arena_bytes / 8 + 8];
        let mut scratch = vec![u64::MAX; d.scratch_bytes * threads / 8 + 16];
        let align = |p: *mut u64| (p as u64).next_multiple_of(64);
        let meeting = Meeting {
            call: meet,
            barrier: Barrier::new(threads),
        };
        let mut slots = [0_u64; frame::SLOTS];
        slots[frame::PARAMS] = params.as_ptr() as u64;
        slots[frame::CONSTANTS] = self.constants.as_ptr() as u64;
        slots[frame::ARENA] = align(arena.as_mut_ptr());
        slots[frame::OUTPUTS] = outputs.as_ptr() as u64;
        slots[frame::SCRATCH] = align(scratch.as_mut_ptr());
        slots[frame::BARRIER] = &raw const meeting as u64;
        [slots[frame::SKIP_FIRST], slots[frame::SKIP_LAST]] = skipped.map(|calls| calls as u64);
        batch.all.fill(&mut slots, frame::ALL, all.table.as_ptr() as u64);
        batch
            .wanted
            .fill(&mut slots, frame::WANTED, wanted.table.as_ptr() as u64);
        // SAFETY: the type is that of the ABI.
        let step: Entry = unsafe { self.loaded.function(&symbols::step(self.level)) };
        let start = Instant::now();
        std::thread::scope(|scope| {
            for tid in 0..threads {
                let slots = &slots;
                scope.spawn(move || step(slots.as_ptr(), tid as i64, threads as i64));
            }
        });
        let seconds = start.elapsed().as_secs_f64();
        let row = |t: usize, n: usize| {
            let row = &out[n][t * widths[n]..(t + 1) * widths[n]];
            row.iter().map(|x| f64::from(*x)).collect()
        };
        let token = |t: usize| (0..widths.len()).map(|n| row(t, n)).collect();
        ((0..rows).map(token).collect(), seconds)
    }

    /// Seconds of one call for a whole chunk by one thread, the least of `times`.
    pub(crate) fn seconds(&self, inputs: &[Vec<Tensor>], times: usize) -> f64 {
        let mut sequence = self.begin();
        (0..times).fold(f64::INFINITY, |least, _| {
            sequence.position = 0;
            let segment = Segment {
                sequence: &mut sequence,
                inputs,
                wanted_from: 0,
            };
            least.min(self.timed_step(&mut [segment], 1).1)
        })
    }
}

/// How a model is planned.
pub(crate) fn settings(target: &Target, seed: u64, max_chunk: usize, chunks: Chunks) -> Settings {
    let mut machine = *target.machine();
    // Chunks of most sizes are read by both kernels of products.
    if !seed.is_multiple_of(2) {
        machine.tiles.skinny_rows = 5;
        machine.tiles.skinny_columns = 32;
        machine.attention.shared_pages = 1;
        machine.attention.gathered_row = 0;
    }
    // States, rows of loops and matrices of these models are small.
    machine.memory.stored_state *= usize::from((seed / TOGETHER) % 3 < 2);
    machine.rates.small_matrix *= usize::from((seed / TOGETHER) % 4 < 2);
    Settings {
        machine,
        max_chunk,
        // Small enough that the sequences go over several.
        conv_block: 16,
        chunks,
    }
}

/// Kernels and descriptor of a model for a target.
pub(crate) fn lowered(random: &RandomModel, target: &Target, settings: Settings) -> Program {
    let canonical = seqc_passes::optimised(&random.model);
    program(&PlannedModel::new(&canonical, settings), target.level)
}

/// The runtime's part: calls the function that the first word of the meeting names.
fn add_barrier(program: &mut Program) {
    let mut f = Func::new(symbols::BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64], None);
    let (meeting, zero) = (f.param(0), f.i64(0));
    let p = f.gep(meeting, zero, Scalar::I64);
    let call = f.load(p, Ty::GLOBAL);
    f.call_pointer(call, &[meeting]);
    program.module.define(f);
}

pub(crate) fn reference(random: &RandomModel, seed: u64, inputs: &[Vec<Tensor>]) -> Vec<Vec<Vec<f64>>> {
    let params = random.param_values(seed);
    let mut evaluator = ModelEvaluator::new(&random.model, |call, p| {
        Ok::<_, seqc_ir::eval::EvalError>(params[call][p].clone())
    })
    .unwrap_or_else(|error| panic!("{error}"));
    let step = |row: &Vec<Tensor>| evaluator.step(row).unwrap_or_else(|error| panic!("{error}"));
    let data = |token: Vec<Tensor>| token.into_iter().map(|t| t.data).collect();
    inputs.iter().map(step).map(data).collect()
}

/// How far output `n` is off, in parts of its largest entry.
pub(crate) fn distance(found: &[Vec<Vec<f64>>], expected: &[Vec<Vec<f64>>], n: usize) -> f64 {
    let pairs = found.iter().zip(expected).flat_map(|(a, b)| a[n].iter().zip(&b[n]));
    let (mut worst, mut scale) = (0.0_f64, 1e-3_f64);
    for (a, b) in pairs {
        let off = (a - b).abs();
        worst = if off.is_nan() { f64::INFINITY } else { worst.max(off) };
        scale = scale.max(b.abs());
    }
    worst / scale
}

/// Models compiled as one, side by side: they share the kernels that all of them need.
pub(crate) const TOGETHER: u64 = 8;

/// Models that do not know of each other as one.
pub(crate) fn together(seeds: impl Iterator<Item = u64>) -> RandomModel {
    let mut all = RandomModel {
        model: Model::default(),
        inputs: Vec::new(),
        params: Vec::new(),
    };
    for seed in seeds {
        let random = random_model(seed, 1 + seed as usize % 3, 3 + seed as usize % 6);
        let (streams, kinds) = (all.model.streams, all.model.kinds.len() as u32);
        let moved = |s: StreamId| StreamId(s.0 + streams);
        for input in random.model.inputs {
            let name = format!("{}.{}", random.model.name, input.name);
            all.model.inputs.push(ModelInput {
                name,
                stream: moved(input.stream),
                ..input
            });
        }
        for mut call in random.model.calls {
            call.name = format!("{}.{}", random.model.name, call.name);
            call.kind = KindId(call.kind.0 + kinds);
            call.args
                .iter_mut()
                .chain(&mut call.results)
                .for_each(|s| *s = moved(*s));
            all.model.calls.push(call);
        }
        let outputs = random.model.outputs.into_iter();
        all.model
            .outputs
            .extend(outputs.map(|(name, s)| (format!("{name}{seed}"), moved(s))));
        all.model.kinds.extend(random.model.kinds);
        all.model.streams += random.model.streams;
        all.inputs.extend(random.inputs);
        all.params.extend(random.params);
    }
    all
}

/// The form of recurrences that have two, each for every second set of models.
pub(crate) fn either_form(seed: u64) -> Chunks {
    match (seed / TOGETHER).is_multiple_of(2) {
        true => Chunks::Products,
        false => Chunks::Tokens,
    }
}

/// Compares some random models; gives the message of a difference.
fn check(seed: u64, target: &Target) -> Option<String> {
    let random = together(seed..seed + TOGETHER);
    let inputs = random.input_values(seed + 1, TOKENS);
    let expected = reference(&random, seed, &inputs);
    // Both forms of recurrences that have two, whatever is cheaper at these sizes.
    let chunks = either_form(seed);
    let machine = Machine::new(&random, target, seed, MAX_CHUNK, chunks);
    let cuts: [(&[usize], usize); 4] = [(&[MAX_CHUNK], 1), (&[1], 1), (&[MAX_CHUNK], 2), (&[7, 1, 16, 2], 2)];
    for (cut, threads) in cuts {
        let found = machine.run(&inputs, cut, threads);
        for n in 0..expected[0].len() {
            let off = distance(&found, &expected, n);
            if off > TOLERANCE {
                let seed = seed + n as u64;
                return Some(format!(
                    "seed {seed}, chunks {cut:?}, {threads} threads: off by {off:e}"
                ));
            }
        }
    }
    None
}

/// A few entries of real inputs become NaN or infinite, none at the first tokens.
pub(crate) fn spoil(random: &RandomModel, inputs: &mut [Vec<Tensor>], seed: u64) {
    let (mut rng, tokens) = (Rng::new(seed), inputs.len());
    for (n, range) in random.inputs.iter().enumerate() {
        if !matches!(range, Range::Real { .. }) || inputs[0][n].data.is_empty() {
            continue;
        }
        for _ in 0..1 + rng.below(2) {
            let row = &mut inputs[5 + rng.below(tokens - 5)][n].data;
            let at = rng.below(row.len());
            row[at] = *rng.choose(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        }
    }
}

/// The first entry of output `n` that is finite in one result and not in the other, or too far off.
pub(crate) fn difference(found: &[Vec<Vec<f64>>], expected: &[Vec<Vec<f64>>], n: usize) -> Option<String> {
    let rows = || found.iter().zip(expected).map(|(a, b)| a[n].iter().zip(&b[n]));
    let finite = rows().flatten().map(|(_, b)| b.abs()).filter(|b| b.is_finite());
    let scale = finite.fold(1e-3_f64, f64::max);
    for (token, row) in rows().enumerate() {
        for (entry, (a, b)) in row.enumerate() {
            let same = if b.is_finite() {
                (a - b).abs() <= TOLERANCE * scale
            } else {
                !a.is_finite()
            };
            if !same {
                return Some(format!("token {token}, entry {entry}: {a}, not {b}"));
            }
        }
    }
    None
}

/// Compares some random models whose inputs have what is not finite.
fn check_not_finite(seed: u64, target: &Target) -> Option<String> {
    let random = together(seed..seed + TOGETHER);
    let mut inputs = random.input_values(seed + 1, TOKENS);
    spoil(&random, &mut inputs, seed);
    let expected = reference(&random, seed, &inputs);
    let machine = Machine::new(&random, target, seed, MAX_CHUNK, Chunks::Products);
    let cuts: [(&[usize], usize); 3] = [(&[MAX_CHUNK], 1), (&[1], 1), (&[7, 1, 16, 2], 2)];
    let mut wrong = Vec::new();
    for (cut, threads) in cuts {
        let found = machine.run(&inputs, cut, threads);
        for n in 0..expected[0].len() {
            if let Some(text) = difference(&found, &expected, n) {
                wrong.push(format!(
                    "seed {}, chunks {cut:?}, {threads} threads: {text}",
                    seed + n as u64
                ));
            }
        }
    }
    (!wrong.is_empty()).then(|| wrong.join("\n"))
}

fn check_seeds(seeds: std::ops::Range<u64>, check: impl Fn(u64) -> Option<String>) {
    let first = seeds.step_by(TOGETHER as usize);
    let wrong: Vec<String> = first.filter_map(check).collect();
    assert!(wrong.is_empty(), "{} models differ:\n{}", wrong.len(), wrong.join("\n"));
}

pub(crate) fn cases(default: u64) -> u64 {
    std::env::var("SEQC_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(default)
}

#[test]
fn random_models_compute_what_the_evaluator_says() {
    check_seeds(0..cases(200), |seed| check(seed, &widest()));
}

#[test]
fn more_random_models_compute_what_the_evaluator_says() {
    check_seeds(20_000..20_000 + cases(200), |seed| check(seed, &widest()));
}

#[test]
fn random_models_compute_the_same_with_narrow_vectors() {
    check_seeds(10_000..10_000 + cases(200) / 2, |seed| {
        check(seed, &crate::support::targets()[0])
    });
}

#[test]
fn random_models_compute_the_same_on_threads_of_a_gpu() {
    check_seeds(60_000..60_000 + cases(200) / 24, |seed| {
        check(seed, &crate::support::fibers())
    });
}

#[test]
fn what_is_not_finite_goes_where_the_evaluator_says() {
    check_seeds(30_000..30_000 + cases(60), |seed| check_not_finite(seed, &widest()));
}

/// Models that read later tokens: of whole sequences, of one token and of as many as there is room for.
#[test]
fn random_models_of_whole_sequences_compute_what_the_evaluator_says() {
    for (seed, target) in (0..12).zip(crate::support::targets().iter().cycle()) {
        let random = random_model_whole(seed, 1 + seed as usize % 2, 3 + seed as usize % 4);
        let params = random.param_values(seed);
        let of = |call: usize, p: usize| Ok::<_, seqc_ir::eval::EvalError>(params[call][p].clone());
        let evaluator = ModelEvaluator::new(&random.model, of).unwrap_or_else(|error| panic!("{error}"));
        let machine = Machine::new(&random, target, seed, MAX_CHUNK, either_form(seed * TOGETHER));
        for (tokens, threads) in [(1, 1), (MAX_CHUNK, 1), (MAX_CHUNK, 2), (17, 2)] {
            let inputs = random.input_values(seed + 1, tokens);
            let whole = evaluator.run_whole(&inputs).unwrap_or_else(|error| panic!("{error}"));
            let data = |token: Vec<Tensor>| token.into_iter().map(|t| t.data).collect();
            let expected: Vec<Vec<Vec<f64>>> = whole.into_iter().map(data).collect();
            let found = machine.run(&inputs, &[tokens], threads);
            let off = distance(&found, &expected, 0);
            assert!(
                off <= TOLERANCE,
                "seed {seed}, {tokens} tokens, {threads} threads: off by {off:e}"
            );
        }
    }
}
