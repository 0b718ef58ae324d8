//! The search for candidates, in which all members take part.

use super::{
    row::Row,
    work::{Work, best, sum_where},
};
use crate::kernel::{Cast, Cmp, Func, Module, Scalar, Team, Ty, Val};
use seqc_abi::decoding::CANDIDATES;

/// Name of the function of groups.
pub(super) const GROUPS: &str = "seqc_sample_groups";
/// Name of the function of the bound.
pub(super) const BOUND: &str = "seqc_sample_bound";
/// Name of the function that counts candidates.
pub(super) const COUNT: &str = "seqc_sample_count";
/// Name of the function that collects them.
pub(super) const COLLECT: &str = "seqc_sample_collect";

/// Tokens less likely than the best by more than this power of e are never drawn: as the host has it.
const NEVER: f32 = 30.0;

/// Adds the functions.
pub(super) fn add(module: &mut Module, row: Row) {
    groups(module, row);
    bound(module, row);
    count(module, row);
    collect(module, row);
}

/// Runs `body` for the groups of this member.
fn own(f: &mut Func, row: Row, team: Team, body: impl FnOnce(&mut Func, Val)) {
    let groups = f.i64(row.groups() as i64);
    f.team_for(team.cyclic(groups), body);
}

/// The team of a function whose last parameters say it.
fn team(f: &Func) -> Team {
    let count = f.params().len();
    Team {
        tid: f.param(count - 2),
        threads: f.param(count - 1),
    }
}

/// Adds `fn(logits, work, tid, threads)`: the largest logit of each group, and its first token. No bound is known yet.
fn groups(module: &mut Module, row: Row) {
    let mut f = Func::new(GROUPS, &[Ty::GLOBAL, Ty::GLOBAL, Ty::I64, Ty::I64], None);
    let (logits, team) = (f.param(0), team(&f));
    let work = Work::at(&mut f, row, 1);
    let ty = Ty::V(row.lanes, Scalar::F32);
    let (lowest, infinite, zero) = (f.float(ty, f32::NEG_INFINITY), f.float(ty, f32::INFINITY), f.zero(ty));
    f.on_member(team, 0, |f| {
        let none = f.f32(f32::NEG_INFINITY);
        f.store(none, work.bound);
    });
    let iota = f.iota(row.lanes);
    own(&mut f, row, team, |f, group| {
        let found = row.vectors(f, logits, group, &[lowest, zero], |f, logits, carried| {
            let number = f.cmp(Cmp::Lt, logits.values, infinite);
            let values = f.select(number, logits.values, infinite);
            let first = f.splat(logits.first, row.lanes);
            let tokens = f.add(first, iota);
            let tokens = f.convert(Cast::SignedToFloat, tokens, Scalar::F32);
            let better = f.cmp(Cmp::Gt, values, carried[0]);
            vec![
                f.select(better, values, carried[0]),
                f.select(better, tokens, carried[1]),
            ]
        });
        let most = f.reduce_max(found[0]);
        let all = f.splat(most, row.lanes);
        let here = f.cmp(Cmp::Eq, found[0], all);
        let first = f.select(here, found[1], infinite);
        let first = f.reduce_min(first);
        for (value, table) in [(most, work.most), (first, work.first)] {
            let p = f.gep(table, group, Scalar::F32);
            f.store(value, p);
        }
    });
    module.add(f);
}

/// Adds `fn(work, k, tid, threads)`: the `k`-th largest of the groups' logits, where there are so many. Of equal ones the first is larger, so that one
/// member stores it.
fn bound(module: &mut Module, row: Row) {
    let mut f = Func::new(BOUND, &[Ty::GLOBAL, Ty::I64, Ty::I64, Ty::I64], None);
    let (k, team) = (f.param(1), team(&f));
    let work = Work::new(&mut f, row);
    let one = f.i64(1);
    let rank = f.sub(k, one);
    let rank = f.convert(Cast::SignedToFloat, rank, Scalar::F32);
    own(&mut f, row, team, |f, group| {
        let p = f.gep(work.most, group, Scalar::F32);
        let most = f.load_aligned(p, Ty::F32);
        let (all, number) = (f.splat(most, row.lanes), f.splat(group, row.lanes));
        let ty = Ty::V(row.lanes, Scalar::F32);
        let (none, ones) = (f.zero(ty), f.float(ty, 1.0));
        let larger = work.each_group(f, &[none], |f, other, carried| {
            let most = other.load(f, work.most);
            let numbers = work.numbers(f, other);
            let (larger, same) = (f.cmp(Cmp::Gt, most, all), f.cmp(Cmp::Eq, most, all));
            let before = f.cmp(Cmp::Lt, numbers, number);
            let same = f.and(same, before);
            let larger = f.or(larger, same);
            vec![sum_where(f, larger, ones, carried[0])]
        });
        let larger = f.reduce_add(larger[0]);
        let here = f.cmp(Cmp::Eq, larger, rank);
        f.if_then(here, |f| f.store(most, work.bound));
    });
    module.add(f);
}

/// The logit that candidates reach.
fn least(f: &mut Func, work: &Work, temperature: Val) -> Val {
    let best = best(f, work);
    let bound = f.load_aligned(work.bound, Ty::F32);
    let never = f.f32(NEVER);
    let below = f.mul(never, temperature);
    let lowest = f.sub(best, below);
    f.max(bound, lowest)
}

