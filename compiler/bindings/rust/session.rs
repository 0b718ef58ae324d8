//! Sessions: sequences of tokens, and answers that they generate.

use std::{
    ffi::{CStr, c_int},
    mem,
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr,
};

use crate::{
    Error, Input, Model, Progress, Request, Result, Segment,
    error::{c_string, taken},
    feed, ffi,
    progress::Told,
};

/// A sequence of tokens that a model has read.
#[derive(Debug)]
pub struct Session {
    raw: *mut ffi::Session,
    model: Model,
}

// SAFETY: every function may be called by every thread.
unsafe impl Send for Session {}
// SAFETY: a session that is in use is an error, whoever uses it.
unsafe impl Sync for Session {}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { ffi::seqc_session_free(self.raw) };
    }
}

/// Bytes of memory of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionMemory {
    /// Freed with the session.
    pub alone: u64,
    /// Pages and snapshots that forks use as well.
    pub shared: u64,
}

impl Session {
    pub(crate) fn of(raw: *mut ffi::Session, model: &Model) -> Result<Session> {
        match raw.is_null() {
            true => Err(Error::last()),
            false => Ok(Session {
                raw,
                model: model.clone(),
            }),
        }
    }

    pub(crate) fn raw(&self) -> *mut ffi::Session {
        self.raw
    }

    pub(crate) fn done(&self, status: c_int) -> Result<()> {
        match status {
            ffi::OK => Ok(()),
            // SAFETY: the text is valid until the next failure.
            status => Err(unsafe { Error::of(status, ffi::seqc_session_error(self.raw)) }),
        }
    }

