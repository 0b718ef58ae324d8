//! What functions and blocks do to memory, and what follows for threads that share it: between a store and the loads of other threads they meet.

use crate::kernel::{Block, Func, Inst, Module};
use std::collections::{HashMap, HashSet};

/// Accesses to memory since threads met last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accesses {
    /// Something was loaded that a store must not overtake.
    pub(super) loads: bool,
    /// Something was stored that other threads may load.
    pub(super) stores: bool,
}

impl Accesses {
    pub(super) const NONE: Accesses = Accesses {
        loads: false,
        stores: false,
    };
    pub(super) const ALL: Accesses = Accesses {
        loads: true,
        stores: true,
    };

    /// What either has.
    pub(super) fn or(self, other: Accesses) -> Accesses {
        Accesses {
            loads: self.loads || other.loads,
            stores: self.stores || other.stores,
        }
    }

    /// Whether threads must meet before these accesses, behind those. Stores do behind stores, too: which thread writes an entry is another
    /// matter for each.
    pub(super) fn conflict(self, before: Accesses) -> bool {
        self.loads && before.stores || self.stores && (before.loads || before.stores)
    }
}

/// Accesses of the functions of a module, by name.
pub(super) struct Effects {
    accesses: HashMap<String, Accesses>,
    exported: HashSet<String>,
}

impl Effects {
    /// Functions call only those above them or themselves declared; repeated until nothing changes.
    pub(super) fn of(module: &Module) -> Effects {
        let exported = module.functions().filter(|f| f.is_exported());
        let mut effects = Effects {
            accesses: module
                .functions()
                .map(|f| (f.name().to_owned(), Accesses::NONE))
                .collect(),
            exported: exported.map(|f| f.name().to_owned()).collect(),
        };
        loop {
            let mut changed = false;
            for f in module.functions() {
                let found = effects.of_function(f);
                changed |= effects.accesses.insert(f.name().to_owned(), found) != Some(found);
            }
            if !changed {
                return effects;
            }
        }
    }

    /// Whether a function is an entry.
    pub(super) fn is_entry(&self, name: &str) -> bool {
        self.exported.contains(name)
    }

    fn of_function(&self, f: &Func) -> Accesses {
        f.instructions()
            .fold(Accesses::NONE, |all, inst| all.or(self.of_inst(inst)))
    }

    /// Of a block, with all that is inside.
    pub(super) fn of_block(&self, block: &Block) -> Accesses {
        block
            .insts
            .iter()
            .fold(Accesses::NONE, |all, inst| all.or(self.of_inst(inst)))
    }

    /// Of an instruction, with its blocks and the function that it calls.
    pub(super) fn of_inst(&self, inst: &Inst) -> Accesses {
        match inst {
            Inst::Load { .. } | Inst::MaskedLoad { .. } | Inst::Gather { .. } => Accesses {
                loads: true,
                stores: false,
            },
            Inst::Store { .. } | Inst::MaskedStore { .. } | Inst::Scatter { .. } => Accesses {
                loads: false,
                stores: true,
            },
            Inst::LoadMatrices { .. } => Accesses {
                loads: true,
                stores: false,
            },
            // Copies begin behind what threads did before; that they have arrived is a meeting of its own.
            Inst::CopyAsync { .. } => Accesses::ALL,
            Inst::WaitCopies { .. } => Accesses::NONE,
            // A barrier: all threads meet in it.
            Inst::Call { callee, .. } => self.accesses.get(callee).copied().unwrap_or(Accesses::NONE),
            Inst::CallPointer { .. } => Accesses::ALL,
            Inst::For(l) => self.of_block(&l.body),
            Inst::If(i) => self.of_block(&i.then).or(self.of_block(&i.otherwise)),
            Inst::Const { .. }
            | Inst::Unary { .. }
            | Inst::Binary { .. }
            | Inst::Fma { .. }
            | Inst::Compare { .. }
            | Inst::Select { .. }
            | Inst::Cast { .. }
            | Inst::Bitcast { .. }
            | Inst::Splat { .. }
            | Inst::Extract { .. }
            | Inst::Insert { .. }
            | Inst::Shuffle { .. }
            | Inst::Reduce { .. }
            | Inst::Intrinsic { .. }
            | Inst::Offset { .. }
            | Inst::Address { .. }
            | Inst::Stack { .. }
            | Inst::CommitCopies
            | Inst::Prefetch { .. }
            | Inst::Return(_) => Accesses::NONE,
        }
    }
}
