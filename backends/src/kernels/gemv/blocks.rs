//! Rows of GGML blocks times a vector, accumulated in f32.
//!
//! A row's product is `sum_b d_b (q_b . x_b) + c_b X_b` over its blocks `b`, where `X_b` is the sum of the
//! block's part of `x`, and `c_b` its offset: `-8 d_b` for `q4_0`, whose quants count from 0 here, `m_b` for
//! `q4_1`, none for `q8_0`. Vectors work on the first term, one row at a time. Scales are converted, and
//! the second term is summed, a segment of blocks ahead, with one lane for each row.
//!
//! Processors that add up products of integers take `x` as [records](super::records) of them, which hold what offsets add, too. On the rest of
//! them, integers are made reals; those that are neither bytes nor nibbles are put together with the scales before. For nibbles,
//! a byte of a 4-bit block holds two quants, `b = l + 16 h`. It meets `l u + h v = l (u - v / 16) + b (v / 16)`,
//! which spares a shift.

use super::{
    inputs::{input_sums, records},
    records::{Records, Weights},
    shape::Shape,
};
use crate::{
    kernel::{Cache, Cast, Func, Scalar, Ty, Val},
    kernels::{
        bits::{Strip, strip},
        dequant::{byte, half_to_float, power_to_float},
        layout::{Block, Integers, STRIP},
        opaque::opaque,
        short_blocks::block_bytes,
    },
};
use seqc_formats::Unit;

/// What lives on the stack of a kernel.
pub(super) struct Blocks {
    layout: Block,
    /// The segment's scales `d` of all rows.
    scales: Val,
    /// The sums `X_b` of all blocks, where there is a second term; times -8 for `q4_0`.
    sums: Option<Val>,
    /// The vector as integers, where the processor adds up products of these.
    records: Option<Records>,
    /// The number 15, which LLVM must not see through: it would mask bytes and widen them twice.
    fifteen: Val,
    /// The segment's integers of all rows, where they are put together from bits and made reals: a byte each.
    integers: Option<Val>,
}

/// A block of a segment.
#[derive(Clone, Copy)]
struct Step {
    /// First element of the segment.
    from: Val,
    /// First element of the block.
    k: Val,
}

/// A block of one row.
struct Scaled {
    ptr: Val,
    /// Where its scale is, converted, in the scale buffer.
    slot: Val,
}

impl Blocks {
    pub(super) fn new(f: &mut Func, shape: &Shape<'_>, layout: Block, rows: u32) -> Blocks {
        let slots = f.i64(segment(shape) / 32 * i64::from(rows));
        let scales = stack(f, slots);
        let records = records(f, shape, layout.description);
        let is_shifted = match records {
            Some(_) => layout.minimum.is_some(),
            None => layout.is_shifted(),
        };
        let factor = if layout.minimum.is_some() {
            1.0
        } else {
            layout.offset.unwrap_or(1.0)
        };
        let sums = is_shifted.then(|| input_sums(f, shape, records, STRIP, factor));
        let fifteen = opaque(f, 15);
        let apart = records.is_none() && layout.integers == Integers::Bits;
        let integers = apart.then(|| {
            let bytes = f.i64(segment(shape) * i64::from(rows));
            f.stack_of(bytes, Scalar::I8)
        });
        Blocks {
            layout,
            scales,
            sums,
            records,
            fifteen,
            integers,
        }
    }

    /// For each row a vector whose lanes add up to the first term, and the second term of all rows.
    pub(super) fn row_sums(&self, f: &mut Func, shape: &Shape<'_>, rows: &[Val]) -> (Vec<Val>, Option<Val>) {
        let zero = f.zero(Ty::V(self.lanes(shape), Scalar::F32));
        let mut init = vec![zero; rows.len()];
        init.push(f.zero(Ty::V(rows.len() as u32, Scalar::F32)));
        let (start, segment, step) = (f.i64(0), f.i64(segment(shape)), f.i64(32));
        let mut sums = f.for_loop(start..shape.k, segment, &init, |f, from, sums| {
            let end = f.add(from, segment);
            let end = f.min(end, shape.k);
            let (first, second) = sums.split_at(rows.len());
            let second = f.for_loop(from..end, step, second, |f, k, second| {
                self.unpack(f, shape, rows, Step { from, k });
                vec![self.scales(f, shape, rows, Step { from, k }, second[0])]
            });
            let mut next = f.for_loop(from..end, step, first, |f, k, first| {
                let x = self.input(f, shape, k);
                let offset = shape.offset(f, k);
                shape.prefetch(f, rows, offset, shape.encoding.block_bytes() as i64, Cache::Second);
                let each = rows.iter().zip(first).enumerate().map(|(r, (row, sum))| {
                    let ptr = f.gep(*row, offset, Scalar::I8);
                    let slot = scale_slot(f, Step { from, k }, rows.len(), r);
                    self.step(f, shape, Scaled { ptr, slot }, &x, *sum)
                });
                each.collect()
            });
            next.extend(second);
            next
        });
        let second = sums.pop().filter(|_| self.sums.is_some());
        (sums, second)
    }

