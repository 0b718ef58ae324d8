//! Parsing of graphs: the cursor over tokens, types, nodes.

use super::{
    ParseError,
    lex::{Spot, Token, lex},
};
use crate::{
    AttendSpec, BinaryOp, Dim, Elem, Graph, Node, Normaliser, Op, Port, ReduceOp, State, StateId, Ty, UnaryOp, Value,
};
use std::{collections::BTreeMap, str::FromStr};

impl FromStr for Graph {
    type Err = ParseError;

    /// Parses the text form.
    fn from_str(text: &str) -> Result<Graph, ParseError> {
        let mut parser = Parser::new(text)?;
        let graph = parser.graph()?;
        parser.end()?;
        Ok(graph)
    }
}

/// A cursor over the tokens of a text.
pub(super) struct Parser {
    spots: Vec<Spot>,
    at: usize,
}

impl Parser {
    pub(super) fn new(text: &str) -> Result<Parser, ParseError> {
        Ok(Parser {
            spots: lex(text)?,
            at: 0,
        })
    }

    pub(super) fn peek(&self) -> &Token {
        &self.spots[self.at].token
    }

    /// Moves on; the end stays the end.
    pub(super) fn advance(&mut self) {
        self.at = (self.at + 1).min(self.spots.len() - 1);
    }

    pub(super) fn here(&self) -> usize {
        self.at
    }

    pub(super) fn error_at(&self, at: usize, message: impl Into<String>) -> ParseError {
        let spot = &self.spots[at];
        ParseError {
            line: spot.line,
            column: spot.column,
            message: message.into(),
        }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        self.error_at(self.at, message)
    }

    fn wanted(&self, what: &str) -> ParseError {
        self.error(format!("{what} belongs here, found {}", self.peek().describe()))
    }

    pub(super) fn eat(&mut self, mark: char) -> bool {
        let found = *self.peek() == Token::Mark(mark);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect(&mut self, mark: char) -> Result<(), ParseError> {
        if self.eat(mark) {
            Ok(())
        } else {
            Err(self.wanted(&Token::Mark(mark).describe()))
        }
    }

    pub(super) fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(w) if w == word)
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<(), ParseError> {
        if self.eat_word(word) {
            Ok(())
        } else {
            Err(self.wanted(&format!("`{word}`")))
        }
    }

    pub(super) fn word(&mut self, what: &str) -> Result<String, ParseError> {
        let Token::Word(word) = self.peek().clone() else {
            return Err(self.wanted(what));
        };
        self.advance();
        Ok(word)
    }

    pub(super) fn name(&mut self) -> Result<String, ParseError> {
        let (Token::Word(name) | Token::Quoted(name)) = self.peek().clone() else {
            return Err(self.wanted("a name"));
        };
        self.advance();
        Ok(name)
    }

