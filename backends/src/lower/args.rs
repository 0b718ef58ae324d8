//! The arguments of a layer's functions.

use crate::kernel::{Func, Team, Ty, Val};

/// Arguments of a layer function, in order. Pointers to tables of pointers belong to the call at hand.
#[derive(Clone, Copy)]
pub(super) struct Args {
    /// Table of the call's parameters.
    pub(super) params: Val,
    /// The call's part of the arena of load-time constants.
    pub(super) constants: Val,
    /// Table of the call's states in the sequence at hand. A function of many rows has it where it goes along a segment only.
    pub(super) states: Val,
    /// Table of the call's argument streams, then of its results.
    pub(super) streams: Val,
    /// Activations of the layer.
    pub(super) arena: Val,
    /// Scratch of all threads.
    pub(super) scratch: Val,
    /// What `seqc_barrier` wants.
    pub(super) barrier: Val,
    /// Position that row 0 would have in the sequence at hand: row `t` has this plus `t`.
    pub(super) position: Val,
    /// Rows: of the segment at hand, or all.
    pub(super) count: Val,
    /// This thread.
    pub(super) tid: Val,
    /// All threads.
    pub(super) threads: Val,
    /// A bit for each of the layer's readers that reads another call's cache here.
    pub(super) shared: Val,
    /// The first row.
    pub(super) first: Val,
    /// Number of the segment at hand.
    pub(super) segment: Val,
    /// What the frame says of the rows that the function is called for, [`seqc_abi::frame::rows`].
    pub(super) rows: Val,
    /// Table of [`seqc_abi::batch::Row`], one for each of them.
    pub(super) table: Val,
    /// Number of the call's first state in a sequence's table.
    pub(super) first_state: Val,
}

impl Args {
    /// Types of the arguments. The table of streams is on the stack of the step, or, where weights are loaded, none at all.
    pub(super) const TYPES: [Ty; 17] = [
        Ty::GLOBAL,
        Ty::GLOBAL,
        Ty::GLOBAL,
        Ty::GENERIC,
        Ty::GLOBAL,
        Ty::SCRATCH,
        Ty::GLOBAL,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::GLOBAL,
        Ty::GLOBAL,
        Ty::I64,
    ];

    /// The parameters of a function with [`Args::TYPES`].
    pub(super) fn of(f: &Func) -> Args {
        Args {
            params: f.param(0),
            constants: f.param(1),
            states: f.param(2),
            streams: f.param(3),
            arena: f.param(4),
            scratch: f.param(5),
            barrier: f.param(6),
            position: f.param(7),
            count: f.param(8),
            tid: f.param(9),
            threads: f.param(10),
            shared: f.param(11),
            first: f.param(12),
            segment: f.param(13),
            rows: f.param(14),
            table: f.param(15),
            first_state: f.param(16),
        }
    }

    /// The team that runs the function.
    pub(super) fn team(&self) -> Team {
        Team {
            tid: self.tid,
            threads: self.threads,
        }
    }

    /// As arguments of a call.
    pub(super) fn list(&self) -> [Val; 17] {
        [
            self.params,
            self.constants,
            self.states,
            self.streams,
            self.arena,
            self.scratch,
            self.barrier,
            self.position,
            self.count,
            self.tid,
            self.threads,
            self.shared,
            self.first,
            self.segment,
            self.rows,
            self.table,
            self.first_state,
        ]
    }
}
