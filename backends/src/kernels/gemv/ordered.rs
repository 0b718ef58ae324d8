//! Matrix times vector in the order of the micro-kernel: the result for one token is bitwise equal to that in a chunk.
//!
//! Lanes are rows and each adds up its columns from the first to the last, as [`super::super::micro_kernel`] does. Weights
//! are transposed in registers for that, which takes longer than [`super::gemv`] does wherever memory does not.

use crate::{
    kernel::{Cmp, Func, Module, Scalar, Ty, Val},
    kernels::{
        block_rows::BlockRows,
        dequant::plain_vector,
        lanes::transpose,
        layout::Plain,
        strips::{Strips, Weights},
    },
    targets::TargetInfo,
};
use seqc_formats::Encoding;

/// Name of the function that [`gemv_in_order`] adds.
pub fn gemv_in_order_name(encoding: Encoding) -> String {
    format!("seqc_gemv_in_order_{}", encoding.name())
}

/// Adds the kernel for one store; returns its name. The function is that of [`super::gemv`], with any number of rows.
pub fn gemv_in_order(module: &mut Module, target: &TargetInfo, encoding: Encoding) -> String {
    let name = gemv_in_order_name(encoding);
    if module.has(&name) {
        return name;
    }
    let mut f = Func::new(
        &name,
        &[Ty::GLOBAL, Ty::I64, Ty::I64, Ty::GENERIC, Ty::I64, Ty::GENERIC],
        None,
    );
    let (w, stride, rows) = (f.param(0), f.param(1), f.param(2));
    let (x, k, y) = (f.param(3), f.param(4), f.param(5));
    let lanes = target.machine.lanes;
    let kernel = InOrder {
        weights: Weights::new(&mut f, target, encoding, lanes),
        encoding,
        lanes,
        stride,
        x,
        k,
    };
    let (zero, width) = (f.i64(0), f.i64(i64::from(lanes)));
    let rest = f.urem(rows, width);
    let whole = f.sub(rows, rest);
    f.for_each(zero, whole, i64::from(lanes), |f, r| {
        let offset = f.mul(r, stride);
        let source = f.gep(w, offset, Scalar::I8);
        let sums = kernel.sums(f, source, None);
        let p = f.gep(y, r, Scalar::F32);
        f.store(sums, p);
    });
    let some = f.cmp(Cmp::Gt, rest, zero);
    f.if_then(some, |f| {
        let offset = f.mul(whole, stride);
        let source = f.gep(w, offset, Scalar::I8);
        let sums = kernel.sums(f, source, Some(rest));
        let (p, mask) = (f.gep(y, whole, Scalar::F32), f.tail_mask(rest, lanes));
        f.masked_store(sums, p, mask);
    });
    module.add(f);
    name
}

struct InOrder<'m> {
    weights: Weights<'m>,
    encoding: Encoding,
    lanes: u32,
    stride: Val,
    x: Val,
    k: Val,
}

