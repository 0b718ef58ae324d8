//! The stream graph: what a layer means.
//!
//! # Streams
//! Every value is a **stream**: one tensor per token. A node says how the tensor of *one* token is
//! computed from the tensors of the same token; the past is reached only through [`Op::Prev`],
//! [`Op::Delay`], [`Op::Window`], [`Op::LongConv`] and [`Op::Attend`]. A graph is therefore the decode step of a layer, and the
//! meaning of a whole sequence is the step applied token after token. Only graphs that [`Graph::reads_later`] have no step: they
//! are computed of whole sequences.
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
//! A [`Model`] is a list of distinct layer graphs and a list of calls to them; repeated layers share a graph. It may read another sequence
//! before its tokens, the memory ([`MemorySource`]): the first calls run over all rows of that, and attention with [`Clock::Memory`] keeps
//! what they computed. Graphs of both are ordinary ones; a row of the memory is a token to the calls that run over it.
//! Some calls may run at some tokens only ([`Clocked`]); to them these are all tokens that there are.
//!
//! # Around the graph
//! [`verify`] says whether a graph is well formed, [`eval`] what it means, [`text`] how it is written, and [`random`]
//! makes graphs for tests.

mod builder;
mod clocked;
pub mod eval;
mod expr;
mod graph;
mod ids;
mod model;
mod op;
mod pair;
pub mod random;
mod scalar;
mod steps;
pub mod text;
mod ty;
pub mod verify;

pub use builder::dims;
pub use clocked::{Between, Clocked, Enter, Leave};
pub use expr::{IndexExpr, joined_views, permutation};
pub use graph::{Cycles, Graph, Node, Port, Stage, State, cycles};
pub use ids::{KindId, StateId, StreamId, Value};
pub use model::{Call, Kind, MemorySource, Model, ModelInput, ParamSource};
pub use op::{
    Activations, AttendSpec, Clock, Normaliser, Op, OpClass, OperandMode, Reads, Rounding, Row, Source, UNSEEN, policy,
};
pub use pair::{Nan, Operand, PairDomain, PairExpr, PairLeaf, Rational, by_cases};
pub use scalar::{BinaryOp, ReduceOp, UnaryOp};
pub use steps::Step;
pub use ty::{Dim, Elem, Ty};
