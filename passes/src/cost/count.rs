//! Counts what the kernels of a plan do for one token.

use super::{
    Cache, Cost, EntryPart, Filter, GovernedCache, Read, ScanState, Work,
    decisions::{Sizes, decisions},
};
use crate::{
    attention::{PairAnalysis, named::Named, policy_entries::Share},
    conv_partition::ConvPartition,
    plan::{Chunked, Kernel, Matmul, Nest, Plan, Scan, Stack},
    recurrence::Recurrence,
};
use seqc_ir::{
    AttendSpec, Clock, Graph, Op, OpClass, OperandMode, PairExpr, Source, Stage, StateId, UnaryOp, Value,
    policy::{Coding, Policy, SLOT, Sight},
};
use std::collections::{HashMap, HashSet};

/// Additions of a turn of a pair, or of the product of two turns.
const TURN: f64 = 6.0;

/// Weight of an entry up to which a sum that it belongs to takes longer than the entry itself.
const SIMPLE: f64 = 2.0;

/// Arithmetic operations of a token in the next values of a recurrence's states, wherever they are computed.
pub fn of_recurrence(graph: &Graph, plan: &Plan, recurrence: &Recurrence) -> f64 {
    let next = |s: &StateId| graph.states[s.0 as usize].next;
    let nexts: Vec<Value> = recurrence.states.iter().filter_map(next).collect();
    let inner = recurrence.members.iter().copied().collect();
    Counting::new(graph, plan).work(&nexts, &inner).operations
}

/// The cost of a layer graph that went through the passes.
pub fn cost(graph: &Graph, plan: &Plan) -> Cost {
    let mut counting = Counting::new(graph, plan);
    counting.cost.parameters = graph.params.iter().map(|p| p.ty.len()).sum();
    counting.kernels(&plan.kernels, false);
    counting.rows();
    counting.states();
    counting.cost
}

struct Counting<'a> {
    graph: &'a Graph,
    plan: &'a Plan,
    order: Vec<Value>,
    /// Load-stage values that are read whole.
    read: HashSet<Value>,
    /// Entries that are read of load-stage values at computed indices, by what picks them.
    picked: HashMap<(Value, Value), f64>,
    cost: Cost,
}

