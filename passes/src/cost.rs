//! What one layer costs for a token: weights read, operations, steps, state, all closed forms in the context length.
//!
//! Everything is read off the graph and its plan. How long it takes is not known here: that is a matter of machines.

use crate::{
    blocks::Blocks,
    keep::Keep,
    plan::{Chunked, Kernel, Matmul, Nest, Plan, Scan, entry_cost},
    rate::Rate,
};
use seqc_ir::{AttendSpec, Clock, Graph, Op, ScoreExpr, Stage, StateId, Value};
use std::collections::{HashMap, HashSet};

/// What a softmax or another normaliser adds to a pair of query and key, in additions.
const NORMALISE: f64 = 20.0;

/// What a token reads of something that is there when weights are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The parameter; `None`: a tensor computed from parameters, in f32.
    pub param: Option<usize>,
    /// Entries that one token reads.
    pub entries: usize,
    /// Each token reads rows of its own, so that a chunk reads more of them.
    pub rows: bool,
}

/// Work of nests in one kind of kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Arithmetic operations a token.
    pub operations: f64,
    /// The same weighted by what they take, in additions.
    pub weight: f64,
}

impl Work {
    fn add(&mut self, other: Work) {
        self.operations += other.operations;
        self.weight += other.weight;
    }
}

/// An attention and its cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cache {
    /// Arithmetic operations for one key that a query looks at, over all heads; a token is a query as often as the clock
    /// says.
    pub operations: f64,
    /// The same weighted, in additions.
    pub weight: f64,
    /// Bytes kept for a token, and read for each key that a query looks at.
    pub token_bytes: usize,
    /// What is kept.
    pub keep: Keep,
    /// Which tokens are keys.
    pub rate: Rate,
    /// False: every query looks at the whole sequence.
    pub causal: bool,
}

impl Cache {
    /// Most keys that are kept, if there is a bound.
    pub fn limit(&self) -> Option<u64> {
        self.keep
            .distance
            .map(|distance| distance.saturating_add(self.keep.first))
    }

    /// Keys that are kept, and looked at, when `context` tokens have been read.
    pub fn keys(&self, context: f64) -> f64 {
        let keys = context * self.rate.share();
        match self.limit() {
            Some(limit) => keys.min(limit as f64),
            None => keys,
        }
    }

    /// Mean of [`Cache::keys`] over the tokens of a prompt that has `context` of them.
    pub fn mean_keys(&self, context: f64) -> f64 {
        let all = context * self.rate.share();
        if !self.causal {
            return all;
        }
        let limit = self.keys(context);
        // Up to the limit the number grows from token to token, then it stays.
        limit - limit * limit / (2.0 * all.max(1.0))
    }
}

/// A long convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filter {
    /// Channels, each with a filter of its own.
    pub channels: usize,
    /// How its sum is cut.
    pub blocks: Blocks,
}

impl Filter {
    /// Operations of a token, on average over `context` tokens.
    pub fn operations(&self, context: f64) -> f64 {
        self.channels as f64 * self.blocks.operations(context)
    }

    /// Bytes that are kept after `context` tokens.
    pub fn state_bytes(&self, context: f64) -> f64 {
        4.0 * self.channels as f64 * self.blocks.kept(context)
    }
}

/// Cost of one layer graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// Entries of all parameters.
    pub parameters: usize,
    /// What a token reads of weights and what was computed from them.
    pub reads: Vec<Read>,
    /// Multiplications, each with an addition, in products with matrices.
    pub products: f64,
    /// Loops over entries, each token for itself.
    pub entries: Work,
    /// Recurrences that run entry by entry.
    pub scans: Work,
    /// Recurrences that run head by head.
    pub loops: Work,
    /// What matrix products save of the weight of scans and of heads in a long chunk.
    pub saved: [f64; 2],
    /// Everything that runs for one token after another, all threads at the same token.
    pub sequential: Work,
    /// Kernels that run once for a chunk.
    pub steps: usize,
    /// Kernels that run once for every token of a chunk.
    pub token_steps: usize,
    /// Bytes of state that do not depend on the context length: recurrences, and rows of earlier tokens.
    pub state_bytes: usize,
    /// Bytes of it that a token reads and writes.
    pub moved_bytes: usize,
    /// Attentions.
    pub caches: Vec<Cache>,
    /// Long convolutions.
    pub filters: Vec<Filter>,
}

