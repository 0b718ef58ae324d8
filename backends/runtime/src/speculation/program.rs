//! A program that drafts for any number of texts at once: a thread talks to it, so that only those wait who want to.
//!
//! All that wait for drafts are asked about in one line, so that the program reads them in the same steps. Whatever it does, nobody gets
//! anything but tokens of the vocabulary, or none: a program that ends, says nonsense or nothing drafts no more.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{
    process::{self, Running, Started},
    proposer::common,
    protocol::{Ask, Asks, Drafter, Proposal},
    totals::DraftTotals,
};
use crate::Result;

/// A program that says nothing for so long says nothing any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is told why a program drafts no more.
pub(crate) type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// A program that drafts.
#[derive(Debug)]
pub struct DraftProgram {
    shared: Arc<Shared>,
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
    /// Number of the next text.
    next: AtomicU64,
    patience: Duration,
}

/// What the thread and those who wait share.
struct Shared {
    process: Mutex<Option<Running>>,
    /// Why nothing is drafted any more.
    failure: OnceLock<String>,
    /// Nobody wants drafts any more: that the process ends is no failure.
    over: AtomicBool,
    tell: Tell,
    /// Lines that were answered.
    lines: AtomicU64,
    /// Tokens of drafts that were read, and those of them that were chosen.
    drafted: AtomicU64,
    accepted: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("failure", &self.failure)
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Command {
    Ask(Asked),
    Forget(u64),
    End,
}

/// A draft that somebody waits for.
#[derive(Debug)]
struct Asked {
    number: u64,
    text: Vec<i64>,
    most: usize,
    /// Tokens that have not been read, fewer after each line.
    unread: usize,
    place: Arc<Place>,
}

/// Where a draft comes.
#[derive(Debug)]
struct Place {
    state: Mutex<State>,
    came: Condvar,
    wake: Option<Wake>,
}

/// Called when a draft has come, by another thread.
pub(crate) struct Wake(pub(crate) Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Wake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wake")
    }
}

#[derive(Debug)]
enum State {
    Idle,
    Asked,
    Came(Draft),
}

/// Tokens that may come after the first `after` tokens of a text.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) after: usize,
    pub(super) tokens: Vec<i64>,
}

impl DraftProgram {
    /// Starts a program whose model has as many tokens. Should it fail later, the reason is told once.
    ///
    /// # Errors
    ///
    /// It cannot be started, does not draft, or has another vocabulary.
    pub(crate) fn start(path: &Path, vocab: usize, tell: Tell) -> Result<DraftProgram> {
        let Started { lines, process } = process::start(path, vocab, PATIENCE)?;
        DraftProgram::of(Box::new(lines), Some(process), tell)
    }

    /// The same for whoever drafts.
    pub(crate) fn of(drafter: Box<dyn Drafter>, process: Option<Running>, tell: Tell) -> Result<DraftProgram> {
        let shared = Arc::new(Shared {
            process: Mutex::new(process),
            failure: OnceLock::new(),
            over: AtomicBool::new(false),
            tell,
            lines: AtomicU64::new(0),
            drafted: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
        });
        let (commands, given) = mpsc::channel();
        let talker = Talker {
            drafter,
            shared: Arc::clone(&shared),
            given,
            told: HashMap::new(),
            open: Vec::new(),
            forget: Vec::new(),
        };
        let thread = process::thread(move || talker.run())?;
        Ok(DraftProgram {
            shared,
            commands,
            thread: Some(thread),
            next: AtomicU64::new(0),
            patience: PATIENCE,
        })
    }

    /// Says nothing for so long, says nothing any more.
    #[cfg(test)]
    pub(super) fn with_patience(mut self, patience: Duration) -> DraftProgram {
        self.patience = patience;
        self
    }

    /// Takes notice of how many tokens of a draft were chosen.
    pub(super) fn judge(&self, drafted: usize, accepted: usize) {
        self.shared.drafted.fetch_add(drafted as u64, Relaxed);
        self.shared.accepted.fetch_add(accepted as u64, Relaxed);
    }

    /// What became of all its drafts.
    pub fn totals(&self) -> DraftTotals {
        DraftTotals {
            drafted: self.shared.drafted.load(Relaxed),
            accepted: self.shared.accepted.load(Relaxed),
        }
    }

    /// Why it drafts no more.
    pub fn failure(&self) -> Option<&str> {
        self.shared.failure.get().map(String::as_str)
    }
}

impl Drop for DraftProgram {
    fn drop(&mut self) {
        // A thread that is gone needs no command.
        let _ = self.commands.send(Command::End);
        self.shared.over.store(true, Relaxed);
        self.shared.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn end(&self) {
        if let Some(process) = lock(&self.process).as_mut() {
            process.end();
        }
    }

    fn fail(&self, why: &str) {
        if self.failure.set(why.to_owned()).is_ok() && !self.over.load(Relaxed) {
            (self.tell)(why);
        }
        self.end();
    }
}

/// A text for which a program drafts.
#[derive(Debug)]
pub(super) struct DraftedText {
    program: Arc<DraftProgram>,
    number: u64,
    place: Arc<Place>,
}

impl DraftedText {
    pub(super) fn new(program: Arc<DraftProgram>, wake: Option<Wake>) -> DraftedText {
        DraftedText {
            number: program.next.fetch_add(1, Relaxed),
            program,
            place: Arc::new(Place {
                state: Mutex::new(State::Idle),
                came: Condvar::new(),
                wake,
            }),
        }
    }