impl<'a> Counting<'a> {
    fn new(graph: &'a Graph, plan: &'a Plan) -> Counting<'a> {
        Counting {
            graph,
            plan,
            order: graph.live_order(),
            read: HashSet::new(),
            picked: HashMap::new(),
            cost: Cost::default(),
        }
    }

    fn kernels(&mut self, kernels: &[Kernel], each_token: bool) {
        for kernel in kernels {
            if !matches!(kernel, Kernel::Loop(_)) {
                let steps = if each_token {
                    &mut self.cost.token_steps
                } else {
                    &mut self.cost.steps
                };
                *steps += 1;
            }
            self.kernel(kernel, each_token);
        }
    }

    fn kernel(&mut self, kernel: &Kernel, each_token: bool) {
        match kernel {
            Kernel::Matmuls(products) => self.products(products),
            Kernel::Map(nests) => {
                let work = self.work(&roots(nests), &HashSet::new());
                let place = if each_token {
                    &mut self.cost.sequential
                } else {
                    &mut self.cost.entries
                };
                place.add(work);
            }
            Kernel::Scan(scan) => {
                let work = self.recurrent(&roots(&scan.outputs), &scan.states);
                self.cost.scans.add(work);
                if !each_token {
                    self.cost.saved[0] += saved(scan, work);
                    self.scanned(scan);
                }
            }
            Kernel::Heads { nests, chunked, .. } => {
                // Every definition that matters here has a row of its own.
                let work = self.work(&roots(nests), &HashSet::new());
                self.cost.loops.add(work);
                self.cost.saved[1] += chunked.as_ref().map_or(0.0, |scan| saved(scan, work));
            }
            Kernel::Attend(v) => self.attend(*v),
            Kernel::LongConv(v) => self.filter(*v),
            Kernel::Reverse(v) | Kernel::RoundRow(v) => self.cost.entries.weight += self.graph.ty(*v).len() as f64,
            Kernel::Loop(body) => self.kernels(body, true),
            Kernel::Commit(states) => {
                let moved = states.iter().map(|s| self.graph.states[s.0 as usize].ty.len() as f64);
                self.cost.sequential.weight += moved.sum::<f64>();
            }
        }
    }

    fn products(&mut self, products: &[Matmul]) {
        for matmul in products {
            for v in &matmul.products {
                let (w, weights) = (
                    self.graph.operands(*v)[0],
                    self.graph.ty(*v).len() * self.graph.columns(*v),
                );
                self.cost.products += weights as f64;
                match Stack::of(self.graph, *v) {
                    None => self.reads(self.behind(w)),
                    Some(_) => self.picks(*v, w, weights as f64),
                }
            }
            let work = self.work(&roots(&matmul.epilogue), &HashSet::new());
            self.cost.entries.add(work);
        }
    }

    /// Notes that a token reads a load-stage value; tokens' own values stay in the nearest memory.
    fn reads(&mut self, v: Value) {
        if self.plan.stage(v) == Stage::Load && self.read.insert(v) {
            self.note_read(v, self.graph.ty(v).len(), false);
        }
    }

    /// Notes that `gather` reads `count` entries of its table.
    fn picks(&mut self, gather: Value, table: Value, count: f64) {
        if self.plan.stage(table) == Stage::Load {
            let known = self.picked.entry((self.behind(table), gather)).or_default();
            *known = known.max(count);
        }
    }

    /// What is read of tables: by all that pick from one together, and no more than there is.
    fn rows(&mut self) {
        let mut tables: HashMap<Value, f64> = HashMap::new();
        for ((table, _), count) in &self.picked {
            *tables.entry(*table).or_default() += count;
        }
        let mut tables: Vec<(Value, f64)> = tables.into_iter().collect();
        tables.sort_unstable_by_key(|(table, _)| *table);
        for (table, count) in tables {
            if !self.read.contains(&table) {
                self.note_read(table, (count as usize).min(self.graph.ty(table).len()), true);
            }
        }
    }

    fn note_read(&mut self, v: Value, entries: usize, rows: bool) {
        let param = match self.graph.op(v).source() {
            Some(Source::Param(n)) => Some(n),
            Some(Source::Input(_) | Source::State(_)) | None => None,
        };
        self.cost.reads.push(Read { param, entries, rows });
    }

    /// The stored operand of a chain of reshapes.
    fn behind(&self, v: Value) -> Value {
        let mut at = v;
        while matches!(self.graph.op(at), Op::Reshape) && !self.plan.is_stored(at) {
            at = self.graph.operands(at)[0];
        }
        at
    }

    fn recurrent(&mut self, outputs: &[Value], states: &[StateId]) -> Work {
        let nexts = states.iter().filter_map(|s| self.graph.states[s.0 as usize].next);
        let all: Vec<Value> = outputs.iter().copied().chain(nexts).collect();
        let inner = self.plan.recurrences.iter();
        let inner = inner.filter(|r| r.states.iter().any(|s| states.contains(s)));
        let inner: HashSet<Value> = inner.flat_map(|r| r.members.iter().copied()).collect();
        self.work(&all, &inner)
    }

    /// Work of computing `roots` and what is inlined into them; values of `inner` are computed here even if stored.
    fn work(&mut self, roots: &[Value], inner: &HashSet<Value>) -> Work {
        let mut counts: HashMap<Value, f64> = HashMap::new();
        let mut summed: HashSet<Value> = HashSet::new();
        for v in roots {
            counts.insert(*v, self.graph.ty(*v).len() as f64);
        }
        let mut work = Work::default();
        for i in (0..self.order.len()).rev() {
            let v = self.order[i];
            let Some(count) = counts.get(&v).copied() else { continue };
            let of_sum = self.graph.class(v) == OpClass::Reduction || summed.contains(&v);
            if of_sum {
                summed.extend(self.graph.operands(v));
            }
            work.add(self.entries_of(v, count, of_sum));
            self.pass_on(v, count, inner, &mut counts);
        }
        work
    }

    fn entries_of(&self, v: Value, count: f64, of_sum: bool) -> Work {
        let (class, each) = (self.graph.class(v), self.graph.entry_cost(v));
        let arithmetic = matches!(class, OpClass::Elementwise | OpClass::Reduction) && each > 0.0;
        let operations = if arithmetic { count * self.reduced(v) } else { 0.0 };
        let simple = each <= SIMPLE || class == OpClass::Reduction;
        Work {
            operations,
            weight: count * each,
            sums: if of_sum && simple { count * each } else { 0.0 },
        }
    }

    /// Counts the operands of a value that is computed `count` times.
    fn pass_on(&mut self, v: Value, count: f64, inner: &HashSet<Value>, counts: &mut HashMap<Value, f64>) {
        let (op, operands) = (self.graph.op(v), self.graph.operands(v));
        for (slot, o) in operands.iter().enumerate() {
            match op.mode(slot) {
                OperandMode::Entries => {}
                OperandMode::Table => {
                    self.picks(v, *o, count);
                    continue;
                }
                // What these read is stored.
                OperandMode::Matrix | OperandMode::Whole | OperandMode::Earlier => continue,
            }
            let stored = self.plan.is_stored(*o) && !inner.contains(o);
            if stored || matches!(self.graph.op(*o), Op::Param(_)) {
                self.reads(*o);
                continue;
            }
            // What is stored is computed once, however often it is read.
            let here = if op.class() == OpClass::Concat || self.plan.is_stored(*o) {
                self.graph.ty(*o).len() as f64
            } else {
                count * self.reduced(v)
            };
            let known = counts.entry(*o).or_default();
            *known = known.max(here);
        }
    }

    /// Operand entries read for one result entry.
    fn reduced(&self, v: Value) -> f64 {
        self.graph.reduced(v) as f64
    }

    fn attend(&mut self, v: Value) {
        let operands = self.graph.operands(v);
        let Op::Attend(spec) = self.graph.op(v) else { return };
        let size = |o: usize, axis: usize| self.graph.ty(operands[o]).dims[axis].size;
        let (heads, groups) = (size(0, 0), size(1, 0));
        let width = size(1, 1) + if spec.has_values() { size(2, 1) } else { 0 };
        let streams: usize = operands[spec.key_operands()]
            .iter()
            .map(|o| self.graph.ty(*o).len())
            .sum();
        // What a key brings along is kept by each key head for itself.
        let of_group = operands[spec.key_operands()].iter();
        let brought = of_group.map(|o| self.graph.ty(*o).len().div_ceil(groups)).sum();
        let PairAnalysis {
            span,
            rate,
            operations,
            policy,
            named,
            values_in_keys,
            ..
        } = &self.plan.attentions[&v];
        let kept = if values_in_keys.is_some() { size(1, 1) } else { width };
        let (span, rate, extra) = (*span, *rate, *operations as f64);
        let queries = if spec.clock == Clock::Both { rate.share() } else { 1.0 };
        self.cost.caches.push(Cache {
            operations: queries * heads as f64 * (2.0 * width as f64 + 4.0 + extra),
            weight: queries * heads as f64 * (width as f64 + self.plan.settings.machine.rates.normalise + extra),
            token_bytes: spec.stored.block_bytes() * groups * kept + 4 * streams,
            span,
            named: named.as_ref().map(Named::keys),
            rate,
            causal: spec.causal,
            governed: policy.clone().map(|entries| GovernedCache {
                entries,
                parts: parts(
                    spec,
                    [size(1, 1), size(2, 1), brought],
                    self.plan.settings.machine.rates.unpack,
                ),
                remembered: remembered(spec),
                decisions: decisions(
                    spec,
                    Sizes {
                        heads,
                        groups,
                        keys: size(1, 1),
                        pair: width as f64 + self.plan.settings.machine.rates.normalise,
                    },
                ),
            }),
        });
    }

    fn filter(&mut self, v: Value) {
        let channels = self.graph.ty(v).len();
        let blocks = ConvPartition::of(self.graph, v, &self.plan.settings);
        // The taps inside a block are at work for every token, half of them on average, and as many past values.
        let near = channels * blocks.smallest.min(blocks.taps) / 2;
        self.cost.reads.push(Read {
            param: None,
            entries: near,
            rows: false,
        });
        // As many past values are read, one row of these and one of the sums is written.
        self.cost.states += 4 * (near + channels) / 2;
        self.cost.filters.push(Filter { channels, blocks });
    }

    fn scanned(&mut self, scan: &Scan) {
        let bytes = scan.states.iter().map(|s| self.state_bytes(*s)).sum();
        let rows = scan.block.entries / scan.states.len();
        self.cost.scanned.push(ScanState {
            bytes,
            rows,
            lane_bytes: 4 * scan.block.entries,
            scattered: rows > 1 && scan.row_distance(self.graph) >= self.plan.settings.machine.memory.page,
            products: scan.products().is_some(),
        });
    }

    fn state_bytes(&self, s: StateId) -> usize {
        4 * self.graph.states[s.0 as usize].ty.len()
    }

    fn states(&mut self) {
        let all: usize = (0..self.graph.states.len() as u32)
            .map(|s| self.state_bytes(StateId(s)))
            .sum();
        let scanned: usize = self.cost.scanned.iter().map(|s| s.bytes).sum();
        self.cost.states += all.saturating_sub(scanned);
        let history = self.plan.buffers.iter().map(|b| b.history * b.len * b.entry_bytes());
        self.cost.history = history.sum();
    }
}

