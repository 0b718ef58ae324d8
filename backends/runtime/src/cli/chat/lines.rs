//! Lines of a conversation: from a terminal with line editing and history, or from a pipe; and Ctrl-C, which stops an answer.

#[cfg_attr(not(feature = "terminal"), path = "../plain/editor.rs")]
mod editor;
mod read;

pub(super) use editor::{forget_interrupt, interrupted};

use std::io::BufRead;

use editor::Editor;
use read::Read;

use super::commands::Command;
use crate::{Error, Result};

/// What the user has entered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Message(String),
    Command(Command),
    /// A command that is none, and why.
    Unknown(String),
    /// Ctrl-C instead of a line.
    Interrupted,
}

/// Where lines come from.
pub(super) struct Lines {
    /// On a terminal.
    editor: Option<Editor>,
}

impl Lines {
    /// Standard input, which is edited where it and standard output are terminals. From now on Ctrl-C ends no program.
    pub(super) fn open() -> Result<Lines> {
        Ok(Lines {
            editor: Editor::open()?,
        })
    }

    /// Whether there is a user at a terminal.
    pub(super) fn on_terminal(&self) -> bool {
        self.editor.is_some()
    }

    /// The next line with those that it goes on in; `None` at the end of the input.
    pub(super) fn next(&mut self) -> Result<Option<Line>> {
        let mut text = String::new();
        loop {
            let asks = if text.is_empty() { "> " } else { ". " };
            match self.read(asks)? {
                Read::Line(line) => match line.strip_suffix('\\') {
                    Some(line) => text = text + line + "\n",
                    None => {
                        text.push_str(&line);
                        break;
                    }
                },
                Read::Interrupted => return Ok(Some(Line::Interrupted)),
                Read::End if text.is_empty() => return Ok(None),
                Read::End => break,
            }
        }
        if let Some(editor) = &mut self.editor {
            editor.remember(&text);
        }
        Ok(Some(meaning(text)))
    }

    fn read(&mut self, asks: &str) -> Result<Read> {
        let Some(editor) = &mut self.editor else {
            let mut line = Vec::new();
            let read = std::io::stdin().lock().read_until(b'\n', &mut line);
            return match read {
                Ok(0) => Ok(Read::End),
                Ok(_) => match String::from_utf8(line) {
                    Ok(line) => Ok(Read::Line(line.trim_end_matches(['\n', '\r']).to_owned())),
                    Err(_) => Err(Error::input("standard input is not UTF-8 text")),
                },
                Err(error) => Err(Error::input(format!("standard input: {error}"))),
            };
        };
        editor.read(asks)
    }
}

fn meaning(text: String) -> Line {
    match text.strip_prefix('/') {
        Some(rest) if rest.starts_with('/') => Line::Message(rest.to_owned()),
        Some(rest) => Command::parse(rest).map_or_else(Line::Unknown, Line::Command),
        None => Line::Message(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_a_slash_are_commands_unless_there_are_two() {
        assert_eq!(meaning("/undo".to_owned()), Line::Command(Command::Undo));
        assert_eq!(meaning("//undo".to_owned()), Line::Message("/undo".to_owned()));
        assert_eq!(meaning("undo".to_owned()), Line::Message("undo".to_owned()));
        assert!(matches!(meaning("/".to_owned()), Line::Unknown(_)));
    }
}
