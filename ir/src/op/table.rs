//! The table of operations: one row each, with the properties that verifier, passes, plans and backends read. A new
//! operation is described to all of them by its row.

use super::{Op, Rounding};
use crate::{
    Clock, Elem, Graph, StateId, Value,
    scalar::{BinaryOp, UnaryOp},
};
use std::ops::RangeInclusive;

/// How the result of an operation follows from its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpClass {
    /// Has no operands: a declaration, a constant, a number of the token.
    Leaf,
    /// Every entry from the entries of the operands with the same index.
    Elementwise,
    /// Every entry is the one of the operand at another index, which follows from the shapes.
    Index,
    /// Operands one after another.
    Concat,
    /// Every row is the one of a table whose index is computed.
    Lookup,
    /// Every entry from several entries of the operand.
    Reduction,
    /// A matrix times a vector.
    Product,
    /// The operand's values at earlier tokens.
    Lag,
    /// Of whole rows of the operands, by a kernel of its own: mostly a function of their values at all tokens so far.
    Sequence,
}

/// How an operation reads an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperandMode {
    /// By entries whose indices follow from those of the result: they may be computed where they are read.
    Entries,
    /// By rows that data pick, from memory.
    Table,
    /// As a matrix in memory, in any encoding of weights.
    Matrix,
    /// As a whole in memory.
    Whole,
    /// At earlier tokens, from memory.
    Earlier,
}

/// What an operation reads beside the values of its operands at the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reads {
    /// Nothing: of parameters it is computed once.
    Operands,
    /// What belongs to the token.
    Token,
    /// What other tokens computed: earlier ones, unless it [reads later ones](Op::reads_later).
    Past,
}

/// What a layer declares and a leaf reads from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A parameter of this number.
    Param(usize),
    /// An input stream of this number.
    Input(usize),
    /// A state, as it was one token ago.
    State(StateId),
}

/// Properties of an operation that do not depend on its operands.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Name, which is the word of the text form; elementwise functions have words of their own ([`Op::word`]).
    pub name: &'static str,
    /// How the result follows from the operands.
    pub class: OpClass,
    /// Smallest and largest number of operands.
    pub arity: RangeInclusive<usize>,
    /// How each operand is read; the last mode is that of all further ones.
    pub modes: &'static [OperandMode],
    /// Rough time of one entry of the result in additions of reals, of one entry of the operand for a reduction. 0 for
    /// what only moves data, and for what has a kernel of its own with a cost of its own.
    pub cost: f64,
    /// What it reads beside its operands.
    pub reads: Reads,
}

/// From the rows: the match that finds one, and the names of all.
macro_rules! table {
    ($($op:pat => $name:literal $class:ident $arity:expr, [$($mode:ident)*] $cost:expr, $reads:ident;)*) => {
        impl Op {
            /// Names of all operations ([`Row::name`]).
            pub const NAMES: &[&str] = &[$($name),*];

            /// The row of an operation.
            pub fn row(&self) -> Row {
                match self {
                    $($op => Row {
                        name: $name,
                        class: OpClass::$class,
                        arity: $arity,
                        modes: &[$(OperandMode::$mode),*],
                        cost: $cost,
                        reads: Reads::$reads,
                    },)*
                }
            }
        }
    };
}

