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
    let mut found: Vec<Recurrence> = Vec::new();
    let mut done: HashSet<StateId> = HashSet::new();
    let ancestors = Ancestors::new(graph, &order);
    for v in &order {
        let Op::Prev(s) = *graph.op(*v) else { continue };
        if !done.insert(s) {
            continue;
        }
        let states: Vec<StateId> = (0..graph.states.len() as u32)
            .map(StateId)
            .filter(|t| *t == s || (ancestors.state_needs(s, *t) && ancestors.state_needs(*t, s)))
            .collect();
        done.extend(states.iter().copied());
        found.push(describe(graph, &stages, &order, &ancestors, states));
    }
    found
}

/// Which states each value depends on, through other states too.
struct Ancestors {
    of_value: HashMap<Value, BTreeSet<StateId>>,
    of_state: Vec<BTreeSet<StateId>>,
}

impl Ancestors {
    fn new(graph: &Graph, order: &[Value]) -> Ancestors {
        let mut of_value: HashMap<Value, BTreeSet<StateId>> = HashMap::new();
        for v in order {
            let mut set: BTreeSet<StateId> = graph
                .operands(*v)
                .iter()
                .flat_map(|o| of_value.get(o).into_iter().flatten().copied())
                .collect();
            if let Op::Prev(s) = graph.op(*v) {
                set.insert(*s);
            }
            of_value.insert(*v, set);
        }
        let direct: Vec<BTreeSet<StateId>> = graph
            .states
            .iter()
            .map(|s| s.next.and_then(|n| of_value.get(&n)).cloned().unwrap_or_default())
            .collect();
        let mut of_state = direct.clone();
        for _ in 0..direct.len() {
            for set in &mut of_state {
                let more: Vec<StateId> = set.iter().flat_map(|t| direct[t.0 as usize].iter().copied()).collect();
                set.extend(more);
            }
        }
        Ancestors { of_value, of_state }
    }

    fn state_needs(&self, s: StateId, t: StateId) -> bool {
        self.of_state[s.0 as usize].contains(&t)
    }

    /// Value `v` depends on the previous value of one of `states` without passing through another state.
    fn value_needs(&self, v: Value, states: &[StateId]) -> bool {
        self.of_value
            .get(&v)
            .is_some_and(|set| states.iter().any(|s| set.contains(s)))
    }
}

fn describe(
    graph: &Graph,
    stages: &[Stage],
    order: &[Value],
    ancestors: &Ancestors,
    states: Vec<StateId>,
) -> Recurrence {
    // A member depends on a previous value and is needed for a next one.
    let mut needed: HashSet<Value> = HashSet::new();
    let mut work: Vec<Value> = states.iter().filter_map(|s| graph.states[s.0 as usize].next).collect();
    while let Some(v) = work.pop() {
        if ancestors.value_needs(v, &states) && needed.insert(v) {
            work.extend(graph.operands(v));
        }
    }
    let is_prev = |v: &Value| matches!(graph.op(*v), Op::Prev(s) if states.contains(s));
    let members: Vec<Value> = order
        .iter()
        .copied()
        .filter(|v| needed.contains(v) && !is_prev(v))
        .collect();
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
    let mut factors = Vec::new();
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
    let varying: BTreeSet<usize> = factors
        .iter()
        .filter(|f| stages[f.0 as usize] == Stage::Token)
        .flat_map(|f| axes_of(graph, *f, rank))
        .collect();
    let matrix = rank >= 2 && !varying.contains(&(rank - 1)) && !varying.contains(&(rank - 2));
    if matrix { Class::ScalarPerHead } else { Class::Diagonal }
}

/// Axes of the state along which a factor really varies.
fn axes_of(graph: &Graph, factor: Value, rank: usize) -> BTreeSet<usize> {
    let mut axes = BTreeSet::new();
    let (mut work, mut seen) = (vec![factor], HashSet::new());
    while let Some(v) = work.pop() {
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
