//! Matrix times vector, straight from the stored weights: what decoding spends its time on.

use super::{
    lanes::sum_four,
    rows::{block_quants, byte, half_to_float, nibbles_and_bytes, plain_vector},
};
use crate::text::{Cmp, Func, Module, Scalar, Ty, Val};
use seqc_abi::Store;

/// Rows that share the loads of `x`; a multiple of 4.
fn shared_rows(store: Store, lanes: u32) -> u32 {
    if store.block() == 32 && lanes == 16 { 8 } else { 4 }
}

/// Elements whose scales are converted at a time.
const SEGMENT: i64 = 1024;

/// How far ahead of use memory is asked for, at least: some turns of the loop fit in the latency of memory,
/// and all of it in the second-level cache.
const AHEAD_BYTES: i64 = 16384;

/// Vectors of each row of a plain store in one turn of the inner loop.
fn unroll(rows: usize) -> usize {
    if rows == 1 { 4 } else { 2 }
}

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
    let count = shared_rows(store, lanes);
    let buffers = match store {
        Store::Q4_1 => 2,
        Store::Q4_0 | Store::Q8_0 => 1,
        Store::F32 | Store::F16 | Store::Bf16 => 0,
    };
    let slots = f.i64(SEGMENT / 32 * i64::from(count));
    let scales = (0..buffers)
        .map(|_| f.op(Ty::Ptr, format_args!("llvm.alloca {slots} x f32 : (i64) -> !llvm.ptr")))
        .collect();
    let fifteen = opaque(&mut f, 15);
    let ahead = bytes_ahead(&mut f, stride, count);
    let gemv = Gemv {
        store,
        lanes,
        stride,
        x,
        k,
        scales,
        fifteen,
        ahead,
    };
    let (zero, some) = (f.i64(0), f.i64(i64::from(count)));
    let rest = f.urem(rows, some);
    let whole = f.sub(rows, rest);
    f.for_each(zero, whole, i64::from(count), |f, r| {
        let sums = gemv.row_sums(f, w, r, count);
        let p = f.gep(y, r, Scalar::F32);
        for (i, s) in sums.chunks_exact(4).enumerate() {
            let four = sum_four(f, [s[0], s[1], s[2], s[3]]);
            let p = byte(f, p, 16 * i as i64);
            f.store(four, p);
        }
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

/// The least multiple of `count` rows that is not below [`AHEAD_BYTES`].
fn bytes_ahead(f: &mut Func, stride: Val, count: u32) -> Val {
    let (count, least, one) = (f.i64(i64::from(count)), f.i64(AHEAD_BYTES - 1), f.i64(1));
    let group = f.mul(count, stride);
    // A matrix without columns has no bytes to ask for.
    let group = f.max(group, one);
    let above = f.add(least, group);
    let groups = f.udiv(above, group);
    f.mul(groups, group)
}

/// A number that LLVM knows nothing about.
fn opaque(f: &mut Func, value: i64) -> Val {
    let (one, ty) = (f.i64(1), Ty::S(Scalar::I32));
    let slot = f.op(Ty::Ptr, format_args!("llvm.alloca {one} x i32 : (i64) -> !llvm.ptr"));
    let value = f.int(ty, value);
    f.store(value, slot);
    f.op(
        ty,
        format_args!("llvm.load volatile {slot} {{alignment = 4 : i64}} : !llvm.ptr -> i32"),
    )
}

struct Gemv {
    store: Store,
    lanes: u32,
    stride: Val,
    x: Val,
    k: Val,
    /// Room for a segment's scales of all rows, and for its offsets.
    scales: Vec<Val>,
    /// The number 15, which LLVM must not see through: it would mask bytes and widen them twice.
    fifteen: Val,
    /// Distance of prefetching, a whole number of groups of rows.
    ahead: Val,
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
        let unroll = unroll(rows.len());
        let zero = f.zero(Ty::V(self.lanes, Scalar::F32));
        let init = vec![zero; rows.len() * unroll];
        let (start, long, short) = (f.i64(0), f.i64(lanes * unroll as i64), f.i64(lanes));
        let rest = f.urem(self.k, long);
        let whole = f.sub(self.k, rest);
        let sums = f.for_loop((start, whole, long), &init, |f, k, sums| {
            let mut next = sums.to_vec();
            let offset = self.offset(f, k);
            self.prefetch(f, rows, offset);
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
        let offset = self.offset(f, k);
        for (row, sum) in rows.iter().zip(sums) {
            let p = f.gep(*row, offset, Scalar::I8);
            let w = plain_vector(f, self.store, p, self.lanes, mask);
            *sum = f.fma(w, x, *sum);
        }
    }

    fn block_sums(&self, f: &mut Func, rows: &[Val]) -> Vec<Val> {
        let zero = f.zero(Ty::V(self.lanes, Scalar::F32));
        let init = vec![zero; rows.len()];
        let (start, segment, step) = (f.i64(0), f.i64(SEGMENT), f.i64(32));
        f.for_loop((start, self.k, segment), &init, |f, from, sums| {
            let end = f.add(from, segment);
            let end = f.min(end, self.k);
            f.for_each(from, end, 32, |f, k| self.convert_scales(f, rows, (from, k)));
            f.for_loop((from, end, step), sums, |f, k, sums| {
                let x = self.block_input(f, k);
                let offset = self.offset(f, k);
                self.prefetch(f, rows, offset);
                let each = rows.iter().zip(sums).enumerate().map(|(r, (row, sum))| {
                    let p = f.gep(*row, offset, Scalar::I8);
                    let at = self.scale_slot(f, (from, k), (rows.len(), r));
                    self.block_step(f, (p, at), &x, *sum)
                });
                each.collect()
            })
        })
    }

    /// Bytes from a row's start to the block of element `k`.
    fn offset(&self, f: &mut Func, k: Val) -> Val {
        let (per_block, bytes) = (f.i64(self.store.block() as i64), f.i64(self.store.block_bytes() as i64));
        let index = if self.store.block() == 1 {
            k
        } else {
            f.udiv(k, per_block)
        };
        f.mul(index, bytes)
    }

    /// Index into the scale buffers of row `r` of `count` at block `k` of the segment that starts at `from`.
    fn scale_slot(&self, f: &mut Func, (from, k): (Val, Val), (count, r): (usize, usize)) -> Val {
        let (step, count, r) = (f.i64(32), f.i64(count as i64), f.i64(r as i64));
        let block = f.sub(k, from);
        let block = f.udiv(block, step);
        let slot = f.mul(block, count);
        f.add(slot, r)
    }

    /// Scales of one block of each row, as f32, to the buffers: many halves convert as fast as one, and a
    /// float in memory is broadcast for nothing.
    fn convert_scales(&self, f: &mut Func, rows: &[Val], (from, k): (Val, Val)) {
        let offset = self.offset(f, k);
        let slot = self.scale_slot(f, (from, k), (rows.len(), 0));
        for (i, buffer) in self.scales.iter().enumerate() {
            let mut halves = f.zero(Ty::V(rows.len() as u32, Scalar::I16));
            for (r, row) in rows.iter().enumerate() {
                let p = f.gep(*row, offset, Scalar::I8);
                let p = byte(f, p, 2 * i as i64);
                let half = f.load(p, Ty::S(Scalar::I16));
                halves = f.insert(half, halves, r as i64);
            }
            let floats = half_to_float(f, halves);
            let p = f.gep(*buffer, slot, Scalar::F32);
            f.store(floats, p);
        }
    }

    /// Asks for what later rows have at `offset`. They lie behind these in one piece, so the requests walk
    /// through them linearly.
    fn prefetch(&self, f: &mut Func, rows: &[Val], offset: Val) {
        let count = rows.len() as i64;
        let scale = f.i64(count);
        let walked = f.mul(offset, scale);
        let p = f.gep(rows[0], self.ahead, Scalar::I8);
        let p = f.gep(p, walked, Scalar::I8);
        let per_turn = count * self.turn_bytes(rows.len());
        let lines = (per_turn + 63) / 64;
        for line in 0..lines {
            let p = byte(f, p, line * per_turn / lines);
            // Into the second-level cache: the first one has `x` to hold.
            f.stmt(format_args!(
                "\"llvm.intr.prefetch\"({p}) <{{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}}> : (!llvm.ptr) -> ()"
            ));
        }
    }

    /// Bytes of a row that one turn of the inner loop reads.
    fn turn_bytes(&self, rows: usize) -> i64 {
        match self.store.block() {
            1 => self.store.block_bytes() as i64 * i64::from(self.lanes) * unroll(rows) as i64,
            _ => self.store.block_bytes() as i64,
        }
    }

    fn block_input(&self, f: &mut Func, k: Val) -> Input {
        let ty = Ty::V(self.lanes, Scalar::F32);
        let load = |i| {
            let shift = f.i64(i64::from(i * self.lanes));
            let at = f.add(k, shift);
            let p = f.gep(self.x, at, Scalar::F32);
            f.load(p, ty)
        };
        let mut vectors: Vec<Val> = (0..32 / self.lanes).map(load).collect();
        let mut total = vectors[0];
        for v in &vectors[1..] {
            total = f.add(total, *v);
        }
        if self.store == Store::Q4_0 {
            let eight = f.float(ty, -8.0);
            total = f.mul(total, eight);
        }
        if self.store != Store::Q8_0 {
            let (sixteenth, minus) = (f.float(ty, 1.0 / 16.0), f.float(ty, -1.0));
            let (low, high) = vectors.split_at_mut(16 / self.lanes as usize);
            for (low, high) in low.iter_mut().zip(high) {
                *high = f.mul(*high, sixteenth);
                *low = f.fma(*high, minus, *low);
            }
        }
        Input { vectors, total }
    }

    /// `sum + d * (q . x) (+ m * total)`; the offset of `q4_0` enters as the dot product's start.
    fn block_step(&self, f: &mut Func, (block, slot): (Val, Val), x: &Input, mut sum: Val) -> Val {
        let quants = match self.store {
            Store::Q8_0 => block_quants(f, self.store, block, self.lanes),
            _ => nibbles_and_bytes(f, self.store, block, (self.lanes, self.fifteen)),
        };
        let mut scales = self.scales.iter().map(|buffer| {
            let p = f.gep(*buffer, slot, Scalar::F32);
            let scale = f.load(p, Ty::F32);
            f.splat(scale, self.lanes)
        });
        let (d, m) = (scales.next(), scales.next());
        let mut dot = (self.store == Store::Q4_0).then_some(x.total);
        for (q, x) in quants.iter().zip(&x.vectors) {
            dot = Some(match dot {
                Some(dot) => f.fma(*q, *x, dot),
                None => f.mul(*q, *x),
            });
        }
        if let Some(m) = m {
            sum = f.fma(m, x.total, sum);
        }
        match (d, dot) {
            (Some(d), Some(dot)) => f.fma(d, dot, sum),
            _ => sum,
        }
    }
}

/// One block's worth of `x`, and the sum of its vectors (for `q4_0`, times -8).
///
/// For the 4-bit stores a byte `b = l + 16 h` meets `l * u + h * v = l * (u - v / 16) + b * (v / 16)`, which
/// spares a shift: the first half of the vectors holds `u - v / 16`, the second `v / 16`.
struct Input {
    vectors: Vec<Val>,
    total: Val,
}
