//! Which stored values must be computed in one kernel, and which kernels depend on which.

use super::{
    Misfit,
    definitions::{Definition, PlanBuilder, Work},
    forms::Misfits,
    inline::Walk,
    types::{BufferId, Extent},
};
use crate::recurrence::Recurrence;
use seqc_ir::{Op, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Definitions that must run in one kernel.
#[derive(Clone, Debug)]
pub(super) struct FusionGroup {
    pub(super) definitions: Vec<usize>,
    /// The scan that this is.
    pub(super) scan: Option<usize>,
    /// The recurrences of the loop that this is, or of the group's part in one.
    pub(super) loops: BTreeSet<usize>,
}

impl PlanBuilder<'_> {
    /// A scan has only its own states at hand: what it reads of another recurrence must be stored.
    pub(super) fn check_scans(&self) -> Result<(), Misfits> {
        let mut misfits = Misfits::new();
        for r in (0..self.modes.len()).filter(|r| self.modes[*r].is_scan()) {
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
            misfits.extend(read.map(|leaf| (self.scan_of(leaf.value).unwrap_or(r), Misfit::ReadsInside)));
        }
        if misfits.is_empty() { Ok(()) } else { Err(misfits) }
    }

    /// The next values of a recurrence.
    fn nexts<'r>(&'r self, recurrence: &'r Recurrence) -> impl Iterator<Item = Value> + 'r {
        let states = recurrence.states.iter();
        states.filter_map(|s| self.graph.states[s.0 as usize].next)
    }

    /// Definitions by the kernel they must share.
    pub(super) fn groups(&self) -> Result<Vec<FusionGroup>, Misfits> {
        let mut groups: Vec<FusionGroup> = Vec::new();
        let mut shared: HashMap<usize, usize> = HashMap::new();
        let next_of = self.next_buffers();
        let mut misfits = Misfits::new();
        for (i, definition) in self.definitions.iter().enumerate() {
            let mut inner = definition.inner.clone();
            inner.extend(self.loops_of(definition, &next_of));
            // What is found not to fit will be stored: it is in the way of nothing else.
            inner.retain(|r| !misfits.contains_key(r));
            let scans: Vec<usize> = inner.iter().copied().filter(|r| self.modes[*r].is_scan()).collect();
            let alone = usize::from(scans.len() == inner.len());
            if scans.len() > alone {
                misfits.extend(scans[alone..].iter().map(|r| (*r, Misfit::Entangled)));
                continue;
            }
            let known: BTreeSet<usize> = inner.iter().filter_map(|r| shared.get(r).copied()).collect();
            let group = match known.first() {
                Some(u) => *u,
                None => {
                    groups.push(FusionGroup {
                        definitions: Vec::new(),
                        scan: scans.first().copied(),
                        loops: BTreeSet::new(),
                    });
                    groups.len() - 1
                }
            };
            for other in known.iter().filter(|u| **u != group) {
                let merged = std::mem::take(&mut groups[*other].definitions);
                groups[group].definitions.extend(merged);
                let loops = std::mem::take(&mut groups[*other].loops);
                groups[group].loops.extend(loops);
                shared.values_mut().filter(|u| *u == other).for_each(|u| *u = group);
            }
            groups[group].definitions.push(i);
            if scans.is_empty() {
                groups[group].loops.extend(inner.iter().copied());
            }
            for r in inner {
                shared.insert(r, group);
            }
        }
        if !misfits.is_empty() {
            return Err(misfits);
        }
        groups.retain(|u| !u.definitions.is_empty());
        Ok(groups)
    }

    /// For each buffer of next values of loops, the recurrences of those.
    fn next_buffers(&self) -> HashMap<BufferId, Vec<usize>> {
        let mut found: HashMap<BufferId, Vec<usize>> = HashMap::new();
        let loops = self.plan.recurrences.iter().enumerate();
        for (r, recurrence) in loops.filter(|(r, _)| !self.modes[*r].is_scan()) {
            for next in self.nexts(recurrence) {
                if let Some(id) = self.plan.stored.get(&next) {
                    found.entry(*id).or_default().push(r);
                }
            }
        }
        found
    }

    /// Loops that a definition belongs to although it reads no previous value: it computes a next value, or reads one that
    /// has a single row.
    fn loops_of(&self, definition: &Definition, next_of: &HashMap<BufferId, Vec<usize>>) -> BTreeSet<usize> {
        let value = self.plan.buffer(definition.into).value;
        let member = self
            .owner(value)
            .filter(|_| !matches!(self.graph.op(value), Op::Prev(_)));
        let mut found: BTreeSet<usize> = member.filter(|r| !self.modes[*r].is_scan()).into_iter().collect();
        let single = |b: &&BufferId| self.plan.buffer(**b).extent == Extent::Single;
        for b in definition.now.iter().filter(single).chain([&definition.into]) {
            found.extend(next_of.get(b).into_iter().flatten());
        }
        found
    }

    /// The first of these scans that wait for their own results; where it is none of them, all scans there are.
    pub(super) fn waiting(&self, mut scans: impl Iterator<Item = usize>) -> Misfits {
        let why = |r: usize| (r, Misfit::WaitsForItself);
        match scans.next() {
            Some(r) => Misfits::from([why(r)]),
            None => (0..self.modes.len())
                .filter(|r| self.modes[*r].is_scan())
                .map(why)
                .collect(),
        }
    }

    /// Groups that wait for each other become one loop over tokens.
    pub(super) fn join_cycles(&self, groups: &mut Vec<FusionGroup>) -> Result<(), Misfits> {
        let cycles = seqc_ir::cycles(&self.needs(groups));
        let mut joined = Vec::new();
        for cycle in &cycles {
            let definitions = cycle.iter().flat_map(|u| &groups[*u].definitions);
            let whole = definitions.into_iter().any(|i| self.reads_later(*i));
            if whole || cycle.iter().all(|u| groups[*u].loops.is_empty()) {
                let scans = cycle.iter().filter_map(|u| groups[*u].scan);
                return Err(self.waiting(scans));
            }
            let mut one = FusionGroup {
                definitions: Vec::new(),
                scan: None,
                loops: BTreeSet::new(),
            };
            for u in cycle {
                one.definitions.extend(&groups[*u].definitions);
                one.loops.extend(&groups[*u].loops);
            }
            one.definitions.sort_unstable();
            joined.push(one);
        }
        let gone: HashSet<usize> = cycles.into_iter().flatten().collect();
        let mut n = 0;
        groups.retain(|_| {
            n += 1;
            !gone.contains(&(n - 1))
        });
        groups.extend(joined);
        Ok(())
    }

    /// Whether a definition reads later tokens: no loop over tokens can compute it.
    pub(super) fn reads_later(&self, definition: usize) -> bool {
        match self.definitions[definition].work {
            Work::Attend(v) | Work::Reverse(v) => self.graph.op(v).reads_later(),
            Work::Nests(_) | Work::Product(_) | Work::LongConv(_) | Work::RoundRow(_) => false,
        }
    }

    /// For each group the groups that compute what it reads, ascending. What a scan reads of its inner values' operands counts.
    pub(super) fn needs(&self, groups: &[FusionGroup]) -> Vec<Vec<usize>> {
        let mut writer: HashMap<BufferId, usize> = HashMap::new();
        for (u, group) in groups.iter().enumerate() {
            for i in &group.definitions {
                writer.insert(self.definitions[*i].into, u);
            }
        }
        let needs = |(u, group): (usize, &FusionGroup)| {
            let definitions = || group.definitions.iter().map(|i| &self.definitions[*i]);
            let scans: BTreeSet<usize> = definitions()
                .flat_map(|definition| definition.inner.iter().copied())
                .collect();
            let own = definitions().flat_map(|definition| definition.now.union(&definition.before));
            let of_scans = scans.iter().flat_map(|r| &self.scan_reads[*r]);
            let found: BTreeSet<usize> = own.chain(of_scans).filter_map(|b| writer.get(b)).copied().collect();
            found.into_iter().filter(|w| *w != u).collect()
        };
        groups.iter().enumerate().map(needs).collect()
    }

    /// Notes the buffers that the members of each scan and its outputs read; of loops there are none.
    pub(super) fn note_scan_reads(&mut self) {
        let scans = |r: &usize| self.modes[*r].is_scan();
        let mut roots: Vec<Vec<Value>> = vec![Vec::new(); self.modes.len()];
        for r in (0..self.modes.len()).filter(scans) {
            roots[r].extend(self.nexts(&self.plan.recurrences[r]));
        }
        for definition in &self.definitions {
            for r in definition.inner.iter().filter(|r| scans(r)) {
                roots[*r].push(self.plan.buffer(definition.into).value);
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
