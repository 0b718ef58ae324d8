//! Law 8: index maps of views.

use super::report::{Report, same_elem};
use crate::{IndexExpr, Ty, Value};

/// Largest magnitude of an intermediate index; keeps all arithmetic on indices exact.
const MAX_INDEX: i64 = 1 << 41;

pub(super) fn check(report: &mut Report<'_>, value: Value, map: &[IndexExpr], x: &Ty) {
    same_elem(report, value, &[x]);
    if map.len() != x.rank() {
        let message = format!("has {} indices for an operand of {} axes", map.len(), x.rank());
        return report.at(8, value, message);
    }
    let sizes = report.graph.ty(value).sizes();
    for (axis, (expr, dim)) in map.iter().zip(&x.dims).enumerate() {
        let message = match range(expr, &sizes) {
            Err(message) => message,
            Ok((low, high)) if low < 0 || high >= dim.size as i64 => {
                format!(
                    "index {axis}, `{expr}`, runs from {low} to {high} over an axis of {}",
                    dim.size
                )
            }
            Ok(_) => continue,
        };
        report.at(8, value, message);
    }
}

/// Like [`IndexExpr::range`], for unverified expressions, where arithmetic may overflow.
fn range(expr: &IndexExpr, sizes: &[usize]) -> Result<(i64, i64), String> {
    let sound = |e: &IndexExpr, k: i64| {
        let range = range(e, sizes)?;
        if k > 0 {
            Ok(range)
        } else {
            Err(format!("`{expr}` divides by {k}"))
        }
    };
    let (low, high) = match expr {
        IndexExpr::Axis(n) if *n >= sizes.len() => return Err(format!("the result has no axis {n}")),
        IndexExpr::Axis(_) | IndexExpr::Const(_) => expr.range(sizes),
        IndexExpr::Add(a, b) => {
            let ((al, ah), (bl, bh)) = (range(a, sizes)?, range(b, sizes)?);
            (al + bl, ah + bh)
        }
        IndexExpr::Mul(a, k) => {
            let (l, h) = range(a, sizes)?;
            let (l, h) = (l.saturating_mul(*k), h.saturating_mul(*k));
            (l.min(h), l.max(h))
        }
        IndexExpr::Div(a, k) => {
            let (l, h) = sound(a, *k)?;
            (l.div_euclid(*k), h.div_euclid(*k))
        }
        IndexExpr::Mod(a, k) => {
            let (l, h) = sound(a, *k)?;
            if l.div_euclid(*k) == h.div_euclid(*k) {
                (l.rem_euclid(*k), h.rem_euclid(*k))
            } else {
                (0, k - 1)
            }
        }
    };
    if low < -MAX_INDEX || high > MAX_INDEX {
        return Err(format!("`{expr}` reaches beyond {MAX_INDEX}"));
    }
    Ok((low, high))
}
