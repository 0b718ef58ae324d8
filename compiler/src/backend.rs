//! The seam to passes and code generation: one function for each thing that is asked of them.

use crate::{
    driver::{Product, Request},
    model::Built,
};
use seqc_abi::StateSlot;
use seqc_ir::{Graph, Model};

/// What every sequence carries from chunk to chunk.
pub fn manifest(_model: &Model) -> Result<Vec<StateSlot>, String> {
    Err(MISSING.to_owned())
}

/// What was recognised in a layer and what was chosen.
pub fn explain(_graph: &Graph) -> Result<String, String> {
    Err(MISSING.to_owned())
}

/// Code of a model, up to the stage that the request names.
pub fn code(_built: &Built, _request: &Request) -> Result<Product, String> {
    Err(MISSING.to_owned())
}

const MISSING: &str = "this seqc was built without code generation";