    pub(super) fn sigil(&mut self, mark: char) -> Result<u32, ParseError> {
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

    pub(super) fn integer(&mut self) -> Result<i64, ParseError> {
        self.number("an integer")
    }

    pub(super) fn real(&mut self) -> Result<f64, ParseError> {
        self.number("a number")
    }

    pub(super) fn count(&mut self) -> Result<usize, ParseError> {
        self.number("a number of things")
    }

    /// `open item, item close`, possibly empty.
    pub(super) fn list<T>(
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

    pub(super) fn end(&mut self) -> Result<(), ParseError> {
        if *self.peek() == Token::End {
            Ok(())
        } else {
            Err(self.wanted("the end of the text"))
        }
    }

    pub(super) fn ty(&mut self) -> Result<Ty, ParseError> {
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

    /// `graph NAME { … }`
    pub(super) fn graph(&mut self) -> Result<Graph, ParseError> {
        self.expect_word("graph")?;
        let mut graph = Graph::new(self.name()?);
        self.expect('{')?;
        while self.at_word("param") {
            let port = self.port("param", graph.params.len())?;
            graph.params.push(port);
        }
        while self.at_word("input") {
            let port = self.port("input", graph.inputs.len())?;
            graph.inputs.push(port);
        }
        let mut uses = Vec::new();
        while self.at_word("state") {
            let state = self.state(graph.states.len(), &mut uses)?;
            graph.states.push(state);
        }
        let mut lines = BTreeMap::new();
        while matches!(self.peek(), Token::Sigil('%', _)) {
            let place = self.here();
            let (number, line) = self.node(&mut uses)?;
            if lines.insert(number, line).is_some() {
                return Err(self.error_at(place, format!("`%{number}` is defined twice")));
            }
        }
        while self.eat_word("output") {
            let name = self.name()?;
            let value = self.value(&mut uses)?;
            graph.outputs.push((name, value));
        }
        self.expect('}')?;
        if let Some((place, value)) = uses.into_iter().find(|(_, v)| !lines.contains_key(&v.0)) {
            return Err(self.error_at(place, format!("`{value}` is not defined")));
        }
        fill(&mut graph, lines);
        Ok(graph)
    }

    /// `param 3 NAME : TYPE`, numbered in order.
    fn port(&mut self, word: &str, expected: usize) -> Result<Port, ParseError> {
        self.expect_word(word)?;
        let place = self.here();
        if self.count()? != expected {
            return Err(self.error_at(place, format!("{word}s are numbered in order: {expected} belongs here")));
        }
        let name = self.name()?;
        self.expect(':')?;
        Ok(Port { name, ty: self.ty()? })
    }

    fn state(&mut self, expected: usize, uses: &mut Uses) -> Result<State, ParseError> {
        self.expect_word("state")?;
        let place = self.here();
        if self.sigil('@')? as usize != expected {
            return Err(self.error_at(
                place,
                format!("states are numbered in order: `@{expected}` belongs here"),
            ));
        }
        let name = self.name()?;
        self.expect(':')?;
        let ty = self.ty()?;
        let next = if self.eat_word("next") {
            Some(self.value(uses)?)
        } else {
            None
        };
        Ok(State { name, ty, next })
    }

    fn value(&mut self, uses: &mut Uses) -> Result<Value, ParseError> {
        let place = self.here();
        let value = Value(self.sigil('%')?);
        uses.push((place, value));
        Ok(value)
    }

    /// `%3 = op(constants) operands : type "name"`
    fn node(&mut self, uses: &mut Uses) -> Result<(u32, Line), ParseError> {
        let number = self.sigil('%')?;
        self.expect('=')?;
        let op = self.op()?;
        let mut operands = Vec::new();
        if matches!(self.peek(), Token::Sigil('%', _)) {
            operands.push(self.value(uses)?);
            while self.eat(',') {
                operands.push(self.value(uses)?);
            }
        }
        self.expect(':')?;
        let ty = self.ty()?;
        let mut name = String::new();
        if let Token::Quoted(quoted) = self.peek() {
            name = quoted.clone();
            self.advance();
        }
        Ok((
            number,
            Line {
                node: Node { op, ty, name },
                operands,
            },
        ))
    }

    fn op(&mut self) -> Result<Op, ParseError> {
        let place = self.here();
        let word = self.word("an operation")?;
        let unknown = || self.error_at(place, format!("`{word}` is not an operation"));
        match word.as_str() {
            "position" => Ok(Op::Position),
            "select" => Ok(Op::Select),
            "cast" => Ok(Op::Cast),
            "reshape" => Ok(Op::Reshape),
            "gather" => Ok(Op::Gather),
            "matvec" => Ok(Op::MatVec),
            "view" => Ok(Op::View(self.list('(', ')', |p| p.index_expr(0))?)),
            "param" | "input" | "const" | "iota" | "concat" | "reduce" | "prev" | "delay" | "attend" => {
                self.expect('(')?;
                let op = self.op_with_constants(&word)?;
                self.expect(')')?;
                Ok(op)
            }
            _ => match (UnaryOp::from_name(&word), BinaryOp::from_name(&word)) {
                (Some(op), _) => Ok(Op::Unary(op)),
                (_, Some(op)) => Ok(Op::Binary(op)),
                (None, None) => Err(unknown()),
            },
        }
    }

    fn op_with_constants(&mut self, word: &str) -> Result<Op, ParseError> {
        Ok(match word {
            "param" => Op::Param(self.count()?),
            "input" => Op::Input(self.count()?),
            "const" => Op::Const(self.real()?),
            "prev" => Op::Prev(StateId(self.sigil('@')?)),
            "iota" => Op::Iota {
                axis: self.setting("axis")?,
            },
            "concat" => Op::Concat {
                axis: self.setting("axis")?,
            },
            "delay" => Op::Delay {
                steps: self.setting("steps")?,
            },
            "reduce" => {
                let op = self.one_of("a reduction", ReduceOp::from_name)?;
                self.expect(',')?;
                Op::Reduce {
                    op,
                    axes: self.setting("axes")?,
                }
            }
            _ => Op::Attend(Box::new(self.attend()?)),
        })
    }

    /// `name=3`
    fn setting(&mut self, name: &str) -> Result<usize, ParseError> {
        self.expect_word(name)?;
        self.expect('=')?;
        self.count()
    }

    fn one_of<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> Result<T, ParseError> {
        let place = self.here();
        let word = self.word(what)?;
        find(&word).ok_or_else(|| self.error_at(place, format!("`{word}` is not {what}")))
    }

    fn attend(&mut self) -> Result<AttendSpec, ParseError> {
        self.expect_word("scale")?;
        self.expect('=')?;
        let scale = self.real()?;
        self.expect(',')?;
        let predicate = self.attend_expr("where")?;
        let score = self.attend_expr("score")?;
        self.expect_word("normalise")?;
        self.expect('=')?;
        let normaliser = self.one_of("a normaliser", Normaliser::from_name)?;
        self.expect(',')?;
        self.expect_word("causal")?;
        self.expect('=')?;
        let causal = self.one_of("true or false", |w| w.parse().ok())?;
        let (mut query_streams, mut key_streams) = (0, 0);
        if self.eat(',') {
            query_streams = self.setting("query")?;
            self.expect(',')?;
            key_streams = self.setting("key")?;
        }
        Ok(AttendSpec {
            scale,
            predicate,
            score,
            normaliser,
            causal,
            query_streams,
            key_streams,
        })
    }

    fn attend_expr(&mut self, word: &str) -> Result<Option<crate::ScoreExpr>, ParseError> {
        if !self.eat_word(word) {
            return Ok(None);
        }
        self.expect('=')?;
        let expr = self.score_expr(0)?;
        self.expect(',')?;
        Ok(Some(expr))
    }
}

/// Where values are used, for messages about those that are not defined.
type Uses = Vec<(usize, Value)>;

/// A node before its operands exist.
struct Line {
    node: Node,
    operands: Vec<Value>,
}

/// Adds the nodes under the numbers they have in the text; numbers that the text skips stay free.
fn fill(graph: &mut Graph, lines: BTreeMap<u32, Line>) {
    let count = lines.keys().next_back().map_or(0, |last| last + 1);
    let mut lines: BTreeMap<u32, Line> = lines;
    let mut operands = Vec::new();
    let mut gaps = Vec::new();
    for number in 0..count {
        let Some(line) = lines.remove(&number) else {
            gaps.push(graph.add(Op::Position, Ty::scalar(Elem::I64), &[]));
            continue;
        };
        let value = graph.add(line.node.op, line.node.ty, &[]);
        graph.set_name(value, line.node.name);
        operands.push((value, line.operands));
    }
    for (value, operands) in operands {
        for operand in operands {
            graph.push_operand(value, operand);
        }
    }
    gaps.into_iter().for_each(|gap| graph.remove(gap));
}
