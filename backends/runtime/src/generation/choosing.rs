//! How steps of a model choose tokens in place of a sampler ([`seqc_abi::decoding`]).

/// What a step must know to choose as a sampler does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choosing {
    /// Among how many most likely tokens one is drawn; 1: the most likely one is taken.
    pub(crate) top_k: usize,
    /// What logits are divided by.
    pub(crate) temperature: f32,
    /// The numbers in `0..1` by which tokens are drawn, in order.
    pub(crate) draws: Vec<f32>,
    /// Tokens that end the answer.
    pub(crate) ends: Vec<i64>,
}
