//! Functions, loops and branches.

use super::{
    device::{self, Device},
    effects::{Accesses, Effects},
    member::{of_thread, parts},
    printer::{LANE, LANE64, Names, Printer},
    tables::Tables,
};
use crate::kernel::{Block, For, Func, If, Inst, Ty, Val};
use seqc_abi::symbols;

/// Where functions are printed.
pub(super) struct Functions<'a> {
    pub(super) out: &'a mut String,
    pub(super) device: Device,
    pub(super) effects: &'a Effects,
    pub(super) tables: &'a mut Tables,
}

impl Functions<'_> {
    /// Appends a function: its parameters in parts, and the member's stack.
    pub(super) fn print(&mut self, f: &Func) {
        let name = match f.is_exported() {
            true => device::body_of(f.name()),
            false => f.name().to_owned(),
        };
        let attributes = self.device.attributes(f.may_inline() || f.is_exported());
        let mut body = String::new();
        let mut printer = Printer::new(&mut body, self.device, self.effects, self.tables);
        let mut params = Vec::new();
        for param in f.params() {
            let names = printer.named(param);
            params.extend(names.iter().map(|name| format!("{name}: {}", of_thread(param.ty))));
        }
        params.push("%stack: !llvm.ptr".to_owned());
        printer.line(format_args!("{LANE} = llvm.call @lane() : () -> i32"));
        printer.line(format_args!("{LANE64} = llvm.zext {LANE} : i32 to i64"));
        for inst in f.instructions() {
            printer.inst(inst);
        }
        if f.result().is_none() {
            printer.line(format_args!("llvm.return"));
        }
        let result = f.result().map(results).unwrap_or_default();
        let params = params.join(", ");
        self.out.push_str(&format!(
            "llvm.func internal @{name}({params}){result}{attributes} {{\n{body}}}\n"
        ));
        if f.is_exported() {
            self.device.entry(self.out, f);
        }
    }
}

/// What a function gives.
fn results(ty: Ty) -> String {
    format!(" -> {}", result_type(ty))
}

/// The type of the result of a call: what a thread holds, several parts as one structure.
fn result_type(ty: Ty) -> String {
    match parts(ty) {
        1 => of_thread(ty).to_owned(),
        n => format!("!llvm.struct<({})>", vec![of_thread(ty); n].join(", ")),
    }
}

