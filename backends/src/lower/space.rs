//! Where an expression is evaluated: loop axes, lanes and the token.

use crate::kernel::Val;

/// The value of a loop axis.
#[derive(Clone, Copy)]
pub(super) enum Axis {
    /// A loop variable; for the vector axis the index of lane 0.
    At(Val),
    /// A number.
    Fixed(i64),
}

/// Where an expression is evaluated.
pub(super) struct Space {
    /// Values of the loop axes.
    pub(super) axes: Vec<Axis>,
    /// Sizes of the loop axes.
    pub(super) sizes: Vec<usize>,
    /// The axis that runs over the lanes of vectors.
    pub(super) lane: Option<usize>,
    /// Lanes that exist, when not all do.
    pub(super) mask: Option<Val>,
    /// Row of the token; `None` at load time.
    pub(super) token: Option<Val>,
}

impl Space {
    /// No loops yet.
    pub(super) fn new(token: Option<Val>) -> Space {
        Space {
            axes: Vec::new(),
            sizes: Vec::new(),
            lane: None,
            mask: None,
            token,
        }
    }

    /// Enters a loop; gives its axis.
    pub(super) fn push(&mut self, axis: Axis, size: usize) -> usize {
        self.axes.push(axis);
        self.sizes.push(size);
        self.axes.len() - 1
    }

    /// Leaves loops until `depth` are left.
    pub(super) fn truncate(&mut self, depth: usize) {
        self.axes.truncate(depth);
        self.sizes.truncate(depth);
    }
}
