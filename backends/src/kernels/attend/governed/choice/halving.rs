//! Blocks that have large values, found by halving groups of blocks: only the block in the middle of each half is looked at.

use super::{
    super::{super::layout::float_at, Governed, entries::Numbers},
    search::Chooser,
};
use crate::kernel::{Cast, Cmp, Func, Scalar, Ty, Val};
use seqc_ir::{PairExpr, policy::Kind};

/// Halvings after which every group is one block: no sequence has so many.
const ROUNDS: i64 = 32;

/// Lists in scratch, of twice as many groups as are looked for.
#[derive(Clone, Copy)]
struct Lists {
    low: Val,
    high: Val,
    /// Values of halves; minus infinity for those that are empty.
    values: Val,
    /// How many groups are looked for.
    wanted: Val,
}

impl Governed<'_> {
    /// The most groups of a search.
    pub(super) fn groups_searched(&self) -> usize {
        let choosing = self.blocks_policy().into_iter().flat_map(|b| &b.choosing);
        let counts = choosing.map(|d| match d.kind {
            Kind::Search { count, .. } => count,
            _ => 0,
        });
        counts.max().unwrap_or(0)
    }

    /// Stores in array `to` 1 for the blocks that are found.
    pub(super) fn search(&self, f: &mut Func, chooser: &Chooser<'_>, to: usize, by: &PairExpr, count: usize) {
        let numbers = chooser.numbers;
        let (one, wanted) = (f.i64(1), f.i64(count as i64));
        let blocks = f.add(numbers.last, one);
        let few = f.cmp(Cmp::Le, blocks, wanted);
        let all = f.convert(Cast::UnsignedToFloat, few, Scalar::F32);
        let all = f.splat(all, self.attend.lanes());
        self.each_vector(f, blocks, |f, at| {
            let p = self.vector_of(f, &numbers.args, to, numbers.group, at);
            f.store(all, p);
        });
        let many = f.not(few);
        f.if_then(many, |f| {
            let lists = self.lists(f, numbers, wanted);
            let zero = f.i64(0);
            f.for_each(zero, wanted, 1, |f, group| {
                let next = f.add(group, one);
                let [low, high] = [group, next].map(|n| {
                    let n = f.mul(blocks, n);
                    f.udiv(n, wanted)
                });
                put(f, lists.low, group, low);
                put(f, lists.high, group, high);
            });
            let rounds = f.i64(ROUNDS);
            f.for_each(zero, rounds, 1, |f, _| {
                let longest = f.for_loop(zero..wanted, one, &[one], |f, group, longest| {
                    let (low, high) = (get(f, lists.low, group), get(f, lists.high, group));
                    let length = f.sub(high, low);
                    vec![f.max(longest[0], length)]
                });
                let goes_on = f.cmp(Cmp::Gt, longest[0], one);
                f.if_then(goes_on, |f| {
                    self.halve_groups(f, chooser, by, lists);
                    self.keep_best(f, lists);
                });
            });
            let found = f.f32(1.0);
            f.for_each(zero, wanted, 1, |f, group| {
                let block = get(f, lists.low, group);
                let p = self.number_of(f, &numbers.args, to, numbers.group, block);
                f.store(found, p);
            });
        });
    }

    fn lists(&self, f: &mut Func, numbers: &Numbers, wanted: Val) -> Lists {
        let room = (2 * self.groups_searched()).next_multiple_of(16);
        let base = float_at(f, numbers.args.scratch, self.extra().choice.lists);
        Lists {
            low: base,
            high: float_at(f, base, room),
            values: float_at(f, base, 2 * room),
            wanted,
        }
    }

    /// Two halves in place of each group, with the values of the blocks in their middles.
    fn halve_groups(&self, f: &mut Func, chooser: &Chooser<'_>, by: &PairExpr, lists: Lists) {
        let wanted = lists.wanted;
        let (zero, one, two) = (f.i64(0), f.i64(1), f.i64(2));
        // From the last group on: what is written lies behind what is still to be read.
        f.for_each(zero, wanted, 1, |f, n| {
            let next = f.add(n, one);
            let group = f.sub(wanted, next);
            let (low, high) = (get(f, lists.low, group), get(f, lists.high, group));
            let length = f.sub(high, low);
            let half = f.udiv(length, two);
            let middle = f.add(low, half);
            let first = f.mul(group, two);
            let second = f.add(first, one);
            for (to, low, high) in [(first, low, middle), (second, middle, high)] {
                put(f, lists.low, to, low);
                put(f, lists.high, to, high);
            }
        });
        let halves = f.mul(wanted, two);
        let least = f.f32(f32::NEG_INFINITY);
        f.for_each(zero, halves, 1, |f, half| {
            let (low, high) = (get(f, lists.low, half), get(f, lists.high, half));
            let some = f.cmp(Cmp::Lt, low, high);
            let value = f.if_else(
                some,
                |f| {
                    let both = f.add(low, high);
                    let block = f.udiv(both, two);
                    let x = self.value_of_block(f, chooser, by, block);
                    // What is no number does not compete.
                    let number = f.cmp(Cmp::Eq, x, x);
                    vec![f.select(number, x, least)]
                },
                |_| vec![least],
            );
            let p = f.gep(lists.values, half, Scalar::F32);
            f.store(value[0], p);
        });
    }

    /// The halves with the largest values become the groups, in their order.
    fn keep_best(&self, f: &mut Func, lists: Lists) {
        let wanted = lists.wanted;
        let lanes = self.attend.lanes();
        let (zero, one, two) = (f.i64(0), f.i64(1), f.i64(2));
        let halves = f.mul(wanted, two);
        let step = f.i64(i64::from(lanes));
        let (ones, none) = (f.float(self.vector(), 1.0), f.zero(self.vector()));
        f.for_loop(zero..halves, one, &[zero], |f, half, kept| {
            let p = f.gep(lists.values, half, Scalar::F32);
            let own = f.load(p, Ty::F32);
            let wide = f.splat(own, lanes);
            let before = f.for_loop(zero..halves, step, &[none], |f, start, before| {
                let p = f.gep(lists.values, start, Scalar::F32);
                let x = f.load(p, self.vector());
                let (more, equal) = (f.cmp(Cmp::Gt, x, wide), f.cmp(Cmp::Eq, x, wide));
                let (left, earlier) = (f.sub(halves, start), f.sub(half, start));
                let earlier = f.max(earlier, zero);
                let (inside, earlier) = (f.tail_mask(left, lanes), f.tail_mask(earlier, lanes));
                let equal = f.and(equal, earlier);
                let comes = f.or(more, equal);
                let comes = f.and(comes, inside);
                let comes = f.select(comes, ones, none);
                vec![f.add(before[0], comes)]
            });
            let before = f.reduce_add(before[0]);
            let before = f.convert(Cast::FloatToSigned, before, Scalar::I64);
            let best = f.cmp(Cmp::Lt, before, wanted);
            let (low, high) = (get(f, lists.low, half), get(f, lists.high, half));
            f.if_then(best, |f| {
                // No half lies before its place.
                put(f, lists.low, kept[0], low);
                put(f, lists.high, kept[0], high);
            });
            let more = f.convert(Cast::ZeroExtend, best, Scalar::I64);
            vec![f.add(kept[0], more)]
        });
    }
}

/// Stores a number of a block, exact up to 2^24.
fn put(f: &mut Func, list: Val, n: Val, x: Val) {
    let x = f.convert(Cast::SignedToFloat, x, Scalar::F32);
    let p = f.gep(list, n, Scalar::F32);
    f.store(x, p);
}

fn get(f: &mut Func, list: Val, n: Val) -> Val {
    let p = f.gep(list, n, Scalar::F32);
    let x = f.load(p, Ty::F32);
    f.convert(Cast::FloatToSigned, x, Scalar::I64)
}
