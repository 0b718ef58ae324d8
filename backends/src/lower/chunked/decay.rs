//! The decay matrix `D` of a block, built row by row, and what is multiplied by it: scores, queries, probes.

use super::{
    Block,
    matrix::{RowPair, vector_of_row},
};
use crate::{
    kernel::{Cmp, Func, Scalar, Val},
    lower::space::Axis,
};

/// Row `t` of the decay matrix and `d[t]`, in registers.
struct DecayRow<'d> {
    /// `D[t, s]` for all tokens `s` of the block, as vectors.
    entries: &'d [Val],
    /// `d[t]`: the decay from the start of the block.
    total: Val,
}

impl DecayRow<'_> {
    /// A row as it is carried from token to token.
    fn of(carried: &[Val]) -> DecayRow<'_> {
        let (entries, total) = carried.split_at(carried.len() - 1);
        DecayRow {
            entries,
            total: total[0],
        }
    }
}

impl Block<'_, '_> {
    /// Writes `D o Q K^T`, `d o Q`, `D[last]`, and the triangular system for corrected values; returns `d[last]`.
    pub(super) fn decays(&self, f: &mut Func) -> Val {
        let sizes = &self.of.sizes;
        let (zero, one, none) = (f.i64(0), f.i64(1), f.zero(self.vector_ty()));
        let mut init = vec![none; sizes.block / sizes.lanes as usize];
        init.push(f.f32(1.0));
        let last = f.for_loop(zero..self.count, one, &init, |f, t, carried| {
            self.decays_of_token(f, t, &DecayRow::of(carried))
        });
        let last = DecayRow::of(&last);
        for (v, decays) in last.entries.iter().enumerate() {
            let p = vector_of_row(f, self.scratch.last_decays.base, v, sizes.lanes);
            f.store(*decays, p);
        }
        last.total
    }

    /// Writes what is multiplied by the decays of token `t`; returns its row of `D` and `d[t]`, from those of the previous token.
    fn decays_of_token(&self, f: &mut Func, t: Val, before: &DecayRow<'_>) -> Vec<Val> {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        let mut exprs = self.exprs(f, t);
        exprs.space.push(Axis::Fixed(0), sizes.p);
        exprs.space.push(Axis::Fixed(0), sizes.n);
        let decay = self.product(&mut exprs, f, &self.of.form.decay);
        let mut row = self.decay_scores(f, t, decay, before);
        if let Some(correction) = &self.of.form.correction {
            let gain = self.product(&mut exprs, f, &correction.gain);
            let gain = f.neg(gain);
            self.system_row(f, t, gain, before);
        }
        let total = f.mul(before.total, decay);
        let query = RowPair::of(f, s.query, s.decayed_query, t);
        query.scale(f, total, sizes.padded_n, sizes.lanes);
        row.push(total);
        row
    }

    /// Writes row `t` of `D o Q K^T`; returns that of `D`, which is 1 at `t`, and 0 after it like the previous row.
    fn decay_scores(&self, f: &mut Func, t: Val, decay: Val, before: &DecayRow<'_>) -> Vec<Val> {
        let (s, lanes) = (self.scratch, self.of.sizes.lanes);
        let decay = f.splat(decay, lanes);
        let scores = RowPair::of(f, s.scores, s.decayed_scores, t);
        let diagonal = f.splat(t, lanes);
        let mut row = Vec::new();
        for (v, decays) in before.entries.iter().enumerate() {
            let first = v as i64 * i64::from(lanes);
            let tokens: Vec<i64> = (first..first + i64::from(lanes)).collect();
            let tokens = f.lanes(Scalar::I64, &tokens);
            let (own, one) = (f.cmp(Cmp::Eq, tokens, diagonal), f.float(self.vector_ty(), 1.0));
            let decays = f.mul(*decays, decay);
            let decays = f.select(own, one, decays);
            let p = vector_of_row(f, scores.from, v, lanes);
            let score = f.load(p, self.vector_ty());
            let score = f.mul(score, decays);
            let p = vector_of_row(f, scores.to, v, lanes);
            f.store(score, p);
            row.push(decays);
        }
        row
    }

    /// Writes row `t` of the triangular system and of `-d' g o R`; `gain` is `-g[t]`.
    fn system_row(&self, f: &mut Func, t: Val, gain: Val, before: &DecayRow<'_>) {
        let (s, sizes) = (self.scratch, &self.of.sizes);
        let wide = f.splat(gain, sizes.lanes);
        let scores = RowPair::of(f, s.probe_scores, s.system, t);
        for (v, decays) in before.entries.iter().enumerate() {
            let at = scores.vector(f, v, sizes.lanes);
            let score = f.load(at.from, self.vector_ty());
            let decays = f.mul(*decays, wide);
            let val = f.mul(score, decays);
            f.store(val, at.to);
        }
        let by = f.mul(before.total, gain);
        let probe = RowPair::of(f, s.probe, s.decayed_probe, t);
        probe.scale(f, by, sizes.padded_n, sizes.lanes);
    }
}
