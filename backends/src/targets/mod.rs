//! The targets that code is generated for: for each a machine record, a table of micro-kernels and a printer.

mod info;
mod micro_kernels;
mod portable;
mod x86_64;

pub use info::TargetInfo;
pub use micro_kernels::{MicroKernels, Scaling};
pub use portable::PORTABLE;
pub use x86_64::target;

use seqc_abi::Level;
use seqc_passes::machine::Machine;

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
