//! Laws 6 to 9: what is read is there. Follows the kernels in order, and notes from when to when buffers are needed.

use super::report::{Place, Report, placed, states};
use crate::plan::{
    Leaf, Walk,
    contiguous_rows::read_by_product,
    head_parallel::reads_of_nest,
    held::held,
    row_of,
    types::{BufferId, Extent, Kernel, Matmul, Nest, Scan},
};
use seqc_ir::{Op, OpClass, StateId, Value};
use std::collections::{HashMap, HashSet};

/// The first and the last kernel that touches a buffer; (`usize::MAX`, 0) where none does.
pub(super) type Lives = Vec<(usize, usize)>;

pub(super) fn check(report: &mut Report<'_>) -> Lives {
    let plan = report.plan;
    let count = plan.buffers.len();
    let mut writers = vec![None; count];
    for (place, kernel) in placed(plan) {
        for id in plan.writes(kernel) {
            writers[id.0] = Some(place.top());
        }
    }
    let mut overwritten: HashMap<StateId, Vec<BufferId>> = HashMap::new();
    for (n, buffer) in plan.buffers.iter().enumerate() {
        if let Some(s) = buffer.state {
            overwritten.entry(s).or_default().push(BufferId(n));
        }
    }
    let mut order = Order {
        owners: owners(report),
        overwritten,
        report,
        writers,
        written: vec![false; count],
        lives: vec![(usize::MAX, 0); count],
        place: Place::Load,
        in_order: false,
    };
    order.nests(&plan.load);
    order.lives = vec![(usize::MAX, 0); count];
    for (n, kernel) in plan.kernels.iter().enumerate() {
        match kernel {
            Kernel::Loop(body) => order.token_loop(n, body),
            kernel => {
                order.place = Place::Kernel(n);
                order.in_order = matches!(kernel, Kernel::Heads { .. });
                order.kernel(kernel);
            }
        }
    }
    order.in_place();
    order.lives
}

/// The kernel that computes the next value of each state, by its number: law 8.
fn owners(report: &mut Report<'_>) -> HashMap<StateId, usize> {
    let mut owners = HashMap::new();
    for (place, kernel) in placed(report.plan) {
        for s in states(kernel) {
            let first = owners.insert(*s, place.top()).is_none();
            report.require(first, 8, place, || format!("the next value of {s} is computed twice"));
            let commit = matches!((place, kernel), (Place::Kernel(_), Kernel::Commit(_)));
            report.require(!commit, 8, place, || format!("{s} changes outside of a loop"));
        }
    }
    for s in report.plan.recurrences.iter().flat_map(|r| &r.states) {
        let there = owners.contains_key(s);
        report.require(there, 8, s, || "no kernel computes the next value".to_owned());
    }
    owners
}

struct Order<'r, 'a> {
    report: &'r mut Report<'a>,
    /// The kernel that computes the next value of each state.
    owners: HashMap<StateId, usize>,
    /// Buffers that overwrite states.
    overwritten: HashMap<StateId, Vec<BufferId>>,
    /// The kernel that writes each buffer for tokens.
    writers: Vec<Option<usize>>,
    /// What is written so far.
    written: Vec<bool>,
    lives: Lives,
    /// The kernel at hand.
    place: Place,
    /// Tokens go through it one after another: inside a loop, or in a kernel over heads.
    in_order: bool,
}

impl Order<'_, '_> {
    fn require(&mut self, holds: bool, law: u8, message: impl FnOnce() -> String) {
        self.report.require(holds, law, self.place, message);
    }

    fn touch(&mut self, id: BufferId) {
        let (life, at) = (&mut self.lives[id.0], self.place.top());
        *life = (life.0.min(at), life.1.max(at));
        let single = self.report.plan.buffer(id).extent == Extent::Single;
        let inside = self.in_order && self.writers[id.0] == Some(at);
        self.require(!single || inside, 7, || {
            format!("{id} has a single row, and is touched outside of the loop that writes it")
        });
    }

    fn write(&mut self, id: BufferId) {
        self.begun(id, false, None);
        self.touch(id);
        self.written[id.0] = true;
    }

    /// A read at the same token.
    fn read(&mut self, id: BufferId) {
        self.touch(id);
        let written = self.written[id.0];
        self.require(written, 6, || format!("{id} is read before it is written"));
    }

    /// A read at an earlier token; `own` holds for a scan's result at the same entry.
    fn read_earlier(&mut self, id: BufferId, delay: usize, own: bool) {
        self.touch(id);
        let history = self.report.plan.buffer(id).history;
        self.require(delay <= history, 6, || {
            format!("{id} is read {delay} tokens ago and keeps {history}")
        });
        let (writer, at) = (self.writers[id.0], self.place.top());
        let there = writer.is_some_and(|w| w < at || w == at && (self.in_order || own));
        self.require(there, 6, || {
            format!("earlier tokens of {id} are read in the kernel that writes them, or before")
        });
    }

