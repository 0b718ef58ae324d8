//! How often layers run that run at some tokens only.

use crate::attention::clock_rate::ClockRate;
use seqc_ir::{Clocked, Model, Op};

/// Ticks of each part for each token around it. [`ClockRate::ALL`] where data decide.
pub(crate) fn rates(model: &Model) -> Vec<ClockRate> {
    model.clocked.iter().map(|part| rate(model, part)).collect()
}

fn rate(model: &Model, part: &Clocked) -> ClockRate {
    let decides = model.calls.iter().find_map(|call| {
        let result = call.results.iter().position(|stream| *stream == part.condition)?;
        Some((model.graph(call), result))
    });
    let Some((graph, result)) = decides else {
        return ClockRate::ALL;
    };
    let mut condition = graph.outputs[result].1;
    // A truth value is 1 or 0 as a stream.
    if matches!(graph.op(condition), Op::Cast) {
        condition = graph.operands(condition)[0];
    }
    ClockRate::of(graph, condition)
}
