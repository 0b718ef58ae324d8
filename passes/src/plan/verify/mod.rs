//! The verifier of plans: what every plan must satisfy before code is made of it. It relies on nothing that the planner knows
//! beside the plan.
//!
//! # Laws of a plan
//! 1. Buffers, values, states, parameters and results that a plan names exist; a stored value has a buffer of its own length
//!    and element type.
//! 2. The strides of a buffer address every entry of a row once.
//! 3. The order of a state's axes names each of them once.
//! 4. Every buffer is written by exactly one definition: a nest, a product, an attention, a long convolution, or nests for all
//!    parts of a concatenation, which cover it without overlap.
//! 5. Constants, and they alone, are written by load nests, from what is known when weights are loaded.
//! 6. What is read at the same token is written before: by a load nest, an earlier kernel, or an earlier nest of the same
//!    kernel. What is read at an earlier token is in the history, and written by an earlier kernel or in the same loop.
//! 7. A buffer of a single row is written and read inside one loop over tokens, or one kernel over heads.
//! 8. The next value of every state is computed by exactly one kernel, which alone reads the previous one. A loop over
//!    tokens ends with the states that it changes, whose next values are stored.
//! 9. Where a next value overwrites the previous one, nothing reads that afterwards, and the nest that computes it reads it at
//!    its own index. The same holds of a value that stands for the previous one, which it is but at some tokens: it is written
//!    before the next one.
//! 10. Every result of the layer has one buffer, row-major, with a row for every token and no history.
//! 11. Products that are computed together are products of a matrix with a vector, for tokens, with equally many rows; all are
//!     stored. The matrix is a parameter or stored, the vector a contiguous part of a row. Where matrices are chosen, it is by one
//!     index, which is such a part too, from equally many.
//! 12. Nests behind products compute as many entries as those have rows, and read what is computed with them at their own index.
//! 13. Operands of attention, of long convolution and of streams from their end are contiguous parts of rows; the last are in no loop
//!     over tokens.
//! 14. A scan keeps or reduces each axis of its states, which have one shape; its results have the axes that it keeps, read
//!     all of a state, and are read inside it only at the same entry. Its block has whole vectors and all entries of a lane,
//!     and fits the registers where it stays in them.
//! 15. In the matrix form of a scan, one state is multiplied by a decay that is the same for a whole head or, if it is diagonal, for each
//!     key; keys and queries do not depend on the axis of values, and values not on that of keys; a correction reads what was written
//!     before it; indices are in range; equal heads divide all heads.
//! 16. In a kernel over several heads everything has the heads as its first axis, and reads what the kernel computes at its
//!     own head only.
//! 17. No two buffers that are needed at the same time overlap in memory, neither for one token nor for the longest chunk.
//! 18. A parameter that stays in the encoding of the checkpoint is read only as a matrix or a table.

mod buffers;
mod kernels;
mod memory;
mod order;
mod references;
mod report;
mod scans;
#[cfg(test)]
mod tests;

use super::types::Plan;
use report::Report;
pub use report::Violation;
use seqc_ir::Graph;

/// All violations of a plan of a graph, none when it is well formed. Other laws are checked only where the first holds, and
/// memory only where all others do.
pub fn verify(graph: &Graph, plan: &Plan) -> Vec<Violation> {
    let mut report = Report {
        graph,
        plan,
        violations: Vec::new(),
    };
    references::check(&mut report);
    if !report.violations.is_empty() {
        return report.violations;
    }
    buffers::check(&mut report);
    kernels::check(&mut report);
    let lives = order::check(&mut report);
    if report.violations.is_empty() {
        memory::check(&mut report, &lives);
    }
    report.violations
}