impl Cost {
    /// Bytes of state after `context` tokens.
    pub fn state_at(&self, context: f64) -> f64 {
        let kept = |cache: &Cache| cache.token_bytes as f64 * cache.keys(context);
        let filters = self.filters.iter().map(|f| f.state_bytes(context));
        self.state_bytes as f64 + self.caches.iter().map(kept).sum::<f64>() + filters.sum::<f64>()
    }

    /// Operations of a token beside attention: a product counts two for each multiplication.
    pub fn fixed_operations(&self) -> f64 {
        2.0 * self.products
            + self.entries.operations
            + self.scans.operations
            + self.loops.operations
            + self.sequential.operations
    }

    /// Operations of long convolutions for a token, on average over `context` tokens.
    pub fn filter_operations(&self, context: f64) -> f64 {
        self.filters.iter().map(|f| f.operations(context)).sum()
    }

    /// Operations of the token at position `context`.
    pub fn decode_operations(&self, context: f64) -> f64 {
        let seen = |cache: &Cache| cache.operations * cache.keys(context);
        self.fixed_operations() + self.filter_operations(context) + self.caches.iter().map(seen).sum::<f64>()
    }

    /// Operations of a token of a prompt of `context` tokens, on average.
    pub fn prefill_operations(&self, context: f64) -> f64 {
        let seen = |cache: &Cache| cache.operations * cache.mean_keys(context);
        self.fixed_operations() + self.filter_operations(context) + self.caches.iter().map(seen).sum::<f64>()
    }

    /// Bytes of caches that the token at position `context` reads.
    pub fn cache_bytes(&self, context: f64) -> f64 {
        let read = |cache: &Cache| cache.token_bytes as f64 * cache.keys(context);
        self.caches.iter().map(read).sum()
    }
}

/// The cost of a layer graph that went through the passes.
pub fn cost(graph: &Graph, plan: &Plan) -> Cost {
    let mut counting = Counting {
        graph,
        plan,
        order: graph.live_order(),
        read: HashSet::new(),
        cost: Cost::default(),
    };
    counting.cost.parameters = graph.params.iter().map(|p| p.ty.len()).sum();
    counting.kernels(&plan.kernels, false);
    counting.states();
    counting.cost
}

struct Counting<'a> {
    graph: &'a Graph,
    plan: &'a Plan,
    order: Vec<Value>,
    read: HashSet<(Value, bool)>,
    cost: Cost,
}

