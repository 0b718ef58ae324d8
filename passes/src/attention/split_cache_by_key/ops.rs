//! Expressions over a query and its own key as operations of the token: a scalar, or one value for each head.

use seqc_ir::{
    AttendSpec, BinaryOp, Elem, Graph, IndexExpr, Op, PairDomain, PairExpr, PairLeaf, ReduceOp, Ty, UnaryOp, Value,
    dims,
};

/// A query together with its own key; evaluates expressions to values of the graph.
pub(super) struct OwnKey<'a> {
    graph: &'a mut Graph,
    spec: &'a AttendSpec,
    operands: &'a [Value],
    heads: usize,
    position: Value,
    /// The scaled product `[H]`, once it is needed.
    product: Option<Value>,
}

impl<'a> OwnKey<'a> {
    pub(super) fn new(graph: &'a mut Graph, spec: &'a AttendSpec, operands: &'a [Value]) -> OwnKey<'a> {
        OwnKey {
            spec,
            operands,
            heads: graph.ty(operands[0]).dims[0].size,
            position: graph.position(),
            product: None,
            graph,
        }
    }

    /// The graph, for what is between two expressions.
    pub(super) fn graph(&mut self) -> &mut Graph {
        self.graph
    }

    /// The score `[H]` of the query's own key.
    pub(super) fn score(&mut self) -> Value {
        let score = match &self.spec.score {
            Some(expr) => self.value(expr),
            None => self.leaf(PairLeaf::Score),
        };
        let score = self.as_elem(score, Elem::F32);
        self.per_head(score)
    }

    /// One value for each head.
    pub(super) fn per_head(&mut self, v: Value) -> Value {
        if self.graph.ty(v).rank() > 0 {
            return v;
        }
        self.graph.broadcast(v, dims(&[self.heads]), &[])
    }

    fn product(&mut self) -> Value {
        if let Some(product) = self.product {
            return product;
        }
        let graph = &mut *self.graph;
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

    /// Two values of one type and shape.
    fn alike(&mut self, mut x: Value, mut y: Value) -> (Value, Value) {
        if self.graph.ty(x).elem != self.graph.ty(y).elem {
            x = self.as_elem(x, Elem::F32);
            y = self.as_elem(y, Elem::F32);
        }
        if self.graph.ty(x).rank() != self.graph.ty(y).rank() {
            (x, y) = (self.per_head(x), self.per_head(y));
        }
        (x, y)
    }

    fn as_elem(&mut self, v: Value, elem: Elem) -> Value {
        if self.graph.ty(v).elem == elem {
            v
        } else {
            self.graph.cast(elem, v)
        }
    }

    /// True for a positive whole number.
    fn is_positive(&self, v: Value) -> bool {
        matches!(self.graph.op(v), Op::Const(c) if *c > 0.0) && self.graph.ty(v).elem == Elem::I64
    }
}

impl PairDomain for OwnKey<'_> {
    type Value = Value;

    fn value(&mut self, expr: &PairExpr) -> Value {
        // A quotient of integers that is rounded down is one of integers.
        if let PairExpr::Unary(UnaryOp::Floor, quotient) = expr
            && let PairExpr::Binary(BinaryOp::Div, x, y) = &**quotient
        {
            let (x, y) = (self.value(x), self.value(y));
            if self.graph.ty(x).elem == Elem::I64 && self.is_positive(y) {
                let (x, y) = self.alike(x, y);
                return self.graph.binary(BinaryOp::Div, x, y);
            }
            let quotient = self.binary(BinaryOp::Div, x, y);
            return self.unary(UnaryOp::Floor, quotient);
        }
        self.of_parts(expr)
    }

    fn leaf(&mut self, leaf: PairLeaf) -> Value {
        match leaf {
            PairLeaf::Score => self.product(),
            PairLeaf::QueryPos | PairLeaf::KeyPos => self.position,
            PairLeaf::Head => self.graph.iota(dims(&[self.heads]), 0),
            PairLeaf::QueryStream(n) => self.operands[self.spec.query_operands()][n],
            PairLeaf::KeyStream(n) => self.operands[self.spec.key_operands()][n],
            PairLeaf::Const(c) => {
                let whole = c.fract() == 0.0 && c.abs() < (1_u64 << 53) as f64;
                let elem = if whole { Elem::I64 } else { Elem::F32 };
                self.graph.constant(c, Ty::scalar(elem))
            }
        }
    }

    fn unary(&mut self, op: UnaryOp, x: Value) -> Value {
        match (op, self.graph.ty(x).elem) {
            (UnaryOp::Floor | UnaryOp::Round, Elem::I64) => x,
            (UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not, _) => self.graph.unary(op, x),
            _ => {
                let x = self.as_elem(x, Elem::F32);
                self.graph.unary(op, x)
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, mut x: Value, mut y: Value) -> Value {
        let whole = match op {
            BinaryOp::Div | BinaryOp::Pow => false,
            BinaryOp::Mod => self.is_positive(y),
            _ => true,
        };
        if !whole {
            x = self.as_elem(x, Elem::F32);
            y = self.as_elem(y, Elem::F32);
        }
        let (x, y) = self.alike(x, y);
        self.graph.binary(op, x, y)
    }

    fn select(&mut self, c: Value, a: Value, b: Value) -> Value {
        let (a, b) = self.alike(a, b);
        let rank = self.graph.ty(c).rank().max(self.graph.ty(a).rank());
        let [c, a, b] = [c, a, b].map(|v| if rank > 0 { self.per_head(v) } else { v });
        self.graph.select(c, a, b)
    }

    fn table(&mut self, _: usize, _: Vec<Value>) -> Value {
        unreachable!("attention with tables is left alone")
    }

    fn listed(&mut self, _: usize, _: Value) -> Value {
        unreachable!("attention with lists is left alone")
    }

    fn after(&mut self, _: Value) -> Value {
        unreachable!("attention with sums over later keys is left alone")
    }
}
