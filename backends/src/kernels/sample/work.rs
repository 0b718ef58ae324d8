//! The memory in which logits are searched ([`seqc_abi::decoding::Work`]).

use super::row::Row;
use crate::kernel::{Cast, Cmp, Func, Scalar, Ty, Val};
use seqc_abi::decoding;
use std::mem::offset_of;

/// Pointers to its tables, in a function whose first parameter but for the logits it is.
#[derive(Clone, Copy)]
pub(super) struct Work {
    pub(super) row: Row,
    pub(super) most: Val,
    pub(super) first: Val,
    pub(super) counts: Val,
    pub(super) values: Val,
    pub(super) tokens: Val,
    pub(super) kept: Val,
    pub(super) weights: Val,
    pub(super) bound: Val,
    pub(super) chosen: Val,
}

/// Consecutive entries of a table, a vector of them.
#[derive(Clone, Copy)]
pub(super) struct Entries {
    /// The number of the first one.
    pub(super) at: Val,
    pub(super) lanes: u32,
}

impl Entries {
    pub(super) fn load(self, f: &mut Func, table: Val) -> Val {
        let p = f.gep(table, self.at, Scalar::F32);
        f.load_aligned(p, Ty::V(self.lanes, Scalar::F32))
    }

    pub(super) fn store(self, f: &mut Func, value: Val, table: Val) {
        let p = f.gep(table, self.at, Scalar::F32);
        f.store(value, p);
    }
}

impl Work {
    /// That of a function whose first parameter it is.
    pub(super) fn new(f: &mut Func, row: Row) -> Work {
        Work::at(f, row, 0)
    }

    /// That of a function whose parameter of this number it is.
    pub(super) fn at(f: &mut Func, row: Row, parameter: usize) -> Work {
        let start = f.param(parameter);
        let mut at = |offset: usize| {
            let offset = f.i64(offset as i64);
            f.gep(start, offset, Scalar::I8)
        };
        Work {
            row,
            most: at(offset_of!(decoding::Work, most)),
            first: at(offset_of!(decoding::Work, first)),
            counts: at(offset_of!(decoding::Work, counts)),
            values: at(offset_of!(decoding::Work, values)),
            tokens: at(offset_of!(decoding::Work, tokens)),
            kept: at(offset_of!(decoding::Work, kept)),
            weights: at(offset_of!(decoding::Work, weights)),
            bound: at(offset_of!(decoding::Work, bound)),
            chosen: at(offset_of!(decoding::Work, chosen)),
        }
    }

    /// Runs `body` for vectors of groups.
    pub(super) fn each_group(
        &self,
        f: &mut Func,
        init: &[Val],
        body: impl FnOnce(&mut Func, Entries, &[Val]) -> Vec<Val>,
    ) -> Vec<Val> {
        let (groups, lanes) = (f.i64(self.row.groups() as i64), self.row.lanes);
        each(f, groups, lanes, init, body)
    }

    /// The numbers of a vector of entries.
    pub(super) fn numbers(&self, f: &mut Func, entries: Entries) -> Val {
        let (all, iota) = (f.splat(entries.at, entries.lanes), f.iota(entries.lanes));
        f.add(all, iota)
    }

    /// Stores a token where the largest logit is a number, else nothing that could be one.
    pub(super) fn choose(&self, f: &mut Func, best: Val, token: Val) {
        let token = f.convert(Cast::FloatToSigned, token, Scalar::I64);
        let (infinite, lowest, none) = (f.f32(f32::INFINITY), f.f32(f32::NEG_INFINITY), f.i64(-1));
        let (below, above) = (f.cmp(Cmp::Lt, best, infinite), f.cmp(Cmp::Gt, best, lowest));
        let finite = f.and(below, above);
        let token = f.select(finite, token, none);
        f.store(token, self.chosen);
    }
}

/// Runs `body` for vectors of `count` entries, the last one of which may reach beyond them.
pub(super) fn each(
    f: &mut Func,
    count: Val,
    lanes: u32,
    init: &[Val],
    body: impl FnOnce(&mut Func, Entries, &[Val]) -> Vec<Val>,
) -> Vec<Val> {
    let (zero, step) = (f.i64(0), f.i64(i64::from(lanes)));
    f.for_loop(zero..count, step, init, |f, at, carried| {
        body(f, Entries { at, lanes }, carried)
    })
}

/// The largest logit of all groups.
pub(super) fn best(f: &mut Func, work: &Work) -> Val {
    let none = f.float(Ty::V(work.row.lanes, Scalar::F32), f32::NEG_INFINITY);
    let best = work.each_group(f, &[none], |f, group, carried| {
        let most = group.load(f, work.most);
        vec![f.max(most, carried[0])]
    });
    f.reduce_max(best[0])
}

/// How many of some lanes there are, or the sum of their numbers.
pub(super) fn sum_where(f: &mut Func, mask: Val, values: Val, sum: Val) -> Val {
    let zero = f.zero(values.ty);
    let values = f.select(mask, values, zero);
    f.add(sum, values)
}
