//! Products of many rows of activations that are rounded ([`Rounding`]): integers of a byte or numbers of bfloat16, as the units of processors
//! multiply them.
//!
//! Rows are rounded once for all products that read them ([`round_row`]). What the units multiply takes half of the memory that rows of
//! f32 take, and lies where those would: products go over it with the same distances.

mod pack_bytes;
mod pack_pairs;
mod rows;
mod tile_bytes;

pub use rows::{round_row, round_row_name};

pub(super) use pack_bytes::pack_bytes;
pub(super) use pack_pairs::pack_pairs;
pub(super) use tile_bytes::{tallest, tile_bytes};

use super::layout::{Block, Blocks, Grouped, Layout, Plain, STRIP, layout};
use crate::{
    kernel::{Func, Scalar, Ty, Val},
    targets::{ByteProducts, PairProducts, TargetInfo},
};
use seqc_formats::{Encoding, Native};
use seqc_ir::Rounding;

/// How rounded rows lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowForm {
    /// As f32: what every product reads.
    Floats,
    /// For each block of integers a record of 64 bytes: they, what makes them reals, and their sums.
    Bytes,
    /// Numbers of bfloat16, of an odd number of them one zero more.
    Pairs,
}

impl RowForm {
    /// The form in which a target multiplies rows with weights of an encoding, many rows at once.
    pub fn of(target: &TargetInfo, rounding: Rounding, encoding: Encoding) -> RowForm {
        let micro_kernels = &target.micro_kernels;
        match (rounding, layout(encoding)) {
            (Rounding::Int8, Layout::Blocks(_)) if micro_kernels.byte_products.is_some() => RowForm::Bytes,
            (Rounding::Bf16, Layout::Plain(Plain::Bf16)) if micro_kernels.dot_pairs.is_some() => RowForm::Pairs,
            _ => RowForm::Floats,
        }
    }

    /// The form of the vector of a single token.
    pub fn of_vector(target: &TargetInfo, rounding: Rounding, encoding: Encoding) -> RowForm {
        match RowForm::of(target, rounding, encoding) {
            RowForm::Bytes => RowForm::Bytes,
            RowForm::Floats | RowForm::Pairs => RowForm::Floats,
        }
    }

    /// Its part of the names of kernels.
    pub(super) fn name(self) -> &'static str {
        match self {
            RowForm::Floats => "floats",
            RowForm::Bytes => "bytes",
            RowForm::Pairs => "pairs",
        }
    }

    /// Columns of a row in the memory of an f32.
    pub(super) fn columns(self) -> i64 {
        match self {
            RowForm::Floats => 1,
            RowForm::Bytes | RowForm::Pairs => 2,
        }
    }
}

/// A block of a row in [`RowForm::Bytes`]: its integers, what makes them reals, and what the offsets and minima of weights are multiplied with.
pub(super) struct Record;

impl Record {
    /// Bytes of a record.
    pub(super) const SIZE: i64 = 64;
    /// The byte of the scale, an f32.
    pub(super) const SCALE: i64 = 32;

    /// What is added to weights for [`Record::start`].
    pub(super) const BIAS: i64 = 128;

    /// The byte of an i32: what sums of products of a group of so many integers begin with, where [`Record::BIAS`] was added to the
    /// weights; for smaller powers of two it is that part of it.
    pub(super) fn start(group: u32, number: u32) -> i64 {
        36 + Record::of_group(group, number)
    }

    /// That for weights with another bias, a power of two.
    pub(super) fn start_of(f: &mut Func, start: Val, bias: i64) -> Val {
        if bias == Record::BIAS {
            return start;
        }
        let places = f.int(start.ty, i64::from((Record::BIAS / bias).ilog2()));
        f.shr_signed(start, places)
    }

    /// The byte of an f32: the sum of the reals of a group.
    pub(super) fn sum(group: u32, number: u32) -> i64 {
        48 + Record::of_group(group, number)
    }

    /// That of the whole block, then those of its halves.
    fn of_group(group: u32, number: u32) -> i64 {
        if group == STRIP { 0 } else { 4 + 4 * i64::from(number) }
    }
}

/// How packed weights of a byte lie: for every strip of 32 columns its groups, one behind another; of each group the integers, four columns
/// of each row together, or their digits one after another, then the scales of the rows, then their minima. Rows are taken by pairs of vectors.
#[derive(Clone, Copy)]
pub(super) struct Packed {
    /// f32 lanes of a vector.
    pub(super) lanes: u32,
    /// Integers with a common scale: 16 or 32.
    pub(super) group: u32,
    /// Whether there are minima.
    pub(super) minima: bool,
    pub(super) weights: ByteWeights,
}

/// How a target multiplies weights of an encoding in blocks with the integers of a record.
#[derive(Clone, Copy)]
pub(super) struct ByteWeights {
    products: ByteProducts,
    /// What is added to the integers: zero, or a power of two up to [`Record::BIAS`].
    pub(super) bias: i64,
    words: Option<Words>,
}

/// Sums of products in 16 bits.
#[derive(Clone, Copy)]
struct Words {
    pairs: PairProducts,
    /// Products of how many fours they hold.
    most: u32,
    /// Digits of [`DIGIT`] bits that are multiplied one after another; of one, the integers are multiplied as they are.
    digits: u32,
}

/// Bits of a digit.
const DIGIT: u32 = 4;

/// Products of how many fours of integers up to `largest`, of weights and of the vector, 16 bits hold: two are added in each lane.
fn fours_in_words(largest: [i64; 2]) -> u32 {
    let pair = 2 * largest[0] * largest[1];
    (i64::from(i16::MAX) / pair) as u32
}

