//! Slower clocks: streams that exist at some tokens only.
//!
//! A stream on a clock is computed at every token; where the clock does not tick its value means nothing and is never seen:
//! what remembers it keeps what it had, attention leaves such tokens out, `merge` and `hold` lead back. So a clock is
//! a part of the type of nodes while a layer is elaborated: that of `when`, `merge`, `hold`, `attend` and of what recurrences
//! remember is stated, all others have the clock of their operands. A node whose clock is stated is therefore never looked
//! through, as `Cx::view` does with other views.

use super::{
    clocks::ClockName,
    cx::{Binding, Cx},
    val::{Tensor, Val},
};
use crate::diag::{Diagnostic, Placed};
use seqc_grammar::ast::Span;
use seqc_ir::{BinaryOp, Elem, Graph, IndexExpr, Ty, Value};

/// Longest look back on a slower clock, in ticks: each is a state.
pub(super) const MAX_STEPS: usize = 64;

impl Cx<'_> {
    /// The clock of a value: the condition of its `when`.
    pub(super) fn clock(&mut self, v: Value) -> Option<Value> {
        for n in self.clocks.of.len() as u32..=v.0 {
            let node = Value(n);
            let clock = match self.clocks.stated.get(&node) {
                Some(clock) => *clock,
                None => {
                    let operands = self.graph.operands(node);
                    let mut clocks = operands.iter().filter_map(|o| self.clocks.of[o.0 as usize]);
                    let first = clocks.next();
                    if clocks.any(|c| Some(c) != first) {
                        self.clocks.clash = true;
                    }
                    let apart = |o: &Value| self.clocks.of[o.0 as usize] != first && self.clocks.of_token[o.0 as usize];
                    if first.is_some() && first == self.clocks.memory && operands.iter().any(apart) {
                        self.clocks.joins_memory = true;
                    }
                    first
                }
            };
            let of_token = self.depends_on_token(node, clock);
            self.clocks.of.push(clock);
            self.clocks.of_token.push(of_token);
        }
        self.clocks.of[v.0 as usize]
    }

    /// The clock of whatever a value is.
    pub(super) fn clock_of(&mut self, val: &Val) -> Option<Value> {
        match val {
            Val::Tensor(t) => self.clock(t.v),
            Val::Complex(z) => self.clock(z.re.v).or_else(|| self.clock(z.im.v)),
            _ => None,
        }
    }

    /// Puts a value on a clock, whatever its operands are on.
    pub(super) fn pin(&mut self, v: Value, clock: Option<Value>) -> Value {
        self.clocks.stated.insert(v, clock);
        // Clocks that follow from this one are found anew.
        self.clocks.of.truncate(v.0 as usize);
        self.clocks.of_token.truncate(v.0 as usize);
        v
    }

    /// Whether a value is on a clock that its operands are not on.
    pub(super) fn is_pinned(&self, v: Value) -> bool {
        self.clocks.stated.contains_key(&v)
    }

    /// Reports an expression that joins streams of two clocks.
    pub(super) fn check_clocks(&mut self, val: Val, span: Span) -> Val {
        self.clock_of(&val);
        if std::mem::take(&mut self.clocks.joins_memory) {
            self.clocks.clash = false;
            let place = self.place(span);
            return self.joined_with_memory(place);
        }
        if !std::mem::take(&mut self.clocks.clash) {
            return val;
        }
        let place = self.place(span);
        let d = Diagnostic::new("clock-mismatch", place, "this joins streams of different clocks");
        self.report(d.help("lead one of them back to every token first: `hold(x)`, `merge(c, x, 0)`; a clock is the condition of its `when`: name it once and use the name"))
    }

    /// A node of its own with the same value.
    pub(super) fn same(&mut self, v: Value) -> Value {
        let dims = self.graph.ty(v).dims.clone();
        let map = (0..dims.len()).map(IndexExpr::Axis).collect();
        self.graph.view(v, dims, map)
    }

    /// A state for values like this one, and what it was one token ago.
    pub(super) fn memory(&mut self, like: &Tensor) -> (seqc_ir::StateId, Value) {
        let ty = Ty::new(Elem::F32, self.graph.ty(like.v).dims.clone());
        let node = self.graph.node(like.v).name.clone();
        let prefix = self.frame().prefix.clone();
        let base = if node.is_empty() { "held".to_owned() } else { node };
        let mut name = format!("{prefix}{base}");
        while self.graph.states.iter().any(|s| s.name == name) {
            name.push('_');
        }
        let id = self.graph.add_state(name, ty);
        (id, self.graph.prev(id))
    }

    /// A remembered value, which is real, as what it was.
    pub(super) fn as_it_was(&mut self, t: &Tensor, elem: Elem) -> Tensor {
        match elem {
            Elem::Bool => {
                let zero = self.graph.constant(0.0, self.graph.ty(t.v).clone());
                let v = self.graph.binary(BinaryOp::Ne, t.v, zero);
                Tensor { v, ..t.clone() }
            }
            elem => self.cast(t, elem),
        }
    }

    /// The value `steps` ticks ago of a stream on a slower clock, at its own ticks.
    pub(super) fn delayed_on_clock(&mut self, t: &Tensor, clock: Value, steps: usize, span: Span) -> Val {
        if steps > MAX_STEPS {
            let message = format!("on a slower clock `delay` reaches up to {MAX_STEPS} ticks back, not {steps}");
            return self.error("too-large", span, message);
        }
        let elem = self.elem(t);
        let mut current = self.cast(t, Elem::F32);
        for _ in 0..steps {
            let (id, before) = self.memory(&current);
            let before = Tensor {
                v: before,
                ..current.clone()
            };
            let condition = Val::Tensor(Tensor::plain(clock)).at(span);
            let parts = [current, before.clone()].map(|t| Val::Tensor(t).at(span));
            let [now, kept] = parts;
            let Val::Tensor(next) = self.select(condition, now, kept, span) else {
                return Val::Poison;
            };
            self.graph.set_next(id, next.v);
            let v = self.same(before.v);
            current = Tensor {
                v: self.pin(v, Some(clock)),
                ..before
            };
        }
        Val::Tensor(self.as_it_was(&current, elem))
    }

    /// Both parts of a complex number on the clock of either.
    pub(super) fn on_one_clock(&mut self, parts: [Tensor; 2]) -> [Tensor; 2] {
        let clocks = parts.each_ref().map(|t| self.clock(t.v));
        let Some(clock) = clocks[0].or(clocks[1]) else {
            return parts;
        };
        if clocks.iter().flatten().any(|c| *c != clock) {
            self.clocks.clash = true;
        }
        let mut both = parts;
        for (t, own) in both.iter_mut().zip(clocks) {
            if own.is_none() {
                let v = self.same(t.v);
                t.v = self.pin(v, Some(clock));
            }
        }
        both
    }

    /// The name of a clock that a recurrence is on.
    pub(super) fn name_of_clock(&mut self, clock: Value, span: Span) -> Option<ClockName> {
        if self.is_memory(clock) {
            return Some(ClockName::Memory);
        }
        if let Some((size, _)) = self.clocks.every.iter().find(|(_, v)| **v == clock) {
            return Some(ClockName::Every(*size));
        }
        let is_it = |b: &Binding| matches!(b, Binding::Value(Val::Tensor(t)) if t.v == clock);
        // A function may be called with a stream that is on its caller's clock.
        for frame in self.frames.iter().rev() {
            let named = frame.names.iter().filter(|(_, bound)| is_it(&bound.binding));
            if let Some((name, _)) = named.min_by_key(|(_, bound)| bound.place.span.start) {
                return Some(ClockName::Name(frame.path, name.clone()));
            }
        }
        let place = self.place(span);
        let d = Diagnostic::new("clock-mismatch", place, "the clock of this recurrence has no name here");
        self.report(d.help("name its condition above: `on = …`, then `x when on`; a function takes it as an argument"));
        None
    }

    /// The condition of a recurrence's clock, which stands above the recurrence.
    pub(super) fn named_clock(&mut self, name: &ClockName, span: Span) -> Option<Value> {
        match name {
            ClockName::Every(size) => Some(self.every_segment(*size)),
            ClockName::Memory => self.clocks.memory,
            ClockName::Name(path, name) => {
                let frame = self.frames.iter().rev().find(|f| f.path == *path);
                let bound = frame.and_then(|f| f.names.get(name)).cloned()?;
                match bound.binding {
                    Binding::Value(Val::Tensor(t)) => return Some(t.v),
                    Binding::Value(Val::Poison) => return None,
                    _ => {}
                }
                let place = self.place(span);
                let message = format!("this recurrence is on the clock `{name}`, which is defined below");
                let d = Diagnostic::new("clock-mismatch", place, message).note(bound.place, "defined here");
                self.report(d.help("define the condition above"));
                None
            }
        }
    }

    /// The state of a recurrence after this token: on a slower clock the new value at a tick, else the previous one.
    pub(super) fn next_on_clock(&mut self, t: &Tensor, kept: &Val, span: Span) -> Value {
        let Some(clock) = self.clock(t.v) else {
            return t.v;
        };
        let clock = Val::Tensor(Tensor::plain(clock)).at(span);
        match self.select(clock, Val::Tensor(t.clone()).at(span), kept.clone().at(span), span) {
            Val::Tensor(next) => next.v,
            _ => t.v,
        }
    }

    /// The condition of `every`, the same one for the same size.
    pub(super) fn every_segment(&mut self, size: usize) -> Value {
        if let Some(v) = self.clocks.every.get(&size) {
            return *v;
        }
        let v = last_of_segment(&mut self.graph, size);
        self.clocks.every.insert(size, v);
        v
    }

    /// True at the first tick of a clock.
    pub(super) fn first_tick(&mut self, clock: Value) -> Val {
        if let Some(first) = self.clocks.first.get(&clock) {
            return Val::Tensor(Tensor::plain(*first));
        }
        let on = self.cast(&Tensor::plain(clock), Elem::F32);
        let (id, before) = self.memory(&on);
        let next = self.graph.binary(BinaryOp::Max, before, on.v);
        self.graph.set_next(id, next);
        let zero = self.graph.constant(0.0, Ty::scalar(Elem::F32));
        let first = self.graph.binary(BinaryOp::Eq, before, zero);
        self.clocks.first.insert(clock, first);
        Val::Tensor(Tensor::plain(first))
    }
}

/// Whether a token is the last one of a segment of so many.
pub(crate) fn last_of_segment(graph: &mut Graph, size: usize) -> Value {
    let int = Ty::scalar(Elem::I64);
    let position = graph.position();
    let (length, last) = (
        graph.constant(size as f64, int.clone()),
        graph.constant(size as f64 - 1.0, int),
    );
    let place = graph.binary(BinaryOp::Mod, position, length);
    graph.binary(BinaryOp::Eq, place, last)
}
