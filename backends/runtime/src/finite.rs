//! Numbers that are not finite: noticed in what a model gives, and traced to the layer whose output was the first.

use seqc_abi::Stream;

use crate::{
    Result,
    inputs::Values,
    prompts::Prompts,
    session::{Fault, Session},
};

/// Whether no token can be chosen by these logits: one of them is NaN or infinite, or all tokens are ruled out.
pub(crate) fn undecided(scores: &[f32]) -> bool {
    let odd = scores.iter().fold(false, |odd, score| odd | !score.is_finite());
    let ruled_out = |score: &f32| *score == f32::NEG_INFINITY;
    odd && (scores.iter().any(|score| !score.is_finite() && !ruled_out(score)) || scores.iter().all(ruled_out))
}

/// Whether rows of an output, as stored, hold numbers that are not finite. Scores may rule tokens out.
pub(crate) fn odd_rows(stream: &Stream, bytes: &[u8]) -> bool {
    let spared = if stream.name == "logits" {
        f32::NEG_INFINITY
    } else {
        0.0
    };
    let values = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    values.fold(false, |odd, value| odd | !(value.is_finite() | (value == spared)))
}

/// Reads inputs once more, one part after another, layer by layer, in a session that has read what comes before. `prompts` are those of the
/// sequence in which the numbers were noticed. `None`: no layer is at fault, or the session is not there any more.
pub(crate) fn trace(
    session: Result<Session>,
    prompts: &Prompts,
    parts: impl IntoIterator<Item = impl AsRef<[Values]>>,
) -> Option<Fault> {
    let found = || -> Result<Option<Fault>> {
        let mut session = session?;
        for inputs in parts {
            if let Some(fault) = session.find_fault(inputs.as_ref(), prompts)? {
                return Ok(Some(fault));
            }
        }
        Ok(None)
    };
    found().ok().flatten()
}

/// The message for logits from which no token can be chosen, after this many tokens.
pub(crate) fn no_token(tokens: u64, fault: Option<Fault>) -> String {
    let why = fault.map_or_else(String::new, |fault| format!(": {fault}"));
    format!("after {tokens} tokens the model's logits are not finite, so that no token can be chosen{why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_decide_unless_one_is_no_number_or_none_is_left() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        for decided in [&[][..], &[0.0], &[1.0, -inf], &[-inf, -1e38]] {
            assert!(!undecided(decided), "{decided:?}");
        }
        for none in [&[nan][..], &[0.0, nan], &[0.0, inf], &[-inf, -inf], &[nan, -inf]] {
            assert!(undecided(none), "{none:?}");
        }
    }
}