/// Adds `fn(logits, work, temperature, tid, threads)`: how many candidates each group has.
fn count(module: &mut Module, row: Row) {
    let params = [Ty::GLOBAL, Ty::GLOBAL, Ty::F32, Ty::I64, Ty::I64];
    let mut f = Func::new(COUNT, &params, None);
    let (logits, temperature, team) = (f.param(0), f.param(2), team(&f));
    let work = Work::at(&mut f, row, 1);
    let least = least(&mut f, &work, temperature);
    let all = f.splat(least, row.lanes);
    own(&mut f, row, team, |f, group| {
        let p = f.gep(work.most, group, Scalar::F32);
        let most = f.load_aligned(p, Ty::F32);
        let some = f.cmp(Cmp::Ge, most, least);
        let count = f.if_else(
            some,
            |f| {
                let ty = Ty::V(row.lanes, Scalar::F32);
                let (none, ones) = (f.zero(ty), f.float(ty, 1.0));
                let count = row.vectors(f, logits, group, &[none], |f, logits, carried| {
                    let reach = f.cmp(Cmp::Ge, logits.values, all);
                    let reach = f.and(reach, logits.mask);
                    vec![sum_where(f, reach, ones, carried[0])]
                });
                vec![f.reduce_add(count[0])]
            },
            |f| vec![f.f32(0.0)],
        );
        let p = f.gep(work.counts, group, Scalar::F32);
        f.store(count[0], p);
    });
    module.add(f);
}

/// Adds `fn(logits, work, temperature, tid, threads)`: the candidates of each group behind those of the groups before, as far as there is room.
fn collect(module: &mut Module, row: Row) {
    let params = [Ty::GLOBAL, Ty::GLOBAL, Ty::F32, Ty::I64, Ty::I64];
    let mut f = Func::new(COLLECT, &params, None);
    let (logits, temperature, team) = (f.param(0), f.param(2), team(&f));
    let work = Work::at(&mut f, row, 1);
    let least = least(&mut f, &work, temperature);
    own(&mut f, row, team, |f, group| {
        let p = f.gep(work.counts, group, Scalar::F32);
        let count = f.load_aligned(p, Ty::F32);
        let zero = f.f32(0.0);
        let some = f.cmp(Cmp::Gt, count, zero);
        f.if_then(some, |f| {
            let (none, number) = (f.zero(Ty::V(row.lanes, Scalar::F32)), f.splat(group, row.lanes));
            let before = work.each_group(f, &[none], |f, other, carried| {
                let counts = other.load(f, work.counts);
                let numbers = work.numbers(f, other);
                let before = f.cmp(Cmp::Lt, numbers, number);
                vec![sum_where(f, before, counts, carried[0])]
            });
            let before = f.reduce_add(before[0]);
            let before = f.convert(Cast::FloatToSigned, before, Scalar::I64);
            let group = Group { logits, group, least };
            group.collect(f, &work, before);
        });
    });
    module.add(f);
}

/// A group whose candidates are collected.
struct Group {
    logits: Val,
    group: Val,
    least: Val,
}

impl Group {
    /// Stores its candidates from a number on.
    fn collect(&self, f: &mut Func, work: &Work, before: Val) {
        let (row, least) = (work.row, self.least);
        let all = f.splat(least, row.lanes);
        row.vectors(f, self.logits, self.group, &[before], |f, logits, carried| {
            let reach = f.cmp(Cmp::Ge, logits.values, all);
            let reach = f.and(reach, logits.mask);
            let ty = Ty::V(row.lanes, Scalar::F32);
            let (none, ones) = (f.zero(ty), f.float(ty, 1.0));
            let some = sum_where(f, reach, ones, none);
            let some = f.reduce_add(some);
            let zero = f.f32(0.0);
            let some = f.cmp(Cmp::Gt, some, zero);
            f.if_else(
                some,
                |f| self.vector(f, work, logits.first, carried[0]),
                |_| vec![carried[0]],
            )
        });
    }

    /// Stores the candidates of a vector, one after another; returns the number behind them.
    fn vector(&self, f: &mut Func, work: &Work, first: Val, before: Val) -> Vec<Val> {
        let (lanes, vocab) = (f.i64(i64::from(work.row.lanes)), f.i64(work.row.vocab as i64));
        let (end, one, room) = (f.add(first, lanes), f.i64(1), f.i64(CANDIDATES as i64));
        let end = f.min(end, vocab);
        f.for_loop(first..end, one, &[before], |f, token, carried| {
            let p = f.gep(self.logits, token, Scalar::F32);
            let logit = f.load_aligned(p, Ty::F32);
            let reaches = f.cmp(Cmp::Ge, logit, self.least);
            f.if_else(
                reaches,
                |f| {
                    let fits = f.cmp(Cmp::Lt, carried[0], room);
                    f.if_then(fits, |f| {
                        let token = f.convert(Cast::SignedToFloat, token, Scalar::F32);
                        for (value, table) in [(logit, work.values), (token, work.tokens)] {
                            let p = f.gep(table, carried[0], Scalar::F32);
                            f.store(value, p);
                        }
                    });
                    vec![f.add(carried[0], one)]
                },
                |_| vec![carried[0]],
            )
        })
    }
}
