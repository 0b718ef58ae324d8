//! The verifier: what every module must satisfy before anything reads it.
//!
//! # Laws
//! 1. A value is defined once, with the type that its users see.
//! 2. A value is used behind its definition, in the same block or in one inside it.
//! 3. A function starts with constants and stack memory of constant size, and has them nowhere else.
//! 4. Constants fit their type: one number for each lane, integers in range, bits of `f32` for `f32` alone.
//! 5. Arithmetic is on one type, which has the operation: floats or integers.
//! 6. A comparison gives a boolean for each lane; a condition is one boolean, or one for each lane.
//! 7. Conversions keep the lanes and go from narrow to wide, or back, as they say; the same bits have the same size.
//! 8. Lanes that are named exist; vectors of lanes agree with their scalars; intrinsics have the operands that they take.
//! 9. Addresses are pointers, indices and counts integers; alignment is a power of two, at most the scalar's size; truth
//!    values are not in memory.
//! 10. A mask has a boolean for each lane of the masked value; the value for masked lanes has the same type.
//! 11. Loops count in 64-bit integers; what they carry has one type before, inside and after the body, which gives it on.
//! 12. Both branches give values of the types that the branch has, or pointers where it has a generic one.
//! 13. Calls name a function of the module and agree with its parameters and its result: arguments have the types of the
//!     parameters, spaces included, and any pointer may be passed where a generic one is asked for.
//! 14. Addresses name a constant of the module.
//! 15. A function with a result ends with a return of its type, and nothing else returns.
//! 16. Names of functions and of constants do not repeat.
//! 17. A loop over the team carries no values. Inside of it is nothing that needs every member, since members have different
//!     numbers of iterations: no barrier, no other loop over the team, no call of a function that has one of them. A loop over blocks is one
//!     over the team in which members of a block meet.
//! 18. Pointers say where they point: constants of the module are in constant memory, the stack is private, and an offset keeps
//!     the space of its base.
//! 19. Nothing is stored in constant memory. A pointer to memory of one member or block, private, scratch or shared, is stored in private
//!     memory alone.
//! 20. An access through an offset is of the elements that the offset counts: of that scalar, or vectors of it. Behind an offset
//!     in bytes it may be of any type, and a slot of 64 bits holds one number or one pointer.
//! 21. Matrices are loaded from, and copies go to, the memory of a block: through a pointer for each row or copy. A copy is of 4 or 16 bytes.

mod checker;
mod collective;
mod pointers;
mod team;
mod types;

use super::{Block, Global, Inst, Item, Module, Val, text};
pub use checker::Violation;
use checker::{Checker, Names};
use collective::{Collective, is_over_team};
use std::collections::{HashMap, HashSet};

/// All violations of a module, none when it is well formed.
pub fn verify(module: &Module) -> Vec<Violation> {
    let mut violations = Vec::new();
    let names = Names::new(module, &mut violations);
    for func in module.functions() {
        let mut checker = Checker {
            func,
            names: &names,
            defined: HashSet::new(),
            scope: HashMap::new(),
            inner: Vec::new(),
            elements: HashMap::new(),
            at_start: true,
            divided: None,
            violations: Vec::new(),
        };
        checker.function();
        violations.extend(checker.violations);
    }
    violations
}

impl Names {
    /// Law 16.
    fn new(module: &Module, violations: &mut Vec<Violation>) -> Names {
        let (mut functions, mut constants) = (HashMap::new(), HashSet::new());
        let mut again = |name: &str| {
            violations.push(Violation {
                law: 16,
                name: name.to_owned(),
                message: "another one has this name".to_owned(),
                inst: None,
            });
        };
        for global in &module.globals {
            let name = match global {
                Global::Bytes { name, .. }
                | Global::Elsewhere { name, .. }
                | Global::Number { name, .. }
                | Global::Table { name, .. } => name.as_str(),
                Global::Code(_) => seqc_abi::symbols::CODE,
            };
            if !constants.insert(name.to_owned()) {
                again(name);
            }
        }
        for item in &module.items {
            let signature = match item {
                Item::Declared(signature) => signature.clone(),
                Item::Defined(func) => func.signature(),
            };
            let name = signature.name.clone();
            if constants.contains(&name) || functions.insert(name.clone(), signature).is_some() {
                again(&name);
            }
        }
        Names {
            functions,
            constants,
            collective: Collective::new(module),
        }
    }
}

