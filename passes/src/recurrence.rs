//! Finds the recurrences of a layer and classifies them by what multiplies `prev`.
//! Does not rewrite anything: the plan and `seqc explain` read the result.

use crate::affine::AffineExpr;
use seqc_ir::{BinaryOp, Graph, Op, OpClass, ReduceOp, Stage, StateId, UnaryOp, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

mod chained;
#[cfg(test)]
mod tests;
mod types;

pub use types::{Class, Recurrence};

impl Recurrence {
    /// The delays inside the cycle, where each entry of the states depends on its own past alone and these are what reads more of it than
    /// the previous token.
    pub fn delays_of_entries(&self, graph: &Graph) -> Vec<Value> {
        let delay = |v: &&Value| matches!(graph.op(**v), Op::Delay { .. });
        if is_independent(graph, &self.states, &self.members) {
            self.members.iter().filter(delay).copied().collect()
        } else {
            Vec::new()
        }
    }
}

/// Whether what reads a value does so through reductions alone, entry by entry otherwise; no result is made of it directly. `known` says of
/// some readers whether they do.
pub(crate) fn is_summed(graph: &Graph, v: Value, known: &dyn Fn(Value) -> Option<bool>) -> bool {
    let (mut work, mut seen) = (vec![v], HashSet::from([v]));
    while let Some(v) = work.pop() {
        if graph.outputs.iter().any(|(_, output)| *output == v) {
            return false;
        }
        for user in graph.users(v) {
            let sums = match graph.class(user) {
                OpClass::Reduction => Some(true),
                OpClass::Elementwise | OpClass::Index => known(user),
                OpClass::Leaf | OpClass::Concat | OpClass::Lookup | OpClass::Product => known(user).or(Some(false)),
                OpClass::Lag | OpClass::Sequence => known(user).or(Some(false)),
            };
            match sums {
                Some(false) => return false,
                None if seen.insert(user) => work.push(user),
                Some(true) | None => {}
            }
        }
    }
    true
}

/// All recurrences, in the order of their first previous values.
pub fn recurrences(graph: &Graph) -> Vec<Recurrence> {
    let order = graph.live_order();
    let stages = graph.stages();
    let cycles = graph.cycles();
    // States and members of each cycle; members depend on a previous value and are needed for a next one.
    let mut states: HashMap<usize, Vec<StateId>> = HashMap::new();
    for (n, cycle) in cycles.states.iter().enumerate() {
        if let Some(cycle) = cycle {
            states.entry(*cycle).or_default().push(StateId(n as u32));
        }
    }
    let mut members: HashMap<usize, Vec<Value>> = HashMap::new();
    let mut previous: HashMap<StateId, Vec<Value>> = HashMap::new();
    for v in &order {
        if let Op::Prev(s) = graph.op(*v) {
            previous.entry(*s).or_default().push(*v);
        } else if let Some(cycle) = cycles.values[v.0 as usize] {
            members.entry(cycle).or_default().push(*v);
        }
    }
    let mut done: HashSet<StateId> = HashSet::new();
    let mut found: Vec<Recurrence> = Vec::new();
    for v in &order {
        let Op::Prev(s) = *graph.op(*v) else { continue };
        if done.contains(&s) {
            continue;
        }
        let cycle = cycles.states[s.0 as usize];
        let of_cycle = cycle.map_or_else(|| vec![s], |cycle| states.remove(&cycle).unwrap_or_default());
        done.extend(of_cycle.iter().copied());
        let members = cycle.and_then(|cycle| members.remove(&cycle)).unwrap_or_default();
        let previous = of_cycle.iter().filter_map(|s| previous.remove(s)).flatten().collect();
        found.push(describe(graph, &stages, of_cycle, previous, members));
    }
    chained::joined(graph, &order, found, |states, previous, members| {
        describe(graph, &stages, states, previous, members)
    })
}

fn describe(
    graph: &Graph,
    stages: &[Stage],
    states: Vec<StateId>,
    previous: Vec<Value>,
    members: Vec<Value>,
) -> Recurrence {
    let shape = graph.states[states[0].0 as usize].ty.sizes();
    let elementwise = states.iter().all(|s| graph.states[s.0 as usize].ty.sizes() == shape)
        && members
            .iter()
            .all(|v| graph.ty(*v).sizes() == shape && graph.class(*v) == OpClass::Elementwise);
    let class = classify(graph, stages, &states, &members);
    Recurrence {
        states,
        members,
        previous,
        class,
        elementwise,
    }
}

fn classify(graph: &Graph, stages: &[Stage], states: &[StateId], members: &[Value]) -> Class {
    let independent = is_independent(graph, states, members);
    let Some(mut factors) = factors(graph, states, members) else {
        return if independent {
            Class::Elementwise
        } else {
            Class::Sequential
        };
    };
    let varies = |f: &Value| stages[f.0 as usize] == Stage::Token && !is_first_token(graph, *f);
    factors.retain(varies);
    if factors.is_empty() {
        return Class::Constant;
    }
    if !independent {
        return Class::Matrix;
    }
    let rank = graph.states[states[0].0 as usize].ty.rank();
    let varying = axes_of(graph, factors, rank);
    let matrix = rank >= 2 && !varying.contains(&(rank - 1)) && !varying.contains(&(rank - 2));
    if matrix { Class::ScalarPerHead } else { Class::Diagonal }
}

/// Whether every entry of the states depends on its own past alone, however long ago.
fn is_independent(graph: &Graph, states: &[StateId], members: &[Value]) -> bool {
    let shape = graph.states[states[0].0 as usize].ty.sizes();
    let own = |v: &Value| {
        let op = graph.op(*v);
        graph.ty(*v).sizes() == shape && (op.class() == OpClass::Elementwise || matches!(op, Op::Delay { .. }))
    };
    states.iter().all(|s| graph.states[s.0 as usize].ty.sizes() == shape) && members.iter().all(own)
}

/// What multiplies the states, conditions that choose among them included; `None` where they are not only multiplied and added.
fn factors(graph: &Graph, states: &[StateId], members: &[Value]) -> Option<Vec<Value>> {
    let inside: HashSet<Value> = members.iter().copied().collect();
    let on_cycle = |v: &Value| inside.contains(v) || matches!(graph.op(*v), Op::Prev(s) if states.contains(s));
    let mut factors = Vec::new();
    for v in members {
        let operands = graph.operands(*v);
        let (cycle, free): (Vec<Value>, Vec<Value>) = operands.iter().copied().partition(on_cycle);
        let linear = match graph.op(*v) {
            Op::Unary(UnaryOp::Neg)
            | Op::View(_)
            | Op::Reshape
            | Op::Concat { .. }
            | Op::Delay { .. }
            | Op::Window { .. }
            | Op::MatVec
            | Op::Reduce { op: ReduceOp::Sum, .. }
            | Op::Binary(BinaryOp::Add | BinaryOp::Sub) => true,
            Op::Binary(BinaryOp::Mul) if cycle.len() == 1 => {
                factors.extend(free);
                true
            }
            Op::Binary(BinaryOp::Div) if cycle.len() == 1 && on_cycle(&operands[0]) => {
                factors.extend(free);
                true
            }
            // The filter of a convolution is known when weights are loaded.
            Op::LongConv => !on_cycle(&operands[1]),
            // The condition is a factor of 1 or 0.
            Op::Select if !on_cycle(&operands[0]) => {
                factors.push(operands[0]);
                true
            }
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast | Op::Gather | Op::Reduce { .. } => false,
            Op::IndexedMatVec | Op::Reverse | Op::RoundRow(_) | Op::Attend(_) => false,
            // Leaves are on no cycle.
            Op::Param(_) | Op::Input(_) | Op::Const(_) | Op::Iota { .. } | Op::Position | Op::Prev(_) => false,
        };
        if !linear {
            return None;
        }
    }
    Some(factors)
}

/// Whether a condition selects the first token, where the state has its initial value: no coefficient changes with it.
fn is_first_token(graph: &Graph, condition: Value) -> bool {
    let through = |mut v: Value| {
        while let Op::View(_) | Op::Reshape | Op::Cast = graph.op(v) {
            v = graph.operands(v)[0];
        }
        v
    };
    let condition = through(condition);
    if !matches!(graph.op(condition), Op::Binary(BinaryOp::Eq)) {
        return false;
    }
    let sides: Vec<Value> = graph.operands(condition).into_iter().map(through).collect();
    let has = |wanted: fn(&Op) -> bool| sides.iter().any(|v| wanted(graph.op(*v)));
    has(|op| matches!(op, Op::Position)) && has(|op| matches!(op, Op::Const(c) if *c == 0.0))
}

/// Axes of a state, of so many axes, along which some values of its shape really vary.
pub(crate) fn axes_of(graph: &Graph, factors: Vec<Value>, rank: usize) -> BTreeSet<usize> {
    let mut axes = BTreeSet::new();
    let (mut work, mut seen) = (factors, HashSet::new());
    while let Some(v) = work.pop() {
        if axes.len() == rank {
            break;
        }
        if !seen.insert(v) {
            continue;
        }
        let op = graph.op(v);
        if let Op::View(map) = op {
            let own: Vec<AffineExpr> = (0..rank).map(AffineExpr::axis).collect();
            let sizes = graph.ty(v).sizes();
            let coords: Vec<AffineExpr> = map.iter().map(|e| AffineExpr::of(e, &own, &sizes)).collect();
            axes.extend((0..rank).filter(|a| coords.iter().any(|c| c.uses(*a))));
        } else if op.class() == OpClass::Elementwise {
            work.extend(graph.operands(v));
        } else if op.as_const().is_none() {
            axes.extend(0..rank);
        }
    }
    axes
}
