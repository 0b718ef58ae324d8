//! Kernels in an order in which everything is there when it is read.

use super::{
    BufferId, Kernel, Matmul, Nest, Rows, Scan, chunked, epilogue, heads,
    items::{Attempt, Work},
    scan::{self, Mode},
    units::Unit,
};
use seqc_ir::{StateId, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

impl Attempt<'_> {
    /// Kernels for some units, in an order in which everything is there when it is read.
    pub(super) fn arrange(&self, units: &[Unit], which: &[usize]) -> Result<Vec<Kernel>, usize> {
        let needs = self.needs(units);
        let mut left: Vec<usize> = which.to_vec();
        let mut kernels = Vec::new();
        while !left.is_empty() {
            let ready = |u: usize, left: &[usize]| needs[u].iter().all(|w| !left.contains(w));
            let tokens = self.token_group(units, &needs, &mut left);
            if !tokens.is_empty() {
                kernels.push(Kernel::Tokens(tokens));
                continue;
            }
            let is_product = |u: &usize| matches!(self.single(&units[*u]), Some(Work::Product(_)));
            let products: Vec<usize> = left
                .iter()
                .copied()
                .filter(|u| is_product(u) && ready(*u, &left))
                .collect();
            if !products.is_empty() {
                left.retain(|u| !products.contains(u));
                kernels.push(self.products(units, &products));
                continue;
            }
            let kind = |u: &usize| {
                (
                    units[*u].scan.is_none() || !units[*u].loops.is_empty(),
                    !units[*u].loops.is_empty(),
                    *u,
                )
            };
            let next = left.iter().copied().filter(|u| ready(*u, &left)).min_by_key(kind);
            let Some(next) = next else {
                // Only a scan whose inputs need its own outputs can wait for itself.
                return Err(left.iter().find_map(|u| units[*u].scan).unwrap_or(0));
            };
            left.retain(|u| *u != next);
            kernels.push(self.kernel(&units[next])?);
        }
        Ok(kernels)
    }

    pub(super) fn single<'b>(&'b self, unit: &Unit) -> Option<&'b Work> {
        match (&unit.items[..], unit.scan, unit.loops.is_empty()) {
            ([item], None, true) => Some(&self.items[*item].work),
            _ => None,
        }
    }

    /// Nests that can run one after another for each token: nothing waits for another token of the same group.
    pub(super) fn token_group(&self, units: &[Unit], needs: &[HashSet<usize>], left: &mut Vec<usize>) -> Vec<Nest> {
        let mut group = Vec::new();
        let mut written: HashSet<BufferId> = HashSet::new();
        loop {
            let fits = |u: &usize| {
                let Some(Work::Nests(_)) = self.single(&units[*u]) else {
                    return false;
                };
                let item = &self.items[units[*u].items[0]];
                needs[*u].iter().all(|w| !left.contains(w))
                    && item.before.is_disjoint(&written.iter().copied().collect())
            };
            let Some(next) = left.iter().copied().find(fits) else {
                return group;
            };
            left.retain(|u| *u != next);
            let item = &self.items[units[next].items[0]];
            written.insert(item.into);
            if let Work::Nests(nests) = &item.work {
                group.extend(nests.iter().cloned());
            }
        }
    }

    pub(super) fn products(&self, units: &[Unit], which: &[usize]) -> Kernel {
        let product = |u: &usize| match self.single(&units[*u]) {
            Some(Work::Product(v)) => Some(Matmul {
                products: vec![*v],
                epilogue: Vec::new(),
            }),
            _ => None,
        };
        Kernel::Products(which.iter().filter_map(product).collect())
    }

    pub(super) fn kernel(&self, unit: &Unit) -> Result<Kernel, usize> {
        if !unit.loops.is_empty() {
            return self.token_loop(unit);
        }
        if let Some(r) = unit.scan {
            return self.scan(r, &unit.items).map(Kernel::Scan);
        }
        match self.single(unit) {
            Some(Work::Attend(v)) => Ok(Kernel::Attend(*v)),
            Some(Work::LongConv(v)) => Ok(Kernel::LongConv(*v)),
            Some(Work::Nests(nests)) => Ok(Kernel::Tokens(nests.clone())),
            Some(Work::Product(v)) => Ok(Kernel::Products(vec![Matmul {
                products: vec![*v],
                epilogue: Vec::new(),
            }])),
            None => Ok(Kernel::Tokens(Vec::new())),
        }
    }

    pub(super) fn scan(&self, r: usize, items: &[usize]) -> Result<Scan, usize> {
        let nests = items.iter().flat_map(|i| match &self.items[*i].work {
            Work::Nests(nests) => nests.clone(),
            Work::Product(_) | Work::Attend(_) | Work::LongConv(_) => Vec::new(),
        });
        let recurrence = &self.plan.recurrences[r];
        let stop = |v: Value| self.plan.is_stored(v);
        let mut scan = scan::fit(self.graph, recurrence, nests.collect(), &stop).ok_or(r)?;
        scan.chunked = chunked::find(self.graph, recurrence, &scan, (&stop, self.chunks));
        Ok(scan)
    }

    /// The items of a loop, arranged for one token; scans among them run as scans of one token.
    pub(super) fn token_loop(&self, unit: &Unit) -> Result<Kernel, usize> {
        let mut units: Vec<Unit> = Vec::new();
        let mut scans: HashMap<usize, usize> = HashMap::new();
        for i in &unit.items {
            let scan = self.items[*i]
                .inner
                .iter()
                .copied()
                .find(|r| self.modes[*r] != Mode::Loop);
            let at = scan.and_then(|r| scans.get(&r).copied());
            match at {
                Some(u) => units[u].items.push(*i),
                None => {
                    scan.into_iter().for_each(|r| {
                        scans.insert(r, units.len());
                    });
                    units.push(Unit {
                        items: vec![*i],
                        scan,
                        loops: BTreeSet::new(),
                    });
                }
            }
        }
        let all: Vec<usize> = (0..units.len()).collect();
        let mut body = epilogue::fuse(self.graph, &self.plan, self.arrange(&units, &all)?);
        let states: Vec<StateId> = unit
            .loops
            .iter()
            .flat_map(|r| self.plan.recurrences[*r].states.iter().copied())
            .collect();
        if let Some((heads, nests)) = heads::by_heads(self.graph, &self.plan, &body, &states) {
            let stop = |v: Value| self.plan.is_stored(v);
            let row = |v: Value| self.plan.stored.get(&v).map(|id| self.plan.buffer(*id).rows);
            let single = |v: Value| row(v) == Some(Rows::Single);
            let recurrences: Vec<usize> = unit.loops.iter().copied().collect();
            let chunked = match recurrences[..] {
                [r] if heads > 1 => chunked::of_heads(
                    self.graph,
                    &self.plan.recurrences[r],
                    &nests,
                    (&stop, &single, self.chunks),
                ),
                _ => None,
            };
            return Ok(Kernel::Heads {
                heads,
                nests,
                states,
                chunked,
            });
        }
        body.push(Kernel::Commit(states));
        Ok(Kernel::Loop(body))
    }
}
