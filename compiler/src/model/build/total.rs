//! Sums over a model, and what they may come to.

/// Most numbers in all parameters of a model, some ten times the largest that is published: beyond it a size is a slip.
const MAX_PARAMETERS: usize = 1 << 43;

/// Most tensors of a checkpoint that a model names.
const MAX_TENSORS: usize = 1 << 22;

/// Most operations in the distinct layers of a model: each has code of its own. Layers with equal settings count once.
const MAX_OPERATIONS: usize = 1 << 20;

/// Sums over a model that have a bound.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    /// Numbers in all parameters.
    pub(super) numbers: usize,
    /// Tensors that parameters are loaded from.
    pub(super) tensors: usize,
    /// Operations of distinct layers.
    pub(super) operations: usize,
}

impl Total {
    /// What there is too much of, if there is.
    pub(super) fn excess(self) -> Option<String> {
        let bounds = [
            (self.numbers, MAX_PARAMETERS, "numbers in its parameters"),
            (self.tensors, MAX_TENSORS, "tensors"),
            (self.operations, MAX_OPERATIONS, "operations in layers that differ"),
        ];
        let (_, most, what) = bounds.into_iter().find(|(count, most, _)| count > most)?;
        Some(format!("with this layer the model has more than {most} {what}"))
    }
}
