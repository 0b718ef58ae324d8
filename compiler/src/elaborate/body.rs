//! Statements of a definition.

use super::{
    call::CallOf,
    cx::{Binding, Cx},
    dims::shown,
    request::TRACE,
    val::{Tensor, Val, Var},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
    source::Place,
};
use seqc_grammar::ast::{Expr, Ident, ParamDecl, Shape, Span, Stmt, Target};
use seqc_ir::{Dim, Elem, Ty, Value};

impl Cx<'_> {
    /// The whole request: inputs, blocks, the layer, its result and taps.
    pub(super) fn layer(&mut self) {
        let request = self.request;
        let names = super::request::stream_names(&request.layer.definition, &request.blocks);
        let outermost = request.blocks.first().unwrap_or(&request.layer);
        let first = outermost.definition.def.streams.first().map(|s| s.name.text.clone());
        for (n, ty) in request.inputs.iter().enumerate() {
            let mut name = names.get(n).cloned().unwrap_or_else(|| format!("input{n}"));
            if n == 0 {
                name = first.clone().unwrap_or(name);
            }
            while self.graph.inputs.iter().any(|i| i.name == name) {
                name.push('_');
            }
            let v = self.graph.add_input(name, ty.clone());
            if request.of_memory.get(n) == Some(&true) {
                let rows = self.rows_of_memory();
                self.pin(v, Some(rows));
            }
            self.inputs.push(v);
        }
        let Some(first) = self.inputs.first() else {
            let d = Diagnostic::new(
                "wrong-arguments",
                request.layer.place,
                "a layer reads at least one stream",
            );
            self.report(d);
            return;
        };
        let first = Val::Tensor(Tensor::plain(*first));
        let result = self.part(0, first, outermost.place);
        if let Val::Tensor(t) = &result {
            let t = if self.elem(t) == Elem::Bool {
                self.cast(t, Elem::F32)
            } else {
                t.clone()
            };
            self.graph.outputs.insert(0, ("y".to_owned(), t.v));
        }
        if self.inner_calls.len() < request.blocks.len() && self.diagnostics.is_empty() {
            let block = &request.blocks[self.inner_calls.len()];
            let place = Place::new(block.definition.file, block.definition.def.name.span);
            let d = Diagnostic::new("inner-unused", place, "this block never calls the layer that it wraps");
            self.report(d.help("call it on a stream: `x + inner(x)`"));
        }
    }

    /// A definition's arguments, statements and result.
    pub(super) fn body(&mut self, call: &CallOf) -> Val {
        let fits = self.bind_arguments(call).is_some();
        let definition = call.definition.clone();
        let def = &definition.def;
        self.declare(&def.body);
        let mut result = None;
        for (n, stmt) in def.body.iter().enumerate() {
            match stmt {
                Stmt::Dim { name, value } => self.dim(name, value),
                Stmt::Param(decls) => {
                    if let (None, Some(first)) = (self.frame().part, decls.first()) {
                        let d = Diagnostic::new(
                            "param-in-fn",
                            self.place(first.name.span),
                            "a function has no parameters of its own",
                        );
                        self.report(d.help("declare them in the layer and pass them"));
                    }
                }
                Stmt::Let { target, value } => self.definition(n, target, value),
                Stmt::Trace { name, value } => self.trace(name, value),
                Stmt::Result(e) => result = Some((self.expr(e), e.span)),
                // Of caches, which have no result and are elaborated otherwise.
                Stmt::Clause(_) => {}
            }
        }
        let Some((mut val, span)) = result else {
            return self.error(
                "no-result",
                def.name.span,
                format!("`{}` has no result: its last line must be an expression", def.name.text),
            );
        };
        if let Some(shape) = &def.result
            && fits
        {
            val = self.annotated(val, shape, span);
        }
        if call.part.is_some() {
            val = self.result_of_layer(val, span);
        }
        if call.part == Some(self.request.blocks.len()) {
            self.tap();
        }
        if fits { val } else { Val::Poison }
    }

    /// The result of a layer or block as a stream: a real tensor at every token.
    fn result_of_layer(&mut self, val: Val, span: Span) -> Val {
        if let Some(clock) = self.clock_of(&val) {
            let place = self.place(span);
            if self.is_memory(clock) {
                return self.not_of_tokens(place, "the result of a layer");
            }
            let d = Diagnostic::new("clock-mismatch", place, "the result of this layer is on a slower clock");
            return self.report(d.help("a layer gives a value at every token: `merge(c, y, x)` or `hold(y)`"));
        }
        self.tensor(&val, span).map_or(Val::Poison, Val::Tensor)
    }

    /// Makes all definitions and parameters known, so that `prev` may look ahead.
    fn declare(&mut self, body: &[Stmt]) {
        for (n, stmt) in body.iter().enumerate() {
            let names: Vec<(&Ident, Binding)> = match stmt {
                Stmt::Dim { name, .. } => vec![(name, Binding::Pending(n))],
                Stmt::Param(decls) => decls
                    .iter()
                    .map(|d: &ParamDecl| (&d.name, Binding::Param(d.clone(), None)))
                    .collect(),
                Stmt::Let { target, .. } => match target {
                    Target::Name { name, .. } | Target::Indexed { name, .. } => vec![(name, Binding::Pending(n))],
                    Target::Tuple(names) => names.iter().map(|name| (name, Binding::Pending(n))).collect(),
                },
                Stmt::Trace { .. } | Stmt::Result(_) | Stmt::Clause(_) => Vec::new(),
            };
            for (name, binding) in names {
                match self.frame().names.get(&name.text).map(|b| b.place) {
                    Some(before) => self.twice(name, before),
                    None => {
                        let place = self.place(name.span);
                        self.bind(&name.text, binding, place);
                    }
                }
            }
        }
    }

    /// Reports a name that stands for two things.
    pub(super) fn twice(&mut self, name: &Ident, before: Place) {
        let place = self.place(name.span);
        let d = Diagnostic::new("defined-twice", place, format!("`{}` is defined twice", name.text));
        self.report(d.note(before, "first here").help("give it another name"));
    }

    pub(super) fn dim(&mut self, name: &Ident, value: &Expr) {
        let place = self.place(name.span);
        let binding = match self.known(value, &format!("`{}`", name.text)) {
            Some(Known::Num(n)) if n.is_finite() => Binding::Known(Known::Num(n)),
            Some(other) => {
                let d = Diagnostic::new(
                    "bad-size",
                    self.place(value.span),
                    format!("a `dim` is a number, not {other}"),
                );
                let d = self.origins(d, value);
                self.report(d);
                Binding::Value(Val::Poison)
            }
            None => Binding::Value(Val::Poison),
        };
        self.bind(&name.text, binding, place);
    }

    /// `y = …`, `y: [n] = …`, `y[i] = …`, `(a, b) = …`
    fn definition(&mut self, n: usize, target: &Target, value: &Expr) {
        match target {
            Target::Name { name, shape } => {
                let mut val = self.expr(value);
                if let Some(shape) = shape {
                    val = self.annotated(val, shape, value.span);
                }
                self.complete(n, name, val);
            }
            Target::Indexed { name, vars } => {
                let val = self.indexed(name, vars, value);
                self.complete(n, name, val);
            }
            Target::Tuple(names) => self.tuple(n, names, value),
        }
    }

    fn tuple(&mut self, n: usize, names: &[Ident], value: &Expr) {
        let parts = match self.expr(value) {
            Val::Tuple(parts) if parts.len() == names.len() => Some(parts),
            Val::Poison => None,
            other => {
                let count = if let Val::Tuple(parts) = &other { parts.len() } else { 1 };
                let place = self.place(value.span);
                let message = format!(
                    "{} names for {count} {}",
                    names.len(),
                    if count == 1 { "value" } else { "values" }
                );
                self.report(
                    Diagnostic::new("tuple-use", place, message)
                        .help("`split(u, n1, n2)` and `(a, b)` give two values"),
                );
                None
            }
        };
        for (k, name) in names.iter().enumerate() {
            let val = parts.as_ref().map_or(Val::Poison, |p| p[k].clone());
            self.complete(n, name, val);
        }
    }

    /// Binds a complete definition and closes its recurrence.
    fn complete(&mut self, n: usize, name: &Ident, val: Val) {
        let pending = matches!(
            self.frame().names.get(&name.text).map(|b| &b.binding),
            Some(Binding::Pending(m)) if *m == n
        );
        if !pending {
            return;
        }
        let named = match &val {
            Val::Tensor(t) => vec![(t.v, name.text.clone())],
            Val::Complex(z) => vec![(z.re.v, name.text.clone()), (z.im.v, format!("{}.im", name.text))],
            _ => Vec::new(),
        };
        for (v, text) in named {
            if self.graph.node(v).name.is_empty() {
                self.graph.set_name(v, text);
            }
        }
        let val = self.close_state(name, val);
        let place = self.place(name.span);
        self.bind(&name.text, Binding::Value(val), place);
    }

    /// The value checked against a stated shape; a known number fills it.
    fn annotated(&mut self, val: Val, shape: &Shape, span: Span) -> Val {
        let dims: Vec<Option<Dim>> = shape.dims.iter().map(|e| self.size(e)).collect();
        let Some(dims) = dims.into_iter().collect::<Option<Vec<Dim>>>() else {
            return Val::Poison;
        };
        if matches!(val, Val::Poison) || !self.check_dims(&dims, shape.span) {
            return Val::Poison;
        }
        if matches!(val, Val::Complex(_)) {
            return self.on_parts(val, span, |cx, part| cx.annotated(part, shape, span));
        }
        let Some(t) = self.tensor(&val, span) else {
            return Val::Poison;
        };
        let found = self.dims(&t);
        let fills = t.unknown || matches!(val, Val::Known(_));
        if found.is_empty() && !dims.is_empty() && fills {
            let v = self.spread(&t, &t.vars.clone(), &dims);
            return Val::Tensor(Tensor::over(v, t.vars));
        }
        if found != dims {
            if let Some(reported) = self.shape_is_assumed(&val, Some(&dims), span) {
                return reported;
            }
            let place = self.place(span);
            let mut d = Diagnostic::new(
                "shape-mismatch",
                place,
                format!("this is {}, stated is {}", shown(&found), shown(&dims)),
            )
            .note(self.place(shape.span), "stated here");
            d = self.dim_origins(d, &dims);
            d = self.dim_origins(d, &found);
            return self.report(d);
        }
        Val::Tensor(t)
    }

    /// `y[i, j] = body`
    fn indexed(&mut self, name: &Ident, names: &[Ident], body: &Expr) -> Val {
        let mut vars: Vec<Var> = Vec::new();
        for (n, var) in names.iter().enumerate() {
            if names[..n].iter().any(|v| v.text == var.text) {
                let place = self.place(var.span);
                let d = Diagnostic::new(
                    "defined-twice",
                    place,
                    format!("`{}` occurs twice on the left", var.text),
                );
                return self.report(d.help("the left side takes different variables"));
            }
            let Some(info) = self.var_info(var, body) else {
                return Val::Poison;
            };
            vars.push(self.new_var(info));
        }
        let count = self.frame().vars.len();
        let bound = names.iter().map(|v| v.text.clone()).zip(vars.iter().copied());
        self.frame().vars.extend(bound);
        let val = self.expr(body);
        self.frame().vars.truncate(count);
        self.on_parts(val, body.span, |cx, part| cx.entries(name, &vars, part, body))
    }

    /// The tensor whose entries over `vars` are `val`.
    fn entries(&mut self, name: &Ident, vars: &[Var], val: Val, body: &Expr) -> Val {
        let Some(t) = self.tensor(&val, body.span) else {
            return Val::Poison;
        };
        let dims = self.dims(&t);
        if !dims.is_empty() {
            let place = self.place(body.span);
            return self.report(
                Diagnostic::new(
                    "not-indexed",
                    place,
                    format!("`{}` is defined entry by entry", name.text),
                )
                .says(format!("this is {}", shown(&dims)))
                .help("give every tensor its indices, or leave them out on the left too"),
            );
        }
        let outer: Vec<Var> = t.vars.iter().copied().filter(|v| !vars.contains(v)).collect();
        let all = [&outer[..], vars].concat();
        let domain = self.domain(&all, &[]);
        if !self.check_dims(&domain, name.span) {
            return Val::Poison;
        }
        let v = self.spread(&t, &all, &[]);
        Val::Tensor(Tensor::over(v, outer))
    }

    /// `trace name = value`: one more result, which programs write when they are asked to.
    fn trace(&mut self, name: &Ident, value: &Expr) {
        if self.frame().part.is_none() {
            let place = self.place(name.span);
            let d = Diagnostic::new("trace-in-fn", place, "a function reports nothing");
            self.report(d.help("`trace` is allowed in layers and blocks only: return the value and trace it there"));
            return;
        }
        let full = format!("{}{}", self.frame().prefix, name.text);
        let output = format!("{TRACE}{full}");
        if self.graph.outputs.iter().any(|(other, _)| *other == output) {
            let place = self.place(name.span);
            let d = Diagnostic::new("defined-twice", place, format!("`{}` is traced twice", name.text));
            self.report(d.help("give it another name"));
            return;
        }
        let val = self.expr(value);
        let Some(t) = self.tensor(&val, value.span) else {
            return;
        };
        // Where its clock does not tick there is nothing to report.
        let t = match self.clock(t.v) {
            Some(clock) if self.is_memory(clock) => {
                let place = self.place(value.span);
                self.not_of_tokens(place, "what is traced");
                return;
            }
            Some(clock) => {
                let dims = self.graph.ty(t.v).clone();
                let none = Val::Tensor(Tensor::plain(self.graph.constant(0.0, dims)));
                let clock = Val::Tensor(Tensor::plain(clock)).at(value.span);
                match self.select(clock, Val::Tensor(t).at(value.span), none.at(value.span), value.span) {
                    Val::Tensor(t) => t,
                    _ => return,
                }
            }
            None => t,
        };
        let t = match self.elem(&t) {
            Elem::Bool => self.cast(&t, Elem::I64),
            _ => t,
        };
        self.graph.outputs.push((output, t.v));
    }

    /// Results that the model requires beside the first.
    fn tap(&mut self) {
        for (name, place) in &self.request.taps {
            let bound = self.frame().names.get(name).cloned();
            let tensor = match bound.as_ref().map(|b| &b.binding) {
                Some(Binding::Value(Val::Tensor(t))) if self.clock(t.v).is_some_and(|c| self.is_memory(c)) => {
                    self.not_of_tokens(*place, "a tap");
                    None
                }
                Some(Binding::Value(Val::Tensor(t))) if self.clock(t.v).is_some() => {
                    let message = format!("`{name}` is on a slower clock, a tap has a value at every token");
                    let d = Diagnostic::new("clock-mismatch", *place, message);
                    self.report(d.help("define one more stream in the layer, `held = hold(y)`, and tap that"));
                    None
                }
                Some(Binding::Value(Val::Complex(_))) => {
                    let d = Diagnostic::new("complex-use", *place, format!("`{name}` is complex, a tap is real"));
                    self.report(d.help("define its parts in the layer, `a = re(z)`, `b = im(z)`, and tap those"));
                    None
                }
                Some(Binding::Value(Val::Tensor(t))) => Some(t.clone()),
                Some(Binding::Param(_, Some(t))) => Some(t.clone()),
                Some(Binding::Value(Val::Poison)) => None,
                Some(Binding::Value(val @ Val::Known(_))) => {
                    let val = val.clone();
                    self.tensor(&val, self.request.layer.definition.def.name.span)
                }
                _ => {
                    let layer = &self.request.layer.definition.def;
                    let known: Vec<String> = layer.body.iter().flat_map(defined).collect();
                    let d = Diagnostic::new(
                        "unknown-tap",
                        *place,
                        format!("`{}` defines no `{name}`", layer.name.text),
                    );
                    let d = d.did_you_mean(name, known.iter().map(String::as_str));
                    self.report(d);
                    None
                }
            };
            if let Some(t) = tensor {
                let t = if self.elem(&t) == Elem::Bool {
                    self.cast(&t, Elem::F32)
                } else {
                    t
                };
                self.graph.outputs.push((format!("tap.{name}"), t.v));
            }
        }
    }

    /// A real constant of a shape.
    pub(super) fn filled(&mut self, value: f64, dims: &[Dim]) -> Value {
        self.graph.constant(value, Ty::new(Elem::F32, dims.to_vec()))
    }
}

/// Names that a statement defines.
pub(crate) fn defined(stmt: &Stmt) -> Vec<String> {
    match stmt {
        Stmt::Let { target, .. } => match target {
            Target::Name { name, .. } | Target::Indexed { name, .. } => vec![name.text.clone()],
            Target::Tuple(names) => names.iter().map(|n| n.text.clone()).collect(),
        },
        _ => Vec::new(),
    }
}
