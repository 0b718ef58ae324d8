//! Finds the recurrences of a layer and classifies them by what multiplies `prev`.
//! Does not rewrite anything: the plan and `seqc explain` read the result.

use crate::index::Lin;
use seqc_ir::{BinaryOp, Graph, Op, Stage, StateId, UnaryOp, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A cycle through one or more states.
#[derive(Clone, Debug)]
pub struct Recurrence {
    /// States of the cycle.
    pub states: Vec<StateId>,
    /// Values of the cycle, operands before users, without the `Prev` nodes.
    pub members: Vec<Value>,
    /// The `Prev` nodes of the states.
    pub previous: Vec<Value>,
    /// What multiplies `prev`.
    pub class: Class,
    /// Every member has the shape of the states and is computed entry by entry: entries are independent of each other.
    pub elementwise: bool,
}

/// Classes of recurrences (see the user documentation of `seqc explain`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Linear, with coefficients that do not depend on the tokens.
    Constant,
    /// Linear, one input-dependent coefficient per entry.
    Diagonal,
    /// Linear, one input-dependent coefficient for a whole matrix (a head).
    ScalarPerHead,
    /// Linear, the state multiplied by an input-dependent matrix.
    Matrix,
    /// Not linear, but every entry for itself.
    Elementwise,
    /// Anything else.
    Sequential,
}

impl Class {
    /// The name that `seqc explain` prints.
    pub fn name(self) -> &'static str {
        match self {
            Class::Constant => "constant coefficients (linear, time-invariant)",
            Class::Diagonal => "diagonal, input-dependent",
            Class::ScalarPerHead => "scalar per head",
            Class::Matrix => "linear with an input-dependent matrix",
            Class::Elementwise => "nonlinear, entry by entry",
            Class::Sequential => "nonlinear",
        }
    }
}

/// All recurrences, those that others depend on first.
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
        match (graph.op(*v), cycles.values[v.0 as usize]) {
            (Op::Prev(s), _) => previous.entry(*s).or_default().push(*v),
            (_, Some(cycle)) => members.entry(cycle).or_default().push(*v),
            (_, None) => {}
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
        found.push(describe(graph, &stages, (of_cycle, previous), members));
    }
    found
}

fn describe(
    graph: &Graph,
    stages: &[Stage],
    (states, previous): (Vec<StateId>, Vec<Value>),
    members: Vec<Value>,
) -> Recurrence {
    let shape = graph.states[states[0].0 as usize].ty.sizes();
    let elementwise = states.iter().all(|s| graph.states[s.0 as usize].ty.sizes() == shape)
        && members.iter().all(|v| {
            graph.ty(*v).sizes() == shape
                && matches!(graph.op(*v), Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast)
        });
    let class = classify(graph, stages, &states, &members, elementwise, shape.len());
    Recurrence {
        states,
        members,
        previous,
        class,
        elementwise,
    }
}

fn classify(
    graph: &Graph,
    stages: &[Stage],
    states: &[StateId],
    members: &[Value],
    elementwise: bool,
    rank: usize,
) -> Class {
    let inside: HashSet<Value> = members.iter().copied().collect();
    let on_cycle = |v: Value| inside.contains(&v) || matches!(graph.op(v), Op::Prev(s) if states.contains(s));
    let mut factors: Vec<Value> = Vec::new();
    for v in members {
        let (cycle, free): (Vec<Value>, Vec<Value>) = graph.operands(*v).into_iter().partition(|o| on_cycle(*o));
        let linear = match graph.op(*v) {
            Op::Unary(UnaryOp::Neg)
            | Op::View(_)
            | Op::Reshape
            | Op::Reduce {
                op: seqc_ir::ReduceOp::Sum,
                ..
            } => true,
            Op::Binary(BinaryOp::Add | BinaryOp::Sub) => true,
            Op::Binary(BinaryOp::Mul) if cycle.len() == 1 => {
                factors.extend(free);
                true
            }
            Op::Binary(BinaryOp::Div) => {
                cycle.len() == 1 && on_cycle(graph.operands(*v)[0]) && {
                    factors.extend(free);
                    true
                }
            }
            // A reset or an initial value selects between the state and something else.
            Op::Select => !on_cycle(graph.operands(*v)[0]),
            Op::MatVec => true,
            _ => false,
        };
        if !linear {
            return if elementwise {
                Class::Elementwise
            } else {
                Class::Sequential
            };
        }
    }
    if factors.iter().all(|f| stages[f.0 as usize] == Stage::Load) {
        return Class::Constant;
    }
    if !elementwise {
        return Class::Matrix;
    }
    factors.retain(|f| stages[f.0 as usize] == Stage::Token);
    let varying = axes_of(graph, factors, rank);
    let matrix = rank >= 2 && !varying.contains(&(rank - 1)) && !varying.contains(&(rank - 2));
    if matrix { Class::ScalarPerHead } else { Class::Diagonal }
}

/// Axes of the state along which some of the factors really vary.
fn axes_of(graph: &Graph, factors: Vec<Value>, rank: usize) -> BTreeSet<usize> {
    let mut axes = BTreeSet::new();
    let (mut work, mut seen) = (factors, HashSet::new());
    while let Some(v) = work.pop() {
        if axes.len() == rank {
            break;
        }
        if !seen.insert(v) {
            continue;
        }
        match graph.op(v) {
            Op::View(map) => {
                let own: Vec<Lin> = (0..rank).map(Lin::axis).collect();
                let sizes = graph.ty(v).sizes();
                let coords: Vec<Lin> = map.iter().map(|e| Lin::of(e, &own, &sizes)).collect();
                axes.extend((0..rank).filter(|a| coords.iter().any(|c| c.uses(*a))));
            }
            Op::Unary(_) | Op::Cast | Op::Binary(_) | Op::Select => work.extend(graph.operands(v)),
            Op::Const(_) => {}
            _ => axes.extend(0..rank),
        }
    }
    axes
}
