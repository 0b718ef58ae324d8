//! Entries of a span of slots, a vector at a time: which of them a sight shows, their scores, and what is done with them.

use super::{
    super::{
        super::{
            exp2::{exp2, largest_lane},
            layout::{PAGE, float_at, number_at, numbers_at},
            pair::{Lookup, Pair},
            score::LOG2_E,
        },
        Governed,
        args::Args,
        code_layout::Side,
        entries::{Lanes, Numbers},
    },
    see::{Found, Pass, reads},
};
use crate::{
    kernel::{Cmp, Func, Module, Scalar, Ty, Val},
    kernels::{dequant::plain_vector, lanes::fold},
};
use seqc_ir::{
    PairExpr, PairLeaf,
    policy::{CLOSED, SHOWN, Sight},
};

/// What a function of a span has at hand.
pub(super) struct Span<'s> {
    pub(super) args: Args,
    pub(super) sight: &'s Sight,
    /// Which entries are shown.
    seen: Option<PairExpr>,
    pub(super) numbers: Numbers,
    lookups: Vec<Lookup<'s>>,
    /// What the block was chosen by, for each definition.
    choices: Vec<Val>,
    low: Val,
    high: Val,
    pass: Val,
}

/// Some entries that are shown.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    pub(super) at: Lanes,
    pub(super) mask: Val,
    /// Entries that are shown before them.
    rank: Val,
}

