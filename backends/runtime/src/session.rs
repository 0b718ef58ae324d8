//! One sequence being read: chunks in, rows of outputs out, the state in between.

use std::path::{Path, PathBuf};

use seqc_abi::{Descriptor, Elem, Rows, RowsAt, Stream, frame};

use crate::{
    Error, Result,
    finite::Fault,
    history::{Conversation, History},
    memory::Region,
    model::Model,
    saved::{self, Owner},
    state::State,
};

/// Values of one input stream, row by row.
#[derive(Clone, Debug)]
pub enum Values {
    /// Token ids and other integers.
    I64(Vec<i64>),
    /// Vectors.
    F32(Vec<f32>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::I64(values) => values.len(),
            Values::F32(values) => values.len(),
        }
    }

    fn row(&self, row: usize, width: usize) -> *const u8 {
        match self {
            Values::I64(values) => values[row * width..].as_ptr().cast(),
            Values::F32(values) => values[row * width..].as_ptr().cast(),
        }
    }
}

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

    fn size(&self, number: usize, longest: usize) -> usize {
        let asked = self.sizes.get(number).or(self.sizes.last()).copied();
        asked.unwrap_or(longest).clamp(1, longest)
    }
}

/// Rows of the outputs of one chunk.
#[derive(Debug)]
pub struct Outputs<'a> {
    descriptor: &'a Descriptor,
    regions: &'a [Region],
    rows: usize,
    tokens: usize,
}

impl Outputs<'_> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Tokens of the chunk.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Rows of output `stream` as stored: f32 or i64, little-endian.
    pub fn bytes(&self, stream: usize) -> &[u8] {
        let bytes = row_bytes(&self.descriptor.outputs[stream]).saturating_mul(self.rows);
        &self.regions[stream].bytes()[..bytes]
    }

    /// Rows of output `stream`, which is of vectors.
    pub fn floats(&self, stream: usize) -> impl Iterator<Item = f32> {
        let chunks = self.bytes(stream).as_chunks::<4>().0;
        chunks.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }
}

/// Elements of one token's value.
pub fn width(stream: &Stream) -> usize {
    stream
        .shape
        .iter()
        .fold(1, |product, size| product.saturating_mul(*size))
}

pub(crate) fn row_bytes(stream: &Stream) -> usize {
    let element = match stream.elem {
        Elem::F32 => 4,
        Elem::I64 => 8,
    };
    width(stream).saturating_mul(element)
}

/// One sequence.
#[derive(Debug)]
pub struct Session<'m> {
    model: &'m Model,
    state: State,
    position: u64,
    pending: Vec<i64>,
    history: History,
    arena: Region,
    scratch: Region,
    outputs: Vec<Region>,
}