    /// Reads of a nest at hand; `own` are the results of the scan that it is in.
    fn reads(&mut self, nest: &Nest, own: &HashSet<BufferId>) {
        let (graph, plan) = (self.report.graph, self.report.plan);
        if let (Op::Prev(s), true) = (graph.op(nest.value), plan.stored.get(&nest.value) == Some(&nest.into)) {
            self.previous(*s, true, nest.into);
        }
        for leaf in reads_of_nest(graph, plan, nest) {
            match (plan.stored.get(&leaf.value), graph.op(leaf.value)) {
                // A copy of a parameter, an input or a previous value.
                (Some(id), _) if leaf.value == nest.value && *id == nest.into => {}
                (Some(id), _) if own.contains(id) => self.read_own(*id, &leaf),
                (Some(id), _) if leaf.delay > 0 => self.read_earlier(*id, leaf.delay, false),
                (Some(id), _) => {
                    self.begun(*id, is_identity(&leaf), Some(nest.into));
                    self.read(*id);
                }
                (None, Op::Prev(s)) => self.previous(*s, is_identity(&leaf), nest.into),
                (None, _) => {}
            }
        }
    }

    /// A read of what the scan at hand computes.
    fn read_own(&mut self, id: BufferId, leaf: &Leaf) {
        self.require(is_identity(leaf), 14, || {
            format!("{id} is read at another entry inside the scan")
        });
        // Members of a recurrence and its previous values are at hand from the start of a token, what is made of them entry by entry
        // where it is asked for.
        let (graph, value) = (self.report.graph, leaf.value);
        let is_next = graph.states.iter().any(|s| s.next == Some(value));
        let at_hand = is_next || graph.class(value) == OpClass::Elementwise || matches!(graph.op(value), Op::Prev(_));
        match leaf.delay {
            0 if at_hand => self.touch(id),
            0 => self.read(id),
            delay => self.read_earlier(id, delay, true),
        }
    }

    /// A read of a previous value by the nest that writes a buffer: laws 8 and 9.
    fn previous(&mut self, s: StateId, identity: bool, into: BufferId) {
        let inside = self.owners.get(&s) == Some(&self.place.top()) && self.place != Place::Load;
        self.require(inside, 8, || {
            format!("{s} is read outside of the kernel that changes it")
        });
        for id in self.overwritten.get(&s).cloned().unwrap_or_default() {
            let kept = !self.written[id.0] && (id != into || identity);
            self.require(kept, 9, || format!("{s} is read after {id} overwrites it"));
        }
    }

    /// Law 9 for what is touched of what stands for a previous value, by the nest that writes a buffer.
    fn begun(&mut self, id: BufferId, identity: bool, into: Option<BufferId>) {
        let Some(next) = self.next_in_place(id) else { return };
        let kept = !self.written[next.0] && (Some(next) != into || identity);
        self.require(kept, 9, || format!("{id} is touched after {next} overwrites it"));
    }

    /// The buffer of the next value that overwrites what stands for the previous one in `id`.
    fn next_in_place(&self, id: BufferId) -> Option<BufferId> {
        let plan = self.report.plan;
        let s = plan.buffer(id).state?;
        let next = self.report.graph.states.get(s.0 as usize)?.next?;
        plan.stored.get(&next).copied().filter(|next| *next != id)
    }

    fn nests(&mut self, nests: &[Nest]) {
        for nest in nests {
            self.reads(nest, &HashSet::new());
            self.write(nest.into);
        }
    }

    fn kernel(&mut self, kernel: &Kernel) {
        let (graph, plan) = (self.report.graph, self.report.plan);
        match kernel {
            Kernel::Map(nests) => self.nests(nests),
            Kernel::Matmuls(matmuls) => self.matmuls(matmuls),
            Kernel::Scan(scan) => self.scan(scan),
            Kernel::Attend(v) | Kernel::LongConv(v) | Kernel::Reverse(v) | Kernel::RoundRow(v) => {
                self.rows(&graph.operands(*v));
                plan.stored.get(v).iter().for_each(|id| self.write(**id));
            }
            Kernel::Heads {
                nests, states, chunked, ..
            } => {
                chunked.iter().for_each(|scan| self.factors(scan));
                self.nests(nests);
                self.commit(states);
            }
            Kernel::Commit(states) => self.commit(states),
            Kernel::Loop(body) => body.iter().for_each(|kernel| self.kernel(kernel)),
        }
    }

    /// Laws 6 to 9 inside a loop, which ends with its states.
    fn token_loop(&mut self, n: usize, body: &[Kernel]) {
        self.in_order = true;
        for (m, kernel) in body.iter().enumerate() {
            self.place = Place::Inside(n, m);
            let commit = matches!(kernel, Kernel::Commit(_));
            self.require(commit == (m + 1 == body.len()), 8, || {
                "a loop ends with its states".to_owned()
            });
            self.kernel(kernel);
        }
    }

    /// The next values of states, at the end of a token.
    fn commit(&mut self, states: &[StateId]) {
        for s in states {
            let next = self.report.graph.states[s.0 as usize].next;
            match next.and_then(|v| self.report.plan.stored.get(&v)).copied() {
                Some(id) => self.read(id),
                None => self.require(false, 8, || format!("the next value of {s} is not stored")),
            }
        }
    }