/// What the matrix form of a recurrence saves of its work.
fn saved(scan: &Scan, work: Work) -> f64 {
    let share = |form: &Chunked| 1.0 - form.costs.products / form.costs.by_tokens;
    scan.products().map_or(0.0, |(form, _)| work.weight * share(form))
}

fn roots(nests: &[Nest]) -> Vec<Value> {
    nests.iter().map(|nest| nest.value).collect()
}

/// What a cache with a policy stores of an entry of a key head, whose keys and values have these widths, and which brings so many numbers of
/// streams along.
fn parts(spec: &AttendSpec, [keys, values, brought]: [usize; 3], unpack: f64) -> Vec<EntryPart> {
    let Some(policy) = &spec.policy else { return Vec::new() };
    let plain = |share, width: usize| EntryPart {
        share,
        bytes: (spec.stored.block_bytes() * width) as f64,
        unpacked: 0.0,
    };
    let coded = |share, coding: &Option<Coding>, width| {
        let coding = coding.as_ref()?;
        // Pruned channels are 0, and copied with the others.
        let unpacked = unpack * width as f64;
        Some(EntryPart {
            share,
            bytes: coding.entry_bytes(width),
            unpacked,
        })
    };
    let blocks = EntryPart {
        share: Share::Blocks,
        bytes: block_bytes(policy, keys),
        unpacked: 0.0,
    };
    let memories = EntryPart {
        share: Share::All,
        bytes: 4.0 * (policy.memories.len() + brought) as f64,
        unpacked: 0.0,
    };
    let turned = EntryPart {
        share: Share::All,
        bytes: 0.0,
        unpacked: turned(policy),
    };
    let stored = [
        plain(Share::PlainKeys, keys),
        plain(Share::PlainValues, values),
        memories,
        turned,
        blocks,
    ];
    let codes = [
        coded(Share::CodedKeys, &policy.keys, keys),
        coded(Share::CodedValues, &policy.values, values),
    ];
    stored.into_iter().chain(codes.into_iter().flatten()).collect()
}

