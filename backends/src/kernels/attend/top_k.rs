//! The best keys of a row: a sorted list of scores and one of positions, into which keys are inserted.
//!
//! Keys come in the order of their positions, so that a key is put behind all of equal score.

use super::{
    exp2::largest_lane,
    layout::{PAGE, Scratch, float_at, load, row_at, store},
    variant::Attend,
};
use crate::kernel::{Cast, Cmp, Func, Module, Scalar, Ty, Val};
use seqc_ir::{Normaliser, UNSEEN};

/// The list of a row, and room for what is done to it.
#[derive(Clone, Copy)]
pub(super) struct ListOfRow {
    list: Val,
    room: Val,
}

impl ListOfRow {
    /// The list at `list`, with the room of a thread's scratch.
    pub(super) fn of(attend: &Attend, f: &mut Func, list: Val, scratch: Val) -> ListOfRow {
        let room = float_at(f, scratch, Scratch::new(attend).room);
        ListOfRow { list, room }
    }
}

/// What a row of queries chooses with others.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    /// Number of the choice.
    pub(super) number: Val,
    /// Number of the row among those of the choice.
    pub(super) part: Val,
}

/// Where the lists of a row are, in floats: each in whole vectors, and a vector before it.
#[derive(Clone, Copy)]
pub(super) struct Best {
    /// Keys that are asked for.
    pub(super) count: usize,
    /// Query heads that choose together.
    pub(super) together: usize,
    pub(super) lanes: usize,
}

impl Attend {
    /// The lists of a row, where the best keys are asked for.
    pub(super) fn best(&self) -> Option<Best> {
        match self.spec.normaliser {
            Normaliser::Top(count) => Some(Best {
                count,
                together: self.spec.together,
                lanes: self.lanes() as usize,
            }),
            _ => None,
        }
    }

    pub(super) fn insert_name(&self) -> String {
        format!("{}_insert", self.name)
    }
}

impl Best {
    pub(super) fn length(&self) -> usize {
        self.count.next_multiple_of(self.lanes)
    }

    /// Floats of a row.
    pub(super) fn width(&self) -> usize {
        if self.many() {
            return self.width_of_many();
        }
        2 * (self.lanes + self.length())
    }

    pub(super) fn scores(&self) -> usize {
        self.lanes
    }

    pub(super) fn positions(&self) -> usize {
        2 * self.lanes + self.length()
    }

    /// Nothing found so far.
    pub(super) fn clear(&self, f: &mut Func, row: Val) {
        let fill = |f: &mut Func, first: usize, count: usize, x: f32| {
            let value = f.float(Ty::V(self.lanes as u32, Scalar::F32), x);
            let (base, zero, end) = (float_at(f, row, first), f.i64(0), f.i64(count as i64));
            f.for_each(zero, end, self.lanes as i64, |f, start| {
                let p = f.gep(base, start, Scalar::F32);
                f.store(value, p);
            });
        };
        // The entry before the first is above every score.
        fill(f, 0, self.lanes, f32::INFINITY);
        fill(f, self.scores(), self.length(), f32::NEG_INFINITY);
        fill(f, self.positions() - self.lanes, self.lanes + self.length(), -1.0);
        if self.many() {
            self.clear_new(f, row);
        }
    }

    /// The last of the scores that are asked for: what is not above it is of no interest.
    pub(super) fn threshold(&self, f: &mut Func, row: Val) -> Val {
        let p = float_at(f, row, self.scores() + self.count - 1);
        f.load(p, Ty::F32)
    }

    /// Adds `fn(row, room, score, position)`, which inserts a key above the threshold in order; what it needs of room is in `room`.
    pub(super) fn add_insert(&self, attend: &Attend, module: &mut Module) {
        if self.many() {
            return self.add_many(attend, module);
        }
        let lanes = self.lanes as u32;
        let ty = Ty::V(lanes, Scalar::F32);
        let mut f = Func::new(
            attend.insert_name(),
            &[Ty::SCRATCH, Ty::SCRATCH, Ty::F32, Ty::F32],
            None,
        );
        let (row, score, position) = (f.param(0), f.param(2), f.param(3));
        let (score, position) = (f.splat(score, lanes), f.splat(position, lanes));
        let before = f.i64(-1);
        let (zero, end) = (f.i64(0), f.i64(self.length() as i64));
        let last = f.i64(self.length() as i64 - self.lanes as i64);
        // From the end on, so that what moves back is read before it is written.
        f.for_each(zero, end, self.lanes as i64, |f, n| {
            let at = f.sub(last, n);
            let pair = |f: &mut Func, list: usize| {
                let list = float_at(f, row, list);
                let p = f.gep(list, at, Scalar::F32);
                let q = f.gep(p, before, Scalar::F32);
                (p, f.load(p, ty), f.load(q, ty))
            };
            let (to_score, own, previous) = pair(f, self.scores());
            let (to_position, own_position, previous_position) = pair(f, self.positions());
            let (worse, moved) = (f.cmp(Cmp::Lt, own, score), f.cmp(Cmp::Lt, previous, score));
            let new = f.select(moved, previous, score);
            let new = f.select(worse, new, own);
            f.store(new, to_score);
            let new = f.select(moved, previous_position, position);
            let new = f.select(worse, new, own_position);
            f.store(new, to_position);
        });
        module.add(f);
    }

