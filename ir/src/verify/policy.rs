//! Law 11, for caches that a policy governs.

use super::{
    report::Report,
    typed::{self, Typed},
};
use crate::{
    AttendSpec, BinaryOp, Clock, Normaliser, PairDomain, PairExpr, PairLeaf, Ty, UnaryOp, Value,
    policy::{Along, COUNTERS, Coding, Kind, MEMORIES, Policy},
};
use seqc_formats::Encoding;

/// Most tokens whose queries are kept.
const MAX_QUERIES: usize = 1024;

/// Checks the policy of an attention whose keys have `widths[0]` entries, its values `widths[1]`.
pub(super) fn check(report: &mut Report<'_>, value: Value, spec: &AttendSpec, types: &[&Ty], widths: [usize; 2]) {
    let Some(policy) = &spec.policy else { return };
    let plain = spec.normaliser == Normaliser::Softmax
        && spec.causal
        && spec.clock == Clock::Every
        && !spec.log_sum
        && spec.key_streams == 0;
    report.require(plain, 11, value, || {
        "a policy governs causal softmax attention over all tokens without key streams".to_owned()
    });
    if let Err(message) = of_policy(policy, spec, types, widths) {
        report.at(11, value, format!("{message} in the policy"));
    }
}

fn of_policy(policy: &Policy, spec: &AttendSpec, types: &[&Ty], widths: [usize; 2]) -> Result<(), String> {
    let scope = Scope {
        policy,
        definitions: 0,
        entry: false,
        channel: false,
        score: false,
    };
    for counter in &policy.counters {
        scope.number(&counter.next)?;
    }
    let entry = Scope { entry: true, ..scope };
    for memory in &policy.memories {
        Scope { score: true, ..entry }.number(&memory.next)?;
    }
    if policy.sights.is_empty() {
        return Err("nothing is seen".to_owned());
    }
    for sight in &policy.sights {
        if let Some(seen) = &sight.seen {
            entry.truth(seen)?;
        }
        scope.number(&sight.query)?;
        entry.number(&sight.key)?;
        if sight
            .key
            .any(&|e| matches!(e, PairExpr::QueryPos | PairExpr::QueryStream(_)))
        {
            return Err("keys turn with the query".to_owned());
        }
    }
    for (n, definition) in policy.definitions.iter().enumerate() {
        let scope = Scope {
            definitions: n,
            ..scope
        };
        of_definition(&definition.kind, n, policy, scope)?;
    }
    let defined = Scope {
        definitions: policy.definitions.len(),
        ..scope
    };
    if let Some(evict) = &policy.evict {
        scope.truth(&evict.at)?;
        Scope { entry: true, ..defined }.truth(&evict.keep)?;
    }
    for (coding, width) in [(&policy.keys, widths[0]), (&policy.values, widths[1])] {
        if let Some(coding) = coding {
            of_coding(coding, policy, spec, width, scope)?;
        }
    }
    if policy.values.as_ref().is_some_and(|c| c.channels.is_some()) {
        return Err("channels of values are chosen".to_owned());
    }
    if policy.queries() > MAX_QUERIES {
        return Err(format!("queries of more than {MAX_QUERIES} tokens"));
    }
    if policy.queries() > 0 && spec.query_streams > 0 {
        return Err("queries of earlier tokens, whose streams are not kept".to_owned());
    }
    of_turn(policy, spec, types, widths[0])
}

fn of_definition(kind: &Kind, n: usize, policy: &Policy, scope: Scope<'_>) -> Result<(), String> {
    let entry = Scope { entry: true, ..scope };
    let channel = Scope { channel: true, ..scope };
    match kind {
        Kind::Entry(e) => entry.number(e),
        Kind::Pool { of, size, among, .. } => {
            let known = *of < n && policy.definitions.get(*of).is_some_and(|d| !d.kind.of_channels());
            if !known || *size == 0 {
                return Err("a window over what is not defined before it".to_owned());
            }
            entry.truth(among)
        }
        Kind::Top { by, count, among } => {
            entry.number(by)?;
            scope.number(count)?;
            entry.truth(among)
        }
        Kind::Over { of, among, .. } => {
            entry.number(of)?;
            entry.truth(among)
        }
        Kind::Seen { queries } if *queries > 0 => Ok(()),
        Kind::Seen { .. } => Err("no queries".to_owned()),
        Kind::KeySum(e) => Scope {
            channel: true,
            score: true,
            ..entry
        }
        .number(e),
        Kind::Channel(e) => channel.number(e),
        Kind::KeyMean(e) => Scope { score: true, ..channel }.number(e),
        Kind::QueryMean { of, queries } if *queries > 0 => Scope { score: true, ..channel }.number(of),
        Kind::QueryMean { .. } => Err("no queries".to_owned()),
    }
}

