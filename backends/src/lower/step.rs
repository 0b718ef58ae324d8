//! The load-time stage and the step: every call of a layer, from a table.

use super::{
    cx::{Layer, byte, table_entry},
    frame::{Frame, Record, load_word},
    layer,
    streams::{Place, ResultCopy, Streams, row_bytes},
};
use crate::kernel::{Cmp, Func, Module, Scalar, Team, Ty, Val};
use seqc_abi::{Level, symbols};
use seqc_ir::Model;
use seqc_passes::attention::cache_sharing::Site;
use std::{collections::HashMap, ops::Range};

/// Words of a call's record before its streams: kind, first parameter, byte offset in the arena of load-time constants, first state, and a bit
/// for each attention that reads another call's cache.
const HEAD: usize = 5;

/// What the driver is written from.
pub(super) struct Driver<'a> {
    pub(super) model: &'a Model,
    pub(super) layers: &'a [Layer<'a>],
    pub(super) streams: &'a Streams,
    /// Bytes of each kind's arena of load-time constants.
    pub(super) constants: &'a [usize],
    /// State entries of each kind.
    pub(super) states: &'a [usize],
    /// Attentions that read the cache of an earlier call.
    pub(super) shared: &'a HashMap<Site, Site>,
    /// By which both functions are named.
    pub(super) level: Level,
}

/// Tokens that calls run for.
#[derive(Clone, Copy)]
struct Tokens {
    /// Table of all streams' rows, beginning at the first of the tokens ([`Driver::places`]).
    places: Val,
    /// The first one, counted from the start of the chunk.
    from: Val,
    count: Val,
}

