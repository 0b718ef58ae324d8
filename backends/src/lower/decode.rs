//! The step of a target that chooses tokens: one token, a chunk or a batch as anywhere, or several tokens of one sequence, each chosen from the logits of
//! the one before ([`seqc_abi::decoding`]). The whole team reads a token, chooses the next one, and the first member moves the tables of the step to it.

use super::address::{load_word, table_entry};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, Team, Ty, Val},
    kernels,
};
use seqc_abi::{
    Level, batch,
    decoding::{Decoding, Work},
    frame::{self, rows},
    symbols,
};
use seqc_ir::{Elem, Model};
use std::mem::offset_of;

/// Name of the function that reads tokens once.
pub(super) const READ: &str = "seqc_read";
/// Name of the function that moves the tables to the next token.
const GO_ON: &str = "seqc_go_on";

/// Numbers of tokens are exact as reals below this one.
const MOST_TOKENS: usize = 1 << 24;

/// The logits from which a step chooses tokens.
#[derive(Clone, Copy)]
pub(super) struct Sampled {
    /// The number of the output.
    pub(super) output: usize,
    /// Entries of a row.
    vocab: usize,
}

impl Sampled {
    /// Those of a model that reads tokens one after another and scores the next one.
    pub(super) fn of(model: &Model) -> Option<Sampled> {
        let [tokens] = &model.inputs[..] else { return None };
        if !model.is_causal() || tokens.ty.elem != Elem::I64 || tokens.ty.len() != 1 {
            return None;
        }
        let types = super::streams::types_of_outputs(model);
        let output = model.outputs.iter().position(|(name, _)| name == "logits")?;
        let ty = &types[output];
        let vocab = ty.len();
        (ty.elem == Elem::F32 && (1..MOST_TOKENS).contains(&vocab)).then_some(Sampled { output, vocab })
    }

    /// Adds the step, which calls [`READ`]. It loads what it needs of the frame between calls, so that little is kept in registers during them.
    pub(super) fn add(self, module: &mut Module, level: Level, lanes: u32) {
        kernels::sample(module, self.vocab, lanes);
        go_on(module);
        let mut function = Func::exported(symbols::step(level), &[Ty::GLOBAL, Ty::I64, Ty::I64]);
        let f = &mut function;
        let (start, tid, threads) = (f.param(0), f.param(1), f.param(2));
        let (count, zero, one) = (count(f, start), f.i64(0), f.i64(1));
        f.for_each(zero, count, 1, |f, n| {
            let first = f.cmp(Cmp::Eq, n, zero);
            let going = f.if_else(
                first,
                |f| vec![f.i1(true)],
                |f| {
                    // All members see what the first one stored before they met last.
                    let decoding = table_entry(f, start, frame::DECODING);
                    let going = load_word(f, decoding, offset_of!(Decoding, going) / 8);
                    vec![f.cmp(Cmp::Ne, going, zero)]
                },
            );
            f.if_then(going[0], |f| {
                f.call(READ, &[start, tid, threads], None);
                let next = f.add(n, one);
                let more = f.cmp(Cmp::Lt, next, count);
                f.if_then(more, |f| self.choose(f, n));
            });
        });
        module.add(function);
    }

    /// Chooses the token behind token `n` of the step and moves the tables to it.
    fn choose(self, f: &mut Func, n: Val) {
        let (start, tid, threads) = (f.param(0), f.param(1), f.param(2));
        let decoding = table_entry(f, start, frame::DECODING);
        let outputs = table_entry(f, start, frame::OUTPUTS);
        let logits = table_entry(f, outputs, self.output);
        let barrier = table_entry(f, start, frame::BARRIER);
        f.call(kernels::SAMPLE, &[decoding, logits, n, barrier, tid, threads], None);
        f.on_member(Team { tid, threads }, 0, |f| {
            f.call(GO_ON, &[start, n], None);
        });
        let barrier = table_entry(f, start, frame::BARRIER);
        f.call(symbols::BARRIER, &[barrier, tid, threads], None);
    }
}

