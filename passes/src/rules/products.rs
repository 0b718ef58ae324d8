//! Sums that are products with a matrix of parameters.

use super::rule::{Rule, operands_of, reshaped, summed};
use crate::affine::{Access, AffineExpr, linearise};
use seqc_ir::{BinaryOp, Dim, Elem, Graph, IndexExpr, Op, Stage, Ty, Value};

pub(super) const RULES: &[Rule] = &[Rule {
    name: "sum_of_products_with_load_stage_is_matvec",
    rewrite: sum_of_products_with_load_stage_is_matvec,
}];

/// `sum(k: w[n, k] * x[k])` with `w` of the load stage is [`Op::MatVec`]. Contractions of two streams stay reductions.
fn sum_of_products_with_load_stage_is_matvec(graph: &mut Graph, v: Value) -> Option<Value> {
    let found = Product::new(graph, v)?;
    let ty = graph.ty(v).clone();
    let mut sizes = ty.sizes();
    sizes.push(found.columns);
    let w = reshaped(graph, found.w, real(&sizes));
    let x = found.vector(graph);
    Some(graph.add(Op::MatVec, ty, &[w, x]))
}

struct Product {
    w: Value,
    columns: usize,
    vector: Vector,
}

/// Where the entries of the vector are.
enum Vector {
    /// One behind the other from an entry of a value on.
    Part { of: Value, from: i64 },
    /// In another order, or not all of them: those of a factor at its last axes, whatever the others are.
    Factor { x: Value, axes: usize },
}

impl Product {
    fn new(graph: &Graph, v: Value) -> Option<Product> {
        let (body, axes) = summed(graph, v)?;
        let [a, b] = operands_of(graph, body, BinaryOp::Mul)?;
        let stages = graph.stages();
        let stage = |v: Value| stages[v.0 as usize];
        if stage(v) == Stage::Load || graph.ty(v).rank() == 0 || graph.ty(v).elem != Elem::F32 {
            return None;
        }
        let pairs = [(a, b), (b, a)].into_iter();
        let mut pairs = pairs.filter(|(w, x)| stage(*w) == Stage::Load && stage(*x) == Stage::Token);
        pairs.find_map(|(w, x)| Product::of(graph, w, x, axes))
    }

    /// Of two factors of one shape whose last `axes` axes are summed.
    fn of(graph: &Graph, w: Value, x: Value, axes: usize) -> Option<Product> {
        let sizes = graph.ty(w).sizes();
        let [w_behind, mut x_behind] = [w, x].map(|v| Access::whole(v, &sizes).through_views(graph, &|_| false));
        let from = std::mem::take(&mut x_behind.at.constant);
        let summed = sizes.len() - axes;
        if (0..summed).any(|axis| x_behind.at.uses(axis)) {
            return None;
        }
        let reduced: Vec<AffineExpr> = (summed..sizes.len()).map(AffineExpr::axis).collect();
        let vector = match x_behind.at == linearise(&reduced, &sizes[summed..]) {
            true => Vector::Part {
                of: x_behind.value,
                from,
            },
            false => Vector::Factor { x, axes },
        };
        let all: Vec<AffineExpr> = (0..sizes.len()).map(AffineExpr::axis).collect();
        let (total, there) = (sizes.iter().product::<usize>(), graph.ty(w_behind.value).len());
        // The matrix as it lies; a transposed or sliced one is computed once, when weights are loaded. One that repeats
        // entries (a broadcast) is cheaper as the reduction it was.
        let plain = w_behind.at == linearise(&all, &sizes) && there == total;
        (plain || total <= there).then(|| Product {
            w: if plain { w_behind.value } else { w },
            columns: sizes[summed..].iter().product(),
            vector,
        })
    }

    /// The entries that take part, as a vector.
    fn vector(&self, graph: &mut Graph) -> Value {
        match self.vector {
            Vector::Part { of, from } => {
                let len = graph.ty(of).len();
                let flat = reshaped(graph, of, real(&[len]));
                if len == self.columns {
                    return flat;
                }
                let at = IndexExpr::Add(Box::new(IndexExpr::Axis(0)), Box::new(IndexExpr::Const(from)));
                graph.add(Op::View(vec![at]), real(&[self.columns]), &[flat])
            }
            Vector::Factor { x, axes } => {
                let sizes = graph.ty(x).sizes();
                let kept = sizes.len() - axes;
                let first = (0..kept).map(|_| IndexExpr::Const(0));
                let map = first.chain((0..axes).map(IndexExpr::Axis)).collect();
                let part = graph.add(Op::View(map), real(&sizes[kept..]), &[x]);
                reshaped(graph, part, real(&[self.columns]))
            }
        }
    }
}

fn real(sizes: &[usize]) -> Ty {
    Ty::new(Elem::F32, sizes.iter().map(|n| Dim::new("", *n)).collect())
}
