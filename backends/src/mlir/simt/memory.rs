//! Loads, stores and addresses: every thread reads and writes its own lanes, and a scalar is read by all and written by all.

use super::{
    effects::Accesses,
    member::{of_thread, parts, scalar},
    printer::Printer,
};
use crate::kernel::{Inst, Scalar, Ty, Val};

/// What memory of the stack begins on.
const ALIGNED: i64 = 64;

impl Printer<'_> {
    pub(super) fn memory(&mut self, inst: &Inst) {
        let accesses: Accesses = self.effects.of_inst(inst);
        self.access(accesses);
        match inst {
            Inst::Offset { out, base, index, elem } => {
                let (from, elem) = (of_thread(index.ty), scalar(*elem));
                self.each(*out, |p, n| {
                    let [base, index] = [*base, *index].map(|v| p.part(v, n));
                    p.emit(format_args!(
                        "llvm.getelementptr {base}[{index}] : (!llvm.ptr, {from}) -> !llvm.ptr, {elem}"
                    ))
                });
            }
            Inst::Address { out, global } => {
                let name = self.emit(format_args!("llvm.mlir.addressof @{global} : !llvm.ptr"));
                self.set(*out, vec![name]);
            }
            Inst::Stack { out, count, elem } => self.take(*out, *count, *elem),
            Inst::Load {
                out,
                ptr,
                align,
                volatile,
            } => {
                let (volatile, ty) = (if *volatile { "volatile " } else { "" }, of_thread(out.ty));
                let align = alignment(*align, out.ty);
                self.each(*out, |p, n| {
                    let at = p.own(*ptr, out.ty, n);
                    p.emit(format_args!(
                        "llvm.load {volatile}{at} {{alignment = {align} : i64}} : !llvm.ptr -> {ty}"
                    ))
                });
            }
            Inst::Store { value, ptr, align } => {
                for n in 0..parts(value.ty) {
                    let at = self.own(*ptr, value.ty, n);
                    self.store(*value, n, &at, alignment(*align, value.ty));
                }
            }
            Inst::MaskedLoad {
                out,
                ptr,
                mask,
                otherwise,
            } => self.each(*out, |p, n| {
                let at = p.own(*ptr, out.ty, n);
                p.load_if(*mask, &at, *otherwise, n)
            }),
            Inst::Gather {
                out,
                ptrs,
                mask,
                otherwise,
            } => self.each(*out, |p, n| {
                let at = p.part(*ptrs, n);
                p.load_if(*mask, &at, *otherwise, n)
            }),
            Inst::MaskedStore { value, ptr, mask } => {
                for n in 0..parts(value.ty) {
                    let at = self.own(*ptr, value.ty, n);
                    self.store_if(*mask, *value, &at, n);
                }
            }
            Inst::Scatter { value, ptrs, mask } => {
                for n in 0..parts(value.ty) {
                    let at = self.part(*ptrs, n);
                    self.store_if(*mask, *value, &at, n);
                }
            }
            // Other threads run while one waits.
            Inst::Prefetch { .. } => {}
            _ => {}
        }
    }

    /// Where this thread's lane of part `n` is, of a value in memory.
    fn own(&mut self, ptr: Val, ty: Ty, n: usize) -> String {
        let base = self.part(ptr, 0);
        if ty.lanes() == 1 {
            return base;
        }
        let (lane, elem) = (self.lane(ty.lanes(), n), of_thread(ty));
        self.emit(format_args!(
            "llvm.getelementptr {base}[{lane}] : (!llvm.ptr, i64) -> !llvm.ptr, {elem}"
        ))
    }

    fn store(&mut self, value: Val, n: usize, at: &str, align: i64) {
        let (name, ty) = (self.part(value, n), of_thread(value.ty));
        self.line(format_args!(
            "llvm.store {name}, {at} {{alignment = {align} : i64}} : {ty}, !llvm.ptr"
        ));
    }

    fn load_if(&mut self, mask: Val, at: &str, otherwise: Val, n: usize) -> String {
        let (mask, other, ty) = (self.part(mask, n), self.part(otherwise, n), of_thread(otherwise.ty));
        let align = otherwise.ty.scalar().bytes();
        let name = self.emit(format_args!("scf.if {mask} -> ({ty}) {{"));
        self.depth += 1;
        let loaded = self.emit(format_args!(
            "llvm.load {at} {{alignment = {align} : i64}} : !llvm.ptr -> {ty}"
        ));
        self.line(format_args!("scf.yield {loaded} : {ty}"));
        self.depth -= 1;
        self.line(format_args!("}} else {{ scf.yield {other} : {ty} }}"));
        name
    }

    fn store_if(&mut self, mask: Val, value: Val, at: &str, n: usize) {
        let mask = self.part(mask, n);
        self.line(format_args!("scf.if {mask} {{"));
        self.depth += 1;
        self.store(value, n, at, value.ty.scalar().bytes());
        self.depth -= 1;
        self.line(format_args!("}}"));
    }

    /// Takes memory from the member's stack, until the block or the function ends.
    fn take(&mut self, out: Val, count: Val, elem: Scalar) {
        let (count, start) = (self.part(count, 0), self.stack.clone());
        let (size, less) = (self.int(elem.bytes(), "i64"), self.int(ALIGNED - 1, "i64"));
        let mask = self.int(-ALIGNED, "i64");
        let bytes = self.emit(format_args!("llvm.mul {count}, {size} : i64"));
        let bytes = self.emit(format_args!("llvm.add {bytes}, {less} : i64"));
        let bytes = self.emit(format_args!("llvm.and {bytes}, {mask} : i64"));
        self.stack = self.emit(format_args!(
            "llvm.getelementptr {start}[{bytes}] : (!llvm.ptr, i64) -> !llvm.ptr, i8"
        ));
        self.set(out, vec![start]);
    }
}

/// The alignment of what one thread reads or writes: that of the whole, or of its lane.
fn alignment(whole: u8, ty: Ty) -> i64 {
    let lane = match ty {
        Ty::Ptr(_) | Ty::PtrV(..) => 8,
        Ty::S(s) | Ty::V(_, s) => s.bytes(),
    };
    i64::from(whole).min(lane)
}
