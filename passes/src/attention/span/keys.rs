//! A bound of the keys that some later query can still see: a distance, and a number of first tokens.

/// Which keys some later query can still see: key `j` is seen by query `i >= j` only if `i - j < distance`
/// or `j < first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttentionSpan {
    /// Tokens back from the query, itself included; `None`: any distance.
    pub distance: Option<u64>,
    /// Tokens from the beginning of the sequence.
    pub first: u64,
}

impl AttentionSpan {
    /// Everything.
    pub const ALL: AttentionSpan = AttentionSpan {
        distance: None,
        first: 0,
    };
    /// Nothing.
    pub const NONE: AttentionSpan = AttentionSpan {
        distance: Some(0),
        first: 0,
    };

    /// Most tokens that are kept, if there is a bound.
    pub fn limit(&self) -> Option<u64> {
        self.distance.map(|distance| distance.saturating_add(self.first))
    }

    /// Closed form of the number of kept tokens in the context length `T`.
    pub fn bound(&self) -> String {
        match (self.first, self.distance) {
            (_, None) => "T".to_owned(),
            (0, Some(0)) => "0".to_owned(),
            (0, Some(distance)) => format!("min(T, {distance})"),
            (first, Some(0)) => format!("min(T, {first})"),
            (first, Some(distance)) => format!("min(T, {first} + {distance})"),
        }
    }

    /// Pairs in either set.
    pub(in crate::attention) fn or(self, other: AttentionSpan) -> AttentionSpan {
        AttentionSpan {
            distance: self.distance.zip(other.distance).map(|(a, b)| a.max(b)),
            first: self.first.max(other.first),
        }
    }

    /// Pairs in both sets: each alone is a bound, and so are the shorter distance and the longer beginning.
    pub(super) fn and(self, other: AttentionSpan) -> AttentionSpan {
        let shorter = match (self.distance, other.distance) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let mixed = AttentionSpan {
            distance: shorter,
            first: self.first.max(other.first),
        };
        [self, other].into_iter().fold(
            mixed,
            |best, span| if span.tokens() < best.tokens() { span } else { best },
        )
    }

    pub(in crate::attention) fn tokens(&self) -> u64 {
        self.distance.map_or(u64::MAX, |d| d.saturating_add(self.first))
    }
}
