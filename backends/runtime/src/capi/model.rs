//! Models that C holds, and what is known of them.

use std::{
    ffi::{CString, c_char, c_int},
    path::{Path, PathBuf},
    ptr,
    sync::{Arc, OnceLock},
};

use super::{
    described::Described,
    drafted::Draft,
    outcome::{Fault, Keeps, Outcome, Texts, freed, made, status},
    pointers,
    version::ABI,
};
use crate::{
    Error, Result,
    cache_file::{CacheFile, RESIDENT},
    code::Code,
    generation::{Constraint, Grammar, GrammarVocabulary},
    inputs::check_tokens,
    model::{Model, Options},
    places,
    session::Session,
    streams::{self, width},
    tokenizer::Tokenizer,
};

#[cfg(not(test))]
use super::outcome::quiet;

/// A model that C holds.
#[derive(Debug)]
pub struct CModel(pub(super) Arc<Shared>);

/// What sessions and others share, and keep.
#[derive(Debug)]
pub(super) struct Shared {
    /// An empty sequence, from which all others come: they share its memory for steps. Borrows from `model`; stands first, so
    /// that it is dropped first.
    root: Session<'static>,
    /// Opened when it is asked for.
    tokenizer: OnceLock<Option<Tokenizer>>,
    /// The one that the caller names.
    named_tokenizer: Option<PathBuf>,
    ends: OnceLock<Vec<i64>>,
    vocabulary: OnceLock<GrammarVocabulary>,
    name: CString,
    hash: CString,
    pub(super) inputs: Vec<Described>,
    pub(super) outputs: Vec<Described>,
    /// What the encoder reads; none without one.
    pub(super) sources: Vec<Described>,
    texts: Texts,
    /// What drafts for sessions that ask for it.
    pub(super) draft: Draft,
    model: Arc<Model>,
}

impl Shared {
    pub(super) fn open(code: Code, options: &Options, tokenizer: Option<PathBuf>) -> Result<Shared> {
        let model = Arc::new(Model::load(code, options)?);
        // SAFETY: the model behind the `Arc` lies still, is never given out mutably, and is dropped after what borrows from it: fields
        // of this structure that come before it, and sessions and others, which keep this structure.
        let lasting: &'static Model = unsafe { &*Arc::as_ptr(&model) };
        let descriptor = model.descriptor();
        let c_string = |text: &str| CString::new(text).unwrap_or_default();
        Ok(Shared {
            root: Session::new(lasting)?,
            tokenizer: OnceLock::new(),
            named_tokenizer: tokenizer,
            ends: OnceLock::new(),
            vocabulary: OnceLock::new(),
            name: c_string(&descriptor.model),
            hash: c_string(&descriptor.hash),
            inputs: descriptor.inputs.iter().map(Described::new).collect(),
            outputs: descriptor.outputs.iter().map(Described::new).collect(),
            sources: descriptor
                .memory
                .iter()
                .flat_map(|memory| &memory.inputs)
                .map(Described::new)
                .collect(),
            texts: Texts::default(),
            draft: Draft::default(),
            model,
        })
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// A sequence of no tokens yet. The caller keeps this structure as long.
    pub(super) fn session(&self) -> Result<Session<'static>> {
        self.root.fork()
    }

    /// The tokenizer, where the model has one.
    pub(super) fn tokenizer(&self) -> Result<Option<&Tokenizer>> {
        if let Some(tokenizer) = self.tokenizer.get() {
            return Ok(tokenizer.as_ref());
        }
        let opened = match &self.named_tokenizer {
            Some(path) => Some(Tokenizer::open(path)?),
            None => {
                let files = self.model.weight_files();
                let folder = files.first().and_then(|path| path.parent());
                let found = places::tokenizer(self.model.descriptor(), folder)?;
                found.map(|found| Tokenizer::open_source(&found)).transpose()?
            }
        };
        Ok(self.tokenizer.get_or_init(|| opened).as_ref())
    }

    /// The tokenizer, for what cannot be done without.
    pub(super) fn text(&self) -> Result<&Tokenizer> {
        let missing = || Error::input("the model has no tokenizer: name one when it is opened");
        self.tokenizer()?.ok_or_else(missing)
    }

