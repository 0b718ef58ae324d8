//! Detects quantised weights that need other tensors: scales, zero points and code books of packed integers.

use crate::checkpoint::Checkpoint;
use seqc_formats::Encoding;

/// Last parts of names that stand for nothing else (GPTQ, AWQ, bitsandbytes, HQQ, AQLM, VPTQ, MLX, quanto,
/// compressed-tensors).
const COMPANIONS: &[&str] = &[
    "qweight",
    "qzeros",
    "g_idx",
    "scales",
    "SCB",
    "weight_format",
    "absmax",
    "quant_map",
    "nested_absmax",
    "nested_quant_map",
    "weight_packed",
    "weight_shape",
    "W_q",
    "codebooks",
    "codes",
    "centroids",
    "_data",
    "_scale",
    "_zero_point",
];

/// Ends of names that say so beside the tensor, or the part of the model, that they belong to.
const ENDINGS: &[&str] = &[
    "_scale",
    "_scales",
    "_scale_inv",
    "_scale_2",
    "_zero_point",
    "_zeros",
    "_absmax",
    ".scale",
    ".scale_weight",
    ".zero_point",
    ".input_scale",
    ".output_scale",
];

/// What stands for a whole family of names (bitsandbytes).
const INSIDE: &[&str] = &[".quant_state."];

/// What to do about quantised weights that cannot be read.
pub fn unquantised() -> String {
    format!(
        "take the checkpoint before it was quantised, or a GGUF file; types that can be read: {}",
        Encoding::readable()
    )
}

impl Checkpoint {
    /// The tensors among those that nothing reads which say that the weights beside them are quantised.
    pub fn companions<'n>(&self, unread: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
        unread.into_iter().filter(|name| self.is_companion(name)).collect()
    }

    fn is_companion(&self, name: &str) -> bool {
        let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
        if COMPANIONS.contains(&last) || INSIDE.iter().any(|part| name.contains(part)) {
            return true;
        }
        // `q_proj.weight_scale` belongs to `q_proj.weight`, `q_proj.input_scale` too, `down_scales` to `down_blocks`.
        let stems = ENDINGS.iter().filter_map(|ending| name.strip_suffix(ending));
        let owners = stems.flat_map(|stem| [stem.to_owned(), format!("{stem}.weight"), format!("{stem}_blocks")]);
        owners.into_iter().any(|owner| self.get(&owner).is_some())
    }
}
