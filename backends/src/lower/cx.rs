//! What every part of a layer function knows: the plan, where everything lies, and the arguments of the call.

use crate::text::{Func, Scalar, Ty, Val};
use seqc_abi::Store;
use seqc_ir::{Elem, Graph, Op, Value};
use seqc_passes::plan::{Buffer, BufferId, Layout, Plan, Rows, row_of};
use std::collections::HashSet;

/// One layer graph with everything that was decided about it.
pub(super) struct Layer<'a> {
    pub(super) graph: &'a Graph,
    pub(super) plan: &'a Plan,
    /// Attentions that read the cache of an earlier layer in some of the calls.
    pub(super) readers: Vec<Value>,
    /// What the keys of selections are computed from.
    pub(super) selecting: HashSet<Value>,
    /// Prefix of the names of its functions.
    pub(super) name: String,
    /// How each parameter is encoded.
    pub(super) stores: Vec<Store>,
    /// `f32` lanes of a vector.
    pub(super) lanes: u32,
    /// Longest chunk.
    pub(super) max_chunk: usize,
    /// Tokens of the smallest block of a long convolution.
    pub(super) conv_block: usize,
}

/// Arguments of a layer function, in order. Pointers to tables of pointers belong to the call at hand.
#[derive(Clone, Copy)]
pub(super) struct Args {
    /// Table of the call's parameters.
    pub(super) params: Val,
    /// The call's part of the derived arena.
    pub(super) derived: Val,
    /// Table of the call's states.
    pub(super) states: Val,
    /// Table of the call's argument streams, then of its results.
    pub(super) streams: Val,
    /// Activations of the layer.
    pub(super) arena: Val,
    /// Scratch of all threads.
    pub(super) scratch: Val,
    /// What `seqc_barrier` wants.
    pub(super) barrier: Val,
    /// Position of the first token.
    pub(super) position: Val,
    /// Tokens.
    pub(super) count: Val,
    /// This thread.
    pub(super) tid: Val,
    /// All threads.
    pub(super) threads: Val,
    /// A bit for each of the layer's readers that reads another call's cache here.
    pub(super) shared: Val,
}

impl Args {
    /// Types of the arguments.
    pub(super) const TYPES: [Ty; 12] = [
        Ty::Ptr,
        Ty::Ptr,
        Ty::Ptr,
        Ty::Ptr,
        Ty::Ptr,
        Ty::Ptr,
        Ty::Ptr,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
        Ty::I64,
    ];

    /// The parameters of a function with [`Args::TYPES`].
    pub(super) fn of(f: &Func) -> Args {
        Args {
            params: f.param(0),
            derived: f.param(1),
            states: f.param(2),
            streams: f.param(3),
            arena: f.param(4),
            scratch: f.param(5),
            barrier: f.param(6),
            position: f.param(7),
            count: f.param(8),
            tid: f.param(9),
            threads: f.param(10),
            shared: f.param(11),
        }
    }

    /// As arguments of a call.
    pub(super) fn list(&self) -> [Val; 12] {
        [
            self.params,
            self.derived,
            self.states,
            self.streams,
            self.arena,
            self.scratch,
            self.barrier,
            self.position,
            self.count,
            self.tid,
            self.threads,
            self.shared,
        ]
    }
}

/// Where everything is, as values of the function being written.
pub(super) struct Bases {
    buffers: Vec<Option<Val>>,
    params: Vec<Val>,
    inputs: Vec<Val>,
    states: Vec<Val>,
}

/// A layer function being written.
pub(super) struct Cx<'a> {
    pub(super) layer: &'a Layer<'a>,
    pub(super) args: Args,
    pub(super) bases: Bases,
    /// Bytes of the derived arena's buffers: what kernels prepare lies behind them.
    pub(super) prepared: usize,
}

/// A row of reals in memory.
#[derive(Clone, Copy)]
pub(super) struct RowAt {
    /// Row of the first token.
    pub(super) base: Val,
    /// Entries from one token's row to the next one's; 0: the same for all tokens.
    pub(super) stride: i64,
}

