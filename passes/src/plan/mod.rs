//! The plan of a layer: which values are stored, which kernels compute them, in what order, and where they live.
//!
//! A value is either *stored* (a row of a buffer for every token of the chunk) or *inlined* into the
//! kernels that use it. Kernels run one after another; all threads work on the same kernel.

mod cost;
mod inline;
mod kernels;
mod memory;
mod scan;
mod schedule;
mod store;

pub use inline::{Leaf, Walk};
pub use memory::{Place, layout};
pub use store::resolve;

use crate::recurrence::Recurrence;
use seqc_ir::{Elem, Graph, Stage, StateId, Value};
use std::collections::HashMap;

/// Index into [`Plan::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub usize);

/// How often a buffer has a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Computed when weights are loaded.
    Load,
    /// One row for every token of the chunk.
    Token,
    /// One row, overwritten by every token (inside a sequential kernel).
    Single,
}

/// Storage of one value.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// The value, or the first one of a group (a concatenation and its parts).
    pub value: Value,
    /// Entries of a row.
    pub len: usize,
    /// Element type; truth values are stored as 0.0 and 1.0.
    pub elem: Elem,
    /// Stride of every axis, in entries. Row-major unless a scan prefers another order.
    pub strides: Vec<i64>,
    /// How often.
    pub rows: Rows,
    /// Rows of earlier tokens kept in front, for delays.
    pub history: usize,
    /// The layer result this is, if it is one.
    pub output: Option<usize>,
}

/// Computes one stored value entry by entry from its inlined expression.
#[derive(Clone, Debug)]
pub struct Nest {
    /// Root of the expression.
    pub value: Value,
    /// Where it is stored.
    pub into: BufferId,
    /// For a part of a concatenation: the axis and where the part begins on it.
    pub shift: Option<(usize, usize)>,
}

/// One or more products `[n, k] x [k]` with equally many rows, and what is done with the results.
#[derive(Clone, Debug)]
pub struct Matmul {
    /// The products.
    pub products: Vec<Value>,
    /// Stored values computed from the results entry by entry, at the same index.
    pub epilogue: Vec<Nest>,
}

/// A recurrence whose entries are independent: token loop inside, state in registers or nearest memory.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The states, all of one shape.
    pub states: Vec<StateId>,
    /// Axes of the state that the outputs keep, in order; the last is spread over vector lanes.
    pub kept: Vec<usize>,
    /// Axes that every output sums over.
    pub reduced: Vec<usize>,
    /// Stored values computed from the state; their space is the kept axes.
    pub outputs: Vec<Nest>,
}

/// A recurrence computed token by token.
#[derive(Clone, Debug)]
pub struct Sequential {
    /// The states.
    pub states: Vec<StateId>,
    /// What is computed for each token, in order.
    pub steps: Vec<Nest>,
}

/// A step of the plan. Steps run in order.
#[derive(Clone, Debug)]
pub enum Kernel {
    /// Products with weights.
    Matmul(Matmul),
    /// Work that is independent for every token.
    Tokens(Vec<Nest>),
    /// Entry-wise recurrence.
    Scan(Scan),
    /// Any other recurrence.
    Sequential(Sequential),
    /// Attention; the value is the `Attend` node.
    Attend(Value),
}

/// A delayed stream: what is kept of it between chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// The buffer with the rows in front.
    pub buffer: BufferId,
    /// Rows.
    pub steps: usize,
}

/// The plan of one layer graph.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Stage of every value.
    pub stages: Vec<Stage>,
    /// The recurrences.
    pub recurrences: Vec<Recurrence>,
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// Where stored values are.
    pub stored: HashMap<Value, BufferId>,
    /// Products that stay inside their kernel: nobody else reads them.
    pub tiles: Vec<Value>,
    /// Work of the load stage, in order.
    pub load: Vec<Nest>,
    /// Work of the token stage, in order.
    pub kernels: Vec<Kernel>,
    /// Delayed streams.
    pub histories: Vec<History>,
}

impl Plan {
    /// Plans a graph that went through the passes.
    pub fn new(graph: &Graph) -> Plan {
        store::plan(graph)
    }

    /// Stage of a value.
    pub fn stage(&self, v: Value) -> Stage {
        self.stages[v.0 as usize]
    }

    /// The nests that a kernel runs, in order.
    pub fn nests<'a>(&self, kernel: &'a Kernel) -> &'a [Nest] {
        match kernel {
            Kernel::Matmul(m) => &m.epilogue,
            Kernel::Tokens(nests) => nests,
            Kernel::Scan(scan) => &scan.outputs,
            Kernel::Sequential(s) => &s.steps,
            Kernel::Attend(_) => &[],
        }
    }
}