    /// Reads of rows.
    fn rows(&mut self, values: &[Value]) {
        let (graph, plan) = (self.report.graph, self.report.plan);
        for v in values {
            let row = row_of(graph, &|at| plan.is_stored(at), *v);
            let id = row.and_then(|row| plan.stored.get(&row.value));
            if let Some(id) = id {
                self.begun(*id, false, None);
                self.read(*id);
            }
        }
    }

    /// Products run in any order: none reads another's results.
    fn matmuls(&mut self, matmuls: &[Matmul]) {
        let (graph, plan) = (self.report.graph, self.report.plan);
        for matmul in matmuls {
            let rows: Vec<Value> = matmul
                .products
                .iter()
                .flat_map(|v| read_by_product(graph, *v))
                .collect();
            self.rows(&rows);
            let read = rows.iter().filter_map(|v| row_of(graph, &|at| plan.is_stored(at), *v));
            let next = read.filter_map(|row| self.next_in_place(*plan.stored.get(&row.value)?));
            let overwritten: Vec<BufferId> = next
                .filter(|id| matmul.epilogue.iter().any(|nest| nest.into == *id))
                .collect();
            self.require(overwritten.is_empty(), 9, || {
                format!("a product reads what is overwritten behind it: {overwritten:?}")
            });
        }
        let mut all = Vec::new();
        for matmul in matmuls {
            let products = matmul.products.iter().filter_map(|v| plan.stored.get(v)).copied();
            let mut own: Vec<BufferId> = products.collect();
            own.iter().for_each(|id| self.write(*id));
            self.nests(&matmul.epilogue);
            own.extend(matmul.epilogue.iter().map(|nest| nest.into));
            own.iter().for_each(|id| self.written[id.0] = false);
            all.extend(own);
        }
        all.iter().for_each(|id| self.written[id.0] = true);
    }

    fn scan(&mut self, scan: &Scan) {
        let own: HashSet<BufferId> = scan.outputs.iter().map(|nest| nest.into).collect();
        self.factors(scan);
        for s in &scan.states {
            let Some(next) = self.report.graph.states[s.0 as usize].next else {
                continue;
            };
            self.member(next, &own);
        }
        for nest in &scan.outputs {
            self.reads(nest, &own);
            self.write(nest.into);
        }
    }

    /// What the next value of a scan's state is computed from.
    fn member(&mut self, next: Value, own: &HashSet<BufferId>) {
        let (graph, plan) = (self.report.graph, self.report.plan);
        let stop = |v: Value| plan.is_stored(v);
        for leaf in (Walk { graph, stop: &stop }).leaves(next) {
            match (plan.stored.get(&leaf.value), graph.op(leaf.value)) {
                (Some(id), _) if own.contains(id) => self.read_own(*id, &leaf),
                (Some(id), _) if leaf.delay > 0 => self.read_earlier(*id, leaf.delay, false),
                (Some(id), _) => self.read(*id),
                (None, Op::Prev(s)) => {
                    let inside = self.owners.get(s) == Some(&self.place.top());
                    self.require(inside, 8, || {
                        format!("{s} is read outside of the kernel that changes it")
                    });
                }
                (None, _) => {}
            }
        }
    }

    /// Factors of a matrix form are there before the kernel runs.
    fn factors(&mut self, scan: &Scan) {
        let (graph, plan) = (self.report.graph, self.report.plan);
        let stop = |v: Value| plan.is_stored(v);
        let walk = Walk { graph, stop: &stop };
        for x in scan.chunked.iter().flat_map(|form| form.factors()) {
            if let Some(id) = plan.stored.get(&x.value) {
                self.read(*id);
                continue;
            }
            for leaf in walk.leaves(x.value) {
                match (plan.stored.get(&leaf.value), graph.op(leaf.value)) {
                    (Some(id), _) if leaf.delay > 0 => self.read_earlier(*id, leaf.delay, false),
                    (Some(id), _) => self.read(*id),
                    (None, Op::Prev(s)) => self.require(false, 15, || format!("{x} depends on {s}")),
                    (None, _) => {}
                }
            }
        }
    }

    /// Law 9: what overwrites a state is its next value, or stands for the previous one, has a single row, and is written where the state
    /// changes.
    fn in_place(&mut self) {
        let placed = std::mem::take(&mut self.overwritten);
        for (s, id) in placed
            .into_iter()
            .flat_map(|(s, ids)| ids.into_iter().map(move |id| (s, id)))
        {
            let (graph, buffer) = (self.report.graph, self.report.plan.buffer(id));
            let next = graph.states[s.0 as usize].next == Some(buffer.value)
                || held(graph, buffer.value).is_some_and(|held| held.state == s);
            let owner = self.owners.get(&s);
            let here = owner.is_some() && self.writers[id.0].as_ref() == owner;
            let fits = next && here && buffer.extent == Extent::Single;
            self.report.require(fits, 9, id, || {
                format!("this is neither the next value of {s} nor the previous one, in a single row")
            });
        }
    }
}

/// True where a value is read at the index of the loops.
fn is_identity(leaf: &Leaf) -> bool {
    leaf.coords.iter().enumerate().all(|(n, at)| at.as_axis() == Some(n))
}
