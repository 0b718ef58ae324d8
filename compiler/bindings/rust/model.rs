//! The model: opening it, what it reads and gives, its tokenizer.

use std::{
    ffi::{CStr, c_int},
    mem,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr,
    sync::Arc,
};

use crate::{
    Error, Message, Result, Session,
    error::{c_string, taken},
    ffi,
    request::messages_json,
    text::{Decoder, Sampler},
};

/// How a model is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A checkpoint, or a folder of one, instead of what the model names.
    pub weights: Option<PathBuf>,
    /// A `tokenizer.json`, a GGUF file, or a folder, instead of what the model names.
    pub tokenizer: Option<PathBuf>,
    /// Threads that compute; 0: one for each core, or one in all for a small model.
    pub threads: usize,
    /// A folder of a disk: what attention caches lies in a file without a name there; otherwise in memory.
    pub cache_file: Option<PathBuf>,
    /// Bytes of that file that are in memory, at least 16 MiB; 0: 1 GiB.
    pub cache_resident: usize,
    /// Number of the GPU in crates for CUDA, which the first model chooses for all; 0 in others.
    pub device: u32,
}

/// The model with its weights and threads. Copies share them.
#[derive(Clone, Debug)]
pub struct Model(Arc<Raw>);

#[derive(Debug)]
struct Raw(*mut ffi::Model);

// SAFETY: every function of a model may be called by every thread, at once with others.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { ffi::seqc_model_free(self.0) };
    }
}

/// Types of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// `f32`.
    F32,
    /// `i64`.
    I64,
}

/// What a model reads or gives: a row for each token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub element: Element,
    /// Axes of a row; none: one number.
    pub shape: Vec<usize>,
    /// Elements of a row.
    pub width: usize,
    /// Where integers are ids: they are below this.
    pub vocab: Option<usize>,
}

/// Bytes of memory that all sessions share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelMemory {
    /// Parameters, most of them mapped from the checkpoint and shared with other processes.
    pub weights: u64,
    /// Computed from them once.
    pub constants: u64,
    /// For the activations of a step.
    pub steps: u64,
}

/// What became of the drafts of the program that drafts for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drafts {
    /// Tokens of drafts that were read.
    pub drafted: u64,
    /// Those of them that the model chose.
    pub accepted: u64,
    /// Why the program drafts no more.
    pub failure: Option<String>,
}

impl Model {
    /// Opens the model with its own weights.
    ///
    /// # Errors
    ///
    /// Files that cannot be found or do not fit, too little memory, a processor that lacks what the code needs.
    pub fn open() -> Result<Model> {
        Model::open_with(&Options::default())
    }

