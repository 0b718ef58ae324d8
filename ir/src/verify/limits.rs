//! Numbers that no graph exceeds.

/// Most elements of one tensor.
pub const MAX_ELEMENTS: usize = 1 << 40;

/// Longest delay, in tokens.
pub const MAX_DELAY: usize = 1 << 24;

/// Most entries of a table that attention reads.
pub const MAX_TABLE: usize = 1 << 30;

/// Most keys that [`crate::Normaliser::Top`] asks for.
pub const MAX_TOP: usize = 1 << 16;

/// Most taps of a long convolution's filter.
pub const MAX_LAGS: usize = 1 << 20;
