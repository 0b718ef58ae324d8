//! Calls, loops and branches.

use super::{Axis, Block, For, Func, If, Inst, Ty, Val};
use std::ops::Range;

impl Func {
    /// Calls a function.
    pub fn call(&mut self, name: &str, args: &[Val], result: Option<Ty>) -> Option<Val> {
        let out = result.map(|ty| self.fresh(ty));
        let (callee, args) = (name.to_owned(), args.to_vec());
        self.push(Inst::Call { out, callee, args });
        out
    }

    /// Calls what a pointer points to.
    pub fn call_pointer(&mut self, callee: Val, args: &[Val]) {
        let args = args.to_vec();
        self.push(Inst::CallPointer { callee, args });
    }

    /// Returns a value; must be the last statement of a function with a result.
    pub fn ret(&mut self, value: Val) {
        self.push(Inst::Return(value));
    }

    /// `for i in indices.step_by(step)` with carried values, one iteration after another; the body returns their next values.
    pub fn for_loop(
        &mut self,
        indices: Range<Val>,
        step: Val,
        init: &[Val],
        body: impl FnOnce(&mut Func, Val, &[Val]) -> Vec<Val>,
    ) -> Vec<Val> {
        self.loop_over(Axis::Serial, indices, step, init, body)
    }

    /// The same over any axis.
    pub(super) fn loop_over(
        &mut self,
        axis: Axis,
        indices: Range<Val>,
        step: Val,
        init: &[Val],
        body: impl FnOnce(&mut Func, Val, &[Val]) -> Vec<Val>,
    ) -> Vec<Val> {
        let iv = self.fresh(Ty::I64);
        let carried: Vec<Val> = init.iter().map(|v| self.fresh(v.ty)).collect();
        let body = self.block(|f| body(f, iv, &carried));
        let out: Vec<Val> = init.iter().map(|v| self.fresh(v.ty)).collect();
        let results = out.clone();
        let init = init.to_vec();
        self.push(Inst::For(Box::new(For {
            axis,
            iv,
            low: indices.start,
            high: indices.end,
            step,
            init,
            carried,
            body,
            out,
        })));
        results
    }

    /// `for i in low..high` without carried values.
    pub fn for_each(&mut self, low: Val, high: Val, step: i64, body: impl FnOnce(&mut Func, Val)) {
        let step = self.i64(step);
        self.for_loop(low..high, step, &[], |f, iv, _| {
            body(f, iv);
            Vec::new()
        });
    }

    /// `if cond { then } else { otherwise }`, both giving values of the same types, or pointers into different spaces.
    pub fn if_else(
        &mut self,
        cond: Val,
        then: impl FnOnce(&mut Func) -> Vec<Val>,
        otherwise: impl FnOnce(&mut Func) -> Vec<Val>,
    ) -> Vec<Val> {
        let then = self.block(then);
        let otherwise = self.block(otherwise);
        let types = then
            .yields
            .iter()
            .zip(&otherwise.yields)
            .map(|(a, b)| a.ty.joined(b.ty));
        let out: Vec<Val> = types.map(|ty| self.fresh(ty)).collect();
        let results = out.clone();
        self.push(Inst::If(Box::new(If {
            cond,
            then,
            otherwise,
            out,
        })));
        results
    }

    /// `if cond { then }`.
    pub fn if_then(&mut self, cond: Val, then: impl FnOnce(&mut Func)) {
        self.if_else(
            cond,
            |f| {
                then(f);
                Vec::new()
            },
            |_| Vec::new(),
        );
    }

    /// What `write` writes, as a block that ends with the values it returns.
    fn block(&mut self, write: impl FnOnce(&mut Func) -> Vec<Val>) -> Block {
        let outer = std::mem::take(&mut self.body);
        let yields = write(self);
        let insts = std::mem::replace(&mut self.body, outer);
        Block { insts, yields }
    }
}
