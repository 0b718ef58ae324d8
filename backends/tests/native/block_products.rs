//! Products of many rows by the members of a block, emulated and in the interpreter, against plain sums.

use crate::support::{Loaded, Random, export, fibers, weights};
use seqc_abi::Level;
use seqc_backends::{
    kernel::{Cmp, Func, Module, Scalar, Space, Team, Ty, interpret::Interpreter},
    kernels::{self, BlockRows, Parts, RowForm},
    mlir::{Emit, Target, compile},
};
use seqc_formats::{Encoding, nearest_bf16};
use std::process::Command;

/// Types of the arguments of the kernel, in the order of its documentation.
const TYPES: [Ty; 11] = [
    Ty::GLOBAL,
    Ty::I64,
    Ty::GLOBAL,
    Ty::I64,
    Ty::GLOBAL,
    Ty::I64,
    Ty::I64,
    Ty::SCRATCH,
    Ty::GLOBAL,
    Ty::I64,
    Ty::I64,
];

type Gemm = extern "C" fn(*const u8, i64, *const u8, i64, *mut f32, i64, i64, *mut f32, *const u8, i64, i64);

/// Reals of any kind, reals that are numbers of bfloat16, and these as pairs; at addresses that are multiples of 4 or 16 bytes.
pub(crate) const ROWS: [BlockRows; 6] = {
    const fn rows(parts: Parts, form: RowForm, unit: u8) -> BlockRows {
        BlockRows { parts, form, unit }
    }
    [
        rows(Parts::Three, RowForm::Floats, 16),
        rows(Parts::Three, RowForm::Floats, 4),
        rows(Parts::One, RowForm::Floats, 16),
        rows(Parts::One, RowForm::Floats, 4),
        rows(Parts::One, RowForm::Pairs, 16),
        rows(Parts::One, RowForm::Pairs, 4),
    ]
};

fn columns(encoding: Encoding) -> &'static [usize] {
    match encoding.block() {
        1 => &[37, 72, 544],
        32 => &[544],
        _ => &[768],
    }
}

/// A product.
#[derive(Clone, Copy, Debug)]
struct Case {
    encoding: Encoding,
    k: usize,
    rows: BlockRows,
    /// Rows of weights, and of activations.
    size: [usize; 2],
    threads: usize,
}

/// The operands of a product, as the kernel reads them.
struct Operands {
    weights: Vec<u8>,
    /// What weights and activations are.
    reals: [Vec<f32>; 2],
    activations: Vec<u8>,
    stride: usize,
}

impl Case {
    fn operands(&self, random: &mut Random) -> Operands {
        let [rows, count] = self.size;
        let (weights, values) = weights(self.encoding, rows, self.k, random);
        // Nothing beyond the last column counts.
        let stride = match self.rows.unit {
            16 => self.k.next_multiple_of(4) + 4,
            _ => self.k + 3,
        };
        let mut x = random.floats(count * self.k);
        if self.rows.parts == Parts::One {
            x.iter_mut()
                .for_each(|x| *x = f32::from_bits(u32::from(nearest_bf16(*x)) << 16));
        }
        let mut bytes = vec![0xFF; 4 * count * stride];
        for (t, x) in x.chunks(self.k).enumerate() {
            let row = &mut bytes[4 * t * stride..];
            match self.rows.form {
                RowForm::Pairs => {
                    row[..2 * self.k.next_multiple_of(2)].fill(0);
                    let halves = x.iter().map(|x| nearest_bf16(*x).to_le_bytes());
                    row.chunks_exact_mut(2)
                        .zip(halves)
                        .for_each(|(to, half)| to.copy_from_slice(&half));
                }
                _ => {
                    let reals = x.iter().map(|x| x.to_le_bytes());
                    row.chunks_exact_mut(4)
                        .zip(reals)
                        .for_each(|(to, real)| to.copy_from_slice(&real));
                }
            }
        }
        Operands {
            weights,
            reals: [values, x],
            activations: bytes,
            stride,
        }
    }

    fn check(&self, operands: &Operands, y: &[f32]) {
        let [rows, count] = self.size;
        let [weights, x] = &operands.reals;
        for (t, x) in x.chunks(self.k).enumerate() {
            for (r, weights) in weights.chunks(self.k).enumerate() {
                let terms = || x.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(*w));
                let (sum, size): (f64, f64) = (terms().sum(), terms().map(f64::abs).sum());
                let found = y[t * rows + r];
                let apart = (f64::from(found) - sum).abs();
                assert!(
                    apart <= 2e-6 * size + 1e-30,
                    "{self:?}: {found} for {sum} of {size}, row {t} of {count}, {r} of {rows}"
                );
            }
        }
    }

    fn scratch_bytes(&self) -> usize {
        kernels::block_gemm_scratch_bytes(self.encoding, block_rows(&fibers()))
    }
}

