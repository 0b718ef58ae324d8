//! Rows of blocks whose groups have scales of their own, times a vector, accumulated in f32.
//!
//! A row's product is `sum_g s_g (q_g . x_g) + m_g X_g` over its groups `g`, where `X_g` is the sum of the group's part of `x`, and
//! `m_g` what is added to its numbers. Of a block, the scales of each row are computed first, and integers that are neither bytes nor
//! nibbles put together; then groups are taken one after another, each for all rows, which share what is read of `x`. In the second
//! term a lane is a group. Processors that add up products of integers take `x` as [records](super::records) of them, a strip at a time; scales
//! are then those of the groups times those of the records.

use super::{
    inputs::{input_scales, input_sums, records},
    records::{Records, Weights},
    shape::Shape,
};
use crate::{
    kernel::{Cache, Cast, Func, Scalar, Ty, Val},
    kernels::{
        block_rows::BlockRows,
        dequant::byte,
        group_scales::{GroupScales, Scaling},
        layout::{Grouped, STRIP},
        opaque::opaque,
        unpack::Integers,
    },
};

/// Rows of a block of integers that are multiplied at the same time: the sums of each are a chain, and more rows would be read out of order.
const TOGETHER: usize = 2;

/// What lives on the stack of a kernel.
pub(super) struct Groups {
    layout: Grouped,
    vector: Vector,
    scales: GroupScales,
    /// The second term, in encodings that have it.
    minima: Option<Minima>,
}

/// How the vector is read.
enum Vector {
    /// As reals, which are multiplied with those that integers are made.
    Reals(Source),
    /// As integers, where the processor adds up products of these.
    Integers(OfIntegers),
}

/// Where integers are read that are made reals.
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
#[derive(Clone, Copy)]
struct OfIntegers {
    records: Records,
    /// Those of the records, for each group.
    scales: Val,
}

/// A block of each row.
struct Block<'a> {
    shape: &'a Shape<'a>,
    rows: BlockRows,
    /// Its first element.
    k: Val,
}

/// What is read of groups one after another that are read together.
struct Part<'a> {
    block: &'a Block<'a>,
    /// The first column of the block.
    column: Val,
    /// Their parts of `x`.
    x: &'a [Val],
}

