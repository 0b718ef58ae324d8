//! Rows of blocks whose groups have scales of their own, times a vector, accumulated in f32.
//!
//! A row's product is `sum_g s_g (q_g . x_g) + m_g X_g` over its groups `g`, where `X_g` is the sum of the group's part of `x`, and
//! `m_g` what is added to its numbers. Of a block, the scales of each row are computed first, and integers that are neither bytes nor
//! nibbles put together; then groups are taken one after another, each for all rows, which share what is read of `x`. In the second
//! term a lane is a group.

use super::{
    inputs::{input_sums, records},
    records::Records,
    shape::Shape,
};
use crate::{
    kernel::{Cache, Cast, Func, Scalar, Ty, Val},
    kernels::{
        block_rows::BlockRows,
        dequant::byte,
        group_scales::GroupScales,
        layout::{self, Grouped, STRIP},
        opaque::opaque,
        unpack::Integers,
    },
};

/// What lives on the stack of a kernel.
pub(super) struct Groups {
    layout: Grouped,
    source: Source,
    scales: GroupScales,
    /// The second term, in encodings that have it.
    minima: Option<Minima>,
    /// The vector as integers, where the processor adds up products of these.
    records: Option<Records>,
}

/// Where integers are read.
enum Source {
    /// In the block: the halves of bytes.
    Nibbles {
        /// The first byte.
        start: i64,
        /// The number 15, which LLVM must not see through: it would mask bytes and widen them twice.
        fifteen: Val,
    },
    /// On the stack.
    Unpacked(Integers),
}

/// The sums of `m_g X_g`.
#[derive(Clone, Copy)]
struct Minima {
    /// `X_g` of all groups.
    inputs: Val,
    /// For each row a vector with a lane for each group of a block.
    sums: Val,
}

/// A vector of integers.
struct OfIntegers<'a> {
    shape: &'a Shape<'a>,
    records: Records,
}

/// What is read of groups one after another that are read together.
struct Part<'a> {
    /// A block of each row.
    rows: &'a BlockRows,
    /// The first column of the block.
    column: Val,
    /// Their parts of `x`.
    x: &'a [Val],
}

impl Groups {
    pub(super) fn new(f: &mut Func, shape: &Shape<'_>, layout: Grouped, rows: u32) -> Groups {
        // Halves of 32 bytes are strips of the vector.
        let nibbles = layout.nibbles().filter(|_| layout.groups.size == STRIP as usize);
        let source = match nibbles {
            Some(start) => Source::Nibbles {
                start,
                fifteen: opaque(f, 15),
            },
            None => Source::Unpacked(Integers::new(
                f,
                shape.target.micro_kernels.levels,
                layout,
                shape.lanes,
                rows,
            )),
        };
        let of_nibbles = nibbles.is_some().then_some(0.0);
        let size = layout.groups.size as u32;
        let records = records(f, shape, size, of_nibbles);
        let minima = layout.block.minimum.map(|_| {
            let count = f.i64((rows * layout.count()).into());
            Minima {
                inputs: input_sums(f, shape, records, size, 1.0),
                sums: f.stack_of(count, Scalar::F32),
            }
        });
        let lanes = records.map_or(shape.lanes, |records| records.lanes);
        Groups {
            layout,
            source,
            scales: GroupScales::new(f, layout, lanes, rows),
            minima,
            records,
        }
    }

    /// For each row a vector whose lanes add up to its product.
    pub(super) fn row_sums(&self, f: &mut Func, shape: &Shape<'_>, rows: &[Val]) -> Vec<Val> {
        if let Some(minima) = self.minima {
            let none = f.zero(self.of_groups());
            for r in 0..rows.len() {
                let sums = self.minima_of(f, minima, r);
                f.store(none, sums);
            }
        }
        let (start, step) = (f.i64(0), f.i64(self.layout.size.into()));
        let lanes = self.records.map_or(shape.lanes, |records| records.lanes);
        let init = vec![f.zero(Ty::V(lanes, Scalar::F32)); rows.len()];
        let mut sums = f.for_loop(start..shape.k, step, &init, |f, k, sums| {
            let offset = shape.offset(f, k);
            shape.prefetch(f, rows, offset, shape.encoding.block_bytes() as i64, Cache::Second);
            let blocks = BlockRows {
                first: f.gep(rows[0], offset, Scalar::I8),
                stride: shape.stride,
                count: rows.len() as u32,
                valid: None,
            };
            self.unpack(f, &blocks, k);
            match self.records {
                Some(records) => self.block_of_integers(f, OfIntegers { shape, records }, &blocks, k, sums),
                None => self.block(f, shape, &blocks, k, sums),
            }
        });
        if let Some(minima) = self.minima {
            for (r, sum) in sums.iter_mut().enumerate() {
                let of_row = self.minima_of(f, minima, r);
                let of_row = f.load(of_row, self.of_groups());
                let of_row = folded(f, of_row, lanes);
                *sum = f.add(*sum, of_row);
            }
        }
        sums
    }

