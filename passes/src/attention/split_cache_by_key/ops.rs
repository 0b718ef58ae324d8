//! Expressions over a query and its own key as operations of the token: a scalar, or one value for each head.

use seqc_ir::{AttendSpec, BinaryOp, Elem, Graph, IndexExpr, PairExpr, ReduceOp, Ty, UnaryOp, Value, dims};

/// A query together with its own key.
pub(super) struct Own<'a> {
    spec: &'a AttendSpec,
    operands: &'a [Value],
    heads: usize,
    position: Value,
    /// The scaled product `[H]`, once it is needed.
    product: Option<Value>,
}

impl<'a> Own<'a> {
    pub(super) fn new(graph: &mut Graph, spec: &'a AttendSpec, operands: &'a [Value]) -> Own<'a> {
        Own {
            spec,
            operands,
            heads: graph.ty(operands[0]).dims[0].size,
            position: graph.position(),
            product: None,
        }
    }

    /// A predicate.
    pub(super) fn truth(&mut self, graph: &mut Graph, expr: &PairExpr) -> Value {
        self.value(graph, expr)
    }

    /// The score `[H]` of the query's own key.
    pub(super) fn score(&mut self, graph: &mut Graph) -> Value {
        let expr = self.spec.score.clone().unwrap_or(PairExpr::Score);
        let score = self.value(graph, &expr);
        let score = self.as_elem(graph, score, Elem::F32);
        self.wide(graph, score)
    }

    /// One value for each head.
    pub(super) fn wide(&self, graph: &mut Graph, v: Value) -> Value {
        if graph.ty(v).rank() > 0 {
            return v;
        }
        graph.broadcast(v, dims(&[self.heads]), &[])
    }

    fn value(&mut self, graph: &mut Graph, expr: &PairExpr) -> Value {
        match expr {
            PairExpr::Score => self.product(graph),
            PairExpr::QueryPos | PairExpr::KeyPos => self.position,
            PairExpr::Head => graph.iota(dims(&[self.heads]), 0),
            PairExpr::QueryStream(n) => self.operands[self.spec.query_operands()][*n],
            PairExpr::KeyStream(n) => self.operands[self.spec.key_operands()][*n],
            PairExpr::Const(c) => {
                let whole = c.fract() == 0.0 && c.abs() < (1_u64 << 53) as f64;
                graph.constant(*c, Ty::scalar(if whole { Elem::I64 } else { Elem::F32 }))
            }
            PairExpr::Unary(op, x) => self.unary(graph, *op, x),
            PairExpr::Binary(op, x, y) => self.binary(graph, *op, (x, y)),
            PairExpr::Select(c, a, b) => {
                let c = self.value(graph, c);
                let (a, b) = (self.value(graph, a), self.value(graph, b));
                let (a, b) = self.alike(graph, a, b);
                let rank = graph.ty(c).rank().max(graph.ty(a).rank());
                let [c, a, b] = [c, a, b].map(|v| if rank > 0 { self.wide(graph, v) } else { v });
                graph.select(c, a, b)
            }
            PairExpr::Table(..) => unreachable!("attention with tables is left alone"),
        }
    }

    fn product(&mut self, graph: &mut Graph) -> Value {
        if let Some(product) = self.product {
            return product;
        }
        let (q, k) = (self.operands[0], self.operands[1]);
        let groups = graph.ty(k).dims[0].size;
        let group = IndexExpr::Div(Box::new(IndexExpr::Axis(0)), (self.heads / groups) as i64);
        let shape = graph.ty(q).dims.clone();
        let k = graph.view(k, shape, vec![group, IndexExpr::Axis(1)]);
        let products = graph.product_of(q, k);
        let sum = graph.reduce(ReduceOp::Sum, products, 1);
        let scale = graph.constant(self.spec.scale, Ty::f32(&[self.heads]));
        let product = graph.product_of(sum, scale);
        self.product = Some(product);
        product
    }

    fn unary(&mut self, graph: &mut Graph, op: UnaryOp, x: &PairExpr) -> Value {
        // A quotient of integers that is rounded down is one of integers.
        if let (UnaryOp::Floor, PairExpr::Binary(BinaryOp::Div, a, b)) = (op, x)
            && positive(b)
        {
            let (a, b) = (self.value(graph, a), self.value(graph, b));
            if graph.ty(a).elem == Elem::I64 {
                let (a, b) = self.alike(graph, a, b);
                return graph.binary(BinaryOp::Div, a, b);
            }
        }
        let x = self.value(graph, x);
        match (op, graph.ty(x).elem) {
            (UnaryOp::Floor | UnaryOp::Round, Elem::I64) => x,
            (UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not, _) => graph.unary(op, x),
            _ => {
                let x = self.as_elem(graph, x, Elem::F32);
                graph.unary(op, x)
            }
        }
    }

    fn binary(&mut self, graph: &mut Graph, op: BinaryOp, (x, y): (&PairExpr, &PairExpr)) -> Value {
        let whole = match op {
            BinaryOp::Div | BinaryOp::Pow => false,
            BinaryOp::Mod => positive(y),
            _ => true,
        };
        let (mut x, mut y) = (self.value(graph, x), self.value(graph, y));
        if !whole {
            x = self.as_elem(graph, x, Elem::F32);
            y = self.as_elem(graph, y, Elem::F32);
        }
        let (x, y) = self.alike(graph, x, y);
        graph.binary(op, x, y)
    }

    /// Two values of one type and shape.
    fn alike(&self, graph: &mut Graph, mut x: Value, mut y: Value) -> (Value, Value) {
        if graph.ty(x).elem != graph.ty(y).elem {
            x = self.as_elem(graph, x, Elem::F32);
            y = self.as_elem(graph, y, Elem::F32);
        }
        if graph.ty(x).rank() != graph.ty(y).rank() {
            (x, y) = (self.wide(graph, x), self.wide(graph, y));
        }
        (x, y)
    }

    fn as_elem(&self, graph: &mut Graph, v: Value, elem: Elem) -> Value {
        if graph.ty(v).elem == elem {
            v
        } else {
            graph.cast(elem, v)
        }
    }
}

/// True for a positive whole number.
fn positive(expr: &PairExpr) -> bool {
    matches!(expr, PairExpr::Const(c) if *c > 0.0 && c.fract() == 0.0)
}
