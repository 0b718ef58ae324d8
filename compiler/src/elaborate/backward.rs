//! The other direction: `next`, `ahead` and `reverse`.
//!
//! A recurrence from the end of the sequence is one from its beginning over the reversed sequence. While a layer is elaborated
//! `next(h)` is a previous value and `ahead(x, k)` a delay, both noted as *backward*. When the graph is complete, all that
//! depends on itself through backward values becomes backward too, and values that go from one direction to the other are
//! reversed ([`seqc_ir::Op::Reverse`]), so that all forms of recurrences serve. Operations between the two directions that read
//! one token alone may be in either: what is reversed is least.

use super::{
    cut::{Network, UNCUT},
    cx::Cx,
    direction::Backward,
    val::{Tensor, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    source::Place,
};
use seqc_grammar::ast::{Expr, Span};
use seqc_ir::{BinaryOp, Elem, Graph, Op, Reads, Stage, StateId, Ty, Value};
use std::collections::{HashMap, HashSet};

/// Most values among which the least to reverse is looked for; of more, all between the directions stays forward.
const MAX_FREE: usize = 20_000;

impl Cx<'_> {
    /// `ahead(x, k)`: the value `k` tokens later, zeros behind the end.
    pub(super) fn ahead(&mut self, x: &Expr, k: &Expr, span: Span) -> Val {
        let val = self.expr(x);
        let Some(steps) = self.steps(k, "a number of tokens") else {
            return Val::Poison;
        };
        self.on_parts(val, span, |cx, part| match cx.tensor(&part, x.span) {
            Some(t) => cx.later(&t, steps, span),
            None => Val::Poison,
        })
    }

    /// The value `steps` tokens later. Booleans are kept as integers.
    pub(super) fn later(&mut self, t: &Tensor, steps: usize, span: Span) -> Val {
        if steps == 0 || self.is_load(t.v) {
            return Val::Tensor(t.clone());
        }
        if let Some(reported) = self.off_clock(t.v, span) {
            return reported;
        }
        let elem = self.elem(t);
        let t = self.cast(t, Elem::F32);
        let v = self.graph.delay(t.v, steps);
        let place = self.place(span);
        self.backward.values.insert(v, place);
        Val::Tensor(self.as_it_was(&Tensor { v, ..t }, elem))
    }

    /// `reverse(x)`: the stream from its end.
    pub(super) fn reversed(&mut self, x: &Expr, span: Span) -> Val {
        let val = self.expr(x);
        self.on_parts(val, span, |cx, part| {
            let Some(t) = cx.tensor(&part, x.span) else {
                return Val::Poison;
            };
            if cx.is_load(t.v) {
                return Val::Tensor(t);
            }
            if let Some(reported) = cx.off_clock(t.v, span) {
                return reported;
            }
            let v = mirrored(&mut cx.graph, t.v);
            Val::Tensor(Tensor { v, ..t })
        })
    }

    /// Reports a stream on a slower clock where one at every token is read from its end.
    pub(super) fn off_clock(&mut self, v: Value, span: Span) -> Option<Val> {
        self.clock(v)?;
        let place = self.place(span);
        let d = Diagnostic::new(
            "clock-mismatch",
            place,
            "what runs from the end of the sequence runs over all tokens",
        );
        Some(self.report(d.help("`hold(x)` gives a slower stream a value at every token")))
    }

    /// Whether this is the last token.
    pub(super) fn last_token(&mut self, span: Span) -> Val {
        let first = self.first_token();
        if let Val::Tensor(t) = &first {
            // The position itself counts from the end.
            let (position, place) = (self.graph.operands(t.v)[0], self.place(span));
            self.backward.values.insert(position, place);
        }
        first
    }

    /// Turns around what runs from the end; reports what would have to run in both directions.
    pub(super) fn turn(&mut self) {
        let live: HashSet<Value> = self.graph.live_order().into_iter().collect();
        self.check_directions(&live);
        if !self.diagnostics.is_empty() || !live.iter().any(|v| self.backward.values.contains_key(v)) {
            return;
        }
        let turned = Directions::new(&self.graph, &self.backward, &live).backward();
        turn(&mut self.graph, &self.backward, &turned, &live);
    }

    /// Reports values that read later tokens and depend on themselves, unless all of it is backward.
    fn check_directions(&mut self, live: &HashSet<Value>) {
        let cycles = self.graph.cycles();
        let cycle = |v: &Value| cycles.values.get(v.0 as usize).copied().flatten();
        let mut of_backward: Vec<(usize, Place)> = Vec::new();
        for (v, place) in &self.backward.values {
            of_backward.extend(cycle(v).map(|cycle| (cycle, *place)));
        }
        of_backward.sort_unstable_by_key(|(cycle, place)| (*cycle, place.file, place.span.start));
        of_backward.dedup_by_key(|(cycle, _)| *cycle);
        let backward = |v: &Value| self.backward.values.contains_key(v);
        let others = self
            .graph
            .values()
            .into_iter()
            .filter(|v| live.contains(v) && !backward(v));
        let mut found: HashMap<usize, Option<Place>> = HashMap::new();
        for v in others {
            let (Some(cycle), op) = (cycle(&v), self.graph.op(v)) else {
                continue;
            };
            let from_end = of_backward.iter().find(|(other, _)| *other == cycle);
            match from_end {
                Some((_, place)) if op.row().reads == Reads::Past => {
                    found.insert(cycle, Some(*place));
                }
                None if op.reads_later() => {
                    found.entry(cycle).or_insert(None);
                }
                Some(_) | None => {}
            }
        }
        let mut messages: Vec<Diagnostic> = Vec::new();
        for (cycle, place) in found {
            let of_state = || {
                let on_cycle = |id: &StateId| cycles.states[id.0 as usize] == Some(cycle);
                let infos = self.states.values().filter(|info| info.ids.iter().any(on_cycle));
                infos
                    .map(|info| info.place)
                    .min_by_key(|place| (place.file, place.span.start))
            };
            let place = place.or_else(of_state).unwrap_or(self.request.layer.place);
            let message = "this depends on itself at earlier and at later tokens";
            let d = Diagnostic::new("both-directions", place, message);
            messages.push(d.help(
                "a recurrence runs in one direction; compute one for each and combine them: `f = a * prev(f) + x`, `b = a * next(b) + x`, `f + b`",
            ));
        }
        self.diagnostics.extend(messages);
    }
}

