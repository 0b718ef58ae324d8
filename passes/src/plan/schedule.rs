//! Orders the kernels so that every value is computed before it is read.

use super::{
    FormId, Misfit, chunked, chunked_heads,
    definitions::{PlanBuilder, Work},
    forms::Misfits,
    fuse_epilogues,
    fusion_groups::FusionGroup,
    head_parallel::{self, Heads},
    scan,
    types::{BufferId, Kernel, Matmul, Nest, Scan},
};
use seqc_ir::StateId;
use std::collections::{BTreeSet, HashMap, HashSet};

/// What a group becomes; of several that are ready the smallest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KernelKind {
    Tokens,
    Product,
    Scan,
    Other,
    Loop,
}

/// Units that wait for nothing any more, by their kind, and those that still do.
struct Queue {
    ready: BTreeSet<(KernelKind, usize)>,
    kinds: Vec<KernelKind>,
    /// How many groups each one waits for.
    missing: Vec<usize>,
    /// The groups that wait for each one.
    waiting: Vec<Vec<usize>>,
    /// Units that are not taken yet.
    left: usize,
}

impl Queue {
    fn new(kinds: Vec<KernelKind>, needs: &[Vec<usize>]) -> Queue {
        let mut waiting = vec![Vec::new(); needs.len()];
        for (u, needs) in needs.iter().enumerate() {
            needs.iter().for_each(|w| waiting[*w].push(u));
        }
        let missing: Vec<usize> = needs.iter().map(Vec::len).collect();
        let ready = (0..needs.len()).filter(|u| missing[*u] == 0).map(|u| (kinds[u], u));
        Queue {
            ready: ready.collect(),
            left: needs.len(),
            kinds,
            missing,
            waiting,
        }
    }

    /// Ready groups of a kind, ascending.
    fn of(&self, kind: KernelKind) -> impl Iterator<Item = usize> + '_ {
        let range = self.ready.range((kind, 0)..=(kind, usize::MAX));
        range.map(|(_, u)| *u)
    }

    /// Takes a group: others may become ready.
    fn take(&mut self, u: usize) {
        self.ready.remove(&(self.kinds[u], u));
        self.left -= 1;
        for user in std::mem::take(&mut self.waiting[u]) {
            self.missing[user] -= 1;
            if self.missing[user] == 0 {
                self.ready.insert((self.kinds[user], user));
            }
        }
    }
}

