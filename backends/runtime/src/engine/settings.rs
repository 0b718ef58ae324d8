//! What bounds an engine.

use std::time::Duration;

use crate::speculation::Drafting;

/// Bounds on what an engine runs, keeps waiting and admits.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Sequences that run at once; those whose listeners have no room are not counted.
    pub sequences: usize,
    /// Sequences that wait for a place; more are refused.
    pub queue: usize,
    /// Tokens of a sequence, prompt and answer; the model may admit fewer.
    pub context: Option<usize>,
    /// Tokens of prompts that one step reads while other sequences generate: with them grows the time between two tokens of
    /// those.
    pub prompt_rows: usize,
    /// Bytes of the prefix cache; 0: none.
    pub cache_bytes: usize,
    /// While a prompt is read, its sequence is kept every so many tokens, if the model can only go on from where it was kept.
    pub snapshot_tokens: usize,
    /// How tokens are drafted, where they are.
    pub drafting: Option<Drafting>,
    /// From the arrival of a request to the end of its answer.
    pub timeout: Option<Duration>,
}
