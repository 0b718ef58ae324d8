//! Which instructions and functions need every member of a team.

use super::Inst;
use crate::{Axis, For, Module};
use std::collections::HashSet;

pub(super) fn is_over_team(l: &For) -> bool {
    match l.axis {
        Axis::Team => true,
        Axis::Serial => false,
    }
}

/// The functions that need every member of a team: the barrier, and those that call it or have a loop over the team.
pub(super) fn collective(module: &Module) -> HashSet<String> {
    let mut found = HashSet::from([seqc_abi::symbols::BARRIER.to_owned()]);
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
