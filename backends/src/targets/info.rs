//! What is known of a target.

use super::micro_kernels::MicroKernels;
use crate::kernel::Module;
use seqc_passes::machine::Machine;

/// What is known of a target.
#[derive(Clone, Copy)]
pub struct TargetInfo {
    /// The processor, as far as plans, schedules and kernels depend on it.
    pub machine: Machine,
    /// How it computes the smallest parts of kernels.
    pub micro_kernels: MicroKernels,
    /// The text of a module that its compiler reads.
    pub print: fn(&Module) -> String,
}
