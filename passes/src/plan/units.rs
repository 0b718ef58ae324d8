//! Which stored values must be computed in one kernel, and which kernels wait for which.

use super::{
    BufferId, Rows,
    inline::Walk,
    items::{Attempt, Item},
    scan::Mode,
    schedule::Misfits,
};
use crate::recurrence::Recurrence;
use seqc_ir::{Op, Value};
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
    pub(super) fn check_scans(&self) -> Result<(), Misfits> {
        let mut misfits = BTreeSet::new();
        for r in (0..self.modes.len()).filter(|r| self.modes[*r] != Mode::Loop) {
            let recurrence = &self.plan.recurrences[r];
            let own = |v: Value| self.owner(v) == Some(r);
            let others = |v: Value| !own(v) && self.inner_of(v).is_some();
            let stop = |v: Value| !own(v) && (self.plan.is_stored(v) || others(v));
            let walk = Walk {
                graph: self.graph,
                stop: &stop,
            };
            let unstored = |leaf: &super::Leaf| !self.plan.is_stored(leaf.value) && others(leaf.value);
            let read = self.nexts(recurrence).flat_map(|v| walk.leaves(v)).find(unstored);
            misfits.extend(read.map(|leaf| self.scan_of(leaf.value).unwrap_or(r)));
        }
        if misfits.is_empty() {
            Ok(())
        } else {
            Err(misfits.into_iter().collect())
        }
    }

    /// The next values of a recurrence.
    fn nexts<'r>(&'r self, recurrence: &'r Recurrence) -> impl Iterator<Item = Value> + 'r {
        let states = recurrence.states.iter();
        states.filter_map(|s| self.graph.states[s.0 as usize].next)
    }

    /// Items by the kernel they must share.
    pub(super) fn units(&self) -> Result<Vec<Unit>, Misfits> {
        let mut units: Vec<Unit> = Vec::new();
        let mut shared: HashMap<usize, usize> = HashMap::new();
        let next_of = self.next_buffers();
        let mut misfits = BTreeSet::new();
        for (i, item) in self.items.iter().enumerate() {
            let mut inner = item.inner.clone();
            inner.extend(self.loops_of(item, &next_of));
            // What is found not to fit will be stored: it is in the way of nothing else.
            inner.retain(|r| !misfits.contains(r));
            let scans: Vec<usize> = inner.iter().copied().filter(|r| self.modes[*r] != Mode::Loop).collect();
            let alone = usize::from(scans.len() == inner.len());
            if scans.len() > alone {
                misfits.extend(&scans[alone..]);
                continue;
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
        if !misfits.is_empty() {
            return Err(misfits.into_iter().collect());
        }
        units.retain(|u| !u.items.is_empty());
        Ok(units)
    }

    /// For each buffer of next values of loops, the recurrences of those.
    fn next_buffers(&self) -> HashMap<BufferId, Vec<usize>> {
        let mut found: HashMap<BufferId, Vec<usize>> = HashMap::new();
        let loops = self.plan.recurrences.iter().enumerate();
        for (r, recurrence) in loops.filter(|(r, _)| self.modes[*r] == Mode::Loop) {
            for next in self.nexts(recurrence) {
                if let Some(id) = self.plan.stored.get(&next) {
                    found.entry(*id).or_default().push(r);
                }
            }
        }
        found
    }

    /// Loops that an item belongs to although it reads no previous value: it computes a next value, or reads one that
    /// has a single row.
    fn loops_of(&self, item: &Item, next_of: &HashMap<BufferId, Vec<usize>>) -> BTreeSet<usize> {
        let value = self.plan.buffer(item.into).value;
        let member = self
            .owner(value)
            .filter(|_| !matches!(self.graph.op(value), Op::Prev(_)));
        let mut found: BTreeSet<usize> = member.filter(|r| self.modes[*r] == Mode::Loop).into_iter().collect();
        let single = |b: &&BufferId| self.plan.buffer(**b).rows == Rows::Single;
        for b in item.now.iter().filter(single).chain([&item.into]) {
            found.extend(next_of.get(b).into_iter().flatten());
        }
        found
    }

    /// Units that wait for each other become one loop over tokens.
    pub(super) fn join_cycles(&self, units: &mut Vec<Unit>) -> Result<(), Misfits> {
        let cycles = seqc_ir::cycles(&self.needs(units));
        let mut joined = Vec::new();
        for cycle in &cycles {
            if cycle.iter().all(|u| units[*u].loops.is_empty()) {
                let scan = cycle.iter().find_map(|u| units[*u].scan);
                return Err(vec![scan.unwrap_or(0)]);
            }
            let mut one = Unit {
                items: Vec::new(),
                scan: None,
                loops: BTreeSet::new(),
            };
            for u in cycle {
                one.items.extend(&units[*u].items);
                one.loops.extend(&units[*u].loops);
            }
            one.items.sort_unstable();
            joined.push(one);
        }
        let gone: HashSet<usize> = cycles.into_iter().flatten().collect();
        let mut n = 0;
        units.retain(|_| {
            n += 1;
            !gone.contains(&(n - 1))
        });
        units.extend(joined);
        Ok(())
    }

    /// For each unit the units that compute what it reads, ascending. What a scan reads of its inner values' operands counts.
    pub(super) fn needs(&self, units: &[Unit]) -> Vec<Vec<usize>> {
        let mut writer: HashMap<BufferId, usize> = HashMap::new();
        for (u, unit) in units.iter().enumerate() {
            for i in &unit.items {
                writer.insert(self.items[*i].into, u);
            }
        }
        let needs = |(u, unit): (usize, &Unit)| {
            let items = || unit.items.iter().map(|i| &self.items[*i]);
            let scans: BTreeSet<usize> = items().flat_map(|item| item.inner.iter().copied()).collect();
            let own = items().flat_map(|item| item.now.union(&item.before));
            let of_scans = scans.iter().flat_map(|r| &self.scan_reads[*r]);
            let found: BTreeSet<usize> = own.chain(of_scans).filter_map(|b| writer.get(b)).copied().collect();
            found.into_iter().filter(|w| *w != u).collect()
        };
        units.iter().enumerate().map(needs).collect()
    }

    /// Notes the buffers that the members of each scan and its outputs read; of loops there are none.
    pub(super) fn note_scan_reads(&mut self) {
        let scans = |r: &usize| self.modes[*r] != Mode::Loop;
        let mut roots: Vec<Vec<Value>> = vec![Vec::new(); self.modes.len()];
        for r in (0..self.modes.len()).filter(scans) {
            roots[r].extend(self.nexts(&self.plan.recurrences[r]));
        }
        for item in &self.items {
            for r in item.inner.iter().filter(|r| scans(r)) {
                roots[*r].push(self.plan.buffer(item.into).value);
            }
        }
        let reads = |(r, roots): (usize, Vec<Value>)| {
            let stop = |v: Value| self.plan.is_stored(v) && self.owner(v) != Some(r);
            let walk = Walk {
                graph: self.graph,
                stop: &stop,
            };
            let leaves = roots.into_iter().flat_map(|v| walk.leaves(v));
            leaves
                .filter_map(|leaf| self.plan.stored.get(&leaf.value))
                .copied()
                .collect()
        };
        self.scan_reads = roots.into_iter().enumerate().map(reads).collect();
    }
}
