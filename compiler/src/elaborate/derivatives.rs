//! Derivatives of operations: from the derivative by a result to that by an operand.

use super::cx::Cx;
use seqc_ir::{BinaryOp, Dim, Elem, IndexExpr, Op, ReduceOp, Ty, UnaryOp, Value};
use std::collections::HashSet;

/// `2 / sqrt(pi)`, of the derivative of the error function.
const ERF_SLOPE: f64 = std::f64::consts::FRAC_2_SQRT_PI;

/// How an axis of the operand of a view is read.
#[derive(Clone, Copy)]
enum Read {
    /// At one index.
    At(i64),
    /// Along an axis of the result, from an index on.
    Along(usize, i64),
}

impl Cx<'_> {
    /// What operand `slot` of `v` changes per unit, where `v` changes by `slope`; or the name of an operation without a derivative.
    pub(super) fn slope_of_operand(&mut self, v: Value, slot: usize, slope: Value) -> Result<Value, &'static str> {
        let operands = self.graph.operands(v);
        let x = operands[slot];
        let op = self.graph.op(v).clone();
        match op {
            Op::Unary(f) => self.slope_of_unary(f, v, x, slope),
            Op::Binary(f) => self.slope_of_binary(f, v, slot, slope),
            Op::Select => {
                let zero = self.number_like(0.0, slope);
                let (yes, no) = if slot == 1 { (slope, zero) } else { (zero, slope) };
                Ok(self.graph.select(operands[0], yes, no))
            }
            Op::Cast => Err("int"),
            Op::View(map) => Ok(self.slope_of_view(&map, x, slope)),
            Op::Reshape => {
                let dims = self.graph.ty(x).dims.clone();
                Ok(self.graph.reshape(slope, dims))
            }
            Op::Concat { axis } => {
                let size = |cx: &Cx<'_>, o: &Value| cx.graph.ty(*o).dims[axis].size;
                let start = operands[..slot].iter().map(|o| size(self, o)).sum();
                let dims = self.graph.ty(x).dims.clone();
                let part = self.graph.slice(slope, axis, start, dims[axis].size);
                let all = (0..dims.len()).map(IndexExpr::Axis).collect();
                Ok(self.graph.view(part, dims, all))
            }
            Op::Gather => Ok(self.slope_of_table(operands[1], x, slope)),
            Op::Reduce { op, axes } => self.slope_of_reduction(op, axes, v, slope),
            Op::Delay { .. } => Err("delay"),
            Op::Window { .. } => Err("recent"),
            Op::LongConv => Err("long_conv"),
            Op::Reverse => Err("reverse"),
            Op::Attend(_) => Err("attend"),
            // Passes make these later on.
            Op::MatVec | Op::IndexedMatVec | Op::RoundRow(_) => Err("@"),
            Op::Param(_) | Op::Input(_) | Op::Const(_) | Op::Iota { .. } | Op::Position | Op::Prev(_) => Err("a leaf"),
        }
    }

    fn number_like(&mut self, c: f64, like: Value) -> Value {
        let ty = Ty::new(Elem::F32, self.graph.ty(like).dims.clone());
        self.graph.constant(c, ty)
    }

    /// `c * x`
    fn times(&mut self, x: Value, c: f64) -> Value {
        let c = self.number_like(c, x);
        self.graph.product_of(x, c)
    }

    fn slope_of_unary(&mut self, f: UnaryOp, v: Value, x: Value, slope: Value) -> Result<Value, &'static str> {
        let g = &mut self.graph;
        Ok(match f {
            UnaryOp::Neg => g.unary(UnaryOp::Neg, slope),
            UnaryOp::Abs => {
                let zero = self.number_like(0.0, x);
                let g = &mut self.graph;
                let (up, down) = (g.binary(BinaryOp::Gt, x, zero), g.binary(BinaryOp::Lt, x, zero));
                let negated = g.unary(UnaryOp::Neg, slope);
                let below = g.select(down, negated, zero);
                g.select(up, slope, below)
            }
            UnaryOp::Exp => g.product_of(slope, v),
            UnaryOp::Log => g.binary(BinaryOp::Div, slope, x),
            UnaryOp::Sqrt => {
                let half = self.times(slope, 0.5);
                self.graph.binary(BinaryOp::Div, half, v)
            }
            UnaryOp::Rsqrt => {
                let square = g.product_of(v, v);
                let cube = g.product_of(square, v);
                let product = g.product_of(slope, cube);
                self.times(product, -0.5)
            }
            UnaryOp::Sin => {
                let c = g.unary(UnaryOp::Cos, x);
                g.product_of(slope, c)
            }
            UnaryOp::Cos => {
                let s = g.unary(UnaryOp::Sin, x);
                let product = g.product_of(slope, s);
                g.unary(UnaryOp::Neg, product)
            }
            UnaryOp::Tanh => {
                let square = g.product_of(v, v);
                let one = self.number_like(1.0, v);
                let rest = self.graph.binary(BinaryOp::Sub, one, square);
                self.graph.product_of(slope, rest)
            }
            UnaryOp::Sigmoid => {
                let one = self.number_like(1.0, v);
                let rest = self.graph.binary(BinaryOp::Sub, one, v);
                let product = self.graph.product_of(v, rest);
                self.graph.product_of(slope, product)
            }
            UnaryOp::Softplus => {
                let s = g.unary(UnaryOp::Sigmoid, x);
                g.product_of(slope, s)
            }
            UnaryOp::Erf => {
                let square = g.product_of(x, x);
                let negated = g.unary(UnaryOp::Neg, square);
                let bell = g.unary(UnaryOp::Exp, negated);
                let product = g.product_of(slope, bell);
                self.times(product, ERF_SLOPE)
            }
            UnaryOp::Floor | UnaryOp::Round | UnaryOp::Not => return Err(f.name()),
        })
    }

    fn slope_of_binary(&mut self, f: BinaryOp, v: Value, slot: usize, slope: Value) -> Result<Value, &'static str> {
        let [x, y] = self.graph.operands(v)[..] else {
            return Err(f.name());
        };
        let (first, g) = (slot == 0, &mut self.graph);
        Ok(match f {
            BinaryOp::Add => slope,
            BinaryOp::Sub if first => slope,
            BinaryOp::Sub => g.unary(UnaryOp::Neg, slope),
            BinaryOp::Mul => g.product_of(slope, if first { y } else { x }),
            BinaryOp::Div if first => g.binary(BinaryOp::Div, slope, y),
            BinaryOp::Div => {
                let product = g.product_of(slope, v);
                let quotient = g.binary(BinaryOp::Div, product, y);
                g.unary(UnaryOp::Neg, quotient)
            }
            BinaryOp::Mod if first => slope,
            BinaryOp::Pow if first => {
                let one = self.number_like(1.0, y);
                let g = &mut self.graph;
                let less = match g.op(y).as_const() {
                    Some(2.0) => x,
                    Some(c) => {
                        let ty = g.ty(y).clone();
                        let less = g.constant(c - 1.0, ty);
                        g.binary(BinaryOp::Pow, x, less)
                    }
                    None => {
                        let less = g.binary(BinaryOp::Sub, y, one);
                        g.binary(BinaryOp::Pow, x, less)
                    }
                };
                let product = g.product_of(slope, y);
                g.product_of(product, less)
            }
            BinaryOp::Pow => {
                let log = g.unary(UnaryOp::Log, x);
                let product = g.product_of(slope, v);
                g.product_of(product, log)
            }
            BinaryOp::Max | BinaryOp::Min => {
                // Of equal numbers it is the second that changes.
                let larger = if f == BinaryOp::Max { BinaryOp::Gt } else { BinaryOp::Lt };
                let of_first = g.binary(larger, x, y);
                let zero = self.number_like(0.0, slope);
                let (yes, no) = if first { (slope, zero) } else { (zero, slope) };
                self.graph.select(of_first, yes, no)
            }
            BinaryOp::Mod => return Err("%"),
            BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => return Err(f.name()),
            BinaryOp::Eq | BinaryOp::Ne | BinaryOp::And | BinaryOp::Or => return Err(f.name()),
        })
    }

    fn slope_of_reduction(&mut self, op: ReduceOp, axes: usize, v: Value, slope: Value) -> Result<Value, &'static str> {
        let x = self.graph.operands(v)[0];
        let dims = self.graph.ty(x).dims.clone();
        let kept: Vec<usize> = (0..dims.len() - axes).collect();
        match op {
            ReduceOp::Sum => Ok(self.graph.broadcast(slope, dims, &kept)),
            ReduceOp::Prod => Err("prod"),
            ReduceOp::Max | ReduceOp::Min => {
                // Of several that are equal each changes by its share.
                let best = self.graph.broadcast(v, dims.clone(), &kept);
                let hit = self.graph.binary(BinaryOp::Eq, x, best);
                let count = self.graph.cast(Elem::F32, hit);
                let count = self.graph.reduce(ReduceOp::Sum, count, axes);
                let share = self.graph.binary(BinaryOp::Div, slope, count);
                let share = self.graph.broadcast(share, dims, &kept);
                let zero = self.number_like(0.0, share);
                Ok(self.graph.select(hit, share, zero))
            }
        }
    }

    /// Every entry of `x` changes as much as all results together that read it.
    fn slope_of_view(&mut self, map: &[IndexExpr], x: Value, slope: Value) -> Value {
        let (from, to) = (self.graph.ty(x).dims.clone(), self.graph.ty(slope).dims.clone());
        let Some(reads) = plain_reads(map) else {
            let rank = from.len();
            let index = |cx: &mut Self, all: &[Dim], n: usize| {
                let iota = cx.graph.iota(vec![from[n].clone()], 0);
                cx.graph.view(iota, all.to_vec(), vec![shifted(&map[n], rank)])
            };
            let axes = 0..rank;
            return self.scattered(&from, slope, |cx, all| {
                axes.clone().map(|n| (n, index(cx, all, n))).collect()
            });
        };
        // The axes that are read along, in the order of `x`, then those that repeat.
        let mut order: Vec<usize> = reads.iter().filter_map(|read| read.axis()).collect();
        let kept = order.len();
        order.extend((0..to.len()).filter(|axis| !order.contains(axis)).collect::<Vec<_>>());
        let mut sum = slope;
        if order.iter().enumerate().any(|(n, axis)| n != *axis) {
            sum = self.graph.transpose(sum, &order);
        }
        if kept < to.len() {
            sum = self.graph.reduce(ReduceOp::Sum, sum, to.len() - kept);
        }
        self.placed(&reads, &from, &to, sum)
    }

    /// What is read along axes in its place in `x`, zeros beside it.
    fn placed(&mut self, reads: &[Read], from: &[Dim], to: &[Dim], sum: Value) -> Value {
        let mut index = Vec::new();
        let mut inside: Option<Value> = None;
        for (n, read) in reads.iter().enumerate() {
            let (start, size) = match read {
                Read::At(c) => (*c, 1),
                Read::Along(axis, c) => (*c, to[*axis].size),
            };
            if read.axis().is_some() {
                let from_start = IndexExpr::Add(Box::new(IndexExpr::Axis(n)), Box::new(IndexExpr::Const(-start)));
                index.push(match start == 0 && size == from[n].size {
                    true => IndexExpr::Axis(n),
                    false => IndexExpr::Mod(Box::new(from_start), size as i64),
                });
            }
            if size < from[n].size {
                let at = self.graph.iota(from.to_vec(), n);
                for (compare, bound) in [(BinaryOp::Ge, start), (BinaryOp::Lt, start + size as i64)] {
                    let bound = self.graph.constant(bound as f64, Ty::new(Elem::I64, from.to_vec()));
                    let holds = self.graph.binary(compare, at, bound);
                    inside = Some(inside.map_or(holds, |i| self.graph.binary(BinaryOp::And, i, holds)));
                }
            }
        }
        let spread = self.graph.view(sum, from.to_vec(), index);
        match inside {
            None => spread,
            Some(inside) => {
                let zero = self.number_like(0.0, spread);
                self.graph.select(inside, spread, zero)
            }
        }
    }

    /// Every row of a table changes as much as all results together that picked it.
    fn slope_of_table(&mut self, index: Value, table: Value, slope: Value) -> Value {
        let from = self.graph.ty(table).dims.clone();
        let picked = self.graph.ty(index).rank();
        let rank = from.len();
        self.scattered(&from, slope, |cx, all| {
            let axes: Vec<usize> = (rank..rank + picked).collect();
            let row = cx.graph.broadcast(index, all.to_vec(), &axes);
            let ty = Ty::new(Elem::I64, all.to_vec());
            let (first, last) = (
                cx.graph.constant(0.0, ty.clone()),
                cx.graph.constant(all[0].size as f64 - 1.0, ty),
            );
            let row = cx.graph.binary(BinaryOp::Max, row, first);
            let mut hits = vec![(0, cx.graph.binary(BinaryOp::Min, row, last))];
            for n in 1..rank {
                hits.push((n, cx.graph.iota(all.to_vec(), rank + picked + n - 1)));
            }
            hits
        })
    }

    /// The sum of all entries of `slope` that belong to each entry of a tensor of shape `from`. `hits` gives, over the axes of both,
    /// the index along axes of the tensor that an entry of `slope` belongs to.
    fn scattered(
        &mut self,
        from: &[Dim],
        slope: Value,
        hits: impl FnOnce(&mut Self, &[Dim]) -> Vec<(usize, Value)>,
    ) -> Value {
        let to = self.graph.ty(slope).dims.clone();
        let all = [from, &to[..]].concat();
        let axes: Vec<usize> = (from.len()..all.len()).collect();
        let spread = self.graph.broadcast(slope, all.clone(), &axes);
        let mut belongs: Option<Value> = None;
        for (axis, index) in hits(self, &all) {
            let own = self.graph.iota(all.clone(), axis);
            let holds = self.graph.binary(BinaryOp::Eq, own, index);
            belongs = Some(belongs.map_or(holds, |b| self.graph.binary(BinaryOp::And, b, holds)));
        }
        let chosen = match belongs {
            None => spread,
            Some(belongs) => {
                let zero = self.number_like(0.0, spread);
                self.graph.select(belongs, spread, zero)
            }
        };
        self.graph.reduce(ReduceOp::Sum, chosen, to.len())
    }
}