fn block_rows(target: &Target) -> usize {
    target.machine().tiles.block_rows.expect("a GPU has blocks")
}

/// Runs a product by fibers.
fn emulate(loaded: &Loaded, case: Case, random: &mut Random) {
    let operands = case.operands(random);
    let [rows, count] = case.size;
    let name = kernels::block_gemm_name(case.encoding, case.k, case.rows);
    // SAFETY: the type is that of the kernel's documentation.
    let gemm: Gemm = unsafe { loaded.function(&format!("t_{name}")) };
    let mut y = vec![f32::NAN; count * rows + 1];
    // The barrier of the team, whose address tells teams apart.
    let barrier = [0_u8; 8];
    let (results, barrier) = (y.as_mut_ptr() as usize, barrier.as_ptr() as usize);
    std::thread::scope(|scope| {
        for tid in 0..case.threads {
            let operands = &operands;
            scope.spawn(move || {
                let mut scratch = vec![f32::NAN; case.scratch_bytes() / 4];
                gemm(
                    operands.weights.as_ptr(),
                    rows as i64,
                    operands.activations.as_ptr(),
                    operands.stride as i64,
                    results as *mut f32,
                    rows as i64,
                    count as i64,
                    scratch.as_mut_ptr(),
                    barrier as *const u8,
                    tid as i64,
                    case.threads as i64,
                );
            });
        }
    });
    assert!(y[count * rows].is_nan(), "wrote past the rows");
    case.check(&operands, &y);
}

/// A module with the kernels of some products, each exported.
fn module(cases: &[Case], target: &Target) -> Module {
    let mut module = Module::default();
    for case in cases {
        let name = kernels::block_gemm(&mut module, target.info(), case.encoding, case.k, case.rows);
        let name = name.expect("a GPU has blocks and matrix units");
        if !module.has(&format!("t_{name}")) {
            export(&mut module, &name, &TYPES);
        }
    }
    module
}

fn run(cases: &[Case]) {
    let target = fibers();
    let loaded = Loaded::new(module(cases, &target), &target);
    let mut random = Random::new(14);
    cases.iter().for_each(|case| emulate(&loaded, *case, &mut random));
}

#[test]
fn blocks_multiply_with_every_encoding() {
    let mut cases = Vec::new();
    for encoding in Encoding::all_native() {
        for k in columns(encoding) {
            cases.push(Case {
                encoding,
                k: *k,
                rows: ROWS[0],
                size: [117, 35],
                threads: 3,
            });
        }
    }
    run(&cases);
}

#[test]
fn blocks_multiply_rows_in_every_form() {
    let mut cases = Vec::new();
    for rows in ROWS {
        for encoding in [Encoding::Bf16, Encoding::Q8_0] {
            for k in columns(encoding) {
                cases.push(Case {
                    encoding,
                    k: *k,
                    rows,
                    size: [128, 21],
                    threads: 2,
                });
            }
        }
    }
    run(&cases);
}

#[test]
fn members_of_a_block_divide_rows_between_them() {
    let case = |threads, size| Case {
        encoding: Encoding::Q4_0,
        k: 160,
        rows: ROWS[0],
        size,
        threads,
    };
    let cases: Vec<Case> = [1, 2, 5, 8]
        .into_iter()
        .flat_map(|threads| [[1, 1], [16, 16], [127, 130]].map(|size| case(threads, size)))
        .collect();
    run(&cases);
}

/// An entry of generated code, whose frame has the addresses of weights, activations, results and all scratch.
fn entry(case: Case, stride: usize) -> Func {
    let mut f = Func::exported("entry", &[Ty::GLOBAL, Ty::I64, Ty::I64]);
    let (frame, tid, threads) = (f.param(0), f.param(1), f.param(2));
    let [w, x, y] = [0, 1, 2].map(|slot| f.load_slot(frame, slot, Ty::GLOBAL));
    let scratch = f.load_slot(frame, 3, Ty::SCRATCH);
    let own = f.i64(case.scratch_bytes() as i64);
    let before = f.mul(own, tid);
    let scratch = f.gep(scratch, before, Scalar::I8);
    let [rows, count] = case.size;
    let [rows, stride, count] = [rows, stride, count].map(|n| f.i64(n as i64));
    let args = [w, rows, x, stride, y, rows, count, scratch, frame, tid, threads];
    let name = kernels::block_gemm_name(case.encoding, case.k, case.rows);
    f.call(&name, &args, None);
    f
}

