//! One answer that a session generates, part by part, with drafts where these are wanted: for the command line and the library.
//!
//! An answer reads what was given of it before it goes on; several read together ([`read_together`]). The session may have read
//! more than was given, or less, until the answer is settled.

use std::collections::VecDeque;

use crate::{
    Error, Result,
    executor::Launch,
    finite,
    generation::{Choice, Continuation, LogProbs, Reason, Rest, Taken},
    inputs::Values,
    session::{Cut, Feed, Mark, Session, Wanted, feed_together},
    speculation::{DraftTotals, Speculation},
};

/// The most tokens that one step reads where steps choose tokens: their text comes at once.
const TOGETHER: usize = 16;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer<'t> {
    state: State<'t>,
    /// Place of the logits among the outputs.
    logits: usize,
    /// Tokens that may still be chosen.
    left: usize,
    speculation: Option<Speculation>,
    /// Where the answer begins.
    start: u64,
    /// Tokens that were given and are to be read.
    given: Vec<i64>,
    /// Parts that were chosen and not given.
    coming: VecDeque<Part>,
    /// What was read and nothing was chosen from.
    read: Option<Read>,
    /// Where the session was before it read a draft of which not all was given.
    mark: Option<Mark>,
    work: Steps,
}

#[derive(Debug)]
enum State<'t> {
    Running(Box<Continuation<'t>>),
    /// Text that was held back is given last.
    Ending {
        rest: Rest,
        reason: Reason,
    },
    Over,
}

/// Tokens that were read in a step.
#[derive(Debug, Default)]
struct Read {
    tokens: Vec<i64>,
    /// The last ones of them.
    draft: usize,
    /// So many of the last ones were chosen by the step itself.
    chosen: usize,
    /// Logits of the draft and the token before it; none without a draft.
    rows: Vec<f32>,
    /// Tokens that could be read before the step.
    room: u64,
}

/// A part of an answer.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// None in the last part.
    pub(crate) token: Option<i64>,
    /// The characters that are certain now; in the last part, those that were held back.
    pub(crate) rest: Rest,
    pub(crate) logprobs: Option<LogProbs>,
    /// In the last part, why the answer is over.
    pub(crate) end: Option<Reason>,
    /// Whether the session is to read the token.
    read: bool,
}

/// What an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps {
    /// Steps of the model: the first token comes from the prompt's logits.
    pub(crate) steps: usize,
    /// Tokens chosen from the logits of these steps.
    pub(crate) chosen: usize,
}

/// How an answer comes.
#[derive(Debug)]
pub(crate) struct Wish<'t> {
    pub(crate) continuation: Continuation<'t>,
    /// At least one.
    pub(crate) max_tokens: usize,
    /// Place of the logits among the outputs.
    pub(crate) logits: usize,
    pub(crate) speculation: Option<Speculation>,
}

/// An answer with the session that generates it.
#[derive(Debug)]
pub(crate) struct Pair<'a, 't, 'm> {
    pub(crate) answer: &'a mut Answer<'t>,
    pub(crate) session: &'a mut Session<'m>,
}

