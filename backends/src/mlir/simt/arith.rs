//! Constants and arithmetic: every thread computes its own lanes.

use super::{
    member::{THREADS, held, of_thread, parts},
    printer::Printer,
};
use crate::{
    kernel::{Const, Inst, Scalar, Ty, Val},
    mlir::words::{binary, cast, predicate, unary},
};

impl Printer<'_> {
    pub(super) fn arith(&mut self, inst: &Inst) {
        match inst {
            Inst::Const { out, value } => self.constant(*out, value),
            Inst::Unary { op, out, a } => {
                let (name, ty) = (unary(*op), of_thread(a.ty));
                self.each(*out, |p, n| {
                    let a = p.part(*a, n);
                    p.emit(format_args!("{name} {a} : {ty}"))
                });
            }
            Inst::Binary { op, out, a, b } => {
                let (name, ty) = (binary(*op, a.ty), of_thread(a.ty));
                self.each(*out, |p, n| {
                    let [a, b] = [*a, *b].map(|v| p.part(v, n));
                    p.emit(format_args!("{name} {a}, {b} : {ty}"))
                });
            }
            Inst::Fma { out, a, b, c, .. } => self.each(*out, |p, n| {
                let (ty, [a, b, c]) = (of_thread(a.ty), [*a, *b, *c].map(|v| p.part(v, n)));
                p.emit(format_args!("math.fma {a}, {b}, {c} : {ty}"))
            }),
            Inst::Compare { cmp, out, a, b } => {
                let (name, ty) = (predicate(*cmp, a.ty.scalar().is_float()), of_thread(a.ty));
                self.each(*out, |p, n| {
                    let [a, b] = [*a, *b].map(|v| p.part(v, n));
                    p.emit(format_args!("{name}, {a}, {b} : {ty}"))
                });
            }
            Inst::Select { out, cond, a, b } => self.each(*out, |p, n| {
                let (ty, [cond, a, b]) = (of_thread(a.ty), [*cond, *a, *b].map(|v| p.part(v, n)));
                p.emit(format_args!("arith.select {cond}, {a}, {b} : {ty}"))
            }),
            Inst::Cast { op, out, a } => {
                let (name, from, to) = (cast(*op), of_thread(a.ty), of_thread(out.ty));
                self.each(*out, |p, n| {
                    let a = p.part(*a, n);
                    p.emit(format_args!("{name} {a} : {from} to {to}"))
                });
            }
            Inst::Bitcast { out, a } => {
                // Lanes of one size: others would need bytes of other threads, and no kernel of a target without dot products of bytes has them.
                debug_assert_eq!(out.ty.lanes(), a.ty.lanes(), "bits of other lanes");
                let (from, to) = (of_thread(a.ty), of_thread(out.ty));
                self.each(*out, |p, n| {
                    let a = p.part(*a, n);
                    p.emit(format_args!("llvm.bitcast {a} : {from} to {to}"))
                });
            }
            _ => {}
        }
    }

    fn constant(&mut self, out: Val, value: &Const) {
        let ty = of_thread(out.ty);
        let lanes: Vec<i64> = match value {
            Const::Int(n) => {
                self.constants.insert(out, *n);
                let text = match out.ty.scalar() {
                    Scalar::I1 => format!("arith.constant {}", *n != 0),
                    _ => format!("arith.constant {n} : {ty}"),
                };
                return self.same(out, &text);
            }
            Const::Float(bits) => return self.same(out, &format!("arith.constant 0x{bits:08X} : {ty}")),
            Const::Zero => return self.same(out, &format!("arith.constant 0.0 : {ty}")),
            Const::Ints(list) => list.clone(),
            Const::Floats(list) => list.iter().map(|bits| i64::from(*bits)).collect(),
        };
        let count = lanes.len() as u32;
        let names = (0..parts(out.ty)).map(|n| {
            let of_threads: Vec<i64> = (0..THREADS).map(|t| lanes[held(count, n, t) as usize]).collect();
            let word = self.by_thread(&of_threads);
            self.narrowed(&word, out.ty)
        });
        let names = names.collect();
        self.set(out, names);
    }

    /// The low bits of an integer of 64 bits as a number of a type.
    fn narrowed(&mut self, word: &str, ty: Ty) -> String {
        let to = of_thread(ty);
        match ty.scalar() {
            Scalar::I64 => word.to_owned(),
            Scalar::F32 => {
                let bits = self.emit(format_args!("llvm.trunc {word} : i64 to i32"));
                self.emit(format_args!("llvm.bitcast {bits} : i32 to {to}"))
            }
            _ => self.emit(format_args!("llvm.trunc {word} : i64 to {to}")),
        }
    }

    /// One value in all threads and parts.
    fn same(&mut self, out: Val, text: &str) {
        let name = self.emit(format_args!("{text}"));
        self.set(out, vec![name; parts(out.ty)]);
    }
}
