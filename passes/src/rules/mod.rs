//! Named rewrite rules: a pattern of operations, a condition, and a value that means the same.
//!
//! # Laws for rules
//! 1. A rule matches a value and its operands to a fixed depth. It inspects users only to make sure that the match has no
//!    other user, which would compute the same twice.
//! 2. The new value has the type of the old one and means the same for every operand, up to rounding and to the sign
//!    of zero. Whether entries are finite or numbers at all must not change; a root of minus infinity is the one
//!    exception.
//! 3. A rule adds nodes and gives one of them, or one that exists. It changes no node and no name, and it adds nothing
//!    before its condition is decided.
//! 4. Rules make a graph smaller, or move it towards the patterns of recognition. No two undo each other.
//! 5. Earlier rules of a table win; a rule that relies on that says so.
//! 6. Every rule has two graphs in `tests.rs`: one that it rewrites, and one that its condition keeps it from.

mod arithmetic;
mod broadcasts;
mod constants;
mod factors;
mod indexed_products;
mod products;
mod rule;
mod select;
mod views;

#[cfg(test)]
mod tests;

pub use indexed_products::{EntryByEntry, why_entry_by_entry};
pub use rule::Rule;
use seqc_ir::Graph;

/// Rules that make a graph smaller; [`crate::simplify`] applies them until none does anything.
pub const SIMPLIFY: &[&[Rule]] = &[
    constants::RULES,
    arithmetic::RULES,
    broadcasts::RULES,
    views::RULES,
    select::RULES,
    factors::RULES,
];

/// Rules that find products with parameters; [`crate::recognise`] applies them once.
pub const PRODUCTS: &[&[Rule]] = &[products::RULES, indexed_products::RULES];

/// Tries rules on every value, operands before users. True when one did something. A new
/// value without a name takes the name of the old one.
pub fn rewrite(graph: &mut Graph, rules: &[&[Rule]]) -> bool {
    let mut changed = false;
    for v in graph.order() {
        let rules = rules.iter().copied().flatten();
        let found = rules.filter_map(|rule| (rule.rewrite)(graph, v)).next();
        if let Some(new) = found.filter(|new| *new != v) {
            if graph.node(new).name.is_empty() {
                let name = graph.node(v).name.clone();
                graph.set_name(new, name);
            }
            graph.replace(v, new);
            changed = true;
        }
    }
    changed
}
