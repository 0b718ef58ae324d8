//! A function: its parameters, constants and instructions.

use super::{Const, Inst, Scalar, Signature, Ty, Val};
use std::collections::HashMap;

/// A function and its insertion point.
pub struct Func {
    pub(crate) name: String,
    pub(crate) params: Vec<Val>,
    pub(crate) result: Option<Ty>,
    consts: HashMap<(Ty, Const), Val>,
    /// Constants and memory on the stack, in the order in which they were asked for first.
    pub(crate) entry: Vec<Inst>,
    /// Instructions after the constants, before all others.
    pub(crate) head: Vec<Inst>,
    pub(crate) body: Vec<Inst>,
    next: u32,
    export: bool,
    inline: bool,
}

impl Func {
    /// A function that only this module sees and that is never inlined.
    pub fn new(name: impl Into<String>, params: &[Ty], result: Option<Ty>) -> Func {
        let vals: Vec<Val> = params
            .iter()
            .enumerate()
            .map(|(i, ty)| Val { id: i as u32, ty: *ty })
            .collect();
        Func {
            name: name.into(),
            next: vals.len() as u32,
            params: vals,
            result,
            consts: HashMap::new(),
            entry: Vec::new(),
            head: Vec::new(),
            body: Vec::new(),
            export: false,
            inline: false,
        }
    }

    /// The same, exported under its name.
    pub fn exported(name: impl Into<String>, params: &[Ty]) -> Func {
        Func {
            export: true,
            ..Func::new(name, params, None)
        }
    }

    /// Lets LLVM inline the function into its callers.
    pub fn allow_inline(mut self) -> Func {
        self.inline = true;
        self
    }

    /// Its symbol.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of its result.
    pub fn result(&self) -> Option<Ty> {
        self.result
    }

    /// Whether other modules see it.
    pub fn is_exported(&self) -> bool {
        self.export
    }

    /// Whether it may be inlined into its callers.
    pub fn may_inline(&self) -> bool {
        self.inline
    }

    /// Its instructions: first constants and stack memory, then what is computed at the start, then all others.
    pub fn instructions(&self) -> impl Iterator<Item = &Inst> {
        self.entry.iter().chain(&self.head).chain(&self.body)
    }

    /// Its name and types.
    pub fn signature(&self) -> Signature {
        Signature {
            name: self.name.clone(),
            params: self.params.iter().map(|v| v.ty).collect(),
            result: self.result,
        }
    }

    /// The parameter values.
    pub fn params(&self) -> Vec<Val> {
        self.params.clone()
    }

    /// Parameter `n`.
    pub fn param(&self, n: usize) -> Val {
        self.params[n]
    }

    pub(super) fn fresh(&mut self, ty: Ty) -> Val {
        let id = self.next;
        self.next += 1;
        Val { id, ty }
    }

    /// Writes an instruction as it is.
    pub fn push(&mut self, inst: Inst) {
        self.body.push(inst);
    }

    /// Writes an instruction that defines a value.
    pub(super) fn define(&mut self, ty: Ty, inst: impl FnOnce(Val) -> Inst) -> Val {
        let out = self.fresh(ty);
        self.body.push(inst(out));
        out
    }

    /// The same among the constants.
    pub(super) fn define_in_entry(&mut self, ty: Ty, inst: impl FnOnce(Val) -> Inst) -> Val {
        let out = self.fresh(ty);
        self.entry.push(inst(out));
        out
    }

    /// A value that is computed at the start of the function, from its parameters and constants alone: it is there everywhere.
    pub fn at_start(&mut self, make: impl FnOnce(&mut Func) -> Val) -> Val {
        let body = std::mem::take(&mut self.body);
        let val = make(self);
        let made = std::mem::replace(&mut self.body, body);
        self.head.extend(made);
        val
    }

    fn constant(&mut self, ty: Ty, value: Const) -> Val {
        let key = (ty, value);
        if let Some(v) = self.consts.get(&key) {
            return *v;
        }
        let value = key.1.clone();
        let v = self.define_in_entry(ty, |out| Inst::Const { out, value });
        self.consts.insert(key, v);
        v
    }

    /// 64-bit integer constant.
    pub fn i64(&mut self, value: i64) -> Val {
        self.constant(Ty::I64, Const::Int(value))
    }

    /// 32-bit float constant.
    pub fn f32(&mut self, value: f32) -> Val {
        self.float(Ty::F32, value)
    }

    /// Truth value constant.
    pub fn i1(&mut self, value: bool) -> Val {
        self.constant(Ty::I1, Const::Int(i64::from(value)))
    }

    /// Float constant of a scalar or vector type of `F32`.
    pub fn float(&mut self, ty: Ty, value: f32) -> Val {
        self.constant(ty, Const::Float(value.to_bits()))
    }

    /// Integer constant of a scalar or vector type.
    pub fn int(&mut self, ty: Ty, value: i64) -> Val {
        let truth = ty.scalar() == Scalar::I1;
        let value = if truth { i64::from(value != 0) } else { value };
        self.constant(ty, Const::Int(value))
    }

    /// Zero of any scalar or vector type.
    pub fn zero(&mut self, ty: Ty) -> Val {
        match ty.scalar() {
            Scalar::F32 => self.float(ty, 0.0),
            s if s.is_float() => self.constant(ty, Const::Zero),
            _ => self.int(ty, 0),
        }
    }

    /// Vector constant with one value per lane.
    pub fn lanes(&mut self, scalar: Scalar, values: &[i64]) -> Val {
        let ty = Ty::V(values.len() as u32, scalar);
        self.constant(ty, Const::Ints(values.to_vec()))
    }

    /// Vector constant of floats with one value per lane.
    pub fn float_lanes(&mut self, values: &[f32]) -> Val {
        let ty = Ty::V(values.len() as u32, Scalar::F32);
        let bits = values.iter().map(|v| v.to_bits()).collect();
        self.constant(ty, Const::Floats(bits))
    }

    /// `0, 1, 2, …` as a vector of 64-bit integers.
    pub fn iota(&mut self, n: u32) -> Val {
        let values: Vec<i64> = (0..n as i64).collect();
        self.lanes(Scalar::I64, &values)
    }
}
