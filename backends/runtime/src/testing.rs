//! Hand-made models for tests: what generated code does, in a few lines of Rust.

mod caches;
mod chooser;
mod since;

pub(crate) use caches::{MOST_KEPT, SPAN, dropper, thinner};
pub(crate) use chooser::{CHOSEN, choosing_adder, choosing_rememberer};
pub(crate) use since::{NEVER, breaks_at_ends, since};

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
};

use seqc_abi::batch::{Row, Segment};
use seqc_abi::{Call, Descriptor, Elem, PAGE_TOKENS, Rows, RowsAt, StateKind, StateOf, StateSlot, Stream, frame};

use seqc_formats::Encoding;

use crate::code::{Code, Entry};

/// The vocabulary of [`adder`].
pub(crate) const VOCAB: usize = 16;
/// Context that [`adder`] admits.
pub(crate) const CONTEXT: usize = 300;

/// A path in a folder of this process, which no other call gives.
pub(crate) fn fresh(name: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    static SWEPT: Once = Once::new();
    SWEPT.call_once(sweep);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("{FOLDER}{}", std::process::id()));
    let folder = folder.join(number.to_string());
    std::fs::create_dir_all(&folder).expect("a folder for tests");
    folder.join(name)
}

const FOLDER: &str = "seqc-runtime-test-";

/// Removes what processes left that are gone.
fn sweep() {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(FOLDER));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            // Another test process may be sweeping, too.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes a file that no other call uses.
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = fresh(name);
    std::fs::write(&path, bytes).expect("a file for tests");
    path
}

/// A program that runs these lines of the shell.
///
/// A process of its own writes it: whatever another thread starts meanwhile inherits the files that this process has
/// open, and a file that is open for writing anywhere cannot be run.
pub(crate) fn script(lines: &str) -> PathBuf {
    let text = file("lines", format!("#!/bin/sh\n{lines}\n").as_bytes());
    let path = text.with_file_name("script");
    let written = Command::new("install")
        .args(["-m", "700"])
        .args([&text, &path])
        .status();
    assert!(written.expect("install is there").success());
    path
}

