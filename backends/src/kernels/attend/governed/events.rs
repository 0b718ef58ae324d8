//! From event to event: the rows of a chunk up to each token after which entries leave or are coded.

use super::{
    super::layout::{Strided, float_at, row_at},
    Governed,
    args::{ARGS, Args},
    code_layout::Coded,
    entries::{Numbers, count_of},
    expr::FIRST_COUNTER,
    share::Threads,
    states::Word,
};
use crate::kernel::{Cast, Cmp, Func, Module, Scalar, Team, Ty, Val};
use seqc_ir::{
    PairExpr,
    policy::{Along, Coding, MEMORIES},
};

impl Governed<'_> {
    /// Adds `fn NAME_govern(arguments…, turn, threads, tid, barrier)`: all key heads of this thread.
    pub(super) fn add_events(&self, module: &mut Module) {
        let mut f = Func::new(self.name("govern"), &ARGS, None);
        let mut args = Args::of(&f);
        let own = &f.params()[Args::TYPES.len()..];
        let threads = Threads {
            turn: Team {
                tid: own[0],
                threads: own[1],
            },
            team: Team {
                tid: own[2],
                threads: own[1],
            },
            scratch: args.scratch,
            barrier: own[3],
        };
        args.scratch = row_at(&mut f, args.scratch, threads.team.tid, self.scratch_bytes() / 4);
        self.fill_tables(&mut f, &args);
        self.fill_turns(&mut f, &args);
        if self.chooses() {
            self.choose_and_run(&mut f, &args, threads);
            module.add(f);
            return;
        }
        if self.policy.joins_heads() {
            self.run_together(&mut f, &args, threads);
            module.add(f);
            return;
        }
        self.share_or(&mut f, &args, threads, |f| {
            let groups = f.i64(self.attend.groups as i64);
            f.team_for(threads.turn.cyclic(groups), |f, group| {
                self.begin(f, &args, group);
                let (first, zero) = (self.first(f, &args), f.i64(0));
                f.store(zero, first);
                f.for_each(zero, args.count, 1, |f, row| self.row(f, &args, group, row, None));
            });
        });
        module.add(f);
    }

    /// The numbers of the cache become query streams of the sights.
    fn fill_tables(&self, f: &mut Func, args: &Args) {
        let extra = self.extra();
        let first = self.streams() + 2 * self.attend.spec.query_streams;
        let tables = [(args.table, extra.numbers), (args.observed, extra.earlier)];
        for (table, numbers) in tables.into_iter().take(1 + usize::from(!self.observed.is_empty())) {
            let stride = f.i64(self.numbers() as i64);
            let base = float_at(f, args.scratch, numbers);
            for n in 0..self.numbers() {
                let value = float_at(f, base, n);
                for (at, value) in [value, stride].into_iter().enumerate() {
                    let slot = f.i64((first + 2 * n + at) as i64);
                    let p = f.gep(table, slot, Scalar::I64);
                    f.store(value, p);
                }
            }
        }
    }

    /// Where the first row that has not been run is noted.
    pub(super) fn first(&self, f: &mut Func, args: &Args) -> Val {
        let byte = f.i64(4 * self.extra().first as i64);
        f.gep(args.scratch, byte, Scalar::I8)
    }

    /// First values of counters, before the first token.
    pub(super) fn begin(&self, f: &mut Func, args: &Args, group: Val) {
        if self.policy.counters.is_empty() {
            return;
        }
        let (begun, zero) = (self.load_word(f, args.words, group, Word::Begun), f.i64(0));
        let fresh = f.cmp(Cmp::Eq, begun, zero);
        f.if_then(fresh, |f| {
            for (n, counter) in self.policy.counters.iter().enumerate() {
                let (init, p) = (
                    f.f32(counter.init as f32),
                    self.word(f, args.words, group, Word::Counter(n)),
                );
                f.store(init, p);
            }
            let (one, p) = (f.i64(1), self.word(f, args.words, group, Word::Begun));
            f.store(one, p);
        });
    }

    /// One row: its numbers; where an event follows it, all rows since the last one. Where key heads decide together which entries leave,
    /// `together` says whether they do after the last row; that is done later.
    pub(super) fn row(&self, f: &mut Func, args: &Args, group: Val, row: Val, together: Option<Val>) {
        let p = self.first(f, args);
        let (first, one) = (f.load(p, Ty::I64), f.i64(1));
        let before = self.entries_before(f, args, group, first);
        let passed = f.sub(row, first);
        let last = f.add(before, passed);
        let numbers = self.numbers_at(f, args, group, row, last);
        let alone = self.policy.evict.as_ref().filter(|_| together.is_none());
        let evicts = alone.map(|e| numbers.truth(f, self, &e.at));
        let codes = self.codes(f, &numbers);
        let next = f.add(row, one);
        // What a token sees by memories depends on those of the token before it.
        let end = f.cmp(Cmp::Eq, next, if self.sees_memories() { next } else { args.count });
        let closes = self.closes_with_numbers(f, last);
        let event = [evicts, codes, closes]
            .into_iter()
            .flatten()
            .fold(end, |a, b| f.or(a, b));
        f.if_then(event, |f| {
            self.call(f, "run", args, &[group, first, next]);
            self.define_where_needed(f, &numbers, row, [evicts, codes]);
            if let Some(evicts) = evicts {
                f.if_then(evicts, |f| self.call(f, "evict", args, &[group, row]));
            }
            if self.codes_later() {
                let code = |f: &mut Func| self.call(f, "code", args, &[group, row]);
                match together {
                    Some(together) => {
                        let last_row = f.cmp(Cmp::Eq, next, args.count);
                        let leaves = f.and(together, last_row);
                        let stay = f.not(leaves);
                        f.if_then(stay, code);
                    }
                    None => code(f),
                }
            }
            self.close_blocks(f, args, group, [row, last]);
            let p = self.first(f, args);
            f.store(next, p);
        });
    }

    /// Entries of a key head before a row, all rows before which have been run. Where none leaves, that is its position: another layer, whose
    /// cache is read, may have appended more.
    pub(super) fn entries_before(&self, f: &mut Func, args: &Args, group: Val, row: Val) -> Val {
        if self.evicts() {
            return self.load_word(f, args.words, group, Word::Entries);
        }
        f.add(args.position, row)
    }

    /// Whether memories decide which entries a token sees, or where.
    pub(super) fn sees_memories(&self) -> bool {
        let memories = MEMORIES..self.policy.stream_of(0);
        let is_memory = |e: &PairExpr| matches!(e, PairExpr::KeyStream(n) if memories.contains(n));
        let sights = self.policy.sights.iter().flat_map(|s| s.seen.iter().chain([&s.key]));
        sights.into_iter().any(|e| e.any(&is_memory))
    }

    /// Codes what a row, whose own entry has slot `last`, has made old enough.
    pub(super) fn code_after(&self, f: &mut Func, args: &Args, group: Val, row: Val, last: Val) {
        if !self.codes_later() {
            return;
        }
        let numbers = self.numbers_at(f, args, group, row, last);
        let codes = self.codes(f, &numbers);
        self.define_where_needed(f, &numbers, row, [None, codes]);
        self.call(f, "code", args, &[group, row]);
    }

    /// Computes the definitions where entries leave, or where channels have still to be chosen.
    pub(super) fn define_where_needed(
        &self,
        f: &mut Func,
        numbers: &Numbers,
        row: Val,
        [evicts, codes]: [Option<Val>; 2],
    ) {
        let args = &numbers.args;
        if self.policy.definitions.is_empty() {
            return;
        }
        let chooses = self.policy.keys.as_ref().is_some_and(|c| c.channels.is_some());
        let chooses = codes.filter(|_| chooses).map(|codes| {
            let (chosen, zero) = (self.load_word(f, args.words, numbers.group, Word::Chosen), f.i64(0));
            let fresh = f.cmp(Cmp::Eq, chosen, zero);
            f.and(codes, fresh)
        });
        let Some(needed) = [evicts, chooses].into_iter().flatten().reduce(|a, b| f.or(a, b)) else {
            return;
        };
        f.if_then(needed, |f| self.call(f, "define", args, &[numbers.group, row]));
    }

    /// Computes and stores the numbers of the cache at a row, whose own entry will have slot `last`.
    pub(super) fn numbers_at(&self, f: &mut Func, args: &Args, group: Val, row: Val, last: Val) -> Numbers {
        let mut values = self.place_of(f, args, row);
        let counters = 0..self.policy.counters.len();
        let old = self.load_counters(f, args, group);
        let before = Numbers::of(self, f, args, [&values[..], &old].concat(), [group, last]);
        for (n, counter) in self.policy.counters.iter().enumerate() {
            let value = before.number(f, self, &counter.next);
            values.push(value);
            let p = self.word(f, args.words, group, Word::Counter(n));
            f.store(value, p);
        }
        debug_assert_eq!(values.len(), FIRST_COUNTER + counters.len());
        self.store_numbers(f, args, row, &values);
        Numbers::of(self, f, args, values, [group, last])
    }

    /// The same where the counters have been updated.
    pub(super) fn numbers_after(&self, f: &mut Func, args: &Args, group: Val, row: Val, last: Val) -> Numbers {
        let mut values = self.place_of(f, args, row);
        values.extend(self.load_counters(f, args, group));
        self.store_numbers(f, args, row, &values);
        Numbers::of(self, f, args, values, [group, last])
    }

    /// Position of a row's token, and where it is in a prompt.
    pub(super) fn place_of(&self, f: &mut Func, args: &Args, row: Val) -> Vec<Val> {
        let (position, one) = (f.add(args.position, row), f.i64(1));
        let next = f.add(position, one);
        let real = f.convert(Cast::SignedToFloat, position, Scalar::F32);
        let flag = |f: &mut Func, cmp| {
            let truth = f.cmp(cmp, next, args.prompt);
            f.convert(Cast::UnsignedToFloat, truth, Scalar::F32)
        };
        vec![real, flag(f, Cmp::Lt), flag(f, Cmp::Eq)]
    }

    fn load_counters(&self, f: &mut Func, args: &Args, group: Val) -> Vec<Val> {
        let load = |n| {
            let p = self.word(f, args.words, group, Word::Counter(n));
            f.load(p, Ty::F32)
        };
        (0..self.policy.counters.len()).map(load).collect()
    }

    fn store_numbers(&self, f: &mut Func, args: &Args, row: Val, values: &[Val]) {
        let to = Numbers::row(self, f, args.scratch, row);
        for (n, value) in values.iter().enumerate() {
            let p = float_at(f, to, n);
            f.store(*value, p);
        }
    }

    pub(super) fn codes_later(&self) -> bool {
        self.coded_later().next().is_some()
    }

    /// Whether entries are coded after a row.
    pub(super) fn codes(&self, f: &mut Func, numbers: &Numbers) -> Option<Val> {
        let args = &numbers.args;
        let mut found = None;
        for Coded { coding, layout } in self.coded_later() {
            let border = self.border(f, numbers, coding);
            let coded = self.load_word(f, args.words, numbers.group, Word::coded(layout.side));
            let more = f.cmp(Cmp::Gt, border, coded);
            found = Some(found.map_or(more, |found| f.or(found, more)));
        }
        found
    }

    /// The slot before which entries are coded, in whole groups.
    pub(super) fn border(&self, f: &mut Func, numbers: &Numbers, coding: &Coding) -> Val {
        let zero = f.i64(0);
        let Some(until) = &coding.until else { return zero };
        let until = numbers.number(f, self, until);
        let one = f.i64(1);
        let until = count_of(f, until);
        let entries = f.add(numbers.last, one);
        let until = f.min(until, entries);
        if coding.along == Along::Channels {
            return until;
        }
        let group = f.i64(coding.group as i64);
        let rest = f.urem(until, group);
        f.sub(until, rest)
    }

    /// Rows of queries.
    pub(super) fn queries(&self, args: &Args) -> Strided {
        Strided {
            base: args.q,
            stride: args.q_stride,
        }
    }
}
