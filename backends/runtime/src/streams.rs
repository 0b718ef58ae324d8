//! Questions about a model's input and output streams: which they are, and how large their rows are.

use seqc_abi::{Descriptor, Elem, Memory, Stream};

use crate::{Error, Result};

/// Outputs with such names are decisions of the model, which are written on request.
pub(crate) const TRACE: &str = "trace.";

/// Whether the model reads one stream of integers, as token ids are.
pub(crate) fn reads_tokens(descriptor: &Descriptor) -> bool {
    is_tokens(&descriptor.inputs)
}

/// Checks that the model reads one stream of integers, as token ids are.
pub(crate) fn check_reads_tokens(descriptor: &Descriptor) -> Result<()> {
    if reads_tokens(descriptor) {
        return Ok(());
    }
    Err(Error::input(format!(
        "the model {} does not read a list of tokens but {}; give it a file with `run --input`",
        descriptor.model,
        list(&descriptor.inputs)
    )))
}

/// Most rows of a source that an encoder reads.
pub(crate) fn most_rows(descriptor: &Descriptor, memory: &Memory) -> usize {
    memory.longest.unwrap_or(usize::MAX).min(descriptor.max_chunk)
}

/// What is wrong where tokens are read behind an encoder that has read nothing.
pub(crate) fn no_source(descriptor: &Descriptor) -> Error {
    Error::input(format!(
        "the model {} has an encoder, which has read nothing: a sequence is given its source before its first token",
        descriptor.model
    ))
}

/// Checks that the encoder of a model, if there is one, reads one stream of integers, as token ids are.
pub(crate) fn check_reads_source_tokens(descriptor: &Descriptor) -> Result<()> {
    match &descriptor.memory {
        Some(memory) if !is_tokens(&memory.inputs) => Err(Error::input(format!(
            "the encoder of {} does not read a list of tokens but {}",
            descriptor.model,
            list(&memory.inputs)
        ))),
        _ => Ok(()),
    }
}

/// Whether streams are one of integers, as token ids are.
fn is_tokens(streams: &[Stream]) -> bool {
    matches!(streams, [stream] if stream.elem == Elem::I64 && width(stream) == 1)
}

/// Refuses a model with an encoder where there is no source for it to read.
pub(crate) fn check_no_source(descriptor: &Descriptor, verb: &str) -> Result<()> {
    match descriptor.memory {
        None => Ok(()),
        Some(_) => Err(Error::input(format!(
            "the model {} has an encoder, and `{verb}` gives it nothing to read: `generate`, `logits` and `run` do, with --source",
            descriptor.model
        ))),
    }
}

/// The place among the outputs of the one that scores every next token.
pub(crate) fn logits(descriptor: &Descriptor) -> Result<usize> {
    check_reads_tokens(descriptor)?;
    let refused = |why: &str| Err(Error::input(format!("{} cannot generate: {why}", descriptor.model)));
    if !descriptor.causal {
        return refused("it looks ahead, so that there is no next token to choose");
    }
    let vocab = descriptor.inputs[0].vocab;
    let floats = || {
        let outputs = descriptor.outputs.iter().enumerate();
        outputs.filter(|(_, stream)| stream.elem == Elem::F32 && width(stream) > 0)
    };
    let named = floats().find(|(_, stream)| stream.name == "logits");
    let as_wide = || floats().find(|(_, stream)| vocab == Some(width(stream)));
    match named.or_else(as_wide) {
        Some((place, _)) => Ok(place),
        None => refused("it has no output `logits`"),
    }
}

/// Whether rows of a stream can stand for a text.
pub(crate) fn is_vector(stream: &Stream) -> bool {
    stream.elem == Elem::F32 && stream.name != "logits" && !stream.name.starts_with(TRACE)
}

/// Streams for messages: `x [64] f32, ids [] i64`.
pub(crate) fn list(streams: &[Stream]) -> String {
    let one = |stream: &Stream| format!("`{}` {:?} {}", stream.name, stream.shape, elem_name(stream.elem));
    streams.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The name of an element type that users read.
pub(crate) fn elem_name(elem: Elem) -> &'static str {
    match elem {
        Elem::F32 => "f32",
        Elem::I64 => "i64",
    }
}

/// Elements of one token's value.
pub(crate) fn width(stream: &Stream) -> usize {
    stream
        .shape
        .iter()
        .fold(1, |product, size| product.saturating_mul(*size))
}

/// Bytes of one token's value.
pub(crate) fn row_bytes(stream: &Stream) -> usize {
    let element = match stream.elem {
        Elem::F32 => 4,
        Elem::I64 => 8,
    };
    width(stream).saturating_mul(element)
}
