//! Sizes beyond every limit inside the compiler, and unusual forms that the language admits: truth values at computed
//! indices, delays of what never changes, infinite constants.

use super::{Generator, ROWS};
use crate::{BinaryOp, Elem, IndexExpr, ReduceOp, Ty, UnaryOp, Value, dims};

/// Sizes of axes that are reduced at once: more than a thread shares, than a vector has lanes, than a page has tokens.
const LARGE: [usize; 4] = [257, 1025, 4097, 5003];

impl Generator {
    /// One of the forms.
    pub(super) fn large(&mut self) -> Value {
        match self.rng.below(8) {
            0 => self.wide_softmax(),
            1 => self.wide_choice(),
            2 => self.sum_over_pairs(),
            3 => self.wide_recurrence(),
            4 => self.truth_of_table(),
            5 => self.truth_of_stream(),
            6 => self.past_of_constant(),
            _ => self.infinite(),
        }
    }

    /// The entries of a value over and over, along one long axis.
    fn repeated(&mut self, n: usize) -> Value {
        let x = self.pick();
        let x = self.flat(x);
        let len = self.graph.ty(x).len();
        let map = IndexExpr::Mod(Box::new(IndexExpr::Axis(0)), len as i64);
        self.graph.view(x, dims(&[n]), vec![map])
    }

    /// Entries of a softmax of many, times their number.
    fn wide_softmax(&mut self) -> Value {
        let n = *self.rng.choose(&LARGE);
        let x = self.repeated(n);
        let most = self.graph.reduce(ReduceOp::Max, x, 1);
        let most = self.graph.broadcast(most, dims(&[n]), &[]);
        let less = self.graph.binary(BinaryOp::Sub, x, most);
        let e = self.graph.unary(UnaryOp::Exp, less);
        let sum = self.graph.reduce(ReduceOp::Sum, e, 1);
        let sum = self.graph.broadcast(sum, dims(&[n]), &[]);
        let weights = self.graph.binary(BinaryOp::Div, e, sum);
        let weights = self.times(weights, 0.1 * n as f64);
        let (start, size) = (self.rng.below(n - 20), *self.rng.choose(&[1, 3, 17]));
        let part = self.graph.slice(weights, 0, start, size);
        self.tanh(part)
    }

    /// The first index of the largest entry of integers, as a number below 1.
    fn wide_choice(&mut self) -> Value {
        let n = *self.rng.choose(&LARGE);
        let all = Ty::i64(&[n]);
        let index = self.graph.iota(dims(&[n]), 0);
        let token = self.graph.broadcast(self.token, dims(&[n]), &[]);
        let sum = self.graph.sum_of(index, token);
        let period = self.graph.constant((n / 3) as f64, all.clone());
        let rest = self.graph.binary(BinaryOp::Mod, sum, period);
        let most = self.graph.reduce(ReduceOp::Max, rest, 1);
        let most = self.graph.broadcast(most, dims(&[n]), &[]);
        let here = self.graph.binary(BinaryOp::Eq, rest, most);
        let beyond = self.graph.constant(n as f64, all);
        let found = self.graph.select(here, index, beyond);
        let first = self.graph.reduce(ReduceOp::Min, found, 1);
        let real = self.graph.cast(Elem::F32, first);
        self.times(real, 1.0 / n as f64)
    }

    /// A sum over all pairs of two vectors' entries, of their products or of something that is no product.
    fn sum_over_pairs(&mut self) -> Value {
        let [n, m] = [97, 103];
        let (a, b) = (self.repeated(n), self.repeated(m));
        let shape = [n, m];
        let (a, b) = (
            self.graph.broadcast(a, dims(&shape), &[0]),
            self.graph.broadcast(b, dims(&shape), &[1]),
        );
        let op = *self.rng.choose(&[BinaryOp::Mul, BinaryOp::Max]);
        let both = self.graph.binary(op, a, b);
        let axes = 1 + self.rng.below(2);
        let sum = self.graph.reduce(ReduceOp::Sum, both, axes);
        let count = if axes == 1 { m } else { n * m };
        let mean = self.times(sum, 1.0 / count as f64);
        self.tanh(mean)
    }

