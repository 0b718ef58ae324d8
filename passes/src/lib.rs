//! Passes over layer graphs, and the plan of kernels that a backend emits.

pub mod affine;
mod affine_text;
pub mod attention;
mod axis_order;
mod clocked;
pub mod conv_partition;
pub mod cost;
pub mod kept;
pub mod legalize;
pub mod machine;
mod pass;
pub mod plan;
pub mod planned;
pub mod recognise;
pub mod recurrence;
mod round_activations;
pub mod rules;
pub mod sign;
pub mod simplify;

pub use pass::{Law, Pass};
pub use round_activations::{round_activations, stored_matrix};
use seqc_ir::{Graph, Model, verify::verify};

/// All passes, in order.
pub const PASSES: &[Pass] = &[
    Pass {
        name: "simplify",
        why: "elaboration leaves views of views, constants and double computations",
        run: simplify::simplify,
        ensures: &[],
    },
    Pass {
        name: "mask-by-predicates",
        why: "before all that reads predicates: a score of minus infinity is one",
        run: attention::masked_scores::masked_scores,
        ensures: &[],
    },
    Pass {
        name: "own-positions",
        why: "before all that reads predicates: positions that are streams say nothing of distances, and are kept for every key",
        run: attention::positions::own_positions,
        ensures: &[],
    },
    Pass {
        name: "split-caches-by-key",
        why: "before streams become real: conditions on keys are computed of integers",
        run: attention::split_cache_by_key::split_cache_by_key,
        ensures: &[],
    },
    Pass {
        name: "evict-behind-windows",
        why: "after splitting, which leaves caches with a policy alone: their entries leave where predicates bound how far back queries see",
        run: attention::evict_behind_window::evict_behind_window,
        ensures: &[],
    },
    Pass {
        name: "recognise-delays",
        why: "before products: a delayed vector is a row that a product can read",
        run: recognise::delays,
        ensures: &[],
    },
    Pass {
        name: "make-delays-states",
        why: "after delays are known: a scan has the last few values of its entries at hand",
        run: legalize::delays_in_scans,
        ensures: &[],
    },
    Pass {
        name: "read-previous-states",
        why: "after delays are known: what adds up the previous state of a loop is computed in the loop",
        run: legalize::delays_of_states,
        ensures: &[],
    },
    Pass {
        name: "unfold-delays-of-constants",
        why: "only what changes from token to token has a history",
        run: legalize::delays_of_constants,
        ensures: &[legalize::HISTORIES_ARE_OF_TOKENS],
    },
    Pass {
        name: "recognise-products",
        why: "kernels read weights as matrices; after delays, whose values are vectors like any other",
        run: recognise::matrix_products,
        ensures: &[],
    },
    Pass {
        name: "make-streams-real",
        why: "caches hold reals alone",
        run: legalize::real_streams,
        ensures: &[legalize::STREAMS_ARE_REAL],
    },
    Pass {
        name: "order-axes",
        why: "behind all that reads states in any order, in front of the planner, whose forms are of one order",
        run: axis_order::order_axes,
        ensures: &[],
    },
    Pass {
        name: "simplify-again",
        why: "recognition leaves what it replaced, and views of views",
        run: simplify::simplify,
        ensures: &[],
    },
];

/// A model whose graphs went through [`optimise`] and [`round_activations`].
pub fn optimised(model: &Model) -> Model {
    let mut model = model.clone();
    for kind in &mut model.kinds {
        optimise(&mut kind.graph);
        round_activations(&mut kind.graph, &kind.encodings, model.activations);
    }
    model
}

/// Runs [`PASSES`]. In debug builds each is followed by [`broken`].
pub fn optimise(graph: &mut Graph) {
    for (n, pass) in PASSES.iter().enumerate() {
        (pass.run)(graph);
        if cfg!(debug_assertions) {
            let broken = broken(graph, &PASSES[..=n]);
            assert!(broken.is_empty(), "after {}: {}\n{graph}", pass.name, broken.join("\n"));
        }
    }
}

/// What a graph that went through `passes` breaks of the laws of every graph, and of those that the passes ensure.
pub fn broken(graph: &Graph, passes: &[Pass]) -> Vec<String> {
    let mut found: Vec<String> = verify(graph).iter().map(ToString::to_string).collect();
    if found.is_empty() {
        let live = graph.live_order();
        for law in passes.iter().flat_map(|pass| pass.ensures) {
            let of_law = live.iter().filter(|v| !(law.holds)(graph, **v));
            found.extend(of_law.map(|v| format!("{v}: {}", law.says)));
        }
    }
    found
}
