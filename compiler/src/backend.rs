//! The seam to passes and code generation: one function for each thing that is asked of them.

use seqc_abi::StateSlot;
use seqc_ir::{Graph, Model};

/// What every sequence carries from chunk to chunk.
pub fn manifest(_model: &Model) -> Result<Vec<StateSlot>, String> {
    Err("this seqc was built without code generation".to_owned())
}

/// What was recognised in a layer and what was chosen.
pub fn explain(_graph: &Graph) -> Result<String, String> {
    Err("this seqc was built without code generation".to_owned())
}
