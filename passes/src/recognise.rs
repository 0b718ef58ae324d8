//! Recognises products with parameters, and one-step memories, behind index notation.
//! Does not touch contractions of two streams: those stay reductions.

use crate::index::{Lin, linearise, through_views};
use seqc_ir::{BinaryOp, Graph, IndexExpr, Op, ReduceOp, Stage, Ty, Value};

/// `sum(k: w[n, k] * x[k])` with `w` of stage load becomes [`Op::MatVec`].
pub fn matrix_products(graph: &mut Graph) {
    let stages = graph.stages();
    for v in graph.order() {
        let Some(found) = product(graph, &stages, v) else {
            continue;
        };
        let ty = graph.ty(v).clone();
        let k: usize = found.sizes[ty.rank()..].iter().product();
        let dims = |sizes: Vec<usize>| sizes.into_iter().map(|n| seqc_ir::Dim::new("", n)).collect();
        let mut w_sizes = ty.sizes();
        w_sizes.push(k);
        let w = reshaped(graph, found.w, Ty::new(seqc_ir::Elem::F32, dims(w_sizes)));
        let x = part(graph, (found.x, found.offset), k);
        let name = graph.node(v).name.clone();
        let new = graph.add(Op::MatVec, ty, &[w, x]);
        graph.set_name(new, name);
        graph.replace(v, new);
    }
}

struct Product {
    w: Value,
    /// What the vector is a part of, and the entry at which the part begins.
    x: Value,
    offset: i64,
    sizes: Vec<usize>,
}

fn product(graph: &Graph, stages: &[Stage], v: Value) -> Option<Product> {
    let Op::Reduce {
        op: ReduceOp::Sum,
        axes,
    } = graph.op(v)
    else {
        return None;
    };
    if stages[v.0 as usize] == Stage::Load || graph.ty(v).rank() == 0 {
        return None;
    }
    let body = graph.operands(v)[0];
    let Op::Binary(BinaryOp::Mul) = graph.op(body) else {
        return None;
    };
    let sizes = graph.ty(body).sizes();
    let operands = graph.operands(body);
    for (w, x) in [(operands[0], operands[1]), (operands[1], operands[0])] {
        if stages[w.0 as usize] != Stage::Load || stages[x.0 as usize] != Stage::Token {
            continue;
        }
        let ((w_from, w_at), (x_from, mut x_at)) = (source(graph, w, &sizes), source(graph, x, &sizes));
        let offset = std::mem::take(&mut x_at.constant);
        let reduced: Vec<Lin> = (sizes.len() - axes..sizes.len()).map(Lin::axis).collect();
        if x_at != linearise(&reduced, &sizes[sizes.len() - axes..]) {
            continue;
        }
        let all: Vec<Lin> = (0..sizes.len()).map(Lin::axis).collect();
        let total: usize = sizes.iter().product();
        // The matrix as it lies; a transposed or sliced one is computed once, when weights are loaded.
        let plain = w_at == linearise(&all, &sizes) && graph.ty(w_from).len() == total;
        if plain {
            return Some(Product {
                w: w_from,
                x: x_from,
                offset,
                sizes,
            });
        }
        // One that repeats entries (a broadcast) is cheaper as the reduction it was.
        if total <= graph.ty(w_from).len() {
            return Some(Product {
                w,
                x: x_from,
                offset,
                sizes,
            });
        }
    }
    None
}

/// What `v`, seen over its own axes, reads through views and reshapes, and the linear index into it.
fn source(graph: &Graph, v: Value, sizes: &[usize]) -> (Value, Lin) {
    let coords = (0..sizes.len()).map(Lin::axis).collect();
    through_views(graph, &|_| false, (v, coords, sizes))
}

/// Entries `offset..offset + k` of a tensor in row-major order.
fn part(graph: &mut Graph, (x, offset): (Value, i64), k: usize) -> Value {
    let row = |n| Ty::new(seqc_ir::Elem::F32, vec![seqc_ir::Dim::new("", n)]);
    let len = graph.ty(x).len();
    let flat = reshaped(graph, x, row(len));
    if len == k {
        return flat;
    }
    let at = IndexExpr::Add(Box::new(IndexExpr::Axis(0)), Box::new(IndexExpr::Const(offset)));
    graph.add(Op::View(vec![at]), row(k), &[flat])
}

fn reshaped(graph: &mut Graph, v: Value, ty: Ty) -> Value {
    if *graph.ty(v) == ty {
        v
    } else {
        graph.add(Op::Reshape, ty, &[v])
    }
}

/// `prev(x)` of a stream that does not depend on it is a delay.
pub fn delays(graph: &mut Graph) {
    for v in graph.values() {
        let Op::Prev(s) = *graph.op(v) else { continue };
        let Some(next) = graph.states[s.0 as usize].next else {
            continue;
        };
        if !reaches(graph, next, s) {
            let ty = graph.ty(v).clone();
            let new = graph.add(Op::Delay { steps: 1 }, ty, &[next]);
            graph.replace(v, new);
        }
    }
}

/// True when `from` depends on the previous value of state `s`, through any states.
fn reaches(graph: &Graph, from: Value, s: seqc_ir::StateId) -> bool {
    let mut seen = std::collections::HashSet::new();
    let mut work = vec![from];
    while let Some(v) = work.pop() {
        if !seen.insert(v) {
            continue;
        }
        if let Op::Prev(t) = *graph.op(v) {
            if t == s {
                return true;
            }
            work.extend(graph.states[t.0 as usize].next);
        }
        work.extend(graph.operands(v));
    }
    false
}
