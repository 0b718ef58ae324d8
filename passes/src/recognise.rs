//! Recognises products with parameters, and one-step memories, behind index notation.
//! Does not touch contractions of two streams: those stay reductions.

use crate::affine::{AffineExpr, linearise, through_views};
use seqc_ir::{BinaryOp, Graph, IndexExpr, Op, ReduceOp, Stage, Ty, Value, verify::MAX_DELAY};
use std::collections::HashMap;

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
        let reduced: Vec<AffineExpr> = (sizes.len() - axes..sizes.len()).map(AffineExpr::axis).collect();
        if x_at != linearise(&reduced, &sizes[sizes.len() - axes..]) {
            continue;
        }
        let all: Vec<AffineExpr> = (0..sizes.len()).map(AffineExpr::axis).collect();
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
fn source(graph: &Graph, v: Value, sizes: &[usize]) -> (Value, AffineExpr) {
    let coords = (0..sizes.len()).map(AffineExpr::axis).collect();
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

/// `prev(x)` of a stream that does not depend on it is a delay; a delay of a delay is one longer delay.
pub fn delays(graph: &mut Graph) {
    let cycles = graph.cycles();
    let free = |graph: &Graph, v: Value| {
        if let Op::Delay { steps } = *graph.op(v) {
            return Some((graph.operands(v)[0], steps));
        }
        let Op::Prev(s) = *graph.op(v) else { return None };
        let next = graph.states[s.0 as usize].next.map(|next| (next, 1));
        next.filter(|_| cycles.states[s.0 as usize].is_none())
    };
    let mut origins: HashMap<Value, (Value, usize)> = HashMap::new();
    for v in graph.values() {
        let (mut chain, mut at) = (Vec::new(), v);
        while !origins.contains_key(&at)
            && let Some((before, steps)) = free(graph, at)
        {
            chain.push((at, steps));
            at = before;
        }
        let (mut source, mut total) = origins.get(&at).copied().unwrap_or((at, 0));
        for (delayed, steps) in chain.into_iter().rev() {
            if total + steps > MAX_DELAY {
                (source, total) = (at, 0);
            }
            total += steps;
            at = delayed;
            origins.insert(delayed, (source, total));
        }
    }
    for v in graph.values() {
        let Some((source, steps)) = origins.get(&v).copied() else {
            continue;
        };
        let ty = graph.ty(v).clone();
        let new = graph.add(Op::Delay { steps }, ty, &[source]);
        graph.replace(v, new);
    }
}
