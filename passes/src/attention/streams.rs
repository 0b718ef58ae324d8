//! Which values of a graph are streams of its model.

use seqc_ir::{Graph, IndexExpr, Op, Value};

/// Where a stream is an argument or a result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Input(usize),
    Output(usize),
}

/// The port whose stream a value is, whatever its shape.
pub(super) fn port(graph: &Graph, v: Value) -> Option<Port> {
    let source = unshaped(graph, v);
    if let Op::Input(n) = graph.op(source) {
        return Some(Port::Input(*n));
    }
    let output = graph.outputs.iter().position(|(_, o)| unshaped(graph, *o) == source);
    output.map(Port::Output)
}

/// Whether a value is a stream of the model.
pub(super) fn is_stream(graph: &Graph, v: Value) -> bool {
    port(graph, v).is_some()
}

/// The value whose elements these are, in their order.
fn unshaped(graph: &Graph, v: Value) -> Value {
    let mut at = v;
    while keeps_elements(graph, at) {
        at = graph.operands(at)[0];
    }
    at
}

/// Whether a value has the elements of its operand in their order.
fn keeps_elements(graph: &Graph, v: Value) -> bool {
    let Op::View(map) = graph.op(v) else {
        return matches!(graph.op(v), Op::Reshape);
    };
    let same = graph.ty(graph.operands(v)[0]).sizes() == graph.ty(v).sizes();
    same && map.iter().enumerate().all(|(n, e)| *e == IndexExpr::Axis(n))
}
