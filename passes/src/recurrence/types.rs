//! What a recurrence is.

use seqc_ir::{StateId, Value};

/// A cycle through one or more states, or several cycles of entries that feed each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Recurrence {
    /// States of the cycle.
    pub states: Vec<StateId>,
    /// Values of the cycle and between cycles, operands before users, without the `Prev` nodes.
    pub members: Vec<Value>,
    /// The `Prev` nodes of the states.
    pub previous: Vec<Value>,
    /// What multiplies `prev`.
    pub class: Class,
    /// Every member has the shape of the states and is computed entry by entry: entries are independent of each other.
    pub elementwise: bool,
}

impl Recurrence {
    /// Values that only exist inside it: previous values and members.
    pub fn values(&self) -> impl Iterator<Item = Value> {
        self.previous.iter().chain(&self.members).copied()
    }
}

/// Classes of recurrences (see the user documentation of `seqc explain`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Linear, with coefficients that do not depend on the tokens. An initial value changes nothing about that.
    Constant,
    /// Linear, one input-dependent coefficient per entry: a factor, or a condition that keeps the entry or does not.
    Diagonal,
    /// Linear, one input-dependent coefficient for a whole matrix (a head).
    ScalarPerHead,
    /// Linear, the state multiplied by an input-dependent matrix.
    Matrix,
    /// Not linear, but every entry for itself.
    Elementwise,
    /// Anything else.
    Sequential,
}

impl Class {
    /// The name that `seqc explain` prints.
    pub fn name(self) -> &'static str {
        match self {
            Class::Constant => "constant coefficients (linear, time-invariant)",
            Class::Diagonal => "diagonal, input-dependent",
            Class::ScalarPerHead => "scalar per head",
            Class::Matrix => "linear with an input-dependent matrix",
            Class::Elementwise => "nonlinear, entry by entry",
            Class::Sequential => "nonlinear",
        }
    }
}