impl Governed<'_> {
    /// Adds `fn NAME_spanN(arguments…, head, row, low, high, block, pass)` for entries that are in no closed block, or `fn NAME_closedN`
    /// for those of one.
    pub(super) fn add_span(&self, module: &mut Module, n: usize, closed: bool) {
        let part = format!("{}{n}", if closed { "closed" } else { "span" });
        let (mut function, args, own) = self.function(&part, &[Ty::I64; 6]);
        let f = &mut function;
        let [head, row, low, high, block, pass] = std::array::from_fn(|n| own[n]);
        let sight = &self.policy.sights[n];
        let numbers = self.numbers_of_head(f, &args, head, row);
        let shown = self.noted(f, &args, Found::Shown);
        let numbers = numbers.with_shown(shown);
        let numbers = numbers.with_layer(&self.layer_streams(f, &args, head, row));
        let kernel = &self.sights[n];
        let span = Span {
            args,
            sight,
            seen: self.seen_in_span(sight, closed),
            lookups: Lookup::all(kernel, f, args.table),
            choices: self.choices_of_block(f, &args, sight, [head, block], closed),
            numbers,
            low,
            high,
            pass,
        };
        self.each_vector_of_span(f, &span);
        module.add(function);
    }

    /// The condition of a sight where it is known whether entries are in a closed block.
    fn seen_in_span(&self, sight: &Sight, closed: bool) -> Option<PairExpr> {
        let chosen = self.policy.choosing_stream(0);
        let seen = sight.seen.as_ref()?.substitute(&|leaf| match leaf {
            PairLeaf::KeyStream(CLOSED) => PairExpr::Const(f64::from(closed)),
            PairLeaf::KeyStream(n) if n >= chosen && !closed => PairExpr::Const(0.0),
            other => other.into(),
        });
        Some(self.of_query(&seen.simplified()))
    }

    /// The layer's query streams at a row.
    fn layer_streams(&self, f: &mut Func, args: &Args, head: Val, row: Val) -> Vec<Val> {
        let streams = 0..self.attend.spec.query_streams;
        streams.map(|n| self.layer_stream(f, args, [head, row], n)).collect()
    }

    /// The layer's query stream `n` of a query head at a row.
    pub(in super::super) fn layer_stream(&self, f: &mut Func, args: &Args, [head, row]: [Val; 2], n: usize) -> Val {
        let first = self.streams();
        let base = f.load_slot(args.table, first + 2 * n, Ty::GLOBAL);
        let stride = f.load_slot(args.table, first + 2 * n + 1, Ty::I64);
        let offset = f.mul(row, stride);
        let wide = self.attend.query_widths.get(n).is_some_and(|w| *w > 1);
        let offset = if wide { f.add(offset, head) } else { offset };
        let p = f.gep(base, offset, Scalar::F32);
        f.load(p, Ty::F32)
    }

    /// What a block was chosen by, as far as a sight reads it.
    fn choices_of_block(
        &self,
        f: &mut Func,
        args: &Args,
        sight: &Sight,
        [head, block]: [Val; 2],
        closed: bool,
    ) -> Vec<Val> {
        let none = f.zero(self.vector());
        let count = self.blocks_policy().map_or(0, |b| b.choosing.len());
        let mut all = vec![none; count];
        if closed {
            let blocks = Args {
                table: args.blocks,
                ..*args
            };
            for (n, array) in self.choices_read(sight) {
                let p = self.number_of(f, &blocks, array, head, block);
                let x = f.load(p, Ty::F32);
                all[n] = f.splat(x, self.attend.lanes());
            }
        }
        all
    }

    fn each_vector_of_span(&self, f: &mut Func, span: &Span<'_>) {
        let none = f.i64(-1);
        self.each_vector_between(f, [span.low, span.high], none, |f, start, at, copied| {
            let mask = self.shown_of(f, span, at, start);
            let count = self.count_of_mask(f, mask);
            let nothing = f.f32(0.0);
            let some = f.cmp(Cmp::Gt, count, nothing);
            let copied = f.if_else(
                some,
                |f| {
                    let rank = self.noted(f, &span.args, Found::Rank);
                    let shown = Shown { at, mask, rank };
                    let copied = self.copy_codes(f, &span.args, [span.numbers.group, at.page], copied);
                    self.pass(f, span, shown, count);
                    let rank = f.add(rank, count);
                    self.note(f, &span.args, Found::Rank, rank);
                    vec![copied]
                },
                |_| vec![copied],
            );
            copied[0]
        });
    }

    /// Which entries of a vector are shown, `start` being the slot of the first.
    fn shown_of(&self, f: &mut Func, span: &Span<'_>, at: Lanes, start: Val) -> Val {
        let mut mask = self.between(f, start, [span.low, span.high]);
        let own = self.attend.spec.predicate.as_ref().map(|e| self.of_layer(e));
        for condition in [own, span.seen.clone()].into_iter().flatten() {
            let nothing = f.zero(self.vector());
            let pair = self.pair_of_span(f, span, at, None, nothing);
            let holds = pair.mask(f, &condition);
            mask = f.and(mask, holds);
        }
        mask
    }

    pub(super) fn pair_of_span<'p>(
        &self,
        f: &mut Func,
        span: &'p Span<'_>,
        at: Lanes,
        score: Option<Val>,
        rank: Val,
    ) -> Pair<'p> {
        let mut pair = self.pairs(f, &span.numbers, at, score);
        pair.key_streams.extend(&span.choices);
        pair.key_streams.push(rank);
        pair.lookups = &span.lookups;
        pair
    }

    fn pass(&self, f: &mut Func, span: &Span<'_>, shown: Shown, count: Val) {
        let is = |f: &mut Func, pass: Pass| {
            let pass = f.i64(pass as i64);
            f.cmp(Cmp::Eq, span.pass, pass)
        };
        if reads(&span.sight.query, &PairExpr::QueryStream(SHOWN)) {
            let counts = is(f, Pass::Count);
            f.if_then(counts, |f| {
                let old = self.noted(f, &span.args, Found::Shown);
                let new = f.add(old, count);
                self.note(f, &span.args, Found::Shown, new);
            });
        }
        let sums = is(f, Pass::Sum);
        f.if_then(sums, |f| {
            let scores = self.scores(f, span, shown);
            self.add_up(f, span, shown, scores);
        });
        if !self.policy.memories.is_empty() {
            let gives = is(f, Pass::Give);
            f.if_then(gives, |f| {
                let scores = self.scores(f, span, shown);
                self.give(f, span, shown, scores);
            });
        }
    }

    /// Scores of a vector of entries, in powers of two; minus infinity where they are not shown.
    fn scores(&self, f: &mut Func, span: &Span<'_>, shown: Shown) -> Val {
        let spec = &self.attend.spec;
        let products = match (self.policy.turn, span.sight.key.constant()) {
            (Some(turn), None) => self.turned_products(f, span, shown, turn),
            _ => self.products(f, span, shown.at, 0..self.attend.key_dim),
        };
        let scale = f.float(self.vector(), spec.scale as f32);
        let scores = f.mul(products, scale);
        let scores = match &spec.score {
            Some(score) => {
                let nothing = f.zero(self.vector());
                let pair = self.pair_of_span(f, span, shown.at, Some(scores), nothing);
                pair.real(f, &self.of_layer(score))
            }
            None => scores,
        };
        let log2 = f.float(self.vector(), LOG2_E as f32);
        let scores = f.mul(scores, log2);
        let unseen = f.float(self.vector(), f32::NEG_INFINITY);
        f.select(shown.mask, scores, unseen)
    }

    /// Products of the query's channels with those of a vector of keys.
    pub(super) fn products(&self, f: &mut Func, span: &Span<'_>, at: Lanes, channels: std::ops::Range<usize>) -> Val {
        let lanes = self.attend.lanes();
        let keys = self.stored(f, &span.args, [span.numbers.group, at.page], Side::Keys);
        let query = float_at(f, span.args.scratch, self.extra().choice.query);
        let none = f.zero(self.vector());
        // Several sums, for one would wait for itself.
        let width = channels.len();
        let at_once = [4, 2, 1].into_iter().find(|n| width.is_multiple_of(*n)).unwrap_or(1);
        let (low, high, step) = (
            f.i64(channels.start as i64),
            f.i64(channels.end as i64),
            f.i64(at_once as i64),
        );
        let sums = f.for_loop(low..high, step, &vec![none; at_once], |f, first, sums| {
            let sums = sums.iter().enumerate();
            sums.map(|(n, sum)| {
                let n = f.i64(n as i64);
                let channel = f.add(first, n);
                let p = f.gep(query, channel, Scalar::F32);
                let q = f.load(p, Ty::F32);
                let q = f.splat(q, lanes);
                let row = numbers_at(f, keys.base, channel, PAGE, keys.elem);
                let p = f.gep(row, at.start, keys.elem);
                let k = plain_vector(f, keys.stored, p, lanes, None);
                f.fma(q, k, *sum)
            })
            .collect()
        });
        fold(f, &sums, Func::add)
    }

    /// For each lane of a mask, the entries that are shown before it.
    pub(super) fn shown_before(&self, f: &mut Func, shown: Shown) -> Val {
        let lanes = self.attend.lanes();
        let (one, none) = (f.float(self.vector(), 1.0), f.zero(self.vector()));
        let own = f.select(shown.mask, one, none);
        let mut sum = own;
        let mut by = 1;
        while by < lanes {
            let from = |lane: u32| {
                if lane < by {
                    i64::from(lanes)
                } else {
                    i64::from(lane - by)
                }
            };
            let places: Vec<i64> = (0..lanes).map(from).collect();
            let moved = f.shuffle(sum, none, &places);
            sum = f.add(sum, moved);
            by *= 2;
        }
        let before = f.sub(sum, own);
        let rank = f.splat(shown.rank, lanes);
        f.add(before, rank)
    }

    /// Adds weighted values, with the largest score so far.
    fn add_up(&self, f: &mut Func, span: &Span<'_>, shown: Shown, scores: Val) {
        let (args, lanes) = (&span.args, self.attend.lanes());
        let old = self.noted(f, args, Found::Largest);
        let largest = largest_lane(f, scores);
        let largest = f.max(largest, old);
        self.note(f, args, Found::Largest, largest);
        let least = f.f32(f32::NEG_INFINITY);
        let (empty, none) = (f.cmp(Cmp::Eq, largest, least), f.f32(0.0));
        let base = f.select(empty, none, largest);
        let wide = f.splat(base, lanes);
        let weights = f.sub(scores, wide);
        let weights = exp2(f, weights);
        let shrink = f.sub(old, base);
        let shrink = f.splat(shrink, lanes);
        let shrink = exp2(f, shrink);
        let (total, sum) = (self.noted(f, args, Found::Total), f.reduce_add(weights));
        let kept = f.extract(shrink, 0);
        let total = f.fma(total, kept, sum);
        self.note(f, args, Found::Total, total);
        let place = float_at(f, args.scratch, self.extra().choice.weights);
        f.store(weights, place);
        self.add_values(f, span, shown.at, shrink);
    }

    fn add_values(&self, f: &mut Func, span: &Span<'_>, at: Lanes, shrink: Val) {
        let (args, attend, lanes) = (&span.args, self.attend, self.attend.lanes());
        let values = self.stored(f, args, [span.numbers.group, at.page], Side::Values);
        let weights = float_at(f, args.scratch, self.extra().choice.weights);
        let sums = float_at(f, args.scratch, self.extra().choice.sums);
        let (zero, one, end) = (f.i64(0), f.i64(1), f.i64(i64::from(lanes)));
        let none = f.f32(0.0);
        for panel in attend.panels() {
            let rows = number_at(f, values.base, PAGE * panel.start, values.elem);
            let sums = float_at(f, sums, panel.start);
            let starts: Vec<usize> = (0..panel.width).step_by(lanes as usize).collect();
            let old: Vec<Val> = starts
                .iter()
                .map(|start| {
                    let p = float_at(f, sums, *start);
                    let x = f.load(p, self.vector());
                    f.mul(x, shrink)
                })
                .collect();
            let new = f.for_loop(zero..end, one, &old, |f, lane, sums| {
                let p = f.gep(weights, lane, Scalar::F32);
                let weight = f.load(p, Ty::F32);
                // What is not shown may be no number.
                let some = f.cmp(Cmp::Ne, weight, none);
                f.if_else(
                    some,
                    |f| {
                        let weight = f.splat(weight, lanes);
                        let slot = f.add(at.start, lane);
                        let row = numbers_at(f, rows, slot, panel.width, values.elem);
                        let starts = starts.iter().zip(sums);
                        starts
                            .map(|(start, sum)| {
                                let p = number_at(f, row, *start, values.elem);
                                let v = plain_vector(f, values.stored, p, lanes, None);
                                f.fma(weight, v, *sum)
                            })
                            .collect()
                    },
                    |_| sums.to_vec(),
                )
            });
            for (start, sum) in starts.iter().zip(new) {
                let p = float_at(f, sums, *start);
                f.store(sum, p);
            }
        }
    }

    /// Adds the weights to those that the query head gives.
    fn give(&self, f: &mut Func, span: &Span<'_>, shown: Shown, scores: Val) {
        let (args, lanes) = (&span.args, self.attend.lanes());
        let largest = self.noted(f, args, Found::Largest);
        let least = f.f32(f32::NEG_INFINITY);
        let (empty, none) = (f.cmp(Cmp::Eq, largest, least), f.f32(0.0));
        let base = f.select(empty, none, largest);
        let base = f.splat(base, lanes);
        let weights = f.sub(scores, base);
        let weights = exp2(f, weights);
        // Where results were written, the sum of weights became its inverse.
        let inverse = self.noted(f, args, Found::Total);
        let inverse = f.splat(inverse, lanes);
        let row = self.given_row(f, args, span.numbers.head, shown.at.page);
        let p = f.gep(row, shown.at.start, Scalar::F32);
        let old = f.load(p, self.vector());
        let sum = f.fma(weights, inverse, old);
        f.store(sum, p);
    }
}
