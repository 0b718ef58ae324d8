//! The memory of a block during a product: weights, then the activations that each member is about to multiply.
//!
//! Both are rows of bytes in chunks of sixteen, as instructions load matrices and copy. The chunks of a row are turned by its number, so that the same chunk of
//! rows that are loaded together lies in different banks.

use super::{Parts, SUMMED};
use crate::{
    kernel::{Func, Scalar, Val},
    kernels::rounded::RowForm,
};
use seqc_abi::device::{BLOCK_MEMBERS, SHARED_BYTES};

/// Bytes that are copied and loaded together.
pub(super) const CHUNK: usize = 16;
/// Bytes of weights.
const WEIGHTS: usize = SHARED_BYTES / 3 * 2;
/// Bytes of activations of a member.
const RING: usize = (SHARED_BYTES - WEIGHTS) / BLOCK_MEMBERS;
/// Columns after which all banks were used once: sums of weights begin at multiples.
const BANKS: usize = 64;

/// Rows of activations that a member multiplies at once: two matrices.
pub const MEMBER_TOKENS: usize = 2 * super::TOKENS;
/// Bytes of a row of activations that are copied together.
pub(super) const ROW: usize = 64;
/// Bytes of all these rows.
pub(super) const STAGE: usize = MEMBER_TOKENS * ROW;
/// Times that many are on their way or multiplied: a power of two.
pub(super) const STAGES: usize = RING / STAGE;

/// Weights in the memory of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared {
    /// How many rows.
    pub(crate) rows: usize,
    /// Parts of each weight.
    pub(crate) parts: Parts,
    /// Columns that are there at once.
    pub(crate) columns: usize,
}

impl Shared {
    /// As many columns as there is room for.
    pub(crate) fn most(rows: usize, parts: Parts) -> Shared {
        let columns = WEIGHTS / (size_of::<u16>() * rows * parts.count()) / BANKS * BANKS;
        Shared { rows, parts, columns }
    }

    /// The fewest columns, of numbers that have one part.
    pub(crate) fn least(rows: usize) -> Shared {
        Shared {
            rows,
            parts: Parts::One,
            columns: BANKS,
        }
    }

    /// Bytes of a row of one part.
    pub(super) fn row_bytes(self) -> usize {
        size_of::<u16>() * self.columns
    }

    /// Bytes of all rows and parts.
    pub(super) fn bytes(self) -> usize {
        self.parts.count() * self.rows * self.row_bytes()
    }

    /// How often there is room for them, a power of two.
    pub(super) fn slots(self) -> usize {
        1 << (WEIGHTS / self.bytes()).ilog2()
    }

    /// Where a part of the weights begins, from a row on.
    pub(super) fn start(self, part: usize, row: usize) -> i64 {
        ((part * self.rows + row) * self.row_bytes()) as i64
    }

    /// Bytes from the start of a part to words of some lanes, at columns `16 step` on.
    pub(super) fn places(self, f: &mut Func, lanes: &[Place], step: Val) -> Val {
        let list = |of: &dyn Fn(&Place) -> usize| -> Vec<i64> { lanes.iter().map(|place| of(place) as i64).collect() };
        let start = list(&|place| place.row * self.row_bytes() + place.byte);
        let (chunk, turn) = (list(&|place| place.chunk), list(&|place| turn_of_weights(place.row)));
        let [start, chunk, turn] = [start, chunk, turn].map(|list| f.lanes(Scalar::I64, &list));
        let chunks = f.i64((size_of::<u16>() * SUMMED / CHUNK) as i64);
        let first = f.mul(step, chunks);
        let first = f.splat(first, lanes.len() as u32);
        let at = f.add(first, chunk);
        let at = f.xor(at, turn);
        let bytes = f.int(at.ty, CHUNK as i64);
        let at = f.mul(at, bytes);
        f.add(at, start)
    }
}

/// A word of weights in sixteen columns.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) row: usize,
    /// Chunk of the columns.
    pub(super) chunk: usize,
    /// Byte in the chunk.
    pub(super) byte: usize,
}

/// What the chunks of a row of weights are turned by.
pub(super) fn turn_of_weights(row: usize) -> usize {
    row % 8
}

/// Where a chunk of a row of activations lies in its stage. Matrices are loaded eight rows at a time and reals in pairs of four rows; both find all banks.
pub(super) fn place_of_activations(token: usize, chunk: usize) -> usize {
    const TURNS: [usize; 4] = [0, 2, 1, 3];
    ROW * token + CHUNK * (chunk ^ TURNS[token / 2 % 4])
}

/// The activations of a member, behind the weights.
pub(super) fn ring(f: &mut Func, memory: Val, tid: Val) -> Val {
    let (members, bytes) = (f.i64(BLOCK_MEMBERS as i64), f.i64(RING as i64));
    let member = f.urem(tid, members);
    let before = f.mul(member, bytes);
    let weights = f.i64(WEIGHTS as i64);
    let at = f.add(before, weights);
    f.gep(memory, at, Scalar::I8)
}

/// Columns of a row of activations that are copied together.
pub(super) fn stage_columns(form: RowForm) -> usize {
    ROW / size_of::<f32>() * form.columns() as usize
}
