//! How tokens are chosen: the numbers that users set, and their bounds.

use seqc_abi::decoding::MOST_TOP_K;

use crate::{Error, Result};

/// Beyond this temperature all tokens are about equally likely.
const HOTTEST: f32 = 100.0;
/// A penalty of repetitions, or the inverse of one, that leaves nothing of any logit's size.
const MOST_REPETITION: f32 = 100.0;
/// A bias decides by itself whether a token is chosen.
pub(crate) const MOST_BIAS: f32 = 100.0;

/// A number that is added to the logit of one token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenBias {
    /// The token.
    pub token: usize,
    /// What is added to its logit; minus infinity: the token is never chosen.
    pub bias: f32,
}

/// How tokens are chosen. The default takes the most likely token each time.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingOptions {
    /// Logits are divided by it; 0: always the most likely token.
    pub temperature: f32,
    /// Only the so many most likely tokens; 0: all.
    pub top_k: usize,
    /// Only the most likely tokens that together have this probability (Holtzman et al. 2020).
    pub top_p: f32,
    /// Only tokens at least this much as likely as the most likely one (Nguyen et al. 2024); 0: all.
    pub min_p: f32,
    /// Only the tokens whose information is nearest to the expected one, which together have this probability (locally
    /// typical sampling, Meister et al. 2022); 1: all.
    pub typical_p: f32,
    /// Divides positive logits of tokens that stand in the text, prompt included, and multiplies negative ones (CTRL, Keskar
    /// et al. 2019); 1: no penalty.
    pub repetition_penalty: f32,
    /// Subtracted once from the logit of each token that was generated.
    pub presence_penalty: f32,
    /// Subtracted from the logit of a token as often as it was generated.
    pub frequency_penalty: f32,
    /// Added to logits before the penalties.
    pub logit_bias: Vec<TokenBias>,
    /// The same seed draws the same tokens.
    pub seed: u64,
}

impl Default for SamplingOptions {
    fn default() -> SamplingOptions {
        SamplingOptions {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

impl SamplingOptions {
    /// Whether the most likely token is taken each time.
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0 || self.top_k == 1
    }

    /// Whether steps of the model can choose tokens in this way ([`seqc_abi::decoding`]): among how many most likely ones, 1 for the most likely
    /// one. Biases, penalties, typical-p, and temperatures without top-k are left to the sampler.
    pub(super) fn chosen_by_steps(&self) -> Option<usize> {
        if self.adjusts() {
            return None;
        }
        if self.is_greedy() {
            return Some(1);
        }
        (self.typical_p == 1.0 && (2..=MOST_TOP_K).contains(&self.top_k)).then_some(self.top_k)
    }

    /// Whether logits are changed before tokens are left out by their probability.
    pub(super) fn adjusts(&self) -> bool {
        self.penalizes() || !self.logit_bias.is_empty()
    }

    /// Whether the tokens of the text matter.
    pub(super) fn penalizes(&self) -> bool {
        self.repetition_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0
    }

    /// Checks all bounds, for a vocabulary of so many tokens.
    pub(super) fn check(&self, vocab: usize) -> Result<()> {
        let shares = [
            ("top_p", self.top_p),
            ("min_p", self.min_p),
            ("typical_p", self.typical_p),
        ];
        let wrong_share = shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share));
        let penalties = [
            ("presence_penalty", self.presence_penalty),
            ("frequency_penalty", self.frequency_penalty),
        ];
        let wrong_penalty = penalties.iter().find(|(_, penalty)| !(-2.0..=2.0).contains(penalty));
        let repetitions = 1.0 / MOST_REPETITION..=MOST_REPETITION;
        let refused = if !(0.0..=HOTTEST).contains(&self.temperature) {
            format!("temperature must be between 0 and {HOTTEST}")
        } else if let Some((name, _)) = wrong_share {
            format!("{name} must be between 0 and 1")
        } else if !repetitions.contains(&self.repetition_penalty) {
            let (least, most) = (repetitions.start(), repetitions.end());
            format!("repetition_penalty must be between {least} and {most}")
        } else if let Some((name, _)) = wrong_penalty {
            format!("{name} must be between -2 and 2")
        } else {
            return self.check_bias(vocab);
        };
        Err(Error::Usage(refused))
    }

    fn check_bias(&self, vocab: usize) -> Result<()> {
        for TokenBias { token, bias } in &self.logit_bias {
            if *token >= vocab {
                return Err(Error::Usage(format!(
                    "logit_bias: the vocabulary of {vocab} tokens has no token {token}"
                )));
            }
            if !(-MOST_BIAS..=MOST_BIAS).contains(bias) && *bias != f32::NEG_INFINITY {
                return Err(Error::Usage(format!(
                    "logit_bias: what is added to token {token} must be between -{MOST_BIAS} and {MOST_BIAS}, or -inf"
                )));
            }
        }
        Ok(())
    }
}
