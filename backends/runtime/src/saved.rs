//! Saved sessions: the state of one sequence in a file or in memory, bound to the model and the weights that made it.
//!
//! ```text
//! magic 8 | version u32 | length u32 of the identity | identity | position u64
//! count u64 of tokens | tokens i64…, all that were read by a model of tokens, of other models none
//! 1 u64 where the last row of every output is known, else 0 | these rows
//! length u64 of the history | history, JSON
//! count u64 of prompts whose ends were said | for each the tokens read when that was said u64, its end u64
//! entries of constant size, in the manifest's order | those that grow, in the manifest's order | crc32 of all before u32
//! ```
//! How long rows and entries are follows from the manifest, the position, and entries that count tokens.
//! The identity is a line for the model, its hash and that of its state manifest, and one for the weights. Numbers are
//! little-endian. Version 4 had no prompts: their ends were not said. Versions before had no last row and are refused.

#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use seqc_abi::{Descriptor, Elem, StateKind, StateSlot, Stream};
use seqc_checkpoint::output::Output;

use crate::{
    Error, Result,
    cache_file::Store,
    history::History,
    inputs::{Values, check_ids},
    prompts::{Prompt, Prompts},
    sequence::Sequence,
    state::{State, kept_bytes},
    streams::{reads_tokens, row_bytes},
};

const MAGIC: &[u8; 8] = b"SEQCSTAT";
const VERSION: u32 = 5;
/// The earliest version that is read.
const FIRST_VERSION: u32 = 4;
/// Bytes of an identity that are read.
const LONGEST_IDENTITY: usize = 4096;
/// Tokens that a sequence may have.
const MOST_TOKENS: u64 = 1 << 48;

/// What was read from a file or from memory.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) sequence: Sequence,
    /// All tokens that were read, of a model that reads tokens.
    pub(crate) tokens: Vec<i64>,
    /// The last row of every output, where it is known.
    pub(crate) last: Option<Vec<Values>>,
    /// What is known of the text.
    pub(crate) history: History,
}

/// What a saved state belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) descriptor: &'a Descriptor,
    /// Which weights the model was given.
    pub(crate) weights: &'a str,
    /// Where the caches of its sequences lie, if not in memory.
    pub(crate) store: Option<&'a Arc<Store>>,
}

impl Owner<'_> {
    /// Model and manifest.
    fn model(&self) -> String {
        // Serialising plain data to memory does not fail.
        let manifest = serde_json::to_vec(&self.descriptor.states).unwrap_or_default();
        format!("{} {:08x}", self.descriptor.hash, crc32fast::hash(&manifest))
    }

    fn identity(&self) -> String {
        format!("{}\n{}", self.model(), self.weights)
    }

    /// Why a state with that identity is not one of this owner.
    fn refuses(&self, identity: &str) -> Option<String> {
        let model = &self.descriptor.model;
        if identity == self.identity() {
            return None;
        }
        Some(match identity.split_once('\n') {
            Some((theirs, _)) if theirs == self.model() => format!(
                "the state was made with other weights: the model is this {model}, the weights are not those that it has now"
            ),
            _ => format!(
                "the state was made by another model than this {model}, or by the program of another version of it"
            ),
        })
    }
}

/// What is written of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot<'a> {
    pub(crate) sequence: &'a Sequence,
    /// All tokens that were read, of a model that reads tokens.
    pub(crate) tokens: &'a [i64],
    /// The last row of every output, where it is known.
    pub(crate) last: Option<&'a [Values]>,
    /// What is known of the text.
    pub(crate) history: &'a History,
}

/// Writes a whole file or none, and never over one of `inputs`.
pub(crate) fn save(path: &Path, inputs: &[PathBuf], owner: Owner, session: Snapshot) -> Result<()> {
    let mut out = Summed::new(Output::create(path, inputs)?);
    write(&mut out, owner, session).map_err(|problem| match problem {
        Problem::System(error) => Error::write(&path.display().to_string(), &error),
        other => other.in_memory(),
    })?;
    Ok(out.inner.commit()?)
}

