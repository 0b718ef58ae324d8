//! What the predicate and the score of an attention imply: computed once and
//! stored in the plan.

use super::{
    clock_rate::ClockRate,
    named::Named,
    policy_entries::{PolicyEntries, Share},
    span::AttentionSpan,
    values_in_keys::values_in_keys,
};
use seqc_ir::{AttendSpec, BinaryOp, Clock, Graph, Op, PairExpr, PairLeaf, UnaryOp, Value};
use std::{collections::HashMap, fmt};

/// What is known of one attention from its expressions alone.
#[derive(Clone, Debug, PartialEq)]
pub struct PairAnalysis {
    /// Keys that some later query of any head can see: what the cache keeps.
    pub span: AttentionSpan,
    /// The same for each query head, where the predicate depends on the head.
    pub of_heads: Vec<AttentionSpan>,
    /// Tokens that are keys.
    pub rate: ClockRate,
    /// A query sees only keys of its own segment.
    pub segment: Option<Segment>,
    /// Visibility depends on positions modulo this.
    pub period: Option<u64>,
    /// What the predicate reads beside positions, heads and numbers.
    pub data: DataUse,
    /// Keys that queries name, where these and some near ones are all that they see.
    pub named: Option<Named>,
    /// The entry of a key where the value begins, where values are a part of the keys: these alone are kept.
    pub values_in_keys: Option<usize>,
    /// Operations of predicate and score for one pair.
    pub operations: usize,
    /// How many entries its cache policy keeps, where it has one.
    pub policy: Option<PolicyEntries>,
    /// Keys are the rows of a memory, all of which are kept.
    pub of_memory: bool,
}

/// Tokens that see one another only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// So many tokens each.
    Length(u64),
    /// Those with the same value of a stream, a document's number say.
    Stream,
}

/// Data that a predicate depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataUse {
    /// Streams at the query.
    pub query: bool,
    /// Streams at the key: pages of keys are never known to be seen as a whole.
    pub key: bool,
    /// Tables.
    pub tables: bool,
}

/// The analyses of all attentions of a graph.
pub fn analyses(graph: &Graph) -> HashMap<Value, PairAnalysis> {
    let found = graph.live_order().into_iter();
    found.filter_map(|v| Some((v, PairAnalysis::of(graph, v)?))).collect()
}

impl PairAnalysis {
    /// What is known of the attention `v`; `None` for what is no attention.
    pub fn of(graph: &Graph, v: Value) -> Option<PairAnalysis> {
        let Op::Attend(spec) = graph.op(v) else { return None };
        let operands = graph.operands(v);
        let heads = graph.ty(operands[0]).dims[0].size;
        let rate = spec.on().map(|on| ClockRate::of(graph, operands[on]));
        let predicate = spec.predicate.as_ref();
        // What positions of two sequences have in common says nothing.
        let among = predicate.filter(|_| spec.clock != Clock::Memory);
        let equal = |query: usize, key: usize| {
            let (query_operands, key_operands) = (spec.query_operands(), spec.key_operands());
            operands[query_operands][query] == operands[key_operands][key]
        };
        let named = Named::of(graph, v);
        Some(PairAnalysis {
            span: AttentionSpan::new(spec, heads),
            of_heads: match predicate {
                Some(predicate) if spec.causal && predicate.uses_head() => {
                    let of_head = |head| AttentionSpan::of_predicate(&predicate.with_head(head), 1);
                    (0..heads).map(of_head).collect()
                }
                _ => Vec::new(),
            },
            rate: rate.unwrap_or(ClockRate::ALL),
            segment: among.and_then(|predicate| Segment::of(predicate, &equal)),
            period: among.and_then(period),
            data: predicate.map(DataUse::of).unwrap_or_default(),
            // Keys that are brought together one by one come with their values.
            values_in_keys: values_in_keys(graph, spec, &operands).filter(|_| named.is_none()),
            named,
            operations: operations(spec),
            of_memory: spec.clock == Clock::Memory,
            policy: spec.policy.as_deref().map(|policy| {
                let heads = graph.ty(operands[1]).dims[0].size;
                PolicyEntries::new(policy, heads)
            }),
        })
    }
}

impl PairAnalysis {
    /// How many tokens are kept, in the length of the context, where its layer runs at `ticks` of them; of a memory `S`, its rows.
    pub fn entries(&self, ticks: ClockRate) -> String {
        match &self.policy {
            _ if self.of_memory => "S".to_owned(),
            Some(policy) => policy.words(Share::All),
            None => ticks.of_those(self.rate).bound(&self.span),
        }
    }

