//! Saved sessions: a file with the state of one sequence, bound to the model and the weights that made it.
//!
//! ```text
//! magic 8 | version u32 | length u32 of the identity | identity | position u64 | pending u32 | pending tokens i64…
//! length u64 of the history | history, JSON
//! entries of constant size, in the manifest's order | those that grow, in the manifest's order | crc32 of all before u32
//! ```
//! How long those are follows from the manifest, the position, and entries that count tokens.
//! The identity is a line for the model, its hash and that of its state manifest, and one for the weights. Numbers are
//! little-endian.

use std::{
    fs,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use seqc_abi::{Descriptor, StateKind, StateSlot};
use seqc_checkpoint::output::Output;

use crate::{
    Error, Result,
    history::History,
    sequence::Sequence,
    state::{State, kept_bytes},
};

const MAGIC: &[u8; 8] = b"SEQCSTAT";
const VERSION: u32 = 3;
/// Bytes of an identity that are read.
const LONGEST_IDENTITY: usize = 4096;
/// Tokens that a sequence may have.
const MOST_TOKENS: u64 = 1 << 48;
/// Tokens that may wait to be read.
const MOST_PENDING: u32 = 1 << 16;

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) sequence: Sequence,
    /// Tokens of the text that the state has not seen: what was generated last.
    pub(crate) pending: Vec<i64>,
    /// What is known of the text.
    pub(crate) history: History,
}

/// What a saved state belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) descriptor: &'a Descriptor,
    /// Which weights the model was given.
    pub(crate) weights: &'a str,
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

/// What a file of a session holds.
#[derive(Clone, Copy)]
pub(crate) struct Snapshot<'a> {
    pub(crate) sequence: &'a Sequence,
    /// Tokens of the text that were not read.
    pub(crate) pending: &'a [i64],
    /// What is known of the text.
    pub(crate) history: &'a History,
}

/// Writes a whole file or none, and never over one of `inputs`.
pub(crate) fn save(path: &Path, inputs: &[PathBuf], owner: Owner, session: Snapshot) -> Result<()> {
    let mut out = Summed::new(Output::create(path, inputs)?);
    let failed = |error: io::Error| Error::write(&path.display().to_string(), &error);
    let Snapshot {
        sequence: Sequence { state, position },
        pending,
        history,
    } = session;
    let position = *position;
    let history = history.to_bytes();
    let identity = owner.identity();
    let mut head = MAGIC.to_vec();
    head.extend(VERSION.to_le_bytes());
    head.extend((identity.len() as u32).to_le_bytes());
    head.extend(identity.as_bytes());
    head.extend(position.to_le_bytes());
    head.extend((pending.len() as u32).to_le_bytes());
    head.extend(pending.iter().flat_map(|token| token.to_le_bytes()));
    head.extend((history.len() as u64).to_le_bytes());
    head.extend(&history);
    out.write_all(&head).map_err(failed)?;
    for (number, slot) in fixed(owner.descriptor).chain(growing(owner.descriptor)) {
        let bytes = kept_bytes(slot, state.tokens(slot, position))?;
        for piece in state.kept(number, bytes) {
            out.write_all(piece).map_err(failed)?;
        }
    }
    let sum = out.sum.clone().finalize();
    out.write_all(&sum.to_le_bytes()).map_err(failed)?;
    Ok(out.inner.commit()?)
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
    read(&mut reader, owner, about.len()).map_err(|error| match error {
        Reading::Wrong(message) => wrong(&message),
        Reading::System(error) if error.kind() == io::ErrorKind::UnexpectedEof => wrong("the saved state is cut short"),
        Reading::System(error) => wrong(&error.to_string()),
        Reading::Other(error) => error,
    })
}

enum Reading {
    Wrong(String),
    System(io::Error),
    Other(Error),
}

impl From<io::Error> for Reading {
    fn from(error: io::Error) -> Reading {
        Reading::System(error)
    }
}

impl From<Error> for Reading {
    fn from(error: Error) -> Reading {
        Reading::Other(error)
    }
}

