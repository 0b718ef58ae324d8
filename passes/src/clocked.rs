//! How often layers run that run at some tokens only.

use crate::attention::clock_rate::ClockRate;
use seqc_ir::{Clocked, Model, Op};

/// Ticks of a call for each token. [`ClockRate::ALL`] where it runs at every token, or where data decide.
pub fn rate(model: &Model, call: usize) -> ClockRate {
    let around = model.clocked.iter().filter(|part| part.calls.contains(&call));
    around.fold(ClockRate::ALL, |rate, part| rate.of_those(rate_of(model, part)))
}

/// Ticks of a part for each token around it.
pub fn rate_of(model: &Model, part: &Clocked) -> ClockRate {
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
