//! Lanes of vectors: filling, picking, moving and combining them.

use super::{Func, Inst, Intrinsic, Reduction, Scalar, Ty, Val};

impl Func {
    /// A scalar in all lanes.
    pub fn splat(&mut self, a: Val, lanes: u32) -> Val {
        self.define(Ty::V(lanes, a.ty.scalar()), |out| Inst::Splat { out, a })
    }

    /// Lane `n`.
    pub fn extract(&mut self, a: Val, lane: i64) -> Val {
        let at = self.i64(lane);
        self.define(Ty::S(a.ty.scalar()), |out| Inst::Extract { out, a, at })
    }

    /// Vector with lane `n` replaced.
    pub fn insert(&mut self, scalar: Val, a: Val, lane: i64) -> Val {
        let at = self.i64(lane);
        self.define(a.ty, |out| Inst::Insert { out, a, at, scalar })
    }

    /// Lanes of `a` then `b` picked by constant indices.
    pub fn shuffle(&mut self, a: Val, b: Val, lanes: &[i64]) -> Val {
        let ty = Ty::V(lanes.len() as u32, a.ty.scalar());
        let lanes = lanes.iter().map(|lane| *lane as u32).collect();
        self.define(ty, |out| Inst::Shuffle { out, a, b, lanes })
    }

    fn reduce(&mut self, op: Reduction, a: Val) -> Val {
        self.define(Ty::S(a.ty.scalar()), |out| Inst::Reduce { op, out, a })
    }

    /// Sum of all lanes (floats in any order).
    pub fn reduce_add(&mut self, a: Val) -> Val {
        self.reduce(Reduction::Add, a)
    }

    /// Product of all lanes.
    pub fn reduce_mul(&mut self, a: Val) -> Val {
        self.reduce(Reduction::Mul, a)
    }

    /// Largest lane of floats.
    pub fn reduce_max(&mut self, a: Val) -> Val {
        self.reduce(Reduction::MaxNumber, a)
    }

    /// Smallest lane of floats.
    pub fn reduce_min(&mut self, a: Val) -> Val {
        self.reduce(Reduction::MinNumber, a)
    }

    /// The bfloat16 numbers nearest to those of two vectors, in pairs ([`Intrinsic::RoundPairs`]).
    pub fn round_pairs(&mut self, a: Val, b: Val) -> Val {
        let args = vec![a, b];
        self.define(a.ty.with(Scalar::I32), |out| Inst::Intrinsic {
            op: Intrinsic::RoundPairs,
            out,
            args,
        })
    }

    /// An instruction that only some processors have; the result is like the first operand.
    pub fn intrinsic(&mut self, op: Intrinsic, args: &[Val]) -> Val {
        let args = args.to_vec();
        self.define(args[0].ty, |out| Inst::Intrinsic { op, out, args })
    }
}
