//! The instructions of a kernel: a closed list, each typed by the values it names.

use super::{Scalar, Val};

/// Instructions, and the values that they yield: what a loop carries to its next iteration, or the results of a branch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// In order.
    pub insts: Vec<Inst>,
    /// The yielded values: empty except in loops that carry values and in branches with results.
    pub yields: Vec<Val>,
}

impl Block {
    /// True where there is neither an instruction nor a value.
    pub fn is_empty(&self) -> bool {
        self.insts.is_empty() && self.yields.is_empty()
    }
}

/// A constant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Const {
    /// An integer, in all lanes of a vector; booleans are 0 and 1.
    Int(i64),
    /// The bits of an `f32`, in all lanes of a vector.
    Float(u32),
    /// Zero of another floating point type than `f32`.
    Zero,
    /// One integer for each lane.
    Ints(Vec<i64>),
    /// The bits of one `f32` for each lane.
    Floats(Vec<u32>),
}

/// Operations on one value, lane by lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// `-a` of floats.
    Neg,
    /// `|a|` of floats.
    Abs,
    /// Square root, rounded correctly.
    Sqrt,
    /// Largest integer that is not greater (floor).
    Floor,
    /// Smallest integer that is not less (ceiling).
    Ceil,
    /// Nearest integer, ties to even.
    RoundEven,
}

/// Operations on two values of one type, lane by lane. Integers wrap around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`; of integers the signed quotient towards zero.
    Div,
    /// Signed integer remainder, with the sign of `a`.
    Rem,
    /// Unsigned quotient.
    UnsignedDiv,
    /// Unsigned remainder.
    UnsignedRem,
    /// Larger of two floats; of a float and NaN the float.
    MaxNumber,
    /// Smaller of two floats; of a float and NaN the float.
    MinNumber,
    /// The magnitude of `a` with the sign of `b`.
    CopySign,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// Left shift.
    Shl,
    /// Right shift that fills with zeros.
    Shr,
    /// Right shift that fills with the sign.
    ShrSigned,
}

/// Conversions to another scalar type, lane by lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cast {
    /// A wider integer of the same signed value.
    SignExtend,
    /// A wider integer of the same unsigned value.
    ZeroExtend,
    /// The low bits of an integer.
    Truncate,
    /// The float nearest to a signed integer.
    SignedToFloat,
    /// The float nearest to an unsigned integer.
    UnsignedToFloat,
    /// The signed integer of a float, towards zero; of no meaning where it does not fit.
    FloatToSigned,
    /// A wider float of the same value.
    FloatExtend,
    /// The nearest narrower float, ties to even.
    FloatTruncate,
}

/// Comparison predicates; signed for integers, ordered for floats (`Ne` is unordered).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Cmp {
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
}

/// How the lanes of a vector become one scalar. Floats are added and multiplied in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Reduction {
    Add,
    Mul,
    /// Largest float, without NaN.
    MaxNumber,
    /// Smallest float, without NaN.
    MinNumber,
}