impl Counting<'_> {
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
            Kernel::Products(products) => self.products(products),
            Kernel::Tokens(nests) => {
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
                let w = self.graph.operands(*v)[0];
                self.cost.products += self.graph.ty(w).len() as f64;
                self.reads_matrix(w);
            }
            let work = self.work(&roots(&matmul.epilogue), &HashSet::new());
            self.cost.entries.add(work);
        }
    }

    fn reads_matrix(&mut self, w: Value) {
        let mut at = w;
        while matches!(self.graph.op(at), Op::Reshape) && !self.plan.is_stored(at) {
            at = self.graph.operands(at)[0];
        }
        self.reads(at, false);
    }

    /// Notes that a token reads a load-stage value; tokens' own values stay in the nearest memory.
    fn reads(&mut self, v: Value, rows: bool) {
        if self.plan.stage(v) != Stage::Load || !self.read.insert((v, rows)) {
            return;
        }
        let ty = self.graph.ty(v);
        let param = match self.graph.op(v) {
            Op::Param(n) => Some(*n),
            _ => None,
        };
        let count = if rows { ty.dims.first().map_or(1, |d| d.size) } else { 1 };
        self.cost.reads.push(Read {
            param,
            entries: ty.len() / count.max(1),
            rows,
        });
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
        for v in roots {
            counts.insert(*v, self.graph.ty(*v).len() as f64);
        }
        let mut work = Work::default();
        for i in (0..self.order.len()).rev() {
            let v = self.order[i];
            let Some(count) = counts.get(&v).copied() else { continue };
            work.add(self.entries_of(v, count));
            self.pass_on(v, count, (inner, &mut counts));
        }
        work
    }

    fn entries_of(&self, v: Value, count: f64) -> Work {
        let operations = match self.graph.op(v) {
            Op::Unary(_) | Op::Binary(_) | Op::Select => count,
            Op::Reduce { .. } => count * self.factor(v),
            _ => 0.0,
        };
        Work {
            operations,
            weight: count * entry_cost(self.graph, v),
        }
    }

    /// Counts the operands of a value that is computed `count` times.
    fn pass_on(&mut self, v: Value, count: f64, (inner, counts): (&HashSet<Value>, &mut HashMap<Value, f64>)) {
        let operands = self.graph.operands(v);
        if let Op::Gather = self.graph.op(v) {
            self.reads(operands[0], true);
        }
        let skip = match self.graph.op(v) {
            Op::Gather => 1,
            // What these read is stored.
            Op::Delay { .. } | Op::Window { .. } | Op::MatVec | Op::LongConv | Op::Attend(_) => operands.len(),
            _ => 0,
        };
        for o in &operands[skip..] {
            let stored = self.plan.is_stored(*o) && !inner.contains(o);
            if stored || matches!(self.graph.op(*o), Op::Param(_)) {
                self.reads(*o, false);
                continue;
            }
            let here = if let Op::Concat { .. } = self.graph.op(v) {
                self.graph.ty(*o).len() as f64
            } else {
                count * self.factor(v)
            };
            let known = counts.entry(*o).or_default();
            *known = known.max(here);
        }
    }

    /// Operand entries read for one result entry.
    fn factor(&self, v: Value) -> f64 {
        match self.graph.op(v) {
            Op::Reduce { .. } => {
                let from = self.graph.ty(self.graph.operands(v)[0]).len();
                from as f64 / self.graph.ty(v).len().max(1) as f64
            }
            _ => 1.0,
        }
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
        let extra = score_operations(spec);
        let rate = spec.on().map_or(Rate::ALL, |on| Rate::of(self.graph, operands[on]));
        let queries = if spec.clock == Clock::Both { rate.share() } else { 1.0 };
        self.cost.caches.push(Cache {
            operations: queries * heads as f64 * (2.0 * width as f64 + 4.0 + extra),
            weight: queries * heads as f64 * (width as f64 + NORMALISE + extra),
            token_bytes: 4 * (groups * width + streams),
            keep: Keep::new(spec, heads),
            rate,
            causal: spec.causal,
        });
    }

    fn filter(&mut self, v: Value) {
        let (channels, all) = (self.graph.ty(v).len(), self.graph.ty(self.graph.operands(v)[1]).len());
        let blocks = Blocks::new(all / channels.max(1));
        // The taps inside a block are at work for every token, half of them on average, and as many past values.
        let near = channels * blocks.smallest.min(blocks.taps) / 2;
        self.cost.reads.push(Read {
            param: None,
            entries: near,
            rows: false,
        });
        self.cost.moved_bytes += 4 * near;
        self.cost.filters.push(Filter { channels, blocks });
    }

    fn states(&mut self) {
        let states: usize = self.graph.states.iter().map(|s| s.ty.len() * 4).sum();
        let history = self.plan.buffers.iter().map(|b| b.history * b.len * b.entry_bytes());
        let history: usize = history.sum();
        self.cost.state_bytes = states + history;
        // A state is read and written; of earlier rows all are read and one is written.
        self.cost.moved_bytes += 2 * states + history;
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

fn score_operations(spec: &AttendSpec) -> f64 {
    let of = |e: &Option<ScoreExpr>| e.as_ref().map_or(0.0, nodes);
    of(&spec.predicate) + of(&spec.score)
}

/// Operations of an expression over pairs.
fn nodes(e: &ScoreExpr) -> f64 {
    match e {
        ScoreExpr::Unary(_, x) => 1.0 + nodes(x),
        ScoreExpr::Binary(_, x, y) => 1.0 + nodes(x) + nodes(y),
        ScoreExpr::Select(c, x, y) => 1.0 + nodes(c) + nodes(x) + nodes(y),
        ScoreExpr::Table(_, indices) => 1.0 + indices.iter().map(nodes).sum::<f64>(),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests;
