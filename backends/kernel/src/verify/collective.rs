//! Which instructions and functions need every member of a team.

use super::Inst;
use crate::{Axis, For, Module};
use seqc_abi::symbols;
use std::collections::HashSet;

/// Whose iterations a loop divides, if it does.
pub(super) fn is_over_team(l: &For) -> bool {
    match l.axis {
        Axis::Team | Axis::Blocks => true,
        Axis::Serial => false,
    }
}

/// Functions that need several members at once.
pub(super) struct Collective {
    /// Those that need every member of a team.
    pub(super) of_team: HashSet<String>,
    /// Those that need every member of a block, or of the team.
    pub(super) of_block: HashSet<String>,
}

impl Collective {
    pub(super) fn new(module: &Module) -> Collective {
        Collective {
            of_team: collective(module, &[symbols::BARRIER]),
            of_block: collective(module, &[symbols::BARRIER, symbols::BLOCK_BARRIER]),
        }
    }
}

/// These barriers, and the functions that call them or have a loop over the team.
fn collective(module: &Module, barriers: &[&str]) -> HashSet<String> {
    let mut found: HashSet<String> = barriers.iter().map(|name| (*name).to_owned()).collect();
    loop {
        let more: Vec<String> = module
            .functions()
            .filter(|f| !found.contains(f.name()) && f.instructions().any(|inst| has_collective(inst, &found)))
            .map(|f| f.name().to_owned())
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// Whether an instruction is a loop over the team or calls one of these functions.
pub(super) fn is_collective(inst: &Inst, functions: &HashSet<String>) -> bool {
    match inst {
        Inst::Call { callee, .. } => functions.contains(callee),
        Inst::For(l) => is_over_team(l),
        _ => false,
    }
}

/// The same of an instruction, or of one inside of it.
pub(super) fn has_collective(inst: &Inst, functions: &HashSet<String>) -> bool {
    let any = |insts: &[Inst]| insts.iter().any(|inst| has_collective(inst, functions));
    is_collective(inst, functions)
        || match inst {
            Inst::For(l) => any(&l.body.insts),
            Inst::If(i) => any(&i.then.insts) || any(&i.otherwise.insts),
            _ => false,
        }
}
