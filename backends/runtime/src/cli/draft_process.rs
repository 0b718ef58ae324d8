//! A model that drafts, as a process: another built program.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::{Serialize, de::DeserializeOwned};

use super::proposals::{Ask, Hello, Proposal};
use crate::{Error, Result};

/// A program that drafts; it ends with this value.
#[derive(Debug)]
pub(crate) struct DraftProcess {
    path: PathBuf,
    process: Child,
    asks: ChildStdin,
    proposals: BufReader<ChildStdout>,
    /// What it has read.
    read: Vec<i64>,
}

impl Drop for DraftProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl DraftProcess {
    /// Starts a program, which must choose among as many tokens.
    pub(crate) fn start(path: &Path, vocab: usize) -> Result<DraftProcess> {
        let mut command = Command::new(path);
        command
            .args(["propose", "-q"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let started = command.spawn();
        let mut process = started.map_err(|error| Error::input(format!("{}: {error}", path.display())))?;
        let (Some(asks), Some(proposals)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Error::Failed("a process without pipes".to_owned()));
        };
        let mut started = DraftProcess {
            path: path.to_owned(),
            process,
            asks,
            proposals: BufReader::new(proposals),
            read: Vec::new(),
        };
        let hello: Hello = started.hear()?;
        if hello.vocab != vocab {
            return Err(Error::input(format!(
                "{}: the model {} has {} tokens where this one has {vocab}: a model that drafts has the same tokenizer",
                path.display(),
                hello.model,
                hello.vocab
            )));
        }
        Ok(started)
    }

    fn ended(&self) -> Error {
        Error::Failed(format!("{}: the program that drafts has ended", self.path.display()))
    }

    fn hear<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        match self.proposals.read_line(&mut line) {
            Ok(0) | Err(_) => Err(self.ended()),
            Ok(_) => serde_json::from_str(&line)
                .map_err(|_| Error::input(format!("{}: not a program that drafts", self.path.display()))),
        }
    }

    fn say(&mut self, message: &impl Serialize) -> Result<()> {
        // Serialising plain data to memory does not fail.
        let line = serde_json::to_string(message).unwrap_or_default() + "\n";
        let said = self.asks.write_all(line.as_bytes()).and_then(|()| self.asks.flush());
        said.map_err(|_| self.ended())
    }
}

impl DraftProcess {
    /// At most `most` tokens that may come after a text.
    ///
    /// # Errors
    ///
    /// The program has ended, or says what it should not.
    pub(crate) fn draft(&mut self, text: &[i64], most: usize) -> Result<Vec<i64>> {
        let Some(before_last) = text.len().checked_sub(1) else {
            return Ok(Vec::new());
        };
        let same = self.read.iter().zip(text).take_while(|(a, b)| a == b).count();
        // The last token is read again for what comes after it.
        let keep = same.min(before_last);
        self.say(&Ask {
            keep,
            tokens: text[keep..].to_vec(),
            most,
        })?;
        let tokens = self.hear::<Proposal>()?.tokens;
        if tokens.len() > most {
            return Err(Error::input(format!(
                "{}: not a program that drafts",
                self.path.display()
            )));
        }
        match tokens.split_last() {
            Some((_, read)) => self.read = [text, read].concat(),
            // The context of that model is full.
            None => self.read.truncate(keep),
        }
        Ok(tokens)
    }
}
