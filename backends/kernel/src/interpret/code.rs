//! The layout of a function's frame, prepared before it runs: the place of each value, and the constants.

use super::{Memory, scalar};
use crate::{Block, Const, Func, Global, Inst, Module, Space, Ty, Val};
use std::collections::HashMap;

/// A function and its frame: one 64-bit word for each lane of each value.
pub(super) struct Code<'m> {
    pub(super) func: &'m Func,
    /// First word by the value's number.
    places: Vec<usize>,
    /// A frame with the constants alone.
    pub(super) frame: Vec<u64>,
}

impl<'m> Code<'m> {
    pub(super) fn new(func: &'m Func) -> Code<'m> {
        let mut code = Code {
            func,
            places: Vec::new(),
            frame: Vec::new(),
        };
        code.values(&func.params);
        for inst in func.instructions() {
            code.inst(inst);
        }
        code
    }

    /// First word of a value.
    pub(super) fn place(&self, v: Val) -> usize {
        self.places[v.id as usize]
    }

    fn values(&mut self, values: &[Val]) {
        for v in values {
            let n = v.id as usize;
            if self.places.len() <= n {
                self.places.resize(n + 1, 0);
            }
            self.places[n] = self.frame.len();
            self.frame.resize(self.frame.len() + v.ty.lanes() as usize, 0);
        }
    }

    fn block(&mut self, block: &Block) {
        block.insts.iter().for_each(|inst| self.inst(inst));
    }

    fn inst(&mut self, inst: &Inst) {
        self.values(inst.results());
        match inst {
            Inst::Const { out, value } => {
                let place = self.place(*out);
                let words = words(out.ty, value);
                self.frame[place..place + words.len()].copy_from_slice(&words);
            }
            Inst::For(l) => {
                self.values(&[l.iv]);
                self.values(&l.carried);
                self.block(&l.body);
            }
            Inst::If(i) => {
                self.block(&i.then);
                self.block(&i.otherwise);
            }
            _ => {}
        }
    }
}

/// A constant, lane by lane.
fn words(ty: Ty, value: &Const) -> Vec<u64> {
    let (lanes, scalar) = (ty.lanes() as usize, ty.scalar());
    let integer = |n: &i64| scalar::low_bits(scalar, *n as u64);
    match value {
        Const::Int(n) => vec![integer(n); lanes],
        Const::Float(bits) => vec![u64::from(*bits); lanes],
        Const::Zero => vec![0; lanes],
        Const::Ints(list) => list.iter().map(integer).collect(),
        Const::Floats(list) => list.iter().map(|bits| u64::from(*bits)).collect(),
    }
}

/// Puts the constants of a module into memory.
pub(super) fn globals(module: &Module, memory: &mut Memory) -> HashMap<String, u64> {
    let mut places = HashMap::new();
    for global in module.globals() {
        let (name, bytes) = match global {
            Global::Bytes { name, bytes, .. } => (name, bytes.clone()),
            Global::Number { name, value } => (name, value.to_le_bytes().to_vec()),
            Global::Table { name, values } => (name, values.iter().flat_map(|n| n.to_le_bytes()).collect()),
            // Nothing reads what other modules have, nor the table of codes.
            Global::Elsewhere { .. } | Global::Code(_) => continue,
        };
        places.insert(name.clone(), memory.allocate_in(Space::Constant, name, bytes));
    }
    places
}

/// Bytes of one lane in memory.
pub(super) fn bytes_of(ty: Ty) -> usize {
    match ty {
        Ty::Ptr(_) | Ty::PtrV(..) => 8,
        _ => ty.scalar().bytes() as usize,
    }
}
