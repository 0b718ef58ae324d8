//! How many tokens a condition holds for, where that follows from positions alone.
//!
//! Conditions that depend on data say nothing; neither do those that are not periodic.

use crate::attention::span::AttentionSpan;
use seqc_ir::{
    BinaryOp, Elem, Graph, Op, UnaryOp, Value,
    eval::{apply_binary, apply_unary},
};
use std::collections::{HashMap, HashSet};

/// Longest period that is looked for.
const LONGEST: i64 = 1 << 12;

/// `ticks` of every `period` tokens, in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClockRate {
    /// Tokens where the condition holds.
    pub ticks: u64,
    /// Among this many, one behind the other.
    pub period: u64,
}

impl ClockRate {
    /// Every token, or unknown.
    pub const ALL: ClockRate = ClockRate { ticks: 1, period: 1 };

    /// ClockRate of the condition `on`, a scalar truth value. [`ClockRate::ALL`] where it may hold for all tokens.
    pub fn of(graph: &Graph, on: Value) -> ClockRate {
        Periodic::new(graph, on).map_or(ClockRate::ALL, |periodic| periodic.rate())
    }

    /// The rate of what ticks so often among these ticks.
    pub fn of_those(self, inner: ClockRate) -> ClockRate {
        let (ticks, period) = (self.ticks * inner.ticks, self.period * inner.period);
        let divisor = gcd(ticks as i64, period as i64) as u64;
        ClockRate {
            ticks: ticks / divisor,
            period: period / divisor,
        }
    }

    /// Ticks for each token.
    pub fn share(self) -> f64 {
        self.ticks as f64 / self.period as f64
    }

    /// Tokens that are kept of those that tick, when `context` tokens have been read.
    pub fn kept(self, span: &AttentionSpan, context: f64) -> f64 {
        let ticks = context * self.share();
        span.limit().map_or(ticks, |limit| ticks.min(limit as f64))
    }

    /// Closed form of the number of tokens that are kept of those that tick, in the context length `T`.
    pub fn bound(self, span: &AttentionSpan) -> String {
        let ticks = match (self.ticks, self.period) {
            (1, 1) => "T".to_owned(),
            (0, _) => return "0".to_owned(),
            (1, period) => format!("T / {period}"),
            (ticks, 1) => format!("{ticks} T"),
            (ticks, period) => format!("{ticks} T / {period}"),
        };
        span.bound().replace('T', &ticks)
    }
}

/// A scalar that repeats itself along the sequence, with all it is computed from, operands before users.
struct Periodic<'g> {
    graph: &'g Graph,
    order: Vec<Value>,
    period: i64,
}

/// How a value depends on the position.
#[derive(Clone, Copy)]
enum Form {
    Periodic(i64),
    /// A polynomial in the position: its remainders are periodic.
    Polynomial,
}

