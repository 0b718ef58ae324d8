//! The targets that code is generated for: for each a machine record, a table of micro-kernels and a printer.

mod micro_kernels;
mod portable;
mod x86_64;

pub use micro_kernels::MicroKernels;
pub use portable::PORTABLE;
pub use x86_64::target;

use crate::kernel::Module;
use seqc_abi::Level;
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

impl TargetInfo {
    /// All targets.
    pub const ALL: [TargetInfo; 3] = [PORTABLE, x86_64::V3, x86_64::V4];

    /// The target of a plan's machine: micro-kernels and printer are those of the target of that name, portable ones where there
    /// is none.
    pub fn of(machine: &Machine) -> TargetInfo {
        let known = TargetInfo::ALL.into_iter().find(|t| t.machine.name == machine.name);
        TargetInfo {
            machine: *machine,
            ..known.unwrap_or(PORTABLE)
        }
    }
}

/// The machine record of a level.
pub fn machine(level: Level) -> &'static Machine {
    &target(level).machine
}
