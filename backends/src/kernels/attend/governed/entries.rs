//! Expressions over entries, a vector of them at a time, and over numbers of the cache.

use super::{
    super::{
        layout::{PAGE, float_at, page_at, row_at},
        pair::Pair,
        table::Tables,
    },
    Governed,
    args::Args,
};
use crate::kernel::{Cast, Func, Scalar, Ty, Val};
use seqc_ir::PairExpr;

/// What expressions of a policy are computed from at one row.
#[derive(Clone)]
pub(super) struct Numbers {
    /// The layer's query streams, zeros where they are not read, and the numbers of the cache.
    streams: Vec<Val>,
    pub(super) args: Args,
    tables: Tables,
    /// Row of arrays.
    pub(super) group: Val,
    /// The last one of what there is a number for.
    pub(super) last: Val,
    /// Slot of the row's own entry.
    pub(super) query: Val,
    /// What [`PairExpr::Head`] is.
    pub(super) head: Val,
    pub(super) space: Space,
}

/// What arrays have numbers for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// Entries of a key head.
    Entries,
    /// Closed blocks, as a query head sees them.
    Blocks,
}

/// Some entries: a vector from `start` of a page on.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    pub(super) page: Val,
    /// Index in the page of the first one.
    pub(super) start: Val,
}

impl Numbers {
    /// Pointer to the numbers of a row.
    pub(super) fn row(governed: &Governed<'_>, f: &mut Func, scratch: Val, row: Val) -> Val {
        let all = float_at(f, scratch, governed.extra().numbers);
        row_at(f, all, row, governed.numbers())
    }

    /// The numbers of a row whose own entry has slot `last`.
    pub(super) fn load(governed: &Governed<'_>, f: &mut Func, args: &Args, row: Val, group: Val, last: Val) -> Numbers {
        let row = Numbers::row(governed, f, args.scratch, row);
        let values = (0..governed.numbers()).map(|n| {
            let p = float_at(f, row, n);
            f.load(p, Ty::F32)
        });
        let values = values.collect();
        Numbers::of(governed, f, args, values, [group, last])
    }

    /// Numbers at hand.
    pub(super) fn of(
        governed: &Governed<'_>,
        f: &mut Func,
        args: &Args,
        values: Vec<Val>,
        [group, last]: [Val; 2],
    ) -> Numbers {
        let zero = f.f32(0.0);
        let mut streams = vec![zero; governed.attend.spec.query_streams];
        streams.extend(values);
        Numbers {
            streams,
            args: *args,
            tables: Tables::none(),
            group,
            last,
            query: last,
            head: group,
            space: Space::Entries,
        }
    }

    /// The same for a query head.
    pub(super) fn with_head(self, head: Val) -> Numbers {
        Numbers { head, ..self }
    }

    /// The arrays of another key head, by which an expression of positions is the same.
    pub(super) fn of_other_head(&self, governed: &Governed<'_>, f: &mut Func, group: Val) -> Numbers {
        Numbers {
            group,
            last: governed.last_entry(f, &self.args, group),
            ..self.clone()
        }
    }

    /// The same with the number of entries that a sight shows.
    pub(super) fn with_shown(mut self, shown: Val) -> Numbers {
        self.streams.push(shown);
        self
    }

    /// The same with what the layer reads at the query.
    pub(super) fn with_layer(mut self, streams: &[Val]) -> Numbers {
        self.streams[..streams.len()].copy_from_slice(streams);
        self
    }

    /// A function of numbers of the cache.
    pub(super) fn number(&self, f: &mut Func, governed: &Governed<'_>, expr: &PairExpr) -> Val {
        let zero = f.i64(0);
        let pair = self.pair(1, zero, None, Vec::new());
        pair.number(f, &governed.within(self, expr))
    }

    /// The same as a truth value.
    pub(super) fn truth(&self, f: &mut Func, governed: &Governed<'_>, expr: &PairExpr) -> Val {
        let zero = f.i64(0);
        let pair = self.pair(1, zero, None, Vec::new());
        pair.truth(f, &governed.within(self, expr))
    }

    /// The pairs of the row's token with keys, of which the first is `key`.
    pub(super) fn pair(&self, lanes: u32, key: Val, score: Option<Val>, key_streams: Vec<Val>) -> Pair<'_> {
        Pair {
            tables: &self.tables,
            lanes,
            query: self.query,
            key,
            head: self.head,
            score,
            query_streams: &self.streams,
            key_streams,
            lookups: &[],
            named: &[],
            members: Vec::new(),
            lists: &[],
            behind: &[],
        }
    }
}

