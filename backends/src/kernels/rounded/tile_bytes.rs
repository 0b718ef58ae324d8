//! The micro-kernel of rounded activations and packed bytes: sums of integers of a group, which become reals before they are added up.

use super::{DIGIT, Packed, Record, Words};
use crate::{
    kernel::{Cast, Func, Module, Scalar, Ty, Val},
    kernels::{dequant::byte, layout::STRIP, opaque::opaque, tile::row_pointers},
    targets::{AddByteProducts, TargetInfo},
};

/// Registers that hold weights, and what is computed of sums.
const OTHERS: u32 = 4;

/// Columns whose products an instruction adds up.
const FOUR: u32 = 4;

/// Fours in one iteration of a loop over those of a group.
const UNROLL: u32 = 2;

/// Rows of the tallest tile: the most whose sums, of integers and of reals, stay in registers. Where sums of a whole group fit into 16
/// bits, those of reals need not: they are read and written once for many products, and half of the registers hold sums.
pub(crate) fn tallest(target: &TargetInfo, packed: Packed) -> u32 {
    let machine = &target.machine;
    let rows = match packed.weights.words {
        Some(words) if words.most >= packed.fours() => machine.registers / (2 * Packed::VECTORS),
        _ => machine.registers.saturating_sub(OTHERS) / (2 * Packed::VECTORS),
    };
    rows.clamp(1, machine.tiles.most_rows)
}

/// Adds the micro-kernel for `rows` rows and panels of `panel` vectors; returns its name.
///
/// `fn(a, lda, b, c, ldc, k, accumulate: i1)` computes `c[r * ldc + j] (+)= sum_k w[j, k] x[r, k]` for `r < rows`, `j < panel * lanes`: `a`
/// are rows of records, `b` is a packed panel. `lda` and `ldc` count floats; without `accumulate` the old `c` is not read.
pub(crate) fn tile_bytes(module: &mut Module, packed: Packed, [rows, panel]: [u32; 2]) -> String {
    let minima = if packed.minima { "m" } else { "" };
    let words = packed.weights.words;
    let words = words.map_or(String::new(), |words| format!("w{}d{}", words.most, words.digits));
    let name = format!(
        "seqc_mk_bytes{}{minima}{words}b{}_{rows}x{panel}",
        packed.group, packed.weights.bias
    );
    if module.has(&name) {
        return name;
    }
    let params = [Ty::GENERIC, Ty::I64, Ty::SCRATCH, Ty::GENERIC, Ty::I64, Ty::I64, Ty::I1];
    let mut f = Func::new(&name, &params, None);
    // Unrolled as a whole, loops over fours would be reordered until vectors of activations do not stay in registers.
    let fours = opaque(&mut f, packed.fours().into());
    let fours = f.convert(Cast::ZeroExtend, fours, Scalar::I64);
    let tile = Tile { packed, rows, fours };
    let (zero, pairs) = (f.i64(0), f.i64((panel / Packed::VECTORS).into()));
    f.for_each(zero, pairs, 1, |f, pair| tile.pair(f, pair));
    module.add(f);
    name
}

struct Tile {
    packed: Packed,
    rows: u32,
    /// How many a group has, a number that LLVM does not see.
    fours: Val,
}

