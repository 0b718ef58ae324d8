//! What queries choose: blocks of entries are closed (`close`), every query head computes numbers of closed blocks (`search`) and attends
//! to the entries that its sights show it (`see`), and memories are updated by the weights that it gave (`given`).
//!
//! Rows whose queries choose are run in two steps, entries and blocks by key heads and then choices and attention by query heads, with a barrier between (`rows`);
//! where a token's choice depends on other heads or on what earlier tokens left, one token after another with barriers between (`tokens`). A block's numbers lie as entries' numbers do, with blocks in the place of entries and query heads in that of key heads, so
//! that they are ranked and reduced by the same code.

mod close;
mod closing;
mod given;
mod halving;
mod products;
mod query_sums;
mod rows;
mod search;
mod see;
mod span;
mod stored;
mod tokens;
mod turned;

pub(super) use stored::HeadPage;

use super::{
    Governed,
    args::Args,
    entries::{Lanes, Numbers, Space},
    states::{ChoiceScratch, Needs, Part, Slot},
};
use crate::{
    kernel::{Func, Module, Ty, Val},
    kernels::attend::layout::PAGE,
};
use seqc_abi::Choices;
use seqc_ir::{
    PairExpr, PairLeaf,
    policy::{Blocks, CHANNEL, KEY, Kind, MEMORIES, SLOT},
};
use seqc_passes::attention::policy_entries::Share;

/// Where the numbers of blocks are: arrays of numbers of blocks, then vectors of blocks, then the weights that are given.
pub(super) struct BlockArrays {
    /// The array of each number of [`Blocks::closing`], then of [`Blocks::choosing`].
    pub(super) of: Vec<Option<usize>>,
    /// For each [`Kind::Heads`] of [`Blocks::choosing`], the array of what it is over.
    pub(super) raw: Vec<Option<usize>>,
    /// The first of two arrays for what is being computed.
    pub(super) temporary: usize,
    /// How many arrays there are.
    pub(super) count: usize,
    /// Definitions of [`Blocks::closing`] that are kept for each channel.
    pub(super) vectors: Vec<usize>,
}

