//! Functions, loops and branches as MLIR text.

use super::{
    inst,
    reals::Reals,
    types::{List, Type},
};
use crate::kernel::{Axis, Block, For, Func, If, Inst, Val};
use std::fmt::{self, Write as _};

/// Appends a function.
pub(super) fn print(out: &mut String, f: &Func, reals: Reals) {
    let linkage = if f.is_exported() { "" } else { "internal " };
    let params = List(f.params().into_iter().map(Typed));
    let _ = write!(out, "llvm.func {linkage}@{}({params})", f.name());
    if let Some(ty) = f.result() {
        let _ = write!(out, " -> {}", Type(ty));
    }
    if !f.is_exported() && !f.may_inline() {
        out.push_str(" attributes {passthrough = [\"noinline\"]}");
    }
    out.push_str(" {\n");
    let mut printer = Printer { out, depth: 1, reals };
    for inst in f.instructions() {
        printer.inst(inst);
    }
    if f.result().is_none() {
        printer.line(format_args!("llvm.return"));
    }
    out.push_str("}\n");
}

struct Typed(Val);

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, Type(self.0.ty))
    }
}

struct Printer<'a> {
    out: &'a mut String,
    depth: usize,
    reals: Reals,
}

impl Printer<'_> {
    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        self.indent();
        let _ = self.out.write_fmt(text);
        self.out.push('\n');
    }

    fn inst(&mut self, inst: &Inst) {
        match inst {
            Inst::For(l) => self.for_loop(l),
            Inst::If(i) => self.if_else(i),
            _ => {
                self.indent();
                let _ = inst::print(self.out, inst, self.reals);
                self.out.push('\n');
            }
        }
    }

    fn block(&mut self, block: &Block) {
        self.depth += 1;
        for inst in &block.insts {
            self.inst(inst);
        }
        if !block.yields.is_empty() {
            let (names, types) = (List(block.yields.iter()), types(&block.yields));
            self.line(format_args!("scf.yield {names} : {types}"));
        }
        self.depth -= 1;
    }

    fn for_loop(&mut self, l: &For) {
        let (iv, low, high, step) = (l.iv, l.low, l.high, l.step);
        let name = match l.axis {
            // Each thread runs its own part of a loop over the team: the bounds are those of the part.
            Axis::Serial | Axis::Team | Axis::Blocks => "scf.for",
        };
        if l.init.is_empty() {
            self.line(format_args!("{name} {iv} = {low} to {high} step {step} : i64 {{"));
        } else {
            let names = List(l.out.iter());
            let args = List(l.carried.iter().zip(&l.init).map(|(c, i)| format!("{c} = {i}")));
            self.line(format_args!(
                "{names} = {name} {iv} = {low} to {high} step {step} iter_args({args}) -> ({}) : i64 {{",
                types(&l.init)
            ));
        }
        self.block(&l.body);
        self.line(format_args!("}}"));
    }

    fn if_else(&mut self, i: &If) {
        let cond = i.cond;
        if i.out.is_empty() {
            self.line(format_args!("scf.if {cond} {{"));
        } else {
            let (names, types) = (List(i.out.iter()), types(&i.out));
            self.line(format_args!("{names} = scf.if {cond} -> ({types}) {{"));
        }
        self.block(&i.then);
        if !i.otherwise.is_empty() {
            self.line(format_args!("}} else {{"));
            self.block(&i.otherwise);
        }
        self.line(format_args!("}}"));
    }
}

fn types(values: &[Val]) -> impl fmt::Display {
    List(values.iter().map(|v| Type(v.ty)))
}
