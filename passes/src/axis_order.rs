//! One order of axes for what a recurrence computes: `S[k, v, h]`, and `y[v, h]` summed from `S[h, k, v]`, cost what `S[h, k, v]` and `y[h, v]` do.
//! Sums over a state keep its axes in the state's order, and the axes of heads come first in it; what else is written in another order is
//! computed in that one. Views turn results back.
//! Changes the order of sums over several axes, nothing else that is computed.

use crate::{recurrence::axes_of, simplify::drop_dead};
use seqc_ir::{Graph, IndexExpr, Op, OpClass, StateId, Ty, Value, permutation};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

#[cfg(test)]
mod tests;

/// The axes of a value, each by the axis of the first state along which it lies.
type Axes = Vec<usize>;

/// Orders the axes of all recurrences and of the sums over them.
pub(crate) fn order_axes(graph: &mut Graph) {
    // Each round puts all of what depends on one state in order.
    for _ in 0..graph.states.len() {
        if !order_one(graph) {
            return;
        }
        drop_dead(graph);
    }
}

/// Orders the axes of the first states that are not in order; false where all are.
fn order_one(graph: &mut Graph) -> bool {
    let mut seen: BTreeSet<StateId> = BTreeSet::new();
    for n in 0..graph.states.len() {
        let state = StateId(n as u32);
        if graph.states[n].ty.rank() < 2 || seen.contains(&state) {
            continue;
        }
        let Some(entries) = Entries::of(graph, state) else {
            continue;
        };
        seen.extend(entries.states.keys());
        let rewrite = Rewrite::new(graph, &entries);
        if rewrite.changes(graph) {
            rewrite.apply(graph);
            return true;
        }
    }
    false
}

/// What is computed along the axes of a state, in any order: its previous values, what is computed of them entry by entry, and what
/// reductions leave of that.
struct Entries {
    /// Operands before users.
    values: Vec<Value>,
    axes: HashMap<Value, Axes>,
    /// States whose values are among them.
    states: BTreeMap<StateId, Axes>,
    /// How many axes the first state has.
    rank: usize,
}

impl Entries {
    /// `None` where an entry of a state depends on one at other indices: no order is that of all.
    fn of(graph: &Graph, first: StateId) -> Option<Entries> {
        let mut apart = HashSet::new();
        loop {
            match Entries::search(graph, first, &apart) {
                Ok(entries) => return Some(entries),
                Err(v) if graph.ty(v).rank() < graph.states[first.0 as usize].ty.rank() => apart.insert(v),
                Err(_) => return None,
            };
        }
    }

    /// The entries but for those apart; or a value that is read along different axes.
    fn search(graph: &Graph, first: StateId, apart: &HashSet<Value>) -> Result<Entries, Value> {
        let rank = graph.states[first.0 as usize].ty.rank();
        let previous = |state: StateId| {
            graph
                .values()
                .into_iter()
                .filter(move |v| *graph.op(*v) == Op::Prev(state))
        };
        let own: Axes = (0..rank).collect();
        let mut axes: HashMap<Value, Axes> = HashMap::new();
        let mut states: BTreeMap<StateId, Axes> = BTreeMap::from([(first, own.clone())]);
        let mut work: Vec<(Value, Axes)> = previous(first).map(|v| (v, own.clone())).collect();
        while let Some((v, own)) = work.pop() {
            match axes.get(&v) {
                _ if apart.contains(&v) => continue,
                Some(known) if *known == own => continue,
                Some(_) => return Err(v),
                None => {}
            }
            for user in graph.users(v) {
                let of_user = match graph.op(user) {
                    Op::View(map) => turned(map, graph.ty(user).rank(), &own),
                    Op::Reduce { .. } => Some(own[..graph.ty(user).rank()].to_vec()),
                    op => (op.class() == OpClass::Elementwise).then(|| own.clone()),
                };
                work.extend(of_user.map(|axes| (user, axes)));
            }
            for (n, state) in graph.states.iter().enumerate() {
                let id = StateId(n as u32);
                if state.next != Some(v) {
                    continue;
                }
                let known = states.entry(id).or_insert_with(|| own.clone());
                if *known != own {
                    return Err(v);
                }
                work.extend(previous(id).map(|v| (v, own.clone())));
            }
            axes.insert(v, own);
        }
        let values = graph.order().into_iter().filter(|v| axes.contains_key(v)).collect();
        Ok(Entries {
            values,
            axes,
            states,
            rank,
        })
    }