impl Checker<'_> {
    fn report(&mut self, law: u8, inst: Option<&Inst>, message: String) {
        self.violations.push(Violation {
            law,
            name: self.func.name.clone(),
            message,
            inst: inst.map(|inst| text::line(self.func, inst)),
        });
    }

    fn function(&mut self) {
        let func = self.func;
        func.params.iter().for_each(|v| self.define(*v, None));
        for inst in &func.entry {
            let constant = match inst {
                Inst::Const { .. } => true,
                Inst::Stack { count, .. } => self.scope.contains_key(&count.id),
                _ => false,
            };
            if !constant {
                self.report(3, Some(inst), "is no constant".to_owned());
            }
            self.inst(inst);
        }
        self.at_start = false;
        for inst in func.head.iter().chain(&func.body) {
            self.inst(inst);
        }
        self.returns();
    }

    /// Law 15.
    fn returns(&mut self) {
        let func = self.func;
        let last = match func.body.last() {
            Some(Inst::Return(value)) => Some(value.ty),
            _ => None,
        };
        if last != func.result {
            let message = match func.result {
                Some(ty) => format!("does not end with a return of {ty}"),
                None => "returns a value".to_owned(),
            };
            self.report(15, None, message);
        }
        let end = func.body.len() - usize::from(last.is_some());
        for inst in func.head.iter().chain(&func.body[..end]) {
            self.no_return(inst);
        }
    }

    fn no_return(&mut self, inst: &Inst) {
        match inst {
            Inst::Return(_) => self.report(15, Some(inst), "is not at the end".to_owned()),
            Inst::For(l) => l.body.insts.iter().for_each(|inst| self.no_return(inst)),
            Inst::If(i) => {
                let both = i.then.insts.iter().chain(&i.otherwise.insts);
                both.for_each(|inst| self.no_return(inst));
            }
            _ => {}
        }
    }

    /// Law 1.
    fn define(&mut self, v: Val, inst: Option<&Inst>) {
        if !self.defined.insert(v.id) {
            self.report(1, inst, format!("{v} is defined twice"));
        }
        self.scope.insert(v.id, v.ty);
        self.inner.push(v.id);
    }

    /// Laws 1 and 2.
    fn used(&mut self, v: Val, inst: &Inst) {
        match self.scope.get(&v.id) {
            None => self.report(2, Some(inst), format!("{v} is not there")),
            Some(ty) if *ty != v.ty => self.report(1, Some(inst), format!("{v} is {ty}, not {}", v.ty)),
            Some(_) => {}
        }
    }

    fn inst(&mut self, inst: &Inst) {
        inst.operands().into_iter().for_each(|v| self.used(v, inst));
        self.team_law(inst);
        self.pointer_laws(inst);
        match inst {
            Inst::For(l) => {
                self.loop_types(inst, l);
                let outer = self.divided;
                if is_over_team(l) {
                    self.divided = Some(l.axis);
                }
                self.block(&l.body, &[&[l.iv], &l.carried[..]].concat(), inst);
                self.divided = outer;
            }
            Inst::If(i) => {
                self.branch_types(inst, i);
                self.block(&i.then, &[], inst);
                self.block(&i.otherwise, &[], inst);
            }
            Inst::Const { .. } => {
                if !self.at_start {
                    self.report(3, Some(inst), "stands behind the start of the function".to_owned());
                }
                self.types(inst);
            }
            _ => self.types(inst),
        }
        inst.results().iter().for_each(|v| self.define(*v, Some(inst)));
    }

    /// What a block defines ends with it.
    fn block(&mut self, block: &Block, values: &[Val], of: &Inst) {
        let outer = self.inner.len();
        values.iter().for_each(|v| self.define(*v, Some(of)));
        block.insts.iter().for_each(|inst| self.inst(inst));
        block.yields.iter().for_each(|v| self.used(*v, of));
        for id in self.inner.drain(outer..) {
            self.scope.remove(&id);
        }
    }
}
