//! Types of streams: the element type and the axes of one token's tensor.

/// Element type of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Elem {
    /// Real numbers; f32 in generated code, f64 in the evaluator.
    F32,
    /// Integers: token ids, positions, axis indices.
    I64,
    /// Truth values, results of comparisons.
    Bool,
}

/// One axis of a tensor: its size and the name it had in the source (may be empty).
#[derive(Clone, Debug)]
pub struct Dim {
    /// Number of entries.
    pub size: usize,
    /// Name for messages and text; not part of the type's identity.
    pub name: String,
}

impl Dim {
    /// A named axis.
    pub fn new(name: impl Into<String>, size: usize) -> Dim {
        Dim {
            size,
            name: name.into(),
        }
    }
}

impl PartialEq for Dim {
    fn eq(&self, other: &Dim) -> bool {
        self.size == other.size
    }
}

impl Eq for Dim {}

/// Type of a value: element type and shape of one token's tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ty {
    /// Element type.
    pub elem: Elem,
    /// Axes, outermost first. Empty: a scalar per token.
    pub dims: Vec<Dim>,
}

impl Ty {
    /// A tensor type.
    pub fn new(elem: Elem, dims: Vec<Dim>) -> Ty {
        Ty { elem, dims }
    }

    /// A scalar type.
    pub fn scalar(elem: Elem) -> Ty {
        Ty { elem, dims: Vec::new() }
    }

    /// Sizes of the axes.
    pub fn sizes(&self) -> Vec<usize> {
        self.dims.iter().map(|d| d.size).collect()
    }

    /// Number of elements of one token's tensor.
    pub fn len(&self) -> usize {
        self.dims.iter().map(|d| d.size).product()
    }

    /// True when an axis has size 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }
}