impl<'a> Cx<'a> {
    /// Loads all base pointers. `state_slots` is how many state entries the layer has.
    pub(super) fn new(f: &mut Func, layer: &'a Layer<'a>, layout: &Layout, state_slots: usize) -> Cx<'a> {
        let args = Args::of(f);
        let inputs = layer.graph.inputs.len();
        let stream = |f: &mut Func, n: usize| table_entry(f, args.streams, n);
        let buffers = layer.plan.buffers.iter().zip(&layout.offsets);
        let bases = Bases {
            buffers: buffers
                .map(|(b, offset)| base_of(f, (&args, inputs), b, *offset))
                .collect(),
            params: (0..layer.graph.params.len())
                .map(|n| table_entry(f, args.params, n))
                .collect(),
            inputs: (0..inputs).map(|n| stream(f, n)).collect(),
            states: (0..state_slots).map(|n| table_entry(f, args.states, n)).collect(),
        };
        Cx {
            layer,
            args,
            bases,
            prepared: layout.derived,
        }
    }

    /// For the load-time stage: parameters and derived buffers only.
    pub(super) fn for_load(f: &mut Func, layer: &'a Layer<'a>, layout: &Layout) -> Cx<'a> {
        let args = Args::of(f);
        let buffers = layer.plan.buffers.iter().zip(&layout.offsets);
        let derived = |f: &mut Func, b: &Buffer, offset: &Option<usize>| {
            offset
                .filter(|_| b.rows == Rows::Load)
                .map(|o| byte(f, args.derived, o))
        };
        let bases = Bases {
            buffers: buffers.map(|(b, offset)| derived(f, b, offset)).collect(),
            params: (0..layer.graph.params.len())
                .map(|n| table_entry(f, args.params, n))
                .collect(),
            inputs: Vec::new(),
            states: Vec::new(),
        };
        Cx {
            layer,
            args,
            bases,
            prepared: layout.derived,
        }
    }

    pub(super) fn lanes(&self) -> u32 {
        self.layer.lanes
    }

    pub(super) fn plan(&self) -> &'a Plan {
        self.layer.plan
    }

    pub(super) fn graph(&self) -> &'a Graph {
        self.layer.graph
    }

    /// Start of a buffer, its history included.
    pub(super) fn buffer_base(&self, id: BufferId) -> Val {
        match self.bases.buffers[id.0] {
            Some(base) => base,
            None => unreachable!("{:?} is not in memory at this stage", id),
        }
    }

    /// Start of state entry `n` of the layer.
    pub(super) fn state_base(&self, n: usize) -> Val {
        self.bases.states[n]
    }

    pub(super) fn param_base(&self, n: usize) -> Val {
        self.bases.params[n]
    }

    pub(super) fn input_base(&self, n: usize) -> Val {
        self.bases.inputs[n]
    }

    /// Start of row `token` of a buffer.
    pub(super) fn row(&self, f: &mut Func, id: BufferId, token: Val) -> Val {
        let b = self.plan().buffer(id);
        let base = self.buffer_base(id);
        if b.rows != Rows::Token {
            return base;
        }
        let (len, history) = (f.i64(b.len as i64), f.i64(b.history as i64));
        let at = f.add(token, history);
        let at = f.mul(at, len);
        f.gep(base, at, scalar_of(b.elem))
    }

    /// The rows that `v`, an operand of a product or of attention, is.
    pub(super) fn rows_of(&self, f: &mut Func, v: Value) -> RowAt {
        let found = row_of(self.graph(), &|at| self.plan().is_stored(at), v);
        let Some(row) = found else {
            unreachable!("{v} has no row: the plan stores what is read by rows")
        };
        let offset = f.i64(row.offset);
        if let Some(id) = self.plan().stored.get(&row.value) {
            let b = self.plan().buffer(*id);
            let zero = f.i64(0);
            let start = self.row(f, *id, zero);
            let stride = if b.rows == Rows::Token { b.len as i64 } else { 0 };
            return RowAt {
                base: f.gep(start, offset, Scalar::F32),
                stride,
            };
        }
        let (base, stride) = match self.graph().op(row.value) {
            Op::Input(n) => (self.input_base(*n), self.graph().ty(row.value).len() as i64),
            Op::Param(n) => (self.param_base(*n), 0),
            op => unreachable!("{op:?} has no row"),
        };
        RowAt {
            base: f.gep(base, offset, Scalar::F32),
            stride,
        }
    }

    /// All threads meet.
    pub(super) fn barrier(&self, f: &mut Func) {
        f.call(
            seqc_abi::symbols::BARRIER,
            &[self.args.barrier, self.args.tid, self.args.threads],
            None,
        );
    }
}

impl RowAt {
    /// Row of one token.
    pub(super) fn at(&self, f: &mut Func, token: Val) -> Val {
        if self.stride == 0 {
            return self.base;
        }
        let stride = f.i64(self.stride);
        let at = f.mul(token, stride);
        f.gep(self.base, at, Scalar::F32)
    }
}

fn base_of(f: &mut Func, (args, inputs): (&Args, usize), b: &Buffer, offset: Option<usize>) -> Option<Val> {
    if let Some(s) = b.state {
        return Some(table_entry(f, args.states, s.0 as usize));
    }
    match (b.output, offset) {
        (Some(n), _) => Some(table_entry(f, args.streams, inputs + n)),
        (None, Some(offset)) if b.rows == Rows::Load => Some(byte(f, args.derived, offset)),
        (None, Some(offset)) => Some(byte(f, args.arena, offset)),
        (None, None) => None,
    }
}

/// Pointer `n` of a table.
pub(super) fn table_entry(f: &mut Func, table: Val, n: usize) -> Val {
    let n = f.i64(n as i64);
    let p = f.gep(table, n, Scalar::I64);
    f.load(p, Ty::Ptr)
}

/// Pointer `offset` bytes behind another.
pub(super) fn byte(f: &mut Func, p: Val, offset: usize) -> Val {
    let offset = f.i64(offset as i64);
    f.gep(p, offset, Scalar::I8)
}

/// How an element type lies in memory.
pub(super) fn scalar_of(elem: Elem) -> Scalar {
    match elem {
        Elem::I64 => Scalar::I64,
        Elem::F32 | Elem::Bool => Scalar::F32,
    }
}
