//! What a model reads: rows of the input streams, and whether they fit the model.

use std::ops::Range;

use seqc_abi::{Descriptor, Elem, Stream};

use crate::{Error, Result, streams::width};

/// Values of one input stream, row by row.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Token ids and other integers.
    I64(Vec<i64>),
    /// Vectors.
    F32(Vec<f32>),
}

impl Values {
    /// No rows.
    pub(crate) fn none(elem: Elem) -> Values {
        match elem {
            Elem::F32 => Values::F32(Vec::new()),
            Elem::I64 => Values::I64(Vec::new()),
        }
    }

    /// As they are stored, little-endian.
    pub(crate) fn from_bytes(elem: Elem, bytes: &[u8]) -> Values {
        match elem {
            Elem::F32 => Values::F32(bytes.as_chunks().0.iter().map(|one| f32::from_le_bytes(*one)).collect()),
            Elem::I64 => Values::I64(bytes.as_chunks().0.iter().map(|one| i64::from_le_bytes(*one)).collect()),
        }
    }

    /// The same the other way.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Values::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::I64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    /// Appends some values of the same type.
    pub(crate) fn append(&mut self, from: &Values, range: Range<usize>) {
        match (self, from) {
            (Values::F32(to), Values::F32(from)) => to.extend(&from[range]),
            (Values::I64(to), Values::I64(from)) => to.extend(&from[range]),
            (Values::F32(_), Values::I64(_)) | (Values::I64(_), Values::F32(_)) => {
                panic!("a stream has one type")
            }
        }
    }

    /// Forgets all values behind the first `count`.
    pub(crate) fn truncate(&mut self, count: usize) {
        match self {
            Values::F32(values) => values.truncate(count),
            Values::I64(values) => values.truncate(count),
        }
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Values::F32(values) => size_of_val(&values[..]),
            Values::I64(values) => size_of_val(&values[..]),
        }
    }

    fn len(&self) -> usize {
        match self {
            Values::I64(values) => values.len(),
            Values::F32(values) => values.len(),
        }
    }

    pub(crate) fn row(&self, row: usize, width: usize) -> *const u8 {
        match self {
            Values::I64(values) => values[row * width..].as_ptr().cast(),
            Values::F32(values) => values[row * width..].as_ptr().cast(),
        }
    }
}

/// Tokens in the inputs: every stream has as many rows.
pub(crate) fn count(descriptor: &Descriptor, inputs: &[Values]) -> Result<usize> {
    count_of(&descriptor.model, &descriptor.inputs, inputs)
}

/// Rows in the inputs of these streams of a model.
pub(crate) fn count_of(model: &str, streams: &[Stream], inputs: &[Values]) -> Result<usize> {
    if inputs.len() != streams.len() {
        return Err(Error::input(format!(
            "{} input streams given, the model {model} reads {}",
            inputs.len(),
            streams.len()
        )));
    }
    let mut tokens = None;
    for (stream, values) in streams.iter().zip(inputs) {
        let fits = matches!(
            (stream.elem, values),
            (Elem::F32, Values::F32(_)) | (Elem::I64, Values::I64(_))
        );
        let width = width(stream).max(1);
        if !fits || !values.len().is_multiple_of(width) {
            return Err(Error::input(format!(
                "input `{}` does not consist of rows of the shape {:?} and the type {:?}",
                stream.name, stream.shape, stream.elem
            )));
        }
        let rows = values.len() / width;
        if tokens.is_some_and(|tokens| tokens != rows) {
            return Err(Error::input(format!(
                "input `{}` has {rows} rows where the one before has {}: all have one for each token",
                stream.name,
                tokens.unwrap_or_default()
            )));
        }
        tokens = Some(rows);
    }
    Ok(tokens.unwrap_or(0))
}

/// Refuses numbers that are no row of the table that they index.
///
/// # Errors
///
/// The first such number.
pub(crate) fn check_ids(descriptor: &Descriptor, inputs: &[Values]) -> Result<()> {
    check_ids_of(descriptor, &descriptor.inputs, inputs)
}

/// The same of these streams of the model.
pub(crate) fn check_ids_of(descriptor: &Descriptor, streams: &[Stream], inputs: &[Values]) -> Result<()> {
    for (stream, values) in streams.iter().zip(inputs) {
        if let Values::I64(ids) = values {
            check_stream(descriptor, stream, ids)?;
        }
    }
    Ok(())
}

/// Refuses tokens that the model cannot read.
///
/// # Errors
///
/// The first such token.
pub(crate) fn check_tokens(descriptor: &Descriptor, tokens: &[i64]) -> Result<()> {
    let stream = descriptor.inputs.iter().find(|stream| stream.vocab.is_some());
    stream.map_or(Ok(()), |stream| check_stream(descriptor, stream, tokens))
}

fn check_stream(descriptor: &Descriptor, stream: &Stream, ids: &[i64]) -> Result<()> {
    if let Some(vocab) = stream.vocab {
        let outside = ids
            .iter()
            .position(|id| usize::try_from(*id).map_or(true, |id| id >= vocab));
        if let Some(at) = outside {
            return Err(Error::input(format!(
                "`{}`: {}, number {} of {}, is out of range: the model {} takes ids from 0 to {}",
                stream.name,
                ids[at],
                at + 1,
                ids.len(),
                descriptor.model,
                vocab.saturating_sub(1)
            )));
        }
    }
    Ok(())
}
