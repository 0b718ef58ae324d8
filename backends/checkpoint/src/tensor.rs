//! One tensor of a checkpoint and its conversion to f32.

use crate::{
    blocks::{NUMBERS, joined},
    error::Error,
    scales::Scales,
};
use seqc_formats::{Encoding, Float8, Use};
use std::borrow::Cow;

/// Numbers that are converted at a time, or one row.
const PIECE: usize = 1 << 16;

/// A tensor as it lies in its file.
#[derive(Clone, Debug)]
pub struct TensorRef<'a> {
    /// Its name in the checkpoint.
    pub name: &'a str,
    /// How it is stored.
    pub encoding: Encoding,
    /// Sizes, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The stored bytes, row by row, at no particular alignment; the numbers of its blocks alone where there are `exponents`.
    pub bytes: &'a [u8],
    /// Factors of the numbers, which lie elsewhere.
    pub scales: Option<Scales<'a>>,
    /// Exponents of the blocks, where they lie elsewhere.
    pub exponents: Option<&'a [u8]>,
    /// Whether the last two axes of `shape` are exchanged in the stored bytes.
    pub transposed: bool,
}

/// How the numbers of a tensor are put into blocks.
#[derive(Clone, Copy)]
struct Regrouped {
    encoding: Encoding,
    kind: Float8,
    /// Numbers of a row.
    width: usize,
}

