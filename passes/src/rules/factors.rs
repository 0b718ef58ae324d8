//! Sums of products whose terms share a factor.

use super::rule::{Rule, operands_of, summed};
use crate::affine::{Access, LinearAccess};
use seqc_ir::{BinaryOp, Dim, Elem, Graph, IndexExpr, Op, ReduceOp, Stage, Ty, Value};

pub(super) const RULES: &[Rule] = &[Rule {
    name: "param_factor_of_all_terms_is_factor_of_sum",
    rewrite: param_factor_of_all_terms_is_factor_of_sum,
}];

/// Factors of a product that are looked for.
const FACTORS: usize = 4;

/// `sum(r, j: a[n, r] * b[r, j] * x[j])` with a parameter `a` is `sum(r: a[n, r] * sum(j: b[r, j] * x[j]))`, where that leaves a product with
/// a matrix, or a sum that is the same for all `n`. Of parameters alone, which are finite: what is not has the same place in both.
fn param_factor_of_all_terms_is_factor_of_sum(graph: &mut Graph, v: Value) -> Option<Value> {
    let (body, axes) = summed(graph, v)?;
    if graph.ty(v).elem != Elem::F32 {
        return None;
    }
    let factors = factors(graph, body).filter(|factors| factors.len() > 1)?;
    let sizes = graph.ty(body).sizes();
    let factor = |value: Value| Factor {
        value,
        behind: Access::whole(value, &sizes).through_views(graph, &|_| false),
    };
    let factors: Vec<Factor> = factors.into_iter().map(factor).collect();
    let split = (0..factors.len()).find_map(|n| Split::new(graph, &factors, n, axes))?;
    let inner = split.inner(graph);
    Some(split.outer(graph, graph.ty(v).clone(), inner))
}

/// What is multiplied, up to [`FACTORS`].
fn factors(graph: &Graph, body: Value) -> Option<Vec<Value>> {
    let mut found = vec![body];
    let mut at = 0;
    while at < found.len() {
        match operands_of(graph, found[at], BinaryOp::Mul) {
            Some([a, b]) => {
                found[at] = a;
                found.insert(at + 1, b);
            }
            None => at += 1,
        }
        if found.len() > FACTORS {
            return None;
        }
    }
    Some(found)
}

/// A factor, and what it is a view of.
struct Factor {
    value: Value,
    behind: LinearAccess,
}

/// A factor, and the others, which are added up first.
struct Split {
    factor: Value,
    rest: Vec<Value>,
    /// Sizes of the product, and how many of its axes are not summed.
    sizes: Vec<usize>,
    kept: usize,
    /// Axes of the sum of the others, in order, and those it is over.
    of_sum: Vec<usize>,
    over: Vec<usize>,
}

impl Split {
    /// Where factor `n` is a parameter that some of the last `axes` axes, which are summed, do not concern.
    fn new(graph: &Graph, factors: &[Factor], n: usize, axes: usize) -> Option<Split> {
        let factor = &factors[n];
        if !matches!(graph.op(factor.behind.value), Op::Param(_)) {
            return None;
        }
        let sizes = graph.ty(factor.value).sizes();
        let kept = sizes.len() - axes;
        let uses = |factor: &Factor, axis: usize| sizes[axis] > 1 && factor.behind.at.uses(axis);
        let of_rest = |axis: usize| (0..factors.len()).any(|i| i != n && uses(&factors[i], axis));
        let over: Vec<usize> = (kept..sizes.len())
            .filter(|a| sizes[*a] > 1 && !uses(factor, *a))
            .collect();
        if !over.iter().any(|a| of_rest(*a)) {
            return None;
        }
        let rest: Vec<Value> = (0..factors.len())
            .filter(|i| *i != n)
            .map(|i| factors[i].value)
            .collect();
        let of_sum: Vec<usize> = (0..sizes.len()).filter(|a| !over.contains(a) && of_rest(*a)).collect();
        let again = (0..kept).any(|a| uses(factor, a) && !of_rest(a));
        let stages = graph.stages();
        let of_load = rest.iter().filter(|v| stages[v.0 as usize] == Stage::Load).count();
        let pays = of_load < rest.len() && (again || of_load > 0);
        pays.then_some(Split {
            factor: factor.value,
            rest,
            sizes,
            kept,
            of_sum,
            over,
        })
    }

    /// The sum of the product of the others.
    fn inner(&self, graph: &mut Graph) -> Value {
        let axes: Vec<usize> = self.of_sum.iter().chain(&self.over).copied().collect();
        let ty = self.real(&axes);
        let parts: Vec<Value> = self.rest.iter().map(|v| self.turned(graph, *v, &axes)).collect();
        let times = |graph: &mut Graph, a: Value, b: Value| graph.add(Op::Binary(BinaryOp::Mul), ty.clone(), &[a, b]);
        let product = parts
            .into_iter()
            .reduce(|a, b| times(graph, a, b))
            .unwrap_or(self.factor);
        graph.add(sum(self.over.len()), self.real(&self.of_sum), &[product])
    }

    /// The sum of what is left, of the type of the whole one.
    fn outer(&self, graph: &mut Graph, ty: Ty, inner: Value) -> Value {
        let left: Vec<usize> = (self.kept..self.sizes.len())
            .filter(|a| !self.over.contains(a))
            .collect();
        let axes: Vec<usize> = (0..self.kept).chain(left.iter().copied()).collect();
        let place = |axis: &usize| axes.iter().position(|a| a == axis).unwrap_or(0);
        let map = self.of_sum.iter().map(|axis| IndexExpr::Axis(place(axis))).collect();
        let whole = match left.is_empty() {
            true => ty.clone(),
            false => self.real(&axes),
        };
        let inner = graph.add(Op::View(map), whole.clone(), &[inner]);
        let factor = self.turned(graph, self.factor, &axes);
        let product = graph.add(Op::Binary(BinaryOp::Mul), whole, &[factor, inner]);
        match left.len() {
            0 => product,
            n => graph.add(sum(n), ty, &[product]),
        }
    }

    /// A factor with these axes alone, the first of the others.
    fn turned(&self, graph: &mut Graph, v: Value, axes: &[usize]) -> Value {
        let at = |axis: usize| match axes.iter().position(|a| *a == axis) {
            Some(place) => IndexExpr::Axis(place),
            None => IndexExpr::Const(0),
        };
        let map = (0..self.sizes.len()).map(at).collect();
        graph.add(Op::View(map), self.real(axes), &[v])
    }

    fn real(&self, axes: &[usize]) -> Ty {
        Ty::new(Elem::F32, axes.iter().map(|a| Dim::new("", self.sizes[*a])).collect())
    }
}

fn sum(axes: usize) -> Op {
    Op::Reduce {
        op: ReduceOp::Sum,
        axes,
    }
}
