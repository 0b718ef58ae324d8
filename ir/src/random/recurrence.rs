//! Recurrences of every class, all of them contracting, and delays.

use super::{Generator, SIZES};
use crate::{BinaryOp, Elem, IndexExpr, Op, ReduceOp, StateId, Ty, UnaryOp, Value, dims};

impl Generator {
    /// A delayed value, or a short causal filter.
    pub(super) fn history(&mut self) -> Value {
        let x = self.pick();
        let steps = 1 + self.rng.below(7);
        if self.rng.once_in(2) {
            return self.graph.delay(x, steps);
        }
        let x = self.flat(x);
        if self.rng.once_in(3) {
            return self.long_filter(x);
        }
        if self.rng.once_in(3) {
            return self.long_conv(x);
        }
        let n = self.graph.ty(x).len();
        let taps = 2 + self.rng.below(4);
        let w = self.param(&[n, taps], 1.0 / taps as f64);
        let dilation = 1 + self.rng.below(2);
        let mut sum = None;
        for tap in 0..taps {
            let lag = (taps - 1 - tap) * dilation;
            let u = if lag == 0 { x } else { self.graph.delay(x, lag) };
            let column = self.graph.slice(w, 1, tap, 1);
            let column = self.graph.reshape(column, dims(&[n]));
            let term = self.graph.product_of(column, u);
            sum = Some(sum.map_or(term, |s| self.graph.sum_of(s, term)));
        }
        sum.unwrap_or(x)
    }

    /// A stream from its end: a value, or a recurrence that runs over the sequence from its end.
    pub(super) fn backward(&mut self) -> Value {
        let x = self.pick();
        let reversed = self.graph.reverse(x);
        if self.rng.once_in(3) {
            return reversed;
        }
        self.pool.push(reversed);
        let h = self.recurrence();
        self.graph.reverse(h)
    }

    /// A filter of many taps, as one sum over a window.
    fn long_filter(&mut self, x: Value) -> Value {
        let n = self.graph.ty(x).len();
        let (taps, step) = (1 + self.rng.below(24), 1 + self.rng.below(2));
        let window = self.graph.window(x, taps, step);
        let w = self.param(&[n, taps], 1.0 / taps as f64);
        let across = vec![IndexExpr::Axis(1), IndexExpr::Axis(0)];
        let past = self.graph.view(window, dims(&[n, taps]), across);
        let product = self.graph.product_of(w, past);
        self.graph.reduce(ReduceOp::Sum, product, 1)
    }

    /// A filter as long as the sequence or longer, made at load time.
    fn long_conv(&mut self, x: Value) -> Value {
        let n = self.graph.ty(x).len();
        let taps = *self.rng.choose(&[1, 3, 16, 70, 300, 700]);
        let w = self.param(&[n, taps], 1.0);
        let lag = self.graph.iota(dims(&[n, taps]), 1);
        let lag = self.graph.cast(Elem::F32, lag);
        // Decays, so that the sum stays small whatever its length.
        let decay = self.times(lag, -0.25);
        let decay = self.graph.unary(UnaryOp::Exp, decay);
        let f = self.graph.product_of(w, decay);
        let f = self.times(f, 0.25);
        self.graph.long_conv(x, f)
    }

    /// One of the classes.
    pub(super) fn recurrence(&mut self) -> Value {
        match self.rng.below(13) {
            0 => self.constant_decay(),
            1 => self.diagonal(),
            2 => self.selective(),
            3 | 10 => self.per_head(),
            4 => self.delta_rule(),
            5 => self.nonlinear(),
            6 => self.coupled(),
            7 => self.running_maximum(),
            8 => self.slower(),
            9 => self.rotation(),
            11 => self.learning(),
            _ => self.normalised_sum(),
        }
    }

    pub(super) fn state(&mut self, sizes: &[usize]) -> (StateId, Value) {
        let name = format!("h{}", self.graph.states.len());
        let state = self.graph.add_state(name, Ty::f32(sizes));
        let prev = self.graph.prev(state);
        (state, prev)
    }

