//! Rows of a table that stays in its checkpoint's encoding: embeddings.

use super::{cx::Cx, expr::ExprLowering, space::Axis};
use crate::{
    kernel::{Func, Scalar, Val},
    kernels,
};
use seqc_formats::Encoding;
use seqc_ir::Op;
use seqc_passes::{affine::AffineExpr, plan::Nest};

/// True when the nest is nothing but rows of a parameter that is not of f32.
pub(super) fn is_rows_of_table(cx: &Cx<'_>, nest: &Nest) -> bool {
    store_of(cx, nest).is_some_and(|encoding| encoding != Encoding::F32)
        && cx.plan().stored.get(&nest.value) == Some(&nest.into)
}

fn store_of(cx: &Cx<'_>, nest: &Nest) -> Option<Encoding> {
    let graph = cx.graph();
    let Op::Gather = graph.op(nest.value) else { return None };
    let Op::Param(n) = graph.op(graph.operands(nest.value)[0]) else {
        return None;
    };
    Some(cx.layer.encodings[*n])
}

/// Decodes one row for every entry of the index.
pub(super) fn rows(cx: &Cx<'_>, f: &mut Func, token: Option<Val>, nest: &Nest) {
    let graph = cx.graph();
    let operands = graph.operands(nest.value);
    let (Op::Param(n), Some(encoding)) = (graph.op(operands[0]), store_of(cx, nest)) else {
        return;
    };
    let (base, table) = (cx.param_base(f, *n), graph.ty(operands[0]).sizes());
    let width: usize = table[1..].iter().product();
    let count = graph.ty(operands[1]).len();
    let row_bytes = encoding.row_bytes(width).unwrap_or(0);
    let mut exprs = ExprLowering::new(cx, token);
    let target = match token {
        Some(token) => cx.row(f, nest.into, token),
        None => cx.buffer_base(f, nest.into),
    };
    let (zero, end) = (f.i64(0), f.i64(count as i64));
    f.for_each(zero, end, 1, |f, i| {
        let axis = exprs.space.push(Axis::At(i), count);
        exprs.enter();
        let coords = seqc_passes::affine::delinearise(
            &AffineExpr::axis(axis),
            &graph.ty(operands[1]).sizes(),
            &exprs.space.sizes,
        );
        let chosen = exprs.value(f, operands[1], &coords);
        exprs.leave();
        exprs.space.truncate(0);
        let (none, last) = (f.i64(0), f.i64(table[0] as i64 - 1));
        let chosen = f.max(chosen, none);
        let chosen = f.min(chosen, last);
        let bytes = f.i64(row_bytes as i64);
        let at = f.mul(chosen, bytes);
        let source = f.gep(base, at, Scalar::I8);
        let step = f.i64(width as i64 * 4);
        let at = f.mul(i, step);
        let target = f.gep(target, at, Scalar::I8);
        let width = f.i64(width as i64);
        f.call(&kernels::row_name(encoding), &[source, width, target], None);
    });
}
