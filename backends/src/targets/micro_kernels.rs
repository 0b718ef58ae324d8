//! The micro-kernels that a target may have in a way of its own.

use crate::{
    kernel::{Func, Module, Val},
    kernels::math::Range,
};
use seqc_formats::Block;
use seqc_passes::machine::Machine;

/// What makes a number of an integer `q` of four bits: `(q + offset) scale + minimum`, rounded twice at most.
#[derive(Clone, Copy)]
pub struct Scaling {
    /// A whole number.
    pub offset: f32,
    /// The same in all lanes.
    pub scale: Val,
    /// The same in all lanes.
    pub minimum: Option<Val>,
}

impl Scaling {
    /// The numbers of integers that `q` has as reals, their offset added already.
    pub(super) fn of(self, f: &mut Func, q: Val) -> Val {
        match self.minimum {
            Some(minimum) => f.fma(q, self.scale, minimum),
            None => f.mul(q, self.scale),
        }
    }
}

/// `fn(f, places, levels)`: the level at each place, of 32 bytes below 16.
pub type Levels = fn(f: &mut Func, places: Val, levels: &[i8; 16]) -> Val;

/// `fn(f, sums, a, b)`, of 4 lanes of 32 bits and 8 signed 16-bit integers each: adds two products to each lane.
pub type DotWords = fn(f: &mut Func, sums: Val, a: Val, b: Val) -> Val;

/// `fn(f, sums, weights, x)`: adds products of bytes to each lane of sums, activations of -127 to 127 with a sign; vectors are those of
/// whole registers.
pub type AddByteProducts = fn(f: &mut Func, sums: Val, weights: Val, x: Val) -> Val;

/// Products of weights of a byte with activations of a signed byte, a vector of weights at once.
#[derive(Clone, Copy)]
pub struct ByteProducts {
    /// Adds four products to each lane of 32 bits.
    pub dot: AddByteProducts,
    /// What is added to integers of weights to make them what `dot` takes: 128 where it takes bytes without a sign.
    pub bias: i64,
    /// Another way for integers of few bits, and for digits of others, where that takes less time.
    pub pairs: Option<PairProducts>,
}

/// Products of bytes without a sign, of which several are added up in 16 bits where these suffice.
#[derive(Clone, Copy)]
pub struct PairProducts {
    /// Adds two products to each lane of 16 bits.
    pub dot: AddByteProducts,
    /// `fn(f, sums, pairs, factor)`: adds two lanes of 16 bits, times a number, to each lane of 32.
    pub widen: fn(f: &mut Func, sums: Val, pairs: Val, factor: i64) -> Val,
}

/// `fn(f, sums, a, b)`: adds two products of bfloat16 to each lane of f32; vectors are those of whole registers.
pub type DotPairs = fn(f: &mut Func, sums: Val, a: Val, b: Val) -> Val;

/// Products of small matrices of bfloat16 that are added up in f32.
#[derive(Clone, Copy)]
pub struct MatrixUnits {
    /// `fn(f, sums, a, b)` of [`Intrinsic::MatrixBf16`](crate::kernel::Intrinsic::MatrixBf16).
    pub multiply: fn(f: &mut Func, sums: Val, a: Val, b: Val) -> Val,
    /// `fn(f, a, b)` of [`Intrinsic::RoundPairs`](crate::kernel::Intrinsic::RoundPairs).
    pub round_pairs: fn(f: &mut Func, a: Val, b: Val) -> Val,
}

/// The innermost parts of kernels, each written by a function. A target has its own where its processor has instructions for
/// it, and the portable one otherwise; kernels call the table and do not ask which target it is of.
#[derive(Clone, Copy)]
pub struct MicroKernels {
    /// The lower four bits of each lane of 32-bit integers below 256, as reals.
    pub low_nibbles: fn(f: &mut Func, bytes: Val, fifteen: Val) -> Val,
    /// `(q + offset) scale + minimum` for the lower and for the upper four bits `q` of each lane of 32-bit integers below 256.
    pub scaled_nibbles: fn(f: &mut Func, bytes: Val, scaling: Scaling) -> [Val; 2],
    /// `fn(f, bytes)`: the lower four bits of each of 16 bytes, then their upper four.
    pub nibbles: fn(f: &mut Func, bytes: Val) -> Val,
    /// What integers of four bits stand for, where they are places in a table.
    pub levels: Levels,
    /// `2^x` for a scalar or a vector of any number of lanes, with what is known of `x`. From 128 on it is infinite; up to -150 it is
    /// zero, and results between that and the least normal number, or just above it, may be flushed to zero. NaN gives NaN.
    pub exp2: fn(f: &mut Func, x: Val, range: Range) -> Val,
    /// How stored integers are multiplied with activations of a byte, if the processor has products of bytes for that.
    pub byte_products: Option<ByteProducts>,
    /// Adds products of 16-bit integers, for processors that do so with no bytes.
    pub dot_words: Option<DotWords>,
    /// Whether single tokens that are not rounded are multiplied with the stored integers of such blocks by these, in fixed point; otherwise
    /// integers are made reals. With vectors of 8 reals that takes as long: three products of bytes and what puts them together for what four
    /// products of reals do.
    pub fixed_point: fn(block: &Block) -> bool,
    /// How activations rounded to bfloat16 are multiplied with weights of that, if the processor has products for that.
    pub dot_pairs: Option<DotPairs>,
    /// How many rows are multiplied with weights, if the processor multiplies matrices.
    pub matrix_units: Option<MatrixUnits>,
    /// Adds the product of some rows of activations with a packed panel of so many vectors; returns its name. What it computes
    /// stands at [`crate::kernels::micro_kernel`].
    pub product_tile: fn(module: &mut Module, machine: &Machine, rows: u32, panel: u32) -> String,
}
