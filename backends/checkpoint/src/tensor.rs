//! One tensor of a checkpoint and its conversion to f32.

use crate::error::Error;
use seqc_formats::Encoding;

/// A tensor as it lies in its file.
#[derive(Clone, Debug)]
pub struct TensorRef<'a> {
    /// Its name in the checkpoint.
    pub name: &'a str,
    /// How it is stored.
    pub encoding: Encoding,
    /// Sizes, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The stored bytes, row by row, at no particular alignment.
    pub bytes: &'a [u8],
}

impl TensorRef<'_> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        // The product was checked against the file's size when the checkpoint was opened.
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All elements as f32, row by row; integers and booleans become numbers.
    ///
    /// # Errors
    ///
    /// A type that has no conversion here.
    pub fn to_f32(&self) -> Result<Vec<f32>, Error> {
        let mut out = Vec::new();
        self.append_f32(&mut out)?;
        Ok(out)
    }

    /// [`TensorRef::to_f32`] at the end of a list.
    ///
    /// # Errors
    ///
    /// A type that has no conversion here.
    pub fn append_f32(&self, out: &mut Vec<f32>) -> Result<(), Error> {
        // A file without tensor data may claim any shape of no elements, and one with data has them.
        out.reserve(self.len());
        if self.encoding.decode(self.bytes, out) {
            return Ok(());
        }
        Err(Error::Encoding {
            tensor: self.name.to_owned(),
            encoding: self.encoding,
        })
    }
}
