//! Puts a graph into the form that plans expect: reals beside attention, no delays of what never changes.
//! Does not change what is computed; does not make anything faster.

use crate::{
    Law,
    recurrence::{is_summed, recurrences},
};
use seqc_ir::{BinaryOp, Elem, Graph, IndexExpr, Op, OpClass, Stage, StateId, Ty, Value};
use std::collections::HashSet;

/// See [`real_streams`].
pub const STREAMS_ARE_REAL: Law = Law {
    says: "streams of attention are real",
    holds: |graph, v| {
        let Op::Attend(spec) = graph.op(v) else { return true };
        let streams = spec.query_operands().start..spec.key_operands().end;
        let operands = graph.operands(v);
        operands[streams].iter().all(|o| graph.ty(*o).elem == Elem::F32)
    },
};

/// See [`delays_of_constants`].
pub const HISTORIES_ARE_OF_TOKENS: Law = Law {
    says: "delays and windows are of what changes from token to token",
    holds: |graph, v| graph.class(v) != OpClass::Lag || is_of_token(graph, graph.operands(v)[0]),
};

/// Whether a value depends on the token.
fn is_of_token(graph: &Graph, v: Value) -> bool {
    let (mut work, mut seen) = (vec![v], HashSet::new());
    while let Some(v) = work.pop() {
        if graph.op(v).is_of_token() {
            return true;
        }
        if seen.insert(v) {
            work.extend(graph.operands(v));
        }
    }
    false
}

/// Longer delays stay histories: states of a scan are kept in registers.
const LONGEST_CHAIN: usize = 8;

/// A recurrence each of whose entries depends on its own last few values is a scan of as many states: delays inside the cycle become the
/// previous values of states.
pub fn delays_in_scans(graph: &mut Graph) {
    for recurrence in recurrences(graph) {
        let delays = recurrence.delays_of_entries(graph);
        let steps = |v: &Value| graph.op(*v).reach().filter(|_| graph.ty(*v).elem == Elem::F32);
        let lengths: Option<Vec<usize>> = delays.iter().map(steps).collect();
        let Some(lengths) = lengths.filter(|all| all.iter().all(|steps| *steps <= LONGEST_CHAIN)) else {
            continue;
        };
        for (v, steps) in delays.into_iter().zip(lengths) {
            let source = graph.operands(v)[0];
            let before = (0..steps).fold(source, |at, _| previous(graph, at));
            graph.replace(v, before);
        }
    }
}

/// The previous value of a recurrence that others only add up is at hand where the recurrence runs: it is no history of the whole
/// state. Not where streams from the end are read: [`crate::recognise`] keeps these out of the loop.
pub fn delays_of_states(graph: &mut Graph) {
    if graph.reads_later() {
        return;
    }
    let cycles = graph.cycles();
    for v in graph.values() {
        if *graph.op(v) != (Op::Delay { steps: 1 }) || graph.ty(v).rank() < 2 {
            continue;
        }
        let state = state_of(graph, graph.operands(v)[0]);
        let Some(state) = state.filter(|s| cycles.states[s.0 as usize].is_some()) else {
            continue;
        };
        let kept = |v: Value| state_of(graph, v).map(|_| false);
        if kept(v).unwrap_or_else(|| is_summed(graph, v, &kept)) {
            let before = graph.prev(state);
            graph.replace(v, before);
        }
    }
    delays_between_states(graph);
}

/// So it is where it is read by recurrences that run in the same scan.
fn delays_between_states(graph: &mut Graph) {
    let of_state = |v: Value| {
        let late = *graph.op(v) == (Op::Delay { steps: 1 });
        Some((v, state_of(graph, late.then(|| graph.operands(v)[0])?)?))
    };
    let delays: Vec<(Value, StateId)> = graph.values().into_iter().filter_map(of_state).collect();
    if delays.is_empty() {
        return;
    }
    let mut joined = graph.clone();
    for (v, state) in &delays {
        let before = joined.prev(*state);
        joined.replace(*v, before);
    }
    let scans: Vec<_> = recurrences(&joined)
        .into_iter()
        .filter(|r| r.states.len() > 1)
        .collect();
    for (v, state) in delays {
        let scan = scans.iter().find(|r| r.elementwise && r.states.contains(&state));
        if scan.is_some_and(|scan| graph.users(v).iter().all(|user| scan.members.contains(user))) {
            let before = graph.prev(state);
            graph.replace(v, before);
        }
    }
}

/// The state whose next value this is.
fn state_of(graph: &Graph, v: Value) -> Option<StateId> {
    let at = graph.states.iter().position(|state| state.next == Some(v))?;
    Some(StateId(at as u32))
}