impl<'m> Session<'m> {
    /// A sequence of no tokens yet.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn new(model: &'m Model) -> Result<Session<'m>> {
        let descriptor = model.descriptor();
        let outputs = descriptor.outputs.iter().map(|_| Region::new(0));
        Ok(Session {
            model,
            state: State::new(descriptor)?,
            position: 0,
            pending: Vec::new(),
            history: History::default(),
            arena: Region::huge(descriptor.arena_bytes)?,
            scratch: model.scratch()?,
            outputs: outputs.collect::<Result<_>>()?,
        })
    }

    /// Forgets everything read.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn reset(&mut self) -> Result<()> {
        self.state = State::new(self.model.descriptor())?;
        self.position = 0;
        self.pending.clear();
        self.history = History::default();
        Ok(())
    }

    /// The model that reads.
    pub fn model(&self) -> &'m Model {
        self.model
    }

    /// Tokens read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Tokens that can still be read, where the model says how many it admits.
    pub fn room(&self) -> u64 {
        let limit = self
            .model
            .descriptor()
            .max_context
            .map_or(u64::MAX, |limit| limit as u64);
        limit.saturating_sub(self.position)
    }

    /// Tokens of a loaded session that belong to its text but have not been read; they come before whatever is fed next.
    pub fn take_pending(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.pending)
    }

    /// Whether nothing was read, and nothing waits to be read.
    pub(crate) fn is_fresh(&self) -> bool {
        self.position == 0 && self.pending.is_empty()
    }

    /// What is known of the text that was read.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Bytes of a text that ended inside a character; they come before the text that goes on.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.history.bytes)
    }

    /// Keeps bytes of a character that is not complete for the text that goes on.
    pub(crate) fn keep_bytes(&mut self, bytes: Vec<u8>) {
        self.history.bytes = bytes;
    }

    /// Says what conversation was read last; what follows is its answer.
    pub(crate) fn converse(&mut self, conversation: Conversation) {
        self.history.conversation = Some(conversation);
    }

    /// Writes everything needed to continue. `pending` are tokens of the text that were not fed; the file is none of
    /// `inputs`.
    ///
    /// # Errors
    ///
    /// The file cannot be written; what stood there is then as it was.
    pub fn save(&self, path: &Path, inputs: &[PathBuf], pending: &[i64]) -> Result<()> {
        let all = [&self.pending[..], pending].concat();
        let text = (&all[..], &self.history);
        saved::save(path, inputs, self.owner(), (&self.state, self.position), text)
    }

    fn owner(&self) -> Owner<'m> {
        Owner {
            descriptor: self.model.descriptor(),
            weights: self.model.weights_identity(),
        }
    }

    /// Continues from a file.
    ///
    /// # Errors
    ///
    /// A file of another model or of other weights, a damaged one, too little memory; the session is then as before.
    pub fn load(&mut self, path: &Path) -> Result<()> {
        let saved = saved::load(path, self.owner())?;
        self.state = saved.state;
        self.position = saved.position;
        self.pending = saved.pending;
        self.history = saved.history;
        Ok(())
    }

    /// Reads one row of every input stream for each token, in chunks, and hands the outputs of each chunk to `take`: as
    /// many rows as are wanted, which may be none.
    ///
    /// # Errors
    ///
    /// Inputs that do not fit the model (streams, widths, ids outside of a table, too many tokens), or an error of `take`.
    pub fn feed(
        &mut self,
        inputs: &[Values],
        cut: &Cut,
        wanted: Wanted,
        mut take: impl FnMut(&Outputs) -> Result<()>,
    ) -> Result<()> {
        let tokens = self.check(inputs, cut)?;
        let descriptor = self.model.descriptor();
        let (mut done, mut number) = (0, 0);
        while done < tokens {
            let chunk = self.chunk_of(cut, number, tokens - done);
            let from = match wanted {
                Wanted::All => 0,
                Wanted::Last if done + chunk == tokens => chunk - 1,
                Wanted::Last => chunk,
            };
            self.chunk(inputs, done, (chunk, from), |model, slots| {
                // SAFETY: the slots are filled.
                unsafe { model.step(slots) };
            })?;
            if let [Values::I64(ids)] = inputs {
                self.history.read(ids.get(done..done + chunk).unwrap_or_default());
            }
            take(&Outputs {
                descriptor,
                regions: &self.outputs,
                rows: chunk - from,
                tokens: chunk,
            })?;
            done += chunk;
            number += 1;
        }
        Ok(())
    }

    /// Tokens of the chunk of that number, of those that are left.
    fn chunk_of(&self, cut: &Cut, number: usize, left: usize) -> usize {
        let descriptor = self.model.descriptor();
        match descriptor.causal {
            true => cut.size(number, descriptor.max_chunk.max(1)).min(left),
            false => left,
        }
    }

    /// Reads inputs as [`Session::feed`] does, one layer after another, up to the first whose output is not finite.
    ///
    /// # Errors
    ///
    /// As [`Session::feed`].
    pub fn find_fault(&mut self, inputs: &[Values], cut: &Cut) -> Result<Option<Fault>> {
        let tokens = self.check(inputs, cut)?;
        let descriptor = self.model.descriptor();
        let (mut done, mut number) = (0, 0);
        while done < tokens {
            let (chunk, position) = (self.chunk_of(cut, number, tokens - done), self.position);
            let last = descriptor.calls.len().saturating_sub(1);
            let mut found = None;
            self.chunk(inputs, done, (chunk, 0), |model, slots| {
                for (n, call) in descriptor.calls.iter().enumerate() {
                    slots[frame::SKIP_FIRST] = n as u64;
                    slots[frame::SKIP_LAST] = (last - n) as u64;
                    // SAFETY: the slots are filled; the calls before this one have run.
                    unsafe { model.step(slots) };
                    // SAFETY: the call's results are where the descriptor says, until the next one runs.
                    if let Some(row) = call
                        .results
                        .iter()
                        .filter_map(|rows| unsafe { odd_row(slots, rows, chunk) })
                        .min()
                    {
                        found = Some((call, position + row as u64));
                        return;
                    }
                }
            })?;
            if let Some((call, token)) = found {
                return Ok(Some(Fault {
                    layer: call.layer.clone(),
                    token,
                    tensor: self.model.weights_not_finite(&call.layer),
                }));
            }
            done += chunk;
            number += 1;
        }
        Ok(None)
    }

    /// Whether [`Session::feed`] would take these inputs, and how many tokens they have.
    ///
    /// # Errors
    ///
    /// Inputs that do not fit the model (streams, widths, ids outside of a table, too many tokens), or a text that ended
    /// inside a character.
    pub fn check(&self, inputs: &[Values], cut: &Cut) -> Result<usize> {
        let descriptor = self.model.descriptor();
        if !self.history.bytes.is_empty() {
            return Err(Error::input(
                "the text of the saved state ends inside a character: `generate --prompt` goes on with the rest of it",
            ));
        }
        let tokens = count(descriptor, inputs)?;
        check_ids(descriptor, inputs)?;
        self.check_length(tokens, cut)?;
        Ok(tokens)
    }

    fn check_length(&self, tokens: usize, cut: &Cut) -> Result<()> {
        let descriptor = self.model.descriptor();
        if tokens as u64 > self.room() {
            let limit = descriptor.max_context.unwrap_or_default();
            let before = match self.position {
                0 => String::new(),
                read => format!(" after the {read} that were read"),
            };
            return Err(Error::input(format!(
                "{tokens} tokens{before} are too many: the model {} takes sequences of at most {limit} tokens",
                descriptor.model
            )));
        }
        if !descriptor.causal {
            if tokens > descriptor.max_chunk {
                return Err(Error::input(format!(
                    "{tokens} tokens are too many: the model {} looks ahead and reads its input at once, at most {} tokens",
                    descriptor.model, descriptor.max_chunk
                )));
            }
            if self.position > 0 || tokens > 0 && cut.size(0, tokens) < tokens {
                return Err(Error::input(format!(
                    "the model {} looks ahead: it reads its input at once, neither in chunks nor after a saved state",
                    descriptor.model
                )));
            }
        }
        Ok(())
    }

    /// Runs the tokens `at..at + chunk` of the inputs by `step`, which gets all slots filled as the ABI says; outputs
    /// start at token `from` of them.
    fn chunk(
        &mut self,
        inputs: &[Values],
        at: usize,
        (chunk, from): (usize, usize),
        step: impl FnOnce(&Model, &mut [u64; frame::SLOTS]),
    ) -> Result<()> {
        let model = self.model;
        let descriptor = model.descriptor();
        self.state.reserve(descriptor, self.position, chunk as u64)?;
        for (stream, region) in descriptor.outputs.iter().zip(&mut self.outputs) {
            region.grow(row_bytes(stream).saturating_mul(chunk - from))?;
        }
        let streams = descriptor.inputs.iter().zip(inputs);
        let inputs: Vec<*const u8> = streams.map(|(stream, values)| values.row(at, width(stream))).collect();
        let outputs: Vec<*mut u8> = self.outputs.iter().map(Region::as_ptr).collect();
        let mut slots = model.frame(&self.scratch);
        slots[frame::STATES] = self.state.table() as u64;
        slots[frame::ARENA] = self.arena.as_ptr() as u64;
        slots[frame::INPUTS] = inputs.as_ptr() as u64;
        slots[frame::OUTPUTS] = outputs.as_ptr() as u64;
        slots[frame::CHUNK] = chunk as u64;
        slots[frame::POSITION] = self.position;
        slots[frame::OUT_FROM] = from as u64;
        // Every slot is filled: tables and regions live until the call returns, inputs were counted and checked against
        // the tables they index, the state has room for the chunk, outputs for the wanted rows.
        step(model, &mut slots);
        self.position += chunk as u64;
        Ok(())
    }
}

