//! Statements and bodies. A statement that cannot be read is reported, and the next one is read.

use super::{Parser, Read, Stop, error_expr};
use crate::{
    ast::{DefKind, Expr, ExprKind, Ident, ParamDecl, Shape, Span, Stmt, Target},
    diag::Diagnostic,
    lex::Kind,
};

impl Parser<'_> {
    /// `{ statements }`, with where it ends. Without the closing brace it ends before the next definition.
    pub(super) fn body(&mut self, kind: DefKind) -> Read<(Vec<Stmt>, Span)> {
        let open = self.expect("{", "`{`")?;
        self.open_brackets = 0;
        let mut body: Vec<(Stmt, Span)> = Vec::new();
        let close = loop {
            self.glue();
            if let Some(close) = self.eat("}") {
                break close;
            }
            if self.raw().kind == Kind::End || self.definition_ahead() {
                let d = self
                    .unexpected_message("`}` or a statement")
                    .also(self.file, open, "opened here");
                self.report(d);
                break self.last_end();
            }
            self.body_statement(&mut body);
        };
        match kind {
            DefKind::Cache => self.clauses(&mut body),
            DefKind::Layer | DefKind::Block | DefKind::Fn => self.check_result(&body, close),
        }
        Ok((body.into_iter().map(|(stmt, _)| stmt).collect(), close))
    }

    /// Reads a statement and what is left of its line.
    fn body_statement(&mut self, body: &mut Vec<(Stmt, Span)>) {
        let first = self.at;
        let start = self.raw().span;
        let before = body.len();
        let read = self.statement(body);
        let read = read.and_then(|()| self.end_of_statement());
        for (_, span) in &mut body[before..] {
            *span = self.shift(start).to(self.last_end());
        }
        if let Err(Stop) = read {
            self.recover(first);
        }
    }

    fn end_of_statement(&mut self) -> Read<()> {
        self.open_brackets = 0;
        match self.raw().kind {
            Kind::Newline | Kind::End | Kind::Doc => Ok(()),
            _ if self.is("}") => Ok(()),
            _ => Err(self.unexpected("an operator or the end of the line")),
        }
    }

    /// Passes over what is left of a statement that could not be read: to its end if its brackets close, else to the
    /// end of the line.
    fn recover(&mut self, first: usize) {
        self.open_brackets = 0;
        self.nesting = 0;
        let stuck = self.at;
        self.at = match self.balanced_end(first) {
            Some(end) if end >= stuck => end,
            _ => self.line_end(stuck, first),
        };
        // Every statement takes at least one token, or reading would never end.
        if self.at <= first && !self.is("}") && self.raw().kind != Kind::End {
            self.at = first + 1;
        }
    }

    /// The first end of a line after `first` where no bracket is open, if there is one in this body.
    fn balanced_end(&self, first: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (n, token) in self.tokens.iter().enumerate().skip(first) {
            match (token.kind, self.text_of(*token)) {
                (Kind::Mark, "(" | "[") => depth += 1,
                (Kind::Mark, ")" | "]") => depth = depth.saturating_sub(1),
                (Kind::Mark, "{" | "}") | (Kind::End, _) => return (depth == 0).then_some(n),
                (Kind::Word, "dim" | "param") if depth > 0 && self.starts_line(n) => return None,
                (Kind::Newline, _) if depth == 0 => return Some(n),
                _ => {}
            }
        }
        None
    }

    /// The end of the line where reading got stuck; that place itself, if it begins a line.
    fn line_end(&self, stuck: usize, first: usize) -> usize {
        if stuck > first && self.starts_line(stuck) {
            return stuck;
        }
        let rest = self.tokens.iter().enumerate().skip(stuck);
        rest.filter(|(_, t)| matches!(t.kind, Kind::Newline | Kind::End) || self.text_of(**t) == "}")
            .map(|(n, _)| n)
            .next()
            .unwrap_or(self.tokens.len() - 1)
    }

    pub(super) fn starts_line(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|n| self.tokens.get(n));
        before.is_none_or(|t| matches!(t.kind, Kind::Newline | Kind::Doc))
    }

    /// The statements of a cache that are expressions are calls.
    fn clauses(&mut self, body: &mut [(Stmt, Span)]) {
        for (stmt, span) in body {
            if matches!(stmt, Stmt::Param(_) | Stmt::Trace { .. }) {
                let d = Diagnostic::error("syntax", "a cache has no parameters and reports nothing")
                    .label(self.file, *span, "")
                    .help("its statements are `dim`s, definitions and the clauses see, keep, keys and values");
                self.report(d);
            }
            let Stmt::Result(value) = stmt else { continue };
            if !matches!(value.kind, ExprKind::Call { .. } | ExprKind::Error) {
                let d = Diagnostic::error("stray-expression", "this value is not used")
                    .label(self.file, *span, "")
                    .help("a cache has no result: give the value a name, `y = …`, or say what stays, `keep(…)`");
                self.report(d);
            }
            *stmt = Stmt::Clause(value.clone());
        }
    }

    /// Only the last statement is an expression, and it is one.
    fn check_result(&mut self, body: &[(Stmt, Span)], close: Span) {
        let is_result = |stmt: &Stmt| matches!(stmt, Stmt::Result(_));
        let is_read = |stmt: &Stmt| matches!(stmt, Stmt::Result(value) if value.kind != ExprKind::Error);
        if let Some((_, rest)) = body.split_last() {
            for (_, span) in rest.iter().filter(|(stmt, _)| is_read(stmt)) {
                let d = Diagnostic::error("stray-expression", "this value is not used")
                    .label(self.file, *span, "only the last statement is an expression: the result")
                    .help("give it a name: `y = …`");
                self.report(d);
            }
        }
        if body.last().is_none_or(|(stmt, _)| !is_result(stmt)) && self.diagnostics.is_empty() {
            let d = Diagnostic::error("no-result", "the definition has no result")
                .label(self.file, close, "an expression is expected before this")
                .help("the last statement is the result: a name or an expression on a line of its own");
            self.report(d);
        }
    }

    /// Reads one statement. What could be read of it is kept, so that names are known even where their values are wrong.
    fn statement(&mut self, body: &mut Vec<(Stmt, Span)>) -> Read<()> {
        if self.loop_ahead() {
            self.no_loop();
            return Ok(());
        }
        let none = Span::default();
        if self.eat_word("dim").is_some() {
            let name = self.name("the name of a size")?;
            self.expect("=", "`=`")?;
            let (value, read) = self.value();
            body.push((Stmt::Dim { name, value }, none));
            return read;
        }
        if self.eat_word("param").is_some() {
            let mut decls = Vec::new();
            let read = self.params(&mut decls);
            body.push((Stmt::Param(decls), none));
            return read;
        }
        if self.trace_ahead() {
            self.eat_word("trace");
            let name = self.name("the name of a report")?;
            self.expect("=", "`=`")?;
            let (value, read) = self.value();
            body.push((Stmt::Trace { name, value }, none));
            return read;
        }
        if self.target_ahead() {
            let target = self.target()?;
            self.expect("=", "`=`")?;
            let (value, read) = self.value();
            body.push((Stmt::Let { target, value }, none));
            return read;
        }
        let (value, read) = self.value();
        body.push((Stmt::Result(value), none));
        read
    }

    fn value(&mut self) -> (Expr, Read<()>) {
        self.glue_in_value();
        let start = self.raw().span;
        match self.top_expr() {
            Ok(expr) => (expr, Ok(())),
            Err(stop) => {
                let span = self.shift(start).to(self.last_end());
                (error_expr(span), Err(stop))
            }
        }
    }

    /// A value may begin on the line after its `=`.
    fn glue_in_value(&mut self) {
        let after_equals = self
            .at
            .checked_sub(1)
            .is_some_and(|n| self.text_of(self.tokens[n]) == "=");
        if after_equals {
            self.glue();
        }
    }

    fn params(&mut self, decls: &mut Vec<ParamDecl>) -> Read<()> {
        loop {
            self.glue();
            let name = self.name("the name of a parameter")?;
            let shape = if self.is("[") { Some(self.shape()?) } else { None };
            let complex = self.eat(":").is_some();
            if complex && self.eat_word("complex").is_none() {
                let d = self.unexpected_message("`complex`");
                return Err(self.report(d.help("a parameter is real, or `w[n]: complex`")));
            }
            decls.push(ParamDecl { name, shape, complex });
            if self.eat(",").is_none() {
                return Ok(());
            }
        }
    }

    /// `[a, b]`.
    pub(super) fn shape(&mut self) -> Read<Shape> {
        self.operators = 0;
        let start = self.peek().span;
        let (dims, close) = self.bracketed()?;
        let span = self.shift(start).to(close);
        Ok(Shape { dims, span })
    }

    /// Whether the line begins a loop of another language: `for i in …`, `for (…) {`, `while x > 0:`.
    fn loop_ahead(&self) -> bool {
        let rest = &self.tokens[self.at..];
        let next = |n: usize| rest.get(n).map(|t| (t.kind, self.text_of(*t)));
        if !matches!(next(0), Some((Kind::Word, "for" | "while"))) {
            return false;
        }
        match next(1) {
            Some((Kind::Word | Kind::Number, _)) => true,
            Some((Kind::Mark, "(" | "!")) => {
                let line = rest.iter().take_while(|t| !matches!(t.kind, Kind::Newline | Kind::End));
                let last = line.map(|t| self.text_of(*t)).last();
                matches!(last, Some(":" | "{")) || rest.iter().skip(1).any(|t| self.text_of(*t) == "in")
            }
            _ => false,
        }
    }

    /// Reports a loop and passes over its first line, and over its body in braces.
    fn no_loop(&mut self) {
        let start = self.raw().span;
        let mut depth = 0_usize;
        loop {
            let token = self.raw();
            match (token.kind, self.text_of(token)) {
                (Kind::End, _) => break,
                (Kind::Newline, _) if depth == 0 => break,
                (Kind::Mark, "{") => depth += 1,
                (Kind::Mark, "}") if depth == 0 => break,
                (Kind::Mark, "}") => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        let word = start.of(self.text);
        let d = Diagnostic::error("syntax", format!("there are no loops: `{word}`"))
            .label(self.file, self.shift(start), "")
            .help("along an axis: `y[i] = …` for every entry, `sum(i: …)`, `max(i: …)` over all of them")
            .help("there is no loop over tokens: a body defines the computation at one token, `prev(h)` is `h` at the previous token")
            .help("layers are repeated by the model: `repeat: n`");
        self.report(d);
    }

    /// Whether the line goes on with `trace name =`.
    fn trace_ahead(&self) -> bool {
        let rest = &self.tokens[self.at..];
        let text = |n: usize| rest.get(n).map_or("", |t| t.span.of(self.text));
        text(0) == "trace" && rest.get(1).is_some_and(|t| t.kind == Kind::Word) && text(2) == "="
    }

    /// Whether the line goes on with `name =`, `name: …`, `name[…] =` or `(a, b) =`.
    fn target_ahead(&mut self) -> bool {
        let rest = &self.tokens[self.at..];
        let text = |n: usize| rest.get(n).map_or("", |t| t.span.of(self.text));
        match (rest[0].kind, text(0), text(1)) {
            (Kind::Word, _, "=" | ":") => true,
            (Kind::Word, _, "[") => self.equals_after_bracket(1),
            (Kind::Mark, "(", _) => self.equals_after_bracket(0),
            _ => false,
        }
    }

    /// Whether `=` follows the bracket that opens `n` tokens ahead.
    fn equals_after_bracket(&self, n: usize) -> bool {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().skip(self.at + n) {
            match (token.kind, self.text_of(*token)) {
                (Kind::Mark, "(" | "[") => depth += 1,
                (Kind::Mark, ")" | "]") if depth > 1 => depth -= 1,
                (Kind::Mark, ")" | "]") => return self.tokens.get(at + 1).is_some_and(|t| self.text_of(*t) == "="),
                (Kind::Mark, "{" | "}") | (Kind::End, _) => return false,
                _ => {}
            }
        }
        false
    }

    fn target(&mut self) -> Read<Target> {
        if self.is("(") {
            return Ok(Target::Tuple(self.names()?));
        }
        let name = self.name("a name")?;
        if self.eat(":").is_some() {
            if !self.is("[") {
                return Err(self.no_shape());
            }
            let shape = self.shape()?;
            return Ok(Target::Name {
                name,
                shape: Some(shape),
            });
        }
        if !self.is("[") {
            return Ok(Target::Name { name, shape: None });
        }
        let vars = self.index_names()?;
        Ok(Target::Indexed { name, vars })
    }

    /// `name: type = …`
    fn no_shape(&mut self) -> Stop {
        let word = self.raw();
        let d = self.unexpected_message("the shape, `[…]`");
        let d = if matches!(self.text_of(word), "int" | "real" | "float" | "bool") {
            d.help("a definition has the type of its value; what remembers itself with `prev` is real, and counts exactly up to 2^24")
        } else {
            d.help("the shape of the value follows the `:`: `y: [n] = …`")
        };
        self.report(d)
    }

    /// `[i, j]` on the left of `=`.
    fn index_names(&mut self) -> Read<Vec<Ident>> {
        let open = self.open("[", "`[`")?;
        let mut vars = Vec::new();
        while !self.is("]") {
            if !self.is_name() {
                let d = self
                    .unexpected_message("an index variable")
                    .help("the left side of `=` consists of names: `y[i, j] = …`");
                return Err(self.report(d));
            }
            vars.push(self.name("an index variable")?);
            if self.eat(",").is_none() {
                break;
            }
        }
        self.close("]", open, "`,` or `]`")?;
        Ok(vars)
    }
}
