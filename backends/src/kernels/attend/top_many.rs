//! The best keys of a row where many are asked for: a sorted list, and new keys beside it in the order in which they come. When these have
//! no more room they are sorted and merged into the list (`sort`).
//!
//! Keys come in the order of their positions, so that of equal scores those of the list are the earlier ones.

use super::{
    layout::{PAGE, Scratch, float_at},
    sort::{self, DIGITS, Places},
    top_k::Best,
    variant::Attend,
};
use crate::kernel::{Cmp, Func, Module, Scalar, Ty, Val};

/// Keys up to which each new one is put into its place at once.
const FEW: usize = 64;

/// Most keys that wait to be merged.
const WAITING: usize = 4096;

impl Best {
    /// Whether new keys wait.
    pub(super) fn many(&self) -> bool {
        self.count > FEW
    }

    /// Keys that wait at most.
    fn waiting(&self) -> usize {
        self.length().clamp(4 * PAGE, WAITING)
    }

    /// Where keys wait, scores and positions.
    fn new_keys(&self) -> [usize; 2] {
        let first = 2 * (self.lanes + self.length());
        [first, first + self.waiting() + self.lanes]
    }

    /// The number of keys that wait, a 64-bit word.
    fn fill(&self) -> usize {
        self.new_keys()[1] + self.waiting() + self.lanes
    }

    /// Floats of a row.
    pub(super) fn width_of_many(&self) -> usize {
        self.fill() + 16
    }

    /// Floats of a thread's room for sorting and merging.
    pub(super) fn room(&self) -> usize {
        if !self.many() {
            return 0;
        }
        2 * self.length().max(self.waiting()) + DIGITS
    }

    fn fill_at(&self, f: &mut Func, row: Val) -> Val {
        let (at, zero) = (float_at(f, row, self.fill()), f.i64(0));
        f.gep(at, zero, Scalar::I64)
    }

    /// No keys wait.
    pub(super) fn clear_new(&self, f: &mut Func, row: Val) {
        let (at, zero) = (self.fill_at(f, row), f.i64(0));
        f.store(zero, at);
    }

    /// Adds the functions that insert a key, `fn(row, room, score, position)`, and merge those that wait, `fn(row, room)`.
    pub(super) fn add_many(&self, attend: &Attend, module: &mut Module) {
        let most = self.length().max(self.waiting());
        let places = Places {
            keys: self.new_keys(),
            room: [0, most],
            counts: 2 * most,
        };
        sort::add_sort(attend, module, places);
        self.add_merge(attend, module);
        let params = [Ty::SCRATCH, Ty::SCRATCH, Ty::F32, Ty::F32];
        let mut func = Func::new(attend.insert_name(), &params, None);
        let f = &mut func;
        let [row, room, score, position] = [0, 1, 2, 3].map(|n| f.param(n));
        let (at, most) = (self.fill_at(f, row), f.i64(self.waiting() as i64));
        let fill = f.load(at, Ty::I64);
        let full = f.cmp(Cmp::Eq, fill, most);
        f.if_then(full, |f| {
            f.call(&merge_name(attend), &[row, room], None);
        });
        let threshold = self.threshold(f, row);
        let better = f.cmp(Cmp::Gt, score, threshold);
        f.if_then(better, |f| {
            let (fill, one, zero) = (f.load(at, Ty::I64), f.i64(1), f.f32(0.0));
            // Both zeros are equal.
            let score = f.add(score, zero);
            for (list, x) in self.new_keys().into_iter().zip([score, position]) {
                let list = float_at(f, row, list);
                let p = f.gep(list, fill, Scalar::F32);
                f.store(x, p);
            }
            let fill = f.add(fill, one);
            f.store(fill, at);
        });
        module.add(func);
    }

    fn add_merge(&self, attend: &Attend, module: &mut Module) {
        let mut func = Func::new(merge_name(attend), &[Ty::SCRATCH, Ty::SCRATCH], None);
        let f = &mut func;
        let (row, room) = (f.param(0), f.param(1));
        let (at, zero, one) = (self.fill_at(f, row), f.i64(0), f.i64(1));
        let fill = f.load(at, Ty::I64);
        f.call(&sort::sort_name(attend), &[row, room, fill], None);
        let lists = [self.scores(), self.positions()].map(|list| float_at(f, row, list));
        let new = self.new_keys().map(|list| float_at(f, row, list));
        let merged = [0, self.length().max(self.waiting())].map(|list| float_at(f, room, list));
        let (end, none) = (f.gep(new[0], fill, Scalar::F32), f.f32(f32::NEG_INFINITY));
        f.store(none, end);
        let count = f.i64(self.count as i64);
        f.for_loop(zero..count, one, &[zero, zero], |f, n, at| {
            let load = |f: &mut Func, list: Val, at: Val| {
                let p = f.gep(list, at, Scalar::F32);
                f.load(p, Ty::F32)
            };
            let (old, better) = (load(f, lists[0], at[0]), load(f, new[0], at[1]));
            let stays = f.cmp(Cmp::Ge, old, better);
            let (old_position, new_position) = (load(f, lists[1], at[0]), load(f, new[1], at[1]));
            let score = f.select(stays, old, better);
            let position = f.select(stays, old_position, new_position);
            for (list, x) in merged.into_iter().zip([score, position]) {
                let p = f.gep(list, n, Scalar::F32);
                f.store(x, p);
            }
            let (next_old, next_new) = (f.add(at[0], one), f.add(at[1], one));
            vec![f.select(stays, next_old, at[0]), f.select(stays, at[1], next_new)]
        });
        for (list, from) in lists.into_iter().zip(merged) {
            f.for_each(zero, count, 1, |f, n| {
                let p = f.gep(from, n, Scalar::F32);
                let x = f.load(p, Ty::F32);
                let p = f.gep(list, n, Scalar::F32);
                f.store(x, p);
            });
        }
        f.store(zero, at);
        module.add(func);
    }

    /// Brings all keys of a row into its list.
    pub(super) fn settle(&self, attend: &Attend, f: &mut Func, row: Val, scratch: Val) {
        if !self.many() {
            return;
        }
        let room = float_at(f, scratch, Scratch::new(attend).room);
        f.call(&merge_name(attend), &[row, room], None);
    }
}

fn merge_name(attend: &Attend) -> String {
    format!("{}_merge", attend.name)
}
