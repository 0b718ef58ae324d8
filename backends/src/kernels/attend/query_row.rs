//! One row of queries against a page: its position, head, streams and tables, and its pairs with vectors of keys.

use super::{
    layout::{PAGE, float_at, page_at, row_at},
    pair::{Lookup, Pair},
    table::Tables,
    tile_args::TileArgs,
    variant::Attend,
};
use crate::kernel::{Func, Scalar, Ty, Val};

/// What is the same for all keys of a row.
pub(super) struct QueryRow<'a> {
    query: Val,
    head: Val,
    query_streams: Vec<Val>,
    /// The page's entries of every key stream, those of the head where it has several.
    streams: Vec<Val>,
    lookups: Vec<Lookup<'a>>,
}

impl<'a> QueryRow<'a> {
    /// Row `r` of a tile.
    pub(super) fn new(attend: &'a Attend, f: &mut Func, args: &TileArgs, r: Val) -> QueryRow<'a> {
        let row = f.add(args.first, r);
        let ratio = f.i64(attend.ratio() as i64);
        let (query, head) = (f.udiv(row, ratio), f.urem(row, ratio));
        let token = attend.query_row(f, args.table, query);
        let base = f.mul(args.group, ratio);
        let head = f.add(base, head);
        let pages = attend.spec.key_streams;
        let query_streams = (0..attend.spec.query_streams)
            .map(|n| {
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
        let page = attend.slot(f, args.page);
        let widths = attend.key_widths.iter().enumerate();
        let streams = widths.map(|(n, width)| {
            let pointer = f.load_slot(args.table, n, Ty::GLOBAL);
            let pointer = page_at(f, pointer, page);
            if attend.sight.is_some() {
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
        }
    }

    /// The pairs with as many keys of the page as a vector has lanes, `start` being the first; `products` are theirs.
    pub(super) fn pairs(&self, f: &mut Func, tables: &'a Tables, page: Val, start: usize, products: Val) -> Pair<'_> {
        let load = |stream: &Val| {
            let p = float_at(f, *stream, start);
            f.load(p, products.ty)
        };
        let key_streams = self.streams.iter().map(load).collect();
        let (size, start) = (f.i64(PAGE as i64), f.i64(start as i64));
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
        }
    }
}
