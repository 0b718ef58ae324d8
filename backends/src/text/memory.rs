//! Loads, stores and memory on the stack.

use super::{Cmp, Func, Scalar, Ty, Val};
use std::fmt::Write as _;

impl Func {
    /// Loads a scalar or vector; aligned to its scalar only.
    pub fn load(&mut self, ptr: Val, ty: Ty) -> Val {
        if ty == Ty::Ptr {
            return self.op(
                ty,
                format_args!("llvm.load {ptr} {{alignment = 8 : i64}} : !llvm.ptr -> {ty}"),
            );
        }
        // Block formats hold 16-bit scales at any even address, checkpoints f32 at any address of theirs.
        let align = if ty.scalar() == Scalar::I64 {
            8
        } else {
            ty.scalar().bytes().min(2)
        };
        self.op(
            ty,
            format_args!("llvm.load {ptr} {{alignment = {align} : i64}} : !llvm.ptr -> {ty}"),
        )
    }

    /// Stores a scalar or vector.
    pub fn store(&mut self, value: Val, ptr: Val) {
        let align = if value.ty == Ty::Ptr {
            8
        } else {
            value.ty.scalar().bytes()
        };
        self.line(format_args!(
            "llvm.store {value}, {ptr} {{alignment = {align} : i64}} : {}, !llvm.ptr",
            value.ty
        ));
    }

    /// Loads the lanes of `mask`; the others are zero.
    pub fn masked_load(&mut self, ptr: Val, mask: Val, ty: Ty) -> Val {
        let pass = self.zero(ty);
        let align = ty.scalar().bytes();
        self.op(
            ty,
            format_args!(
                "llvm.intr.masked.load {ptr}, {mask}, {pass} {{alignment = {align} : i32}} : (!llvm.ptr, {}, {ty}) -> {ty}",
                mask.ty
            ),
        )
    }

    /// Stores the lanes of `mask`.
    pub fn masked_store(&mut self, value: Val, ptr: Val, mask: Val) {
        let align = value.ty.scalar().bytes();
        self.line(format_args!(
            "llvm.intr.masked.store {value}, {ptr}, {mask} {{alignment = {align} : i32}} : {}, {} into !llvm.ptr",
            value.ty, mask.ty
        ));
    }

    /// Loads one scalar per lane from a vector of pointers, where `mask`; else zero.
    pub fn gather(&mut self, ptrs: Val, mask: Val, scalar: Scalar) -> Val {
        let ty = Ty::V(ptrs.ty.lanes(), scalar);
        let pass = self.zero(ty);
        let align = scalar.bytes();
        self.op(
            ty,
            format_args!(
                "llvm.intr.masked.gather {ptrs}, {mask}, {pass} {{alignment = {align} : i32}} : ({}, {}, {ty}) -> {ty}",
                ptrs.ty, mask.ty
            ),
        )
    }

    /// Stores one scalar per lane through a vector of pointers, where `mask`.
    pub fn scatter(&mut self, value: Val, ptrs: Val, mask: Val) {
        let align = value.ty.scalar().bytes();
        self.line(format_args!(
            "llvm.intr.masked.scatter {value}, {ptrs}, {mask} {{alignment = {align} : i32}} : {}, {} into {}",
            value.ty, mask.ty, ptrs.ty
        ));
    }

    /// Memory of `slots` 64-bit numbers that lives as long as the call.
    pub fn stack(&mut self, slots: usize) -> Val {
        let count = self.i64(slots.max(1) as i64);
        let v = self.fresh(Ty::Ptr);
        let _ = writeln!(
            self.const_text,
            "  {v} = llvm.alloca {count} x i64 : (i64) -> !llvm.ptr"
        );
        v
    }

    /// Asks for the cache line at `ptr` to be read soon.
    pub fn prefetch(&mut self, ptr: Val) {
        self.line(format_args!(
            "\"llvm.intr.prefetch\"({ptr}) <{{cache = 1 : i32, hint = 3 : i32, rw = 0 : i32}}> : (!llvm.ptr) -> ()"
        ));
    }

    /// First `n` of `lanes` lanes set, as a mask; `n` an i64 that may exceed `lanes`.
    pub fn tail_mask(&mut self, n: Val, lanes: u32) -> Val {
        let (all, iota) = (self.splat(n, lanes), self.iota(lanes));
        self.cmp(Cmp::Lt, iota, all)
    }
}
