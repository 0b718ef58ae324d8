//! Rough cost of one entry of an operation, in additions; for the choice between storing and recomputing.

use seqc_ir::{Graph, Value};

/// Cost of one result entry, without its operands.
pub fn of_entry(graph: &Graph, v: Value) -> f64 {
    graph.entry_cost(v)
}
