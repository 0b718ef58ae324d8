//! Chooses which values are stored. Everything else is computed inside the kernels that use it.
//! Does not decide in which kernel anything is computed.

use super::{FormId, Lowering, Stores, contiguous_rows};
use crate::{
    affine::{Access, LinearAccess, Stride},
    machine::Rates,
    recurrence::Recurrence,
};
use seqc_ir::{Elem, Graph, IndexExpr, Op, OpClass, OperandMode, Stage, Value, permutation};
use std::collections::{HashMap, HashSet};

/// Operations of one nest: code generation takes more than linear time in the length of straight code.
const LONGEST: usize = 48;
/// How often an index may stand in the one behind a chain of views: each view whose map names an axis twice doubles it.
const REPEATED: usize = 32;
/// Load-stage values above this many entries are stored only where computing them is costly.
const LARGE: usize = 1 << 16;

/// The parameters of a graph after the passes that are read only as matrices or tables: code reads these in the encoding
/// of the checkpoint, whose blocks lie along the last axis. All others are converted to f32.
pub fn native_params(graph: &Graph) -> Vec<bool> {
    let stages = graph.stages();
    let mut native: Vec<bool> = graph.params.iter().map(|port| port.ty.rank() >= 2).collect();
    for v in graph.live_order() {
        if let Op::Param(n) = graph.op(v) {
            native[*n] &= only_matrix(graph, &stages, v);
        }
    }
    native
}

fn only_matrix(graph: &Graph, stages: &[Stage], v: Value) -> bool {
    let last = |v: Value| graph.ty(v).dims.last().map(|dim| dim.size);
    let kept = graph.outputs.iter().any(|(_, output)| *output == v) || graph.states.iter().any(|s| s.next == Some(v));
    !kept
        && graph.users(v).into_iter().all(|user| {
            let op = graph.op(user);
            if let Op::Reshape = op {
                return last(user) == last(v) && only_matrix(graph, stages, user);
            }
            let operands = graph.operands(user).into_iter().enumerate();
            let mut modes = operands.filter(|(_, o)| *o == v).map(|(slot, _)| op.mode(slot));
            stages[user.0 as usize] == Stage::Token
                && modes.all(|mode| match mode {
                    OperandMode::Matrix => true,
                    OperandMode::Table => graph.ty(v).rank() == 2 && matches!(graph.op(v), Op::Param(_)),
                    OperandMode::Entries | OperandMode::Whole | OperandMode::Earlier => false,
                })
        })
}

/// The value whose entries, in order, are those of `v`: a result has the shape in which it is computed.
pub(super) fn unshaped(graph: &Graph, v: Value) -> Value {
    let mut at = v;
    while let Op::Reshape = graph.op(at) {
        at = graph.operands(at)[0];
    }
    at
}

/// What the choice starts from.
pub(super) struct Materialize<'a> {
    pub(super) graph: &'a Graph,
    pub(super) rates: &'a Rates,
    pub(super) order: &'a [Value],
    pub(super) stages: &'a [Stage],
    pub(super) recurrences: &'a [Recurrence],
    pub(super) modes: &'a [FormId],
    /// See [`of_params`].
    pub(super) of_params: &'a HashSet<Value>,
}

