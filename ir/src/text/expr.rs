//! Parsing of index maps and score functions.

use super::{MAX_DEPTH, ParseError, cursor::Parser, lex::Token};
use crate::{BinaryOp, IndexExpr, PairExpr, UnaryOp};

impl Parser {
    /// Reads `term + term + …`; `depth` is how deep it is nested in others.
    pub fn index_expr(&mut self, depth: usize) -> Result<IndexExpr, ParseError> {
        let mut sum = self.index_term(depth)?;
        for terms in 0.. {
            if !self.eat('+') {
                break;
            }
            if terms == MAX_DEPTH {
                return Err(self.error("too many terms in one index"));
            }
            sum = IndexExpr::Add(Box::new(sum), Box::new(self.index_term(depth)?));
        }
        Ok(sum)
    }

    /// `atom * 2 / 3 % 4`, from left to right.
    fn index_term(&mut self, depth: usize) -> Result<IndexExpr, ParseError> {
        let mut term = self.index_atom(depth)?;
        for _ in 0..MAX_DEPTH {
            if self.eat('*') {
                term = IndexExpr::Mul(Box::new(term), self.integer()?);
            } else if self.eat('/') {
                term = IndexExpr::Div(Box::new(term), self.integer()?);
            } else if self.eat('%') {
                term = IndexExpr::Mod(Box::new(term), self.integer()?);
            } else {
                return Ok(term);
            }
        }
        Err(self.error("too many factors in one index"))
    }

    fn index_atom(&mut self, depth: usize) -> Result<IndexExpr, ParseError> {
        let depth = self.deeper(depth)?;
        if self.eat('(') {
            let inner = self.index_expr(depth)?;
            self.expect(')')?;
            return Ok(inner);
        }
        if let Token::Word(word) = self.peek()
            && let Some(axis) = word.strip_prefix('i').and_then(|n| n.parse().ok())
        {
            self.advance();
            return Ok(IndexExpr::Axis(axis));
        }
        Ok(IndexExpr::Const(self.integer()?))
    }

    /// A word, a number, or `function(argument, …)`.
    pub(super) fn score_expr(&mut self, depth: usize) -> Result<PairExpr, ParseError> {
        let depth = self.deeper(depth)?;
        let Token::Word(word) = self.peek().clone() else {
            return Ok(PairExpr::Const(self.real()?));
        };
        if matches!(word.as_str(), "inf" | "nan") {
            return Ok(PairExpr::Const(self.real()?));
        }
        let place = self.here();
        self.advance();
        let stream = |prefix: char| word.strip_prefix(prefix).and_then(|n| n.parse::<usize>().ok());
        match word.as_str() {
            "s" => return Ok(PairExpr::Score),
            "i" => return Ok(PairExpr::QueryPos),
            "j" => return Ok(PairExpr::KeyPos),
            "head" => return Ok(PairExpr::Head),
            _ => {}
        }
        if let Some(n) = stream('q') {
            return Ok(PairExpr::QueryStream(n));
        }
        if let Some(n) = stream('k') {
            return Ok(PairExpr::KeyStream(n));
        }
        let args = self.list('(', ')', |p| p.score_expr(depth))?;
        if let Some(n) = stream('t') {
            return Ok(PairExpr::Table(n, args));
        }
        if let (Some(n), [x]) = (word.strip_prefix("listed").and_then(|n| n.parse().ok()), &args[..]) {
            return Ok(PairExpr::Listed(n, Box::new(x.clone())));
        }
        apply(&word, args)
            .ok_or_else(|| self.error_at(place, format!("`{word}` of that many arguments is not known here")))
    }

    fn deeper(&self, depth: usize) -> Result<usize, ParseError> {
        if depth < MAX_DEPTH {
            Ok(depth + 1)
        } else {
            Err(self.error("expressions are nested too deeply"))
        }
    }
}

fn apply(word: &str, args: Vec<PairExpr>) -> Option<PairExpr> {
    let mut args = args.into_iter().map(Box::new);
    let expr = match (args.len(), word) {
        (3, "select") => PairExpr::Select(args.next()?, args.next()?, args.next()?),
        (1, "after") => PairExpr::After(args.next()?),
        (1, _) => PairExpr::Unary(UnaryOp::from_name(word)?, args.next()?),
        (2, _) => PairExpr::Binary(BinaryOp::from_name(word)?, args.next()?, args.next()?),
        _ => return None,
    };
    Some(expr)
}
