//! What predicates over pairs say about the key alone.

use seqc_ir::{BinaryOp, PairExpr, UnaryOp};

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
            (Says::Key(a), Says::Key(b)) => Says::Key(binary(BinaryOp::And, a, b)),
        }
    }

    fn or(self, other: Says) -> Says {
        match (self, other) {
            (Says::Nothing, _) | (_, Says::Nothing) => Says::Nothing,
            (Says::Never, x) | (x, Says::Never) => x,
            (Says::Key(a), Says::Key(b)) if a == b => Says::Key(a),
            (Says::Key(a), Says::Key(b)) => Says::Key(binary(BinaryOp::Or, a, b)),
        }
    }
}

/// What it says about a key far from the query that `expr` is `want`. `bounded`: predicates that hold near the query only,
/// or at the beginning; `of_key`: expressions of the key alone.
pub(super) fn says(
    expr: &PairExpr,
    want: bool,
    bounded: &dyn Fn(&PairExpr) -> bool,
    of_key: &dyn Fn(&PairExpr) -> bool,
) -> Says {
    let holds = if want { expr.clone() } else { not(expr.clone()) };
    if bounded(&holds) {
        return Says::Never;
    }
    if of_key(expr) {
        return Says::Key(holds);
    }
    let of = |expr: &PairExpr, want| says(expr, want, bounded, of_key);
    match expr {
        PairExpr::Unary(UnaryOp::Not, x) => of(x, !want),
        PairExpr::Binary(op @ (BinaryOp::And | BinaryOp::Or), x, y) => {
            let (x, y) = (of(x, want), of(y, want));
            if (*op == BinaryOp::And) == want {
                x.and(y)
            } else {
                x.or(y)
            }
        }
        PairExpr::Select(c, a, b) => {
            let (then, otherwise) = (of(c, true).and(of(a, want)), of(c, false).and(of(b, want)));
            then.or(otherwise)
        }
        _ => Says::Nothing,
    }
}

/// True for expressions of the key that are the same for all queries and heads, and not of constants alone.
pub(super) fn of_key(expr: &PairExpr, fixed: &[bool], scalar: &[bool]) -> bool {
    let mut has_key = false;
    let all = all_leaves(expr, &mut |leaf| match leaf {
        PairExpr::KeyPos => {
            has_key = true;
            true
        }
        PairExpr::KeyStream(n) => {
            has_key = true;
            scalar[*n]
        }
        PairExpr::QueryStream(n) => fixed[*n],
        PairExpr::Const(_) => true,
        _ => false,
    });
    all && has_key
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
    let mut all = vec![(expr.clone(), value)];
    match expr {
        PairExpr::Unary(UnaryOp::Not, x) => all.extend(facts(x, !value)),
        PairExpr::Binary(op @ (BinaryOp::And | BinaryOp::Or), x, y) if (*op == BinaryOp::And) == value => {
            all.extend(facts(x, value));
            all.extend(facts(y, value));
        }
        _ => {}
    }
    all
}

/// A predicate where something is known.
pub(super) fn given(expr: &PairExpr, facts: &Facts) -> Truth {
    if let Some((_, value)) = facts.iter().find(|(fact, _)| fact == expr) {
        return Truth::Known(*value);
    }
    match expr {
        PairExpr::Unary(UnaryOp::Not, x) => given(x, facts).not(),
        PairExpr::Binary(BinaryOp::And, x, y) => given(x, facts).and(given(y, facts)),
        PairExpr::Binary(BinaryOp::Or, x, y) => given(x, facts).or(given(y, facts)),
        PairExpr::Select(c, a, b) => {
            let (c, a, b) = (given(c, facts), given(a, facts), given(b, facts));
            match (c, a, b) {
                (Truth::Known(c), a, b) => {
                    if c {
                        a
                    } else {
                        b
                    }
                }
                (Truth::Expr(c), Truth::Expr(a), Truth::Expr(b)) => {
                    Truth::Expr(PairExpr::Select(Box::new(c), Box::new(a), Box::new(b)))
                }
                (c, a, b) => c.clone().and(a).or(c.not().and(b)),
            }
        }
        PairExpr::Binary(op, x, y) if x == y => match op {
            BinaryOp::Lt | BinaryOp::Gt => Truth::Known(false),
            // What is no number is not equal to itself.
            BinaryOp::Eq | BinaryOp::Le | BinaryOp::Ge if of_positions(x) => Truth::Known(true),
            BinaryOp::Ne if of_positions(x) => Truth::Known(false),
            _ => Truth::Expr(expr.clone()),
        },
        _ => Truth::Expr(expr.clone()),
    }
}

