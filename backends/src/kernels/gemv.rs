//! Matrix times vector, straight from the stored weights: what decoding spends its time on.

use super::{
    lanes::sum_four,
    rows::{block_quants, half_to_float, plain_vector},
};
use crate::text::{Cmp, Func, Module, Scalar, Ty, Val};
use seqc_abi::Store;

/// Rows that share the loads of `x`.
const ROWS: u32 = 4;

/// Adds the kernel for one store; returns its name.
///
/// `fn(w, row_bytes, rows, x, k, y)` computes `y[r] = sum_k W[r][k] * x[k]` for `r < rows` in f32. For block
/// stores `k` is a multiple of 32. Threads share the work by calling it on ranges of rows.
pub fn gemv(module: &mut Module, lanes: u32, store: Store) -> String {
    let name = format!("seqc_gemv_{}", store.name());
    if module.has(&name) {
        return name;
    }
    let mut f = Func::new(&name, &[Ty::Ptr, Ty::I64, Ty::I64, Ty::Ptr, Ty::I64, Ty::Ptr], None);
    let (w, stride, rows) = (f.param(0), f.param(1), f.param(2));
    let (x, k, y) = (f.param(3), f.param(4), f.param(5));
    let gemv = Gemv {
        store,
        lanes,
        stride,
        x,
        k,
    };
    let (zero, some) = (f.i64(0), f.i64(i64::from(ROWS)));
    let rest = f.urem(rows, some);
    let whole = f.sub(rows, rest);
    f.for_each(zero, whole, i64::from(ROWS), |f, r| {
        let sums = gemv.row_sums(f, w, r, ROWS);
        let four = sum_four(f, [sums[0], sums[1], sums[2], sums[3]]);
        let p = f.gep(y, r, Scalar::F32);
        f.store(four, p);
    });
    f.for_each(whole, rows, 1, |f, r| {
        let sums = gemv.row_sums(f, w, r, 1);
        let sum = f.reduce_add(sums[0]);
        let p = f.gep(y, r, Scalar::F32);
        f.store(sum, p);
    });
    module.add(f);
    name
}

struct Gemv {
    store: Store,
    lanes: u32,
    stride: Val,
    x: Val,
    k: Val,
}

impl Gemv {
    /// For each of `count` rows from `r` on, a vector whose lanes add up to the product.
    fn row_sums(&self, f: &mut Func, w: Val, r: Val, count: u32) -> Vec<Val> {
        let offset = f.mul(r, self.stride);
        let mut rows = vec![f.gep(w, offset, Scalar::I8)];
        for _ in 1..count {
            let last = rows[rows.len() - 1];
            rows.push(f.gep(last, self.stride, Scalar::I8));
        }
        if self.store.block() == 32 {
            self.block_sums(f, &rows)
        } else {
            self.plain_sums(f, &rows)
        }
    }

    fn plain_sums(&self, f: &mut Func, rows: &[Val]) -> Vec<Val> {
        let lanes = i64::from(self.lanes);
        let unroll = if rows.len() == 1 { 4 } else { 2 };
        let zero = f.zero(Ty::V(self.lanes, Scalar::F32));
        let init = vec![zero; rows.len() * unroll];
        let (start, long, short) = (f.i64(0), f.i64(lanes * unroll as i64), f.i64(lanes));
        let rest = f.urem(self.k, long);
        let whole = f.sub(self.k, rest);
        let sums = f.for_loop((start, whole, long), &init, |f, k, sums| {
            let mut next = sums.to_vec();
            for (u, next) in next.chunks_mut(rows.len()).enumerate() {
                let shift = f.i64(lanes * u as i64);
                let at = f.add(k, shift);
                self.plain_step(f, rows, (at, None), next);
            }
            next
        });
        let mut one: Vec<Val> = sums[..rows.len()].to_vec();
        for more in sums[rows.len()..].chunks(rows.len()) {
            for (sum, more) in one.iter_mut().zip(more) {
                *sum = f.add(*sum, *more);
            }
        }
        let tail = f.urem(self.k, short);
        let even = f.sub(self.k, tail);
        let one = f.for_loop((whole, even, short), &one, |f, k, sums| {
            let mut next = sums.to_vec();
            self.plain_step(f, rows, (k, None), &mut next);
            next
        });
        let some = f.cmp(Cmp::Gt, tail, start);
        f.if_else(
            some,
            |f| {
                let mask = f.tail_mask(tail, self.lanes);
                let mut next = one.clone();
                self.plain_step(f, rows, (even, Some(mask)), &mut next);
                next
            },
            |_| one.clone(),
        )
    }

