//! Attention: keys and values of the chunk are appended to the cache, then every query attends to it.

use super::{
    address::{byte, load_word},
    cx::{Cx, Layer, Scope},
    slots::{self, Source},
    tokens::{Tokens, on_first_thread},
};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, Team, Ty, Val},
    kernels::Attend,
};
use seqc_abi::frame::rows;
use seqc_ir::{Clock, Value};

/// Adds the kernels that the attentions of a layer call.
pub(super) fn prepare(layer: &Layer<'_>, module: &mut Module) {
    for (_, kernel) in &layer.schedule.attentions {
        if let Some(governed) = kernel.governed() {
            module.declare(seqc_abi::symbols::BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64], None);
            governed.add(module);
            continue;
        }
        kernel.append(module);
        kernel.attend_split(module);
        if kernel.spec.key_streams > 0 {
            kernel.append_stream(module);
        }
        if kernel.spec.clock.has_ticks() {
            kernel.ticks(module);
        }
        if kernel.spec.clock == Clock::Both {
            kernel.inactive_results(module);
        }
    }
}

/// An attention being written.
pub(super) struct Attention<'c, 'a> {
    pub(super) cx: &'c Cx<'a>,
    v: Value,
    pub(super) kernel: &'c Attend,
    operands: Vec<Value>,
    /// Number of its first state entry.
    pub(super) first: usize,
    /// First token, and how many.
    pub(super) token: Val,
    pub(super) count: Val,
    /// Position of the first key, and how many keys are new; of a memory that of the first query, and how many keys there are.
    pub(super) position: Val,
    keys: Val,
    /// Which tokens tick, unless all do.
    list: Option<Val>,
    /// The team, numbered by whose turn it is when the heads of earlier segments have been dealt out, as if each were of one token:
    /// a few heads of each keep all threads busy.
    pub(super) turn: Team,
    /// Segments between two barriers.
    segments: Val,
}

/// Writes one attention: the keys of all segments, then their queries.
pub(super) fn attend(cx: &Cx<'_>, f: &mut Func, v: Value, tokens: Tokens) {
    let together = cx.scope() == Scope::Rows;
    let each = |f: &mut Func, write: fn(&Attention<'_, '_>, &mut Func)| {
        cx.for_segments(f, false, |cx, f| write(&Attention::new(cx, f, v, tokens, together), f));
    };
    let clock = cx.layer.schedule.attention(v).spec.clock;
    if clock != Clock::Memory {
        each(f, |attention, f| attention.append_unless_shared(f));
    }
    cx.barrier(f);
    each(f, |attention, f| attention.run(f));
    if clock.has_ticks() {
        cx.barrier(f);
        // Others would read the number while it is written.
        on_first_thread(cx, f, |f| each(f, |attention, f| attention.remember_ticks(f)));
    }
}

/// The attentions of a layer to the memory.
pub(super) fn to_memory(layer: &Layer<'_>) -> impl Iterator<Item = Value> {
    let of_memory = layer.schedule.attentions.iter();
    of_memory
        .filter(|(_, kernel)| kernel.spec.clock == Clock::Memory)
        .map(|(v, _)| *v)
}

/// Writes what fills the caches of a layer's attentions to the memory: the rows are those of the step, all that there are.
pub(super) fn remember(cx: &Cx<'_>, f: &mut Func) {
    for v in to_memory(cx.layer) {
        cx.for_segments(f, false, |cx, f| {
            let mut attention = Attention::new(cx, f, v, Tokens::All, true);
            (attention.position, attention.keys) = (f.i64(0), attention.count);
            attention.append(f);
            attention.remember_ticks(f);
        });
    }
}

impl<'c, 'a> Attention<'c, 'a> {
    /// In the rows of a segment; `together` with the other segments of the step, or alone between barriers.
    pub(super) fn new(cx: &'c Cx<'a>, f: &mut Func, v: Value, tokens: Tokens, together: bool) -> Attention<'c, 'a> {
        let (token, count) = match tokens {
            Tokens::All => (cx.args.first, cx.args.count),
            Tokens::One(t) => (t, f.i64(1)),
        };
        let kernel = cx.layer.schedule.attention(v);
        let team = cx.args.team();
        let (turn, segments) = if together {
            let groups = f.i64(kernel.groups as i64);
            let dealt = f.mul(cx.args.segment, groups);
            (f.after(team, dealt), load_word(f, cx.args.rows, rows::SEGMENTS))
        } else {
            (team, f.i64(1))
        };
        let mut attention = Attention {
            cx,
            v,
            kernel,
            operands: cx.graph().operands(v),
            first: slots::index_of(cx.layer, |s| matches!(s, Source::Cache(w, 0) if *w == v)),
            token,
            count,
            position: f.add(cx.args.position, token),
            keys: count,
            list: None,
            turn,
            segments,
        };
        attention.count_ticks(f);
        attention
    }
}

impl Attention<'_, '_> {
    pub(super) fn name(&self, part: &str) -> String {
        format!("{}_{part}", self.kernel.name)
    }

    /// Row of the first token, and the row stride.
    pub(super) fn row(&self, f: &mut Func, operand: usize) -> (Val, Val) {
        row(self.cx, f, self.operands[operand], self.token)
    }

