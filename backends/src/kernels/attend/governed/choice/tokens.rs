//! The rows of a chunk: those whose queries choose one after another, those between them as where nothing is chosen.

use super::super::{Governed, append::NewRows, args::Args, entries::Numbers, share::Threads, states::Word};
use crate::kernel::{Cmp, Func, Val};
use seqc_ir::{
    PairExpr,
    policy::{Kind, MEMORIES, Policy, Sight},
};

impl Governed<'_> {
    /// Writes all rows, for all threads.
    pub(in super::super) fn choose_and_run(&self, f: &mut Func, args: &Args, threads: Threads) {
        let (zero, one) = (f.i64(0), f.i64(1));
        if self.runs_groups() {
            return self.run_groups(f, args, threads);
        }
        f.for_loop(zero..args.count, one, &[zero], |f, row, first| {
            let next = f.add(row, one);
            let end = f.cmp(Cmp::Eq, next, args.count);
            let active = self.is_active(f, args, row);
            let followed = self.is_active(f, args, next);
            let idle = f.not(active);
            let waits = f.not(followed);
            let (last_idle, last_active) = (f.or(end, followed), f.or(end, waits));
            let run = f.and(idle, last_idle);
            f.if_then(run, |f| self.run_rows(f, args, threads, [first[0], next]));
            let done = if self.heads_choose_alone() {
                let choose = f.and(active, last_active);
                f.if_then(choose, |f| self.choose_rows(f, args, threads, [first[0], next]));
                f.or(run, choose)
            } else {
                f.if_then(active, |f| self.run_token(f, args, threads, row));
                f.or(run, active)
            };
            vec![f.select(done, next, first[0])]
        });
    }

    /// Whether some query of a row chooses, by what the position and the prompt decide. No thread depends on another in it.
    fn is_active(&self, f: &mut Func, args: &Args, row: Val) -> Val {
        if self.choices_last() || self.policy.memories.iter().any(|m| m.each) {
            return f.i1(true);
        }
        let numbers = self.numbers_of_place(f, args, row);
        let sights = self.policy.sights.iter().filter(|sight| self.policy.gathers(sight));
        sights.fold(f.i1(false), |found, sight| {
            let shows = self.may_show(f, &numbers, sight);
            f.or(found, shows)
        })
    }

    /// Whether a sight may show anything, as far as the position and the prompt decide.
    pub(super) fn may_show(&self, f: &mut Func, numbers: &Numbers, sight: &Sight) -> Val {
        let conjuncts = sight.seen.iter().flat_map(PairExpr::conjuncts);
        conjuncts
            .filter(|e| Policy::is_of_place(e))
            .fold(f.i1(true), |found, e| {
                let holds = numbers.truth(f, self, e);
                f.and(found, holds)
            })
    }

    /// The numbers of a row that follow from its position and the prompt; others are 0.
    pub(in super::super) fn numbers_of_place(&self, f: &mut Func, args: &Args, row: Val) -> Numbers {
        let (zero, none) = (f.i64(0), f.f32(0.0));
        let mut values = self.place_of(f, args, row);
        values.resize(self.numbers(), none);
        let own = f.add(args.position, row);
        Numbers::of(self, f, args, values, [zero, own])
    }

    /// Rows whose queries choose nothing.
    fn run_rows(&self, f: &mut Func, args: &Args, threads: Threads, [low, high]: [Val; 2]) {
        let groups = f.i64(self.attend.groups as i64);
        let rows = Args { count: high, ..*args };
        f.team_for(threads.turn.cyclic(groups), |f, group| {
            self.begin(f, &rows, group);
            let first = self.first(f, &rows);
            f.store(low, first);
            f.for_each(low, high, 1, |f, row| self.row(f, &rows, group, row, None));
        });
        self.meet(f, threads);
    }

    /// A row whose queries choose.
    pub(super) fn run_token(&self, f: &mut Func, args: &Args, threads: Threads, row: Val) {
        let (one, groups) = (f.i64(1), f.i64(self.attend.groups as i64));
        let heads = f.i64(self.attend.heads as i64);
        let own = f.add(args.position, row);
        f.team_for(threads.turn.cyclic(groups), |f, group| {
            self.begin(f, args, group);
            self.numbers_at(f, args, group, row, own);
            let new = NewRows {
                group,
                first: row,
                end: f.add(row, one),
                base: args.position,
            };
            self.append(f, args, new);
            self.keep_queries(f, args, new);
            if self.blocks_policy().is_some() {
                let (blocks, p) = (self.blocks_after(f, own), self.word(f, args.words, group, Word::Known));
                let chooses = self.chooses_at(f, args, own);
                f.if_then(chooses, |f| f.store(blocks, p));
            }
        });
        self.meet(f, threads);
        let chooses = self.chooses_at(f, args, own);
        let end = self.end_of_choice(f, args, row);
        let parts = self.parts_of_choice().len();
        for n in 0..parts.max(1) {
            f.team_for(threads.turn.cyclic(heads), |f, head| {
                if n < parts {
                    f.if_then(chooses, |f| {
                        self.call(f, &format!("choose{n}"), args, &[head, row, end])
                    });
                }
                if n + 1 >= parts {
                    let known = self.known(f, args, head);
                    self.call(f, "see", args, &[head, row, known]);
                }
            });
            if n + 1 < parts {
                self.meet(f, threads);
            }
        }
        // What changes below, and what the next token changes, other threads may still read.
        let memories = !self.policy.memories.is_empty();
        if memories || self.codes_later() {
            self.meet(f, threads);
        }
        f.team_for(threads.turn.cyclic(groups), |f, group| {
            let numbers = self.numbers_after(f, args, group, row, own);
            if memories {
                self.call(f, "remember", args, &[group, row]);
            }
            let (entries, p) = (f.add(own, one), self.word(f, args.words, group, Word::Entries));
            f.store(entries, p);
            let codes = self.codes(f, &numbers);
            self.define_where_needed(f, &numbers, row, [None, codes]);
            if self.codes_later() {
                self.call(f, "code", args, &[group, row]);
            }
            self.close_blocks(f, args, group, [row, own]);
        });
        let shared = !self.policy.counters.is_empty() || parts > 1 || self.choices_last();
        if memories || self.codes_later() || shared {
            self.meet(f, threads);
        }
    }

    /// How many blocks a query head could choose from last.
    pub(super) fn known(&self, f: &mut Func, args: &Args, head: Val) -> Val {
        let ratio = f.i64(self.attend.ratio() as i64);
        let group = f.udiv(head, ratio);
        self.load_word(f, args.words, group, Word::Known)
    }

    /// Whether the queries of a token choose ([`seqc_ir::policy::Blocks::chooses_at`]).
    pub(super) fn chooses_at(&self, f: &mut Func, args: &Args, position: Val) -> Val {
        let Some(blocks) = self.blocks_policy().filter(|_| self.choices_last()) else {
            return f.i1(true);
        };
        let (together, refresh) = (f.i64(blocks.together as i64), f.i64(blocks.refresh as i64));
        let reading = f.cmp(Cmp::Lt, position, args.prompt);
        let every = f.select(reading, together, refresh);
        let (rest, zero) = (f.urem(position, every), f.i64(0));
        f.cmp(Cmp::Eq, rest, zero)
    }

    /// The row behind those whose queries choose together with those of a row that chooses.
    pub(super) fn end_of_choice(&self, f: &mut Func, args: &Args, row: Val) -> Val {
        let one = f.i64(1);
        let next = f.add(row, one);
        let Some(blocks) = self.blocks_policy().filter(|b| b.together > 1) else {
            return next;
        };
        let together = f.i64(blocks.together as i64);
        let position = f.add(args.position, row);
        let reading = f.cmp(Cmp::Lt, position, args.prompt);
        let left = f.sub(args.prompt, position);
        let several = f.min(together, left);
        let several = f.add(row, several);
        let several = f.min(several, args.count);
        f.select(reading, several, next)
    }

    /// Whether blocks are closed after the token with slot `last`, where that needs numbers or queries of this very token.
    pub(in super::super) fn closes_with_numbers(&self, f: &mut Func, last: Val) -> Option<Val> {
        let blocks = self.blocks_policy()?;
        let at_once = |e: &PairExpr| {
            matches!(e, PairExpr::QueryPos | PairExpr::QueryStream(_))
                || matches!(e, PairExpr::KeyStream(n) if (MEMORIES..self.policy.stream_of(0)).contains(n))
        };
        let needed = blocks
            .closing
            .iter()
            .any(|d| matches!(d.kind, Kind::Within) || d.kind.expressions().into_iter().any(|e| e.any(&at_once)));
        if !needed {
            return None;
        }
        let one = f.i64(1);
        let next = f.add(last, one);
        let (before, after) = (self.blocks_after(f, last), self.blocks_after(f, next));
        Some(f.cmp(Cmp::Gt, after, before))
    }

    /// Closes the blocks of a key head that are complete after a row, whose token has slot `last`.
    pub(in super::super) fn close_blocks(&self, f: &mut Func, args: &Args, group: Val, [row, last]: [Val; 2]) {
        if self.blocks_policy().is_none_or(|b| b.closing.is_empty()) {
            return;
        }
        let own = f.not(args.reads);
        f.if_then(own, |f| {
            let (one, before) = (f.i64(1), self.load_word(f, args.words, group, Word::Closed));
            let next = f.add(last, one);
            let after = self.blocks_after(f, next);
            f.for_each(before, after, 1, |f, block| {
                self.call(f, "close", args, &[group, row, block]);
            });
            let p = self.word(f, args.words, group, Word::Closed);
            f.store(after, p);
        });
    }
}