    /// The same as a reference that lasts.
    ///
    /// # Safety
    ///
    /// The caller keeps this structure, which is behind an [`Arc`], as long as it uses the tokenizer.
    pub(super) unsafe fn lasting_text(&self) -> Result<&'static Tokenizer> {
        let tokenizer: *const Tokenizer = self.text()?;
        // SAFETY: the caller's promise; the tokenizer lies still once it is opened.
        Ok(unsafe { &*tokenizer })
    }

    /// Tokens that end a text or a turn.
    pub(super) fn ends(&self) -> Result<&[i64]> {
        let named = self.tokenizer()?.map_or(&[][..], Tokenizer::stops);
        let own = &self.model.descriptor().ends;
        Ok(self.ends.get_or_init(|| own.iter().chain(named).copied().collect()))
    }

    /// Tokens that sequences behind an encoder begin with.
    pub(super) fn start(&self) -> &[i64] {
        let memory = self.model.descriptor().memory.as_ref();
        memory.map_or(&[][..], |memory| &memory.start)
    }

    /// Refuses tokens that the model does not know.
    pub(super) fn check_tokens(&self, tokens: &[i64]) -> Result<()> {
        check_tokens(self.model.descriptor(), tokens)
    }

    /// Number of logits, of a model that has some.
    pub(super) fn logits(&self) -> Result<usize> {
        let descriptor = self.model.descriptor();
        Ok(width(&descriptor.outputs[streams::logits(descriptor)?]))
    }

    /// The start of an answer that follows a grammar.
    pub(super) fn constraint(&self, grammar: &Grammar) -> Result<Constraint> {
        if self.vocabulary.get().is_none() {
            let made = GrammarVocabulary::new(self.text()?, self.logits()?, self.ends()?)?;
            self.vocabulary.get_or_init(|| made);
        }
        let vocabulary = self.vocabulary.get();
        vocabulary.map_or_else(
            || Err(Error::Failed("no vocabulary".to_owned())),
            |v| v.constraint(grammar),
        )
    }
}

impl Keeps for Shared {
    fn keep(&self, text: CString) {
        self.texts.keep(text);
    }
}

/// Something about a model, for which its own text is kept.
pub(super) fn ask(model: Option<&CModel>, call: impl FnOnce(&Arc<Shared>) -> Outcome<()>) -> c_int {
    let object = model.map(|model| &*model.0 as &dyn Keeps);
    status(object, || call(&model.ok_or_else(|| Fault::null("model"))?.0))
}

/// Something that is made of a model.
pub(super) fn make<T>(model: Option<&CModel>, call: impl FnOnce(&Arc<Shared>) -> Outcome<T>) -> *mut T {
    let object = model.map(|model| &*model.0 as &dyn Keeps);
    made(object, || call(&model.ok_or_else(|| Fault::null("model"))?.0))
}

/// `seqc_options`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct COptions {
    size: usize,
    pub(super) abi: u32,
    device: u32,
    weights: *const c_char,
    pub(super) tokenizer: *const c_char,
    threads: usize,
    pub(super) cache_file: *const c_char,
    pub(super) cache_resident: usize,
}

impl COptions {
    pub(super) fn new(weights: *const c_char, threads: usize) -> COptions {
        COptions {
            size: size_of::<COptions>(),
            abi: ABI,
            device: 0,
            weights,
            tokenizer: ptr::null(),
            threads,
            cache_file: ptr::null(),
            cache_resident: 0,
        }
    }

