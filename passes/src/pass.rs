//! A pass, and what passes guarantee.

use seqc_ir::{Graph, Value};

/// One rewriting of a layer graph.
pub struct Pass {
    /// Its name, a verb.
    pub name: &'static str,
    /// Why it runs, and why at this place.
    pub why: &'static str,
    /// The rewriting.
    pub run: fn(&mut Graph),
    /// What holds after it and after all later passes, beside the laws of every graph.
    pub ensures: &'static [Law],
}

/// What passes guarantee of every value that a result needs.
pub struct Law {
    /// The law, a sentence.
    pub says: &'static str,
    /// True where a value obeys it.
    pub holds: fn(&Graph, Value) -> bool,
}