/// Reads what answers need to go on, in as few steps as there is room for. Drafts for all of them are asked for at once.
///
/// # Errors
///
/// Too little memory.
pub(crate) fn read_together(pairs: &mut [Pair]) -> Result<()> {
    if let [Pair { answer, session }] = pairs
        && answer.decode(session)?
    {
        return Ok(());
    }
    for Pair { answer, session } in pairs.iter_mut() {
        answer.ask(session);
    }
    let mut reads = Vec::new();
    for Pair { answer, session } in pairs.iter_mut() {
        reads.push(answer.begin(session)?);
    }
    let input = |read: &Option<Read>| [Values::I64(read.iter().flat_map(|read| read.tokens.clone()).collect())];
    let inputs: Vec<[Values; 1]> = reads.iter().map(input).collect();
    let (cut, mut feeds, mut rows, mut outputs_at) = (Cut::default(), Vec::new(), Vec::new(), Vec::new());
    for ((Pair { answer, session }, read), inputs) in pairs.iter_mut().zip(&reads).zip(&inputs) {
        let Some(read) = read.as_ref().filter(|read| !read.tokens.is_empty()) else {
            continue;
        };
        rows.push(Vec::new());
        outputs_at.push((read.draft > 0).then_some(answer.logits));
        feeds.push(Feed {
            session,
            inputs,
            cut: &cut,
            wanted: if read.draft > 0 { Wanted::All } else { Wanted::Last },
        });
    }
    feed_together(&mut feeds, |n, outputs| {
        if let Some(logits) = outputs_at[n] {
            rows[n].extend(outputs.floats(logits));
        }
        Ok(())
    })?;
    let mut rows = rows.into_iter();
    for (Pair { answer, .. }, read) in pairs.iter_mut().zip(reads) {
        let Some(mut read) = read else { continue };
        if !read.tokens.is_empty() {
            read.rows = rows.next().unwrap_or_default();
            answer.work.steps += 1;
        }
        answer.read = Some(read);
    }
    Ok(())
}

impl<'t> Answer<'t> {
    /// An answer to what a session has read.
    pub(crate) fn new(session: &Session, wish: Wish<'t>) -> Answer<'t> {
        Answer {
            state: State::Running(Box::new(wish.continuation)),
            logits: wish.logits,
            left: wish.max_tokens,
            speculation: wish.speculation,
            start: session.position(),
            given: Vec::new(),
            coming: VecDeque::new(),
            read: None,
            mark: None,
            work: Steps::default(),
        }
    }

    /// Tokens that were given and are to be read: all but one that completed a stop text or for which there is no room.
    pub(crate) fn given(&self) -> &[i64] {
        &self.given
    }

    /// Where the answer begins.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// What it took so far.
    pub(crate) fn work(&self) -> Steps {
        self.work
    }

    /// What became of its drafts.
    pub(crate) fn drafts(&self) -> DraftTotals {
        self.speculation.as_ref().map(Speculation::totals).unwrap_or_default()
    }

    /// Whether the next part takes a step.
    pub(crate) fn takes_step(&self) -> bool {
        self.coming.is_empty() && self.read.is_none() && matches!(self.state, State::Running(_))
    }

    /// The next part. After an error there is none.
    ///
    /// # Errors
    ///
    /// Too little memory, logits that are not finite, or no token that may come next.
    pub(crate) fn next(&mut self, session: &mut Session) -> Result<Part> {
        if self.coming.is_empty()
            && let Err(error) = self.fill(session)
        {
            self.coming.clear();
            self.state = State::Over;
            return Err(error);
        }
        let part = self.coming.pop_front().unwrap_or_default();
        if part.read {
            self.given.extend(part.token);
        }
        if self.coming.is_empty() {
            self.mark = None;
        }
        Ok(part)
    }

    /// Gives up what has not been chosen: the text that was held back.
    pub(crate) fn stop(&mut self) -> Rest {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Running(continuation) => continuation.finish(),
            State::Ending { rest, .. } => rest,
            State::Over => Rest::default(),
        }
    }

