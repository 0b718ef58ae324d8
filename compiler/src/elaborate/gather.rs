//! Indices that are computed for every token: rows of a table, or a choice among the entries of a stream.

use super::{
    cx::Cx,
    index::At,
    val::{Operand, Tensor, Val, Var},
};
use crate::diag::{Diagnostic, Placed};
use seqc_grammar::ast::Span;
use seqc_ir::{BinaryOp, Dim, Elem, IndexExpr, ReduceOp};

impl Cx<'_> {
    /// `lookup(table, t)`: row `t` of `table`.
    pub(super) fn lookup(&mut self, table: Operand, t: Operand, span: Span) -> Val {
        if matches!(table.val, Val::Poison) || matches!(t.val, Val::Poison) {
            return Val::Poison;
        }
        let Some(rows) = self.tensor(&table.val, table.span) else {
            return Val::Poison;
        };
        let Some(index) = self.lift(&t.val, Elem::I64, t.span) else {
            return Val::Poison;
        };
        let dims = self.dims(&rows);
        let int = match &t.val {
            Val::Tensor(t) => self.elem(t) == Elem::I64,
            _ => true,
        };
        if dims.is_empty() || !int {
            let place = self.place(if int { table.span } else { t.span });
            let message = if int {
                "`lookup` takes a table with rows"
            } else {
                "`lookup` takes the number of a row: an `int` stream"
            };
            return self.report(Diagnostic::new("bad-index", place, message));
        }
        if rows.vars.is_empty() && self.is_load(rows.v) {
            let v = self.graph.gather(rows.v, index.v);
            return Val::Tensor(Tensor::over(v, index.vars));
        }
        let index_dims = self.dims(&index);
        if !index_dims.is_empty() {
            return self.error("bad-index", span, "a stream is looked up at one index");
        }
        Val::Tensor(self.choose(&rows, 0, &index))
    }

    /// `t[at…]` where at least one index is computed.
    pub(super) fn computed_index(&mut self, t: &Tensor, mut at: Vec<At>, span: Span) -> Val {
        let mut t = t.clone();
        while let Some(axis) = at.iter().position(|a| matches!(a, At::Computed(_))) {
            let At::Computed(index) = at.remove(axis) else { break };
            let mut domain = self.domain(&index.vars, &self.dims(&t));
            domain.extend(self.domain(&t.vars, &[]));
            if !self.check_dims(&domain, span) {
                return Val::Poison;
            }
            t = if t.vars.is_empty() && self.is_load(t.v) {
                self.gather_axis(&t, axis, &index)
            } else {
                self.choose(&t, axis, &index)
            };
        }
        let mut vars = t.vars.clone();
        at.iter().for_each(|a| a.add_vars(&mut vars));
        vars.sort_unstable();
        vars.dedup();
        Val::Tensor(self.affine_view(&t, &at, vars))
    }

    /// The index held between 0 and the last entry of an axis.
    fn held(&mut self, index: &Tensor, size: usize) -> Tensor {
        let ty = self.graph.ty(index.v).clone();
        let low = self.graph.constant(0.0, ty.clone());
        let high = self.graph.constant((size - 1) as f64, ty);
        let v = self.graph.binary(BinaryOp::Max, index.v, low);
        let v = self.graph.binary(BinaryOp::Min, v, high);
        Tensor { v, ..index.clone() }
    }

    /// Entry `index` of an axis of something known when weights are loaded.
    fn gather_axis(&mut self, t: &Tensor, axis: usize, index: &Tensor) -> Tensor {
        let rank = self.dims(t).len();
        let mut order: Vec<usize> = (0..rank).collect();
        order.remove(axis);
        order.insert(0, axis);
        let table = if axis == 0 {
            t.v
        } else {
            self.graph.transpose(t.v, &order)
        };
        Tensor::over(self.graph.gather(table, index.v), index.vars.clone())
    }

    /// Entry `index` of an axis of a stream: the sum over the axis of the entries where the index is met. An index outside the
    /// axis is taken as the nearest inside, as a table does it.
    fn choose(&mut self, t: &Tensor, axis: usize, index: &Tensor) -> Tensor {
        if self.elem(t) == Elem::Bool {
            // Booleans have no sum: the entry is chosen as a number.
            let numbers = self.cast(t, Elem::I64);
            let chosen = self.choose(&numbers, axis, index);
            let zero = self.graph.constant(0.0, self.graph.ty(chosen.v).clone());
            let v = self.graph.binary(BinaryOp::Ne, chosen.v, zero);
            return Tensor { v, ..chosen };
        }
        let dims = self.dims(t);
        let index = &self.held(index, dims[axis].size);
        let mut vars = [&t.vars[..], &index.vars[..]].concat();
        vars.sort_unstable();
        vars.dedup();
        let rest: Vec<Dim> = (0..dims.len())
            .filter(|n| *n != axis)
            .map(|n| dims[n].clone())
            .collect();
        let plain: Vec<Dim> = rest.iter().chain([&dims[axis]]).cloned().collect();
        let domain = self.domain(&vars, &plain);
        let last = domain.len() - 1;
        let here = |v: &Var| IndexExpr::Axis(vars.iter().position(|w| w == v).unwrap_or(0));
        let mut map: Vec<IndexExpr> = t.vars.iter().map(here).collect();
        let mut next = vars.len();
        for n in 0..dims.len() {
            if n == axis {
                map.push(IndexExpr::Axis(last));
            } else {
                map.push(IndexExpr::Axis(next));
                next += 1;
            }
        }
        let entries = self.view(t.v, domain.clone(), map);
        let wanted = self.spread(index, &vars, &plain);
        let here = self.graph.iota(domain, last);
        let met = self.graph.binary(BinaryOp::Eq, wanted, here);
        let ty = self.graph.ty(entries).clone();
        let zero = self.graph.constant(0.0, ty);
        let kept = self.graph.select(met, entries, zero);
        Tensor::over(self.graph.reduce(ReduceOp::Sum, kept, 1), vars)
    }
}
