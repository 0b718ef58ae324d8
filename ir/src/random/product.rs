//! Matrix products, tensor products and reductions.

use super::{Generator, MOST, SIZES};
use crate::{BinaryOp, Elem, IndexExpr, Op, ReduceOp, Ty, UnaryOp, Value, dims};

impl Generator {
    /// `tanh(W @ x)`, of any shape.
    pub(super) fn projected(&mut self, x: Value, sizes: &[usize]) -> Value {
        let x = self.flat(x);
        let k = self.graph.ty(x).len();
        let n: usize = sizes.iter().product();
        let w = self.param(&[n, k], 1.5 / (k as f64).sqrt());
        let product = self.multiply(w, x);
        let product = if sizes.len() == 1 {
            product
        } else {
            self.graph.reshape(product, dims(sizes))
        };
        self.tanh(product)
    }

    /// A matrix times a vector: as the operation, or as the sum of a product.
    pub(super) fn multiply(&mut self, w: Value, x: Value) -> Value {
        if self.rng.once_in(2) {
            return self.graph.matvec(w, x);
        }
        let shape = self.graph.ty(w).dims.clone();
        let x = self.graph.broadcast(x, shape, &[1]);
        let product = if self.rng.once_in(2) {
            self.graph.product_of(w, x)
        } else {
            self.graph.product_of(x, w)
        };
        self.graph.reduce(ReduceOp::Sum, product, 1)
    }

    /// A product with a new parameter: plain, with a bias and a gate, transposed, or of rank 3.
    pub(super) fn matrix_product(&mut self) -> Value {
        let x = self.pick();
        let n = self.size();
        match self.rng.below(4) {
            0 => self.projected(x, &[n]),
            1 => {
                let up = self.projected(x, &[n]);
                let bias = self.param(&[n], 0.5);
                let up = self.graph.sum_of(up, bias);
                let gate = self.projected(x, &[n]);
                let gate = self.sigmoid(gate);
                self.graph.product_of(up, gate)
            }
            2 => {
                let x = self.flat(x);
                let k = self.graph.ty(x).len();
                let w = self.param(&[k, n], 1.5 / (k as f64).sqrt());
                let w = self.graph.transpose(w, &[1, 0]);
                let product = self.multiply(w, x);
                self.tanh(product)
            }
            _ => {
                let x = self.flat(x);
                let k = self.graph.ty(x).len();
                let w = self.param(&[3, n, k], 1.5 / (k as f64).sqrt());
                let product = self.graph.matvec(w, x);
                self.tanh(product)
            }
        }
    }

    /// Products with matrices that the token chooses of a stack, now and then of one that is not there: as the operation, or as the
    /// sum of a product, over the choices too or not.
    pub(super) fn indexed_product(&mut self) -> Value {
        let (n, k) = (*self.rng.choose(&[3, 17, 33]), *self.rng.choose(&[5, 20, 33]));
        let (matrices, count) = (*self.rng.choose(&[3, 5]), *self.rng.choose(&[1, 2, 3]));
        let index = self.indices(count, matrices + 1);
        let w = self.param(&[matrices, n, k], 1.5 / (k as f64).sqrt());
        let x = self.pick();
        let each = self.rng.once_in(2);
        let x = self.fitted(x, &if each { vec![count, k] } else { vec![k] });
        if self.rng.once_in(3) {
            let product = self.graph.indexed_matvec(w, index, x);
            return self.tanh(product);
        }
        let chosen = self.graph.gather(w, index);
        let (choices, rows, columns) = (0, 1, 2);
        let summed = self.rng.once_in(2);
        let order = if summed {
            [rows, choices, columns]
        } else {
            [choices, rows, columns]
        };
        let chosen = self.graph.transpose(chosen, &order);
        let shape = self.graph.ty(chosen).dims.clone();
        let place = |axis: usize| order.iter().position(|a| *a == axis).unwrap_or(0);
        let axes = if each {
            vec![place(choices), place(columns)]
        } else {
            vec![place(columns)]
        };
        let x = self.graph.broadcast(x, shape, &axes);
        let product = self.graph.product_of(chosen, x);
        let sum = self.graph.reduce(ReduceOp::Sum, product, if summed { 2 } else { 1 });
        let sum = self.times(sum, if summed { 1.0 / count as f64 } else { 1.0 });
        self.tanh(sum)
    }

    /// `y[a, b] = sum(c: u[a, c] * v[c, b])` and its relatives, scaled to stay small.
    pub(super) fn tensor_product(&mut self) -> Value {
        let (a, b, c) = (
            *self.rng.choose(&SIZES[..4]),
            *self.rng.choose(&SIZES[..4]),
            *self.rng.choose(&SIZES[..5]),
        );
        let (u, v) = (self.pick(), self.pick());
        let (y, summed) = match self.rng.below(4) {
            0 => {
                let (u, v) = (self.fitted(u, &[a, c]), self.fitted(v, &[c, b]));
                let u = self.graph.broadcast(u, dims(&[a, b, c]), &[0, 2]);
                let v = self.graph.broadcast(v, dims(&[a, b, c]), &[2, 1]);
                (self.contract(u, v, 1), c)
            }
            1 => {
                let (u, v) = (self.fitted(u, &[b, a]), self.fitted(v, &[b, c]));
                let w = self.param(&[a, c], 1.0);
                let u = self.graph.broadcast(u, dims(&[a, b, c]), &[1, 0]);
                let v = self.graph.broadcast(v, dims(&[a, b, c]), &[1, 2]);
                let w = self.graph.broadcast(w, dims(&[a, b, c]), &[0, 2]);
                let uv = self.graph.product_of(u, v);
                (self.contract(uv, w, 2), b * c)
            }
            2 => {
                // A short filter along an axis.
                let (u, v) = (self.fitted(u, &[a + 2]), self.fitted(v, &[3]));
                let shifted = IndexExpr::Add(Box::new(IndexExpr::Axis(0)), Box::new(IndexExpr::Axis(1)));
                let u = self.graph.view(u, dims(&[a, 3]), vec![shifted]);
                let v = self.graph.broadcast(v, dims(&[a, 3]), &[1]);
                (self.contract(u, v, 1), 3)
            }
            _ => {
                let u = self.fitted(u, &[a]);
                let v = self.fitted(v, &[b]);
                let u = self.graph.broadcast(u, dims(&[a, b]), &[0]);
                let v = self.graph.broadcast(v, dims(&[a, b]), &[1]);
                (self.graph.product_of(u, v), 1)
            }
        };
        let y = self.times(y, 1.0 / summed as f64);
        self.tanh(y)
    }

