//! The arguments of a layer's functions.

use crate::{
    kernel::{Team, Ty},
    parameters::parameters,
};

parameters! {
    /// Arguments of a layer function, in order. Pointers to tables of pointers belong to the call at hand.
    struct Args {
        /// Table of the call's parameters.
        params: Ty::GLOBAL,
        /// The call's part of the arena of load-time constants.
        constants: Ty::GLOBAL,
        /// Table of the call's states in the sequence at hand. A function of many rows has it where it goes along a segment only.
        states: Ty::GLOBAL,
        /// Table of the call's argument streams, then of its results: on the stack of the step, or none where weights are loaded.
        streams: Ty::GENERIC,
        /// Activations of the layer.
        arena: Ty::GLOBAL,
        /// Scratch of all threads.
        scratch: Ty::SCRATCH,
        /// What `seqc_barrier` wants.
        barrier: Ty::GLOBAL,
        /// Position that row 0 would have in the sequence at hand: row `t` has this plus `t`.
        position: Ty::I64,
        /// Rows: of the segment at hand, or all.
        count: Ty::I64,
        /// This thread.
        tid: Ty::I64,
        /// All threads.
        threads: Ty::I64,
        /// A bit for each of the layer's readers that reads another call's cache here.
        shared: Ty::I64,
        /// The first row.
        first: Ty::I64,
        /// Number of the segment at hand.
        segment: Ty::I64,
        /// What the frame says of the rows that the function is called for, [`seqc_abi::frame::rows`].
        rows: Ty::GLOBAL,
        /// Table of [`seqc_abi::batch::Row`], one for each of them.
        table: Ty::GLOBAL,
        /// Number of the call's first state in a sequence's table.
        first_state: Ty::I64,
    }
}

impl Args {
    /// The team that runs the function.
    pub(super) fn team(&self) -> Team {
        Team {
            tid: self.tid,
            threads: self.threads,
        }
    }
}
