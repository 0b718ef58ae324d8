//! Samplers that C holds: tokens are chosen by logits of the caller's.

use std::{
    ffi::{c_char, c_int},
    sync::{Arc, Mutex},
};

use super::{
    generate,
    model::{CModel, Shared, make},
    outcome::{Fault, Keeps, Outcome, Text, freed, status, taken},
    pointers,
};
use crate::{
    Error,
    fields::{Fields, Wrong},
    finite,
    generation::{Continuation, Sampler, Taken, Wishes},
};

/// A sampler that C holds.
#[derive(Debug)]
pub struct CSampler {
    inner: Mutex<Continuation<'static>>,
    text: Text,
    /// Logits at a time.
    count: usize,
    /// The model whose vocabulary it knows.
    model: Arc<Shared>,
}

impl CSampler {
    fn new(shared: &Arc<Shared>, fields: &Fields) -> Outcome<CSampler> {
        if let Some(name) = ["prompt", "messages", "stop"]
            .iter()
            .find(|name| fields.0.contains_key(**name))
        {
            return Err(Wrong::field(name, "a sampler knows no text").into());
        }
        let count = shared.logits()?;
        let generation = generate::generation(fields, shared)?;
        let wishes = Wishes {
            ends: generation.ends,
            constraint: generation.constraint,
            ..Wishes::default()
        };
        let sampler = Sampler::new(generation.sampling, count)?;
        Ok(CSampler {
            inner: Mutex::new(Continuation::new(sampler, None, wishes)?),
            text: Text::default(),
            count,
            model: Arc::clone(shared),
        })
    }

    fn next(&self, inner: &mut Continuation, logits: &[f32]) -> Outcome<Next> {
        if logits.len() != self.count {
            let (given, count) = (logits.len(), self.count);
            return Err(Error::input(format!("{given} logits are given, the model has {count}")).into());
        }
        if finite::undecided(logits) {
            return Err(Error::input("the logits are not finite, so that no token can be chosen").into());
        }
        let token = inner.choose(logits)?.token;
        let over = match inner.take(token)? {
            Taken::Text(_) => false,
            Taken::End | Taken::Stopped(_) | Taken::Complete(_) => true,
        };
        Ok(Next { token, over })
    }
}

/// A token, and whether nothing follows.
struct Next {
    token: i64,
    over: bool,
}

/// # Safety
///
/// `sampler` is NULL or a sampler that is not freed.
unsafe fn with(
    sampler: *mut CSampler,
    call: impl FnOnce(&CSampler, &mut Continuation<'static>) -> Outcome<()>,
) -> c_int {
    // SAFETY: the caller's promise.
    let sampler = unsafe { sampler.as_ref() };
    let object = sampler.map(|sampler| &sampler.text as &dyn Keeps);
    status(object, || {
        let sampler = sampler.ok_or_else(|| Fault::null("sampler"))?;
        call(sampler, &mut *taken(&sampler.inner, "sampler")?)
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed; `request` is NULL or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_sampler_new(model: *const CModel, request: *const c_char) -> *mut CSampler {
    // SAFETY: the caller's promise.
    make(unsafe { model.as_ref() }, |shared| {
        CSampler::new(shared, &unsafe { generate::fields(request) }?)
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// `sampler` is NULL or was given by `seqc_sampler_new` and is freed once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_sampler_free(sampler: *mut CSampler) {
    // SAFETY: the caller's promise.
    unsafe { freed(sampler) };
}

/// See `seqc.h`.
///
/// # Safety
///
/// `sampler` is NULL or a sampler that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_sampler_error(sampler: *const CSampler) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { sampler.as_ref() }.map_or(c"".as_ptr(), |sampler| sampler.text.as_ptr())
}

/// See `seqc.h`.
///
/// # Safety
///
/// `sampler` is NULL or a sampler that is not freed; `tokens` is NULL or leads to `count` tokens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_sampler_read(sampler: *mut CSampler, tokens: *const i64, count: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(sampler, |sampler, inner| {
            let tokens = pointers::array(tokens, count, "list of tokens")?;
            sampler.model.check_tokens(tokens)?;
            inner.read(tokens);
            Ok(())
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// `sampler` is NULL or a sampler that is not freed; `logits` is NULL or leads to `length` numbers; the others are NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_sampler_next(
    sampler: *mut CSampler,
    logits: *const f32,
    length: usize,
    token: *mut i64,
    over: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(sampler, |sampler, inner| {
            let place = pointers::place(token, "place for the token")?;
            let next = sampler.next(inner, pointers::array(logits, length, "list of logits")?)?;
            *place = next.token;
            if let Some(over) = over.as_mut() {
                *over = c_int::from(next.over);
            }
            Ok(())
        })
    }
}
