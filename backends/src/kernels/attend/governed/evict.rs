//! Eviction: the entries that stay move together.

use super::{
    Governed,
    args::Args,
    code_layout::Side,
    coding::Moves,
    entries::{Numbers, Space},
    expr::RANKS,
    states::Word,
};
use crate::kernel::{Cast, Cmp, Func, Module, Scalar, Ty, Val};
use seqc_ir::{PairExpr, policy::Kind};

impl Governed<'_> {
    /// Whether entries lie in the order of their tokens: neighbours, or entries of other heads in the same slot are read, or what is before others is
    /// coded.
    pub(super) fn ordered(&self) -> bool {
        let pools = |kind: &Kind| matches!(kind, Kind::Pool { .. } | Kind::Heads { .. });
        self.codes_later() || self.policy.definitions.iter().any(|d| pools(&d.kind))
    }

    /// Adds `fn NAME_evict(arguments…, group, row)`: entries leave after a row, whose definitions are computed.
    pub(super) fn add_evict(&self, module: &mut Module) {
        self.add_define(module);
        let Some(evict) = &self.policy.evict else { return };
        if self.ordered() {
            self.add_shift(module);
        } else {
            self.add_move(module);
        }
        let (mut function, args, own) = self.function("evict", &[Ty::I64; 2]);
        let f = &mut function;
        let [group, row] = [own[0], own[1]];
        let (entries, zero, one) = (self.load_word(f, args.words, group, Word::Entries), f.i64(0), f.i64(1));
        let last = f.sub(entries, one);
        let numbers = Numbers::load(self, f, &args, row, group, last);
        let keep = PairExpr::select(evict.keep.clone(), PairExpr::Const(1.0), PairExpr::Const(0.0));
        self.fill(f, &numbers, self.temporary(Space::Entries), &keep);
        let stays = |f: &mut Func, slot: Val| {
            let p = self.number_of(f, &args, self.temporary(Space::Entries), group, slot);
            let x = f.load(p, Ty::F32);
            let none = f.f32(0.0);
            f.cmp(Cmp::Ne, x, none)
        };
        let borders = [Word::CodedKeys, Word::CodedValues].map(|word| self.load_word(f, args.words, group, word));
        let counts = f.for_loop(zero..entries, one, &[zero, zero, zero], |f, slot, counts| {
            let stays = stays(f, slot);
            let add = |f: &mut Func, n: usize, within: Option<Val>| {
                let counted = within.map_or(stays, |within| f.and(stays, within));
                let counted = f.convert(Cast::ZeroExtend, counted, Scalar::I64);
                f.add(counts[n], counted)
            };
            let [keys, values] = borders.map(|border| f.cmp(Cmp::Lt, slot, border));
            vec![add(f, 0, None), add(f, 1, Some(keys)), add(f, 2, Some(values))]
        });
        if self.ordered() {
            self.close_gaps(f, &args, group, entries, stays);
        } else {
            if self.ranks() {
                f.for_each(zero, entries, 1, |f, slot| {
                    let stays = stays(f, slot);
                    let leaves = f.not(stays);
                    f.if_then(leaves, |f| self.leave(f, &args, &numbers, slot));
                });
            }
            self.fill_holes(f, &args, group, [counts[0], entries], stays);
        }
        let words = [Word::Entries, Word::CodedKeys, Word::CodedValues];
        for (word, count) in words.into_iter().zip(counts) {
            let p = self.word(f, args.words, group, word);
            f.store(count, p);
        }
        module.add(function);
    }

    /// The slots behind that of an entry that leaves, one less each.
    fn leave(&self, f: &mut Func, args: &Args, numbers: &Numbers, slot: Val) {
        let p = self.number_of(f, args, RANKS, numbers.group, slot);
        let own = f.load(p, Ty::F32);
        let (own, one) = (f.splat(own, self.attend.lanes()), f.i64(1));
        let entries = f.add(numbers.last, one);
        self.each_vector(f, entries, |f, at| {
            let p = self.vector_of(f, args, RANKS, numbers.group, at);
            let rank = f.load(p, self.vector());
            let behind = f.cmp(Cmp::Gt, rank, own);
            let less = f.convert(Cast::UnsignedToFloat, behind, Scalar::F32);
            let rank = f.sub(rank, less);
            f.store(rank, p);
        });
    }

    /// Moves the entries that stay together, in order: each run of them at once.
    fn close_gaps(&self, f: &mut Func, args: &Args, group: Val, entries: Val, stays: impl Fn(&mut Func, Val) -> Val) {
        let (zero, one) = (f.i64(0), f.i64(1));
        // Where the next run goes, and how many entries it has so far.
        let shift = |f: &mut Func, end: Val, run: &[Val]| {
            let from = f.sub(end, run[1]);
            let (some, moves) = (f.cmp(Cmp::Gt, run[1], zero), f.cmp(Cmp::Ne, from, run[0]));
            let moves = f.and(some, moves);
            f.if_then(moves, |f| self.call(f, "shift", args, &[group, from, run[0], run[1]]));
        };
        let run = f.for_loop(zero..entries, one, &[zero, zero], |f, slot, run| {
            let stays = stays(f, slot);
            f.if_else(
                stays,
                |f| vec![run[0], f.add(run[1], one)],
                |f| {
                    shift(f, slot, run);
                    vec![f.add(run[0], run[1]), zero]
                },
            )
        });
        shift(f, entries, &run);
    }

    /// Moves the entries that stay behind the first `kept` slots to the slots before that are free.
    fn fill_holes(
        &self,
        f: &mut Func,
        args: &Args,
        group: Val,
        [kept, entries]: [Val; 2],
        stays: impl Fn(&mut Func, Val) -> Val,
    ) {
        let (zero, one) = (f.i64(0), f.i64(1));
        let list = |f: &mut Func, n: Val| self.number_of(f, args, self.temporary(Space::Entries) + 1, group, n);
        f.for_loop(kept..entries, one, &[zero], |f, slot, found| {
            let stays = stays(f, slot);
            f.if_else(
                stays,
                |f| {
                    let p = list(f, found[0]);
                    let x = f.convert(Cast::SignedToFloat, slot, Scalar::F32);
                    f.store(x, p);
                    vec![f.add(found[0], one)]
                },
                |_| vec![found[0]],
            )
        });
        f.for_loop(zero..kept, one, &[zero], |f, slot, used| {
            let stays = stays(f, slot);
            f.if_else(
                stays,
                |_| vec![used[0]],
                |f| {
                    let p = list(f, used[0]);
                    let x = f.load(p, Ty::F32);
                    let from = f.convert(Cast::FloatToSigned, x, Scalar::I64);
                    self.call(f, "move", args, &[group, from, slot]);
                    vec![f.add(used[0], one)]
                },
            )
        });
    }

    /// Adds `fn NAME_move(arguments…, group, from, to)`: an entry's keys, values and numbers go to another slot.
    fn add_move(&self, module: &mut Module) {
        let (mut function, args, own) = self.function("move", &[Ty::I64; 3]);
        let f = &mut function;
        let [group, from, to] = [own[0], own[1], own[2]];
        for n in 0..self.stream_of(0) {
            let copy = |f: &mut Func, row: Val| {
                let p = self.number_of(f, &args, n, row, from);
                let x = f.load(p, Ty::F32);
                let p = self.number_of(f, &args, n, row, to);
                f.store(x, p);
            };
            match self.brought_for_each(n) {
                true => self.each_member(f, group, copy),
                false => copy(f, group),
            }
        }
        let elem = self.attend.elem();
        for side in [Side::Keys, Side::Values] {
            if !self.kept(side) {
                continue;
            }
            let (zero, width) = (f.i64(0), f.i64(self.width(side) as i64));
            f.for_each(zero, width, 1, |f, c| {
                let [from, to] = [from, to].map(|slot| match side {
                    Side::Keys => self.key_at(f, &args, group, slot, c),
                    Side::Values => self.value_at(f, &args, group, slot, c),
                });
                let x = f.load(from, Ty::S(elem));
                f.store(x, to);
            });
        }
        self.move_codes(f, &args, Moves { group, from, to });
        module.add(function);
    }
}
