//! Parts of a model that run at some tokens only: the tables of their ticks, and the streams that cross into them and out of them.
//!
//! Inside, a tick is a token: calls get tables of rows and segments like those that the runtime makes of a step ([`seqc_abi::batch`]), which one
//! member writes where the part begins. A sequence keeps how many ticks it has had, and what streams that are held were at the last one.

use super::{
    address::{byte, load_word, table_entry},
    frame::{Frame, RowRecord, Rows, SegmentRecord},
    streams::{Streams, row_bytes},
};
use crate::kernel::{Cmp, Func, Scalar, Ty, Val};
use seqc_abi::{
    StateKind, StateOf, StateSlot, Word,
    batch::{OPEN_PROMPT, Row, Run, Segment},
    frame::rows,
};
use seqc_formats::Encoding;
use seqc_ir::{Between, Clocked, Leave, Model, StreamId, Ty as StreamTy};
use seqc_passes::{kept::Kept, planned::PlannedModel};
use std::mem::offset_of;

const ROW_WORDS: usize = size_of::<Row>() / 8;
const RUN_WORDS: usize = size_of::<Run>() / 8;

/// Places in the tables of a part, in words of 64 bits.
struct Tables {
    /// Rows, segments and runs of its ticks.
    rows: usize,
    segments: usize,
    runs: usize,
    /// For each row around the part, one more than the row of the last tick of its segment up to it; 0 where there is none.
    ticks: usize,
    /// All of them.
    words: usize,
}

impl Tables {
    fn new(max_chunk: usize) -> Tables {
        let rows = rows::SLOTS;
        let segments = rows + max_chunk * ROW_WORDS;
        let runs = segments + max_chunk * Segment::WORDS;
        let ticks = runs + max_chunk * RUN_WORDS;
        Tables {
            rows,
            segments,
            runs,
            ticks,
            words: (ticks + max_chunk).next_multiple_of(8),
        }
    }
}

/// Parts around a part.
fn depth(model: &Model, part: usize) -> usize {
    let calls = &model.clocked[part].calls;
    let before = model.clocked[..part].iter();
    before.filter(|around| around.calls.end >= calls.end).count()
}

/// Bytes that the tables of all parts take; parts that follow one another have the same.
pub(super) fn table_bytes(planned: &PlannedModel<'_>) -> usize {
    let model = planned.model;
    let deepest = (0..model.clocked.len()).map(|part| depth(model, part) + 1).max();
    deepest.unwrap_or(0) * Tables::new(planned.settings.max_chunk).words * 8
}

/// Streams that are held behind a part.
fn held(part: &Clocked) -> impl Iterator<Item = &Leave> {
    part.leave.iter().filter(|leave| leave.between == Between::Hold)
}

/// What a sequence keeps of all parts, with its closed form, and the call that each belongs to.
pub(super) fn states(model: &Model) -> Vec<(usize, StateSlot, Kept)> {
    let types = model.stream_types();
    let mut states = Vec::new();
    for part in &model.clocked {
        let mut state = |name: String, shape: Vec<usize>, bytes: usize| {
            let kept = Kept::Bytes(bytes);
            let slot = StateSlot {
                name,
                layer: part.name.clone(),
                shape,
                encoding: Encoding::F32,
                kind: StateKind::Fixed { bytes },
                of: StateOf::Tokens,
                bound: kept.bound(),
            };
            states.push((part.calls.start, slot, kept));
        };
        state("ticks".to_owned(), vec![2], 8);
        for (n, leave) in held(part).enumerate() {
            let ty: &StreamTy = &types[leave.from.0 as usize];
            state(format!("held.{n}"), ty.sizes(), row_bytes(ty));
        }
    }
    states
}

/// States of a part: how many ticks it has had, and what is held.
fn states_of(part: &Clocked) -> usize {
    1 + held(part).count()
}

/// The number of a part's first state, behind the `first` states of layers.
fn first_state(model: &Model, part: usize, first: usize) -> usize {
    first + model.clocked[..part].iter().map(states_of).sum::<usize>()
}

