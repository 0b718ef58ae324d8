//! A program that drafts, as a process: its lines, which are checked, since it may be any program.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::{Serialize, de::DeserializeOwned};

use super::protocol::{Asks, Drafter, Hello, PROTOCOL, Proposals};
use crate::{Error, Result};

/// Bytes of a line; longer ones are nonsense.
const LONGEST_LINE: u64 = 1 << 22;
/// Bytes of what a program says at its end.
const LONGEST_END: u64 = 1 << 12;

/// The lines of a program that drafts.
#[derive(Debug)]
pub(super) struct DraftProcess {
    path: PathBuf,
    asks: ChildStdin,
    proposals: BufReader<ChildStdout>,
    /// Why it ends.
    errors: ChildStderr,
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
    /// Ends it, so that nobody waits for its lines.
    pub(super) fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Ok(group) = libc::pid_t::try_from(self.child.id()) {
            // What it started belongs to its group: a script may start the program.
            // SAFETY: no memory is touched; the group is its own, and its number in use until it was waited for.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
/// It cannot be started, does not draft, or has another vocabulary.
pub(super) fn start(path: &Path, vocab: usize) -> Result<Started> {
    let mut command = Command::new(path);
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
        errors,
        vocab,
    };
    let hello: Hello = lines.hear().map_err(|error| lines.at_end(error, &mut process))?;
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
        let mut said = Vec::new();
        // What it said before is told either way.
        let _ = (&mut self.errors).take(LONGEST_END).read_to_end(&mut said);
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
    use crate::speculation::protocol::{Ask, Proposal};

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
