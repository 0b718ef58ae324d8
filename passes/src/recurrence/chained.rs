//! Joins recurrences of entries that feed each other, as an exponent that is kept beside the sums that it scales: one scan then has the
//! states of all at hand, and none is stored for every token because the next one reads it.

use super::types::Recurrence;
use seqc_ir::{Elem, Graph, OpClass, StateId, Value};
use std::collections::{HashMap, HashSet};

/// Members and states of one scan at most: its code is straight, and its states are in registers.
const MEMBERS: usize = 48;
const STATES: usize = 6;

/// The recurrences with chains of them as one, each where its last one was. `describe` makes a recurrence of states, their previous values
/// and members.
pub(super) fn joined(
    graph: &Graph,
    order: &[Value],
    mut found: Vec<Recurrence>,
    describe: impl Fn(Vec<StateId>, Vec<Value>, Vec<Value>) -> Recurrence,
) -> Vec<Recurrence> {
    let places = order.iter().enumerate().map(|(n, v)| (*v, n)).collect();
    let mut chains = Chains {
        graph,
        order,
        places,
        owners: HashMap::new(),
    };
    for (n, recurrence) in found.iter().enumerate() {
        chains.own(n, recurrence);
    }
    for first in 0..found.len() {
        let Some((second, members)) = chains.link(&found, first) else {
            continue;
        };
        let pair = [&found[first], &found[second]];
        let states = pair.iter().flat_map(|r| r.states.iter().copied()).collect();
        let previous = pair.iter().flat_map(|r| r.previous.iter().copied()).collect();
        let both = describe(states, previous, members);
        chains.own(second, &both);
        found[first].states.clear();
        found[second] = both;
    }
    found.retain(|recurrence| !recurrence.states.is_empty());
    found
}

struct Chains<'g> {
    graph: &'g Graph,
    order: &'g [Value],
    places: HashMap<Value, usize>,
    /// Which recurrence has a value as a member or previous value.
    owners: HashMap<Value, usize>,
}

impl Chains<'_> {
    fn own(&mut self, n: usize, recurrence: &Recurrence) {
        self.owners.extend(recurrence.values().map(|v| (v, n)));
    }

    /// The first recurrence that may be joined to this one, of which it reads entries, and the members of both with what is between.
    fn link(&self, found: &[Recurrence], first: usize) -> Option<(usize, Vec<Value>)> {
        let a = &found[first];
        if !self.may_join(a) {
            return None;
        }
        let (mut work, mut seen) = (a.values().collect::<Vec<_>>(), HashSet::new());
        let mut readers: Vec<usize> = Vec::new();
        while let Some(v) = work.pop() {
            for user in self.graph.users(v) {
                let owner = self.owners.get(&user).copied().filter(|n| *n != first);
                if self.is_by_entry(user, a) && seen.insert(user) {
                    readers.extend(owner);
                    work.extend(owner.is_none().then_some(user));
                }
            }
        }
        readers.sort_unstable();
        readers.dedup();
        readers
            .into_iter()
            .find_map(|second| Some((second, self.members(found, [first, second])?)))
    }

    /// Members of both with what is between, in order; nothing where that does not run entry by entry, or is too much.
    fn members(&self, found: &[Recurrence], pair: [usize; 2]) -> Option<Vec<Value>> {
        let [a, b] = pair.map(|n| &found[n]);
        if !self.may_join(b) || a.states.len() + b.states.len() > STATES {
            return None;
        }
        let place = |v: &Value| self.places[v];
        let own: HashSet<Value> = a.values().chain(b.values()).collect();
        let from = a.values().flat_map(|v| self.graph.users(v));
        let (from, to) = (
            from.filter_map(|v| self.places.get(&v).copied()).min()?,
            b.members.iter().map(place).max()?,
        );
        let window = self.order.get(from..=to)?;
        let mut behind: HashSet<Value> = a.values().collect();
        for v in window {
            if self.graph.operands(*v).iter().any(|o| behind.contains(o)) {
                behind.insert(*v);
            }
        }
        let mut needed: HashSet<Value> = b.members.iter().copied().collect();
        for v in window.iter().rev() {
            if needed.contains(v) {
                needed.extend(self.graph.operands(*v).into_iter().filter(|o| behind.contains(o)));
            }
        }
        let mut members: Vec<Value> = own.union(&needed).copied().collect();
        members.retain(|v| self.graph.class(*v) != OpClass::Leaf);
        members.sort_unstable_by_key(place);
        let free = |v: &Value| self.is_by_entry(*v, a) && self.owners.get(v).is_none_or(|n| pair.contains(n));
        (members.len() <= MEMBERS && members.iter().all(free)).then_some(members)
    }

    /// Whether all entries of a recurrence are real and run by themselves.
    fn may_join(&self, recurrence: &Recurrence) -> bool {
        let real = |s: &StateId| self.graph.states[s.0 as usize].ty.elem == Elem::F32;
        let one = recurrence.states.first().map(|s| &self.graph.states[s.0 as usize].ty);
        recurrence.elementwise && one.is_some_and(|ty| ty.rank() > 0) && recurrence.states.iter().all(real)
    }

    /// Whether a value has the shape of the states of a recurrence and is computed entry by entry.
    fn is_by_entry(&self, v: Value, of: &Recurrence) -> bool {
        let sizes = self.graph.states[of.states[0].0 as usize].ty.sizes();
        self.graph.class(v) == OpClass::Elementwise && self.graph.ty(v).sizes() == sizes
    }
}