    fn contract(&mut self, u: Value, v: Value, axes: usize) -> Value {
        let product = self.graph.product_of(u, v);
        self.graph.reduce(ReduceOp::Sum, product, axes)
    }

    /// A reduction, or a normalisation built from one.
    pub(super) fn reduction(&mut self) -> Value {
        let x = self.pick();
        let sizes = self.sizes(x);
        if sizes.is_empty() {
            return self.tanh(x);
        }
        let axes = 1 + self.rng.below(sizes.len());
        let len: usize = sizes[sizes.len() - axes..].iter().product();
        match self.rng.below(6) {
            0 => {
                let sum = self.graph.reduce(ReduceOp::Sum, x, axes);
                self.times(sum, 1.0 / len as f64)
            }
            1 => self.graph.reduce(ReduceOp::Max, x, axes),
            2 => self.graph.reduce(ReduceOp::Min, x, axes),
            3 => {
                let near_one = self.times(x, 0.2 / len as f64);
                let near_one = self.plus(near_one, 1.0);
                self.graph.reduce(ReduceOp::Prod, near_one, axes)
            }
            4 => self.softmax(x),
            _ => self.rms_norm(x),
        }
    }

    fn spread(&mut self, row: Value, like: Value) -> Value {
        let shape = self.graph.ty(like).dims.clone();
        let axes: Vec<_> = (0..self.graph.ty(row).rank()).collect();
        self.graph.broadcast(row, shape, &axes)
    }

    fn softmax(&mut self, x: Value) -> Value {
        let largest = self.graph.reduce(ReduceOp::Max, x, 1);
        let largest = self.spread(largest, x);
        let less = self.graph.binary(BinaryOp::Sub, x, largest);
        let weights = self.graph.unary(UnaryOp::Exp, less);
        let total = self.graph.reduce(ReduceOp::Sum, weights, 1);
        let total = self.spread(total, x);
        self.graph.binary(BinaryOp::Div, weights, total)
    }

    fn rms_norm(&mut self, x: Value) -> Value {
        let last = self.sizes(x).last().copied().unwrap_or(1);
        let square = self.graph.product_of(x, x);
        let sum = self.graph.reduce(ReduceOp::Sum, square, 1);
        let mean = self.times(sum, 1.0 / last as f64);
        let mean = self.plus(mean, 0.1);
        let factor = self.graph.unary(UnaryOp::Rsqrt, mean);
        let factor = self.spread(factor, x);
        let y = self.graph.product_of(x, factor);
        // A single large entry among many small ones comes out as the square root of their number.
        self.tanh(y)
    }

    /// A rotation of halves by an angle that grows with the position, or a table of angles known at load time.
    pub(super) fn rotated(&mut self, q: Value) -> Value {
        let sizes = self.sizes(q);
        let Some(half) = sizes.last().filter(|e| *e % 2 == 0).map(|e| e / 2) else {
            return q;
        };
        let rows = vec![sizes[0], half];
        let index = self.graph.iota(dims(&rows), 1);
        let index = self.graph.cast(Elem::F32, index);
        let exponent = self.times(index, -1.0 / half as f64);
        let base = self.graph.add(Op::Const(100.0), Ty::f32(&rows), &[]);
        let speed = self.graph.binary(BinaryOp::Pow, base, exponent);
        let position = self.position_times(1.0, &rows);
        let angle = self.graph.product_of(position, speed);
        let (cos, sin) = (
            self.graph.unary(UnaryOp::Cos, angle),
            self.graph.unary(UnaryOp::Sin, angle),
        );
        let (a, b) = (self.graph.slice(q, 1, 0, half), self.graph.slice(q, 1, half, half));
        let (ac, bs) = (self.graph.product_of(a, cos), self.graph.product_of(b, sin));
        let (as_, bc) = (self.graph.product_of(a, sin), self.graph.product_of(b, cos));
        let (first, second) = (self.graph.binary(BinaryOp::Sub, ac, bs), self.graph.sum_of(as_, bc));
        self.graph.concat(1, &[first, second])
    }

    /// A value of rank at most 1 and moderate length, for constructions that square it.
    pub(super) fn short_vector(&mut self) -> Value {
        let x = self.pick();
        let x = self.flat(x);
        let len = self.graph.ty(x).len();
        if len * len <= MOST { x } else { self.projected(x, &[17]) }
    }
}