    /// Converts the scales of one block of each row, many halves at once, and puts them where they can be
    /// broadcast from; adds `c_b X_b` to `second`.
    fn scales(&self, f: &mut Func, shape: &Shape<'_>, rows: &[Val], step: Step, second: Val) -> Val {
        let offset = shape.offset(f, step.k);
        let d = match self.layout.unit {
            Unit::Half => halves(f, rows, offset, 0),
            Unit::Power => powers(f, rows, offset),
        };
        let slot = scale_slot(f, step, rows.len(), 0);
        let p = f.gep(self.scales, slot, Scalar::F32);
        let first = match self.records {
            None => d,
            Some(records) => {
                let scale = records.scale(f, shape, step.k);
                let scale = f.splat(scale, rows.len() as u32);
                f.mul(d, scale)
            }
        };
        f.store(first, p);
        let Some(sums) = self.sums else { return second };
        let c = match self.layout.minimum {
            Some(at) => halves(f, rows, offset, at),
            None => d,
        };
        let thirty_two = f.i64(32);
        let block = f.udiv(step.k, thirty_two);
        let p = f.gep(sums, block, Scalar::F32);
        let sum = f.load(p, Ty::F32);
        let sum = f.splat(sum, rows.len() as u32);
        f.fma(c, sum, second)
    }

    /// Lanes of the sums of a row.
    fn lanes(&self, shape: &Shape<'_>) -> u32 {
        self.records.map_or(shape.lanes, |records| records.lanes)
    }

    /// One block's part of `x`, as [`Blocks::step`] takes it: integers, or for nibbles first `u - v / 16`, then `v / 16`.
    fn input(&self, f: &mut Func, shape: &Shape<'_>, k: Val) -> Vec<Val> {
        match self.records {
            Some(records) => records.block(f, shape, k),
            None => self.reals(f, shape, k),
        }
    }

    /// The same of reals.
    fn reals(&self, f: &mut Func, shape: &Shape<'_>, k: Val) -> Vec<Val> {
        let mut x = shape.block(f, k, STRIP);
        if self.layout.integers == Integers::Nibbles {
            let (sixteenth, minus) = (f.float(shape.vector(), 1.0 / 16.0), f.float(shape.vector(), -1.0));
            let (u, v) = x.split_at_mut(16 / shape.lanes as usize);
            for (u, v) in u.iter_mut().zip(v) {
                *v = f.mul(*v, sixteenth);
                *u = f.fma(*v, minus, *u);
            }
        }
        x
    }

    /// Puts the integers of one block of each row together, where they are neither bytes nor nibbles.
    fn unpack(&self, f: &mut Func, shape: &Shape<'_>, rows: &[Val], step: Step) {
        let Some(to) = self.integers else {
            return;
        };
        let offset = shape.offset(f, step.k);
        for (r, row) in rows.iter().enumerate() {
            let p = f.gep(*row, offset, Scalar::I8);
            let whole = Strip::whole(self.layout.description);
            let integers = strip(f, &shape.target.micro_kernels, whole, p);
            let slot = scale_slot(f, step, rows.len(), r);
            let to = strip_at(f, to, slot);
            f.store(integers, to);
        }
    }

