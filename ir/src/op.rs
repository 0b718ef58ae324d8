//! The closed set of operations. Each variant documents its mathematics; [`table`] holds the properties that passes and backends read.

mod attend;
mod definition;
pub mod policy;
mod rounding;
mod table;

use super::scalar::{BinaryOp, ReduceOp, UnaryOp};
pub use attend::{AttendSpec, Clock, Normaliser, UNSEEN};
pub use rounding::{Activations, Rounding};
pub use table::{OpClass, OperandMode, Reads, Row, Source};

use crate::{IndexExpr, StateId};

/// What a node computes for one token from its operands' values at that token.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Parameter `n` of the layer (see [`crate::Graph::params`]). Stage load.
    Param(usize),
    /// Input stream `n` of the layer (see [`crate::Graph::inputs`]).
    Input(usize),
    /// The same number everywhere; shape and element type are the node's.
    Const(f64),
    /// `out[i0, …] = i_axis`, an I64 tensor of indices along result axis `axis`. Stage load.
    Iota {
        /// The axis.
        axis: usize,
    },
    /// Position of the token in its sequence, an I64 scalar counting from 0.
    Position,
    /// Elementwise `f(x)`.
    Unary(UnaryOp),
    /// Elementwise `f(x, y)`; operands have the result's shape. Comparisons give Bool.
    Binary(BinaryOp),
    /// Elementwise `if c then a else b`; operands `c` (Bool), `a`, `b`.
    Select,
    /// Conversion to the node's element type: Bool to 0/1, I64 to F32, F32 to I64 towards minus infinity, where NaN becomes 0
    /// and what is beyond -[`crate::eval::MAX_WHOLE`] and [`crate::eval::MAX_WHOLE`] becomes that.
    Cast,
    /// `out[i0, …] = x[map_0(i), map_1(i), …]`: slices, transposes, broadcasts, repeats, diagonals.
    /// Every index is in range for every result index.
    View(Vec<IndexExpr>),
    /// The same elements in row-major order under another shape.
    Reshape,
    /// Operands one after another along axis `axis`.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// `out[i…, r…] = table[index[i…], r…]`; operands `table` (a parameter, or load-stage), `index` (I64).
    /// An index outside the table is clamped by generated code and refused by the runtime for token ids.
    Gather,
    /// Reduction over the last `axes` axes of the operand.
    Reduce {
        /// The operation.
        op: ReduceOp,
        /// How many trailing axes.
        axes: usize,
    },
    /// `out[n…] = sum_k w[n…, k] * x[k]`: a parameter (or load-stage matrix) times a vector; operands `w`, `x`.
    /// `w` has rank 2 or more, `x` rank 1. Produced by a pass from a product under [`Op::Reduce`].
    MatVec,
    /// `out[c, n…] = sum_k w[index[c], n…, k] * x[c, k]`: products with the matrices that data choose of a stack; operands `w` (a
    /// parameter, or load-stage), `index [c]` (I64), `x`. An `x` of rank 1 is the same for all of them. An index outside the stack is
    /// clamped. Produced by a pass from a product with [`Op::Gather`] under [`Op::Reduce`].
    IndexedMatVec,
    /// Value of the state's `next` one token ago; zeros at the first token.
    Prev(StateId),
    /// The operand's value `steps` tokens ago; zeros before the first token.
    Delay {
        /// How many tokens ago, at least 1.
        steps: usize,
    },
    /// The last `taps` values of the operand, `step` tokens apart, the oldest first: `out[k, i…]` is its value
    /// `(taps - 1 - k) * step` tokens ago; zeros before the first token.
    Window {
        /// How many, at least 1.
        taps: usize,
        /// Tokens from one to the next, at least 1.
        step: usize,
    },
    /// A filter over the whole past: `out[c…] = sum_l f[c…, l] * (u[c…] of l tokens ago)`, zeros before the first token;
    /// NaN where one of these values is not finite.
    /// Operands `u [c…]` and `f [c…, taps]`, a parameter or load-stage.
    LongConv,
    /// The operand's value at the token that is as far from the end of the sequence as this one is from its beginning: of `n`
    /// tokens, at token `t` that of `n - 1 - t`. Only in models that read a whole sequence.
    Reverse,
    /// The operand with every row along its last axis rounded; what products with weights read where activations are rounded. Inserted
    /// behind all passes, in front of such products alone: nothing else reads it.
    RoundRow(Rounding),
    /// Attention over the tokens seen so far. Operands, in this order: `q [H, E]`, `k [G, E]`, `v [G, F]` (not for
    /// [`Normaliser::Top`]) with `H` a multiple of `G` (query head `h` reads key head `h / (H / G)`), the truth value `on`
    /// (unless the clock is [`Clock::Every`]), then the query streams, the key streams and the tables of the spec.
    /// Result `[H, F]`:
    ///
    /// `s_ij = score(scale * q_i . k_j, i, j)`, over keys `j` with `where(i, j)` and, when causal, `j <= i`;
    /// `out_i = sum_j weight(s_ij) v_j`. No admitted key: zeros.
    ///
    /// With [`AttendSpec::log_sum`] the result is `[H, F + 1]`, the last column `log(sum_j exp(s_ij))`, [`UNSEEN`] where
    /// no key is admitted. Of [`Normaliser::Top`] the result is `[H, 2, n]`.
    Attend(Box<AttendSpec>),
}
