//! Numbers and nouns in reports.

/// A number and what it counts: `1 loop`, `2 loops`.
pub(super) fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
