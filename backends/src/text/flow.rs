//! Calls, loops and branches.

use super::{Func, Ty, Val};

impl Func {
    /// Address of a global of this module.
    pub fn address_of(&mut self, name: &str) -> Val {
        self.op(Ty::Ptr, format_args!("llvm.mlir.addressof @{name} : !llvm.ptr"))
    }

    /// Calls a function.
    pub fn call(&mut self, name: &str, args: &[Val], result: Option<Ty>) -> Option<Val> {
        let list: Vec<String> = args.iter().map(Val::to_string).collect();
        let types: Vec<String> = args.iter().map(|a| a.ty.to_string()).collect();
        let call = format!("llvm.call @{name}({}) : ({})", list.join(", "), types.join(", "));
        match result {
            Some(ty) => Some(self.op(ty, format_args!("{call} -> {ty}"))),
            None => {
                self.line(format_args!("{call} -> ()"));
                None
            }
        }
    }

    /// Returns a value; must be the last statement of a function with a result.
    pub fn ret(&mut self, value: Val) {
        self.line(format_args!("llvm.return {value} : {}", value.ty));
    }

    /// `for i in (lo..hi).step_by(step)` with carried values; the body returns their next values.
    pub fn for_loop(
        &mut self,
        (lo, hi, step): (Val, Val, Val),
        init: &[Val],
        body: impl FnOnce(&mut Func, Val, &[Val]) -> Vec<Val>,
    ) -> Vec<Val> {
        let iv = self.fresh(Ty::I64);
        let carried: Vec<Val> = init.iter().map(|v| self.fresh(v.ty)).collect();
        let outer = std::mem::take(&mut self.body);
        self.depth += 1;
        let next = body(self, iv, &carried);
        if !next.is_empty() {
            self.yield_values(&next);
        }
        self.depth -= 1;
        let inner = std::mem::replace(&mut self.body, outer);
        let results: Vec<Val> = init.iter().map(|v| self.fresh(v.ty)).collect();
        if init.is_empty() {
            self.line(format_args!("scf.for {iv} = {lo} to {hi} step {step} : i64 {{"));
        } else {
            let args: Vec<String> = carried.iter().zip(init).map(|(c, i)| format!("{c} = {i}")).collect();
            let types: Vec<String> = init.iter().map(|v| v.ty.to_string()).collect();
            let names: Vec<String> = results.iter().map(Val::to_string).collect();
            self.line(format_args!(
                "{} = scf.for {iv} = {lo} to {hi} step {step} iter_args({}) -> ({}) : i64 {{",
                names.join(", "),
                args.join(", "),
                types.join(", ")
            ));
        }
        self.body.push_str(&inner);
        self.line(format_args!("}}"));
        results
    }

    /// `for i in lo..hi` without carried values.
    pub fn for_each(&mut self, lo: Val, hi: Val, step: i64, body: impl FnOnce(&mut Func, Val)) {
        let step = self.i64(step);
        self.for_loop((lo, hi, step), &[], |f, iv, _| {
            body(f, iv);
            Vec::new()
        });
    }

    fn yield_values(&mut self, values: &[Val]) {
        let names: Vec<String> = values.iter().map(Val::to_string).collect();
        let types: Vec<String> = values.iter().map(|v| v.ty.to_string()).collect();
        self.line(format_args!("scf.yield {} : {}", names.join(", "), types.join(", ")));
    }

    /// `if cond { then } else { otherwise }`, both giving values of the same types.
    pub fn if_else(
        &mut self,
        cond: Val,
        then: impl FnOnce(&mut Func) -> Vec<Val>,
        otherwise: impl FnOnce(&mut Func) -> Vec<Val>,
    ) -> Vec<Val> {
        let outer = std::mem::take(&mut self.body);
        self.depth += 1;
        let a = then(self);
        if !a.is_empty() {
            self.yield_values(&a);
        }
        let then_text = std::mem::take(&mut self.body);
        let b = otherwise(self);
        if !b.is_empty() {
            self.yield_values(&b);
        }
        self.depth -= 1;
        let else_text = std::mem::replace(&mut self.body, outer);
        let results: Vec<Val> = a.iter().map(|v| self.fresh(v.ty)).collect();
        if results.is_empty() {
            self.line(format_args!("scf.if {cond} {{"));
        } else {
            let names: Vec<String> = results.iter().map(Val::to_string).collect();
            let types: Vec<String> = a.iter().map(|v| v.ty.to_string()).collect();
            self.line(format_args!(
                "{} = scf.if {cond} -> ({}) {{",
                names.join(", "),
                types.join(", ")
            ));
        }
        self.body.push_str(&then_text);
        if !else_text.is_empty() {
            self.line(format_args!("}} else {{"));
            self.body.push_str(&else_text);
        }
        self.line(format_args!("}}"));
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
}