impl ByteWeights {
    /// Of weights that are multiplied as they are, with integers up to `largest`.
    pub(super) fn new(products: ByteProducts, encoding: Encoding, largest: i64) -> ByteWeights {
        let Some(Native::Block(block)) = encoding.native() else {
            unreachable!("{encoding} has no integers")
        };
        let [least, greatest] = block.range();
        let unsigned = match least {
            ..0 => (-least as u64).next_power_of_two() as i64,
            _ => 0,
        };
        let most = fours_in_words([greatest + unsigned, largest]);
        let words = products
            .pairs
            .filter(|_| most > 0)
            .map(|pairs| Words { pairs, most, digits: 1 });
        ByteWeights {
            products,
            // As little as is needed: what it adds to lanes of sums is taken away in one of them.
            bias: words.map_or(products.bias.min(unsigned), |_| unsigned),
            words,
        }
    }

    /// Of packed weights: integers of many bits are cut into digits where products of these can be added up in 16 bits.
    fn packed(products: ByteProducts, encoding: Encoding) -> ByteWeights {
        let largest = Rounding::LARGEST as i64;
        let whole = ByteWeights::new(products, encoding, largest);
        let pairs = match (products.pairs, whole.words) {
            (Some(pairs), None) => pairs,
            (Some(_), Some(_)) => return whole,
            (None, _) => {
                return ByteWeights {
                    bias: products.bias,
                    ..whole
                };
            }
        };
        let words = Words {
            pairs,
            most: fours_in_words([(1 << DIGIT) - 1, largest]),
            digits: i8::BITS / DIGIT,
        };
        ByteWeights {
            bias: Record::BIAS,
            words: Some(words),
            ..whole
        }
    }

    fn digits(&self) -> u32 {
        self.words.map_or(1, |words| words.digits)
    }

    /// The digits of integers with their bias, the least one first.
    fn cut(&self, f: &mut Func, q: Val) -> Vec<Val> {
        if self.digits() == 1 {
            return vec![q];
        }
        let digit = |n: u32| {
            let (places, mask) = (f.int(q.ty, (n * DIGIT).into()), f.int(q.ty, (1 << DIGIT) - 1));
            let moved = f.shr(q, places);
            f.and(moved, mask)
        };
        (0..self.digits()).map(digit).collect()
    }

    /// Whether weights are bytes without a sign, and any of them may be as large as such.
    pub(super) fn take_any_byte(&self) -> bool {
        self.products.bias == Record::BIAS && self.words.is_none()
    }

    /// Integers of weights with their bias.
    pub(super) fn biased(&self, f: &mut Func, q: Val) -> Val {
        let bias = f.int(q.ty, if self.bias == 128 { -128 } else { self.bias });
        f.add(q, bias)
    }

    /// Adds the products of registers of weights with those of a record, few of them, to sums.
    pub(super) fn add(&self, f: &mut Func, factors: &[[Val; 2]], sums: Val) -> Val {
        let Some(Words { pairs, .. }) = self.words else {
            return factors
                .iter()
                .fold(sums, |sums, [w, x]| (self.products.dot)(f, sums, *w, *x));
        };
        let none = f.zero(Ty::V(2 * sums.ty.lanes(), Scalar::I16));
        let words = factors.iter().fold(none, |words, [w, x]| (pairs.dot)(f, words, *w, *x));
        (pairs.widen)(f, sums, words, 1)
    }
}

impl Packed {
    /// Vectors whose rows lie together.
    pub(super) const VECTORS: u32 = 2;

    /// How a target that multiplies bytes so packs weights of an encoding in blocks.
    pub(super) fn new(lanes: u32, products: ByteProducts, encoding: Encoding) -> Packed {
        let Layout::Blocks(blocks) = layout(encoding) else {
            unreachable!("{encoding} has no integers")
        };
        let (group, minima) = match blocks {
            Blocks::Short(Block { minimum, .. }) => (STRIP, minimum.is_some()),
            Blocks::Grouped(Grouped { block, groups, .. }) => (groups.size as u32, block.minimum.is_some()),
        };
        Packed {
            lanes,
            group,
            minima,
            weights: ByteWeights::packed(products, encoding),
        }
    }

    /// Groups of a strip.
    pub(super) fn groups(&self) -> u32 {
        STRIP / self.group
    }

    /// Bytes from four columns of the rows to the next four.
    pub(super) fn step(&self) -> i64 {
        i64::from(4 * Packed::VECTORS * self.lanes)
    }

    /// Fours of a group.
    pub(super) fn fours(&self) -> u32 {
        self.group / 4
    }

    /// The byte of a strip where a digit of the integers of a group begins.
    pub(super) fn integers(&self, group: u32, digit: u32) -> i64 {
        i64::from(group) * self.group_bytes() + i64::from(digit * self.fours()) * self.step()
    }

    /// Where its scales begin.
    pub(super) fn scales(&self, group: u32) -> i64 {
        self.integers(group, self.weights.digits())
    }

    /// Where its minima begin.
    pub(super) fn minima(&self, group: u32) -> i64 {
        self.scales(group) + self.step()
    }

    fn group_bytes(&self) -> i64 {
        (i64::from(self.weights.digits() * self.fours()) + 1 + i64::from(self.minima)) * self.step()
    }

    /// Bytes of a strip.
    pub(super) fn strip_bytes(&self) -> i64 {
        i64::from(self.groups()) * self.group_bytes()
    }
}