    /// Inserts what is above the threshold of the scores of a page, whose first key is at `position`.
    pub(super) fn insert_page(&self, attend: &Attend, f: &mut Func, row: ListOfRow, scores: Val, position: Val) {
        let (zero, end) = (f.i64(0), f.i64(PAGE as i64));
        let lanes = f.i64(self.lanes as i64);
        f.for_each(zero, end, self.lanes as i64, |f, start| {
            let p = f.gep(scores, start, Scalar::F32);
            let all = f.load(p, Ty::V(self.lanes as u32, Scalar::F32));
            // What is no number is above nothing, and must not hide other lanes.
            let least = f.float(all.ty, f32::NEG_INFINITY);
            let numbers = f.max(all, least);
            let (top, threshold) = (largest_lane(f, numbers), self.threshold(f, row.list));
            let some = f.cmp(Cmp::Gt, top, threshold);
            f.if_then(some, |f| {
                f.for_each(zero, lanes, 1, |f, lane| {
                    let p = f.gep(p, lane, Scalar::F32);
                    let score = f.load(p, Ty::F32);
                    let place = f.add(start, lane);
                    let place = f.add(position, place);
                    let place = f.convert(Cast::SignedToFloat, place, Scalar::F32);
                    self.insert(attend, f, row, score, place);
                });
            });
        });
    }

    /// Inserts a key that is above the threshold.
    fn insert(&self, attend: &Attend, f: &mut Func, row: ListOfRow, score: Val, position: Val) {
        let threshold = self.threshold(f, row.list);
        let better = f.cmp(Cmp::Gt, score, threshold);
        f.if_then(better, |f| {
            f.call(&attend.insert_name(), &[row.list, row.room, score, position], None);
        });
    }

    /// Inserts what another row holds.
    pub(super) fn join(&self, attend: &Attend, f: &mut Func, row: ListOfRow, other: Val) {
        let (zero, count) = (f.i64(0), f.i64(self.count as i64));
        let scores = float_at(f, other, self.scores());
        let positions = float_at(f, other, self.positions());
        f.for_each(zero, count, 1, |f, n| {
            let p = f.gep(scores, n, Scalar::F32);
            let score = f.load(p, Ty::F32);
            let p = f.gep(positions, n, Scalar::F32);
            let position = f.load(p, Ty::F32);
            self.insert(attend, f, row, score, position);
        });
    }

    /// A head's result: scores, then positions.
    pub(super) fn write(&self, f: &mut Func, row: Val, to: Val) {
        let lanes = self.lanes as u32;
        let whole = self.count - self.count % self.lanes;
        let (zero, end) = (f.i64(0), f.i64(whole as i64));
        f.for_each(zero, end, self.lanes as i64, |f, start| {
            self.write_vector(f, [row, to, start], None)
        });
        if whole < self.count {
            let left = f.i64((self.count - whole) as i64);
            let mask = f.tail_mask(left, lanes);
            self.write_vector(f, [row, to, end], Some(mask));
        }
    }

    fn write_vector(&self, f: &mut Func, [row, to, start]: [Val; 3], mask: Option<Val>) {
        let lanes = self.lanes as u32;
        let ty = Ty::V(lanes, Scalar::F32);
        let (none, unseen) = (f.float(ty, f32::NEG_INFINITY), f.float(ty, UNSEEN as f32));
        let vector = |f: &mut Func, base: Val, first: usize| {
            let p = float_at(f, base, first);
            f.gep(p, start, Scalar::F32)
        };
        let p = vector(f, row, self.scores());
        let x = load(f, p, lanes, None);
        let empty = f.cmp(Cmp::Eq, x, none);
        let x = f.select(empty, unseen, x);
        let p = vector(f, to, 0);
        store(f, x, p, mask);
        let p = vector(f, row, self.positions());
        let x = load(f, p, lanes, None);
        let p = vector(f, to, self.count);
        store(f, x, p, mask);
    }

    /// The list of a choice of a block.
    pub(super) fn row(&self, f: &mut Func, rows: Val, choice: Val) -> Val {
        row_at(f, rows, choice, self.width())
    }

    /// The number of the choice that a row takes part in, and its number among those that choose together.
    pub(super) fn choice(&self, f: &mut Func, row: Val) -> Choice {
        let together = f.i64(self.together as i64);
        Choice {
            number: f.udiv(row, together),
            part: f.urem(row, together),
        }
    }

    /// Scores of a row over some keys are added to those of its choice; what is complete competes with earlier keys.
    pub(super) fn join_scores(
        &self,
        attend: &Attend,
        f: &mut Func,
        [scratch, row, position]: [Val; 3],
        scores: &[Val],
    ) {
        let places = Scratch::new(attend);
        let [rows, sums] = [places.sums, places.choices].map(|at| float_at(f, scratch, at));
        let Choice { number, part } = self.choice(f, row);
        let sums = row_at(f, sums, number, PAGE);
        let (zero, lanes) = (f.i64(0), self.lanes);
        let first = f.cmp(Cmp::Eq, part, zero);
        for (n, score) in scores.iter().enumerate() {
            let p = float_at(f, sums, n * lanes);
            let old = f.load(p, score.ty);
            let nothing = f.zero(score.ty);
            let old = f.select(first, nothing, old);
            let sum = f.add(old, *score);
            f.store(sum, p);
        }
        let last = f.i64(self.together as i64 - 1);
        let complete = f.cmp(Cmp::Eq, part, last);
        f.if_then(complete, |f| {
            let row = self.row(f, rows, number);
            let row = ListOfRow::of(attend, f, row, scratch);
            self.insert_page(attend, f, row, sums, position);
        });
    }
}