/// The value of the previous token: of the state that has it, or of a new one.
fn previous(graph: &mut Graph, v: Value) -> Value {
    let state = state_of(graph, v).unwrap_or_else(|| {
        let name = if let Op::Prev(s) = graph.op(v) {
            graph.states[s.0 as usize].name.clone()
        } else {
            graph.node(v).name.clone()
        };
        let state = graph.add_state(format!("{name}_before"), graph.ty(v).clone());
        graph.set_next(state, v);
        state
    });
    graph.prev(state)
}

/// Integer streams of attention become reals: caches hold nothing else. Exact up to 2^24.
pub fn real_streams(graph: &mut Graph) {
    for v in graph.order() {
        let Op::Attend(spec) = graph.op(v) else { continue };
        let streams = spec.query_operands().start..spec.key_operands().end;
        let operands = graph.operands(v);
        for slot in streams {
            let o = operands[slot];
            if graph.ty(o).elem != Elem::F32 {
                let ty = Ty::new(Elem::F32, graph.ty(o).dims.clone());
                let real = graph.add(Op::Cast, ty, &[o]);
                graph.set_operand(v, slot, real);
            }
        }
    }
}

/// A delayed load-stage value is itself from token `steps` on, and zeros before; so is each value of a window.
pub fn delays_of_constants(graph: &mut Graph) {
    let stages = graph.stages();
    let of_constant =
        |v: &Value| graph.class(*v) == OpClass::Lag && stages[graph.operands(*v)[0].0 as usize] == Stage::Load;
    // All are found before the first is replaced: new values may take the numbers of removed ones.
    let delayed: Vec<Value> = graph.order().into_iter().filter(of_constant).collect();
    for v in delayed {
        let x = graph.operands(v)[0];
        let ty = graph.ty(v).clone();
        let lag = lag(graph, v);
        let position = graph.add(Op::Position, Ty::scalar(Elem::I64), &[]);
        let whole = Ty::new(Elem::I64, ty.dims.clone());
        let position = graph.add(Op::View(Vec::new()), whole, &[position]);
        let truth = Ty::new(Elem::Bool, ty.dims.clone());
        let there = graph.add(Op::Binary(BinaryOp::Ge), truth, &[position, lag]);
        let skip = ty.rank() - graph.ty(x).rank();
        let axes = (skip..ty.rank()).map(IndexExpr::Axis).collect();
        let x = graph.add(Op::View(axes), ty.clone(), &[x]);
        let zero = graph.add(Op::Const(0.0), ty.clone(), &[]);
        let new = graph.add(Op::Select, ty, &[there, x, zero]);
        graph.replace(v, new);
    }
}

/// How many tokens ago each entry of a delay or window is of.
fn lag(graph: &mut Graph, v: Value) -> Value {
    let ty = Ty::new(Elem::I64, graph.ty(v).dims.clone());
    let number = |graph: &mut Graph, n: usize| graph.add(Op::Const(n as f64), ty.clone(), &[]);
    let Op::Window { taps, step } = *graph.op(v) else {
        let steps = graph.op(v).reach().unwrap_or(0);
        return number(graph, steps);
    };
    let (last, step) = (number(graph, taps.saturating_sub(1)), number(graph, step));
    let k = graph.add(Op::Iota { axis: 0 }, ty.clone(), &[]);
    let ago = graph.add(Op::Binary(BinaryOp::Sub), ty.clone(), &[last, k]);
    graph.add(Op::Binary(BinaryOp::Mul), ty.clone(), &[ago, step])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimise;
    use seqc_ir::eval::{Evaluator, Tensor};

    /// Results of a graph without inputs, for its first tokens.
    fn results(graph: &Graph) -> Vec<f64> {
        let p = Tensor::new(&[2], vec![3.0, 5.0]);
        let mut evaluator = Evaluator::new(graph, &[p]).unwrap_or_else(|e| panic!("{e}\n{graph}"));
        let mut step = || evaluator.step(&[]).unwrap_or_else(|e| panic!("{e}"));
        (0..12).flat_map(|_| step().into_iter().flat_map(|t| t.data)).collect()
    }

    #[test]
    fn what_is_made_of_a_delayed_constant_is_of_the_token() {
        // Values that nothing needs leave numbers behind that new ones take.
        let unneeded: String = (1..20).map(|n| format!("%{n} = neg %0 : f32[2] ")).collect();
        let text = format!(
            "graph a {{
            param 0 p : f32[2]
            %0 = param(0) : f32[2] {unneeded}
            %20 = delay(steps=4) %0 : f32[2]
            %21 = window(taps=3, step=2) %20 : f32[3, 2]
            %22 = view(1, i0) %21 : f32[2]
            output y %22 }}"
        );
        let graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
        let mut new = graph.clone();
        optimise(&mut new);
        assert_eq!(results(&new), results(&graph), "{new}");
    }
}
