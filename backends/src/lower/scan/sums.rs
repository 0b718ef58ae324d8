//! Reductions over the state that outputs of a scan are made from: which there are, and their terms.

use super::writer::{Sum, Writer};
use crate::{
    kernel::{Func, Val},
    lower::{
        expr::{Coords, ExprLowering},
        reduce::{combine, neutral},
        space::{Axis, Space},
    },
};
use seqc_ir::{Elem, Op, ReduceOp, Value};
use seqc_passes::affine::{AffineExpr, operand_entries};
use std::collections::HashSet;

impl Writer<'_, '_> {
    /// The current entry of the summand.
    fn term(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, sum: &Sum) -> Val {
        let val = exprs.value(f, sum.over, &self.term_coords(sum));
        exprs.spread(f, val)
    }

    /// A sum of the current entry alone.
    pub(super) fn first_term(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, sum: &Sum) -> Val {
        let term = self.term(exprs, f, sum);
        match sum.op {
            ReduceOp::Sum | ReduceOp::Prod => term,
            // What is no number is passed over, also where it comes first.
            ReduceOp::Max | ReduceOp::Min => {
                let none = neutral(f, sum.op, term.ty);
                combine(f, sum.op, none, term)
            }
        }
    }

    /// A sum extended by the current entry.
    pub(super) fn with_term(&self, exprs: &mut ExprLowering<'_, '_>, f: &mut Func, sum: &Sum, total: Val) -> Val {
        if sum.op == ReduceOp::Sum && self.cx.graph().ty(sum.over).elem == Elem::F32 {
            return exprs.add_to(f, total, sum.over, &self.term_coords(sum));
        }
        let term = self.term(exprs, f, sum);
        combine(f, sum.op, total, term)
    }

    fn term_coords(&self, sum: &Sum) -> Coords {
        let mut coords = sum.coords.clone();
        coords.extend((self.kept()..self.sizes.len()).map(AffineExpr::axis));
        coords
    }

    /// Reductions of the state that outputs are made from.
    pub(super) fn find_sums(&self) -> Vec<Sum> {
        let mut found: Vec<Sum> = Vec::new();
        if self.sizes.len() == self.kept() {
            return found;
        }
        let mut space = Space::new(None);
        for size in &self.sizes[..self.kept()] {
            space.push(Axis::Fixed(0), *size);
        }
        let mut exprs = ExprLowering::new(self.cx, None);
        exprs.space = space;
        exprs.into = self.scan.outputs.iter().map(|nest| nest.into).collect();
        let outputs = self
            .scan
            .outputs
            .iter()
            .map(|nest| (nest.value, ExprLowering::identity(self.kept())));
        let mut work: Vec<(Value, Coords)> = outputs.collect();
        let mut seen = HashSet::new();
        while let Some((v, coords)) = work.pop() {
            if seen.insert((v, coords.clone())) {
                work.extend(self.sums_at(&exprs, v, coords, &mut found));
            }
        }
        found
    }

    /// Records `v` if it is a reduction of the state, else returns its operands.
    fn sums_at(
        &self,
        exprs: &ExprLowering<'_, '_>,
        v: Value,
        coords: Coords,
        found: &mut Vec<Sum>,
    ) -> Vec<(Value, Coords)> {
        let graph = self.cx.graph();
        let operands = graph.operands(v);
        if exprs.is_read(v) {
            return Vec::new();
        }
        if let Op::Reduce { op, .. } = graph.op(v)
            && exprs.reads_state(operands[0], &self.scan.states)
        {
            found.push(Sum {
                node: v,
                coords,
                op: *op,
                over: operands[0],
            });
            return Vec::new();
        }
        operand_entries(graph, v, &coords, &exprs.space.sizes).unwrap_or_default()
    }
}
