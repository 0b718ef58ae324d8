//! Random models under the interpreter: what kernels compute is what the evaluator says, in every cut into chunks.

use crate::{
    generated::{cases, distance, reference, together},
    sequences::{TOKENS, columns, state_bytes},
};
use seqc_abi::{
    Descriptor, Elem, Level, StateKind,
    batch::{Batch, OPEN_PROMPT, Part, Row, Run, Segment},
    frame, symbols,
};
use seqc_backends::{
    kernel::{
        Module, Space,
        interpret::{Fault, Interpreter, Memory},
        verify::verify,
    },
    lower::program,
    targets,
};
use seqc_ir::{eval::Tensor, random::RandomModel};
use seqc_passes::{
    machine::Machine,
    plan::{Chunks, Settings},
    planned::PlannedModel,
};

const MAX_CHUNK: usize = 40;
/// Whose symbols the entries have, whatever the machine is.
const LEVEL: Level = Level::V3;

/// A model whose kernels are interpreted.
struct Interpreted<'m> {
    interpreter: Interpreter<'m>,
    descriptor: &'m Descriptor,
    /// Tables of the addresses of parameters and states.
    params: u64,
    states: u64,
    constants: u64,
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

impl<'m> Interpreted<'m> {
    fn new(module: &'m Module, descriptor: &'m Descriptor, params: &[Tensor]) -> Result<Self, Fault> {
        let mut interpreter = Interpreter::new(module);
        let memory = interpreter.memory();
        let values = |t: &Tensor| t.data.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect();
        let params: Vec<u64> = params
            .iter()
            .map(|t| memory.allocate_constant("a parameter", values(t)))
            .collect();
        let params = memory.allocate_constant("the parameters", words(&params));
        let constants = memory.allocate("the constants", vec![0; descriptor.constant_bytes]);
        let mut machine = Interpreted {
            interpreter,
            descriptor,
            params,
            states: 0,
            constants,
        };
        let mut slots = [0; frame::SLOTS];
        (slots[frame::PARAMS], slots[frame::CONSTANTS]) = (params, constants);
        let frame = machine.memory().allocate_constant("the frame", words(&slots));
        machine.interpreter.entry(&symbols::load(LEVEL), frame, 1)?;
        Ok(machine)
    }

    fn memory(&mut self) -> &mut Memory {
        self.interpreter.memory()
    }

    /// States of a sequence that begins.
    fn begin(&mut self) {
        let descriptor = self.descriptor;
        let memory = self.interpreter.memory();
        let mut places: Vec<u64> = Vec::new();
        for slot in &descriptor.states {
            let place = match slot.kind {
                StateKind::Shared { with } => places[with],
                StateKind::Pages { page_bytes, .. } => {
                    let pages = state_bytes(&slot.kind) / page_bytes;
                    let page = |_| memory.allocate(&slot.name, vec![0; page_bytes]);
                    let table: Vec<u64> = (0..pages).map(page).collect();
                    memory.allocate_constant("pages", words(&table))
                }
                _ => memory.allocate(&slot.name, vec![0; state_bytes(&slot.kind)]),
            };
            places.push(place);
        }
        self.states = memory.allocate_constant("the states", words(&places));
    }

    /// Results of all tokens by token and output.
    fn run(&mut self, inputs: &[Vec<Tensor>], cut: &[usize], threads: usize) -> Result<Vec<Vec<Vec<f64>>>, Fault> {
        self.begin();
        let (mut at, mut n) = (0, 0);
        let mut rows = Vec::new();
        while at < inputs.len() {
            let chunk = cut[n.min(cut.len() - 1)].min(inputs.len() - at);
            rows.extend(self.chunk(&inputs[at..at + chunk], at, threads)?);
            (at, n) = (at + chunk, n + 1);
        }
        Ok(rows)
    }