/// True for sums and differences of positions and numbers.
fn of_positions(expr: &PairExpr) -> bool {
    match expr {
        PairExpr::QueryPos | PairExpr::KeyPos | PairExpr::Head => true,
        PairExpr::Const(c) => c.is_finite(),
        PairExpr::Unary(UnaryOp::Neg | UnaryOp::Floor, x) => of_positions(x),
        PairExpr::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul, x, y) => of_positions(x) && of_positions(y),
        PairExpr::Binary(BinaryOp::Div | BinaryOp::Mod, x, y) => {
            of_positions(x) && matches!(**y, PairExpr::Const(c) if c != 0.0 && c.is_finite())
        }
        _ => false,
    }
}

impl Truth {
    fn not(self) -> Truth {
        match self {
            Truth::Known(b) => Truth::Known(!b),
            Truth::Expr(x) => Truth::Expr(not(x)),
        }
    }

    fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::Known(true), x) | (x, Truth::Known(true)) => x,
            (Truth::Known(false), _) | (_, Truth::Known(false)) => Truth::Known(false),
            (Truth::Expr(x), Truth::Expr(y)) => Truth::Expr(binary(BinaryOp::And, x, y)),
        }
    }

    fn or(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::Known(false), x) | (x, Truth::Known(false)) => x,
            (Truth::Known(true), _) | (_, Truth::Known(true)) => Truth::Known(true),
            (Truth::Expr(x), Truth::Expr(y)) => Truth::Expr(binary(BinaryOp::Or, x, y)),
        }
    }
}

/// A predicate of pairs whose key does not fulfil `keep`: one of the parts of `keep` does not hold, and the predicate may
/// become simpler by that.
pub(super) fn otherwise(expr: &PairExpr, keep: &PairExpr) -> Truth {
    if let PairExpr::Binary(BinaryOp::And, x, y) = keep {
        return otherwise(expr, x).or(otherwise(expr, y));
    }
    let missing = Truth::Expr(not(keep.clone()));
    given(expr, &facts(keep, false)).and(missing)
}

/// A predicate of a query and its own key.
pub(super) fn own(expr: &PairExpr) -> Truth {
    let same = with_leaves(expr, &|leaf| match leaf {
        PairExpr::KeyPos => PairExpr::QueryPos,
        other => other.clone(),
    });
    given(&same, &Vec::new())
}

pub(super) fn has_table(expr: &PairExpr) -> bool {
    matches!(expr, PairExpr::Table(..)) || parts(expr).into_iter().any(has_table)
}

pub(super) fn contains(expr: &PairExpr, leaf: &PairExpr) -> bool {
    expr == leaf || parts(expr).into_iter().any(|part| contains(part, leaf))
}

/// The same expression with other leaves.
pub(super) fn with_leaves(expr: &PairExpr, leaf: &dyn Fn(&PairExpr) -> PairExpr) -> PairExpr {
    let sub = |e: &PairExpr| Box::new(with_leaves(e, leaf));
    match expr {
        PairExpr::Unary(op, x) => PairExpr::Unary(*op, sub(x)),
        PairExpr::Binary(op, x, y) => PairExpr::Binary(*op, sub(x), sub(y)),
        PairExpr::Select(c, x, y) => PairExpr::Select(sub(c), sub(x), sub(y)),
        PairExpr::Table(n, indices) => PairExpr::Table(*n, indices.iter().map(|e| with_leaves(e, leaf)).collect()),
        other => leaf(other),
    }
}

fn all_leaves(expr: &PairExpr, test: &mut dyn FnMut(&PairExpr) -> bool) -> bool {
    match parts(expr) {
        parts if parts.is_empty() => test(expr),
        parts => parts.into_iter().all(|part| all_leaves(part, test)),
    }
}

fn parts(expr: &PairExpr) -> Vec<&PairExpr> {
    match expr {
        PairExpr::Unary(_, x) => vec![x],
        PairExpr::Binary(_, x, y) => vec![x, y],
        PairExpr::Select(c, x, y) => vec![c, x, y],
        PairExpr::Table(_, indices) => indices.iter().collect(),
        _ => Vec::new(),
    }
}

fn binary(op: BinaryOp, x: PairExpr, y: PairExpr) -> PairExpr {
    PairExpr::Binary(op, Box::new(x), Box::new(y))
}

fn not(x: PairExpr) -> PairExpr {
    match x {
        PairExpr::Unary(UnaryOp::Not, x) => *x,
        x => PairExpr::Unary(UnaryOp::Not, Box::new(x)),
    }
}
