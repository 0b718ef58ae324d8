//! Tokens to text one by one, for C.

use std::{
    ffi::{c_char, c_int},
    sync::{Arc, Mutex},
};

use super::{
    model::{CModel, Shared, make},
    outcome::{Fault, Keeps, Outcome, Text, freed, status, taken},
    pointers,
};
use crate::{Result, tokenizer::TextStream};

/// A decoder that C holds.
#[derive(Debug)]
pub struct CDecoder {
    /// Borrows from `model`; stands first, so that it is dropped first.
    inner: Mutex<Inner>,
    text: Text,
    model: Arc<Shared>,
}

#[derive(Debug)]
struct Inner {
    stream: TextStream<'static>,
    /// What was given last.
    given: Vec<u8>,
}

impl CDecoder {
    fn new(model: &Arc<Shared>, before: &[i64]) -> Result<CDecoder> {
        model.check_tokens(before)?;
        // SAFETY: the model is kept as long as the stream.
        let stream = unsafe { model.lasting_text() }?.stream(before);
        Ok(CDecoder {
            inner: Mutex::new(Inner {
                stream,
                given: Vec::new(),
            }),
            text: Text::default(),
            model: Arc::clone(model),
        })
    }

    /// Gives the text that a call makes.
    ///
    /// # Safety
    ///
    /// `to` and `length` are NULL or can be written.
    unsafe fn give(
        &self,
        to: *mut *const c_char,
        length: *mut usize,
        call: impl FnOnce(&mut TextStream<'static>) -> Result<String>,
    ) -> Outcome<()> {
        let mut inner = taken(&self.inner, "decoder")?;
        inner.given = call(&mut inner.stream)?.into_bytes();
        inner.given.push(0);
        // SAFETY: the caller's promise.
        *unsafe { pointers::place(to, "place for the text") }? = inner.given.as_ptr().cast();
        // SAFETY: the caller's promise.
        if let Some(length) = unsafe { length.as_mut() } {
            *length = inner.given.len() - 1;
        }
        Ok(())
    }
}

/// # Safety
///
/// `decoder` is NULL or a decoder that is not freed.
unsafe fn with(decoder: *mut CDecoder, call: impl FnOnce(&CDecoder) -> Outcome<()>) -> c_int {
    // SAFETY: the caller's promise.
    let decoder = unsafe { decoder.as_ref() };
    let object = decoder.map(|decoder| &decoder.text as &dyn Keeps);
    status(object, || call(decoder.ok_or_else(|| Fault::null("decoder"))?))
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed; `before` is NULL or leads to `count` tokens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_decoder_new(model: *const CModel, before: *const i64, count: usize) -> *mut CDecoder {
    // SAFETY: the caller's promise.
    make(unsafe { model.as_ref() }, |shared| {
        // SAFETY: the caller's promise.
        let before = unsafe { pointers::array(before, count, "list of tokens") }?;
        Ok(CDecoder::new(shared, before)?)
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// `decoder` is NULL or was given by `seqc_decoder_new` and is freed once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_decoder_free(decoder: *mut CDecoder) {
    // SAFETY: the caller's promise.
    unsafe { freed(decoder) };
}

/// See `seqc.h`.
///
/// # Safety
///
/// `decoder` is NULL or a decoder that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_decoder_error(decoder: *const CDecoder) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { decoder.as_ref() }.map_or(c"".as_ptr(), |decoder| decoder.text.as_ptr())
}

/// See `seqc.h`.
///
/// # Safety
///
/// `decoder` is NULL or a decoder that is not freed; `text` and `length` are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_decoder_push(
    decoder: *mut CDecoder,
    token: i64,
    text: *mut *const c_char,
    length: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(decoder, |decoder| {
            decoder.model.check_tokens(&[token])?;
            decoder.give(text, length, |stream| stream.push(token))
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_decoder_push`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_decoder_finish(
    decoder: *mut CDecoder,
    text: *mut *const c_char,
    length: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(decoder, |decoder| {
            let fresh = decoder.model.lasting_text()?;
            decoder.give(text, length, |stream| {
                Ok(std::mem::replace(stream, fresh.stream(&[])).finish())
            })
        })
    }
}
