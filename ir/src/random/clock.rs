//! The lowered forms of slower clocks and of complex numbers: states that hold their value between ticks, and pairs of states.

use super::{Generator, SIZES};
use crate::{BinaryOp, ReduceOp, Ty, UnaryOp, Value, dims};

impl Generator {
    /// A recurrence that moves where a condition holds, and the last value of a stream where it did: `hold`.
    pub(super) fn slower(&mut self) -> Value {
        let u = self.pick();
        let sizes = self.sizes(u);
        let on = self.condition_like(u);
        let ((one, h), (two, last)) = (self.state(&sizes), self.state(&sizes));
        let half = self.times(h, 0.5);
        let moved = self.mean(half, u);
        let next = self.graph.select(on, moved, h);
        self.graph.set_next(one, next);
        let held = self.graph.select(on, u, last);
        self.graph.set_next(two, held);
        self.mean(next, held)
    }

    /// A memory that learns, from a start value on, what it answered as it was where a period began: rows of matrices that are read by
    /// products with keys.
    pub(super) fn learning(&mut self) -> Value {
        let u = self.pick();
        let shape = [
            1 + self.rng.below(3),
            *self.rng.choose(&[1, 3, 8]),
            *self.rng.choose(&SIZES),
        ];
        let ((held, base), (state, prev)) = (self.state(&shape), self.state(&shape));
        let position = self.graph.position();
        let zero = self.graph.constant(0.0, Ty::i64(&[]));
        let begins = self.graph.binary(BinaryOp::Eq, position, zero);
        let begins = self.graph.broadcast(begins, dims(&shape), &[]);
        let start = self.param(&shape, 0.5);
        let before = self.graph.select(begins, start, prev);
        let first = self.condition_like(prev);
        let now = match self.rng.once_in(2) {
            true => self.graph.select(first, before, base),
            false => self.graph.select(first, base, before),
        };
        self.graph.set_next(held, now);
        let (key, query) = (self.projected(u, &shape[..1]), self.projected(u, &[shape[0], shape[2]]));
        let answer = self.answer(now, query, &shape);
        let answer = self.graph.broadcast(answer, dims(&shape), &[0, 1]);
        let key = self.graph.broadcast(key, dims(&shape), &[0]);
        let learnt = self.graph.product_of(answer, key);
        let learnt = self.tanh(learnt);
        let kept = self.filled(0.75, prev);
        let next = self.blend(state, before, kept, learnt);
        self.answer(next, query, &shape)
    }

    /// `y[h, v] = tanh(sum(n: M[h, v, n] * q[h, n]) / n)`.
    fn answer(&mut self, memory: Value, query: Value, shape: &[usize; 3]) -> Value {
        let query = self.graph.broadcast(query, dims(shape), &[0, 2]);
        let product = self.graph.product_of(memory, query);
        let sum = self.graph.reduce(ReduceOp::Sum, product, 1);
        let mean = self.times(sum, 1.0 / shape[2] as f64);
        self.tanh(mean)
    }

    /// A complex diagonal recurrence `z = e^(-a + i b) z' + u (c + i d)` over `[e, n]`, and the real part of a contraction.
    pub(super) fn rotation(&mut self) -> Value {
        let u = self.short_vector();
        let e = self.graph.ty(u).len();
        let n = *self.rng.choose(&[1, 3, 4, 16]);
        let shape = [e, n];
        let [turn, low, re_in, im_in, re_out, im_out] =
            [3.0, 1.0, 0.5, 0.5, 1.0, 1.0].map(|scale| self.param(&shape, scale));
        let low = self.graph.unary(UnaryOp::Exp, low);
        let low = self.graph.unary(UnaryOp::Neg, low);
        let size = self.graph.unary(UnaryOp::Exp, low);
        let [a, b] = [UnaryOp::Cos, UnaryOp::Sin].map(|f| {
            let part = self.graph.unary(f, turn);
            self.graph.product_of(size, part)
        });
        let ((re, x), (im, y)) = (self.state(&shape), self.state(&shape));
        let wide = self.graph.broadcast(u, dims(&shape), &[0]);
        let product = |g: &mut Generator, [p, q, r, s]: [Value; 4], op: BinaryOp, add: Value| {
            let (left, right) = (g.graph.product_of(p, q), g.graph.product_of(r, s));
            let turned = g.graph.binary(op, left, right);
            let added = g.graph.product_of(wide, add);
            g.graph.sum_of(turned, added)
        };
        let next_re = product(self, [a, x, b, y], BinaryOp::Sub, re_in);
        let next_im = product(self, [b, x, a, y], BinaryOp::Add, im_in);
        self.graph.set_next(re, next_re);
        self.graph.set_next(im, next_im);
        let (left, right) = (
            self.graph.product_of(re_out, next_re),
            self.graph.product_of(im_out, next_im),
        );
        let terms = self.graph.binary(BinaryOp::Sub, left, right);
        let sum = self.graph.reduce(ReduceOp::Sum, terms, 1);
        let sum = self.times(sum, 0.125 / n as f64);
        self.tanh(sum)
    }
}
