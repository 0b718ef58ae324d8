//! Sums over the keys behind a key: pages are gone over from the last to the first, a page from its last key to its first, and each row of
//! queries carries the sums of what it has seen.

use super::{
    layout::{Scratch, float_at},
    variant::Attend,
};
use crate::kernel::{Func, Scalar, Val};
use seqc_ir::PairExpr;

/// What is summed, and the sums of a vector of keys.
#[derive(Clone, Copy)]
pub(super) struct SumBehind<'a> {
    pub(super) of: &'a PairExpr,
    pub(super) sum: Val,
}

impl Attend {
    /// Where row `r` of a block has sum `number` of the keys that it has seen; `scratch` is that of the thread.
    pub(super) fn carried_sum(&self, f: &mut Func, scratch: Val, number: usize, r: Val) -> Val {
        let first = Scratch::new(self).behind + number * self.block_rows();
        let sums = float_at(f, scratch, first);
        f.gep(sums, r, Scalar::F32)
    }
}

/// Sums of the lanes behind each lane: each step adds what is twice as far away.
fn behind_lanes(f: &mut Func, terms: Val) -> Val {
    let lanes = i64::from(terms.ty.lanes());
    let zero = f.zero(terms.ty);
    let moved = |f: &mut Func, x: Val, by: i64| {
        // Lanes behind the last one are zeros.
        let from: Vec<i64> = (0..lanes).map(|lane| (lane + by).min(lanes)).collect();
        f.shuffle(x, zero, &from)
    };
    let mut sums = moved(f, terms, 1);
    let mut by = 1;
    while by < lanes {
        let more = moved(f, sums, by);
        sums = f.add(sums, more);
        by *= 2;
    }
    sums
}

/// Adds what a row carries to the sums of a vector of keys; these, and what it carries then.
pub(super) fn with_carried(f: &mut Func, terms: Val, carried: Val) -> Carried {
    let behind = behind_lanes(f, terms);
    let wide = f.splat(carried, terms.ty.lanes());
    let sum = f.add(behind, wide);
    let [first, own] = [sum, terms].map(|x| f.extract(x, 0));
    Carried {
        sum,
        next: f.add(first, own),
    }
}

/// See [`with_carried`].
pub(super) struct Carried {
    pub(super) sum: Val,
    pub(super) next: Val,
}
