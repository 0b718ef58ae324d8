//! Local simplifications: views of views, constants, neutral elements, double computations, dead nodes.
//! Does not change what is computed beyond rounding of folded constants; does not recognise patterns of several operations.

use seqc_ir::{BinaryOp, Elem, Graph, IndexExpr, Op, Ty, UnaryOp, Value, joined_views};
use std::collections::{HashMap, HashSet};

/// Runs all simplifications until nothing changes.
pub fn simplify(graph: &mut Graph) {
    // Every round removes a node or shortens a chain; the bound is a guard against a rule that undoes another.
    for _ in 0..32 {
        let changed = rewrite(graph) | share(graph);
        drop_dead(graph);
        if !changed {
            return;
        }
    }
}

/// Removes values that no output needs.
pub fn drop_dead(graph: &mut Graph) {
    let live: HashSet<Value> = graph.live_order().into_iter().collect();
    let mut order = graph.order();
    order.reverse();
    for v in order {
        if !live.contains(&v) {
            graph.remove(v);
        }
    }
}

fn rewrite(graph: &mut Graph) -> bool {
    let mut changed = false;
    for v in graph.order() {
        if graph.contains(v)
            && let Some(new) = better(graph, v)
            && new != v
        {
            if graph.node(new).name.is_empty() {
                let name = graph.node(v).name.clone();
                graph.set_name(new, name);
            }
            graph.replace(v, new);
            changed = true;
        }
    }
    changed
}

/// An equal value that is simpler than `v`.
fn better(graph: &mut Graph, v: Value) -> Option<Value> {
    match graph.op(v).clone() {
        Op::View(map) => view(graph, v, &map),
        Op::Reshape => reshape(graph, v),
        Op::Cast => cast(graph, v),
        Op::Unary(op) => unary(graph, v, op),
        Op::Binary(op) => binary(graph, v, op),
        Op::Select => select(graph, v),
        Op::Concat { .. } => {
            let operands = graph.operands(v);
            (operands.len() == 1).then(|| operands[0])
        }
        _ => None,
    }
}

fn view(graph: &mut Graph, v: Value, map: &[IndexExpr]) -> Option<Value> {
    let source = graph.operands(v)[0];
    let ty = graph.ty(v).clone();
    let identity = map.iter().enumerate().all(|(i, e)| *e == IndexExpr::Axis(i));
    if identity && *graph.ty(source) == ty {
        return Some(source);
    }
    match graph.op(source).clone() {
        Op::Const(c) => Some(graph.add(Op::Const(c), ty, &[])),
        Op::View(inner) => {
            let origin = graph.operands(source)[0];
            let joined = joined_views(&inner, map)?;
            Some(graph.add(Op::View(joined), ty, &[origin]))
        }
        _ => None,
    }
}

fn reshape(graph: &mut Graph, v: Value) -> Option<Value> {
    let source = graph.operands(v)[0];
    let ty = graph.ty(v).clone();
    if *graph.ty(source) == ty {
        return Some(source);
    }
    match graph.op(source).clone() {
        Op::Const(c) => Some(graph.add(Op::Const(c), ty, &[])),
        Op::Reshape => {
            let origin = graph.operands(source)[0];
            Some(graph.add(Op::Reshape, ty, &[origin]))
        }
        _ => None,
    }
}

fn cast(graph: &mut Graph, v: Value) -> Option<Value> {
    let source = graph.operands(v)[0];
    let ty = graph.ty(v).clone();
    if graph.ty(source).elem == ty.elem {
        return Some(source);
    }
    match (graph.op(source).clone(), ty.elem) {
        (Op::Const(c), Elem::I64) => Some(graph.add(Op::Const(seqc_ir::eval::whole(c)), ty, &[])),
        (Op::Const(c), Elem::F32) => Some(graph.add(Op::Const(c), ty, &[])),
        _ => None,
    }
}

fn constant(graph: &Graph, v: Value) -> Option<f64> {
    match graph.op(v) {
        Op::Const(c) => Some(*c),
        _ => None,
    }
}