impl Materialize<'_> {
    /// The stored values.
    pub(super) fn stored(&self) -> HashSet<Value> {
        let mut forced = HashSet::new();
        for v in self.order {
            self.force(*v, &mut forced);
        }
        for (_, v) in &self.graph.outputs {
            let source = unshaped(self.graph, *v);
            if !self.is_leaf(source) {
                forced.insert(source);
            }
        }
        for (recurrence, mode) in self.recurrences.iter().zip(self.modes) {
            self.force_states(recurrence, *mode, &mut forced);
        }
        self.by_cost(forced)
    }

    fn is_leaf(&self, v: Value) -> bool {
        self.graph.class(v) == OpClass::Leaf
    }

    fn stage(&self, v: Value) -> Stage {
        self.stages[v.0 as usize]
    }

    /// Stores `v`, or what its operation must find in memory.
    fn force(&self, v: Value, forced: &mut HashSet<Value>) {
        let operands = self.graph.operands(v);
        let token = self.stage(v) == Stage::Token;
        match self.graph.class(v) {
            OpClass::Product if token => {
                forced.insert(v);
                self.force_matrix(operands[0], forced);
                operands[1..].iter().for_each(|row| self.force_row(*row, forced));
            }
            OpClass::Sequence => {
                forced.insert(v);
                for o in operands {
                    self.force_row(o, forced);
                }
            }
            OpClass::Concat => {
                forced.insert(v);
            }
            OpClass::Lag => {
                forced.insert(operands[0]);
            }
            // Rows are picked from something in memory.
            OpClass::Product if *self.graph.op(v) == Op::IndexedMatVec => {
                forced.extend(operands.first().filter(|w| !self.is_leaf(**w)));
            }
            OpClass::Lookup => {
                let of_param = matches!(self.graph.op(operands[0]), Op::Param(_));
                forced.insert(if of_param { v } else { operands[0] });
            }
            OpClass::Leaf | OpClass::Elementwise | OpClass::Index | OpClass::Reduction | OpClass::Product => {}
        }
        if !token && self.must_exist_at_load(v) {
            forced.insert(v);
        }
    }

    /// A row of `v`: attention and products read whole rows of reals.
    fn force_row(&self, v: Value, forced: &mut HashSet<Value>) {
        let real = self.graph.ty(v).elem == Elem::F32;
        let row = contiguous_rows::row_of(self.graph, &|at| forced.contains(&at), v);
        if real && row.is_some_and(|row| self.graph.ty(row.value).elem == Elem::F32) {
            return;
        }
        let target = if real {
            contiguous_rows::row_to_store(self.graph, v)
        } else {
            v
        };
        forced.insert(if self.is_leaf(target) { v } else { target });
    }

    /// The matrix of a product: a parameter as it lies, or a stored one.
    fn force_matrix(&self, w: Value, forced: &mut HashSet<Value>) {
        let mut at = w;
        while matches!(self.graph.op(at), Op::Reshape) {
            at = self.graph.operands(at)[0];
        }
        if !matches!(self.graph.op(at), Op::Param(_)) {
            forced.insert(at);
        }
    }

    /// True for load-stage values that tokens read and that are worth keeping.
    fn must_exist_at_load(&self, v: Value) -> bool {
        let used = self.graph.users(v).iter().any(|u| self.stage(*u) == Stage::Token);
        if !used || self.is_leaf(v) {
            return false;
        }
        if self.graph.class(v) == OpClass::Index {
            return self.worth_copying(v);
        }
        self.graph.ty(v).len() <= LARGE || self.graph.entry_cost(v) > 4.0 || self.of_params.contains(&v)
    }

    /// True for a strided part of something that is not repeated: contiguous it is read faster.
    fn worth_copying(&self, v: Value) -> bool {
        let sizes = self.graph.ty(v).sizes();
        let LinearAccess { value: source, at } = Access::whole(v, &sizes).through_views(self.graph, &|_| false);
        let fixed = matches!(self.graph.op(source), Op::Const(_) | Op::Iota { .. });
        if fixed || self.graph.ty(v).len() > self.graph.ty(source).len() || sizes.is_empty() {
            return false;
        }
        !matches!(at.stride(sizes.len() - 1, 16), Stride::Fixed(0 | 1))
    }

    fn force_states(&self, recurrence: &Recurrence, mode: FormId, forced: &mut HashSet<Value>) {
        let nexts = recurrence
            .states
            .iter()
            .filter_map(|s| self.graph.states[s.0 as usize].next);
        match mode.form().lowering {
            Lowering::Scan(Stores::Results) => {}
            Lowering::Scan(Stores::Reductions) => self.force_reductions(recurrence, forced),
            Lowering::Scan(Stores::States) => forced.extend(nexts.filter(|v| !self.is_leaf(*v))),
            // Also previous values of other states: all states change at once.
            Lowering::Loop | Lowering::Matrix => {
                forced.extend(nexts);
                self.force_turned_sums(recurrence, forced);
            }
        }
    }

    /// Stores sums over the states of a loop whose axes results have in another order: they are computed in that of the states.
    fn force_turned_sums(&self, recurrence: &Recurrence, forced: &mut HashSet<Value>) {
        let mut sums = HashSet::new();
        self.force_reductions(recurrence, &mut sums);
        forced.extend(sums.into_iter().filter(|sum| self.is_turned(*sum)));
    }

    /// Whether a view puts the axes of a value in another order, or of what is computed of it entry by entry.
    fn is_turned(&self, v: Value) -> bool {
        let (mut work, mut seen) = (self.graph.users(v), HashSet::new());
        while let Some(user) = work.pop() {
            let op = self.graph.op(user);
            if let Op::View(map) = op {
                let places = permutation(map, self.graph.ty(user).rank());
                if places.is_some_and(|places| !places.is_sorted()) {
                    return true;
                }
            } else if op.class() == OpClass::Elementwise && seen.insert(user) {
                work.extend(self.graph.users(user));
            }
        }
        false
    }

    /// Stores the first reductions over what is computed inside a recurrence.
    fn force_reductions(&self, recurrence: &Recurrence, forced: &mut HashSet<Value>) {
        let is_reduction = |v: Value| matches!(self.graph.op(v), Op::Reduce { .. });
        let mut work: Vec<Value> = super::scan::inner_values(recurrence).into_iter().collect();
        let mut seen: HashSet<Value> = work.iter().copied().collect();
        forced.extend(work.iter().copied().filter(|v| is_reduction(*v)));
        while let Some(v) = work.pop() {
            for user in self.graph.users(v) {
                if is_reduction(user) {
                    forced.insert(user);
                }
                let class = self.graph.class(user);
                let stops = matches!(class, OpClass::Reduction | OpClass::Product | OpClass::Sequence);
                if !stops && seen.insert(user) {
                    work.push(user);
                }
            }
        }
    }

    /// Values that only exist inside a scan.
    fn barred(&self) -> HashSet<Value> {
        self.scans().flat_map(|r| r.members.iter().copied()).collect()
    }

    fn scans(&self) -> impl Iterator<Item = &Recurrence> {
        let scans = self.recurrences.iter().zip(self.modes);
        scans.filter(|(_, mode)| mode.is_scan()).map(|(r, _)| r)
    }

    /// What a view looks at, through views and reshapes.
    fn behind_views(&self, v: Value) -> Value {
        let mut at = v;
        while matches!(self.graph.op(at), Op::View(_) | Op::Reshape) {
            at = self.graph.operands(at)[0];
        }
        at
    }

    /// Stores values now and then along long chains, so that no nest grows beyond [`LONGEST`]. What has an entry for each of a
    /// scan's state is left alone up to the first reduction: it would be a tensor of tokens x state.
    fn cut_chains(&self, stored: &mut HashSet<Value>, barred: &HashSet<Value>) {
        let mut sizes: HashMap<Value, usize> = HashMap::new();
        let mut inside: HashSet<Value> = HashSet::new();
        for v in self.order {
            let operands = self.graph.operands(*v);
            let size = operands.iter().map(|o| sizes[o]).fold(1, usize::saturating_add);
            let reads = operands.iter().any(|o| barred.contains(o) || inside.contains(o));
            if reads && !matches!(self.graph.op(*v), Op::Reduce { .. }) {
                inside.insert(*v);
            }
            let free =
                |at: Value| self.is_leaf(at) || barred.contains(&at) || inside.contains(&at) || self.is_index(at);
            let mut size = size;
            if size > LONGEST && !free(*v) {
                // What is repeated over more entries is stored before it is.
                let len = self.graph.ty(*v).len();
                let sources = operands.iter().map(|o| self.behind_views(*o));
                let smaller: Vec<Value> = sources
                    .filter(|o| !free(*o) && self.graph.ty(*o).len() < len && sizes[o] > 1)
                    .collect();
                size = match smaller.is_empty() {
                    true => size,
                    false => {
                        let kept = operands.iter().filter(|o| !smaller.contains(&self.behind_views(**o)));
                        kept.map(|o| sizes[o]).sum::<usize>() + 1 + smaller.len()
                    }
                };
                for o in smaller {
                    stored.insert(o);
                    sizes.insert(o, 1);
                }
                if size > LONGEST {
                    stored.insert(*v);
                }
            }
            sizes.insert(*v, if stored.contains(v) { 1 } else { size });
        }
    }

    /// Adds values that are cheaper stored than computed again wherever they are used.
    fn by_cost(&self, mut stored: HashSet<Value>) -> HashSet<Value> {
        let barred = self.barred();
        self.cut_views(&mut stored, &barred);
        self.store_cheap(&mut stored, &barred);
        self.cut_chains(&mut stored, &barred);
        stored
    }

    /// Stores a view now and then along chains of views whose indices grow.
    fn cut_views(&self, stored: &mut HashSet<Value>, barred: &HashSet<Value>) {
        let mut repeated: HashMap<Value, usize> = HashMap::new();
        for v in self.order {
            if self.graph.class(*v) != OpClass::Index {
                continue;
            }
            let source = self.graph.operands(*v)[0];
            let own = if let Op::View(map) = self.graph.op(*v) {
                most_named(map)
            } else {
                // Row-major order takes quotients and remainders of one index.
                self.graph.ty(source).rank().clamp(1, 2)
            };
            let times = own.saturating_mul(repeated.get(&source).copied().unwrap_or(1));
            if times > REPEATED && !barred.contains(v) {
                stored.insert(*v);
            }
            repeated.insert(*v, if stored.contains(v) { 1 } else { times });
        }
    }

    /// Values that a scan computes entry by entry of its own and reads again: stored, they would be its inputs as well as its results.
    fn passed_on(&self, barred: &HashSet<Value>) -> HashSet<Value> {
        let mut found = HashSet::new();
        for recurrence in self.scans() {
            let shape = self.graph.states[recurrence.states[0].0 as usize].ty.sizes();
            let mut own = super::scan::inner_values(recurrence);
            let mut work: Vec<Value> = own.iter().copied().collect();
            while let Some(v) = work.pop() {
                for user in self.graph.users(v) {
                    let by_entry =
                        self.graph.class(user) == OpClass::Elementwise && self.graph.ty(user).sizes() == shape;
                    if by_entry && own.insert(user) {
                        work.push(user);
                    }
                }
            }
            let again = |v: &Value| !barred.contains(v) && self.graph.users(*v).iter().any(|user| own.contains(user));
            found.extend(own.iter().copied().filter(again));
        }
        found
    }

    fn store_cheap(&self, stored: &mut HashSet<Value>, barred: &HashSet<Value>) {
        let costs = self.costs(stored, barred);
        let passed_on = self.passed_on(barred);
        let mut evals: HashMap<Value, f64> = HashMap::new();
        for v in self.order.iter().rev() {
            let len = self.graph.ty(*v).len() as f64;
            let count = evals.get(v).copied().unwrap_or(0.0);
            let inside = barred.contains(v) || passed_on.contains(v);
            let free = self.is_leaf(*v) || inside || stored.contains(v) || self.is_index(*v);
            let again = count * costs[v];
            let once = len * costs[v] + (len + count) * self.rates.memory + self.rates.nest;
            if !free && again > once {
                stored.insert(*v);
            }
            // A scan has its own values at hand, however many sums read them.
            let once = stored.contains(v) || inside;
            let runs = if once { len } else { count };
            // An operand that stands twice, as in a square, is computed once.
            let operands: HashSet<Value> = self.graph.operands(*v).into_iter().collect();
            for o in operands {
                *evals.entry(o).or_default() += runs * self.factor(*v);
            }
        }
    }

    /// Views and reshapes are free: what they read may be stored, they are not.
    fn is_index(&self, v: Value) -> bool {
        matches!(self.graph.class(v), OpClass::Index | OpClass::Lag)
    }

    /// Operand entries read for one result entry.
    fn factor(&self, v: Value) -> f64 {
        match self.graph.class(v) {
            // Parts of a concatenation are each read where they go.
            OpClass::Concat => 0.5,
            OpClass::Leaf | OpClass::Elementwise | OpClass::Index | OpClass::Lookup | OpClass::Reduction => {
                self.graph.reduced(v) as f64
            }
            OpClass::Product | OpClass::Lag | OpClass::Sequence => 1.0,
        }
    }

    /// Cost of one entry with everything inlined that need not be stored.
    fn costs(&self, stored: &HashSet<Value>, barred: &HashSet<Value>) -> HashMap<Value, f64> {
        let mut costs: HashMap<Value, f64> = HashMap::new();
        for v in self.order {
            let mut sum = self.graph.entry_cost(*v);
            for o in self.graph.operands(*v) {
                let memory = stored.contains(&o) || barred.contains(&o) || self.is_leaf(o);
                let one = if memory {
                    self.rates.memory
                } else {
                    costs.get(&o).copied().unwrap_or(self.rates.memory)
                };
                sum += one * self.factor(*v);
            }
            costs.insert(*v, sum);
        }
        costs
    }
}

/// Everything that some parameter takes part in.
pub(super) fn of_params(graph: &Graph, order: &[Value]) -> HashSet<Value> {
    let mut found = HashSet::new();
    for v in order {
        let reads = matches!(graph.op(*v), Op::Param(_)) || graph.operands(*v).iter().any(|o| found.contains(o));
        if reads {
            found.insert(*v);
        }
    }
    found
}

/// How often the axis that a map names most stands in it, at least once.
fn most_named(map: &[IndexExpr]) -> usize {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    let mut work: Vec<&IndexExpr> = map.iter().collect();
    while let Some(e) = work.pop() {
        match e {
            IndexExpr::Axis(n) => *counts.entry(*n).or_default() += 1,
            IndexExpr::Const(_) => {}
            IndexExpr::Add(a, b) => work.extend([&**a, &**b]),
            IndexExpr::Mul(a, _) | IndexExpr::Div(a, _) | IndexExpr::Mod(a, _) => work.push(a),
        }
    }
    counts.into_values().max().unwrap_or(1)
}
