//! What depends on the head alone, computed here and kept as tables.

use super::Attend;
use crate::kernel::{Func, Module, Scalar, Ty, Val};
use seqc_ir::{
    PairExpr,
    eval::{apply_binary, apply_unary},
};

/// Integers up to here are kept as such.
const LARGE: f64 = (1u64 << 40) as f64;

/// The tables of one attention.
pub(super) struct Tables(Vec<Table>);

/// One expression of [`PairExpr::Head`].
pub(super) struct Table {
    expr: PairExpr,
    name: String,
    /// All its values are integers.
    pub(super) integral: bool,
}

impl Tables {
    /// Adds the tables that the predicate and the score need.
    pub(super) fn new(attend: &Attend, module: &mut Module) -> Tables {
        let mut exprs = Vec::new();
        for expr in [&attend.spec.predicate, &attend.spec.score].into_iter().flatten() {
            collect(expr, &mut exprs);
        }
        let add = |(n, expr): (usize, &PairExpr)| {
            let name = format!("{}_heads_{n}", attend.name);
            Table::add(module, expr, (&name, attend))
        };
        Tables(exprs.iter().enumerate().map(add).collect())
    }

    /// The table of an expression.
    pub(super) fn find(&self, expr: &PairExpr) -> Option<&Table> {
        self.0.iter().find(|t| t.expr == *expr)
    }
}

impl Table {
    fn add(module: &mut Module, expr: &PairExpr, (name, attend): (&str, &Attend)) -> Table {
        let values: Vec<f64> = (0..attend.heads).filter_map(|h| value(expr, h as f64)).collect();
        let integral = values.iter().all(|v| v.fract() == 0.0 && v.abs() < LARGE);
        let stored = |v: &f64| {
            if integral {
                *v as i64
            } else {
                i64::from((*v as f32).to_bits())
            }
        };
        module.add_table(name, &values.iter().map(stored).collect::<Vec<_>>());
        // Of a key head: bounds over the query heads that share it.
        let bounds = |pick: fn(f64, f64) -> f64, round: fn(f64) -> f64| -> Vec<i64> {
            let groups = values.chunks(attend.ratio().max(1));
            groups.map(|g| bound(g, pick, round)).collect()
        };
        module.add_table(&format!("{name}_low"), &bounds(f64::min, f64::floor));
        module.add_table(&format!("{name}_high"), &bounds(f64::max, f64::ceil));
        Table {
            expr: expr.clone(),
            name: name.to_owned(),
            integral,
        }
    }

    /// The value of a head: an integer, or a float.
    pub(super) fn load(&self, f: &mut Func, head: Val) -> Val {
        let p = entry(f, &self.name, head);
        f.load(p, if self.integral { Ty::I64 } else { Ty::F32 })
    }

    /// Integers not above the smallest and not below the largest value of a key head's query heads.
    pub(super) fn bounds(&self, f: &mut Func, group: Val) -> (Val, Val) {
        let low = entry(f, &format!("{}_low", self.name), group);
        let high = entry(f, &format!("{}_high", self.name), group);
        (f.load(low, Ty::I64), f.load(high, Ty::I64))
    }
}

/// What `pick` picks among values, rounded away from them.
fn bound(values: &[f64], pick: fn(f64, f64) -> f64, round: fn(f64) -> f64) -> i64 {
    let infinite = [f64::NEG_INFINITY, f64::INFINITY];
    // Not a number: nothing is known.
    let values = if values.iter().any(|v| v.is_nan()) {
        &infinite
    } else {
        values
    };
    let best = values[1..].iter().fold(values[0], |a, b| pick(a, *b));
    round(best).clamp(-LARGE, LARGE) as i64
}

fn entry(f: &mut Func, name: &str, index: Val) -> Val {
    let table = f.address_of(name);
    f.gep(table, index, Scalar::I64)
}

/// The largest parts of an expression that depend on the head and nothing else. The head itself needs no table.
fn collect(expr: &PairExpr, found: &mut Vec<PairExpr>) {
    if matches!(expr, PairExpr::Head) {
        return;
    }
    if value(expr, 0.0).is_some() {
        if uses_head(expr) && !found.contains(expr) {
            found.push(expr.clone());
        }
        return;
    }
    for part in parts(expr) {
        collect(part, found);
    }
}

pub(super) fn parts(expr: &PairExpr) -> Vec<&PairExpr> {
    match expr {
        PairExpr::Unary(_, x) => vec![x],
        PairExpr::Binary(_, x, y) => vec![x, y],
        PairExpr::Select(c, x, y) => vec![c, x, y],
        PairExpr::Table(_, indices) => indices.iter().collect(),
        _ => Vec::new(),
    }
}

fn uses_head(expr: &PairExpr) -> bool {
    matches!(expr, PairExpr::Head) || parts(expr).into_iter().any(uses_head)
}

/// The value of an expression of constants and the head.
pub(super) fn value(expr: &PairExpr, head: f64) -> Option<f64> {
    match expr {
        PairExpr::Const(c) => Some(*c),
        PairExpr::Head => Some(head),
        PairExpr::Unary(op, x) => Some(apply_unary(*op, value(x, head)?)),
        PairExpr::Binary(op, x, y) => Some(apply_binary(*op, false, value(x, head)?, value(y, head)?)),
        PairExpr::Select(c, x, y) => {
            let (c, x, y) = (value(c, head)?, value(x, head)?, value(y, head)?);
            Some(if c != 0.0 { x } else { y })
        }
        _ => None,
    }
}

/// The value of an expression of constants.
pub(super) fn constant(expr: &PairExpr) -> Option<f64> {
    if uses_head(expr) { None } else { value(expr, 0.0) }
}

/// True for expressions that are truth values.
pub(super) fn is_truth(expr: &PairExpr) -> bool {
    match expr {
        PairExpr::Unary(op, _) => *op == seqc_ir::UnaryOp::Not,
        PairExpr::Binary(op, ..) => op.is_predicate(),
        PairExpr::Select(_, a, _) => is_truth(a),
        _ => false,
    }
}
