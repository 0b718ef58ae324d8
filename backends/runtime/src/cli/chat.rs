//! `chat`: a conversation, message by message, with commands that save it, load it and take turns back.

mod commands;
mod lines;

use std::io::IsTerminal;

use super::{
    answering::{Generated, Stop},
    args::Chat,
    common,
    console::Console,
    generate,
    prompt::{self, Asked},
    setup::{self, Setup},
    template,
};
use crate::{
    Error, Result, chat::Given, code::Code, generation::Rest, model::Model, session::Session, streams,
    tokenizer::Tokenizer,
};
use commands::Command;
use lines::{Line, Lines};

/// Turns that can be taken back.
const MOST_TURNS: usize = 32;

pub(crate) fn chat(code: Code, args: &Chat, console: &mut Console) -> Result<()> {
    let descriptor = code.describe()?;
    streams::check_no_source(&descriptor, "chat")?;
    let (words, weights) = (&args.answers, args.reading.loading.weights.as_deref());
    let tokenizer = setup::open_tokenizer(&descriptor, words.tokenizer.as_deref(), weights, false, console)?;
    let setup = Setup::new(&descriptor, words, tokenizer, console)?;
    let Some(tokenizer) = &setup.tokenizer else {
        return Err(Error::input(format!(
            "the program of {} has no tokenizer: name one with --tokenizer PATH",
            descriptor.model
        )));
    };
    let model = common::load(code, &args.reading.loading, console)?;
    let inputs = common::inputs(&model, words.files());
    let session = common::open(&model, &args.reading, None, &inputs, console)?;
    let mut talk = Talk {
        args,
        setup: &setup,
        tokenizer,
        model: &model,
        given: template::given(&args.template, Some("the messages"))?,
        inputs,
        session,
        before: Vec::new(),
        turns: 0,
    };
    if args.interactive || std::io::stdin().is_terminal() {
        talk.interactive(console)?;
    } else {
        // Without a message there is nothing to answer.
        match prompt::message("-")? {
            text if text.trim().is_empty() => console.tell("standard input has no message"),
            text => talk.answer(text, console)?,
        }
    }
    common::save(&talk.session, &args.reading, &talk.inputs, console)
}

/// A conversation.
struct Talk<'m> {
    args: &'m Chat,
    setup: &'m Setup<'m>,
    tokenizer: &'m Tokenizer,
    model: &'m Model,
    /// What the chat template is given beside the messages.
    given: Given,
    /// Files that are never written to.
    inputs: Vec<std::path::PathBuf>,
    session: Session<'m>,
    /// The session before each of the last turns.
    before: Vec<Session<'m>>,
    /// Turns so far.
    turns: u64,
}

impl<'m> Talk<'m> {
    /// Answers one message after another until the input ends. What cannot be done is said, and the conversation goes on.
    fn interactive(&mut self, console: &mut Console) -> Result<()> {
        let mut lines = Lines::open()?;
        if lines.on_terminal() {
            console.tell("/help lists the commands; Ctrl-C stops an answer, Ctrl-D ends the conversation");
        }
        while let Some(line) = lines.next()? {
            let done = match line {
                Line::Message(text) if text.trim().is_empty() => Ok(()),
                Line::Message(text) => self.turn(text, console),
                Line::Command(Command::Quit) => break,
                Line::Command(command) => self.command(command, console),
                Line::Unknown(why) => Err(Error::input(why)),
                Line::Interrupted => {
                    console.tell("Ctrl-D or /quit ends the conversation");
                    Ok(())
                }
            };
            match done {
                Err(Error::Closed) => return Err(Error::Closed),
                Err(error) => console.tell(format_args!("error: {error}")),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn command(&mut self, command: Command, console: &mut Console) -> Result<()> {
        match command {
            Command::Help => generate::print(console.result, commands::HELP),
            Command::Save(path) => {
                self.session.save_file(&path, &self.inputs)?;
                console.tell(format_args!(
                    "{}: saved after {} tokens",
                    path.display(),
                    self.session.position()
                ));
                Ok(())
            }
            Command::Load(path) => {
                let mut loaded = self.session.fork()?;
                loaded.load(&path)?;
                self.keep(loaded);
                console.tell(format_args!(
                    "{}: going on after {} tokens",
                    path.display(),
                    self.session.position()
                ));
                Ok(())
            }
            Command::Undo => {
                let before = self.before.pop();
                self.session = before.ok_or_else(|| Error::input("there is no turn to take back"))?;
                console.tell(format_args!("back after {} tokens", self.session.position()));
                Ok(())
            }
            Command::Clear => {
                let fresh = Session::new(self.model)?;
                self.keep(fresh);
                Ok(())
            }
            Command::Quit => Ok(()),
        }
    }

    /// Goes on in another session; the one before can be had back.
    fn keep(&mut self, next: Session<'m>) {
        self.before.push(std::mem::replace(&mut self.session, next));
        if self.before.len() > MOST_TURNS {
            self.before.remove(0);
        }
    }

    /// A message and its answer, or neither.
    fn turn(&mut self, text: String, console: &mut Console) -> Result<()> {
        let next = self.session.fork()?;
        self.keep(next);
        let answered = self.answer(text, console);
        if answered.is_err()
            && let Some(before) = self.before.pop()
        {
            self.session = before;
        }
        answered
    }

    /// Reads a message and answers it, so that the session has all of both.
    fn answer(&mut self, text: String, console: &mut Console) -> Result<()> {
        let session = &mut self.session;
        let begins = session.history().conversation.is_none();
        let system = self.args.system.as_deref().filter(|_| begins);
        let asked = Asked::message(
            text,
            system,
            &self.given,
            self.tokenizer,
            &self.model.descriptor().model,
        );
        let prompt = asked.prompt(session, console)?;
        let stream = prompt.text(self.tokenizer, session);
        let mut answering = self
            .setup
            .answering(self.turns, Some(stream), None, &self.args.reading.chunk)?;
        self.turns += 1;
        lines::forget_interrupt();
        answering.interrupted = lines::interrupted;
        answering.read(session, prompt, console)?;
        answering.keeps = true;
        let mut show = |_, text: &str, console: &mut Console| generate::print(console.result, text);
        let generated = answering.answer(session, &mut show, console)?;
        end(&generated, console)?;
        generate::note_drafts(&generated, console);
        Ok(())
    }
}

/// What was held back of an answer, and the end of the line.
fn end(done: &Generated, console: &mut Console) -> Result<()> {
    let Rest { text, broken } = &done.rest;
    generate::print(console.result, &format!("{text}{broken}\n"))?;
    if done.stop == Stop::Interrupted {
        console.tell("interrupted");
    }
    Ok(())
}
