//! What depends on the head alone, computed here and kept as tables.

use super::{bounds::Bounds, variant::Attend};
use crate::kernel::{Func, Module, Scalar, Ty, Val};
use seqc_ir::PairExpr;

/// Integers up to here are kept as such.
const LARGE: f64 = (1u64 << 40) as f64;

/// The tables of one attention.
#[derive(Clone)]
pub(super) struct Tables(Vec<Table>);

/// One expression of [`PairExpr::Head`].
#[derive(Clone)]
pub(super) struct Table {
    expr: PairExpr,
    name: String,
    /// All its values are integers.
    pub(super) integral: bool,
}

impl Tables {
    /// No tables, where no expression is of the head alone but the head itself.
    pub(super) fn none() -> Tables {
        Tables(Vec::new())
    }

    /// Adds the tables that the predicate and the score need.
    pub(super) fn new(attend: &Attend, module: &mut Module) -> Tables {
        let mut found: Vec<&PairExpr> = Vec::new();
        for expr in [&attend.spec.predicate, &attend.spec.score].into_iter().flatten() {
            // The head itself needs no table.
            let of_head = expr.largest(&|e| e.at_head(0).is_some());
            for part in of_head.into_iter().filter(|e| e.uses_head() && **e != PairExpr::Head) {
                if !found.contains(&part) {
                    found.push(part);
                }
            }
        }
        let add = |(n, expr): (usize, &PairExpr)| Table::add(attend, module, n, expr.clone());
        Tables(found.into_iter().enumerate().map(add).collect())
    }

    /// The table of an expression.
    pub(super) fn find(&self, expr: &PairExpr) -> Option<&Table> {
        self.0.iter().find(|t| t.expr == *expr)
    }
}

impl Table {
    /// Table `number` of an attention.
    fn add(attend: &Attend, module: &mut Module, number: usize, expr: PairExpr) -> Table {
        let name = format!("{}_heads_{number}", attend.name);
        let values: Vec<f64> = (0..attend.heads).filter_map(|head| expr.at_head(head)).collect();
        let integral = values.iter().all(|v| v.fract() == 0.0 && v.abs() < LARGE);
        let stored = |v: &f64| {
            if integral {
                *v as i64
            } else {
                i64::from((*v as f32).to_bits())
            }
        };
        module.add_table(&name, &values.iter().map(stored).collect::<Vec<_>>());
        // Of a key head: bounds over the query heads that share it.
        let bounds = |pick: fn(f64, f64) -> f64, round: fn(f64) -> f64| -> Vec<i64> {
            let groups = values.chunks(attend.ratio().max(1));
            groups.map(|g| bound(g, pick, round)).collect()
        };
        module.add_table(&format!("{name}_low"), &bounds(f64::min, f64::floor));
        module.add_table(&format!("{name}_high"), &bounds(f64::max, f64::ceil));
        Table { expr, name, integral }
    }

    /// The value of a head: an integer, or a float.
    pub(super) fn load(&self, f: &mut Func, head: Val) -> Val {
        let p = entry(f, &self.name, head);
        f.load(p, if self.integral { Ty::I64 } else { Ty::F32 })
    }

    /// Integers not above the smallest and not below the largest value of a key head's query heads.
    pub(super) fn bounds(&self, f: &mut Func, group: Val) -> Bounds {
        let low = entry(f, &format!("{}_low", self.name), group);
        let high = entry(f, &format!("{}_high", self.name), group);
        Bounds {
            low: f.load(low, Ty::I64),
            high: f.load(high, Ty::I64),
        }
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
