//! Expressions. Loosest first: `when`; `if`; `||`; `&&`; comparisons; `+ -`; `* / % @`; `-x !x`; `**`, which is right-associative.

use super::{MAX_OPERATORS, Parser, Read};
use crate::{
    ast::{BinOp, Expr, ExprKind, Ident, NamedArg, Span, UnOp},
    diag::Diagnostic,
    lex::Kind,
};

/// Infix operators, loosest first; those of one row are read from left to right.
const LEVELS: &[&[(&str, BinOp)]] = &[
    &[("||", BinOp::Or)],
    &[("&&", BinOp::And)],
    &[
        ("==", BinOp::Eq),
        ("!=", BinOp::Ne),
        ("<", BinOp::Lt),
        ("<=", BinOp::Le),
        (">", BinOp::Gt),
        (">=", BinOp::Ge),
    ],
    &[("+", BinOp::Add), ("-", BinOp::Sub)],
    &[
        ("*", BinOp::Mul),
        ("/", BinOp::Div),
        ("%", BinOp::Mod),
        ("@", BinOp::MatMul),
    ],
];

/// Calls that bind index variables.
const REDUCTIONS: &[&str] = &["sum", "mean", "max", "min", "prod", "any", "all", "argmax", "argmin"];

/// What stands in the brackets of a call.
struct Args {
    args: Vec<Expr>,
    named: Vec<NamedArg>,
    body: Option<Expr>,
}

fn node(kind: ExprKind, span: Span) -> Expr {
    Expr { kind, span }
}

