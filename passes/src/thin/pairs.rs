//! What predicates over pairs say about the key alone.

use crate::keep::Keep;
use seqc_ir::{BinaryOp, ScoreExpr, UnaryOp};

/// What a truth value says about a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Says {
    /// Nothing.
    Nothing,
    /// That there is no such key.
    Never,
    /// That this holds for it.
    Key(ScoreExpr),
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

/// What it says about a key that `expr` is `want`. `keep` bounds the pairs of a predicate: with one that bounds them it is
/// said of keys before the query, else of its own, too. `of_key`: expressions of the key alone.
pub(super) fn says(
    expr: &ScoreExpr,
    want: bool,
    keep: &dyn Fn(&ScoreExpr) -> Keep,
    of_key: &dyn Fn(&ScoreExpr) -> bool,
) -> Says {
    let holds = if want { expr.clone() } else { not(expr.clone()) };
    let bound = keep(&holds);
    if bound.first == 0 && bound.distance.is_some_and(|distance| distance <= 1) {
        return Says::Never;
    }
    if of_key(expr) {
        return Says::Key(holds);
    }
    let of = |expr: &ScoreExpr, want| says(expr, want, keep, of_key);
    match expr {
        ScoreExpr::Unary(UnaryOp::Not, x) => of(x, !want),
        ScoreExpr::Binary(op @ (BinaryOp::And | BinaryOp::Or), x, y) => {
            let (x, y) = (of(x, want), of(y, want));
            if (*op == BinaryOp::And) == want {
                x.and(y)
            } else {
                x.or(y)
            }
        }
        ScoreExpr::Select(c, a, b) => {
            let (then, otherwise) = (of(c, true).and(of(a, want)), of(c, false).and(of(b, want)));
            then.or(otherwise)
        }
        _ => Says::Nothing,
    }
}

/// True for expressions of the key that are the same for all queries and heads, and not of constants alone.
pub(super) fn of_key(expr: &ScoreExpr, fixed: &[bool], scalar: &[bool]) -> bool {
    let mut has_key = false;
    let all = all_leaves(expr, &mut |leaf| match leaf {
        ScoreExpr::KeyPos => {
            has_key = true;
            true
        }
        ScoreExpr::KeyStream(n) => {
            has_key = true;
            scalar[*n]
        }
        ScoreExpr::QueryStream(n) => fixed[*n],
        ScoreExpr::Const(_) => true,
        _ => false,
    });
    all && has_key
}

/// A truth value, known or not.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Truth {
    Known(bool),
    Expr(ScoreExpr),
}

/// A predicate where it is known that `fact` holds.
pub(super) fn given(expr: &ScoreExpr, fact: &ScoreExpr) -> Truth {
    if follows(fact, expr) {
        return Truth::Known(true);
    }
    match expr {
        ScoreExpr::Unary(UnaryOp::Not, x) => match given(x, fact) {
            Truth::Known(b) => Truth::Known(!b),
            Truth::Expr(x) => Truth::Expr(not(x)),
        },
        ScoreExpr::Binary(op @ (BinaryOp::And | BinaryOp::Or), x, y) => {
            // The value that decides.
            let decides = *op == BinaryOp::Or;
            match (given(x, fact), given(y, fact)) {
                (Truth::Known(b), x) | (x, Truth::Known(b)) => {
                    if b == decides {
                        Truth::Known(b)
                    } else {
                        x
                    }
                }
                (Truth::Expr(x), Truth::Expr(y)) => Truth::Expr(binary(*op, x, y)),
            }
        }
        ScoreExpr::Binary(op, x, y) if x == y => match op {
            BinaryOp::Eq | BinaryOp::Le | BinaryOp::Ge => Truth::Known(true),
            BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Gt => Truth::Known(false),
            _ => Truth::Expr(expr.clone()),
        },
        _ => Truth::Expr(expr.clone()),
    }
}

/// True where `expr` is one of the parts of `fact`, all of which hold.
fn follows(fact: &ScoreExpr, expr: &ScoreExpr) -> bool {
    match fact {
        _ if fact == expr => true,
        ScoreExpr::Binary(BinaryOp::And, x, y) => follows(x, expr) || follows(y, expr),
        _ => false,
    }
}

/// A predicate of a query and its own key.
pub(super) fn own(expr: &ScoreExpr) -> Truth {
    let same = with_leaves(expr, &|leaf| match leaf {
        ScoreExpr::KeyPos => ScoreExpr::QueryPos,
        other => other.clone(),
    });
    // Nothing else is known.
    given(&same, &ScoreExpr::Const(1.0))
}

pub(super) fn has_table(expr: &ScoreExpr) -> bool {
    matches!(expr, ScoreExpr::Table(..)) || parts(expr).into_iter().any(has_table)
}

pub(super) fn contains(expr: &ScoreExpr, leaf: &ScoreExpr) -> bool {
    expr == leaf || parts(expr).into_iter().any(|part| contains(part, leaf))
}

/// The same expression with other leaves.
pub(super) fn with_leaves(expr: &ScoreExpr, leaf: &dyn Fn(&ScoreExpr) -> ScoreExpr) -> ScoreExpr {
    let sub = |e: &ScoreExpr| Box::new(with_leaves(e, leaf));
    match expr {
        ScoreExpr::Unary(op, x) => ScoreExpr::Unary(*op, sub(x)),
        ScoreExpr::Binary(op, x, y) => ScoreExpr::Binary(*op, sub(x), sub(y)),
        ScoreExpr::Select(c, x, y) => ScoreExpr::Select(sub(c), sub(x), sub(y)),
        ScoreExpr::Table(n, indices) => ScoreExpr::Table(*n, indices.iter().map(|e| with_leaves(e, leaf)).collect()),
        other => leaf(other),
    }
}

fn all_leaves(expr: &ScoreExpr, test: &mut dyn FnMut(&ScoreExpr) -> bool) -> bool {
    match parts(expr) {
        parts if parts.is_empty() => test(expr),
        parts => parts.into_iter().all(|part| all_leaves(part, test)),
    }
}

fn parts(expr: &ScoreExpr) -> Vec<&ScoreExpr> {
    match expr {
        ScoreExpr::Unary(_, x) => vec![x],
        ScoreExpr::Binary(_, x, y) => vec![x, y],
        ScoreExpr::Select(c, x, y) => vec![c, x, y],
        ScoreExpr::Table(_, indices) => indices.iter().collect(),
        _ => Vec::new(),
    }
}

fn binary(op: BinaryOp, x: ScoreExpr, y: ScoreExpr) -> ScoreExpr {
    ScoreExpr::Binary(op, Box::new(x), Box::new(y))
}

fn not(x: ScoreExpr) -> ScoreExpr {
    ScoreExpr::Unary(UnaryOp::Not, Box::new(x))
}
