//! Recurrences: what `prev` and `next` read, and the shapes of what is remembered.
//!
//! A shape is taken from the annotation or from variables named after sizes. Failing that, the layer is elaborated with a
//! scalar that adapts to everything it meets ([`Tensor::unknown`]), and again with the shape that its definition then had.

use super::{
    cx::{Binding, Cx, StateInfo},
    dims::shown,
    direction::Way,
    val::{Complex, Operand, Tensor, Val},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
    source::Place,
};
use seqc_grammar::ast::{Expr, ExprKind, Ident, NamedArg, Span, Stmt, Target};
use seqc_ir::{BinaryOp, Dim, Elem, Op, StateId, Ty};
use std::collections::HashSet;

impl Cx<'_> {
    /// `prev(h; init = …, reset = …)`, and `next` likewise
    pub(super) fn remember(&mut self, way: Way, args: &[Expr], named: &[NamedArg], span: Span) -> Val {
        let function = way.name();
        let [arg] = args else {
            return self.error("wrong-arguments", span, format!("`{function}` takes one definition"));
        };
        let before = self.remembered(way, arg, span);
        let truth = match &before {
            Val::Tensor(t) => self.elem(t) == Elem::Bool,
            Val::Complex(_) => false,
            _ => return Val::Poison,
        };
        let zero = if truth { Known::Bool(false) } else { Known::Num(0.0) };
        let mut init = Val::Known(zero).at(span);
        let mut reset = None;
        for option in named {
            let value = self.operand(&option.value);
            if matches!(value.val, Val::Poison) {
                return Val::Poison;
            }
            match option.name.text.as_str() {
                "init" => init = value,
                "reset" => reset = Some(value),
                other => {
                    let place = self.place(option.name.span);
                    let d = Diagnostic::new(
                        "unknown-setting",
                        place,
                        format!("`{function}` has no option `{other}`"),
                    );
                    self.report(d.did_you_mean(other, ["init", "reset"]));
                }
            }
        }
        match self.starts(way, &init.val, reset, &before, span) {
            Some(condition) => self.select(condition, init, before.at(span), span),
            None => before,
        }
    }

    /// Where the initial value stands: at the first token, or tick, unless it is 0, and wherever `reset` holds; from the end, at the
    /// last token.
    fn starts(&mut self, way: Way, init: &Val, reset: Option<Operand>, before: &Val, span: Span) -> Option<Operand> {
        let first = (!self.is_zero(init)).then(|| match (self.clock_of(before), way) {
            (Some(clock), _) => self.first_tick(clock),
            (None, Way::Before) => self.first_token(),
            (None, Way::After) => self.last_token(span),
        });
        match (first, reset) {
            (Some(first), Some(reset)) => {
                let at = reset.span;
                Some(self.binary(BinaryOp::Or, first.at(span), reset, at).at(at))
            }
            (Some(first), None) => Some(first.at(span)),
            (None, Some(reset)) if matches!(reset.val, Val::Known(Known::Bool(false))) => None,
            (None, Some(reset)) => Some(reset),
            (None, None) => None,
        }
    }

    /// The value one token ago, zeros at the first token; or one token later, zeros at the last.
    fn remembered(&mut self, way: Way, arg: &Expr, span: Span) -> Val {
        if let ExprKind::Name(name) = &arg.kind
            && self.var(name).is_none()
            && let Some(bound) = self.frame().names.get(name).cloned()
            && let Binding::Pending(n) = bound.binding
        {
            return self.state(way, name, n, span);
        }
        let val = self.expr(arg);
        match &val {
            Val::Known(_) => {
                let place = self.place(arg.span);
                let d = Diagnostic::new("not-a-stream", place, "this is the same for all tokens");
                self.report(d.help(match way {
                    Way::Before => "`prev` reads a stream one token ago",
                    Way::After => "`next` reads a stream one token later",
                }))
            }
            _ => self.on_parts(val, span, |cx, part| match cx.tensor(&part, arg.span) {
                Some(t) => match way {
                    Way::Before => cx.delayed(&t, 1, span),
                    Way::After => cx.later(&t, 1, span),
                },
                None => Val::Poison,
            }),
        }
    }

    /// The value `steps` tokens ago. Booleans are kept as integers.
    pub(super) fn delayed(&mut self, t: &Tensor, steps: usize, span: Span) -> Val {
        if steps == 0 {
            return Val::Tensor(t.clone());
        }
        if let Some(clock) = self.clock(t.v) {
            return self.delayed_on_clock(t, clock, steps, span);
        }
        let truth = self.elem(t) == Elem::Bool;
        let t = if truth { self.cast(t, Elem::I64) } else { t.clone() };
        let mut v = self.graph.delay(t.v, steps);
        if truth {
            let zero = self.graph.constant(0.0, self.graph.ty(v).clone());
            v = self.graph.binary(BinaryOp::Ne, v, zero);
        }
        Val::Tensor(Tensor { v, ..t })
    }

    /// What to do where a boolean is wanted and this is a number.
    pub(super) fn truth_help(&self, val: &Val) -> &'static str {
        match val {
            Val::Tensor(t) if matches!(self.graph.op(t.v), Op::Prev(_)) => {
                "a definition that remembers itself is a real number, 1 for true: `prev(on) > 0`"
            }
            _ => "compare it: `x > 0`",
        }
    }

    /// The recurrence of a definition that is not complete.
    fn state(&mut self, way: Way, name: &str, stmt: usize, span: Span) -> Val {
        let (path, prefix) = (self.frame().path, self.frame().prefix.clone());
        let key = (path, name.to_owned());
        if let Some(info) = self.states.get(&key).cloned() {
            return match info.way == way {
                true => info.value,
                false => self.two_ways(name, way, info.place, span),
            };
        }
        let dims = self.declared(stmt).or_else(|| self.learnt.shapes.get(&key).cloned());
        let unknown = dims.is_none();
        let dims = dims.unwrap_or_default();
        if !self.check_dims(&dims, span) {
            return Val::Poison;
        }
        let full = self.state_name(format!("{prefix}{name}"));
        let complex = self.learnt.complex.contains(&key);
        let names = match complex {
            true => vec![format!("{full}.re"), format!("{full}.im")],
            false => vec![full],
        };
        let ids: Vec<StateId> = names
            .into_iter()
            .map(|name| self.graph.add_state(name, Ty::new(Elem::F32, dims.clone())))
            .collect();
        let clock = match self.learnt.clocks.get(&key).cloned() {
            Some(name) => match self.named_clock(&name, span) {
                Some(clock) => Some(clock),
                None => return Val::Poison,
            },
            None => None,
        };
        let mut parts = Vec::new();
        for id in &ids {
            let v = self.graph.prev(*id);
            if way == Way::After {
                let place = self.place(span);
                self.backward.values.insert(v, place);
                self.backward.states.insert(*id);
            }
            self.pin(v, clock);
            parts.push(Tensor {
                unknown,
                ..Tensor::plain(v)
            });
        }
        let value = match (parts.pop(), parts.pop()) {
            (Some(im), Some(re)) => Val::Complex(Box::new(Complex { re, im })),
            (Some(real), None) => Val::Tensor(real),
            _ => Val::Poison,
        };
        let place = self.place(span);
        self.states.insert(
            key.clone(),
            StateInfo {
                ids,
                value: value.clone(),
                way,
                unknown,
                place,
            },
        );
        if unknown {
            self.found.insert(key, None);
        }
        value
    }

    /// Reports a definition that remembers itself in both directions.
    fn two_ways(&mut self, name: &str, way: Way, before: Place, span: Span) -> Val {
        let place = self.place(span);
        let message = format!("`{name}` depends on itself at earlier and at later tokens");
        let d = Diagnostic::new("both-directions", place, message);
        let other = match way {
            Way::Before => Way::After,
            Way::After => Way::Before,
        };
        self.report(d.note(before, format!("`{}({name})` here", other.name())))
    }

    /// The name, numbered where another state of the layer has it.
    fn state_name(&mut self, name: String) -> String {
        let mut full = name.clone();
        while self.state_names.contains_key(&full) {
            let count = self.state_names.entry(name.clone()).or_insert(1);
            *count += 1;
            full = format!("{name}_{count}");
        }
        self.state_names.insert(full.clone(), 1);
        full
    }

    /// The shape that a definition states on its left side.
    fn declared(&mut self, stmt: usize) -> Option<Vec<Dim>> {
        let definition = self.frame().definition.clone();
        let Some(Stmt::Let { target, .. }) = definition.def.body.get(stmt) else {
            return None;
        };
        match target {
            Target::Name { shape: Some(shape), .. } => {
                self.quiet += 1;
                let vars = std::mem::take(&mut self.frame().vars);
                let whole = std::mem::replace(&mut self.whole, false);
                let dims = shape.dims.iter().map(|e| self.size(e)).collect();
                self.whole = whole;
                self.frame().vars = vars;
                self.quiet -= 1;
                dims
            }
            Target::Indexed { vars, .. } => vars
                .iter()
                .map(|v| {
                    let (known, _) = self.known_name(&v.text).filter(|_| !self.is_foreign(&v.text))?;
                    known
                        .size()
                        .filter(|s| *s > 0)
                        .map(|size| Dim::new(v.text.clone(), size))
                })
                .collect(),
            _ => None,
        }
    }

    /// Closes the recurrence of a definition that is now complete.
    pub(super) fn close_state(&mut self, name: &Ident, val: Val) -> Val {
        let key = (self.frame().path, name.text.clone());
        let Some(info) = self.states.get(&key).cloned() else {
            return val;
        };
        if matches!(val, Val::Poison) {
            return val;
        }
        let complex = info.ids.len() == 2;
        if let (Way::After, Val::Tensor(t)) = (info.way, &val)
            && let Some(reported) = self.off_clock(t.v, name.span)
        {
            return reported;
        }
        if let Some(clock) = self.clock_of(&val)
            && !self.learnt.clocks.contains_key(&key)
        {
            let Some(name) = self.name_of_clock(clock, name.span) else {
                return Val::Poison;
            };
            self.learnt.clocks.insert(key.clone(), name);
            self.found_kind = true;
        }
        let parts = match &val {
            Val::Complex(_) if !complex => {
                // The next pass remembers both parts.
                self.learnt.complex.insert(key.clone());
                self.found_kind = true;
                return val;
            }
            real if complex => ["re", "im"]
                .map(|part| self.part_of(part, real.clone().at(name.span), name.span))
                .to_vec(),
            real => vec![real.clone()],
        };
        let kept = match &info.value {
            Val::Complex(z) => vec![Val::Tensor(z.re.clone()), Val::Tensor(z.im.clone())],
            real => vec![real.clone()],
        };
        let mut closed = Vec::new();
        for ((id, part), kept) in info.ids.iter().zip(parts).zip(kept) {
            closed.push(self.close_part(name, *id, &info, part, &kept));
        }
        match (closed.pop(), closed.pop()) {
            (Some(im), Some(re)) => self.pair(re, im, name.span),
            (Some(real), None) => real,
            _ => Val::Poison,
        }
    }

    /// Closes one of the states of a recurrence.
    fn close_part(&mut self, name: &Ident, id: StateId, info: &StateInfo, val: Val, kept: &Val) -> Val {
        let key = (self.frame().path, name.text.clone());
        let dims = self.graph.states[id.0 as usize].ty.dims.clone();
        let Some(mut t) = self.real(&val, name.span) else {
            return Val::Poison;
        };
        if !t.vars.is_empty() {
            return self.error(
                "recurrence-per-index",
                name.span,
                "a recurrence inside a function that is called once per index",
            );
        }
        let found = self.dims(&t);
        if info.unknown {
            if !t.unknown {
                self.found.insert(key, Some(found));
            }
            return Val::Tensor(t);
        }
        if found.is_empty() && !dims.is_empty() && matches!(val, Val::Known(_)) {
            t = Tensor::plain(self.spread(&t, &[], &dims));
        } else if found != dims {
            if self.learnt.shapes.contains_key(&key) {
                self.found.insert(key, Some(found));
                return Val::Tensor(t);
            }
            let place = self.place(name.span);
            let mut d = Diagnostic::new(
                "shape-mismatch",
                place,
                format!(
                    "`{}` is {}, but its state is {}",
                    name.text,
                    shown(&found),
                    shown(&dims)
                ),
            )
            .note(info.place, "used as a state here");
            d = self.dim_origins(d, &dims);
            return self.report(d);
        }
        let next = self.next_on_clock(&t, kept, name.span);
        self.graph.set_next(id, next);
        Val::Tensor(t)
    }

    /// Takes what this pass found about shapes into the next one; false when there is nothing new.
    pub(super) fn learn(&mut self) -> bool {
        let mut learnt = std::mem::take(&mut self.found_kind);
        let mut open = Vec::new();
        for (key, found) in std::mem::take(&mut self.found) {
            match found {
                Some(dims) => {
                    learnt |= self.learnt.shapes.get(&key) != Some(&dims);
                    self.learnt.shapes.insert(key, dims);
                }
                None => open.push(key),
            }
        }
        if learnt || open.is_empty() {
            return learnt;
        }
        // What adapted to everything and met nothing but scalars is a scalar.
        let spurious = !self.diagnostics.is_empty();
        if spurious {
            return false;
        }
        for key in open {
            self.learnt.assumed.insert(key.clone());
            self.learnt.shapes.insert(key, Vec::new());
        }
        true
    }

    /// A recurrence behind a scalar that is one only because its shape follows from nothing: its name, and where it is remembered.
    pub(super) fn assumed_state(&self, t: &Tensor) -> Option<(String, Place)> {
        if self.learnt.assumed.is_empty() || !self.dims(t).is_empty() {
            return None;
        }
        let (mut work, mut seen) = (vec![t.v], HashSet::new());
        while let Some(v) = work.pop() {
            if !seen.insert(v) {
                continue;
            }
            if let Op::Prev(id) = self.graph.op(v) {
                let state = self.states.iter().find(|(_, info)| info.ids.contains(id));
                if let Some((key, info)) = state.filter(|(key, _)| self.learnt.assumed.contains(*key)) {
                    return Some((key.1.clone(), info.place));
                }
            }
            work.extend(self.graph.operands(v));
        }
        None
    }
}
