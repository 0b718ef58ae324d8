//! What a step gets from the runtime (the frame) and from the table of calls (a record each), loaded from memory.

use super::cx::{Args, pointer_in, table_entry};
use crate::kernel::{Func, Scalar, Space, Ty, Val};
use seqc_abi::frame;

/// A call's record, loaded.
pub(super) struct Record {
    pub(super) start: Val,
    pub(super) kind: Val,
    pub(super) params: Val,
    pub(super) constants: Val,
    pub(super) states: Val,
    pub(super) shared: Val,
}

/// The frame, loaded; see `seqc_abi::frame`.
pub(super) struct Frame {
    pub(super) params: Val,
    pub(super) constants: Val,
    pub(super) states: Val,
    pub(super) arena: Val,
    pub(super) inputs: Val,
    pub(super) outputs: Val,
    pub(super) scratch: Val,
    pub(super) barrier: Val,
    pub(super) count: Val,
    pub(super) position: Val,
    pub(super) from: Val,
    pub(super) skip_first: Val,
    pub(super) skip_last: Val,
    pub(super) tid: Val,
    pub(super) threads: Val,
}

impl Frame {
    /// Loads what the first argument points at. Its pointers, and those of the tables that they point to, are to memory that
    /// all threads see, but for the scratch.
    pub(super) fn new(f: &mut Func) -> Frame {
        let start = f.param(0);
        let pointer = |f: &mut Func, n: usize| table_entry(f, start, n);
        Frame {
            params: pointer(f, frame::PARAMS),
            constants: pointer(f, frame::CONSTANTS),
            states: pointer(f, frame::STATES),
            arena: pointer(f, frame::ARENA),
            inputs: pointer(f, frame::INPUTS),
            outputs: pointer(f, frame::OUTPUTS),
            scratch: pointer_in(f, start, frame::SCRATCH, Space::Scratch),
            barrier: pointer(f, frame::BARRIER),
            count: load_word(f, start, frame::CHUNK),
            position: load_word(f, start, frame::POSITION),
            from: load_word(f, start, frame::OUT_FROM),
            skip_first: load_word(f, start, frame::SKIP_FIRST),
            skip_last: load_word(f, start, frame::SKIP_LAST),
            tid: f.param(1),
            threads: f.param(2),
        }
    }

    /// Arguments of a layer's function but for its streams.
    pub(super) fn args(&self, f: &mut Func, record: &Record) -> Args {
        Args {
            params: f.gep(self.params, record.params, Scalar::I64),
            constants: f.gep(self.constants, record.constants, Scalar::I8),
            states: f.gep(self.states, record.states, Scalar::I64),
            streams: self.inputs,
            arena: self.arena,
            scratch: self.scratch,
            barrier: self.barrier,
            position: self.position,
            count: self.count,
            tid: self.tid,
            threads: self.threads,
            shared: record.shared,
        }
    }
}

/// Word `n` of a table.
pub(super) fn load_word(f: &mut Func, table: Val, n: usize) -> Val {
    let n = f.i64(n as i64);
    let p = f.gep(table, n, Scalar::I64);
    f.load(p, Ty::I64)
}
