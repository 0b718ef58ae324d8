//! Arithmetic, comparisons, conversions and lanes.

use super::{Cmp, Func, Scalar, Ty, Val};

impl Func {
    fn same(&mut self, float: &str, int: &str, a: Val, b: Val) -> Val {
        let name = if a.ty.scalar().is_float() { float } else { int };
        self.op(a.ty, format_args!("{name} {a}, {b} : {}", a.ty))
    }

    /// `a + b`
    pub fn add(&mut self, a: Val, b: Val) -> Val {
        self.same("arith.addf", "arith.addi", a, b)
    }

    /// `a - b`
    pub fn sub(&mut self, a: Val, b: Val) -> Val {
        self.same("arith.subf", "arith.subi", a, b)
    }

    /// `a * b`
    pub fn mul(&mut self, a: Val, b: Val) -> Val {
        self.same("arith.mulf", "arith.muli", a, b)
    }

    /// `a / b`; integers towards zero (see [`Func::floor_div`]).
    pub fn div(&mut self, a: Val, b: Val) -> Val {
        self.same("arith.divf", "arith.divsi", a, b)
    }

    /// Integer remainder with the sign of `a`.
    pub fn rem(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.remsi {a}, {b} : {}", a.ty))
    }

    /// Unsigned division, for operands known to be non-negative.
    pub fn udiv(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.divui {a}, {b} : {}", a.ty))
    }

    /// Unsigned remainder, for operands known to be non-negative.
    pub fn urem(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.remui {a}, {b} : {}", a.ty))
    }

    /// Integer division rounded down.
    pub fn floor_div(&mut self, a: Val, b: Val) -> Val {
        let (q, r) = (self.div(a, b), self.rem(a, b));
        let zero = self.zero(a.ty);
        let inexact = self.cmp(Cmp::Ne, r, zero);
        let sign = self.xor(a, b);
        let negative = self.cmp(Cmp::Lt, sign, zero);
        let fix = self.and(inexact, negative);
        let one = self.int(a.ty, 1);
        let lower = self.sub(q, one);
        self.select(fix, lower, q)
    }

    /// Larger of two; for floats by comparison (NaN in `a` gives `b`).
    pub fn max(&mut self, a: Val, b: Val) -> Val {
        let c = self.cmp(Cmp::Gt, a, b);
        self.select(c, a, b)
    }

    /// Larger of two; of a float and NaN the float.
    pub fn max_number(&mut self, a: Val, b: Val) -> Val {
        if a.ty.scalar().is_float() {
            return self.op(a.ty, format_args!("arith.maxnumf {a}, {b} : {}", a.ty));
        }
        self.max(a, b)
    }

    /// Smaller of two; of a float and NaN the float.
    pub fn min_number(&mut self, a: Val, b: Val) -> Val {
        if a.ty.scalar().is_float() {
            return self.op(a.ty, format_args!("arith.minnumf {a}, {b} : {}", a.ty));
        }
        self.min(a, b)
    }

    /// Smaller of two; for floats by comparison (NaN in `a` gives `b`).
    pub fn min(&mut self, a: Val, b: Val) -> Val {
        let c = self.cmp(Cmp::Lt, a, b);
        self.select(c, a, b)
    }

    /// `-a` of floats.
    pub fn neg(&mut self, a: Val) -> Val {
        self.op(a.ty, format_args!("arith.negf {a} : {}", a.ty))
    }

    /// `a * b + c` in one rounding.
    pub fn fma(&mut self, a: Val, b: Val, c: Val) -> Val {
        self.op(a.ty, format_args!("math.fma {a}, {b}, {c} : {}", a.ty))
    }

    /// Operation `name` of the math dialect on one operand (`math.sqrt`, `math.absf`, `math.floor`, `math.roundeven`).
    pub fn math(&mut self, name: &str, a: Val) -> Val {
        self.op(a.ty, format_args!("{name} {a} : {}", a.ty))
    }

    /// Bitwise and.
    pub fn and(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.andi {a}, {b} : {}", a.ty))
    }

    /// Bitwise or.
    pub fn or(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.ori {a}, {b} : {}", a.ty))
    }

    /// Bitwise exclusive or.
    pub fn xor(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.xori {a}, {b} : {}", a.ty))
    }

    /// Logical negation of truth values.
    pub fn not(&mut self, a: Val) -> Val {
        let one = self.int(a.ty, 1);
        self.xor(a, one)
    }

    /// Shift left.
    pub fn shl(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.shli {a}, {b} : {}", a.ty))
    }

    /// Shift right, filling with zeros.
    pub fn shr(&mut self, a: Val, b: Val) -> Val {
        self.op(a.ty, format_args!("arith.shrui {a}, {b} : {}", a.ty))
    }