impl PlanBuilder<'_> {
    /// Kernels for some groups, in an order in which everything is there when it is read.
    pub(super) fn arrange(&self, groups: &[FusionGroup]) -> Result<Vec<Kernel>, Misfits> {
        let mut queue = Queue::new(groups.iter().map(|u| self.kind(u)).collect(), &self.needs(groups));
        let mut kernels = Vec::new();
        let mut misfits = Misfits::new();
        while queue.left > 0 {
            let Some((kind, next)) = queue.ready.first().copied() else {
                // Only a scan whose inputs need its own outputs can wait for itself.
                let waits = |u: &usize| queue.missing[*u] > 0;
                let scan = (0..groups.len()).filter(waits).find_map(|u| groups[u].scan);
                misfits.extend(self.waiting(scan.into_iter()));
                break;
            };
            match kind {
                KernelKind::Tokens => kernels.push(Kernel::Map(self.token_group(groups, &mut queue))),
                KernelKind::Product => {
                    let products: Vec<usize> = queue.of(KernelKind::Product).collect();
                    products.iter().for_each(|u| queue.take(*u));
                    kernels.push(self.products(groups, &products));
                }
                KernelKind::Scan | KernelKind::Other | KernelKind::Loop => {
                    queue.take(next);
                    match self.kernel(&groups[next]) {
                        Ok(kernel) => kernels.push(kernel),
                        Err(found) => misfits.extend(found),
                    }
                }
            }
        }
        if misfits.is_empty() { Ok(kernels) } else { Err(misfits) }
    }

    fn kind(&self, group: &FusionGroup) -> KernelKind {
        match self.single(group) {
            Some(Work::Nests(_)) => KernelKind::Tokens,
            Some(Work::Product(_)) => KernelKind::Product,
            _ if !group.loops.is_empty() => KernelKind::Loop,
            _ if group.scan.is_some() => KernelKind::Scan,
            _ => KernelKind::Other,
        }
    }

    pub(super) fn single<'b>(&'b self, group: &FusionGroup) -> Option<&'b Work> {
        match (&group.definitions[..], group.scan, group.loops.is_empty()) {
            ([definition], None, true) => Some(&self.definitions[*definition].work),
            _ => None,
        }
    }

    /// Nests that can run one after another for each token: nothing waits for another token of the same group.
    fn token_group(&self, groups: &[FusionGroup], queue: &mut Queue) -> Vec<Nest> {
        let mut group = Vec::new();
        let mut written: HashSet<BufferId> = HashSet::new();
        let mut passed: HashSet<usize> = HashSet::new();
        loop {
            let next = queue.of(KernelKind::Tokens).find(|u| !passed.contains(u));
            let Some(next) = next else { return group };
            let definition = &self.definitions[groups[next].definitions[0]];
            if definition.before.iter().any(|b| written.contains(b)) {
                passed.insert(next);
                continue;
            }
            queue.take(next);
            written.insert(definition.into);
            if let Work::Nests(nests) = &definition.work {
                group.extend(nests.iter().cloned());
            }
        }
    }

    pub(super) fn products(&self, groups: &[FusionGroup], which: &[usize]) -> Kernel {
        let product = |u: &usize| match self.single(&groups[*u]) {
            Some(Work::Product(v)) => Some(Matmul {
                products: vec![*v],
                epilogue: Vec::new(),
            }),
            _ => None,
        };
        Kernel::Matmuls(which.iter().filter_map(product).collect())
    }

    pub(super) fn kernel(&self, group: &FusionGroup) -> Result<Kernel, Misfits> {
        if !group.loops.is_empty() {
            return self.token_loop(group);
        }
        if let Some(r) = group.scan {
            let scan = self.scan(r, &group.definitions).map(Kernel::Scan);
            return scan.map_err(|misfit| Misfits::from([(r, misfit)]));
        }
        match self.single(group) {
            Some(Work::Attend(v)) => Ok(Kernel::Attend(*v)),
            Some(Work::LongConv(v)) => Ok(Kernel::LongConv(*v)),
            Some(Work::Reverse(v)) => Ok(Kernel::Reverse(*v)),
            Some(Work::RoundRow(v)) => Ok(Kernel::RoundRow(*v)),
            Some(Work::Nests(nests)) => Ok(Kernel::Map(nests.clone())),
            Some(Work::Product(v)) => Ok(Kernel::Matmuls(vec![Matmul {
                products: vec![*v],
                epilogue: Vec::new(),
            }])),
            None => Ok(Kernel::Map(Vec::new())),
        }
    }

    pub(super) fn scan(&self, r: usize, definitions: &[usize]) -> Result<Scan, Misfit> {
        let nests = definitions.iter().flat_map(|i| match &self.definitions[*i].work {
            Work::Nests(nests) => nests.clone(),
            Work::Product(_) | Work::Attend(_) | Work::LongConv(_) | Work::Reverse(_) | Work::RoundRow(_) => Vec::new(),
        });
        let recurrence = &self.plan.recurrences[r];
        let mut scan = scan::fit(self.graph, &self.plan, recurrence, nests.collect())?;
        let form = chunked::find(self.graph, &self.plan, recurrence, &scan, &HashSet::new());
        scan.chunked = self.matrix_form(r, form);
        Ok(scan)
    }

    /// A matrix form where there is one; else notes why not.
    fn matrix_form<T>(&self, r: usize, found: Result<T, Misfit>) -> Option<T> {
        let reject = |misfit: &Misfit| {
            let forms = [FormId::StateSpaceDuality, FormId::Wy].map(|id| ((r, id), *misfit));
            self.rejected.borrow_mut().extend(forms);
        };
        found.inspect_err(reject).ok()
    }

    /// The definitions of a loop, arranged for one token; scans among them run as scans of one token.
    pub(super) fn token_loop(&self, group: &FusionGroup) -> Result<Kernel, Misfits> {
        let mut groups: Vec<FusionGroup> = Vec::new();
        let mut scans: HashMap<usize, usize> = HashMap::new();
        for i in &group.definitions {
            let scan = self.definitions[*i]
                .inner
                .iter()
                .copied()
                .find(|r| self.modes[*r].is_scan());
            let at = scan.and_then(|r| scans.get(&r).copied());
            match at {
                Some(u) => groups[u].definitions.push(*i),
                None => {
                    scan.into_iter().for_each(|r| {
                        scans.insert(r, groups.len());
                    });
                    groups.push(FusionGroup {
                        definitions: vec![*i],
                        scan,
                        loops: BTreeSet::new(),
                    });
                }
            }
        }
        let mut body = fuse_epilogues::fuse(self.graph, &self.plan, self.arrange(&groups)?);
        let states: Vec<StateId> = group
            .loops
            .iter()
            .flat_map(|r| self.plan.recurrences[*r].states.iter().copied())
            .collect();
        let by_heads = head_parallel::by_heads(self.graph, &self.plan, &body, &states);
        let recurrences: Vec<usize> = group.loops.iter().copied().collect();
        if by_heads.as_ref().is_none_or(|heads| heads.count == 1) {
            let rejected = recurrences.iter();
            let rejected = rejected.map(|r| ((*r, FormId::HeadParallel), Misfit::HeadsDepend));
            self.rejected.borrow_mut().extend(rejected);
        }
        let chunked = match (&recurrences[..], &by_heads) {
            ([r], Some(heads)) => {
                let recurrence = &self.plan.recurrences[*r];
                self.matrix_form(*r, chunked_heads::of_heads(self.graph, &self.plan, recurrence, heads))
            }
            ([r], None) => self.matrix_form(*r, Err(Misfit::OtherKernels)),
            _ => None,
        };
        let is_used = |scan: &Scan| scan.chunked.as_ref().is_some_and(|form| form.shortest.is_some());
        // All threads compute the entries of one head where it is large, unless it has a matrix form.
        let apart = |heads: &Heads| heads.count > 1 || heads.little || chunked.as_ref().is_some_and(is_used);
        if let Some(heads) = by_heads.filter(apart) {
            return Ok(Kernel::Heads {
                heads: heads.count,
                nests: heads.nests,
                states,
                chunked,
            });
        }
        body.push(Kernel::Commit(states));
        Ok(Kernel::Loop(body))
    }
}
