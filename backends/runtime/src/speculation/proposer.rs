//! Drafts of a model of this program: the most likely tokens after each of several texts, which are read in the same steps.

use std::collections::HashMap;

use super::protocol::{Ask, Asks, Drafter, Proposal, Proposals};
use crate::{
    Result, finite,
    generation::greedy,
    inputs::{Values, check_ids},
    model::Model,
    session::{Cut, Feed, Mark, Session, Wanted, feed_together},
    streams,
};

/// Tokens that one call reads of long texts, where nobody else waits.
const READ_ALONE: usize = 512;
/// The same where others wait for their drafts.
const READ_BESIDE: usize = 64;
/// Tokens between two snapshots of models that cannot be cut anywhere.
const SNAPSHOTS: u64 = 256;
/// Bytes of texts that nobody asks about, from which others go on.
const MOST_IDLE: usize = 256 << 20;

/// Reads texts and drafts what may come after them.
#[derive(Debug)]
pub(crate) struct Proposer<'m> {
    /// An empty text.
    root: Session<'m>,
    /// Place of the logits among the outputs.
    logits: usize,
    texts: HashMap<u64, Text<'m>>,
    /// Texts that nobody asks about any more, oldest first.
    idle: Vec<Session<'m>>,
}

/// A text that is asked about.
#[derive(Debug)]
struct Text<'m> {
    /// Its tokens.
    tokens: Vec<i64>,
    /// It has read the first of them and, where it has read all, some of its last draft.
    session: Session<'m>,
    /// Where the last draft began, of a model that cannot be cut anywhere.
    mark: Option<Mark>,
}

/// A text that is being read, and its draft.
#[derive(Debug)]
struct Drafted<'m> {
    number: u64,
    text: Text<'m>,
    most: usize,
    draft: Vec<i64>,
    /// What is read next.
    next: [Values; 1],
}

impl<'m> Proposer<'m> {
    /// No text yet.
    ///
    /// # Errors
    ///
    /// A model that cannot generate, or too little memory.
    pub(crate) fn new(model: &'m Model) -> Result<Proposer<'m>> {
        let mut root = Session::new(model)?;
        root.keep_snapshots(SNAPSHOTS);
        Ok(Proposer {
            root,
            logits: streams::logits(model.descriptor())?,
            texts: HashMap::new(),
            idle: Vec::new(),
        })
    }

    /// Keeps what was read of a text for others that begin as it does.
    fn forget(&mut self, number: u64) {
        let Some(Text { session, .. }) = self.texts.remove(&number) else {
            return;
        };
        let tokens = session.tokens().unwrap_or_default();
        self.idle
            .retain(|before| !before.tokens().is_some_and(|before| tokens.starts_with(before)));
        self.idle.push(session);
        let bytes = |session: &Session| session.bytes().alone + session.bytes().shared;
        let mut sum: usize = self.idle.iter().map(bytes).sum();
        while sum > MOST_IDLE {
            sum -= bytes(&self.idle.remove(0));
        }
    }

    /// A session that has read the first of these tokens, as many as one of those that are there.
    fn begin(&self, tokens: &[i64]) -> Result<Session<'m>> {
        let others = self.texts.values().map(|text| &text.session).chain(&self.idle);
        let shared = |session: &Session| common(session.tokens().unwrap_or_default(), tokens);
        let nearest = others.max_by_key(|session| shared(session));
        match nearest.filter(|session| shared(session) > 0) {
            Some(nearest) => nearest.fork(),
            None => self.root.fork(),
        }
    }

    /// The text that an ask is about, taken back to where it is the same as before; `None` where it was lost.
    fn take(&mut self, ask: &Ask) -> Result<Option<Drafted<'m>>> {
        check_ids(self.root.model().descriptor(), &[Values::I64(ask.tokens.clone())])?;
        let mut text = match self.texts.remove(&ask.text) {
            Some(text) => text,
            None if ask.keep > 0 => return Ok(None),
            None => Text {
                tokens: Vec::new(),
                session: self.begin(&ask.tokens)?,
                mark: None,
            },
        };
        if ask.keep > text.tokens.len() {
            return Ok(None);
        }
        text.tokens.truncate(ask.keep);
        text.tokens.extend(&ask.tokens);
        text.go_back()?;
        let limit = self.root.model().descriptor().max_context.unwrap_or(usize::MAX);
        Ok(Some(Drafted {
            number: ask.text,
            // The last one is not read.
            most: ask.most.min(limit.saturating_add(1).saturating_sub(text.tokens.len())),
            text,
            draft: Vec::new(),
            next: [Values::I64(Vec::new())],
        }))
    }

    /// Reads of all texts, and drafts after those that are read.
    fn draft(&self, texts: &mut [Drafted<'m>]) -> Result<()> {
        share(texts);
        read(texts)?;
        for one in texts.iter_mut().filter(|one| one.is_read()) {
            if !one.text.session.cuts_anywhere() {
                one.text.mark = Some(one.text.session.mark()?);
            }
        }
        loop {
            let mut reads = false;
            for one in texts.iter_mut() {
                reads |= one.choose(self.logits);
            }
            if !reads {
                return Ok(());
            }
            read(texts)?;
        }
    }
}