    /// Comparison; gives `i1` or a vector of them.
    pub fn cmp(&mut self, cmp: Cmp, a: Val, b: Val) -> Val {
        let float = a.ty.scalar().is_float();
        let (name, pred) = match (cmp, float) {
            (Cmp::Lt, true) => ("arith.cmpf", "olt"),
            (Cmp::Le, true) => ("arith.cmpf", "ole"),
            (Cmp::Gt, true) => ("arith.cmpf", "ogt"),
            (Cmp::Ge, true) => ("arith.cmpf", "oge"),
            (Cmp::Eq, true) => ("arith.cmpf", "oeq"),
            (Cmp::Ne, true) => ("arith.cmpf", "une"),
            (Cmp::Lt, false) => ("arith.cmpi", "slt"),
            (Cmp::Le, false) => ("arith.cmpi", "sle"),
            (Cmp::Gt, false) => ("arith.cmpi", "sgt"),
            (Cmp::Ge, false) => ("arith.cmpi", "sge"),
            (Cmp::Eq, false) => ("arith.cmpi", "eq"),
            (Cmp::Ne, false) => ("arith.cmpi", "ne"),
        };
        self.op(
            a.ty.with(Scalar::I1),
            format_args!("{name} {pred}, {a}, {b} : {}", a.ty),
        )
    }

    /// `c ? a : b`; `c` a scalar, or a vector like `a`.
    pub fn select(&mut self, c: Val, a: Val, b: Val) -> Val {
        if matches!(c.ty, Ty::V(..)) {
            self.op(a.ty, format_args!("arith.select {c}, {a}, {b} : {}, {}", c.ty, a.ty))
        } else {
            self.op(a.ty, format_args!("arith.select {c}, {a}, {b} : {}", a.ty))
        }
    }

    /// Conversion `name` of the arith dialect (`arith.extf`, `arith.sitofp`, `arith.bitcast`, …) to another scalar type.
    pub fn convert(&mut self, name: &str, a: Val, to: Scalar) -> Val {
        let ty = a.ty.with(to);
        self.op(ty, format_args!("{name} {a} : {} to {ty}", a.ty))
    }

    /// Reinterprets the bits as another type of equal size.
    pub fn bitcast(&mut self, a: Val, ty: Ty) -> Val {
        self.op(ty, format_args!("llvm.bitcast {a} : {} to {ty}", a.ty))
    }

    /// A scalar in all lanes.
    pub fn splat(&mut self, a: Val, lanes: u32) -> Val {
        let ty = Ty::V(lanes, a.ty.scalar());
        self.op(ty, format_args!("vector.broadcast {a} : {} to {ty}", a.ty))
    }

    /// Lane `n`.
    pub fn extract(&mut self, a: Val, lane: i64) -> Val {
        let n = self.i64(lane);
        self.op(
            Ty::S(a.ty.scalar()),
            format_args!("llvm.extractelement {a}[{n} : i64] : {}", a.ty),
        )
    }

    /// Vector with lane `n` replaced.
    pub fn insert(&mut self, x: Val, a: Val, lane: i64) -> Val {
        let n = self.i64(lane);
        self.op(a.ty, format_args!("llvm.insertelement {x}, {a}[{n} : i64] : {}", a.ty))
    }

    /// Lanes of `a` then `b` picked by constant indices.
    pub fn shuffle(&mut self, a: Val, b: Val, lanes: &[i64]) -> Val {
        let ty = Ty::V(lanes.len() as u32, a.ty.scalar());
        let list: Vec<String> = lanes.iter().map(i64::to_string).collect();
        self.op(
            ty,
            format_args!("llvm.shufflevector {a}, {b} [{}] : {}", list.join(", "), a.ty),
        )
    }

    /// Sum of all lanes (floats in any order).
    pub fn reduce_add(&mut self, a: Val) -> Val {
        let fast = if a.ty.scalar().is_float() {
            " fastmath<reassoc>"
        } else {
            ""
        };
        let ty = Ty::S(a.ty.scalar());
        self.op(
            ty,
            format_args!("vector.reduction <add>, {a}{fast} : {} into {ty}", a.ty),
        )
    }

    /// Product of all lanes.
    pub fn reduce_mul(&mut self, a: Val) -> Val {
        let fast = if a.ty.scalar().is_float() {
            " fastmath<reassoc>"
        } else {
            ""
        };
        let ty = Ty::S(a.ty.scalar());
        self.op(
            ty,
            format_args!("vector.reduction <mul>, {a}{fast} : {} into {ty}", a.ty),
        )
    }

    /// Largest lane of floats.
    pub fn reduce_max(&mut self, a: Val) -> Val {
        let ty = Ty::S(a.ty.scalar());
        self.op(ty, format_args!("vector.reduction <maxnumf>, {a} : {} into {ty}", a.ty))
    }

    /// Smallest lane of floats.
    pub fn reduce_min(&mut self, a: Val) -> Val {
        let ty = Ty::S(a.ty.scalar());
        self.op(ty, format_args!("vector.reduction <minnumf>, {a} : {} into {ty}", a.ty))
    }

    /// `base + index * size(elem)` bytes; a vector of indices gives a vector of pointers.
    pub fn gep(&mut self, base: Val, index: Val, elem: Scalar) -> Val {
        let ty = match index.ty {
            Ty::V(n, _) => Ty::PtrV(n),
            _ => Ty::Ptr,
        };
        self.op(
            ty,
            format_args!(
                "llvm.getelementptr {base}[{index}] : (!llvm.ptr, {}) -> {ty}, {elem}",
                index.ty
            ),
        )
    }
}
