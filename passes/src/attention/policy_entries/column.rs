//! An expression's values for all entries of a cache at once.

use seqc_ir::{
    BinaryOp, UnaryOp,
    eval::{apply_binary, apply_unary},
};

/// The same number for all entries, or one for each.
#[derive(Clone, Debug)]
pub(super) enum Column {
    One(f64),
    Each(Vec<f64>),
}

impl Column {
    pub(super) fn at(&self, slot: usize) -> f64 {
        match self {
            Column::One(x) => *x,
            Column::Each(all) => all[slot],
        }
    }

    /// A number for each of so many entries.
    pub(super) fn spread(self, entries: usize) -> Vec<f64> {
        match self {
            Column::One(x) => vec![x; entries],
            Column::Each(all) => all,
        }
    }

    pub(super) fn truths(self, entries: usize) -> Vec<bool> {
        self.spread(entries).into_iter().map(|x| x != 0.0).collect()
    }

    pub(super) fn unary(self, op: UnaryOp) -> Column {
        self.map(|x| apply_unary(op, x))
    }

    pub(super) fn binary(self, op: BinaryOp, other: Column) -> Column {
        let of = |x, y| apply_binary(op, false, x, y);
        match (self, other) {
            (x, Column::One(y)) => x.map(|x| of(x, y)),
            (Column::One(x), y) => y.map(|y| of(x, y)),
            (Column::Each(mut all), Column::Each(others)) => {
                all.iter_mut().zip(others).for_each(|(x, y)| *x = of(*x, y));
                Column::Each(all)
            }
        }
    }

    /// One of two where this is true or not.
    pub(super) fn select(self, yes: Column, no: Column) -> Column {
        match self {
            Column::One(c) if c != 0.0 => yes,
            Column::One(_) => no,
            Column::Each(mut all) => {
                let choose = |(slot, c): (usize, &mut f64)| *c = if *c != 0.0 { yes.at(slot) } else { no.at(slot) };
                all.iter_mut().enumerate().for_each(choose);
                Column::Each(all)
            }
        }
    }

    fn map(self, of: impl Fn(f64) -> f64) -> Column {
        match self {
            Column::One(x) => Column::One(of(x)),
            Column::Each(mut all) => {
                all.iter_mut().for_each(|x| *x = of(*x));
                Column::Each(all)
            }
        }
    }
}