impl Drafter for Proposer<'_> {
    /// Texts are lost where there is too little memory for them, and where they are nonsense.
    fn propose(&mut self, asks: &Asks) -> Result<Proposals> {
        asks.forget.iter().for_each(|number| self.forget(*number));
        let mut texts = Vec::new();
        for ask in &asks.asks {
            texts.extend(self.take(ask).unwrap_or_default());
        }
        if self.draft(&mut texts).is_err() {
            texts.clear();
        }
        let proposal = |ask: &Ask| {
            let own = texts.iter().find(|one| one.number == ask.text);
            own.map(Drafted::proposal).unwrap_or_default()
        };
        let proposals = asks.asks.iter().map(proposal).collect();
        self.texts.extend(texts.into_iter().map(|one| (one.number, one.text)));
        Ok(Proposals { proposals })
    }
}

impl Text<'_> {
    /// Forgets what was read beyond the text, and its last token, whose outputs are wanted.
    fn go_back(&mut self) -> Result<()> {
        let same = common(self.session.tokens().unwrap_or_default(), &self.tokens);
        let keep = same.min(self.tokens.len().saturating_sub(1)) as u64;
        match self.mark.take().filter(|mark| mark.position() <= keep) {
            Some(mark) if keep < self.session.position() => self.session.return_to(mark),
            _ => self.session.truncate(keep)?,
        }
        Ok(())
    }

    /// What has not been read.
    fn unread(&self) -> &[i64] {
        self.tokens.get(self.session.position() as usize..).unwrap_or_default()
    }
}

impl Drafted<'_> {
    fn is_read(&self) -> bool {
        self.text.unread().is_empty()
    }

    /// Chooses the next token of the draft where there is one to choose; whether it is to be read.
    fn choose(&mut self, logits: usize) -> bool {
        self.next = [Values::I64(Vec::new())];
        if !self.is_read() || self.draft.len() >= self.most {
            return false;
        }
        let scores = self.text.session.last(logits).unwrap_or_default();
        if scores.is_empty() || finite::undecided(scores) {
            self.most = self.draft.len();
            return false;
        }
        let token = greedy(scores) as i64;
        self.draft.push(token);
        let reads = self.draft.len() < self.most;
        if reads {
            self.next = [Values::I64(vec![token])];
        }
        reads
    }

    fn proposal(&self) -> Proposal {
        Proposal {
            known: self.text.tokens.len(),
            unread: if self.most == 0 { 0 } else { self.text.unread().len() },
            tokens: self.draft.clone(),
        }
    }
}

/// Chooses what is read of each text: all of short ones, and some of those that are long.
fn share(texts: &mut [Drafted]) {
    let lengths: Vec<usize> = texts.iter().map(|one| one.text.unread().len()).collect();
    let waits = |length: &usize| *length <= READ_BESIDE;
    let mut left = match lengths.iter().any(waits) {
        true => READ_BESIDE,
        false => READ_ALONE,
    };
    for (one, length) in texts.iter_mut().zip(lengths) {
        let mut count = if one.most == 0 { 0 } else { length };
        if !waits(&count) {
            count = count.min(left);
            left -= count;
        }
        one.next = [Values::I64(one.text.unread()[..count].to_vec())];
    }
}

/// Reads what comes next in each text.
fn read(texts: &mut [Drafted]) -> Result<()> {
    let cut = Cut::default();
    let mut feeds: Vec<Feed> = texts
        .iter_mut()
        .filter(|one| one.next != [Values::I64(Vec::new())])
        .map(|one| Feed {
            session: &mut one.text.session,
            inputs: &one.next,
            cut: &cut,
            wanted: Wanted::Last,
        })
        .collect();
    feed_together(&mut feeds, |_, _| Ok(()))
}

/// How many tokens two texts have in common at their beginning.
pub(super) fn common(a: &[i64], b: &[i64]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
