//! The micro-kernel of rounded activations and packed bytes: sums of integers of a group, which become reals before they are added up.

use super::{Packed, Record};
use crate::{
    kernel::{Cast, Func, Module, Scalar, Ty, Val},
    kernels::{dequant::byte, layout::STRIP, tile::row_pointers},
    targets::{AddByteProducts, ByteProducts, TargetInfo},
};
use std::ops::Range;

/// Registers that hold weights, and what is computed of sums.
const OTHERS: u32 = 4;

/// Columns whose products an instruction adds up.
const FOUR: u32 = 4;

/// Rows of the tallest tile: the most whose sums, of integers and of reals, stay in registers.
pub(crate) fn tallest(target: &TargetInfo) -> u32 {
    let machine = &target.machine;
    let rows = machine.registers.saturating_sub(OTHERS) / (2 * Packed::VECTORS);
    rows.clamp(1, machine.tiles.most_rows)
}

/// Adds the micro-kernel for `rows` rows and panels of `panel` vectors; returns its name.
///
/// `fn(a, lda, b, c, ldc, k, accumulate: i1)` computes `c[r * ldc + j] (+)= sum_k w[j, k] x[r, k]` for `r < rows`, `j < panel * lanes`: `a`
/// are rows of records, `b` is a packed panel. `lda` and `ldc` count floats; without `accumulate` the old `c` is not read.
pub(crate) fn tile_bytes(
    module: &mut Module,
    products: ByteProducts,
    packed: Packed,
    [rows, panel]: [u32; 2],
) -> String {
    let minima = if packed.minima { "m" } else { "" };
    let words = packed.in_words.map_or(String::new(), |n| format!("w{n}"));
    let name = format!(
        "seqc_mk_bytes{}{minima}{words}b{}_{rows}x{panel}",
        packed.group, packed.bias
    );
    if module.has(&name) {
        return name;
    }
    let params = [Ty::GENERIC, Ty::I64, Ty::SCRATCH, Ty::GENERIC, Ty::I64, Ty::I64, Ty::I1];
    let mut f = Func::new(&name, &params, None);
    let tile = Tile { products, packed, rows };
    let (zero, pairs) = (f.i64(0), f.i64((panel / Packed::VECTORS).into()));
    f.for_each(zero, pairs, 1, |f, pair| tile.pair(f, pair));
    module.add(f);
    name
}

struct Tile {
    products: ByteProducts,
    packed: Packed,
    rows: u32,
}

/// A group of a strip, and the records of the rows.
#[derive(Clone, Copy)]
struct Group<'a> {
    strip: Val,
    records: &'a [Val],
    number: u32,
}

impl Tile {
    fn floats(&self) -> Ty {
        Ty::V(self.packed.lanes, Scalar::F32)
    }

    /// All rows times a pair of vectors of the panel.
    fn pair(&self, f: &mut Func, pair: Val) {
        let (a, lda, b, c, ldc) = (f.param(0), f.param(1), f.param(2), f.param(3), f.param(4));
        let (k, accumulate) = (f.param(5), f.param(6));
        let size = f.i64(STRIP.into());
        let strips = f.udiv(k, size);
        let strip_bytes = f.i64(self.packed.strip_bytes());
        let before = f.mul(strips, strip_bytes);
        let before = f.mul(before, pair);
        let b = f.gep(b, before, Scalar::I8);
        let width = f.i64((Packed::VECTORS * self.packed.lanes).into());
        let column = f.mul(pair, width);
        let c = f.gep(c, column, Scalar::F32);
        let (a_rows, c_rows) = (row_pointers(f, a, lda, self.rows), row_pointers(f, c, ldc, self.rows));
        let places: Vec<Val> = c_rows
            .iter()
            .flat_map(|row| (0..Packed::VECTORS).map(|v| (*row, v)))
            .map(|(row, v)| byte(f, row, i64::from(4 * v * self.packed.lanes)))
            .collect();
        let load = |f: &mut Func| places.iter().map(|p| f.load(*p, self.floats())).collect();
        let init = f.if_else(accumulate, load, |f| vec![f.zero(self.floats()); places.len()]);
        let (zero, one) = (f.i64(0), f.i64(1));
        let sums = f.for_loop(zero..strips, one, &init, |f, strip, sums| {
            let at = f.mul(strip, strip_bytes);
            let b = f.gep(b, at, Scalar::I8);
            let record = f.i64(Record::SIZE);
            let at = f.mul(strip, record);
            let records: Vec<Val> = a_rows.iter().map(|row| f.gep(*row, at, Scalar::I8)).collect();
            let groups = 0..self.packed.groups();
            groups.fold(sums.to_vec(), |sums, number| {
                let of = Group {
                    strip: b,
                    records: &records,
                    number,
                };
                self.group(f, of, sums)
            })
        });
        for (sum, p) in sums.iter().zip(places) {
            f.store(*sum, p);
        }
    }

