//! Which stored values must be computed in one kernel, and which kernels wait for which.

use super::{
    BufferId, Rows,
    inline::Walk,
    items::{Attempt, Item},
    scan::{self, Mode},
};
use crate::recurrence::Recurrence;
use seqc_ir::Value;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Items that must run in one kernel.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) items: Vec<usize>,
    /// The scan that this is.
    pub(super) scan: Option<usize>,
    /// The recurrences of the loop that this is, or of the unit's part in one.
    pub(super) loops: BTreeSet<usize>,
}

impl Attempt<'_> {
    /// A scan has only its own states at hand: what it reads of another recurrence must be stored.
    pub(super) fn check_scans(&self) -> Result<(), usize> {
        let scans = (0..self.modes.len()).filter(|r| self.modes[*r] != Mode::Loop);
        for r in scans {
            let recurrence = &self.plan.recurrences[r];
            let own = scan::inner_values(self.graph, recurrence);
            let others = |v: Value| !own.contains(&v) && self.inner_of(v).is_some();
            let stop = |v: Value| !own.contains(&v) && (self.plan.is_stored(v) || others(v));
            let walk = Walk {
                graph: self.graph,
                stop: &stop,
            };
            let nexts = recurrence
                .states
                .iter()
                .filter_map(|s| self.graph.states[s.0 as usize].next);
            let unstored = |leaf: &super::Leaf| !self.plan.is_stored(leaf.value) && others(leaf.value);
            if let Some(leaf) = nexts.flat_map(|v| walk.leaves(v)).find(unstored) {
                let read = self.scan_of(leaf.value).unwrap_or(r);
                return Err(read);
            }
        }
        Ok(())
    }

    /// Items by the kernel they must share.
    pub(super) fn units(&self) -> Result<Vec<Unit>, usize> {
        let mut units: Vec<Unit> = Vec::new();
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for (i, item) in self.items.iter().enumerate() {
            let mut inner = item.inner.clone();
            inner.extend(self.loop_of(item));
            let scans: Vec<usize> = inner.iter().copied().filter(|r| self.modes[*r] != Mode::Loop).collect();
            if let Some(r) = scans.get(1).or(scans.first().filter(|_| inner.len() > 1)) {
                return Err(*r);
            }
            let known: BTreeSet<usize> = inner.iter().filter_map(|r| shared.get(r).copied()).collect();
            let unit = match known.first() {
                Some(u) => *u,
                None => {
                    units.push(Unit {
                        items: Vec::new(),
                        scan: scans.first().copied(),
                        loops: BTreeSet::new(),
                    });
                    units.len() - 1
                }
            };
            for other in known.iter().filter(|u| **u != unit) {
                let merged = std::mem::take(&mut units[*other].items);
                units[unit].items.extend(merged);
                let loops = std::mem::take(&mut units[*other].loops);
                units[unit].loops.extend(loops);
                shared.values_mut().filter(|u| *u == other).for_each(|u| *u = unit);
            }
            units[unit].items.push(i);
            if scans.is_empty() {
                units[unit].loops.extend(inner.iter().copied());
            }
            for r in inner {
                shared.insert(r, unit);
            }
        }
        units.retain(|u| !u.items.is_empty());
        Ok(units)
    }

    /// Loops that an item belongs to although it reads no previous value: it computes a next value, or reads one that
    /// has a single row.
    pub(super) fn loop_of(&self, item: &Item) -> Vec<usize> {
        let value = self.plan.buffer(item.into).value;
        let loops = self
            .plan
            .recurrences
            .iter()
            .enumerate()
            .filter(|(r, _)| self.modes[*r] == Mode::Loop);
        let belongs = |r: &Recurrence| {
            let nexts: Vec<BufferId> = r
                .states
                .iter()
                .filter_map(|s| self.graph.states[s.0 as usize].next)
                .filter_map(|v| self.plan.stored.get(&v).copied())
                .collect();
            let single = |b: &BufferId| self.plan.buffer(*b).rows == Rows::Single && nexts.contains(b);
            r.members.contains(&value) || nexts.contains(&item.into) || item.now.iter().any(single)
        };
        loops.filter(|(_, r)| belongs(r)).map(|(r, _)| r).collect()
    }

    /// Units that wait for each other become one loop over tokens.
    pub(super) fn join_cycles(&self, units: &mut Vec<Unit>) -> Result<(), usize> {
        loop {
            let needs = self.needs(units);
            let reach = closure(&needs);
            let cycle: Option<Vec<usize>> = (0..units.len())
                .map(|u| {
                    (0..units.len())
                        .filter(|w| reach[u].contains(w) && reach[*w].contains(&u))
                        .collect::<Vec<_>>()
                })
                .find(|cycle| cycle.len() > 1);
            let Some(cycle) = cycle else { return Ok(()) };
            if cycle.iter().all(|u| units[*u].loops.is_empty()) {
                let scan = cycle.iter().find_map(|u| units[*u].scan);
                return Err(scan.unwrap_or(0));
            }
            let mut joined = Unit {
                items: Vec::new(),
                scan: None,
                loops: BTreeSet::new(),
            };
            for u in &cycle {
                joined.items.extend(&units[*u].items);
                joined.loops.extend(&units[*u].loops);
            }
            joined.items.sort_unstable();
            let mut n = 0;
            units.retain(|_| {
                n += 1;
                !cycle.contains(&(n - 1))
            });
            units.push(joined);
        }
    }

    /// For each unit the units that compute what it reads. What a scan reads of its inner values' operands counts.
    pub(super) fn needs(&self, units: &[Unit]) -> Vec<HashSet<usize>> {
        let mut writer: HashMap<BufferId, usize> = HashMap::new();
        for (u, unit) in units.iter().enumerate() {
            for i in &unit.items {
                writer.insert(self.items[*i].into, u);
            }
        }
        let reads = |unit: &Unit| -> BTreeSet<BufferId> {
            let mut reads: BTreeSet<BufferId> = unit
                .items
                .iter()
                .flat_map(|i| self.items[*i].now.union(&self.items[*i].before))
                .copied()
                .collect();
            let inner: BTreeSet<usize> = unit
                .items
                .iter()
                .flat_map(|i| self.items[*i].inner.iter())
                .copied()
                .collect();
            for r in inner.into_iter().filter(|r| self.modes[*r] != Mode::Loop) {
                reads.extend(self.scan_reads(r));
            }
            reads
        };
        let of = |u: usize| {
            reads(&units[u])
                .iter()
                .filter_map(|b| writer.get(b))
                .copied()
                .filter(|w| *w != u)
                .collect()
        };
        (0..units.len()).map(of).collect()
    }

    /// Buffers that the members of a scan and its outputs read.
    pub(super) fn scan_reads(&self, r: usize) -> BTreeSet<BufferId> {
        let recurrence = &self.plan.recurrences[r];
        let inner = scan::inner_values(self.graph, recurrence);
        let stop = |v: Value| self.plan.is_stored(v) && !inner.contains(&v);
        let walk = Walk {
            graph: self.graph,
            stop: &stop,
        };
        let outputs = self.items.iter().filter(|item| item.inner.contains(&r));
        let roots = recurrence
            .states
            .iter()
            .filter_map(|s| self.graph.states[s.0 as usize].next);
        let roots = roots.chain(outputs.map(|item| self.plan.buffer(item.into).value));
        roots
            .flat_map(|v| walk.leaves(v))
            .filter_map(|leaf| self.plan.stored.get(&leaf.value))
            .copied()
            .collect()
    }
}

/// Everything that can be reached from each element.
fn closure(needs: &[HashSet<usize>]) -> Vec<HashSet<usize>> {
    let reach = |start: usize| {
        let mut seen = HashSet::new();
        let mut work: Vec<usize> = needs[start].iter().copied().collect();
        while let Some(u) = work.pop() {
            if seen.insert(u) {
                work.extend(&needs[u]);
            }
        }
        seen
    };
    (0..needs.len()).map(reach).collect()
}
