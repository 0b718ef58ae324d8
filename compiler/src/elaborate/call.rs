//! Calls: built-in functions, functions of the library inlined, and the layer inside a block.

use super::{
    cx::{Binding, Branch, Cx, Frame},
    limits::MAX_INLINE,
    request::Given,
    val::{Tensor, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    library::Definition,
    source::Place,
};
use seqc_grammar::ast::{DefKind, Expr, Ident, NamedArg, Span, StreamTy};
use std::{collections::HashMap, sync::Arc};

/// Most definitions inlined into one layer.
const MAX_INLINED: usize = 20_000;

/// Functions of other languages and what is written here instead.
const HINTS: &[(&str, &str)] = &[
    ("sum", "over an axis: `sum(i: x[i])`"),
    ("mean", "over an axis: `mean(i: x[i])`"),
    ("argmax", "over an axis: `argmax(i: x[i])`"),
    ("argmin", "over an axis: `argmin(i: x[i])`"),
    ("any", "over an axis: `any(i: c[i])`"),
    ("all", "over an axis: `all(i: c[i])`"),
    ("prod", "over an axis: `prod(i: x[i])`"),
    ("transpose", "with indices: `t[j, i] = w[i, j]`"),
    ("einsum", "with indices: `y[i, j] = sum(k: a[i, k] * b[k, j])`"),
    (
        "matmul",
        "a matrix times a vector is `W @ x`; other products: `y[i, j] = sum(k: a[i, k] * b[k, j])`",
    ),
    ("dot", "with indices: `sum(i: a[i] * b[i])`"),
    ("outer", "with indices: `y[i, j] = a[i] * b[j]`"),
    ("where", "a choice is `if c then a else b`"),
    ("cat", "tensors are joined by `concat(a, b)`"),
    (
        "stack",
        "with indices: `y[k, i] = if k == 0 then a[i] else b[i]`, where `dim k = 2`",
    ),
    ("pow", "a power is `a ** b`"),
    (
        "roll",
        "the value `k` tokens ago is `delay(x, k)`; along an axis: `y[i] = x[(i + 1) % n]`",
    ),
    ("shift", "the value `k` tokens ago is `delay(x, k)`"),
    ("cumsum", "over tokens: `total = prev(total) + x`"),
    (
        "linear",
        "a linear map is a parameter and a product: `param w[e, d]`, `w @ x`",
    ),
    ("conv1d", "`causal_conv(u, w)`, with `w: [c, taps]`"),
    ("attention", "`attend(q, k, v; scale = …)`"),
];

/// A value that a definition is called with.
pub(super) struct Argument {
    pub(super) val: Val,
    pub(super) at: Place,
}

/// A call of a definition: arguments and settings with their places.
pub(super) struct CallOf {
    pub(super) definition: Arc<Definition>,
    pub(super) args: Vec<Argument>,
    pub(super) settings: Vec<(String, Given)>,
    pub(super) at: Place,
    /// Number of the part of the request; functions have none.
    pub(super) part: Option<usize>,
}

impl Cx<'_> {
    /// `callee(args; named)`
    pub(super) fn call(&mut self, callee: &Ident, args: &[Expr], named: &[NamedArg], span: Span) -> Val {
        let inner = self.frame().names.get(&callee.text).map(|b| b.binding.clone());
        if let Some(Binding::Inner) = inner {
            return self.call_inner(callee, args, named, span);
        }
        if let Some(val) = self.cache_call(callee, args, named, span) {
            return val;
        }
        if super::builtin::is_builtin(&callee.text) {
            return self.builtin(callee, args, named, span);
        }
        let library = self.request.library;
        match library.called(self.file(), &callee.text)[..] {
            [definition] => self.call_fn(definition.clone(), args, named, span),
            [one, another, ..] => {
                let place = self.place(callee.span);
                let message = format!("`{}` is defined in several files", callee.text);
                let mut d = Diagnostic::new("defined-twice", place, message).says("called here");
                for (found, text) in [(one, "here"), (another, "and here")] {
                    d = d.note(Place::new(found.file, found.def.name.span), text);
                }
                self.report(d.help("rename one of them, or define it in the file that calls it"))
            }
            [] => match library.named(&callee.text, DefKind::Layer) {
                Some(definition) if definition.def.kind != DefKind::Fn => {
                    self.layer_called(callee, definition.def.kind)
                }
                _ => self.unknown_function(callee),
            },
        }
    }

    fn layer_called(&mut self, callee: &Ident, kind: DefKind) -> Val {
        let place = self.place(callee.span);
        let name = &callee.text;
        let message = match kind {
            DefKind::Block => format!("`{name}` is a block: models put it around layers, it is not called"),
            _ => format!("`{name}` is a layer: layers are stacked by models, not called"),
        };
        let d = Diagnostic::new("layer-as-function", place, message);
        self.report(d.help("what layers share is written as a `fn`"))
    }

    fn unknown_function(&mut self, callee: &Ident) -> Val {
        let place = self.place(callee.span);
        let library = self.request.library;
        let known = super::builtin::names().chain(library.names(DefKind::Fn));
        let d = Diagnostic::new("unknown-name", place, format!("there is no function `{}`", callee.text));
        let hint = HINTS.iter().find(|(name, _)| *name == callee.text);
        let mut d = match hint {
            Some((_, hint)) => d.help(*hint),
            None => d.did_you_mean(&callee.text, known),
        };
        if d.help.is_empty() {
            d = d.help("define it, `fn …`, in this file; docs/language.md lists those that are known everywhere");
        }
        self.report(d)
    }

    fn call_fn(&mut self, definition: Arc<Definition>, args: &[Expr], named: &[NamedArg], span: Span) -> Val {
        let at = self.place(span);
        let argument = |e: &Expr| Argument {
            val: self.expr(e),
            at: self.place(e.span),
        };
        let args: Vec<Argument> = args.iter().map(argument).collect();
        let mut settings = Vec::new();
        let mut poisoned = false;
        for arg in named {
            if !definition.def.settings.iter().any(|s| s.name.text == arg.name.text) {
                let known: Vec<String> = definition.def.settings.iter().map(|s| s.name.text.clone()).collect();
                let place = self.place(arg.name.span);
                let message = format!("`{}` has no setting `{}`", definition.def.name.text, arg.name.text);
                let d = Diagnostic::new("unknown-setting", place, message);
                self.report(d.did_you_mean(&arg.name.text, known.iter().map(String::as_str)));
                continue;
            }
            let place = self.place(arg.value.span);
            match self.known(&arg.value, &format!("the setting `{}`", arg.name.text)) {
                Some(value) => settings.push((arg.name.text.clone(), Given { value, place })),
                None => poisoned = true,
            }
        }
        let unknown = args.iter().any(|arg| matches!(&arg.val, Val::Tensor(t) if t.unknown));
        let shaped = definition.def.streams.iter().any(|s| !matches!(s.ty, StreamTy::Any));
        if poisoned || args.iter().any(|arg| matches!(arg.val, Val::Poison)) {
            return Val::Poison;
        }
        if unknown && shaped {
            // Its shape cannot be bound yet: the next pass knows it.
            let zero = self.graph.scalar(0.0);
            return Val::Tensor(Tensor {
                unknown: true,
                ..Tensor::plain(zero)
            });
        }
        self.inline(CallOf {
            definition,
            args,
            settings,
            at,
            part: None,
        })
    }

    fn call_inner(&mut self, callee: &Ident, args: &[Expr], named: &[NamedArg], span: Span) -> Val {
        let place = self.place(span);
        let part = self.frame().part.unwrap_or(0);
        if let [arg] = args
            && named.is_empty()
        {
            if self.quiet > 0 {
                return Val::Poison;
            }
            if let Some((_, before)) = self.inner_calls.iter().find(|(n, _)| *n == part).copied() {
                return self.report(
                    Diagnostic::new("inner-twice", place, format!("`{}` is called twice", callee.text))
                        .note(before, "called here before")
                        .help("a layer has one state: call it once and use the result twice"),
                );
            }
            self.inner_calls.push((part, place));
            let val = self.expr(arg);
            return match val {
                Val::Poison => Val::Poison,
                val => self.part(part + 1, val, place),
            };
        }
        let message = format!("`{}` takes one stream", callee.text);
        self.error("wrong-arguments", span, message)
    }

    /// Part `n` of the request: a block with what it wraps, or the layer, applied to its first stream.
    pub(super) fn part(&mut self, n: usize, first: Val, at: Place) -> Val {
        let request = self.request;
        let part = request.blocks.get(n).unwrap_or(&request.layer);
        let mut args = vec![Argument { val: first, at }];
        let extras = |p: &super::request::Part| {
            p.definition
                .def
                .streams
                .iter()
                .skip(1)
                .filter(|s| !matches!(s.ty, StreamTy::Layer))
                .count()
        };
        let before = match n < request.blocks.len() {
            true => 1 + extras(&request.layer) + request.blocks[..n].iter().map(extras).sum::<usize>(),
            false => 1,
        };
        let mut next = before;
        for stream in part.definition.def.streams.iter().skip(1) {
            if matches!(stream.ty, StreamTy::Layer) {
                let val = Val::Poison;
                args.push(Argument { val, at });
                continue;
            }
            let val = match self.inputs.get(next) {
                Some(v) => Val::Tensor(Tensor::plain(*v)),
                None => Val::Poison,
            };
            args.push(Argument { val, at: part.place });
            next += 1;
        }
        self.inline(CallOf {
            definition: part.definition.clone(),
            args,
            settings: part.settings.clone(),
            at: part.place,
            part: Some(n),
        })
    }

    /// Elaborates the body of a definition with its arguments.
    pub(super) fn inline(&mut self, call: CallOf) -> Val {
        self.inlined += 1;
        if self.frames.len() >= MAX_INLINE || self.inlined > MAX_INLINED {
            return self.too_deep(&call);
        }
        if call.args.len() != call.definition.def.streams.len() {
            return self.wrong_arguments(&call);
        }
        let outer = self.frames.last();
        let prefix = match call.part {
            Some(n) => super::request::block_prefix(&self.request.blocks, n),
            None => {
                let before = outer.map_or("", |f| &f.prefix);
                format!("{before}{}.", call.definition.def.name.text)
            }
        };
        self.frames.push(Frame {
            definition: call.definition.clone(),
            names: HashMap::new(),
            vars: Vec::new(),
            lambda: Vec::new(),
            called_at: outer.is_some().then_some(call.at),
            path: path_of(outer.map_or(17, |f| f.path), &call),
            prefix,
            part: call.part,
            refused: false,
        });
        let whole = std::mem::replace(&mut self.whole, false);
        let branch = std::mem::replace(&mut self.branch, Branch::Taken);
        let val = self.body(&call);
        self.branch = branch;
        self.whole = whole;
        self.frames.pop();
        val
    }

    fn too_deep(&mut self, call: &CallOf) -> Val {
        if self.diagnostics.iter().any(|d| d.code == "too-deep") {
            return Val::Poison;
        }
        let name = &call.definition.def.name.text;
        let again = self.frames.iter().any(|f| Arc::ptr_eq(&f.definition, &call.definition));
        let (message, help) = if self.inlined > MAX_INLINED {
            (
                format!(
                    "with this call of `{name}` the layer has more than {MAX_INLINED} calls, those inside of functions counted"
                ),
                "call fewer functions; one that calls itself twice doubles its calls with every level",
            )
        } else if again {
            (
                format!("`{name}` calls itself, {MAX_INLINE} calls deep and further"),
                "functions are inlined: end the recursion by an `if` over settings, `if n == 0 then a else f(a; n = n - 1)`, after fewer calls",
            )
        } else {
            (
                format!("calls inside of calls are {MAX_INLINE} deep here, and `{name}` would be one more"),
                "call it where its result is needed, not inside of so many functions",
            )
        };
        let d = Diagnostic::new("too-deep", call.at, message);
        self.report(d.help(help))
    }

    fn wrong_arguments(&mut self, call: &CallOf) -> Val {
        let def = &call.definition.def;
        let (name, expected, given) = (&def.name.text, def.streams.len(), call.args.len());
        let names: Vec<&str> = def.streams.iter().map(|s| s.name.text.as_str()).collect();
        let message = match expected {
            0 => format!("`{name}` takes no streams, {given} are given"),
            _ => format!(
                "`{name}` takes {expected} stream{} ({}), {given} {} given",
                if expected == 1 { "" } else { "s" },
                names.join(", "),
                if given == 1 { "is" } else { "are" },
            ),
        };
        let defined = Place::new(call.definition.file, def.name.span);
        let mut d = Diagnostic::new("wrong-arguments", call.at, message).note(defined, "defined here");
        if let Some(first) = def.settings.first().filter(|_| given > expected) {
            let first = &first.name.text;
            d = d.help(format!("settings are given by name: `{name}(…; {first} = …)`"));
        }
        self.report(d)
    }
}

/// Identifies a chain of calls: the same in every pass.
fn path_of(outer: u64, call: &CallOf) -> u64 {
    let part = call.part.map_or(0, |n| n as u32 + 1);
    let parts = [call.at.file.0, call.at.span.start, call.at.span.end, part];
    parts.iter().fold(outer, |hash, n| {
        (hash ^ u64::from(*n)).wrapping_mul(0x0100_0000_01b3).rotate_left(7)
    })
}