    /// Lets some states keep their axes in another order than the one in which they are computed.
    pub(super) fn turn_states(&mut self) {
        for n in 0..self.graph.states.len() {
            let (rank, id) = (self.graph.states[n].ty.rank(), StateId(n as u32));
            if rank < 2 || !self.rng.once_in(3) {
                continue;
            }
            let mut order: Vec<usize> = (0..rank).collect();
            order.rotate_left(1 + self.rng.below(rank - 1));
            let mut back = vec![0; rank];
            for (to, from) in order.iter().enumerate() {
                back[*from] = to;
            }
            if let Some(next) = self.graph.states[n].next {
                let kept = self.graph.transpose(next, &order);
                self.graph.states[n].ty = self.graph.ty(kept).clone();
                let before = self
                    .graph
                    .values()
                    .into_iter()
                    .filter(|v| *self.graph.op(*v) == Op::Prev(id));
                for v in before.collect::<Vec<_>>() {
                    let other = self.graph.prev(id);
                    let turned = self.graph.transpose(other, &back);
                    self.graph.replace(v, turned);
                    self.graph.remove(v);
                }
                self.graph.set_next(id, kept);
            }
        }
    }

    /// A state whose previous value is sometimes replaced: by zeros where a condition holds, or by a start value.
    fn resettable(&mut self, sizes: &[usize]) -> (StateId, Value) {
        let (state, prev) = self.state(sizes);
        if !self.rng.once_in(3) {
            return (state, prev);
        }
        let condition = self.condition_like(prev);
        let start = *self.rng.choose(&[0.0, 0.0, 0.5]);
        let start = self.filled(start, prev);
        (state, self.graph.select(condition, start, prev))
    }

    /// `next = a * prev + (1 - a) * u`, the closing step of most classes.
    pub(super) fn blend(&mut self, state: StateId, prev: Value, a: Value, u: Value) -> Value {
        let kept = self.graph.product_of(a, prev);
        let one = self.filled(1.0, a);
        let rest = self.graph.binary(BinaryOp::Sub, one, a);
        let added = self.graph.product_of(rest, u);
        let next = self.graph.sum_of(kept, added);
        self.graph.set_next(state, next);
        next
    }

    fn constant_decay(&mut self) -> Value {
        let u = self.pick();
        let sizes = self.sizes(u);
        let (state, prev) = self.resettable(&sizes);
        let a = if self.rng.once_in(2) {
            self.filled(0.75, u)
        } else {
            let a = self.param(&sizes, 2.0);
            self.sigmoid(a)
        };
        self.blend(state, prev, a, u)
    }

    fn diagonal(&mut self) -> Value {
        let u = self.pick();
        let sizes = self.sizes(u);
        let (state, prev) = self.resettable(&sizes);
        let gate = self.like(u);
        let a = if self.rng.once_in(2) {
            self.sigmoid(gate)
        } else {
            let rate = self.graph.unary(UnaryOp::Softplus, gate);
            let rate = self.graph.unary(UnaryOp::Neg, rate);
            self.graph.unary(UnaryOp::Exp, rate)
        };
        self.blend(state, prev, a, u)
    }

    /// A state space of `n` entries per channel with step sizes and projections that depend on the input.
    fn selective(&mut self) -> Value {
        let u = self.short_vector();
        let e = self.graph.ty(u).len();
        let n = *self.rng.choose(&[1, 3, 5, 16]);
        let shape = [e, n];
        let dt = self.projected(u, &[e]);
        let dt = self.graph.unary(UnaryOp::Softplus, dt);
        let (b, c) = (self.projected(u, &[n]), self.projected(u, &[n]));
        let a = self.param(&shape, 1.0);
        let a = self.graph.unary(UnaryOp::Exp, a);
        let a = self.graph.unary(UnaryOp::Neg, a);
        let (state, prev) = self.resettable(&shape);
        let dt_wide = self.graph.broadcast(dt, dims(&shape), &[0]);
        let rate = self.graph.product_of(dt_wide, a);
        let decay = self.graph.unary(UnaryOp::Exp, rate);
        let kept = self.graph.product_of(decay, prev);
        let du = self.graph.product_of(dt, u);
        let du = self.graph.broadcast(du, dims(&shape), &[0]);
        let b = self.graph.broadcast(b, dims(&shape), &[1]);
        let added = self.graph.product_of(du, b);
        let next = self.graph.sum_of(kept, added);
        self.graph.set_next(state, next);
        let c = self.graph.broadcast(c, dims(&shape), &[1]);
        let product = self.graph.product_of(next, c);
        let y = self.graph.reduce(ReduceOp::Sum, product, 1);
        let y = self.times(y, 0.25 / n as f64);
        self.tanh(y)
    }

