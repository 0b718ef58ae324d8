//! Packing a panel of weights in blocks as bytes, four columns of each row together, with their scales beside them.

use super::Packed;
use crate::{
    kernel::{Cast, Func, Module, Scalar, Ty, Val},
    kernels::{
        bits::{self, strip},
        dequant::{byte, half_to_float, power_to_float},
        group_scales::GroupScales,
        lanes::transpose,
        layout::{Block, Blocks, Grouped, Layout, STRIP, layout},
        unpack,
    },
    targets::{MicroKernels, TargetInfo},
};
use seqc_formats::{Encoding, Unit};

/// Bytes of a number of a square that is transposed: four columns.
const FOUR: u32 = 4;
/// Numbers of four columns of a strip.
const FOURS: u32 = STRIP / FOUR;

/// Adds the packing kernel for panels of `panel` vectors; returns its name.
///
/// `fn(w, row_bytes, rows, k0, kc, out)` writes columns `k0 <= k < k0 + kc` of `panel * lanes` rows as [`Packed`] says, pairs of vectors one
/// behind another; `k0` and `kc` are multiples of a block. Rows from `rows` on are the last one again.
pub(crate) fn pack_bytes(
    module: &mut Module,
    target: &TargetInfo,
    packed: Packed,
    encoding: Encoding,
    panel: u32,
) -> String {
    let name = format!("seqc_pack_bytes_{}x{panel}", encoding.name());
    let Layout::Blocks(blocks) = layout(encoding) else {
        unreachable!("{encoding} has no integers")
    };
    if module.has(&name) {
        return name;
    }
    let types = [Ty::GLOBAL, Ty::I64, Ty::I64, Ty::I64, Ty::I64, Ty::SCRATCH];
    let mut f = Func::new(&name, &types, None);
    let lanes = packed.lanes;
    let pack = Pack {
        encoding,
        micro_kernels: &target.micro_kernels,
        packed,
        source: match blocks {
            Blocks::Short(block) => Source::Short(block),
            Blocks::Grouped(grouped) => Source::Grouped {
                grouped,
                integers: unpack::Integers::new(&mut f, grouped, lanes, lanes),
                scales: GroupScales::new(&mut f, grouped, lanes, lanes),
            },
        },
    };
    let (zero, groups) = (f.i64(0), f.i64(panel.into()));
    f.for_each(zero, groups, 1, |f, g| pack.vector(f, g));
    module.add(f);
    name
}

/// The beginnings of the rows of a vector, as many as it has lanes: those of the panel, or the last one again.
pub(super) fn row_starts(f: &mut Func, lanes: u32, number: Val) -> Vec<Val> {
    let (w, stride, rows) = (f.param(0), f.param(1), f.param(2));
    let (size, one) = (f.i64(lanes.into()), f.i64(1));
    let (first, last) = (f.mul(number, size), f.sub(rows, one));
    let start = |r: u32| {
        let r = f.i64(r.into());
        let row = f.add(first, r);
        let row = f.min(row, last);
        let at = f.mul(row, stride);
        f.gep(w, at, Scalar::I8)
    };
    (0..lanes).map(start).collect()
}

struct Pack<'t> {
    encoding: Encoding,
    micro_kernels: &'t MicroKernels,
    packed: Packed,
    source: Source,
}

enum Source {
    Short(Block),
    Grouped {
        grouped: Grouped,
        /// A block of each row on the stack.
        integers: unpack::Integers,
        scales: GroupScales,
    },
}

/// What a strip of the rows of a vector becomes.
struct Strip {
    /// The integers of each row.
    integers: Vec<Val>,
    /// For each group the scales of the rows, and their minima.
    scales: Vec<[Option<Val>; 2]>,
}

