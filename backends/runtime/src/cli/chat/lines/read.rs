//! What comes from a terminal or a pipe.

/// One line as it comes.
pub(super) enum Read {
    Line(String),
    Interrupted,
    End,
}