/// A safetensors file of named tensors: type, shape, bytes.
pub(crate) fn safetensors(tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        let about = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
        header.insert((*name).to_owned(), about);
        data.extend(bytes);
    }
    let header = serde_json::Value::from(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// Little-endian bytes of numbers.
macro_rules! bytes_of {
    ($($value:expr),* $(,)?) => { [$($value.to_le_bytes().to_vec()),*].concat() };
}
pub(crate) use bytes_of;

/// The empty frame of a description.
pub(crate) fn descriptor(name: &str) -> Descriptor {
    Descriptor {
        version: Descriptor::VERSION,
        model: name.to_owned(),
        hash: format!("hash of {name}"),
        tool: "0".to_owned(),
        target: "any".to_owned(),
        weights: None,
        random: None,
        tokenizer: None,
        inside: false,
        prompt_matters: false,
        together: 1,
        evictions: Vec::new(),
        choices: Vec::new(),
        ticks: Vec::new(),
        causal: true,
        ends: Vec::new(),
        max_context: None,
        trained_length: None,
        inputs: Vec::new(),
        memory: None,
        outputs: Vec::new(),
        params: Vec::new(),
        states: Vec::new(),
        calls: Vec::new(),
        token_loops: false,
        constant_bytes: 0,
        arena_bytes: 0,
        max_chunk: 8,
        padding: 0,
        scratch_bytes: 0,
        sampled: None,
    }
}

pub(crate) fn stream(name: &str, shape: &[usize], elem: Elem) -> Stream {
    Stream {
        name: name.to_owned(),
        shape: shape.to_vec(),
        elem,
        vocab: None,
    }
}

pub(crate) fn code(descriptor: &Descriptor, step: Entry) -> Code {
    let text = serde_json::to_vec(descriptor).expect("plain data");
    Code {
        descriptor: text.leak(),
        load: nothing,
        step,
    }
}

/// A file with a tokenizer of bytes whose tokens are these texts, in order, and no merges.
pub(crate) fn tokenizer(texts: impl IntoIterator<Item = String>) -> PathBuf {
    let ids = texts.into_iter().enumerate();
    let vocab: serde_json::Map<_, _> = ids.map(|(id, text)| (text, id.into())).collect();
    let level =
        serde_json::json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let tokenizer = serde_json::json!({
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": level,
        "decoder": level,
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    });
    file("tokenizer.json", tokenizer.to_string().as_bytes())
}

unsafe extern "C" fn nothing(_: *const u64, _: i64, _: i64) {}

/// What a model whose tokens are the sums of those before says after some of them.
pub(crate) fn sums(tokens: &[i64], count: usize) -> Vec<i64> {
    let mut sum: i64 = tokens.iter().sum();
    let next = |_| {
        let token = sum % VOCAB as i64;
        sum += token;
        token
    };
    (0..count).map(next).collect()
}

/// Remembers all tokens in pages, their number in a fixed entry; the likeliest next token is the sum modulo [`VOCAB`].
pub(crate) fn adder(name: &str) -> Code {
    let mut described = adder_descriptor(name);
    described.hash = format!("hash of {name}");
    code(&described, add)
}

/// An entry of the first layer's state, which grows with the sequence.
pub(crate) fn slot(name: &str, kind: StateKind) -> StateSlot {
    StateSlot {
        name: name.to_owned(),
        layer: "layers.0".to_owned(),
        shape: Vec::new(),
        encoding: Encoding::F32,
        of: StateOf::Tokens,
        kind,
        bound: "T".to_owned(),
    }
}

pub(crate) fn adder_descriptor(name: &str) -> Descriptor {
    let pages = StateKind::Pages {
        page_bytes: 4 * PAGE_TOKENS,
        pinned: 0,
        pages: None,
        count: None,
        rewritten: false,
        dropped: None,
    };
    let mut tokens = stream("tokens", &[], Elem::I64);
    tokens.vocab = Some(VOCAB);
    Descriptor {
        max_context: Some(CONTEXT),
        inputs: vec![tokens],
        outputs: vec![stream("logits", &[VOCAB], Elem::F32)],
        states: vec![slot("count", StateKind::Fixed { bytes: 4 }), slot("seen", pages)],
        ..descriptor(name)
    }
}

/// All rows of a step.
unsafe fn rows<'a>(slots: *const u64) -> &'a [Row] {
    // SAFETY: the frame of a step is filled.
    unsafe { table(slots, frame::ALL + frame::rows::COUNT, frame::ALL + frame::rows::TABLE) }
}

/// Those whose outputs are wanted.
unsafe fn wanted<'a>(slots: *const u64) -> &'a [Row] {
    // SAFETY: as above.
    unsafe {
        table(
            slots,
            frame::WANTED + frame::rows::COUNT,
            frame::WANTED + frame::rows::TABLE,
        )
    }
}

unsafe fn segments<'a>(slots: *const u64) -> &'a [Segment] {
    // SAFETY: as above.
    unsafe {
        table(
            slots,
            frame::ALL + frame::rows::SEGMENTS,
            frame::ALL + frame::rows::SEGMENT_TABLE,
        )
    }
}

unsafe fn table<'a, T>(slots: *const u64, count: usize, start: usize) -> &'a [T] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(*slots.add(start) as *const T, *slots.add(count) as usize) }
}

pub(crate) unsafe extern "C" fn add(slots: *const u64, tid: i64, _: i64) {
    // SAFETY: the caller's promise.
    unsafe { add_to(slots, tid, true) };
}

/// [`adder`] that does not count, so that it carries a cache alone.
pub(crate) fn rememberer() -> Code {
    let described = adder_descriptor("rememberer");
    let states = described.states[1..].to_vec();
    code(&Descriptor { states, ..described }, remember)
}

pub(crate) unsafe extern "C" fn remember(slots: *const u64, tid: i64, _: i64) {
    // SAFETY: the caller's promise.
    unsafe { add_to(slots, tid, false) };
}

