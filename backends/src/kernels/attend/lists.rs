//! Lists of a query that predicates look through: by the bits of a cell where they name its keys, else entry by entry.

use super::{
    layout::{PAGE, Scratch, Strided, float_at, row_at},
    pair::{Entries, Pair},
    tile_args::TileArgs,
    variant::Attend,
};
use crate::kernel::{Cast, Cmp, Func, Scalar, Ty, Val};
use seqc_ir::PairExpr;

impl Attend {
    /// Expressions over pairs.
    fn expressions(&self) -> impl Iterator<Item = &PairExpr> {
        [&self.spec.predicate, &self.spec.score].into_iter().flatten()
    }

    /// Whether query stream `n` is looked through and not read otherwise.
    pub(super) fn is_only_list(&self, n: usize) -> bool {
        !self.expressions().any(|e| e.any(&|e| *e == PairExpr::QueryStream(n)))
    }

    /// The entries of each query stream that is a list, for the query in row `token` of the chunk and a query head.
    pub(super) fn entries_of_lists(&self, f: &mut Func, table: Val, [token, head]: [Val; 2]) -> Vec<Option<Entries>> {
        let is_list = |n: usize| {
            let looks = |e: &PairExpr| matches!(e, PairExpr::Listed(list, _) if *list == n);
            self.expressions().any(|e| e.any(&looks))
        };
        let entries = |n: usize| {
            let first = is_list(n).then(|| self.list_of_row(f, table, n, [token, head]))?;
            Some(Entries {
                first,
                count: self.query_lists[n],
            })
        };
        (0..self.spec.query_streams).map(entries).collect()
    }

    /// Pointer to the first entry of query stream `n` as a list.
    pub(super) fn list_of_row(&self, f: &mut Func, table: Val, n: usize, [token, head]: [Val; 2]) -> Val {
        let slot = self.spec.key_streams + 2 * n;
        let stream = Strided {
            base: f.load_slot(table, slot, self.stream_space(n)),
            stride: f.load_slot(table, slot + 1, Ty::I64),
        };
        let entries = stream.row(f, token);
        if self.query_widths[n] > self.query_lists[n] {
            row_at(f, entries, head, self.query_lists[n])
        } else {
            entries
        }
    }

    /// The row of queries that row `r` of a tile is.
    pub(super) fn row_of_tile(&self, f: &mut Func, args: &TileArgs, r: Val) -> Val {
        if self.names().is_none() {
            return f.add(args.first, r);
        }
        let rows = float_at(f, args.scratch, Scratch::new(self).rows);
        let p = f.gep(rows, r, Scalar::I64);
        f.load(p, Ty::I64)
    }

    /// The page of the sequence that a tile goes over, the whole or a cell of it.
    pub(super) fn page_of_tile(&self, f: &mut Func, cell: Val) -> Val {
        if self.cell() == PAGE {
            return cell;
        }
        let parts = f.i64((PAGE / self.cell()) as i64);
        f.udiv(cell, parts)
    }
}

/// The bits of as many keys of a cell as a vector has lanes, from key `start` on: i1.
pub(super) fn members(f: &mut Func, bits: Val, start: usize, lanes: u32) -> Val {
    let start = f.i64(start as i64);
    let bits = f.shr(bits, start);
    let bits = f.convert(Cast::Truncate, bits, Scalar::I32);
    let bits = f.splat(bits, lanes);
    let places: Vec<i64> = (0..lanes).map(|lane| 1 << lane).collect();
    let places = f.lanes(Scalar::I32, &places);
    let found = f.and(bits, places);
    let none = f.zero(found.ty);
    f.cmp(Cmp::Ne, found, none)
}

impl Pair<'_> {
    /// Whether the keys' numbers `x` are entries of list `n`: i1 in all lanes.
    pub(super) fn is_listed(&self, f: &mut Func, n: usize, x: Val) -> Val {
        let x = if matches!(x.ty, Ty::V(..)) {
            x
        } else {
            f.splat(x, self.lanes)
        };
        let none = f.int(Ty::V(self.lanes, Scalar::I1), 0);
        let Some(Some(list)) = self.lists.get(n) else {
            return none;
        };
        let (zero, one, end) = (f.i64(0), f.i64(1), f.i64(list.count as i64));
        let found = f.for_loop(zero..end, one, &[none], |f, entry, found| {
            let p = f.gep(list.first, entry, Scalar::F32);
            let entry = f.load(p, Ty::F32);
            let entry = f.splat(entry, self.lanes);
            let equal = f.cmp(Cmp::Eq, entry, x);
            vec![f.or(found[0], equal)]
        });
        found[0]
    }
}
