//! From products to weights: score, mask and normaliser of a tile of rows and a page of keys, in place.

use super::{
    exp2::{exp2, largest_lane},
    layout::{PAGE, Scratch, float_at, row_at},
    pair::Pair,
    query_row::QueryRow,
    sums_behind::{Carried, SumBehind, with_carried},
    table::Tables,
    tile_args::TileArgs,
    top_k::{Best, ListOfRow},
    variant::Attend,
};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, Ty, Val},
    kernels::lanes::fold,
};
use seqc_ir::Normaliser;

/// Softmax counts in powers of two: scores are multiplied by this, in the queries where nothing comes between.
pub(super) const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// What a page needs of its scoring function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mask {
    /// Every query of the tile sees every key of the page.
    Open,
    /// Predicate, causality and the end of the sequence are evaluated for every pair.
    Pairs,
}

/// The weight of a key that is not seen, in pages of which queries see a part: a zero that no other weight is. Its
/// value must not be multiplied, for it may be no number.
pub(super) const MASKED: f32 = -0.0;

/// Adds the scoring function for pages of one kind; returns its name. Its parameters are [`TileArgs`].
pub(super) fn function(attend: &Attend, module: &mut Module, tables: &Tables, mask: Mask) -> String {
    let suffix = if mask == Mask::Open { "open" } else { "pairs" };
    let name = format!("{}_score_{suffix}", attend.name);
    // Scores are the same whatever copy of a page keys were read from.
    if module.has(&name) {
        return name;
    }
    let mut f = Func::new(&name, &TileArgs::TYPES, None);
    let score = Score {
        attend,
        tables,
        mask,
        args: TileArgs::of(&f),
        scratch: Scratch::of_tiles(attend),
    };
    match (attend.spec.normaliser, attend.best()) {
        (Normaliser::Softmax, _) => {
            score.largest(&mut f);
            score.shrink(&mut f);
            score.exponentials(&mut f);
        }
        (_, Some(best)) => score.best(&mut f, best),
        (_, None) => score.plain(&mut f),
    }
    module.add(f);
    name
}

struct Score<'a> {
    attend: &'a Attend,
    tables: &'a Tables,
    mask: Mask,
    args: TileArgs,
    scratch: Scratch,
}

