//! A policy run for one key head without attention: which entries stay where weights, keys and queries are arbitrary numbers.
//!
//! The evaluator ([`seqc_ir::eval`]) defines what a policy does; here nothing is computed that only decides which of several entries
//! stay, not how many.

use super::column::Column;
use seqc_ir::{
    BinaryOp, PairDomain, PairExpr, PairLeaf, UnaryOp,
    eval::entries::{KeyHead, fewest, joined, pool, reduce, top},
    policy::{CLOSED, COUNTERS, Coding, ENDED, ENTRIES, Kind, MEMORIES, Policy, READING, SLOT},
};

/// How many entries a head has after a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) entries: usize,
    /// How many of these have coded keys.
    pub(super) keys: usize,
    /// How many have coded values.
    pub(super) values: usize,
    /// Blocks that are closed.
    pub(super) blocks: usize,
    /// Entries behind the first block's first one that are in no closed block.
    pub(super) open: usize,
}

impl Count {
    /// Of two heads together.
    fn and(self, other: Count) -> Count {
        Count {
            entries: self.entries + other.entries,
            keys: self.keys + other.keys,
            values: self.values + other.values,
            blocks: self.blocks + other.blocks,
            open: self.open + other.open,
        }
    }
}

/// What stands for weights, keys and queries.
#[derive(Clone, Copy)]
pub(super) struct Arbitrary {
    seed: u64,
    /// What they are below; they are not negative.
    size: f64,
}

impl Arbitrary {
    /// The first ones.
    pub(super) const USUAL: Arbitrary = Arbitrary { seed: 1, size: 1.0 };
    /// Others like them.
    pub(super) const OTHER: Arbitrary = Arbitrary { seed: 2, size: 1.0 };
    /// Much larger and much smaller ones: where these give other counts, it is data that decide, not only which entries stay.
    pub(super) const EXTREME: [Arbitrary; 2] = [Arbitrary { seed: 1, size: 1e3 }, Arbitrary { seed: 1, size: 1e-6 }];
}

/// One key head.
pub(super) struct Head<'p> {
    pub(super) policy: &'p Policy,
    head: usize,
    /// Tokens of the prompt; `None`: it never ends.
    prompt: Option<usize>,
    numbers: Arbitrary,
    /// Memories that depend on weights: they are drawn when they are read.
    drawn: Vec<bool>,
    position: usize,
    pub(super) positions: Vec<f64>,
    /// Of each entry; empty for those that are drawn.
    memories: Vec<Vec<f64>>,
    counters: Vec<f64>,
    definitions: Vec<Column>,
    pub(super) count: Count,
}

impl KeyHead for Head<'_> {
    fn of_entries(&self, e: &PairExpr) -> Vec<f64> {
        self.column(e, Space::Entries).spread(self.positions.len())
    }

    fn number(&self, e: &PairExpr) -> f64 {
        Head::number(self, e)
    }

    fn positions(&self) -> Vec<f64> {
        self.positions.clone()
    }
}

