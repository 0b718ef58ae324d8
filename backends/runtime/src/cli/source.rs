//! What a model's encoder reads, as the command line gives it.

use std::path::Path;

use seqc_abi::Descriptor;

use super::{
    args::Source,
    common::{self, is_standard},
    console::Console,
    input,
};
use crate::{Error, Result, inputs::Values, streams, tokenizer::Tokenizer};

/// The rows of all inputs of the encoder; none where nothing is given. `tokenizer` opens that of the model.
pub(crate) fn read(
    source: &Source,
    descriptor: &Descriptor,
    tokenizer: impl FnOnce(&mut Console) -> Result<Tokenizer>,
    console: &mut Console,
) -> Result<Option<Vec<Values>>> {
    if !source.is_given() {
        return Ok(None);
    }
    let Some(memory) = &descriptor.memory else {
        return Err(Error::input(format!(
            "the model {} has no encoder, which would read a source",
            descriptor.model
        )));
    };
    if let Some(path) = &source.source_input {
        return input::read_source(memory, path, console).map(Some);
    }
    streams::check_reads_source_tokens(descriptor)
        .map_err(|error| Error::input(format!("{error}; give it a file with --source-input")))?;
    let ids = match (&source.source, &source.source_tokens) {
        (Some(text), _) => tokenizer(console)?.encode(&common::text_of(text)?, true)?,
        (None, Some(words)) => common::ids(words, "--source-tokens")?,
        (None, None) => Vec::new(),
    };
    Ok(Some(vec![Values::I64(ids)]))
}

/// Refuses to read standard input both for the source and for `other`, whose flag is named.
pub(crate) fn check_standard_input(source: &Source, other: Option<&Path>, flag: &str) -> Result<()> {
    let words = [source.source.as_deref(), source.source_tokens.as_deref()];
    let words = words.into_iter().flatten().map(Path::new);
    let of_source = words.chain(source.source_input.as_deref()).any(is_standard);
    if of_source && other.is_some_and(is_standard) {
        return Err(Error::Usage(format!(
            "the source and {flag} are both `-`, and standard input can be read once"
        )));
    }
    Ok(())
}