    /// A recurrence over many entries whose result is their mean, or a long reduction inside a recurrence.
    fn wide_recurrence(&mut self) -> Value {
        let n = *self.rng.choose(&LARGE[..3]);
        let u = self.repeated(n);
        let (state, prev) = self.state(&[n]);
        let kept = self.times(prev, 0.5);
        let mut next = self.mean(kept, u);
        if self.rng.once_in(2) {
            let sum = self.graph.reduce(ReduceOp::Sum, prev, 1);
            let mean = self.times(sum, 0.5 / n as f64);
            let mean = self.graph.broadcast(mean, dims(&[n]), &[]);
            next = self.graph.sum_of(next, mean);
            next = self.tanh(next);
        }
        self.graph.set_next(state, next);
        let sum = self.graph.reduce(ReduceOp::Sum, next, 1);
        self.times(sum, 1.0 / n as f64)
    }

    /// A choice by an entry of a table of truth values.
    fn truth_of_table(&mut self) -> Value {
        let index = self.graph.iota(dims(&[ROWS]), 0);
        let three = self.graph.constant(3.0, Ty::i64(&[ROWS]));
        let rest = self.graph.binary(BinaryOp::Mod, index, three);
        let one = self.graph.constant(1.0, Ty::i64(&[ROWS]));
        let table = self.graph.binary(BinaryOp::Eq, rest, one);
        let found = self.graph.gather(table, self.token);
        self.chosen_by(found)
    }

    /// A choice by an entry of a truth value of the token, at a computed index: the one where the index is met.
    fn truth_of_stream(&mut self) -> Value {
        let index = self.graph.iota(dims(&[ROWS]), 0);
        let token = self.graph.broadcast(self.document, dims(&[ROWS]), &[]);
        let small = self.graph.binary(BinaryOp::Gt, index, token);
        let number = self.graph.cast(Elem::I64, small);
        let wanted = self.graph.broadcast(self.token, dims(&[ROWS]), &[]);
        let met = self.graph.binary(BinaryOp::Eq, wanted, index);
        let zero = self.graph.constant(0.0, Ty::i64(&[ROWS]));
        let kept = self.graph.select(met, number, zero);
        let sum = self.graph.reduce(ReduceOp::Sum, kept, 1);
        let zero = self.graph.constant(0.0, Ty::i64(&[]));
        let found = self.graph.binary(BinaryOp::Ne, sum, zero);
        self.chosen_by(found)
    }

    fn chosen_by(&mut self, condition: Value) -> Value {
        let x = self.pick();
        let y = self.like(x);
        let shape = self.graph.ty(x).dims.clone();
        let condition = self.graph.broadcast(condition, shape, &[]);
        self.graph.select(condition, x, y)
    }

    /// Delays of delays, of `prev` and of windows of what is known when weights are loaded.
    fn past_of_constant(&mut self) -> Value {
        let sizes = [*self.rng.choose(&[1, 3, 17])];
        let w = self.param(&sizes, 1.0);
        let (state, prev) = self.state(&sizes);
        self.graph.set_next(state, w);
        let before = if self.rng.once_in(2) { prev } else { w };
        let steps = 1 + self.rng.below(4);
        let delayed = self.graph.delay(before, steps);
        let again = self.graph.delay(delayed, 2);
        let taps = 1 + self.rng.below(3);
        let window = self.graph.window(delayed, taps, 2);
        let first = IndexExpr::Const(self.rng.below(taps) as i64);
        let of_window = self.graph.view(window, dims(&sizes), vec![first, IndexExpr::Axis(0)]);
        let sum = self.graph.sum_of(again, of_window);
        self.mean(prev, sum)
    }

    /// Infinite constants that do not reach the result: as bounds, and as branches whose conditions do not hold.
    fn infinite(&mut self) -> Value {
        let x = self.pick();
        let top = self.filled(f64::INFINITY, x);
        let low = self.filled(f64::NEG_INFINITY, x);
        let bounded = self.graph.binary(BinaryOp::Min, x, top);
        let bounded = self.graph.binary(BinaryOp::Max, bounded, low);
        let condition = self.condition_like(x);
        let either = self.graph.select(condition, bounded, low);
        let bound = self.filled(-2.0, x);
        self.graph.binary(BinaryOp::Max, either, bound)
    }
}