impl Governed<'_> {
    /// Pointer to the numbers of a page's entries in array `n`.
    pub(super) fn numbers_of_page(&self, f: &mut Func, args: &Args, n: usize, group: Val, page: Val) -> Val {
        let pages = f.load_slot(args.table, n, Ty::GLOBAL);
        let page = page_at(f, pages, page);
        row_at(f, page, group, PAGE)
    }

    /// Pointer to the vector of numbers in array `n`.
    pub(super) fn vector_of(&self, f: &mut Func, args: &Args, n: usize, group: Val, at: Lanes) -> Val {
        let row = self.numbers_of_page(f, args, n, group, at.page);
        f.gep(row, at.start, Scalar::F32)
    }

    pub(super) fn vector(&self) -> Ty {
        Ty::V(self.attend.lanes(), Scalar::F32)
    }

    /// The pairs of a row with a vector of entries; `score` is what [`PairExpr::Score`] is.
    pub(super) fn pairs<'n>(&self, f: &mut Func, numbers: &'n Numbers, at: Lanes, score: Option<Val>) -> Pair<'n> {
        let streams = match numbers.space {
            Space::Entries => self.numbers_of_entries(f, numbers, at),
            Space::Blocks => self.numbers_of_blocks(f, numbers, at),
        };
        let size = f.i64(PAGE as i64);
        let first = f.mul(at.page, size);
        let key = f.add(first, at.start);
        numbers.pair(self.attend.lanes(), key, score, streams)
    }

    fn numbers_of_entries(&self, f: &mut Func, numbers: &Numbers, at: Lanes) -> Vec<Val> {
        let arrays = 0..self.streams();
        let load = |n| {
            // Where there is no query head, expressions read nothing that each has for itself.
            let row = if self.brought_for_each(n) {
                numbers.head
            } else {
                numbers.group
            };
            let p = self.vector_of(f, &numbers.args, n, row, at);
            f.load(p, self.vector())
        };
        arrays.map(load).collect()
    }

    /// An expression in the coordinates of some numbers.
    pub(super) fn within(&self, numbers: &Numbers, expr: &PairExpr) -> PairExpr {
        match numbers.space {
            Space::Entries => self.of_entry(expr),
            Space::Blocks => self.of_block(expr),
        }
    }

    /// The first of the two arrays for what is being computed.
    pub(super) fn temporary(&self, space: Space) -> usize {
        match space {
            Space::Entries => self.stream_of(self.policy.definitions.len()),
            Space::Blocks => self.block_arrays().temporary,
        }
    }

    /// Code for each vector of the first `count` entries; entries behind them are in the last one.
    pub(super) fn each_vector(&self, f: &mut Func, count: Val, body: impl FnOnce(&mut Func, Lanes)) {
        let (zero, size) = (f.i64(0), f.i64(PAGE as i64));
        let pages = f.ceil_div(count, size);
        let lanes = i64::from(self.attend.lanes());
        f.for_each(zero, pages, 1, |f, page| {
            f.for_each(zero, size, lanes, |f, start| body(f, Lanes { page, start }));
        });
    }

    /// A truth value for each entry of a vector: it is one of the first `last + 1` ones.
    pub(super) fn inside(&self, f: &mut Func, at: Lanes, last: Val) -> Val {
        let size = f.i64(PAGE as i64);
        let first = f.mul(at.page, size);
        let key = f.add(first, at.start);
        let one = f.i64(1);
        let left = f.sub(last, key);
        let left = f.add(left, one);
        f.tail_mask(left, self.attend.lanes())
    }

    /// A function of an entry, which reads none of its arrays.
    pub(super) fn number_at_slot(&self, f: &mut Func, numbers: &Numbers, slot: Val, e: &PairExpr) -> Val {
        let none = f.f32(0.0);
        let pair = numbers.pair(1, slot, None, vec![none; self.streams()]);
        let x = pair.number(f, &self.of_entry(e));
        scalar(f, x)
    }

    /// A function of numbers of the cache, and of those that are the same for all entries.
    pub(super) fn number_of_all(&self, f: &mut Func, numbers: &Numbers, e: &PairExpr) -> Val {
        if !e.any(&|e| matches!(e, PairExpr::KeyStream(_))) {
            return numbers.number(f, self, e);
        }
        let first = f.i64(0);
        let e = self.within(numbers, e);
        let arrays: Vec<Option<usize>> = match numbers.space {
            Space::Entries => (0..self.streams()).map(Some).collect(),
            Space::Blocks => self.block_arrays().of,
        };
        let none = f.f32(0.0);
        let load = |(n, array): (usize, &Option<usize>)| {
            let read = e.any(&|e| matches!(e, PairExpr::KeyStream(k) if *k == n));
            match array.filter(|_| read) {
                Some(array) => {
                    let p = self.number_of(f, &numbers.args, array, numbers.group, first);
                    f.load(p, Ty::F32)
                }
                None => none,
            }
        };
        let streams = arrays.iter().enumerate().map(load).collect();
        let pair = numbers.pair(1, first, None, streams);
        let x = pair.number(f, &e);
        scalar(f, x)
    }

    /// A function that takes all arguments, then these.
    pub(super) fn function(&self, part: &str, own: &[Ty]) -> (Func, Args, Vec<Val>) {
        let types = [&Args::TYPES[..], own].concat();
        let f = Func::new(self.name(part), &types, None);
        let args = Args::of(&f);
        let own = f.params()[Args::TYPES.len()..].to_vec();
        (f, args, own)
    }

    /// Calls such a function.
    pub(super) fn call(&self, f: &mut Func, part: &str, args: &Args, own: &[Val]) {
        f.call(&self.name(part), &[&args.list()[..], own].concat(), None);
    }
}

/// The value of an expression of one thing, of which there may be a vector.
pub(super) fn scalar(f: &mut Func, x: Val) -> Val {
    match x.ty {
        Ty::V(..) => f.extract(x, 0),
        _ => x,
    }
}

/// A number of entries, from any number: none below 0 and where it is no number, all where it is more than can be.
pub(super) fn count_of(f: &mut Func, x: Val) -> Val {
    // No sequence has so many tokens.
    let (none, most) = (f.f32(0.0), f.f32((1_u64 << 31) as f32));
    let x = f.max_number(x, none);
    let x = f.min(x, most);
    f.convert(Cast::FloatToSigned, x, Scalar::I64)
}
