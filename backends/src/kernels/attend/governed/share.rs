//! One token over a long cache of which entries neither leave nor change: all threads share the pages of every key head.

use super::{
    super::{
        blocks::{Block, QueryBlocks},
        layout::{PAGE, Scratch},
        table::Tables,
        ticks::Chunk,
    },
    Governed,
    append::NewRows,
    args::Args,
    run::{RowBlock, Rows},
    states::Word,
};
use crate::kernel::{Cmp, Func, Team, TeamRange, Val};

/// The threads, and what they need to meet.
#[derive(Clone, Copy)]
pub(super) struct Threads {
    /// Numbered by whose turn it is to get the first key head.
    pub(super) turn: Team,
    /// This one, and all.
    pub(super) team: Team,
    /// Scratch of all.
    pub(super) scratch: Val,
    /// What a barrier takes.
    pub(super) barrier: Val,
}

impl Governed<'_> {
    /// Writes `otherwise` where threads do not share pages.
    pub(super) fn share_or(&self, f: &mut Func, args: &Args, threads: Threads, otherwise: impl FnOnce(&mut Func)) {
        let policy = self.policy;
        let changes = policy.evict.is_some() || !policy.memories.is_empty() || !policy.counters.is_empty();
        if changes || policy.queries() > 0 || self.chooses() {
            return otherwise(f);
        }
        let (one, size) = (f.i64(1), f.i64(PAGE as i64));
        let entries = f.add(args.position, one);
        let pages = f.ceil_div(entries, size);
        let single = f.cmp(Cmp::Eq, args.count, one);
        let several = f.cmp(Cmp::Gt, threads.team.threads, one);
        let least = f.i64(self.attend.machine.attention.shared_pages as i64);
        let least = f.mul(least, threads.team.threads);
        let long = f.cmp(Cmp::Ge, pages, least);
        let shares = [several, long].into_iter().fold(single, |a, b| f.and(a, b));
        f.if_then(shares, |f| self.share(f, args, threads, [entries, pages]));
        let alone = f.not(shares);
        f.if_then(alone, otherwise);
    }

    fn share(&self, f: &mut Func, args: &Args, threads: Threads, [entries, pages]: [Val; 2]) {
        let (zero, one) = (f.i64(0), f.i64(1));
        let last = f.sub(entries, one);
        let groups = f.i64(self.attend.groups as i64);
        f.team_for(threads.turn.cyclic(groups), |f, group| {
            let new = NewRows {
                group,
                first: zero,
                end: one,
                base: last,
            };
            self.append(f, args, new);
        });
        self.meet(f, threads);
        let TeamRange { low, high, .. } = f.team_indices(threads.team, pages);
        f.for_each(zero, groups, 1, |f, group| {
            self.numbers_at(f, args, group, zero, last);
            let at = self.only_row(f, args, group, last);
            self.attend_pages(f, &self.plain_sights(), at, [low, high]);
            let tables = Tables::none();
            self.shared_blocks(f, &tables, at, threads).store_share(f, at.block);
        });
        self.meet(f, threads);
        f.team_for(threads.turn.cyclic(groups), |f, group| {
            let at = self.only_row(f, args, group, last);
            let ratio = f.i64(self.attend.ratio() as i64);
            let first = f.mul(group, ratio);
            let behind = f.add(first, ratio);
            let tables = Tables::none();
            let blocks = self.shared_blocks(f, &tables, at, threads);
            f.for_each(first, behind, 1, |f, head| blocks.join(f, head));
            let p = self.word(f, args.words, group, Word::Entries);
            f.store(entries, p);
            self.code_after(f, args, group, zero, last);
        });
        self.meet(f, threads);
    }

    pub(super) fn meet(&self, f: &mut Func, threads: Threads) {
        let list = [threads.barrier, threads.team.tid, threads.team.threads];
        f.call(seqc_abi::symbols::BARRIER, &list, None);
    }

    /// The queries of the one token for a key head.
    fn only_row(&self, f: &mut Func, args: &Args, group: Val, last: Val) -> RowBlock {
        let rows = Rows {
            args: *args,
            queries: self.queries(args),
            table: args.table,
            chunk: Chunk {
                position: last,
                count: f.i64(1),
            },
        };
        let block = Block {
            group,
            first: f.i64(0),
            rows: f.i64(self.attend.ratio() as i64),
        };
        RowBlock { rows, block }
    }

    /// The kernel that stores and joins what threads found.
    fn shared_blocks<'b>(
        &'b self,
        f: &mut Func,
        tables: &'b Tables,
        at: RowBlock,
        threads: Threads,
    ) -> QueryBlocks<'b> {
        let sight = &self.sights[0];
        QueryBlocks {
            scratch: Scratch {
                bytes: self.scratch_bytes(),
                ..Scratch::new(sight)
            },
            base: threads.scratch,
            team: threads.team,
            ..self.blocks(f, sight, tables, at)
        }
    }
}
