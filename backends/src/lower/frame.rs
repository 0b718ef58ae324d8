//! What a step gets from the runtime (the frame) and from the table of calls (a record each), loaded from memory.

use super::{
    address::{load_word, pointer_in, table_entry},
    args::Args,
};
use crate::kernel::{Func, Scalar, Space, Team, Val};
use seqc_abi::{
    batch,
    frame::{self, rows},
};
use std::mem::offset_of;

/// A call's record, loaded.
pub(super) struct Record {
    pub(super) start: Val,
    pub(super) kind: Val,
    pub(super) params: Val,
    pub(super) constants: Val,
    /// Number of the call's first state.
    pub(super) states: Val,
    pub(super) shared: Val,
}

/// Rows that calls run for, and their records.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    /// The slots of the frame about them, [`seqc_abi::frame::rows`].
    pub(super) slots: Val,
    pub(super) count: Val,
    /// Table of [`seqc_abi::batch::Row`].
    pub(super) table: Val,
    /// Table of the rows of the model's inputs.
    pub(super) inputs: Val,
    /// Table of [`seqc_abi::batch::Segment`].
    pub(super) segments: Val,
}

/// The frame, loaded; see `seqc_abi::frame`.
pub(super) struct Frame {
    pub(super) params: Val,
    pub(super) constants: Val,
    pub(super) arena: Val,
    pub(super) outputs: Val,
    pub(super) scratch: Val,
    pub(super) barrier: Val,
    /// All rows of the step.
    pub(super) all: Rows,
    /// Those whose outputs are wanted.
    pub(super) wanted: Rows,
    pub(super) skip_first: Val,
    pub(super) skip_last: Val,
    pub(super) team: Team,
}

impl Frame {
    /// Loads what the first argument points at. Its pointers, and those of the tables that they point to, are to memory that
    /// all threads see, but for the scratch.
    pub(super) fn new(f: &mut Func) -> Frame {
        let start = f.param(0);
        let pointer = |f: &mut Func, n: usize| table_entry(f, start, n);
        let rows = |f: &mut Func, first: usize| {
            let first = f.i64(first as i64);
            let slots = f.gep(start, first, Scalar::I64);
            Rows {
                slots,
                count: load_word(f, slots, rows::COUNT),
                table: table_entry(f, slots, rows::TABLE),
                inputs: table_entry(f, slots, rows::INPUTS),
                segments: table_entry(f, slots, rows::SEGMENT_TABLE),
            }
        };
        Frame {
            params: pointer(f, frame::PARAMS),
            constants: pointer(f, frame::CONSTANTS),
            arena: pointer(f, frame::ARENA),
            outputs: pointer(f, frame::OUTPUTS),
            scratch: pointer_in(f, start, frame::SCRATCH, Space::Scratch),
            barrier: pointer(f, frame::BARRIER),
            all: rows(f, frame::ALL),
            wanted: rows(f, frame::WANTED),
            skip_first: load_word(f, start, frame::SKIP_FIRST),
            skip_last: load_word(f, start, frame::SKIP_LAST),
            team: Team {
                tid: f.param(1),
                threads: f.param(2),
            },
        }
    }

    /// Arguments of a layer's function but for its streams, at some rows.
    pub(super) fn args(&self, f: &mut Func, record: &Record, rows: Rows) -> Args {
        let zero = f.i64(0);
        Args {
            params: f.gep(self.params, record.params, Scalar::I64),
            constants: f.gep(self.constants, record.constants, Scalar::I8),
            first_state: record.states,
            states: rows.segments,
            streams: rows.inputs,
            arena: self.arena,
            scratch: self.scratch,
            barrier: self.barrier,
            position: zero,
            first: zero,
            count: rows.count,
            segment: zero,
            tid: self.team.tid,
            threads: self.team.threads,
            shared: record.shared,
            rows: rows.slots,
            table: rows.table,
        }
    }
}

/// Words of a table's record.
const ROW_WORDS: usize = size_of::<batch::Row>() / 8;
const SEGMENT_WORDS: usize = batch::Segment::WORDS;

/// One row's record, loaded.
#[derive(Clone, Copy)]
pub(super) struct RowRecord {
    pub(super) position: Val,
    pub(super) segment: Val,
}

impl RowRecord {
    /// Row `n` of a table.
    pub(super) fn load(f: &mut Func, table: Val, n: Val) -> RowRecord {
        let record = record(f, table, n, ROW_WORDS);
        RowRecord {
            position: load_word(f, record, offset_of!(batch::Row, position) / 8),
            segment: load_word(f, record, offset_of!(batch::Row, segment) / 8),
        }
    }

    /// The number that row `n` of a table has among all rows of the step.
    pub(super) fn number(f: &mut Func, table: Val, n: Val) -> Val {
        let record = record(f, table, n, ROW_WORDS);
        load_word(f, record, offset_of!(batch::Row, row) / 8)
    }
}

/// One segment's record, loaded.
#[derive(Clone, Copy)]
pub(super) struct SegmentRecord {
    pub(super) first: Val,
    pub(super) count: Val,
    /// Position of its first token.
    pub(super) position: Val,
    /// Table of all states of its sequence.
    pub(super) states: Val,
}

impl SegmentRecord {
    /// Segment `n` of a table.
    pub(super) fn load(f: &mut Func, table: Val, n: Val) -> SegmentRecord {
        let record = record(f, table, n, SEGMENT_WORDS);
        SegmentRecord {
            first: load_word(f, record, offset_of!(batch::Segment, first) / 8),
            count: load_word(f, record, offset_of!(batch::Segment, count) / 8),
            position: load_word(f, record, offset_of!(batch::Segment, position) / 8),
            states: table_entry(f, record, offset_of!(batch::Segment, states) / 8),
        }
    }
}

/// Where the prompt of segment `n` of a table ends, [`batch::Segment::prompt`].
pub(super) fn prompt_of(f: &mut Func, table: Val, n: Val) -> Val {
    let record = record(f, table, n, SEGMENT_WORDS);
    load_word(f, record, offset_of!(batch::Segment, prompt) / 8)
}

fn record(f: &mut Func, table: Val, n: Val, words: usize) -> Val {
    let words = f.i64(words as i64);
    let at = f.mul(n, words);
    f.gep(table, at, Scalar::I64)
}