impl Parser<'_> {
    /// An expression that is the whole text.
    pub(super) fn whole_expr(&mut self) -> Read<Expr> {
        let expr = self.expr()?;
        match self.peek().kind {
            Kind::End => Ok(expr),
            _ => Err(self.unexpected("an operator or the end")),
        }
    }

    /// An expression of its own: its operators are counted anew.
    pub(super) fn top_expr(&mut self) -> Read<Expr> {
        self.operators = 0;
        self.expr()
    }

    pub(super) fn expr(&mut self) -> Read<Expr> {
        self.deeper(|p| {
            let value = if p.is_word("if") { p.condition() } else { p.infix(0) }?;
            p.sampled(value)
        })
    }

    /// `x when c`
    fn sampled(&mut self, mut value: Expr) -> Read<Expr> {
        while self.eat_word("when").is_some() {
            self.operator()?;
            self.glue();
            let condition = self.infix(0)?;
            let span = value.span.to(condition.span);
            value = node(ExprKind::When(Box::new(value), Box::new(condition)), span);
        }
        Ok(value)
    }

    /// One more operator of the current expression.
    fn operator(&mut self) -> Read<()> {
        self.operators += 1;
        if self.operators <= MAX_OPERATORS {
            return Ok(());
        }
        let span = self.peek().span;
        let message = format!("this expression has more than {MAX_OPERATORS} operators");
        let d = Diagnostic::error("too-long", message)
            .label(self.file, self.shift(span), "")
            .help("give a part of it a name of its own");
        Err(self.report(d))
    }

    /// `if c then a else if d then b else e`: read in a loop, so that long chains are no deep nesting.
    fn condition(&mut self) -> Read<Expr> {
        let mut branches = Vec::new();
        let last = loop {
            let Some(start) = self.eat_word("if") else {
                break self.expr()?;
            };
            self.operator()?;
            let cond = self.expr()?;
            self.keyword("then", "`then` or an operator")?;
            self.glue();
            let yes = self.expr()?;
            self.keyword("else", "`else` or an operator")?;
            self.glue();
            branches.push((start, cond, yes));
        };
        Ok(branches.into_iter().rev().fold(last, |no, (start, cond, yes)| {
            let span = start.to(no.span);
            node(ExprKind::If(Box::new(cond), Box::new(yes), Box::new(no)), span)
        }))
    }

    fn keyword(&mut self, word: &str, wanted: &str) -> Read<Span> {
        match self.eat_word(word) {
            Some(span) => Ok(span),
            None => {
                let d = self.unexpected_message(wanted);
                let line_ended = self.raw().kind == Kind::Newline;
                let help = "a conditional is `if c then a else b`; over several lines it must be in parentheses";
                Err(self.report(if line_ended { d.help(help) } else { d }))
            }
        }
    }

    /// After an operator, a keyword or a comma an expression goes on over the end of the line.
    pub(super) fn glue(&mut self) {
        while matches!(self.raw().kind, Kind::Newline | Kind::Doc) {
            self.at += 1;
        }
    }

    fn infix(&mut self, level: usize) -> Read<Expr> {
        let Some(ops) = LEVELS.get(level) else {
            return self.prefix();
        };
        let mut left = self.infix(level + 1)?;
        let mut compared: Option<Span> = None;
        while let Some((op, at)) = self.infix_op(ops) {
            self.operator()?;
            if let Some(before) = compared.filter(|_| op.is_comparison()) {
                let d = Diagnostic::error("chained-comparison", "comparisons do not chain")
                    .label(self.file, at, "a second comparison")
                    .also(self.file, before, "the first one")
                    .help("write `a < b && b < c`");
                return Err(self.report(d));
            }
            compared = Some(at);
            self.glue();
            let right = self.infix(level + 1)?;
            let span = left.span.to(right.span);
            left = node(ExprKind::Binary(op, Box::new(left), Box::new(right)), span);
        }
        Ok(left)
    }

    fn infix_op(&mut self, ops: &[(&str, BinOp)]) -> Option<(BinOp, Span)> {
        let token = self.peek();
        let text = self.text_of(token);
        let (_, op) = ops.iter().find(|(sign, _)| token.kind == Kind::Mark && *sign == text)?;
        self.next();
        Some((*op, self.shift(token.span)))
    }

    fn prefix(&mut self) -> Read<Expr> {
        let (op, start) = if let Some(span) = self.eat("-") {
            (UnOp::Neg, span)
        } else if let Some(span) = self.eat("!") {
            (UnOp::Not, span)
        } else {
            return self.power();
        };
        let x = self.deeper(Self::prefix)?;
        let span = start.to(x.span);
        Ok(node(ExprKind::Unary(op, Box::new(x)), span))
    }

    fn power(&mut self) -> Read<Expr> {
        let base = self.postfix()?;
        if self.eat("**").is_none() {
            return Ok(base);
        }
        self.operator()?;
        self.glue();
        let exponent = self.deeper(Self::prefix)?;
        let span = base.span.to(exponent.span);
        Ok(node(
            ExprKind::Binary(BinOp::Pow, Box::new(base), Box::new(exponent)),
            span,
        ))
    }

    fn postfix(&mut self) -> Read<Expr> {
        let mut base = self.primary()?;
        while self.is("[") {
            self.operator()?;
            let (indices, close) = self.bracketed()?;
            let span = base.span.to(close);
            let base_box = Box::new(base);
            base = node(
                ExprKind::Index {
                    base: base_box,
                    indices,
                },
                span,
            );
        }
        Ok(base)
    }

    /// `[a, b]`, with where it ends.
    pub(super) fn bracketed(&mut self) -> Read<(Vec<Expr>, Span)> {
        let open = self.open("[", "`[`")?;
        let mut items = Vec::new();
        while !self.is("]") {
            items.push(self.expr()?);
            if self.eat(",").is_none() {
                break;
            }
        }
        let close = self.close("]", open, "`,` or `]`")?;
        Ok((items, close))
    }

    fn primary(&mut self) -> Read<Expr> {
        let token = self.peek();
        let span = self.shift(token.span);
        match (token.kind, self.text_of(token)) {
            (Kind::Number, text) => {
                let value = self.number(text, span)?;
                self.next();
                Ok(node(ExprKind::Number(value), span))
            }
            (Kind::Str, text) => {
                self.next();
                let inner = text.trim_matches('"').to_owned();
                Ok(node(ExprKind::Str(inner), span))
            }
            (Kind::OpenStr, _) => {
                let d = Diagnostic::error("open-string", "this string does not end on its line")
                    .label(self.file, span, "")
                    .help("close it with `\"`");
                Err(self.report(d))
            }
            (Kind::Word, "true" | "false") => {
                let value = self.text_of(token) == "true";
                self.next();
                Ok(node(ExprKind::Bool(value), span))
            }
            (Kind::Word, "inf") => {
                self.next();
                Ok(node(ExprKind::Number(f64::INFINITY), span))
            }
            (Kind::Word, _) => self.name_or_call(),
            (Kind::Mark, "(") => self.parenthesised(),
            (Kind::Mark, "[") => {
                let (items, close) = self.bracketed()?;
                Ok(node(ExprKind::List(items), span.to(close)))
            }
            _ => Err(self.unexpected("an expression")),
        }
    }

    fn number(&mut self, text: &str, span: Span) -> Read<f64> {
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => {
                let d = Diagnostic::error("bad-number", "this number is out of range")
                    .label(self.file, span, "")
                    .help("numbers reach up to 1.8e308; infinity is `inf`");
                Err(self.report(d))
            }
        }
    }

    fn parenthesised(&mut self) -> Read<Expr> {
        let open = self.open("(", "`(`")?;
        let inner = self.expr()?;
        if !self.is(",") {
            let close = self.close(")", open, "`)` or an operator")?;
            return Ok(node(inner.kind, open.to(close)));
        }
        let mut parts = vec![inner];
        while self.eat(",").is_some() {
            parts.push(self.expr()?);
        }
        let close = self.close(")", open, "`,` or `)`")?;
        Ok(node(ExprKind::Tuple(parts), open.to(close)))
    }

    fn name_or_call(&mut self) -> Read<Expr> {
        let name = self.name("an expression")?;
        if !self.is("(") {
            return Ok(node(ExprKind::Name(name.text), name.span));
        }
        let open = self.open("(", "`(`")?;
        let args = self.arguments()?;
        let close = self.close(")", open, "`,` or `)`")?;
        let span = name.span.to(close);
        match args.body {
            None => Ok(node(
                ExprKind::Call {
                    callee: name,
                    args: args.args,
                    named: args.named,
                },
                span,
            )),
            Some(body) => {
                if !REDUCTIONS.contains(&name.text.as_str()) {
                    let message = format!("`{}` does not run over index variables", name.text);
                    let d = Diagnostic::error("syntax", message)
                        .label(self.file, name.span, "")
                        .help("sum, mean, max, min, prod, any, all, argmax and argmin do: `sum(k: x[k])`");
                    self.report(d);
                }
                let vars = args
                    .args
                    .into_iter()
                    .map(|a| self.index_variable(a))
                    .collect::<Read<_>>()?;
                let body = Box::new(body);
                Ok(node(ExprKind::Reduce { op: name, vars, body }, span))
            }
        }
    }

    fn arguments(&mut self) -> Read<Args> {
        let mut read = Args {
            args: Vec::new(),
            named: Vec::new(),
            body: None,
        };
        self.eat(";");
        while !self.is(")") {
            if let Some(params) = self.named_ahead() {
                let arg = self.named_arg(params)?;
                read.named.push(arg);
            } else {
                let arg = self.expr()?;
                if let Some(named) = read.named.last() {
                    let d = Diagnostic::error("syntax", "positional arguments come first")
                        .label(self.file, arg.span, "has no name")
                        .also(self.file, named.name.span, "a named one before it");
                    return Err(self.report(d));
                }
                read.args.push(arg);
                if self.eat(":").is_some() {
                    read.body = Some(self.expr()?);
                    break;
                }
            }
            if self.eat(",").is_none() && self.eat(";").is_none() {
                break;
            }
        }
        self.distinct(read.named.iter().map(|n| &n.name));
        Ok(read)
    }

    /// Whether `name =` (false) or `name (i, j) =` (true) comes next.
    fn named_ahead(&mut self) -> Option<bool> {
        if !self.is_name() {
            return None;
        }
        let ahead = self.tokens[self.at + 1..]
            .iter()
            .filter(|t| !matches!(t.kind, Kind::Newline | Kind::Doc));
        let mut ahead = ahead.map(|t| (t.kind, t.span.of(self.text)));
        match ahead.next()?.1 {
            "=" => return Some(false),
            "(" => {}
            _ => return None,
        }
        let mut ahead = ahead.skip_while(|(kind, text)| *kind == Kind::Word || *text == ",");
        (ahead.next()?.1 == ")" && ahead.next()?.1 == "=").then_some(true)
    }

    fn named_arg(&mut self, has_params: bool) -> Read<NamedArg> {
        let name = self.name("the name of an argument")?;
        let params = if has_params { self.names()? } else { Vec::new() };
        self.expect("=", "`=`")?;
        let value = self.expr()?;
        Ok(NamedArg { name, params, value })
    }

    /// `(a, b)`.
    pub(super) fn names(&mut self) -> Read<Vec<Ident>> {
        let open = self.open("(", "`(`")?;
        let mut names = Vec::new();
        while !self.is(")") {
            names.push(self.name("a name")?);
            if self.eat(",").is_none() {
                break;
            }
        }
        self.close(")", open, "`,` or `)`")?;
        Ok(names)
    }

    /// `k` or `k < 4`, which was read as an expression.
    fn index_variable(&mut self, expr: Expr) -> Read<(Ident, Option<Expr>)> {
        let span = expr.span;
        match expr.kind {
            ExprKind::Name(text) => return Ok((Ident { text, span }, None)),
            ExprKind::Binary(BinOp::Lt, name, size) => {
                if let ExprKind::Name(text) = name.kind {
                    return Ok((Ident { text, span: name.span }, Some(*size)));
                }
            }
            _ => {}
        }
        let d = Diagnostic::error("syntax", "an index variable is expected here")
            .label(self.file, span, "is not an index variable")
            .help("index variables precede the colon, with their size if it cannot be inferred: `sum(i, k < 4: …)`");
        Err(self.report(d))
    }
}

impl BinOp {
    /// Whether it compares its sides.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            BinOp::Lt | BinOp::Le | BinOp::Gt | BinOp::Ge | BinOp::Eq | BinOp::Ne
        )
    }
}
