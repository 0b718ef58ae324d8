//! Running attention kernels and the evaluator on the same sequences.

use super::{
    call::{Call, Run, Split},
    case::Case,
};
use crate::support::{Loaded, Random, export};
use seqc_abi::StateKind;
use seqc_backends::{
    kernel::{Func, Module, Ty},
    kernels::Attend,
};
use seqc_ir::{
    BinaryOp, Clock, Elem, Graph,
    eval::{Evaluator, Tensor},
};

// The last argument of both is for clocks only; others do not look at it.
type Append = extern "C" fn(*const f32, i64, *const f32, i64, *mut f32, *mut f32, i64, i64, i64, i64, *const i64);
type Stream = extern "C" fn(*const f32, i64, *mut f32, i64, i64, i64, *const i64);
type Ticks = extern "C" fn(*const f32, i64, i64, *mut i64, *mut i64);
type InactiveResults = extern "C" fn(*mut f32, i64, *const f32, i64, i64, i64, i64);

const ATTEND: [Ty; 15] = [
    Ty::GLOBAL,
    Ty::I64,
    Ty::GLOBAL,
    Ty::I64,
    Ty::GLOBAL,
    Ty::GLOBAL,
    Ty::PRIVATE,
    Ty::I64,
    Ty::I64,
    Ty::SCRATCH,
    Ty::I64,
    Ty::I64,
    Ty::GLOBAL,
    Ty::I64,
    Ty::I64,
];

/// The functions of a case.
pub(super) struct Kernel<'a> {
    attend: &'a Attend,
    append: Append,
    stream: Option<Stream>,
    ticks: Option<Ticks>,
    inactive_results: Option<InactiveResults>,
    step: Step,
}

/// The function itself, without and with a barrier.
#[derive(Clone, Copy)]
enum Step {
    Run(Run),
    Split(Split),
}

/// Adds the functions of a case; with `split`, those whose threads share pages.
pub(super) fn add(module: &mut Module, attend: &Attend, split: bool) {
    let append = attend.append(module);
    let types = [
        vec![Ty::GLOBAL, Ty::I64, Ty::GLOBAL, Ty::I64, Ty::GLOBAL, Ty::GLOBAL],
        vec![Ty::I64; 4],
    ]
    .concat();
    let list = vec![Ty::SCRATCH; usize::from(attend.spec.clock != Clock::Every)];
    export(module, &append, &[types, list.clone()].concat());
    if attend.spec.key_streams > 0 {
        let stream = attend.append_stream(module);
        let types = vec![Ty::GLOBAL, Ty::I64, Ty::GLOBAL, Ty::I64, Ty::I64, Ty::I64];
        export(module, &stream, &[types, list].concat());
    }
    if attend.spec.clock != Clock::Every {
        let ticks = attend.ticks(module);
        export_ticks(module, &ticks);
    }
    if attend.spec.clock == Clock::Both {
        let inactive_results = attend.inactive_results(module);
        let types = [vec![Ty::GLOBAL, Ty::I64, Ty::GLOBAL], vec![Ty::I64; 4]].concat();
        export(module, &inactive_results, &types);
    }
    if split {
        let run = attend.attend_split(module);
        export(module, &run, &ATTEND);
    } else {
        let run = attend.attend(module);
        export(module, &run, &ATTEND[..12]);
    }
}

/// Exports the function of ticks with one more parameter: where its result goes.
fn export_ticks(module: &mut Module, name: &str) {
    let mut f = Func::exported(
        format!("t_{name}"),
        &[Ty::GLOBAL, Ty::I64, Ty::I64, Ty::SCRATCH, Ty::GLOBAL],
    );
    let args = f.params();
    if let Some(ticks) = f.call(name, &args[..4], Some(Ty::I64)) {
        f.store(ticks, args[4]);
    }
    module.add(f);
}

/// The barrier of the tests: what it is handed begins with the function to call.
pub(super) fn add_barrier(module: &mut Module) {
    let mut f = Func::exported(seqc_abi::symbols::BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64]);
    let [barrier, tid, threads] = [0, 1, 2].map(|n| f.param(n));
    let function = f.load(barrier, Ty::GLOBAL);
    f.call_pointer(function, &[barrier, tid, threads]);
    module.add(f);
}