    /// The same with what they are: `T tokens`, `S rows`.
    pub fn kept(&self, ticks: ClockRate) -> String {
        let unit = if self.of_memory { "rows" } else { "tokens" };
        format!("{} {unit}", self.entries(ticks))
    }
}

/// Operations of predicate and score for one pair.
fn operations(spec: &AttendSpec) -> usize {
    let exprs = [&spec.predicate, &spec.score].into_iter().flatten();
    exprs.map(PairExpr::operations).sum()
}

impl Segment {
    /// The segments that a predicate demands: an equality between the same function of the query and of the key. `equal` says
    /// whether a query stream and a key stream are the same stream.
    fn of(predicate: &PairExpr, equal: &dyn Fn(usize, usize) -> bool) -> Option<Segment> {
        predicate.conjuncts().into_iter().find_map(|part| match part {
            PairExpr::Binary(BinaryOp::Eq, x, y) => {
                Segment::equality(x, y, equal).or_else(|| Segment::equality(y, x, equal))
            }
            _ => None,
        })
    }

    /// `of_query == of_key`
    fn equality(of_query: &PairExpr, of_key: &PairExpr, equal: &dyn Fn(usize, usize) -> bool) -> Option<Segment> {
        if let (PairExpr::QueryStream(query), PairExpr::KeyStream(key)) = (of_query, of_key) {
            return equal(*query, *key).then_some(Segment::Stream);
        }
        let at_key = of_query.substitute(&|leaf| match leaf {
            PairLeaf::QueryPos => PairExpr::KeyPos,
            other => other.into(),
        });
        let PairExpr::Unary(UnaryOp::Floor, quotient) = of_query else {
            return None;
        };
        match &**quotient {
            PairExpr::Binary(BinaryOp::Div, x, size) if **x == PairExpr::QueryPos && at_key == *of_key => {
                size.constant().and_then(whole).map(Segment::Length)
            }
            _ => None,
        }
    }
}

/// The modulus of a remainder of positions that a predicate compares with a number.
fn period(predicate: &PairExpr) -> Option<u64> {
    predicate.conjuncts().into_iter().find_map(|part| match part {
        PairExpr::Binary(BinaryOp::Eq, x, y) if y.constant().is_some() => match &**x {
            PairExpr::Binary(BinaryOp::Mod, x, modulus) if !x.uses_data() => modulus.constant().and_then(whole),
            _ => None,
        },
        _ => None,
    })
}

/// A positive whole number.
fn whole(c: f64) -> Option<u64> {
    (c >= 1.0 && c.fract() == 0.0 && c < (1_u64 << 53) as f64).then_some(c as u64)
}

impl DataUse {
    fn of(predicate: &PairExpr) -> DataUse {
        DataUse {
            query: predicate.any(&|e| matches!(e, PairExpr::QueryStream(_) | PairExpr::Listed(..))),
            key: predicate.any(&|e| matches!(e, PairExpr::KeyStream(_))),
            tables: predicate.uses_tables(),
        }
    }
}

/// One line: `keeps min(T, 4 + 2044); by head: min(T, 3), min(T, 6); segments of 6; period 3; reads key streams`.
impl fmt::Display for PairAnalysis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keeps {}", self.rate.bound(&self.span))?;
        if !self.of_heads.is_empty() {
            let bounds: Vec<String> = self.of_heads.iter().map(AttentionSpan::bound).collect();
            write!(f, "; by head: {}", bounds.join(", "))?;
        }
        match self.segment {
            Some(Segment::Length(size)) => write!(f, "; segments of {size}")?,
            Some(Segment::Stream) => write!(f, "; segments of one stream's values")?,
            None => {}
        }
        if let Some(period) = self.period {
            write!(f, "; period {period}")?;
        }
        if let Some(named) = &self.named {
            write!(f, "; sees {named}")?;
        }
        if let Some(first) = self.values_in_keys {
            write!(f, "; values in the keys from {first}")?;
        }
        let DataUse { query, key, tables } = self.data;
        let reads = [(query, "query streams"), (key, "key streams"), (tables, "tables")];
        let reads: Vec<&str> = reads.iter().filter(|(used, _)| *used).map(|(_, what)| *what).collect();
        if !reads.is_empty() {
            write!(f, "; reads {}", reads.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
