//! The load-time stage and the step: every call of a layer, from a table.

use super::{
    address::{byte, load_word, table_entry},
    args::Args,
    attend, clocked,
    cx::Layer,
    decode::{self, Sampled},
    frame::{Frame, Record, RowRecord, Rows, SegmentRecord},
    layer,
    streams::{Place, ResultCopy, Streams, row_bytes},
};
use crate::kernel::{Cmp, Func, Module, Scalar, Ty, Val};
use seqc_abi::{Level, symbols};
use seqc_ir::{Call, Model, Step, StreamId};
use seqc_passes::attention::caches::{Caches, Site};
use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
};

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
    /// Those of all layers.
    pub(super) of_layers: usize,
    pub(super) max_chunk: usize,
    /// The model's caches.
    pub(super) caches: &'a Caches,
    /// By which both functions are named.
    pub(super) level: Level,
    /// The logits from which the step chooses tokens, if it does.
    pub(super) sampled: Option<Sampled>,
    /// Lanes of vectors.
    pub(super) lanes: u32,
}

/// Tables of pointers to the rows of streams.
struct StreamTables {
    /// Of all streams.
    all: Val,
    /// Memory for that of one call's streams.
    of_call: Val,
}

impl Driver<'_> {
    /// Words of a record before its streams: with a memory, one more for the call whose caches the results fill, or -1.
    fn head(&self) -> usize {
        HEAD + usize::from(self.model.has_memory())
    }

    /// Words of a record.
    fn width(&self) -> usize {
        let streams = self.model.calls.iter().map(|c| c.args.len() + c.results.len());
        self.head() + streams.max().unwrap_or(0)
    }

    /// The call of tokens that reads the results of a call of the memory.
    fn filled(&self, call: &Call) -> Option<usize> {
        let reads = |other: &Call| other.args.iter().any(|arg| call.results.contains(arg));
        let n = self.model.token_calls().iter().position(reads)?;
        Some(self.model.memory.calls + n)
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
                .filter(|(_, v)| self.caches.elsewhere(Site { call: n, value: **v }).is_some())
                .fold(0, |bits, (at, _)| bits | 1_i64 << at);
            let mut record = vec![kind as i64, params as i64, constants as i64, states as i64, shared];
            if self.model.has_memory() {
                let filled = (n < self.model.memory.calls).then(|| self.filled(call)).flatten();
                record.push(filled.map_or(-1, |n| n as i64));
            }
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
        if let Some(sampled) = self.sampled {
            sampled.add(module, self.level, self.lanes);
        }
    }

    fn add_load(&self, module: &mut Module) {
        let mut f = Func::exported(symbols::load(self.level), &[Ty::GLOBAL, Ty::I64, Ty::I64]);
        let frame = Frame::new(&mut f);
        let calls = f.i64(self.model.calls.len() as i64);
        if !self.model.calls.is_empty() {
            f.team_for(frame.team.cyclic(calls), |f, n| {
                let record = self.record(f, n);
                let args = frame.args(f, &record, frame.all);
                self.for_kind(f, record.kind, 0..self.model.calls.len(), &mut |f, layer| {
                    f.call(&layer::load_name(layer), &args.list(), None);
                });
            });
        }
        module.add(f);
    }

    fn add_step(&self, module: &mut Module) {
        let params = [Ty::GLOBAL, Ty::I64, Ty::I64];
        let mut f = match self.sampled {
            Some(_) => Func::new(decode::READ, &params, None),
            None => Func::exported(symbols::step(self.level), &params),
        };
        let frame = Frame::new(&mut f);
        let of_call = f.stack(self.width());
        let (first, last) = (self.streams.tail, self.model.calls.len());
        let places = self.places(&mut f, &frame, frame.all);
        let tables = StreamTables { all: places, of_call };
        self.steps(&mut f, &frame, &self.model.steps(0..first), frame.all, &tables);
        self.copy_results(&mut f, &frame, places, false);
        let zero = f.i64(0);
        let some = f.cmp(Cmp::Gt, frame.wanted.count, zero);
        f.if_then(some, |f| {
            self.compact(f, &frame, places);
            let places = self.places(f, &frame, frame.wanted);
            let tables = StreamTables { all: places, of_call };
            self.calls(f, &frame, first..last, frame.wanted, &tables);
            self.copy_results(f, &frame, places, true);
        });
        module.add(f);
    }

    /// Words of each stream for [`Driver::places`]: the kind of memory, and the place there.
    fn stream_table(&self) -> Vec<i64> {
        let words = |place: &Place| {
            let (kind, at) = match place {
                Place::Input(n) => (0, *n),
                Place::Arena(offset) => (1, *offset),
                Place::Output(n) => (2, *n),
            };
            [kind, at as i64]
        };
        self.streams.places.iter().flat_map(words).collect()
    }

    /// A table of all streams' rows, with inputs of these rows.
    fn places(&self, f: &mut Func, frame: &Frame, rows: Rows) -> Val {
        let count = self.streams.places.len();
        let table = f.stack(count);
        if count == 0 {
            return table;
        }
        let words = f.address_of("seqc_streams");
        let (zero, one, end, width) = (f.i64(0), f.i64(1), f.i64(count as i64), f.i64(2));
        f.for_each(zero, end, 1, |f, n| {
            let at = f.mul(n, width);
            let record = f.gep(words, at, Scalar::I64);
            let [kind, place] = [0, 1].map(|i| load_word(f, record, i));
            let in_arena = f.cmp(Cmp::Eq, kind, one);
            let is_input = f.cmp(Cmp::Eq, kind, zero);
            let start = f.if_else(
                in_arena,
                |f| vec![f.gep(frame.arena, place, Scalar::I8)],
                |f| {
                    let pointers = f.select(is_input, rows.inputs, frame.outputs);
                    let p = f.gep(pointers, place, Scalar::I64);
                    vec![f.load(p, Ty::GLOBAL)]
                },
            )[0];
            let p = f.gep(table, n, Scalar::I64);
            f.store(start, p);
        });
        table
    }

    /// Moves the wanted rows of what later calls read to the front, where some are not wanted.
    fn compact(&self, f: &mut Func, frame: &Frame, places: Val) {
        let streams = self.compacted();
        if streams.is_empty() {
            return;
        }
        let some = f.cmp(Cmp::Ne, frame.wanted.count, frame.all.count);
        f.if_then(some, |f| {
            self.meet(f, frame);
            for (n, stream) in streams.into_iter().enumerate() {
                f.on_member(frame.team, n, |f| {
                    let rows = table_entry(f, places, stream);
                    self.gather(f, frame, stream, rows, rows);
                });
            }
            self.meet(f, frame);
        });
    }

    /// Streams in the arena that calls write for all rows and others read for the wanted ones.
    fn compacted(&self) -> Vec<usize> {
        let (head, tail) = self.model.calls.split_at(self.streams.tail);
        let left = self
            .model
            .clocked
            .iter()
            .flat_map(|part| part.leave.iter().map(|leave| leave.to));
        let results = head.iter().flat_map(|call| call.results.iter().copied());
        let written: HashSet<StreamId> = results.chain(left).collect();
        let read = tail.iter().flat_map(|call| &call.args).filter(|s| written.contains(s));
        let read: BTreeSet<usize> = read.map(|s| s.0 as usize).collect();
        read.into_iter().collect()
    }

    /// Copies the wanted rows of a stream, in order.
    fn gather(&self, f: &mut Func, frame: &Frame, stream: usize, from: Val, to: Val) {
        let words = f.i64((row_bytes(&self.streams.types[stream]) / 4) as i64);
        let zero = f.i64(0);
        f.for_each(zero, frame.wanted.count, 1, |f, n| {
            let row = RowRecord::number(f, frame.wanted.table, n);
            let (from_at, to_at) = (f.mul(row, words), f.mul(n, words));
            let from = f.gep(from, from_at, Scalar::F32);
            let to = f.gep(to, to_at, Scalar::F32);
            f.call(crate::kernels::COPY, &[from, to, words], None);
        });
    }

    fn meet(&self, f: &mut Func, frame: &Frame) {
        f.call(
            symbols::BARRIER,
            &[frame.barrier, frame.team.tid, frame.team.threads],
            None,
        );
    }

    /// Runs calls, and parts that run at ticks, on some rows.
    fn steps(&self, f: &mut Func, frame: &Frame, steps: &[Step], rows: Rows, tables: &StreamTables) {
        for step in steps {
            match step {
                Step::Calls(range) => self.calls(f, frame, range.clone(), rows, tables),
                Step::Clocked(number, within) => {
                    let part = clocked::Part {
                        model: self.model,
                        streams: self.streams,
                        number: *number,
                        states: self.of_layers,
                        max_chunk: self.max_chunk,
                        around: rows,
                        places: tables.all,
                    };
                    self.clocked(f, frame, &part, within, tables);
                }
            }
        }
    }

    /// Runs a part at its ticks. Where some calls are left out, it begins with its first call and ends with its last one.
    fn clocked(&self, f: &mut Func, frame: &Frame, part: &clocked::Part<'_>, within: &[Step], tables: &StreamTables) {
        let calls = &self.model.clocked[part.number].calls;
        let (lo, hi) = self.clipped(f, frame, calls.clone());
        let [first, end] = [calls.start, calls.end].map(|n| f.i64(n as i64));
        let some = f.cmp(Cmp::Lt, lo, hi);
        f.if_then(some, |f| {
            let begins = f.cmp(Cmp::Eq, lo, first);
            f.if_then(begins, |f| {
                part.count(f, frame);
                self.meet(f, frame);
                let ticks = part.ticks(f, frame);
                part.enter(f, frame, ticks);
                self.meet(f, frame);
            });
            let (ticks, zero) = (part.ticks(f, frame), f.i64(0));
            let some = f.cmp(Cmp::Gt, ticks.count, zero);
            f.if_then(some, |f| self.steps(f, frame, within, ticks, tables));
            let ends = f.cmp(Cmp::Eq, hi, end);
            f.if_then(ends, |f| {
                part.leave(f, frame);
                self.meet(f, frame);
                part.keep(f, frame, ticks);
                self.meet(f, frame);
            });
        });
    }

    /// The calls of a range that are not left out.
    fn clipped(&self, f: &mut Func, frame: &Frame, range: Range<usize>) -> (Val, Val) {
        let (lo, hi) = (f.i64(range.start as i64), f.i64(range.end as i64));
        let all = f.i64(self.model.calls.len() as i64);
        let end = f.sub(all, frame.skip_last);
        (f.max(lo, frame.skip_first), f.min(hi, end))
    }

    /// Runs some of the calls on some rows.
    fn calls(&self, f: &mut Func, frame: &Frame, range: Range<usize>, rows: Rows, tables: &StreamTables) {
        if range.is_empty() {
            return;
        }
        let (lo, hi) = self.clipped(f, frame, range.clone());
        let (zero, one) = (f.i64(0), f.i64(1));
        let single = f.cmp(Cmp::Eq, rows.count, one);
        let row = RowRecord::load(f, rows.table, zero);
        let segment = SegmentRecord::load(f, rows.segments, row.segment);
        f.for_each(lo, hi, 1, |f, n| {
            let record = self.record(f, n);
            let args = self.args(f, frame, &record, rows, tables);
            let mut one = args;
            one.position = row.position;
            one.states = f.gep(segment.states, record.states, Scalar::I64);
            self.for_kind(f, record.kind, range.clone(), &mut |f, layer| {
                f.if_else(
                    single,
                    |f| {
                        f.call(&layer::token_name(layer), &one.list(), None);
                        Vec::new()
                    },
                    |f| {
                        f.call(&layer::chunk_name(layer), &args.list(), None);
                        Vec::new()
                    },
                );
            });
            if range.start < self.model.memory.calls {
                self.remember(f, frame, &record, rows, tables);
            }
        });
    }

    /// Arguments of a call's function at some rows.
    fn args(&self, f: &mut Func, frame: &Frame, record: &Record, rows: Rows, tables: &StreamTables) -> Args {
        for i in 0..self.width() - self.head() {
            let stream = load_word(f, record.start, self.head() + i);
            let p = f.gep(tables.all, stream, Scalar::I64);
            let rows = f.load(p, Ty::GLOBAL);
            let i = f.i64(i as i64);
            let p = f.gep(tables.of_call, i, Scalar::I64);
            f.store(rows, p);
        }
        let mut args = frame.args(f, record, rows);
        args.streams = tables.of_call;
        args.arena = byte(f, frame.arena, self.streams.bytes);
        args
    }

    /// Puts the results of a call of the memory into the caches of the call that attends to them, if there is one.
    fn remember(&self, f: &mut Func, frame: &Frame, record: &Record, rows: Rows, tables: &StreamTables) {
        let (filled, zero) = (load_word(f, record.start, HEAD), f.i64(0));
        let some = f.cmp(Cmp::Ge, filled, zero);
        f.if_then(some, |f| {
            self.meet(f, frame);
            let record = self.record(f, filled);
            let args = self.args(f, frame, &record, rows, tables);
            let attends = |layer: &&Layer<'_>| attend::to_memory(layer).next().is_some();
            for (n, layer) in self.layers.iter().enumerate().filter(|(_, layer)| attends(layer)) {
                let n = f.i64(n as i64);
                let here = f.cmp(Cmp::Eq, record.kind, n);
                f.if_then(here, |f| {
                    f.call(&layer::remember_name(layer), &args.list(), None);
                });
            }
            self.meet(f, frame);
        });
    }

    /// Runs `body` for the layer of that kind, which is one of those that some calls have.
    fn for_kind(&self, f: &mut Func, kind: Val, of: Range<usize>, body: &mut dyn FnMut(&mut Func, &Layer<'_>)) {
        let kinds: BTreeSet<usize> = self.model.calls[of].iter().map(|call| call.kind.0 as usize).collect();
        for n in kinds {
            let number = f.i64(n as i64);
            let here = f.cmp(Cmp::Eq, kind, number);
            f.if_then(here, |f| body(f, &self.layers[n]));
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

    /// Copies wanted rows of results that are not computed in the output's memory: with `of_outputs` those that another
    /// output has, which are the wanted ones already, else those of all rows.
    fn copy_results(&self, f: &mut Func, frame: &Frame, places: Val, of_outputs: bool) {
        for (n, ResultCopy { stream, output }) in self.streams.copies.iter().enumerate() {
            let stream = stream.0 as usize;
            let is_output = matches!(self.streams.places[stream], Place::Output(_));
            if is_output != of_outputs {
                continue;
            }
            f.on_member(frame.team, n, |f| {
                let from = table_entry(f, places, stream);
                let to = table_entry(f, frame.outputs, *output);
                if of_outputs {
                    let words = f.i64((row_bytes(&self.streams.types[stream]) / 4) as i64);
                    let all = f.mul(frame.wanted.count, words);
                    f.call(crate::kernels::COPY, &[from, to, all], None);
                } else {
                    self.gather(f, frame, stream, from, to);
                }
            });
        }
    }
}
