//! What each operation does with the values of one token; the operations through time are in the callers.

use super::{
    contract::dot,
    data::Data,
    elementwise::{apply_binary, apply_unary, whole},
    plan::{Item, Kernel},
};
use crate::ReduceOp;
use std::sync::Arc;

impl Kernel {
    /// The value of an operation that depends on this token alone; empty for all others.
    pub(super) fn run(&self, item: &Item, operands: &[Data]) -> Data {
        if let Kernel::Share = self {
            return operands[0].clone();
        }
        Arc::new(self.compute(item, operands))
    }

    fn compute(&self, item: &Item, operands: &[Data]) -> Vec<f64> {
        match self {
            Kernel::Fill(value) => vec![*value; item.len()],
            Kernel::Iota { axis } => iota(&item.sizes, *axis),
            Kernel::Unary(op) => operands[0].iter().map(|x| apply_unary(*op, *x)).collect(),
            Kernel::Binary { op, integer } => {
                let pairs = operands[0].iter().zip(operands[1].iter());
                pairs.map(|(x, y)| apply_binary(*op, *integer, *x, *y)).collect()
            }
            Kernel::Select => {
                let choices = operands[0].iter().zip(operands[1].iter().zip(operands[2].iter()));
                choices.map(|(c, (a, b))| if *c != 0.0 { *a } else { *b }).collect()
            }
            Kernel::Floor => operands[0].iter().map(|x| whole(*x)).collect(),
            Kernel::View(access) => access.read(&operands[0], &item.sizes),
            Kernel::Concat { rows, lengths } => concat(operands, *rows, lengths),
            Kernel::Gather { rows, row } => gather(operands, *rows, *row),
            Kernel::IndexedProduct { matrices, columns } => indexed_product(operands, *matrices, *columns),
            Kernel::Reduce { op, inner } => reduce(*op, &operands[0], *inner, item.len()),
            Kernel::Contract(contract) => contract.run(operands),
            Kernel::RoundRow { rounding, columns } => {
                let rows = operands[0].chunks((*columns).max(1));
                rows.flat_map(|row| rounding.apply(row)).collect()
            }
            Kernel::Share
            | Kernel::Param(_)
            | Kernel::Input(_)
            | Kernel::Position
            | Kernel::Prev(_)
            | Kernel::Delay { .. }
            | Kernel::Window { .. }
            | Kernel::LongConv { .. }
            | Kernel::Reverse
            | Kernel::Attend { .. } => Vec::new(),
        }
    }
}

/// `out[c] = sum_l f[c, l] * past[l][c]`, NaN where a value that the filter reaches is not finite; `past` begins with the
/// value of now.
pub(super) fn convolve<'a>(f: &[f64], taps: usize, past: impl Iterator<Item = &'a Data>) -> Vec<f64> {
    let mut out = vec![0.0; f.len() / taps.max(1)];
    for (lag, u) in past.take(taps).enumerate() {
        let column = f.iter().skip(lag).step_by(taps);
        for ((o, w), x) in out.iter_mut().zip(column).zip(u.iter()) {
            *o += if x.is_finite() { w * x } else { f64::NAN };
        }
    }
    out
}

fn iota(sizes: &[usize], axis: usize) -> Vec<f64> {
    let inner: usize = sizes[axis + 1..].iter().product();
    (0..sizes.iter().product())
        .map(|n: usize| (n / inner % sizes[axis]) as f64)
        .collect()
}

/// `lengths[p]` consecutive elements of part `p` make each of `rows` rows.
fn concat(parts: &[Data], rows: usize, lengths: &[usize]) -> Vec<f64> {
    let mut out = Vec::with_capacity(rows * lengths.iter().sum::<usize>());
    for n in 0..rows {
        for (part, len) in parts.iter().zip(lengths) {
            out.extend_from_slice(&part[n * len..(n + 1) * len]);
        }
    }
    out
}

fn gather(operands: &[Data], rows: usize, row: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(operands[1].len() * row);
    for index in operands[1].iter() {
        let n = clamped(*index, rows);
        out.extend_from_slice(&operands[0][n * row..(n + 1) * row]);
    }
    out
}

/// An index of one of `rows` rows.
fn clamped(index: f64, rows: usize) -> usize {
    index.clamp(0.0, rows.saturating_sub(1) as f64) as usize
}

fn indexed_product(operands: &[Data], matrices: usize, columns: usize) -> Vec<f64> {
    let (w, index, x) = (&operands[0], &operands[1], &operands[2]);
    let size = w.len() / matrices.max(1);
    let mut out = Vec::with_capacity(index.len() * size / columns.max(1));
    for (c, index) in index.iter().enumerate() {
        let matrix = clamped(*index, matrices) * size;
        let vector = if x.len() == columns { 0 } else { c * columns };
        let rows = w[matrix..matrix + size].chunks(columns.max(1));
        out.extend(rows.map(|row| dot(row, &x[vector..vector + columns])));
    }
    out
}

fn reduce(op: ReduceOp, x: &[f64], inner: usize, len: usize) -> Vec<f64> {
    let fold = |row: &[f64]| match op {
        ReduceOp::Sum => row.iter().sum(),
        ReduceOp::Prod => row.iter().product(),
        ReduceOp::Max => row.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ReduceOp::Min => row.iter().copied().fold(f64::INFINITY, f64::min),
    };
    (0..len).map(|n| fold(&x[n * inner..(n + 1) * inner])).collect()
}
