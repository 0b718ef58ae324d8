//! Key heads that decide together which entries leave.
//!
//! All of them run up to the same token. Then the definitions are computed in steps: what a key head computes from its own entries, and one
//! at a time what it computes from those of all. Threads meet between steps, so that what others read is complete and does not change.

use super::{
    Governed,
    args::Args,
    define::{identity, joined},
    entries::Numbers,
    share::Threads,
    states::Word,
};
use crate::kernel::{Cmp, Func, Module, Ty, Val};
use seqc_ir::{PairExpr, ReduceOp, policy::Kind};
use std::ops::Range;

/// What is computed between two meetings of the threads.
enum Step {
    /// Definitions from a key head's own entries, then what the joined definition behind them compares.
    Own(Range<usize>),
    /// A definition from the entries of all key heads.
    Joined(usize),
}

impl Governed<'_> {
    fn steps(&self) -> Vec<Step> {
        let all = &self.policy.definitions;
        let mut steps = Vec::new();
        let mut first = 0;
        for joined in (0..all.len()).filter(|n| all[*n].kind.joins_heads()) {
            steps.extend([Step::Own(first..joined), Step::Joined(joined)]);
            first = joined + 1;
        }
        if first < all.len() {
            steps.push(Step::Own(first..all.len()));
        }
        steps
    }

    /// Adds `fn NAME_defineN(arguments…, group, row)` for each step.
    pub(super) fn add_steps(&self, module: &mut Module) {
        for (n, step) in self.steps().into_iter().enumerate() {
            let (mut function, args, own) = self.function(&format!("define{n}"), &[Ty::I64; 2]);
            let f = &mut function;
            let [group, row] = [own[0], own[1]];
            let last = self.last_entry(f, &args, group);
            let numbers = Numbers::load(self, f, &args, row, group, last);
            match step {
                Step::Own(range) => self.define_own(f, &numbers, row, range),
                Step::Joined(definition) => self.define_joined(f, &numbers, definition),
            }
            module.add(function);
        }
    }

    fn define_own(&self, f: &mut Func, numbers: &Numbers, row: Val, range: Range<usize>) {
        let all = &self.policy.definitions;
        // Numbers of channels are in the scratch of the thread, which has run other key heads since.
        let channels = (0..range.start).filter(|n| all[*n].kind.of_channels());
        for n in channels.chain(range.clone()) {
            self.define(f, numbers, row, n, &all[n].kind);
        }
        if let Some(Kind::Top { by, among, .. }) = all.get(range.end).map(|d| &d.kind) {
            self.order(f, numbers, [by, among]);
        }
    }

    fn define_joined(&self, f: &mut Func, numbers: &Numbers, n: usize) {
        let to = self.stream_of(n);
        match &self.policy.definitions[n].kind {
            Kind::Top { count, .. } => self.best(f, numbers, to, count, true),
            Kind::Heads {
                of: PairExpr::KeyStream(of),
                how,
                ..
            } => self.reduce_heads(f, numbers, to, self.stream_of(of - self.policy.stream_of(0)), *how),
            // Nothing else reads other heads.
            _ => {}
        }
    }

    /// Stores array `of` reduced over the key heads that have an entry in a slot.
    fn reduce_heads(&self, f: &mut Func, numbers: &Numbers, to: usize, of: usize, how: ReduceOp) {
        let args = &numbers.args;
        let (zero, one, groups) = (f.i64(0), f.i64(1), f.i64(self.attend.groups as i64));
        let entries = f.add(numbers.last, one);
        self.each_vector(f, entries, |f, at| {
            let none = f.float(self.vector(), identity(how) as f32);
            let found = f.for_loop(zero..groups, one, &[none], |f, group, found| {
                let p = self.vector_of(f, args, of, group, at);
                let x = f.load(p, self.vector());
                let last = self.last_entry(f, args, group);
                let inside = self.inside(f, at, last);
                let x = f.select(inside, x, none);
                vec![joined(f, how, x, found[0])]
            });
            let p = self.vector_of(f, args, to, numbers.group, at);
            f.store(found[0], p);
        });
    }

    /// Slot of the last entry of a key head.
    pub(super) fn last_entry(&self, f: &mut Func, args: &Args, group: Val) -> Val {
        let (entries, one) = (self.load_word(f, args.words, group, Word::Entries), f.i64(1));
        f.sub(entries, one)
    }

    /// All rows, for all threads: from one token after which entries leave to the next.
    pub(super) fn run_together(&self, f: &mut Func, args: &Args, threads: Threads) {
        let (zero, one) = (f.i64(0), f.i64(1));
        f.for_loop(zero..args.count, one, &[zero], |f, row, first| {
            let next = f.add(row, one);
            let end = f.cmp(Cmp::Eq, next, args.count);
            let evicts = self.evicts_by_place(f, args, row);
            let stop = f.or(evicts, end);
            f.if_then(stop, |f| {
                let rows = Args { count: next, ..*args };
                let groups = f.i64(self.attend.groups as i64);
                f.team_for(threads.turn.cyclic(groups), |f, group| {
                    self.begin(f, &rows, group);
                    let p = self.first(f, &rows);
                    f.store(first[0], p);
                    f.for_each(first[0], next, 1, |f, row| self.row(f, &rows, group, row, Some(evicts)));
                });
                f.if_then(evicts, |f| self.decide_together(f, &rows, threads, row));
            });
            vec![f.select(stop, next, first[0])]
        });
    }

    /// Whether entries may leave after a row, by its position and the prompt. No thread depends on another in it.
    fn evicts_by_place(&self, f: &mut Func, args: &Args, row: Val) -> Val {
        match &self.policy.evict {
            Some(evict) => {
                let numbers = self.numbers_of_place(f, args, row);
                numbers.truth(f, self, &evict.at)
            }
            None => f.i1(false),
        }
    }

    /// The definitions after a row; then entries leave, and others are coded.
    fn decide_together(&self, f: &mut Func, args: &Args, threads: Threads, row: Val) {
        let groups = f.i64(self.attend.groups as i64);
        for n in 0..self.steps().len() {
            self.meet(f, threads);
            f.team_for(threads.turn.cyclic(groups), |f, group| {
                self.renew_numbers(f, args, group, row);
                self.call(f, &format!("define{n}"), args, &[group, row]);
            });
        }
        self.meet(f, threads);
        f.team_for(threads.turn.cyclic(groups), |f, group| {
            self.renew_numbers(f, args, group, row);
            self.call(f, "evict", args, &[group, row]);
            if self.codes_later() {
                self.call(f, "code", args, &[group, row]);
            }
        });
    }

    /// The numbers of a row in the scratch of this thread, which has run other key heads since.
    fn renew_numbers(&self, f: &mut Func, args: &Args, group: Val, row: Val) {
        let last = self.last_entry(f, args, group);
        self.numbers_after(f, args, group, row, last);
    }
}
