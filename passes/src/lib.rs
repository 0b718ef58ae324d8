//! Passes over layer graphs, and the plan of kernels that a backend emits.

pub mod affine;
pub mod attention;
pub mod conv_partition;
pub mod cost;
pub mod kept;
pub mod legalize;
pub mod plan;
pub mod recognise;
pub mod recurrence;
pub mod sign;
pub mod simplify;

use seqc_ir::Graph;

/// One rewriting of a layer graph.
pub struct Pass {
    /// Its name, a verb.
    pub name: &'static str,
    /// The rewriting.
    pub run: fn(&mut Graph),
}

/// All passes, in order.
pub const PASSES: &[Pass] = &[
    // Elaboration leaves views of views, constants and double computations.
    Pass {
        name: "simplify",
        run: simplify::simplify,
    },
    // Before streams become real: conditions on keys are computed of integers.
    Pass {
        name: "thin-caches",
        run: attention::split_cache_by_key::split_cache_by_key,
    },
    // Before products: a delayed vector is a row that a product can read.
    Pass {
        name: "recognise-delays",
        run: recognise::delays,
    },
    Pass {
        name: "unfold-constant-delays",
        run: legalize::delays_of_constants,
    },
    Pass {
        name: "recognise-products",
        run: recognise::matrix_products,
    },
    Pass {
        name: "make-streams-real",
        run: legalize::real_streams,
    },
    // Recognition leaves what it replaced.
    Pass {
        name: "simplify-again",
        run: simplify::simplify,
    },
];

/// Runs [`PASSES`]. In debug builds the verifier runs after each.
pub fn optimise(graph: &mut Graph) {
    for pass in PASSES {
        (pass.run)(graph);
        if cfg!(debug_assertions) {
            let violations = seqc_ir::verify::verify(graph);
            assert!(violations.is_empty(), "after {}: {violations:?}\n{graph}", pass.name);
        }
    }
}
