//! What means something else than it looks like: quotients of integers that are not rounded, sizes that variables hide.

use super::{
    children::children,
    cx::{Binding, Cx},
    val::{Operand, Score, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::{self, Known},
    source::Place,
};
use seqc_grammar::ast::{Expr, ExprKind, Ident, Shape, Span, Stmt, Target};
use seqc_ir::{BinaryOp, Elem, Op, PairDomain, PairExpr, PairLeaf, UnaryOp, Value};

/// Most nodes that are looked at to see what a number is made of.
const MAX_LOOKS: usize = 200;

/// What a number is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    /// Integers alone, without a quotient.
    Whole,
    /// Integers, and a quotient of integers that is not rounded.
    Quotient(Place),
    /// Anything else.
    Real,
}

impl Made {
    fn with(self, other: Made) -> Made {
        match (self, other) {
            (Made::Real, _) | (_, Made::Real) => Made::Real,
            (quotient @ Made::Quotient(_), _) | (_, quotient @ Made::Quotient(_)) => quotient,
            _ => Made::Whole,
        }
    }
}

impl Cx<'_> {
    /// Keeps in mind that a result is a real quotient, or a power, of integers.
    pub(super) fn remember_quotient(&mut self, op: BinaryOp, [a, b]: [&Val; 2], result: Value, span: Span) {
        let whole = |cx: &Self, val: &Val| match val {
            Val::Tensor(t) => cx.made_node(t.v) == Made::Whole,
            Val::Known(Known::Num(n)) => n.fract() == 0.0 && n.is_finite(),
            _ => false,
        };
        let power = |cx: &Self, val: &Val| matches!(val, Val::Tensor(t) if cx.powers.contains(&t.v));
        match op {
            BinaryOp::Div if whole(self, a) && (whole(self, b) || power(self, b)) => {
                let place = self.place(span);
                self.quotients.insert(result, place);
            }
            BinaryOp::Pow if whole(self, a) && whole(self, b) => {
                self.powers.insert(result);
            }
            _ => {}
        }
    }

    /// What a node is made of.
    fn made_node(&self, v: Value) -> Made {
        let mut looks = MAX_LOOKS;
        self.made(v, &mut looks)
    }

    fn made(&self, v: Value, looks: &mut usize) -> Made {
        if let Some(place) = self.quotients.get(&v) {
            return Made::Quotient(*place);
        }
        if self.graph.ty(v).elem == Elem::I64 {
            return Made::Whole;
        }
        let Some(left) = looks.checked_sub(1) else {
            return Made::Real;
        };
        *looks = left;
        let from = match self.graph.op(v) {
            Op::Const(c) if c.fract() == 0.0 && c.is_finite() => return Made::Whole,
            Op::Cast | Op::View(_) | Op::Reshape | Op::Unary(UnaryOp::Neg) => 0,
            Op::Select => 1,
            Op::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Mod) => 0,
            Op::Unary(_) | Op::Binary(_) | Op::Concat { .. } | Op::Gather | Op::Reduce { .. } => return Made::Real,
            Op::MatVec | Op::IndexedMatVec | Op::Delay { .. } | Op::Window { .. } => return Made::Real,
            Op::LongConv | Op::Reverse | Op::RoundRow(_) | Op::Attend(_) => return Made::Real,
            Op::Param(_) | Op::Input(_) | Op::Const(_) | Op::Iota { .. } | Op::Position | Op::Prev(_) => {
                return Made::Real;
            }
        };
        let operands = self.graph.operands(v);
        operands[from..]
            .iter()
            .fold(Made::Whole, |made, o| made.with(self.made(*o, looks)))
    }

    fn made_of(&self, val: &Val, span: Span) -> Made {
        match val {
            Val::Known(Known::Num(n)) if n.fract() == 0.0 && n.is_finite() => Made::Whole,
            Val::Tensor(t) if !t.unknown => self.made_node(t.v),
            Val::Score(score) => match score_made(score) {
                Some(true) => Made::Quotient(self.place(span)),
                Some(false) => Made::Whole,
                None => Made::Real,
            },
            _ => Made::Real,
        }
    }

    /// Warns where a quotient of integers that is not rounded is compared with an integer, or its remainder is taken:
    /// who writes that thinks of rounded quotients.
    pub(super) fn doubt_quotient(&mut self, op: BinaryOp, a: &Operand, b: &Operand, span: Span) {
        if self.in_cache() {
            return self.doubt_rounded(op, a, b, span);
        }
        let remainder = op == BinaryOp::Mod;
        if !remainder && (!op.is_predicate() || matches!(op, BinaryOp::And | BinaryOp::Or)) {
            return;
        }
        let (left, right) = (self.made_of(&a.val, a.span), self.made_of(&b.val, b.span));
        let is_one = |val: &Val| matches!(val, Val::Known(Known::Num(n)) if n.abs() == 1.0);
        let quotient = match (left, right) {
            (Made::Quotient(_), _) if remainder && is_one(&b.val) => return,
            // Rounding down changes nothing about these.
            (Made::Quotient(_), Made::Whole)
                if matches!(op, BinaryOp::Lt | BinaryOp::Ge) && self.is_quotient(&a.val) =>
            {
                return;
            }
            (Made::Whole, Made::Quotient(_))
                if matches!(op, BinaryOp::Gt | BinaryOp::Le) && self.is_quotient(&b.val) =>
            {
                return;
            }
            (Made::Quotient(place), Made::Whole | Made::Quotient(_)) => place,
            (Made::Whole, Made::Quotient(place)) if !remainder => place,
            _ => return,
        };
        let place = self.place(span);
        let inside = |d: &Diagnostic| {
            let said = d.place().filter(|p| p.file == place.file).map(|p| p.span);
            d.code == "unrounded-quotient" && said.is_some_and(|s| span.start <= s.start && s.end <= span.end)
        };
        if self.warnings.iter().any(inside) {
            return;
        }
        let symbol = known::symbol(op);
        let message = match remainder {
            true => "this is the remainder of a quotient that is not rounded".to_owned(),
            false => format!("`{symbol}` compares a quotient that is not rounded with an integer"),
        };
        let mut d = Diagnostic::warning("unrounded-quotient", message).label(place.file, place.span, "");
        if quotient != place {
            d = d.note(quotient, "1 / 2 is 0.5 here");
        }
        self.warn(
            d.help("write `int(a / b)` to round down; without `int`, `/` rounds down inside index brackets, and between integers in `where` and `score`, where a power is an integer only if it is known at build time")
                .help("for the exact quotient write `a * (1 / b)`"),
        );
    }

    /// Warns where a real number of a cache is compared with a quotient of integers, which is rounded down there.
    fn doubt_rounded(&mut self, op: BinaryOp, a: &Operand, b: &Operand, span: Span) {
        let is_rounded = |o: &Operand| match &o.val {
            Val::Score(score) => score.elem == Elem::I64 && is_floor_of_quotient(&score.expr),
            _ => false,
        };
        let is_real = |o: &Operand| matches!(&o.val, Val::Score(score) if score.elem == Elem::F32);
        let order = op.is_predicate() && !matches!(op, BinaryOp::And | BinaryOp::Or);
        let quotient = match (is_rounded(a) && is_real(b), is_real(a) && is_rounded(b)) {
            (true, _) => a,
            (_, true) => b,
            _ => return,
        };
        let (place, quotient) = (self.place(span), self.place(quotient.span));
        let said = |d: &Diagnostic| d.code == "rounded-quotient" && d.place() == Some(place);
        if !order || self.warnings.iter().any(said) {
            return;
        }
        let message = "a real number is compared with a quotient of integers, which is rounded down";
        let d = Diagnostic::warning("rounded-quotient", message).label(place.file, place.span, "");
        self.warn(
            d.note(quotient, "an integer")
                .help("multiply instead of dividing, `x * n < m`; `floor(m / n)` is the integer"),
        );
    }

    /// Warns where the quotient of a number that is written out is 0 in a cache, because it is rounded down.
    pub(super) fn doubt_nothing(&mut self, a: &Operand, b: &Operand, span: Span) {
        let (Val::Known(x), Val::Known(y)) = (&a.val, &b.val) else {
            return;
        };
        let less = matches!((x, y), (Known::Num(x), Known::Num(y)) if *x != 0.0 && x.abs() < y.abs());
        if !less || !self.whole_quotient(x, y) {
            return;
        }
        let place = self.place(span);
        let said = |d: &Diagnostic| d.code == "rounded-quotient" && d.place() == Some(place);
        if self.warnings.iter().any(said) {
            return;
        }
        let message = format!("{x} / {y} is 0: quotients of integers are rounded down here");
        let d = Diagnostic::warning("rounded-quotient", message).label(place.file, place.span, "");
        self.warn(d.help("`dim share = 1 / 4` on a line of its own is the exact quotient"));
    }

    /// Whether a value is a quotient itself, not made with one.
    fn is_quotient(&self, val: &Val) -> bool {
        match val {
            Val::Tensor(t) => self.quotients.contains_key(&t.v),
            _ => false,
        }
    }

    /// Warns where an index variable that hides a size stands as a number.
    pub(super) fn doubt_variable(&mut self, name: &str, span: Span) {
        if self.whole || self.quiet > 0 || self.is_foreign(name) || self.is_for_variables(name) {
            return;
        }
        let Some((Known::Num(size), origin)) = self.known_name(name) else {
            return;
        };
        let last = self.var(name).map_or(0, |var| self.var_dim(var).size.saturating_sub(1));
        let place = self.place(span);
        let message = format!("`{name}` is the index variable here, 0 to {last}, not the size {size}");
        let d = Diagnostic::warning("hidden-size", message)
            .label(place.file, place.span, "")
            .note(origin, format!("the size `{name}` is {size}, from here"));
        self.warn(
            d.help("for the variable, rename it: `sum(i: i * x[i])`, or `dim i = …` and `y[i] = …`")
                .help(format!("for the size, give it another name above: `dim size = {name}`")),
        );
    }

    /// Warns where the index variable of a reduction has the name of integers, which may have been meant as an index: the body of the reduction
    /// does not see them.
    pub(super) fn doubt_index(&mut self, index: &Ident) {
        if self.quiet > 0 || self.is_foreign(&index.text) {
            return;
        }
        let bound = self.frames.last().and_then(|frame| frame.names.get(&index.text));
        let (value, at) = match bound.map(|bound| (&bound.binding, bound.place)) {
            Some((Binding::Value(Val::Tensor(value)), at)) => (value, at),
            _ => return,
        };
        if self.elem(value) != Elem::I64 {
            return;
        }
        let place = self.place(index.span);
        let message = format!("the index variable `{}` hides the integers of that name", index.text);
        let d = Diagnostic::warning("hidden-value", message).label(place.file, place.span, "");
        let help = "rename the variable; for one entry of what it hides, leave the variable out: `sum(k: w[e, k])`";
        self.warn(d.note(at, "defined here").help(help));
    }

    /// Forgets the doubts about variables since `mark`: one side of a comparison that is an integer is an index.
    pub(super) fn compared(&mut self, mark: usize, side: &Val) {
        let whole = matches!(side, Val::Tensor(t) if self.elem(t) == Elem::I64);
        if whole {
            let mut n = 0;
            self.warnings.retain(|d| {
                n += 1;
                n <= mark || d.code != "hidden-size"
            });
        }
    }

    /// Whether a name is a `dim` that was made for variables: another name for a size or number, `dim i = d`, or one that is
    /// no size anywhere in the definition.
    fn is_for_variables(&self, name: &str) -> bool {
        let body = self.frames.last().map_or(&[][..], |f| &f.definition.def.body);
        let value = body.iter().find_map(|stmt| match stmt {
            Stmt::Dim {
                name: Ident { text, .. },
                value,
            } if text == name => Some(value),
            _ => None,
        });
        let alias = |value: &Expr| matches!(value.kind, ExprKind::Name(_) | ExprKind::Number(_));
        value.is_some_and(|value| alias(value) || !body.iter().any(|stmt| has_size(stmt, name)))
    }
}

