//! What a query head chooses blocks by, computed for all closed blocks.

use super::super::{
    super::layout::{PAGE, float_at, page_at, row_at},
    Governed,
    args::Args,
    define::joined,
    entries::{Lanes, Numbers},
};
use crate::kernel::{Cast, Cmp, Func, Module, Scalar, Ty, Val};
use seqc_ir::{
    PairExpr, ReduceOp,
    policy::{Definition, Kind},
};
use std::ops::Range;

/// A query head where its queries choose.
pub(super) struct Chooser<'n> {
    /// Numbers of closed blocks.
    pub(super) numbers: &'n Numbers,
    pub(super) queries: Queries,
}

/// The queries that choose together.
#[derive(Clone, Copy)]
pub(super) struct Queries {
    /// Row of the first one.
    pub(super) first: Val,
    /// Behind that of the last one.
    pub(super) end: Val,
    /// The position by which they are turned.
    pub(super) at: Option<Val>,
}

impl Governed<'_> {
    /// Definitions that are computed without a barrier between: each list but the last ends with what is reduced over query heads.
    pub(super) fn parts_of_choice(&self) -> Vec<Range<usize>> {
        let Some(blocks) = self.blocks_policy() else {
            return Vec::new();
        };
        let over_heads = |n: &usize| matches!(blocks.choosing[*n].kind, Kind::Heads { .. });
        let ends = (0..blocks.choosing.len()).filter(over_heads);
        let mut parts = Vec::new();
        let mut first = 0;
        for end in ends.chain([blocks.choosing.len()]) {
            parts.push(first..end);
            first = end;
        }
        parts
    }

    /// Adds `fn NAME_chooseN(arguments…, head, row, end)` for each part: the queries of the rows up to `end` choose together.
    pub(super) fn add_choose(&self, module: &mut Module) {
        let Some(blocks) = self.blocks_policy() else { return };
        for (n, part) in self.parts_of_choice().into_iter().enumerate() {
            let (mut function, args, own) = self.function(&format!("choose{n}"), &[Ty::I64; 3]);
            let f = &mut function;
            let numbers = self.block_numbers(f, &args, own[0], own[1]);
            let zero = f.i64(0);
            let some = f.cmp(Cmp::Ge, numbers.last, zero);
            f.if_then(some, |f| {
                let queries = Queries {
                    first: own[1],
                    end: own[2],
                    at: blocks.query.as_ref().map(|at| numbers.number(f, self, at)),
                };
                let chooser = Chooser {
                    numbers: &numbers,
                    queries,
                };
                for definition in part.clone() {
                    self.choose_by(f, &chooser, definition);
                }
                // What the next part reduces over query heads.
                if let Some(Definition {
                    kind: Kind::Heads { of, .. },
                    ..
                }) = blocks.choosing.get(part.end)
                    && let Some(raw) = self.block_arrays().raw[part.end]
                {
                    self.fill(f, &numbers, raw, of);
                }
            });
            module.add(function);
        }
    }

    fn choose_by(&self, f: &mut Func, chooser: &Chooser<'_>, n: usize) {
        let numbers = chooser.numbers;
        let Some(kind) = self.blocks_policy().map(|b| &b.choosing[n].kind) else {
            return;
        };
        let arrays = self.block_arrays();
        let closing = arrays.of.len() - arrays.raw.len();
        if kind.of_channels() {
            return self.query_fold(f, chooser, n, kind);
        }
        let Some(to) = arrays.of[closing + n].filter(|_| !self.is_looked_up(n)) else {
            return;
        };
        match kind {
            Kind::Entry(e) => self.fill(f, numbers, to, e),
            Kind::Top { by, count, among, .. } => self.top(f, numbers, to, [by, count, among]),
            Kind::Over { of, how, among } => self.over(f, numbers, to, *how, [of, among]),
            Kind::Fewest { of, sum, among } => self.fewest(f, numbers, to, [of, sum, among]),
            Kind::QuerySum { of, over } => self.query_sums(f, chooser, to, of, *over),
            Kind::Heads { how, members, .. } => {
                if let Some(raw) = arrays.raw[n] {
                    self.over_heads(f, numbers, [raw, to], *how, *members);
                }
            }
            Kind::Search { by, count } => self.search(f, chooser, to, by, *count),
            Kind::EntrySum { .. } => self.entry_sums(f, chooser, to, n),
            // Numbers of entries (law 11).
            _ => {}
        }
    }

    /// Reduces an array over query heads.
    fn over_heads(&self, f: &mut Func, numbers: &Numbers, [from, to]: [usize; 2], how: ReduceOp, members: bool) {
        let (zero, one) = (f.i64(0), f.i64(1));
        let (all, ratio) = (f.i64(self.attend.heads as i64), f.i64(self.attend.ratio() as i64));
        let (low, high) = if members {
            let group = f.udiv(numbers.head, ratio);
            let low = f.mul(group, ratio);
            (low, f.add(low, ratio))
        } else {
            (zero, all)
        };
        let blocks = f.add(numbers.last, one);
        self.each_vector(f, blocks, |f, at| {
            let second = f.add(low, one);
            let p = self.vector_of(f, &numbers.args, from, low, at);
            let first = f.load(p, self.vector());
            let found = f.for_loop(second..high, one, &[first], |f, head, found| {
                let p = self.vector_of(f, &numbers.args, from, head, at);
                let x = f.load(p, self.vector());
                vec![joined(f, how, x, found[0])]
            });
            let p = self.vector_of(f, &numbers.args, to, numbers.group, at);
            f.store(found[0], p);
        });
    }

    /// For each query: code that finds it in scratch.
    fn each_query(&self, f: &mut Func, chooser: &Chooser<'_>, body: impl FnOnce(&mut Func, Val)) {
        let (numbers, queries) = (chooser.numbers, chooser.queries);
        f.for_each(queries.first, queries.end, 1, |f, row| {
            self.load_query(f, &numbers.args, numbers.head, row, queries.at);
            let first = f.cmp(Cmp::Eq, row, queries.first);
            body(f, first);
        });
    }

    /// Sums over channels, reduced over the queries that choose together.
    fn query_sums(&self, f: &mut Func, chooser: &Chooser<'_>, to: usize, of: &PairExpr, over: ReduceOp) {
        let (numbers, queries, one) = (chooser.numbers, chooser.queries, f.i64(1));
        let alike = !of.any(&|e| matches!(e, PairExpr::Score)) && over != ReduceOp::Sum;
        if alike || self.blocks_policy().is_none_or(|b| b.together == 1) {
            let end = f.add(queries.first, one);
            let queries = Queries { end, ..queries };
            let first = Chooser { numbers, queries };
            return self.each_query(f, &first, |f, _| self.query_sum(f, numbers, to, of));
        }
        let own = self.block_arrays().temporary;
        let blocks = f.add(numbers.last, one);
        self.each_query(f, chooser, |f, first| {
            self.query_sum(f, numbers, own, of);
            let first = f.splat(first, self.attend.lanes());
            self.each_vector(f, blocks, |f, at| {
                let [from, to] = [own, to].map(|n| self.vector_of(f, &numbers.args, n, numbers.group, at));
                let (x, old) = (f.load(from, self.vector()), f.load(to, self.vector()));
                let joined = joined(f, over, x, old);
                let x = f.select(first, x, joined);
                f.store(x, to);
            });
        });
    }

    /// Numbers of channels, reduced over the queries that choose together.
    fn query_fold(&self, f: &mut Func, chooser: &Chooser<'_>, n: usize, kind: &Kind) {
        let Kind::QueryFold { of, over, mean } = kind else {
            return;
        };
        let (numbers, queries) = (chooser.numbers, chooser.queries);
        let (args, e) = (&numbers.args, self.of_block(of));
        let lanes = self.attend.lanes();
        let (zero, width) = (f.i64(0), f.i64(self.attend.key_dim as i64));
        let query = float_at(f, args.scratch, self.extra().choice.query);
        let to = self.fold_at(f, args, n);
        self.each_query(f, chooser, |f, first| {
            let first = f.splat(first, lanes);
            f.for_each(zero, width, i64::from(lanes), |f, channel| {
                let p = f.gep(query, channel, Scalar::F32);
                let x = f.load(p, self.vector());
                let streams = self.streams_of_channels(f, args, channel);
                let pair = numbers.pair(lanes, channel, Some(x), streams);
                let x = pair.real(f, &e);
                let p = f.gep(to, channel, Scalar::F32);
                let old = f.load(p, self.vector());
                let joined = joined(f, *over, x, old);
                let x = f.select(first, x, joined);
                f.store(x, p);
            });
        });
        if *mean {
            let count = f.sub(queries.end, queries.first);
            let count = f.convert(Cast::SignedToFloat, count, Scalar::F32);
            let count = f.splat(count, lanes);
            f.for_each(zero, width, i64::from(lanes), |f, channel| {
                let p = f.gep(to, channel, Scalar::F32);
                let x = f.load(p, self.vector());
                let x = f.div(x, count);
                f.store(x, p);
            });
        }
    }

    /// Pointer to the numbers of channels of a definition of [`seqc_ir::policy::Blocks::choosing`].
    pub(super) fn fold_at(&self, f: &mut Func, args: &Args, n: usize) -> Val {
        let at = self.extra().choice.folds + n * self.width16();
        float_at(f, args.scratch, at)
    }

    /// Definitions that have a number for each channel of the queries, with their places among the numbers of blocks.
    pub(super) fn folds(&self) -> Vec<(usize, usize)> {
        let Some(blocks) = self.blocks_policy() else {
            return Vec::new();
        };
        let choosing = blocks.choosing.iter().enumerate();
        let folds = choosing.filter(|(_, d)| d.kind.of_channels());
        folds.map(|(n, _)| (n, blocks.closing.len() + n)).collect()
    }

    /// What an expression of a vector of channels reads, the first being `channel`.
    fn streams_of_channels(&self, f: &mut Func, args: &Args, channel: Val) -> Vec<Val> {
        let none = f.zero(self.vector());
        let mut streams = vec![none; self.block_arrays().of.len()];
        for (n, place) in self.folds() {
            let row = self.fold_at(f, args, n);
            let p = f.gep(row, channel, Scalar::F32);
            streams[place] = f.load(p, self.vector());
        }
        let lanes: Vec<f32> = (0..self.attend.lanes()).map(|n| n as f32).collect();
        let (lanes, first) = (
            f.float_lanes(&lanes),
            f.convert(Cast::SignedToFloat, channel, Scalar::F32),
        );
        let first = f.splat(first, self.attend.lanes());
        streams.push(f.add(first, lanes));
        streams
    }

    /// Numbers of blocks beside those of their channels, as far as an expression reads them.
    pub(super) fn add_numbers(&self, f: &mut Func, numbers: &Numbers, at: Lanes, e: &PairExpr, streams: &mut [Val]) {
        for (n, array) in self.block_arrays().of.into_iter().enumerate() {
            let read = e.any(&|e| matches!(e, PairExpr::KeyStream(k) if *k == n));
            if let Some(array) = array.filter(|_| read) {
                let p = self.vector_of(f, &numbers.args, array, numbers.group, at);
                streams[n] = f.load(p, self.vector());
            }
        }
    }

    /// Pointers to the vectors of a page of blocks `[E][PAGE]`, by number of the definition.
    pub(super) fn vectors_of_page(&self, f: &mut Func, args: &Args, head: Val, page: Val) -> Vec<(usize, Val)> {
        let arrays = self.block_arrays();
        let row = self.vector_row(f, head);
        let vectors = arrays.vectors.iter().enumerate();
        vectors
            .map(|(n, definition)| {
                let pages = f.load_slot(args.table, arrays.count + n, Ty::GLOBAL);
                let page = page_at(f, pages, page);
                (*definition, row_at(f, page, row, self.attend.key_dim * PAGE))
            })
            .collect()
    }

    /// The row of a query head's vectors.
    pub(super) fn vector_row(&self, f: &mut Func, head: Val) -> Val {
        if self.policy.blocks_of_query_heads() {
            return head;
        }
        let ratio = f.i64(self.attend.ratio() as i64);
        f.udiv(head, ratio)
    }

    /// What an expression of a channel reads of a vector of blocks.
    pub(super) fn streams_of_channel(
        &self,
        f: &mut Func,
        args: &Args,
        vectors: &[(usize, Val)],
        channel: Val,
        start: usize,
    ) -> Vec<Val> {
        let lanes = self.attend.lanes();
        let none = f.zero(self.vector());
        let mut streams = vec![none; self.block_arrays().of.len()];
        for (definition, vector) in vectors {
            let row = row_at(f, *vector, channel, PAGE);
            let p = float_at(f, row, start);
            streams[*definition] = f.load(p, self.vector());
        }
        for (n, place) in self.folds() {
            let row = self.fold_at(f, args, n);
            let p = f.gep(row, channel, Scalar::F32);
            let x = f.load(p, Ty::F32);
            streams[place] = f.splat(x, lanes);
        }
        let channel = f.convert(Cast::SignedToFloat, channel, Scalar::F32);
        streams.push(f.splat(channel, lanes));
        streams
    }
}