    fn chunk(&mut self, inputs: &[Vec<Tensor>], at: usize, threads: usize) -> Result<Vec<Vec<Vec<f64>>>, Fault> {
        let (d, count) = (self.descriptor, inputs.len());
        let reals: Vec<Vec<f32>> = columns(inputs, |x| x as f32);
        let integers: Vec<Vec<i64>> = columns(inputs, |x| x as i64);
        let memory = self.interpreter.memory();
        let scratch = vec![0xFF; d.scratch_bytes * threads];
        let scratch = memory.allocate_in(Space::Scratch, "the scratch", scratch);
        let mut own = vec![scratch];
        let mut add = |memory: &mut Memory, name: &str, bytes: Vec<u8>| {
            own.push(memory.allocate(name, bytes));
            own[own.len() - 1]
        };
        let mut given = Vec::new();
        for (n, stream) in d.inputs.iter().enumerate() {
            let bytes = match stream.elem {
                Elem::F32 => reals[n].iter().flat_map(|x| x.to_le_bytes()).collect(),
                Elem::I64 => integers[n].iter().flat_map(|x| x.to_le_bytes()).collect(),
            };
            given.push(add(memory, &stream.name, bytes));
        }
        let widths: Vec<usize> = d.outputs.iter().map(|o| o.shape.iter().product()).collect();
        let outputs: Vec<u64> = widths
            .iter()
            .zip(&d.outputs)
            .map(|(n, o)| add(memory, &o.name, vec![0; 4 * n * count]))
            .collect();
        let mut slots = [0_u64; frame::SLOTS];
        slots[frame::PARAMS] = self.params;
        slots[frame::CONSTANTS] = self.constants;
        // Rubbish in the arena: nothing may be read before it is written.
        slots[frame::ARENA] = add(memory, "the arena", vec![0xFF; d.arena_bytes]);
        let part = Part {
            count,
            position: at as u64,
            wanted_from: 0,
            states: self.states,
            prompt: OPEN_PROMPT,
        };
        let batch = Batch::new(&[part]);
        let inputs = add(memory, "the inputs", words(&given));
        for (rows, first) in [(&batch.all, frame::ALL), (&batch.wanted, frame::WANTED)] {
            rows.fill(&mut slots, first, inputs);
            let records = |row: &Row| [row.position, row.segment, row.row];
            let table: Vec<u64> = rows.rows.iter().flat_map(records).collect();
            slots[first + frame::rows::TABLE] = add(memory, "the rows", words(&table));
            let records = |s: &Segment| [s.first, s.count, s.position, s.states, s.prompt];
            let table: Vec<u64> = rows.segments.iter().flat_map(records).collect();
            slots[first + frame::rows::SEGMENT_TABLE] = add(memory, "the segments", words(&table));
            let records = |run: &Run| [run.first, run.count, run.segment, run.single];
            let table: Vec<u64> = rows.runs.iter().flat_map(records).collect();
            slots[first + frame::rows::RUN_TABLE] = add(memory, "the runs", words(&table));
        }
        slots[frame::OUTPUTS] = add(memory, "the outputs", words(&outputs));
        slots[frame::SCRATCH] = scratch;
        let frame = add(memory, "the frame", words(&slots));
        self.interpreter.entry(&symbols::step(LEVEL), frame, threads as u64)?;
        let memory = self.interpreter.memory();
        let mut rows = vec![Vec::new(); count];
        for (width, output) in widths.iter().zip(&outputs) {
            let bytes = memory.bytes(*output, 4 * width * count, 4).unwrap_or_default();
            for (row, bytes) in rows.iter_mut().zip(bytes.chunks(4 * width)) {
                let value = |b: &[u8]| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                row.push(bytes.chunks_exact(4).map(value).collect::<Vec<f64>>());
            }
        }
        own.into_iter().for_each(|address| memory.free(address));
        Ok(rows)
    }
}

/// The first difference of a random model's kernels from the evaluator, or what they did wrong.
fn check(seed: u64, machine: &Machine) -> Result<(), String> {
    let random: RandomModel = together(seed..seed + 1);
    let inputs = random.input_values(seed + 1, TOKENS);
    let expected = reference(&random, seed, &inputs);
    let settings = Settings {
        machine: *machine,
        max_chunk: MAX_CHUNK,
        conv_block: 16,
        chunks: if seed.is_multiple_of(2) {
            Chunks::Products
        } else {
            Chunks::Tokens
        },
    };
    let canonical = seqc_passes::optimised(&random.model);
    let program = program(&PlannedModel::new(&canonical, settings), LEVEL);
    if let Some(violation) = verify(&program.module).first() {
        return Err(format!("seed {seed}: {violation}"));
    }
    let params: Vec<Tensor> = random.param_values(seed).into_iter().flatten().collect();
    let broken = |fault: Fault| format!("seed {seed}: {fault}");
    let mut model = Interpreted::new(&program.module, &program.descriptor, &params).map_err(broken)?;
    for (cut, threads) in [(&[MAX_CHUNK][..], 1), (&[1], 1), (&[7, 1, 16, 2], 3)] {
        let found = model.run(&inputs, cut, threads).map_err(broken)?;
        for n in 0..expected[0].len() {
            let off = distance(&found, &expected, n);
            if off > crate::generated::TOLERANCE {
                return Err(format!("seed {seed}, result {n}, chunks {cut:?}: off by {off:e}"));
            }
        }
    }
    Ok(())
}

fn check_seeds(seeds: std::ops::Range<u64>, machine: &Machine) {
    let wrong: Vec<String> = seeds.filter_map(|seed| check(seed, machine).err()).collect();
    assert!(wrong.is_empty(), "{} models differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn kernels_of_eight_lanes_mean_what_the_evaluator_says() {
    check_seeds(0..cases(8), targets::machine(Level::V3));
}

#[test]
fn kernels_of_sixteen_lanes_mean_what_the_evaluator_says() {
    check_seeds(100..100 + cases(8), targets::machine(Level::V4));
}

#[test]
fn kernels_of_four_lanes_mean_what_the_evaluator_says() {
    check_seeds(200..200 + cases(8), &Machine::PORTABLE);
}

/// Members of a block share memory: what one writes there, others read behind a barrier.
#[test]
fn kernels_of_blocks_mean_what_the_evaluator_says() {
    let mut machine = *targets::machine(Level::Fibers);
    // Products of few tokens and of small matrices are those of blocks, too.
    machine.tiles.skinny_rows = 1;
    machine.rates.small_matrix = 0;
    check_seeds(300..300 + cases(4), &machine);
}