    /// Opens the model.
    ///
    /// # Errors
    ///
    /// As [`Model::open`].
    pub fn open_with(options: &Options) -> Result<Model> {
        let path = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| c_string(path.as_os_str().as_bytes()))
                .transpose()
        };
        let (weights, tokenizer) = (path(&options.weights)?, path(&options.tokenizer)?);
        let cache_file = path(&options.cache_file)?;
        let given = ffi::Options {
            size: size_of::<ffi::Options>(),
            abi: ffi::ABI,
            device: options.device,
            weights: weights.as_deref().map_or(ptr::null(), CStr::as_ptr),
            tokenizer: tokenizer.as_deref().map_or(ptr::null(), CStr::as_ptr),
            threads: options.threads,
            cache_file: cache_file.as_deref().map_or(ptr::null(), CStr::as_ptr),
            cache_resident: options.cache_resident,
        };
        // SAFETY: options and paths live through the call.
        let model = unsafe { ffi::seqc_model_open_with(&raw const given) };
        if model.is_null() {
            return Err(Error::last());
        }
        Ok(Model(Arc::new(Raw(model))))
    }

    pub(crate) fn raw(&self) -> *mut ffi::Model {
        self.0.0
    }

    fn done(&self, status: c_int) -> Result<()> {
        match status {
            ffi::OK => Ok(()),
            // SAFETY: the text is valid until the next failure.
            status => Err(unsafe { Error::of(status, ffi::seqc_model_error(self.raw())) }),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        // SAFETY: the text lives as long as the model.
        unsafe { CStr::from_ptr(ffi::seqc_model_name(self.raw())) }
            .to_str()
            .unwrap_or_default()
    }

    /// A hash of the model as it was compiled, in hexadecimal.
    pub fn hash(&self) -> &str {
        // SAFETY: the text lives as long as the model.
        unsafe { CStr::from_ptr(ffi::seqc_model_hash(self.raw())) }
            .to_str()
            .unwrap_or_default()
    }

    /// Number of tokens that it knows, 0 if it reads no tokens.
    pub fn vocab(&self) -> usize {
        // SAFETY: the model lives.
        unsafe { ffi::seqc_model_vocab(self.raw()) }
    }

    /// The most tokens of a sequence.
    pub fn context(&self) -> Option<u64> {
        // SAFETY: the model lives.
        Some(unsafe { ffi::seqc_model_context(self.raw()) }).filter(|limit| *limit < u64::MAX)
    }

    /// Whether a sequence can be read in parts; otherwise the model looks ahead and reads each at once.
    pub fn is_causal(&self) -> bool {
        // SAFETY: the model lives.
        unsafe { ffi::seqc_model_causal(self.raw()) == 1 }
    }

    /// Threads that compute.
    pub fn threads(&self) -> usize {
        // SAFETY: the model lives.
        unsafe { ffi::seqc_model_threads(self.raw()) }
    }

    /// Memory that all sessions share.
    pub fn memory(&self) -> ModelMemory {
        let mut bytes = ffi::ModelBytes {
            size: size_of::<ffi::ModelBytes>(),
            weights: 0,
            constants: 0,
            steps: 0,
        };
        // SAFETY: the model lives, and the place can be written; this does not fail.
        unsafe { ffi::seqc_model_memory(self.raw(), &raw mut bytes) };
        ModelMemory {
            weights: bytes.weights,
            constants: bytes.constants,
            steps: bytes.steps,
        }
    }

    /// Gives the model a program that drafts for answers whose requests ask for it ([`Request::draft`](crate::Request::draft)): that of a smaller model
    /// with the same tokenizer, which `seqc build` made. It runs as a process of its own, for all sessions, until the model gets another
    /// one or none. Waits until it is ready.
    ///
    /// # Errors
    ///
    /// A program that cannot be started, does not draft, or has other tokens. One that fails later drafts no more, and answers go on
    /// without.
    pub fn set_draft(&self, program: Option<&Path>) -> Result<()> {
        let path = program.map(|path| c_string(path.as_os_str().as_bytes()));
        let path = path.transpose()?;
        let path = path.as_deref().map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: the model lives, and the path through the call.
        self.done(unsafe { ffi::seqc_model_set_draft(self.raw(), path) })
    }

    /// What became of the drafts of that program.
    ///
    /// # Errors
    ///
    /// The model has none.
    pub fn drafts(&self) -> Result<Drafts> {
        let mut found = ffi::Drafts {
            size: size_of::<ffi::Drafts>(),
            drafted: 0,
            accepted: 0,
            failure: ptr::null(),
        };
        // SAFETY: the model lives, and the place can be written.
        self.done(unsafe { ffi::seqc_model_drafts(self.raw(), &raw mut found) })?;
        let failure = (!found.failure.is_null()).then(|| {
            // SAFETY: the text lives as long as the model.
            unsafe { CStr::from_ptr(found.failure) }
                .to_string_lossy()
                .into_owned()
        });
        Ok(Drafts {
            drafted: found.drafted,
            accepted: found.accepted,
            failure,
        })
    }

    /// What it reads.
    pub fn inputs(&self) -> Vec<Stream> {
        // SAFETY: the model lives.
        let count = unsafe { ffi::seqc_model_inputs(self.raw()) };
        (0..count)
            .filter_map(|n| self.stream(n, ffi::seqc_model_input))
            .collect()
    }

    /// What it gives.
    pub fn outputs(&self) -> Vec<Stream> {
        // SAFETY: the model lives.
        let count = unsafe { ffi::seqc_model_outputs(self.raw()) };
        (0..count)
            .filter_map(|n| self.stream(n, ffi::seqc_model_output))
            .collect()
    }

    pub(crate) fn stream(
        &self,
        number: usize,
        ask: unsafe extern "C" fn(*const ffi::Model, usize, *mut ffi::Stream) -> c_int,
    ) -> Option<Stream> {
        // SAFETY: plain data, for which zeros are valid.
        let mut found: ffi::Stream = unsafe { mem::zeroed() };
        found.size = size_of::<ffi::Stream>();
        // SAFETY: the model lives, and the place can be written; name and shape live as long as the model.
        unsafe {
            (ask(self.raw(), number, &raw mut found) == ffi::OK).then(|| Stream {
                name: CStr::from_ptr(found.name).to_string_lossy().into_owned(),
                element: if found.kind == ffi::I64 {
                    Element::I64
                } else {
                    Element::F32
                },
                shape: match found.dimensions {
                    0 => Vec::new(),
                    count => std::slice::from_raw_parts(found.shape, count).to_vec(),
                },
                width: found.width,
                vocab: Some(found.vocab).filter(|vocab| *vocab > 0),
            })
        }
    }

    /// A sequence of no tokens yet.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn session(&self) -> Result<Session> {
        // SAFETY: the model lives.
        let session = unsafe { ffi::seqc_session_new(self.raw()) };
        Session::of(session, self)
    }

    /// Tokens of a text, in which the texts of special tokens stand for these; with those that the tokenizer puts before a text, if it
    /// `starts` one.
    ///
    /// # Errors
    ///
    /// A model without a tokenizer, or one that cannot be used.
    pub fn encode(&self, text: &str, starts: bool) -> Result<Vec<i64>> {
        let (mut tokens, mut count) = (ptr::null_mut(), 0);
        // SAFETY: text and places live through the call.
        self.done(unsafe {
            ffi::seqc_tokenize(
                self.raw(),
                text.as_ptr().cast(),
                text.len(),
                c_int::from(starts),
                &raw mut tokens,
                &raw mut count,
            )
        })?;
        // SAFETY: the library gave them.
        Ok(unsafe { taken(tokens, count) })
    }

    /// The text of tokens; bytes that are no character become U+FFFD.
    ///
    /// # Errors
    ///
    /// As [`Model::encode`].
    pub fn decode(&self, tokens: &[i64]) -> Result<String> {
        let (mut text, mut length) = (ptr::null_mut(), 0);
        // SAFETY: tokens and places live through the call.
        self.done(unsafe {
            ffi::seqc_detokenize(
                self.raw(),
                tokens.as_ptr(),
                tokens.len(),
                &raw mut text,
                &raw mut length,
            )
        })?;
        // SAFETY: the library gave it.
        let bytes: Vec<u8> = unsafe { taken(text.cast(), length) };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The text that the chat template makes of messages, with the beginning of the answer.
    ///
    /// # Errors
    ///
    /// As [`Model::encode`], and a template that is missing or refuses the messages.
    pub fn render_chat(&self, messages: &[Message]) -> Result<String> {
        let messages = c_string(messages_json(messages))?;
        let (mut text, mut length) = (ptr::null_mut(), 0);
        // SAFETY: messages and places live through the call.
        self.done(unsafe {
            ffi::seqc_render_chat(
                self.raw(),
                messages.as_ptr(),
                &raw mut text,
                &raw mut length,
            )
        })?;
        // SAFETY: the library gave it.
        let bytes: Vec<u8> = unsafe { taken(text.cast(), length) };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The tokens of that text.
    ///
    /// # Errors
    ///
    /// As [`Model::render_chat`].
    pub fn encode_chat(&self, messages: &[Message]) -> Result<Vec<i64>> {
        let messages = c_string(messages_json(messages))?;
        let (mut tokens, mut count) = (ptr::null_mut(), 0);
        // SAFETY: messages and places live through the call.
        self.done(unsafe {
            ffi::seqc_tokenize_chat(
                self.raw(),
                messages.as_ptr(),
                &raw mut tokens,
                &raw mut count,
            )
        })?;
        // SAFETY: the library gave them.
        Ok(unsafe { taken(tokens, count) })
    }

    /// Tokens that end a text or a turn.
    ///
    /// # Errors
    ///
    /// A tokenizer that cannot be used.
    pub fn ends(&self) -> Result<&[i64]> {
        let mut count = 0;
        // SAFETY: the model lives; what it gives lives as long.
        unsafe {
            let ends = ffi::seqc_model_ends(self.raw(), &raw mut count);
            match ends.is_null() {
                true => Err(Error::last()),
                false => Ok(std::slice::from_raw_parts(ends, count)),
            }
        }
    }

    /// Turns tokens to text one by one; `before` are those of the text that stands there already.
    ///
    /// # Errors
    ///
    /// As [`Model::encode`].
    pub fn decoder(&self, before: &[i64]) -> Result<Decoder> {
        // SAFETY: the tokens live through the call.
        Decoder::of(unsafe { ffi::seqc_decoder_new(self.raw(), before.as_ptr(), before.len()) })
    }

    /// Chooses tokens by logits of the caller's, as the request says.
    ///
    /// # Errors
    ///
    /// Options outside of their bounds, and a request with a prompt or stop texts.
    pub fn sampler(&self, request: &crate::Request) -> Result<Sampler> {
        let request = c_string(request.to_json())?;
        // SAFETY: the request lives through the call.
        Sampler::of(unsafe { ffi::seqc_sampler_new(self.raw(), request.as_ptr()) })
    }
}
