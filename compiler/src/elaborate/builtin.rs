//! Built-in functions: a table of names, what each takes, and what computes it.

use super::{
    cx::Cx,
    direction::Way,
    val::{Operand, Score, Tensor, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::{self, FUNCTIONS, Known},
};
use seqc_grammar::ast::{Expr, Ident, NamedArg, Span};
use seqc_ir::{BinaryOp, Elem, PairExpr, UnaryOp};

/// A call of a built-in function as it is written.
#[derive(Clone, Copy)]
struct Written<'a> {
    name: &'a str,
    args: &'a [Expr],
    named: &'a [NamedArg],
    span: Span,
}

/// A built-in function other than the [`FUNCTIONS`] of one number.
struct Builtin {
    name: &'static str,
    /// What it takes, for the message that it is given something else.
    takes: &'static str,
    /// The settings it has.
    settings: Settings,
    /// The value of a call; `None` where the number of arguments does not fit.
    call: fn(&mut Cx<'_>, Written<'_>) -> Option<Val>,
}

impl Builtin {
    /// A part of a complex number, by its name.
    const fn part(name: &'static str) -> Builtin {
        Builtin {
            name,
            takes: "one argument",
            settings: NONE,
            call: |cx, call| cx.part_of_one(call),
        }
    }
}

/// Who says which settings a built-in function has.
enum Settings {
    /// These, and no others.
    Named(&'static [&'static str]),
    /// The function itself.
    Own,
}

const NONE: Settings = Settings::Named(&[]);

