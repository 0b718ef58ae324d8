//! Parsing of graphs.

use super::{ParseError, cursor::Parser, lex::Token};
use crate::{
    AttendSpec, BinaryOp, Clock, Elem, Graph, Node, Normaliser, Op, Port, ReduceOp, Rounding, State, StateId, Ty,
    UnaryOp, Value,
};
use seqc_formats::Encoding;
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

impl Parser {
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
        if let Some(op) = PLAIN.iter().find(|op| op.word() == word) {
            return Ok(op.clone());
        }
        if let Some(op) = UnaryOp::from_name(&word) {
            return Ok(Op::Unary(op));
        }
        if let Some(op) = BinaryOp::from_name(&word) {
            return Ok(Op::Binary(op));
        }
        let unknown = self.error_at(place, format!("`{word}` is not an operation"));
        if !Op::NAMES.contains(&word.as_str()) {
            return Err(unknown);
        }
        if word == "view" {
            return Ok(Op::View(self.list('(', ')', |p| p.index_expr(0))?));
        }
        self.expect('(')?;
        let op = self.op_with_constants(&word)?.ok_or(unknown)?;
        self.expect(')')?;
        Ok(op)
    }

    fn op_with_constants(&mut self, word: &str) -> Result<Option<Op>, ParseError> {
        Ok(Some(match word {
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
            "window" => {
                let taps = self.setting("taps")?;
                self.expect(',')?;
                Op::Window {
                    taps,
                    step: self.setting("step")?,
                }
            }
            "reduce" => {
                let op = self.one_of("a reduction", ReduceOp::from_name)?;
                self.expect(',')?;
                Op::Reduce {
                    op,
                    axes: self.setting("axes")?,
                }
            }
            "round_row" => Op::RoundRow(self.one_of("a rounding", Rounding::named)?),
            "attend" => Op::Attend(Box::new(self.attend()?)),
            _ => return Ok(None),
        }))
    }

    /// Reads `name=3`.
    pub fn setting(&mut self, name: &str) -> Result<usize, ParseError> {
        self.expect_word(name)?;
        self.expect('=')?;
        self.count()
    }

    /// Reads a word that `find` accepts; `what` says of which kind.
    pub fn one_of<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> Result<T, ParseError> {
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
        let normaliser = if self.eat_word("top") {
            self.expect('(')?;
            let n = self.count()?;
            self.expect(')')?;
            Normaliser::Top(n)
        } else {
            self.one_of("a normaliser", Normaliser::from_name)?
        };
        self.expect(',')?;
        let mut spec = AttendSpec {
            scale,
            predicate,
            score,
            normaliser,
            ..AttendSpec::default()
        };
        self.expect_word("causal")?;
        self.expect('=')?;
        spec.causal = self.one_of("true or false", |w| w.parse().ok())?;
        while self.eat(',') {
            let place = self.here();
            let word = self.word("an option of attend")?;
            self.expect('=')?;
            match word.as_str() {
                "clock" => spec.clock = self.one_of("a clock", Clock::from_name)?,
                "log_sum" => spec.log_sum = self.one_of("true or false", |w| w.parse().ok())?,
                "stored" => spec.stored = self.one_of("an encoding", Encoding::named)?,
                "policy" => spec.policy = Some(Box::new(self.policy()?)),
                "query" => spec.query_streams = self.count()?,
                "key" => spec.key_streams = self.count()?,
                "together" => spec.together = self.count()?,
                "tables" => spec.tables = self.count()?,
                _ => return Err(self.error_at(place, format!("`{word}` is no option of attend"))),
            }
        }
        Ok(spec)
    }

    fn attend_expr(&mut self, word: &str) -> Result<Option<crate::PairExpr>, ParseError> {
        if !self.eat_word(word) {
            return Ok(None);
        }
        self.expect('=')?;
        let expr = self.score_expr(0)?;
        self.expect(',')?;
        Ok(Some(expr))
    }
}

/// Operations without constants, other than functions.
const PLAIN: [Op; 9] = [
    Op::Position,
    Op::Select,
    Op::Cast,
    Op::Reshape,
    Op::Gather,
    Op::MatVec,
    Op::IndexedMatVec,
    Op::LongConv,
    Op::Reverse,
];

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
