//! Cache policies as a dimension of a comparison.

use crate::{diag::Diagnostic, import::caches, model::Built};
use seqc_ir::Op;

/// A policy that models are compared with.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// As the user writes it; `None`: no policy.
    pub(super) name: Option<String>,
    /// What stands under `cache:`; `None`: what the model file says.
    pub(super) entry: Option<String>,
}

impl Policy {
    /// What the model file says.
    pub(super) const OF_THE_MODEL: Policy = Policy {
        name: None,
        entry: None,
    };
}

/// The policies of some lists; without one, models are as their files say.
pub(super) fn of(lists: &[String]) -> Result<Vec<Policy>, Diagnostic> {
    if lists.is_empty() {
        return Ok(vec![Policy::OF_THE_MODEL]);
    }
    let all = lists.iter().flat_map(|list| caches::split(list));
    all.map(|text| policy(&text)).collect()
}

fn policy(text: &str) -> Result<Policy, Diagnostic> {
    if text == caches::NONE {
        return Ok(Policy {
            name: None,
            entry: Some("[]".to_owned()),
        });
    }
    let entry = caches::entry(text)?;
    Ok(Policy {
        name: Some(text.to_owned()),
        entry: Some(format!("[{entry}]")),
    })
}

/// Whether a policy has anything to govern.
pub(super) fn has_attention(built: &Built) -> bool {
    let kinds = built.model.kinds.iter();
    let mut nodes = kinds.flat_map(|kind| kind.graph.values().into_iter().map(|v| kind.graph.op(v)));
    nodes.any(|op| matches!(op, Op::Attend(_)))
}
