//! The policy of an elaborated body: what is needed of its definitions, with their final numbers.

use super::state::{Class, DefinitionId, List, Making};
use seqc_ir::{
    PairExpr, PairLeaf,
    policy::{CLOSED, Definition, Kind, Policy, Recurrence, Sight},
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
        blocks: making.blocks,
        evict: making.kept.flatten(),
        sights,
        keys: making.keys.flatten(),
        values: making.values.flatten(),
        turn: None,
    };
    for sight in &mut policy.sights {
        let seen = sight.seen.take().map(|seen| seen.simplified());
        sight.seen = seen.filter(|seen| seen.constant() != Some(1.0));
    }
    let never = |sight: &Sight| sight.seen.as_ref().is_some_and(|seen| seen.constant() == Some(0.0));
    if !policy.sights.iter().all(never) {
        policy.sights.retain(|sight| !never(sight));
    }
    let numbers = needed(&policy, &making.definitions);
    renumber(&mut policy, making.definitions, &numbers);
    let reads = |e: &PairExpr| policy.reads_choice(e) || e.any(&|e| matches!(e, PairExpr::KeyStream(CLOSED)));
    if !policy.sights.iter().any(|s| s.seen.as_ref().is_some_and(reads)) {
        policy.blocks = None;
    }
    policy.sights = policy.divided_sights();
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
            each: making.names[name].each,
        })
        .collect()
}

/// New numbers of the definitions that entries, channels and blocks are chosen by, directly or through others.
fn needed(policy: &Policy, definitions: &[Vec<Definition>; 3]) -> HashMap<DefinitionId, usize> {
    let mut wanted = definitions.each_ref().map(|list| vec![false; list.len()]);
    let evict = policy.evict.iter().flat_map(|e| [&e.at, &e.keep]);
    let seen = policy.sights.iter().filter_map(|s| s.seen.as_ref());
    let mut work: Vec<DefinitionId> = evict.chain(seen).flat_map(read_by).collect();
    let codings = [&policy.keys, &policy.values].into_iter().flatten();
    let list = List::Deciding;
    work.extend(codings.filter_map(|c| {
        Some(DefinitionId {
            list,
            n: c.channels.as_ref()?.by,
        })
    }));
    while let Some(id) = work.pop() {
        if std::mem::replace(&mut wanted[id.list as usize][id.n], true) {
            continue;
        }
        let kind = &definitions[id.list as usize][id.n].kind;
        work.extend(kind.expressions().into_iter().flat_map(read_by));
        if let Kind::Pool { of, .. } = kind {
            work.push(DefinitionId { list, n: *of });
        }
    }
    let numbers = |list: List| {
        let kept = (0..wanted[list as usize].len()).filter(|n| wanted[list as usize][*n]);
        let number = |(new, old)| (DefinitionId { list, n: old }, new);
        kept.enumerate().map(number).collect::<Vec<_>>()
    };
    List::ALL.into_iter().flat_map(numbers).collect()
}

/// Definitions that an expression reads.
fn read_by(e: &PairExpr) -> Vec<DefinitionId> {
    let leaves = e.leaves().into_iter();
    leaves
        .filter_map(|leaf| match leaf {
            PairLeaf::KeyStream(n) => DefinitionId::of(n),
            _ => None,
        })
        .collect()
}

fn renumber(policy: &mut Policy, definitions: [Vec<Definition>; 3], numbers: &HashMap<DefinitionId, usize>) {
    let count = |list: List| numbers.keys().filter(|id| id.list == list).count();
    let deciding = policy.stream_of(0);
    let closing = deciding + count(List::Deciding);
    let firsts = [deciding, closing, closing + count(List::Closing)];
    let new = |e: &mut PairExpr| {
        *e = e.substitute(&|leaf| match leaf {
            PairLeaf::KeyStream(n) => match DefinitionId::of(n).and_then(|id| Some((id, numbers.get(&id)?))) {
                Some((id, n)) => PairExpr::KeyStream(firsts[id.list as usize] + n),
                None => leaf.into(),
            },
            other => other.into(),
        });
    };
    for (list, definitions) in List::ALL.into_iter().zip(definitions) {
        for (old, mut definition) in definitions.into_iter().enumerate() {
            if !numbers.contains_key(&DefinitionId { list, n: old }) {
                continue;
            }
            if let Kind::Pool { of, .. } = &mut definition.kind {
                *of = numbers[&DefinitionId { list, n: *of }];
            }
            definition.kind.expressions_mut().into_iter().for_each(new);
            match (list, &mut policy.blocks) {
                (List::Deciding, _) => policy.definitions.push(definition),
                (List::Closing, Some(blocks)) => blocks.closing.push(definition),
                (List::Choosing, Some(blocks)) => blocks.choosing.push(definition),
                (_, None) => {}
            }
        }
    }
    let evict = policy.evict.iter_mut().flat_map(|e| [&mut e.at, &mut e.keep]);
    let seen = policy.sights.iter_mut().filter_map(|s| s.seen.as_mut());
    evict.chain(seen).for_each(new);
    for channels in [&mut policy.keys, &mut policy.values].into_iter().flatten() {
        if let Some(channels) = &mut channels.channels {
            let id = DefinitionId {
                list: List::Deciding,
                n: channels.by,
            };
            channels.by = numbers[&id];
        }
    }
}
