//! Law 11, for caches that a policy governs.

use super::{policy_scope::Scope, report::Report};
use crate::{
    AttendSpec, Clock, Normaliser, PairExpr, Ty, Value,
    policy::{Along, Blocks, Coding, Kind, MAX_QUERIES, MEMORIES, Policy, RANK, SHOWN, Sight},
};
use seqc_formats::Encoding;

/// Checks the policy of an attention whose keys have `widths[0]` entries, its values `widths[1]`.
pub(super) fn check(report: &mut Report<'_>, value: Value, spec: &AttendSpec, types: &[&Ty], widths: [usize; 2]) {
    let Some(policy) = &spec.policy else { return };
    let plain = spec.normaliser == Normaliser::Softmax && spec.causal && spec.clock == Clock::Every && !spec.log_sum;
    report.require(plain, 11, value, || {
        "a policy governs causal softmax attention over all tokens".to_owned()
    });
    if let Err(message) = of_policy(policy, spec, types, widths) {
        report.at(11, value, format!("{message} in the policy"));
    }
}

fn of_policy(policy: &Policy, spec: &AttendSpec, types: &[&Ty], widths: [usize; 2]) -> Result<(), String> {
    let scope = Scope {
        policy,
        definitions: 0,
        closing: 0,
        choosing: 0,
        entry: false,
        channel: false,
        block: false,
        key: false,
        query_head: false,
        seen: false,
        score: false,
    };
    for counter in &policy.counters {
        scope.number(&counter.next)?;
    }
    let entry = Scope { entry: true, ..scope };
    for memory in &policy.memories {
        let memories = Scope {
            score: true,
            query_head: memory.each,
            ..entry
        };
        memories.number(&memory.next)?;
    }
    if policy.sights.is_empty() {
        return Err("nothing is seen".to_owned());
    }
    if let Some(blocks) = &policy.blocks {
        of_blocks(blocks, policy, widths, scope)?;
    }
    for sight in &policy.sights {
        of_sight(sight, policy, scope)?;
    }
    for (n, definition) in policy.definitions.iter().enumerate() {
        let scope = Scope {
            definitions: n,
            ..scope
        };
        of_definition(&definition.kind, n, widths, scope)?;
    }
    let defined = Scope {
        definitions: policy.definitions.len(),
        ..scope
    };
    if let Some(evict) = &policy.evict {
        scope.truth(&evict.at)?;
        if policy.joins_heads() && !Policy::is_of_token(&evict.at) {
            return Err("heads decide together, and not after the same tokens".to_owned());
        }
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
    if policy.joins_heads() && policy.keys.as_ref().is_some_and(|c| c.channels.is_some()) {
        return Err("channels are chosen where heads decide together".to_owned());
    }
    if policy.queries() > MAX_QUERIES {
        return Err(format!("queries of more than {MAX_QUERIES} tokens"));
    }
    of_turn(policy, spec, types, widths[0])
}

fn of_sight(sight: &Sight, policy: &Policy, scope: Scope<'_>) -> Result<(), String> {
    let all = |blocks: &Blocks| (blocks.closing.len(), blocks.choosing.len());
    let (closing, choosing) = policy.blocks.as_ref().map_or((0, 0), all);
    let entry = Scope { entry: true, ..scope };
    if let Some(seen) = &sight.seen {
        let seeing = Scope {
            closing,
            choosing,
            block: true,
            query_head: true,
            seen: true,
            ..entry
        };
        seeing.truth(seen)?;
        if seen.any(&|e| matches!(e, PairExpr::KeyStream(RANK) | PairExpr::QueryStream(SHOWN))) {
            return Err("entries are seen by how many are seen".to_owned());
        }
    }
    Scope { seen: true, ..scope }.number(&sight.query)?;
    Scope { seen: true, ..entry }.number(&sight.key)?;
    if sight
        .key
        .any(&|e| matches!(e, PairExpr::QueryPos | PairExpr::QueryStream(_)))
    {
        return Err("keys turn with the query".to_owned());
    }
    let again = |d: &crate::policy::Definition| matches!(d.kind, Kind::Seen { .. });
    if policy.gathers(sight) && (policy.evict.is_some() || policy.definitions.iter().any(again)) {
        return Err("queries choose among entries some of which leave, or whose weights are computed again".to_owned());
    }
    Ok(())
}

fn of_blocks(blocks: &Blocks, policy: &Policy, widths: [usize; 2], scope: Scope<'_>) -> Result<(), String> {
    if blocks.together == 0 || blocks.refresh == 0 {
        return Err("choices of no tokens".to_owned());
    }
    if blocks.together > 1 && !policy.counters.is_empty() {
        return Err("choices together with numbers that every token updates".to_owned());
    }
    if blocks.size == 0 || policy.evict.is_some() {
        return Err("blocks of nothing, or of entries some of which leave".to_owned());
    }
    let entry = Scope { entry: true, ..scope };
    let remembers = |e: &PairExpr| e.any(&|e| matches!(e, PairExpr::KeyStream(n) if *n >= MEMORIES));
    if blocks.key.as_ref().is_some_and(remembers) {
        return Err("keys of blocks stand where a memory says".to_owned());
    }
    blocks.key.as_ref().map_or(Ok(()), |key| entry.number(key))?;
    blocks.query.as_ref().map_or(Ok(()), |query| scope.number(query))?;
    let closing = Scope {
        block: true,
        query_head: true,
        ..scope
    };
    for (n, definition) in blocks.closing.iter().enumerate() {
        let scope = Scope { closing: n, ..closing };
        let entry = Scope { entry: true, ..scope };
        let channel = Scope { channel: true, ..scope };
        let both = Scope {
            channel: true,
            score: true,
            ..entry
        };
        match &definition.kind {
            Kind::Fold { of, among, values, .. } => {
                if *values && widths[0] != widths[1] {
                    return Err("channels of keys and values that are not as many".to_owned());
                }
                both.number(of)?;
                entry.truth(among)?;
            }
            Kind::Entry(e) => entry.number(e)?,
            Kind::Over { of, among, .. } => {
                entry.number(of)?;
                entry.truth(among)?;
            }
            Kind::Top {
                by,
                count,
                among,
                heads: false,
            } => {
                entry.number(by)?;
                scope.number(count)?;
                entry.truth(among)?;
            }
            Kind::VectorSum { of, values } => {
                if *values && widths[0] != widths[1] {
                    return Err("channels of keys and values that are not as many".to_owned());
                }
                both.number(of)?;
            }
            Kind::Channel(e) => channel.number(e)?,
            Kind::Within => {}
            _ => return Err(format!("{} is no number of a closed block", definition.kind)),
        }
    }
    let choosing = Scope {
        closing: blocks.closing.len(),
        block: true,
        query_head: true,
        ..scope
    };
    for (n, definition) in blocks.choosing.iter().enumerate() {
        let block = Scope {
            choosing: n,
            ..choosing
        };
        let cache = Scope { block: false, ..block };
        match &definition.kind {
            Kind::Entry(e) | Kind::Heads { of: e, .. } => block.number(e)?,
            Kind::Over { of, among, .. } => {
                block.number(of)?;
                block.truth(among)?;
            }
            Kind::Top {
                by,
                count,
                among,
                heads: false,
            } => {
                block.number(by)?;
                cache.number(count)?;
                block.truth(among)?;
            }
            Kind::Fewest { of, sum, among } => {
                block.number(of)?;
                cache.number(sum)?;
                block.truth(among)?;
            }
            Kind::QuerySum { of, .. } => {
                let channel = Scope {
                    channel: true,
                    score: true,
                    ..block
                };
                channel.number(of)?;
            }
            Kind::EntrySum { of, .. } => {
                let pair = Scope {
                    channel: true,
                    score: true,
                    key: true,
                    ..block
                };
                pair.number(of)?;
            }
            Kind::Search { by, count } if *count > 0 => block.number(by)?,
            Kind::QueryFold { of, .. } => {
                let channel = Scope {
                    channel: true,
                    score: true,
                    ..cache
                };
                channel.number(of)?;
            }
            _ => return Err(format!("{} is no number by which blocks are chosen", definition.kind)),
        }
    }
    Ok(())
}

/// A sum over the channels of keys or values; what has a number for each channel has one for each of a key.
fn of_sum(of: &PairExpr, values: bool, widths: [usize; 2], scope: Scope<'_>) -> Result<(), String> {
    let channels = of.any(&|e| matches!(e, PairExpr::KeyStream(n) if scope.is_of_channels(*n)));
    if values && channels && widths[0] != widths[1] {
        return Err("channels of keys and values that are not as many".to_owned());
    }
    scope.number(of)
}

fn of_definition(kind: &Kind, n: usize, widths: [usize; 2], scope: Scope<'_>) -> Result<(), String> {
    let policy = scope.policy;
    let entry = Scope { entry: true, ..scope };
    let channel = Scope { channel: true, ..scope };
    let both = Scope {
        channel: true,
        score: true,
        ..entry
    };
    match kind {
        Kind::Entry(e) => entry.number(e),
        Kind::Pool { of, window, among, .. } => {
            let known = *of < n && policy.definitions.get(*of).is_some_and(|d| !d.kind.of_channels());
            if !known || window.size == 0 {
                return Err("a window over what is not defined before it".to_owned());
            }
            entry.truth(among)
        }
        Kind::Top {
            by,
            count,
            among,
            heads,
        } => {
            entry.number(by)?;
            scope.number(count)?;
            if *heads && !Policy::is_of_token(count) {
                return Err("heads compete for a number of entries that they do not agree on".to_owned());
            }
            entry.truth(among)
        }
        Kind::Heads {
            of: PairExpr::KeyStream(of),
            members: false,
            ..
        } if of.checked_sub(policy.stream_of(0)).is_some_and(|of| of < n) => entry.number(&PairExpr::KeyStream(*of)),
        Kind::Over { of, among, .. } => {
            entry.number(of)?;
            entry.truth(among)
        }
        Kind::Fewest { of, sum, among } => {
            entry.number(of)?;
            scope.number(sum)?;
            entry.truth(among)
        }
        Kind::Seen { queries } if *queries > 0 => Ok(()),
        Kind::Seen { .. } => Err("no queries".to_owned()),
        Kind::VectorSum { of, values } => of_sum(of, *values, widths, both),
        Kind::Channel(e) => channel.number(e),
        Kind::KeyMean(e) => both.number(e),
        Kind::QueryMean { of, queries } if *queries > 0 => Scope { score: true, ..channel }.number(of),
        Kind::QueryMean { .. } => Err("no queries".to_owned()),
        Kind::Within
        | Kind::Fold { .. }
        | Kind::QuerySum { .. }
        | Kind::QueryFold { .. }
        | Kind::EntrySum { .. }
        | Kind::Search { .. }
        | Kind::Heads { .. } => Err(format!("{kind} is a number of blocks")),
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
    let begins = coding.along == Along::Channels || coding.group == 0 || coding.from.is_multiple_of(coding.group);
    if coding.from > 0 && (coding.until.is_none() || !begins) {
        return Err("codes of entries before which some stay as they are".to_owned());
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
