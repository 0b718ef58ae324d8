//! The context of a layer function: the plan, the memory layout, and the arguments of the call.

use super::{
    address::{byte, load_word, scalar_of, table_entry},
    args::Args,
    frame::{RowRecord, SegmentRecord, prompt_of},
};
use crate::{
    kernel::{Func, Module, Scalar, Ty, Val},
    schedule::Schedule,
    targets::TargetInfo,
};
use seqc_abi::frame::rows;
use seqc_formats::Encoding;
use seqc_ir::{Graph, Op, Source, Value};
use seqc_passes::{
    machine::Machine,
    plan::{BufferId, Extent, Layout, Plan, row_of},
};
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

/// The segments of the current rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// A single row, or none at load time.
    Single,
    /// Rows of several segments, each given by the row's record.
    Rows,
    /// Rows of one segment.
    Segment,
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
    stage: Stage,
    found: RefCell<HashMap<Base, Val>>,
}

/// What the function being written is for.
#[derive(Clone, Copy)]
struct Stage {
    /// At load time there are parameters and derived buffers only.
    load: bool,
    scope: Scope,
}

/// Maximum number of nests or kernels in one function. Code generation takes more than linear time, and memory, in the length of
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
    /// The row that the code being written is at, where rows of several segments are.
    row: Cell<Option<(Val, RowRecord)>>,
    /// Bytes of the arena of load-time constants' buffers: data prepared by kernels follows them.
    pub(super) prepared: usize,
    parts: Parts,
}

/// A row of reals in memory.
#[derive(Clone, Copy)]
pub(super) struct RowAt {
    /// Row 0.
    pub(super) base: Val,
    /// Entries from one token's row to the next one's; 0: the same for all tokens.
    pub(super) stride: i64,
    /// Additional entries between the rows of consecutive segments.
    pub(super) gap: i64,
}

/// Writes some of a list of things, with the numbers that it needs.
type Body<'b, T> = dyn FnMut(&Cx<'_>, &mut Func, &[T], &[Val]) + 'b;