/// Whether a name stands in a statement where it is not an index variable.
fn has_size(stmt: &Stmt, name: &str) -> bool {
    let shape = |shape: &Shape| shape.dims.iter().any(|e| is_free(e, name));
    match stmt {
        Stmt::Dim { value, .. } | Stmt::Trace { value, .. } | Stmt::Result(value) | Stmt::Clause(value) => {
            is_free(value, name)
        }
        Stmt::Param(decls) => decls.iter().filter_map(|d| d.shape.as_ref()).any(shape),
        Stmt::Let { target, value } => match target {
            Target::Indexed { vars, .. } if vars.iter().any(|v| v.text == name) => false,
            Target::Name {
                shape: Some(stated), ..
            } => shape(stated) || is_free(value, name),
            _ => is_free(value, name),
        },
    }
}

/// Whether a name stands in an expression where no reduction binds it.
fn is_free(e: &Expr, name: &str) -> bool {
    match &e.kind {
        ExprKind::Name(found) => found == name,
        ExprKind::Reduce { vars, .. } if vars.iter().any(|(v, _)| v.text == name) => false,
        _ => children(e).into_iter().any(|part| is_free(part, name)),
    }
}

/// Whether a function of pairs is made of integers, and has a quotient that is not rounded; `None`: it is real.
fn score_made(score: &Score) -> Option<bool> {
    match score.elem {
        Elem::I64 => Some(false),
        _ => match PairMade.value(&score.expr) {
            MadeOf::Integers { quotient } => Some(quotient),
            MadeOf::Power | MadeOf::Reals => None,
        },
    }
}

