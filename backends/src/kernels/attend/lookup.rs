//! Entries of tables that expressions over pairs read: one for all lanes, a run of neighbours, or one by one.

use super::{
    pair::{Lookup, Pair, Term},
    rational_lanes::{RationalLanes, clamped_difference, floor},
};
use crate::kernel::{Cast, Cmp, Func, Scalar, Ty, Unary, Val};

impl Pair<'_> {
    /// The entry at some indices: f32, a scalar where no index depends on the key.
    pub(super) fn entry(&self, f: &mut Func, table: &Lookup<'_>, indices: &[Term]) -> Val {
        let Some((last, outer)) = indices.split_last() else {
            return f.load(table.base, Ty::F32);
        };
        match Run::of(*last) {
            Some(run) if !outer.iter().any(is_wide) => {
                let start = self.flat(f, table, outer);
                let size = table.sizes[outer.len()];
                let length = f.i64(size as i64);
                let start = f.mul(start, length);
                let pointer = f.gep(table.base, start, Scalar::F32);
                self.neighbours(f, TableRow { pointer, size }, run)
            }
            _ => {
                let at = self.flat(f, table, indices);
                self.at(f, table.base, at)
            }
        }
    }

    /// The entries of a row at consecutive indices: one load where all are inside.
    fn neighbours(&self, f: &mut Func, row: TableRow, run: Run) -> Val {
        let TableRow { pointer, size } = row;
        let Run { first, backwards } = run;
        let one_by_one = |f: &mut Func| {
            let at = self.index(f, Term::Exact(first), size);
            vec![self.at(f, pointer, at)]
        };
        let lanes = i64::from(self.lanes);
        if (size as i64) < lanes {
            return one_by_one(f)[0];
        }
        let low = if backwards {
            let reach = f.i64(lanes - 1);
            f.sub(first.base, reach)
        } else {
            first.base
        };
        let (zero, last) = (f.i64(0), f.i64(size as i64 - lanes));
        let (above, below) = (f.cmp(Cmp::Ge, low, zero), f.cmp(Cmp::Le, low, last));
        let inside = f.and(above, below);
        let together = |f: &mut Func| {
            let p = f.gep(pointer, low, Scalar::F32);
            let v = f.load(p, Ty::V(self.lanes, Scalar::F32));
            let reversed: Vec<i64> = (0..lanes).rev().collect();
            vec![if backwards { f.shuffle(v, v, &reversed) } else { v }]
        };
        f.if_else(inside, together, one_by_one)[0]
    }

    /// Place in row-major order of the entry at the first indices of a table: i64, or i32 for each lane.
    fn flat(&self, f: &mut Func, table: &Lookup<'_>, terms: &[Term]) -> Val {
        let mut flat = f.i64(0);
        for (term, size) in terms.iter().zip(table.sizes) {
            let index = self.index(f, *term, *size);
            let size = f.int(flat.ty, *size as i64);
            let row = f.mul(flat, size);
            let (row, index) = (self.as_wide(f, row, index), self.as_wide(f, index, row));
            flat = f.add(row, index);
        }
        flat
    }

    /// An i64 as i32 in all lanes, where `like` has lanes.
    fn as_wide(&self, f: &mut Func, v: Val, like: Val) -> Val {
        if v.ty != Ty::I64 || like.ty == Ty::I64 {
            return v;
        }
        let v = f.convert(Cast::Truncate, v, Scalar::I32);
        f.splat(v, self.lanes)
    }

    /// An index rounded down and clamped into `0..size`: i64, or i32 for each lane.
    fn index(&self, f: &mut Func, term: Term, size: usize) -> Val {
        let last = size.saturating_sub(1) as i64;
        let clamp = |f: &mut Func, v: Val| {
            let (zero, last) = (f.int(v.ty, 0), f.int(v.ty, last));
            let v = f.max(v, zero);
            f.min(v, last)
        };
        match term {
            Term::Const(c) => f.i64(c.floor().max(0.0).min(last as f64) as i64),
            Term::Exact(x) => {
                let x = floor(f, x);
                match x.offset {
                    Some(offset) if offset.ty.scalar() == Scalar::I32 => {
                        let zero = f.i64(0);
                        let base = clamped_difference(f, x.base, zero);
                        let base = f.splat(base, self.lanes);
                        let whole = f.add(base, offset);
                        clamp(f, whole)
                    }
                    Some(_) => {
                        let whole = x.whole(f);
                        let whole = clamp(f, whole);
                        f.convert(Cast::Truncate, whole, Scalar::I32)
                    }
                    None => clamp(f, x.base),
                }
            }
            Term::Real(v) | Term::Truth(v) => {
                let (zero, end) = (f.zero(v.ty), f.float(v.ty, last as f32));
                // What is not a number reads the first entry.
                let positive = f.cmp(Cmp::Gt, v, zero);
                let v = f.select(positive, v, zero);
                let v = f.min(v, end);
                let v = f.unary(Unary::Floor, v);
                let wide = matches!(v.ty, Ty::V(..));
                f.convert(Cast::FloatToSigned, v, if wide { Scalar::I32 } else { Scalar::I64 })
            }
        }
    }

    fn at(&self, f: &mut Func, base: Val, at: Val) -> Val {
        let p = f.gep(base, at, Scalar::F32);
        if at.ty == Ty::I64 {
            return f.load(p, Ty::F32);
        }
        let all = f.int(Ty::V(self.lanes, Scalar::I1), 1);
        f.gather(p, all, Scalar::F32)
    }
}

fn is_wide(term: &Term) -> bool {
    match term {
        Term::Const(_) => false,
        Term::Exact(x) => x.offset.is_some(),
        Term::Real(v) | Term::Truth(v) => matches!(v.ty, Ty::V(..)),
    }
}

/// An index that goes up or down by one from key to key.
#[derive(Clone, Copy)]
struct Run {
    first: RationalLanes,
    /// It goes down.
    backwards: bool,
}

impl Run {
    fn of(index: Term) -> Option<Run> {
        match index {
            Term::Exact(first) if first.den == 1 && first.offset.is_some() => {
                let slope = first.slope.filter(|slope| slope.abs() == 1)?;
                Some(Run {
                    first,
                    backwards: slope < 0,
                })
            }
            _ => None,
        }
    }
}

/// Entries of a table that differ in the last index.
#[derive(Clone, Copy)]
struct TableRow {
    pointer: Val,
    size: usize,
}
