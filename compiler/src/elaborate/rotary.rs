//! What `rope` says of its result: which tensor it was, and by which angles it was turned.

use super::{
    cx::Cx,
    val::{Tensor, Turned, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
};
use seqc_grammar::ast::{Expr, NamedArg, Span};
use seqc_ir::{BinaryOp, policy::Turn};

impl Cx<'_> {
    /// `rotated(y, x, f; rotary = "half", magnitude = 1)`: `y`, which is `x` whose pairs of channels are turned by position times `f`.
    /// The value is `y`; what else is said is remembered for caches that turn keys themselves.
    pub(super) fn turned(&mut self, args: [&Expr; 3], named: &[NamedArg], span: Span) -> Val {
        let [y, x, f] = args.map(|e| self.expr(e));
        let (Val::Tensor(turned), Val::Tensor(raw), Val::Tensor(angles)) = (&y, &x, &f) else {
            return y;
        };
        let (mut interleaved, mut magnitude) = (false, 1.0);
        for option in named {
            match (
                option.name.text.as_str(),
                self.known(&option.value, "how pairs are turned"),
            ) {
                ("rotary", Some(Known::Str(name))) => interleaved = name == "interleaved",
                ("magnitude", Some(Known::Num(n))) => magnitude = n,
                (_, None) => return Val::Poison,
                _ => {
                    let place = self.place(span);
                    let d = Diagnostic::new(
                        "wrong-operands",
                        place,
                        "`rotated` takes which channels are pairs, and a factor",
                    );
                    return self.report(d.help("`rotated(y, x, f; rotary = \"half\", magnitude = 1)`"));
                }
            }
        }
        let (pairs, shape) = (self.dims(angles), self.dims(turned));
        let whole = [turned, raw, angles].iter().all(|t| t.vars.is_empty() && !t.unknown);
        if whole
            && pairs.len() == 1
            && shape.len() == 2
            && shape == self.dims(raw)
            && 2 * pairs[0].size <= shape[1].size
        {
            let said = Turned {
                raw: raw.clone(),
                angles: angles.clone(),
                turn: Turn {
                    interleaved,
                    pairs: pairs[0].size,
                    magnitude,
                },
            };
            self.turned.insert(turned.v, said);
        }
        y
    }

    /// A tensor that `rope` gave, multiplied: what it was before is multiplied as well.
    pub(super) fn still_turned(&mut self, before: &Tensor, by: &Val, after: &Tensor, span: Span) {
        let Some(mut said) = self.turned.get(&before.v).cloned() else {
            return;
        };
        let raw = Val::Tensor(said.raw.clone()).at(span);
        if let Val::Tensor(raw) = self.binary(BinaryOp::Mul, raw, by.clone().at(span), span) {
            said.raw = raw;
            self.turned.insert(after.v, said);
        }
    }
}
