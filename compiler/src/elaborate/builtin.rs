//! Built-in functions.

use super::{
    cx::Cx,
    elementwise::Part,
    shape::shown,
    val::{Score, Tensor, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::{self, FUNCTIONS, Known},
};
use seqc_grammar::ast::{Expr, Ident, NamedArg, Span};
use seqc_ir::{BinaryOp, Dim, Elem, IndexExpr, PairExpr, UnaryOp};

/// Names of all built-in functions.
pub(super) const NAMES: &[&str] = &[
    "exp",
    "log",
    "sqrt",
    "rsqrt",
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "softplus",
    "erf",
    "abs",
    "floor",
    "round",
    "ceil",
    "min",
    "max",
    "len",
    "split",
    "concat",
    "reshape",
    "flatten",
    "lookup",
    "position",
    "causal_conv",
    "long_conv",
    "delay",
    "prev",
    "attend",
    "fail",
    "complex",
    "re",
    "im",
    "conj",
    "int",
    "merge",
    "hold",
    "every",
    "count",
    "best",
    "select",
    "stage",
];

impl Cx<'_> {
    /// A call of a built-in function.
    pub(super) fn builtin(&mut self, callee: &Ident, args: &[Expr], named: &[NamedArg], span: Span) -> Val {
        let name = callee.text.as_str();
        match name {
            "prev" => return self.prev(args, named, span),
            "attend" => return self.attend(args, named, span),
            "hold" => return self.hold(args, named, span),
            "select" => return self.select_keys(args, named, span),
            "stage" => {
                let place = self.place(span);
                let d = Diagnostic::new("wrong-arguments", place, "a stage is an argument of `attend`");
                return self.report(d.help("`attend(stage(q, k, v; …), stage(s, v))`"));
            }
            _ => {}
        }
        let known: &[&str] = match name {
            "causal_conv" => &["dilation"],
            "best" => &["k"],
            _ => &[],
        };
        if let Some(option) = named.iter().find(|n| !known.contains(&n.name.text.as_str())) {
            let place = self.place(option.name.span);
            let d = Diagnostic::new(
                "unknown-setting",
                place,
                format!("`{name}` has no setting `{}`", option.name.text),
            );
            return self.report(d.did_you_mean(&option.name.text, known.iter().copied()));
        }
        if let Some((_, op)) = FUNCTIONS.iter().find(|(n, _)| *n == name) {
            return match args {
                [x] => {
                    let x = (self.expr(x), x.span);
                    self.unary(*op, x, span)
                }
                _ => self.wrong_count(name, "one argument", span),
            };
        }
        match (name, args) {
            ("min" | "max", [a, b]) => {
                let op = if name == "min" { BinaryOp::Min } else { BinaryOp::Max };
                let (a, b) = ((self.expr(a), a.span), (self.expr(b), b.span));
                self.binary(op, a, b, span)
            }
            ("min" | "max", _) => {
                let place = self.place(span);
                let d = Diagnostic::new("wrong-arguments", place, format!("`{name}` takes two arguments"));
                self.report(d.help(format!("over an axis: `{name}(i: x[i])`")))
            }
            ("ceil", [x]) => self.ceil(x, span),
            ("len", [x]) => match self.known(x, "the list") {
                Some(list) => match known::function("len", &[list]) {
                    Some(Ok(n)) => Val::Known(n),
                    _ => self.error("wrong-operands", span, "`len` takes a list"),
                },
                None => Val::Poison,
            },
            ("position", []) => Val::Tensor(Tensor::plain(self.graph.position())),
            ("merge", _) => self.merge(args, span),
            ("every", _) => self.every(args, span),
            ("count", _) => self.count(args, span),
            ("best", _) => {
                let k = match named.first() {
                    Some(option) => self.size(&option.value).map(|d| d.size),
                    None => Some(1),
                };
                k.map_or(Val::Poison, |k| self.best(args, k, span))
            }
            ("int", [x]) => {
                let x = (self.expr(x), x.span);
                self.rounded_down(x, span)
            }
            ("complex", [re, im]) => {
                let (re, im) = ((self.expr(re), re.span), (self.expr(im), im.span));
                self.complex(re, im, span)
            }
            ("re" | "im" | "conj", [z]) => {
                let z = (self.expr(z), z.span);
                self.part_of(name, z, span)
            }
            ("split", [u, sizes @ ..]) if !sizes.is_empty() => match self.expr(u) {
                Val::Complex(z) => {
                    let re = self.split((Val::Tensor(z.re), u.span), sizes, span);
                    let im = self.split((Val::Tensor(z.im), u.span), sizes, span);
                    self.pairs_of(re, im, span)
                }
                val => self.split((val, u.span), sizes, span),
            },
            ("concat", [_, ..]) => {
                let parts: Vec<_> = args.iter().map(|e| (self.expr(e), e.span)).collect();
                if !parts.iter().any(|(val, _)| matches!(val, Val::Complex(_))) {
                    return self.concat(&parts, span);
                }
                let [re, im] = ["re", "im"].map(|part| {
                    let parts: Vec<_> = parts.iter().map(|z| (self.part_like(part, z.clone()), z.1)).collect();
                    self.concat(&parts, span)
                });
                self.pair(re, im, span)
            }
            ("reshape", [u, sizes @ ..]) => {
                let val = self.expr(u);
                self.on_parts(val, span, |cx, part| cx.reshape((part, u.span), sizes, span))
            }
            ("flatten", [u]) => {
                let val = self.expr(u);
                self.on_parts(val, span, |cx, part| cx.flatten((part, u.span)))
            }
            ("lookup", [table, t]) => {
                let (table, t) = ((self.expr(table), table.span), (self.expr(t), t.span));
                self.lookup(table, t, span)
            }
            ("delay", [u, k]) => self.delay(u, k, span),
            ("causal_conv", [u, w]) => self.causal_conv(u, w, named, span),
            ("long_conv", [u, f]) => self.long_conv(u, f, span),
            ("fail", _) => self.fail(args, span),
            ("position", _) => self.wrong_count(name, "no arguments", span),
            ("split", _) => self.wrong_count(name, "a vector and the sizes of its parts", span),
            ("reshape", _) => self.wrong_count(name, "a tensor and its new sizes", span),
            ("concat", _) => self.wrong_count(name, "tensors", span),
            ("lookup", _) => self.wrong_count(name, "a table and the number of a row", span),
            ("complex", _) => self.wrong_count(name, "a real and an imaginary part", span),
            ("delay", _) => self.wrong_count(name, "a stream and a number of tokens", span),
            ("causal_conv" | "long_conv", _) => self.wrong_count(name, "a stream and a filter", span),
            _ => self.wrong_count(name, "one argument", span),
        }
    }

    fn wrong_count(&mut self, name: &str, wants: &str, span: Span) -> Val {
        self.error("wrong-arguments", span, format!("`{name}` takes {wants}"))
    }

    fn ceil(&mut self, x: &Expr, span: Span) -> Val {
        let val = self.expr(x);
        if let Val::Known(Known::Num(n)) = val {
            return Val::Known(Known::Num(n.ceil()));
        }
        let down = self.unary(UnaryOp::Neg, (val, x.span), span);
        let floor = self.unary(UnaryOp::Floor, (down, x.span), span);
        self.unary(UnaryOp::Neg, (floor, x.span), span)
    }

    /// `int(x)`: rounded down, as an integer; what is no number is 0.
    fn rounded_down(&mut self, x: Part, span: Span) -> Val {
        match &x.0 {
            Val::Known(Known::Num(n)) => Val::Known(Known::Num(seqc_ir::eval::whole(*n))),
            Val::Known(_) => self.unary(UnaryOp::Floor, x, span),
            Val::Score(score) if score.elem == Elem::F32 => {
                let floor = PairExpr::unary(UnaryOp::Floor, score.expr.clone());
                Val::Score(Score::new(floor, Elem::I64))
            }
            Val::Score(score) if score.elem == Elem::I64 => x.0,
            val => {
                let Some(t) = self.tensor(val, x.1) else {
                    return Val::Poison;
                };
                Val::Tensor(self.cast(&t, Elem::I64))
            }
        }
    }

    /// The value of an argument with at least one axis of its own.
    fn shaped(&mut self, (val, at): &Part, name: &str) -> Option<(Tensor, Vec<Dim>)> {
        let t = self.tensor(val, *at)?;
        let dims = self.dims(&t);
        if dims.is_empty() && !t.unknown {
            let place = self.place(*at);
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
    fn split(&mut self, u: Part, sizes: &[Expr], span: Span) -> Val {
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
            .note(self.place(u.1), format!("this is {}", shown(&dims)));
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
    fn concat(&mut self, args: &[Part], span: Span) -> Val {
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
            .note(self.place(args[0].1), format!("this is {}", shown(&parts[0].1)))
            .note(self.place(args[n].1), format!("this is {}", shown(&parts[n].1)));
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
    fn reshape(&mut self, (val, at): Part, sizes: &[Expr], span: Span) -> Val {
        let dims = self.sizes(sizes);
        let (Some(t), Some(dims)) = (self.tensor(&val, at), dims) else {
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
            .note(self.place(at), format!("this is {}", shown(&from)));
            d = self.dim_origins(d, &from);
            for e in sizes {
                d = self.origins(d, e);
            }
            return self.report(d);
        }
        let domain = self.domain(&t.vars, &dims);
        Val::Tensor(Tensor::over(self.graph.reshape(t.v, domain), t.vars))
    }

    fn flatten(&mut self, (val, at): Part) -> Val {
        let Some(t) = self.tensor(&val, at) else {
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

    /// A number of tokens, known when the model is built.
    pub(super) fn steps(&mut self, e: &Expr, what: &str) -> Option<usize> {
        let known = self.known(e, what)?;
        match known.size() {
            Some(n) if n <= seqc_ir::verify::MAX_DELAY => Some(n),
            _ => {
                let message = format!(
                    "{what} is a whole number up to {}, not {known}",
                    seqc_ir::verify::MAX_DELAY
                );
                self.error("bad-size", e.span, message);
                None
            }
        }
    }

    fn delay(&mut self, u: &Expr, k: &Expr, span: Span) -> Val {
        let val = self.expr(u);
        let Some(steps) = self.steps(k, "a delay") else {
            return Val::Poison;
        };
        self.on_parts(val, span, |cx, part| match cx.tensor(&part, span) {
            Some(t) => cx.delayed(&t, steps, span),
            None => Val::Poison,
        })
    }
}
