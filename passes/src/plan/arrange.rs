//! Kernels in an order in which everything is there when it is read.

use super::{
    BufferId, Kernel, Matmul, Nest, Rows, Scan, chunked, epilogue, heads,
    items::{Attempt, Work},
    scan::{self, Mode},
    schedule::Misfits,
    units::Unit,
};
use seqc_ir::{StateId, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What a unit becomes; of several that are ready the smallest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Tokens,
    Product,
    Scan,
    Other,
    Loop,
}

/// Units that wait for nothing any more, by their turn, and those that still do.
struct Queue {
    ready: BTreeSet<(Turn, usize)>,
    turns: Vec<Turn>,
    /// How many units each one waits for.
    missing: Vec<usize>,
    /// The units that wait for each one.
    waiting: Vec<Vec<usize>>,
    /// Units that are not taken yet.
    left: usize,
}

impl Queue {
    fn new(turns: Vec<Turn>, needs: &[Vec<usize>]) -> Queue {
        let mut waiting = vec![Vec::new(); needs.len()];
        for (u, needs) in needs.iter().enumerate() {
            needs.iter().for_each(|w| waiting[*w].push(u));
        }
        let missing: Vec<usize> = needs.iter().map(Vec::len).collect();
        let ready = (0..needs.len()).filter(|u| missing[*u] == 0).map(|u| (turns[u], u));
        Queue {
            ready: ready.collect(),
            left: needs.len(),
            turns,
            missing,
            waiting,
        }
    }

    /// Ready units of a turn, ascending.
    fn of(&self, turn: Turn) -> impl Iterator<Item = usize> + '_ {
        let range = self.ready.range((turn, 0)..=(turn, usize::MAX));
        range.map(|(_, u)| *u)
    }

    /// Takes a unit: others may become ready.
    fn take(&mut self, u: usize) {
        self.ready.remove(&(self.turns[u], u));
        self.left -= 1;
        for user in std::mem::take(&mut self.waiting[u]) {
            self.missing[user] -= 1;
            if self.missing[user] == 0 {
                self.ready.insert((self.turns[user], user));
            }
        }
    }
}

impl Attempt<'_> {
    /// Kernels for some units, in an order in which everything is there when it is read.
    pub(super) fn arrange(&self, units: &[Unit]) -> Result<Vec<Kernel>, Misfits> {
        let mut queue = Queue::new(units.iter().map(|u| self.turn(u)).collect(), &self.needs(units));
        let mut kernels = Vec::new();
        let mut misfits = BTreeSet::new();
        while queue.left > 0 {
            let Some((turn, next)) = queue.ready.first().copied() else {
                // Only a scan whose inputs need its own outputs can wait for itself.
                let waits = |u: &usize| queue.missing[*u] > 0;
                let scan = (0..units.len()).filter(waits).find_map(|u| units[u].scan);
                misfits.insert(scan.unwrap_or(0));
                break;
            };
            match turn {
                Turn::Tokens => kernels.push(Kernel::Tokens(self.token_group(units, &mut queue))),
                Turn::Product => {
                    let products: Vec<usize> = queue.of(Turn::Product).collect();
                    products.iter().for_each(|u| queue.take(*u));
                    kernels.push(self.products(units, &products));
                }
                Turn::Scan | Turn::Other | Turn::Loop => {
                    queue.take(next);
                    match self.kernel(&units[next]) {
                        Ok(kernel) => kernels.push(kernel),
                        Err(found) => misfits.extend(found),
                    }
                }
            }
        }
        if misfits.is_empty() {
            Ok(kernels)
        } else {
            Err(misfits.into_iter().collect())
        }
    }

    fn turn(&self, unit: &Unit) -> Turn {
        match self.single(unit) {
            Some(Work::Nests(_)) => Turn::Tokens,
            Some(Work::Product(_)) => Turn::Product,
            _ if !unit.loops.is_empty() => Turn::Loop,
            _ if unit.scan.is_some() => Turn::Scan,
            _ => Turn::Other,
        }
    }

    pub(super) fn single<'b>(&'b self, unit: &Unit) -> Option<&'b Work> {
        match (&unit.items[..], unit.scan, unit.loops.is_empty()) {
            ([item], None, true) => Some(&self.items[*item].work),
            _ => None,
        }
    }

    /// Nests that can run one after another for each token: nothing waits for another token of the same group.
    fn token_group(&self, units: &[Unit], queue: &mut Queue) -> Vec<Nest> {
        let mut group = Vec::new();
        let mut written: HashSet<BufferId> = HashSet::new();
        let mut passed: HashSet<usize> = HashSet::new();
        loop {
            let next = queue.of(Turn::Tokens).find(|u| !passed.contains(u));
            let Some(next) = next else { return group };
            let item = &self.items[units[next].items[0]];
            if item.before.iter().any(|b| written.contains(b)) {
                passed.insert(next);
                continue;
            }
            queue.take(next);
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

    pub(super) fn kernel(&self, unit: &Unit) -> Result<Kernel, Misfits> {
        if !unit.loops.is_empty() {
            return self.token_loop(unit);
        }
        if let Some(r) = unit.scan {
            return self.scan(r, &unit.items).map(Kernel::Scan).ok_or_else(|| vec![r]);
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

    pub(super) fn scan(&self, r: usize, items: &[usize]) -> Option<Scan> {
        let nests = items.iter().flat_map(|i| match &self.items[*i].work {
            Work::Nests(nests) => nests.clone(),
            Work::Product(_) | Work::Attend(_) | Work::LongConv(_) => Vec::new(),
        });
        let recurrence = &self.plan.recurrences[r];
        let stop = |v: Value| self.plan.is_stored(v);
        let mut scan = scan::fit(self.graph, recurrence, nests.collect(), &stop)?;
        scan.chunked = chunked::find(self.graph, recurrence, &scan, (&stop, self.chunks));
        Some(scan)
    }

    /// The items of a loop, arranged for one token; scans among them run as scans of one token.
    pub(super) fn token_loop(&self, unit: &Unit) -> Result<Kernel, Misfits> {
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
        let mut body = epilogue::fuse(self.graph, &self.plan, self.arrange(&units)?);
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