impl Driver<'_> {
    /// Words of a record.
    fn width(&self) -> usize {
        let streams = self.model.calls.iter().map(|c| c.args.len() + c.results.len());
        HEAD + streams.max().unwrap_or(0)
    }

    /// Bytes of the whole arena of load-time constants.
    pub(super) fn constant_bytes(&self) -> usize {
        self.model.calls.iter().map(|c| self.constants[c.kind.0 as usize]).sum()
    }

    fn table(&self) -> Vec<i64> {
        let (mut params, mut constants, mut states) = (0, 0, 0);
        let mut table = Vec::new();
        for (n, call) in self.model.calls.iter().enumerate() {
            let kind = call.kind.0 as usize;
            let readers = self.layers[kind].readers.iter().enumerate();
            let shared = readers
                .filter(|(_, v)| self.shared.contains_key(&Site { call: n, value: **v }))
                .fold(0, |bits, (at, _)| bits | 1_i64 << at);
            let mut record = vec![kind as i64, params as i64, constants as i64, states as i64, shared];
            record.extend(call.args.iter().chain(&call.results).map(|s| i64::from(s.0)));
            record.resize(self.width(), 0);
            table.extend(record);
            params += call.params.len();
            constants += self.constants[kind];
            states += self.states[kind];
        }
        table
    }

    /// Adds both functions.
    pub(super) fn add(&self, module: &mut Module) {
        module.declare(symbols::BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64], None);
        if !self.model.calls.is_empty() {
            module.add_table("seqc_calls", &self.table());
        }
        if !self.streams.places.is_empty() {
            module.add_table("seqc_streams", &self.stream_table());
        }
        self.add_load(module);
        self.add_step(module);
    }

    fn add_load(&self, module: &mut Module) {
        let mut f = Func::exported(symbols::load(self.level), &[Ty::GLOBAL, Ty::I64, Ty::I64]);
        let frame = Frame::new(&mut f);
        let calls = f.i64(self.model.calls.len() as i64);
        let team = Team {
            tid: f.param(1),
            threads: f.param(2),
        };
        if !self.model.calls.is_empty() {
            f.team_for(team.cyclic(calls), |f, n| {
                let record = self.record(f, n);
                let args = frame.args(f, &record);
                self.for_kind(f, record.kind, &mut |f, layer| {
                    f.call(&layer::load_name(layer), &args.list(), None);
                });
            });
        }
        module.add(f);
    }

    fn add_step(&self, module: &mut Module) {
        let mut f = Func::exported(symbols::step(self.level), &[Ty::GLOBAL, Ty::I64, Ty::I64]);
        let frame = Frame::new(&mut f);
        let zero = f.i64(0);
        let tables = [
            self.places(&mut f, &frame, zero),
            self.places(&mut f, &frame, frame.from),
        ];
        let slots = f.stack(self.width());
        let (first, last) = (self.streams.tail, self.model.calls.len());
        let all = Tokens {
            places: tables[0],
            from: zero,
            count: frame.count,
        };
        self.calls(&mut f, &frame, slots, 0..first, all);
        let wanted = f.sub(frame.count, frame.from);
        let some = f.cmp(Cmp::Gt, wanted, zero);
        f.if_then(some, |f| {
            let tokens = Tokens {
                places: tables[1],
                from: frame.from,
                count: wanted,
            };
            self.calls(f, &frame, slots, first..last, tokens)
        });
        self.copy_results(&mut f, &frame, tables[0], wanted);
        module.add(f);
    }

    /// Words of each stream for [`Driver::places`]: the kind of memory, the place there, bytes of a row.
    fn stream_table(&self) -> Vec<i64> {
        let words = |(place, ty): (&Place, &seqc_ir::Ty)| {
            let (kind, at) = match place {
                Place::Input(n) => (0, *n),
                Place::Arena(offset) => (1, *offset),
                Place::Output(n) => (2, *n),
            };
            [kind, at as i64, row_bytes(ty) as i64]
        };
        self.streams
            .places
            .iter()
            .zip(&self.streams.types)
            .flat_map(words)
            .collect()
    }

    /// A table of all streams' rows, beginning at token `from`; results begin at the first wanted token by themselves.
    fn places(&self, f: &mut Func, frame: &Frame, from: Val) -> Val {
        let count = self.streams.places.len();
        let table = f.stack(count);
        if count == 0 {
            return table;
        }
        let words = f.address_of("seqc_streams");
        let (zero, one, end, width) = (f.i64(0), f.i64(1), f.i64(count as i64), f.i64(3));
        f.for_each(zero, end, 1, |f, n| {
            let at = f.mul(n, width);
            let record = f.gep(words, at, Scalar::I64);
            let [kind, place, bytes] = [0, 1, 2].map(|i| load_word(f, record, i));
            let in_arena = f.cmp(Cmp::Eq, kind, one);
            let is_input = f.cmp(Cmp::Eq, kind, zero);
            let base = f.if_else(
                in_arena,
                |f| vec![f.gep(frame.arena, place, Scalar::I8)],
                |f| {
                    let pointers = f.select(is_input, frame.inputs, frame.outputs);
                    let p = f.gep(pointers, place, Scalar::I64);
                    vec![f.load(p, Ty::GLOBAL)]
                },
            )[0];
            let from_first = f.or(in_arena, is_input);
            let skip = f.mul(from, bytes);
            let skip = f.select(from_first, skip, zero);
            let start = f.gep(base, skip, Scalar::I8);
            let p = f.gep(table, n, Scalar::I64);
            f.store(start, p);
        });
        table
    }

    /// Runs some of the calls on some tokens; `slots` is memory for the table of a call's streams.
    fn calls(&self, f: &mut Func, frame: &Frame, slots: Val, range: Range<usize>, tokens: Tokens) {
        let Tokens { places, from, count } = tokens;
        if range.is_empty() {
            return;
        }
        let (lo, hi) = (f.i64(range.start as i64), f.i64(range.end as i64));
        let all = f.i64(self.model.calls.len() as i64);
        let end = f.sub(all, frame.skip_last);
        let (lo, hi) = (f.max(lo, frame.skip_first), f.min(hi, end));
        let one = f.i64(1);
        let single = f.cmp(Cmp::Eq, count, one);
        let position = f.add(frame.position, from);
        f.for_each(lo, hi, 1, |f, n| {
            let record = self.record(f, n);
            for i in 0..self.width() - HEAD {
                let stream = load_word(f, record.start, HEAD + i);
                let p = f.gep(places, stream, Scalar::I64);
                let rows = f.load(p, Ty::GLOBAL);
                let i = f.i64(i as i64);
                let p = f.gep(slots, i, Scalar::I64);
                f.store(rows, p);
            }
            let mut args = frame.args(f, &record);
            (args.streams, args.position, args.count) = (slots, position, count);
            args.arena = byte(f, frame.arena, self.streams.bytes);
            self.for_kind(f, record.kind, &mut |f, layer| {
                f.if_else(
                    single,
                    |f| {
                        f.call(&layer::token_name(layer), &args.list(), None);
                        Vec::new()
                    },
                    |f| {
                        f.call(&layer::chunk_name(layer), &args.list(), None);
                        Vec::new()
                    },
                );
            });
        });
    }

    /// Runs `body` for the layer that `kind` says.
    fn for_kind(&self, f: &mut Func, kind: Val, body: &mut dyn FnMut(&mut Func, &Layer<'_>)) {
        for (n, layer) in self.layers.iter().enumerate() {
            let n = f.i64(n as i64);
            let here = f.cmp(Cmp::Eq, kind, n);
            f.if_then(here, |f| body(f, layer));
        }
    }

    fn record(&self, f: &mut Func, n: Val) -> Record {
        let table = f.address_of("seqc_calls");
        let width = f.i64(self.width() as i64);
        let at = f.mul(n, width);
        let start = f.gep(table, at, Scalar::I64);
        let [kind, params, constants, states, shared] = [0, 1, 2, 3, 4].map(|i| load_word(f, start, i));
        Record {
            start,
            kind,
            params,
            constants,
            states,
            shared,
        }
    }

    /// Rows of wanted tokens of results that lie in the arena.
    fn copy_results(&self, f: &mut Func, frame: &Frame, table: Val, wanted: Val) {
        if self.streams.copies.is_empty() {
            return;
        }
        let zero = f.i64(0);
        let mine = f.cmp(Cmp::Eq, frame.tid, zero);
        f.if_then(mine, |f| {
            for ResultCopy { stream, output } in &self.streams.copies {
                let words = row_bytes(&self.streams.types[stream.0 as usize]) / 4;
                let from = table_entry(f, table, stream.0 as usize);
                let to = table_entry(f, frame.outputs, *output);
                let words = f.i64(words as i64);
                // Another result's rows begin at the first wanted token already.
                let skip = match self.streams.places[stream.0 as usize] {
                    Place::Output(_) => f.i64(0),
                    Place::Arena(_) | Place::Input(_) => f.mul(frame.from, words),
                };
                let from = f.gep(from, skip, Scalar::F32);
                let all = f.mul(wanted, words);
                f.call(crate::kernels::COPY, &[from, to, all], None);
            }
        });
    }
}
