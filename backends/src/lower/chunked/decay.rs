//! The decay matrix `D` of a block, built row by row, and what is multiplied by it: scores, queries, probes.

use super::{
    Block,
    matrix::{Matrix, RowPair, vector_of_row},
    sizes::{CORRECTED, Group},
};
use crate::{
    kernel::{Cmp, Func, Scalar, Val},
    lower::space::Axis,
};

/// Row `t` of the decay matrix and `d[t]`, in registers.
#[derive(Clone)]
struct DecayRow {
    /// `D[t, s]` for all writes `s` of the block, as vectors, by group.
    entries: [Vec<Val>; 2],
    /// `d[t]`: the decay from the start of the block.
    total: Val,
}

impl DecayRow {
    /// A row as it is carried from token to token, with so many vectors of the first group.
    fn of(carried: &[Val], first: usize) -> DecayRow {
        let (entries, total) = carried.split_at(carried.len() - 1);
        let (corrected, plain) = entries.split_at(first);
        DecayRow {
            entries: [corrected.to_vec(), plain.to_vec()],
            total: total[0],
        }
    }

    fn carried(self) -> Vec<Val> {
        let [corrected, plain] = self.entries;
        corrected.into_iter().chain(plain).chain([self.total]).collect()
    }
}

impl Block<'_, '_> {
    /// Writes `D o Q K^T`, `d o Q`, `D[last]`, and the triangular system for corrected values; returns `d[last]`.
    pub(super) fn decays(&self, f: &mut Func) -> Val {
        let sizes = &self.of.sizes;
        let (zero, one, none) = (f.i64(0), f.i64(1), f.zero(self.vector_ty()));
        let [corrected, plain] = [0, 1].map(|group| sizes.columns(group) / sizes.lanes as usize);
        let mut init = vec![none; corrected + plain];
        init.push(f.f32(1.0));
        let last = f.for_loop(zero..self.count, one, &init, |f, t, carried| {
            self.decays_of_token(f, t, &DecayRow::of(carried, corrected)).carried()
        });
        let last = DecayRow::of(&last, corrected);
        for group in sizes.groups() {
            for (v, decays) in last.entries[group].iter().enumerate() {
                let p = vector_of_row(f, self.scratch.last_decays[group].base, v, sizes.lanes);
                f.store(*decays, p);
            }
        }
        last.total
    }

    /// Writes what is multiplied by the decays of token `t`; returns its row of `D` and `d[t]`, from those of the previous token.
    fn decays_of_token(&self, f: &mut Func, t: Val, before: &DecayRow) -> DecayRow {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        let mut exprs = self.exprs(f, t);
        exprs.space.push(Axis::Fixed(0), sizes.p);
        exprs.space.push(Axis::Fixed(0), sizes.n);
        let decay = self.product(&mut exprs, f, &self.of.form.decay);
        let wide = f.splat(decay, sizes.lanes);
        let decayed = DecayRow {
            entries: before
                .entries
                .clone()
                .map(|row| row.into_iter().map(|d| f.mul(d, wide)).collect()),
            total: f.mul(before.total, decay),
        };
        let corrections = self.of.corrections();
        for (n, correction) in corrections.iter().enumerate() {
            let gain = self.term(&mut exprs, f, &correction.gain);
            let seen = match correction.after {
                0 => before.clone(),
                after => self.with_writes(f, t, &decayed, after),
            };
            let row = self.row_of(f, t, corrections.len(), n);
            self.system_row(f, row, gain, &seen);
        }
        let row = self.with_writes(f, t, &decayed, self.of.form.writes.len());
        for (n, query) in self.of.form.queries.iter().enumerate() {
            let read = if query.reads_previous { before } else { &row };
            let at = self.row_of(f, t, sizes.queries, n);
            for group in sizes.groups() {
                self.times_decays(f, at, &read.entries[group], [s.scores[group], s.decayed_scores[group]]);
            }
            let query = RowPair::of(f, s.query, s.decayed_query, at);
            query.scale(f, read.total, sizes.padded_n, sizes.lanes);
        }
        row
    }

