//! Axes and shapes as messages write them.

use seqc_ir::Dim;

/// An axis as it is written in a shape: its name, or its size where it has none.
pub(super) fn written(dim: &Dim) -> String {
    match dim.name.is_empty() {
        true => dim.size.to_string(),
        false => dim.name.clone(),
    }
}

/// `[heads 4, 16]`: a shape for messages.
pub(super) fn shown(dims: &[Dim]) -> String {
    if dims.is_empty() {
        return "a scalar".to_owned();
    }
    let parts: Vec<String> = dims
        .iter()
        .map(|d| {
            if d.name.is_empty() {
                d.size.to_string()
            } else {
                format!("{} = {}", d.name, d.size)
            }
        })
        .collect();
    format!("[{}]", parts.join(", "))
}