impl<'a> TensorRef<'a> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        // The product was checked against the file's size when the checkpoint was opened.
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How a copy by rows is stored: as the tensor, unless its numbers are put into blocks, or it is transposed and its blocks would be torn apart.
    pub fn copied_encoding(&self) -> Encoding {
        match self.regrouped() {
            Some(regrouped) => regrouped.encoding,
            None if self.transposed && self.encoding.block() > 1 => Encoding::F32,
            None => self.encoding,
        }
    }

    /// The blocks that a copy has, where the tensor has none; `None` where it stays as it is, or rows are not whole blocks of one factor each.
    fn regrouped(&self) -> Option<Regrouped> {
        let Use::Regrouped(kind) = self.encoding.usage() else {
            return None;
        };
        let encoding = Encoding::of_float8(kind);
        let width = *self.shape.last()?;
        let are_whole = width > 0 && width.is_multiple_of(encoding.block()) && !self.transposed;
        let fit = self.scales.is_none_or(|scales| scales.are_common_to(encoding.block()));
        (are_whole && fit).then_some(Regrouped { encoding, kind, width })
    }

    /// The bytes, by rows of `shape`, of a copy of a tensor whose blocks are single elements or that is not transposed.
    pub fn stored(&self) -> Cow<'_, [u8]> {
        if self.transposed {
            return Cow::Owned(self.exchanged(self.bytes, self.encoding.block_bytes()));
        }
        if self.regrouped().is_none() {
            return self.blocks(0, usize::MAX);
        }
        let mut all = Vec::with_capacity(self.stored_bytes());
        self.each_stored(|bytes| all.extend_from_slice(bytes));
        Cow::Owned(all)
    }

    /// The number of bytes of [`TensorRef::stored`].
    pub fn stored_bytes(&self) -> usize {
        match self.regrouped() {
            Some(Regrouped { encoding, .. }) => self.bytes.len() / encoding.block() * encoding.block_bytes(),
            None => self.bytes.len() + self.exponents.map_or(0, <[u8]>::len),
        }
    }

    /// [`TensorRef::stored`] in pieces, one after another.
    pub fn each_stored(&self, mut take: impl FnMut(&[u8])) {
        if self.transposed {
            return take(&self.stored());
        }
        if let Some(regrouped) = self.regrouped() {
            return self.each_regrouped(regrouped, take);
        }
        (0..self.count())
            .step_by(PIECE)
            .for_each(|from| take(&self.blocks(from, from + PIECE)));
    }

    /// The same of blocks that are put together, some rows at a time.
    fn each_regrouped(&self, regrouped: Regrouped, mut take: impl FnMut(&[u8])) {
        let Regrouped { encoding, kind, width } = regrouped;
        let rows = (PIECE / width).max(1);
        let mut blocks = Vec::new();
        for (row, numbers) in self.bytes.chunks_exact(width).enumerate() {
            let (factors, common) = self.scales.map_or((vec![1.0], width), |scales| scales.of_row(row));
            for (n, numbers) in numbers.chunks_exact(encoding.block()).enumerate() {
                let factor = factors.get(n * encoding.block() / common);
                kind.put_block(factor.copied().unwrap_or(f32::NAN), numbers, &mut blocks);
            }
            if (row + 1).is_multiple_of(rows) {
                take(&blocks);
                blocks.clear();
            }
        }
        take(&blocks);
    }

    /// Whether the bytes lie in the file as a copy has them.
    pub fn in_place(&self) -> bool {
        !self.transposed && self.exponents.is_none() && self.regrouped().is_none()
    }

    /// Blocks of the file.
    fn count(&self) -> usize {
        (self.bytes.len() + self.exponents.map_or(0, <[u8]>::len)) / self.encoding.block_bytes()
    }

    /// Bytes and exponents of the blocks from `from` to before `to`; `None` where they are not all there.
    pub(crate) fn part(&self, from: usize, to: usize) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let each = match self.exponents {
            Some(_) => NUMBERS,
            None => self.encoding.block_bytes(),
        };
        let bytes = self.bytes.get(from.checked_mul(each)?..to.checked_mul(each)?)?;
        match self.exponents {
            Some(exponents) => Some((bytes, Some(exponents.get(from..to)?))),
            None => Some((bytes, None)),
        }
    }

    /// The blocks of the file from `from` to before `to`, as far as there are.
    fn blocks(&self, from: usize, to: usize) -> Cow<'_, [u8]> {
        let count = self.count();
        match self.part(from.min(count), to.min(count)) {
            Some((bytes, None)) => Cow::Borrowed(bytes),
            Some((bytes, Some(exponents))) => Cow::Owned(joined(bytes, exponents)),
            // A tensor has whole blocks.
            None => Cow::Borrowed(&[]),
        }
    }

    fn exchanged<T: Copy>(&self, data: &[T], size: usize) -> Vec<T> {
        match self.shape[..] {
            [.., from, to] => exchange(data, from, to, size),
            _ => data.to_vec(),
        }
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

    /// All elements of a tensor of integers, row by row.
    ///
    /// # Errors
    ///
    /// A type of something else, and numbers that do not fit.
    pub fn to_i64(&self) -> Result<Vec<i64>, Error> {
        let bytes = self.bytes;
        match self.encoding {
            Encoding::I64 => Ok(each(bytes, i64::from_le_bytes)),
            Encoding::I32 => Ok(each(bytes, |b| i32::from_le_bytes(b).into())),
            Encoding::I16 => Ok(each(bytes, |b| i16::from_le_bytes(b).into())),
            Encoding::I8 => Ok(each(bytes, |[b]| (b as i8).into())),
            Encoding::U8 | Encoding::Bool => Ok(each(bytes, |[b]| b.into())),
            Encoding::U16 => Ok(each(bytes, |b| u16::from_le_bytes(b).into())),
            Encoding::U32 => Ok(each(bytes, |b| u32::from_le_bytes(b).into())),
            Encoding::U64 => {
                let small = each(bytes, |b| i64::try_from(u64::from_le_bytes(b)).ok());
                let all: Option<Vec<i64>> = small.into_iter().collect();
                all.ok_or_else(|| Error::TooLarge(self.name.to_owned()))
            }
            encoding => Err(Error::NoIntegers {
                tensor: self.name.to_owned(),
                encoding,
            }),
        }
    }

    /// [`TensorRef::to_f32`] at the end of a list.
    ///
    /// # Errors
    ///
    /// A type that has no conversion here.
    pub fn append_f32(&self, out: &mut Vec<f32>) -> Result<(), Error> {
        // A file without tensor data may claim any shape of no elements, and one with data has them.
        out.reserve(self.len());
        self.each_f32(|numbers| out.extend_from_slice(numbers))
    }

    /// All elements as f32, row by row, a few rows at a time; the elements of a transposed tensor at once.
    ///
    /// # Errors
    ///
    /// A type that has no conversion here.
    pub fn each_f32(&self, mut take: impl FnMut(&[f32])) -> Result<(), Error> {
        let exchanged = if self.transposed { 1 } else { 0 };
        let width = self
            .shape
            .len()
            .checked_sub(1 + exchanged)
            .map_or(1, |axis| self.shape[axis]);
        let wrong = || Error::Encoding {
            tensor: self.name.to_owned(),
            encoding: self.encoding,
        };
        let row = self.encoding.row_bytes(width).ok_or_else(wrong)?;
        let rows = if self.transposed {
            usize::MAX
        } else {
            (PIECE / width.max(1)).max(1)
        };
        let mut numbers = Vec::new();
        let each = self.encoding.block_bytes();
        let size = (row / each).max(1).saturating_mul(rows);
        for (piece, from) in (0..self.count()).step_by(size).enumerate() {
            numbers.clear();
            if !self
                .encoding
                .decode(&self.blocks(from, from.saturating_add(size)), &mut numbers)
            {
                return Err(wrong());
            }
            if let Some(scales) = &self.scales {
                scales.multiply(&mut numbers, width, piece * rows);
            }
            match self.transposed {
                true => take(&self.exchanged(&numbers, 1)),
                false => take(&numbers),
            }
        }
        Ok(())
    }
}

/// Exchanges the last two axes, of sizes `from` and `to` in the result, of elements of `size` parts each.
fn exchange<T: Copy>(data: &[T], from: usize, to: usize, size: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(data.len());
    for matrix in data.chunks_exact((from * to * size).max(1)) {
        for i in 0..from {
            for j in 0..to {
                let at = (j * from + i) * size;
                out.extend_from_slice(&matrix[at..at + size]);
            }
        }
    }
    out
}

fn each<T, const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
}