/// The direction of each value.
struct Directions<'a> {
    graph: &'a Graph,
    marks: &'a Backward,
    /// Values for tokens that results need.
    values: Vec<Value>,
    /// Those that cannot run forward.
    fixed: HashSet<Value>,
}

impl<'a> Directions<'a> {
    fn new(graph: &'a Graph, marks: &'a Backward, live: &HashSet<Value>) -> Directions<'a> {
        let (stages, cycles) = (graph.stages(), graph.cycles());
        let of_token = |v: &Value| live.contains(v) && stages[v.0 as usize] == Stage::Token;
        let values: Vec<Value> = graph.values().into_iter().filter(of_token).collect();
        let cycle = |v: &Value| cycles.values[v.0 as usize];
        let turned: HashSet<usize> = marks.values.keys().filter_map(cycle).collect();
        let looped = |v: &&Value| cycle(v).is_some_and(|cycle| turned.contains(&cycle));
        let fixed = values
            .iter()
            .filter(looped)
            .chain(marks.values.keys())
            .copied()
            .collect();
        Directions {
            graph,
            marks,
            values,
            fixed,
        }
    }

    /// The values that run backward so that the fewest numbers are reversed.
    fn backward(self) -> HashSet<Value> {
        if self.values.len() > MAX_FREE {
            return self.fixed;
        }
        // Of each value: itself, and a point behind which it is read forward or backward only at the price of its reversal.
        let number: HashMap<Value, usize> = self.values.iter().enumerate().map(|(n, v)| (*v, 3 * n + 2)).collect();
        let (forward, backward) = (0, 1);
        let mut net = Network::new(3 * self.values.len() + 2);
        for v in &self.values {
            let (at, price) = (number[v], self.graph.ty(*v).len() as u64);
            net.connect(at, at + 1, price);
            net.connect(at + 2, at, price);
            if self.fixed.contains(v) {
                net.connect(at, backward, UNCUT);
            } else if self.graph.op(*v).row().reads != Reads::Operands {
                net.connect(forward, at, UNCUT);
            }
            for user in self.graph.users(*v) {
                if let Some(user) = number.get(&user) {
                    net.connect(at + 1, *user, UNCUT);
                    net.connect(*user, at + 2, UNCUT);
                }
            }
        }
        let mut read = |v: Value, later: bool| {
            if let Some(at) = number.get(&v) {
                match later {
                    true => net.connect(at + 1, backward, UNCUT),
                    false => net.connect(forward, at + 2, UNCUT),
                }
            }
        };
        self.graph.outputs.iter().for_each(|(_, v)| read(*v, false));
        for (n, state) in self.graph.states.iter().enumerate() {
            let later = self.marks.states.contains(&StateId(n as u32));
            state.next.into_iter().for_each(|next| read(next, later));
        }
        let side = net.sink_side(forward, backward);
        self.values.into_iter().filter(|v| side[number[v]]).collect()
    }
}

/// Reverses what is read in the other direction.
fn turn(graph: &mut Graph, marks: &Backward, backward: &HashSet<Value>, live: &HashSet<Value>) {
    let stages = graph.stages();
    let mut reversed: HashMap<Value, Value> = HashMap::new();
    let mut seen = |graph: &mut Graph, v: Value, later: bool| {
        let known = stages[v.0 as usize] == Stage::Load || backward.contains(&v) == later;
        match known {
            true => v,
            false => *reversed.entry(v).or_insert_with(|| mirrored(graph, v)),
        }
    };
    let values = graph.values().into_iter().filter(|v| live.contains(v));
    for v in values.collect::<Vec<_>>() {
        let later = backward.contains(&v);
        for (slot, operand) in graph.operands(v).into_iter().enumerate() {
            let new = seen(graph, operand, later);
            if new != operand {
                graph.set_operand(v, slot, new);
            }
        }
    }
    for n in 0..graph.outputs.len() {
        graph.outputs[n].1 = seen(graph, graph.outputs[n].1, false);
    }
    for n in 0..graph.states.len() {
        let later = marks.states.contains(&StateId(n as u32));
        // A state that nothing reads is left out.
        if let Some(next) = graph.states[n].next.filter(|next| live.contains(next)) {
            graph.states[n].next = Some(seen(graph, next, later));
        }
    }
}

/// A stream from its end; what is not real goes through reals, exact up to 2^24.
fn mirrored(graph: &mut Graph, v: Value) -> Value {
    let ty = graph.ty(v).clone();
    let as_real = Ty::new(Elem::F32, ty.dims.clone());
    if ty.elem == Elem::F32 {
        return graph.reverse(v);
    }
    let real = graph.add(Op::Cast, as_real.clone(), &[v]);
    let real = graph.reverse(real);
    match ty.elem {
        Elem::Bool => {
            let zero = graph.constant(0.0, as_real);
            graph.binary(BinaryOp::Ne, real, zero)
        }
        Elem::F32 | Elem::I64 => graph.add(Op::Cast, ty, &[real]),
    }
}
