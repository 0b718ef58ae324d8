//! Parsing of models.

use super::{MAX_NUMBER, ParseError, cursor::Parser, lex::Token};
use crate::{Between, Call, Clocked, Enter, Kind, KindId, Leave, Model, ModelInput, ParamSource, StreamId};
use seqc_formats::Encoding;
use std::str::FromStr;

impl FromStr for Model {
    type Err = ParseError;

    /// Parses the text form.
    fn from_str(text: &str) -> Result<Model, ParseError> {
        let mut parser = Parser::new(text)?;
        let model = parser.model()?;
        parser.end()?;
        Ok(model)
    }
}

impl Parser {
    fn model(&mut self) -> Result<Model, ParseError> {
        self.expect_word("model")?;
        let mut model = Model {
            name: self.name()?,
            ..Model::default()
        };
        self.expect_word("streams")?;
        let place = self.here();
        model.streams = u32::try_from(self.count()?)
            .ok()
            .filter(|n| *n <= MAX_NUMBER)
            .ok_or_else(|| self.error_at(place, "too many streams"))?;
        self.expect('{')?;
        loop {
            let inputs = match self.eat_word("memory") {
                true => &mut model.memory.inputs,
                false if self.at_word("input") => &mut model.inputs,
                false => break,
            };
            self.expect_word("input")?;
            inputs.push(self.input()?);
        }
        while let Some(kind) = self.kind_id() {
            if kind.0 as usize != model.kinds.len() {
                return Err(self.error(format!(
                    "layers are numbered in order: `layer{}` belongs here",
                    model.kinds.len()
                )));
            }
            self.advance();
            self.expect_word("encodings")?;
            let encodings = self.list('[', ']', Parser::encoding)?;
            model.kinds.push(Kind {
                graph: self.graph()?,
                encodings,
            });
        }
        while self.eat_word("memory") {
            self.expect_word("call")?;
            model.calls.push(self.call()?);
            model.memory.calls += 1;
        }
        while self.eat_word("call") {
            let call = self.call()?;
            model.calls.push(call);
        }
        while self.eat_word("clocked") {
            model.clocked.push(self.clocked()?);
        }
        while self.eat_word("output") {
            let name = self.name()?;
            model.outputs.push((name, self.stream()?));
        }
        self.expect('}')?;
        Ok(model)
    }

    fn input(&mut self) -> Result<ModelInput, ParseError> {
        let stream = self.stream()?;
        let name = self.name()?;
        self.expect(':')?;
        Ok(ModelInput {
            name,
            ty: self.ty()?,
            stream,
        })
    }

    fn encoding(&mut self) -> Result<Encoding, ParseError> {
        let (place, name) = (self.here(), self.name()?);
        Encoding::named(&name).ok_or_else(|| {
            let known: Vec<&str> = Encoding::all_native().map(Encoding::name).collect();
            let message = format!(
                "there is no encoding `{name}`; parameters have one of {}",
                known.join(", ")
            );
            self.error_at(place, message)
        })
    }

    fn stream(&mut self) -> Result<StreamId, ParseError> {
        Ok(StreamId(self.sigil('$')?))
    }

    /// The kind that the next word names.
    fn kind_id(&self) -> Option<KindId> {
        match self.peek() {
            Token::Word(word) => word.strip_prefix("layer")?.parse().ok().map(KindId),
            _ => None,
        }
    }

    fn call(&mut self) -> Result<Call, ParseError> {
        let name = self.name()?;
        let kind = self
            .kind_id()
            .ok_or_else(|| self.error("a layer such as `layer0` belongs here"))?;
        self.advance();
        let args = self.list('(', ')', Parser::stream)?;
        self.expect('>')?;
        let results = self.list('(', ')', Parser::stream)?;
        self.expect('{')?;
        let mut params = Vec::new();
        while self.eat_word("param") {
            let name = self.name()?;
            self.expect_word("from")?;
            params.push(ParamSource {
                name,
                tensors: self.list('[', ']', Parser::name)?,
            });
        }
        self.expect('}')?;
        Ok(Call {
            name,
            kind,
            args,
            results,
            params,
        })
    }

    fn clocked(&mut self) -> Result<Clocked, ParseError> {
        let name = self.name()?;
        self.expect_word("calls")?;
        let start = self.count()?;
        self.expect_word("to")?;
        let calls = start..self.count()?;
        self.expect_word("when")?;
        let mut part = Clocked {
            name,
            condition: self.stream()?,
            calls,
            enter: Vec::new(),
            leave: Vec::new(),
        };
        self.expect('{')?;
        while self.eat_word("enter") {
            let from = self.stream()?;
            self.expect('>')?;
            let to = self.stream()?;
            part.enter.push(Enter { from, to });
        }
        while self.eat_word("leave") {
            let from = self.stream()?;
            self.expect('>')?;
            let to = self.stream()?;
            let between = self.between()?;
            part.leave.push(Leave { from, to, between });
        }
        self.expect('}')?;
        Ok(part)
    }

    fn between(&mut self) -> Result<Between, ParseError> {
        let (place, word) = (self.here(), self.word("`hold`, `zero` or `pass`")?);
        match word.as_str() {
            "hold" => Ok(Between::Hold),
            "zero" => Ok(Between::Zero),
            "pass" => Ok(Between::Pass(self.stream()?)),
            _ => Err(self.error_at(place, "`hold`, `zero` or `pass` belongs here")),
        }
    }
}