impl Governed<'_> {
    /// Whether tokens are run one after another, by query heads.
    pub(super) fn chooses(&self) -> bool {
        self.policy.blocks.is_some() || self.policy.sights.iter().any(|sight| self.policy.gathers(sight))
    }

    pub(super) fn blocks_policy(&self) -> Option<&Blocks> {
        self.policy.blocks.as_ref()
    }

    /// Adds all functions.
    pub(super) fn add_choice(&self, module: &mut Module) {
        if !self.chooses() {
            return;
        }
        module.declare(seqc_abi::symbols::BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64], None);
        self.add_close(module);
        self.add_choose(module);
        self.add_see(module);
        self.add_remember(module);
    }

    /// Whether each query head has its own numbers in an array of entries.
    pub(super) fn each_head_has(&self, array: usize) -> bool {
        if self.brought_for_each(array) {
            return true;
        }
        let memory = array.checked_sub(self.first_memory());
        memory.and_then(|m| self.policy.memories.get(m)).is_some_and(|m| m.each)
    }

    /// Whether an array is of a stream at the key that has a number for each query head.
    pub(super) fn brought_for_each(&self, array: usize) -> bool {
        let stream = array.checked_sub(self.first_brought());
        stream
            .and_then(|n| self.attend.key_widths.get(n))
            .is_some_and(|width| *width > 1)
    }

    /// Whether an array of a memory is read by blocks alone, while they are closed.
    pub(super) fn is_for_blocks(&self, array: usize) -> bool {
        let Some(memory) = array.checked_sub(self.first_memory()) else {
            return false;
        };
        let reads = |e: &PairExpr| e.any(&|e| matches!(e, PairExpr::KeyStream(n) if *n == MEMORIES + memory));
        let policy = self.policy;
        let others = policy.memories.iter().enumerate().filter(|(n, _)| *n != memory);
        let others = others.map(|(_, other)| &other.next);
        let sights = policy.sights.iter().flat_map(|s| s.seen.iter().chain([&s.key]));
        let definitions = policy.definitions.iter().flat_map(|d| d.kind.expressions());
        let keep = policy.evict.iter().map(|e| &e.keep);
        policy.blocks.is_some() && !others.chain(sights).chain(definitions).chain(keep).any(reads)
    }

    /// Definitions of [`Blocks::closing`] that queries choose by.
    fn kept_of_closed(&self) -> Vec<usize> {
        let Some(blocks) = self.blocks_policy() else {
            return Vec::new();
        };
        let expressions = || blocks.choosing.iter().flat_map(|d| d.kind.expressions());
        let reads = |n: usize| {
            let stream = self.policy.closing_stream(n);
            expressions().any(|e| e.any(&|e| matches!(e, PairExpr::KeyStream(n) if *n == stream)))
        };
        (0..blocks.closing.len()).filter(|n| reads(*n)).collect()
    }

    pub(super) fn block_arrays(&self) -> BlockArrays {
        let Some(blocks) = self.blocks_policy() else {
            return BlockArrays {
                of: Vec::new(),
                raw: Vec::new(),
                temporary: 0,
                count: 0,
                vectors: Vec::new(),
            };
        };
        let mut count = 0;
        let mut next = || {
            count += 1;
            count - 1
        };
        let kept = self.kept_of_closed();
        let closing = blocks.closing.iter().enumerate();
        let number = |(n, d): (usize, &seqc_ir::policy::Definition)| kept.contains(&n) && !d.kind.of_channels();
        let mut of: Vec<Option<usize>> = closing.map(|c| number(c).then(&mut next)).collect();
        of.extend(blocks.choosing.iter().map(|d| (!d.kind.of_channels()).then(&mut next)));
        let over_heads = |d: &seqc_ir::policy::Definition| matches!(d.kind, Kind::Heads { .. });
        let raw = blocks.choosing.iter().map(|d| over_heads(d).then(&mut next)).collect();
        let temporary = next();
        next();
        let of_channels = |n: &usize| blocks.closing[*n].kind.of_channels();
        BlockArrays {
            of,
            raw,
            temporary,
            count,
            vectors: kept.iter().copied().filter(of_channels).collect(),
        }
    }

    /// State entries of blocks, in the order of their table.
    pub fn block_parts(&self) -> Vec<Part> {
        if !self.chooses() {
            return Vec::new();
        }
        let arrays = self.block_arrays();
        let numbers = (0..arrays.count).map(Part::BlockNumbers);
        let vectors = (0..arrays.vectors.len()).map(Part::BlockVectors);
        let given = (!self.policy.memories.is_empty()).then_some(Part::Given);
        numbers.chain(vectors).chain(given).collect()
    }

    /// The same as entries.
    pub(super) fn block_slots(&self) -> Vec<Slot> {
        let (heads, groups, e) = (self.attend.heads, self.attend.groups, self.attend.key_dim);
        let each = |share, bytes: usize| Needs::Each {
            bytes: bytes as f64,
            share,
        };
        let slot = |part: Part| match part {
            Part::BlockVectors(n) => {
                let rows = self.vector_rows();
                let needs = each(Share::Blocks, 4 * e * rows / groups);
                self.paged(part, &format!("block{n}"), vec![rows, e], 4 * PAGE * rows * e, needs)
            }
            Part::BlockNumbers(n) => {
                let kept = self.is_of_closed(n);
                let needs = match self.found_by_search(n).filter(|_| self.choices_last()) {
                    // The numbers of the blocks that were found.
                    Some(count) => Needs::Bytes(4 * count * heads),
                    None => each(Share::Blocks, if kept { 4 * heads / groups } else { 0 }),
                };
                self.paged(part, &format!("choice{n}"), vec![heads], 4 * PAGE * heads, needs)
            }
            _ => self.paged(part, "given", vec![heads], 4 * PAGE * heads, each(Share::All, 0)),
        };
        self.block_parts().into_iter().map(slot).collect()
    }

    /// What queries choose, in its own state entries: one for each number of blocks by which sights show entries.
    pub fn choices(&self) -> Vec<Choices> {
        let Some(blocks) = self.blocks_policy() else {
            return Vec::new();
        };
        let read = self.policy.sights.iter().flat_map(|sight| self.choices_read(sight));
        let chosen =
            |(n, _): &(usize, usize)| matches!(blocks.choosing[*n].kind, Kind::Top { .. } | Kind::Search { .. });
        let mut arrays: Vec<usize> = read.filter(chosen).map(|(_, array)| array).collect();
        arrays.sort_unstable();
        arrays.dedup();
        let choice = |array| {
            Some(Choices {
                name: String::new(),
                heads: self.attend.heads,
                flags: self.entry(Part::BlockNumbers(array))?,
                blocks: self.known_word(),
                first: blocks.first,
                size: blocks.size,
            })
        };
        arrays.into_iter().filter_map(choice).collect()
    }

    /// Whether an array has numbers of closed blocks that queries choose by.
    pub(super) fn is_of_closed(&self, array: usize) -> bool {
        let closing = self.blocks_policy().map_or(0, |b| b.closing.len());
        self.block_arrays().of[..closing].contains(&Some(array))
    }

    /// How many blocks a search finds whose result is an array.
    fn found_by_search(&self, array: usize) -> Option<usize> {
        let (arrays, blocks) = (self.block_arrays(), self.blocks_policy()?);
        let place = arrays.of.iter().position(|of| *of == Some(array))?;
        match blocks.choosing.get(place.checked_sub(blocks.closing.len())?)?.kind {
            Kind::Search { count, .. } => Some(count),
            _ => None,
        }
    }

    /// Rows of the vectors of blocks: key heads, or query heads where each has its own.
    fn vector_rows(&self) -> usize {
        if self.policy.blocks_of_query_heads() {
            self.attend.heads
        } else {
            self.attend.groups
        }
    }

    pub(super) fn choice_scratch(&self, take: &mut impl FnMut(usize) -> usize) -> ChoiceScratch {
        let blocks = self.blocks_policy();
        let some = usize::from(self.chooses());
        let size = blocks.map_or(0, |b| b.size.next_multiple_of(16));
        let (width, count) = (self.width16(), blocks.map_or(0, |b| b.closing.len()));
        let within = blocks.is_some_and(|b| b.reads_queries());
        ChoiceScratch {
            query: take(some * width),
            turned: take(2 * some * self.turned_pairs()),
            found: take(some * 16),
            sums: take(some * self.attend.value_width()),
            weights: take(some * 16),
            keys: take(size * width),
            values: take(if self.folds_values() { size * width } else { 0 }),
            placed: take(if within { size * width } else { 0 }),
            entries: take((count + 1) * size),
            channels: take(count * width),
            numbers: take(count),
            folds: take(blocks.map_or(0, |b| b.choosing.len()) * width),
            lists: take(3 * (2 * self.groups_searched()).next_multiple_of(16)),
        }
    }

    /// Channels of a key in whole vectors.
    fn width16(&self) -> usize {
        self.attend.key_dim.next_multiple_of(16)
    }

    fn folds_values(&self) -> bool {
        let values = |d: &seqc_ir::policy::Definition| {
            matches!(
                d.kind,
                Kind::Fold { values: true, .. } | Kind::VectorSum { values: true, .. }
            )
        };
        self.blocks_policy().is_some_and(|b| b.closing.iter().any(values))
    }

    /// Blocks that are closed after some tokens.
    pub(super) fn blocks_after(&self, f: &mut Func, tokens: Val) -> Val {
        let Some(blocks) = self.blocks_policy() else {
            return f.i64(0);
        };
        let (before, size, zero) = (
            f.i64((blocks.first + blocks.behind) as i64),
            f.i64(blocks.size as i64),
            f.i64(0),
        );
        let left = f.sub(tokens, before);
        let left = f.max(left, zero);
        f.udiv(left, size)
    }

    /// Whether a choice holds for several tokens.
    pub(super) fn choices_last(&self) -> bool {
        self.blocks_policy().is_some_and(|b| b.together > 1 || b.refresh > 1)
    }

    /// Numbers of closed blocks for a query head at a row whose queries choose: those that were closed before its token.
    fn block_numbers(&self, f: &mut Func, args: &Args, head: Val, row: Val) -> Numbers {
        let (one, ratio) = (f.i64(1), f.i64(self.attend.ratio() as i64));
        let own = f.add(args.position, row);
        let blocks = self.blocks_after(f, own);
        let last = f.sub(blocks, one);
        let group = f.udiv(head, ratio);
        let mut numbers = self.numbers_after(f, args, group, row, own).with_head(head);
        numbers.args.table = args.blocks;
        numbers.space = Space::Blocks;
        (numbers.group, numbers.last) = (head, last);
        numbers
    }

    /// Numbers of a vector of blocks that have arrays, then room for vectors' numbers and the channel.
    pub(super) fn numbers_of_blocks(&self, f: &mut Func, numbers: &Numbers, at: Lanes) -> Vec<Val> {
        let none = f.zero(self.vector());
        let arrays = self.block_arrays().of;
        let mut streams: Vec<Val> = arrays
            .iter()
            .map(|array| match array {
                Some(n) => {
                    let p = self.vector_of(f, &numbers.args, *n, numbers.group, at);
                    f.load(p, self.vector())
                }
                None => none,
            })
            .collect();
        streams.push(none);
        streams
    }

    /// An expression of [`Blocks::choosing`] in the coordinates of blocks.
    pub(super) fn of_block(&self, expr: &PairExpr) -> PairExpr {
        let first = self.policy.closing_stream(0);
        self.in_coordinates(expr, &|leaf| match leaf {
            PairLeaf::Head => self.head_of_query(),
            PairLeaf::KeyStream(SLOT) => PairExpr::KeyPos,
            PairLeaf::KeyStream(CHANNEL) => PairExpr::KeyStream(self.block_arrays().of.len()),
            PairLeaf::KeyStream(KEY) => PairExpr::KeyStream(self.block_arrays().of.len() + 1),
            PairLeaf::KeyStream(n) => PairExpr::KeyStream(n - first),
            other => other.into(),
        })
    }
}
