//! A compiled model with its weights and threads.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use seqc_abi::{Descriptor, frame};
use seqc_checkpoint::Source;

use crate::{
    Error, Result,
    barrier::Meetings,
    cache_file::{CacheFile, Store, keeper::Keeper},
    code::Code,
    code::Entry,
    memory::Region,
    places,
    pool::Pool,
    seen::Seen,
    weights::Weights,
    weights::stored_bytes,
};

/// A model that is ready to read sequences.
#[derive(Debug)]
pub struct Model {
    descriptor: Descriptor,
    step: Entry,
    weights: Weights,
    constants: Region,
    pool: Pool,
    /// Where the caches of its sequences lie, if not in memory.
    caches: Option<Keeper>,
    /// See [`Model::weights_identity`].
    identity: OnceLock<String>,
}

/// What the user may choose when a model is loaded.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Checkpoint instead of the descriptor's.
    pub weights: Option<PathBuf>,
    /// Threads; 0: one for each core, or one in all for a small model.
    pub threads: usize,
    /// Speed is measured: the number of threads stays, whatever happens on the machine.
    pub measures: bool,
    /// Where caches lie; `None`: in memory.
    pub cache_file: Option<CacheFile>,
}

impl Model {
    /// Finds the parameters and runs the load-time stage.
    ///
    /// # Errors
    ///
    /// A checkpoint that is missing, broken or does not fit the model, too little memory, too many threads, a folder in which no file
    /// of caches can be made.
    pub fn load(code: Code, options: &Options) -> Result<Model> {
        let descriptor = code.describe()?;
        // Before anything that asks it for memory.
        #[cfg(feature = "cuda")]
        crate::device::device()?;
        if Seen::COPIES && options.cache_file.is_some() {
            return Err(Error::Usage(
                "a GPU sees no files: caches of this program are in memory, leave out --cache-file".to_owned(),
            ));
        }
        let caches = options.cache_file.as_ref().map(Keeper::create).transpose()?;
        let weights = match (
            places::weights(&descriptor, options.weights.as_deref())?,
            descriptor.random,
        ) {
            (Some(source), _) => Weights::open(&descriptor, &source)?,
            (None, Some(seed)) => Weights::random(&descriptor, seed)?,
            (None, None) if descriptor.params.is_empty() => Weights::random(&descriptor, 0)?,
            (None, None) => {
                let how = places::how_to_name("weights");
                return Err(Error::input(format!(
                    "the model names no weights: give them with {how}"
                )));
            }
        };
        let model = Model {
            constants: Region::huge(descriptor.constant_bytes)?,
            pool: Pool::new(
                threads(&descriptor, options.threads),
                options.threads == 0 && !options.measures,
            )?,
            step: code.step,
            weights,
            descriptor,
            caches,
            identity: OnceLock::new(),
        };
        let scratch = model.scratch()?;
        let frame = model.frame(&scratch);
        // SAFETY: the frame is filled as the ABI says; the load-time stage reads parameters and writes the arena of load-time constants.
        unsafe { model.pool.run(code.load, frame.as_ptr(), Meetings::Kernel) }?;
        Ok(model)
    }

    /// What the model is.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The file in which the caches of its sequences lie, if there is one.
    pub(crate) fn store(&self) -> Option<&Arc<Store>> {
        self.caches.as_ref().map(Keeper::store)
    }

    /// The identity of the model's weights, as saved states contain it.
    pub(crate) fn weights_identity(&self) -> &str {
        self.identity.get_or_init(|| self.weights.identity(&self.descriptor))
    }

    /// The first tensor of a layer that holds a number that is not finite.
    pub(crate) fn weights_not_finite(&self, layer: &str) -> Option<String> {
        self.weights.not_finite(&self.descriptor, layer)
    }

    /// Files of the model: weights, tokenizer with its configuration, and the program itself, read or
    /// not: nothing may be written to them.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let weights = self.weights.paths();
        let folder = weights.first().and_then(|path| path.parent());
        let tokenizer = match places::tokenizer(&self.descriptor, folder) {
            Ok(Some(Source::Disk(path))) => Some(path),
            _ => None,
        };
        let tokenizer = tokenizer.iter().flat_map(|path| places::with_folder(path));
        let weights = weights.iter().cloned();
        weights.chain(tokenizer).chain(places::own_file()).collect()
    }

    /// Files of the weights that were read.
    #[cfg(any(feature = "library", test))]
    pub(crate) fn weight_files(&self) -> &[PathBuf] {
        self.weights.paths()
    }

    /// Bytes of all parameters, as they are stored.
    #[cfg(any(feature = "library", test))]
    pub(crate) fn weight_bytes(&self) -> u64 {
        let bytes = self
            .descriptor
            .params
            .iter()
            .map(|slot| stored_bytes(slot).unwrap_or_default());
        bytes.map(|bytes| bytes as u64).sum()
    }

    /// Threads that compute.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Whether other processes were seen on the cores while tokens were generated.
    pub(crate) fn busy(&self) -> bool {
        self.pool.busy()
    }

    pub(crate) fn scratch(&self) -> Result<Region> {
        let bytes = self.descriptor.scratch_bytes.checked_mul(self.pool.threads());
        Region::new(bytes.ok_or_else(|| Error::Failed("scratch beyond all memory".to_owned()))?)
    }

    /// A frame with everything that does not change between steps.
    pub(crate) fn frame(&self, scratch: &Region) -> [u64; frame::SLOTS] {
        let mut slots = [0; frame::SLOTS];
        slots[frame::PARAMS] = self.weights.table();
        slots[frame::CONSTANTS] = self.constants.as_ptr() as u64;
        slots[frame::SCRATCH] = scratch.as_ptr() as u64;
        slots[frame::BARRIER] = self.pool.barrier() as u64;
        slots
    }

    /// One step.
    ///
    /// # Errors
    ///
    /// A device that failed: what the step wrote is of no use.
    ///
    /// # Safety
    ///
    /// All slots of the frame are filled as the ABI says.
    pub(crate) unsafe fn step(&self, frame: &[u64; frame::SLOTS]) -> Result<()> {
        let meetings = match self.descriptor.token_loops {
            true => Meetings::Token,
            false => Meetings::Kernel,
        };
        // SAFETY: the caller's promise.
        unsafe {
            match frame[frame::ALL + frame::rows::COUNT] {
                1 if frame[frame::DECODING] == 0 => self.pool.run_token(self.step, frame.as_ptr()),
                _ => self.pool.run(self.step, frame.as_ptr(), meetings),
            }
        }
    }
}

/// Weights below which a token is computed faster than threads can meet.
const SMALL: usize = 4 << 20;

/// The requested number of threads; by default one for a small model.
fn threads(descriptor: &Descriptor, asked: usize) -> usize {
    let bytes = |sum: usize, slot| stored_bytes(slot).map_or(usize::MAX, |bytes| sum.saturating_add(bytes));
    let small = descriptor.params.iter().fold(0, bytes) < SMALL;
    if asked == 0 && small { 1 } else { asked }
}