    /// A matrix state per head that decays by one number per head: `S = a S + k v`, `y = q S`. Several heads may share
    /// their keys, and decays may be zero.
    fn per_head(&mut self) -> Value {
        let u = self.pick();
        let (h, k, v) = (
            *self.rng.choose(&[1, 3, 4]),
            *self.rng.choose(&SIZES[..4]),
            *self.rng.choose(&SIZES[..5]),
        );
        let shape = [h, k, v];
        let span = *self.rng.choose(&[1, h]);
        let (query, key) = (self.projected(u, &[h, k]), self.projected(u, &[h / span, k]));
        let value = self.projected(u, &[h, v]);
        let a = self.projected(u, &[h]);
        let mut a = self.sigmoid(a);
        if self.rng.once_in(3) {
            let less = self.plus(a, -0.5);
            let zero = self.filled(0.0, less);
            a = self.graph.binary(BinaryOp::Max, less, zero);
        }
        let a = self.graph.broadcast(a, dims(&shape), &[0]);
        let group = IndexExpr::Div(Box::new(IndexExpr::Axis(0)), span as i64);
        let key = self.graph.view(key, dims(&shape), vec![group, IndexExpr::Axis(1)]);
        let value = self.graph.broadcast(value, dims(&shape), &[0, 2]);
        let (state, prev) = self.resettable(&shape);
        let outer = self.graph.product_of(key, value);
        let next = self.blend(state, prev, a, outer);
        self.read_matrix(next, query, &shape)
    }

    /// `y[h, v] = sum(k: q[h, k] * S[h, k, v])`, scaled to stay small.
    fn read_matrix(&mut self, s: Value, query: Value, [h, k, v]: &[usize; 3]) -> Value {
        let turned = self.graph.transpose(s, &[0, 2, 1]);
        let query = self.graph.broadcast(query, dims(&[*h, *v, *k]), &[0, 2]);
        let product = self.graph.product_of(turned, query);
        let y = self.graph.reduce(ReduceOp::Sum, product, 1);
        self.times(y, 1.0 / (*k as f64).sqrt())
    }

    /// `S = alpha (S - beta k (k S)) + beta k v` with `k` of length one.
    fn delta_rule(&mut self) -> Value {
        let u = self.pick();
        let shape = [
            *self.rng.choose(&[1, 2, 3]),
            *self.rng.choose(&SIZES[..4]),
            *self.rng.choose(&SIZES[..4]),
        ];
        let [h, k, v] = shape;
        let (query, value) = (self.projected(u, &[h, k]), self.projected(u, &[h, v]));
        let key = self.projected(u, &[h, k]);
        let square = self.graph.product_of(key, key);
        let norm = self.graph.reduce(ReduceOp::Sum, square, 1);
        let norm = self.plus(norm, 0.01);
        let norm = self.graph.unary(UnaryOp::Rsqrt, norm);
        let norm = self.graph.broadcast(norm, dims(&[h, k]), &[0]);
        let key = self.graph.product_of(key, norm);
        let beta = self.projected(u, &[h]);
        let beta = self.sigmoid(beta);
        let (state, mut prev) = self.resettable(&shape);
        if self.rng.once_in(2) {
            let alpha = self.projected(u, &[h]);
            let alpha = self.sigmoid(alpha);
            let alpha = self.graph.broadcast(alpha, dims(&shape), &[0]);
            prev = self.graph.product_of(alpha, prev);
        }
        let turned = self.graph.transpose(prev, &[0, 2, 1]);
        let key_turned = self.graph.broadcast(key, dims(&[h, v, k]), &[0, 2]);
        let product = self.graph.product_of(turned, key_turned);
        let found = self.graph.reduce(ReduceOp::Sum, product, 1);
        let error = self.graph.binary(BinaryOp::Sub, value, found);
        let beta = self.graph.broadcast(beta, dims(&[h, v]), &[0]);
        let error = self.graph.product_of(beta, error);
        let error = self.graph.broadcast(error, dims(&shape), &[0, 2]);
        let key = self.graph.broadcast(key, dims(&shape), &[0, 1]);
        let change = self.graph.product_of(key, error);
        let next = self.graph.sum_of(prev, change);
        self.graph.set_next(state, next);
        self.read_matrix(next, query, &shape)
    }