impl<'a> Kernel<'a> {
    pub(super) fn load(attend: &'a Attend, loaded: &Loaded, split: bool) -> Kernel<'a> {
        let name = |part| format!("t_{}_{part}", attend.name);
        // SAFETY: the types are those of the kernels' documentation; the library outlives the tests.
        unsafe {
            Kernel {
                attend,
                append: loaded.function(&name("append")),
                stream: (attend.spec.key_streams > 0).then(|| loaded.function(&name("append_stream"))),
                ticks: (attend.spec.clock != Clock::Every).then(|| loaded.function(&name("ticks"))),
                inactive_results: (attend.spec.clock == Clock::Both)
                    .then(|| loaded.function(&name("inactive_results"))),
                step: if split {
                    Step::Split(loaded.function(&name("attend_split")))
                } else {
                    Step::Run(loaded.function(&name("attend")))
                },
            }
        }
    }
}

/// All operands of a sequence: rows of `q`, `k`, `v`, `on`, then of the streams; and the tables.
pub(super) struct Operands {
    pub(super) widths: Vec<usize>,
    pub(super) rows: Vec<Vec<f32>>,
    tables: Vec<Vec<f32>>,
}

impl Operands {
    pub(super) fn new(case: &Case, random: &mut Random) -> Operands {
        let a = &case.attend;
        let mut widths = vec![a.heads * a.key_dim, a.groups * a.key_dim];
        widths.extend(a.spec.has_values().then_some(a.groups * a.value_dim));
        let mut rows: Vec<Vec<f32>> = widths.iter().map(|w| random.floats(w * case.tokens)).collect();
        if !a.spec.has_values() {
            // Products are exact in single precision, so that nothing decides between scores but their order.
            rows.iter_mut().flatten().for_each(|x| *x = (*x * 8.0).round() / 8.0);
        }
        if a.spec.on().is_some() {
            widths.push(1);
            // Nothing for a while, everything for a while, and something now and then.
            let mut on = |t: usize| match t / 50 % 3 {
                0 => t % 7 == 3,
                1 => t >= 90,
                _ => random.bits().is_multiple_of(4),
            };
            rows.push((0..case.tokens).map(|t| f32::from(on(t))).collect());
        }
        let document = |t: usize| (t * 7 / 300) as f32;
        for (width, entries) in a.query_widths.iter().zip(&a.query_lists) {
            widths.push(*width);
            if *entries > 1 {
                // Numbers of blocks; some are none, and some are no whole numbers.
                let mut entry =
                    |_| (random.bits() % 200) as f32 / [1.0, 1.0, 1.0, 8.0][random.bits() as usize % 4] - 4.0;
                rows.push((0..case.tokens * width).map(&mut entry).collect());
                continue;
            }
            let values = (0..case.tokens * width).map(|n| if *width > 1 { random.float() } else { document(n) });
            rows.push(values.collect());
        }
        for (n, width) in a.key_widths.iter().enumerate() {
            widths.push(*width);
            let documents = n == 0 && a.query_widths == [1];
            let values = (0..case.tokens * width).map(|t| if documents { document(t) } else { random.float() });
            rows.push(values.collect());
        }
        let tables = a.tables.iter().map(|sizes| random.floats(sizes.iter().product()));
        let tables = tables.collect();
        Operands { widths, rows, tables }.with_values(a)
    }

    /// The values in the keys become those of the rows of values.
    fn with_values(mut self, a: &Attend) -> Operands {
        let Some(first) = a.values_in_keys else { return self };
        let keys = self.rows[1].chunks(a.key_dim);
        let values = keys.flat_map(|key| &key[first..first + a.value_dim]);
        self.rows[2] = values.copied().collect();
        self
    }
}

impl Operands {
    /// The same with a few entries that are no numbers, or infinite: at a late token where nothing forgets.
    pub(super) fn spoiled(mut self, case: &Case, random: &mut Random) -> Operands {
        let places = 1 + random.bits() as usize % 3;
        for _ in 0..places {
            let operand = random.bits() as usize % self.rows.len();
            if case.attend.spec.on() == Some(operand) {
                continue;
            }
            let token = random.bits() as usize % case.tokens;
            let entry = token * self.widths[operand] + random.bits() as usize % self.widths[operand];
            self.rows[operand][entry] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][random.bits() as usize % 3];
        }
        self.with_values(&case.attend)
    }
}