fn of_coding(
    coding: &Coding,
    policy: &Policy,
    spec: &AttendSpec,
    width: usize,
    scope: Scope<'_>,
) -> Result<(), String> {
    if let Some(until) = &coding.until {
        scope.number(until)?;
    }
    if !matches!(coding.bits, 2 | 4 | 8 | 32) {
        return Err(format!("codes of {} bits", coding.bits));
    }
    if coding.group == 0 || spec.stored != Encoding::F32 {
        return Err("codes of nothing, or of numbers that are rounded before".to_owned());
    }
    if coding.along == Along::Tokens && coding.bits < 32 {
        let fits = coding.until.is_some() && policy.evict.is_none() && coding.group <= 64 && 64 % coding.group == 0;
        if !fits {
            return Err("groups along tokens that do not stay together".to_owned());
        }
    }
    let Some(channels) = &coding.channels else {
        return Ok(());
    };
    let known = policy
        .definitions
        .get(channels.by)
        .is_some_and(|d| d.kind.of_channels());
    if !known || channels.count == 0 || channels.count > width || coding.until.is_none() || policy.turn.is_some() {
        return Err("channels that cannot be chosen".to_owned());
    }
    if coding.along == Along::Channels && coding.bits < 32 {
        return Err("groups of channels some of which are not stored".to_owned());
    }
    Ok(())
}

fn of_turn(policy: &Policy, spec: &AttendSpec, types: &[&Ty], width: usize) -> Result<(), String> {
    let Some(turn) = policy.turn else { return Ok(()) };
    let angles = spec.angles().and_then(|n| types.get(n));
    if angles.is_none_or(|ty| ty.sizes() != [turn.pairs]) || 2 * turn.pairs > width || !turn.magnitude.is_finite() {
        return Err("rotary positions that do not fit".to_owned());
    }
    Ok(())
}

/// What expressions may read.
#[derive(Clone, Copy)]
struct Scope<'a> {
    policy: &'a Policy,
    /// Definitions that come before.
    definitions: usize,
    entry: bool,
    channel: bool,
    score: bool,
}

impl Scope<'_> {
    fn number(mut self, e: &PairExpr) -> Result<(), String> {
        match self.value(e)? {
            true => Err("a truth value is no number".to_owned()),
            false => Ok(()),
        }
    }

    fn truth(mut self, e: &PairExpr) -> Result<(), String> {
        // 0 and 1 are what is known of a condition.
        match self.value(e)? || matches!(e, PairExpr::Const(_)) {
            true => Ok(()),
            false => Err("a number is no truth value".to_owned()),
        }
    }

    fn reads(&self, n: usize) -> Result<(), String> {
        let memories = self.policy.memories.len();
        let Some(definition) = n.checked_sub(MEMORIES + memories) else {
            let known = self.entry || (self.channel && n < MEMORIES);
            return known
                .then_some(())
                .ok_or_else(|| "an entry is read where there is none".to_owned());
        };
        let kind = self
            .policy
            .definitions
            .get(definition)
            .filter(|_| definition < self.definitions);
        let there = kind.is_some_and(|d| if d.kind.of_channels() { self.channel } else { self.entry });
        there
            .then_some(())
            .ok_or_else(|| format!("definition {definition} is read where it is not there"))
    }
}

impl PairDomain for Scope<'_> {
    type Value = Typed;

    fn leaf(&mut self, leaf: PairLeaf) -> Typed {
        match leaf {
            PairLeaf::Score if !self.score => Err("there is no weight or number".to_owned()),
            PairLeaf::KeyPos if !self.entry => Err("there is no entry".to_owned()),
            PairLeaf::QueryStream(n) if n >= COUNTERS + self.policy.counters.len() => {
                Err(format!("there is no counter {n}"))
            }
            PairLeaf::KeyStream(n) => self.reads(n).map(|()| false),
            PairLeaf::Score
            | PairLeaf::QueryPos
            | PairLeaf::KeyPos
            | PairLeaf::Head
            | PairLeaf::QueryStream(_)
            | PairLeaf::Const(_) => Ok(false),
        }
    }

    fn unary(&mut self, op: UnaryOp, x: Typed) -> Typed {
        typed::unary(op, x)
    }

    fn binary(&mut self, op: BinaryOp, x: Typed, y: Typed) -> Typed {
        typed::binary(op, x, y)
    }

    fn select(&mut self, c: Typed, a: Typed, b: Typed) -> Typed {
        typed::select(c, a, b)
    }

    fn table(&mut self, _: usize, _: Vec<Typed>) -> Typed {
        Err("policies have no tables".to_owned())
    }
}
