//! What attention must remember: the keys that later queries can reach, how often there is one, and which caches are one.

pub mod cache_sharing;
pub mod clock_rate;
pub mod span;
pub mod split_cache_by_key;
