//! What code is generated for: a level of processors, and the one it is tuned for.

use crate::targets::{self, TargetInfo};
use seqc_abi::{Family, Level};
use seqc_passes::machine::Machine;

/// Processors that understand one level of a family.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The instructions that code may use.
    pub level: Level,
    /// The processor, by LLVM's name, that instructions are chosen and ordered for; any of the level runs them.
    pub tune: Option<String>,
}

impl Target {
    /// Any processor of a level.
    pub fn of(level: Level) -> Target {
        Target { level, tune: None }
    }

    /// The family of processors.
    pub fn family(&self) -> Family {
        self.level.family()
    }

    /// LLVM's target triple.
    pub fn triple(&self) -> &'static str {
        targets::family(self.family()).triple
    }

    /// Its name for people: the level, and the processor it is tuned for.
    pub fn name(&self) -> String {
        match &self.tune {
            None => self.level.name().to_owned(),
            Some(cpu) => format!("{} tuned for {cpu}", self.level.name()),
        }
    }

    /// What is known of it.
    pub fn info(&self) -> &'static TargetInfo {
        targets::target(self.level)
    }

    /// What decisions for it depend on.
    pub fn machine(&self) -> &'static Machine {
        &self.info().machine
    }

    /// `f32` lanes of a vector.
    pub fn width(&self) -> u32 {
        self.machine().lanes
    }
}