/// Bytes of what is kept of a closed block, by key heads.
fn block_bytes(policy: &Policy, width: usize) -> f64 {
    let closing = policy.blocks.iter().flat_map(|blocks| &blocks.closing);
    let read = |n: usize| {
        let stream = PairExpr::KeyStream(policy.closing_stream(n));
        let choosing = policy.blocks.iter().flat_map(|blocks| &blocks.choosing);
        choosing
            .into_iter()
            .flat_map(|d| d.kind.expressions())
            .any(|e| e.any(&|e| *e == stream))
    };
    let bytes = |(n, d): (usize, &seqc_ir::policy::Definition)| match read(n) {
        true if d.kind.of_channels() => 4.0 * width as f64,
        true => 4.0,
        false => 0.0,
    };
    closing.enumerate().map(bytes).sum()
}

/// Additions for turning a key to where a sight sees it, the others do not: by slots, whose turns are known for a page, or by any position.
fn turned(policy: &Policy) -> f64 {
    let Some(turn) = policy.turn else { return 0.0 };
    let elementary = UnaryOp::Sin.cost() + UnaryOp::Cos.cost();
    let by_slots = |sight: &Sight| sight.key == PairExpr::KeyStream(SLOT);
    let angle = if policy.sights.iter().all(by_slots) {
        TURN
    } else {
        elementary
    };
    turn.pairs as f64 * (TURN + angle)
}

/// Additions for what a policy remembers of one entry.
fn remembered(spec: &AttendSpec) -> f64 {
    let memories = spec.policy.iter().flat_map(|policy| &policy.memories);
    memories.map(|memory| memory.next.operations() as f64).sum()
}
