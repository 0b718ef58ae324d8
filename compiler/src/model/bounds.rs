//! What a model's tables say about its inputs: how many token ids there are, how long a sequence may be.

use seqc_ir::{Call, Model, ModelInput, Op, StreamId};

/// Rows of the smallest table that each of some inputs of the model indexes.
pub fn vocabularies(model: &Model, inputs: &[ModelInput]) -> Vec<Option<usize>> {
    let smallest_of = |input: &ModelInput| {
        let mut same = vec![input.stream];
        for enter in model.clocked.iter().flat_map(|part| &part.enter) {
            if same.contains(&enter.from) {
                same.push(enter.to);
            }
        }
        let reads = |arg: &StreamId| same.contains(arg);
        smallest(
            model,
            &model.calls,
            |op, args| matches!(op, Op::Input(n) if args.get(*n).is_some_and(reads)),
        )
    };
    inputs.iter().map(smallest_of).collect()
}

/// Rows of the smallest table that the position indexes in some calls: longer sequences have no entry.
pub fn max_context(model: &Model, calls: &[Call]) -> Option<usize> {
    smallest(model, calls, |op, _| matches!(op, Op::Position))
}

fn smallest(model: &Model, calls: &[Call], is_index: impl Fn(&Op, &[StreamId]) -> bool) -> Option<usize> {
    let mut best = None;
    for call in calls {
        let graph = model.graph(call);
        for v in graph.values() {
            if !matches!(graph.op(v), Op::Gather) {
                continue;
            }
            let operands = graph.operands(v);
            if is_index(graph.op(operands[1]), &call.args) {
                let rows = graph.ty(operands[0]).dims[0].size;
                best = Some(best.map_or(rows, |b: usize| b.min(rows)));
            }
        }
    }
    best
}
