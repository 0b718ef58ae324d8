//! Attention of a whole sequence as an entry of generated code: in the interpreter, which finds accesses that nothing orders, and as code for GPUs.

use super::{
    case::{Case, case},
    cases::window,
    harness::{Operands, expected},
};
use crate::support::{Random, fibers};
use seqc_abi::{Level, StateKind, symbols};
use seqc_backends::{
    kernel::{Func, Module, Space, Ty, interpret::Interpreter},
    kernels::Attend,
    mlir::{Emit, Target, compile},
};
use seqc_formats::Encoding;

/// Appends all tokens, meets the others and attends; the frame has the addresses of queries, keys, values, results, both tables of pages and all scratch.
fn entry(attend: &Attend, tokens: usize) -> Func {
    let mut f = Func::exported("entry", &[Ty::GLOBAL, Ty::I64, Ty::I64]);
    let (frame, tid, threads) = (f.param(0), f.param(1), f.param(2));
    let [q, k, v, out, key_pages, value_pages] = [0, 1, 2, 3, 4, 5].map(|slot| f.load_slot(frame, slot, Ty::GLOBAL));
    let scratch = f.load_slot(frame, 6, Ty::SCRATCH);
    let widths = [
        attend.heads * attend.key_dim,
        attend.groups * attend.key_dim,
        attend.groups * attend.value_dim,
        attend.result_len(),
        tokens,
        0,
        1,
    ];
    let [q_width, k_width, v_width, out_width, count, zero, one] = widths.map(|n| f.i64(n as i64));
    let list = [
        k,
        k_width,
        v,
        v_width,
        key_pages,
        value_pages,
        zero,
        count,
        tid,
        threads,
    ];
    f.call(&format!("{}_append", attend.name), &list, None);
    f.call(symbols::BARRIER, &[frame, tid, threads], None);
    let table = f.stack(1);
    let list = [
        q,
        q_width,
        out,
        out_width,
        key_pages,
        value_pages,
        table,
        zero,
        count,
        scratch,
    ];
    let list = [&list[..], &[tid, threads, frame, tid, one]].concat();
    f.call(&format!("{}_attend_split", attend.name), &list, None);
    f
}

fn module(attend: &Attend, tokens: usize) -> Module {
    let mut module = Module::default();
    attend.append(&mut module);
    attend.attend_split(&mut module);
    module.add(entry(attend, tokens));
    module
}

/// Runs a case by so many members; gives its results.
fn interpret(case: &Case, operands: &Operands, threads: usize) -> Vec<f32> {
    let attend = &case.attend;
    let module = module(attend, case.tokens);
    let mut interpreter = Interpreter::new(&module);
    let memory = interpreter.memory();
    let nothing = |bytes: usize| vec![0xFF; bytes];
    let bytes = |words: &[f32]| words.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let mut frame: Vec<u64> = Vec::new();
    for rows in &operands.rows {
        frame.push(memory.allocate_constant("operand", bytes(rows)));
    }
    let results = case.tokens * attend.result_len();
    let out = memory.allocate("results", nothing(4 * results));
    frame.push(out);
    for kind in attend.states() {
        let StateKind::Pages {
            page_bytes,
            pinned,
            pages,
            ..
        } = kind
        else {
            continue;
        };
        let count = pinned + pages.unwrap_or(case.tokens.div_ceil(64));
        let pages: Vec<u64> = (0..count)
            .map(|_| memory.allocate("page", nothing(page_bytes)))
            .collect();
        let words = pages.iter().flat_map(|page| page.to_le_bytes()).collect();
        frame.push(memory.allocate("pages", words));
    }
    frame.push(memory.allocate_in(Space::Scratch, "scratch", nothing(threads * attend.scratch_bytes())));
    let words = frame.iter().flat_map(|word| word.to_le_bytes()).collect();
    let frame = memory.allocate("frame", words);
    let done = interpreter.entry("entry", frame, threads as u64);
    done.unwrap_or_else(|fault| panic!("{}: {fault}", attend.name));
    let bytes = interpreter.memory().bytes(out, 4 * results, 4).expect("they are there");
    let words = bytes.chunks_exact(4);
    words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// What the rest of a page has is no number, and must count for nothing.
#[test]
fn members_of_a_block_wait_for_pages_that_others_copy() {
    let target = fibers();
    let sizes = [4, 1, 24, 16];
    let mut cases = [
        case("plain", &target, sizes).tokens(130),
        case("window", &target, sizes).predicate(window(50.0)).tokens(150),
        case("half", &target, sizes).stored(Encoding::F16).tokens(70),
    ];
    for (case, threads) in cases.iter_mut().zip([3, 9, 8]) {
        case.attend.max_chunk = case.tokens;
        let operands = Operands::new(case, &mut Random::new(17));
        let want = expected(case, &operands);
        let found = interpret(case, &operands, threads);
        for (n, (found, want)) in found.iter().zip(&want).enumerate() {
            let apart = (f64::from(*found) - want).abs();
            let allowed = if case.attend.spec.stored == Encoding::F32 {
                1e-5
            } else {
                1e-3
            };
            assert!(apart <= allowed, "{}, {n}: {found}, not {want}", case.attend.name);
        }
    }
}

/// An attention as code for a GPU.
#[derive(Clone, Copy)]
pub(crate) struct Attention {
    /// Query heads, key heads, entries of keys and of values.
    pub(crate) sizes: [usize; 4],
    /// How numbers of the cache are stored.
    pub(crate) stored: Encoding,
}

/// The code of an attention for a GPU.
pub(crate) fn assembly(of: Attention) -> String {
    let target = Target::of(Level::Sm80);
    let case = case("a", &target, of.sizes).stored(of.stored);
    let text = (target.info().print)(&module(&case.attend, 512));
    let code = compile(&text, &target, Emit::Asm).unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8(code).expect("text")
}

#[test]
fn a_gpu_multiplies_matrices_in_attention() {
    let code = assembly(Attention {
        sizes: [8, 2, 64, 64],
        stored: Encoding::F32,
    });
    for instruction in [
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",
        "cp.async.cg.shared.global",
        "cp.async.wait_group \t1",
    ] {
        assert!(code.contains(instruction), "no {instruction}:\n{code}");
    }
}
