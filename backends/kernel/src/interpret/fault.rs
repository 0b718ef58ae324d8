//! Why a run stopped.

use std::fmt;

/// Why a run stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The function.
    pub function: String,
    /// The instruction in text form.
    pub inst: String,
    /// What it did wrong.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}\n    {}", self.function, self.message, self.inst)
    }
}
