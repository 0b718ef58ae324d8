//! Definitions and their headers.

use super::{Parser, Read, Stop};
use crate::{
    ast::{Def, DefKind, Setting, Shape, StreamParam, StreamTy},
    diag::{Diagnostic, nearest},
    lex::Kind,
};

/// What stands between the name and the body of a definition.
#[derive(Default)]
struct Header {
    streams: Vec<StreamParam>,
    settings: Vec<Setting>,
    result: Option<Shape>,
}

impl Parser<'_> {
    /// All definitions of a file.
    pub(super) fn definitions(&mut self) -> Vec<Def> {
        let mut defs = Vec::new();
        loop {
            let doc = self.doc_lines();
            if self.raw().kind == Kind::End {
                return defs;
            }
            match self.definition(doc) {
                Ok(def) => defs.push(def),
                Err(Stop) => self.next_definition(),
            }
            self.open_brackets = 0;
            self.nesting = 0;
        }
    }

    /// Doc comments before a definition. Those before an empty line are no less its own.
    fn doc_lines(&mut self) -> Vec<String> {
        let mut doc = Vec::new();
        while matches!(self.raw().kind, Kind::Newline | Kind::Doc) {
            let token = self.raw();
            if token.kind == Kind::Doc {
                let line = self.text_of(token).trim_start_matches('/');
                doc.push(line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned());
            }
            self.at += 1;
        }
        doc
    }

    /// Passes over what is no definition.
    fn next_definition(&mut self) {
        self.at += 1;
        while self.raw().kind != Kind::End && !self.definition_ahead() && !self.doc_starts_line() {
            self.at += 1;
        }
    }

    fn doc_starts_line(&self) -> bool {
        self.raw().kind == Kind::Doc && self.starts_line(self.at)
    }

    /// Whether a line starts here with `layer name`, `block name`, `fn name` or `cache name`.
    pub(super) fn definition_ahead(&self) -> bool {
        let word = self.raw();
        let name = self.tokens.get(self.at + 1);
        def_kind(self.text_of(word)).is_some()
            && self.starts_line(self.at)
            && name.is_some_and(|t| t.kind == Kind::Word)
    }

    fn definition(&mut self, doc: Vec<String>) -> Read<Def> {
        let start = self.raw();
        let kind = self.kind_of_definition()?;
        let name = self.name("the name of the definition")?;
        let header = match self.header(kind) {
            Ok(header) => header,
            Err(Stop) => self.next_body()?,
        };
        self.open_brackets = 0;
        self.nesting = 0;
        let (body, end) = self.body(kind)?;
        Ok(Def {
            kind,
            doc,
            name,
            streams: header.streams,
            settings: header.settings,
            result: header.result,
            body,
            span: self.shift(start.span).to(end),
        })
    }

    fn kind_of_definition(&mut self) -> Read<DefKind> {
        let token = self.raw();
        let word = self.text_of(token);
        if let Some(kind) = def_kind(word) {
            self.next();
            return Ok(kind);
        }
        let d = self.unexpected_message("`layer`, `block`, `fn` or `cache`");
        let meant = (token.kind == Kind::Word)
            .then(|| nearest(word, ["layer", "block", "fn", "cache"]))
            .flatten();
        Err(match meant {
            Some(meant) => self.report(d.help(format!("did you mean `{meant}`?"))),
            None => self.report(d),
        })
    }

    /// After a header that could not be read: goes to the body of the same definition.
    fn next_body(&mut self) -> Read<Header> {
        self.open_brackets = 0;
        self.nesting = 0;
        while self.raw().kind != Kind::End && !self.definition_ahead() {
            if self.is("{") {
                return Ok(Header::default());
            }
            self.at += 1;
        }
        // The next definition is read from here: `next_definition` passes over one token.
        self.at = self.at.saturating_sub(1);
        Err(Stop)
    }

    fn header(&mut self, kind: DefKind) -> Read<Header> {
        let open = self.open("(", "`(`")?;
        let mut header = Header::default();
        while !self.is(")") && !self.is(";") {
            if kind == DefKind::Cache {
                return Err(self.no_streams());
            }
            header.streams.push(self.stream(kind)?);
            if self.eat(",").is_none() {
                break;
            }
        }
        if self.eat(";").is_some() {
            while !self.is(")") {
                header.settings.push(self.setting()?);
                if self.eat(",").is_none() && self.eat(";").is_none() {
                    break;
                }
            }
        }
        self.close(")", open, "`,`, `;` or `)`")?;
        let streams = header.streams.iter().map(|s| &s.name);
        self.distinct(streams.chain(header.settings.iter().map(|s| &s.name)));
        if kind != DefKind::Cache && self.eat("->").is_some() {
            header.result = Some(self.shape()?);
        }
        self.glue();
        if !self.is("{") {
            let wanted = if kind == DefKind::Cache { "`{`" } else { "`->` or `{`" };
            return Err(self.unexpected(wanted));
        }
        Ok(header)
    }

    /// A cache that is given a stream.
    fn no_streams(&mut self) -> Stop {
        let d = self
            .unexpected_message("`;`")
            .help("a cache reads no streams, it has settings only: `(; budget = 64)`");
        self.report(d)
    }

    fn stream(&mut self, kind: DefKind) -> Read<StreamParam> {
        let name = self.name("the name of a stream")?;
        if self.is("=") {
            let d = self
                .unexpected_message("`,`, `:` or `;`")
                .help(format!("settings follow a `;`: `(x: [d]; {} = …)`", name.text));
            return Err(self.report(d));
        }
        let ty = match self.eat(":") {
            Some(_) => self.stream_ty(kind)?,
            None if kind == DefKind::Fn => StreamTy::Any,
            None => {
                let d = self.unexpected_message("`:` and the shape of the stream").help(format!(
                    "streams have shapes, `{}: [d]`, and precede the settings: `(x: [d]; heads)`",
                    name.text
                ));
                return Err(self.report(d));
            }
        };
        Ok(StreamParam { name, ty })
    }

    fn stream_ty(&mut self, kind: DefKind) -> Read<StreamTy> {
        if self.eat_word("layer").is_some() {
            return Ok(StreamTy::Layer);
        }
        if self.eat_word("int").is_some() {
            let shape = if self.is("[") { Some(self.shape()?) } else { None };
            return Ok(StreamTy::Int(shape));
        }
        if kind == DefKind::Fn && self.eat_word("complex").is_some() {
            let shape = if self.is("[") { Some(self.shape()?) } else { None };
            return Ok(StreamTy::Complex(shape));
        }
        if self.is("[") {
            return Ok(StreamTy::Real(self.shape()?));
        }
        Err(self.unexpected("`[…]`, `int` or `layer`"))
    }

    fn setting(&mut self) -> Read<Setting> {
        let name = self.name("the name of a setting")?;
        if self.is(":") {
            let d = Diagnostic::error("syntax", "a setting has a default, not a shape")
                .label(self.file, name.span, "")
                .help(format!(
                    "streams precede the `;`, settings are `{} = …` or `{}`",
                    name.text, name.text
                ));
            return Err(self.report(d));
        }
        let default = match self.eat("=") {
            Some(_) => Some(self.top_expr()?),
            None => None,
        };
        Ok(Setting { name, default })
    }
}

fn def_kind(word: &str) -> Option<DefKind> {
    match word {
        "layer" => Some(DefKind::Layer),
        "block" => Some(DefKind::Block),
        "fn" => Some(DefKind::Fn),
        "cache" => Some(DefKind::Cache),
        _ => None,
    }
}
