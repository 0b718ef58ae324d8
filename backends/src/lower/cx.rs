//! What every part of a layer function knows: the plan, where everything lies, and the arguments of the call.

use crate::{
    kernel::{Func, Module, Scalar, Space, Team, Ty, Val},
    schedule::Schedule,
    targets::TargetInfo,
};
use seqc_formats::Encoding;
use seqc_ir::{Elem, Graph, Source, Value};
use seqc_passes::machine::Machine;
use seqc_passes::plan::{BufferId, Extent, Layout, Plan, row_of};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

/// One layer graph with everything that was decided about it.
pub(super) struct Layer<'a> {
    pub(super) graph: &'a Graph,
    pub(super) plan: &'a Plan,
    /// What code is written for.
    pub(super) target: TargetInfo,
    /// Attentions that read the cache of an earlier layer in some of the calls.
    pub(super) readers: Vec<Value>,
    /// What its code is written from.
    pub(super) schedule: Schedule,
    /// Prefix of the names of its functions.
    pub(super) name: String,
    /// How each parameter is encoded.
    pub(super) encodings: Vec<Encoding>,
}

impl Layer<'_> {
    /// `f32` lanes of a vector.
    pub(super) fn lanes(&self) -> u32 {
        self.machine().lanes
    }

    /// The processor that code is for.
    pub(super) fn machine(&self) -> &Machine {
        &self.target.machine
    }
}

/// Arguments of a layer function, in order. Pointers to tables of pointers belong to the call at hand.
#[derive(Clone, Copy)]
pub(super) struct Args {
    /// Table of the call's parameters.
    pub(super) params: Val,
    /// The call's part of the arena of load-time constants.
    pub(super) constants: Val,
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
    /// Types of the arguments. The table of streams is on the stack of the step, or, where weights are loaded, none at all.
    pub(super) const TYPES: [Ty; 12] = [
        Ty::GLOBAL,
        Ty::GLOBAL,
        Ty::GLOBAL,
        Ty::GENERIC,
        Ty::GLOBAL,
        Ty::SCRATCH,
        Ty::GLOBAL,
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
            constants: f.param(1),
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

    /// The team that runs the function.
    pub(super) fn team(&self) -> Team {
        Team {
            tid: self.tid,
            threads: self.threads,
        }
    }

    /// As arguments of a call.
    pub(super) fn list(&self) -> [Val; 12] {
        [
            self.params,
            self.constants,
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

/// Something that begins at an address of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Base {
    Buffer(BufferId),
    Param(usize),
    Input(usize),
    State(usize),
}

/// Where everything is: addresses that the function being written has needed so far.
struct Bases<'a> {
    layout: &'a Layout,
    /// At load time there are parameters and derived buffers only.
    load: bool,
    found: RefCell<HashMap<Base, Val>>,
}

/// Most nests or kernels that stand in one function. Code generation takes more than linear time, and memory, in the length of
/// a function: what is longer is written as several that are called one after another.
pub(super) const PART: usize = 64;

/// Functions that are parts of a longer one.
#[derive(Clone)]
struct Parts {
    /// Name of the whole.
    name: String,
    written: Rc<RefCell<Vec<Func>>>,
    count: Rc<Cell<usize>>,
}

/// A layer function being written.
pub(super) struct Cx<'a> {
    pub(super) layer: &'a Layer<'a>,
    pub(super) args: Args,
    bases: Bases<'a>,
    /// Bytes of the arena of load-time constants' buffers: what kernels prepare lies behind them.
    pub(super) prepared: usize,
    parts: Parts,
}

/// A row of reals in memory.
#[derive(Clone, Copy)]
pub(super) struct RowAt {
    /// Row of the first token.
    pub(super) base: Val,
    /// Entries from one token's row to the next one's; 0: the same for all tokens.
    pub(super) stride: i64,
}

/// Writes some of a list of things, with the numbers that it needs.
type Body<'b, T> = dyn FnMut(&Cx<'_>, &mut Func, &[T], &[Val]) + 'b;