unsafe fn add_to(slots: *const u64, tid: i64, counts: bool) {
    if tid != 0 {
        return;
    }
    unsafe {
        let slot = |number: usize| *slots.add(number);
        let tokens = *(slot(frame::ALL + frame::rows::INPUTS) as *const *const i64);
        let out = *(slot(frame::OUTPUTS) as *const *mut f32);
        let mut outputs = wanted(slots).iter().enumerate().peekable();
        for (i, row) in rows(slots).iter().enumerate() {
            let states = segments(slots)[row.segment as usize].states as *const *mut f32;
            let (pages, position) = (
                *states.add(usize::from(counts)) as *const *mut f32,
                row.position as usize,
            );
            let seen = |j: usize| (*pages.add(j / PAGE_TOKENS)).add(j % PAGE_TOKENS);
            if counts {
                assert_eq!(**states, position as f32, "the state is that of another sequence");
                **states += 1.0;
            }
            *seen(position) = *tokens.add(i) as f32;
            let sum: f32 = (0..=position).map(|j| *seen(j)).sum();
            if let Some((n, _)) = outputs.next_if(|(_, wanted)| wanted.row == i as u64) {
                let row = std::slice::from_raw_parts_mut(out.add(n * VOCAB), VOCAB);
                row.fill(-1.0);
                row[sum as usize % VOCAB] = 1.0;
            }
        }
    }
}

/// Two inputs, `x` [3] and `ids`; `y = x * ids`, and the ids as a decision.
pub(crate) fn scaler() -> Code {
    let described = Descriptor {
        inputs: vec![stream("x", &[3], Elem::F32), stream("ids", &[], Elem::I64)],
        outputs: vec![stream("y", &[3], Elem::F32), stream("trace.ids", &[], Elem::I64)],
        ..descriptor("scaler")
    };
    code(&described, scale)
}

unsafe extern "C" fn scale(slots: *const u64, tid: i64, _: i64) {
    if tid != 0 {
        return;
    }
    unsafe {
        let slot = |number: usize| *slots.add(number);
        let inputs = slot(frame::ALL + frame::rows::INPUTS) as *const u64;
        let (x, ids) = (*inputs as *const f32, *inputs.add(1) as *const i64);
        let outputs = slot(frame::OUTPUTS) as *const u64;
        let (y, trace) = (*outputs as *mut f32, *outputs.add(1) as *mut i64);
        for (to, row) in wanted(slots).iter().enumerate() {
            let row = row.row as usize;
            *trace.add(to) = *ids.add(row);
            for i in 0..3 {
                *y.add(3 * to + i) = *x.add(3 * row + i) * *ids.add(row) as f32;
            }
        }
    }
}

/// One input `x` [1]; `y` [1] is the sum of all that came before, which it carries.
pub(crate) fn accumulator() -> Code {
    let slot = StateSlot {
        name: "sum".to_owned(),
        layer: "layers.0".to_owned(),
        shape: vec![1],
        encoding: Encoding::F32,
        of: StateOf::Tokens,
        kind: StateKind::Fixed { bytes: 4 },
        bound: "1".to_owned(),
    };
    let described = Descriptor {
        inputs: vec![stream("x", &[1], Elem::F32)],
        outputs: vec![stream("y", &[1], Elem::F32)],
        states: vec![slot],
        ..descriptor("accumulator")
    };
    code(&described, accumulate)
}

unsafe extern "C" fn accumulate(slots: *const u64, tid: i64, _: i64) {
    if tid != 0 {
        return;
    }
    unsafe {
        let slot = |number: usize| *slots.add(number);
        let x = *(slot(frame::ALL + frame::rows::INPUTS) as *const *const f32);
        let y = *(slot(frame::OUTPUTS) as *const *mut f32);
        let mut outputs = wanted(slots).iter().enumerate().peekable();
        for (i, row) in rows(slots).iter().enumerate() {
            let sum = *(segments(slots)[row.segment as usize].states as *const *mut f32);
            *sum += *x.add(i);
            if let Some((n, _)) = outputs.next_if(|(_, wanted)| wanted.row == i as u64) {
                *y.add(n) = *sum;
            }
        }
    }
}

/// Looks ahead: every token's `hidden` [1] is the sum of the whole input.
pub(crate) fn total() -> Code {
    let mut tokens = stream("tokens", &[], Elem::I64);
    tokens.vocab = Some(VOCAB);
    let described = Descriptor {
        causal: false,
        inputs: vec![tokens],
        outputs: vec![stream("hidden", &[1], Elem::F32)],
        ..descriptor("total")
    };
    code(&described, sum)
}