    /// The model that reads.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Forgets everything read, but for a source.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn reset(&mut self) -> Result<()> {
        // SAFETY: the session lives, here and below.
        self.done(unsafe { ffi::seqc_session_reset(self.raw) })
    }

    /// Tokens read so far.
    pub fn position(&self) -> u64 {
        // SAFETY: as above.
        unsafe { ffi::seqc_session_position(self.raw) }
    }

    /// The tokens read so far.
    ///
    /// # Errors
    ///
    /// A model that reads something else.
    pub fn tokens(&self) -> Result<Vec<i64>> {
        let (mut tokens, mut count) = (ptr::null_mut(), 0);
        // SAFETY: the places can be written.
        self.done(unsafe { ffi::seqc_session_tokens(self.raw, &raw mut tokens, &raw mut count) })?;
        // SAFETY: the library gave them.
        Ok(unsafe { taken(tokens, count) })
    }

    /// Reads tokens that follow those before.
    ///
    /// # Errors
    ///
    /// Tokens outside of the vocabulary, too many tokens, logits that are not finite.
    pub fn feed(&mut self, tokens: &[i64]) -> Result<()> {
        if tokens.is_empty() {
            return Ok(());
        }
        feed(&mut [Segment::new(self, &[Input::I64(tokens)])])
    }

    /// Logits of every token that may follow; `None` before the first token and where they were not kept.
    pub fn logits(&mut self) -> Option<&[f32]> {
        let mut length = 0;
        // SAFETY: the logits live until the next call with the session, which is borrowed.
        unsafe {
            let logits = ffi::seqc_session_logits(self.raw, &raw mut length);
            (!logits.is_null()).then(|| std::slice::from_raw_parts(logits, length))
        }
    }

    /// A copy that goes on by itself. Pages of caches are shared until one of both writes them.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn fork(&self) -> Result<Session> {
        // SAFETY: the session lives.
        Session::of(unsafe { ffi::seqc_session_fork(self.raw) }, &self.model)
    }

    /// Forgets all but the first tokens: at once where the model's states are caches that forget nothing, else from the nearest snapshot
    /// before, or the start, by reading the tokens in between again.
    ///
    /// # Errors
    ///
    /// A position that was not reached.
    pub fn truncate(&mut self, position: u64) -> Result<()> {
        // SAFETY: as above.
        self.done(unsafe { ffi::seqc_session_truncate(self.raw, position) })
    }

    /// Says that the prompt ends after `tokens` more tokens, before the last of them is read. Caches that are cut or stored anew at the
    /// end of a prompt are so there. Requests with a prompt of their own say it themselves.
    ///
    /// # Errors
    ///
    /// A session in use.
    pub fn end_prompt(&mut self, tokens: u64) -> Result<()> {
        // SAFETY: as above.
        self.done(unsafe { ffi::seqc_session_end_prompt(self.raw, tokens) })
    }

    /// Keeps a snapshot every so many tokens from now on, of the states that cannot be cut; 0: none.
    ///
    /// # Errors
    ///
    /// A session in use.
    pub fn keep_snapshots(&mut self, interval: u64) -> Result<()> {
        // SAFETY: as above.
        self.done(unsafe { ffi::seqc_session_snapshots(self.raw, interval) })
    }

    /// Writes everything needed to continue: a whole file, or none.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = c_string(path.as_ref().as_os_str().as_bytes())?;
        // SAFETY: the path lives through the call.
        self.done(unsafe { ffi::seqc_session_save(self.raw, path.as_ptr()) })
    }

    /// Continues from a file.
    ///
    /// # Errors
    ///
    /// A file of another model or other weights, or a damaged one; the session is as before.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = c_string(path.as_ref().as_os_str().as_bytes())?;
        // SAFETY: the path lives through the call.
        self.done(unsafe { ffi::seqc_session_load(self.raw, path.as_ptr()) })
    }

    /// Everything needed to continue.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let (mut bytes, mut size) = (ptr::null_mut(), 0);
        // SAFETY: the places can be written.
        self.done(unsafe {
            ffi::seqc_session_save_memory(self.raw, &raw mut bytes, &raw mut size)
        })?;
        // SAFETY: the library gave them.
        Ok(unsafe { taken(bytes.cast(), size) })
    }

    /// Continues from what [`Session::to_bytes`] gave.
    ///
    /// # Errors
    ///
    /// As [`Session::load`].
    pub fn load_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        // SAFETY: the bytes live through the call.
        self.done(unsafe {
            ffi::seqc_session_load_memory(self.raw, bytes.as_ptr().cast(), bytes.len())
        })
    }

    /// Memory that the session takes.
    ///
    /// # Errors
    ///
    /// A session in use.
    pub fn memory(&self) -> Result<SessionMemory> {
        let (mut alone, mut shared) = (0, 0);
        // SAFETY: the places can be written.
        self.done(unsafe { ffi::seqc_session_memory(self.raw, &raw mut alone, &raw mut shared) })?;
        Ok(SessionMemory { alone, shared })
    }

    /// Begins an answer: reads the prompt, then gives the answer part by part. What the session has read of the prompt is not read
    /// again. An answer may be dropped at any time.
    ///
    /// # Errors
    ///
    /// A request that is wrong, or nothing to continue from.
    pub fn generate(&mut self, request: &Request) -> Result<Answer<'_>> {
        self.generate_with(request, &mut |_, _| true)
    }

    /// The same; the function is told the progress of reading the prompt, and may stop it.
    ///
    /// # Errors
    ///
    /// As [`Session::generate`], and if the function stopped it.
    pub fn generate_with(&mut self, request: &Request, progress: &mut Progress<'_>) -> Result<Answer<'_>> {
        let request = c_string(request.to_json())?;
        let mut told = Told::new(progress);
        let callbacks = told.callbacks();
        // SAFETY: request and callbacks live through the call.
        let status = unsafe { ffi::seqc_session_start(self.raw, request.as_ptr(), &raw const callbacks) };
        told.end();
        self.done(status)?;
        Ok(Answer {
            session: self,
            over: false,
        })
    }

    /// The text of a whole answer.
    ///
    /// # Errors
    ///
    /// As [`Session::generate`].
    pub fn complete(&mut self, request: &Request) -> Result<String> {
        self.generate(request)?.text().collect()
    }
}

/// Why an answer is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// As many tokens as asked for.
    Length,
    /// The context is full.
    Context,
    /// A token that ends a text or a turn, or a grammar that admits nothing more.
    End,
    /// A stop text.
    Stop,
}