impl<'a> Cx<'a> {
    /// For the function `name` of one token or a chunk, or with `load` for the load-time stage.
    pub(super) fn new(f: &Func, name: &str, layer: &'a Layer<'a>, layout: &'a Layout, load: bool) -> Cx<'a> {
        let parts = Parts {
            name: name.to_owned(),
            written: Rc::default(),
            count: Rc::default(),
        };
        Cx::of(f, layer, layout, load, parts)
    }

    fn of(f: &Func, layer: &'a Layer<'a>, layout: &'a Layout, load: bool, parts: Parts) -> Cx<'a> {
        Cx {
            layer,
            args: Args::of(f),
            bases: Bases {
                layout,
                load,
                found: RefCell::default(),
            },
            prepared: layout.constants,
            parts,
        }
    }

    /// Writes a part of the function at hand as one of its own, which gets these numbers beside the arguments.
    pub(super) fn outline(&self, f: &mut Func, numbers: &[Val], body: impl FnOnce(&Cx<'_>, &mut Func, &[Val])) {
        let number = self.parts.count.get();
        self.parts.count.set(number + 1);
        let name = format!("{}_part{number}", self.parts.name);
        let types = [&Args::TYPES[..], &vec![Ty::I64; numbers.len()]].concat();
        let mut part = Func::new(&name, &types, None);
        let cx = Cx::of(
            &part,
            self.layer,
            self.bases.layout,
            self.bases.load,
            self.parts.clone(),
        );
        let own = part.params()[Args::TYPES.len()..].to_vec();
        body(&cx, &mut part, &own);
        f.call(&name, &[&self.args.list()[..], numbers].concat(), None);
        self.parts.written.borrow_mut().push(part);
    }

    /// Writes a list of things one after another; a long one as several functions, see [`PART`]. `numbers` are what `body` needs of
    /// the function at hand beside its arguments; it gets them, or what they are in its part.
    pub(super) fn in_parts<T>(&self, f: &mut Func, list: &[T], numbers: &[Val], body: &mut Body<'_, T>) {
        if list.len() <= PART {
            return body(self, f, list, numbers);
        }
        for part in list.chunks(PART) {
            self.outline(f, numbers, |cx, f, numbers| body(cx, f, part, numbers));
        }
    }

    /// Adds the parts that were written.
    pub(super) fn add_parts(self, module: &mut Module) {
        self.parts.written.take().into_iter().for_each(|part| module.add(part));
    }

    pub(super) fn lanes(&self) -> u32 {
        self.layer.lanes()
    }

    pub(super) fn plan(&self) -> &'a Plan {
        self.layer.plan
    }

    pub(super) fn graph(&self) -> &'a Graph {
        self.layer.graph
    }

    /// An address, computed at the start of the function.
    fn base(&self, f: &mut Func, base: Base) -> Val {
        if let Some(val) = self.bases.found.borrow().get(&base) {
            return *val;
        }
        let args = &self.args;
        let val = f.at_start(|f| match base {
            Base::Buffer(id) => self.address_of_buffer(f, id),
            Base::Param(n) => table_entry(f, args.params, n),
            Base::Input(n) => table_entry(f, args.streams, n),
            Base::State(n) => table_entry(f, args.states, n),
        });
        self.bases.found.borrow_mut().insert(base, val);
        val
    }

    fn address_of_buffer(&self, f: &mut Func, id: BufferId) -> Val {
        let (b, args) = (self.plan().buffer(id), &self.args);
        let load = self.bases.load;
        match (self.bases.layout.offsets[id.0], b.state, b.output) {
            (_, Some(s), _) if !load => table_entry(f, args.states, s.0 as usize),
            (_, None, Some(n)) if !load => table_entry(f, args.streams, self.layer.graph.inputs.len() + n),
            (Some(offset), ..) if b.extent == Extent::Constant => byte(f, args.constants, offset),
            (Some(offset), ..) if !load => byte(f, args.arena, offset),
            _ => unreachable!("{id:?} is not in memory at this stage"),
        }
    }

    /// Start of a buffer, its history included.
    pub(super) fn buffer_base(&self, f: &mut Func, id: BufferId) -> Val {
        self.base(f, Base::Buffer(id))
    }

    /// Start of state entry `n` of the layer.
    pub(super) fn state_base(&self, f: &mut Func, n: usize) -> Val {
        self.base(f, Base::State(n))
    }

    pub(super) fn param_base(&self, f: &mut Func, n: usize) -> Val {
        self.base(f, Base::Param(n))
    }

    pub(super) fn input_base(&self, f: &mut Func, n: usize) -> Val {
        self.base(f, Base::Input(n))
    }

    /// Start of row `token` of a buffer.
    pub(super) fn row(&self, f: &mut Func, id: BufferId, token: Val) -> Val {
        let b = self.plan().buffer(id);
        let base = self.buffer_base(f, id);
        if b.extent != Extent::PerToken {
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
            unreachable!("{v} has no row: the plan encodings what is read by rows")
        };
        let offset = f.i64(row.offset);
        if let Some(id) = self.plan().stored.get(&row.value) {
            let b = self.plan().buffer(*id);
            let zero = f.i64(0);
            let start = self.row(f, *id, zero);
            let stride = if b.extent == Extent::PerToken { b.len as i64 } else { 0 };
            return RowAt {
                base: f.gep(start, offset, Scalar::F32),
                stride,
            };
        }
        let (base, stride) = match self.graph().op(row.value).source() {
            Some(Source::Input(n)) => (self.input_base(f, n), self.graph().ty(row.value).len() as i64),
            Some(Source::Param(n)) => (self.param_base(f, n), 0),
            Some(Source::State(_)) | None => unreachable!("{} has no row", row.value),
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

/// Pointer `n` of a table: to memory that all threads see.
pub(super) fn table_entry(f: &mut Func, table: Val, n: usize) -> Val {
    pointer_in(f, table, n, Space::Global)
}

/// Pointer `n` of a table, into a space.
pub(super) fn pointer_in(f: &mut Func, table: Val, n: usize, space: Space) -> Val {
    let n = f.i64(n as i64);
    let p = f.gep(table, n, Scalar::I64);
    f.load(p, Ty::Ptr(space))
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