fn unary(graph: &mut Graph, v: Value, op: UnaryOp) -> Option<Value> {
    let x = graph.operands(v)[0];
    let ty = graph.ty(v).clone();
    if ty.elem != Elem::F32 {
        return None;
    }
    let c = constant(graph, x)?;
    let value = match op {
        UnaryOp::Neg => -c,
        UnaryOp::Abs => c.abs(),
        UnaryOp::Exp => c.exp(),
        UnaryOp::Log => c.ln(),
        UnaryOp::Sqrt => c.sqrt(),
        UnaryOp::Rsqrt => 1.0 / c.sqrt(),
        UnaryOp::Floor => c.floor(),
        _ => return None,
    };
    Some(graph.add(Op::Const(value), ty, &[]))
}

fn binary(graph: &mut Graph, v: Value, op: BinaryOp) -> Option<Value> {
    let operands = graph.operands(v);
    let (a, b) = (operands[0], operands[1]);
    let ty: Ty = graph.ty(v).clone();
    let real = ty.elem == Elem::F32;
    match (constant(graph, a), constant(graph, b)) {
        (Some(x), Some(y)) if real => {
            let value = match op {
                BinaryOp::Add => x + y,
                BinaryOp::Sub => x - y,
                BinaryOp::Mul => x * y,
                BinaryOp::Div => x / y,
                BinaryOp::Pow => x.powf(y),
                BinaryOp::Max => x.max(y),
                BinaryOp::Min => x.min(y),
                _ => return None,
            };
            Some(graph.add(Op::Const(value), ty, &[]))
        }
        (None, Some(y)) => match op {
            BinaryOp::Add | BinaryOp::Sub if y == 0.0 => Some(a),
            BinaryOp::Mul | BinaryOp::Pow if y == 1.0 => Some(a),
            BinaryOp::Div if y == 1.0 => Some(a),
            // Division by a constant becomes a product where that is exact.
            BinaryOp::Div if real && y != 0.0 && (1.0 / y) * y == 1.0 && y.abs().log2().fract() == 0.0 => {
                let inverse = graph.add(Op::Const(1.0 / y), ty.clone(), &[]);
                Some(graph.add(Op::Binary(BinaryOp::Mul), ty, &[a, inverse]))
            }
            BinaryOp::Pow if y == 2.0 && real => Some(graph.add(Op::Binary(BinaryOp::Mul), ty, &[a, a])),
            BinaryOp::Pow if y == 0.5 && real => Some(graph.add(Op::Unary(UnaryOp::Sqrt), ty, &[a])),
            BinaryOp::Pow if y == -0.5 && real => Some(graph.add(Op::Unary(UnaryOp::Rsqrt), ty, &[a])),
            _ => None,
        },
        (Some(x), None) => match op {
            BinaryOp::Add if x == 0.0 => Some(b),
            BinaryOp::Mul if x == 1.0 => Some(b),
            BinaryOp::Sub if x == 0.0 && real => Some(graph.add(Op::Unary(UnaryOp::Neg), ty, &[b])),
            _ => None,
        },
        (None, None) if real && op == BinaryOp::Mul => narrow_first(graph, (a, b), ty),
        (None, None) if real && op == BinaryOp::Div => inverse_first(graph, (a, b), ty),
        _ => None,
    }
}

/// `x[i, j] / y[i]` is `x[i, j] * (1 / y)[i]`: fewer quotients.
fn inverse_first(graph: &mut Graph, (x, y): (Value, Value), ty: Ty) -> Option<Value> {
    let Op::View(map) = graph.op(y).clone() else {
        return None;
    };
    let source = graph.operands(y)[0];
    let narrow = graph.ty(source).clone();
    if narrow.len() >= ty.len() {
        return None;
    }
    let one = graph.add(Op::Const(1.0), narrow.clone(), &[]);
    let inverse = graph.add(Op::Binary(BinaryOp::Div), narrow, &[one, source]);
    let inverse = graph.add(Op::View(map), ty.clone(), &[inverse]);
    Some(graph.add(Op::Binary(BinaryOp::Mul), ty, &[x, inverse]))
}