/// A token with the natural logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogProb {
    /// The token.
    pub token: i64,
    /// The logarithm of its probability.
    pub logprob: f64,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The token; `None` in the last part, which brings text that had been held back.
    pub token: Option<i64>,
    /// The characters that are certain now.
    pub text: String,
    /// In the last part: why the answer is over.
    pub end: Option<End>,
    /// Where the request asks for log probabilities: that of the token, else 0.
    pub logprob: f64,
    /// The most likely tokens, most likely first.
    pub best: Vec<LogProb>,
}

/// An answer, part by part.
#[derive(Debug)]
pub struct Answer<'s> {
    session: &'s mut Session,
    over: bool,
}

impl<'s> Answer<'s> {
    /// Its text, piece by piece.
    pub fn text(self) -> impl Iterator<Item = Result<String>> + use<'s> {
        self.map(|part| Ok(part?.text))
    }

    /// Its tokens.
    pub fn tokens(self) -> impl Iterator<Item = Result<i64>> + use<'s> {
        self.filter_map(|part| part.map(|part| part.token).transpose())
    }
}

impl Iterator for Answer<'_> {
    type Item = Result<Token>;

    fn next(&mut self) -> Option<Result<Token>> {
        if self.over {
            return None;
        }
        let mut token = no_token();
        // SAFETY: the place can be written.
        let status = unsafe { ffi::seqc_session_next(self.session.raw, &raw mut token) };
        if let Err(error) = self.session.done(status) {
            self.over = true;
            return Some(Err(error));
        }
        // SAFETY: what it leads to lives until the next call with the session.
        let part = unsafe { part(&token) };
        self.over = part.end.is_some();
        Some(Ok(part))
    }
}

fn no_token() -> ffi::Token {
    // SAFETY: plain data, for which zeros are valid.
    let mut token: ffi::Token = unsafe { mem::zeroed() };
    token.size = size_of::<ffi::Token>();
    token
}

/// The next part of each of several answers of one model, which read in one step: weights are read once for all of them, and each answer is
/// what it is alone. `None` for those that are over.
///
/// # Errors
///
/// Sessions of several models, too little memory. What only one answer suffers from is told in its place.
pub fn advance(answers: &mut [Answer<'_>]) -> Result<Vec<Option<Result<Token>>>> {
    let open: Vec<usize> = (0..answers.len()).filter(|n| !answers[*n].over).collect();
    let sessions: Vec<*mut ffi::Session> = open.iter().map(|n| answers[*n].session.raw).collect();
    let mut tokens: Vec<ffi::Token> = open.iter().map(|_| no_token()).collect();
    // SAFETY: sessions and tokens live through the call.
    let status = unsafe { ffi::seqc_next(sessions.as_ptr(), sessions.len(), tokens.as_mut_ptr()) };
    if status != ffi::OK && tokens.iter().all(|token| token.status == ffi::OK) {
        // SAFETY: the text is valid until the next failure in this thread.
        return Err(unsafe { Error::of(status, ffi::seqc_error()) });
    }
    let mut parts: Vec<Option<Result<Token>>> = answers.iter().map(|_| None).collect();
    for (n, token) in open.into_iter().zip(&tokens) {
        let answer = &mut answers[n];
        // SAFETY: what a token leads to lives until the next call with its session.
        let part = answer.session.done(token.status).map(|()| unsafe { part(token) });
        answer.over = part.as_ref().map_or(true, |part| part.end.is_some());
        parts[n] = Some(part);
    }
    Ok(parts)
}

/// # Safety
///
/// The library filled the token, and no call with the session came since.
unsafe fn part(token: &ffi::Token) -> Token {
    // SAFETY: the caller's promise.
    unsafe {
        let text = std::slice::from_raw_parts(token.text.cast(), token.length);
        let end = (!token.end.is_null()).then(|| match CStr::from_ptr(token.end).to_bytes() {
            b"length" => End::Length,
            b"context" => End::Context,
            b"stop" => End::Stop,
            _ => End::End,
        });
        let best = match token.candidates {
            0 => &[],
            count => std::slice::from_raw_parts(token.best, count),
        };
        Token {
            token: (token.token >= 0).then_some(token.token),
            text: String::from_utf8_lossy(text).into_owned(),
            end,
            logprob: token.logprob,
            best: best
                .iter()
                .map(|one| LogProb {
                    token: one.token,
                    logprob: one.logprob,
                })
                .collect(),
        }
    }
}
