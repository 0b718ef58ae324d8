//! Definitions of a policy: a number of each entry, or of each channel, where entries leave or channels are chosen.

use super::{
    super::layout::{PAGE, float_at, number_at, numbers_at, row_at},
    Governed,
    args::Args,
    choice::HeadPage,
    code_layout::Side,
    entries::{Lanes, Numbers, scalar},
    states::Word,
};
use crate::{
    kernel::{Cast, Cmp, Func, Module, Scalar, Ty, Val},
    kernels::{dequant::plain_vector, lanes::fold, layout::Plain},
};
use seqc_ir::{
    PairExpr, ReduceOp,
    policy::{Kind, Window},
};

impl Governed<'_> {
    /// Adds `fn NAME_define(arguments…, group, row)`: computes all definitions after a row.
    pub(super) fn add_define(&self, module: &mut Module) {
        if self.policy.definitions.is_empty() {
            return;
        }
        if self.policy.joins_heads() {
            return self.add_steps(module);
        }
        let (mut function, args, own) = self.function("define", &[Ty::I64; 2]);
        let f = &mut function;
        let [group, row] = [own[0], own[1]];
        let last = self.last_entry(f, &args, group);
        let numbers = Numbers::load(self, f, &args, row, group, last);
        for (n, definition) in self.policy.definitions.iter().enumerate() {
            self.define(f, &numbers, row, n, &definition.kind);
        }
        module.add(function);
    }

    /// Computes a definition from the entries of a key head alone.
    pub(super) fn define(&self, f: &mut Func, numbers: &Numbers, row: Val, n: usize, kind: &Kind) {
        let args = &numbers.args;
        let to = self.stream_of(n);
        match kind {
            Kind::Entry(e) => self.fill(f, numbers, to, e),
            Kind::Pool { of, window, how, among } => {
                let masked = PairExpr::select(
                    among.clone(),
                    PairExpr::KeyStream(self.policy.stream_of(*of)),
                    PairExpr::Const(identity(*how)),
                );
                self.fill(f, numbers, self.temporary(numbers.space), &masked);
                self.pool(f, numbers, to, *window, *how);
            }
            Kind::Top { by, count, among, .. } => self.top(f, numbers, to, [by, count, among]),
            Kind::Over { of, how, among } => self.over(f, numbers, to, *how, [of, among]),
            Kind::Fewest { of, sum, among } => self.fewest(f, numbers, to, [of, sum, among]),
            Kind::Seen { queries } => self.seen(f, numbers, row, *queries, to),
            Kind::VectorSum { of, values: false } => self.key_sum(f, numbers, to, of),
            Kind::VectorSum { of, values: true } => self.value_sum(f, numbers, to, of),
            Kind::Channel(e) => {
                self.each_channel(f, |f, channel| {
                    let x = self.of_channel(f, numbers, channel, None, e);
                    self.store_channel(f, args, n, channel, x);
                });
            }
            Kind::KeyMean(e) => self.key_mean(f, numbers, n, e),
            Kind::QueryMean { of, queries } => self.query_mean(f, numbers, n, of, *queries),
            // Numbers of blocks, and of all heads (law 11, `heads`).
            Kind::Within
            | Kind::Fold { .. }
            | Kind::QuerySum { .. }
            | Kind::QueryFold { .. }
            | Kind::EntrySum { .. }
            | Kind::Search { .. }
            | Kind::Heads { .. } => {}
        }
    }

    /// Stores an expression of each entry.
    pub(super) fn fill(&self, f: &mut Func, numbers: &Numbers, to: usize, e: &PairExpr) {
        let args = &numbers.args;
        let one = f.i64(1);
        let entries = f.add(numbers.last, one);
        self.each_vector(f, entries, |f, at| {
            let pairs = self.pairs(f, numbers, at, None);
            let x = pairs.real(f, &self.within(numbers, e));
            let p = self.vector_of(f, args, to, numbers.group, at);
            f.store(x, p);
        });
    }

    /// Reduces the first temporary array around each entry.
    fn pool(&self, f: &mut Func, numbers: &Numbers, to: usize, window: Window, how: ReduceOp) {
        let args = &numbers.args;
        let (zero, one) = (f.i64(0), f.i64(1));
        let size = f.i64(window.size as i64);
        let (before, behind) = (
            f.i64((window.size / 2) as i64),
            f.i64((window.size.saturating_sub(1) / 2 + 1) as i64),
        );
        let entries = f.add(numbers.last, one);
        let (none, empty) = (f.f32(0.0), f.f32(identity(how) as f32));
        f.for_each(zero, entries, 1, |f, slot| {
            let (low, high) = if window.pages {
                let inside = f.urem(slot, size);
                let first = f.sub(slot, inside);
                (first, f.add(first, size))
            } else {
                (f.sub(slot, before), f.add(slot, behind))
            };
            let (low, high) = (f.max(low, zero), f.min(high, entries));
            let found = f.for_loop(low..high, one, &[empty], |f, near, found| {
                let p = self.number_of(f, args, self.temporary(numbers.space), numbers.group, near);
                let x = f.load(p, Ty::F32);
                vec![joined(f, how, x, found[0])]
            });
            let nothing = f.cmp(Cmp::Eq, found[0], empty);
            let x = f.select(nothing, none, found[0]);
            let p = self.number_of(f, args, to, numbers.group, slot);
            f.store(x, p);
        });
    }

    /// The same number for each entry, over all that count.
    pub(super) fn over(&self, f: &mut Func, numbers: &Numbers, to: usize, how: ReduceOp, [of, among]: [&PairExpr; 2]) {
        let args = &numbers.args;
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(PAGE as i64));
        let entries = f.add(numbers.last, one);
        let pages = f.ceil_div(entries, size);
        let lanes = f.i64(i64::from(self.attend.lanes()));
        let empty = f.float(self.vector(), identity(how) as f32);
        let found = f.for_loop(zero..pages, one, &[empty], |f, page, found| {
            f.for_loop(zero..size, lanes, found, |f, start, found| {
                let at = Lanes { page, start };
                let pairs = self.pairs(f, numbers, at, None);
                let x = pairs.real(f, &self.within(numbers, of));
                let counts = pairs.mask(f, &self.within(numbers, among));
                let inside = self.inside(f, at, numbers.last);
                let counts = f.and(counts, inside);
                let x = f.select(counts, x, empty);
                vec![joined(f, how, x, found[0])]
            })
        });
        let lanes: Vec<Val> = (0..i64::from(self.attend.lanes()))
            .map(|n| f.extract(found[0], n))
            .collect();
        let total = fold(f, &lanes, |f, a, b| joined(f, how, a, b));
        let (none, empty) = (f.f32(0.0), f.f32(identity(how) as f32));
        let nothing = f.cmp(Cmp::Eq, total, empty);
        let total = f.select(nothing, none, total);
        let total = f.splat(total, self.attend.lanes());
        self.each_vector(f, entries, |f, at| {
            let p = self.vector_of(f, args, to, numbers.group, at);
            f.store(total, p);
        });
    }

    /// For each page: its keys in scratch, then code for each of its vectors.
    fn each_page_of_keys(&self, f: &mut Func, numbers: &Numbers, body: impl FnOnce(&mut Func, Lanes, Val)) {
        let args = &numbers.args;
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(PAGE as i64));
        let entries = f.add(numbers.last, one);
        let pages = f.ceil_div(entries, size);
        f.for_each(zero, pages, 1, |f, page| {
            let keys = if self.copies_keys() {
                self.read_keys(f, args, numbers.group, page);
                float_at(f, args.scratch, self.extra().keys)
            } else {
                self.attend
                    .head_page(f, args.keys, page, numbers.group, self.attend.key_dim)
            };
            f.for_each(zero, size, i64::from(self.attend.lanes()), |f, start| {
                body(f, Lanes { page, start }, keys);
            });
        });
    }

    /// A vector of the keys' numbers in a channel.
    fn numbers_in(&self, f: &mut Func, keys: Val, channel: Val, start: Val) -> Val {
        let (elem, stored) = if self.copies_keys() {
            (Scalar::F32, Plain::F32)
        } else {
            (self.attend.elem(), self.attend.stored())
        };
        let row = numbers_at(f, keys, channel, PAGE, elem);
        let p = f.gep(row, start, elem);
        plain_vector(f, stored, p, self.attend.lanes(), None)
    }

    fn key_sum(&self, f: &mut Func, numbers: &Numbers, to: usize, e: &PairExpr) {
        let args = &numbers.args;
        self.each_page_of_keys(f, numbers, |f, at, keys| {
            let (zero, one, width) = (f.i64(0), f.i64(1), f.i64(self.attend.key_dim as i64));
            let none = f.zero(self.vector());
            let sum = f.for_loop(zero..width, one, &[none], |f, channel, sum| {
                let x = self.numbers_in(f, keys, channel, at.start);
                let x = self.of_pairs(f, numbers, at, channel, x, e);
                vec![f.add(sum[0], x)]
            });
            let p = self.vector_of(f, args, to, numbers.group, at);
            f.store(sum[0], p);
        });
    }

    /// The same of values, whose numbers in a channel are gathered from their rows.
    fn value_sum(&self, f: &mut Func, numbers: &Numbers, to: usize, e: &PairExpr) {
        let args = &numbers.args;
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(PAGE as i64));
        let entries = f.add(numbers.last, one);
        let pages = f.ceil_div(entries, size);
        let lanes = self.attend.lanes();
        f.for_each(zero, pages, 1, |f, page| {
            if self.coding(Side::Values).is_some() {
                self.read_values(f, args, numbers.group, page);
            }
            let values = self.stored(f, args, [numbers.group, page], Side::Values);
            f.for_each(zero, size, i64::from(lanes), |f, start| {
                let at = Lanes { page, start };
                let mut sum = f.zero(self.vector());
                for panel in self.attend.panels() {
                    let rows = number_at(f, values.base, PAGE * panel.start, values.elem);
                    let row = numbers_at(f, rows, start, panel.width, values.elem);
                    let steps: Vec<i64> = (0..i64::from(lanes)).map(|n| n * panel.width as i64).collect();
                    let (first, columns) = (f.i64(panel.start as i64), f.i64(panel.columns as i64));
                    let sums = f.for_loop(zero..columns, one, &[sum], |f, column, sum| {
                        let p = f.gep(row, column, values.elem);
                        let x = self.gathered(f, p, &steps, values);
                        let channel = f.add(first, column);
                        let x = self.of_pairs(f, numbers, at, channel, x, e);
                        vec![f.add(sum[0], x)]
                    });
                    sum = sums[0];
                }
                let p = self.vector_of(f, args, to, numbers.group, at);
                f.store(sum, p);
            });
        });
    }

    /// Numbers that lie so far behind the first one.
    fn gathered(&self, f: &mut Func, first: Val, steps: &[i64], of: HeadPage) -> Val {
        let mut all = f.zero(self.vector());
        for (lane, step) in steps.iter().enumerate() {
            let p = number_at(f, first, *step as usize, of.elem);
            let x = plain_vector(f, of.stored, p, 1, None);
            let x = scalar(f, x);
            all = f.insert(x, all, lane as i64);
        }
        all
    }

    fn key_mean(&self, f: &mut Func, numbers: &Numbers, n: usize, e: &PairExpr) {
        let args = &numbers.args;
        let none = f.f32(0.0);
        self.each_channel(f, |f, channel| self.store_channel(f, args, n, channel, none));
        self.each_page_of_keys(f, numbers, |f, at, keys| {
            let inside = self.inside(f, at, numbers.last);
            self.each_channel(f, |f, channel| {
                let x = self.numbers_in(f, keys, channel, at.start);
                let x = self.of_pairs(f, numbers, at, channel, x, e);
                let zero = f.zero(x.ty);
                let x = f.select(inside, x, zero);
                let x = f.reduce_add(x);
                let old = self.load_channel(f, args, n, channel);
                let x = f.add(old, x);
                self.store_channel(f, args, n, channel, x);
            });
        });
        let one = f.i64(1);
        let entries = f.add(numbers.last, one);
        self.divide_channels(f, args, n, entries);
    }

    fn divide_channels(&self, f: &mut Func, args: &Args, n: usize, count: Val) {
        let one = f.i64(1);
        let count = f.max(count, one);
        let count = f.convert(Cast::SignedToFloat, count, Scalar::F32);
        self.each_channel(f, |f, channel| {
            let x = self.load_channel(f, args, n, channel);
            let x = f.div(x, count);
            self.store_channel(f, args, n, channel, x);
        });
    }

    fn query_mean(&self, f: &mut Func, numbers: &Numbers, n: usize, of: &PairExpr, most: usize) {
        let args = &numbers.args;
        let last = self.last_queries(f, args, numbers.group, most);
        let (zero, one, ratio) = (f.i64(0), f.i64(1), f.i64(self.attend.ratio() as i64));
        let none = f.f32(0.0);
        let first = f.mul(numbers.group, ratio);
        self.each_channel(f, |f, channel| {
            let sum = f.for_loop(zero..last.count, one, &[none], |f, token, sum| {
                let row = last.rows.row(f, token);
                f.for_loop(zero..ratio, one, sum, |f, head, sum| {
                    let head = f.add(first, head);
                    let row = row_at(f, row, head, self.attend.key_dim);
                    let p = f.gep(row, channel, Scalar::F32);
                    let x = f.load(p, Ty::F32);
                    let x = self.of_channel(f, numbers, channel, Some(x), of);
                    vec![f.add(sum[0], x)]
                })
            });
            self.store_channel(f, args, n, channel, sum[0]);
        });
        let count = f.mul(last.count, ratio);
        self.divide_channels(f, args, n, count);
    }

    fn each_channel(&self, f: &mut Func, body: impl FnOnce(&mut Func, Val)) {
        let (zero, width) = (f.i64(0), f.i64(self.attend.key_dim as i64));
        f.for_each(zero, width, 1, body);
    }

    fn channel_at(&self, f: &mut Func, args: &Args, n: usize, channel: Val) -> Val {
        let width = self.attend.key_dim.next_multiple_of(16);
        let row = float_at(f, args.scratch, self.extra().channels + n * width);
        f.gep(row, channel, Scalar::F32)
    }

    /// The number of a channel.
    pub(super) fn load_channel(&self, f: &mut Func, args: &Args, n: usize, channel: Val) -> Val {
        let p = self.channel_at(f, args, n, channel);
        f.load(p, Ty::F32)
    }

    fn store_channel(&self, f: &mut Func, args: &Args, n: usize, channel: Val, x: Val) {
        let p = self.channel_at(f, args, n, channel);
        f.store(x, p);
    }

    /// Numbers of a channel in place of what [`PairExpr::KeyStream`] reads of it.
    fn channel_streams(&self, f: &mut Func, args: &Args, channel: Val, streams: &mut [Val], lanes: u32) {
        for (n, definition) in self.policy.definitions.iter().enumerate() {
            if definition.kind.of_channels() {
                let x = self.load_channel(f, args, n, channel);
                streams[self.stream_of(n)] = if lanes > 1 { f.splat(x, lanes) } else { x };
            }
        }
    }

    /// An expression of a channel; `x` is the number at hand.
    fn of_channel(&self, f: &mut Func, numbers: &Numbers, channel: Val, x: Option<Val>, e: &PairExpr) -> Val {
        let args = &numbers.args;
        let none = f.f32(0.0);
        let mut streams = vec![none; self.streams()];
        self.channel_streams(f, args, channel, &mut streams, 1);
        streams.push(f.convert(Cast::SignedToFloat, channel, Scalar::F32));
        let pair = numbers.pair(1, channel, x, streams);
        let x = pair.number(f, &self.of_entry(e));
        scalar(f, x)
    }

    /// An expression of a vector of entries in a channel; `x` are their keys' numbers.
    #[expect(clippy::too_many_arguments, reason = "a pair, a channel and a number")]
    fn of_pairs(&self, f: &mut Func, numbers: &Numbers, at: Lanes, channel: Val, x: Val, e: &PairExpr) -> Val {
        let args = &numbers.args;
        let mut pairs = self.pairs(f, numbers, at, Some(x));
        self.channel_streams(f, args, channel, &mut pairs.key_streams, self.attend.lanes());
        let number = f.convert(Cast::SignedToFloat, channel, Scalar::F32);
        pairs.key_streams.push(f.splat(number, self.attend.lanes()));
        pairs.real(f, &self.of_entry(e))
    }

    /// Chooses the channels that coded keys have, unless that has been done.
    pub(super) fn choose_channels(&self, f: &mut Func, args: &Args, group: Val) {
        let Some(channels) = self.policy.keys.as_ref().and_then(|c| c.channels.as_ref()) else {
            return;
        };
        let (chosen, zero, one) = (self.load_word(f, args.words, group, Word::Chosen), f.i64(0), f.i64(1));
        let fresh = f.cmp(Cmp::Eq, chosen, zero);
        f.if_then(fresh, |f| {
            let (width, count) = (f.i64(self.attend.key_dim as i64), f.i64(channels.count as i64));
            let first = f.mul(group, count);
            f.for_loop(zero..width, one, &[zero], |f, channel, found| {
                let own = self.load_channel(f, args, channels.by, channel);
                let better = f.for_loop(zero..width, one, &[zero], |f, other, better| {
                    let x = self.load_channel(f, args, channels.by, other);
                    let (more, equal) = (f.cmp(Cmp::Gt, x, own), f.cmp(Cmp::Eq, x, own));
                    let before = f.cmp(Cmp::Lt, other, channel);
                    let equal = f.and(equal, before);
                    let more = f.or(more, equal);
                    let more = f.convert(Cast::ZeroExtend, more, Scalar::I64);
                    vec![f.add(better[0], more)]
                });
                let kept = f.cmp(Cmp::Lt, better[0], count);
                f.if_else(
                    kept,
                    |f| {
                        let at = f.add(first, found[0]);
                        let p = f.gep(args.channels, at, Scalar::I64);
                        f.store(channel, p);
                        vec![f.add(found[0], one)]
                    },
                    |_| vec![found[0]],
                )
            });
            let p = self.word(f, args.words, group, Word::Chosen);
            f.store(one, p);
        });
    }
}

/// What joins to nothing else.
pub(super) fn identity(how: ReduceOp) -> f64 {
    match how {
        ReduceOp::Sum => 0.0,
        ReduceOp::Prod => 1.0,
        ReduceOp::Max => f64::NEG_INFINITY,
        ReduceOp::Min => f64::INFINITY,
    }
}

pub(super) fn joined(f: &mut Func, how: ReduceOp, x: Val, found: Val) -> Val {
    match how {
        ReduceOp::Sum => f.add(x, found),
        ReduceOp::Prod => f.mul(x, found),
        ReduceOp::Max => f.max_number(x, found),
        ReduceOp::Min => f.min_number(x, found),
    }
}
