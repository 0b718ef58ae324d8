//! How steps of a model choose tokens in place of a sampler ([`seqc_abi::decoding`]).

/// What a step must know to choose as a sampler does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choosing {
    /// Among how many most likely tokens one is drawn; 1: the most likely one is taken.
    pub(crate) top_k: usize,
    /// What logits are divided by.
    pub(crate) temperature: f32,
    /// Of these only those that together have this share of their probability; 1: all.
    pub(crate) top_p: f32,
    /// Of these only those at least this much as likely as the most likely one; 0: all.
    pub(crate) min_p: f32,
    /// The numbers in `0..1` by which tokens are drawn, in order.
    pub(crate) draws: Vec<f32>,
    /// Tokens that end the answer.
    pub(crate) ends: Vec<i64>,
}