const BUILTINS: &[Builtin] = &[
    Builtin {
        name: "ceil",
        takes: "one argument",
        settings: NONE,
        call: |cx, call| cx.ceil(call.one()?, call.span).into(),
    },
    Builtin {
        name: "min",
        takes: "two arguments",
        settings: NONE,
        call: |cx, call| cx.smaller_or_larger(BinaryOp::Min, call).into(),
    },
    Builtin {
        name: "max",
        takes: "two arguments",
        settings: NONE,
        call: |cx, call| cx.smaller_or_larger(BinaryOp::Max, call).into(),
    },
    Builtin {
        name: "len",
        takes: "one argument",
        settings: NONE,
        call: |cx, call| cx.len(call.one()?, call.span).into(),
    },
    Builtin {
        name: "split",
        takes: "a vector and the sizes of its parts",
        settings: NONE,
        call: |cx, call| match call.args {
            [u, sizes @ ..] if !sizes.is_empty() => cx.split_parts(u, sizes, call.span).into(),
            _ => None,
        },
    },
    Builtin {
        name: "concat",
        takes: "tensors",
        settings: NONE,
        call: |cx, call| (!call.args.is_empty()).then(|| cx.concat_parts(call.args, call.span)),
    },
    Builtin {
        name: "reshape",
        takes: "a tensor and its new sizes",
        settings: NONE,
        call: |cx, call| {
            let (u, sizes) = call.args.split_first()?;
            let val = cx.expr(u);
            Some(cx.on_parts(val, call.span, |cx, part| cx.reshape(part.at(u.span), sizes, call.span)))
        },
    },
    Builtin {
        name: "flatten",
        takes: "one argument",
        settings: NONE,
        call: |cx, call| {
            let u = call.one()?;
            let val = cx.expr(u);
            Some(cx.on_parts(val, call.span, |cx, part| cx.flatten(part.at(u.span))))
        },
    },
    Builtin {
        name: "lookup",
        takes: "a table and the number of a row",
        settings: NONE,
        call: |cx, call| {
            let [table, t] = call.two()?.map(|e| cx.operand(e));
            Some(cx.lookup(table, t, call.span))
        },
    },
    Builtin {
        name: "position",
        takes: "no arguments",
        settings: NONE,
        call: |cx, call| {
            let none = call.args.is_empty();
            none.then(|| Val::Tensor(Tensor::plain(cx.graph.position())))
        },
    },
    Builtin {
        name: "causal_conv",
        takes: "a stream and a filter",
        settings: Settings::Named(&["dilation"]),
        call: |cx, call| {
            let [u, w] = call.two()?;
            Some(cx.causal_conv(u, w, call.named, call.span))
        },
    },
    Builtin {
        name: "long_conv",
        takes: "a stream and a filter",
        settings: NONE,
        call: |cx, call| {
            let [u, f] = call.two()?;
            Some(cx.long_conv(u, f, call.span))
        },
    },
    Builtin {
        name: "delay",
        takes: "a stream and a number of tokens",
        settings: NONE,
        call: |cx, call| {
            let [u, k] = call.two()?;
            Some(cx.delay(u, k, call.span))
        },
    },
    Builtin {
        name: "prev",
        takes: "one definition",
        settings: Settings::Own,
        call: |cx, call| cx.remember(Way::Before, call.args, call.named, call.span).into(),
    },
    Builtin {
        name: "next",
        takes: "one definition",
        settings: Settings::Own,
        call: |cx, call| cx.remember(Way::After, call.args, call.named, call.span).into(),
    },
    Builtin {
        name: "ahead",
        takes: "a stream and a number of tokens",
        settings: NONE,
        call: |cx, call| {
            let [x, k] = call.two()?;
            Some(cx.ahead(x, k, call.span))
        },
    },
    Builtin {
        name: "reverse",
        takes: "one stream",
        settings: NONE,
        call: |cx, call| Some(cx.reversed(call.one()?, call.span)),
    },
    Builtin {
        name: "recent",
        takes: "a stream and a number of tokens",
        settings: NONE,
        call: |cx, call| {
            let [x, n] = call.two()?;
            Some(cx.recent(x, n, call.span))
        },
    },
    Builtin {
        name: "after",
        takes: "a number of each key",
        settings: NONE,
        call: |cx, call| {
            let x = cx.operand(call.one()?);
            Some(cx.sum_behind(x, call.span))
        },
    },
    Builtin {
        name: "grad",
        takes: "a loss and what it is derived by",
        settings: NONE,
        call: |cx, call| {
            let [loss, w] = call.two()?;
            Some(cx.grad(loss, w, call.span))
        },
    },
    Builtin {
        name: "stop_gradient",
        takes: "one value",
        settings: NONE,
        call: |cx, call| Some(cx.stop_gradient(call.one()?)),
    },
    Builtin {
        name: "attend",
        takes: "queries, keys and values",
        settings: Settings::Own,
        call: |cx, call| cx.attend(call.args, call.named, call.span).into(),
    },
    Builtin {
        name: "fail",
        takes: "a message",
        settings: NONE,
        call: |cx, call| cx.fail(call.args, call.span).into(),
    },
    Builtin {
        name: "complex",
        takes: "a real and an imaginary part",
        settings: NONE,
        call: |cx, call| {
            let [re, im] = call.two()?.map(|e| cx.operand(e));
            Some(cx.complex(re, im, call.span))
        },
    },
    Builtin::part("re"),
    Builtin::part("im"),
    Builtin::part("conj"),
    Builtin {
        name: "int",
        takes: "one argument",
        settings: NONE,
        call: |cx, call| {
            let x = call.one()?;
            let x = cx.operand(x);
            Some(cx.rounded_down(x, call.span))
        },
    },
    Builtin {
        name: "merge",
        takes: "a clock and two streams",
        settings: NONE,
        call: |cx, call| cx.merge(call.args, call.span).into(),
    },
    Builtin {
        name: "hold",
        takes: "a stream on a slower clock",
        settings: Settings::Own,
        call: |cx, call| cx.hold(call.args, call.named, call.span).into(),
    },
    Builtin {
        name: "every",
        takes: "the number of tokens of a segment",
        settings: NONE,
        call: |cx, call| cx.every(call.args, call.span).into(),
    },
    Builtin {
        name: "count",
        takes: "a condition",
        settings: NONE,
        call: |cx, call| cx.count(call.args, call.span).into(),
    },
    Builtin {
        name: "best",
        takes: "scores",
        settings: Settings::Named(&["k"]),
        call: |cx, call| {
            let k = match call.named.first() {
                Some(option) => cx.size(&option.value).map(|d| d.size),
                None => Some(1),
            };
            Some(k.map_or(Val::Poison, |k| cx.best(call.args, k, call.span)))
        },
    },
    Builtin {
        name: "select",
        takes: "queries and keys",
        settings: Settings::Own,
        call: |cx, call| cx.select_keys(call.args, call.named, call.span).into(),
    },
    Builtin {
        name: "rotated",
        takes: "what was turned, what it was before, and the angle per position of each pair",
        settings: Settings::Named(&["rotary", "magnitude"]),
        call: |cx, call| {
            let [y, x, f] = call.args else { return None };
            Some(cx.turned([y, x, f], call.named, call.span))
        },
    },
    Builtin {
        name: "stage",
        takes: "what `attend` takes",
        settings: Settings::Own,
        call: |cx, call| cx.stage_alone(call.span).into(),
    },
];

/// Names of all built-in functions.
pub(super) fn names<'a>() -> impl Iterator<Item = &'a str> {
    let functions = FUNCTIONS.iter().map(|(name, _)| *name);
    functions.chain(BUILTINS.iter().map(|builtin| builtin.name))
}

/// Whether a name is that of a built-in function.
pub(super) fn is_builtin(name: &str) -> bool {
    names().any(|known| known == name)
}