impl Printer<'_> {
    pub(super) fn inst(&mut self, inst: &Inst) {
        match inst {
            Inst::For(l) => self.for_loop(l),
            Inst::If(i) => self.if_else(i),
            Inst::Call { out, callee, args } => self.call(inst, *out, callee, args),
            Inst::CallPointer { callee, args } => self.call_pointer(*callee, args),
            Inst::Return(value) => self.give(*value),
            Inst::Const { .. }
            | Inst::Unary { .. }
            | Inst::Binary { .. }
            | Inst::Fma { .. }
            | Inst::Compare { .. }
            | Inst::Select { .. }
            | Inst::Cast { .. }
            | Inst::Bitcast { .. } => self.arith(inst),
            Inst::Splat { .. }
            | Inst::Extract { .. }
            | Inst::Insert { .. }
            | Inst::Shuffle { .. }
            | Inst::Reduce { .. }
            | Inst::Intrinsic { .. } => self.lanes(inst),
            Inst::Offset { .. }
            | Inst::Address { .. }
            | Inst::Stack { .. }
            | Inst::Load { .. }
            | Inst::Store { .. }
            | Inst::MaskedLoad { .. }
            | Inst::MaskedStore { .. }
            | Inst::Gather { .. }
            | Inst::Scatter { .. }
            | Inst::Prefetch { .. } => self.memory(inst),
            Inst::LoadMatrices { .. } | Inst::CopyAsync { .. } | Inst::CommitCopies | Inst::WaitCopies { .. } => {
                self.shared(inst);
            }
        }
    }

    fn block(&mut self, block: &Block) {
        self.depth += 1;
        let stack = self.stack.clone();
        for inst in &block.insts {
            self.inst(inst);
        }
        if !block.yields.is_empty() {
            let (names, types) = self.flat(&block.yields);
            self.line(format_args!("scf.yield {} : {types}", names.join(", ")));
        }
        self.stack = stack;
        self.depth -= 1;
    }

    /// The parts of values, and their types.
    fn flat(&self, values: &[Val]) -> (Names, String) {
        let names = values.iter().flat_map(|v| self.names(*v)).collect();
        let types = values.iter().flat_map(|v| vec![of_thread(v.ty); parts(v.ty)]);
        (names, types.collect::<Vec<_>>().join(", "))
    }

    fn for_loop(&mut self, l: &For) {
        let [low, high, step] = [l.low, l.high, l.step].map(|v| self.part(v, 0));
        let (init, types) = self.flat(&l.init);
        let iv = self.named(l.iv).join("");
        let head = format!("scf.for {iv} = {low} to {high} step {step}");
        // A turn follows the one before.
        self.accesses = self.accesses.or(self.effects.of_block(&l.body));
        let before = self.accesses;
        if init.is_empty() {
            self.line(format_args!("{head} : i64 {{"));
        } else {
            let carried: Names = l.carried.iter().flat_map(|v| self.named(*v)).collect();
            let pairs: Vec<String> = carried.iter().zip(&init).map(|(c, i)| format!("{c} = {i}")).collect();
            let out: Names = l.out.iter().flat_map(|v| self.named(*v)).collect();
            let (out, pairs) = (out.join(", "), pairs.join(", "));
            self.line(format_args!("{out} = {head} iter_args({pairs}) -> ({types}) : i64 {{"));
        }
        self.block(&l.body);
        self.line(format_args!("}}"));
        self.accesses = before;
    }

    fn if_else(&mut self, i: &If) {
        let cond = self.part(i.cond, 0);
        if i.out.is_empty() {
            self.line(format_args!("scf.if {cond} {{"));
        } else {
            let out: Names = i.out.iter().flat_map(|v| self.named(*v)).collect();
            let (_, types) = self.flat(&i.out);
            self.line(format_args!("{} = scf.if {cond} -> ({types}) {{", out.join(", ")));
        }
        let before = self.accesses;
        self.block(&i.then);
        let then = std::mem::replace(&mut self.accesses, before);
        if !i.otherwise.is_empty() {
            self.line(format_args!("}} else {{"));
            self.block(&i.otherwise);
        }
        self.accesses = self.accesses.or(then);
        self.line(format_args!("}}"));
    }

    fn call(&mut self, inst: &Inst, out: Option<Val>, callee: &str, args: &[Val]) {
        self.access(self.effects.of_inst(inst));
        let (mut names, mut types) = self.flat(args);
        if !self.device.has_own(callee) {
            names.push(self.stack.clone());
            types.push_str(if types.is_empty() { "!llvm.ptr" } else { ", !llvm.ptr" });
        } else if callee != symbols::BLOCK_MEMORY {
            self.accesses = Accesses::NONE;
        }
        let called = match self.effects.is_entry(callee) && !self.device.has_own(callee) {
            true => device::body_of(callee),
            false => self.device.callee(callee).to_owned(),
        };
        let text = format!("llvm.call @{called}({}) : ({types}) -> ", names.join(", "));
        let Some(out) = out else {
            return self.line(format_args!("{text}()"));
        };
        let ty = result_type(out.ty);
        let result = self.emit(format_args!("{text}{ty}"));
        match parts(out.ty) {
            1 => self.set(out, vec![result]),
            _ => self.each(out, |p, n| {
                p.emit(format_args!("llvm.extractvalue {result}[{n}] : {ty}"))
            }),
        }
    }

    fn call_pointer(&mut self, callee: Val, args: &[Val]) {
        self.access(Accesses::ALL);
        let (mut names, mut types) = self.flat(args);
        names.push(self.stack.clone());
        types.push_str(if types.is_empty() { "!llvm.ptr" } else { ", !llvm.ptr" });
        let callee = self.part(callee, 0);
        self.line(format_args!(
            "llvm.call {callee}({}) : !llvm.ptr, ({types}) -> ()",
            names.join(", ")
        ));
    }

    fn give(&mut self, value: Val) {
        let ty = result_type(value.ty);
        let names = self.names(value);
        let [only] = names.as_slice() else {
            let mut all = self.emit(format_args!("llvm.mlir.undef : {ty}"));
            for (n, name) in names.iter().enumerate() {
                all = self.emit(format_args!("llvm.insertvalue {name}, {all}[{n}] : {ty}"));
            }
            return self.line(format_args!("llvm.return {all} : {ty}"));
        };
        self.line(format_args!("llvm.return {only} : {ty}"));
    }
}
