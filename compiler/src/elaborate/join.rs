//! Tensors cut along an axis, joined along one, and in other shapes: `split`, `concat`, `reshape`, `flatten`.

use super::{
    cx::Cx,
    dims::shown,
    val::{Operand, Tensor, Val},
};
use crate::diag::{Diagnostic, Placed};
use seqc_grammar::ast::{Expr, Span};
use seqc_ir::{Dim, Elem, IndexExpr};

impl Cx<'_> {
    /// `split` of both parts of a complex number, or of a tensor.
    pub(super) fn split_parts(&mut self, u: &Expr, sizes: &[Expr], span: Span) -> Val {
        match self.expr(u) {
            Val::Complex(z) => {
                let re = self.split(Val::Tensor(z.re).at(u.span), sizes, span);
                let im = self.split(Val::Tensor(z.im).at(u.span), sizes, span);
                self.pairs_of(re, im, span)
            }
            val => self.split(val.at(u.span), sizes, span),
        }
    }

    /// `concat` of both parts where one of the operands is complex, or of tensors.
    pub(super) fn concat_parts(&mut self, args: &[Expr], span: Span) -> Val {
        let parts: Vec<_> = args.iter().map(|e| self.operand(e)).collect();
        if !parts.iter().any(|z| matches!(z.val, Val::Complex(_))) {
            return self.concat(&parts, span);
        }
        let [re, im] = ["re", "im"].map(|part| {
            let parts: Vec<_> = parts
                .iter()
                .map(|z| self.part_like(part, z.clone()).at(z.span))
                .collect();
            self.concat(&parts, span)
        });
        self.pair(re, im, span)
    }

    /// The value of an argument with at least one axis of its own.
    fn shaped(&mut self, u: &Operand, name: &str) -> Option<(Tensor, Vec<Dim>)> {
        let t = self.tensor(&u.val, u.span)?;
        let dims = self.dims(&t);
        if dims.is_empty() && !t.unknown {
            let place = self.place(u.span);
            let d = Diagnostic::new("wrong-rank", place, format!("`{name}` takes a tensor"));
            self.report(d.says("this is a scalar"));
            return None;
        }
        Some((t, dims))
    }

    fn sizes(&mut self, exprs: &[Expr]) -> Option<Vec<Dim>> {
        let dims: Vec<Option<Dim>> = exprs.iter().map(|e| self.size(e)).collect();
        dims.into_iter().collect()
    }

    /// `split(u, n1, n2, …)`: consecutive slices of the last axis.
    fn split(&mut self, u: Operand, sizes: &[Expr], span: Span) -> Val {
        let value = self.shaped(&u, "split");
        let parts = self.sizes(sizes);
        let (Some((t, dims)), Some(parts)) = (value, parts) else {
            return Val::Poison;
        };
        if t.unknown {
            let zeros = parts
                .iter()
                .map(|d| Val::Tensor(Tensor::plain(self.filled(0.0, std::slice::from_ref(d)))));
            return Val::Tuple(zeros.collect());
        }
        let total: usize = parts.iter().map(|d| d.size).fold(0, usize::saturating_add);
        let last = &dims[dims.len() - 1];
        if total != last.size {
            let place = self.place(span);
            let mut d = Diagnostic::new(
                "size-mismatch",
                place,
                format!(
                    "the parts have {total} entries together, the last axis has {}",
                    last.size
                ),
            )
            .note(self.place(u.span), format!("this is {}", shown(&dims)));
            d = self.dim_origins(d, &dims);
            for e in sizes {
                d = self.origins(d, e);
            }
            return self.report(d);
        }
        let mut start = 0;
        let mut out = Vec::new();
        for part in parts {
            let axis = t.vars.len() + dims.len() - 1;
            let mut shape = self.graph.ty(t.v).dims.clone();
            let mut map: Vec<IndexExpr> = (0..shape.len()).map(IndexExpr::Axis).collect();
            if start > 0 {
                let offset = Box::new(IndexExpr::Const(start as i64));
                map[axis] = IndexExpr::Add(Box::new(IndexExpr::Axis(axis)), offset);
            }
            start += part.size;
            shape[axis] = part;
            out.push(Val::Tensor(Tensor::over(self.view(t.v, shape, map), t.vars.clone())));
        }
        Val::Tuple(out)
    }

    /// `concat(a, b, …)`: one after another along the last axis.
    fn concat(&mut self, args: &[Operand], span: Span) -> Val {
        let parts: Vec<_> = args.iter().map(|part| self.shaped(part, "concat")).collect();
        let Some(parts) = parts.into_iter().collect::<Option<Vec<_>>>() else {
            return Val::Poison;
        };
        if let Some((t, _)) = parts.iter().find(|(t, _)| t.unknown) {
            return Val::Tensor(t.clone());
        }
        let lead = |dims: &[Dim]| dims[..dims.len() - 1].to_vec();
        let first = lead(&parts[0].1);
        if let Some(n) = parts.iter().position(|(_, dims)| lead(dims) != first) {
            let place = self.place(span);
            let mut d = Diagnostic::new(
                "shape-mismatch",
                place,
                "`concat` takes tensors that differ in their last axis only",
            )
            .note(self.place(args[0].span), format!("this is {}", shown(&parts[0].1)))
            .note(self.place(args[n].span), format!("this is {}", shown(&parts[n].1)));
            d = self.dim_origins(d, &parts[n].1);
            return self.report(d);
        }
        let mut vars: Vec<_> = parts.iter().flat_map(|(t, _)| t.vars.clone()).collect();
        vars.sort_unstable();
        vars.dedup();
        let ints = parts.iter().all(|(t, _)| self.elem(t) == Elem::I64);
        let elem = if ints { Elem::I64 } else { Elem::F32 };
        let total = parts
            .iter()
            .map(|(_, dims)| dims[dims.len() - 1].size)
            .fold(0, usize::saturating_add);
        let domain = self.domain(&vars, &[&first[..], &[Dim::new("", total)]].concat());
        if !self.check_dims(&domain, span) {
            return Val::Poison;
        }
        let values: Vec<_> = parts
            .iter()
            .map(|(t, dims)| {
                let t = self.cast(t, elem);
                self.spread(&t, &vars, dims)
            })
            .collect();
        let axis = vars.len() + first.len();
        Val::Tensor(Tensor::over(self.graph.concat(axis, &values), vars))
    }

    /// `reshape(u, n1, …)`: the same elements in row-major order.
    pub(super) fn reshape(&mut self, u: Operand, sizes: &[Expr], span: Span) -> Val {
        let dims = self.sizes(sizes);
        let (Some(t), Some(dims)) = (self.tensor(&u.val, u.span), dims) else {
            return Val::Poison;
        };
        if !self.check_dims(&dims, span) {
            return Val::Poison;
        }
        if t.unknown {
            return Val::Tensor(Tensor::plain(self.filled(0.0, &dims)));
        }
        let from = self.dims(&t);
        let count = |dims: &[Dim]| dims.iter().map(|d| d.size).product::<usize>();
        if count(&from) != count(&dims) {
            let place = self.place(span);
            let mut d = Diagnostic::new(
                "size-mismatch",
                place,
                format!("{} entries do not fill {}", count(&from), shown(&dims)),
            )
            .note(self.place(u.span), format!("this is {}", shown(&from)));
            d = self.dim_origins(d, &from);
            for e in sizes {
                d = self.origins(d, e);
            }
            return self.report(d);
        }
        let domain = self.domain(&t.vars, &dims);
        Val::Tensor(Tensor::over(self.graph.reshape(t.v, domain), t.vars))
    }

    pub(super) fn flatten(&mut self, u: Operand) -> Val {
        let Some(t) = self.tensor(&u.val, u.span) else {
            return Val::Poison;
        };
        let dims = self.dims(&t);
        if t.unknown || dims.len() == 1 {
            return Val::Tensor(t);
        }
        let count = dims.iter().map(|d| d.size).product();
        let domain = self.domain(&t.vars, &[Dim::new("", count)]);
        Val::Tensor(Tensor::over(self.graph.reshape(t.v, domain), t.vars))
    }
}
