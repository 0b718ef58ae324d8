//! The C interface of the library that this crate carries; `seqc.h` of a library documents it.

use std::ffi::{c_char, c_int, c_void};

pub(crate) const ABI: u32 = 1;
pub(crate) const OK: c_int = 0;
pub(crate) const INPUT: c_int = 1;
pub(crate) const STOPPED: c_int = 3;
pub(crate) const I64: i32 = 2;

#[repr(C)]
pub(crate) struct Model {
    opaque: [u8; 0],
}

#[repr(C)]
pub(crate) struct Session {
    opaque: [u8; 0],
}

#[repr(C)]
pub(crate) struct Decoder {
    opaque: [u8; 0],
}

#[repr(C)]
pub(crate) struct Sampler {
    opaque: [u8; 0],
}

#[repr(C)]
pub(crate) struct Options {
    pub(crate) size: usize,
    pub(crate) abi: u32,
    pub(crate) device: u32,
    pub(crate) weights: *const c_char,
    pub(crate) tokenizer: *const c_char,
    pub(crate) threads: usize,
    pub(crate) cache_file: *const c_char,
    pub(crate) cache_resident: usize,
}

#[repr(C)]
pub(crate) struct ModelBytes {
    pub(crate) size: usize,
    pub(crate) weights: u64,
    pub(crate) constants: u64,
    pub(crate) steps: u64,
}

#[repr(C)]
pub(crate) struct Drafts {
    pub(crate) size: usize,
    pub(crate) drafted: u64,
    pub(crate) accepted: u64,
    pub(crate) failure: *const c_char,
}

#[repr(C)]
pub(crate) struct Stream {
    pub(crate) size: usize,
    pub(crate) name: *const c_char,
    pub(crate) kind: i32,
    pub(crate) reserved: i32,
    pub(crate) width: usize,
    pub(crate) dimensions: usize,
    pub(crate) shape: *const usize,
    pub(crate) vocab: usize,
}

#[repr(C)]
pub(crate) struct Candidate {
    pub(crate) token: i64,
    pub(crate) logprob: f64,
}

#[repr(C)]
pub(crate) struct Token {
    pub(crate) size: usize,
    pub(crate) token: i64,
    pub(crate) text: *const c_char,
    pub(crate) length: usize,
    pub(crate) end: *const c_char,
    pub(crate) logprob: f64,
    pub(crate) candidates: usize,
    pub(crate) best: *const Candidate,
    pub(crate) status: i32,
    pub(crate) reserved: i32,
}

#[repr(C)]
pub(crate) struct Callbacks {
    pub(crate) size: usize,
    pub(crate) user: *mut c_void,
    pub(crate) progress: Option<unsafe extern "C" fn(*mut c_void, u64, u64) -> c_int>,
    pub(crate) token: Option<unsafe extern "C" fn(*mut c_void, *const Token) -> c_int>,
}

#[repr(C)]
pub(crate) struct Segment {
    pub(crate) size: usize,
    pub(crate) session: *mut Session,
    pub(crate) tokens: usize,
    pub(crate) inputs: *const *const c_void,
    pub(crate) outputs: *const *mut c_void,
    pub(crate) wanted: i32,
    pub(crate) status: i32,
}