impl<'a> Cx<'a> {
    /// For the load-time function `name`.
    pub(super) fn load(f: &Func, name: &str, layer: &'a Layer<'a>, layout: &'a Layout) -> Cx<'a> {
        let stage = Stage {
            load: true,
            scope: Scope::Single,
        };
        Cx::of(f, layer, layout, stage, Parts::new(name))
    }

    /// For the function `name` of one token or of many rows.
    pub(super) fn step(f: &Func, name: &str, layer: &'a Layer<'a>, layout: &'a Layout, scope: Scope) -> Cx<'a> {
        Cx::of(f, layer, layout, Stage { load: false, scope }, Parts::new(name))
    }

    fn of(f: &Func, layer: &'a Layer<'a>, layout: &'a Layout, stage: Stage, parts: Parts) -> Cx<'a> {
        Cx {
            layer,
            args: Args::of(f),
            bases: Bases {
                layout,
                stage,
                found: RefCell::default(),
            },
            row: Cell::default(),
            prepared: layout.constants,
            parts,
        }
    }

    /// The segments of the current rows.
    pub(super) fn scope(&self) -> Scope {
        self.bases.stage.scope
    }

    /// Writes a part of the current function as a separate function, which takes these numbers in addition to the arguments.
    pub(super) fn outline(&self, f: &mut Func, numbers: &[Val], body: impl FnOnce(&Cx<'_>, &mut Func, &[Val])) {
        let name = self.part(self.bases.stage, numbers.len(), body);
        f.call(&name, &[&self.args.list()[..], numbers].concat(), None);
    }

    /// Writes a part of the current function as a separate function; returns its name.
    fn part(&self, stage: Stage, numbers: usize, body: impl FnOnce(&Cx<'_>, &mut Func, &[Val])) -> String {
        let number = self.parts.count.get();
        self.parts.count.set(number + 1);
        let name = format!("{}_part{number}", self.parts.name);
        let types = [&Args::TYPES[..], &vec![Ty::I64; numbers]].concat();
        let mut part = Func::new(&name, &types, None);
        let cx = Cx::of(&part, self.layer, self.bases.layout, stage, self.parts.clone());
        let own = part.params()[Args::TYPES.len()..].to_vec();
        body(&cx, &mut part, &own);
        self.parts.written.borrow_mut().push(part);
        name
    }

    /// Writes code that runs once for each segment of the step, in order. Where `meets`, there is a barrier after
    /// each.
    pub(super) fn for_segments(&self, f: &mut Func, meets: bool, body: impl FnOnce(&Cx<'_>, &mut Func)) {
        if self.scope() != Scope::Rows {
            return body(self, f);
        }
        let stage = Stage {
            load: false,
            scope: Scope::Segment,
        };
        let name = self.part(stage, 0, |cx, f, _| body(cx, f));
        let count = load_word(f, self.args.rows, rows::SEGMENTS);
        let table = table_entry(f, self.args.rows, rows::SEGMENT_TABLE);
        let zero = f.i64(0);
        f.for_each(zero, count, 1, |f, n| {
            let segment = SegmentRecord::load(f, table, n);
            let args = Args {
                states: f.gep(segment.states, self.args.first_state, Scalar::I64),
                position: f.sub(segment.position, segment.first),
                first: segment.first,
                count: segment.count,
                segment: n,
                ..self.args
            };
            f.call(&name, &args.list(), None);
            if meets {
                self.barrier(f);
            }
        });
    }

    /// Begins the code of row `t`: the needed fields of its record are loaded here, outside of all loops over entries.
    pub(super) fn at_row(&self, f: &mut Func, t: Val) {
        let graph = self.graph();
        let positions = || graph.values().into_iter().any(|v| *graph.op(v) == Op::Position);
        if self.scope() == Scope::Rows && (self.plan().padding() > 0 || positions()) {
            self.row.set(Some((t, RowRecord::load(f, self.args.table, t))));
        }
    }

    /// The record of row `t`.
    fn record_of(&self, f: &mut Func, t: Val) -> RowRecord {
        match self.row.get() {
            Some((at, record)) if at == t => record,
            _ => RowRecord::load(f, self.args.table, t),
        }
    }

    /// Position of row `t` in its sequence.
    pub(super) fn position(&self, f: &mut Func, t: Val) -> Val {
        match self.scope() {
            Scope::Rows => self.record_of(f, t).position,
            Scope::Single | Scope::Segment => f.add(self.args.position, t),
        }
    }

    /// Where the prompt of the current segment ends, [`seqc_abi::batch::Segment::prompt`]: loaded where it is asked for, so that code
    /// that does not depend on it does not load it. Not for code of rows of several segments.
    pub(super) fn prompt(&self, f: &mut Func) -> Val {
        assert!(
            self.scope() != Scope::Rows,
            "rows of several segments belong to several prompts"
        );
        let table = table_entry(f, self.args.rows, rows::SEGMENT_TABLE);
        prompt_of(f, table, self.args.segment)
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
        let load = self.bases.stage.load;
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
        self.delayed_row(f, id, token, 0)
    }

    /// Start of the row `delay` tokens before row `token` of a buffer. Rows of earlier tokens precede each segment.
    pub(super) fn delayed_row(&self, f: &mut Func, id: BufferId, token: Val, delay: usize) -> Val {
        let b = self.plan().buffer(id);
        let base = self.buffer_base(f, id);
        if b.extent != Extent::PerToken {
            return base;
        }
        let mut row = token;
        if delay > 0 {
            let delay = f.i64(delay as i64);
            row = f.sub(row, delay);
        }
        let (len, history) = (f.i64(b.len as i64), f.i64(b.history as i64));
        let mut at = f.add(row, history);
        let segment = match self.scope() {
            _ if b.history == 0 => None,
            Scope::Single => None,
            Scope::Segment => Some(self.args.segment),
            Scope::Rows => Some(self.record_of(f, token).segment),
        };
        if let Some(segment) = segment {
            let skip = f.mul(segment, history);
            at = f.add(at, skip);
        }
        let at = f.mul(at, len);
        f.gep(base, at, scalar_of(b.elem))
    }

    /// The rows of a buffer, one for each token.
    pub(super) fn rows(&self, f: &mut Func, id: BufferId) -> RowAt {
        let b = self.plan().buffer(id);
        if b.extent != Extent::PerToken {
            return RowAt {
                base: self.buffer_base(f, id),
                stride: 0,
                gap: 0,
            };
        }
        let (stride, gap) = (b.len as i64, (b.history * b.len) as i64);
        let base = match self.scope() {
            Scope::Rows => {
                let (base, history) = (self.buffer_base(f, id), f.i64(gap));
                f.gep(base, history, scalar_of(b.elem))
            }
            Scope::Single | Scope::Segment => {
                let zero = f.i64(0);
                self.row(f, id, zero)
            }
        };
        RowAt { base, stride, gap }
    }

    /// The rows that `v`, an operand of a product or of attention, is.
    pub(super) fn rows_of(&self, f: &mut Func, v: Value) -> RowAt {
        let found = row_of(self.graph(), &|at| self.plan().is_stored(at), v);
        let Some(row) = found else {
            unreachable!("{v} has no row: the plan encodings what is read by rows")
        };
        let offset = f.i64(row.offset);
        if let Some(id) = self.plan().stored.get(&row.value) {
            let rows = self.rows(f, *id);
            return RowAt {
                base: f.gep(rows.base, offset, Scalar::F32),
                ..rows
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
            gap: 0,
        }
    }

    /// The row of one token that `v`, an operand of a product, is.
    pub(super) fn row_of(&self, f: &mut Func, v: Value, token: Val) -> Val {
        let rows = self.rows_of(f, v);
        let row = rows.at(f, token);
        if rows.gap == 0 || self.scope() != Scope::Rows {
            return row;
        }
        let (segment, gap) = (self.record_of(f, token).segment, f.i64(rows.gap));
        let skip = f.mul(segment, gap);
        f.gep(row, skip, Scalar::F32)
    }

    /// A barrier for all threads.
    pub(super) fn barrier(&self, f: &mut Func) {
        f.call(
            seqc_abi::symbols::BARRIER,
            &[self.args.barrier, self.args.tid, self.args.threads],
            None,
        );
    }
}

impl Parts {
    fn new(name: &str) -> Parts {
        Parts {
            name: name.to_owned(),
            written: Rc::default(),
            count: Rc::default(),
        }
    }
}

impl RowAt {
    /// Row of one token of the current segment.
    pub(super) fn at(&self, f: &mut Func, token: Val) -> Val {
        if self.stride == 0 {
            return self.base;
        }
        let stride = f.i64(self.stride);
        let at = f.mul(token, stride);
        f.gep(self.base, at, Scalar::F32)
    }
}