    /// With a clock: finds the tokens that tick. Every thread does it for itself. Of a memory: how many rows there are.
    fn count_ticks(&mut self, f: &mut Func) {
        if self.kernel.spec.clock == Clock::Memory {
            let count = self.cx.state_base(f, self.first);
            self.keys = f.load(count, Ty::I64);
        }
        let Some(on) = self.kernel.spec.on() else { return };
        let (start, stride) = self.row(f, on);
        let bytes = f.i64(self.kernel.scratch_bytes() as i64);
        let mine = f.mul(self.cx.args.tid, bytes);
        let mine = f.gep(self.cx.args.scratch, mine, Scalar::I8);
        let list = byte(f, mine, self.kernel.list_offset());
        let ticks = f.call(&self.name("ticks"), &[start, stride, self.count, list], Some(Ty::I64));
        let count = self.cx.state_base(f, self.first);
        self.position = f.load(count, Ty::I64);
        self.keys = ticks.unwrap_or(self.count);
        self.list = Some(list);
    }

    /// With a clock, when all threads have read how many ticks there were.
    fn remember_ticks(&self, f: &mut Func) {
        on_first_thread(self.cx, f, |f| {
            let ticks = f.add(self.position, self.keys);
            let count = self.cx.state_base(f, self.first);
            f.store(ticks, count);
        });
    }

    fn pages(&self, f: &mut Func) -> (Val, Val) {
        let keys = self.first + self.kernel.keys_entry();
        let values = if self.kernel.keeps_values() { keys + 1 } else { keys };
        (self.cx.state_base(f, keys), self.cx.state_base(f, values))
    }

    fn stream_pages(&self, f: &mut Func, n: usize) -> Val {
        self.cx.state_base(f, self.first + self.kernel.streams_entry() + n)
    }

    /// The new keys go into the cache, unless another call's cache, which is read here, has them already.
    fn append_unless_shared(&self, f: &mut Func) {
        if !self.cx.layer.readers.contains(&self.v) {
            return self.append(f);
        }
        let reads = self.reads_another(f);
        let own = f.not(reads);
        f.if_then(own, |f| self.append(f));
    }

    /// Whether another call's cache is read, which has the new keys already.
    pub(super) fn reads_another(&self, f: &mut Func) -> Val {
        let Some(n) = self.cx.layer.readers.iter().position(|reader| *reader == self.v) else {
            return f.i1(false);
        };
        let (bit, zero) = (f.i64(1_i64 << n), f.i64(0));
        let bit = f.and(self.cx.args.shared, bit);
        f.cmp(Cmp::Ne, bit, zero)
    }

    fn append(&self, f: &mut Func) {
        let k = self.row(f, 1);
        let v = if self.kernel.spec.has_values() {
            self.row(f, 2)
        } else {
            k
        };
        let (keys, values) = self.pages(f);
        let mut list = vec![k.0, k.1, v.0, v.1, keys, values];
        list.extend([self.position, self.keys, self.turn.tid, self.turn.threads]);
        list.extend(self.list);
        f.call(&self.name("append"), &list, None);
        let streams = self.kernel.spec.key_operands();
        if streams.is_empty() {
            return;
        }
        on_first_thread(self.cx, f, |f| {
            for (n, operand) in streams.enumerate() {
                let (s, stride) = self.row(f, operand);
                let width = f.i64(self.kernel.key_widths[n] as i64);
                let mut list = vec![s, stride, self.stream_pages(f, n), self.position, self.keys, width];
                list.extend(self.list);
                f.call(&self.name("append_stream"), &list, None);
            }
        });
    }

    /// Row of the first result, and the row stride.
    pub(super) fn results(&self, f: &mut Func) -> (Val, Val) {
        let out = self.cx.plan().stored[&self.v];
        let stride = f.i64(self.cx.plan().buffer(out).len as i64);
        (self.cx.row(f, out, self.token), stride)
    }

    /// The queries look through the cache.
    fn run(&self, f: &mut Func) {
        let args = &self.cx.args;
        let (q, (keys, values)) = (self.row(f, 0), self.pages(f));
        let table = self.table(f);
        let (out, out_stride) = self.results(f);
        let both = self.kernel.spec.clock == Clock::Both;
        let count = if both { self.keys } else { self.count };
        let mut list = vec![q.0, q.1, out, out_stride, keys, values, table, self.position, count];
        list.extend([args.scratch, args.tid, args.threads]);
        list.extend([args.barrier, self.turn.tid, self.segments]);
        f.call(&self.name("attend_split"), &list, None);
        if let Some(on) = self.kernel.spec.on().filter(|_| both) {
            let (on, stride) = self.row(f, on);
            let list = [out, out_stride, on, stride, self.count, args.tid, args.threads];
            f.call(&self.name("inactive_results"), &list, None);
        }
    }

    /// Pages of the key streams, then row and stride of each query stream, then the tables, then what the clock needs.
    fn table(&self, f: &mut Func) -> Val {
        let spec = &self.kernel.spec;
        let mut slots: Vec<Val> = (0..spec.key_streams).map(|n| self.stream_pages(f, n)).collect();
        for operand in spec.query_operands() {
            let (start, stride) = self.row(f, operand);
            slots.extend([start, stride]);
        }
        for operand in spec.table_operands() {
            slots.push(self.row(f, operand).0);
        }
        if let Some(list) = self.list {
            slots.extend([list, f.add(self.position, self.keys)]);
        } else if spec.clock == Clock::Memory {
            slots.extend([f.i64(0), self.keys]);
        }
        stack_table(f, slots)
    }
}

/// A table of 64-bit slots on the stack.
pub(super) fn stack_table(f: &mut Func, slots: Vec<Val>) -> Val {
    let table = f.stack(slots.len());
    for (n, slot) in slots.into_iter().enumerate() {
        let n = f.i64(n as i64);
        let p = f.gep(table, n, Scalar::I64);
        f.store(slot, p);
    }
    table
}

/// Row of the first token, and the row stride.
fn row(cx: &Cx<'_>, f: &mut Func, v: Value, token: Val) -> (Val, Val) {
    let rows = cx.rows_of(f, v);
    (rows.at(f, token), f.i64(rows.stride))
}
