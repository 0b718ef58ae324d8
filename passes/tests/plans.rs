//! Plans: of random graphs, for several settings.

use seqc_ir::random::{random_graph, random_graph_whole};
use seqc_passes::{
    machine::Machine,
    optimise,
    plan::{Chunks, Plan, Settings},
};

/// Settings that lead to plans of every form.
fn settings() -> [Settings; 3] {
    [Chunks::Cheapest, Chunks::Products, Chunks::Tokens].map(|chunks| Settings {
        chunks,
        max_chunk: 40,
        ..Settings::of(&Machine::PORTABLE)
    })
}

#[test]
fn plans_of_random_graphs_parse_back() {
    let settings = settings();
    for seed in 0..200 {
        let random = if seed % 4 == 0 {
            random_graph_whole
        } else {
            random_graph
        };
        let mut graph = random(seed, 4 + seed as usize % 24).graph;
        optimise(&mut graph);
        let settings = &settings[seed as usize % settings.len()];
        let plan = Plan::new(&graph, settings);
        let text = plan.text(&graph).to_string();
        let parsed = Plan::parse(&text, &graph, &settings.machine);
        let parsed = parsed.unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert_eq!(parsed, plan, "seed {seed}\n{text}");
    }
}
