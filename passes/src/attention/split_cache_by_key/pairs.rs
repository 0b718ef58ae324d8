//! What predicates over pairs say about the key alone.

use crate::attention::span::AttentionSpan;
use seqc_ir::{BinaryOp, PairDomain, PairExpr, PairLeaf, UnaryOp};

/// What a truth value says about a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Says {
    /// Nothing.
    Nothing,
    /// That there is no such key.
    Never,
    /// That this holds for it.
    Key(PairExpr),
}

impl Says {
    fn and(self, other: Says) -> Says {
        match (self, other) {
            (Says::Never, _) | (_, Says::Never) => Says::Never,
            (Says::Nothing, x) | (x, Says::Nothing) => x,
            (Says::Key(a), Says::Key(b)) if a == b => Says::Key(a),
            (Says::Key(a), Says::Key(b)) => Says::Key(PairExpr::binary(BinaryOp::And, a, b)),
        }
    }

    fn or(self, other: Says) -> Says {
        match (self, other) {
            (Says::Nothing, _) | (_, Says::Nothing) => Says::Nothing,
            (Says::Never, x) | (x, Says::Never) => x,
            (Says::Key(a), Says::Key(b)) if a == b => Says::Key(a),
            (Says::Key(a), Says::Key(b)) => Says::Key(PairExpr::binary(BinaryOp::Or, a, b)),
        }
    }
}

/// Evaluates truth values to what they say about a key far from the query when they are `want`.
pub(super) struct FarKey<'a> {
    pub(super) want: bool,
    /// Query heads.
    pub(super) heads: usize,
    /// Query streams that are the same for all tokens.
    pub(super) fixed: &'a [bool],
    /// Key streams that are the same for all heads.
    pub(super) scalar: &'a [bool],
}

impl FarKey<'_> {
    /// True for expressions of the key that are the same for all queries and heads, and not of constants alone.
    fn of_key(&self, expr: &PairExpr) -> bool {
        let leaves = expr.leaves();
        let of_key = |leaf: &PairLeaf| match leaf {
            PairLeaf::KeyPos | PairLeaf::Const(_) => true,
            PairLeaf::KeyStream(n) => self.scalar[*n],
            PairLeaf::QueryStream(n) => self.fixed[*n],
            PairLeaf::Score | PairLeaf::QueryPos | PairLeaf::Head => false,
        };
        let is_key = |leaf: &PairLeaf| matches!(leaf, PairLeaf::KeyPos | PairLeaf::KeyStream(_));
        leaves.iter().all(of_key) && leaves.iter().any(is_key)
    }
}

impl PairDomain for FarKey<'_> {
    type Value = Says;

    fn value(&mut self, expr: &PairExpr) -> Says {
        let holds = if self.want {
            expr.clone()
        } else {
            expr.clone().negated()
        };
        // It holds near the query only, or at the beginning.
        if AttentionSpan::of_predicate(&holds, self.heads).distance.is_some() {
            return Says::Never;
        }
        if self.of_key(expr) {
            return Says::Key(holds);
        }
        let want = self.want;
        let of = |expr: &PairExpr, want| FarKey { want, ..*self }.value(expr);
        match expr {
            PairExpr::Unary(UnaryOp::Not, x) => of(x, !want),
            PairExpr::Select(c, a, b) => {
                let (then, otherwise) = (of(c, true).and(of(a, want)), of(c, false).and(of(b, want)));
                then.or(otherwise)
            }
            PairExpr::Binary(BinaryOp::And | BinaryOp::Or, ..) => self.of_parts(expr),
            _ => Says::Nothing,
        }
    }

    fn leaf(&mut self, _: PairLeaf) -> Says {
        Says::Nothing
    }

    fn unary(&mut self, _: UnaryOp, _: Says) -> Says {
        Says::Nothing
    }

    fn binary(&mut self, op: BinaryOp, x: Says, y: Says) -> Says {
        if (op == BinaryOp::And) == self.want {
            x.and(y)
        } else {
            x.or(y)
        }
    }

    fn select(&mut self, _: Says, then: Says, otherwise: Says) -> Says {
        then.or(otherwise)
    }

    fn table(&mut self, _: usize, _: Vec<Says>) -> Says {
        Says::Nothing
    }

    fn listed(&mut self, _: usize, _: Says) -> Says {
        Says::Nothing
    }

    fn after(&mut self, _: Says) -> Says {
        Says::Nothing
    }
}

/// A truth value, known or not.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Truth {
    Known(bool),
    Expr(PairExpr),
}

/// What is known of truth values.
pub(super) type Facts = Vec<(PairExpr, bool)>;

