//! The stream graph: what a layer means.
//!
//! # Streams
//! Every value is a **stream**: one tensor per token. A node says how the tensor of *one* token is
//! computed from the tensors of the same token; the past is reached only through [`Op::Prev`],
//! [`Op::Delay`], [`Op::Window`], [`Op::LongConv`] and [`Op::Attend`]. A graph is therefore the decode step of a layer, and the
//! meaning of a whole sequence is the step applied token after token.
//!
//! # Shapes
//! All sizes are known numbers by the time a graph exists (a model instantiates its layers with
//! sizes). [`Dim`]s hold the names of the source, for messages only: nothing depends on them.
//! Elementwise operations take operands of exactly equal shape; broadcasting, slicing, transposing
//! and repeating are all [`Op::View`].
//!
//! # Time
//! A recurrence is a [`State`]: `Op::Prev(s)` reads what `s.next` was one token ago (zeros before the
//! first token). The graph itself stays acyclic; the loop is closed by the state table.
//!
//! # Stages
//! A node that depends on parameters and constants alone is evaluated once, when weights are loaded
//! ([`Stage::Load`]); everything else once per token. Stages are derived ([`Graph::stages`]), never stored.
//!
//! # Models
//! A [`Model`] is a list of distinct layer graphs and a list of calls to them; repeated layers share a graph.
//!
//! # Around the graph
//! [`verify`] says whether a graph is well formed, [`eval`] what it means, [`text`] how it is written, and [`random`]
//! makes graphs for tests.

mod builder;
pub mod eval;
mod expr;
mod graph;
mod model;
mod op;
mod pair;
pub mod random;
pub mod text;
pub mod verify;

pub use builder::dims;
pub use expr::{IndexExpr, joined_views};
pub use graph::{Cycles, Graph, Node, Port, Stage, State, StateId, Value, cycles};
pub use model::{Call, Kind, KindId, Model, ModelInput, ParamSource, StreamId};
pub use op::{
    AttendSpec, BinaryOp, Clock, Normaliser, Op, OpClass, OperandMode, Reads, ReduceOp, Row, Source, UNSEEN, UnaryOp,
};
pub use pair::{Nan, Operand, PairDomain, PairExpr, PairLeaf, Rational, by_cases};

/// Element type of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Elem {
    /// Real numbers; f32 in generated code, f64 in the evaluator.
    F32,
    /// Integers: token ids, positions, axis indices.
    I64,
    /// Truth values, results of comparisons.
    Bool,
}

/// One axis of a tensor: its size and the name it had in the source (may be empty).
#[derive(Clone, Debug)]
pub struct Dim {
    /// Number of entries.
    pub size: usize,
    /// Name for messages and text; not part of the type's identity.
    pub name: String,
}

impl Dim {
    /// A named axis.
    pub fn new(name: impl Into<String>, size: usize) -> Dim {
        Dim {
            size,
            name: name.into(),
        }
    }
}

impl PartialEq for Dim {
    fn eq(&self, other: &Dim) -> bool {
        self.size == other.size
    }
}

impl Eq for Dim {}

/// Type of a value: element type and shape of one token's tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ty {
    /// Element type.
    pub elem: Elem,
    /// Axes, outermost first. Empty: a scalar per token.
    pub dims: Vec<Dim>,
}

impl Ty {
    /// A tensor type.
    pub fn new(elem: Elem, dims: Vec<Dim>) -> Ty {
        Ty { elem, dims }
    }

    /// A scalar type.
    pub fn scalar(elem: Elem) -> Ty {
        Ty { elem, dims: Vec::new() }
    }

    /// Sizes of the axes.
    pub fn sizes(&self) -> Vec<usize> {
        self.dims.iter().map(|d| d.size).collect()
    }

    /// Number of elements of one token's tensor.
    pub fn len(&self) -> usize {
        self.dims.iter().map(|d| d.size).product()
    }

    /// True when an axis has size 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }
}