/// What the evaluator gives for all tokens.
pub(super) fn expected(case: &Case, operands_of: &Operands) -> Vec<f64> {
    let a = &case.attend;
    let mut graph = Graph::new("attend");
    let mut shapes = vec![vec![a.heads, a.key_dim], vec![a.groups, a.key_dim]];
    shapes.extend(a.spec.has_values().then(|| vec![a.groups, a.value_dim]));
    if a.spec.on().is_some() {
        shapes.push(Vec::new());
    }
    for (width, entries) in a.query_widths.iter().zip(&a.query_lists) {
        shapes.push(match width / entries {
            _ if *width == 1 => Vec::new(),
            _ if *entries == 1 => vec![*width],
            1 => vec![*entries],
            _ => vec![a.heads, *entries],
        });
    }
    shapes.extend(a.key_widths.iter().map(|w| if *w > 1 { vec![*w] } else { Vec::new() }));
    let inputs: Vec<_> = shapes
        .iter()
        .enumerate()
        .map(|(n, shape)| graph.add_input(format!("x{n}"), seqc_ir::Ty::new(Elem::F32, seqc_ir::dims(shape))))
        .collect();
    let tables = a.tables.iter().enumerate();
    let tables = tables.map(|(n, sizes)| graph.add_param(format!("t{n}"), seqc_ir::Ty::f32(sizes)));
    let tables: Vec<_> = tables.collect();
    let mut operands: Vec<_> = inputs.iter().copied().chain(tables).collect();
    if let Some(on) = a.spec.on() {
        let zero = graph.constant(0.0, seqc_ir::Ty::scalar(Elem::F32));
        operands[on] = graph.binary(BinaryOp::Ne, operands[on], zero);
    }
    let y = graph.attend(a.spec.clone(), &operands);
    graph.add_output("y", y);
    let tokens: Vec<Vec<Tensor>> = (0..case.tokens)
        .map(|t| {
            let of = |(n, shape): (usize, &Vec<usize>)| {
                let w = operands_of.widths[n];
                let row = operands_of.rows[n][t * w..(t + 1) * w].iter().map(|x| f64::from(*x));
                Tensor {
                    shape: shape.clone(),
                    data: row.collect(),
                }
            };
            shapes.iter().enumerate().map(of).collect()
        })
        .collect();
    let table = |(sizes, data): (&Vec<usize>, &Vec<f32>)| Tensor {
        shape: sizes.clone(),
        data: data.iter().map(|x| f64::from(*x)).collect(),
    };
    let tables: Vec<Tensor> = a.tables.iter().zip(&operands_of.tables).map(table).collect();
    let evaluator = Evaluator::new(&graph, &tables).expect("a valid graph");
    let out = evaluator.run_whole(&tokens).expect("evaluated");
    out.into_iter().flat_map(|mut o| o.remove(0).data).collect()
}

/// A cache line: what the runtime aligns its memory to.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(pub(super) [f32; 16]);

fn memory(bytes: usize, fill: f32) -> Vec<Line> {
    vec![Line([fill; 16]); bytes.div_ceil(64)]
}

/// A sequence under way.
pub(super) struct Session<'a> {
    kernel: &'a Kernel<'a>,
    pub(super) states: Vec<Vec<Line>>,
    threads: usize,
    scratch: Vec<Line>,
    /// Position of the first token.
    pub(super) origin: usize,
}