/// `x[i] * y[j] * z[i]` is `(x * z)[i] * y[j]`: the product over fewer entries is taken first.
fn narrow_first(graph: &mut Graph, (a, b): (Value, Value), ty: Ty) -> Option<Value> {
    for (product, z) in [(a, b), (b, a)] {
        if !matches!(graph.op(product), Op::Binary(BinaryOp::Mul)) || graph.users(product).len() != 1 {
            continue;
        }
        let factors = graph.operands(product);
        for (x, y) in [(factors[0], factors[1]), (factors[1], factors[0])] {
            let Some((map, sources)) = repeated_alike(graph, x, z) else {
                continue;
            };
            // What is known when weights are loaded stays together.
            let stages = graph.stages();
            let stage = |v: Value| stages[v.0 as usize];
            if stage(product) != stage(z) {
                continue;
            }
            let narrow = graph.ty(sources[0]).clone();
            let both = graph.add(Op::Binary(BinaryOp::Mul), narrow, &sources);
            let both = graph.add(Op::View(map), ty.clone(), &[both]);
            return Some(graph.add(Op::Binary(BinaryOp::Mul), ty, &[both, y]));
        }
    }
    None
}

/// What two values of one shape repeat in the same way, and how.
fn repeated_alike(graph: &Graph, x: Value, z: Value) -> Option<(Vec<IndexExpr>, [Value; 2])> {
    let (Op::View(map), Op::View(other)) = (graph.op(x), graph.op(z)) else {
        return None;
    };
    let sources = [graph.operands(x)[0], graph.operands(z)[0]];
    let (first, second) = (graph.ty(sources[0]), graph.ty(sources[1]));
    let fits = map == other && first == second && first.len() < graph.ty(x).len();
    fits.then(|| (map.clone(), sources))
}

fn select(graph: &Graph, v: Value) -> Option<Value> {
    let operands = graph.operands(v);
    match constant(graph, operands[0]) {
        Some(c) => Some(if c != 0.0 { operands[1] } else { operands[2] }),
        None => (operands[1] == operands[2]).then(|| operands[1]),
    }
}

/// Computes equal expressions once.
fn share(graph: &mut Graph) -> bool {
    let mut seen: HashMap<(String, Elem, Vec<usize>, Vec<Value>), Value> = HashMap::new();
    let mut changed = false;
    for v in graph.order() {
        if let Op::Param(_) | Op::Input(_) = graph.op(v) {
            continue;
        }
        let ty = graph.ty(v);
        let key = (format!("{:?}", graph.op(v)), ty.elem, ty.sizes(), graph.operands(v));
        match seen.get(&key) {
            Some(first) => {
                graph.replace(v, *first);
                changed = true;
            }
            None => {
                seen.insert(key, v);
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqc_ir::Dim;

    #[test]
    fn products_over_fewer_entries_come_first() {
        let vector = |name: &str, n| Ty::new(Elem::F32, vec![Dim::new(name, n)]);
        let wide = Ty::new(Elem::F32, vec![Dim::new("e", 8), Dim::new("n", 4)]);
        let mut graph = Graph::default();
        let inputs = [vector("e", 8), vector("n", 4), vector("e", 8)];
        let [x, y, z] = [0, 1, 2].map(|n| graph.add(Op::Input(n), inputs[n].clone(), &[]));
        let along = |graph: &mut Graph, v, axis| graph.add(Op::View(vec![IndexExpr::Axis(axis)]), wide.clone(), &[v]);
        let (x, y, z) = (
            along(&mut graph, x, 0),
            along(&mut graph, y, 1),
            along(&mut graph, z, 0),
        );
        let product = graph.add(Op::Binary(BinaryOp::Mul), wide.clone(), &[x, y]);
        let product = graph.add(Op::Binary(BinaryOp::Mul), wide.clone(), &[product, z]);
        graph.outputs.push(("y".to_owned(), product));
        simplify(&mut graph);
        let products = graph
            .order()
            .into_iter()
            .filter(|v| matches!(graph.op(*v), Op::Binary(_)));
        let sizes: Vec<usize> = products.map(|v| graph.ty(v).len()).collect();
        assert_eq!(sizes, [8, 32]);
    }
}