fn read(reader: &mut Summed<BufReader<fs::File>>, owner: Owner, size: u64) -> std::result::Result<Saved, Reading> {
    let descriptor = owner.descriptor;
    let wrong = |message: &str| Reading::Wrong(message.to_owned());
    if &reader.bytes::<8>()? != MAGIC {
        return Err(wrong("not a saved state"));
    }
    let version = u32::from_le_bytes(reader.bytes()?);
    if version != VERSION {
        return Err(Reading::Wrong(format!(
            "a saved state of version {version}; this program reads {VERSION}: make it again with this program"
        )));
    }
    let length = u32::from_le_bytes(reader.bytes()?) as usize;
    let mut identity = vec![0; length.min(LONGEST_IDENTITY)];
    reader.read_exact(&mut identity)?;
    if let Some(why) = owner.refuses(&String::from_utf8_lossy(&identity)) {
        return Err(Reading::Wrong(why));
    }
    let position = u64::from_le_bytes(reader.bytes()?);
    let count = u32::from_le_bytes(reader.bytes()?);
    if count > MOST_PENDING || position > MOST_TOKENS {
        return Err(wrong("the saved state is damaged"));
    }
    let mut pending = Vec::new();
    for _ in 0..count {
        pending.push(i64::from_le_bytes(reader.bytes()?));
    }
    let (history, history_bytes) = read_history(reader, size)?;
    let mut state = State::new(descriptor)?;
    for (number, slot) in fixed(descriptor) {
        state.fill(number, kept_bytes(slot, 0)?, |piece| reader.read_exact(piece))?;
    }
    // The sizes follow from the manifest and numbers of tokens, which the position bounds: the file's claims allocate
    // nothing that is not there.
    let mut expected_size = (MAGIC.len() + 8 + length + 12 + 8 * count as usize + 8 + 4) as u64 + history_bytes;
    for slot in &descriptor.states {
        let tokens = state.tokens(slot, position);
        if tokens > position {
            return Err(wrong("the saved state is damaged"));
        }
        expected_size = expected_size.saturating_add(kept_bytes(slot, tokens)? as u64);
    }
    if expected_size != size {
        return Err(Reading::Wrong(format!(
            "the saved state has {size} bytes where {expected_size} are expected"
        )));
    }
    read_pages(reader, descriptor, &mut state, position)?;
    Ok(Saved {
        sequence: Sequence { state, position },
        pending,
        history,
    })
}

