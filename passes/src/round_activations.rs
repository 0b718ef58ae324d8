//! Rounds what products with stored weights read, where a model asks for it: units of processors multiply integers of a byte and numbers
//! of bfloat16 several times as fast as f32.
//!
//! States, scans, norms, softmax and attention stay as they are, and so do products inside a recurrence, which would no longer be linear.

use seqc_formats::{Encoding, Native};
use seqc_ir::{Activations, Graph, Op, OpClass, Rounding, Stage, Value};
use std::collections::HashMap;

/// Puts [`Op::RoundRow`] in front of products with parameters, in a graph that went through all passes. `encodings` are those of its
/// parameters.
pub fn round_activations(graph: &mut Graph, encodings: &[Encoding], activations: Activations) {
    let (stages, cycles) = (graph.stages(), graph.cycles());
    let mut rounded: HashMap<(Value, Rounding), Value> = HashMap::new();
    for v in graph.live_order() {
        let at = v.0 as usize;
        if graph.class(v) != OpClass::Product || stages[at] == Stage::Load || cycles.values[at].is_some() {
            continue;
        }
        let operands = graph.operands(v);
        let encoding = stored_matrix(graph, operands[0]).and_then(|n| encodings.get(n));
        let Some(rounding) = encoding.and_then(|encoding| rounding(*encoding, activations)) else {
            continue;
        };
        if !graph.columns(v).is_multiple_of(rounding.multiple()) {
            continue;
        }
        let slot = operands.len() - 1;
        let x = operands[slot];
        let row = match rounded.get(&(x, rounding)) {
            Some(row) => *row,
            None => graph.round_row(x, rounding),
        };
        rounded.insert((x, rounding), row);
        graph.set_operand(v, slot, row);
    }
}

/// How the vector of a product with weights of an encoding is rounded.
fn rounding(weights: Encoding, activations: Activations) -> Option<Rounding> {
    let wanted = match weights.native()? {
        Native::Block(_) => Rounding::Int8,
        Native::Bf16 => Rounding::Bf16,
        Native::F32 | Native::F16 | Native::Float8(_) => return None,
    };
    activations.has(wanted).then_some(wanted)
}

/// The parameter that a matrix is, behind reshapes.
pub fn stored_matrix(graph: &Graph, matrix: Value) -> Option<usize> {
    let mut at = matrix;
    while *graph.op(at) == Op::Reshape {
        at = graph.operands(at)[0];
    }
    if let Op::Param(n) = graph.op(at) {
        Some(*n)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimise;

    /// Two products of one vector, and one inside a recurrence.
    const TEXT: &str = "graph g {
        param 0 a : f32[8, 32] param 1 b : f32[4, 32] param 2 c : f32[32, 32] input 0 x : f32[32] state @0 h : f32[32] next %8
        %0 = param(0) : f32[8, 32] %1 = param(1) : f32[4, 32] %2 = param(2) : f32[32, 32] %3 = input(0) : f32[32]
        %4 = matvec %0, %3 : f32[8] %5 = matvec %1, %3 : f32[4] %6 = prev(@0) : f32[32] %7 = matvec %2, %6 : f32[32]
        %8 = add %7, %3 : f32[32] output y %4 output z %5 output h %8 }";

    fn rounded(activations: Activations) -> String {
        let mut graph: Graph = TEXT.parse().unwrap_or_else(|e| panic!("{e}"));
        optimise(&mut graph);
        let encodings = [Encoding::Q8_0, Encoding::Bf16, Encoding::Q8_0];
        round_activations(&mut graph, &encodings, activations);
        let text = graph.to_string();
        assert_eq!(text.parse::<Graph>().map(|graph| graph.to_string()).ok(), Some(text));
        let row = |v: Value| {
            Some(format!(
                "{} for {}",
                graph.op(v).rounding()?.name(),
                graph.users(v).len()
            ))
        };
        let rows = graph.live_order().into_iter().filter_map(row);
        let mut rows: Vec<String> = rows.collect();
        rows.sort();
        rows.join(", ")
    }

    #[test]
    fn vectors_are_rounded_as_weights_suggest_and_never_in_recurrences() {
        assert_eq!(rounded(Activations::F32), "");
        assert_eq!(rounded(Activations::Int8), "int8 for 1");
        assert_eq!(rounded(Activations::Bf16), "bf16 for 1");
        assert_eq!(rounded(Activations::Auto), "bf16 for 1, int8 for 1");
    }
}