/// Evaluates functions of pairs to what they are made of.
struct PairMade;

#[derive(Clone, Copy, PartialEq)]
enum MadeOf {
    /// Integers; `quotient`: one of them is divided, and the quotient is not rounded.
    Integers { quotient: bool },
    /// A power of integers.
    Power,
    /// Anything else.
    Reals,
}

impl PairDomain for PairMade {
    type Value = MadeOf;

    fn leaf(&mut self, leaf: PairLeaf) -> MadeOf {
        let integer = match leaf {
            PairLeaf::QueryPos | PairLeaf::KeyPos | PairLeaf::Head => true,
            PairLeaf::Const(c) => c.fract() == 0.0 && c.is_finite(),
            PairLeaf::Score | PairLeaf::QueryStream(_) | PairLeaf::KeyStream(_) => false,
        };
        if integer {
            MadeOf::Integers { quotient: false }
        } else {
            MadeOf::Reals
        }
    }

    fn unary(&mut self, op: UnaryOp, x: MadeOf) -> MadeOf {
        match (op, x) {
            (UnaryOp::Floor, _) => MadeOf::Integers { quotient: false },
            (UnaryOp::Neg, MadeOf::Integers { .. }) => x,
            _ => MadeOf::Reals,
        }
    }

    fn binary(&mut self, op: BinaryOp, x: MadeOf, y: MadeOf) -> MadeOf {
        let MadeOf::Integers { quotient } = x else {
            return MadeOf::Reals;
        };
        match (op, y) {
            (BinaryOp::Div, MadeOf::Integers { .. } | MadeOf::Power) => MadeOf::Integers { quotient: true },
            (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Mod, MadeOf::Integers { quotient: other }) => {
                MadeOf::Integers {
                    quotient: quotient || other,
                }
            }
            (BinaryOp::Pow, MadeOf::Integers { .. }) => MadeOf::Power,
            _ => MadeOf::Reals,
        }
    }

    fn select(&mut self, _: MadeOf, _: MadeOf, _: MadeOf) -> MadeOf {
        MadeOf::Reals
    }

    fn table(&mut self, _: usize, _: Vec<MadeOf>) -> MadeOf {
        MadeOf::Reals
    }

    fn listed(&mut self, _: usize, _: MadeOf) -> MadeOf {
        MadeOf::Reals
    }

    fn after(&mut self, _: MadeOf) -> MadeOf {
        MadeOf::Reals
    }
}

/// Whether an expression is a quotient that is rounded down.
fn is_floor_of_quotient(e: &PairExpr) -> bool {
    matches!(e, PairExpr::Unary(UnaryOp::Floor, x) if matches!(**x, PairExpr::Binary(BinaryOp::Div, ..)))
}
