//! What all parts of a matrix-vector kernel know: encoding, lanes, operands.

use crate::{
    kernel::{Cache, Func, Scalar, Ty, Val},
    kernels::dequant::byte,
    targets::TargetInfo,
};
use seqc_formats::Encoding;

/// What all parts of a kernel know.
pub(in crate::kernels) struct Shape<'m> {
    pub(in crate::kernels) encoding: Encoding,
    pub(in crate::kernels) target: &'m TargetInfo,
    pub(in crate::kernels) lanes: u32,
    /// The weights.
    pub(in crate::kernels) w: Val,
    /// Bytes of a row of weights.
    pub(in crate::kernels) stride: Val,
    /// The vector.
    pub(in crate::kernels) x: Val,
    pub(in crate::kernels) k: Val,
    /// Distance of prefetching, a whole number of groups of rows.
    pub(in crate::kernels) ahead: Val,
    /// Whether the vector is one of records.
    pub(in crate::kernels) rounded: bool,
}

impl Shape<'_> {
    pub(in crate::kernels) fn vector(&self) -> Ty {
        Ty::V(self.lanes, Scalar::F32)
    }

    /// `count` rows of weights from `r` on.
    pub(in crate::kernels) fn rows(&self, f: &mut Func, r: Val, count: u32) -> Vec<Val> {
        let offset = f.mul(r, self.stride);
        let mut rows = vec![f.gep(self.w, offset, Scalar::I8)];
        for _ in 1..count {
            let last = rows[rows.len() - 1];
            rows.push(f.gep(last, self.stride, Scalar::I8));
        }
        rows
    }

    /// Bytes from a row's start to the block of element `k`.
    pub(in crate::kernels) fn offset(&self, f: &mut Func, k: Val) -> Val {
        let (per_block, bytes) = (
            f.i64(self.encoding.block() as i64),
            f.i64(self.encoding.block_bytes() as i64),
        );
        let index = if self.encoding.block() == 1 {
            k
        } else {
            f.udiv(k, per_block)
        };
        f.mul(index, bytes)
    }

    /// So many entries of the vector from `k` on.
    pub(super) fn block(&self, f: &mut Func, k: Val, size: u32) -> Vec<Val> {
        let p = f.gep(self.x, k, Scalar::F32);
        let load = |i| {
            let p = byte(f, p, i64::from(4 * i * self.lanes));
            f.load(p, self.vector())
        };
        (0..size / self.lanes).map(load).collect()
    }

    /// Asks for what later rows have at `offset`. They lie behind these in one piece, so the requests
    /// are linear; `iteration_bytes` of each row are used in one iteration of the loop.
    pub(in crate::kernels) fn prefetch(
        &self,
        f: &mut Func,
        rows: &[Val],
        offset: Val,
        iteration_bytes: i64,
        into: Cache,
    ) {
        let count = rows.len() as i64;
        let scale = f.i64(count);
        let used = f.mul(offset, scale);
        let p = f.gep(rows[0], self.ahead, Scalar::I8);
        let p = f.gep(p, used, Scalar::I8);
        let bytes = count * iteration_bytes;
        let lines = (bytes as u64).div_ceil(self.target.machine.memory.line as u64) as i64;
        for line in 0..lines {
            let p = byte(f, p, line * bytes / lines);
            f.prefetch(p, into);
        }
    }
}