/// The first of some rows with a number that is not finite.
///
/// # Safety
///
/// The slots are those of a step whose rows have been computed, and outputs begin at the first token.
unsafe fn odd_row(slots: &[u64; frame::SLOTS], rows: &Rows, count: usize) -> Option<usize> {
    // SAFETY: the caller's promise: so many rows lie there.
    let values = unsafe {
        let start = match rows.at {
            RowsAt::Arena(offset) => (slots[frame::ARENA] as *const u8).add(offset),
            RowsAt::Output(n) => *(slots[frame::OUTPUTS] as *const *const u8).add(n),
        };
        std::slice::from_raw_parts(start.cast::<f32>(), rows.width * count)
    };
    let place = values.iter().position(|value| !value.is_finite())?;
    Some(place / rows.width)
}

/// Tokens in the inputs: every stream has as many rows.
fn count(descriptor: &Descriptor, inputs: &[Values]) -> Result<usize> {
    if inputs.len() != descriptor.inputs.len() {
        return Err(Error::input(format!(
            "{} input streams given, the model {} reads {}",
            inputs.len(),
            descriptor.model,
            descriptor.inputs.len()
        )));
    }
    let mut tokens = None;
    for (stream, values) in descriptor.inputs.iter().zip(inputs) {
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

fn check_ids(descriptor: &Descriptor, inputs: &[Values]) -> Result<()> {
    for (stream, values) in descriptor.inputs.iter().zip(inputs) {
        let (Some(vocab), Values::I64(ids)) = (stream.vocab, values) else {
            continue;
        };
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