impl Groups {
    pub(super) fn new(f: &mut Func, shape: &Shape<'_>, layout: Grouped, rows: u32) -> Groups {
        let size = layout.groups.size as u32;
        let records = records(f, shape, layout.block);
        let vector = match records {
            Some(records) => Vector::Integers(OfIntegers {
                records,
                scales: input_scales(f, shape, records, layout),
            }),
            None => Vector::Reals(Source::new(f, shape, layout, rows)),
        };
        let minima = layout.block.minimum.map(|_| {
            let count = f.i64((rows * layout.count()).into());
            Minima {
                inputs: input_sums(f, shape, records, size, 1.0),
                sums: f.stack_of(count, Scalar::F32),
            }
        });
        let lanes = vector.lanes(shape);
        Groups {
            layout,
            vector,
            scales: GroupScales::new(f, layout, lanes, rows),
            minima,
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
        let lanes = self.vector.lanes(shape);
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
            let block = Block { shape, rows: blocks, k };
            self.unpack(f, &block);
            match &self.vector {
                Vector::Reals(source) => self.reals(f, source, &block, sums),
                Vector::Integers(OfIntegers { records, .. }) => self.integers(f, *records, &block, sums),
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

    /// Prepares a block of each row, and adds its second term.
    fn unpack(&self, f: &mut Func, block: &Block<'_>) {
        let (first, count) = (f.i64(0), f.i64(block.rows.count.into()));
        let size = f.i64(self.layout.groups.size as i64);
        let group = f.udiv(block.k, size);
        let of_groups = |f: &mut Func, numbers: Val| {
            let p = f.gep(numbers, group, Scalar::F32);
            f.load(p, self.of_groups())
        };
        f.for_each(first, count, 1, |f, r| {
            let ptr = block.rows.block(f, r);
            let Scaling { mut scale, minimum } = self.scales.read(f, ptr);
            match &self.vector {
                Vector::Reals(Source::Unpacked(integers)) => {
                    integers.unpack(f, &block.shape.target.micro_kernels, ptr, r)
                }
                Vector::Reals(Source::Nibbles { .. }) => {}
                Vector::Integers(OfIntegers { scales, .. }) => {
                    let of_records = of_groups(f, *scales);
                    scale = f.mul(scale, of_records);
                }
            }
            self.scales.store(f, r, Scaling { scale, minimum: None });
            let (Some(added), Some(minima)) = (minimum, self.minima) else {
                return;
            };
            let inputs = of_groups(f, minima.inputs);
            let groups = f.i64(self.layout.count().into());
            let at = f.mul(r, groups);
            let p = f.gep(minima.sums, at, Scalar::F32);
            let sum = f.load(p, added.ty);
            let sum = f.fma(added, inputs, sum);
            f.store(sum, p);
        });
    }

    /// Adds the first term of a block of each row where the vector is one of integers: a strip after another, whose integers stay in registers.
    fn integers(&self, f: &mut Func, records: Records, block: &Block<'_>, sums: &[Val]) -> Vec<Val> {
        let Block { shape, rows, k } = block;
        let strips = (0..self.layout.size).step_by(STRIP as usize).map(|first| {
            let column = f.i64(first.into());
            let at = f.add(*k, column);
            (first, records.block(f, shape, at))
        });
        let strips: Vec<(u32, Vec<Val>)> = strips.collect();
        let mut sums = sums.to_vec();
        for (n, some) in sums.chunks_mut(TOGETHER).enumerate() {
            for (first, x) in &strips {
                for (r, sum) in some.iter_mut().enumerate() {
                    let r = (n * TOGETHER + r) as u32;
                    let number = f.i64(r.into());
                    let weights = Weights {
                        block: self.layout.block,
                        ptr: rows.block(f, number),
                        first: *first as usize,
                    };
                    let integers = records.integers(f, shape, weights);
                    let products = records.products(f, &integers, x);
                    let scales = self.scales_of_strip(f, records, *first, r);
                    for (product, scale) in products.iter().zip(scales) {
                        *sum = f.fma(scale, *product, *sum);
                    }
                }
            }
        }
        sums
    }

    /// The scales of the groups of a strip of row `r`, one for each register of products, or two in the halves of one.
    fn scales_of_strip(&self, f: &mut Func, records: Records, first: u32, r: u32) -> Vec<Val> {
        let size = self.layout.groups.size as u32;
        let groups = first / size..(first + STRIP) / size;
        if records.sums() < groups.len() as u32 {
            return vec![self.scales.of_two(f, r, groups.start)];
        }
        let scale = |group: u32| {
            let group = f.i64(group.into());
            self.scales.scale(f, r, group)
        };
        groups.map(scale).collect()
    }

    /// Adds the first term of a block of each row where the vector is one of reals.
    fn reals(&self, f: &mut Func, source: &Source, block: &Block<'_>, sums: &[Val]) -> Vec<Val> {
        let (together, size) = (source.together(), self.layout.groups.size as u32);
        let (first, groups, step) = (f.i64(0), f.i64(self.layout.count().into()), f.i64(together.into()));
        f.for_loop(first..groups, step, sums, |f, group, sums| {
            let per_group = f.i64(size.into());
            let column = f.mul(group, per_group);
            let at = f.add(block.k, column);
            let x = block.shape.block(f, at, together * size);
            let part = Part { block, column, x: &x };
            let products = self.products(f, source, &part);
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

    /// For each row, and each group of a part, a vector whose lanes add up to `q . x`. Rows take turns with every vector of `x`, so that
    /// few of these are in registers.
    fn products(&self, f: &mut Func, source: &Source, part: &Part<'_>) -> Vec<Vec<Val>> {
        let vectors = self.layout.groups.size / part.block.shape.lanes as usize;
        let mut sums = vec![Vec::new(); part.block.rows.count as usize];
        for n in 0..vectors {
            for (r, sums) in sums.iter_mut().enumerate() {
                let integers = source.reals(f, part, [r, n]);
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
}

impl Vector {
    /// Lanes of the sums of a row.
    fn lanes(&self, shape: &Shape<'_>) -> u32 {
        match self {
            Vector::Reals(_) => shape.lanes,
            Vector::Integers(OfIntegers { records, .. }) => records.lanes,
        }
    }
}

impl Source {
    fn new(f: &mut Func, shape: &Shape<'_>, layout: Grouped, rows: u32) -> Source {
        // Halves of 32 bytes are strips of the vector.
        let nibbles = layout.nibbles().filter(|_| layout.groups.size == STRIP as usize);
        match nibbles {
            Some(start) => Source::Nibbles {
                start,
                fifteen: opaque(f, 15),
            },
            None => Source::Unpacked(Integers::new(f, layout, shape.lanes, rows)),
        }
    }

    /// Groups that are read together.
    fn together(&self) -> u32 {
        match self {
            Source::Nibbles { .. } => 2,
            Source::Unpacked(_) => 1,
        }
    }

    /// Vector `n` of the integers of row `r`, of each group of a part, as reals.
    fn reals(&self, f: &mut Func, part: &Part<'_>, [r, n]: [usize; 2]) -> Vec<Val> {
        let shape = part.block.shape;
        let shift = n as i64 * i64::from(shape.lanes);
        match self {
            Source::Unpacked(integers) => {
                let shift = f.i64(shift);
                let at = f.add(part.column, shift);
                vec![integers.vector(f, r as u32, at)]
            }
            Source::Nibbles { start, fifteen } => {
                let (r, two) = (f.i64(r as i64), f.i64(2));
                let block = part.block.rows.block(f, r);
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
