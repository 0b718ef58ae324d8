//! Choosing the next token from logits.
//!
//! The order: biases, the repetition penalty, the presence and frequency penalties; then, unless the most likely token is
//! taken, the temperature, top-k, top-p, min-p and typical-p, each of what the one before left; then a token is drawn.

use std::{borrow::Cow, collections::HashMap};

use super::{
    Choosing, SamplingOptions, TokenBias,
    truncate::{self, Candidate},
};
use crate::{Result, weights::Mix};

/// Tokens less likely than the best by more than this power of e are never drawn.
const NEVER: f32 = 30.0;

/// Chooses one token after another. A copy goes on as the original does.
#[derive(Clone, Debug)]
pub struct Sampler {
    options: SamplingOptions,
    mix: Mix,
    /// The tokens of the text, each with how often it was generated.
    text: HashMap<usize, u32>,
}

impl Sampler {
    /// Starts from the seed, for a vocabulary of so many tokens.
    ///
    /// # Errors
    ///
    /// An option outside of its bounds.
    pub fn new(options: SamplingOptions, vocab: usize) -> Result<Sampler> {
        options.check(vocab)?;
        Ok(Sampler {
            mix: Mix(options.seed),
            options,
            text: HashMap::new(),
        })
    }

    /// How tokens are chosen.
    pub fn options(&self) -> &SamplingOptions {
        &self.options
    }

    /// Takes tokens of the prompt, which the repetition penalty counts.
    pub fn read(&mut self, tokens: &[i64]) {
        if self.options.penalizes() {
            for token in tokens.iter().filter_map(|token| usize::try_from(*token).ok()) {
                self.text.entry(token).or_default();
            }
        }
    }

    /// Takes a token that was generated, which all penalties count.
    pub fn accept(&mut self, token: usize) {
        if self.options.penalizes() {
            *self.text.entry(token).or_default() += 1;
        }
    }

    /// The next token for these logits, which counts as generated; 0 for no logits.
    pub fn next(&mut self, logits: &[f32]) -> usize {
        let token = self.draw(logits);
        self.accept(token);
        token
    }

    /// The tokens that may come next, with weights that are proportional to their probabilities.
    pub fn candidates(&self, logits: &[f32]) -> Vec<Candidate> {
        let logits = self.adjusted(logits);
        self.cut(&logits)
            .unwrap_or_else(|| vec![Candidate::new(greedy(&logits), 1.0)])
    }

    /// How steps choose tokens as it does, `count` at most, before some that end the answer; `None`: only it can.
    pub(super) fn choosing(&self, count: usize, ends: &[i64]) -> Option<Choosing> {
        let top_k = self.options.chosen_by_steps()?;
        let mut mix = self.mix.clone();
        Some(Choosing {
            top_k,
            temperature: self.options.temperature,
            top_p: self.options.top_p,
            min_p: self.options.min_p,
            draws: (0..count).map(|_| uniform(&mut mix) as f32).collect(),
            ends: ends.to_vec(),
        })
    }

    /// Leaves the choice of a token to a step.
    pub(super) fn skip(&mut self) {
        if !self.options.is_greedy() {
            self.mix.next();
        }
    }

    fn draw(&mut self, logits: &[f32]) -> usize {
        let logits = self.adjusted(logits);
        let Some(kept) = self.cut(&logits) else {
            return greedy(&logits);
        };
        let mut left = uniform(&mut self.mix) * truncate::total(&kept);
        for candidate in &kept {
            left -= candidate.weight;
            if left < 0.0 {
                return candidate.token;
            }
        }
        // Rounding may leave a crumb after the last one.
        kept.last().map_or(0, |candidate| candidate.token)
    }

    /// Logits with biases and penalties.
    fn adjusted<'l>(&self, logits: &'l [f32]) -> Cow<'l, [f32]> {
        if !self.options.adjusts() {
            return Cow::Borrowed(logits);
        }
        let options = &self.options;
        let mut logits = logits.to_vec();
        for TokenBias { token, bias } in &options.logit_bias {
            if let Some(logit) = logits.get_mut(*token) {
                *logit += bias;
            }
        }
        for (token, times) in &self.text {
            let Some(logit) = logits.get_mut(*token) else { continue };
            if *logit > 0.0 {
                *logit /= options.repetition_penalty;
            } else {
                *logit *= options.repetition_penalty;
            }
            if *times > 0 {
                *logit -= options.presence_penalty + *times as f32 * options.frequency_penalty;
            }
        }
        Cow::Owned(logits)
    }

    /// The tokens among which one is drawn, in the order of the vocabulary; `None` where the most likely one is taken.
    fn cut(&self, logits: &[f32]) -> Option<Vec<Candidate>> {
        let options = &self.options;
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if options.is_greedy() || !best.is_finite() {
            return None;
        }
        let lowest = best - NEVER * options.temperature;
        let likely = logits.iter().enumerate().filter(|(_, logit)| **logit >= lowest);
        let weight = |logit: f32| f64::from((logit - best) / options.temperature).exp();
        let mut kept: Vec<Candidate> = likely
            .map(|(token, logit)| Candidate::new(token, weight(*logit)))
            .collect();
        truncate::top_k(&mut kept, options.top_k);
        truncate::top_p(&mut kept, options.top_p);
        truncate::min_p(&mut kept, options.min_p);
        truncate::typical_p(&mut kept, options.typical_p);
        // What selects leaves an order of its own.
        kept.sort_unstable_by_key(|candidate| candidate.token);
        Some(kept)
    }
}

/// The next number in `0..1`, of 53 bits: as many as a number in double precision holds.
fn uniform(mix: &mut Mix) -> f64 {
    (mix.next() >> 11) as f64 / (1_u64 << 53) as f64
}

/// The first of the largest logits.
pub fn greedy(logits: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, logit) in logits.iter().enumerate() {
        if *logit > best.1 {
            best = (token, *logit);
        }
    }
    best.0
}
