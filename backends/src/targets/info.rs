//! What is known of a target, and of a family of them.

use super::micro_kernels::MicroKernels;
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
    /// For devices: the text of what the processor beside it has.
    pub host: Option<fn(&Module) -> String>,
    /// Whether steps choose tokens and go on with them: where starting one takes longer than the host's choice.
    pub samples: bool,
    /// The instructions that code may use.
    pub instructions: Instructions,
}

/// Instructions that code may use, in LLVM's words.
#[derive(Clone, Copy, Debug)]
pub struct Instructions {
    /// A processor that has them.
    pub processor: &'static str,
    /// Extensions beside those of the processor: `+dotprod,+fullfp16`.
    pub features: &'static str,
}

/// What the targets of a family of processors have in common.
#[derive(Clone, Copy, Debug)]
pub struct FamilyInfo {
    /// LLVM's target triple.
    pub triple: &'static str,
    /// What objects and programs are.
    pub format: Format,
    /// Processors that code can be tuned for, by LLVM's names, with their levels.
    pub processors: &'static [Processors],
}

/// Formats of objects and programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The executable and linkable format of Unix.
    Elf,
    /// Modules of WebAssembly.
    Wasm,
    /// Code of NVIDIA's virtual machine as text, inside programs for Unix.
    Ptx,
}

/// Processors of one level.
#[derive(Clone, Copy, Debug)]
pub struct Processors {
    /// Their level.
    pub level: Level,
    /// LLVM's names.
    pub names: &'static [&'static str],
}