table! {
    // operation              name        class       operands        their modes      cost       reads
    Op::Param(_)           => "param"     Leaf        0..=0,          []               0.0,       Operands;
    Op::Input(_)           => "input"     Leaf        0..=0,          []               0.0,       Token;
    Op::Const(_)           => "const"     Leaf        0..=0,          []               0.0,       Operands;
    Op::Iota { .. }        => "iota"      Leaf        0..=0,          []               0.0,       Operands;
    Op::Position           => "position"  Leaf        0..=0,          []               0.0,       Token;
    Op::Unary(f)           => "unary"     Elementwise 1..=1,          [Entries]        f.cost(),  Operands;
    Op::Binary(f)          => "binary"    Elementwise 2..=2,          [Entries]        f.cost(),  Operands;
    Op::Select             => "select"    Elementwise 3..=3,          [Entries]        1.0,       Operands;
    Op::Cast               => "cast"      Elementwise 1..=1,          [Entries]        0.0,       Operands;
    Op::View(_)            => "view"      Index       1..=1,          [Entries]        0.0,       Operands;
    Op::Reshape            => "reshape"   Index       1..=1,          [Entries]        0.0,       Operands;
    Op::Concat { .. }      => "concat"    Concat      1..=usize::MAX, [Entries]        0.0,       Operands;
    Op::Gather             => "gather"    Lookup      2..=2,          [Table Entries]  2.0,       Operands;
    Op::Reduce { .. }      => "reduce"    Reduction   1..=1,          [Entries]        1.0,       Operands;
    Op::MatVec             => "matvec"    Product     2..=2,          [Matrix Whole]   0.0,       Operands;
    Op::IndexedMatVec      => "indexed_matvec" Product 3..=3,         [Matrix Whole]   0.0,       Operands;
    Op::Prev(_)            => "prev"      Leaf        0..=0,          []               0.0,       Past;
    Op::Delay { .. }       => "delay"     Lag         1..=1,          [Earlier]        0.0,       Past;
    Op::Window { .. }      => "window"    Lag         1..=1,          [Earlier]        0.0,       Past;
    Op::LongConv           => "long_conv" Sequence    2..=2,          [Whole]          0.0,       Past;
    Op::Reverse            => "reverse"   Sequence    1..=1,          [Whole]          0.0,       Past;
    // Made for each token, also of what never changes: it has a kernel.
    Op::RoundRow(_)        => "round_row" Sequence    1..=1,          [Whole]          0.0,       Token;
    Op::Attend(spec)       => "attend"    Sequence    spec.arity(),   [Whole]          0.0,       Past;
}

impl UnaryOp {
    /// Rough time in additions of reals; see [`Row::cost`].
    pub fn cost(self) -> f64 {
        use UnaryOp::*;
        match self {
            Neg | Abs | Not | Floor | Round => 1.0,
            Sqrt | Rsqrt => 8.0,
            Exp | Log | Sin | Cos | Tanh | Sigmoid | Softplus | Erf => 16.0,
        }
    }
}

impl BinaryOp {
    /// Rough time in additions of reals; see [`Row::cost`].
    pub fn cost(self) -> f64 {
        use BinaryOp::*;
        match self {
            Add | Sub | Mul | Max | Min | Lt | Le | Gt | Ge | Eq | Ne | And | Or => 1.0,
            Div => 6.0,
            Mod | Pow => 24.0,
        }
    }
}

/// Time of a quotient of integers, in additions.
const INTEGER_QUOTIENT: f64 = 16.0;

