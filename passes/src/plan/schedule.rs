//! From stored values to kernels in order: what runs together, and what waits for what.

use super::{
    Buffer, BufferId, Kernel, Nest, Plan, Rows,
    choose::Choose,
    epilogue, heads,
    inline::Walk,
    row_major,
    scan::{self, Mode},
    wiring,
};
use crate::recurrence::{Recurrence, recurrences};
use seqc_ir::{Graph, Op, Stage, StateId, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

/// States above this many entries are not stored for every token.
const SMALL_STATE: usize = 4096;

/// Plans a graph: tries the best way to run each recurrence first, and the next one where it does not fit.
pub(super) fn plan(graph: &Graph) -> Plan {
    let order = graph.live_order();
    let stages = graph.stages();
    let recurrences = recurrences(graph);
    let mut modes: Vec<Mode> = recurrences
        .iter()
        .map(|r| if r.elementwise { Mode::Fused } else { Mode::Loop })
        .collect();
    loop {
        let choose = Choose {
            graph,
            order: &order,
            stages: &stages,
            recurrences: &recurrences,
            modes: &modes,
        };
        let attempt = Attempt::new(graph, &choose, choose.stored());
        match attempt.finish() {
            Ok(plan) => return plan,
            Err(r) if modes[r] != Mode::Loop => {
                modes[r] = modes[r].next(state_len(graph, &recurrences[r]) <= SMALL_STATE)
            }
            Err(_) => unreachable!("a loop over tokens can run any recurrence"),
        }
    }
}

fn state_len(graph: &Graph, recurrence: &Recurrence) -> usize {
    recurrence
        .states
        .iter()
        .map(|s| graph.states[s.0 as usize].ty.len())
        .max()
        .unwrap_or(0)
}

/// What computes one stored value.
#[derive(Clone, Debug)]
enum Work {
    /// Loops over entries.
    Nests(Vec<Nest>),
    /// A product with a matrix.
    Product(Value),
    /// Attention.
    Attend(Value),
}

/// One stored value and what it waits for.
#[derive(Clone, Debug)]
struct Item {
    work: Work,
    into: BufferId,
    /// Buffers that are read at the same token.
    now: BTreeSet<BufferId>,
    /// Buffers that are read at earlier tokens.
    before: BTreeSet<BufferId>,
    /// Recurrences whose inner values are read.
    inner: BTreeSet<usize>,
}

/// Items that must run in one kernel.
#[derive(Clone, Debug)]
struct Unit {
    items: Vec<usize>,
    /// The scan that this is.
    scan: Option<usize>,
    /// The recurrences of the loop that this is, or of the unit's part in one.
    loops: BTreeSet<usize>,
}

struct Attempt<'a> {
    graph: &'a Graph,
    modes: &'a [Mode],
    plan: Plan,
    items: Vec<Item>,
}