impl Pack<'_> {
    /// The rows of vector `number` of the panel.
    fn vector(&self, f: &mut Func, number: Val) {
        let (k0, kc, out) = (f.param(3), f.param(4), f.param(5));
        let [block, bytes, strip, vectors] = [
            self.encoding.block() as i64,
            self.encoding.block_bytes() as i64,
            STRIP.into(),
            Packed::VECTORS.into(),
        ]
        .map(|n| f.i64(n));
        let first = f.udiv(k0, block);
        let first = f.mul(first, bytes);
        let rows = row_starts(f, self.packed.lanes, number);
        let rows: Vec<Val> = rows.into_iter().map(|row| f.gep(row, first, Scalar::I8)).collect();
        let (pair, half) = (f.udiv(number, vectors), f.urem(number, vectors));
        let strip_bytes = f.i64(self.packed.strip_bytes());
        let strips = f.udiv(kc, strip);
        let pair_bytes = f.mul(strips, strip_bytes);
        let (before, vector_bytes) = (f.mul(pair, pair_bytes), f.i64(i64::from(FOUR * self.packed.lanes)));
        let target = f.gep(out, before, Scalar::I8);
        let half = f.mul(half, vector_bytes);
        let target = f.gep(target, half, Scalar::I8);
        let zero = f.i64(0);
        f.for_each(zero, kc, self.encoding.block() as i64, |f, k| {
            let index = f.udiv(k, block);
            let at = f.mul(index, bytes);
            let blocks: Vec<Val> = rows.iter().map(|row| f.gep(*row, at, Scalar::I8)).collect();
            let to = |f: &mut Func, column: Val| {
                let column = f.add(k, column);
                let number = f.udiv(column, strip);
                let at = f.mul(number, strip_bytes);
                f.gep(target, at, Scalar::I8)
            };
            self.block(f, &blocks, &to);
        });
    }

    /// A block of each row, a strip at a time.
    fn block(&self, f: &mut Func, blocks: &[Val], to: &dyn Fn(&mut Func, Val) -> Val) {
        let zero = f.i64(0);
        match &self.source {
            Source::Short(block) => {
                let found = self.short(f, *block, blocks);
                let to = to(f, zero);
                self.store(f, &found, to);
            }
            Source::Grouped {
                grouped,
                integers,
                scales,
            } => {
                for (r, block) in blocks.iter().enumerate() {
                    let r = f.i64(r as i64);
                    integers.unpack(f, self.micro_kernels, *block, r);
                    scales.unpack(f, *block, r);
                }
                let size = f.i64(grouped.size.into());
                f.for_each(zero, size, STRIP.into(), |f, column| {
                    let per_group = f.i64(self.packed.group.into());
                    let first = f.udiv(column, per_group);
                    let found = Strip {
                        integers: (0..self.packed.lanes).map(|r| integers.strip(f, r, column)).collect(),
                        scales: (0..self.packed.groups())
                            .map(|n| {
                                let n = f.i64(n.into());
                                let group = f.add(first, n);
                                scales.of_rows(f, group)
                            })
                            .collect(),
                    };
                    let to = to(f, column);
                    self.store(f, &found, to);
                });
            }
        }
    }

    /// A block of a strip with a scale of its own.
    fn short(&self, f: &mut Func, block: Block, blocks: &[Val]) -> Strip {
        let whole = bits::Strip::whole(block.description);
        let integers = blocks.iter().map(|ptr| strip(f, self.micro_kernels, whole, *ptr));
        let integers = integers.collect();
        // A number at a byte of the block of each row.
        let of_rows = |f: &mut Func, at: i64, scalar: Scalar| {
            let mut all = f.zero(Ty::V(self.packed.lanes, scalar));
            for (r, block) in blocks.iter().enumerate() {
                let p = byte(f, *block, at);
                let number = f.load(p, Ty::S(scalar));
                all = f.insert(number, all, r as i64);
            }
            all
        };
        let halves = |f: &mut Func, at: i64| {
            let bits = of_rows(f, at, Scalar::I16);
            half_to_float(f, bits)
        };
        let scales = match block.unit {
            Unit::Half => halves(f, 0),
            Unit::Power => {
                let exponents = of_rows(f, 0, Scalar::I8);
                let exponents = f.convert(Cast::ZeroExtend, exponents, Scalar::I32);
                power_to_float(f, exponents)
            }
        };
        let scales = Some(scales);
        let minima = block.minimum.map(|at| halves(f, at));
        Strip {
            integers,
            scales: vec![[scales, minima]],
        }
    }

    fn store(&self, f: &mut Func, strip: &Strip, to: Val) {
        let Packed { lanes, weights, .. } = self.packed;
        let rows = strip.integers.iter().map(|q| {
            let q = weights.biased(f, *q);
            weights.cut(f, q)
        });
        let rows: Vec<Vec<Val>> = rows.collect();
        for digit in 0..weights.digits() {
            let words = Ty::V(FOURS, Scalar::I32);
            let of_rows: Vec<Val> = rows
                .iter()
                .map(|digits| f.bitcast(digits[digit as usize], words))
                .collect();
            for (n, four) in fours(f, lanes, &of_rows).into_iter().enumerate() {
                let (of_group, step) = (n as u32 / self.packed.fours(), n as u32 % self.packed.fours());
                let at = self.packed.integers(of_group, digit) + i64::from(step) * self.packed.step();
                let p = byte(f, to, at);
                f.store(four, p);
            }
        }
        for (group, [scales, minima]) in strip.scales.iter().enumerate() {
            let places = [self.packed.scales(group as u32), self.packed.minima(group as u32)];
            for (values, at) in [scales, minima].into_iter().zip(places) {
                if let Some(values) = values {
                    let p = byte(f, to, at);
                    f.store(*values, p);
                }
            }
        }
    }
}

/// Rows of eight numbers as columns: for each number a vector with that of every row.
fn fours(f: &mut Func, lanes: u32, rows: &[Val]) -> Vec<Val> {
    let size = lanes.min(FOURS) as usize;
    let mut columns: Vec<Vec<Val>> = vec![Vec::new(); FOURS as usize];
    for part in rows.chunks(size) {
        for first in (0..FOURS as usize).step_by(size) {
            let of_part: Vec<i64> = (first..first + size).map(|lane| lane as i64).collect();
            let square: Vec<Val> = part
                .iter()
                .map(|row| match size as u32 {
                    FOURS => *row,
                    _ => f.shuffle(*row, *row, &of_part),
                })
                .collect();
            for (n, column) in transpose(f, &square).into_iter().enumerate() {
                columns[first + n].push(column);
            }
        }
    }
    let joined = |parts: Vec<Val>| {
        let all: Vec<i64> = (0..i64::from(lanes)).collect();
        match parts[..] {
            [low, high] => f.shuffle(low, high, &all),
            _ => parts[0],
        }
    };
    columns.into_iter().map(joined).collect()
}
