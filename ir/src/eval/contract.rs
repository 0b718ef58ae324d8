//! Sums of products of views, computed without the product: matrix products, outer contractions, plain sums.

use super::{
    access::{Access, Start, Table, walk},
    data::Data,
};

/// `out[o…] = sum_{r…} prod_f factor_f[access_f(o…, r…)]`.
#[derive(Clone, Debug)]
pub(super) struct Contract {
    /// Sizes of the result's axes, then of the summed ones.
    pub(super) dims: Vec<usize>,
    /// How many of `dims` are summed.
    pub(super) summed: usize,
    /// How each operand is read.
    pub(super) factors: Vec<Access>,
}

impl Contract {
    pub(super) fn run(&self, operands: &[Data]) -> Vec<f64> {
        let split = self.dims.len() - self.summed;
        let (outer, inner) = self.dims.split_at(split);
        let separable: Option<Vec<Start<'_>>> = self
            .factors
            .iter()
            .map(|f| match f {
                Access::Separable { base, tables } => Some(Start { base: *base, tables }),
                Access::Listed(_) => None,
            })
            .collect();
        let Some(accesses) = separable else {
            return self.run_materialised(operands, inner);
        };
        let mut out = Vec::with_capacity(outer.iter().product());
        let heads: Vec<_> = accesses
            .iter()
            .map(|access| Start {
                base: access.base,
                tables: &access.tables[..split],
            })
            .collect();
        let tails: Vec<_> = accesses.iter().map(|access| &access.tables[split..]).collect();
        walk(outer, &heads, |starts| out.push(sum(inner, starts, &tails, operands)));
        out
    }

    /// The general loop, for index maps that mix axes.
    fn run_materialised(&self, operands: &[Data], inner: &[usize]) -> Vec<f64> {
        let mut product = vec![1.0; self.dims.iter().product()];
        for (factor, x) in self.factors.iter().zip(operands) {
            for (p, v) in product.iter_mut().zip(factor.read(x, &self.dims)) {
                *p *= v;
            }
        }
        let len = inner.iter().product::<usize>();
        match len {
            0 => vec![0.0; self.dims[..self.dims.len() - self.summed].iter().product()],
            _ => product.chunks(len).map(|c| c.iter().sum()).collect(),
        }
    }
}

/// The sum for one result element: a loop over the innermost axis inside an iteration over the others.
fn sum(inner: &[usize], starts: &[i64], tables: &[&[Table]], operands: &[Data]) -> f64 {
    let Some((len, outer)) = inner.split_last() else {
        return operands.iter().zip(starts).map(|(x, o)| x[*o as usize]).product();
    };
    let accesses: Vec<_> = starts
        .iter()
        .zip(tables)
        .map(|(s, t)| Start {
            base: *s,
            tables: &t[..outer.len()],
        })
        .collect();
    let last: Vec<&Table> = tables.iter().map(|t| &t[outer.len()]).collect();
    let mut total = 0.0;
    walk(outer, &accesses, |offsets| total += row(*len, offsets, &last, operands));
    total
}

fn row(len: usize, offsets: &[i64], last: &[&Table], operands: &[Data]) -> f64 {
    if let ([a, b], [x, y]) = (last, operands) {
        let (a0, b0) = (offsets[0], offsets[1]);
        if (a.stride, b.stride) == (Some(1), Some(1)) {
            return dot(&x[a0 as usize..a0 as usize + len], &y[b0 as usize..b0 as usize + len]);
        }
        let pairs = a.offsets.iter().zip(&b.offsets);
        return pairs
            .map(|(p, q)| x[a0.wrapping_add(*p) as usize] * y[b0.wrapping_add(*q) as usize])
            .sum();
    }
    let factor = |n: usize, i: usize| operands[n][offsets[n].wrapping_add(last[n].offsets[i]) as usize];
    (0..len)
        .map(|i| (0..operands.len()).map(|n| factor(n, i)).product::<f64>())
        .sum()
}

/// Eight running sums, so that the additions need not wait for each other.
pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (xs, ys) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest: f64 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in xs.zip(ys) {
        for n in 0..8 {
            sums[n] += a[n] * b[n];
        }
    }
    sums.iter().sum::<f64>() + rest
}