    /// Those that have an entry for each of the first state.
    fn whole(&self) -> impl Iterator<Item = &Value> {
        self.values.iter().filter(|v| self.axes[v].len() == self.rank)
    }

    /// Whether something else reads all of a state than what has such entries itself, and reductions.
    fn are_read_elsewhere(&self, graph: &Graph) -> bool {
        let given = |v: &Value| graph.outputs.iter().any(|(_, output)| output == v);
        let read = |v: &Value| given(v) || graph.users(*v).iter().any(|user| !self.axes.contains_key(user));
        self.whole().any(read)
    }

    /// The order of the states' axes: those of heads first. Of the axes that all reductions keep these are the ones along which more of
    /// what is read changes than along another: decays, keys and values have the heads, and the values alone have their own axis.
    fn order(&self, graph: &Graph) -> Axes {
        let mut kept: BTreeSet<usize> = (0..self.rank).collect();
        for user in self.whole().flat_map(|v| graph.users(*v)) {
            if graph.class(user) == OpClass::Reduction {
                kept.retain(|axis| self.axes[&user].contains(axis));
            }
        }
        if kept.len() < 2 || kept.len() == self.rank || self.are_read_elsewhere(graph) {
            return (0..self.rank).collect();
        }
        let counts = self.readers_along(graph);
        let least = kept.iter().map(|axis| counts[*axis]).min().unwrap_or(0);
        let of_heads = |axis: &usize| kept.contains(axis) && counts[*axis] > least;
        let (heads, rest): (Axes, Axes) = (0..self.rank).partition(of_heads);
        [heads, rest].concat()
    }

    /// How many of the values that whole states are computed with change along each axis.
    fn readers_along(&self, graph: &Graph) -> Vec<usize> {
        let mut counts = vec![0; self.rank];
        for v in self.whole().filter(|v| graph.class(**v) == OpClass::Elementwise) {
            let others = graph.operands(*v).into_iter().filter(|o| !self.axes.contains_key(o));
            for other in others {
                for axis in axes_of(graph, vec![other], self.rank) {
                    counts[self.axes[v][axis]] += 1;
                }
            }
        }
        counts
    }
}

/// The axes of a view that only puts those of its operand in another order.
fn turned(map: &[IndexExpr], rank: usize, operand: &[usize]) -> Option<Axes> {
    let mut axes = vec![0; rank];
    for (place, axis) in permutation(map, rank)?.into_iter().zip(operand) {
        axes[place] = *axis;
    }
    Some(axes)
}

/// Values that are computed in another order of axes.
struct Rewrite<'e> {
    entries: &'e Entries,
    /// The order of the first state.
    order: Axes,
    /// The order in which each value is computed.
    wanted: HashMap<Value, Axes>,
}