    /// Ends the answer: the session has read what was given of it afterwards.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub(crate) fn settle(mut self, session: &mut Session) -> Result<()> {
        let end = self.start + self.given.len() as u64;
        if session.position() > end {
            match self.mark.take() {
                Some(mark) => session.return_to(mark),
                None => session.truncate(end)?,
            }
        }
        let inputs = [Values::I64(self.unread(session))];
        match &inputs {
            [Values::I64(tokens)] if tokens.is_empty() => Ok(()),
            _ => session.feed(&inputs, &Cut::default(), Wanted::Last, |_| Ok(())),
        }
    }

    /// What was given and the session has not read.
    fn unread(&self, session: &Session) -> Vec<i64> {
        let read = session.position().saturating_sub(self.start) as usize;
        self.given.get(read..).unwrap_or_default().to_vec()
    }

    /// Makes one part or several.
    fn fill(&mut self, session: &mut Session) -> Result<()> {
        if self.takes_step() {
            let answer = &mut *self;
            read_together(&mut [Pair { answer, session }])?;
        }
        if let Some(read) = self.read.take() {
            self.go_on(session, &read)?;
        }
        if self.coming.is_empty() {
            let State::Ending { rest, reason } = std::mem::replace(&mut self.state, State::Over) else {
                return Err(Error::input("no answer is being generated"));
            };
            self.coming.push_back(Part {
                rest,
                end: Some(reason),
                ..Part::default()
            });
        }
        Ok(())
    }

    /// Asks for a draft. Where tokens have to be read again, they are read first.
    fn ask(&mut self, session: &Session) {
        let unread = self.unread(session);
        if self.takes_step()
            && unread.len() == 1
            && let Some(speculation) = &mut self.speculation
        {
            let text = [session.tokens().unwrap_or_default(), &unread].concat();
            speculation.ask(&text, most_drafted(session, self.left));
        }
    }

    /// What is read before the next token can be chosen, with a draft.
    fn begin(&mut self, session: &Session) -> Result<Option<Read>> {
        if !self.takes_step() {
            return Ok(None);
        }
        let mut read = Read {
            tokens: self.unread(session),
            room: session.room(),
            ..Read::default()
        };
        if read.tokens.len() == 1
            && let Some(speculation) = &mut self.speculation
        {
            let text = [session.tokens().unwrap_or_default(), &read.tokens].concat();
            let draft = speculation.draft(&text, most_drafted(session, self.left));
            read.draft = draft.len();
            read.tokens.extend(draft);
        }
        if read.draft > 0 {
            // Should the choice fail, the session goes back to what was given.
            self.mark = Some(session.mark()?);
        }
        Ok(Some(read))
    }

    /// Reads by a step that chooses tokens, where that is possible: one token is to be read, and no draft is made.
    fn decode(&mut self, session: &mut Session) -> Result<bool> {
        let (State::Running(continuation), true, None) = (&self.state, self.takes_step(), &self.speculation) else {
            return Ok(false);
        };
        let [first] = self.unread(session)[..] else {
            return Ok(false);
        };
        let (room, count) = (
            session.room(),
            session.chosen_together(self.logits, TOGETHER.min(self.left)),
        );
        let Some(choosing) = continuation.choosing(count).filter(|_| count > 1) else {
            return Ok(false);
        };
        // Should a text end the answer, the session goes back. A copy of what cannot be cut takes longer than tokens do: should less be asked for, it is
        // read again.
        let goes_back = session.cuts_anywhere() || continuation.has_stops();
        self.mark = goes_back.then(|| session.mark()).transpose()?;
        let tokens = session.decode(&Launch {
            first,
            count,
            choosing: &choosing,
        })?;
        self.work.steps += tokens.len();
        self.read = Some(Read {
            chosen: tokens.len() - 1,
            tokens,
            room,
            ..Read::default()
        });
        Ok(true)
    }

    /// Takes what a step chose, then chooses a token from the logits after that.
    fn go_on_chosen(&mut self, session: &mut Session, read: &Read) -> Result<()> {
        let mut certain = 0;
        for token in &read.tokens[1..] {
            let State::Running(continuation) = &mut self.state else {
                break;
            };
            certain += 1;
            let choice = continuation.chosen(*token);
            self.take(choice, read.room - certain as u64)?;
        }
        if matches!(self.state, State::Running(_)) {
            let logits = session.last(self.logits).unwrap_or_default().to_vec();
            certain += 1;
            self.choose(&logits, session.room(), session)?;
        }
        self.work.chosen += certain;
        self.go_back(session, read, certain)
    }

    /// Chooses a token from the logits after what was read, or several where a draft is right.
    fn go_on(&mut self, session: &mut Session, read: &Read) -> Result<()> {
        if read.chosen > 0 {
            return self.go_on_chosen(session, read);
        }
        if read.draft == 0 {
            let logits = session.last(self.logits).unwrap_or_default().to_vec();
            self.work.chosen += usize::from(!read.tokens.is_empty());
            return self.choose(&logits, session.room(), session);
        }
        let mut certain = 0;
        for row in read.rows.chunks((read.rows.len() / read.tokens.len()).max(1)) {
            certain += 1;
            self.choose(row, read.room - certain as u64, session)?;
            let next = self.coming.back().and_then(|part| part.token);
            if !matches!(self.state, State::Running(_)) || next != read.tokens.get(certain).copied() {
                break;
            }
        }
        self.work.chosen += certain;
        if let Some(speculation) = &mut self.speculation {
            speculation.judge(read.draft, certain - 1);
        }
        self.go_back(session, read, certain)
    }

    /// Goes back to the first tokens of a step, where so many are certain.
    fn go_back(&mut self, session: &mut Session, read: &Read, certain: usize) -> Result<()> {
        if certain < read.tokens.len() {
            let end = session.position() - (read.tokens.len() - certain) as u64;
            match self.mark.take_if(|_| !session.cuts_anywhere()) {
                // All tokens of the step are read again, with those that follow.
                Some(mark) => session.return_to(mark),
                None => session.truncate(end)?,
            }
        }
        Ok(())
    }

    /// Chooses the next token, after which `room` more can be read.
    fn choose(&mut self, logits: &[f32], room: u64, session: &Session) -> Result<()> {
        if finite::undecided(logits) {
            return Err(no_token(session));
        }
        let State::Running(continuation) = &mut self.state else {
            return Ok(());
        };
        let choice = continuation.choose(logits)?;
        self.take(choice, room)
    }

    /// Takes a token that was chosen, after which `room` more can be read.
    fn take(&mut self, choice: Choice, room: u64) -> Result<()> {
        let State::Running(mut continuation) = std::mem::replace(&mut self.state, State::Over) else {
            return Ok(());
        };
        let Choice { token, logprobs } = choice;
        let taken = continuation.take(token)?;
        self.left -= 1;
        let (text, reason) = match taken {
            Taken::End => {
                self.end(*continuation, Reason::End);
                return Ok(());
            }
            Taken::Text(text) if self.left == 0 => (text, Some(Reason::Length)),
            Taken::Text(text) if room == 0 => (text, Some(Reason::Context)),
            Taken::Text(text) => (text, None),
            Taken::Complete(text) => (text, Some(Reason::End)),
            Taken::Stopped(text) => (text, Some(Reason::Stop)),
        };
        self.coming.push_back(Part {
            token: Some(token),
            rest: Rest {
                text,
                broken: String::new(),
            },
            logprobs,
            end: None,
            read: room > 0 && reason != Some(Reason::Stop),
        });
        match reason {
            None => self.state = State::Running(continuation),
            Some(reason) => self.end(*continuation, reason),
        }
        Ok(())
    }

    /// What is left comes last.
    fn end(&mut self, continuation: Continuation<'t>, reason: Reason) {
        let rest = match reason {
            Reason::Stop => Rest::default(),
            Reason::Length | Reason::Context | Reason::End => continuation.finish(),
        };
        self.state = State::Ending { rest, reason };
    }
}

/// The most tokens of a draft where `left` may still be chosen, the one after the draft among them.
fn most_drafted(session: &Session, left: usize) -> usize {
    let room = usize::try_from(session.room()).unwrap_or(usize::MAX);
    let most = session.model().descriptor().max_chunk.min(room).min(left);
    most.saturating_sub(1)
}

/// Why no token can be chosen after what was read.
pub(crate) fn no_token(session: &Session) -> Error {
    let read = session.tokens().map(|tokens| [Values::I64(tokens.to_vec())]);
    let fault = finite::trace(session.begun(), session.prompts(), read);
    Error::input(finite::no_token(session.position(), fault))
}