/// Appends the same bytes to memory.
pub(crate) fn save_to(out: &mut Vec<u8>, owner: Owner, session: Snapshot) -> Result<()> {
    write(&mut Summed::new(out), owner, session).map_err(Problem::in_memory)
}

fn write<W: Write>(out: &mut Summed<W>, owner: Owner, session: Snapshot) -> std::result::Result<(), Problem> {
    let Sequence {
        state,
        position,
        prompts,
    } = session.sequence;
    let history = session.history.to_bytes();
    let identity = owner.identity();
    let mut head = MAGIC.to_vec();
    head.extend(VERSION.to_le_bytes());
    head.extend((identity.len() as u32).to_le_bytes());
    head.extend(identity.as_bytes());
    head.extend(position.to_le_bytes());
    head.extend((session.tokens.len() as u64).to_le_bytes());
    head.extend(session.tokens.iter().flat_map(|token| token.to_le_bytes()));
    head.extend(u64::from(session.last.is_some()).to_le_bytes());
    for values in session.last.into_iter().flatten() {
        head.extend(values.to_bytes());
    }
    head.extend((history.len() as u64).to_le_bytes());
    head.extend(&history);
    head.extend((prompts.all().len() as u64).to_le_bytes());
    for Prompt { said, end } in prompts.all() {
        head.extend([*said, *end].map(u64::to_le_bytes).concat());
    }
    out.write_all(&head)?;
    for (number, slot) in fixed(owner.descriptor).chain(growing(owner.descriptor)) {
        let bytes = kept_bytes(slot, state.tokens(slot, *position))?;
        for piece in state.kept(number, bytes) {
            out.write_all(piece)?;
        }
    }
    let sum = out.sum.clone().finalize();
    Ok(out.write_all(&sum.to_le_bytes())?)
}

/// Reads a file of this owner.
pub(crate) fn load(path: &Path, owner: Owner) -> Result<Saved> {
    let wrong = |message: &str| Error::input(format!("{}: {message}", path.display()));
    let about = fs::metadata(path).map_err(|error| wrong(&error.to_string()))?;
    if !about.is_file() {
        return Err(wrong("a saved state is read from a plain file, which this is not"));
    }
    let file = fs::File::open(path).map_err(|error| wrong(&error.to_string()))?;
    let mut reader = Summed::new(BufReader::new(file));
    read(&mut reader, owner, about.len()).map_err(|problem| match problem {
        Problem::Other(error) => error,
        other => wrong(&other.in_memory().to_string()),
    })
}

/// Reads what was written to memory.
pub(crate) fn load_from(bytes: &[u8], owner: Owner) -> Result<Saved> {
    read(&mut Summed::new(bytes), owner, bytes.len() as u64).map_err(Problem::in_memory)
}

#[derive(Debug)]
enum Problem {
    Wrong(String),
    System(io::Error),
    Other(Error),
}

impl Problem {
    fn in_memory(self) -> Error {
        match self {
            Problem::Wrong(message) => Error::input(message),
            Problem::System(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Error::input("the saved state is cut short")
            }
            Problem::System(error) => Error::input(error.to_string()),
            Problem::Other(error) => error,
        }
    }