    /// The row of `D` after the first writes of token `t`, which have not decayed.
    fn with_writes(&self, f: &mut Func, t: Val, row: &DecayRow, after: usize) -> DecayRow {
        let mut row = row.clone();
        for group in self.of.sizes.groups() {
            row.entries[group] = self.with_group(f, t, &row.entries[group], group, self.of.visible(group, after));
        }
        row
    }

    /// The same for the first `visible` writes of a group.
    fn with_group(&self, f: &mut Func, t: Val, row: &[Val], group: Group, visible: usize) -> Vec<Val> {
        let (lanes, each) = (self.of.sizes.lanes, self.of.sizes.writes[group]);
        if visible == 0 {
            return row.to_vec();
        }
        let first = self.rows_of(f, t, each);
        let end = f.i64(visible as i64);
        let end = f.add(first, end);
        let (first, end) = (f.splat(first, lanes), f.splat(end, lanes));
        let one = f.float(self.vector_ty(), 1.0);
        let vectors = row.iter().enumerate().map(|(v, decays)| {
            let start = v as i64 * i64::from(lanes);
            let columns: Vec<i64> = (start..start + i64::from(lanes)).collect();
            let columns = f.lanes(Scalar::I64, &columns);
            let own = match each {
                1 => f.cmp(Cmp::Eq, columns, first),
                _ => {
                    let (from, below) = (f.cmp(Cmp::Ge, columns, first), f.cmp(Cmp::Lt, columns, end));
                    f.and(from, below)
                }
            };
            f.select(own, one, *decays)
        });
        vectors.collect()
    }

    /// Writes a row of one matrix times decays to another.
    fn times_decays(&self, f: &mut Func, row: Val, decays: &[Val], [from, to]: [Matrix; 2]) {
        let rows = RowPair::of(f, from, to, row);
        for (v, decays) in decays.iter().enumerate() {
            let at = rows.vector(f, v, self.of.sizes.lanes);
            let score = f.load(at.from, self.vector_ty());
            let val = f.mul(score, *decays);
            f.store(val, at.to);
        }
    }

    /// Writes a row of the triangular system and of `g d o R`, where the state that is read has these decays.
    fn system_row(&self, f: &mut Func, row: Val, gain: Val, seen: &DecayRow) {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        let wide = f.splat(gain, sizes.lanes);
        for group in sizes.groups() {
            let decays: Vec<Val> = seen.entries[group].iter().map(|d| f.mul(*d, wide)).collect();
            self.times_decays(f, row, &decays, [s.probe_scores[group], s.system[group]]);
        }
        let by = f.mul(seen.total, gain);
        let probe = RowPair::of(f, s.probe, s.decayed_probe, row);
        probe.scale(f, by, sizes.padded_n, sizes.lanes);
    }

    /// Writes the triangular system and `g d o R`, where decays are diagonal and already in the scores and probes.
    pub(super) fn gains(&self, f: &mut Func) {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        let corrections = self.of.corrections();
        let zero = f.i64(0);
        let each = sizes.writes[CORRECTED];
        f.for_each(zero, self.count, 1, |f, t| {
            let mut exprs = self.exprs(f, t);
            exprs.space.push(Axis::Fixed(0), sizes.p);
            exprs.space.push(Axis::Fixed(0), sizes.n);
            for (n, correction) in corrections.iter().enumerate() {
                let gain = self.term(&mut exprs, f, &correction.gain);
                let row = self.row_of(f, t, each, n);
                for group in sizes.groups() {
                    let scores = RowPair::of(f, s.probe_scores[group], s.system[group], row);
                    scores.scale(f, gain, sizes.columns(group), sizes.lanes);
                }
                let probe = RowPair::of(f, s.diagonal.decayed_probe, s.decayed_probe, row);
                probe.scale(f, gain, sizes.padded_n, sizes.lanes);
            }
        });
    }
}
