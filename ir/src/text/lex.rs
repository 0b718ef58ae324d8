//! Words, numbers and marks of the text form, with their places.

use super::{MAX_NUMBER, MAX_TEXT, ParseError};

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A plain word: letters, digits, `_`, `.`; not beginning with a digit or dot.
    Word(String),
    /// A name in quotes.
    Quoted(String),
    /// A number as written.
    Number(String),
    /// `%3`, `@3` or `$3`.
    Sigil(char, u32),
    /// Any other single character, and `>` for an arrow.
    Mark(char),
    /// The end of the text.
    End,
}

impl Token {
    /// What a message calls the token.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Word(w) | Token::Number(w) => format!("`{w}`"),
            Token::Quoted(q) => format!("{q:?}"),
            Token::Sigil(c, n) => format!("`{c}{n}`"),
            Token::Mark('>') => "`->`".to_owned(),
            Token::Mark(c) => format!("`{c}`"),
            Token::End => "the end of the text".to_owned(),
        }
    }
}

/// A token and where it starts.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) token: Token,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// True for names that are printed without quotes.
pub(super) fn is_word(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(starts_word) && chars.all(in_word)
}

fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

/// All tokens of a text, ending with [`Token::End`].
pub(super) fn lex(text: &str) -> Result<Vec<Spot>, ParseError> {
    if text.len() > MAX_TEXT {
        let message = format!(
            "a text of {} bytes is longer than the {MAX_TEXT} that are read",
            text.len()
        );
        return Err(ParseError {
            line: 1,
            column: 1,
            message,
        });
    }
    let mut lexer = Lexer {
        chars: text.chars().peekable(),
        line: 1,
        column: 1,
    };
    let mut spots = Vec::new();
    loop {
        lexer.skip_blank();
        let (line, column) = (lexer.line, lexer.column);
        let token = lexer.token().map_err(|message| ParseError { line, column, message })?;
        let end = token == Token::End;
        spots.push(Spot { token, line, column });
        if end {
            return Ok(spots);
        }
    }
}

struct Lexer<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    column: usize,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().copied()
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool, into: &mut String) {
        while let Some(c) = self.peek().filter(|c| keep(*c)) {
            into.push(c);
            self.next();
        }
    }

    fn skip_blank(&mut self) {
        while let Some(c) = self.peek() {
            let comment = c == '/' && self.chars.clone().nth(1) == Some('/');
            if comment {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.next();
                }
            } else if c.is_whitespace() {
                self.next();
            } else {
                return;
            }
        }
    }

    fn token(&mut self) -> Result<Token, String> {
        let Some(c) = self.next() else { return Ok(Token::End) };
        match c {
            '"' => self.quoted(),
            '-' if self.peek() == Some('>') => {
                self.next();
                Ok(Token::Mark('>'))
            }
            '%' | '@' | '$' if self.peek().is_some_and(|c| c.is_ascii_digit()) => self.sigil(c),
            '-' => match self.peek() {
                // Minus infinity.
                Some('i') => {
                    let mut word = String::from("-");
                    self.take_while(in_word, &mut word);
                    Ok(Token::Number(word))
                }
                _ => Ok(self.number(c)),
            },
            c if c.is_ascii_digit() => Ok(self.number(c)),
            c if starts_word(c) => {
                let mut word = String::from(c);
                self.take_while(in_word, &mut word);
                Ok(Token::Word(word))
            }
            c => Ok(Token::Mark(c)),
        }
    }

    fn sigil(&mut self, c: char) -> Result<Token, String> {
        let mut digits = String::new();
        self.take_while(|c| c.is_ascii_digit(), &mut digits);
        match digits.parse::<u32>() {
            Ok(n) if n < MAX_NUMBER => Ok(Token::Sigil(c, n)),
            _ => Err(format!(
                "`{c}{digits}` is beyond the largest number, {}",
                MAX_NUMBER - 1
            )),
        }
    }

    fn number(&mut self, first: char) -> Token {
        let mut number = String::from(first);
        self.take_while(|c| c.is_ascii_digit() || c == '.', &mut number);
        if self.peek() == Some('e') {
            number.push('e');
            self.next();
            if let Some(sign) = self.peek().filter(|c| matches!(c, '-' | '+')) {
                number.push(sign);
                self.next();
            }
            self.take_while(|c| c.is_ascii_digit(), &mut number);
        }
        Token::Number(number)
    }

    /// The rest of a quoted name; the escapes are those of Rust's debug form.
    fn quoted(&mut self) -> Result<Token, String> {
        let mut name = String::new();
        loop {
            match self.next() {
                None | Some('\n') => return Err("a name in quotes that does not end".to_owned()),
                Some('"') => return Ok(Token::Quoted(name)),
                Some('\\') => name.push(self.escape()?),
                Some(c) => name.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let unknown = || "an escape that is not known in a quoted name".to_owned();
        match self.next().ok_or_else(unknown)? {
            'n' => Ok('\n'),
            't' => Ok('\t'),
            'r' => Ok('\r'),
            '0' => Ok('\0'),
            c @ ('"' | '\\' | '\'') => Ok(c),
            'u' => {
                let mut hex = String::new();
                self.take_while(|c| c == '{' || c.is_ascii_hexdigit(), &mut hex);
                let closed = self.next() == Some('}');
                let code = u32::from_str_radix(hex.trim_start_matches('{'), 16)
                    .ok()
                    .filter(|_| closed);
                code.and_then(char::from_u32).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        }
    }
}