impl Read {
    /// The axis of the result that it goes along.
    fn axis(self) -> Option<usize> {
        match self {
            Read::At(_) => None,
            Read::Along(axis, _) => Some(axis),
        }
    }
}

/// How each axis is read, where each is read at one index or along an axis of its own.
fn plain_reads(map: &[IndexExpr]) -> Option<Vec<Read>> {
    let mut seen = HashSet::new();
    let read = |e: &IndexExpr| match e {
        IndexExpr::Const(c) => Some(Read::At(*c)),
        IndexExpr::Axis(n) => Some(Read::Along(*n, 0)),
        IndexExpr::Add(a, b) => match (&**a, &**b) {
            (IndexExpr::Axis(n), IndexExpr::Const(c)) | (IndexExpr::Const(c), IndexExpr::Axis(n)) => {
                Some(Read::Along(*n, *c))
            }
            _ => None,
        },
        IndexExpr::Mul(..) | IndexExpr::Div(..) | IndexExpr::Mod(..) => None,
    };
    let reads: Option<Vec<Read>> = map.iter().map(read).collect();
    reads.filter(|reads| {
        reads
            .iter()
            .filter_map(|read| read.axis())
            .all(|axis| seen.insert(axis))
    })
}

/// The same index over axes that follow `by` others.
fn shifted(e: &IndexExpr, by: usize) -> IndexExpr {
    let part = |e: &IndexExpr| Box::new(shifted(e, by));
    match e {
        IndexExpr::Axis(n) => IndexExpr::Axis(n + by),
        IndexExpr::Const(c) => IndexExpr::Const(*c),
        IndexExpr::Add(a, b) => IndexExpr::Add(part(a), part(b)),
        IndexExpr::Mul(a, k) => IndexExpr::Mul(part(a), *k),
        IndexExpr::Div(a, k) => IndexExpr::Div(part(a), *k),
        IndexExpr::Mod(a, k) => IndexExpr::Mod(part(a), *k),
    }
}
