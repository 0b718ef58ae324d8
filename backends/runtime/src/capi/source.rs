//! Sources: what the encoder of a model reads, and how sessions read it.

use std::{
    ffi::{c_int, c_void},
    ptr,
};

use seqc_abi::{Elem, Stream};

use super::{
    described::CStream,
    model::{CModel, ask},
    outcome::Outcome,
    pointers,
    session::{CSession, Inner, with, with_model},
    streams::describe,
};
use crate::{
    inputs::Values,
    streams::{check_reads_source_tokens, most_rows, width},
};

/// Rows of streams, copied.
///
/// # Safety
///
/// `inputs` is NULL or leads to as many pointers as there are streams, each of which is NULL or leads to so many rows of its stream.
pub(super) unsafe fn copied(streams: &[Stream], inputs: *const *const c_void, rows: usize) -> Outcome<Vec<Values>> {
    // SAFETY: the caller's promise.
    let starts = unsafe { pointers::array(inputs, streams.len(), "list of inputs") }?;
    let values = |(stream, start): (&Stream, &*const c_void)| {
        let count = width(stream).saturating_mul(rows);
        // SAFETY: the caller's promise.
        Ok(match stream.elem {
            Elem::F32 => Values::F32(unsafe { pointers::array(start.cast(), count, &stream.name) }?.to_vec()),
            Elem::I64 => Values::I64(unsafe { pointers::array(start.cast(), count, &stream.name) }?.to_vec()),
        })
    };
    streams.iter().zip(starts).map(values).collect()
}

impl Inner {
    /// Reads a source.
    fn remember(&mut self, source: &[Values]) -> Outcome<()> {
        self.settle()?;
        Ok(self.session.remember(source)?)
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// `model` is NULL or a model that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_sources(model: *const CModel) -> usize {
    // SAFETY: the caller's promise.
    unsafe { model.as_ref() }.map_or(0, |model| model.0.sources.len())
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_model_sources`]; `stream` is NULL or can be written as far as its size says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_source(model: *const CModel, number: usize, stream: *mut CStream) -> c_int {
    // SAFETY: the caller's promise.
    ask(unsafe { model.as_ref() }, |shared| unsafe {
        describe(&shared.sources, number, stream)
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_model_sources`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_source_rows(model: *const CModel) -> u64 {
    // SAFETY: the caller's promise.
    let model = unsafe { model.as_ref() };
    let rows = model.and_then(|model| {
        let descriptor = model.0.model().descriptor();
        Some(most_rows(descriptor, descriptor.memory.as_ref()?) as u64)
    });
    rows.unwrap_or(0)
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_model_sources`]; `count` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_model_start(model: *const CModel, count: *mut usize) -> *const i64 {
    let mut found = (ptr::null(), 0);
    // SAFETY: the caller's promise.
    ask(unsafe { model.as_ref() }, |shared| {
        let start = shared.start();
        found = (start.as_ptr(), start.len());
        Ok(())
    });
    // SAFETY: the caller's promise.
    if let Some(count) = unsafe { count.as_mut() } {
        *count = found.1;
    }
    found.0
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed; `tokens` is NULL or leads to `count` tokens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_source(session: *mut CSession, tokens: *const i64, count: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with_model(session, |shared, inner| {
            check_reads_source_tokens(shared.model().descriptor())?;
            let tokens = pointers::array(tokens, count, "list of tokens")?;
            inner.remember(&[Values::I64(tokens.to_vec())])
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed; `inputs` is NULL or leads to as many pointers as the model has sources, each of which is
/// NULL or leads to so many rows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_source_input(
    session: *mut CSession,
    inputs: *const *const c_void,
    rows: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with_model(session, |shared, inner| {
            let memory = shared.model().descriptor().memory.as_ref();
            let streams = memory.map_or(&[][..], |memory| &memory.inputs);
            inner.remember(&copied(streams, inputs, rows)?)
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_source_rows(session: *const CSession) -> u64 {
    let mut rows = 0;
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            rows = inner.session.rows();
            Ok(())
        })
    };
    rows
}
