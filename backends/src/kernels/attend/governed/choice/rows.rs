//! Rows whose queries choose, several of them between two barriers.

use super::super::{Governed, append::NewRows, args::Args, share::Threads, states::Word};
use crate::kernel::{Cmp, Func, Val};

impl Governed<'_> {
    /// Whether what follows from entries and blocks is known for all rows of a chunk before any query is.
    fn entries_come_first(&self) -> bool {
        self.policy.counters.is_empty() && !self.codes_later()
    }

    /// Whether every query head chooses and attends by itself, whatever others and earlier tokens do.
    pub(super) fn heads_choose_alone(&self) -> bool {
        self.entries_come_first() && self.policy.memories.is_empty() && self.parts_of_choice().len() <= 1
    }

    /// Whether the rows that choose together are run together: their choice is one, and what it is made of does not change among them.
    pub(super) fn runs_groups(&self) -> bool {
        let together = self.blocks_policy().is_some_and(|b| b.together > 1);
        together && self.entries_come_first() && !self.sees_memories() && !self.heads_choose_alone()
    }

    /// Rows whose queries choose, where heads choose alone: first entries and closed blocks by key heads, then everything else by query heads.
    pub(super) fn choose_rows(&self, f: &mut Func, args: &Args, threads: Threads, [low, high]: [Val; 2]) {
        let groups = f.i64(self.attend.groups as i64);
        f.team_for(threads.turn.cyclic(groups), |f, group| {
            self.append_all(f, args, group, [low, high]);
            f.for_each(low, high, 1, |f, row| self.close_after(f, args, group, row));
            if !self.choices_last() {
                let one = f.i64(1);
                let last = f.sub(high, one);
                let own = f.add(args.position, last);
                self.store_known(f, args, group, own);
            }
        });
        self.meet(f, threads);
        let (one, heads) = (f.i64(1), f.i64(self.attend.heads as i64));
        f.team_for(threads.turn.cyclic(heads), |f, head| {
            let known = self.known(f, args, head);
            f.for_loop(low..high, one, &[known], |f, row, known| {
                let own = f.add(args.position, row);
                let chooses = self.chooses_at(f, args, own);
                let blocks = self.blocks_after(f, own);
                let known = f.select(chooses, blocks, known[0]);
                if self.blocks_policy().is_some() {
                    let end = self.end_of_choice(f, args, row);
                    f.if_then(chooses, |f| self.call(f, "choose0", args, &[head, row, end]));
                }
                self.call(f, "see", args, &[head, row, known]);
                vec![known]
            });
        });
        if self.choices_last() {
            self.meet(f, threads);
            f.team_for(threads.turn.cyclic(groups), |f, group| {
                f.for_each(low, high, 1, |f, row| {
                    let own = f.add(args.position, row);
                    let chooses = self.chooses_at(f, args, own);
                    f.if_then(chooses, |f| self.store_known(f, args, group, own));
                });
            });
        }
    }

    /// All rows, those that choose together at a time.
    pub(super) fn run_groups(&self, f: &mut Func, args: &Args, threads: Threads) {
        let (zero, one) = (f.i64(0), f.i64(1));
        f.for_loop(zero..args.count, one, &[zero], |f, row, next| {
            let own = f.add(args.position, row);
            let chooses = self.chooses_at(f, args, own);
            let (several, single) = (self.end_of_choice(f, args, row), f.add(row, one));
            let end = f.select(chooses, several, single);
            let begins = f.cmp(Cmp::Eq, row, next[0]);
            f.if_then(begins, |f| {
                let alone = f.cmp(Cmp::Eq, end, single);
                let several = f.not(alone);
                f.if_then(alone, |f| self.run_token(f, args, threads, row));
                f.if_then(several, |f| self.run_group(f, args, threads, [row, end]));
            });
            vec![f.select(begins, end, next[0])]
        });
    }

    /// Rows whose queries choose together: one choice, then key heads attend and update their memories token by token.
    fn run_group(&self, f: &mut Func, args: &Args, threads: Threads, [low, high]: [Val; 2]) {
        let groups = f.i64(self.attend.groups as i64);
        f.team_for(threads.turn.cyclic(groups), |f, group| {
            self.append_all(f, args, group, [low, high]);
            let own = f.add(args.position, low);
            self.store_known(f, args, group, own);
        });
        self.meet(f, threads);
        let heads = f.i64(self.attend.heads as i64);
        for n in 0..self.parts_of_choice().len() {
            f.team_for(threads.turn.cyclic(heads), |f, head| {
                self.call(f, &format!("choose{n}"), args, &[head, low, high]);
            });
            self.meet(f, threads);
        }
        let ratio = f.i64(self.attend.ratio() as i64);
        f.team_for(threads.turn.cyclic(groups), |f, group| {
            let first = f.mul(group, ratio);
            let behind = f.add(first, ratio);
            let known = self.load_word(f, args.words, group, Word::Known);
            f.for_each(low, high, 1, |f, row| {
                f.for_each(first, behind, 1, |f, head| {
                    self.call(f, "see", args, &[head, row, known]);
                });
                if !self.policy.memories.is_empty() {
                    self.call(f, "remember", args, &[group, row]);
                }
                self.close_after(f, args, group, row);
            });
        });
        self.meet(f, threads);
    }

    /// Appends rows of a key head, with the numbers of the cache at each of them.
    fn append_all(&self, f: &mut Func, args: &Args, group: Val, [low, high]: [Val; 2]) {
        self.begin(f, args, group);
        f.for_each(low, high, 1, |f, row| {
            let own = f.add(args.position, row);
            self.numbers_at(f, args, group, row, own);
        });
        let rows = NewRows {
            group,
            first: low,
            end: high,
            base: args.position,
        };
        self.append(f, args, rows);
        let (entries, p) = (
            f.add(args.position, high),
            self.word(f, args.words, group, Word::Entries),
        );
        f.store(entries, p);
    }

    /// Closes the blocks that are complete after a row.
    fn close_after(&self, f: &mut Func, args: &Args, group: Val, row: Val) {
        let one = f.i64(1);
        let rows = NewRows {
            group,
            first: row,
            end: f.add(row, one),
            base: args.position,
        };
        self.keep_queries(f, args, rows);
        let own = f.add(args.position, row);
        self.close_blocks(f, args, group, [row, own]);
    }

    /// Notes that queries of the token at a position choose.
    fn store_known(&self, f: &mut Func, args: &Args, group: Val, position: Val) {
        let (blocks, p) = (
            self.blocks_after(f, position),
            self.word(f, args.words, group, Word::Known),
        );
        f.store(blocks, p);
    }
}
