//! Standard input as a file of tensors.

use std::io::{self, Read};

use seqc_checkpoint::Checkpoint;

use crate::{Error, Result};

/// Reads the bytes, the first of which were read already.
pub(super) fn open(head: &[u8], rest: &mut impl Read) -> Result<Checkpoint> {
    let mut bytes = head.to_vec();
    let read = rest.read_to_end(&mut bytes);
    read.map_err(|error: io::Error| Error::input(format!("standard input: {error}")))?;
    Ok(Checkpoint::of_bytes(bytes)?)
}
