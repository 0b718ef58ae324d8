//! Log probabilities of tokens, as the model gives them: before biases, grammars, penalties, temperature and cuts.

/// A token with the logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogProb {
    /// The token.
    pub token: usize,
    /// The natural logarithm of its probability.
    pub logprob: f32,
}

impl LogProb {
    /// Of one token.
    pub fn of(logits: &[f32], token: usize) -> LogProb {
        LogProb::with(logits, normal(logits), token)
    }

    fn with(logits: &[f32], normal: f64, token: usize) -> LogProb {
        let logit = logits.get(token);
        LogProb {
            token,
            logprob: logit.map_or(f32::NEG_INFINITY, |logit| (f64::from(*logit) - normal) as f32),
        }
    }
}

/// The logarithm of the sum of the exponentials of logits.
pub(crate) fn normal(logits: &[f32]) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let parts = logits.iter().map(|logit| f64::from(logit - most).exp());
    f64::from(most) + parts.filter(|part| part.is_finite()).sum::<f64>().ln()
}

/// What the model thought of a token that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct LogProbs {
    /// The token that was chosen.
    pub chosen: LogProb,
    /// The most likely tokens, most likely first.
    pub best: Vec<LogProb>,
}

impl LogProbs {
    /// Of the token `chosen` and of the `best` most likely ones. Tokens that the logits rule out are none of these.
    pub fn of(logits: &[f32], chosen: usize, best: usize) -> LogProbs {
        let normal = normal(logits);
        let logprob = |token| LogProb::with(logits, normal, token);
        let mut tokens: Vec<usize> = (0..logits.len()).filter(|token| logits[*token].is_finite()).collect();
        let order = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
        if best > 0 && best < tokens.len() {
            tokens.select_nth_unstable_by(best - 1, order);
        }
        tokens.truncate(best);
        tokens.sort_unstable_by(order);
        LogProbs {
            chosen: logprob(chosen),
            best: tokens.into_iter().map(logprob).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_are_those_of_the_softmax() {
        let logits = [
            0.5_f32.ln() + 7.0,
            f32::NEG_INFINITY,
            0.2_f32.ln() + 7.0,
            0.3_f32.ln() + 7.0,
        ];
        let found = LogProbs::of(&logits, 2, 2);
        let close = |found: LogProb, token, probability: f32| {
            assert_eq!(found.token, token);
            assert!((found.logprob - probability.ln()).abs() < 1e-5, "{found:?}");
        };
        close(found.chosen, 2, 0.2);
        close(found.best[0], 0, 0.5);
        close(found.best[1], 3, 0.3);
        assert_eq!(LogProbs::of(&logits, 0, 9).best.len(), 3);
        assert!(LogProbs::of(&logits, 0, 0).best.is_empty());
    }

    #[test]
    fn equal_tokens_come_in_their_order() {
        let best = LogProbs::of(&[1.0, 2.0, 2.0, 1.0], 0, 3).best;
        assert_eq!(best.iter().map(|one| one.token).collect::<Vec<_>>(), [1, 2, 0]);
    }
}
