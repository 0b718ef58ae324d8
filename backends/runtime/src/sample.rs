//! Choosing the next token from logits.

use crate::{Error, Result, weights::Mix};

/// Tokens less likely than the best by more than this power of e are never drawn: sums in f32 do not see them.
const NEVER: f32 = 30.0;

/// How a token is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// 0: always the most likely token.
    pub temperature: f32,
    /// Only the so many most likely tokens; 0: all.
    pub top_k: usize,
    /// Only the most likely tokens that together have this probability.
    pub top_p: f32,
    /// The same seed draws the same tokens.
    pub seed: u64,
}

/// Draws one token after another.
pub struct Sampler {
    sampling: Sampling,
    mix: Mix,
}

impl Sampler {
    /// Starts from the seed.
    ///
    /// # Errors
    ///
    /// A temperature that is negative or no number, or a `top_p` outside of 0..=1.
    pub fn new(sampling: Sampling) -> Result<Sampler> {
        if !(sampling.temperature.is_finite() && sampling.temperature >= 0.0) {
            return Err(Error::Usage(
                "--temperature must be a number that is not negative".to_owned(),
            ));
        }
        if !(0.0..=1.0).contains(&sampling.top_p) {
            return Err(Error::Usage("--top-p must be between 0 and 1".to_owned()));
        }
        Ok(Sampler {
            sampling,
            mix: Mix(sampling.seed),
        })
    }

    /// The next token for these logits; 0 for none.
    pub fn next(&mut self, logits: &[f32]) -> usize {
        if self.sampling.temperature == 0.0 || self.sampling.top_k == 1 {
            return greedy(logits);
        }
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if !best.is_finite() {
            return greedy(logits);
        }
        let mut kept = self.candidates(logits, best);
        for (_, logit) in &mut kept {
            *logit = ((*logit - best) / self.sampling.temperature).exp();
        }
        nucleus(&mut kept, self.sampling.top_p);
        let total: f32 = kept.iter().map(|(_, weight)| weight).sum();
        let mut left = (self.mix.next() >> 40) as f32 / (1_u32 << 24) as f32 * total;
        for (token, weight) in &kept {
            left -= weight;
            if left < 0.0 {
                return *token;
            }
        }
        // Rounding may leave a crumb after the last one.
        kept.last().map_or(0, |(token, _)| *token)
    }

    /// Tokens that may be drawn with their logits, at most `top_k`; most likely first where the order matters.
    fn candidates(&self, logits: &[f32], best: f32) -> Vec<(usize, f32)> {
        let lowest = best - NEVER * self.sampling.temperature;
        let mut all: Vec<(usize, f32)> = logits
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, logit)| *logit >= lowest)
            .collect();
        let order = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let k = self.sampling.top_k;
        if k > 0 && k < all.len() {
            all.select_nth_unstable_by(k - 1, order);
            all.truncate(k);
        }
        if self.sampling.top_p < 1.0 {
            all.sort_unstable_by(order);
        } else {
            // Selecting leaves an order of its own.
            all.sort_unstable_by_key(|(token, _)| *token);
        }
        all
    }
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

/// Keeps the shortest start of a sorted list of weights that has the share `top_p`.
fn nucleus(kept: &mut Vec<(usize, f32)>, top_p: f32) {
    if top_p >= 1.0 {
        return;
    }
    let enough = top_p * kept.iter().map(|(_, weight)| weight).sum::<f32>();
    let mut sum = 0.0;
    let cut = kept.iter().position(|(_, weight)| {
        sum += weight;
        sum >= enough
    });
    kept.truncate(cut.map_or(kept.len(), |last| last + 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(temperature: f32, top_k: usize, top_p: f32, seed: u64) -> Sampler {
        Sampler::new(Sampling {
            temperature,
            top_k,
            top_p,
            seed,
        })
        .expect("valid")
    }

    #[test]
    fn greedy_is_the_first_maximum() {
        assert_eq!(greedy(&[0.0, 3.0, 3.0, f32::NAN, -1.0]), 1);
        assert_eq!(greedy(&[]), 0);
        assert_eq!(sampler(0.0, 0, 1.0, 7).next(&[0.0, 1.0]), 1);
    }

    #[test]
    fn frequencies_follow_the_probabilities() {
        let logits = [0.5_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln(), f32::NEG_INFINITY];
        let mut sampler = sampler(1.0, 0, 1.0, 1);
        let mut counts = [0; 4];
        for _ in 0..20_000 {
            counts[sampler.next(&logits)] += 1;
        }
        for (count, share) in counts.into_iter().zip([0.5, 0.3, 0.2, 0.0]) {
            assert!((f64::from(count) / 20_000.0 - share).abs() < 0.02, "{counts:?}");
        }
    }

    #[test]
    fn only_the_likeliest_are_drawn() {
        let logits = [1.0, 5.0, 4.0, 0.0];
        let drawn = |mut sampler: Sampler| {
            let mut seen: Vec<usize> = (0..500).map(|_| sampler.next(&logits)).collect();
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        assert_eq!(drawn(sampler(5.0, 2, 1.0, 3)), [1, 2]);
        assert_eq!(drawn(sampler(1.0, 0, 0.5, 3)), [1]);
        assert_eq!(drawn(sampler(9.0, 0, 1.0, 3)), [0, 1, 2, 3]);
    }

    #[test]
    fn logits_that_are_no_numbers_are_never_drawn() {
        let mut sampler = sampler(1.0, 0, 0.9, 1);
        for _ in 0..50 {
            assert_eq!(sampler.next(&[f32::NAN, 1.0, f32::NEG_INFINITY, f32::NAN]), 1);
        }
        assert_eq!(sampler.next(&[f32::NAN; 3]), 0);
        assert_eq!(sampler.next(&[0.0, f32::INFINITY]), 1);
        assert_eq!(sampler.next(&[]), 0);
    }

    #[test]
    fn a_seed_fixes_the_draws_and_nonsense_is_refused() {
        let draws = |seed| {
            let mut sampler = sampler(2.0, 0, 0.9, seed);
            (0..32).map(|_| sampler.next(&[0.1, 0.2, 0.3, 0.4])).collect::<Vec<_>>()
        };
        assert_eq!(draws(5), draws(5));
        assert_ne!(draws(5), draws(6));
        for (temperature, top_p) in [(-1.0, 1.0), (f32::NAN, 1.0), (1.0, 1.5), (1.0, f32::NAN)] {
            let wrong = Sampling {
                temperature,
                top_k: 0,
                top_p,
                seed: 0,
            };
            assert!(Sampler::new(wrong).is_err());
        }
    }
}