/// How many ticks each part has had, where the states of layers are `first`.
pub(super) fn all_ticks(model: &Model, first: usize) -> Vec<Word> {
    let of = |next: &mut usize, part| {
        let entry = *next;
        *next += states_of(part);
        Some(Word { entry, word: 0 })
    };
    model.clocked.iter().scan(first, of).collect()
}

/// A part of the step that is being written.
pub(super) struct Part<'a> {
    pub(super) model: &'a Model,
    pub(super) streams: &'a Streams,
    pub(super) number: usize,
    /// States of all layers.
    pub(super) states: usize,
    pub(super) max_chunk: usize,
    /// Rows around it.
    pub(super) around: Rows,
    /// Table of pointers to the rows of all streams.
    pub(super) places: Val,
}

impl Part<'_> {
    fn part(&self) -> &Clocked {
        &self.model.clocked[self.number]
    }

    fn tables(&self) -> Tables {
        Tables::new(self.max_chunk)
    }

    /// Where its tables are.
    fn start(&self, f: &mut Func, frame: &Frame) -> Val {
        let bytes = depth(self.model, self.number) * self.tables().words * 8;
        byte(f, frame.arena, self.streams.tables + bytes)
    }

    fn row(&self, f: &mut Func, stream: StreamId, row: Val) -> Val {
        let rows = table_entry(f, self.places, stream.0 as usize);
        let words = self.words(f, stream);
        let at = f.mul(row, words);
        f.gep(rows, at, Scalar::F32)
    }

    /// 32-bit words of a row.
    fn words(&self, f: &mut Func, stream: StreamId) -> Val {
        f.i64((row_bytes(&self.streams.types[stream.0 as usize]) / 4) as i64)
    }

    /// Whether a row around the part is a tick.
    fn is_tick(&self, f: &mut Func, row: Val) -> Val {
        let condition = self.row(f, self.part().condition, row);
        let (condition, zero) = (f.load(condition, Ty::F32), f.f32(0.0));
        f.cmp(Cmp::Ne, condition, zero)
    }

    /// Writes the tables of its ticks, by one member, and counts them.
    pub(super) fn count(&self, f: &mut Func, frame: &Frame) {
        f.on_member(frame.team, 0, |f| {
            let start = self.start(f, frame);
            let segments = load_word(f, self.around.slots, rows::SEGMENTS);
            let (zero, one) = (f.i64(0), f.i64(1));
            let found = f.for_loop(zero..segments, one, &[zero, zero, zero], |f, n, found| {
                self.segment(f, start, n, [found[0], found[1], found[2]])
            });
            let pointer = |f: &mut Func, slot: usize, words: usize| {
                let (table, slot) = (byte(f, start, words * 8), byte(f, start, slot * 8));
                f.store(table, slot);
            };
            let tables = self.tables();
            pointer(f, rows::TABLE, tables.rows);
            pointer(f, rows::SEGMENT_TABLE, tables.segments);
            pointer(f, rows::RUN_TABLE, tables.runs);
            for (slot, count) in [rows::COUNT, rows::SEGMENTS, rows::RUNS].into_iter().zip(found) {
                store_word(f, start, slot, count);
            }
            let inputs = byte(f, start, rows::INPUTS * 8);
            f.store(self.around.inputs, inputs);
        });
    }

    /// Rows, segment and run of the ticks of one segment around the part, behind those that were found; gives how many there are then.
    fn segment(&self, f: &mut Func, start: Val, n: Val, found: [Val; 3]) -> Vec<Val> {
        let tables = self.tables();
        let [first, segments, runs] = found;
        let segment = SegmentRecord::load(f, self.around.segments, n);
        let number = f.i64(first_state(self.model, self.number, self.states) as i64);
        let counter = f.gep(segment.states, number, Scalar::I64);
        let counter = f.load(counter, Ty::GLOBAL);
        let (before, one) = (load_word(f, counter, 0), f.i64(1));
        let end = f.add(segment.first, segment.count);
        let count = f.for_loop(segment.first..end, one, &[first], |f, row, count| {
            let count = count[0];
            let tick = self.is_tick(f, row);
            let next = f.add(count, one);
            f.if_then(tick, |f| {
                let record = record(f, [start, count], tables.rows, ROW_WORDS);
                let position = f.sub(count, first);
                let position = f.add(before, position);
                store_word(f, record, offset_of!(Row, position) / 8, position);
                store_word(f, record, offset_of!(Row, segment) / 8, segments);
                store_word(f, record, offset_of!(Row, row) / 8, row);
            });
            let count = f.select(tick, next, count);
            let (some, zero) = (f.cmp(Cmp::Gt, count, first), f.i64(0));
            let last = f.select(some, count, zero);
            let ticks = byte(f, start, tables.ticks * 8);
            let place = f.gep(ticks, row, Scalar::I64);
            f.store(last, place);
            vec![count]
        })[0];
        let ticks = f.sub(count, first);
        let zero = f.i64(0);
        let some = f.cmp(Cmp::Gt, ticks, zero);
        let next = f.if_else(
            some,
            |f| {
                let record = record(f, [start, segments], tables.segments, Segment::WORDS);
                store_word(f, record, offset_of!(Segment, first) / 8, first);
                store_word(f, record, offset_of!(Segment, count) / 8, ticks);
                store_word(f, record, offset_of!(Segment, position) / 8, before);
                let states = byte(f, record, offset_of!(Segment, states));
                f.store(segment.states, states);
                let open = f.i64(OPEN_PROMPT as i64);
                store_word(f, record, offset_of!(Segment, prompt) / 8, open);
                let after = f.add(before, ticks);
                f.store(after, counter);
                let runs = self.run(f, start, [first, ticks, segments, runs]);
                vec![f.add(segments, one), runs]
            },
            |_| vec![segments, runs],
        );
        vec![count, next[0], next[1]]
    }

    /// Adds some rows of a segment to the runs: to the last one, where that and these are single rows. Gives how many runs there are then.
    fn run(&self, f: &mut Func, start: Val, of: [Val; 4]) -> Val {
        let [first, count, segment, runs] = of;
        let table = self.tables().runs;
        let (zero, one) = (f.i64(0), f.i64(1));
        let single = f.cmp(Cmp::Eq, count, one);
        let single = f.select(single, one, zero);
        let some = f.cmp(Cmp::Gt, runs, zero);
        let before = f.sub(runs, one);
        let before = f.max(before, zero);
        let last = record(f, [start, before], table, RUN_WORDS);
        // Before the first run, what lies there is not looked at.
        let both = f.if_else(
            some,
            |f| {
                let last = load_word(f, last, offset_of!(Run, single) / 8);
                vec![f.mul(last, single)]
            },
            |_| vec![zero],
        )[0];
        let joins = f.cmp(Cmp::Eq, both, one);
        f.if_else(
            joins,
            |f| {
                let rows = load_word(f, last, offset_of!(Run, count) / 8);
                let rows = f.add(rows, one);
                store_word(f, last, offset_of!(Run, count) / 8, rows);
                vec![runs]
            },
            |f| {
                let record = record(f, [start, runs], table, RUN_WORDS);
                store_word(f, record, offset_of!(Run, first) / 8, first);
                store_word(f, record, offset_of!(Run, count) / 8, count);
                store_word(f, record, offset_of!(Run, segment) / 8, segment);
                store_word(f, record, offset_of!(Run, single) / 8, single);
                vec![f.add(runs, one)]
            },
        )[0]
    }

    /// Its ticks, behind the barrier after [`Part::count`].
    pub(super) fn ticks(&self, f: &mut Func, frame: &Frame) -> Rows {
        let (start, tables) = (self.start(f, frame), self.tables());
        Rows {
            slots: start,
            count: load_word(f, start, rows::COUNT),
            table: byte(f, start, tables.rows * 8),
            inputs: self.around.inputs,
            segments: byte(f, start, tables.segments * 8),
        }
    }

    /// Copies the ticks of what enters.
    pub(super) fn enter(&self, f: &mut Func, frame: &Frame, ticks: Rows) {
        for enter in &self.part().enter {
            f.team_for(frame.team.cyclic(ticks.count), |f, n| {
                let row = RowRecord::number(f, ticks.table, n);
                let (from, to) = (self.row(f, enter.from, row), self.row(f, enter.to, n));
                self.copy(f, enter.from, from, to);
            });
        }
    }

    /// Gives what leaves its values at all rows around.
    pub(super) fn leave(&self, f: &mut Func, frame: &Frame) {
        let mut held = 0;
        let start = self.start(f, frame);
        let table = byte(f, start, self.tables().ticks * 8);
        for leave in &self.part().leave {
            let state = 1 + held;
            held += usize::from(leave.between == Between::Hold);
            f.team_for(frame.team.cyclic(self.around.count), |f, n| {
                let last = f.gep(table, n, Scalar::I64);
                let (last, one, zero) = (f.load(last, Ty::I64), f.i64(1), f.i64(0));
                let to = self.row(f, leave.to, n);
                let inside = match leave.between {
                    Between::Hold => f.cmp(Cmp::Gt, last, zero),
                    Between::Zero | Between::Pass(_) => self.is_tick(f, n),
                };
                f.if_else(
                    inside,
                    |f| {
                        let last = f.sub(last, one);
                        let from = self.row(f, leave.from, last);
                        self.copy(f, leave.from, from, to);
                        Vec::new()
                    },
                    |f| {
                        match leave.between {
                            Between::Hold => {
                                let row = RowRecord::load(f, self.around.table, n);
                                let from = self.state(f, self.around, row.segment, state);
                                self.copy(f, leave.from, from, to);
                            }
                            Between::Zero => self.clear(f, leave.from, to),
                            Between::Pass(stream) => {
                                let from = self.row(f, stream, n);
                                self.copy(f, leave.from, from, to);
                            }
                        }
                        Vec::new()
                    },
                );
            });
        }
    }

    /// Keeps what is held of the last tick of each sequence that had one.
    pub(super) fn keep(&self, f: &mut Func, frame: &Frame, ticks: Rows) {
        let segments = load_word(f, ticks.slots, rows::SEGMENTS);
        for (n, leave) in held(self.part()).enumerate() {
            f.team_for(frame.team.cyclic(segments), |f, segment| {
                let to = self.state(f, ticks, segment, 1 + n);
                let record = SegmentRecord::load(f, ticks.segments, segment);
                let (end, one) = (f.add(record.first, record.count), f.i64(1));
                let last = f.sub(end, one);
                let from = self.row(f, leave.from, last);
                self.copy(f, leave.from, from, to);
            });
        }
    }

    /// One of its states, of the sequence of a segment of these rows.
    fn state(&self, f: &mut Func, of: Rows, segment: Val, n: usize) -> Val {
        let record = SegmentRecord::load(f, of.segments, segment);
        let number = f.i64((first_state(self.model, self.number, self.states) + n) as i64);
        let place = f.gep(record.states, number, Scalar::I64);
        f.load(place, Ty::GLOBAL)
    }

    fn copy(&self, f: &mut Func, stream: StreamId, from: Val, to: Val) {
        let words = self.words(f, stream);
        f.call(crate::kernels::COPY, &[from, to, words], None);
    }

    fn clear(&self, f: &mut Func, stream: StreamId, to: Val) {
        let words = self.words(f, stream);
        let (from, nothing) = (f.i64(0), f.f32(0.0));
        f.for_each(from, words, 1, |f, n| {
            let place = f.gep(to, n, Scalar::F32);
            f.store(nothing, place);
        });
    }
}

/// Record number `n` of the table that lies `table` words behind a place, of so many words each.
fn record(f: &mut Func, at: [Val; 2], table: usize, words: usize) -> Val {
    let [start, n] = at;
    let (table, words) = (byte(f, start, table * 8), f.i64(words as i64));
    let at = f.mul(n, words);
    f.gep(table, at, Scalar::I64)
}

fn store_word(f: &mut Func, table: Val, n: usize, word: Val) {
    let place = byte(f, table, n * 8);
    f.store(word, place);
}
