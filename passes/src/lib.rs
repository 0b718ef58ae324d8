//! Passes over layer graphs, and the plan of kernels that a backend emits.

pub mod blocks;
pub mod cost;
pub mod index;
pub mod keep;
pub mod kept;
pub mod plan;
pub mod prepare;
pub mod rate;
pub mod recognise;
pub mod recurrence;
pub mod shared;
pub mod sign;
pub mod simplify;
pub mod thin;

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
        run: thin::caches,
    },
    // Before products: a delayed vector is a row that a product can read.
    Pass {
        name: "recognise-delays",
        run: recognise::delays,
    },
    Pass {
        name: "unfold-constant-delays",
        run: prepare::delays_of_constants,
    },
    Pass {
        name: "recognise-products",
        run: recognise::matrix_products,
    },
    Pass {
        name: "make-streams-real",
        run: prepare::real_streams,
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