/// What follows from `expr` being `value`.
pub(super) fn facts(expr: &PairExpr, value: bool) -> Facts {
    let (mut all, mut work) = (Vec::new(), vec![(expr, value)]);
    while let Some((expr, value)) = work.pop() {
        all.push((expr.clone(), value));
        match expr {
            PairExpr::Unary(UnaryOp::Not, x) => work.push((x, !value)),
            PairExpr::Binary(op @ (BinaryOp::And | BinaryOp::Or), x, y) if (*op == BinaryOp::And) == value => {
                work.extend([(&**y, value), (&**x, value)]);
            }
            _ => {}
        }
    }
    all
}

/// A predicate where something is known.
pub(super) fn given(expr: &PairExpr, facts: &Facts) -> Truth {
    Given(facts).value(expr)
}

/// Evaluates truth values to what is left of them where something is known.
struct Given<'a>(&'a Facts);

impl PairDomain for Given<'_> {
    type Value = Truth;

    fn value(&mut self, expr: &PairExpr) -> Truth {
        if let Some((_, value)) = self.0.iter().find(|(fact, _)| fact == expr) {
            return Truth::Known(*value);
        }
        match expr {
            PairExpr::Unary(UnaryOp::Not, _)
            | PairExpr::Binary(BinaryOp::And | BinaryOp::Or, ..)
            | PairExpr::Select(..) => self.of_parts(expr),
            PairExpr::Binary(op, x, y) if x == y => match op {
                BinaryOp::Lt | BinaryOp::Gt => Truth::Known(false),
                // What is no number is not equal to itself.
                BinaryOp::Eq | BinaryOp::Le | BinaryOp::Ge if x.is_finite() => Truth::Known(true),
                BinaryOp::Ne if x.is_finite() => Truth::Known(false),
                _ => Truth::Expr(expr.clone()),
            },
            _ => Truth::Expr(expr.clone()),
        }
    }

    fn leaf(&mut self, leaf: PairLeaf) -> Truth {
        Truth::Expr(leaf.into())
    }

    /// Only of negations.
    fn unary(&mut self, _: UnaryOp, x: Truth) -> Truth {
        x.not()
    }

    /// Only of conjunctions and disjunctions.
    fn binary(&mut self, op: BinaryOp, x: Truth, y: Truth) -> Truth {
        if op == BinaryOp::And { x.and(y) } else { x.or(y) }
    }

    fn select(&mut self, c: Truth, then: Truth, otherwise: Truth) -> Truth {
        match (c, then, otherwise) {
            (Truth::Known(true), then, _) => then,
            (Truth::Known(false), _, otherwise) => otherwise,
            (Truth::Expr(c), Truth::Expr(a), Truth::Expr(b)) => Truth::Expr(PairExpr::select(c, a, b)),
            (c, a, b) => c.clone().and(a).or(c.not().and(b)),
        }
    }

    /// Not reached: the entry of a table is taken as it is.
    fn table(&mut self, n: usize, _: Vec<Truth>) -> Truth {
        Truth::Expr(PairExpr::Table(n, Vec::new()))
    }

    /// Nor is this.
    fn listed(&mut self, n: usize, x: Truth) -> Truth {
        match x {
            Truth::Expr(x) => Truth::Expr(PairExpr::Listed(n, Box::new(x))),
            known => known,
        }
    }

    fn after(&mut self, x: Truth) -> Truth {
        match x {
            Truth::Expr(x) => Truth::Expr(PairExpr::After(Box::new(x))),
            known => known,
        }
    }
}

impl Truth {
    fn not(self) -> Truth {
        match self {
            Truth::Known(b) => Truth::Known(!b),
            Truth::Expr(x) => Truth::Expr(x.negated()),
        }
    }

    fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::Known(true), x) | (x, Truth::Known(true)) => x,
            (Truth::Known(false), _) | (_, Truth::Known(false)) => Truth::Known(false),
            (Truth::Expr(x), Truth::Expr(y)) => Truth::Expr(PairExpr::binary(BinaryOp::And, x, y)),
        }
    }

    fn or(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::Known(false), x) | (x, Truth::Known(false)) => x,
            (Truth::Known(true), _) | (_, Truth::Known(true)) => Truth::Known(true),
            (Truth::Expr(x), Truth::Expr(y)) => Truth::Expr(PairExpr::binary(BinaryOp::Or, x, y)),
        }
    }
}

/// A predicate of pairs whose key does not fulfil `keep`: one of the parts of `keep` does not hold, and the predicate may
/// become simpler by that.
pub(super) fn otherwise(expr: &PairExpr, keep: &PairExpr) -> Truth {
    let missing = |part: &PairExpr| given(expr, &facts(part, false)).and(Truth::Expr(part.clone().negated()));
    let parts = keep.conjuncts().into_iter().map(missing);
    parts.reduce(Truth::or).unwrap_or(Truth::Known(false))
}

/// A predicate of a query and its own key.
pub(super) fn own(expr: &PairExpr) -> Truth {
    let same = expr.substitute(&|leaf| match leaf {
        PairLeaf::KeyPos => PairExpr::QueryPos,
        other => other.into(),
    });
    given(&same, &Vec::new())
}