    fn plain_step(&self, f: &mut Func, rows: &[Val], (k, mask): (Val, Option<Val>), sums: &mut [Val]) {
        let ty = Ty::V(self.lanes, Scalar::F32);
        let p = f.gep(self.x, k, Scalar::F32);
        let x = match mask {
            None => f.load(p, ty),
            Some(mask) => f.masked_load(p, mask, ty),
        };
        let size = f.i64(self.store.block_bytes() as i64);
        let offset = f.mul(k, size);
        for (row, sum) in rows.iter().zip(sums) {
            let p = f.gep(*row, offset, Scalar::I8);
            let w = plain_vector(f, self.store, p, self.lanes, mask);
            *sum = f.fma(w, x, *sum);
        }
    }

    fn block_sums(&self, f: &mut Func, rows: &[Val]) -> Vec<Val> {
        let zero = f.zero(Ty::V(self.lanes, Scalar::F32));
        let init = vec![zero; rows.len()];
        let (start, step) = (f.i64(0), f.i64(32));
        f.for_loop((start, self.k, step), &init, |f, k, sums| {
            let index = f.udiv(k, step);
            let bytes = f.i64(self.store.block_bytes() as i64);
            let offset = f.mul(index, bytes);
            let x = self.block_input(f, k);
            let each = rows.iter().zip(sums).map(|(row, sum)| {
                let p = f.gep(*row, offset, Scalar::I8);
                self.block_step(f, p, &x, *sum)
            });
            each.collect()
        })
    }

    fn block_input(&self, f: &mut Func, k: Val) -> Input {
        let ty = Ty::V(self.lanes, Scalar::F32);
        let vectors: Vec<Val> = (0..32 / self.lanes)
            .map(|i| {
                let shift = f.i64(i64::from(i * self.lanes));
                let at = f.add(k, shift);
                let p = f.gep(self.x, at, Scalar::F32);
                f.load(p, ty)
            })
            .collect();
        let mut total = vectors[0];
        for v in &vectors[1..] {
            total = f.add(total, *v);
        }
        if self.store == Store::Q4_0 {
            let eight = f.float(ty, -8.0);
            total = f.mul(total, eight);
        }
        Input { vectors, total }
    }

    /// `sum + d * (q . x) (+ m * total)`; the offset of `q4_0` enters as the dot product's start.
    fn block_step(&self, f: &mut Func, block: Val, x: &Input, mut sum: Val) -> Val {
        let quants = block_quants(f, self.store, block, self.lanes);
        let halves = f.load(block, Ty::V(4, Scalar::I16));
        let scales = half_to_float(f, halves);
        let d = f.shuffle(scales, scales, &vec![0; self.lanes as usize]);
        let mut dot = (self.store == Store::Q4_0).then_some(x.total);
        for (q, x) in quants.iter().zip(&x.vectors) {
            dot = Some(match dot {
                Some(dot) => f.fma(*q, *x, dot),
                None => f.mul(*q, *x),
            });
        }
        if self.store == Store::Q4_1 {
            let m = f.shuffle(scales, scales, &vec![1; self.lanes as usize]);
            sum = f.fma(m, x.total, sum);
        }
        match dot {
            Some(dot) => f.fma(d, dot, sum),
            None => sum,
        }
    }
}

/// One block's worth of `x`, and the sum of its vectors (for `q4_0`, times -8).
struct Input {
    vectors: Vec<Val>,
    total: Val,
}
