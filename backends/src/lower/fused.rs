//! Sums of products with one rounding, and powers of products: several nodes in one operation of lower cost.

use super::expr::{Coords, ExprLowering};
use crate::{
    kernel::{Func, Ty, Val},
    kernels::math::{self, Range},
};
use seqc_ir::{BinaryOp, Elem, Op, Value};
use seqc_passes::{
    affine::through,
    sign::{Sign, of_product},
};

/// The operands of a product, and their indices.
pub(super) struct Factors {
    a: Value,
    b: Value,
    coords: Coords,
}

impl ExprLowering<'_, '_> {
    /// The factors of a real product, looked for through views; `None` where it is in memory or computed already.
    pub(super) fn factors(&self, v: Value, coords: &Coords) -> Option<Factors> {
        let graph = self.cx.graph();
        let (mut v, mut coords) = (v, coords.clone());
        loop {
            if self.is_read(v) || self.known(v, &coords).is_some() {
                return None;
            }
            let operands = graph.operands(v);
            if let Some(inner) = through(graph, v, &coords, &self.space.sizes) {
                (v, coords) = (operands[0], inner);
                continue;
            }
            let product = *graph.op(v) == Op::Binary(BinaryOp::Mul) && graph.ty(v).elem == Elem::F32;
            return product.then(|| Factors {
                a: operands[0],
                b: operands[1],
                coords,
            });
        }
    }

    /// `a + b` of reals; a product among them is added in one rounding.
    pub(super) fn sum(&mut self, f: &mut Func, a: Value, b: Value, coords: &Coords) -> Val {
        let (product, other) = match self.factors(a, coords) {
            Some(_) => (a, b),
            None => (b, a),
        };
        let other = self.value(f, other, coords);
        self.add_to(f, other, product, coords)
    }

    /// `sum + v`.
    pub(super) fn add_to(&mut self, f: &mut Func, sum: Val, v: Value, coords: &Coords) -> Val {
        if let Some(Factors { a, b, coords: inner }) = self.factors(v, coords) {
            let (a, b) = (self.value(f, a, &inner), self.value(f, b, &inner));
            let vector = [a, b, sum].iter().any(|x| matches!(x.ty, Ty::V(..)));
            // A product that all lanes share is one operation for all of them.
            let shared = vector && [a, b].iter().all(|x| !matches!(x.ty, Ty::V(..)));
            if !shared {
                let [a, b, sum] = [a, b, sum].map(|x| if vector { self.spread(f, x) } else { x });
                return f.fma(a, b, sum);
            }
        }
        let term = self.value(f, v, coords);
        let (sum, term) = self.alike(f, sum, term);
        f.add(sum, term)
    }

    /// `exp(a b)`; see [`ExprLowering::factors`].
    pub(super) fn power_of_product(&mut self, f: &mut Func, product: Value, coords: &Coords) -> Val {
        let Some(Factors { a, b, coords: inner }) = self.factors(product, coords) else {
            unreachable!("{product} was asked for its factors")
        };
        let range = match of_product(self.cx.graph(), a, b) {
            Sign::NotPositive => Range::NotPositive,
            _ => Range::Any,
        };
        // The factor that stays the same in the innermost loop is scaled outside of it.
        let (a, b) = if self.varies(a, &inner) && !self.varies(b, &inner) {
            (b, a)
        } else {
            (a, b)
        };
        let (a, b) = (self.value(f, a, &inner), self.value(f, b, &inner));
        math::exp_product(f, a, b, range, &self.cx.layer.target.micro_kernels)
    }

    /// True when a value differs along the innermost axis, according to views.
    fn varies(&self, v: Value, coords: &Coords) -> bool {
        let graph = self.cx.graph();
        let (mut v, mut coords) = (v, coords.clone());
        while !self.is_read(v)
            && let Some(inner) = through(graph, v, &coords, &self.space.sizes)
        {
            (v, coords) = (graph.operands(v)[0], inner);
        }
        let innermost = self.space.axes.len().saturating_sub(1);
        coords.iter().any(|c| c.uses(innermost))
    }
}