    /// `h = tanh(W prev(h) + u)` with a contracting `W`.
    fn nonlinear(&mut self) -> Value {
        let u = self.short_vector();
        let n = self.graph.ty(u).len();
        let w = self.param(&[n, n], 0.9 / n as f64);
        let (state, prev) = self.resettable(&[n]);
        let product = self.multiply(w, prev);
        let sum = self.graph.sum_of(product, u);
        let next = self.tanh(sum);
        self.graph.set_next(state, next);
        next
    }

    /// Two states that read each other.
    fn coupled(&mut self) -> Value {
        let u = self.pick();
        let sizes = self.sizes(u);
        let ((one, a), (two, b)) = (self.resettable(&sizes), self.state(&sizes));
        let across = self.tanh(b);
        let next_a = self.mean(a, across);
        let next_a = self.mean(next_a, u);
        let gate = self.sigmoid(next_a);
        let kept = self.graph.product_of(gate, b);
        let quarter = self.times(a, 0.25);
        let next_b = self.graph.binary(BinaryOp::Sub, kept, quarter);
        let next_b = self.tanh(next_b);
        self.graph.set_next(one, next_a);
        self.graph.set_next(two, next_b);
        self.mean(next_a, next_b)
    }

    fn running_maximum(&mut self) -> Value {
        let u = self.pick();
        let sizes = self.sizes(u);
        let (state, prev) = self.resettable(&sizes);
        let less = self.plus(prev, -0.125);
        let op = if self.rng.once_in(2) {
            BinaryOp::Max
        } else {
            BinaryOp::Min
        };
        let next = self.graph.binary(op, less, u);
        // The minimum of something that only falls needs a floor.
        let bound = self.filled(-3.0, next);
        let next = self.graph.binary(BinaryOp::Max, next, bound);
        self.graph.set_next(state, next);
        next
    }

    /// Exponential gates with a running maximum and a normaliser.
    fn normalised_sum(&mut self) -> Value {
        let u = self.pick();
        let sizes = self.sizes(u);
        let gate = self.like(u);
        let (m_state, m) = self.state(&sizes);
        let (n_state, n) = self.state(&sizes);
        let (c_state, c) = self.state(&sizes);
        let forgotten = self.plus(m, -0.25);
        let next_m = self.graph.binary(BinaryOp::Max, forgotten, gate);
        let old = self.graph.binary(BinaryOp::Sub, forgotten, next_m);
        let old = self.graph.unary(UnaryOp::Exp, old);
        let new = self.graph.binary(BinaryOp::Sub, gate, next_m);
        let new = self.graph.unary(UnaryOp::Exp, new);
        let kept = self.graph.product_of(old, n);
        let next_n = self.graph.sum_of(kept, new);
        let kept = self.graph.product_of(old, c);
        let added = self.graph.product_of(new, u);
        let next_c = self.graph.sum_of(kept, added);
        self.graph.set_next(m_state, next_m);
        self.graph.set_next(n_state, next_n);
        self.graph.set_next(c_state, next_c);
        let one = self.filled(1.0, next_n);
        let bottom = self.graph.binary(BinaryOp::Max, next_n, one);
        self.graph.binary(BinaryOp::Div, next_c, bottom)
    }
}
