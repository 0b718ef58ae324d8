//! One tensor of a checkpoint and its conversion to f32.

use crate::{DType, Error, blocks};

/// A tensor as it lies in its file.
#[derive(Clone, Debug)]
pub struct TensorRef<'a> {
    /// Its name in the checkpoint.
    pub name: &'a str,
    /// How it is stored.
    pub dtype: DType,
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

    /// All elements as f32, row by row; integers and truth values become numbers.
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
        match self.dtype {
            DType::F32 => each(self.bytes, out, f32::from_le_bytes),
            DType::F16 => each(self.bytes, out, |b| blocks::f16_to_f32(u16::from_le_bytes(b))),
            DType::BF16 => each(self.bytes, out, |b| {
                f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)
            }),
            DType::F64 => each(self.bytes, out, |b| f64::from_le_bytes(b) as f32),
            DType::I64 => each(self.bytes, out, |b| i64::from_le_bytes(b) as f32),
            DType::I32 => each(self.bytes, out, |b| i32::from_le_bytes(b) as f32),
            DType::I16 => each(self.bytes, out, |b| f32::from(i16::from_le_bytes(b))),
            DType::I8 => each(self.bytes, out, |[b]| f32::from(b as i8)),
            DType::U8 => each(self.bytes, out, |[b]| f32::from(b)),
            DType::Bool => each(self.bytes, out, |[b]| f32::from(b != 0)),
            DType::Q4_0 => each_block(self.bytes, out, blocks::q4_0),
            DType::Q4_1 => each_block(self.bytes, out, blocks::q4_1),
            DType::Q5_0 => each_block(self.bytes, out, blocks::q5_0),
            DType::Q5_1 => each_block(self.bytes, out, blocks::q5_1),
            DType::Q8_0 => each_block(self.bytes, out, blocks::q8_0),
            DType::Q4_K => each_block(self.bytes, out, blocks::q4_k),
            DType::Q5_K => each_block(self.bytes, out, blocks::q5_k),
            DType::Q6_K => each_block(self.bytes, out, blocks::q6_k),
            DType::Unknown(_) => {
                return Err(Error::Dtype {
                    tensor: self.name.to_owned(),
                    dtype: self.dtype,
                });
            }
        }
        Ok(())
    }
}

fn each<const N: usize>(bytes: &[u8], out: &mut Vec<f32>, value: impl Fn([u8; N]) -> f32) {
    out.extend(bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)));
}

fn each_block<const B: usize, const N: usize>(bytes: &[u8], out: &mut Vec<f32>, block: impl Fn(&[u8; B]) -> [f32; N]) {
    for chunk in bytes.as_chunks::<B>().0 {
        out.extend_from_slice(&block(chunk));
    }
}
