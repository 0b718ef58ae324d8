//! Generation: a request as the server takes it, the prompt that it brings, and the parts of the answer.

use std::{
    ffi::{c_char, c_int},
    sync::MutexGuard,
};

use serde_json::{Map, Value};

use super::{
    answer::CAnswer,
    callbacks::{CCallbacks, CToken},
    model::Shared,
    outcome::{Fault, OK, Outcome, status, tell},
    pointers,
    session::{CSession, Inner, with, with_model},
};
use crate::{
    Error,
    answer::{self, Answer, Pair, Wish},
    chat,
    engine::Generation,
    fields::{Fields, Wrong},
    generation::{Continuation, Sampler, Wishes},
    sequence::Sequence,
    speculation::{Drafting, Speculation},
};

/// Tokens of a draft.
const MOST_DRAFTED: usize = 64;
/// `max_tokens` of a request that does not say it.
const NOT_ASKED: usize = usize::MAX;

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Fault {
        Error::from(wrong).into()
    }
}

/// The fields of a request; none for NULL.
///
/// # Safety
///
/// `request` is NULL or a C string.
pub(super) unsafe fn fields(request: *const c_char) -> Outcome<Fields> {
    if request.is_null() {
        return Ok(Fields(Map::new()));
    }
    // SAFETY: the caller's promise.
    let text = unsafe { pointers::string(request, "request") }?;
    match serde_json::from_str(text).map_err(|error| Error::input(format!("the request is not JSON: {error}")))? {
        Value::Object(object) => Ok(Fields(object)),
        _ => Err(Error::input("the request is not a JSON object").into()),
    }
}

/// How the answer to a request comes.
pub(super) fn generation(fields: &Fields, shared: &Shared) -> Outcome<Generation> {
    fields.refuse(&["tools", "functions", "audio", "suffix", "echo"])?;
    let max_tokens = fields.get("max_completion_tokens")?.or(fields.get("max_tokens")?);
    let max_tokens = max_tokens.unwrap_or(NOT_ASKED);
    if max_tokens == 0 {
        return Err(Wrong::field("max_tokens", "it must be at least 1").into());
    }
    let mut generation = fields.generation(shared.ends()?, max_tokens)?;
    if generation.samples > 1 {
        return Err(Wrong::field("n", "a session has one answer: fork it for several").into());
    }
    generation.constraint = fields
        .grammar()?
        .map(|grammar| shared.constraint(&grammar))
        .transpose()?;
    generation.logprobs = match fields.get::<Value>("logprobs")? {
        None | Some(Value::Bool(false)) => None,
        Some(Value::Bool(true)) => Some(fields.logprobs("top_logprobs")?.unwrap_or(0)),
        Some(_) => fields.logprobs("logprobs")?,
    };
    Ok(generation)
}

/// The tokens of the whole text that a request continues; `None`: what the session has read.
fn prompt(fields: &Fields, shared: &Shared) -> Outcome<Option<Vec<i64>>> {
    if fields.0.contains_key("messages") {
        let tokenizer = shared.text()?;
        let rendered = chat::render(tokenizer, &fields.messages()?, &fields.given()?)?;
        return Ok(Some(tokenizer.encode_rendered(&rendered, true)?));
    }
    let wrong = |_| Wrong::field("prompt", "it must be a text or a list of token ids");
    Ok(match fields.get("prompt")? {
        None => None,
        Some(Value::String(text)) => {
            let start = shared.start();
            // What an encoder's texts begin and end with is not what the tokens behind it begin with.
            let tokens = shared.text()?.encode(&text, start.is_empty())?;
            Some([start, &tokens].concat())
        }
        Some(ids) => Some(serde_json::from_value(ids).map_err(wrong)?),
    })
}

