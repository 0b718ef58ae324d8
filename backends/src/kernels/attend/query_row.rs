//! One row of queries against a page: its position, head, streams and tables, and its pairs with vectors of keys.

use super::{
    layout::{PAGE, float_at, page_at, row_at},
    lists::members,
    pair::{Entries, Lookup, Pair},
    table::Tables,
    tile_args::TileArgs,
    variant::Attend,
};
use crate::kernel::{Func, Scalar, Ty, Val};
use seqc_passes::attention::named::List;

/// What is the same for all keys of a row.
pub(super) struct QueryRow<'a> {
    query: Val,
    head: Val,
    query_streams: Vec<Val>,
    /// The page's entries of every key stream, those of the head where it has several.
    streams: Vec<Val>,
    lookups: Vec<Lookup<'a>>,
    /// Keys of a cell.
    cell: usize,
    named: &'a [List],
    /// For each list of the query that names cells, the keys of this one, a bit each.
    members: Vec<Val>,
    /// Its other lists.
    lists: Vec<Option<Entries>>,
}

impl<'a> QueryRow<'a> {
    /// Row `r` of a tile.
    pub(super) fn new(attend: &'a Attend, f: &mut Func, args: &TileArgs, r: Val) -> QueryRow<'a> {
        let row = attend.row_of_tile(f, args, r);
        let ratio = f.i64(attend.ratio() as i64);
        let (query, head) = (f.udiv(row, ratio), f.urem(row, ratio));
        let token = attend.query_row(f, args.table, query);
        let base = f.mul(args.group, ratio);
        let head = f.add(base, head);
        let pages = attend.spec.key_streams;
        let query_streams = (0..attend.spec.query_streams)
            .map(|n| {
                if attend.is_only_list(n) {
                    return f.f32(0.0);
                }
                let pointer = f.load_slot(args.table, pages + 2 * n, attend.stream_space(n));
                let stride = f.load_slot(args.table, pages + 2 * n + 1, Ty::I64);
                let offset = f.mul(token, stride);
                let offset = if attend.query_widths.get(n).is_some_and(|w| *w > 1) {
                    f.add(offset, head)
                } else {
                    offset
                };
                let p = f.gep(pointer, offset, Scalar::F32);
                f.load(p, Ty::F32)
            })
            .collect();
        let page = attend.page_of_tile(f, args.page);
        let page = attend.slot(f, page);
        let first = attend.first_of_cell(f, args.page);
        let widths = attend.key_widths.iter().enumerate();
        let streams = widths.map(|(n, width)| {
            let pointer = f.load_slot(args.table, n, Ty::GLOBAL);
            let pointer = page_at(f, pointer, page);
            let pointer = match first {
                Some(first) => f.gep(pointer, first, Scalar::F32),
                None => pointer,
            };
            if attend.sight.is_some() && *width <= attend.groups {
                row_at(f, pointer, args.group, PAGE)
            } else if *width > 1 {
                row_at(f, pointer, head, PAGE)
            } else {
                pointer
            }
        });
        let streams = streams.collect();
        QueryRow {
            query: attend.query_position(f, args.table, args.position, query),
            head,
            query_streams,
            streams,
            lookups: Lookup::all(attend, f, args.table),
            cell: attend.cell(),
            named: attend.lists(),
            members: (0..attend.lists().len())
                .map(|n| {
                    let at = attend.bits_of_row(f, args.scratch, r, n);
                    f.load(at, Ty::I64)
                })
                .collect(),
            lists: attend.entries_of_lists(f, args.table, [token, head]),
        }
    }

    /// The pairs with as many keys of the page as a vector has lanes, `start` being the first; `products` are theirs.
    pub(super) fn pairs(&self, f: &mut Func, tables: &'a Tables, page: Val, start: usize, products: Val) -> Pair<'_> {
        let load = |stream: &Val| {
            let p = float_at(f, *stream, start);
            f.load(p, products.ty)
        };
        let key_streams = self.streams.iter().map(load).collect();
        let members = self
            .members
            .iter()
            .map(|bits| members(f, *bits, start, products.ty.lanes()));
        let members = members.collect();
        let (size, start) = (f.i64(self.cell as i64), f.i64(start as i64));
        let key = f.mul(page, size);
        Pair {
            tables,
            lanes: products.ty.lanes(),
            query: self.query,
            key: f.add(key, start),
            head: self.head,
            score: Some(products),
            query_streams: &self.query_streams,
            key_streams,
            lookups: &self.lookups,
            named: self.named,
            members,
            lists: &self.lists,
            behind: &[],
        }
    }
}