/// A group of a strip, and the records of the rows.
#[derive(Clone, Copy)]
struct Group<'a> {
    strip: Val,
    records: &'a [Val],
    number: u32,
    /// Of its integers.
    digit: u32,
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
                    digit: 0,
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
        let Packed { lanes, group: size, .. } = self.packed;
        let bias = self.packed.weights.bias;
        if bias == 0 {
            return f.zero(Ty::V(lanes, Scalar::I32));
        }
        let p = byte(f, record, Record::start(size, group));
        let start = f.load(p, Ty::S(Scalar::I32));
        let start = f.splat(start, lanes);
        Record::start_of(f, start, bias)
    }

    /// The products of integers of a group of a strip, of each record with a pair of vectors.
    fn products(&self, f: &mut Func, of: Group<'_>) -> Vec<Val> {
        let starts = |f: &mut Func| {
            let each = of.records.iter().map(|record| self.start(f, *record, of.number));
            each.flat_map(|start| [start; Packed::VECTORS as usize]).collect()
        };
        let weights = &self.packed.weights;
        let Some(words) = weights.words else {
            let starts = starts(f);
            return (0..self.packed.fours()).fold(starts, |sums, step| {
                let step = f.i64(step.into());
                self.four(f, weights.products.dot, of, step, sums)
            });
        };
        let none = f.zero(Ty::V(self.packed.lanes, Scalar::I32));
        let none = vec![none; of.records.len() * Packed::VECTORS as usize];
        let sums = (0..words.digits).fold(none, |sums, digit| self.in_words(f, words, Group { digit, ..of }, sums));
        // Behind the loops, in which registers are few.
        let starts: Vec<Val> = starts(f);
        sums.iter().zip(starts).map(|(sum, start)| f.add(*sum, start)).collect()
    }

    /// Adds the products of a digit of a group, which are added up in 16 bits first.
    fn in_words(&self, f: &mut Func, words: Words, of: Group<'_>, sums: Vec<Val>) -> Vec<Val> {
        let fours = self.packed.fours();
        let none = f.zero(Ty::V(2 * self.packed.lanes, Scalar::I16));
        let none = vec![none; sums.len()];
        let widen = |f: &mut Func, sums: &[Val], pairs: &[Val]| {
            let factor = 1 << (of.digit * DIGIT);
            let each = sums.iter().zip(pairs);
            each.map(|(sum, pair)| (words.pairs.widen)(f, *sum, *pair, factor))
                .collect()
        };
        let some = |f: &mut Func, first: Val, count: u32, pairs: Vec<Val>| {
            (0..count).fold(pairs, |pairs, n| {
                let n = f.i64(n.into());
                let four = f.add(first, n);
                self.four(f, words.pairs.dot, of, four, pairs)
            })
        };
        let zero = f.i64(0);
        if words.most < fours {
            // The greatest power of two.
            let together = 1 << words.most.ilog2();
            let step = f.i64(together.into());
            return f.for_loop(zero..self.fours, step, &sums, |f, first, sums| {
                let pairs = some(f, first, together, none.clone());
                widen(f, sums, &pairs)
            });
        }
        let step = f.i64(UNROLL.into());
        let pairs = f.for_loop(zero..self.fours, step, &none, |f, first, pairs| {
            some(f, first, UNROLL, pairs.to_vec())
        });
        widen(f, &sums, &pairs)
    }

    /// Adds products of four columns to sums.
    fn four(&self, f: &mut Func, dot: AddByteProducts, of: Group<'_>, four: Val, mut sums: Vec<Val>) -> Vec<Val> {
        let Packed { lanes, group: size, .. } = self.packed;
        let bytes = Ty::V(4 * lanes, Scalar::I8);
        let (step, columns) = (f.i64(self.packed.step()), f.i64(FOUR.into()));
        let (of_weights, of_record) = (f.mul(four, step), f.mul(four, columns));
        let strip = f.gep(of.strip, of_weights, Scalar::I8);
        let weights = self.vectors(f, strip, self.packed.integers(of.number, of.digit), bytes);
        for (record, sums) in of.records.iter().zip(sums.chunks_mut(weights.len())) {
            let p = f.gep(*record, of_record, Scalar::I8);
            let p = byte(f, p, i64::from(of.number * size));
            let x = f.load(p, Ty::S(Scalar::I32));
            let x = f.splat(x, lanes);
            let x = f.bitcast(x, bytes);
            for (sum, weights) in sums.iter_mut().zip(&weights) {
                *sum = dot(f, *sum, *weights, x);
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
            ..
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