    fn damaged() -> Problem {
        Problem::Wrong("the saved state is damaged".to_owned())
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Problem {
        Problem::System(error)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        Problem::Other(error)
    }
}

/// Reads a state of `size` bytes. What it claims allocates nothing that is not there: lengths are bounded by the size, or follow
/// from the manifest and numbers of tokens, which the position bounds.
fn read<R: Read>(reader: &mut Summed<R>, owner: Owner, size: u64) -> std::result::Result<Saved, Problem> {
    let descriptor = owner.descriptor;
    let head = read_head(reader, owner)?;
    let position = reader.number()?;
    let tokens = read_tokens(reader, descriptor, position, size)?;
    let last = read_last(reader, descriptor, size)?;
    let (history, history_bytes) = read_history(reader, size)?;
    if history.answer_from().is_some_and(|from| from > tokens.len()) {
        return Err(Problem::damaged());
    }
    let (prompts, prompts_bytes) = match head.version {
        FIRST_VERSION => (Prompts::default(), 0),
        _ => read_prompts(reader, position, size)?,
    };
    let mut state = State::new(descriptor, owner.store)?;
    for (number, slot) in fixed(descriptor) {
        state.fill(number, kept_bytes(slot, 0)?, |piece| reader.read_exact(piece))?;
    }
    let rows = last.iter().flatten().map(|values| values.to_bytes().len() as u64);
    let mut expected_size = (MAGIC.len() + 8 + 4 * 8 + 4) as u64 + head.identity_bytes + history_bytes + prompts_bytes;
    expected_size += 8 * tokens.len() as u64 + rows.sum::<u64>();
    for slot in &descriptor.states {
        if !state.is_sound(descriptor, slot, position) {
            return Err(Problem::damaged());
        }
        expected_size = expected_size.saturating_add(state.saved_bytes(slot, position)? as u64);
    }
    let ticks = descriptor.ticks.iter().map(|word| state.word(*word));
    if ticks.flatten().any(|ticks| ticks > position) {
        return Err(Problem::damaged());
    }
    if expected_size != size {
        return Err(Problem::Wrong(format!(
            "the saved state has {size} bytes where {expected_size} are expected"
        )));
    }
    read_pages(reader, descriptor, &mut state, position)?;
    Ok(Saved {
        sequence: Sequence {
            state,
            position,
            prompts,
        },
        tokens,
        last,
        history,
    })
}

/// What a state begins with.
struct Head {
    version: u32,
    identity_bytes: u64,
}

/// Magic, version and identity.
fn read_head<R: Read>(reader: &mut Summed<R>, owner: Owner) -> std::result::Result<Head, Problem> {
    if &reader.bytes::<8>()? != MAGIC {
        return Err(Problem::Wrong("not a saved state".to_owned()));
    }
    let version = u32::from_le_bytes(reader.bytes()?);
    if !(FIRST_VERSION..=VERSION).contains(&version) {
        return Err(Problem::Wrong(format!(
            "a saved state of version {version}; this program reads {VERSION}: make it again with this program"
        )));
    }
    let length = u32::from_le_bytes(reader.bytes()?) as usize;
    let mut identity = vec![0; length.min(LONGEST_IDENTITY)];
    reader.read_exact(&mut identity)?;
    match owner.refuses(&String::from_utf8_lossy(&identity)) {
        Some(why) => Err(Problem::Wrong(why)),
        None => Ok(Head {
            version,
            identity_bytes: length as u64,
        }),
    }
}

/// The tokens of a sequence of that position.
fn read_tokens<R: Read>(
    reader: &mut Summed<R>,
    descriptor: &Descriptor,
    position: u64,
    size: u64,
) -> std::result::Result<Vec<i64>, Problem> {
    let count = reader.number()?;
    let expected = if reads_tokens(descriptor) { position } else { 0 };
    if position > MOST_TOKENS || count != expected || count > size / 8 {
        return Err(Problem::damaged());
    }
    let mut bytes = vec![0; count as usize * 8];
    reader.read_exact(&mut bytes)?;
    let tokens = Values::from_bytes(Elem::I64, &bytes);
    // The tokens are read again where a session is truncated.
    check_ids(descriptor, std::slice::from_ref(&tokens))?;
    match tokens {
        Values::I64(tokens) => Ok(tokens),
        Values::F32(_) => Err(Problem::damaged()),
    }
}

/// The last row of every output, where it is known.
fn read_last<R: Read>(
    reader: &mut Summed<R>,
    descriptor: &Descriptor,
    size: u64,
) -> std::result::Result<Option<Vec<Values>>, Problem> {
    match reader.number()? {
        0 => return Ok(None),
        1 => {}
        _ => return Err(Problem::damaged()),
    }
    let row = |stream: &Stream| {
        if row_bytes(stream) as u64 > size {
            return Err(Problem::damaged());
        }
        let mut bytes = vec![0; row_bytes(stream)];
        reader.read_exact(&mut bytes)?;
        Ok(Values::from_bytes(stream.elem, &bytes))
    };
    descriptor
        .outputs
        .iter()
        .map(row)
        .collect::<std::result::Result<_, _>>()
        .map(Some)
}

/// What is known of the text, and its bytes, which the size bounds.
fn read_history<R: Read>(reader: &mut Summed<R>, size: u64) -> std::result::Result<(History, u64), Problem> {
    let length = reader.number()?;
    let room = usize::try_from(length).ok().filter(|_| length < size);
    let mut bytes = vec![0; room.ok_or_else(Problem::damaged)?];
    reader.read_exact(&mut bytes)?;
    let history = History::from_bytes(&bytes).ok_or_else(Problem::damaged)?;
    Ok((history, length))
}

/// The prompts of a sequence of that position, and their bytes, which the size bounds.
fn read_prompts<R: Read>(
    reader: &mut Summed<R>,
    position: u64,
    size: u64,
) -> std::result::Result<(Prompts, u64), Problem> {
    let count = reader.number()?;
    if count > size / 16 {
        return Err(Problem::damaged());
    }
    let mut all = Vec::new();
    for _ in 0..count {
        let (said, end) = (reader.number()?, reader.number()?);
        all.push(Prompt { said, end });
    }
    let prompts = Prompts::of(all, position).ok_or_else(Problem::damaged)?;
    Ok((prompts, 8 + 16 * count))
}

/// Entries of constant size, with their numbers.
fn fixed(descriptor: &Descriptor) -> impl Iterator<Item = (usize, &StateSlot)> {
    let slots = descriptor.states.iter().enumerate();
    slots.filter(|(_, slot)| matches!(slot.kind, StateKind::Fixed { .. }))
}

/// Entries that grow, with their numbers.
fn growing(descriptor: &Descriptor) -> impl Iterator<Item = (usize, &StateSlot)> {
    let slots = descriptor.states.iter().enumerate();
    slots.filter(|(_, slot)| matches!(slot.kind, StateKind::Bounded { .. } | StateKind::Pages { .. }))
}

fn read_pages<R: Read>(
    reader: &mut Summed<R>,
    descriptor: &Descriptor,
    state: &mut State,
    position: u64,
) -> std::result::Result<(), Problem> {
    state.reserve(descriptor, position, 0)?;
    state.reserve_memory(descriptor, 0)?;
    for (number, slot) in growing(descriptor) {
        let bytes = kept_bytes(slot, state.tokens(slot, position))?;
        state.fill(number, bytes, |piece| reader.read_exact(piece))?;
    }
    let sum = reader.sum.clone().finalize();
    if u32::from_le_bytes(reader.bytes()?) != sum {
        return Err(Problem::Wrong(
            "the saved state is damaged: its checksum differs".to_owned(),
        ));
    }
    Ok(())
}

/// Adds up what passes through.
struct Summed<T> {
    inner: T,
    sum: crc32fast::Hasher,
}

impl<T> Summed<T> {
    fn new(inner: T) -> Summed<T> {
        Summed {
            inner,
            sum: crc32fast::Hasher::new(),
        }
    }
}

impl<T: Write> Summed<T> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<T: Read> Summed<T> {
    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.sum.update(bytes);
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut out = [0; N];
        self.read_exact(&mut out)?;
        Ok(out)
    }

    fn number(&mut self) -> io::Result<u64> {
        self.bytes().map(u64::from_le_bytes)
    }
}
