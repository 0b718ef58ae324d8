//! Arithmetic, comparisons and conversions.

use super::{Binary, Cast, Cmp, Func, Inst, Scalar, Ty, Unary, Val};

impl Func {
    /// An operation on one value.
    pub fn unary(&mut self, op: Unary, a: Val) -> Val {
        self.define(a.ty, |out| Inst::Unary { op, out, a })
    }

    fn binary(&mut self, op: Binary, a: Val, b: Val) -> Val {
        self.define(a.ty, |out| Inst::Binary { op, out, a, b })
    }

    /// `a + b`
    pub fn add(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::Add, a, b)
    }

    /// `a - b`
    pub fn sub(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::Sub, a, b)
    }

    /// `a * b`
    pub fn mul(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::Mul, a, b)
    }

    /// `a / b`; integers towards zero (see [`Func::floor_div`]).
    pub fn div(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::Div, a, b)
    }

    /// Integer remainder with the sign of `a`.
    pub fn rem(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::Rem, a, b)
    }

    /// Unsigned division, for operands known to be non-negative.
    pub fn udiv(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::UnsignedDiv, a, b)
    }

    /// `a / b` rounded up, of integers that are not negative.
    pub fn ceil_div(&mut self, a: Val, b: Val) -> Val {
        let one = self.i64(1);
        let sum = self.add(a, b);
        let sum = self.sub(sum, one);
        self.udiv(sum, b)
    }

    /// Unsigned remainder, for operands known to be non-negative.
    pub fn urem(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::UnsignedRem, a, b)
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
            return self.binary(Binary::MaxNumber, a, b);
        }
        self.max(a, b)
    }

    /// Smaller of two; of a float and NaN the float.
    pub fn min_number(&mut self, a: Val, b: Val) -> Val {
        if a.ty.scalar().is_float() {
            return self.binary(Binary::MinNumber, a, b);
        }
        self.min(a, b)
    }

    /// Smaller of two; for floats by comparison (NaN in `a` gives `b`).
    pub fn min(&mut self, a: Val, b: Val) -> Val {
        let c = self.cmp(Cmp::Lt, a, b);
        self.select(c, a, b)
    }

    /// The magnitude of `a` with the sign of `b`.
    pub fn copy_sign(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::CopySign, a, b)
    }

    /// `-a` of floats.
    pub fn neg(&mut self, a: Val) -> Val {
        self.unary(Unary::Neg, a)
    }

    /// `a * b + c`, in one rounding or, where the processor has no instruction for that, in two.
    pub fn fma(&mut self, a: Val, b: Val, c: Val) -> Val {
        let exact = false;
        self.define(a.ty, |out| Inst::Fma { out, a, b, c, exact })
    }

    /// `a * b + c` in one rounding on every processor, of which some take long for it: for errors of products.
    pub fn exact_fma(&mut self, a: Val, b: Val, c: Val) -> Val {
        let exact = true;
        self.define(a.ty, |out| Inst::Fma { out, a, b, c, exact })
    }

    /// Bitwise and.
    pub fn and(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::And, a, b)
    }

    /// Bitwise or.
    pub fn or(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::Or, a, b)
    }

    /// Bitwise exclusive or.
    pub fn xor(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::Xor, a, b)
    }

    /// Logical negation of truth values.
    pub fn not(&mut self, a: Val) -> Val {
        let one = self.int(a.ty, 1);
        self.xor(a, one)
    }

    /// Shift left.
    pub fn shl(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::Shl, a, b)
    }

    /// Shift right, filling with zeros.
    pub fn shr(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::Shr, a, b)
    }

    /// Shift right, filling with the sign.
    pub fn shr_signed(&mut self, a: Val, b: Val) -> Val {
        self.binary(Binary::ShrSigned, a, b)
    }

    /// Comparison; returns `i1` or a vector of them.
    pub fn cmp(&mut self, cmp: Cmp, a: Val, b: Val) -> Val {
        self.define(a.ty.with(Scalar::I1), |out| Inst::Compare { cmp, out, a, b })
    }

    /// `cond ? a : b`; `cond` a scalar, or a vector like `a`.
    pub fn select(&mut self, cond: Val, a: Val, b: Val) -> Val {
        self.define(a.ty, |out| Inst::Select { out, cond, a, b })
    }

    /// Conversion to another scalar type.
    pub fn convert(&mut self, op: Cast, a: Val, to: Scalar) -> Val {
        self.define(a.ty.with(to), |out| Inst::Cast { op, out, a })
    }

    /// Reinterprets the bits as another type of equal size.
    pub fn bitcast(&mut self, a: Val, ty: Ty) -> Val {
        self.define(ty, |out| Inst::Bitcast { out, a })
    }
}
