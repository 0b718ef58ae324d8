//! The sum inside a block: every token over those of its block, added to what earlier blocks left for it.

use super::{
    rows::{row_of, rows, rows_at, vector},
    variant::LongConv,
};
use crate::{
    kernel::{Func, Module, Scalar, Ty, Val},
    kernels::lanes::fold,
};

/// Adds `fn(taps, past, sums, out, out_stride, from, low, high, columns)`; returns its name. The block begins at row
/// `from` of the states; results of its tokens `low..high` go to `out` and the rows behind it.
pub(super) fn function(conv: &LongConv, module: &mut Module) -> String {
    let name = format!("{}_direct", conv.name);
    let params = [&[Ty::GLOBAL; 4][..], &[Ty::I64; 5]].concat();
    let mut f = Func::new(&name, &params, None);
    let (low, high) = (f.param(6), f.param(7));
    let sum = Sum {
        conv,
        page: f.i64(conv.page() as i64),
        mask: f.tail_mask(f.param(8), conv.lanes()),
    };
    let tile = sum.tile_tokens();
    let (size, less) = (f.i64(tile), f.i64(tile - 1));
    let up = f.add(low, less);
    let up = f.udiv(up, size);
    let up = f.mul(up, size);
    let first = f.min(up, high);
    let left = f.sub(high, first);
    let rest = f.urem(left, size);
    let last = f.sub(high, rest);
    f.for_each(low, first, 1, |f, t| sum.token(f, t));
    f.for_each(first, last, tile, |f, t| sum.tile(f, t));
    f.for_each(last, high, 1, |f, t| sum.token(f, t));
    module.add(f);
    name
}

/// Where values of the past and taps are read.
#[derive(Clone, Copy)]
struct Rows {
    /// Rows of the stream.
    u: Val,
    /// Rows of taps.
    taps: Val,
}

struct Sum<'a> {
    conv: &'a LongConv,
    page: Val,
    mask: Val,
}

