//! How a session reads: in which chunks, and which rows of the outputs are wanted.

/// Which rows of the outputs are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One for every token.
    All,
    /// Only that of the last token.
    Last,
}

/// How a sequence is cut.
#[derive(Clone, Debug, Default)]
pub struct Cut {
    sizes: Vec<usize>,
}

impl Cut {
    /// Chunks of these sizes, the last one repeated; none: as long as the code takes.
    pub fn new(sizes: Vec<usize>) -> Cut {
        Cut { sizes }
    }

    /// The same from chunk `number` on.
    pub(crate) fn from(&self, number: usize) -> Cut {
        let number = number.min(self.sizes.len().saturating_sub(1));
        Cut::new(self.sizes[number..].to_vec())
    }

    /// Tokens of chunk `number`, of at most `longest`.
    pub(crate) fn size(&self, number: usize, longest: usize) -> usize {
        let asked = self.sizes.get(number).or(self.sizes.last()).copied();
        asked.unwrap_or(longest).clamp(1, longest)
    }
}
