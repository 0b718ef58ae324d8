//! Which stored row a value is a contiguous part of: what matrix products and attention read without a copy.

use crate::affine::{Access, AffineExpr, LinearAccess, delinearise};
use seqc_ir::{Graph, Op, Value};

/// A contiguous part of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the row belongs to: a stored value, an input or a parameter.
    pub value: Value,
    /// Entry at which the part begins.
    pub offset: i64,
}

/// What a product reads: its operands, and what its vector was rounded from, since it may round that itself.
pub(super) fn read_by_product(graph: &Graph, v: Value) -> Vec<Value> {
    let mut read = graph.operands(v);
    let vector = read.last().copied().filter(|x| matches!(graph.op(*x), Op::RoundRow(_)));
    read.extend(vector.and_then(|x| graph.operands(x).first().copied()));
    read
}

/// The row that `v` is a part of, when it is one: views and reshapes that keep entries in order are followed.
/// `stored` says which values have rows.
pub fn row_of(graph: &Graph, stored: &dyn Fn(Value) -> bool, v: Value) -> Option<Row> {
    let has_row = |at: Value| stored(at) || matches!(graph.op(at), Op::Input(_) | Op::Param(_));
    follow(graph, &has_row, v).filter(|row| has_row(row.value))
}

/// The value that should get a row so that `v` has one: `v` itself, or what it is the same row of.
pub(super) fn row_to_store(graph: &Graph, v: Value) -> Value {
    match follow(graph, &|_| false, v) {
        Some(row) if row.offset == 0 && graph.ty(row.value).len() == graph.ty(v).len() => row.value,
        _ => v,
    }
}

/// Follows views and reshapes until `stop` holds, as long as entries stay in order.
fn follow(graph: &Graph, stop: &dyn Fn(Value) -> bool, v: Value) -> Option<Row> {
    let sizes = [graph.ty(v).len()];
    let coords = delinearise(&AffineExpr::axis(0), &graph.ty(v).sizes(), &sizes);
    let access = Access {
        value: v,
        coords,
        axes: &sizes,
    };
    let LinearAccess {
        value: at,
        at: mut flat,
    } = access.through_views(graph, stop);
    let offset = std::mem::take(&mut flat.constant);
    (flat == AffineExpr::axis(0) || sizes[0] == 1 && flat == AffineExpr::default()).then_some(Row { value: at, offset })
}