impl<'a> Written<'a> {
    /// The only argument.
    fn one(self) -> Option<&'a Expr> {
        let [x] = self.args else { return None };
        Some(x)
    }

    /// Both arguments.
    fn two(self) -> Option<[&'a Expr; 2]> {
        let [a, b] = self.args else { return None };
        Some([a, b])
    }
}

impl Cx<'_> {
    /// A call of a built-in function.
    pub(super) fn builtin(&mut self, callee: &Ident, args: &[Expr], named: &[NamedArg], span: Span) -> Val {
        let name = callee.text.as_str();
        let builtin = BUILTINS.iter().find(|builtin| builtin.name == name);
        let settings = builtin.map_or(&NONE, |builtin| &builtin.settings);
        if let Settings::Named(known) = settings
            && let Some(option) = named.iter().find(|n| !known.contains(&n.name.text.as_str()))
        {
            let place = self.place(option.name.span);
            let message = format!("`{name}` has no setting `{}`", option.name.text);
            let d = Diagnostic::new("unknown-setting", place, message);
            return self.report(d.did_you_mean(&option.name.text, known.iter().copied()));
        }
        let call = Written {
            name,
            args,
            named,
            span,
        };
        let found = match builtin {
            Some(builtin) => (builtin.call)(self, call),
            None => self.function_of_one(call),
        };
        let takes = builtin.map_or("one argument", |builtin| builtin.takes);
        found.unwrap_or_else(|| self.error("wrong-arguments", span, format!("`{name}` takes {takes}")))
    }

    /// One of the [`FUNCTIONS`].
    fn function_of_one(&mut self, call: Written<'_>) -> Option<Val> {
        let (_, op) = FUNCTIONS.iter().find(|(name, _)| *name == call.name)?;
        let x = call.one()?;
        let x = self.operand(x);
        Some(self.unary(*op, x, call.span))
    }

    fn smaller_or_larger(&mut self, op: BinaryOp, call: Written<'_>) -> Val {
        let (name, span) = (call.name, call.span);
        let Some(operands) = call.two() else {
            let place = self.place(span);
            let d = Diagnostic::new("wrong-arguments", place, format!("`{name}` takes two arguments"));
            return self.report(d.help(format!("over an axis: `{name}(i: x[i])`")));
        };
        let [a, b] = operands.map(|e| self.operand(e));
        self.binary(op, a, b, span)
    }

    fn len(&mut self, list: &Expr, span: Span) -> Val {
        let Some(list) = self.known(list, "the list") else {
            return Val::Poison;
        };
        match known::function("len", &[list]) {
            Some(Ok(n)) => Val::Known(n),
            _ => self.error("wrong-operands", span, "`len` takes a list"),
        }
    }

    fn part_of_one(&mut self, call: Written<'_>) -> Option<Val> {
        let z = call.one()?;
        let z = self.operand(z);
        Some(self.part_of(call.name, z, call.span))
    }

    fn stage_alone(&mut self, span: Span) -> Val {
        let place = self.place(span);
        let d = Diagnostic::new("wrong-arguments", place, "a stage is an argument of `attend`");
        self.report(d.help("`attend(stage(q, k, v; …), stage(s, v))`"))
    }

    fn ceil(&mut self, x: &Expr, span: Span) -> Val {
        let val = self.expr(x);
        if let Val::Known(Known::Num(n)) = val {
            return Val::Known(Known::Num(n.ceil()));
        }
        let down = self.unary(UnaryOp::Neg, val.at(x.span), span);
        let floor = self.unary(UnaryOp::Floor, down.at(x.span), span);
        self.unary(UnaryOp::Neg, floor.at(x.span), span)
    }

    /// `int(x)`: rounded down, as an integer; what is no number is 0.
    fn rounded_down(&mut self, x: Operand, span: Span) -> Val {
        match &x.val {
            Val::Known(Known::Num(n)) => Val::Known(Known::Num(seqc_ir::eval::whole(*n))),
            Val::Known(_) => self.unary(UnaryOp::Floor, x, span),
            Val::Score(score) if score.elem == Elem::F32 => {
                let floor = PairExpr::unary(UnaryOp::Floor, score.expr.clone());
                Val::Score(Score::new(floor, Elem::I64))
            }
            Val::Score(score) if score.elem == Elem::I64 => x.val,
            val => {
                let Some(t) = self.tensor(val, x.span) else {
                    return Val::Poison;
                };
                Val::Tensor(self.cast(&t, Elem::I64))
            }
        }
    }

    /// A number of tokens, known when the model is built.
    pub(super) fn steps(&mut self, e: &Expr, what: &str) -> Option<usize> {
        let known = self.known(e, what)?;
        match known.size() {
            Some(n) if n <= seqc_ir::verify::MAX_DELAY => Some(n),
            _ => {
                let message = format!("{what} is an integer up to {}, not {known}", seqc_ir::verify::MAX_DELAY);
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
