//! The values of a plan: buffers, nests, kernels, and the plan of a layer.

use super::{
    decision::{Decision, Subject},
    matrix_form::Chunked,
    scan_block::ScanBlock,
    settings::Settings,
};
use crate::{attention::PairAnalysis, recurrence::Recurrence};
use seqc_ir::{Elem, Graph, Stage, StateId, Value};
use std::collections::HashMap;

/// Index into [`Plan::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub usize);

/// How often a buffer has a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Computed when weights are loaded.
    Constant,
    /// One row for every token of the chunk.
    PerToken,
    /// One row, overwritten by every token (inside a loop over tokens).
    Single,
}

/// Storage of one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// The value, or the layer result that is a copy of it.
    pub value: Value,
    /// Entries of a row.
    pub len: usize,
    /// Element type; truth values are stored as 0.0 and 1.0.
    pub elem: Elem,
    /// Stride of every axis, in entries. Row-major unless a scan prefers another order.
    pub strides: Vec<i64>,
    /// How often.
    pub extent: Extent,
    /// Extent of earlier tokens kept in front, for delays.
    pub history: usize,
    /// The layer result that lies here, if one does.
    pub output: Option<usize>,
    /// The state that this overwrites, if it lies where the previous value does: a next value, or what stands for the previous one.
    pub state: Option<StateId>,
}

impl Buffer {
    /// Bytes of an entry.
    pub fn entry_bytes(&self) -> usize {
        if self.elem == Elem::I64 { 8 } else { 4 }
    }
}

/// Computes one stored value entry by entry from its inlined expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Nest {
    /// Root of the expression.
    pub value: Value,
    /// Where it is stored.
    pub into: BufferId,
    /// For a part of a concatenation: the axis and where the part begins on it.
    pub shift: Option<(usize, usize)>,
}

/// Products `[n, k] x [k]` with equally many rows, and what is done with the results.
#[derive(Clone, Debug, PartialEq)]
pub struct Matmul {
    /// The products; all have the same number of rows.
    pub products: Vec<Value>,
    /// Stored values computed from the results entry by entry, at the same index.
    pub epilogue: Vec<Nest>,
}

/// A recurrence whose entries are independent: token loop inside, state in registers or nearest memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// The states, all of one shape.
    pub states: Vec<StateId>,
    /// Axes of the state that the outputs keep, in order; the last is spread over vector lanes.
    pub kept: Vec<usize>,
    /// Axes that every output reduces over, in order.
    pub reduced: Vec<usize>,
    /// Stored values computed from the state; their space is the kept axes.
    pub outputs: Vec<Nest>,
    /// What goes through the tokens together.
    pub block: ScanBlock,
    /// How a chunk can compute the same as matrix products. Single tokens scan.
    pub chunked: Option<Chunked>,
}

impl Scan {
    /// The matrix form, if long chunks take it, and the shortest chunk that does.
    pub fn products(&self) -> Option<(&Chunked, usize)> {
        let form = self.chunked.as_ref()?;
        Some((form, form.shortest?))
    }

    /// Bytes from one row of a block to the next, see [`Plan::state_axes`].
    pub fn row_distance(&self, graph: &Graph) -> usize {
        let sizes = graph.states[self.states[0].0 as usize].ty.sizes();
        4 * self.kept.last().map_or(1, |axis| sizes[*axis])
    }
}

/// A step of the plan. Steps run in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Kernel {
    /// Products with weights; no one needs another's result.
    Matmuls(Vec<Matmul>),
    /// Work that is independent for every token.
    Map(Vec<Nest>),
    /// Entry-wise recurrence.
    Scan(Scan),
    /// Attention; the value is the `Attend` node.
    Attend(Value),
    /// Long convolution; the value is the `LongConv` node.
    LongConv(Value),
    /// Rows in the order from the end of the sequence; the value is the `Reverse` node.
    Reverse(Value),
    /// Rows rounded for the products that read them; the value is the `RoundRow` node.
    RoundRow(Value),
    /// A recurrence whose heads are independent: each goes through all tokens by itself.
    Heads {
        /// Size of the first axis of everything computed here; 1: everything is one head.
        heads: usize,
        /// What is computed for each token, in order.
        nests: Vec<Nest>,
        /// States that change at the end of a token.
        states: Vec<StateId>,
        /// How a chunk can compute the same as matrix products.
        chunked: Option<Scan>,
    },
    /// Any other recurrence: the kernels run for one token after another.
    Loop(Vec<Kernel>),
    /// Stores the states' next values, at the end of a loop over tokens.
    Commit(Vec<StateId>),
}

