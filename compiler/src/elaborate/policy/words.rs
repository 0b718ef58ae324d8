//! The words of cache policies.

/// The weight that the token's queries gave the entry.
pub(super) const WEIGHT: &str = "weight";

/// The weight that one query head gave the entry.
pub(super) const GIVEN: &str = "given";

/// The number of a block; in reductions, its entries.
pub(super) const BLOCK: &str = "block";

/// Runs over the blocks that are closed; the clause that says what they are.
pub(super) const BLOCKS: &str = "blocks";

/// Whether the entry's block is closed.
pub(super) const CLOSED: &str = "closed";

/// How many entries the token sees before this one.
pub(super) const RANK: &str = "rank";

/// How many entries the token sees.
pub(super) const SHOWN: &str = "shown";

/// Runs over the query heads of the layer.
pub(super) const HEADS: &str = "heads";

/// Runs over the query heads that share the key head.
pub(super) const MEMBERS: &str = "members";

/// The value before this token.
pub(super) const PREV: &str = "prev";

/// Runs over the entries of the cache.
pub(super) const ENTRIES: &str = "entries";

/// Runs over the last tokens' queries.
pub(super) const QUERIES: &str = "queries";

/// A key, indexed by a channel.
pub(super) const KEY: &str = "key";

/// A value, indexed by a channel.
pub(super) const VALUE: &str = "value";

/// A query, indexed by a channel.
pub(super) const QUERY: &str = "query";

/// Names of numbers that each entry has.
pub(super) const OF_ENTRIES: &[&str] = &["j", "age", "slot", WEIGHT, GIVEN, BLOCK, CLOSED, RANK];

/// Names of numbers of the cache.
pub(super) const OF_THE_CACHE: &[&str] = &["i", "n", "reading", "ended", "head", SHOWN];

/// Names of numbers that are known when the model is built.
pub(super) const CONSTANTS: &[&str] = &[HEADS, MEMBERS, "width", "layer", "layers"];

/// Names with other meanings: vectors, what reductions run over, keys of an entry of `cache:` in a model.
pub(super) const OTHERS: &[&str] = &[ENTRIES, QUERIES, BLOCKS, KEY, VALUE, QUERY, "on", "policy", "type"];

/// What reductions run over, beside channels.
pub(super) const RANGES: &[&str] = &[ENTRIES, QUERIES, BLOCK, BLOCKS, HEADS, MEMBERS];

/// Clauses of a body.
pub(super) const CLAUSES: &[&str] = &["blocks", "see", "keep", "keys", "values"];

/// Built-in functions that apply to numbers alone.
pub(super) const OF_NUMBERS: &[&str] = &["min", "max", "ceil", "int", "len", "fail"];

/// Names whose meaning a setting or definition of the same name takes: they are about blocks, which few caches have.
pub(super) const SOFT: &[&str] = &[GIVEN, BLOCK, BLOCKS, CLOSED, RANK, SHOWN, VALUE];

/// Whether a name cannot be given to a setting or definition.
pub(super) fn is_taken(name: &str) -> bool {
    !SOFT.contains(&name) && [OF_ENTRIES, OF_THE_CACHE, CONSTANTS, OTHERS].concat().contains(&name)
}