    fn of_groups(&self) -> Ty {
        Ty::V(self.layout.count(), Scalar::F32)
    }

    fn minima_of(&self, f: &mut Func, minima: Minima, r: usize) -> Val {
        byte(f, minima.sums, 4 * r as i64 * i64::from(self.layout.count()))
    }

    /// Prepares the block of each row that begins at element `k`, and adds its second term.
    fn unpack(&self, f: &mut Func, rows: &BlockRows, k: Val) {
        let (first, count) = (f.i64(0), f.i64(rows.count.into()));
        let (groups, size) = (f.i64(self.layout.count().into()), f.i64(self.layout.groups.size as i64));
        let group = f.udiv(k, size);
        f.for_each(first, count, 1, |f, r| {
            let block = rows.block(f, r);
            if let Source::Unpacked(integers) = &self.source {
                integers.unpack(f, block, r);
            }
            let added = self.scales.unpack(f, block, r);
            let (Some(added), Some(minima)) = (added, self.minima) else {
                return;
            };
            let inputs = f.gep(minima.inputs, group, Scalar::F32);
            let inputs = f.load(inputs, added.ty);
            let at = f.mul(r, groups);
            let p = f.gep(minima.sums, at, Scalar::F32);
            let sum = f.load(p, added.ty);
            let sum = f.fma(added, inputs, sum);
            f.store(sum, p);
        });
    }

    /// Adds the first term of the block of each row that begins at element `k`.
    fn block(&self, f: &mut Func, shape: &Shape<'_>, rows: &BlockRows, k: Val, sums: &[Val]) -> Vec<Val> {
        let together = match self.source {
            Source::Nibbles { .. } => 2,
            Source::Unpacked(_) => 1,
        };
        let size = self.layout.groups.size as u32;
        let (first, groups, step) = (f.i64(0), f.i64(self.layout.count().into()), f.i64(together.into()));
        f.for_loop(first..groups, step, sums, |f, group, sums| {
            let per_group = f.i64(size.into());
            let column = f.mul(group, per_group);
            let at = f.add(k, column);
            let x = shape.block(f, at, together * size);
            let part = Part { rows, column, x: &x };
            let products = self.products(f, shape, &part);
            let each = sums.iter().zip(products).enumerate().map(|(r, (sum, products))| {
                let add = |sum: Val, (n, product): (usize, Val)| {
                    let n = f.i64(n as i64);
                    let group = f.add(group, n);
                    let scale = self.scales.scale(f, r as u32, group);
                    f.fma(scale, product, sum)
                };
                products.into_iter().enumerate().fold(*sum, add)
            });
            each.collect()
        })
    }

    /// The same where the vector is one of integers.
    fn block_of_integers(&self, f: &mut Func, of: OfIntegers<'_>, rows: &BlockRows, k: Val, sums: &[Val]) -> Vec<Val> {
        let OfIntegers { shape, records } = of;
        let together = match self.source {
            Source::Nibbles { .. } => 2,
            Source::Unpacked(_) => 1,
        };
        let (first, end, step) = (
            f.i64(0),
            f.i64(self.layout.size.into()),
            f.i64((together * STRIP).into()),
        );
        f.for_loop(first..end, step, sums, |f, column, sums| {
            // Of each strip its first column, and what is read of the vector.
            let strips: Vec<(Val, Vec<Val>, Val)> = (0..together)
                .map(|n| {
                    let shift = f.i64((n * STRIP).into());
                    let column = f.add(column, shift);
                    let at = f.add(k, column);
                    let (x, scale) = (records.block(f, shape, at), records.scale(f, shape, at));
                    (column, x, f.splat(scale, records.lanes))
                })
                .collect();
            let row = |(r, sum): (usize, &Val)| {
                let integers = self.strips(f, records, rows, column, r);
                let strips = strips.iter().zip(integers);
                strips.fold(*sum, |sum, ((column, x, scale), integers)| {
                    let products = records.products(f, &integers, x);
                    let scales = self.scales_of_strip(f, records, *column, r);
                    products.iter().zip(scales).fold(sum, |sum, (product, of_groups)| {
                        let product = f.mul(*product, *scale);
                        f.fma(of_groups, product, sum)
                    })
                })
            };
            sums.iter().enumerate().map(row).collect()
        })
    }

