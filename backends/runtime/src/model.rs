//! A compiled model with its weights and threads.

use std::path::{Path, PathBuf};

use seqc_abi::{Descriptor, frame};

use crate::{
    Error, Result, code::Code, code::Entry, memory::Region, pool::Pool, weights::Weights, weights::stored_bytes,
};

/// A model that is ready to read sequences.
#[derive(Debug)]
pub struct Model {
    descriptor: Descriptor,
    step: Entry,
    weights: Weights,
    derived: Region,
    pool: Pool,
}

/// What the user may choose when a model is loaded.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Checkpoint instead of the descriptor's.
    pub weights: Option<PathBuf>,
    /// Threads; 0: one for each core, or one in all for a small model.
    pub threads: usize,
}

impl Model {
    /// Finds the parameters and runs the load-time stage.
    ///
    /// # Errors
    ///
    /// A checkpoint that is missing, broken or does not fit the model, too little memory, too many threads.
    pub fn load(code: Code, options: &Options) -> Result<Model> {
        let descriptor = code.describe()?;
        let weights = match (weights_path(&descriptor, options), descriptor.random) {
            (Some(path), _) if !path.exists() => return Err(no_weights(&path, options)),
            (Some(path), _) => Weights::open(&descriptor, &path)?,
            (None, Some(seed)) => Weights::random(&descriptor, seed)?,
            (None, None) if descriptor.params.is_empty() => Weights::random(&descriptor, 0)?,
            (None, None) => {
                return Err(Error::input(
                    "this program names no weights: give them with --weights PATH",
                ));
            }
        };
        let model = Model {
            derived: Region::huge(descriptor.derived_bytes)?,
            pool: Pool::new(threads(&descriptor, options.threads))?,
            step: code.step,
            weights,
            descriptor,
        };
        let scratch = model.scratch()?;
        let frame = model.frame(&scratch);
        // SAFETY: the frame is filled as the ABI says; the load-time stage reads parameters and writes the derived arena.
        unsafe { model.pool.run(code.load, frame.as_ptr()) };
        Ok(model)
    }

    /// What the model is.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Threads that compute.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    pub(crate) fn scratch(&self) -> Result<Region> {
        let bytes = self.descriptor.scratch_bytes.checked_mul(self.pool.threads());
        Region::new(bytes.ok_or_else(|| Error::Failed("scratch beyond all memory".to_owned()))?)
    }

    /// A frame with everything that does not change between chunks.
    pub(crate) fn frame(&self, scratch: &Region) -> [u64; frame::SLOTS] {
        let mut slots = [0; frame::SLOTS];
        slots[frame::PARAMS] = self.weights.table() as u64;
        slots[frame::DERIVED] = self.derived.as_ptr() as u64;
        slots[frame::SCRATCH] = scratch.as_ptr() as u64;
        slots[frame::BARRIER] = self.pool.barrier() as u64;
        slots
    }

    /// One chunk.
    ///
    /// # Safety
    ///
    /// All slots of the frame are filled as the ABI says.
    pub(crate) unsafe fn step(&self, frame: &[u64; frame::SLOTS]) {
        // SAFETY: the caller's promise.
        unsafe { self.pool.run(self.step, frame.as_ptr()) }
    }
}

/// Weights below which a token is computed faster than threads can meet.
const SMALL: usize = 4 << 20;

/// As many threads as asked for; for a small model that nobody asked anything about, one.
fn threads(descriptor: &Descriptor, asked: usize) -> usize {
    let bytes = |sum: usize, slot| stored_bytes(slot).map_or(usize::MAX, |bytes| sum.saturating_add(bytes));
    let small = descriptor.params.iter().fold(0, bytes) < SMALL;
    if asked == 0 && small { 1 } else { asked }
}

/// Where the parameters are, by the command line or the descriptor.
pub(crate) fn weights_path(descriptor: &Descriptor, options: &Options) -> Option<PathBuf> {
    let named = descriptor
        .weights
        .as_deref()
        .map(|path| beside_program(Path::new(path)));
    options.weights.clone().or(named)
}

fn no_weights(path: &Path, options: &Options) -> Error {
    let remedy = match options.weights {
        Some(_) => "",
        None => ", where this program expects its weights; --weights PATH names another place",
    };
    Error::input(format!("{}: there is no such file{remedy}", path.display()))
}

/// A path of the descriptor: relative to the program's own folder, or else as it is.
pub(crate) fn beside_program(path: &Path) -> PathBuf {
    let program = std::env::current_exe().ok().filter(|_| path.is_relative());
    let beside = program
        .as_deref()
        .and_then(Path::parent)
        .map(|folder| folder.join(path));
    beside
        .filter(|beside| beside.exists())
        .unwrap_or_else(|| path.to_owned())
}
