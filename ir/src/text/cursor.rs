//! The cursor over tokens: what belongs here, lists, names, numbers, types.

use super::{
    ParseError,
    lex::{Spot, Token, lex},
};
use crate::{Dim, Elem, Ty};
use std::str::FromStr;

/// A cursor over the tokens of a text. Its methods consume one token or construct, or return an error that says what was expected.
pub struct Parser {
    spots: Vec<Spot>,
    at: usize,
}

impl Parser {
    /// At the first token.
    pub fn new(text: &str) -> Result<Parser, ParseError> {
        Ok(Parser {
            spots: lex(text)?,
            at: 0,
        })
    }

    /// The next token.
    pub fn peek(&self) -> &Token {
        &self.spots[self.at].token
    }

    /// Moves on; the end stays the end.
    pub fn advance(&mut self) {
        self.at = (self.at + 1).min(self.spots.len() - 1);
    }

    /// The place of the next token, for [`Parser::error_at`].
    pub fn here(&self) -> usize {
        self.at
    }

    /// An error at a place.
    pub fn error_at(&self, at: usize, message: impl Into<String>) -> ParseError {
        let spot = &self.spots[at];
        ParseError {
            line: spot.line,
            column: spot.column,
            message: message.into(),
        }
    }

    /// An error at the next token.
    pub fn error(&self, message: impl Into<String>) -> ParseError {
        self.error_at(self.at, message)
    }

    /// The error that something else belongs here.
    pub fn wanted(&self, what: &str) -> ParseError {
        self.error(format!("{what} belongs here, found {}", self.peek().describe()))
    }

    /// Reads a mark if it is next.
    pub fn eat(&mut self, mark: char) -> bool {
        let found = *self.peek() == Token::Mark(mark);
        if found {
            self.advance();
        }
        found
    }

    /// Reads a mark.
    pub fn expect(&mut self, mark: char) -> Result<(), ParseError> {
        if self.eat(mark) {
            Ok(())
        } else {
            Err(self.wanted(&Token::Mark(mark).describe()))
        }
    }

    /// True when this word is next.
    pub fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(w) if w == word)
    }

    /// Reads a word if it is next.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.advance();
        }
        found
    }

    /// Reads a word.
    pub fn expect_word(&mut self, word: &str) -> Result<(), ParseError> {
        if self.eat_word(word) {
            Ok(())
        } else {
            Err(self.wanted(&format!("`{word}`")))
        }
    }

    /// Reads any word; `what` says which kind of one belongs here.
    pub fn word(&mut self, what: &str) -> Result<String, ParseError> {
        let Token::Word(word) = self.peek().clone() else {
            return Err(self.wanted(what));
        };
        self.advance();
        Ok(word)
    }

    /// Reads a name, plain or in quotes.
    pub fn name(&mut self) -> Result<String, ParseError> {
        let (Token::Word(name) | Token::Quoted(name)) = self.peek().clone() else {
            return Err(self.wanted("a name"));
        };
        self.advance();
        Ok(name)
    }

    /// Reads `%3`, `@3` or `$3`, by their mark.
    pub fn sigil(&mut self, mark: char) -> Result<u32, ParseError> {
        match *self.peek() {
            Token::Sigil(found, n) if found == mark => {
                self.advance();
                Ok(n)
            }
            _ => Err(self.wanted(&format!("a `{mark}` with a number"))),
        }
    }

    fn number<T: FromStr>(&mut self, what: &str) -> Result<T, ParseError> {
        let (Token::Number(text) | Token::Word(text)) = self.peek() else {
            return Err(self.wanted(what));
        };
        let number = text.parse().map_err(|_| self.wanted(what))?;
        self.advance();
        Ok(number)
    }

    /// Reads an integer.
    pub fn integer(&mut self) -> Result<i64, ParseError> {
        self.number("an integer")
    }

    /// Reads a real number.
    pub fn real(&mut self) -> Result<f64, ParseError> {
        self.number("a number")
    }

    /// Reads a number of things.
    pub fn count(&mut self) -> Result<usize, ParseError> {
        self.number("a number of things")
    }

    /// `open item, item close`, possibly empty.
    pub fn list<T>(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Parser) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.expect(open)?;
        let mut items = Vec::new();
        if self.eat(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat(close) {
                return Ok(items);
            }
            self.expect(',')?;
        }
    }

    /// The text ends here.
    pub fn end(&mut self) -> Result<(), ParseError> {
        if *self.peek() == Token::End {
            Ok(())
        } else {
            Err(self.wanted("the end of the text"))
        }
    }

    /// Reads a type, `f32[h=4, 16]`.
    pub fn ty(&mut self) -> Result<Ty, ParseError> {
        let place = self.here();
        let word = self.word("an element type")?;
        let elem =
            Elem::from_name(&word).ok_or_else(|| self.error_at(place, format!("`{word}` is not an element type")))?;
        let scalar = *self.peek() != Token::Mark('[');
        let dims = if scalar {
            Vec::new()
        } else {
            self.list('[', ']', Parser::dim)?
        };
        Ok(Ty::new(elem, dims))
    }

    fn dim(&mut self) -> Result<Dim, ParseError> {
        if matches!(self.peek(), Token::Number(_)) {
            return Ok(Dim::new("", self.count()?));
        }
        let name = self.name()?;
        self.expect('=')?;
        Ok(Dim::new(name, self.count()?))
    }
}