    /// The scales of the groups of a strip of row `r`, as products with records are multiplied with them.
    fn scales_of_strip(&self, f: &mut Func, records: Records, column: Val, r: usize) -> Vec<Val> {
        let size = f.i64(self.layout.groups.size as i64);
        let first = f.udiv(column, size);
        let groups = (0..STRIP / self.layout.groups.size as u32).map(|n| {
            let n = f.i64(n.into());
            let group = f.add(first, n);
            self.scales.scale(f, r as u32, group)
        });
        let groups: Vec<Val> = groups.collect();
        records.scales(f, &groups)
    }

    /// The integers of the strips of row `r` that are read together, as they are multiplied with records.
    fn strips(&self, f: &mut Func, records: Records, rows: &BlockRows, column: Val, r: usize) -> Vec<Vec<Val>> {
        match &self.source {
            Source::Unpacked(integers) => {
                let p = integers.place(f, r as u32, column);
                vec![records.integers(f, layout::Integers::Bytes, p)]
            }
            Source::Nibbles { start, .. } => {
                let (r, two) = (f.i64(r as i64), f.i64(2));
                let block = rows.block(f, r);
                let at = f.udiv(column, two);
                let p = f.gep(block, at, Scalar::I8);
                let p = byte(f, p, *start);
                records.halves(f, p).to_vec()
            }
        }
    }

    /// For each row, and each group of a part, a vector whose lanes add up to `q . x`. Rows take turns with every vector of `x`, so that
    /// few of these are in registers.
    fn products(&self, f: &mut Func, shape: &Shape<'_>, part: &Part<'_>) -> Vec<Vec<Val>> {
        let vectors = self.layout.groups.size / shape.lanes as usize;
        let mut sums = vec![Vec::new(); part.rows.count as usize];
        for n in 0..vectors {
            for (r, sums) in sums.iter_mut().enumerate() {
                let integers = self.integers(f, shape, part, [r, n]);
                for (group, q) in integers.into_iter().enumerate() {
                    let x = part.x[group * vectors + n];
                    match sums.get_mut(group) {
                        None => sums.push(f.mul(q, x)),
                        Some(sum) => *sum = f.fma(q, x, *sum),
                    }
                }
            }
        }
        sums
    }

    /// Vector `n` of the integers of row `r`, of each group of a part.
    fn integers(&self, f: &mut Func, shape: &Shape<'_>, part: &Part<'_>, [r, n]: [usize; 2]) -> Vec<Val> {
        let shift = n as i64 * i64::from(shape.lanes);
        match &self.source {
            Source::Unpacked(integers) => {
                let shift = f.i64(shift);
                let at = f.add(part.column, shift);
                vec![integers.vector(f, r as u32, at)]
            }
            Source::Nibbles { start, fifteen } => {
                let (r, two) = (f.i64(r as i64), f.i64(2));
                let block = part.rows.block(f, r);
                let at = f.udiv(part.column, two);
                let p = f.gep(block, at, Scalar::I8);
                let p = byte(f, p, start + shift);
                let q = f.load(p, Ty::V(shape.lanes, Scalar::I8));
                let q = f.convert(Cast::ZeroExtend, q, Scalar::I32);
                let four = f.int(q.ty, 4);
                let high = f.shr(q, four);
                let high = f.convert(Cast::SignedToFloat, high, Scalar::F32);
                vec![(shape.target.micro_kernels.low_nibbles)(f, q, *fifteen), high]
            }
        }
    }
}

/// A vector of so many lanes that add up to the same.
fn folded(f: &mut Func, v: Val, lanes: u32) -> Val {
    let all: Vec<i64> = (0..i64::from(v.ty.lanes().max(lanes))).collect();
    if v.ty.lanes() <= lanes {
        let none = f.zero(v.ty);
        return f.shuffle(v, none, &all);
    }
    let parts: Vec<Val> = all.chunks(lanes as usize).map(|part| f.shuffle(v, v, part)).collect();
    parts[1..].iter().fold(parts[0], |sum, part| f.add(sum, *part))
}
