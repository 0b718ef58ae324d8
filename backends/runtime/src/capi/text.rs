//! Text to tokens and back, and conversations by the chat template.

use std::{
    ffi::{c_char, c_int},
    ptr,
};

use super::{
    memory,
    model::{CModel, Shared, ask},
    outcome::{Keeps, Outcome, caught, tell},
    pointers,
};
use crate::{Error, chat};

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed; `text` is NULL or leads to `length` bytes, or a C string; the others are NULL or
/// can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_tokenize(
    model: *const CModel,
    text: *const c_char,
    length: usize,
    start: c_int,
    tokens: *mut *mut i64,
    count: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise.
    ask(unsafe { model.as_ref() }, |shared| unsafe {
        let text = pointers::text(text, length, "text")?;
        let found = shared.text()?.encode(text, start != 0)?;
        memory::give(&found, tokens, count, "place for the tokens")
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed; `tokens` is NULL or leads to `count` tokens; the others are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_detokenize(
    model: *const CModel,
    tokens: *const i64,
    count: usize,
    text: *mut *mut c_char,
    length: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise.
    ask(unsafe { model.as_ref() }, |shared| unsafe {
        let tokens = pointers::array(tokens, count, "list of tokens")?;
        let tokenizer = shared.text()?;
        shared.check_tokens(tokens)?;
        let found = tokenizer.decode(tokens)?;
        memory::give(found.as_bytes(), text.cast(), length, "place for the text")
    })
}

/// What the template makes of messages, as JSON.
fn render(shared: &Shared, messages: &str) -> Outcome<String> {
    let wrong = |error: String| Error::input(format!("the messages: {error}"));
    let value = serde_json::from_str(messages).map_err(|error| wrong(format!("not JSON: {error}")))?;
    let messages = chat::requested(value).map_err(wrong)?;
    Ok(chat::render(shared.text()?, &messages, &chat::Given::default())?)
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed; `messages` is NULL or a C string; the others are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_render_chat(
    model: *const CModel,
    messages: *const c_char,
    text: *mut *mut c_char,
    length: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise.
    ask(unsafe { model.as_ref() }, |shared| unsafe {
        let rendered = render(shared, pointers::string(messages, "list of messages")?)?;
        memory::give(rendered.as_bytes(), text.cast(), length, "place for the text")
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_render_chat`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_tokenize_chat(
    model: *const CModel,
    messages: *const c_char,
    tokens: *mut *mut i64,
    count: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise.
    ask(unsafe { model.as_ref() }, |shared| unsafe {
        let rendered = render(shared, pointers::string(messages, "list of messages")?)?;
        let found = shared.text()?.encode_rendered(&rendered, true)?;
        memory::give(&found, tokens, count, "place for the tokens")
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed; `count` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_ends(model: *const CModel, count: *mut usize) -> *const i64 {
    // SAFETY: the caller's promise.
    let model = unsafe { model.as_ref() };
    let found = caught(|| {
        let shared = &model.ok_or_else(|| super::outcome::Fault::null("model"))?.0;
        let ends = shared.ends()?;
        Ok((ends.as_ptr(), ends.len()))
    });
    let (start, found) = found.unwrap_or_else(|fault| {
        tell(&fault, model.map(|model| &*model.0 as &dyn Keeps));
        (ptr::null(), 0)
    });
    // SAFETY: the caller's promise.
    if let Some(count) = unsafe { count.as_mut() } {
        *count = found;
    }
    start
}