impl<'a> Attempt<'a> {
    fn new(graph: &'a Graph, choose: &Choose<'a>, stored: HashSet<Value>) -> Attempt<'a> {
        let mut attempt = Attempt {
            graph,
            modes: choose.modes,
            plan: Plan {
                stages: choose.stages.to_vec(),
                recurrences: choose.recurrences.to_vec(),
                buffers: Vec::new(),
                stored: HashMap::new(),
                load: Vec::new(),
                kernels: Vec::new(),
                state_axes: graph.states.iter().map(|s| (0..s.ty.rank()).collect()).collect(),
            },
            items: Vec::new(),
        };
        let values: Vec<Value> = choose.order.iter().copied().filter(|v| stored.contains(v)).collect();
        for v in &values {
            attempt.add_buffer(*v);
        }
        attempt.add_histories(choose.order);
        let copies = attempt.place_outputs();
        for v in values {
            attempt.add_item(v);
        }
        for (v, into) in copies {
            attempt.add_nests(
                vec![Nest {
                    value: v,
                    into,
                    shift: None,
                }],
                into,
            );
        }
        attempt
    }

    fn add_buffer(&mut self, v: Value) {
        let id = self.new_buffer(
            v,
            if self.plan.stage(v) == Stage::Load {
                Rows::Load
            } else {
                Rows::Token
            },
        );
        self.plan.stored.insert(v, id);
    }

    fn new_buffer(&mut self, v: Value, rows: Rows) -> BufferId {
        let ty = self.graph.ty(v);
        self.plan.buffers.push(Buffer {
            value: v,
            len: ty.len(),
            elem: ty.elem,
            strides: row_major(&ty.sizes()),
            rows,
            history: 0,
            output: None,
            state: None,
        });
        BufferId(self.plan.buffers.len() - 1)
    }

    fn add_histories(&mut self, order: &[Value]) {
        for v in order {
            if let Op::Delay { steps } = self.graph.op(*v) {
                let source = self.plan.stored[&self.graph.operands(*v)[0]];
                let history = &mut self.plan.buffers[source.0].history;
                *history = (*history).max(*steps);
            }
        }
    }

    /// Lets stored values lie where the layer's results go; gives what has to be copied there.
    fn place_outputs(&mut self) -> Vec<(Value, BufferId)> {
        let mut copies = Vec::new();
        for (n, (_, v)) in self.graph.outputs.iter().enumerate() {
            let own = self.plan.stored.get(v).copied().filter(|id| {
                let b = &self.plan.buffers[id.0];
                b.rows == Rows::Token && b.history == 0 && b.output.is_none()
            });
            match own {
                Some(id) => self.plan.buffers[id.0].output = Some(n),
                None => {
                    let id = self.new_buffer(*v, Rows::Token);
                    self.plan.buffers[id.0].output = Some(n);
                    copies.push((*v, id));
                }
            }
        }
        copies
    }

    fn add_item(&mut self, v: Value) {
        let into = self.plan.stored[&v];
        let operands = self.graph.operands(v);
        match self.graph.op(v) {
            Op::MatVec if self.plan.stage(v) == Stage::Token => {
                self.add_rows_item(Work::Product(v), into, &operands[1..])
            }
            Op::Attend(_) => self.add_rows_item(Work::Attend(v), into, &operands),
            Op::Concat { axis } => {
                let mut at = 0;
                let mut parts = Vec::new();
                for o in operands {
                    parts.push(Nest {
                        value: o,
                        into,
                        shift: Some((*axis, at)),
                    });
                    at += self.graph.ty(o).dims[*axis].size;
                }
                self.add_nests(parts, into);
            }
            _ => self.add_nests(
                vec![Nest {
                    value: v,
                    into,
                    shift: None,
                }],
                into,
            ),
        }
    }

    fn add_nests(&mut self, nests: Vec<Nest>, into: BufferId) {
        if self.plan.buffers[into.0].rows == Rows::Load {
            self.plan.load.extend(nests);
            return;
        }
        let mut item = Item {
            work: Work::Nests(nests.clone()),
            into,
            now: BTreeSet::new(),
            before: BTreeSet::new(),
            inner: BTreeSet::new(),
        };
        for nest in &nests {
            self.reads_of(nest, &mut item);
        }
        self.items.push(item);
    }

    fn add_rows_item(&mut self, work: Work, into: BufferId, operands: &[Value]) {
        let rows = operands
            .iter()
            .filter_map(|o| wiring::row_of(self.graph, &|v| self.plan.is_stored(v), *o));
        let now = rows
            .filter_map(|row| self.plan.stored.get(&row.value).copied())
            .collect();
        self.items.push(Item {
            work,
            into,
            now,
            before: BTreeSet::new(),
            inner: BTreeSet::new(),
        });
    }

    /// The scan recurrence that a value is inside of.
    fn scan_of(&self, v: Value) -> Option<usize> {
        let inside =
            |r: &Recurrence| r.members.contains(&v) || matches!(self.graph.op(v), Op::Prev(s) if r.states.contains(s));
        self.plan
            .recurrences
            .iter()
            .zip(self.modes)
            .position(|(r, mode)| *mode != Mode::Loop && inside(r))
    }

    fn reads_of(&self, nest: &Nest, item: &mut Item) {
        let elsewhere = |v: Value| self.plan.stored.get(&v).is_some_and(|b| *b != nest.into);
        if elsewhere(nest.value) {
            item.now.extend(self.plan.stored.get(&nest.value));
            return;
        }
        let own = match self.graph.op(nest.value) {
            Op::Prev(_) => self.inner_of(nest.value),
            _ => self.scan_of(nest.value),
        };
        if let Some(r) = own {
            item.inner.insert(r);
            return;
        }
        let stop = |v: Value| self.plan.is_stored(v) || self.scan_of(v).is_some();
        for leaf in (Walk {
            graph: self.graph,
            stop: &stop,
        })
        .leaves(nest.value)
        {
            match self.plan.stored.get(&leaf.value) {
                Some(b) if leaf.delay > 0 => item.before.insert(*b),
                Some(b) => item.now.insert(*b),
                None => {
                    item.inner.extend(self.inner_of(leaf.value));
                    true
                }
            };
        }
    }

    /// The recurrence that an unstored value is inside of, or the loop whose previous value it is.
    fn inner_of(&self, v: Value) -> Option<usize> {
        self.scan_of(v).or_else(|| match self.graph.op(v) {
            Op::Prev(s) => self.plan.recurrences.iter().position(|r| r.states.contains(s)),
            _ => None,
        })
    }

    /// A scan has only its own states at hand: what it reads of another recurrence must be stored.
    fn check_scans(&self) -> Result<(), usize> {
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

    fn finish(mut self) -> Result<Plan, usize> {
        self.check_scans()?;
        self.shrink_loop_states();
        let mut units = self.units()?;
        self.join_cycles(&mut units)?;
        let all: Vec<usize> = (0..units.len()).collect();
        let kernels = self.arrange(&units, &all)?;
        self.plan.kernels = epilogue::fuse(self.graph, &self.plan, kernels);
        self.lay_out_scans();
        let kernels = self.plan.kernels.iter();
        let placed: Vec<_> = kernels
            .flat_map(|kernel| heads::in_place(self.graph, &self.plan, kernel))
            .collect();
        for (s, id) in placed {
            self.plan.buffers[id.0].state = Some(s);
        }
        Ok(self.plan)
    }

    /// Large next values of loops have one row instead of one for every token.
    fn shrink_loop_states(&mut self) {
        for (r, recurrence) in self.plan.recurrences.iter().enumerate() {
            for s in recurrence.states.iter().filter(|_| self.modes[r] == Mode::Loop) {
                let state = &self.graph.states[s.0 as usize];
                let Some(id) = state.next.and_then(|v| self.plan.stored.get(&v)) else {
                    continue;
                };
                let buffer = &mut self.plan.buffers[id.0];
                if buffer.len > SMALL_STATE
                    && buffer.history == 0
                    && buffer.output.is_none()
                    && buffer.rows == Rows::Token
                {
                    buffer.rows = Rows::Single;
                }
            }
        }
    }

    /// Items by the kernel they must share.
    fn units(&self) -> Result<Vec<Unit>, usize> {
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
    fn loop_of(&self, item: &Item) -> Vec<usize> {
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
    fn join_cycles(&self, units: &mut Vec<Unit>) -> Result<(), usize> {
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
    fn needs(&self, units: &[Unit]) -> Vec<HashSet<usize>> {
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
    fn scan_reads(&self, r: usize) -> BTreeSet<BufferId> {
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

    /// Kernels for some units, in an order in which everything is there when it is read.
    fn arrange(&self, units: &[Unit], which: &[usize]) -> Result<Vec<Kernel>, usize> {
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

    fn single<'b>(&'b self, unit: &Unit) -> Option<&'b Work> {
        match (&unit.items[..], unit.scan, unit.loops.is_empty()) {
            ([item], None, true) => Some(&self.items[*item].work),
            _ => None,
        }
    }

    /// Nests that can run one after another for each token: nothing waits for another token of the same group.
    fn token_group(&self, units: &[Unit], needs: &[HashSet<usize>], left: &mut Vec<usize>) -> Vec<Nest> {
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

    fn products(&self, units: &[Unit], which: &[usize]) -> Kernel {
        let product = |u: &usize| match self.single(&units[*u]) {
            Some(Work::Product(v)) => Some(super::Matmul {
                products: vec![*v],
                epilogue: Vec::new(),
            }),
            _ => None,
        };
        Kernel::Products(which.iter().filter_map(product).collect())
    }

    fn kernel(&self, unit: &Unit) -> Result<Kernel, usize> {
        if !unit.loops.is_empty() {
            return self.token_loop(unit);
        }
        if let Some(r) = unit.scan {
            return self.scan(r, &unit.items).map(Kernel::Scan);
        }
        match self.single(unit) {
            Some(Work::Attend(v)) => Ok(Kernel::Attend(*v)),
            Some(Work::Nests(nests)) => Ok(Kernel::Tokens(nests.clone())),
            Some(Work::Product(v)) => Ok(Kernel::Products(vec![super::Matmul {
                products: vec![*v],
                epilogue: Vec::new(),
            }])),
            None => Ok(Kernel::Tokens(Vec::new())),
        }
    }

    fn scan(&self, r: usize, items: &[usize]) -> Result<super::Scan, usize> {
        let nests = items.iter().flat_map(|i| match &self.items[*i].work {
            Work::Nests(nests) => nests.clone(),
            Work::Product(_) | Work::Attend(_) => Vec::new(),
        });
        let recurrence = &self.plan.recurrences[r];
        scan::fit(self.graph, recurrence, nests.collect(), &|v| self.plan.is_stored(v)).ok_or(r)
    }

    /// The items of a loop, arranged for one token; scans among them run as scans of one token.
    fn token_loop(&self, unit: &Unit) -> Result<Kernel, usize> {
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
            return Ok(Kernel::Heads { heads, nests, states });
        }
        body.push(Kernel::Commit(states));
        Ok(Kernel::Loop(body))
    }

    /// Chooses the order of axes in memory for scanned states and for what scans read of the load stage.
    fn lay_out_scans(&mut self) {
        let scans: Vec<super::Scan> = scan::all(&self.plan.kernels);
        for scan in scans {
            let Some((lane, outer)) = scan.kept.split_last() else {
                continue;
            };
            let order: Vec<usize> = outer.iter().chain(&scan.reduced).chain([lane]).copied().collect();
            for s in &scan.states {
                self.plan.state_axes[s.0 as usize] = order.clone();
            }
            for (value, axes) in scan::strided_constants(self.graph, &self.plan, &scan) {
                let id = match self.plan.stored.get(&value) {
                    Some(id) => *id,
                    None => {
                        let id = self.new_buffer(value, Rows::Load);
                        self.plan.stored.insert(value, id);
                        self.plan.load.insert(
                            0,
                            Nest {
                                value,
                                into: id,
                                shift: None,
                            },
                        );
                        id
                    }
                };
                let sizes = self.graph.ty(value).sizes();
                self.plan.buffers[id.0].strides = super::strides(&sizes, &axes);
            }
        }
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