impl<'a> Session<'a> {
    pub(super) fn new(kernel: &'a Kernel<'a>, tokens: usize, threads: usize) -> Session<'a> {
        let state = |kind: StateKind| match kind {
            StateKind::Pages {
                page_bytes,
                pinned,
                pages,
                count: _,
                rewritten: _,
                dropped: _,
            } => memory((pinned + pages.unwrap_or(tokens.div_ceil(64))) * page_bytes, 0.0),
            StateKind::Fixed { bytes } => memory(bytes, 0.0),
            StateKind::Bounded { .. } | StateKind::Shared { .. } => memory(0, 0.0),
        };
        Session {
            kernel,
            states: kernel.attend.states().into_iter().map(state).collect(),
            threads,
            scratch: memory(threads * kernel.attend.scratch_bytes(), f32::NAN),
            origin: 0,
        }
    }

    /// Tokens `at..at + count`.
    pub(super) fn step(&mut self, operands: &Operands, at: usize, count: usize, out: &mut [f32]) {
        let (a, threads) = (self.kernel.attend, self.threads as i64);
        let row = |n: usize| operands.rows[n][at * operands.widths[n]..].as_ptr();
        let width = |n: usize| operands.widths[n] as i64;
        let mut tables: Vec<Vec<*mut f32>> = Vec::new();
        let kinds = a.states();
        for (state, kind) in self.states.iter_mut().zip(&kinds) {
            let start: *mut f32 = state.as_mut_ptr().cast();
            tables.push(match kind {
                StateKind::Pages { page_bytes, .. } => {
                    let pages = state.len() * size_of::<Line>() / page_bytes;
                    (0..pages).map(|n| start.wrapping_byte_add(n * page_bytes)).collect()
                }
                _ => vec![start],
            });
        }
        let lies_at = |(table, kind): (&mut Vec<*mut f32>, &StateKind)| match kind {
            StateKind::Pages { .. } => table.as_mut_ptr().cast(),
            _ => table[0],
        };
        let pages: Vec<*mut f32> = tables.iter_mut().zip(&kinds).map(lies_at).collect();
        let (mut position, count) = ((self.origin + at) as i64, count as i64);
        let (mut keys, mut list) = (count, vec![0_i64; 2 * a.max_chunk]);
        let on = a.spec.on();
        if let (Some(ticks), Some(on)) = (self.kernel.ticks, on) {
            ticks(row(on), width(on), count, list.as_mut_ptr(), &raw mut keys);
            // SAFETY: the first entry of a clock's states is the number of ticks.
            position = unsafe { *pages[0].cast::<i64>() };
            unsafe { *pages[0].cast::<i64>() = position + keys };
        }
        let (k, v) = (pages[a.keys_entry()], pages[a.streams_entry() - 1]);
        let values = if a.spec.has_values() { 2 } else { 1 };
        for tid in 0..threads {
            let (row, width) = ((row(1), row(values)), (width(1), width(values)));
            let list = list.as_ptr();
            (self.kernel.append)(row.0, width.0, row.1, width.1, k, v, position, keys, tid, threads, list);
        }
        for (n, operand) in a.spec.key_operands().enumerate() {
            if let Some(stream) = self.kernel.stream {
                let (width, pages) = (width(operand), pages[a.streams_entry() + n]);
                stream(row(operand), width, pages, position, keys, width, list.as_ptr());
            }
        }
        let mut table: Vec<u64> = pages[a.streams_entry()..].iter().map(|p| *p as u64).collect();
        for n in a.spec.query_operands() {
            table.extend([row(n) as u64, width(n) as u64]);
        }
        table.extend(operands.tables.iter().map(|t| t.as_ptr() as u64));
        table.extend([list.as_ptr() as u64, (position + keys) as u64]);
        let out = (out.as_mut_ptr(), a.result_len() as i64);
        let queries = if a.spec.clock == Clock::Both { keys } else { count };
        let call = Call {
            q: (row(0), width(0)),
            out,
            pages: (k, v),
            table: table.as_ptr(),
            tokens: (position, queries),
            scratch: self.scratch.as_mut_ptr().cast(),
        };
        match self.kernel.step {
            Step::Run(run) => (0..threads).for_each(|tid| call.run(run, tid, threads)),
            Step::Split(split) => call.split(split, threads),
        }
        if let (Some(inactive_results), Some(on)) = (self.kernel.inactive_results, on) {
            (0..threads).for_each(|tid| inactive_results(out.0, out.1, row(on), width(on), count, tid, threads));
        }
    }
}