    /// Asks for at most `most` tokens that may come after the text. Whatever came before and was not taken is gone.
    pub(super) fn ask(&self, text: &[i64], most: usize) {
        *lock(&self.place.state) = State::Asked;
        let asked = Asked {
            number: self.number,
            text: text.to_vec(),
            most,
            unread: usize::MAX,
            place: Arc::clone(&self.place),
        };
        if let Err(mpsc::SendError(Command::Ask(asked))) = self.program.commands.send(Command::Ask(asked)) {
            asked.give(Vec::new());
        }
    }

    /// Whether it has been asked and nothing came yet.
    pub(super) fn is_asked(&self) -> bool {
        matches!(*lock(&self.place.state), State::Asked)
    }

    /// What came.
    pub(super) fn take(&self) -> Option<Draft> {
        let mut state = lock(&self.place.state);
        match std::mem::replace(&mut *state, State::Idle) {
            State::Came(draft) => Some(draft),
            before => {
                *state = before;
                None
            }
        }
    }

    /// Waits for what was asked for, as long as the program does anything.
    pub(super) fn wait(&self) {
        let shared = &self.program.shared;
        let mut lines = shared.lines.load(Relaxed);
        loop {
            let state = lock(&self.place.state);
            if !matches!(*state, State::Asked) {
                return;
            }
            let waited = self.place.came.wait_timeout(state, self.program.patience);
            let (state, over) = waited.unwrap_or_else(PoisonError::into_inner);
            drop(state);
            let now = shared.lines.load(Relaxed);
            if over.timed_out() && now == lines {
                return shared.fail("the program that drafts does not answer");
            }
            lines = now;
        }
    }
}

impl Drop for DraftedText {
    fn drop(&mut self) {
        // A thread that is gone has nothing to forget.
        let _ = self.program.commands.send(Command::Forget(self.number));
    }
}

impl Asked {
    fn give(self, tokens: Vec<i64>) {
        let after = self.text.len();
        *lock(&self.place.state) = State::Came(Draft { after, tokens });
        self.place.came.notify_all();
        if let Some(Wake(wake)) = &self.place.wake {
            wake();
        }
    }
}

/// The thread that talks to whoever drafts.
struct Talker {
    drafter: Box<dyn Drafter>,
    shared: Arc<Shared>,
    given: Receiver<Command>,
    /// What the other side knows of each text.
    told: HashMap<u64, Vec<i64>>,
    open: Vec<Asked>,
    forget: Vec<u64>,
}

impl Talker {
    fn run(mut self) {
        loop {
            let idle = self.open.is_empty() && self.forget.is_empty();
            let command = match idle {
                true => self.given.recv().ok(),
                false => self.given.try_recv().ok(),
            };
            match command {
                Some(Command::Ask(asked)) => self.open.push(asked),
                Some(Command::Forget(number)) => {
                    self.open.retain(|asked| asked.number != number);
                    if self.told.remove(&number).is_some() {
                        self.forget.push(number);
                    }
                }
                Some(Command::End) => return,
                None if idle => return,
                None => self.line(),
            }
        }
    }

    /// One line and its answer; the same for all once there is a failure.
    fn line(&mut self) {
        let asks = self.asks();
        let heard = match self.shared.failure.get() {
            Some(_) => None,
            None => match self.drafter.propose(&asks) {
                Ok(proposals) => Some(proposals.proposals),
                Err(error) => {
                    self.shared.fail(&error.to_string());
                    None
                }
            },
        };
        self.shared.lines.fetch_add(1, Relaxed);
        let heard = heard.unwrap_or_else(|| vec![Proposal::default(); self.open.len()]);
        for (mut asked, proposal) in std::mem::take(&mut self.open).into_iter().zip(heard) {
            let told = self.told.entry(asked.number).or_default();
            told.clone_from(&asked.text);
            told.truncate(proposal.known);
            if (1..asked.unread).contains(&proposal.unread) {
                asked.unread = proposal.unread;
                self.open.push(asked);
            } else {
                asked.give(proposal.tokens);
            }
        }
    }

    fn asks(&mut self) -> Asks {
        let ask = |asked: &Asked| {
            let keep = self.told.get(&asked.number).map_or(0, |told| common(told, &asked.text));
            Ask {
                text: asked.number,
                keep,
                tokens: asked.text[keep..].to_vec(),
                most: asked.most,
            }
        };
        Asks {
            asks: self.open.iter().map(ask).collect(),
            forget: std::mem::take(&mut self.forget),
        }
    }
}

/// A lock whose holder may have panicked: nothing is left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
