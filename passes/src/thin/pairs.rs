//! What predicates over pairs say about the key alone.

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

/// What it says about a key far from the query that `expr` is `want`. `bounded`: predicates that hold near the query only,
/// or at the beginning; `of_key`: expressions of the key alone.
pub(super) fn says(
    expr: &ScoreExpr,
    want: bool,
    bounded: &dyn Fn(&ScoreExpr) -> bool,
    of_key: &dyn Fn(&ScoreExpr) -> bool,
) -> Says {
    let holds = if want { expr.clone() } else { not(expr.clone()) };
    if bounded(&holds) {
        return Says::Never;
    }
    if of_key(expr) {
        return Says::Key(holds);
    }
    let of = |expr: &ScoreExpr, want| says(expr, want, bounded, of_key);
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

/// What is known of truth values.
pub(super) type Facts = Vec<(ScoreExpr, bool)>;

/// What follows from `expr` being `value`.
pub(super) fn facts(expr: &ScoreExpr, value: bool) -> Facts {
    let mut all = vec![(expr.clone(), value)];
    match expr {
        ScoreExpr::Unary(UnaryOp::Not, x) => all.extend(facts(x, !value)),
        ScoreExpr::Binary(op @ (BinaryOp::And | BinaryOp::Or), x, y) if (*op == BinaryOp::And) == value => {
            all.extend(facts(x, value));
            all.extend(facts(y, value));
        }
        _ => {}
    }
    all
}

/// A predicate where something is known.
pub(super) fn given(expr: &ScoreExpr, facts: &Facts) -> Truth {
    if let Some((_, value)) = facts.iter().find(|(fact, _)| fact == expr) {
        return Truth::Known(*value);
    }
    match expr {
        ScoreExpr::Unary(UnaryOp::Not, x) => given(x, facts).not(),
        ScoreExpr::Binary(BinaryOp::And, x, y) => given(x, facts).and(given(y, facts)),
        ScoreExpr::Binary(BinaryOp::Or, x, y) => given(x, facts).or(given(y, facts)),
        ScoreExpr::Select(c, a, b) => {
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
                    Truth::Expr(ScoreExpr::Select(Box::new(c), Box::new(a), Box::new(b)))
                }
                (c, a, b) => c.clone().and(a).or(c.not().and(b)),
            }
        }
        ScoreExpr::Binary(op, x, y) if x == y => match op {
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
fn of_positions(expr: &ScoreExpr) -> bool {
    match expr {
        ScoreExpr::QueryPos | ScoreExpr::KeyPos | ScoreExpr::Head => true,
        ScoreExpr::Const(c) => c.is_finite(),
        ScoreExpr::Unary(UnaryOp::Neg | UnaryOp::Floor, x) => of_positions(x),
        ScoreExpr::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul, x, y) => of_positions(x) && of_positions(y),
        ScoreExpr::Binary(BinaryOp::Div | BinaryOp::Mod, x, y) => {
            of_positions(x) && matches!(**y, ScoreExpr::Const(c) if c != 0.0 && c.is_finite())
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
pub(super) fn otherwise(expr: &ScoreExpr, keep: &ScoreExpr) -> Truth {
    if let ScoreExpr::Binary(BinaryOp::And, x, y) = keep {
        return otherwise(expr, x).or(otherwise(expr, y));
    }
    let missing = Truth::Expr(not(keep.clone()));
    given(expr, &facts(keep, false)).and(missing)
}

/// A predicate of a query and its own key.
pub(super) fn own(expr: &ScoreExpr) -> Truth {
    let same = with_leaves(expr, &|leaf| match leaf {
        ScoreExpr::KeyPos => ScoreExpr::QueryPos,
        other => other.clone(),
    });
    given(&same, &Vec::new())
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
    match x {
        ScoreExpr::Unary(UnaryOp::Not, x) => *x,
        x => ScoreExpr::Unary(UnaryOp::Not, Box::new(x)),
    }
}
