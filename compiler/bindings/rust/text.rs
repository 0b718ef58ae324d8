//! Tokens to text one by one, and the choice of tokens by logits.

use std::ffi::c_int;

use crate::{Error, Result, ffi};

/// Turns tokens to text: whole characters come as soon as they are complete.
#[derive(Debug)]
pub struct Decoder(*mut ffi::Decoder);

// SAFETY: every function may be called by every thread.
unsafe impl Send for Decoder {}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { ffi::seqc_decoder_free(self.0) };
    }
}

impl Decoder {
    pub(crate) fn of(raw: *mut ffi::Decoder) -> Result<Decoder> {
        if raw.is_null() {
            Err(Error::last())
        } else {
            Ok(Decoder(raw))
        }
    }

    /// The characters that are complete with this token.
    ///
    /// # Errors
    ///
    /// A tokenizer that cannot decode it.
    pub fn push(&mut self, token: i64) -> Result<String> {
        let (mut text, mut length) = (std::ptr::null(), 0);
        // SAFETY: the decoder lives, and the places can be written.
        let status =
            unsafe { ffi::seqc_decoder_push(self.0, token, &raw mut text, &raw mut length) };
        self.text(status, text, length)
    }

    /// What is left: U+FFFD for a character that was never completed. The decoder begins anew.
    ///
    /// # Errors
    ///
    /// As [`Decoder::push`].
    pub fn finish(&mut self) -> Result<String> {
        let (mut text, mut length) = (std::ptr::null(), 0);
        // SAFETY: the decoder lives, and the places can be written.
        let status = unsafe { ffi::seqc_decoder_finish(self.0, &raw mut text, &raw mut length) };
        self.text(status, text, length)
    }

    fn text(&self, status: c_int, text: *const std::ffi::c_char, length: usize) -> Result<String> {
        // SAFETY: texts live until the next call with the decoder.
        unsafe {
            if status != ffi::OK {
                return Err(Error::of(status, ffi::seqc_decoder_error(self.0)));
            }
            let bytes = std::slice::from_raw_parts(text.cast(), length);
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

/// Chooses tokens by logits.
#[derive(Debug)]
pub struct Sampler(*mut ffi::Sampler);

// SAFETY: every function may be called by every thread.
unsafe impl Send for Sampler {}

impl Drop for Sampler {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { ffi::seqc_sampler_free(self.0) };
    }
}

impl Sampler {
    pub(crate) fn of(raw: *mut ffi::Sampler) -> Result<Sampler> {
        if raw.is_null() {
            Err(Error::last())
        } else {
            Ok(Sampler(raw))
        }
    }

    fn done(&self, status: c_int) -> Result<()> {
        match status {
            ffi::OK => Ok(()),
            // SAFETY: the text is valid until the next failure.
            status => Err(unsafe { Error::of(status, ffi::seqc_sampler_error(self.0)) }),
        }
    }

    /// Takes tokens of the prompt, which the repetition penalty counts.
    ///
    /// # Errors
    ///
    /// A sampler in use.
    pub fn read(&mut self, tokens: &[i64]) -> Result<()> {
        // SAFETY: the sampler lives, and so do the tokens.
        self.done(unsafe { ffi::seqc_sampler_read(self.0, tokens.as_ptr(), tokens.len()) })
    }

    /// The next token for these logits, which counts as generated; `None`: the answer is over.
    ///
    /// # Errors
    ///
    /// Logits that are too few, too many or not finite, a grammar that no token continues.
    pub fn next(&mut self, logits: &[f32]) -> Result<Option<i64>> {
        let (mut token, mut over) = (0, 0);
        // SAFETY: the sampler lives, and so do logits and places.
        let status = unsafe {
            ffi::seqc_sampler_next(
                self.0,
                logits.as_ptr(),
                logits.len(),
                &raw mut token,
                &raw mut over,
            )
        };
        self.done(status)?;
        Ok((over == 0).then_some(token))
    }
}