/// The most tokens that a step reads one after another: one without a record, which a step of a chunk or a batch has none of.
fn count(f: &mut Func, start: Val) -> Val {
    let (decoding, zero) = (load_word(f, start, frame::DECODING), f.i64(0));
    let once = f.cmp(Cmp::Eq, decoding, zero);
    let count = f.if_else(
        once,
        |f| vec![f.i64(1)],
        |f| {
            let decoding = table_entry(f, start, frame::DECODING);
            vec![load_word(f, decoding, offset_of!(Decoding, count) / 8)]
        },
    );
    count[0]
}

/// Adds the function that moves the tables to the token that was chosen behind the token of a number in the step, or ends the step.
fn go_on(module: &mut Module) {
    let mut function = Func::new(GO_ON, &[Ty::GLOBAL, Ty::I64], None);
    let f = &mut function;
    let (start, one) = (f.param(0), f.i64(1));
    let number = f.param(1);
    let number = f.add(number, one);
    let decoding = table_entry(f, start, frame::DECODING);
    let work = table_entry(f, decoding, offset_of!(Decoding, work) / 8);
    let token = load_word(f, work, offset_of!(Work, chosen) / 8);
    let going = is_read(f, decoding, token);
    f.if_else(
        going,
        |f| {
            let tokens = table_entry(f, decoding, offset_of!(Decoding, tokens) / 8);
            let p = f.gep(tokens, number, Scalar::I64);
            f.store(token, p);
            let read = f.add(number, one);
            set(f, decoding, offset_of!(Decoding, read), read);
            advance(f, start, token);
            Vec::new()
        },
        |f| {
            let zero = f.i64(0);
            set(f, decoding, offset_of!(Decoding, going), zero);
            Vec::new()
        },
    );
    module.add(function);
}

/// Whether a token is read: one was chosen, the model has it, and it does not end the answer.
fn is_read(f: &mut Func, decoding: Val, token: Val) -> Val {
    let (zero, one) = (f.i64(0), f.i64(1));
    let limit = load_word(f, decoding, offset_of!(Decoding, limit) / 8);
    let ends = load_word(f, decoding, offset_of!(Decoding, ends) / 8);
    let table = table_entry(f, decoding, offset_of!(Decoding, end_table) / 8);
    let is_end = f.for_loop(zero..ends, one, &[zero], |f, n, carried| {
        let p = f.gep(table, n, Scalar::I64);
        let end = f.load(p, Ty::I64);
        let same = f.cmp(Cmp::Eq, end, token);
        vec![f.select(same, one, carried[0])]
    });
    let open = f.cmp(Cmp::Eq, is_end[0], zero);
    let (above, below) = (f.cmp(Cmp::Ge, token, zero), f.cmp(Cmp::Lt, token, limit));
    let known = f.and(above, below);
    f.and(known, open)
}

/// Moves the tables of a step, which has one row, to the next token.
fn advance(f: &mut Func, start: Val, token: Val) {
    let [inputs, rows, segments] =
        [rows::INPUTS, rows::TABLE, rows::SEGMENT_TABLE].map(|slot| table_entry(f, start, frame::ALL + slot));
    let input = table_entry(f, inputs, 0);
    f.store(token, input);
    let one = f.i64(1);
    for (table, offset) in [
        (rows, offset_of!(batch::Row, position)),
        (segments, offset_of!(batch::Segment, position)),
    ] {
        let position = load_word(f, table, offset / 8);
        let position = f.add(position, one);
        set(f, table, offset, position);
    }
}

/// Stores a word of a record.
fn set(f: &mut Func, record: Val, offset: usize, value: Val) {
    let n = f.i64((offset / 8) as i64);
    let p = f.gep(record, n, Scalar::I64);
    f.store(value, p);
}