/// How tokens are drafted: as many as a field says, by prompt lookup or by the model's draft.
fn drafting(fields: &Fields, shared: &Shared) -> Outcome<Option<Drafting>> {
    let most = |name| Ok::<_, Wrong>(fields.at_most(name, MOST_DRAFTED)?.filter(|most| *most > 0));
    match (most("speculate")?, most("draft")?) {
        (Some(_), Some(_)) => Err(Wrong::field("draft", "there is `speculate` as well").into()),
        (Some(most), None) => Ok(Some(Drafting::Lookup { most })),
        (None, Some(most)) => {
            let missing = || Wrong::field("draft", "the model has no program that drafts: give it one first");
            let program = shared.draft.program().ok_or_else(missing)?;
            Ok(Some(Drafting::Program { program, most }))
        }
        (None, None) => Ok(None),
    }
}

impl Inner {
    /// Tokens up to the length that the model was trained at, beyond which answers make no sense; at least one.
    fn trained_room(&self) -> usize {
        let trained = self.session.model().descriptor().trained_length;
        let read = usize::try_from(self.session.position()).unwrap_or(usize::MAX);
        trained.map_or(usize::MAX, |trained| trained.saturating_sub(read).max(1))
    }

    /// Begins an answer.
    fn start(&mut self, shared: &Shared, fields: &Fields, callbacks: &CCallbacks) -> Outcome<()> {
        let logits = shared.logits()?;
        let generation = generation(fields, shared)?;
        let sampler = Sampler::new(generation.sampling, logits)?;
        let prompt = prompt(fields, shared)?;
        let drafting = drafting(fields, shared)?;
        self.settle()?;
        let begins = self.session.position() == 0 && !shared.start().is_empty();
        if let Some(tokens) = prompt.or_else(|| begins.then(|| shared.start().to_vec())) {
            self.bring_to(&tokens, callbacks)?;
        }
        self.renew_logits(callbacks)?;
        let read = self.session.tokens().unwrap_or_default();
        let text = match shared.tokenizer()? {
            // SAFETY: the session, which has the answer, keeps the model.
            Some(_) => Some(unsafe { shared.lasting_text() }?.stream(read)),
            None => None,
        };
        let wishes = Wishes {
            ends: generation.ends,
            stops: generation.stops,
            constraint: generation.constraint,
            logprobs: generation.logprobs,
        };
        let mut continuation = Continuation::new(sampler, text, wishes)?;
        continuation.read(read);
        let wish = Wish {
            continuation,
            max_tokens: match generation.max_tokens {
                NOT_ASKED => self.trained_room(),
                asked => asked,
            },
            logits: self.logits_place.unwrap_or_default(),
            speculation: drafting.as_ref().map(Speculation::new),
        };
        self.session.begin_answer();
        self.answer = Some(CAnswer::new(Answer::new(&self.session, wish)));
        Ok(())
    }

    /// Reads what is missing of a text, and forgets what is not of it.
    fn bring_to(&mut self, tokens: &[i64], callbacks: &CCallbacks) -> Outcome<()> {
        if tokens.is_empty() {
            return Err(Error::input("the prompt is empty: there is no token to continue from").into());
        }
        let read = self.session.tokens().unwrap_or_default();
        let mut same = read
            .iter()
            .zip(tokens)
            .take_while(|(read, asked)| read == asked)
            .count();
        if same == tokens.len() && (same < read.len() || self.logits().is_none()) {
            // The last token is read again for its logits.
            same -= 1;
        }
        if same < read.len() {
            let cuts = Sequence::cuts_anywhere(self.session.model().descriptor());
            if same > 0 && (cuts || self.interval > 0) {
                self.session.truncate(same as u64)?;
            } else {
                self.session.reset()?;
                same = 0;
            }
        }
        if same < tokens.len() {
            self.session.end_prompt((tokens.len() - same) as u64);
        }
        self.read(tokens[same..].to_vec(), callbacks)
    }

