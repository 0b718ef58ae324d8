//! Offsets into a source tensor as a function of result indices: index maps made ready for loops.

use crate::IndexExpr;

/// Where a view reads, for every index of a result of shape `dims`.
#[derive(Clone, Debug)]
pub(super) enum Access {
    /// `offset = base + sum_a tables[a][i_a]`: every index of the source depends on the axes one by one.
    Separable { base: i64, tables: Vec<Table> },
    /// One offset per result element: an index mixes axes under a division or remainder.
    Listed(Vec<i64>),
}

/// Contribution of one axis to an offset.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) offsets: Vec<i64>,
    /// Set when `offsets[i] = i * stride`.
    pub(super) stride: Option<i64>,
}

impl Access {
    /// Access of a source of shape `source` through `map`, for results of shape `dims`.
    pub(super) fn new(map: &[IndexExpr], source: &[usize], dims: &[usize]) -> Access {
        let mut base = 0_i64;
        let mut offsets: Vec<Vec<i64>> = dims.iter().map(|d| vec![0; *d]).collect();
        let mut terms = Vec::new();
        for (expr, stride) in map.iter().zip(strides(source)) {
            flatten(expr, stride, &mut terms);
        }
        let mut index = vec![0; dims.len()];
        // Offsets are exact though single terms may overflow: arithmetic wraps, and the sums are in range.
        for (term, factor) in terms {
            let mut axes = Vec::new();
            axes_of(term, &mut axes);
            match axes[..] {
                [] => base = base.wrapping_add(factor.wrapping_mul(term.eval(&index))),
                [axis] => {
                    for (i, offset) in offsets[axis].iter_mut().enumerate() {
                        index[axis] = i as i64;
                        *offset = offset.wrapping_add(factor.wrapping_mul(term.eval(&index)));
                    }
                    index[axis] = 0;
                }
                _ => return Access::listed(map, source, dims),
            }
        }
        Access::Separable {
            base,
            tables: offsets.into_iter().map(Table::new).collect(),
        }
    }

    /// Access of a tensor of the result's own shape.
    pub(super) fn identity(dims: &[usize]) -> Access {
        let map: Vec<_> = (0..dims.len()).map(IndexExpr::Axis).collect();
        Access::new(&map, dims, dims)
    }

    fn listed(map: &[IndexExpr], source: &[usize], dims: &[usize]) -> Access {
        let strides = strides(source);
        let mut offsets = Vec::new();
        let mut index = vec![0_i64; dims.len()];
        for _ in 0..dims.iter().product() {
            offsets.push(map.iter().zip(&strides).map(|(e, s)| e.eval(&index) * s).sum());
            for axis in (0..dims.len()).rev() {
                index[axis] += 1;
                if index[axis] < dims[axis] as i64 {
                    break;
                }
                index[axis] = 0;
            }
        }
        Access::Listed(offsets)
    }

    /// The elements that the access reads, in row-major order of `dims`.
    pub(super) fn read(&self, x: &[f64], dims: &[usize]) -> Vec<f64> {
        match self {
            Access::Listed(offsets) => offsets.iter().map(|o| x[*o as usize]).collect(),
            Access::Separable { base, tables } => {
                let Some((last, outer)) = tables.split_last() else {
                    return vec![x[*base as usize]];
                };
                let mut out = Vec::with_capacity(dims.iter().product());
                let axes = &dims[..outer.len()];
                walk(
                    axes,
                    &[Start {
                        base: *base,
                        tables: outer,
                    }],
                    |offsets| {
                        let start = offsets[0];
                        match last.stride {
                            Some(1) => out.extend_from_slice(&x[start as usize..start as usize + last.offsets.len()]),
                            _ => out.extend(last.offsets.iter().map(|o| x[start.wrapping_add(*o) as usize])),
                        }
                    },
                );
                out
            }
        }
    }
}

impl Table {
    fn new(mut offsets: Vec<i64>) -> Table {
        // A constant part would hide the stride: tables start at 0 wherever they are affine from there.
        let first = offsets.first().copied().unwrap_or(0);
        let stride = offsets.get(1).map_or(0, |o| o - first);
        let linear = first == 0 && offsets.iter().enumerate().all(|(i, o)| *o == i as i64 * stride);
        offsets.shrink_to_fit();
        Table {
            offsets,
            stride: linear.then_some(stride),
        }
    }
}

/// A separable access over some axes, from an offset on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    pub(super) base: i64,
    /// One table for each axis.
    pub(super) tables: &'a [Table],
}

/// Calls `body` with the offsets of all accesses at every index of `dims`, in row-major order.
pub(super) fn walk(dims: &[usize], accesses: &[Start<'_>], mut body: impl FnMut(&[i64])) {
    if dims.contains(&0) {
        return;
    }
    let mut index = vec![0; dims.len()];
    let first = |access: &Start<'_>| {
        let tables = access.tables.iter();
        tables.fold(access.base, |sum, t| sum.wrapping_add(t.offsets[0]))
    };
    let mut offsets: Vec<i64> = accesses.iter().map(first).collect();
    loop {
        body(&offsets);
        let mut axis = dims.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            let from = index[axis];
            index[axis] = if from + 1 < dims[axis] { from + 1 } else { 0 };
            for (offset, access) in offsets.iter_mut().zip(accesses) {
                let table = &access.tables[axis].offsets;
                *offset = offset.wrapping_add(table[index[axis]].wrapping_sub(table[from]));
            }
            if index[axis] > 0 {
                break;
            }
        }
    }
}

/// Row-major strides.
pub(super) fn strides(sizes: &[usize]) -> Vec<i64> {
    let mut strides = vec![1; sizes.len()];
    for axis in (1..sizes.len()).rev() {
        strides[axis - 1] = strides[axis] * sizes[axis] as i64;
    }
    strides
}

/// The summands of `factor * expr`, constants multiplied out.
fn flatten<'a>(expr: &'a IndexExpr, factor: i64, terms: &mut Vec<(&'a IndexExpr, i64)>) {
    match expr {
        IndexExpr::Add(a, b) => {
            flatten(a, factor, terms);
            flatten(b, factor, terms);
        }
        IndexExpr::Mul(a, k) => flatten(a, factor.wrapping_mul(*k), terms),
        _ => terms.push((expr, factor)),
    }
}

fn axes_of(expr: &IndexExpr, axes: &mut Vec<usize>) {
    match expr {
        IndexExpr::Axis(n) => {
            if !axes.contains(n) {
                axes.push(*n);
            }
        }
        IndexExpr::Const(_) => {}
        IndexExpr::Add(a, b) => {
            axes_of(a, axes);
            axes_of(b, axes);
        }
        IndexExpr::Mul(a, _) | IndexExpr::Div(a, _) | IndexExpr::Mod(a, _) => axes_of(a, axes),
    }
}
