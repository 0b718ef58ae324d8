//! A program that drafts, as a process: its lines, which are checked, since it may be any program.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

use super::protocol::{Asks, Drafter, Hello, PROTOCOL, Proposals};
use crate::{Error, Result};

/// Bytes of a line; longer ones are nonsense.
const LONGEST_LINE: u64 = 1 << 22;
/// Bytes of what a program says at its end.
const LONGEST_END: u64 = 1 << 12;
/// How long that may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The lines of a program that drafts.
#[derive(Debug)]
pub(super) struct DraftProcess {
    path: PathBuf,
    asks: ChildStdin,
    proposals: BufReader<ChildStdout>,
    /// Why it ends: what it says on standard error, when it has ended.
    errors: Receiver<Vec<u8>>,
    /// Tokens among which it chooses.
    vocab: usize,
}

/// A program that was started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) lines: DraftProcess,
    pub(super) process: Running,
}

/// A process, which ends with this value.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    ended: bool,
}

impl Running {
    /// The process and what it started: a script may start the program.
    fn group(&self) -> Option<libc::pid_t> {
        libc::pid_t::try_from(self.child.id()).ok()
    }

    /// Ends it, so that nobody waits for its lines.
    pub(super) fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        // Its number is in use until it was waited for.
        kill(self.group());
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(group: Option<libc::pid_t>) {
    if let Some(group) = group {
        // SAFETY: no memory is touched, and the group is that of a process which was started here.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}

/// Ends a process that says nothing for too long.
struct Watch {
    heard: Sender<()>,
    thread: JoinHandle<bool>,
}

impl Watch {
    fn new(group: Option<libc::pid_t>, patience: Duration) -> Result<Watch> {
        let (heard, waits) = mpsc::channel();
        let watch = move || {
            let late = waits.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
            if late {
                kill(group);
            }
            late
        };
        let thread = thread(watch)?;
        Ok(Watch { heard, thread })
    }

    /// Watches no longer. Whether the process was ended.
    fn ended(self) -> bool {
        drop(self.heard);
        self.thread.join().unwrap_or_default()
    }
}

/// Signals of the process are not for this thread; one that writes to a program that has ended gets an error and no signal.
fn block_signals() {
    // SAFETY: plain data, which is filled before it is used; the mask is that of this thread.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}

/// A thread about drafts, which gets no signals.
pub(super) fn thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    let started = std::thread::Builder::new().name("drafts".to_owned()).spawn(move || {
        block_signals();
        work()
    });
    started.map_err(|error| Error::Failed(format!("no thread: {error}")))
}

/// Reads all that a program says, so that it never waits for a reader; the beginning of it comes at its end.
fn listen(mut errors: ChildStderr) -> Result<Receiver<Vec<u8>>> {
    let (said, at_end) = mpsc::channel();
    thread(move || {
        let mut first = Vec::new();
        let read = (&mut errors).take(LONGEST_END).read_to_end(&mut first);
        // What comes behind that is nobody's concern, nor what cannot be read.
        let _ = read.and_then(|_| io::copy(&mut errors, &mut io::sink()));
        let _ = said.send(first);
    })?;
    Ok(at_end)
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a program, which must choose among as many tokens.
///
/// # Errors
///
/// It cannot be started, does not say within `patience` that it drafts, or has another vocabulary.
pub(super) fn start(path: &Path, vocab: usize, patience: Duration) -> Result<Started> {
    // A name alone is a file here too, as in all other words.
    let program = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut command = Command::new(program);
    command
        .args(["propose", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Keys that interrupt an answer do not end who drafts for it.
        .process_group(0);
    let started = command.spawn();
    let mut process = started.map_err(|error| Error::input(format!("{}: {error}", path.display())))?;
    let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
    let mut process = Running {
        child: process,
        ended: false,
    };
    let (Some(asks), Some(proposals), Some(errors)) = pipes else {
        return Err(Error::Failed("a process without pipes".to_owned()));
    };
    let mut lines = DraftProcess {
        path: path.to_owned(),
        asks,
        proposals: BufReader::new(proposals),
        errors: listen(errors)?,
        vocab,
    };
    let watch = Watch::new(process.group(), patience)?;
    let hello = lines.hear();
    if watch.ended() {
        let message = format!(
            "says nothing for {} s: not a program that drafts",
            patience.as_secs_f32()
        );
        return Err(lines.wrong(&message));
    }
    let hello: Hello = hello.map_err(|error| lines.at_end(error, &mut process))?;
    if hello.protocol != PROTOCOL {
        return Err(lines.wrong("was built by another version of seqc, which drafts differently"));
    }
    if hello.vocab != vocab {
        return Err(lines.wrong(&format!(
            "the model {} has {} tokens where this one has {vocab}: a model that drafts has the same tokenizer",
            hello.model, hello.vocab
        )));
    }
    Ok(Started { lines, process })
}

impl DraftProcess {
    fn wrong(&self, what: &str) -> Error {
        Error::input(format!("{}: {what}", self.path.display()))
    }

    /// An error with what the program said on its way out.
    fn at_end(&mut self, error: Error, process: &mut Running) -> Error {
        process.end();
        // Whoever else writes there may outlive it.
        let said = self.errors.recv_timeout(LAST_WORDS).unwrap_or_default();
        match String::from_utf8_lossy(&said).trim() {
            "" => error,
            said => Error::input(format!("{error}: {said}")),
        }
    }

    fn ended(&self) -> Error {
        self.wrong("the program that drafts has ended")
    }

    fn nonsense(&self) -> Error {
        self.wrong("not a program that drafts")
    }

    fn hear<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = Vec::new();
        let read = (&mut self.proposals).take(LONGEST_LINE).read_until(b'\n', &mut line);
        match read {
            Ok(0) | Err(_) => Err(self.ended()),
            Ok(_) => serde_json::from_slice(&line).map_err(|_| self.nonsense()),
        }
    }

    fn say(&mut self, message: &impl Serialize) -> Result<()> {
        // Serialising plain data to memory does not fail.
        let line = serde_json::to_string(message).unwrap_or_default() + "\n";
        let said = self.asks.write_all(line.as_bytes()).and_then(|()| self.asks.flush());
        said.map_err(|_| self.ended())
    }
}

impl Drafter for DraftProcess {
    fn propose(&mut self, asks: &Asks) -> Result<Proposals> {
        self.say(asks)?;
        let heard: Proposals = self.hear()?;
        check(asks, &heard, self.vocab)
            .then_some(())
            .ok_or_else(|| self.nonsense())?;
        Ok(heard)
    }
}

/// Whether proposals can be an answer to these asks: nobody checks their tokens afterwards.
fn check(asks: &Asks, heard: &Proposals, vocab: usize) -> bool {
    let ids = 0..vocab as i64;
    asks.asks.len() == heard.proposals.len()
        && asks.asks.iter().zip(&heard.proposals).all(|(ask, proposal)| {
            let length = ask.keep + ask.tokens.len();
            (proposal.known == length || proposal.known == 0)
                && proposal.unread <= proposal.known
                && proposal.tokens.len() <= ask.most
                && proposal.tokens.iter().all(|token| ids.contains(token))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        speculation::protocol::{Ask, Proposal},
        testing::script,
    };
    use std::time::Instant;

    #[test]
    fn a_program_that_says_nothing_is_no_draft() {
        let from = Instant::now();
        let silent = start(&script("sleep 600"), 16, Duration::from_millis(200));
        let message = silent.expect_err("it says nothing").to_string();
        assert!(message.contains("says nothing for 0.2 s"), "{message}");
        assert!(from.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_program_may_say_much_on_standard_error() {
        let hello = serde_json::to_string(&Hello::new("m".to_owned(), 16)).expect("a line");
        let noise = "head -c 200000 /dev/zero | tr '\\0' x >&2";
        let program = script(&format!("{noise}\necho '{hello}'\n{noise}\nread line"));
        assert!(start(&program, 16, Duration::from_secs(60)).is_ok());
        let ends = script("echo no weights >&2; exit 1");
        let message = start(&ends, 16, Duration::from_secs(60))
            .expect_err("it ends")
            .to_string();
        assert!(message.ends_with("has ended: no weights"), "{message}");
    }

    #[test]
    fn proposals_that_do_not_fit_their_asks_are_nonsense() {
        let asks = Asks {
            forget: vec![3],
            asks: vec![Ask {
                text: 7,
                keep: 2,
                tokens: vec![1, 2],
                most: 3,
            }],
        };
        let fits = |known, unread, tokens: &[i64]| {
            let tokens = tokens.to_vec();
            let proposals = vec![Proposal { known, unread, tokens }];
            check(&asks, &Proposals { proposals }, 16)
        };
        assert!(fits(4, 0, &[0, 15, 3]) && fits(4, 2, &[]) && fits(0, 0, &[]));
        assert!(!fits(4, 0, &[1; 4]) && !fits(4, 0, &[16]) && !fits(4, 0, &[-1]));
        assert!(!fits(5, 0, &[]) && !fits(4, 5, &[]));
        assert!(!check(&asks, &Proposals::default(), 16));
    }
}