impl Score<'_> {
    fn lanes(&self) -> u32 {
        self.attend.lanes()
    }

    fn ty(&self) -> Ty {
        Ty::V(self.lanes(), Scalar::F32)
    }

    fn place(&self, f: &mut Func, offset: usize) -> Val {
        float_at(f, self.args.scratch, offset)
    }

    /// For every row of the tile: its number, and pointers to its vectors of scores.
    fn each_row(&self, f: &mut Func, body: impl FnOnce(&mut Func, Val, &[Val])) {
        let (zero, rows) = (f.i64(0), self.args.rows);
        f.for_each(zero, rows, 1, |f, r| {
            let scores = self.place(f, self.scratch.scores);
            let row = row_at(f, scores, r, PAGE);
            let vectors = self.attend.cell() / self.lanes() as usize;
            let places: Vec<Val> = (0..vectors)
                .map(|v| float_at(f, row, v * self.lanes() as usize))
                .collect();
            body(f, r, &places);
        });
    }

    /// Scores in place of products, and the largest of each row so far.
    fn largest(&self, f: &mut Func) {
        let largest = self.place(f, self.scratch.largest);
        let largest = f.gep(largest, self.args.at, Scalar::F32);
        let shift = self.place(f, self.scratch.shift);
        let unseen = f.float(self.ty(), f32::NEG_INFINITY);
        self.each_row(f, |f, r, places| {
            let scores = self.scores(f, r, places, unseen);
            let top = fold(f, &scores, Func::max);
            let top = largest_lane(f, top);
            let p = f.gep(largest, r, Scalar::F32);
            let old = f.load(p, Ty::F32);
            let top = f.max(top, old);
            let p = f.gep(shift, r, Scalar::F32);
            f.store(top, p);
        });
    }

    /// The factors `2^(old - new)`, for all rows of the tile at once.
    fn shrink(&self, f: &mut Func) {
        let largest = self.place(f, self.scratch.largest);
        let largest = f.gep(largest, self.args.at, Scalar::F32);
        let (shift, shrink) = (self.place(f, self.scratch.shift), self.place(f, self.scratch.shrink));
        let lanes = self.lanes() as usize;
        for row in (0..self.attend.tile_rows()).step_by(lanes) {
            let [largest, shift, shrink] = [largest, shift, shrink].map(|base| float_at(f, base, row));
            let rows = match row {
                0 => self.args.rows,
                _ => {
                    let before = f.i64(row as i64);
                    f.sub(self.args.rows, before)
                }
            };
            self.shrink_rows(f, rows, largest, shift, shrink);
        }
    }

    /// The factors of as many rows as there are lanes, or the first `rows`.
    fn shrink_rows(&self, f: &mut Func, rows: Val, largest: Val, shift: Val, shrink: Val) {
        let (old, new) = (f.load(largest, self.ty()), f.load(shift, self.ty()));
        let inside = f.tail_mask(rows, self.lanes());
        f.masked_store(new, largest, inside);
        // Nothing seen so far: any number will do in place of minus infinity, which has no difference to itself.
        let (none, zero) = (f.float(self.ty(), f32::NEG_INFINITY), f.zero(self.ty()));
        let empty = f.cmp(Cmp::Eq, new, none);
        let new = f.select(empty, zero, new);
        f.store(new, shift);
        let difference = f.sub(old, new);
        let factor = exp2(f, difference);
        f.store(factor, shrink);
    }

    /// Weights in place of scores, and their sum.
    fn exponentials(&self, f: &mut Func) {
        let (shift, shrink) = (self.place(f, self.scratch.shift), self.place(f, self.scratch.shrink));
        let total = self.place(f, self.scratch.total);
        self.each_row(f, |f, r, places| {
            let p = f.gep(shift, r, Scalar::F32);
            let shift = f.load(p, Ty::F32);
            let shift = f.splat(shift, self.lanes());
            let mut weights = Vec::new();
            for p in places {
                let score = f.load(*p, self.ty());
                let difference = f.sub(score, shift);
                let mut weight = exp2(f, difference);
                if self.mask == Mask::Pairs {
                    let (none, masked) = (f.float(self.ty(), f32::NEG_INFINITY), f.float(self.ty(), MASKED));
                    let unseen = f.cmp(Cmp::Eq, score, none);
                    weight = f.select(unseen, masked, weight);
                }
                f.store(weight, *p);
                weights.push(weight);
            }
            let sum = fold(f, &weights, Func::add);
            let p = f.gep(shrink, r, Scalar::F32);
            let factor = f.load(p, Ty::F32);
            let factor = f.splat(factor, self.lanes());
            let p = self.total(f, total, r);
            let old = f.load(p, self.ty());
            let new = f.fma(old, factor, sum);
            f.store(new, p);
        });
    }

    /// Scores are the weights.
    fn plain(&self, f: &mut Func) {
        let total = self.place(f, self.scratch.total);
        let unseen = f.float(self.ty(), MASKED);
        self.each_row(f, |f, r, places| {
            let scores = self.scores(f, r, places, unseen);
            if self.attend.spec.normaliser == Normaliser::None {
                return;
            }
            let sum = fold(f, &scores, Func::add);
            let p = self.total(f, total, r);
            let old = f.load(p, self.ty());
            let new = f.add(old, sum);
            f.store(new, p);
        });
    }

    /// Scores compete with those of earlier pages.
    fn best(&self, f: &mut Func, best: Best) {
        let rows = self.place(f, self.scratch.sums);
        let unseen = f.float(self.ty(), f32::NEG_INFINITY);
        let size = f.i64(PAGE as i64);
        let position = f.mul(self.args.page, size);
        self.each_row(f, |f, r, places| {
            let scores = self.scores(f, r, places, unseen);
            let row = f.add(self.args.at, r);
            if best.together > 1 {
                return best.join_scores(self.attend, f, [self.args.scratch, row, position], &scores);
            }
            let row = best.row(f, rows, row);
            let row = ListOfRow::of(self.attend, f, row, self.args.scratch);
            best.insert_page(self.attend, f, row, places[0], position);
        });
    }

    fn total(&self, f: &mut Func, total: Val, r: Val) -> Val {
        let row = f.add(self.args.at, r);
        row_at(f, total, row, self.lanes() as usize)
    }

    /// Scores of a row, stored where they differ from the products; `unseen` in place of keys that it does not see.
    fn scores(&self, f: &mut Func, r: Val, places: &[Val], unseen: Val) -> Vec<Val> {
        let products: Vec<Val> = places.iter().map(|p| f.load(*p, self.ty())).collect();
        let spec = &self.attend.spec;
        if spec.score.is_none() && self.mask == Mask::Open {
            return products;
        }
        let row = QueryRow::new(self.attend, f, &self.args, r);
        let behind = self.sums_behind(f, &row, r, &products);
        let mut out = Vec::new();
        for (n, product) in products.into_iter().enumerate() {
            let start = n * self.lanes() as usize;
            let mut pair = row.pairs(f, self.tables, self.args.page, start, product);
            pair.behind = &behind[n];
            let mut score = match &spec.score {
                Some(expr) => {
                    let score = pair.real(f, expr);
                    self.in_powers_of_two(f, score)
                }
                None => product,
            };
            if self.mask == Mask::Pairs {
                let seen = self.seen(f, &pair);
                if matches!(spec.normaliser, Normaliser::Sum | Normaliser::None) {
                    // A score that is [`MASKED`] by chance becomes the other zero.
                    let zero = f.zero(self.ty());
                    score = f.add(score, zero);
                }
                score = f.select(seen, score, unseen);
            }
            f.store(score, places[n]);
            out.push(score);
        }
        out
    }

    /// For each vector of keys of the page the sums over the keys behind them that row `r` sees.
    fn sums_behind(&self, f: &mut Func, row: &QueryRow<'_>, r: Val, products: &[Val]) -> Vec<Vec<SumBehind<'_>>> {
        let mut found = vec![Vec::new(); products.len()];
        let at = f.add(self.args.at, r);
        for (number, of) in self.attend.spec.sums_behind().into_iter().enumerate() {
            let place = self.attend.carried_sum(f, self.args.scratch, number, at);
            let mut carried = f.load(place, Ty::F32);
            for (n, product) in products.iter().enumerate().rev() {
                let start = n * self.lanes() as usize;
                let pair = row.pairs(f, self.tables, self.args.page, start, *product);
                let mut terms = pair.real(f, of);
                if self.mask == Mask::Pairs {
                    let (seen, zero) = (self.seen(f, &pair), f.zero(self.ty()));
                    terms = f.select(seen, terms, zero);
                }
                let Carried { sum, next } = with_carried(f, terms, carried);
                carried = next;
                found[n].push(SumBehind { of, sum });
            }
            f.store(carried, place);
        }
        found
    }

    fn in_powers_of_two(&self, f: &mut Func, score: Val) -> Val {
        if self.attend.spec.normaliser != Normaliser::Softmax {
            return score;
        }
        let factor = f.float(score.ty, LOG2_E as f32);
        f.mul(score, factor)
    }

    fn seen(&self, f: &mut Func, pair: &Pair<'_>) -> Val {
        let last = if self.attend.spec.causal {
            pair.query
        } else {
            let (end, one) = (self.attend.keys_end(f, self.args.table, self.args.chunk()), f.i64(1));
            f.sub(end, one)
        };
        let seen = pair.not_behind(f, last);
        match &self.attend.spec.predicate {
            None => seen,
            Some(predicate) => {
                let mask = pair.mask(f, predicate);
                f.and(seen, mask)
            }
        }
    }
}
