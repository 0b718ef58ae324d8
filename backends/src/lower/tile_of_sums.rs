//! Tiles of entries whose sums are computed in one loop.
//!
//! A sum of products waits for the one before: with one accumulator that takes as long as eight additions. So some vectors of results
//! have their accumulators side by side; what their terms share is read once.

use super::{
    expr::{Coords, ExprLowering},
    rows_of_sums::{Loops, is_long},
};
use crate::kernel::Func;
use seqc_ir::{Op, Value};
use seqc_passes::affine::operand_entries;

/// Accumulators of a tile: multiplications with additions that are under way at the same time on common processors.
const ACCUMULATORS: usize = 8;

/// Which entries, or vectors of them, one step computes.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// Axis along which they lie.
    pub(super) axis: usize,
    /// How many.
    pub(super) entries: usize,
    /// From one to the next.
    pub(super) stride: usize,
}

impl Tile {
    /// One vector, or one entry.
    pub(super) const ONE: Tile = Tile {
        axis: 0,
        entries: 1,
        stride: 1,
    };

    /// The tile of some loops, of vectors of so many lanes.
    pub(super) fn new(loops: &Loops, lanes: u32) -> Tile {
        let (sizes, lanes) = (&loops.shape, lanes as usize);
        let Some(last) = sizes.len().checked_sub(1).filter(|_| loops.long_sums && !loops.flat) else {
            return Tile::ONE;
        };
        let vectors = sizes[last] / lanes;
        let [axis, stride, most] = match loops.by_rows {
            true => [last, 1, sizes[last]],
            // Rows that are short stand below each other in a tile.
            false if last > 0 && vectors < ACCUMULATORS => [last - 1, 1, sizes[last - 1]],
            false => [last, lanes, vectors],
        };
        let entries = most.clamp(1, ACCUMULATORS);
        Tile { axis, entries, stride }
    }

    /// Whether the loop of an axis takes whole tiles.
    pub(super) fn runs_along(&self, axis: usize) -> bool {
        self.entries > 1 && self.axis == axis
    }

    /// The size of an axis for the first of some entries.
    pub(super) fn first_of(&self, entries: usize, size: usize) -> usize {
        size - (entries - 1) * self.stride
    }
}

impl ExprLowering<'_, '_> {
    /// The outermost sums that a value at some indices is computed from, and that are not written out.
    fn long_sums(&self, v: Value, coords: &Coords) -> Vec<(Value, Coords)> {
        let graph = self.cx.graph();
        let (mut found, mut work) = (Vec::new(), vec![(v, coords.clone())]);
        while let Some((v, coords)) = work.pop() {
            if found.contains(&(v, coords.clone())) || self.known(v, &coords).is_some() || self.is_read(v) {
                continue;
            }
            if is_long(self.cx, v) {
                found.push((v, coords));
            } else {
                work.extend(operand_entries(graph, v, &coords, &self.space.sizes).unwrap_or_default());
            }
        }
        found
    }

    /// Computes the sums behind a value at several indices, those that stand in the same place of it in one loop.
    pub(super) fn sums_together(&mut self, f: &mut Func, v: Value, entries: &[Coords]) {
        let of_entries: Vec<Vec<(Value, Coords)>> = entries.iter().map(|coords| self.long_sums(v, coords)).collect();
        let places = of_entries.iter().map(Vec::len).min().unwrap_or(0);
        for place in 0..places {
            let (sum, _) = of_entries[0][place];
            let at: Vec<Coords> = of_entries.iter().map(|sums| sums[place].1.clone()).collect();
            let distinct = at.iter().enumerate().all(|(n, coords)| !at[..n].contains(coords));
            let alike = of_entries.iter().all(|sums| sums[place].0 == sum);
            let graph = self.cx.graph();
            let Op::Reduce { op, axes } = *graph.op(sum) else {
                continue;
            };
            if !distinct || !alike {
                continue;
            }
            let terms = graph.operands(sum)[0];
            let sums = self.reduce_together(f, terms, op, axes, &at);
            for (coords, val) in at.into_iter().zip(sums) {
                self.set(sum, coords, val);
            }
        }
    }
}