/// All kernels in order, those inside loops in the place of the loop.
pub fn flat(kernels: &[Kernel]) -> Vec<&Kernel> {
    let mut found = Vec::with_capacity(kernels.len());
    for kernel in kernels {
        match kernel {
            Kernel::Loop(body) => found.extend(flat(body)),
            kernel => found.push(kernel),
        }
    }
    found
}

/// All scans, those inside loops too.
pub fn scans(kernels: &[Kernel]) -> Vec<&Scan> {
    let each = flat(kernels).into_iter().filter_map(|kernel| match kernel {
        Kernel::Scan(scan) => Some(scan),
        _ => None,
    });
    each.collect()
}

/// The plan of one layer graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What it is made for.
    pub settings: Settings,
    /// Stage of every value.
    pub stages: Vec<Stage>,
    /// The recurrences.
    pub recurrences: Vec<Recurrence>,
    /// What was decided about recurrences and filters, and why.
    pub decisions: Vec<Decision>,
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// Where stored values are.
    pub stored: HashMap<Value, BufferId>,
    /// Work of the load stage, in order.
    pub load: Vec<Nest>,
    /// Work of the token stage, in order.
    pub kernels: Vec<Kernel>,
    /// What the expressions of each attention imply.
    pub attentions: HashMap<Value, PairAnalysis>,
    /// Order of the axes of each state in memory, outermost first.
    pub state_axes: Vec<Vec<usize>>,
    /// Parameters that are read only as matrices or tables, which may keep the encoding of their tensors; see
    /// [`native_params`](super::native_params).
    pub native_params: Vec<bool>,
}

impl Plan {
    /// By state, the scans and the matrix forms of heads.
    pub fn scans_by_state(&self) -> HashMap<StateId, &Scan> {
        let scans = flat(&self.kernels).into_iter().filter_map(|kernel| match kernel {
            Kernel::Scan(scan) => Some(scan),
            Kernel::Heads { chunked, .. } => chunked.as_ref(),
            Kernel::Matmuls(_) | Kernel::Map(_) | Kernel::Attend(_) => None,
            Kernel::LongConv(_) | Kernel::Reverse(_) | Kernel::RoundRow(_) => None,
            Kernel::Loop(_) | Kernel::Commit(_) => None,
        });
        scans
            .flat_map(|scan| scan.states.iter().map(move |s| (*s, scan)))
            .collect()
    }

    /// The decision about a recurrence.
    pub fn decision(&self, recurrence: usize) -> Option<&Decision> {
        self.decisions
            .iter()
            .find(|d| d.about == Subject::Recurrence(recurrence))
    }

    /// Stage of a value.
    pub fn stage(&self, v: Value) -> Stage {
        self.stages[v.0 as usize]
    }

    /// The buffer of a stored value.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0]
    }

    /// True for values that are read from memory rather than computed where they are used.
    pub fn is_stored(&self, v: Value) -> bool {
        self.stored.contains_key(&v)
    }

    /// False when the layer carries nothing from token to token but caches of attentions that `elsewhere` holds for: those are
    /// kept by another layer.
    pub fn carries(&self, graph: &Graph, elsewhere: impl Fn(Value) -> bool) -> bool {
        let remembers = |kernel: &Kernel| match kernel {
            Kernel::Attend(v) => !elsewhere(*v),
            Kernel::LongConv(_) | Kernel::Reverse(_) => true,
            _ => false,
        };
        !graph.states.is_empty()
            || self.buffers.iter().any(|b| b.history > 0)
            || flat(&self.kernels).into_iter().any(remembers)
    }

    /// Rows of earlier tokens that its buffers keep in front of the tokens of each sequence of a step, the most of all buffers.
    pub fn padding(&self) -> usize {
        self.buffers.iter().map(|b| b.history).max().unwrap_or(0)
    }

    /// Strides of a state's axes in entries, by [`Plan::state_axes`].
    pub fn state_strides(&self, graph: &Graph, s: StateId) -> Vec<i64> {
        strides(&graph.states[s.0 as usize].ty.sizes(), &self.state_axes[s.0 as usize])
    }
}

/// Strides of axes that lie in memory in the given order, outermost first.
pub(crate) fn strides(sizes: &[usize], order: &[usize]) -> Vec<i64> {
    let mut strides = vec![0; sizes.len()];
    let mut step = 1;
    for axis in order.iter().rev() {
        strides[*axis] = step;
        step *= sizes[*axis] as i64;
    }
    strides
}

/// Strides of a row-major tensor.
pub fn row_major(sizes: &[usize]) -> Vec<i64> {
    strides(sizes, &(0..sizes.len()).collect::<Vec<_>>())
}
