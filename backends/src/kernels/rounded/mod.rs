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
use crate::targets::{ByteProducts, TargetInfo};
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
/// of each row together, then the scales of the rows, then their minima. Rows are taken by pairs of vectors.
#[derive(Clone, Copy)]
pub(super) struct Packed {
    /// f32 lanes of a vector.
    pub(super) lanes: u32,
    /// Integers with a common scale: 16 or 32.
    pub(super) group: u32,
    /// Whether there are minima.
    pub(super) minima: bool,
    /// What was added to the integers: zero, or a power of two up to [`Record::BIAS`].
    pub(super) bias: i64,
    /// Products of how many fours are added up in 16 bits; `None`: they are added in 32.
    pub(super) in_words: Option<u32>,
}

impl Packed {
    /// Vectors whose rows lie together.
    pub(super) const VECTORS: u32 = 2;

    /// How a target that multiplies bytes so packs weights of an encoding in blocks.
    pub(super) fn new(lanes: u32, products: ByteProducts, encoding: Encoding) -> Packed {
        let (Layout::Blocks(blocks), Some(Native::Block(block))) = (layout(encoding), encoding.native()) else {
            unreachable!("{encoding} has no integers")
        };
        let (group, minima) = match blocks {
            Blocks::Short(Block { minimum, .. }) => (STRIP, minimum.is_some()),
            Blocks::Grouped(Grouped { block, groups, .. }) => (groups.size as u32, block.minimum.is_some()),
        };
        let [least, greatest] = block.range();
        let unsigned = if least < 0 {
            (-least as u64).next_power_of_two() as i64
        } else {
            0
        };
        // Two products in each lane.
        let largest = 2 * (greatest + unsigned) * Rounding::LARGEST as i64;
        let in_words = products.pairs.map(|_| i64::from(i16::MAX) / largest).filter(|n| *n > 0);
        Packed {
            lanes,
            group,
            minima,
            bias: in_words.map_or(products.bias, |_| unsigned),
            in_words: in_words.map(|n| n as u32),
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

    /// The byte of a strip where the integers of a group begin.
    pub(super) fn integers(&self, group: u32) -> i64 {
        i64::from(group) * self.group_bytes()
    }

    /// Where its scales begin.
    pub(super) fn scales(&self, group: u32) -> i64 {
        self.integers(group) + i64::from(self.group / 4) * self.step()
    }

    /// Where its minima begin.
    pub(super) fn minima(&self, group: u32) -> i64 {
        self.scales(group) + self.step()
    }

    fn group_bytes(&self) -> i64 {
        (i64::from(self.group / 4) + 1 + i64::from(self.minima)) * self.step()
    }

    /// Bytes of a strip.
    pub(super) fn strip_bytes(&self) -> i64 {
        i64::from(self.groups()) * self.group_bytes()
    }
}
