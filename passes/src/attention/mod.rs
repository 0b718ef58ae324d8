//! Attention: what its expressions imply, which keys a cache keeps, how often there is one, and which caches are one.

pub mod analysis;
pub mod cache_sharing;
pub mod clock_rate;
pub mod span;
pub mod split_cache_by_key;

pub use analysis::PairAnalysis;
