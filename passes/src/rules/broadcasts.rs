//! Arithmetic on repeated values is done before they are repeated, over fewer entries.

use super::rule::{Rule, constant, operands_of};
use seqc_ir::{BinaryOp, Elem, Graph, IndexExpr, Op, Value};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "x_over_repeated_y_is_x_times_repeated_inverse",
        rewrite: x_over_repeated_y_is_x_times_repeated_inverse,
    },
    Rule {
        name: "factors_repeated_alike_are_multiplied_first",
        rewrite: factors_repeated_alike_are_multiplied_first,
    },
];

/// `x[i, j] / y[i]` is `x[i, j] * (1 / y)[i]`: fewer quotients.
fn x_over_repeated_y_is_x_times_repeated_inverse(graph: &mut Graph, v: Value) -> Option<Value> {
    let [x, y] = operands_of(graph, v, BinaryOp::Div)?;
    let Op::View(map) = graph.op(y).clone() else {
        return None;
    };
    let (source, ty) = (graph.operands(y)[0], graph.ty(v).clone());
    let narrow = graph.ty(source).clone();
    if narrow.len() >= ty.len() || ty.elem != Elem::F32 || constant(graph, x).is_some() {
        return None;
    }
    let one = graph.add(Op::Const(1.0), narrow.clone(), &[]);
    let inverse = graph.add(Op::Binary(BinaryOp::Div), narrow, &[one, source]);
    let inverse = graph.add(Op::View(map), ty.clone(), &[inverse]);
    Some(graph.add(Op::Binary(BinaryOp::Mul), ty, &[x, inverse]))
}

/// `x[i] * y[j] * z[i]` is `(x * z)[i] * y[j]`: the product over fewer entries is taken first.
fn factors_repeated_alike_are_multiplied_first(graph: &mut Graph, v: Value) -> Option<Value> {
    let [a, b] = operands_of(graph, v, BinaryOp::Mul)?;
    if graph.ty(v).elem != Elem::F32 {
        return None;
    }
    for (product, z) in [(a, b), (b, a)] {
        let Some([x, y]) = operands_of(graph, product, BinaryOp::Mul) else {
            continue;
        };
        if graph.users(product).len() != 1 {
            continue;
        }
        for (x, y) in [(x, y), (y, x)] {
            let Some(alike) = RepeatedAlike::new(graph, x, z) else {
                continue;
            };
            // What is known when weights are loaded stays together.
            let stages = graph.stages();
            if stages[product.0 as usize] != stages[z.0 as usize] {
                continue;
            }
            let ty = graph.ty(v).clone();
            let narrow = graph.ty(alike.sources[0]).clone();
            let both = graph.add(Op::Binary(BinaryOp::Mul), narrow, &alike.sources);
            let both = graph.add(Op::View(alike.map), ty.clone(), &[both]);
            return Some(graph.add(Op::Binary(BinaryOp::Mul), ty, &[both, y]));
        }
    }
    None
}

/// Two values of one shape that repeat others by the same view.
struct RepeatedAlike {
    map: Vec<IndexExpr>,
    sources: [Value; 2],
}

impl RepeatedAlike {
    fn new(graph: &Graph, x: Value, z: Value) -> Option<RepeatedAlike> {
        let (Op::View(map), Op::View(other)) = (graph.op(x), graph.op(z)) else {
            return None;
        };
        let sources = [graph.operands(x)[0], graph.operands(z)[0]];
        let (first, second) = (graph.ty(sources[0]), graph.ty(sources[1]));
        let fits = map == other && first == second && first.len() < graph.ty(x).len();
        let map = map.clone();
        fits.then_some(RepeatedAlike { map, sources })
    }
}
