//! Attention: what its expressions imply, which keys a cache keeps, how often there is one, how many of them a policy keeps, and which caches are one.

pub mod analysis;
pub mod caches;
pub mod clock_rate;
pub mod evict_behind_window;
pub mod masked_scores;
pub mod named;
pub mod policy_entries;
pub mod positions;
pub mod span;
pub mod split_cache_by_key;
mod streams;
mod values_in_keys;

pub use analysis::PairAnalysis;
