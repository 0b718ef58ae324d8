//! `propose`: drafts tokens for another program, the most likely ones after the text that it gives.

use std::io::BufRead;

use super::{
    args::Propose,
    common,
    console::Console,
    generate,
    proposals::{Ask, Hello, Proposal},
};
use crate::{
    Error, Result,
    code::Code,
    finite,
    generation::greedy,
    session::{Cut, Mark, Session, Wanted},
    streams::{self, width},
};

pub(crate) fn propose(code: Code, args: &Propose, console: &mut Console) -> Result<()> {
    let descriptor = code.describe()?;
    let logits = streams::logits(&descriptor)?;
    let model = common::load(code, &args.loading, console)?;
    let mut proposer = Proposer {
        session: Session::new(&model)?,
        logits,
        mark: None,
    };
    let hello = Hello {
        model: descriptor.model.clone(),
        vocab: width(&descriptor.outputs[logits]),
    };
    say(&hello, console)?;
    let wrong = |error: &dyn std::fmt::Display| Error::input(format!("standard input: {error}"));
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| wrong(&error))?;
        let ask: Ask = serde_json::from_str(&line).map_err(|error| wrong(&error))?;
        let tokens = proposer.propose(&ask)?;
        say(&Proposal { tokens }, console)?;
    }
    Ok(())
}

fn say(message: &impl serde::Serialize, console: &mut Console) -> Result<()> {
    // Serialising plain data to memory does not fail.
    let line = serde_json::to_string(message).unwrap_or_default();
    generate::print(console.result, &format!("{line}\n"))
}

struct Proposer<'m> {
    session: Session<'m>,
    logits: usize,
    /// Where the last draft began, of a model that cannot be cut anywhere.
    mark: Option<Mark>,
}

impl Proposer<'_> {
    /// The most likely tokens after a text, which is read with all of them but the last one. None where the context is full, and
    /// nothing is read.
    fn propose(&mut self, ask: &Ask) -> Result<Vec<i64>> {
        let again = self.go_back(ask.keep as u64)?;
        let mut draft = Vec::new();
        if self.session.room() < (again.len() + ask.tokens.len() + ask.most) as u64 {
            self.read(again)?;
            return Ok(draft);
        }
        self.read([again, ask.tokens.clone()].concat())?;
        if !self.session.cuts_anywhere() {
            self.mark = Some(self.session.mark()?);
        }
        while draft.len() < ask.most {
            let scores = self.session.last(self.logits).unwrap_or_default();
            if finite::undecided(scores) {
                break;
            }
            let token = greedy(scores) as i64;
            draft.push(token);
            if draft.len() < ask.most {
                self.read(vec![token])?;
            }
        }
        Ok(draft)
    }

    /// Keeps the first tokens of what was read: gives those of them that are to be read again.
    fn go_back(&mut self, keep: u64) -> Result<Vec<i64>> {
        let behind = |mark: &Mark| (mark.position()..self.session.position()).contains(&keep);
        match self.mark.take().filter(behind) {
            Some(mark) => {
                let tokens = self.session.tokens().unwrap_or_default();
                let again = tokens[mark.position() as usize..keep as usize].to_vec();
                self.session.return_to(mark);
                Ok(again)
            }
            None => {
                self.session.truncate(keep)?;
                Ok(Vec::new())
            }
        }
    }

    fn read(&mut self, tokens: Vec<i64>) -> Result<()> {
        let inputs = common::tokens(tokens);
        self.session.feed(&inputs, &Cut::default(), Wanted::Last, |_| Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Model, Options},
        testing::{VOCAB, adder, rememberer},
        weights::Mix,
    };

    #[test]
    fn nothing_is_drafted_where_the_context_is_full() {
        for code in [adder("adder"), rememberer()] {
            let model = Model::load(code, &Options::default()).expect("a model");
            let mut proposer = Proposer {
                session: Session::new(&model).expect("memory"),
                logits: 0,
                mark: None,
            };
            let mut draft = |keep, tokens: &[i64]| {
                let tokens = tokens.to_vec();
                proposer.propose(&Ask { keep, tokens, most: 4 }).expect("a draft").len()
            };
            assert_eq!(draft(0, &[0; 290]), 4);
            assert_eq!(draft(292, &[0; 5]), 0);
            assert_eq!(draft(292, &[0; 4]), 4);
        }
    }

    #[test]
    fn drafts_are_the_likeliest_tokens_whatever_was_drafted_before() {
        for code in [adder("adder"), rememberer()] {
            let model = Model::load(code, &Options::default()).expect("a model");
            let mut proposer = Proposer {
                session: Session::new(&model).expect("memory"),
                logits: 0,
                mark: None,
            };
            let (mut mix, mut read) = (Mix(5), Vec::<i64>::new());
            let mut below = |bound: usize| (mix.next() % bound as u64) as usize;
            for _ in 0..300 {
                let keep = below(read.len() + 1);
                let tokens: Vec<i64> = (0..1 + below(4)).map(|_| below(VOCAB) as i64).collect();
                let most = 1 + below(6);
                read.truncate(keep);
                read.extend(&tokens);
                let sums = |_| {
                    let next = read.iter().sum::<i64>() % VOCAB as i64;
                    read.push(next);
                    next
                };
                let expected: Vec<i64> = (0..most).map(sums).collect();
                read.pop();
                assert_eq!(
                    proposer.propose(&Ask { keep, tokens, most }).expect("a draft"),
                    expected
                );
            }
        }
    }
}
