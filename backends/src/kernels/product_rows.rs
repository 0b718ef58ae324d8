//! Rows of activations of a product, and where the rows of its result go.

use crate::kernel::{Func, Scalar, Ty, Val};
use seqc_abi::batch;
use std::mem::offset_of;

/// Layout of the rows of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GemmRows {
    /// At one distance from each other.
    Together,
    /// In runs ([`seqc_abi::batch::Run`]), with gaps between segments: rows of segment `s` are displaced by `s` gaps.
    Runs,
}

impl GemmRows {
    /// The end of the name of a kernel that reads such rows.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            GemmRows::Together => "",
            GemmRows::Runs => "_runs",
        }
    }

    /// The types of the parameters that such rows need behind the others: table of runs, number of runs, gaps of activations
    /// and of results in floats.
    pub(super) fn params(self) -> Vec<Ty> {
        match self {
            GemmRows::Together => Vec::new(),
            GemmRows::Runs => vec![Ty::GLOBAL, Ty::I64, Ty::I64, Ty::I64],
        }
    }
}

/// Rows in memory; distances count floats.
#[derive(Clone, Copy)]
pub(super) struct Strided {
    /// The first row.
    pub(super) base: Val,
    /// From one row to the next.
    pub(super) stride: Val,
    /// What is skipped between segments.
    pub(super) gap: Val,
}

/// All rows of activations and of results of a product.
#[derive(Clone, Copy)]
pub(super) struct ProductRows {
    pub(super) count: Val,
    pub(super) x: Strided,
    pub(super) y: Strided,
    /// Table and number of runs, where there are gaps.
    pub(super) runs: Option<[Val; 2]>,
}

/// Rows of activations and of results at one distance from each other.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) count: Val,
    pub(super) x: Val,
    pub(super) ldx: Val,
    pub(super) y: Val,
    pub(super) ldy: Val,
}

impl ProductRows {
    /// Rows of activations from `x = [base, stride]` to `y`, in the layout whose own parameters begin with number `at`.
    pub(super) fn new(f: &mut Func, rows: GemmRows, [x, y]: [[Val; 2]; 2], count: Val, at: usize) -> ProductRows {
        let zero = f.i64(0);
        let (x_gap, y_gap, runs) = match rows {
            GemmRows::Together => (zero, zero, None),
            GemmRows::Runs => (f.param(at + 2), f.param(at + 3), Some([f.param(at), f.param(at + 1)])),
        };
        let strided = |[base, stride]: [Val; 2], gap| Strided { base, stride, gap };
        ProductRows {
            count,
            x: strided(x, x_gap),
            y: strided(y, y_gap),
            runs,
        }
    }

    /// Each run of rows, with the number of its first row.
    pub(super) fn each(&self, f: &mut Func, body: &dyn Fn(&mut Func, Val, Run)) {
        let zero = f.i64(0);
        let Some([table, runs]) = self.runs else {
            let run = Run {
                count: self.count,
                x: self.x.base,
                ldx: self.x.stride,
                y: self.y.base,
                ldy: self.y.stride,
            };
            return body(f, zero, run);
        };
        f.for_each(zero, runs, 1, |f, n| {
            let words = f.i64((size_of::<batch::Run>() / 8) as i64);
            let at = f.mul(n, words);
            let record = f.gep(table, at, Scalar::I64);
            let word = |f: &mut Func, offset: usize| f.load_slot(record, offset / 8, Ty::I64);
            let first = word(f, offset_of!(batch::Run, first));
            let segment = word(f, offset_of!(batch::Run, segment));
            let single = word(f, offset_of!(batch::Run, single));
            let place = |f: &mut Func, rows: Strided| {
                let (before, gaps) = (f.mul(first, rows.stride), f.mul(segment, rows.gap));
                let (at, own_gap) = (f.add(before, gaps), f.mul(single, rows.gap));
                (f.gep(rows.base, at, Scalar::F32), f.add(rows.stride, own_gap))
            };
            let ((x, ldx), (y, ldy)) = (place(f, self.x), place(f, self.y));
            let count = word(f, offset_of!(batch::Run, count));
            body(f, first, Run { count, x, ldx, y, ldy });
        });
    }
}
