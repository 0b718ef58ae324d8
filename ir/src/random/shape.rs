//! Views, reshapes, concatenations, table rows: the same numbers elsewhere.

use super::{Generator, MOST, ROWS, SIZES};
use crate::{BinaryOp, Elem, IndexExpr, Ty, Value, dims};

fn axis(n: usize) -> Box<IndexExpr> {
    Box::new(IndexExpr::Axis(n))
}

fn plus(a: Box<IndexExpr>, c: usize) -> IndexExpr {
    IndexExpr::Add(a, Box::new(IndexExpr::Const(c as i64)))
}

/// Row-major position of the result's element.
fn linear(sizes: &[usize]) -> IndexExpr {
    let mut sum = IndexExpr::Const(0);
    let mut stride = 1;
    for (n, size) in sizes.iter().enumerate().rev() {
        let term = IndexExpr::Mul(axis(n), stride);
        sum = if stride == 1 {
            IndexExpr::Axis(n)
        } else {
            IndexExpr::Add(Box::new(term), Box::new(sum))
        };
        stride *= *size as i64;
    }
    sum
}

impl Generator {
    /// A value of the shape of `x`, by a random rearrangement that fits.
    pub(super) fn like(&mut self, x: Value) -> Value {
        let sizes = self.sizes(x);
        let same: Vec<_> = self
            .pool
            .iter()
            .copied()
            .filter(|v| self.graph.ty(*v).sizes() == sizes)
            .collect();
        if !same.is_empty() && !self.rng.once_in(3) {
            return *self.rng.choose(&same);
        }
        let other = self.pick();
        self.fitted(other, &sizes)
    }

    /// `x` brought to another shape: broadcast where an axis agrees, a product with a parameter, or its elements
    /// over and over.
    pub(super) fn fitted(&mut self, x: Value, sizes: &[usize]) -> Value {
        let from = self.sizes(x);
        if from == sizes {
            return x;
        }
        if let [size] = from[..]
            && let Some(at) = sizes.iter().position(|s| *s == size)
        {
            return self.graph.broadcast(x, dims(sizes), &[at]);
        }
        match self.rng.below(3) {
            0 => self.param(sizes, 1.0),
            1 => self.projected(x, sizes),
            _ => {
                let len = self.graph.ty(x).len();
                let flat = self.flat(x);
                let map = IndexExpr::Mod(Box::new(linear(sizes)), len as i64);
                self.graph.view(flat, dims(sizes), vec![map])
            }
        }
    }

    /// All elements in one axis.
    pub(super) fn flat(&mut self, x: Value) -> Value {
        let len = self.graph.ty(x).len();
        if self.graph.ty(x).rank() == 1 {
            x
        } else {
            self.graph.reshape(x, dims(&[len]))
        }
    }

    /// A view, a reshape or a concatenation.
    pub(super) fn reshaped(&mut self) -> Value {
        let x = self.pick();
        let sizes = self.sizes(x);
        match self.rng.below(5) {
            0 => {
                let other = self.like(x);
                let at = self.rng.below(sizes.len());
                if sizes.is_empty() || 2 * self.graph.ty(x).len() > MOST {
                    return self.mean(x, other);
                }
                self.graph.concat(at, &[x, other])
            }
            1 => self.folded(x),
            2 if sizes.len() > 1 => {
                let mut order: Vec<_> = (0..sizes.len()).collect();
                order.rotate_left(1 + self.rng.below(sizes.len() - 1));
                self.graph.transpose(x, &order)
            }
            3 if sizes.len() > 1 && sizes[0] == sizes[1] => {
                let mut map = vec![IndexExpr::Axis(0), IndexExpr::Axis(0)];
                map.extend((2..sizes.len()).map(|n| IndexExpr::Axis(n - 1)));
                self.graph.view(x, dims(&sizes[1..]), map)
            }
            4 if self.graph.ty(x).len() * 20 <= MOST && sizes.len() < 3 => {
                let mut result = sizes.clone();
                let at = self.rng.below(sizes.len() + 1);
                result.insert(at, *self.rng.choose(&SIZES[..5]));
                let axes: Vec<_> = (0..result.len()).filter(|n| *n != at).collect();
                self.graph.broadcast(x, dims(&result), &axes)
            }
            _ => self.along_axis(x),
        }
    }

    /// The same elements under another shape: a split of one axis, or all in one.
    fn folded(&mut self, x: Value) -> Value {
        let mut sizes = self.sizes(x);
        let split = sizes.iter().position(|s| s % 2 == 0 || s % 3 == 0);
        match split {
            Some(n) if sizes.len() < 3 && self.rng.once_in(2) => {
                let part = if sizes[n].is_multiple_of(2) {
                    sizes[n] / 2
                } else {
                    sizes[n] / 3
                };
                sizes[n] /= part;
                sizes.insert(n + 1, part);
                self.graph.reshape(x, dims(&sizes))
            }
            _ => {
                let len = self.graph.ty(x).len();
                self.graph.reshape(x, dims(&[len]))
            }
        }
    }

    /// A slice, a stride, a reversal, repeats or a rotation along one axis.
    fn along_axis(&mut self, x: Value) -> Value {
        let mut sizes = self.sizes(x);
        if sizes.is_empty() {
            return self.graph.broadcast(x, dims(&[3]), &[]);
        }
        let at = self.rng.below(sizes.len());
        let size = sizes[at];
        let mut map: Vec<_> = (0..sizes.len()).map(IndexExpr::Axis).collect();
        let mut result = size;
        map[at] = match self.rng.below(6) {
            0 => {
                let start = self.rng.below(size);
                result = 1 + self.rng.below(size - start);
                plus(axis(at), start)
            }
            1 => {
                result = size.div_ceil(2);
                IndexExpr::Mul(axis(at), 2)
            }
            2 => plus(Box::new(IndexExpr::Mul(axis(at), -1)), size - 1),
            3 => {
                result = if self.graph.ty(x).len() * 3 <= MOST {
                    size * 3
                } else {
                    size
                };
                IndexExpr::Div(axis(at), 3)
            }
            4 => {
                result = if self.graph.ty(x).len() * 3 <= MOST {
                    size * 3
                } else {
                    size
                };
                IndexExpr::Mod(axis(at), size as i64)
            }
            _ => IndexExpr::Mod(Box::new(plus(axis(at), 1 + self.rng.below(size))), size as i64),
        };
        sizes[at] = result;
        self.graph.view(x, dims(&sizes), map)
    }

    /// Rows of a table: for the token, or for several shifted tokens.
    pub(super) fn lookup(&mut self) -> Value {
        let width = self.size();
        let table = self.param(&[ROWS, width], 1.0);
        if self.rng.once_in(2) {
            return self.graph.gather(table, self.token);
        }
        let count = *self.rng.choose(&[1, 3, 5]);
        let index = self.indices(count, ROWS);
        self.graph.gather(table, index)
    }

    /// Several indices below a number, which the token decides.
    pub(super) fn indices(&mut self, count: usize, below: usize) -> Value {
        let shifts = self.graph.iota(dims(&[count]), 0);
        let token = self.graph.broadcast(self.token, dims(&[count]), &[]);
        let rows = self.graph.constant(below as f64, Ty::new(Elem::I64, dims(&[count])));
        let shifted = self.graph.binary(BinaryOp::Add, token, shifts);
        self.graph.binary(BinaryOp::Mod, shifted, rows)
    }
}
