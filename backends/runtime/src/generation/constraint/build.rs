//! Building grammars, which takes time and stack: on a thread of its own.

use std::{
    path::Path,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::Duration,
};

use llguidance::{ParserFactory, TokenParser, api::TopLevelGrammar};

use super::{
    grammar::{Grammar, told},
    limits::{BUILD_TIME, LONGEST_TEXT, MEMORY, MOST_BUILT, SLOW, STACK, STACK_PER_BYTE},
    lost,
    thread::Thread,
};
use crate::{Error, Result, limits::reading};

/// Between two looks at how long a thread has been building.
const LOOK: Duration = Duration::from_millis(20);

/// Builds grammars. Those that are still being built are waited for when it is dropped.
pub(super) struct Builder {
    factory: Arc<ParserFactory>,
    places: Arc<Places>,
    /// Threads that took too long, for whose grammars nobody waits.
    late: Mutex<Vec<JoinHandle<()>>>,
}

/// Places for grammars that are being built.
#[derive(Default)]
struct Places {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// One of them.
struct Place(Arc<Places>);

/// What a thread tells.
enum Step {
    Begins(Thread),
    Built(Result<Box<TokenParser>>),
    /// The parser panicked.
    Lost,
}

impl Builder {
    pub(super) fn new(factory: ParserFactory) -> Builder {
        Builder {
            factory: Arc::new(factory),
            places: Arc::default(),
            late: Mutex::default(),
        }
    }

    pub(super) fn factory(&self) -> &ParserFactory {
        &self.factory
    }

    /// The parser of a grammar, before any token.
    ///
    /// # Errors
    ///
    /// A grammar that is wrong, too large, or takes too long.
    pub(super) fn build(&self, grammar: &Grammar) -> Result<TokenParser> {
        let (name, length) = (grammar.name(), grammar.length());
        if length > LONGEST_TEXT {
            let message = format!("the grammar is longer than {} MB", LONGEST_TEXT >> 20);
            return Err(told(name, &message));
        }
        if grammar.is_too_much() {
            return Err(told(name, &"the numbers of `multipleOf` are too large together"));
        }
        if cfg!(target_os = "wasi") {
            // There is no other thread.
            return parser(&self.factory, name, grammar.top_level());
        }
        let place = Place::of(&self.places)
            .ok_or_else(|| Error::Failed("too many grammars are being built: try again later".to_owned()))?;
        let (sender, steps) = mpsc::channel();
        let (factory, path, grammar) = (Arc::clone(&self.factory), name.to_owned(), grammar.top_level());
        let tell = sender.clone();
        let work = move || {
            // Where nobody waits for it any more, nobody is told.
            let _ = sender.send(Step::Begins(Thread::current()));
            let parser = parser(&factory, &path, grammar);
            drop(place);
            let _ = sender.send(Step::Built(parser.map(Box::new)));
        };
        let lose = move || drop(tell.send(Step::Lost));
        let stack = STACK + length * STACK_PER_BYTE;
        let thread = std::thread::Builder::new()
            .stack_size(stack)
            .spawn(move || lost::guarded(work, lose));
        let thread = thread.map_err(|error| Error::Failed(format!("no thread to build a grammar: {error}")))?;
        let Some(parser) = wait(&steps, name) else {
            let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
            late.retain(|thread| !thread.is_finished());
            late.push(thread);
            let message = format!("building the grammar takes more than {} s", BUILD_TIME.as_secs());
            return Err(told(name, &message));
        };
        if lost::none() {
            // It has told its result, and ends.
            let _ = thread.join();
        }
        parser.map(|parser| *parser)
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        let late = self.late.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in late.drain(..).filter(|_| lost::none()) {
            // One that panicked has ended too.
            let _ = thread.join();
        }
    }
}

impl Place {
    /// One that is free now, or is freed in the time that building one takes.
    fn of(places: &Arc<Places>) -> Option<Place> {
        let taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |taken: &mut usize| *taken >= MOST_BUILT;
        let waited = places.freed.wait_timeout_while(taken, BUILD_TIME, full);
        let (mut taken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        (!timeout.timed_out()).then(|| {
            *taken += 1;
            Place(Arc::clone(places))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}

/// What becomes of a grammar; none where it takes too long.
fn wait(steps: &Receiver<Step>, name: &Path) -> Option<Result<Box<TokenParser>>> {
    let mut thread = None;
    loop {
        match steps.recv_timeout(LOOK) {
            Ok(Step::Begins(begun)) => thread = Some(begun),
            Ok(Step::Built(parser)) => return Some(parser),
            Ok(Step::Lost) | Err(RecvTimeoutError::Disconnected) => return Some(Err(told(name, &lost::SAID))),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let used = thread.map_or(Duration::ZERO, Thread::used);
        if used > BUILD_TIME {
            return None;
        }
        if used > SLOW
            && let Some(thread) = thread
        {
            thread.yield_to_others();
        }
    }
}

/// The parser of a grammar that was read from there.
fn parser(factory: &ParserFactory, name: &Path, grammar: TopLevelGrammar) -> Result<TokenParser> {
    let made = reading(name, MEMORY, || {
        factory.create_parser(grammar).map(|mut parser| {
            parser.start_without_prompt();
            parser
        })
    })?;
    made.map_err(|error| told(name, &error))
}
