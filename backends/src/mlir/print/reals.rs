//! What a processor does with reals in one instruction.

/// The instructions of a processor for reals.
#[derive(Clone, Copy)]
pub(super) enum Reals {
    /// With products and sums in one rounding, and conversions of halves.
    Complete,
    /// Without them: functions of the C library would take long, so that other instructions take their places.
    Plain,
}
