//! Addresses, loads, stores and memory on the stack.

use super::{Cache, Cmp, Func, Inst, Scalar, Space, Ty, Val};

impl Func {
    /// Address of a global of this module.
    pub fn address_of(&mut self, name: &str) -> Val {
        let global = name.to_owned();
        self.define(Ty::CONSTANT, |out| Inst::Address { out, global })
    }

    /// `base + index * size(elem)` bytes, in the same space; for a vector of indices a vector of pointers.
    pub fn gep(&mut self, base: Val, index: Val, elem: Scalar) -> Val {
        let space = base.ty.space().unwrap_or(Space::Generic);
        let ty = match index.ty {
            Ty::V(n, _) => Ty::PtrV(n, space),
            _ => Ty::Ptr(space),
        };
        self.define(ty, |out| Inst::Offset { out, base, index, elem })
    }

    /// Slot `n` of a table of 64-bit slots: a word or a pointer.
    pub fn load_slot(&mut self, table: Val, n: usize, ty: Ty) -> Val {
        let n = self.i64(n as i64);
        let p = self.gep(table, n, Scalar::I64);
        self.load(p, ty)
    }

    /// Loads a scalar or vector; aligned to its scalar only.
    pub fn load(&mut self, ptr: Val, ty: Ty) -> Val {
        // Block formats hold 16-bit scales at any even address, checkpoints f32 at any address of theirs.
        let align = match ty {
            Ty::Ptr(_) => 8,
            _ if ty.scalar() == Scalar::I64 => 8,
            _ => ty.scalar().bytes().min(2),
        };
        self.define(ty, |out| Inst::Load {
            out,
            ptr,
            align: align as u8,
            volatile: false,
        })
    }

    /// Loads a scalar of which the target's compiler must suppose nothing.
    pub fn load_volatile(&mut self, ptr: Val, scalar: Scalar) -> Val {
        self.define(Ty::S(scalar), |out| Inst::Load {
            out,
            ptr,
            align: scalar.bytes() as u8,
            volatile: true,
        })
    }

    /// Loads a scalar or vector of memory that the module itself lays out, where every number begins at a multiple of its size.
    pub fn load_aligned(&mut self, ptr: Val, ty: Ty) -> Val {
        self.define(ty, |out| Inst::Load {
            out,
            ptr,
            align: ty.scalar().bytes() as u8,
            volatile: false,
        })
    }

    /// Stores a scalar or vector.
    pub fn store(&mut self, value: Val, ptr: Val) {
        let align = match value.ty {
            Ty::Ptr(_) => 8,
            _ => value.ty.scalar().bytes(),
        };
        self.push(Inst::Store {
            value,
            ptr,
            align: align as u8,
        });
    }

    /// Loads the lanes of `mask`; the others are zero.
    pub fn masked_load(&mut self, ptr: Val, mask: Val, ty: Ty) -> Val {
        let otherwise = self.zero(ty);
        self.define(ty, |out| Inst::MaskedLoad {
            out,
            ptr,
            mask,
            otherwise,
        })
    }

    /// Stores the lanes of `mask`.
    pub fn masked_store(&mut self, value: Val, ptr: Val, mask: Val) {
        self.push(Inst::MaskedStore { value, ptr, mask });
    }

    /// Loads one scalar per lane from a vector of pointers, where `mask`; else zero.
    pub fn gather(&mut self, ptrs: Val, mask: Val, scalar: Scalar) -> Val {
        let ty = Ty::V(ptrs.ty.lanes(), scalar);
        let otherwise = self.zero(ty);
        self.define(ty, |out| Inst::Gather {
            out,
            ptrs,
            mask,
            otherwise,
        })
    }

    /// Stores one scalar per lane through a vector of pointers, where `mask`.
    pub fn scatter(&mut self, value: Val, ptrs: Val, mask: Val) {
        self.push(Inst::Scatter { value, ptrs, mask });
    }

    /// Memory of `slots` 64-bit numbers that lives as long as the call.
    pub fn stack(&mut self, slots: usize) -> Val {
        let count = self.i64(slots.max(1) as i64);
        self.define_in_entry(Ty::PRIVATE, |out| Inst::Stack {
            out,
            count,
            elem: Scalar::I64,
        })
    }

    /// Memory of `count` scalars, a number that is computed here; it lives as long as the call.
    pub fn stack_of(&mut self, count: Val, elem: Scalar) -> Val {
        self.define(Ty::PRIVATE, |out| Inst::Stack { out, count, elem })
    }

    /// Asks for the cache line at `ptr` to be read soon.
    pub fn prefetch(&mut self, ptr: Val, into: Cache) {
        self.push(Inst::Prefetch { ptr, into });
    }

    /// First `n` of `lanes` lanes set, as a mask; `n` an i64 that may exceed `lanes`.
    pub fn tail_mask(&mut self, n: Val, lanes: u32) -> Val {
        let (all, iota) = (self.splat(n, lanes), self.iota(lanes));
        self.cmp(Cmp::Lt, iota, all)
    }
}