    /// A model by these options.
    ///
    /// # Safety
    ///
    /// Paths are NULL or C strings.
    pub(super) unsafe fn open(&self, code: impl FnOnce() -> Result<Code>) -> Outcome<CModel> {
        if self.abi != ABI {
            let theirs = self.abi;
            return Err(Error::input(format!(
                "the program was compiled for interface {theirs} of the library, which has {ABI}: compile it with the header of this library"
            ))
            .into());
        }
        #[cfg(feature = "cuda")]
        crate::device::choose(self.device as usize);
        #[cfg(not(feature = "cuda"))]
        if self.device != 0 {
            return Err(Error::input(format!(
                "device {} of the options is that of a GPU, and this library is for the processor: leave it 0",
                self.device
            ))
            .into());
        }
        let paths = [self.weights, self.tokenizer, self.cache_file];
        // SAFETY: the caller's promise.
        let [weights, tokenizer, cache_file] = paths.map(|path| unsafe { pointers::path(path) });
        let options = Options {
            weights: weights.map(Path::to_owned),
            threads: self.threads,
            measures: false,
            cache_file: cache_file.map(|folder| CacheFile {
                folder: folder.to_owned(),
                resident: match self.cache_resident {
                    0 => RESIDENT,
                    bytes => bytes,
                },
            }),
        };
        let shared = Shared::open(code()?, &options, tokenizer.map(Path::to_owned))?;
        Ok(CModel(Arc::new(shared)))
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// `weights` is NULL or a C string.
#[cfg(not(test))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_open(weights: *const c_char, threads: usize) -> *mut CModel {
    // SAFETY: the caller's promise.
    made(None, || unsafe {
        COptions::new(weights, threads).open(crate::code::code)
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// `options` is NULL or leads to options of the size that it says; its paths are NULL or C strings.
#[cfg(not(test))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_open_with(options: *const COptions) -> *mut CModel {
    // SAFETY: the caller's promise.
    made(None, || unsafe {
        quiet();
        let options = pointers::sized(options, COptions::new(ptr::null(), 0), "options")?;
        options.open(crate::code::code)
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or was given by `seqc_model_open` and is freed once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_free(model: *mut CModel) {
    // SAFETY: the caller's promise.
    unsafe { freed(model) };
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed; so it is for all functions that ask about one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_error(model: *const CModel) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { model.as_ref() }.map_or(c"".as_ptr(), |model| model.0.texts.as_ptr())
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_model_error`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_name(model: *const CModel) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { model.as_ref() }.map_or(c"".as_ptr(), |model| model.0.name.as_ptr())
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_model_error`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_hash(model: *const CModel) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { model.as_ref() }.map_or(c"".as_ptr(), |model| model.0.hash.as_ptr())
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_model_error`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_vocab(model: *const CModel) -> usize {
    // SAFETY: the caller's promise.
    let model = unsafe { model.as_ref() };
    let vocab = model.and_then(|model| model.0.model().descriptor().inputs.first()?.vocab);
    vocab.unwrap_or(0)
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_model_error`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_context(model: *const CModel) -> u64 {
    // SAFETY: the caller's promise.
    let Some(model) = (unsafe { model.as_ref() }) else {
        return 0;
    };
    let descriptor = model.0.model().descriptor();
    let whole = (!descriptor.causal).then_some(descriptor.max_chunk);
    let limits = [descriptor.max_context, whole].into_iter().flatten();
    limits.min().map_or(u64::MAX, |limit| limit as u64)
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_model_error`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_causal(model: *const CModel) -> c_int {
    // SAFETY: the caller's promise.
    let model = unsafe { model.as_ref() };
    model.map_or(0, |model| c_int::from(model.0.model().descriptor().causal))
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_model_error`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_threads(model: *const CModel) -> usize {
    // SAFETY: the caller's promise.
    unsafe { model.as_ref() }.map_or(0, |model| model.0.model().threads())
}

/// `seqc_model_bytes`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CModelBytes {
    pub(super) size: usize,
    pub(super) weights: u64,
    pub(super) constants: u64,
    pub(super) steps: u64,
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_model_error`]; `bytes` is NULL or can be written as far as its size says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_memory(model: *const CModel, bytes: *mut CModelBytes) -> c_int {
    // SAFETY: the caller's promise.
    ask(unsafe { model.as_ref() }, |shared| {
        let descriptor = shared.model().descriptor();
        let scratch = descriptor.scratch_bytes.saturating_mul(shared.model().threads());
        let found = CModelBytes {
            size: 0,
            weights: shared.model().weight_bytes(),
            constants: descriptor.constant_bytes as u64,
            steps: descriptor.arena_bytes.saturating_add(scratch) as u64,
        };
        // SAFETY: the caller's promise.
        unsafe { pointers::fill_sized(bytes, found, "place for the sizes") }
    })
}