/// Instructions that only some processors have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intrinsic {
    /// `(table, i)` of 16 lanes: lane `i & 15` of the table, for each lane of the `i32` indices.
    Permute,
    /// `(p, n, other, mask, rounding)` of 16 lanes: `p * 2^floor(n)` where the `i16` mask has a bit, else `other`.
    ScaleByPower,
    /// `(table, places)` of 16 or 32 bytes each: in each sixteen lanes, the lane of the same sixteen of the table that the place names, which is below 16.
    PermuteBytes,
    /// `(table, places)` of 16 bytes each: the lane of the table that the place names, zero where that is none.
    SwizzleBytes,
    /// `(sums, a, b)`, of 4 lanes of `i32` and 16 signed bytes each: four products of bytes are added to each lane.
    DotBytes,
    /// `(sums, a, b)`, of 4, 8 or 16 lanes of `i32` and twice as many signed 16-bit integers each: two products are added to each lane.
    DotWords,
    /// `(sums, a, b)`, of 16 or 32 lanes of `i16`, twice as many bytes without a sign and signed ones: the sum of two products of bytes, the nearest
    /// number of 16 bits to it, is added to each lane.
    DotUnsignedPairs,
    /// `(a, b)`, of 32 signed bytes each: `a`, `-a` where `b` is negative, zero where it is zero.
    TakeSign,
    /// `(sums, a, b)`, of 8 or 16 lanes of `i32`, four times as many bytes without a sign and signed ones: four products of bytes are added to each lane.
    DotUnsignedBytes,
    /// `(sums, a, b)`, of 16 lanes of `f32` and 32 of `bf16` each: two products are added to each lane, rounded
    /// by themselves or together; the least numbers are zeros.
    DotBf16,
    /// `(a, b)`, of as many lanes of `f32`: words of 32 bits with the bfloat16 numbers nearest to them, ties to even, that of `a` in the lower half.
    RoundPairs,
    /// `(sums, a, b)`, of 128 lanes of `f32`, and 128 and 64 words with two numbers of `bf16` each that are neighbours along the summed axis, the first one in the
    /// lower half: the product of 16 rows by 16 columns with 16 rows by 8 columns is added to 16 rows by 8 columns, in any order. Lane `32 n + 4 i + j`
    /// (`i < 8`, `j < 4`) is, of `sums`, the entry in row `i + 8 (n / 2)` and column `2 j + n % 2`; of `a` those in row `i + 8 (n % 2)` from column
    /// `2 j + 8 (n / 2)` on; of `b` those in column `i` from row `2 j + 8 n` on.
    MatrixBf16,
}

/// An instruction. `out` is the value that it defines.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Inst {
    /// A constant, at the start of the function.
    Const {
        out: Val,
        value: Const,
    },
    Unary {
        op: Unary,
        out: Val,
        a: Val,
    },
    Binary {
        op: Binary,
        out: Val,
        a: Val,
        b: Val,
    },
    /// `a * b + c` of floats: in one rounding where it is `exact`, on every processor; else in two where the processor has no instruction for
    /// it.
    Fma {
        out: Val,
        a: Val,
        b: Val,
        c: Val,
        exact: bool,
    },
    Compare {
        cmp: Cmp,
        out: Val,
        a: Val,
        b: Val,
    },
    /// `cond ? a : b`; the condition is one truth value, or one for each lane.
    Select {
        out: Val,
        cond: Val,
        a: Val,
        b: Val,
    },
    Cast {
        op: Cast,
        out: Val,
        a: Val,
    },
    /// The same bits as another type.
    Bitcast {
        out: Val,
        a: Val,
    },
    /// A scalar in all lanes.
    Splat {
        out: Val,
        a: Val,
    },
    /// Lane `at` of a vector.
    Extract {
        out: Val,
        a: Val,
        at: Val,
    },
    /// The vector with lane `at` replaced.
    Insert {
        out: Val,
        a: Val,
        at: Val,
        scalar: Val,
    },
    /// Lanes of `a` then `b`, picked by number.
    Shuffle {
        out: Val,
        a: Val,
        b: Val,
        lanes: Vec<u32>,
    },
    Reduce {
        op: Reduction,
        out: Val,
        a: Val,
    },
    Intrinsic {
        op: Intrinsic,
        out: Val,
        args: Vec<Val>,
    },
    /// `base + index * size of elem`, lane by lane where the index is a vector.
    Offset {
        out: Val,
        base: Val,
        index: Val,
        elem: Scalar,
    },
    /// Address of a constant of the module.
    Address {
        out: Val,
        global: String,
    },
    /// Memory for `count` scalars that lives until the function returns.
    Stack {
        out: Val,
        count: Val,
        elem: Scalar,
    },
    /// A scalar or consecutive lanes, at an address that is a multiple of `align`. A volatile load is one whose result
    /// nothing is known about.
    Load {
        out: Val,
        ptr: Val,
        align: u8,
        volatile: bool,
    },
    Store {
        value: Val,
        ptr: Val,
        align: u8,
    },
    /// The lanes of the mask are loaded, the others are those of `otherwise`.
    MaskedLoad {
        out: Val,
        ptr: Val,
        mask: Val,
        otherwise: Val,
    },
    /// The lanes of the mask are stored.
    MaskedStore {
        value: Val,
        ptr: Val,
        mask: Val,
    },
    /// One scalar through each pointer where the mask is set, else the lane of `otherwise`.
    Gather {
        out: Val,
        ptrs: Val,
        mask: Val,
        otherwise: Val,
    },
    /// One scalar through each pointer where the mask is set.
    Scatter {
        value: Val,
        ptrs: Val,
        mask: Val,
    },
    /// Rows of 16 bytes in the memory of a block, each from a pointer that is a multiple of that: 8, 16 or 32 rows, eight for each matrix of 8 by 8 numbers of
    /// bfloat16. Lanes `4 r` to `4 r + 3` are the words of row `r`.
    LoadMatrices {
        out: Val,
        rows: Val,
    },
    /// Starts copies from anywhere into the memory of a block, each of 4 or 16 `bytes` to an address that is a multiple of that, from one that is, too. Of the lane's
    /// count of bytes the source is read, the others become zeros. They arrive when the member waits for them; until then nobody reads
    /// where they go or writes where they come from, and other members wait at a barrier of the block behind that.
    CopyAsync {
        to: Val,
        from: Val,
        counts: Val,
        bytes: u8,
    },
    /// Makes a group of the copies that the member has started since the last one; there may be none.
    CommitCopies,
    /// Waits until the copies of all groups but the last `left` have arrived.
    WaitCopies {
        left: u8,
    },
    /// Asks for a cache line to be read soon.
    Prefetch {
        ptr: Val,
        into: Cache,
    },
    Call {
        out: Option<Val>,
        callee: String,
        args: Vec<Val>,
    },
    /// Calls what a pointer points to; it has no result.
    CallPointer {
        callee: Val,
        args: Vec<Val>,
    },
    For(Box<For>),
    If(Box<If>),
    /// Ends a function that has a result.
    Return(Val),
}

