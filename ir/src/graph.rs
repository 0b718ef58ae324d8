//! The graph of one layer over `petgraph`: operands in slot order, users, replacement, order.
//! No other file of the project uses `petgraph`.

use crate::{
    Clock, Op, Ty,
    ids::{StateId, Value},
    policy::Policy,
};
use petgraph::{
    Direction,
    algo::kosaraju_scc,
    graph::DiGraph,
    stable_graph::{NodeIndex, StableDiGraph},
    visit::EdgeRef,
};

/// When a node is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Once, when weights are loaded.
    Load,
    /// For every token.
    Token,
}

/// One operation and the type of its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// Type of the result.
    pub ty: Ty,
    /// Name in the source, for text and messages; empty for intermediate results.
    pub name: String,
}

/// A recurrence: `Op::Prev` of it reads `next` of one token ago.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Name in the source.
    pub name: String,
    /// Shape and element type (F32).
    pub ty: Ty,
    /// This token's value; set when the definition is complete.
    pub next: Option<Value>,
}

/// A named parameter or input of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Name in the source.
    pub name: String,
    /// Type.
    pub ty: Ty,
}

/// Which values and states depend on each other, by the number of their cycle. See [`Graph::cycles`].
#[derive(Clone, Debug, PartialEq)]
pub struct Cycles {
    /// By `Value.0`; `None`: on no cycle, or not in the graph.
    pub values: Vec<Option<usize>>,
    /// By `StateId.0`; `None`: this state does not depend on its own past.
    pub states: Vec<Option<usize>>,
}