/// The interpreter finds accesses that nothing orders, and what does not arrive.
#[test]
fn members_of_a_block_wait_for_what_others_write() {
    let target = fibers();
    for (encoding, rows) in [
        (Encoding::Bf16, ROWS[4]),
        (Encoding::Q4_0, ROWS[0]),
        (Encoding::F32, ROWS[1]),
    ] {
        let case = Case {
            encoding,
            k: 320,
            rows,
            size: [40, 50],
            threads: 3,
        };
        let operands = case.operands(&mut Random::new(7));
        let mut module = module(&[case], &target);
        let [rows, count] = case.size;
        module.add(entry(case, operands.stride));
        let mut interpreter = Interpreter::new(&module);
        let memory = interpreter.memory();
        let nothing = |bytes: usize| vec![0xFF; bytes];
        let w = memory.allocate_constant("weights", operands.weights.clone());
        let x = memory.allocate_constant("activations", operands.activations.clone());
        let y = memory.allocate("results", nothing(4 * rows * count));
        let scratch = memory.allocate_in(Space::Scratch, "scratch", nothing(case.threads * case.scratch_bytes()));
        let frame = [w, x, y, scratch].iter().flat_map(|word| word.to_le_bytes()).collect();
        let frame = memory.allocate("frame", frame);
        let done = interpreter.entry("entry", frame, case.threads as u64);
        done.unwrap_or_else(|fault| panic!("{case:?}: {fault}"));
        let bytes = interpreter
            .memory()
            .bytes(y, 4 * rows * count, 4)
            .expect("they are there");
        let y: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        case.check(&operands, &y);
    }
}

/// The code of a product for a GPU.
pub(crate) fn assembly(encoding: Encoding, rows: BlockRows) -> String {
    let target = Target::of(Level::Sm80);
    let case = Case {
        encoding,
        k: 512,
        rows,
        size: [128, 128],
        threads: 8,
    };
    let mut module = Module::default();
    kernels::block_gemm(&mut module, target.info(), case.encoding, case.k, case.rows);
    module.add(entry(case, case.k));
    let text = (target.info().print)(&module);
    let code = compile(&text, &target, Emit::Asm).unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8(code).expect("text")
}

#[test]
fn a_gpu_copies_while_it_multiplies() {
    let code = assembly(Encoding::Bf16, ROWS[4]);
    for instruction in [
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",
        "ldmatrix.sync.aligned.m8n8.x4.shared.b16",
        "cp.async.cg.shared.global",
        "cp.async.wait_group \t2",
        ".extern .shared .align 128 .b8 seqc_shared[]",
    ] {
        assert!(code.contains(instruction), "no {instruction}:\n{code}");
    }
}

/// Whether this process is to run what [`members_that_wait_at_different_barriers_end_the_program`] expects to end it.
const PARTS: &str = "SEQC_TEST_BLOCK_PARTS";

/// The first member of a block waits for the second one, which ends.
fn part() {
    let mut module = Module::default();
    module.declare_blocks();
    let mut f = Func::exported("part", &[Ty::GLOBAL, Ty::I64, Ty::I64]);
    let (barrier, tid, threads) = (f.param(0), f.param(1), f.param(2));
    let team = Team { tid, threads };
    f.block_barrier(barrier, team);
    let zero = f.i64(0);
    let first = f.cmp(Cmp::Eq, tid, zero);
    f.if_then(first, |f| f.block_barrier(barrier, team));
    module.add(f);
    let loaded = Loaded::new(module, &fibers());
    // SAFETY: the type is that of the function.
    let entry: extern "C" fn(*const u8, i64, i64) = unsafe { loaded.function("part") };
    let barrier = [0_u8; 8];
    let barrier = barrier.as_ptr() as usize;
    std::thread::scope(|scope| {
        for tid in 0..2 {
            scope.spawn(move || entry(barrier as *const u8, tid, 2));
        }
    });
}

/// They would wait forever.
#[test]
fn members_that_wait_at_different_barriers_end_the_program() {
    if std::env::var_os(PARTS).is_some() {
        return part();
    }
    let mut again = Command::new(std::env::current_exe().expect("this test has a path"));
    let name = "block_products::members_that_wait_at_different_barriers_end_the_program";
    again.args(["--exact", name, "--nocapture"]).env(PARTS, "1");
    let output = again.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("members of a block part"), "{said}");
}