/// What is known of the text, and its bytes, which the file's size bounds.
fn read_history(reader: &mut Summed<BufReader<fs::File>>, size: u64) -> std::result::Result<(History, u64), Reading> {
    let damaged = || Reading::Wrong("the saved state is damaged".to_owned());
    let length = u64::from_le_bytes(reader.bytes()?);
    let room = usize::try_from(length).ok().filter(|_| length < size);
    let mut bytes = vec![0; room.ok_or_else(damaged)?];
    reader.read_exact(&mut bytes)?;
    let history = History::from_bytes(&bytes).ok_or_else(damaged)?;
    Ok((history, length))
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

fn read_pages(
    reader: &mut Summed<BufReader<fs::File>>,
    descriptor: &Descriptor,
    state: &mut State,
    position: u64,
) -> std::result::Result<(), Reading> {
    state.reserve(descriptor, position, 0)?;
    for (number, slot) in growing(descriptor) {
        let bytes = kept_bytes(slot, state.tokens(slot, position))?;
        state.fill(number, bytes, |piece| reader.read_exact(piece))?;
    }
    let sum = reader.sum.clone().finalize();
    if u32::from_le_bytes(reader.bytes()?) != sum {
        return Err(Reading::Wrong(
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// One entry that counts tokens, and the pages that it counts for.
    fn ticking() -> Descriptor {
        let slot = |name: &str, kind| StateSlot {
            name: name.to_owned(),
            layer: "layers.0".to_owned(),
            shape: Vec::new(),
            kind,
            bound: "T".to_owned(),
        };
        let pages = |count| StateKind::Pages {
            page_bytes: 8,
            pinned: 0,
            pages: None,
            count,
        };
        Descriptor {
            states: vec![
                slot("kept", pages(Some(1))),
                slot("ticks", StateKind::Fixed { bytes: 8 }),
                slot("all", pages(None)),
            ],
            ..testing::descriptor("ticking")
        }
    }

    fn owner(descriptor: &Descriptor) -> Owner<'_> {
        Owner {
            descriptor,
            weights: "some",
        }
    }

    fn fill(state: &mut State, slot: usize, mut bytes: &[u8]) {
        let length = bytes.len();
        let filled = state.fill(slot, length, |piece| bytes.read_exact(piece));
        filled.expect("so many bytes");
    }

    fn after(descriptor: &Descriptor, ticks: u64, position: u64) -> Sequence {
        let mut state = State::new(descriptor).expect("memory");
        state.reserve(descriptor, 0, position).expect("memory");
        fill(&mut state, 1, &ticks.to_le_bytes());
        Sequence { state, position }
    }

    /// A session whose tokens were all read.
    fn of<'a>(sequence: &'a Sequence, history: &'a History) -> Snapshot<'a> {
        Snapshot {
            sequence,
            pending: &[],
            history,
        }
    }

    #[test]
    fn only_pages_of_counted_tokens_are_saved() {
        let descriptor = ticking();
        let mut state = after(&descriptor, 70, 1000);
        fill(&mut state.state, 0, b"two pages of it!");
        let path = testing::fresh("state");
        let history = History::default();
        save(&path, &[], owner(&descriptor), of(&state, &history)).expect("saved");
        let found = load(&path, owner(&descriptor)).expect("loaded");
        assert_eq!(found.sequence.state.tokens(&descriptor.states[0], 1000), 70);
        assert_eq!(found.sequence.state.kept(0, 16).concat(), b"two pages of it!");
        assert_eq!(found.sequence.position, 1000);
        // 16 pages of all tokens, two of those that were counted.
        let size = fs::metadata(&path).expect("a file").len() as usize;
        let head = MAGIC.len() + 8 + owner(&descriptor).identity().len() + 12 + 8 + history.to_bytes().len();
        assert_eq!(size, head + 8 + 2 * 8 + 16 * 8 + 4);
    }

    #[test]
    fn room_follows_the_counted_tokens() {
        let descriptor = ticking();
        let mut state = State::new(&descriptor).expect("memory");
        for position in (0..1 << 20).step_by(256) {
            state.reserve(&descriptor, position, 256).expect("memory");
        }
        // Both other entries have room for all tokens.
        let others = 8 + 8 * (1 << 20) / 64;
        assert!(state.bytes() < others + 100, "{}", state.bytes());
    }

    #[test]
    fn more_ticks_than_tokens_are_refused() {
        let descriptor = ticking();
        for ticks in [1001, u64::MAX] {
            let path = testing::fresh("state");
            let state = after(&descriptor, 10, 1000);
            let history = History::default();
            save(&path, &[], owner(&descriptor), of(&state, &history)).expect("saved");
            let mut bytes = fs::read(&path).expect("a file");
            let at = MAGIC.len() + 8 + owner(&descriptor).identity().len() + 12 + 8 + history.to_bytes().len();
            bytes[at..at + 8].copy_from_slice(&ticks.to_le_bytes());
            fs::write(&path, bytes).expect("a file");
            let message = load(&path, owner(&descriptor)).expect_err("damaged").to_string();
            assert!(message.contains("damaged"), "{message}");
        }
    }

    #[test]
    fn another_model_and_other_weights_are_told_apart() {
        let descriptor = ticking();
        let path = testing::fresh("state");
        save(
            &path,
            &[],
            owner(&descriptor),
            of(&after(&descriptor, 10, 1000), &History::default()),
        )
        .expect("saved");
        let refused = |owner: Owner| load(&path, owner).expect_err("refused").to_string();
        let said = refused(Owner {
            weights: "others",
            ..owner(&descriptor)
        });
        assert!(said.contains("other weights"), "{said}");
        let other = Descriptor {
            hash: "another".to_owned(),
            ..descriptor.clone()
        };
        let said = refused(owner(&other));
        assert!(said.contains("another model"), "{said}");
        let mut bytes = fs::read(&path).expect("a file");
        bytes[MAGIC.len()] = 2;
        fs::write(&path, bytes).expect("a file");
        let said = refused(owner(&descriptor));
        assert!(said.contains("version 2") && said.contains("make it again"), "{said}");
    }

    #[test]
    fn a_state_is_never_written_over_an_input() {
        let descriptor = ticking();
        let weights = testing::file("weights", b"precious");
        let state = after(&descriptor, 10, 1000);
        let link = testing::fresh("link");
        fs::hard_link(&weights, &link).expect("a link");
        for path in [&weights, &link] {
            let refused = save(
                path,
                std::slice::from_ref(&weights),
                owner(&descriptor),
                of(&state, &History::default()),
            );
            assert_eq!(refused.expect_err("refused").status(), 2);
            assert_eq!(fs::read(&weights).expect("a file"), b"precious");
        }
        let full = save(
            Path::new("/dev/full"),
            &[],
            owner(&descriptor),
            of(&state, &History::default()),
        );
        assert!(full.expect_err("full").to_string().contains("/dev/full"));
    }
}
