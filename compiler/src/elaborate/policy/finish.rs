//! The policy of an elaborated body: what is needed of its definitions, with their final numbers.

use super::state::{Class, Making, definition_of};
use seqc_ir::{
    PairExpr, PairLeaf,
    policy::{Definition, Kind, MEMORIES, Policy, Recurrence, Sight},
};
use std::collections::HashMap;

/// The policy; without [`Policy::turn`], which the attention decides.
pub(super) fn policy(making: Making) -> Policy {
    let counters = recurrences(&making, false);
    let memories = recurrences(&making, true);
    let mut sights = making.sights;
    if !making.sees {
        sights.push(Sight {
            seen: None,
            query: PairExpr::QueryPos,
            key: PairExpr::KeyPos,
        });
    }
    let mut policy = Policy {
        counters,
        memories,
        definitions: Vec::new(),
        evict: making.kept.flatten(),
        sights,
        keys: making.keys.flatten(),
        values: making.values.flatten(),
        turn: None,
    };
    let numbers = needed(&policy, &making.definitions);
    renumber(&mut policy, making.definitions, &numbers);
    policy
}

/// Counters, or memories, in order.
fn recurrences(making: &Making, memories: bool) -> Vec<Recurrence> {
    let mut found: Vec<(usize, &String)> = making
        .names
        .iter()
        .filter_map(|(name, named)| match named.class {
            Class::Counter(n) if !memories => Some((n, name)),
            Class::Memory(n) if memories => Some((n, name)),
            _ => None,
        })
        .collect();
    found.sort_unstable();
    found
        .into_iter()
        .map(|(_, name)| Recurrence {
            name: name.clone(),
            init: making.init.get(name).copied().unwrap_or(0.0),
            next: making.next.get(name).cloned().unwrap_or(PairExpr::Const(0.0)),
        })
        .collect()
}

/// New numbers of the definitions that entries and channels are chosen by, directly or through others.
fn needed(policy: &Policy, definitions: &[Definition]) -> HashMap<usize, usize> {
    let mut wanted = vec![false; definitions.len()];
    let mut work: Vec<usize> = policy
        .evict
        .iter()
        .flat_map(|e| [&e.at, &e.keep])
        .flat_map(read_by)
        .collect();
    let codings = [&policy.keys, &policy.values].into_iter().flatten();
    work.extend(codings.filter_map(|c| Some(c.channels.as_ref()?.by)));
    while let Some(n) = work.pop() {
        if std::mem::replace(&mut wanted[n], true) {
            continue;
        }
        let kind = &definitions[n].kind;
        work.extend(kind.expressions().into_iter().flat_map(read_by));
        if let Kind::Pool { of, .. } = kind {
            work.push(*of);
        }
    }
    let kept = (0..definitions.len()).filter(|n| wanted[*n]);
    kept.enumerate().map(|(new, old)| (old, new)).collect()
}

/// Definitions that an expression reads.
fn read_by(e: &PairExpr) -> Vec<usize> {
    let leaves = e.leaves().into_iter();
    leaves
        .filter_map(|leaf| match leaf {
            PairLeaf::KeyStream(n) => definition_of(n),
            _ => None,
        })
        .collect()
}

fn renumber(policy: &mut Policy, definitions: Vec<Definition>, numbers: &HashMap<usize, usize>) {
    let first = MEMORIES + policy.memories.len();
    let new = |e: &mut PairExpr| {
        *e = e.substitute(&|leaf| match leaf {
            PairLeaf::KeyStream(n) => match definition_of(n).and_then(|n| numbers.get(&n)) {
                Some(n) => PairExpr::KeyStream(first + n),
                None => leaf.into(),
            },
            other => other.into(),
        });
    };
    for (old, mut definition) in definitions.into_iter().enumerate() {
        if !numbers.contains_key(&old) {
            continue;
        }
        match &mut definition.kind {
            Kind::Entry(e) | Kind::KeySum(e) | Kind::Channel(e) | Kind::KeyMean(e) => new(e),
            Kind::Pool { of, among, .. } => {
                *of = numbers[of];
                new(among);
            }
            Kind::Top { by, count, among } => [by, count, among].into_iter().for_each(new),
            Kind::Over { of, among, .. } => [of, among].into_iter().for_each(new),
            Kind::Seen { .. } => {}
            Kind::QueryMean { of, .. } => new(of),
        }
        policy.definitions.push(definition);
    }
    if let Some(evict) = &mut policy.evict {
        new(&mut evict.at);
        new(&mut evict.keep);
    }
    for channels in [&mut policy.keys, &mut policy.values].into_iter().flatten() {
        if let Some(channels) = &mut channels.channels {
            channels.by = numbers[&channels.by];
        }
    }
}