impl<'p> Head<'p> {
    pub(super) fn new(policy: &'p Policy, head: usize, prompt: Option<usize>, numbers: Arbitrary) -> Head<'p> {
        Head {
            policy,
            head,
            prompt,
            numbers,
            drawn: drawn(policy),
            position: 0,
            positions: Vec::new(),
            memories: vec![Vec::new(); policy.memories.len()],
            counters: policy.counters.iter().map(|c| c.init).collect(),
            definitions: Vec::new(),
            count: Count::default(),
        }
    }

    /// Appends a token's entry and updates what it updates.
    pub(super) fn begin(&mut self) {
        self.append();
        let counters = self.policy.counters.iter().map(|c| self.number(&c.next)).collect();
        self.counters = counters;
        self.remember();
        self.definitions.clear();
    }

    /// Whether entries may leave after the token.
    pub(super) fn evicts(&self) -> bool {
        self.policy.evict.as_ref().is_some_and(|e| self.number(&e.at) != 0.0)
    }

    /// What there is after the token, where the definitions that are needed are known.
    fn finish(&mut self) -> Count {
        if let Some(evict) = self.policy.evict.as_ref().filter(|_| self.evicts()) {
            let kept = self.column(&evict.keep, Space::Entries).truths(self.positions.len());
            self.keep(&kept);
        }
        let (keys, values) = (&self.policy.keys, &self.policy.values);
        let entries = self.positions.len();
        let blocks = self.policy.blocks.as_ref();
        let closed = blocks.map_or(0, |blocks| blocks.closed_after(entries));
        self.count = Count {
            entries,
            blocks: closed,
            open: blocks.map_or(0, |b| entries.saturating_sub(b.first + b.size * closed)),
            keys: self.coded(keys.as_ref(), self.count.keys),
            values: self.coded(values.as_ref(), self.count.values),
        };
        self.position += 1;
        self.count
    }

    fn append(&mut self) {
        self.positions.push(self.position as f64);
        for (n, recurrence) in self.policy.memories.iter().enumerate() {
            if !self.drawn[n] {
                self.memories[n].push(recurrence.init);
            }
        }
    }

    fn remember(&mut self) {
        let memories = self.policy.memories.iter().enumerate();
        let next = memories.map(|(n, memory)| match self.drawn[n] {
            true => Vec::new(),
            false => self.column(&memory.next, Space::Entries).spread(self.positions.len()),
        });
        self.memories = next.collect();
    }

    fn keep(&mut self, kept: &[bool]) {
        let coded = |coding: &Option<Coding>, count: usize| {
            let exact = self.exact(coding.as_ref());
            kept.iter().skip(exact).take(count).filter(|k| **k).count()
        };
        let (keys, values) = (&self.policy.keys, &self.policy.values);
        (self.count.keys, self.count.values) = (coded(keys, self.count.keys), coded(values, self.count.values));
        let left = |all: &mut Vec<f64>| {
            let mut kept = kept.iter();
            all.retain(|_| *kept.next().unwrap_or(&true));
        };
        left(&mut self.positions);
        self.memories.iter_mut().for_each(left);
    }

    /// Entries that are coded after this token, where so many were before.
    fn coded(&self, coding: Option<&Coding>, before: usize) -> usize {
        let entries = self.positions.len();
        let Some(coding) = coding else { return 0 };
        let Some(until) = &coding.until else { return entries };
        let border = self.number(until).clamp(0.0, entries as f64) as usize;
        coding
            .whole(border)
            .saturating_sub(self.exact(Some(coding)))
            .max(before)
    }

    /// How many of the first entries are never coded.
    fn exact(&self, coding: Option<&Coding>) -> usize {
        let from = coding.map_or(0, |coding| coding.from) as f64;
        self.positions.iter().take_while(|position| **position < from).count()
    }

    /// The values of a definition that reads nothing of other heads.
    fn defined(&self, n: usize, kind: &Kind) -> Column {
        let entries = self.positions.len();
        match kind {
            Kind::Entry(e) => self.column(e, Space::Entries),
            Kind::Pool { of, window, how, among } => {
                let (of, among) = (
                    &self.definitions[*of],
                    self.column(among, Space::Entries).truths(entries),
                );
                Column::Each(pool(*how, *window, &among, |at| of.at(at)))
            }
            Kind::Top { by, count, among, .. } => {
                let (by, among) = (
                    self.column(by, Space::Entries),
                    self.column(among, Space::Entries).truths(entries),
                );
                Column::Each(top(&by.spread(entries), self.number(count), &among))
            }
            Kind::Over { of, how, among } => {
                let (of, among) = (
                    self.column(of, Space::Entries),
                    self.column(among, Space::Entries).truths(entries),
                );
                Column::One(reduce(*how, (0..entries).filter(|at| among[*at]).map(|at| of.at(at))))
            }
            Kind::Fewest { of, sum, among } => {
                let (of, among) = (
                    self.column(of, Space::Entries),
                    self.column(among, Space::Entries).truths(entries),
                );
                Column::One(fewest(&of.spread(entries), self.number(sum), &among))
            }
            // Data.
            Kind::Seen { .. } | Kind::VectorSum { .. } => self.draw(self.policy.memories.len() + n),
            // Numbers of channels, which do not choose entries.
            Kind::Channel(_) | Kind::KeyMean(_) | Kind::QueryMean { .. } => Column::One(0.0),
            // Numbers of blocks, which do not either.
            Kind::Within
            | Kind::Fold { .. }
            | Kind::QuerySum { .. }
            | Kind::QueryFold { .. }
            | Kind::EntrySum { .. }
            | Kind::Search { .. }
            | Kind::Heads { .. } => Column::One(0.0),
        }
    }

    /// Arbitrary numbers, one for each entry, the same ones throughout a token.
    fn draw(&self, what: usize) -> Column {
        let numbers = self
            .positions
            .iter()
            .map(|position| self.arbitrary(what, position.to_bits()));
        Column::Each(numbers.collect())
    }

    /// The same for each closed block.
    pub(super) fn draw_for_blocks(&self, what: usize) -> Column {
        Column::Each(
            (0..self.count.blocks)
                .map(|block| self.arbitrary(what, block as u64))
                .collect(),
        )
    }

    fn arbitrary(&self, what: usize, which: u64) -> f64 {
        let parts = [which, self.position as u64, what as u64, self.head as u64];
        let mixed = parts.iter().fold(self.numbers.seed, |hash, part| {
            let hash = (hash ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^ (hash >> 29)
        });
        self.numbers.size * (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn column(&self, expr: &PairExpr, space: Space<'_>) -> Column {
        Place { head: self, space }.value(expr)
    }

    /// A function of numbers of the cache, and of those that are the same for all entries.
    pub(super) fn number(&self, expr: &PairExpr) -> f64 {
        match self.column(expr, Space::Entries) {
            Column::One(x) => x,
            Column::Each(all) => all.first().copied().unwrap_or(0.0),
        }
    }

    fn number_of_cache(&self, n: usize) -> f64 {
        let left = self.prompt.map(|prompt| prompt as i64 - 1 - self.position as i64);
        match n {
            ENTRIES => self.positions.len() as f64,
            READING => f64::from(left.is_none_or(|left| left > 0)),
            ENDED => f64::from(left == Some(0)),
            n => self.counters[n - COUNTERS],
        }
    }

    fn number_of_entry(&self, n: usize) -> Column {
        if n == SLOT {
            return Column::Each((0..self.positions.len()).map(|slot| slot as f64).collect());
        }
        let n = n - MEMORIES;
        match self.drawn.get(n) {
            Some(true) => self.draw(n),
            Some(false) => Column::Each(self.memories[n].clone()),
            None => self.definitions[n - self.drawn.len()].clone(),
        }
    }

    /// A number of each closed block.
    fn number_of_block(&self, n: usize, chosen: &[Column]) -> Column {
        if n == SLOT {
            return Column::Each((0..self.count.blocks).map(|block| block as f64).collect());
        }
        match n.checked_sub(self.policy.choosing_stream(0)) {
            Some(n) => chosen[n].clone(),
            None => self.draw_for_blocks(n),
        }
    }

    /// A number of each entry as a query sees it: of its block, where that is closed.
    fn number_of_seen(&self, n: usize, chosen: &[Column]) -> Column {
        let of_block = n.checked_sub(self.policy.choosing_stream(0)).map(|n| &chosen[n]);
        let (Some(blocks), true) = (&self.policy.blocks, n == CLOSED || of_block.is_some()) else {
            return self.number_of_entry(n);
        };
        let of = |slot: usize| {
            let block = slot.checked_sub(blocks.first).map(|slot| slot / blocks.size);
            let block = block.filter(|block| *block < self.count.blocks);
            block.map_or(0.0, |block| of_block.map_or(1.0, |numbers| numbers.at(block)))
        };
        Column::Each((0..self.positions.len()).map(of).collect())
    }
}

/// What expressions are about.
#[derive(Clone, Copy)]
pub(super) enum Space<'c> {
    /// Entries where it is decided which of them stay.
    Entries,
    /// Closed blocks, with what is known of [`Blocks::choosing`](seqc_ir::policy::Blocks::choosing).
    Blocks(&'c [Column]),
    /// Entries as a query sees them that has chosen blocks.
    Seen(&'c [Column]),
}

/// All heads read a token; what there is after it, together.
pub(super) fn step(policy: &Policy, heads: &mut [Head<'_>]) -> Count {
    heads.iter_mut().for_each(Head::begin);
    end(policy, heads)
}

/// What there is after the token that all heads have [begun](Head::begin).
pub(super) fn end(policy: &Policy, heads: &mut [Head<'_>]) -> Count {
    define(policy, heads);
    heads.iter_mut().map(Head::finish).fold(Count::default(), Count::and)
}

/// The definitions of the heads that need them after a token.
fn define(policy: &Policy, heads: &mut [Head<'_>]) {
    let mut heads: Vec<_> = heads.iter_mut().filter(|head| head.evicts()).collect();
    for (n, definition) in policy.definitions.iter().enumerate() {
        let found: Vec<Column> = match joined(&definition.kind, &heads) {
            Some(found) => found.into_iter().map(Column::Each).collect(),
            None => heads.iter().map(|head| head.defined(n, &definition.kind)).collect(),
        };
        for (head, found) in heads.iter_mut().zip(found) {
            head.definitions.push(found);
        }
    }
}

/// Memories that depend on the weights, directly or through others.
fn drawn(policy: &Policy) -> Vec<bool> {
    let mut drawn = vec![false; policy.memories.len()];
    for _ in 0..drawn.len() {
        for (n, memory) in policy.memories.iter().enumerate() {
            let data = |e: &PairExpr| match e {
                PairExpr::Score => true,
                PairExpr::KeyStream(k) => k
                    .checked_sub(MEMORIES)
                    .and_then(|k| drawn.get(k))
                    .copied()
                    .unwrap_or(false),
                _ => false,
            };
            let depends = memory.next.any(&data);
            drawn[n] |= depends;
        }
    }
    drawn
}

/// Expressions over all entries or blocks of a head.
struct Place<'a, 'p> {
    head: &'a Head<'p>,
    space: Space<'a>,
}

impl PairDomain for Place<'_, '_> {
    type Value = Column;

    /// What the first part decides for all entries is not computed for each.
    fn value(&mut self, expr: &PairExpr) -> Column {
        match expr {
            PairExpr::Binary(op @ (BinaryOp::And | BinaryOp::Or), x, y) => match self.value(x) {
                Column::One(x) if (x != 0.0) == (*op == BinaryOp::Or) => Column::One(f64::from(x != 0.0)),
                x => x.binary(*op, self.value(y)),
            },
            PairExpr::Select(c, a, b) => match self.value(c) {
                Column::One(c) => self.value(if c != 0.0 { a } else { b }),
                c => c.select(self.value(a), self.value(b)),
            },
            other => self.of_parts(other),
        }
    }

    fn leaf(&mut self, leaf: PairLeaf) -> Column {
        let head = self.head;
        match leaf {
            // Only memories that are drawn, and numbers of channels, have weights and numbers of keys and queries.
            PairLeaf::Score => Column::One(0.0),
            PairLeaf::QueryPos => Column::One(head.position as f64),
            PairLeaf::KeyPos => Column::Each(head.positions.clone()),
            PairLeaf::Head => Column::One(head.head as f64),
            PairLeaf::QueryStream(n) => Column::One(head.number_of_cache(n)),
            PairLeaf::KeyStream(n) => match self.space {
                Space::Entries => head.number_of_entry(n),
                Space::Blocks(chosen) => head.number_of_block(n, chosen),
                Space::Seen(chosen) => head.number_of_seen(n, chosen),
            },
            PairLeaf::Const(c) => Column::One(c),
        }
    }

    fn unary(&mut self, op: UnaryOp, x: Column) -> Column {
        x.unary(op)
    }

    fn binary(&mut self, op: BinaryOp, x: Column, y: Column) -> Column {
        x.binary(op, y)
    }

    fn select(&mut self, c: Column, a: Column, b: Column) -> Column {
        c.select(a, b)
    }

    /// Policies have no tables.
    fn table(&mut self, _: usize, _: Vec<Column>) -> Column {
        Column::One(0.0)
    }

    /// Nor lists.
    fn listed(&mut self, _: usize, _: Column) -> Column {
        Column::One(0.0)
    }

    fn after(&mut self, _: Column) -> Column {
        Column::One(0.0)
    }
}
