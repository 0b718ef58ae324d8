//! The arguments of a layer function.

use crate::{
    kernel::{Team, Ty},
    parameters::parameters,
};

parameters! {
    /// Arguments of a layer function, in order. Pointers to tables of pointers are those of the current call.
    struct Args {
        /// Table of the call's parameters.
        params: Ty::GLOBAL,
        /// The call's part of the arena of load-time constants.
        constants: Ty::GLOBAL,
        /// Table of the call's states in the current sequence; in a function of many rows only where it runs segment by segment.
        states: Ty::GLOBAL,
        /// Table of the call's argument streams, then of its results: on the stack of the step, or none where weights are loaded.
        streams: Ty::GENERIC,
        /// Activations of the layer.
        arena: Ty::GLOBAL,
        /// Scratch of all threads.
        scratch: Ty::SCRATCH,
        /// The argument of `seqc_barrier`.
        barrier: Ty::GLOBAL,
        /// Position in the current sequence less the row number: row `t` has this plus `t`.
        position: Ty::I64,
        /// Number of rows: of the current segment, or of all.
        count: Ty::I64,
        /// Number of this thread.
        tid: Ty::I64,
        /// Number of threads.
        threads: Ty::I64,
        /// A bit for each of the layer's readers that reads another call's cache here.
        shared: Ty::I64,
        /// The first row.
        first: Ty::I64,
        /// Number of the current segment.
        segment: Ty::I64,
        /// Slots of the frame for the rows that the function is called for, [`seqc_abi::frame::rows`].
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
