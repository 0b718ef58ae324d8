//! Arithmetic of affine indices. Axis numbers are those of index variables.

use super::val::Var;
use seqc_ir::IndexExpr;

/// Most index combinations that are tried one by one when bounds alone do not show that an index is in range.
const MAX_TRIES: usize = 1 << 20;

/// Most combinations that are tried for one layer.
pub(super) const BUDGET: usize = 1 << 25;

/// Largest index on the way: what the verifier admits.
pub(super) const MAX_INDEX: f64 = 1.0e12;

/// Variables that an index uses.
pub(super) fn vars_of(e: &IndexExpr, out: &mut Vec<Var>) {
    match e {
        IndexExpr::Axis(n) => out.push(Var(*n as u32)),
        IndexExpr::Const(_) => {}
        IndexExpr::Add(a, b) => {
            vars_of(a, out);
            vars_of(b, out);
        }
        IndexExpr::Mul(a, _) | IndexExpr::Div(a, _) | IndexExpr::Mod(a, _) => vars_of(a, out),
    }
}

/// `a + b`
pub(super) fn plus(a: IndexExpr, b: IndexExpr) -> IndexExpr {
    match (&a, &b) {
        (IndexExpr::Const(x), IndexExpr::Const(y)) => IndexExpr::Const(x.saturating_add(*y)),
        (_, IndexExpr::Const(0)) => a,
        (IndexExpr::Const(0), _) => b,
        _ => IndexExpr::Add(Box::new(a), Box::new(b)),
    }
}

/// `a * k`
pub(super) fn times(a: IndexExpr, k: i64) -> IndexExpr {
    match (&a, k) {
        (IndexExpr::Const(x), _) => IndexExpr::Const(x.saturating_mul(k)),
        (_, 0) => IndexExpr::Const(0),
        (_, 1) => a,
        _ => IndexExpr::Mul(Box::new(a), k),
    }
}

/// The same index as a sum of distinct terms.
pub(super) fn normal(e: &IndexExpr) -> IndexExpr {
    let mut terms = Vec::new();
    let mut constant = 0_i64;
    collect(e, 1, &mut terms, &mut constant);
    let sum = terms
        .into_iter()
        .filter(|(_, k)| *k != 0)
        .map(|(term, k)| times(term, k))
        .reduce(plus)
        .unwrap_or(IndexExpr::Const(0));
    plus(sum, IndexExpr::Const(constant))
}

/// Adds `k * e` to a sum of terms and a constant.
fn collect(e: &IndexExpr, k: i64, terms: &mut Vec<(IndexExpr, i64)>, constant: &mut i64) {
    match e {
        IndexExpr::Const(c) => *constant = constant.saturating_add(c.saturating_mul(k)),
        IndexExpr::Add(a, b) => {
            collect(a, k, terms, constant);
            collect(b, k, terms, constant);
        }
        IndexExpr::Mul(a, factor) => collect(a, k.saturating_mul(*factor), terms, constant),
        IndexExpr::Axis(_) => add_term(e.clone(), k, terms),
        IndexExpr::Div(a, n) => add_term(IndexExpr::Div(Box::new(normal(a)), *n), k, terms),
        IndexExpr::Mod(a, n) => add_term(IndexExpr::Mod(Box::new(normal(a)), *n), k, terms),
    }
}

fn add_term(term: IndexExpr, k: i64, terms: &mut Vec<(IndexExpr, i64)>) {
    match terms.iter_mut().find(|(t, _)| *t == term) {
        Some((_, before)) => *before = before.saturating_add(k),
        None => terms.push((term, k)),
    }
}

/// An upper bound on what any part of an index can reach, so that evaluating it does not overflow.
pub(super) fn magnitude(e: &IndexExpr, sizes: &[usize]) -> f64 {
    match e {
        IndexExpr::Axis(n) => sizes[*n] as f64,
        IndexExpr::Const(c) => c.unsigned_abs() as f64,
        IndexExpr::Add(a, b) => magnitude(a, sizes) + magnitude(b, sizes),
        IndexExpr::Mul(a, k) => magnitude(a, sizes) * k.unsigned_abs() as f64,
        // The largest part decides, also where a quotient or remainder makes the whole small.
        IndexExpr::Div(a, k) | IndexExpr::Mod(a, k) => magnitude(a, sizes).max(k.unsigned_abs() as f64),
    }
}

/// Smallest and largest value by trying all; `None` when there are too many.
/// What is tried is taken off `budget`.
pub(super) fn exact_range(index: &IndexExpr, used: &[Var], sizes: &[usize], budget: &mut usize) -> Option<(i64, i64)> {
    let mut used = used.to_vec();
    used.sort_unstable();
    used.dedup();
    let total = used
        .iter()
        .try_fold(1_usize, |n, v| n.checked_mul(sizes[v.0 as usize]))
        .filter(|n| *n <= MAX_TRIES.min(*budget))?;
    *budget -= total;
    let mut axes = vec![0_i64; sizes.len()];
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    for n in 0..total {
        let mut rest = n;
        for v in &used {
            let size = sizes[v.0 as usize];
            axes[v.0 as usize] = (rest % size) as i64;
            rest /= size;
        }
        let value = index.eval(&axes);
        low = low.min(value);
        high = high.max(value);
    }
    (total > 0).then_some((low, high))
}
