//! Integer bounds of the query streams of a tile, where they can bound its pages.
//!
//! With one query, as in decoding, the values of streams are known: `j / 16 == best[head]` is one block of 16 keys.

use super::{
    blocks::{Block, QueryBlocks, Row},
    bounds::Bounds,
    layout::{Strided, float_at},
};
use crate::kernel::{Cast, Cmp, Func, Scalar, Ty, Unary, Val};
use seqc_ir::{PairExpr, PairLeaf};

/// Streams beyond this are not looked at.
const LARGE: f32 = (1u64 << 39) as f32;
/// The value for no bound: outside the range that predicates compare with.
const UNBOUNDED: i64 = 1 << 41;

/// The query streams in comparisons of a predicate whose other parts are known for a page, in the order of their numbers.
pub(super) fn bounding(predicate: Option<&PairExpr>) -> Vec<usize> {
    let comparisons = predicate
        .map(|predicate| predicate.largest(&is_comparison))
        .unwrap_or_default();
    let known = comparisons.into_iter().filter(|comparison| !comparison.uses_key_data());
    let stream = |leaf| match leaf {
        PairLeaf::QueryStream(n) => Some(n),
        _ => None,
    };
    let mut found: Vec<usize> = known.flat_map(PairExpr::leaves).filter_map(stream).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn is_comparison(expr: &PairExpr) -> bool {
    matches!(expr, PairExpr::Binary(op, ..) if op.opposite().is_some())
}

impl QueryBlocks<'_> {
    /// Finds the bounds of a block's tiles.
    pub(super) fn bound_streams(&self, f: &mut Func, block: Block) {
        let streams = self.attend.bounding();
        if streams.is_empty() {
            return;
        }
        let (zero, tile) = (f.i64(0), f.i64(self.attend.tile_rows() as i64));
        f.for_each(zero, block.rows, self.attend.tile_rows() as i64, |f, at| {
            let end = f.add(at, tile);
            let end = f.min(end, block.rows);
            for (place, n) in streams.iter().enumerate() {
                let bounds = self.stream_bounds(f, block, *n, at, end);
                let to = self.bounds_at(f, at, place);
                let one = f.i64(1);
                let behind = f.gep(to, one, Scalar::I64);
                f.store(bounds.low, to);
                f.store(bounds.high, behind);
            }
        });
    }

    /// Integer bounds of the values of stream `n` at rows `at..end`.
    fn stream_bounds(&self, f: &mut Func, block: Block, n: usize, at: Val, end: Val) -> Bounds {
        let first = self.attend.spec.key_streams + 2 * n;
        let stream = Strided {
            base: f.load_slot(self.table, first, self.attend.stream_space(n)),
            stride: f.load_slot(self.table, first + 1, Ty::I64),
        };
        let wide = self.attend.query_widths[n] > 1;
        let (infinite, negative) = (f.f32(f32::INFINITY), f.f32(f32::NEG_INFINITY));
        let one = f.i64(1);
        let ends = f.for_loop(at..end, one, &[infinite, negative], |f, r, ends| {
            let Row { token, head } = self.row(f, block, r);
            let offset = f.mul(token, stream.stride);
            let offset = if wide { f.add(offset, head) } else { offset };
            let p = f.gep(stream.base, offset, Scalar::F32);
            let x = f.load(p, Ty::F32);
            // What is not a number has no bound.
            let number = f.cmp(Cmp::Eq, x, x);
            let (low, high) = (f.select(number, x, negative), f.select(number, x, infinite));
            vec![f.min(low, ends[0]), f.max(high, ends[1])]
        });
        let (least, most) = (f.f32(-LARGE), f.f32(LARGE));
        let (above, below) = (f.cmp(Cmp::Ge, ends[0], least), f.cmp(Cmp::Le, ends[1], most));
        let known = f.and(above, below);
        let zero = f.f32(0.0);
        let whole = |f: &mut Func, end: Val, round: Unary, otherwise: i64| {
            let end = f.select(known, end, zero);
            let end = f.unary(round, end);
            let end = f.convert(Cast::FloatToSigned, end, Scalar::I64);
            let otherwise = f.i64(otherwise);
            f.select(known, end, otherwise)
        };
        Bounds {
            low: whole(f, ends[0], Unary::Floor, -UNBOUNDED),
            high: whole(f, ends[1], Unary::Ceil, UNBOUNDED),
        }
    }

    /// Address of the bounds of a tile's stream; `place` is its index among those that have bounds.
    fn bounds_at(&self, f: &mut Func, at: Val, place: usize) -> Val {
        let bounds = float_at(f, self.mine, self.scratch.bounds);
        let count = self.attend.bounding().len() as i64;
        let (tile, width, place) = (
            f.i64(self.attend.tile_rows() as i64),
            f.i64(2 * count),
            f.i64(2 * place as i64),
        );
        let tile = f.udiv(at, tile);
        let row = f.mul(tile, width);
        let n = f.add(row, place);
        f.gep(bounds, n, Scalar::I64)
    }

    /// The bounds of all query streams of the tile at row `at`, where they have any.
    pub(super) fn streams_of_tile(&self, f: &mut Func, at: Val) -> Vec<Option<Bounds>> {
        let mut all = vec![None; self.attend.spec.query_streams];
        for (place, n) in self.attend.bounding().into_iter().enumerate() {
            let p = self.bounds_at(f, at, place);
            let one = f.i64(1);
            let behind = f.gep(p, one, Scalar::I64);
            all[n] = Some(Bounds {
                low: f.load(p, Ty::I64),
                high: f.load(behind, Ty::I64),
            });
        }
        all
    }
}