impl Op {
    /// The word of the text form: the function's for elementwise functions, else the operation's name.
    pub fn word(&self) -> &'static str {
        match self {
            Op::Unary(f) => f.name(),
            Op::Binary(f) => f.name(),
            op => op.row().name,
        }
    }

    /// How the result follows from the operands.
    pub fn class(&self) -> OpClass {
        self.row().class
    }

    /// How operand `slot` is read; [`OperandMode::Entries`] where there is none.
    pub fn mode(&self, slot: usize) -> OperandMode {
        let modes = self.row().modes;
        modes
            .get(slot)
            .or(modes.last())
            .copied()
            .unwrap_or(OperandMode::Entries)
    }

    /// Time of one entry with elements of a type; see [`Row::cost`].
    pub fn cost(&self, elem: Elem) -> f64 {
        match self {
            Op::Binary(BinaryOp::Div) if elem == Elem::I64 => INTEGER_QUOTIENT,
            op => op.row().cost,
        }
    }

    /// True for what depends on the token, whatever its operands are.
    pub fn is_of_token(&self) -> bool {
        self.row().reads != Reads::Operands
    }

    /// True for what reads tokens after the present one: a model that has it reads whole sequences.
    pub fn reads_later(&self) -> bool {
        match self {
            Op::Reverse => true,
            Op::Attend(spec) => !spec.causal && spec.clock != Clock::Memory,
            _ => false,
        }
    }

    /// The parameter, input or state that a leaf reads.
    pub fn source(&self) -> Option<Source> {
        match self {
            Op::Param(n) => Some(Source::Param(*n)),
            Op::Input(n) => Some(Source::Input(*n)),
            Op::Prev(s) => Some(Source::State(*s)),
            _ => None,
        }
    }

    /// How a row is rounded, if that is all that it computes.
    pub fn rounding(&self) -> Option<Rounding> {
        match self {
            Op::RoundRow(rounding) => Some(*rounding),
            _ => None,
        }
    }

    /// The number of a constant.
    pub fn as_const(&self) -> Option<f64> {
        match self {
            Op::Const(c) => Some(*c),
            _ => None,
        }
    }

    /// Tokens from the oldest value of its operand that a delay or a window reads to the present one.
    pub fn reach(&self) -> Option<usize> {
        match self {
            Op::Delay { steps } => Some(*steps),
            Op::Window { taps, step } => Some(taps.saturating_sub(1).saturating_mul(*step)),
            _ => None,
        }
    }
}

impl Graph {
    /// The class of a value's operation.
    pub fn class(&self, value: Value) -> OpClass {
        self.op(value).class()
    }

    /// Entries of the operand that one entry of a reduction is made of; 1 for all other operations.
    pub fn reduced(&self, value: Value) -> usize {
        match self.class(value) {
            OpClass::Reduction => self.ty(self.operands(value)[0]).len() / self.ty(value).len().max(1),
            _ => 1,
        }
    }

    /// Entries of a vector that one entry of a product adds up; 0 for all other operations.
    pub fn columns(&self, value: Value) -> usize {
        match self.class(value) {
            OpClass::Product => self.ty(self.operands(value)[0]).dims.last().map_or(0, |dim| dim.size),
            _ => 0,
        }
    }

    /// Time of one entry of a value, without its operands; see [`Row::cost`].
    pub fn entry_cost(&self, value: Value) -> f64 {
        self.op(value).cost(self.ty(value).elem) * self.reduced(value) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttendSpec, ReduceOp, Ty, dims};

    #[test]
    fn names_are_distinct() {
        let distinct: std::collections::BTreeSet<&str> = Op::NAMES.iter().copied().collect();
        assert_eq!(distinct.len(), Op::NAMES.len());
    }

    #[test]
    fn attention_has_the_operands_that_its_parameters_ask_for() {
        let spec = AttendSpec {
            query_streams: 1,
            tables: 2,
            ..AttendSpec::default()
        };
        assert_eq!(Op::Attend(Box::new(spec)).row().arity, 6..=6);
        assert_eq!(Op::MatVec.mode(0), OperandMode::Matrix);
        assert_eq!(Op::Attend(Box::default()).mode(7), OperandMode::Whole);
    }

    #[test]
    fn an_entry_of_a_sum_costs_an_addition_for_each_operand_entry() {
        let mut graph = Graph::new("g");
        let x = graph.add_input("x", Ty::new(Elem::F32, dims(&[2, 5])));
        let sum = graph.reduce(ReduceOp::Sum, x, 1);
        assert_eq!((graph.reduced(sum), graph.entry_cost(sum)), (5, 5.0));
        let y = graph.add_input("y", Ty::scalar(Elem::I64));
        let quotient = graph.binary(BinaryOp::Div, y, y);
        assert_eq!(graph.entry_cost(quotient), INTEGER_QUOTIENT);
    }
}