/// The stream graph of one layer.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Name: the layer's, for text and messages.
    pub name: String,
    /// Parameters, in the order of [`Op::Param`].
    pub params: Vec<Port>,
    /// Input streams, in the order of [`Op::Input`].
    pub inputs: Vec<Port>,
    /// Recurrences, in the order of [`StateId`].
    pub states: Vec<State>,
    /// Results: name and value. The first is the layer's result, the others are taps.
    pub outputs: Vec<(String, Value)>,
    nodes: StableDiGraph<Node, u32>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Graph {
        Graph {
            name: name.into(),
            ..Graph::default()
        }
    }

    /// Adds a node. Types are checked by the verifier, not here.
    pub fn add(&mut self, op: Op, ty: Ty, operands: &[Value]) -> Value {
        let id = self.nodes.add_node(Node {
            op,
            ty,
            name: String::new(),
        });
        for (slot, operand) in operands.iter().enumerate() {
            self.nodes.add_edge(index(*operand), id, slot as u32);
        }
        Value(id.index() as u32)
    }

    /// Declares a parameter and returns the node that reads it.
    pub fn add_param(&mut self, name: impl Into<String>, ty: Ty) -> Value {
        let name = name.into();
        self.params.push(Port {
            name: name.clone(),
            ty: ty.clone(),
        });
        let value = self.add(Op::Param(self.params.len() - 1), ty, &[]);
        self.set_name(value, name);
        value
    }

    /// Declares an input stream and returns the node that reads it.
    pub fn add_input(&mut self, name: impl Into<String>, ty: Ty) -> Value {
        let name = name.into();
        self.inputs.push(Port {
            name: name.clone(),
            ty: ty.clone(),
        });
        let value = self.add(Op::Input(self.inputs.len() - 1), ty, &[]);
        self.set_name(value, name);
        value
    }

    /// Declares a recurrence; its `next` is set later.
    pub fn add_state(&mut self, name: impl Into<String>, ty: Ty) -> StateId {
        self.states.push(State {
            name: name.into(),
            ty,
            next: None,
        });
        StateId(self.states.len() as u32 - 1)
    }

    /// The node of a value.
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[index(value)]
    }

    /// The operation of a value.
    pub fn op(&self, value: Value) -> &Op {
        &self.node(value).op
    }

    /// The type of a value.
    pub fn ty(&self, value: Value) -> &Ty {
        &self.node(value).ty
    }

    /// Replaces a node's operation, keeping operands and type.
    pub fn set_op(&mut self, value: Value, op: Op) {
        self.nodes[index(value)].op = op;
    }

    /// Names a value after its definition in the source.
    pub fn set_name(&mut self, value: Value, name: impl Into<String>) {
        self.nodes[index(value)].name = name.into();
    }

    /// True when the value is still in the graph.
    pub fn contains(&self, value: Value) -> bool {
        self.nodes.contains_node(index(value))
    }

    /// Operands in slot order.
    pub fn operands(&self, value: Value) -> Vec<Value> {
        let mut edges: Vec<_> = self
            .nodes
            .edges_directed(index(value), Direction::Incoming)
            .map(|e| (*e.weight(), Value(e.source().index() as u32)))
            .collect();
        edges.sort_unstable();
        edges.into_iter().map(|(_, v)| v).collect()
    }

    /// Nodes that take the value as an operand, each once, in ascending order.
    pub fn users(&self, value: Value) -> Vec<Value> {
        let mut users: Vec<_> = self
            .nodes
            .edges_directed(index(value), Direction::Outgoing)
            .map(|e| Value(e.target().index() as u32))
            .collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// Makes every user, state and output of `old` refer to `new`.
    pub fn replace(&mut self, old: Value, new: Value) {
        let edges: Vec<_> = self
            .nodes
            .edges_directed(index(old), Direction::Outgoing)
            .map(|e| (e.id(), e.target(), *e.weight()))
            .filter(|(_, target, _)| *target != index(new))
            .collect();
        for (edge, target, slot) in edges {
            self.nodes.remove_edge(edge);
            self.nodes.add_edge(index(new), target, slot);
        }
        for state in &mut self.states {
            if state.next == Some(old) {
                state.next = Some(new);
            }
        }
        for (_, value) in &mut self.outputs {
            if *value == old {
                *value = new;
            }
        }
    }

    /// Replaces operand `slot` of `user`.
    pub fn set_operand(&mut self, user: Value, slot: usize, new: Value) {
        let edge = self
            .nodes
            .edges_directed(index(user), Direction::Incoming)
            .find(|e| *e.weight() == slot as u32)
            .map(|e| e.id());
        if let Some(edge) = edge {
            self.nodes.remove_edge(edge);
            self.nodes.add_edge(index(new), index(user), slot as u32);
        }
    }

    /// Adds one more operand to a node, after those it has.
    pub fn push_operand(&mut self, user: Value, operand: Value) {
        let slot = self.nodes.edges_directed(index(user), Direction::Incoming).count();
        self.nodes.add_edge(index(operand), index(user), slot as u32);
    }

    /// Removes a node that nothing refers to.
    pub fn remove(&mut self, value: Value) {
        self.nodes.remove_node(index(value));
    }

    /// Number of values.
    pub fn node_count(&self) -> usize {
        self.nodes.node_count()
    }

    /// All values, in the order they were added.
    pub fn values(&self) -> Vec<Value> {
        self.nodes.node_indices().map(|n| Value(n.index() as u32)).collect()
    }

    /// Policies of its attentions.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        let ops = self.values().into_iter().map(|v| self.op(v));
        ops.filter_map(|op| match op {
            Op::Attend(spec) => spec.policy.as_deref(),
            _ => None,
        })
    }

    /// Whether an attention reads input `n` as the rows of a memory ([`Clock::Memory`]): it has no value at a token.
    pub fn is_memory_input(&self, n: usize) -> bool {
        let is_it = |v: &Value| matches!(self.op(*v), Op::Input(m) if *m == n);
        self.values().into_iter().any(|v| {
            let Op::Attend(spec) = self.op(v) else { return false };
            let operands = self.operands(v);
            let mut read = spec.read_at_keys().filter_map(|at| operands.get(at));
            spec.clock == Clock::Memory && read.any(is_it)
        })
    }

    /// Whether something reads tokens after the present one: the graph has no step for one token.
    pub fn reads_later(&self) -> bool {
        self.values().into_iter().any(|v| self.op(v).reads_later())
    }

    /// Tokens of a prompt whose queries choose together, at positions from a multiple of it on: a common multiple over all policies.
    pub fn together(&self) -> usize {
        let blocks = self.policies().filter_map(|policy| policy.blocks.as_ref());
        blocks.map(|blocks| blocks.together).fold(1, common_multiple)
    }

    /// All values, operands before users; among the free choices, in the order they were added.
    /// A graph with a cycle (which the verifier refuses) gives the values before the cycle.
    pub fn order(&self) -> Vec<Value> {
        use std::{cmp::Reverse, collections::BinaryHeap};
        let mut missing: Vec<usize> = vec![0; self.nodes.node_indices().map(|n| n.index() + 1).max().unwrap_or(0)];
        let mut ready = BinaryHeap::new();
        for n in self.nodes.node_indices() {
            missing[n.index()] = self.nodes.edges_directed(n, Direction::Incoming).count();
            if missing[n.index()] == 0 {
                ready.push(Reverse(n.index()));
            }
        }
        let mut order = Vec::with_capacity(self.nodes.node_count());
        while let Some(Reverse(n)) = ready.pop() {
            order.push(Value(n as u32));
            for edge in self.nodes.edges_directed(NodeIndex::new(n), Direction::Outgoing) {
                let target = edge.target().index();
                missing[target] -= 1;
                if missing[target] == 0 {
                    ready.push(Reverse(target));
                }
            }
        }
        order
    }

    /// Values that an output or a state needs, operands before users.
    pub fn live_order(&self) -> Vec<Value> {
        let mut live = std::collections::HashSet::new();
        let mut work: Vec<Value> = self.outputs.iter().map(|(_, v)| *v).collect();
        // A state is live when something live reads it; iterate until nothing is added.
        loop {
            while let Some(v) = work.pop() {
                if live.insert(v) {
                    work.extend(self.operands(v));
                    if let Op::Prev(s) = self.op(v) {
                        work.extend(self.states[s.0 as usize].next);
                    }
                }
            }
            if work.is_empty() {
                break;
            }
        }
        self.order().into_iter().filter(|v| live.contains(v)).collect()
    }

    /// The cycles that the states close: values and states that depend on each other, through any states.
    pub fn cycles(&self) -> Cycles {
        let values = self.nodes.node_indices().map(|n| n.index() + 1).max().unwrap_or(0);
        // Values, then states: a state reads its next value, and is read by each `Prev` of it.
        let mut reads: Vec<Vec<usize>> = vec![Vec::new(); values + self.states.len()];
        for n in self.nodes.node_indices() {
            let operands = self.nodes.edges_directed(n, Direction::Incoming);
            reads[n.index()].extend(operands.map(|e| e.source().index()));
            if let Op::Prev(s) = self.nodes[n].op {
                reads[n.index()].push(values + s.0 as usize);
            }
        }
        for (n, s) in self.states.iter().enumerate() {
            reads[values + n].extend(s.next.map(|next| next.0 as usize));
        }
        let mut found = vec![None; reads.len()];
        for (number, cycle) in cycles(&reads).into_iter().enumerate() {
            for n in cycle {
                found[n] = Some(number);
            }
        }
        let states = found.split_off(values);
        Cycles { values: found, states }
    }

    /// Stage of every value, indexed by `Value.0` (absent values: [`Stage::Load`]).
    pub fn stages(&self) -> Vec<Stage> {
        let order = self.order();
        let size = order.iter().map(|v| v.0 as usize + 1).max().unwrap_or(0);
        let mut stages = vec![Stage::Load; size];
        for v in order {
            let operands = self.operands(v);
            let latest = operands.iter().map(|o| stages[o.0 as usize]).max();
            stages[v.0 as usize] = match self.op(v).is_of_token() {
                true => Stage::Token,
                false => latest.unwrap_or(Stage::Load),
            };
        }
        stages
    }
}

/// Groups of two and more numbers that wait for each other, each in ascending order, the groups by their first number.
/// `needs[n]` is what `n` waits for.
pub fn cycles(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut graph = DiGraph::<(), (), u32>::with_capacity(needs.len(), needs.len());
    for _ in needs {
        graph.add_node(());
    }
    for (n, needs) in needs.iter().enumerate() {
        for other in needs {
            graph.add_edge(NodeIndex::new(*other), NodeIndex::new(n), ());
        }
    }
    let groups = kosaraju_scc(&graph).into_iter().filter(|group| group.len() > 1);
    let mut groups: Vec<Vec<usize>> = groups
        .map(|group| {
            let mut group: Vec<usize> = group.into_iter().map(NodeIndex::index).collect();
            group.sort_unstable();
            group
        })
        .collect();
    groups.sort_unstable();
    groups
}

/// The least common multiple.
pub(crate) fn common_multiple(a: usize, b: usize) -> usize {
    let (mut divisor, mut rest) = (a.max(1), b.max(1));
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a.max(1) / divisor).saturating_mul(b.max(1))
}

fn index(value: Value) -> NodeIndex {
    NodeIndex::new(value.0 as usize)
}