    /// Reads the last token again where its logits are not known.
    fn renew_logits(&mut self, callbacks: &CCallbacks) -> Outcome<()> {
        if self.logits().is_some() {
            return Ok(());
        }
        let Some(last) = self.session.tokens().and_then(|tokens| tokens.last().copied()) else {
            return Err(Error::input("nothing has been read: there is no token to continue from").into());
        };
        let read = self.session.position();
        let ended = self.session.prompt_end() == Some(read);
        self.session.truncate(read - 1)?;
        if ended {
            self.session.end_prompt(1);
        }
        self.read(vec![last], callbacks)
    }

    /// The next part of an answer.
    fn next(&mut self) -> Outcome<CToken> {
        let answer = self.answer.as_mut();
        let answer = answer.ok_or_else(|| Error::input("no answer is being generated"))?;
        answer.next(&mut self.session)
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed; `request` is NULL or a C string; `callbacks` is as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_start(
    session: *mut CSession,
    request: *const c_char,
    callbacks: *const CCallbacks,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with_model(session, |shared, inner| {
            inner.start(shared, &fields(request)?, &CCallbacks::read(callbacks)?)
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed; `token` is NULL or can be written as far as its size says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_next(session: *mut CSession, token: *mut CToken) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with(session, |inner| {
            pointers::check_array(token, 1, "place for the token")?;
            pointers::fill_sized(token, inner.next()?, "place for the token")
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// As [`seqc_session_start`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_session_generate(
    session: *mut CSession,
    request: *const c_char,
    callbacks: *const CCallbacks,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with_model(session, |shared, inner| {
            let callbacks = CCallbacks::read(callbacks)?;
            inner.start(shared, &fields(request)?, &callbacks)?;
            loop {
                let part = inner.next()?;
                callbacks.token(&part)?;
                if !part.end.is_null() {
                    return inner.settle();
                }
            }
        })
    }
}

/// See `seqc.h`.
///
/// # Safety
///
/// `sessions` is NULL or leads to `count` sessions that are not freed, `tokens` to as many parts of the size that the first one says, which
/// can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_next(sessions: *const *mut CSession, count: usize, tokens: *mut CToken) -> c_int {
    let mut worst = OK;
    let called = status(None, || {
        if count == 0 {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        let (sessions, stride) = unsafe {
            let sessions = pointers::array(sessions, count, "list of sessions")?;
            (sessions, pointers::sized(tokens, CToken::NONE, "list of tokens")?.size)
        };
        let at = |n: usize| tokens.wrapping_byte_add(n.wrapping_mul(stride));
        let mut taken = Vec::new();
        for (n, session) in sessions.iter().enumerate() {
            // SAFETY: the caller's promise.
            let size = unsafe { pointers::sized(at(n), CToken::NONE, "token") }?.size;
            if size != stride || !stride.is_multiple_of(align_of::<CToken>()) {
                return Err(Error::input("all tokens have the same `size`").into());
            }
            // SAFETY: the caller's promise.
            let object = unsafe { session.as_ref() }.ok_or_else(|| Fault::null("session"))?;
            taken.push((object, object.lock()?));
        }
        read_together(&mut taken)?;
        for (n, (object, inner)) in taken.iter_mut().enumerate() {
            let (part, found) = match inner.next() {
                Ok(part) => (part, OK),
                Err(fault) => (CToken::NONE, tell(&fault, Some(&object.text))),
            };
            worst = worst.max(found);
            // SAFETY: the caller's promise.
            unsafe { pointers::fill_sized(at(n), CToken { status: found, ..part }, "token") }?;
        }
        Ok(())
    });
    called.max(worst)
}

/// Reads what answers need to go on, in as few steps as there is room for.
fn read_together(taken: &mut [(&CSession, MutexGuard<Inner>)]) -> Outcome<()> {
    let mut pairs = Vec::new();
    for (_, inner) in taken {
        let Inner { session, answer, .. } = &mut **inner;
        pairs.extend(answer.as_mut().map(|CAnswer { answer, .. }| Pair { answer, session }));
    }
    Ok(answer::read_together(&mut pairs)?)
}