    /// The low nibbles at `ptr` as floats, in order, then its bytes as floats.
    fn nibbles_and_bytes(&self, f: &mut Func, shape: &Shape<'_>, ptr: Val) -> Vec<Val> {
        let (mut low, mut whole) = (Vec::new(), Vec::new());
        for at in (0..16).step_by(shape.lanes as usize) {
            let p = byte(f, ptr, at.into());
            let q = f.load(p, Ty::V(shape.lanes, Scalar::I8));
            let q = f.convert(Cast::ZeroExtend, q, Scalar::I32);
            low.push((shape.target.micro_kernels.low_nibbles)(f, q, self.fifteen));
            whole.push(f.convert(Cast::SignedToFloat, q, Scalar::F32));
        }
        low.extend(whole);
        low
    }

    /// `sum + d * (q . x)` for one block of one row.
    fn step(&self, f: &mut Func, shape: &Shape<'_>, scaled: Scaled, x: &[Val], sum: Val) -> Val {
        let Scaled { ptr, slot } = scaled;
        let dot = match self.records {
            Some(records) => {
                let weights = Weights {
                    block: self.layout.description,
                    ptr,
                    first: 0,
                };
                let integers = records.integers(f, shape, weights);
                records.products(f, &integers, x)[0]
            }
            None => {
                let integers = match self.integers {
                    Some(unpacked) => strip_at(f, unpacked, slot),
                    None => byte(f, ptr, self.layout.start),
                };
                self.product(f, shape, integers, x)
            }
        };
        let d = f.gep(self.scales, slot, Scalar::F32);
        let d = f.load(d, Ty::F32);
        let d = f.splat(d, dot.ty.lanes());
        f.fma(d, dot, sum)
    }

    /// `q . x`, of integers that are made reals.
    fn product(&self, f: &mut Func, shape: &Shape<'_>, integers: Val, x: &[Val]) -> Val {
        let quants = match self.layout.integers {
            Integers::Bytes | Integers::Bits => block_bytes(f, integers, shape.lanes),
            Integers::Nibbles => self.nibbles_and_bytes(f, shape, integers),
        };
        let mut dot = f.mul(quants[0], x[0]);
        for (q, x) in quants.iter().zip(x).skip(1) {
            dot = f.fma(*q, *x, dot);
        }
        dot
    }
}

/// Columns whose scales are converted at a time.
fn segment(shape: &Shape<'_>) -> i64 {
    i64::from(shape.target.machine.matrix_vector.scales_ahead)
}

/// Room for `slots` floats on the stack.
fn stack(f: &mut Func, slots: Val) -> Val {
    f.stack_of(slots, Scalar::F32)
}

/// Where the bytes of a block are whose scale is at an index of the scale buffer.
fn strip_at(f: &mut Func, integers: Val, slot: Val) -> Val {
    let size = f.i64(STRIP.into());
    let at = f.mul(slot, size);
    f.gep(integers, at, Scalar::I8)
}

/// Index into the scale buffer of row `r` of `count` at a block.
fn scale_slot(f: &mut Func, at: Step, count: usize, r: usize) -> Val {
    let (step, count, r) = (f.i64(32), f.i64(count as i64), f.i64(r as i64));
    let block = f.sub(at.k, at.from);
    let block = f.udiv(block, step);
    let slot = f.mul(block, count);
    f.add(slot, r)
}

/// The powers of two at `offset` of all rows, one lane each, as f32.
fn powers(f: &mut Func, rows: &[Val], offset: Val) -> Val {
    let mut powers = f.zero(Ty::V(rows.len() as u32, Scalar::I8));
    for (r, row) in rows.iter().enumerate() {
        let p = f.gep(*row, offset, Scalar::I8);
        let power = f.load(p, Ty::S(Scalar::I8));
        powers = f.insert(power, powers, r as i64);
    }
    let powers = f.convert(Cast::ZeroExtend, powers, Scalar::I32);
    power_to_float(f, powers)
}

/// The halves `shift` bytes behind `offset` of all rows, one lane each, as f32.
fn halves(f: &mut Func, rows: &[Val], offset: Val, shift: i64) -> Val {
    let mut halves = f.zero(Ty::V(rows.len() as u32, Scalar::I16));
    for (r, row) in rows.iter().enumerate() {
        let p = f.gep(*row, offset, Scalar::I8);
        let p = byte(f, p, shift);
        let half = f.load(p, Ty::S(Scalar::I16));
        halves = f.insert(half, halves, r as i64);
    }
    half_to_float(f, halves)
}