    /// The vectors of a pair at a byte of a strip.
    fn vectors(&self, f: &mut Func, strip: Val, at: i64, ty: Ty) -> Vec<Val> {
        let load = |v: u32| {
            let p = byte(f, strip, at + i64::from(4 * v * self.packed.lanes));
            f.load(p, ty)
        };
        (0..Packed::VECTORS).map(load).collect()
    }

    /// What sums of products of a group begin with, which takes away what the bias of the weights adds.
    fn start(&self, f: &mut Func, record: Val, group: u32) -> Val {
        let Packed {
            lanes,
            group: size,
            bias,
            ..
        } = self.packed;
        if bias == 0 {
            return f.zero(Ty::V(lanes, Scalar::I32));
        }
        let p = byte(f, record, Record::start(size, group));
        let start = f.load(p, Ty::S(Scalar::I32));
        let start = f.splat(start, lanes);
        if bias == Record::BIAS {
            return start;
        }
        let places = f.int(start.ty, i64::from((Record::BIAS / bias).ilog2()));
        f.shr_signed(start, places)
    }

    /// The products of integers of a group of a strip, of each record with a pair of vectors.
    fn products(&self, f: &mut Func, of: Group<'_>) -> Vec<Val> {
        let mut products: Vec<Val> = Vec::new();
        for record in of.records {
            let start = self.start(f, *record, of.number);
            products.extend([start; Packed::VECTORS as usize]);
        }
        let steps = self.packed.group / FOUR;
        let Some((most, pairs)) = self.packed.in_words.zip(self.products.pairs) else {
            return self.fours(f, self.products.dot, of, 0..steps, products);
        };
        for begin in (0..steps).step_by(most as usize) {
            let end = steps.min(begin + most);
            let none = f.zero(Ty::V(2 * self.packed.lanes, Scalar::I16));
            let words = self.fours(f, pairs.dot, of, begin..end, vec![none; products.len()]);
            for (sum, words) in products.iter_mut().zip(words) {
                *sum = (pairs.widen)(f, *sum, words);
            }
        }
        products
    }

    /// Adds products of some fours of columns to sums.
    fn fours(
        &self,
        f: &mut Func,
        dot: AddByteProducts,
        of: Group<'_>,
        steps: Range<u32>,
        mut sums: Vec<Val>,
    ) -> Vec<Val> {
        let Packed { lanes, group: size, .. } = self.packed;
        let bytes = Ty::V(4 * lanes, Scalar::I8);
        for step in steps {
            let at = self.packed.integers(of.number) + i64::from(step) * self.packed.step();
            let weights = self.vectors(f, of.strip, at, bytes);
            for (record, sums) in of.records.iter().zip(sums.chunks_mut(weights.len())) {
                let p = byte(f, *record, i64::from(of.number * size + FOUR * step));
                let x = f.load(p, Ty::S(Scalar::I32));
                let x = f.splat(x, lanes);
                let x = f.bitcast(x, bytes);
                for (sum, weights) in sums.iter_mut().zip(&weights) {
                    *sum = dot(f, *sum, *weights, x);
                }
            }
        }
        sums
    }

    /// Adds the products of a group of a strip.
    fn group(&self, f: &mut Func, of: Group<'_>, sums: Vec<Val>) -> Vec<Val> {
        let Packed { lanes, group: size, .. } = self.packed;
        let Group {
            strip,
            records,
            number: group,
        } = of;
        let products = self.products(f, of);
        let scales = self.vectors(f, strip, self.packed.scales(group), self.floats());
        let minima = self
            .packed
            .minima
            .then(|| self.vectors(f, strip, self.packed.minima(group), self.floats()));
        let mut next = Vec::with_capacity(sums.len());
        let of_rows = products
            .chunks(Packed::VECTORS as usize)
            .zip(sums.chunks(Packed::VECTORS as usize));
        for (record, (products, sums)) in records.iter().zip(of_rows) {
            let real = |f: &mut Func, at: i64| {
                let p = byte(f, *record, at);
                let number = f.load(p, Ty::F32);
                f.splat(number, lanes)
            };
            let scale = real(f, Record::SCALE);
            let whole = minima.as_ref().map(|_| real(f, Record::sum(size, group)));
            for (v, (product, sum)) in products.iter().zip(sums).enumerate() {
                let product = f.convert(Cast::SignedToFloat, *product, Scalar::F32);
                let product = f.mul(product, scale);
                let mut sum = f.fma(product, scales[v], *sum);
                if let Some((minima, whole)) = minima.as_ref().zip(whole) {
                    sum = f.fma(minima[v], whole, sum);
                }
                next.push(sum);
            }
        }
        next
    }
}
