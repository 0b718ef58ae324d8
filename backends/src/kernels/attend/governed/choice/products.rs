//! Numbers of single blocks: what a search looks at, and products of queries with the keys of a block's entries.

use super::{
    super::{
        super::{
            layout::{PAGE, float_at, numbers_at, row_at},
            pair::Pair,
        },
        Governed,
        code_layout::Side,
        define::{identity, joined},
        entries::{Lanes, Numbers, scalar},
    },
    search::Chooser,
};
use crate::{
    kernel::{Cast, Func, Scalar, Ty, Val},
    kernels::{dequant::plain_vector, lanes::fold},
};
use seqc_ir::{
    BinaryOp, PairExpr, ReduceOp,
    policy::{Definition, Kind},
};

/// A query and a block whose numbers it meets.
#[derive(Clone, Copy)]
struct Meeting {
    /// The query's channels.
    query: Val,
    block: Val,
}

impl Governed<'_> {
    /// Whether a definition of [`seqc_ir::policy::Blocks::choosing`] is computed for single blocks alone, where a search looks at them.
    pub(super) fn is_looked_up(&self, n: usize) -> bool {
        let Some(blocks) = self.blocks_policy() else {
            return false;
        };
        let stream = PairExpr::KeyStream(self.policy.choosing_stream(n));
        let reads = |e: &PairExpr| e.any(&|e| *e == stream);
        let read_by = |d: &Definition| d.kind.expressions().into_iter().any(reads);
        let others = blocks
            .choosing
            .iter()
            .filter(|d| !matches!(d.kind, Kind::Search { .. }));
        let sights = self.policy.sights.iter().filter_map(|s| s.seen.as_ref());
        matches!(blocks.choosing[n].kind, Kind::QuerySum { .. } | Kind::EntrySum { .. })
            && !others.into_iter().any(read_by)
            && !sights.into_iter().any(reads)
    }

    /// A function of one block's numbers.
    pub(super) fn value_of_block(&self, f: &mut Func, chooser: &Chooser<'_>, e: &PairExpr, block: Val) -> Val {
        let numbers = chooser.numbers;
        let e = self.of_block(e);
        let arrays = self.block_arrays();
        let closing = arrays.of.len() - arrays.raw.len();
        let none = f.f32(0.0);
        let mut streams = vec![none; arrays.of.len() + 1];
        for (n, array) in arrays.of.iter().enumerate() {
            if !e.any(&|e| matches!(e, PairExpr::KeyStream(k) if *k == n)) {
                continue;
            }
            let looked_up = n.checked_sub(closing).filter(|n| self.is_looked_up(*n));
            streams[n] = match (looked_up, array) {
                (Some(definition), _) => self.look_up(f, chooser, definition, block),
                (None, Some(array)) => {
                    let p = self.number_of(f, &numbers.args, *array, numbers.group, block);
                    f.load(p, Ty::F32)
                }
                (None, None) => none,
            };
        }
        let x = numbers.pair(1, block, None, streams).number(f, &e);
        scalar(f, x)
    }

    fn look_up(&self, f: &mut Func, chooser: &Chooser<'_>, definition: usize, block: Val) -> Val {
        let Some(blocks) = self.blocks_policy() else {
            return f.f32(0.0);
        };
        let numbers = chooser.numbers;
        match &blocks.choosing[definition].kind {
            Kind::QuerySum { of, over } => self.over_queries(f, chooser, *over, |f, query| {
                self.product_with_block(f, numbers, Meeting { query, block }, of)
            }),
            Kind::EntrySum { of, entries, over } => self.over_queries(f, chooser, *over, |f, query| {
                self.products_with_entries(f, numbers, Meeting { query, block }, of, *entries)
            }),
            _ => f.f32(0.0),
        }
    }

    /// Stores products with the keys of every block's entries in array `to`.
    pub(super) fn entry_sums(&self, f: &mut Func, chooser: &Chooser<'_>, to: usize, definition: usize) {
        let numbers = chooser.numbers;
        let (zero, one) = (f.i64(0), f.i64(1));
        let blocks = f.add(numbers.last, one);
        f.for_each(zero, blocks, 1, |f, block| {
            let x = self.look_up(f, chooser, definition, block);
            let p = self.number_of(f, &numbers.args, to, numbers.group, block);
            f.store(x, p);
        });
    }

    /// A number reduced over the queries that choose together; each is a row of channels.
    fn over_queries(
        &self,
        f: &mut Func,
        chooser: &Chooser<'_>,
        over: ReduceOp,
        of: impl FnOnce(&mut Func, Val) -> Val,
    ) -> Val {
        let (numbers, queries) = (chooser.numbers, chooser.queries);
        let (one, none) = (f.i64(1), f.f32(identity(over) as f32));
        let found = f.for_loop(queries.first..queries.end, one, &[none], |f, row, found| {
            let query = match queries.at {
                Some(_) => {
                    self.load_query(f, &numbers.args, numbers.head, row, queries.at);
                    float_at(f, numbers.args.scratch, self.extra().choice.query)
                }
                None => {
                    let row = self.queries(&numbers.args).row(f, row);
                    row_at(f, row, numbers.head, self.attend.key_dim)
                }
            };
            let x = of(f, query);
            vec![joined(f, over, x, found[0])]
        });
        found[0]
    }

    /// The sum over channels for one block.
    fn product_with_block(&self, f: &mut Func, numbers: &Numbers, meeting: Meeting, of: &PairExpr) -> Val {
        let Meeting { query, block } = meeting;
        let args = &numbers.args;
        let e = self.of_block(of);
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(PAGE as i64));
        let (page, column) = (f.udiv(block, size), f.urem(block, size));
        let vectors = self.vectors_of_page(f, args, numbers.head, page);
        let (width, none) = (f.i64(self.attend.key_dim as i64), f.f32(0.0));
        let sum = f.for_loop(zero..width, one, &[none], |f, channel, sum| {
            let p = f.gep(query, channel, Scalar::F32);
            let q = f.load(p, Ty::F32);
            let mut streams = self.scalars(f, numbers, [block, channel], &e);
            for (definition, vector) in &vectors {
                let row = row_at(f, *vector, channel, PAGE);
                let p = f.gep(row, column, Scalar::F32);
                streams[*definition] = f.load(p, Ty::F32);
            }
            let x = numbers.pair(1, block, Some(q), streams).number(f, &e);
            let x = scalar(f, x);
            vec![f.add(sum[0], x)]
        });
        sum[0]
    }

    /// Numbers of a block and of the queries' channels, as far as an expression reads them, and the number of the channel.
    fn scalars(&self, f: &mut Func, numbers: &Numbers, [block, channel]: [Val; 2], e: &PairExpr) -> Vec<Val> {
        let (args, none) = (&numbers.args, f.f32(0.0));
        let mut streams = vec![none; self.block_arrays().of.len()];
        for (n, array) in self.block_arrays().of.into_iter().enumerate() {
            let read = e.any(&|e| matches!(e, PairExpr::KeyStream(k) if *k == n));
            if let Some(array) = array.filter(|_| read) {
                let p = self.number_of(f, args, array, numbers.group, block);
                streams[n] = f.load(p, Ty::F32);
            }
        }
        for (n, place) in self.folds() {
            let row = self.fold_at(f, args, n);
            let p = f.gep(row, channel, Scalar::F32);
            streams[place] = f.load(p, Ty::F32);
        }
        streams.push(f.convert(Cast::SignedToFloat, channel, Scalar::F32));
        streams
    }

    /// Over the entries of a block: the sum over channels of a function of the query's number and the key's.
    fn products_with_entries(
        &self,
        f: &mut Func,
        numbers: &Numbers,
        meeting: Meeting,
        of: &PairExpr,
        entries: ReduceOp,
    ) -> Val {
        let block = meeting.block;
        let lanes = self.attend.lanes();
        let Some(blocks) = self.blocks_policy() else {
            return f.f32(0.0);
        };
        let e = self.of_block(of);
        let (first, size) = (f.i64(blocks.first as i64), f.i64(blocks.size as i64));
        let low = f.mul(block, size);
        let low = f.add(low, first);
        if self.policy.turn.is_some() && blocks.key.is_some() {
            let ratio = f.i64(self.attend.ratio() as i64);
            let mut of_entries = numbers.clone();
            of_entries.group = f.udiv(numbers.head, ratio);
            self.rows_of_block(f, &of_entries, blocks, low);
            return self.products_with_rows(f, numbers, meeting, &e, entries);
        }
        let high = f.add(low, size);
        let none = f.float(self.vector(), identity(entries) as f32);
        let found = self.each_vector_between(f, [low, high], none, |f, start, at, found| {
            let sums = self.sums_with_keys(f, numbers, meeting, &e, at);
            let inside = self.between(f, start, [low, high]);
            let sums = f.select(inside, sums, none);
            joined(f, entries, sums, found)
        });
        let all: Vec<Val> = (0..i64::from(lanes)).map(|n| f.extract(found, n)).collect();
        fold(f, &all, |f, a, b| joined(f, entries, a, b))
    }

    /// The same for the rows of keys in scratch, which are turned to where they stand in blocks.
    fn products_with_rows(
        &self,
        f: &mut Func,
        numbers: &Numbers,
        meeting: Meeting,
        e: &PairExpr,
        entries: ReduceOp,
    ) -> Val {
        let Meeting { query, block } = meeting;
        let rows = self.extra().choice.keys;
        let (zero, one, none) = (f.i64(0), f.i64(1), f.f32(0.0));
        let size = f.i64(self.blocks_policy().map_or(0, |b| b.size) as i64);
        let (width, empty) = (f.i64(self.attend.key_dim as i64), f.f32(identity(entries) as f32));
        let found = f.for_loop(zero..size, one, &[empty], |f, entry, found| {
            let row = self.row_of_block(f, &numbers.args, rows, entry);
            let sum = f.for_loop(zero..width, one, &[none], |f, channel, sum| {
                let [q, k] = [query, row].map(|row| {
                    let p = f.gep(row, channel, Scalar::F32);
                    f.load(p, Ty::F32)
                });
                let mut streams = self.scalars(f, numbers, [block, channel], e);
                streams.push(k);
                let x = numbers.pair(1, block, Some(q), streams).number(f, e);
                let x = scalar(f, x);
                vec![f.add(sum[0], x)]
            });
            vec![joined(f, entries, sum[0], found[0])]
        });
        found[0]
    }

    /// The sum over channels for a vector of entries.
    fn sums_with_keys(&self, f: &mut Func, numbers: &Numbers, meeting: Meeting, e: &PairExpr, at: Lanes) -> Val {
        let Meeting { query, block } = meeting;
        let (args, attend, lanes) = (&numbers.args, self.attend, self.attend.lanes());
        let ratio = f.i64(attend.ratio() as i64);
        let group = f.udiv(numbers.head, ratio);
        if self.coding(Side::Keys).is_some() {
            self.read_keys(f, args, group, at.page);
        }
        let keys = self.stored(f, args, [group, at.page], Side::Keys);
        // Several sums, for one would wait for itself.
        let at_once = [4, 2, 1]
            .into_iter()
            .find(|n| attend.key_dim.is_multiple_of(*n))
            .unwrap_or(1);
        let (zero, step, width) = (f.i64(0), f.i64(at_once as i64), f.i64(attend.key_dim as i64));
        let none = f.zero(self.vector());
        let sums = f.for_loop(zero..width, step, &vec![none; at_once], |f, first, sums| {
            let mut next = Vec::new();
            for (n, sum) in sums.iter().enumerate() {
                let n = f.i64(n as i64);
                let channel = f.add(first, n);
                let p = f.gep(query, channel, Scalar::F32);
                let q = f.load(p, Ty::F32);
                let q = f.splat(q, lanes);
                let row = numbers_at(f, keys.base, channel, PAGE, keys.elem);
                let p = f.gep(row, at.start, keys.elem);
                let k = plain_vector(f, keys.stored, p, lanes, None);
                let scalars = self.scalars(f, numbers, [block, channel], e);
                let mut streams: Vec<Val> = scalars.into_iter().map(|x| f.splat(x, lanes)).collect();
                streams.push(k);
                let pair = numbers.pair(lanes, block, Some(q), streams);
                next.push(add_to(f, &pair, e, *sum));
            }
            next
        });
        fold(f, &sums, Func::add)
    }
}

/// Adds a function of pairs to a sum, a product in one operation.
pub(super) fn add_to(f: &mut Func, pair: &Pair<'_>, e: &PairExpr, sum: Val) -> Val {
    if let PairExpr::Binary(BinaryOp::Mul, x, y) = e {
        let (x, y) = (pair.real(f, x), pair.real(f, y));
        return f.fma(x, y, sum);
    }
    let x = pair.real(f, e);
    f.add(sum, x)
}