unsafe extern "C" {
    pub(crate) fn seqc_version() -> *const c_char;
    pub(crate) fn seqc_error() -> *const c_char;
    pub(crate) fn seqc_free(memory: *mut c_void);

    pub(crate) fn seqc_model_open_with(options: *const Options) -> *mut Model;
    pub(crate) fn seqc_model_free(model: *mut Model);
    pub(crate) fn seqc_model_error(model: *const Model) -> *const c_char;
    pub(crate) fn seqc_model_name(model: *const Model) -> *const c_char;
    pub(crate) fn seqc_model_hash(model: *const Model) -> *const c_char;
    pub(crate) fn seqc_model_vocab(model: *const Model) -> usize;
    pub(crate) fn seqc_model_context(model: *const Model) -> u64;
    pub(crate) fn seqc_model_causal(model: *const Model) -> c_int;
    pub(crate) fn seqc_model_threads(model: *const Model) -> usize;
    pub(crate) fn seqc_model_memory(model: *const Model, bytes: *mut ModelBytes) -> c_int;
    pub(crate) fn seqc_model_set_draft(model: *const Model, path: *const c_char) -> c_int;
    pub(crate) fn seqc_model_drafts(model: *const Model, drafts: *mut Drafts) -> c_int;
    pub(crate) fn seqc_model_inputs(model: *const Model) -> usize;
    pub(crate) fn seqc_model_outputs(model: *const Model) -> usize;
    pub(crate) fn seqc_model_input(
        model: *const Model,
        number: usize,
        stream: *mut Stream,
    ) -> c_int;
    pub(crate) fn seqc_model_output(
        model: *const Model,
        number: usize,
        stream: *mut Stream,
    ) -> c_int;

    pub(crate) fn seqc_model_sources(model: *const Model) -> usize;
    pub(crate) fn seqc_model_source(
        model: *const Model,
        number: usize,
        stream: *mut Stream,
    ) -> c_int;
    pub(crate) fn seqc_model_source_rows(model: *const Model) -> u64;
    pub(crate) fn seqc_model_start(model: *const Model, count: *mut usize) -> *const i64;

    pub(crate) fn seqc_session_source_input(
        session: *mut Session,
        inputs: *const *const c_void,
        rows: usize,
    ) -> c_int;
    pub(crate) fn seqc_session_source_rows(session: *const Session) -> u64;
    pub(crate) fn seqc_session_new(model: *const Model) -> *mut Session;
    pub(crate) fn seqc_session_free(session: *mut Session);
    pub(crate) fn seqc_session_error(session: *const Session) -> *const c_char;
    pub(crate) fn seqc_session_reset(session: *mut Session) -> c_int;
    pub(crate) fn seqc_session_position(session: *const Session) -> u64;
    pub(crate) fn seqc_session_tokens(
        session: *const Session,
        tokens: *mut *mut i64,
        count: *mut usize,
    ) -> c_int;
    pub(crate) fn seqc_session_logits(session: *const Session, length: *mut usize) -> *const f32;
    pub(crate) fn seqc_session_fork(session: *const Session) -> *mut Session;
    pub(crate) fn seqc_session_truncate(session: *mut Session, position: u64) -> c_int;
    pub(crate) fn seqc_session_end_prompt(session: *mut Session, tokens: u64) -> c_int;
    pub(crate) fn seqc_session_snapshots(session: *mut Session, interval: u64) -> c_int;
    pub(crate) fn seqc_session_save(session: *const Session, path: *const c_char) -> c_int;
    pub(crate) fn seqc_session_load(session: *mut Session, path: *const c_char) -> c_int;
    pub(crate) fn seqc_session_save_memory(
        session: *const Session,
        bytes: *mut *mut c_void,
        size: *mut usize,
    ) -> c_int;
    pub(crate) fn seqc_session_load_memory(
        session: *mut Session,
        bytes: *const c_void,
        size: usize,
    ) -> c_int;
    pub(crate) fn seqc_session_memory(
        session: *const Session,
        alone: *mut u64,
        shared: *mut u64,
    ) -> c_int;
    pub(crate) fn seqc_feed(
        segments: *mut Segment,
        count: usize,
        callbacks: *const Callbacks,
    ) -> c_int;

    pub(crate) fn seqc_tokenize(
        model: *const Model,
        text: *const c_char,
        length: usize,
        start: c_int,
        tokens: *mut *mut i64,
        count: *mut usize,
    ) -> c_int;
    pub(crate) fn seqc_detokenize(
        model: *const Model,
        tokens: *const i64,
        count: usize,
        text: *mut *mut c_char,
        length: *mut usize,
    ) -> c_int;
    pub(crate) fn seqc_render_chat(
        model: *const Model,
        messages: *const c_char,
        text: *mut *mut c_char,
        length: *mut usize,
    ) -> c_int;
    pub(crate) fn seqc_tokenize_chat(
        model: *const Model,
        messages: *const c_char,
        tokens: *mut *mut i64,
        count: *mut usize,
    ) -> c_int;
    pub(crate) fn seqc_model_ends(model: *const Model, count: *mut usize) -> *const i64;
    pub(crate) fn seqc_decoder_new(
        model: *const Model,
        before: *const i64,
        count: usize,
    ) -> *mut Decoder;
    pub(crate) fn seqc_decoder_free(decoder: *mut Decoder);
    pub(crate) fn seqc_decoder_error(decoder: *const Decoder) -> *const c_char;
    pub(crate) fn seqc_decoder_push(
        decoder: *mut Decoder,
        token: i64,
        text: *mut *const c_char,
        length: *mut usize,
    ) -> c_int;
    pub(crate) fn seqc_decoder_finish(
        decoder: *mut Decoder,
        text: *mut *const c_char,
        length: *mut usize,
    ) -> c_int;

    pub(crate) fn seqc_session_start(
        session: *mut Session,
        request: *const c_char,
        callbacks: *const Callbacks,
    ) -> c_int;
    pub(crate) fn seqc_session_next(session: *mut Session, token: *mut Token) -> c_int;
    pub(crate) fn seqc_next(sessions: *const *mut Session, count: usize, tokens: *mut Token) -> c_int;
    pub(crate) fn seqc_sampler_new(model: *const Model, request: *const c_char) -> *mut Sampler;
    pub(crate) fn seqc_sampler_free(sampler: *mut Sampler);
    pub(crate) fn seqc_sampler_error(sampler: *const Sampler) -> *const c_char;
    pub(crate) fn seqc_sampler_read(
        sampler: *mut Sampler,
        tokens: *const i64,
        count: usize,
    ) -> c_int;
    pub(crate) fn seqc_sampler_next(
        sampler: *mut Sampler,
        logits: *const f32,
        length: usize,
        token: *mut i64,
        over: *mut c_int,
    ) -> c_int;
}