impl InOrder<'_> {
    /// The products of as many rows as there are lanes, or of the first `valid`, from `source` on.
    fn sums(&self, f: &mut Func, source: Val, valid: Option<Val>) -> Val {
        match &self.weights {
            Weights::Plain(plain) => self.plain_sums(f, *plain, source, valid),
            Weights::Blocks(strips) => self.block_sums(f, strips, source, valid),
        }
    }

    fn block_sums(&self, f: &mut Func, strips: &Strips<'_>, source: Val, valid: Option<Val>) -> Val {
        let (zero, step) = (f.i64(0), f.i64(self.encoding.block() as i64));
        let bytes = f.i64(self.encoding.block_bytes() as i64);
        let nothing = f.zero(Ty::V(self.lanes, Scalar::F32));
        let sums = f.for_loop(zero..self.k, step, &[nothing], |f, k, sums| {
            let block = f.udiv(k, step);
            let offset = f.mul(block, bytes);
            let rows = BlockRows {
                first: f.gep(source, offset, Scalar::I8),
                stride: self.stride,
                count: self.lanes,
                valid,
            };
            strips.each(f, &rows, sums, |f, column, rows, sums| {
                let k = f.add(k, column);
                let parts = 0..rows[0].len();
                let part = |n: usize| {
                    let vectors: Vec<Val> = rows.iter().map(|row| row[n]).collect();
                    transpose(f, &vectors)
                };
                let columns: Vec<Val> = parts.flat_map(part).collect();
                vec![self.add(f, k, &columns, sums[0])]
            })
        });
        sums[0]
    }

    fn plain_sums(&self, f: &mut Func, plain: Plain, source: Val, valid: Option<Val>) -> Val {
        let (zero, step) = (f.i64(0), f.i64(i64::from(self.lanes)));
        let rest = f.urem(self.k, step);
        let whole = f.sub(self.k, rest);
        let nothing = f.zero(Ty::V(self.lanes, Scalar::F32));
        let rows = Rows { plain, source, valid };
        let sums = f.for_loop(zero..whole, step, &[nothing], |f, k, sums| {
            let columns = self.columns(f, rows, k, None);
            vec![self.add(f, k, &columns, sums[0])]
        });
        let some = f.cmp(Cmp::Gt, rest, zero);
        let last = |f: &mut Func| {
            let columns = self.columns(f, rows, whole, Some(rest));
            let (p, mask) = (f.gep(self.x, whole, Scalar::F32), f.tail_mask(rest, self.lanes));
            let x = f.masked_load(p, mask, Ty::V(self.lanes, Scalar::F32));
            let add = |sum: Val, (i, column): (usize, &Val)| {
                let x = f.extract(x, i as i64);
                let x = f.splat(x, self.lanes);
                let next = f.fma(x, *column, sum);
                let i = f.i64(i as i64);
                let inside = f.cmp(Cmp::Lt, i, rest);
                f.select(inside, next, sum)
            };
            vec![columns.iter().enumerate().fold(sums[0], add)]
        };
        f.if_else(some, last, |_| vec![sums[0]])[0]
    }

    /// Adds the products of whole columns from `k` on.
    fn add(&self, f: &mut Func, k: Val, columns: &[Val], sum: Val) -> Val {
        let x = f.gep(self.x, k, Scalar::F32);
        let add = |sum: Val, (i, column): (usize, &Val)| {
            let i = f.i64(i as i64);
            let p = f.gep(x, i, Scalar::F32);
            let x = f.load(p, Ty::F32);
            let x = f.splat(x, self.lanes);
            f.fma(x, *column, sum)
        };
        columns.iter().enumerate().fold(sum, add)
    }

    /// As many columns as there are lanes from `k` on, a lane for each row; zeros beyond the rows and columns that there are.
    fn columns(&self, f: &mut Func, rows: Rows, k: Val, columns: Option<Val>) -> Vec<Val> {
        let bytes = f.i64(self.encoding.block_bytes() as i64);
        let offset = f.mul(k, bytes);
        let column_mask = columns.map(|n| f.tail_mask(n, self.lanes));
        let mut vectors = Vec::new();
        let mut row = f.gep(rows.source, offset, Scalar::I8);
        for r in 0..self.lanes {
            let r = f.i64(i64::from(r));
            let exists = rows.valid.map(|valid| f.cmp(Cmp::Lt, r, valid));
            let exists = exists.map(|exists| f.splat(exists, self.lanes));
            let mask = match (exists, column_mask) {
                (Some(a), Some(b)) => Some(f.and(a, b)),
                (a, b) => a.or(b),
            };
            vectors.push(plain_vector(f, rows.plain, row, self.lanes, mask));
            row = f.gep(row, self.stride, Scalar::I8);
        }
        transpose(f, &vectors)
    }
}

/// Rows of numbers that are stored by themselves.
#[derive(Clone, Copy)]
struct Rows {
    plain: Plain,
    /// The first one.
    source: Val,
    /// How many of them exist, when not all do.
    valid: Option<Val>,
}
