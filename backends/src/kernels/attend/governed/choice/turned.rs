//! Products of a query with keys that are turned to where both meet.
//!
//! Mostly the distances of a vector of entries fall by one from lane to lane. Then the query is turned by a whole distance once for many
//! entries, and keys by the rest, whose cosines and sines are tables.

use super::{
    super::{
        super::layout::{PAGE, float_at, numbers_at, row_at},
        Governed,
        code_layout::Side,
        turn,
    },
    see::{Found, is_ranked},
    span::{Shown, Span},
};
use crate::{
    kernel::{Cast, Cmp, Func, Scalar, Ty, Unary, Val},
    kernels::{dequant::plain_vector, math::sin_cos_of_product},
};
use seqc_ir::policy::Turn;

/// A query, and the keys of a vector of entries.
struct Meeting<'m> {
    turn: Turn,
    span: &'m Span<'m>,
    shown: Shown,
    /// Distances of query and entries.
    distance: Val,
}

impl Governed<'_> {
    /// Products of the query's channels with those of a vector of keys, both turned: by their distance.
    pub(super) fn turned_products(&self, f: &mut Func, span: &Span<'_>, shown: Shown, turn: Turn) -> Val {
        let lanes = self.attend.lanes();
        let at = shown.at;
        let rank = match is_ranked(span.sight) {
            true => self.shown_before(f, shown),
            false => f.zero(self.vector()),
        };
        let key = self
            .pair_of_span(f, span, at, None, rank)
            .real(f, &self.of_query(&span.sight.key));
        let query = span.numbers.number(f, self, &span.sight.query);
        let query = f.splat(query, lanes);
        let distance = f.sub(query, key);
        let meeting = Meeting {
            turn,
            span,
            shown,
            distance,
        };
        let steps: Vec<f32> = (0..lanes).map(|n| n as f32).collect();
        let steps = f.float_lanes(&steps);
        // The distance of lane 0, as each lane that is shown says.
        let first = f.add(distance, steps);
        let (least, most) = (
            f.float(self.vector(), f32::NEG_INFINITY),
            f.float(self.vector(), f32::INFINITY),
        );
        let (low, high) = (f.select(shown.mask, first, most), f.select(shown.mask, first, least));
        let (low, high) = (f.reduce_min(low), f.reduce_max(high));
        let consecutive = f.cmp(Cmp::Eq, low, high);
        let sum = f.if_else(
            consecutive,
            |f| vec![self.consecutive_products(f, &meeting, low)],
            |f| vec![self.single_products(f, &meeting)],
        );
        let magnitude = f.float(self.vector(), (turn.magnitude * turn.magnitude) as f32);
        let turned = f.mul(sum[0], magnitude);
        let rest = self.products(f, span, at, 2 * turn.pairs..self.attend.key_dim);
        f.add(turned, rest)
    }

    /// Entries whose distances fall by one from `first` on.
    fn consecutive_products(&self, f: &mut Func, meeting: &Meeting<'_>, first: Val) -> Val {
        let (args, turn, lanes) = (&meeting.span.args, meeting.turn, self.attend.lanes());
        let from = self.turned_from(f, meeting, first);
        let pairs = self.turned_pairs();
        let cosines = float_at(f, args.scratch, self.extra().turns);
        let sines = float_at(f, cosines, pairs * PAGE);
        let (along, across) = (self.turned_row(f, args.scratch, 0), self.turned_row(f, args.scratch, 1));
        let keys = self.stored(f, args, [meeting.span.numbers.group, meeting.shown.at.page], Side::Keys);
        let at_once = if turn.pairs.is_multiple_of(2) { 2 } else { 1 };
        let (zero, step, count) = (f.i64(0), f.i64(at_once as i64), f.i64(turn.pairs as i64));
        let none = f.zero(self.vector());
        let sums = f.for_loop(zero..count, step, &vec![none; 2 * at_once], |f, low, sums| {
            let mut next = Vec::new();
            for (n, sums) in sums.chunks(2).enumerate() {
                let n = f.i64(n as i64);
                let pair = f.add(low, n);
                let (a, b) = turn::channels(f, turn, pair);
                let [ka, kb] = [a, b].map(|channel| {
                    let row = numbers_at(f, keys.base, channel, PAGE, keys.elem);
                    let p = f.gep(row, meeting.shown.at.start, keys.elem);
                    plain_vector(f, keys.stored, p, lanes, None)
                });
                let [qa, qb] = [along, across].map(|row| {
                    let p = f.gep(row, pair, Scalar::F32);
                    let x = f.load(p, Ty::F32);
                    f.splat(x, lanes)
                });
                let [cos, sin] = [cosines, sines].map(|table| {
                    let row = row_at(f, table, pair, PAGE);
                    let p = f.gep(row, from, Scalar::F32);
                    f.load(p, self.vector())
                });
                let straight = f.mul(qb, kb);
                let straight = f.fma(qa, ka, straight);
                let crossed = f.mul(qa, kb);
                let crossed = f.neg(crossed);
                let crossed = f.fma(qb, ka, crossed);
                next.push(f.fma(cos, straight, sums[0]));
                next.push(f.fma(sin, crossed, sums[1]));
            }
            next
        });
        crate::kernels::lanes::fold(f, &sums, Func::add)
    }

    /// Where the tables of cosines and sines begin for a vector of entries: by how much less than the query in scratch they are to be turned.
    /// Turns that query anew where it does not serve.
    fn turned_from(&self, f: &mut Func, meeting: &Meeting<'_>, first: Val) -> Val {
        let (args, none) = (&meeting.span.args, f.f32(0.0));
        let base = self.noted(f, args, Found::Turned);
        let less = f.sub(base, first);
        let most = f.f32((PAGE - self.attend.lanes() as usize) as f32);
        let whole = f.unary(Unary::Floor, less);
        let (above, below, whole) = (
            f.cmp(Cmp::Ge, less, none),
            f.cmp(Cmp::Le, less, most),
            f.cmp(Cmp::Eq, whole, less),
        );
        let serves = f.and(above, below);
        let serves = f.and(serves, whole);
        let anew = f.not(serves);
        f.if_then(anew, |f| self.turn_query_by(f, meeting, first));
        let less = f.select(serves, less, none);
        f.convert(Cast::FloatToSigned, less, Scalar::I64)
    }

    /// Turns the query by a distance: both channels of every pair into rows of their own.
    fn turn_query_by(&self, f: &mut Func, meeting: &Meeting<'_>, distance: Val) {
        let (args, turn, lanes) = (&meeting.span.args, meeting.turn, self.attend.lanes());
        self.note(f, args, Found::Turned, distance);
        let pairs = self.turned_pairs();
        let cosines = float_at(f, args.scratch, self.extra().turns + 2 * pairs * PAGE);
        let sines = float_at(f, cosines, pairs);
        let wide = f.splat(distance, lanes);
        for start in (0..turn.pairs).step_by(lanes as usize) {
            let left = f.i64((turn.pairs - start) as i64);
            let mask = f.tail_mask(left, lanes);
            let p = float_at(f, args.angles, start);
            let angles = f.masked_load(p, mask, self.vector());
            let (sin, cos) = sin_cos_of_product(f, angles, wide);
            for (to, x) in [(cosines, cos), (sines, sin)] {
                let p = float_at(f, to, start);
                f.store(x, p);
            }
        }
        let query = float_at(f, args.scratch, self.extra().choice.query);
        let (along, across) = (self.turned_row(f, args.scratch, 0), self.turned_row(f, args.scratch, 1));
        let (zero, count) = (f.i64(0), f.i64(turn.pairs as i64));
        f.for_each(zero, count, 1, |f, pair| {
            let (a, b) = turn::channels(f, turn, pair);
            let [x, y, cos, sin] = [(query, a), (query, b), (cosines, pair), (sines, pair)].map(|(row, n)| {
                let p = f.gep(row, n, Scalar::F32);
                f.load(p, Ty::F32)
            });
            let (xc, ys) = (f.mul(x, cos), f.mul(y, sin));
            let (yc, xs) = (f.mul(y, cos), f.mul(x, sin));
            for (row, value) in [(along, f.sub(xc, ys)), (across, f.add(yc, xs))] {
                let p = f.gep(row, pair, Scalar::F32);
                f.store(value, p);
            }
        });
    }

    /// The first or the second channel of the pairs of the turned query.
    fn turned_row(&self, f: &mut Func, scratch: Val, n: usize) -> Val {
        float_at(f, scratch, self.extra().choice.turned + n * self.turned_pairs())
    }

    /// Entries at any distances.
    fn single_products(&self, f: &mut Func, meeting: &Meeting<'_>) -> Val {
        let (args, turn, lanes) = (&meeting.span.args, meeting.turn, self.attend.lanes());
        let keys = self.stored(f, args, [meeting.span.numbers.group, meeting.shown.at.page], Side::Keys);
        let own = float_at(f, args.scratch, self.extra().choice.query);
        let (zero, one, pairs) = (f.i64(0), f.i64(1), f.i64(turn.pairs as i64));
        let none = f.zero(self.vector());
        let sum = f.for_loop(zero..pairs, one, &[none], |f, pair, sum| {
            let p = f.gep(args.angles, pair, Scalar::F32);
            let angle = f.load(p, Ty::F32);
            let angle = f.splat(angle, lanes);
            let (sin, cos) = sin_cos_of_product(f, angle, meeting.distance);
            let (a, b) = turn::channels(f, turn, pair);
            let both = |f: &mut Func, channel: Val| {
                let p = f.gep(own, channel, Scalar::F32);
                let q = f.load(p, Ty::F32);
                let row = numbers_at(f, keys.base, channel, PAGE, keys.elem);
                let p = f.gep(row, meeting.shown.at.start, keys.elem);
                (f.splat(q, lanes), plain_vector(f, keys.stored, p, lanes, None))
            };
            let ((qa, ka), (qb, kb)) = (both(f, a), both(f, b));
            let along = f.mul(qb, kb);
            let along = f.fma(qa, ka, along);
            let across = f.mul(qb, ka);
            let across = f.neg(across);
            let across = f.fma(qa, kb, across);
            let sum = f.fma(cos, along, sum[0]);
            vec![f.fma(sin, across, sum)]
        });
        sum[0]
    }
}