/// The cache that a line is read into ahead of its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cache {
    /// The nearest one, and those behind it.
    First,
    /// The one behind, which has more room and holds more requests; the first one keeps what it has.
    Second,
}

/// What the iterations of a loop are over. Two more kinds of axes need no instruction: lanes are the types of vectors, and an
/// unrolled axis is its iterations written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// One iteration after another, each with what the one before carried on.
    Serial,
    /// Iterations are divided between the members of the team: threads of a processor, blocks of a grid. Each member runs its
    /// own, from its first index to its end; those of different members are in no order, and no values are carried on.
    Team,
    /// The same with blocks of members that share memory in place of members: all members of a block run the same iterations.
    Blocks,
}

/// `for iv in (low..high).step_by(step)`; the body yields the next carried values.
#[derive(Clone, Debug, PartialEq)]
pub struct For {
    /// What the iterations are over.
    pub axis: Axis,
    /// The index, an `i64`.
    pub iv: Val,
    /// The first index.
    pub low: Val,
    /// Before this one, signed.
    pub high: Val,
    /// Above zero.
    pub step: Val,
    /// What is carried, before the first turn.
    pub init: Vec<Val>,
    /// What is carried, inside the body.
    pub carried: Vec<Val>,
    /// One turn.
    pub body: Block,
    /// What is carried, after the last turn.
    pub out: Vec<Val>,
}

/// Two branches that yield values of the same types.
#[derive(Clone, Debug, PartialEq)]
pub struct If {
    /// One truth value.
    pub cond: Val,
    /// Where it holds.
    pub then: Block,
    /// Where it does not.
    pub otherwise: Block,
    /// The results of the branch.
    pub out: Vec<Val>,
}
