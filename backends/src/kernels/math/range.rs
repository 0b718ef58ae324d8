//! What is known of the exponent of an exponential.

/// What is known of an exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Nothing.
    Any,
    /// It is zero, negative or NaN.
    NotPositive,
}
