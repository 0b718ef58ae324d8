//! Numbers that tell how an engine is doing.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

/// Numbers of now, and sums since the start.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Sequences that wait for a place.
    pub waiting: AtomicUsize,
    /// Sequences that run.
    pub running: AtomicUsize,
    /// Sequences whose listeners have no room for events.
    pub paused: AtomicUsize,
    /// Requests that were accepted.
    pub requests: AtomicU64,
    /// Requests that were refused because the queue was full.
    pub refused: AtomicU64,
    /// Answers that came to their end.
    pub finished: AtomicU64,
    /// Answers whose listeners went away.
    pub aborted: AtomicU64,
    /// Answers that could not be given or took too long.
    pub failed: AtomicU64,
    /// Tokens of prompts that were read.
    pub prompt_tokens: AtomicU64,
    /// Tokens that were generated.
    pub generated_tokens: AtomicU64,
    /// Prompts that began with the tokens of a kept sequence.
    pub cache_hits: AtomicU64,
    /// Tokens of prompts that were not read for that reason.
    pub cache_tokens: AtomicU64,
    /// Tokens of drafts that were read.
    pub drafted_tokens: AtomicU64,
    /// Tokens of these that were chosen.
    pub accepted_tokens: AtomicU64,
    /// Bytes of kept sequences.
    pub cache_bytes: AtomicUsize,
    /// How many they are.
    pub cache_sequences: AtomicUsize,
    /// Steps of the model.
    pub steps: AtomicU64,
    /// Rows that they read.
    pub rows: AtomicU64,
    /// Microseconds that they took.
    pub step_microseconds: AtomicU64,
}

impl Gauges {
    /// A step took so long for so many rows.
    pub(super) fn stepped(&self, took: Duration, rows: usize) {
        self.steps.fetch_add(1, Relaxed);
        self.rows.fetch_add(rows as u64, Relaxed);
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.step_microseconds.fetch_add(microseconds, Relaxed);
    }
}
