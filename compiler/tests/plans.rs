//! What the plans of all shipped models must hold to.

use seqc::{
    model::{self, ReadOptions},
    render,
    source::Sources,
};
use seqc_abi::Level;
use seqc_backends::targets;
use seqc_ir::Graph;
use seqc_passes::{
    machine::Machine,
    plan::{Candidate, Extent, Plan, Settings, Verdict},
};
use std::{fs, path::Path};

/// Models of `specs/models` and `specs/mixers`.
fn models() -> Vec<std::path::PathBuf> {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    let mut found = Vec::new();
    for folder in ["models", "mixers"] {
        let entries = fs::read_dir(specs.join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
        found.extend(
            entries
                .flatten()
                .map(|e| e.path())
                .filter(|p| p.extension().is_some_and(|e| e == "yaml")),
        );
    }
    found.sort();
    assert!(found.len() > 20, "{found:?}");
    found
}

/// The layer graphs of a model, after the passes.
fn optimised(path: &Path) -> Vec<Graph> {
    let mut sources = Sources::default();
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let built = model::read_text(path, text, &mut sources, &ReadOptions::default()).unwrap_or_else(|diagnostics| {
        let text: Vec<_> = diagnostics.iter().map(|d| render::human(d, &sources, false)).collect();
        panic!("{}", text.join("\n"))
    });
    let kinds = seqc_passes::optimised(&built.model).kinds;
    kinds.into_iter().map(|kind| kind.graph).collect()
}

#[test]
fn plans_parse_back() {
    let machines = [Level::V3, Level::V4].map(targets::machine);
    for path in models() {
        for graph in optimised(&path) {
            for machine in machines {
                let plan = Plan::new(&graph, &Settings::of(machine));
                let text = plan.text(&graph).to_string();
                let parsed = Plan::parse(&text, &graph, machine);
                let parsed = parsed.unwrap_or_else(|e| panic!("{}: {e}\n{text}", path.display()));
                assert_eq!(parsed, plan, "{}\n{text}", path.display());
            }
        }
    }
}

/// A recurrence with a large state never leaves it, or anything of its size, behind for every token of a chunk.
#[test]
fn no_tensor_of_tokens_times_state() {
    for path in models() {
        for graph in optimised(&path) {
            let plan = Plan::new(&graph, &Settings::of(&Machine::PORTABLE));
            let states = plan.recurrences.iter().flat_map(|r| &r.states);
            let Some(smallest) = states
                .map(|s| graph.states[s.0 as usize].ty.len())
                .filter(|n| *n > 4096)
                .min()
            else {
                continue;
            };
            for buffer in plan
                .buffers
                .iter()
                .filter(|b| b.extent == Extent::PerToken && b.output.is_none())
            {
                let node = graph.node(buffer.value);
                assert!(
                    buffer.len < smallest,
                    "{}: `{}` {:?} keeps {} for every token, the state is {smallest}",
                    path.display(),
                    graph.name,
                    (node, graph.operands(buffer.value)),
                    buffer.len
                );
            }
        }
    }
}

/// What is said to cost more than the form that is taken does.
#[test]
fn forms_that_are_not_taken_cost_more() {
    for path in models() {
        for graph in optimised(&path) {
            let plan = Plan::new(&graph, &Settings::of(targets::machine(Level::V3)));
            for decision in &plan.decisions {
                let taken = decision.chosen().first().and_then(|(form, _)| form.cost);
                let more = |c: &&Candidate| c.verdict == Verdict::Costlier;
                for candidate in decision.candidates.iter().filter(more) {
                    let fits = candidate.cost >= taken;
                    assert!(fits, "{}: {candidate:?} against {taken:?}", path.display());
                }
            }
        }
    }
}