impl<'g> Periodic<'g> {
    fn new(graph: &'g Graph, on: Value) -> Option<Periodic<'g>> {
        let (mut below, mut work) = (HashSet::new(), vec![on]);
        while let Some(v) = work.pop() {
            if below.insert(v) {
                work.extend(graph.operands(v));
            }
        }
        let order: Vec<Value> = graph.order().into_iter().filter(|v| below.contains(v)).collect();
        let mut forms = HashMap::new();
        for v in &order {
            let form = form(graph, *v, &forms)?;
            forms.insert(*v, form);
        }
        match forms.get(&on)? {
            Form::Periodic(period) => Some(Periodic {
                graph,
                order,
                period: *period,
            }),
            Form::Polynomial => None,
        }
    }

    fn rate(&self) -> ClockRate {
        let ticks = (0..self.period).filter(|t| self.holds(*t)).count() as i64;
        let divisor = gcd(ticks, self.period);
        ClockRate {
            ticks: (ticks / divisor) as u64,
            period: (self.period / divisor) as u64,
        }
    }

    /// Whether the last value of the order is true at a position.
    fn holds(&self, position: i64) -> bool {
        let mut values: HashMap<Value, f64> = HashMap::new();
        let mut last = 0.0;
        for v in &self.order {
            let operands = self.graph.operands(*v);
            let of = |n: usize| values[&operands[n]];
            let op = self.graph.op(*v);
            // `form` admits no other leaves, and no casts.
            last = if let Op::Unary(op) = op {
                apply_unary(*op, of(0))
            } else if let Op::Binary(op) = op {
                apply_binary(*op, true, of(0), of(1))
            } else if let Op::Select = op {
                of(if of(0) != 0.0 { 1 } else { 2 })
            } else {
                op.as_const().unwrap_or(position as f64)
            };
            values.insert(*v, last);
        }
        last != 0.0
    }
}

/// The form of a value from those of its operands.
fn form(graph: &Graph, v: Value, forms: &HashMap<Value, Form>) -> Option<Form> {
    let ty = graph.ty(v);
    if ty.rank() > 0 || ty.elem == Elem::F32 {
        return None;
    }
    let operands = graph.operands(v);
    let of = |n: usize| forms[&operands[n]];
    let simple = |o: &Value| matches!(forms[o], Form::Polynomial) || matches!(graph.op(*o), Op::Const(_));
    let polynomial = || operands.iter().all(simple) && !operands.iter().all(|o| matches!(graph.op(*o), Op::Const(_)));
    match graph.op(v) {
        Op::Position => Some(Form::Polynomial),
        Op::Const(_) => Some(Form::Periodic(1)),
        Op::Binary(BinaryOp::Mod) if matches!(of(0), Form::Polynomial) => {
            let period = graph.op(operands[1]).as_const()?.abs() as i64;
            (1..=LONGEST).contains(&period).then_some(Form::Periodic(period))
        }
        Op::Unary(UnaryOp::Neg) | Op::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul) if polynomial() => {
            Some(Form::Polynomial)
        }
        Op::Unary(_) | Op::Binary(_) | Op::Select => {
            let mut all = 1;
            for o in &operands {
                let Form::Periodic(period) = forms[o] else { return None };
                all = Some(all / gcd(all, period) * period).filter(|all| *all <= LONGEST)?;
            }
            Some(Form::Periodic(all))
        }
        Op::Param(_) | Op::Input(_) | Op::Iota { .. } | Op::Prev(_) => None,
        Op::Cast | Op::View(_) | Op::Reshape | Op::Concat { .. } | Op::Gather | Op::Reduce { .. } => None,
        Op::MatVec | Op::IndexedMatVec | Op::Delay { .. } | Op::Window { .. } | Op::LongConv => None,
        Op::Reverse | Op::RoundRow(_) | Op::Attend(_) => None,
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(on: &str) -> ClockRate {
        let text = format!(
            "graph g {{ input 0 x : i64 %0 = position : i64 %1 = const(8.0) : i64 %2 = const(7.0) : i64
            %3 = mod %0, %1 : i64 %4 = const(6.0) : i64 %5 = add %0, %2 : i64 %6 = mod %5, %4 : i64
            %7 = input(0) : i64 %8 = mod %7, %1 : i64 %9 = eq %3, %2 : bool %10 = lt %6, %1 : bool
            {on} output y %12 }}"
        );
        let graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}"));
        let (_, v) = graph.outputs[0];
        ClockRate::of(&graph, v)
    }

    #[test]
    fn periods_of_positions_are_found() {
        let of = |ticks, period| ClockRate { ticks, period };
        assert_eq!(rate("%12 = eq %3, %2 : bool"), of(1, 8));
        assert_eq!(rate("%12 = ge %3, %4 : bool"), of(1, 4));
        assert_eq!(rate("%12 = not %9 : bool"), of(7, 8));
        assert_eq!(rate("%12 = and %9, %10 : bool"), of(1, 8));
        assert_eq!(rate("%12 = lt %3, %6 : bool"), of(3, 8));
        for unknown in [
            "%12 = eq %8, %2 : bool",
            "%12 = lt %0, %2 : bool",
            "%12 = gt %3, %7 : bool",
        ] {
            assert_eq!(rate(unknown), ClockRate::ALL, "{unknown}");
        }
    }

    #[test]
    fn bounds_count_ticks() {
        let span = |distance, first| AttentionSpan { distance, first };
        let rate = ClockRate { ticks: 1, period: 8 };
        assert_eq!(rate.bound(&AttentionSpan::ALL), "T / 8");
        assert_eq!(rate.bound(&span(Some(9), 0)), "min(T / 8, 9)");
        assert_eq!(ClockRate::ALL.bound(&span(Some(9), 4)), "min(T, 4 + 9)");
        assert_eq!(ClockRate { ticks: 3, period: 8 }.bound(&AttentionSpan::ALL), "3 T / 8");
    }
}
