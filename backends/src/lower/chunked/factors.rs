//! Factors of the matrix form as expressions: the value of a key, query, value or decay at a token of a block.

use super::{Block, matrix::Matrix, sizes::Group};
use crate::{
    kernel::{Func, Scalar, Ty, Val},
    lower::{expr::ExprLowering, space::Axis},
};
use seqc_passes::plan::{Factor, Term};

/// What is done with one vector along axis `p` or `n`: at a token of the block, from an index on.
type VectorBody<'b> = &'b dyn Fn(&mut ExprLowering<'_, '_>, &mut Func, Val, Val);

impl Block<'_, '_> {
    /// The loop axis of the columns of the state, which is the last kept one; that of its rows follows.
    pub(super) fn p_axis(&self) -> usize {
        self.of.scan.kept.len() - 1
    }

    /// The loop axis of the rows of the state.
    pub(super) fn n_axis(&self) -> usize {
        self.p_axis() + 1
    }

    pub(super) fn vector_ty(&self) -> Ty {
        Ty::V(self.of.sizes.lanes, Scalar::F32)
    }

    /// Expressions at token `t` of the block, in the loops over heads; `p` and `n` are not entered yet.
    pub(super) fn exprs(&self, f: &mut Func, t: Val) -> ExprLowering<'_, '_> {
        let (cx, scan) = (self.of.cx, self.of.scan);
        let token = f.add(self.first, t);
        let mut exprs = ExprLowering::new(cx, Some(token));
        exprs.into = scan.outputs.iter().map(|nest| nest.into).collect();
        let state = cx.graph().states[scan.states[0].0 as usize].ty.sizes();
        let (mut axes, mut outer) = (Vec::new(), self.head);
        for axis in scan.kept[..self.p_axis()].iter().rev() {
            let size = f.i64(state[*axis] as i64);
            axes.push((f.urem(outer, size), state[*axis]));
            outer = f.udiv(outer, size);
        }
        for (at, size) in axes.into_iter().rev() {
            exprs.space.push(Axis::At(at), size);
        }
        exprs
    }

    /// The product of some factors.
    pub(super) fn product(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, factors: &[Factor]) -> Val {
        let one = f.f32(1.0);
        factors.iter().fold(one, |product, x| {
            let mut val = exprs.value(f, x.value, &x.coords);
            if let Some(keeps) = x.keeps {
                let ty = val.ty.with(Scalar::F32);
                let (one, zero) = (f.float(ty, 1.0), f.zero(ty));
                val = if keeps {
                    f.select(val, one, zero)
                } else {
                    f.select(val, zero, one)
                };
            }
            if product == one {
                return val;
            }
            let (a, b) = exprs.alike(f, product, val);
            f.mul(a, b)
        })
    }

    /// For each token of the block and each vector along `axis`, `p` or `n`: `body` with that axis over the lanes.
    pub(super) fn each_vector(&self, f: &mut Func, axis: usize, body: VectorBody<'_>) {
        let sizes = &self.of.sizes;
        let size = if axis == self.p_axis() { sizes.p } else { sizes.n };
        let lanes = sizes.lanes as usize;
        let (zero, whole) = (f.i64(0), f.i64((size / lanes * lanes) as i64));
        f.for_each(zero, self.count, 1, |f, t| {
            let vector = |f: &mut Func, at: Val, mask: Option<Val>| {
                let mut exprs = self.exprs(f, t);
                for (inner, size) in [(self.p_axis(), sizes.p), (self.n_axis(), sizes.n)] {
                    let place = if inner == axis { Axis::At(at) } else { Axis::Fixed(0) };
                    exprs.space.push(place, size);
                }
                (exprs.space.lane, exprs.space.mask) = (Some(axis), mask);
                body(&mut exprs, f, t, at);
            };
            f.for_each(zero, whole, lanes as i64, |f, at| vector(f, at, None));
            if !size.is_multiple_of(lanes) {
                let rest = f.i64((size % lanes) as i64);
                let mask = f.tail_mask(rest, sizes.lanes);
                vector(f, whole, Some(mask));
            }
        });
    }

    /// A product of factors, or its negative.
    pub(super) fn term(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, term: &Term) -> Val {
        let val = self.product(exprs, f, &term.factors);
        if term.negative { f.neg(val) } else { val }
    }

    /// Writes a matrix: a term, with a row for each token of the block and a column for each index along `axis`; zeros behind those.
    pub(super) fn materialize(&self, f: &mut Func, term: &Term, axis: usize, to: Matrix) {
        self.each_vector(f, axis, &|exprs, f, t, at| {
            let val = self.term(exprs, f, term);
            let mut val = exprs.spread(f, val);
            if let Some(mask) = exprs.space.mask {
                let zero = f.zero(val.ty);
                val = f.select(mask, val, zero);
            }
            let p = to.entry(f, t, at);
            f.store(val, p);
        });
    }

    /// The same for a product of factors.
    pub(super) fn materialize_product(&self, f: &mut Func, factors: &[Factor], axis: usize, to: Matrix) {
        let term = Term {
            factors: factors.to_vec(),
            negative: false,
        };
        self.materialize(f, &term, axis, to);
    }

    /// Writes the values of a group, which are zero where a write has none.
    pub(super) fn values(&self, f: &mut Func, group: Group) {
        let of = self.of.group(group);
        for (n, write) in of.iter().enumerate() {
            let to = self.scratch.value[group].every(f, n, of.len());
            match &write.write.value {
                Some(value) => self.materialize(f, value, self.p_axis(), to),
                None => {
                    let zero = f.i64(0);
                    f.for_each(zero, self.count, 1, |f, t| {
                        let row = to.row(f, t);
                        self.clear(f, row, zero, self.of.sizes.padded_p);
                    });
                }
            }
        }
    }

    /// Writes zeros to a row, in whole vectors from a column on up to `end`.
    pub(super) fn clear(&self, f: &mut Func, row: Val, from: Val, end: usize) {
        let (none, end) = (f.zero(self.vector_ty()), f.i64(end as i64));
        f.for_each(from, end, i64::from(self.of.sizes.lanes), |f, at| {
            let p = f.gep(row, at, Scalar::F32);
            f.store(none, p);
        });
    }
}