unsafe extern "C" fn sum(slots: *const u64, tid: i64, _: i64) {
    if tid != 0 {
        return;
    }
    unsafe {
        let slot = |number: usize| *slots.add(number);
        let count = rows(slots).len();
        let tokens = std::slice::from_raw_parts(*(slot(frame::ALL + frame::rows::INPUTS) as *const *const i64), count);
        let out = *(slot(frame::OUTPUTS) as *const *mut f32);
        for row in 0..wanted(slots).len() {
            *out.add(row) = tokens.iter().sum::<i64>() as f32;
        }
    }
}

/// Two layers: the first passes token ids on as numbers, the second gives the logits of the next token; from token
/// [`BROKEN`] on, they are NaN.
pub(crate) fn breaker() -> Code {
    let call = |layer: &str, at, width| Call {
        layer: layer.to_owned(),
        results: vec![Rows { at, width }],
    };
    let described = Descriptor {
        calls: vec![
            call("layers.0.reads", RowsAt::Arena(0), 1),
            call("layers.1.breaks", RowsAt::Output(0), VOCAB),
        ],
        arena_bytes: 4 * 8,
        states: Vec::new(),
        ..adder_descriptor("breaker")
    };
    code(&described, read_and_break)
}

/// The token from which on the logits of [`breaker`] are NaN.
pub(crate) const BROKEN: i64 = 13;

unsafe extern "C" fn read_and_break(slots: *const u64, tid: i64, _: i64) {
    if tid != 0 {
        return;
    }
    unsafe {
        let slot = |number: usize| *slots.add(number);
        let (tokens, arena) = (
            *(slot(frame::ALL + frame::rows::INPUTS) as *const *const i64),
            slot(frame::ARENA) as *mut f32,
        );
        let count = rows(slots).len();
        if slot(frame::SKIP_FIRST) == 0 {
            (0..count).for_each(|i| *arena.add(i) = *tokens.add(i) as f32);
        }
        if slot(frame::SKIP_LAST) == 0 {
            let out = *(slot(frame::OUTPUTS) as *const *mut f32);
            for (n, wanted) in wanted(slots).iter().enumerate() {
                let row = std::slice::from_raw_parts_mut(out.add(n * VOCAB), VOCAB);
                let broken = *arena.add(wanted.row as usize) == BROKEN as f32;
                row.fill(if broken { f32::NAN } else { 0.0 });
            }
        }
    }
}

/// A value of a hand-made GGUF file.
pub(crate) enum Meta<'a> {
    Text(&'a str),
    Number(u32),
    Truth(bool),
    Texts(Vec<String>),
    Numbers(Vec<i32>),
    Floats(Vec<f32>),
}

/// A GGUF file of keys and no tensors.
pub(crate) fn gguf(keys: &[(&str, Meta)]) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let list = |kind: u32, items: Vec<Vec<u8>>| {
        let head = [
            &9_u32.to_le_bytes()[..],
            &kind.to_le_bytes(),
            &(items.len() as u64).to_le_bytes(),
        ]
        .concat();
        [head, items.concat()].concat()
    };
    let mut file = [&b"GGUF"[..], &3_u32.to_le_bytes(), &0_u64.to_le_bytes()].concat();
    file.extend((keys.len() as u64).to_le_bytes());
    for (key, value) in keys {
        file.extend(text(key));
        file.extend(match value {
            Meta::Text(value) => [&8_u32.to_le_bytes()[..], &text(value)].concat(),
            Meta::Number(value) => [4_u32.to_le_bytes(), value.to_le_bytes()].concat(),
            Meta::Truth(value) => [&7_u32.to_le_bytes()[..], &[u8::from(*value)]].concat(),
            Meta::Texts(values) => list(8, values.iter().map(|value| text(value)).collect()),
            Meta::Numbers(values) => list(5, values.iter().map(|value| value.to_le_bytes().to_vec()).collect()),
            Meta::Floats(values) => list(6, values.iter().map(|value| value.to_le_bytes().to_vec()).collect()),
        });
    }
    file
}
