//! Index brackets: affine indices become views, integer streams become gathers.

use super::{
    affine,
    cx::Cx,
    dims::written,
    val::{Score, Tensor, Val, Var},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::{self, Known},
};
use seqc_grammar::ast::{BinOp, Expr, ExprKind, Span, UnOp};
use seqc_ir::{BinaryOp, Dim, Elem, IndexExpr, PairExpr};

/// Most elements of a list that is indexed by a variable.
const MAX_LIST: usize = 4096;

/// Most elements of a list that is indexed by a number of a pair.
const MAX_PAIRS: usize = 256;

/// One index: affine in variables (axis numbers are variable numbers), or computed.
pub(super) enum At {
    Affine(IndexExpr),
    Computed(Tensor),
}

impl Cx<'_> {
    /// `base[i, …]`
    pub(super) fn index(&mut self, base: &Expr, indices: &[Expr], span: Span) -> Val {
        if let Some(pair) = self.pair_entry(base, indices, span) {
            return pair;
        }
        if let Some(number) = self.cache_entry(base, indices, span) {
            return number;
        }
        let val = {
            let whole = std::mem::replace(&mut self.whole, false);
            let val = self.expr(base);
            self.whole = whole;
            val
        };
        match val {
            Val::Known(Known::List(items)) => self.list_index(&items, base, indices, span),
            Val::Known(known) => {
                let place = self.place(span);
                self.report(
                    Diagnostic::new("not-a-tensor", place, format!("{} has no axes", known.kind()))
                        .help("a number is used without indices"),
                )
            }
            Val::Tensor(t) => self.tensor_index(&t, base, indices, span),
            Val::Complex(z) => {
                let re = self.tensor_index(&z.re, base, indices, span);
                let im = self.tensor_index(&z.im, base, indices, span);
                self.pair(re, im, span)
            }
            Val::Score(_) => self.error("score-use", span, "positions and scores have no axes"),
            other => {
                self.tensor(&other, span);
                Val::Poison
            }
        }
    }

    /// `list[i]`: a known element, or, for an index that varies, an entry of the vector of the list's numbers.
    fn list_index(&mut self, items: &[Known], base: &Expr, indices: &[Expr], span: Span) -> Val {
        let [index] = indices else {
            return self.error("wrong-rank", span, "a list has one index");
        };
        let whole = std::mem::replace(&mut self.whole, true);
        let val = self.expr(index);
        self.whole = whole;
        let index = match val {
            Val::Known(index) => index,
            Val::Poison => return Val::Poison,
            Val::Score(index) => return self.list_of_pairs(items, &index, base.span),
            _ => {
                return match self.vector_of(items, base.span) {
                    Some(t) => self.tensor_index(&t, base, indices, span),
                    None => Val::Poison,
                };
            }
        };
        match known::element(&Known::List(items.to_vec()), &index) {
            Ok(value) => Val::Known(value),
            Err(message) => self.error("out-of-range", span, message),
        }
    }

    /// `list[head]` in functions of pairs and in caches: the element at a number, rounded down; before the first one that, behind the last one that.
    fn list_of_pairs(&mut self, items: &[Known], index: &Score, span: Span) -> Val {
        if items.is_empty() || items.len() > MAX_PAIRS {
            let message = format!("a list that is indexed by `head` or a position has 1 to {MAX_PAIRS} elements");
            return self.error("bad-size", span, message);
        }
        let number = |item: &Known| match item {
            Known::Num(n) => Some(*n),
            Known::Bool(b) => Some(f64::from(*b)),
            _ => None,
        };
        let Some(numbers) = items.iter().map(number).collect::<Option<Vec<f64>>>() else {
            let message = "a list that is indexed by `head` or a position has numbers or truth values as elements";
            return self.error("wrong-operands", span, message);
        };
        let truths = items.iter().all(|item| matches!(item, Known::Bool(_)));
        let last = PairExpr::Const(numbers[numbers.len() - 1]);
        let before = numbers.iter().enumerate().take(numbers.len() - 1).rev();
        let found = before.fold(last, |rest, (n, number)| {
            let here = PairExpr::binary(BinaryOp::Lt, index.expr.clone(), PairExpr::Const(n as f64 + 1.0));
            PairExpr::select(here, PairExpr::Const(*number), rest)
        });
        let integers = numbers.iter().all(|n| n.fract() == 0.0);
        Val::Score(match (truths, integers) {
            (true, _) => Score::new(PairExpr::binary(BinaryOp::Ne, found, PairExpr::Const(0.0)), Elem::Bool),
            (_, true) => Score::new(found, Elem::I64),
            (_, false) => Score::new(found, Elem::F32),
        })
    }

    /// The numbers of a list as a vector.
    fn vector_of(&mut self, items: &[Known], span: Span) -> Option<Tensor> {
        if items.is_empty() || items.len() > MAX_LIST {
            let message = format!("a list that is indexed by a variable has 1 to {MAX_LIST} elements");
            self.error("bad-size", span, message);
            return None;
        }
        let mut parts = Vec::new();
        for item in items {
            let t = self.constant(item, Elem::F32, span)?;
            parts.push(self.spread(&t, &[], &[Dim::new("", 1)]));
        }
        let v = if let [one] = parts[..] {
            one
        } else {
            self.graph.concat(0, &parts)
        };
        Some(Tensor::over(v, Vec::new()))
    }

    fn tensor_index(&mut self, t: &Tensor, base: &Expr, indices: &[Expr], span: Span) -> Val {
        let whole = std::mem::replace(&mut self.whole, true);
        let at: Vec<Option<At>> = indices.iter().map(|i| self.one_index(i)).collect();
        self.whole = whole;
        let Some(at) = at.into_iter().collect::<Option<Vec<At>>>() else {
            return Val::Poison;
        };
        let dims = self.dims(t);
        if t.unknown {
            return self.unknown_index(&at);
        }
        if dims.len() != indices.len() {
            if let Some(reported) = self.shape_is_assumed(&Val::Tensor(t.clone()), None, span) {
                return reported;
            }
            return self.wrong_rank(base, &dims, indices.len(), span);
        }
        let mut at = at;
        for (n, e) in indices.iter().enumerate() {
            let At::Affine(index) = &at[n] else { continue };
            match self.in_range(index, &dims[n], e, base) {
                Some(index) => at[n] = At::Affine(index),
                None => return Val::Poison,
            }
        }
        let mut vars = t.vars.clone();
        at.iter().for_each(|a| a.add_vars(&mut vars));
        vars.sort_unstable();
        vars.dedup();
        let domain = self.domain(&vars, &[]);
        if !self.check_dims(&domain, span) {
            return Val::Poison;
        }
        if at.iter().any(|a| matches!(a, At::Computed(_))) {
            return self.computed_index(t, at, span);
        }
        Val::Tensor(self.affine_view(t, &at, vars))
    }

    /// Reports a wrong number of indices.
    pub(super) fn wrong_rank(&mut self, base: &Expr, dims: &[Dim], count: usize, span: Span) -> Val {
        let place = self.place(span);
        let noun = if count == 1 { "index" } else { "indices" };
        let message = format!("{count} {noun} for {}", super::dims::shown(dims));
        let mut d = Diagnostic::new("wrong-rank", place, message)
            .says(format!("`{}` has {} axes", shown_base(base), dims.len()))
            .help("a tensor is used with all its indices");
        d = self.dim_origins(d, dims);
        self.report(d)
    }

    /// The view at affine indices, over the variables `vars`.
    pub(super) fn affine_view(&mut self, t: &Tensor, at: &[At], vars: Vec<Var>) -> Tensor {
        let place_of = |v: &Var| vars.iter().position(|w| w == v).unwrap_or(0);
        let lead = t.vars.iter().map(|v| IndexExpr::Axis(place_of(v)));
        let rest = at.iter().map(|a| match a {
            At::Affine(e) => e.map_axes(&|n| place_of(&Var(n as u32))),
            At::Computed(_) => IndexExpr::Const(0),
        });
        let map = lead.chain(rest).collect();
        let domain = self.domain(&vars, &[]);
        Tensor::over(self.view(t.v, domain, map), vars)
    }

    /// A number for each index of something whose shape is not known yet.
    fn unknown_index(&mut self, at: &[At]) -> Val {
        let mut vars = Vec::new();
        at.iter().for_each(|a| a.add_vars(&mut vars));
        vars.sort_unstable();
        vars.dedup();
        let domain = self.domain(&vars, &[]);
        let zeros = self.graph.constant(0.0, seqc_ir::Ty::new(Elem::F32, domain));
        Val::Tensor(Tensor::over(zeros, vars))
    }

    /// One index: affine where possible.
    fn one_index(&mut self, e: &Expr) -> Option<At> {
        if let Some(affine) = self.affine(e) {
            return Some(At::Affine(affine::normal(&affine)));
        }
        let val = self.expr(e);
        let t = match &val {
            Val::Known(known) => {
                let message = format!("an index is an integer, not {known}");
                self.error("bad-index", e.span, message);
                return None;
            }
            _ => self.tensor(&val, e.span)?,
        };
        if self.elem(&t) != Elem::I64 || !self.dims(&t).is_empty() {
            let place = self.place(e.span);
            let message = "an index is an integer: variables, numbers and `int` streams";
            let d = Diagnostic::new("bad-index", place, message);
            if self.elem(&t) == Elem::I64 {
                let found = super::dims::shown(&self.dims(&t));
                let d = d.says(format!("this is {found}"));
                self.report(d.help("choose one of its entries: `x[b[0]]`, or give it its index: `y[i] = x[b[i]]`"));
                return None;
            }
            self.report(d.help(match self.elem(&t) {
                Elem::F32 => "this is a real number, as is every definition that remembers itself with `prev`; `int(x)` rounds it down",
                _ => "`/` rounds down inside index brackets",
            }));
            return None;
        }
        Some(At::Computed(t))
    }

    /// The index as an affine function of variables, if it is one.
    fn affine(&mut self, e: &Expr) -> Option<IndexExpr> {
        match &e.kind {
            ExprKind::Name(name)
                if self
                    .frames
                    .last()
                    .is_some_and(|f| f.lambda.iter().any(|(n, _)| n == name)) =>
            {
                None
            }
            ExprKind::Name(name) => match self.var(name) {
                Some(var) => Some(IndexExpr::Axis(var.0 as usize)),
                None => self.whole_number(e).map(IndexExpr::Const),
            },
            ExprKind::Unary(UnOp::Neg, x) => Some(affine::times(self.affine(x)?, -1)),
            ExprKind::Binary(op, a, b) if self.mentions_var(e) => {
                let (a, b) = (self.affine(a)?, self.affine(b)?);
                match (op, &a, &b) {
                    (BinOp::Add, ..) => Some(affine::plus(a, b)),
                    (BinOp::Sub, ..) => Some(affine::plus(a, affine::times(b, -1))),
                    (BinOp::Mul, _, IndexExpr::Const(k)) => Some(affine::times(a, *k)),
                    (BinOp::Mul, IndexExpr::Const(k), _) => Some(affine::times(b, *k)),
                    (BinOp::Div, _, IndexExpr::Const(1)) => Some(a),
                    (BinOp::Div, _, IndexExpr::Const(k)) if *k > 0 => Some(IndexExpr::Div(Box::new(a), *k)),
                    (BinOp::Mod, _, IndexExpr::Const(k)) if *k > 0 => Some(IndexExpr::Mod(Box::new(a), *k)),
                    _ => None,
                }
            }
            _ => self.whole_number(e).map(IndexExpr::Const),
        }
    }

    fn mentions_var(&self, e: &Expr) -> bool {
        let mut work = vec![e];
        while let Some(e) = work.pop() {
            if let ExprKind::Name(name) = &e.kind
                && self.var(name).is_some()
            {
                return true;
            }
            work.extend(super::children::children(e));
        }
        false
    }

    /// The integer that an expression of known values stands for, if it is one.
    fn whole_number(&mut self, e: &Expr) -> Option<i64> {
        let mut work = vec![e];
        while let Some(e) = work.pop() {
            if let ExprKind::Name(name) = &e.kind
                && (self.var(name).is_some() || self.known_name(name).is_none())
            {
                return None;
            }
            work.extend(super::children::children(e));
        }
        self.quiet += 1;
        let val = self.expr(e);
        self.quiet -= 1;
        match val {
            Val::Known(Known::Num(n)) if n.fract() == 0.0 && n.abs() < 1e15 => Some(n as i64),
            _ => None,
        }
    }

    /// The index, whose bounds then show that it is in range; an index that leaves its axis for some value of its variables
    /// is reported.
    fn in_range(&mut self, index: &IndexExpr, dim: &Dim, e: &Expr, base: &Expr) -> Option<IndexExpr> {
        let mut used = Vec::new();
        affine::vars_of(index, &mut used);
        if let (IndexExpr::Axis(n), ExprKind::Name(_)) = (index, &e.kind) {
            let info = self.vars[*n].clone();
            if info.size > dim.size || (info.inferred && info.size != dim.size) {
                self.var_mismatch(&info, dim, e, base);
                return None;
            }
            return Some(index.clone());
        }
        let sizes: Vec<usize> = self.vars.iter().map(|v| v.size).collect();
        if affine::magnitude(index, &sizes) > affine::MAX_INDEX {
            self.error("out-of-range", e.span, "this index is beyond every axis");
            return None;
        }
        let fits = |(low, high): (i64, i64)| low >= 0 && high < dim.size as i64;
        let bounds = index.range(&sizes);
        if fits(bounds) {
            return Some(index.clone());
        }
        let exact = affine::exact_range(index, &used, &sizes, &mut self.tries);
        if exact.is_some_and(fits) {
            // A remainder that changes nothing tells everybody else that the index is in range.
            return Some(IndexExpr::Mod(Box::new(index.clone()), dim.size as i64));
        }
        let (low, high) = exact.unwrap_or(bounds);
        let place = self.place(e.span);
        let mut d = Diagnostic::new(
            "out-of-range",
            place,
            format!("this index leaves its axis of `{}`", shown_base(base)),
        )
        .says(if low == high {
            format!("is {low}; the axis has the entries 0 to {}", dim.size - 1)
        } else {
            format!(
                "runs from {low} to {high}; the axis has the entries 0 to {}",
                dim.size - 1
            )
        });
        let varies = !used.is_empty();
        for var in used {
            let info = &self.vars[var.0 as usize];
            d = d.note(info.place, format!("`{}` runs over {} values", info.name, info.size));
        }
        d = self.dim_origins(d, std::slice::from_ref(dim));
        if let (ExprKind::Name(name), false) = (&e.kind, varies) {
            d = d.help(format!(
                "`{name}` is the size {low} here; index variables exist only in `y[{name}] = …` and `sum({name}: …)`"
            ));
        }
        if varies {
            let size = written(dim);
            d = d.help(format!(
                "an index must be in range for all values of its variables, even where an `if` does not use the entry: `(…) % {size}` ensures this"
            ));
        }
        self.report(d);
        None
    }

    fn var_mismatch(&mut self, info: &super::cx::VarInfo, dim: &Dim, e: &Expr, base: &Expr) {
        let name = &info.name;
        let place = self.place(e.span);
        let mut d = Diagnostic::new(
            "size-mismatch",
            place,
            format!("`{name}` runs over {} values, this axis has {}", info.size, dim.size),
        )
        .says(format!("this axis of `{}` has size {}", shown_base(base), dim.size))
        .note(info.place, format!("`{name}` has size {} from here", info.size));
        d = self.dim_origins(d, std::slice::from_ref(dim));
        self.report(d.help("use another variable, or state its size"));
    }
}

impl At {
    pub(super) fn add_vars(&self, vars: &mut Vec<Var>) {
        match self {
            At::Affine(e) => affine::vars_of(e, vars),
            At::Computed(t) => vars.extend(&t.vars),
        }
    }
}

fn shown_base(base: &Expr) -> String {
    match &base.kind {
        ExprKind::Name(name) => name.clone(),
        ExprKind::Call { callee, args, .. } => match args.first().map(|a| &a.kind) {
            Some(ExprKind::Name(arg)) => format!("{}({arg})", callee.text),
            _ => format!("{}(…)", callee.text),
        },
        _ => "this".to_owned(),
    }
}
