//! The plan of a layer: which values are stored, which kernels compute them, in what order.
//!
//! A value is either *stored* (a row of a buffer for every token of the chunk) or *inlined* into the kernels that use
//! it. Kernels run one after another; all threads work on the same kernel. Everything is decided for one
//! [`Machine`](crate::machine::Machine).

mod buffer_assignment;
mod choose_layouts;
mod chunked;
mod chunked_cost;
mod chunked_heads;
mod contiguous_rows;
mod decision;
mod decisions;
mod definitions;
mod forms;
mod fuse_epilogues;
mod fusion_groups;
mod head_parallel;
mod held;
mod inline;
mod materialize;
mod matrix_form;
mod misfit;
mod planner;
mod scan;
mod scan_block;
mod schedule;
mod settings;
mod stack;
mod text;
mod types;
pub mod verify;

pub use buffer_assignment::{Layout, free_place, layout};
pub use contiguous_rows::{Row, row_of};
pub use decision::{Candidate, DIRECT_SUM, Decision, PARTITIONED, Subject, Verdict};
pub use forms::{FORMS, Form, FormCost, FormId, Lowering, Stores};
pub use held::{Held, held};
pub use inline::{Leaf, Walk};
pub use materialize::native_params;
pub use matrix_form::{Chunked, Correction, Costs, Factor, Query, Term, Write};
pub use misfit::Misfit;
pub use scan_block::ScanBlock;
pub use settings::{Chunks, Settings};
pub use stack::Stack;
pub use text::{PlanText, PlannedText};
pub use types::{Buffer, BufferId, Extent, Kernel, Matmul, Nest, Plan, Scan, flat, row_major, scans};

use seqc_ir::Graph;

impl Plan {
    /// Plans a graph that went through the passes.
    ///
    /// # Panics
    /// In debug builds, where the plan breaks a law of [`verify`].
    pub fn new(graph: &Graph, settings: &Settings) -> Plan {
        let plan = planner::plan(graph, settings);
        if cfg!(debug_assertions) {
            let broken: Vec<String> = verify::verify(graph, &plan).iter().map(ToString::to_string).collect();
            let text = plan.text(graph);
            assert!(broken.is_empty(), "{}\n{graph}\n{text}", broken.join("\n"));
        }
        plan
    }
}
