//! What a step reads and writes that reads several tokens of one sequence, each chosen from the logits of the one before.
//!
//! Such a step runs where a device is started for it and the host waits: the host says how tokens are chosen, and gets those that were read. The step
//! ends by itself before a token that ends an answer, and where it cannot tell which token the host would choose: the host then chooses from the logits
//! of the last token that was read, as after any other step.

/// Groups in which logits are searched: as many vectors of a row, one after another, belong to different ones.
pub const GROUPS: usize = 1024;
/// The most tokens among which a step looks for the most likely ones: those at least as likely as the least of so many groups' likeliest.
pub const CANDIDATES: usize = 512;
/// The most tokens of which a step draws one.
pub const MOST_TOP_K: usize = 64;

/// How tokens are chosen, and which were read, in slots of 64 bits. [`frame::DECODING`](crate::frame::DECODING) leads to it. The tables of
/// [`frame::ALL`](crate::frame::ALL) and [`frame::WANTED`](crate::frame::WANTED) are the same, of one row, and the step moves them from token to token.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Decoding {
    /// The most tokens to read, at least one.
    pub count: u64,
    /// How many were read: 1 before the step.
    pub read: u64,
    /// Whether the step goes on: 1 before the step.
    pub going: u64,
    /// `*mut i64`: room for `count` tokens, of which the first is given.
    pub tokens: u64,
    /// `*const f32`: a number in `0..1` for each token that is drawn, `count - 1` of them.
    pub draws: u64,
    /// Among how many most likely tokens one is drawn, up to [`MOST_TOP_K`]; 1: the most likely one is taken.
    pub top_k: u64,
    /// An `f32` in the lower half: what logits are divided by.
    pub temperature: u64,
    /// An `f32` in the lower half: only the most likely of these tokens that together have this share of their probability; 1: all.
    pub top_p: u64,
    /// An `f32` in the lower half: only tokens at least this much as likely as the most likely one; 0: all.
    pub min_p: u64,
    /// Tokens that can be read are below this one.
    pub limit: u64,
    /// Number of tokens before which the step ends.
    pub ends: u64,
    /// `*const i64`: these tokens.
    pub end_table: u64,
    /// `*mut Work`.
    pub work: u64,
}

/// Memory in which logits are searched.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Work {
    /// The largest logit of each group; infinite where one of them is not a number.
    pub most: [f32; GROUPS],
    /// The first token that has it.
    pub first: [f32; GROUPS],
    /// How many candidates a group has.
    pub counts: [f32; GROUPS],
    /// Candidates: logits, then how far these are below the largest one.
    pub values: [f32; CANDIDATES],
    /// Their tokens.
    pub tokens: [f32; CANDIDATES],
    /// 1 for those among which one is drawn, else 0.
    pub kept: [f32; CANDIDATES],
    /// Their weights.
    pub weights: [f32; CANDIDATES],
    /// A logit that at least as many tokens reach as one is drawn from.
    pub bound: f32,
    /// The token that was chosen; negative where that is left to the host.
    pub chosen: i64,
}
