//! Calls as C makes them: sessions, batches, text, generation, and mistakes of all kinds.

mod drafts;
mod feeding;
mod generation;
mod misuse;
mod threads;

use std::{
    ffi::{CStr, CString, c_char},
    path::Path,
    ptr,
    sync::Arc,
};

use serde_json::json;

use super::{
    feed::{CSegment, seqc_feed},
    generate::{seqc_next, seqc_session_generate, seqc_session_next, seqc_session_start},
    memory::seqc_free,
    model::{CModel, COptions, seqc_model_free},
    outcome::{made, seqc_error},
    session::*,
};
use crate::{
    code::Code,
    testing::{VOCAB, fresh, tokenizer},
};

/// A model that C holds, with a tokenizer or without.
fn open_with(code: Code, tokenizer: Option<&Path>, threads: usize) -> *mut CModel {
    let tokenizer = tokenizer.map(|path| CString::new(path.as_os_str().as_encoded_bytes()).expect("a path"));
    let mut options = COptions::new(ptr::null(), threads);
    options.tokenizer = tokenizer.as_deref().map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: paths live through the call.
    made(None, || unsafe { options.open(|| Ok(code)) })
}

fn open(code: Code) -> *mut CModel {
    open_with(code, None, 1)
}

/// A text of the library.
fn said(text: *const c_char) -> String {
    assert!(!text.is_null());
    // SAFETY: texts of the library live until the next failure.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn last_error() -> String {
    said(seqc_error())
}

/// The most likely next token.
fn best(session: *const CSession) -> usize {
    let mut length = 0;
    // SAFETY: the session lives; the logits are read at once.
    let logits = unsafe {
        let start = seqc_session_logits(session, &raw mut length);
        assert!(!start.is_null(), "{}", last_error());
        std::slice::from_raw_parts(start, length)
    };
    assert_eq!(logits.len(), VOCAB);
    crate::generation::greedy(logits)
}

fn feed(session: *mut CSession, tokens: &[i64]) -> i32 {
    // SAFETY: the session lives, and so do the tokens.
    unsafe { seqc_session_feed(session, tokens.as_ptr(), tokens.len()) }
}

/// The tokens that a session has read.
fn tokens(session: *const CSession) -> Vec<i64> {
    let (mut start, mut count) = (ptr::null_mut(), 0);
    // SAFETY: the session lives; what it gives is copied and freed.
    unsafe {
        assert_eq!(
            seqc_session_tokens(session, &raw mut start, &raw mut count),
            0,
            "{}",
            last_error()
        );
        let tokens = std::slice::from_raw_parts(start, count).to_vec();
        seqc_free(start.cast());
        tokens
    }
}

/// A tokenizer whose sixteen tokens are the letters from `a` on, with a chat template that writes contents one after another.
fn letters() -> std::path::PathBuf {
    let path = tokenizer(('a'..='p').map(|letter| letter.to_string()));
    let config = json!({"chat_template": "{% for message in messages %}{{ message.content }}{% endfor %}"});
    std::fs::write(path.with_file_name("tokenizer_config.json"), config.to_string()).expect("a file");
    path
}

/// Objects of C are used by several threads.
#[test]
fn sessions_and_models_may_move_between_threads() {
    fn moves<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    shared::<Arc<super::model::Shared>>();
    moves::<CSession>();
    shared::<CSession>();
}