impl<'e> Rewrite<'e> {
    fn new(graph: &Graph, entries: &'e Entries) -> Rewrite<'e> {
        let mut rewrite = Rewrite {
            entries,
            order: entries.order(graph),
            wanted: HashMap::new(),
        };
        for v in entries.values.iter().rev() {
            let wanted = rewrite.wanted_of(graph, *v);
            rewrite.wanted.insert(*v, wanted);
        }
        rewrite
    }

    fn sorted(&self, axes: &[usize]) -> Axes {
        self.order.iter().copied().filter(|axis| axes.contains(axis)).collect()
    }

    /// States and what reductions leave have their order; else a value has the one in which all of its readers need it, if it has readers.
    fn wanted_of(&self, graph: &Graph, v: Value) -> Axes {
        let own = &self.entries.axes[&v];
        let kept = graph.states.iter().any(|state| state.next == Some(v));
        let free = matches!(graph.class(v), OpClass::Elementwise | OpClass::Index) && !kept;
        let read = |user: &Value| match self.wanted.get(user) {
            Some(_) if graph.class(*user) == OpClass::Reduction => self.of_operand(graph, *user),
            Some(wanted) => wanted.clone(),
            None => self.sorted(own),
        };
        let mut orders: Vec<Axes> = graph.users(v).iter().map(read).collect();
        orders.dedup();
        match &orders[..] {
            [order] if free => order.clone(),
            _ => self.sorted(own),
        }
    }

    /// The order of what is reduced: the axes that are kept, then the others.
    fn of_operand(&self, graph: &Graph, reduction: Value) -> Axes {
        let own = &self.entries.axes[&graph.operands(reduction)[0]];
        let (kept, reduced) = own.split_at(graph.ty(reduction).rank());
        [self.sorted(kept), self.sorted(reduced)].concat()
    }

    /// Whether something is not computed in the order that it should be.
    fn changes(&self, graph: &Graph) -> bool {
        let axes = &self.entries.axes;
        self.entries.values.iter().any(|v| match graph.class(*v) {
            OpClass::Index => false,
            OpClass::Reduction => self.of_operand(graph, *v) != axes[&graph.operands(*v)[0]],
            _ => self.wanted[v] != axes[v],
        })
    }

    fn apply(&self, graph: &mut Graph) {
        let entries = self.entries;
        for (id, own) in &entries.states {
            let state = &mut graph.states[id.0 as usize];
            state.ty = in_order(&state.ty, own, &self.sorted(own));
        }
        let mut done: HashMap<Value, Ordered> = HashMap::new();
        for v in &entries.values {
            let ordered = self.ordered(graph, *v, &done);
            done.insert(*v, ordered);
        }
        let nexts: Vec<(StateId, Value)> = entries
            .states
            .keys()
            .filter_map(|id| Some((*id, graph.states[id.0 as usize].next?)))
            .collect();
        for v in &entries.values {
            let back = done[v].to(graph, &entries.axes[v]);
            graph.replace(*v, back);
        }
        for (id, next) in nexts {
            let next = done[&next].to(graph, &self.sorted(&entries.states[&id]));
            graph.set_next(id, next);
        }
    }

    /// Adds what computes a value in its order, of operands that are done.
    fn ordered(&self, graph: &mut Graph, v: Value, done: &HashMap<Value, Ordered>) -> Ordered {
        let (own, operands) = (&self.entries.axes[&v], graph.operands(v));
        let class = graph.class(v);
        if class == OpClass::Index {
            return done[&operands[0]].clone();
        }
        let axes = self.wanted[&v].clone();
        let of_operands = match class {
            OpClass::Reduction => self.of_operand(graph, v),
            _ => axes.clone(),
        };
        let mut moved = Vec::new();
        for value in operands {
            let other = || Ordered {
                value,
                axes: own.clone(),
            };
            let operand = done.get(&value).cloned().unwrap_or_else(other);
            moved.push(operand.to(graph, &of_operands));
        }
        let ty = in_order(graph.ty(v), own, &axes);
        let (op, name) = (graph.op(v).clone(), graph.node(v).name.clone());
        let value = graph.add(op, ty, &moved);
        graph.set_name(value, name);
        Ordered { value, axes }
    }
}

/// A value whose axes are in some order.
#[derive(Clone)]
struct Ordered {
    value: Value,
    axes: Axes,
}

impl Ordered {
    /// Its entries in another order of axes.
    fn to(&self, graph: &mut Graph, axes: &[usize]) -> Value {
        if self.axes == axes {
            return self.value;
        }
        let ty = in_order(graph.ty(self.value), &self.axes, axes);
        let place = |axis: &usize| axes.iter().position(|other| other == axis).map(IndexExpr::Axis);
        let map = self.axes.iter().filter_map(place).collect();
        graph.add(Op::View(map), ty, &[self.value])
    }
}

/// A type with its axes in another order.
fn in_order(ty: &Ty, from: &[usize], to: &[usize]) -> Ty {
    let dim = |axis: &usize| {
        from.iter()
            .position(|other| other == axis)
            .map(|at| ty.dims[at].clone())
    };
    Ty::new(ty.elem, to.iter().filter_map(dim).collect())
}