impl Sum<'_> {
    /// Tokens of a tile: their sums stay in registers, beside the values of half as many tokens of the past.
    fn tile_tokens(&self) -> i64 {
        self.conv.machine.convolution.direct_tokens as i64
    }

    /// Row `t` of the block in a state.
    fn row(&self, f: &mut Func, state: usize, t: Val) -> Val {
        let row = f.add(f.param(5), t);
        row_of(f, f.param(state), self.page, row, self.conv.lanes())
    }

    /// First token that matters to `t`, rounded down to whole tiles; the taps behind the filter's end are zeros.
    fn first(&self, f: &mut Func, t: Val) -> Val {
        if self.conv.blocks.taps >= self.conv.blocks.smallest {
            return f.i64(0);
        }
        let (reach, zero, size) = (
            f.i64(self.conv.blocks.taps as i64 - 1),
            f.i64(0),
            f.i64(self.tile_tokens()),
        );
        let at = f.sub(t, reach);
        let at = f.max(at, zero);
        let tile = f.udiv(at, size);
        f.mul(tile, size)
    }

    fn tap(&self, f: &mut Func, lag: Val) -> Val {
        let p = rows(f, f.param(0), lag, self.conv.lanes());
        f.load(p, vector(self.conv.lanes()))
    }

    fn write(&self, f: &mut Func, t: Val, y: Val) {
        let n = f.sub(t, f.param(6));
        let at = f.mul(n, f.param(4));
        let p = f.gep(f.param(3), at, Scalar::F32);
        f.masked_store(y, p, self.mask);
    }

    /// One token, as several sums, so that none waits for itself.
    fn token(&self, f: &mut Func, t: Val) {
        let (lanes, tile) = (self.conv.lanes(), self.tile_tokens());
        let p = self.row(f, 2, t);
        let before = f.load(p, vector(lanes));
        let zero = f.zero(vector(lanes));
        let (size, step) = (f.i64(tile), f.i64(tile));
        let whole = f.udiv(t, size);
        let whole = f.mul(whole, size);
        let first = self.first(f, t);
        let mut init = vec![zero; self.conv.machine.convolution.direct_sums];
        init[0] = before;
        let parts = f.for_loop(first..whole, step, &init, |f, s, parts| {
            let mut parts = parts.to_vec();
            let count = parts.len();
            let u = self.row(f, 1, s);
            let lag = f.sub(t, s);
            let tap = rows(f, f.param(0), lag, lanes);
            for i in 0..tile as usize {
                let p = rows_at(f, u, i, lanes);
                let x = f.load(p, vector(lanes));
                let back = f.i64(-((i * lanes as usize) as i64));
                let p = f.gep(tap, back, Scalar::F32);
                let w = f.load(p, vector(lanes));
                parts[i % count] = f.fma(w, x, parts[i % count]);
            }
            parts
        });
        let sum = fold(f, &parts, Func::add);
        let one = f.i64(1);
        let end = f.add(t, one);
        let start = f.max(first, whole);
        let y = f.for_loop(start..end, one, &[sum], |f, s, sum| {
            let p = self.row(f, 1, s);
            let x = f.load(p, vector(lanes));
            let lag = f.sub(t, s);
            let w = self.tap(f, lag);
            vec![f.fma(w, x, sum[0])]
        })[0];
        self.write(f, t, y);
    }

    /// A tile of tokens from `t` on, a multiple of the tile's size.
    fn tile(&self, f: &mut Func, t: Val) {
        let (lanes, tile) = (self.conv.lanes(), self.tile_tokens());
        let p = self.row(f, 2, t);
        let sums: Vec<Val> = (0..tile as usize)
            .map(|i| {
                let p = rows_at(f, p, i, lanes);
                f.load(p, vector(lanes))
            })
            .collect();
        let first = self.first(f, t);
        let step = f.i64(tile);
        let sums = f.for_loop(first..t, step, &sums, |f, s, sums| {
            let u = self.row(f, 1, s);
            let lag = f.sub(t, s);
            let taps = rows(f, f.param(0), lag, lanes);
            let rows = Rows { u, taps };
            let near = self.part(f, sums, rows, 0, 1 - tile);
            self.part(f, &near, rows, tile / 2, 1 - tile)
        });
        // The tile over itself: no lag below zero.
        let u = self.row(f, 1, t);
        let rows = Rows { u, taps: f.param(0) };
        let sums = self.part(f, &sums, rows, 0, 0);
        let sums = self.part(f, &sums, rows, tile / 2, 0);
        for (i, y) in sums.into_iter().enumerate() {
            let i = f.i64(i as i64);
            let t = f.add(t, i);
            self.write(f, t, y);
        }
    }

    /// Sums of a tile over half a tile of tokens, from row `first` of `u` on. A token meets row `r` of `u` with the tap as
    /// many rows from `taps` as its number is above `r`, `least` or more.
    fn part(&self, f: &mut Func, sums: &[Val], rows: Rows, first: i64, least: i64) -> Vec<Val> {
        let (lanes, tile) = (self.conv.lanes(), self.tile_tokens());
        let half = tile / 2;
        let at = |f: &mut Func, base: Val, row: i64| {
            let row = f.i64(row * i64::from(lanes));
            let p = f.gep(base, row, Scalar::F32);
            f.load(p, vector(lanes))
        };
        let mut sums = sums.to_vec();
        let x: Vec<Val> = (first..first + half).map(|row| at(f, rows.u, row)).collect();
        for ahead in (least.max(1 - first - half)..tile - first).rev() {
            let w = at(f, rows.taps, ahead);
            for (row, x) in (first..).zip(&x) {
                if let Some(sum) = usize::try_from(row + ahead).ok().and_then(|i| sums.get_mut(i)) {
                    *sum = f.fma(w, *x, *sum);
                }
            }
        }
        sums
    }
}
