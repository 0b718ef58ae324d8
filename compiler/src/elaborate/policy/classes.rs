//! What the definitions of a cache are: counters of the cache, memories of entries, numbers of channels, or plain expressions.

use super::{
    super::children::children,
    state::{Class, Named},
    words,
};
use seqc_grammar::ast::{Def, Expr, ExprKind, Stmt, Target};
use std::collections::{HashMap, HashSet};

/// Calls whose value is a number of each entry.
const OF_ENTRIES: &[&str] = &["top", "search", "pool", "seen"];

/// What every definition of a body is, by name.
///
/// One that `prev` takes, or that uses `prev` or `weight` itself, is updated by every token: a memory of each entry if it depends on
/// numbers of entries, directly or through other definitions, else a counter. The others are inlined.
pub(super) fn classes(def: &Def) -> HashMap<String, Named> {
    let lets: Vec<(usize, &Target, &Expr)> = def
        .body
        .iter()
        .enumerate()
        .filter_map(|(at, stmt)| match stmt {
            Stmt::Let { target, value } => Some((at, target, value)),
            _ => None,
        })
        .collect();
    let remembered = remembered(def);
    let scalars: HashMap<&str, &Expr> = lets
        .iter()
        .filter_map(|(_, target, value)| match target {
            Target::Name { name, .. } => Some((name.text.as_str(), *value)),
            Target::Indexed { .. } | Target::Tuple(_) => None,
        })
        .collect();
    let of_entries = of_entries(def, &scalars);
    let of_blocks = of_blocks(&lets);
    let of_heads = of_query_heads(def, &scalars);
    let (mut counters, mut memories) = (0, 0);
    let mut classes = HashMap::new();
    for (at, target, value) in lets {
        let (name, class) = match target {
            Target::Indexed { name, .. } if of_blocks.contains(name.text.as_str()) => (name, Class::BlockChannel),
            Target::Indexed { name, .. } => (name, Class::Channel),
            Target::Name { name, .. } => {
                let updated = remembered.contains(&name.text) || any_of(value, &|e| updates(def, e));
                let (class, count) = match (updated, of_entries.contains(name.text.as_str())) {
                    (false, _) => (Class::Plain, None),
                    (true, true) => (Class::Memory(memories), Some(&mut memories)),
                    (true, false) => (Class::Counter(counters), Some(&mut counters)),
                };
                if let Some(count) = count {
                    *count += 1;
                }
                (name, class)
            }
            Target::Tuple(_) => continue,
        };
        let channel = matches!(class, Class::Channel | Class::BlockChannel);
        let entry = !channel && of_entries.contains(name.text.as_str());
        let each = matches!(class, Class::Memory(_)) && of_heads.contains(name.text.as_str());
        classes
            .entry(name.text.clone())
            .or_insert(Named { class, entry, each, at });
    }
    classes
}

/// Whether a part of an expression makes its definition one that every token updates.
fn updates(def: &Def, e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Name(name) => is_word(def, name, &[words::WEIGHT, words::GIVEN]),
        ExprKind::Call { callee, .. } => callee.text == words::PREV,
        _ => false,
    }
}

/// Names that `prev` takes.
fn remembered(def: &Def) -> HashSet<String> {
    let (mut found, mut work) = (HashSet::new(), expressions(def));
    while let Some(e) = work.pop() {
        if let ExprKind::Call { callee, args, .. } = &e.kind
            && callee.text == words::PREV
            && let [arg] = &args[..]
            && let ExprKind::Name(name) = &arg.kind
        {
            found.insert(name.clone());
        }
        work.extend(children(e));
    }
    found
}

/// Definitions that are numbers of entries, directly or through others.
fn of_entries<'d>(def: &Def, scalars: &HashMap<&'d str, &'d Expr>) -> HashSet<&'d str> {
    through_others(scalars.iter().map(|(n, e)| (*n, *e)), &|e| match &e.kind {
        ExprKind::Name(name) => is_word(def, name, words::OF_ENTRIES),
        ExprKind::Call { callee, .. } => OF_ENTRIES.contains(&callee.text.as_str()),
        // Over entries or channels: a number that is computed where entries are kept.
        ExprKind::Reduce { .. } => true,
        _ => false,
    })
}

/// Memories of which each query head has its own, and what uses them.
fn of_query_heads<'d>(def: &Def, scalars: &HashMap<&'d str, &'d Expr>) -> HashSet<&'d str> {
    let given = |e: &Expr| matches!(&e.kind, ExprKind::Name(name) if is_word(def, name, &[words::GIVEN]));
    through_others(scalars.iter().map(|(n, e)| (*n, *e)), &given)
}

/// Numbers of channels that are those of blocks: they run over the entries of one, or use such numbers.
fn of_blocks<'d>(lets: &[(usize, &'d Target, &'d Expr)]) -> HashSet<&'d str> {
    let channels = lets.iter().filter_map(|(_, target, value)| match target {
        Target::Indexed { name, .. } => Some((name.text.as_str(), *value)),
        Target::Name { .. } | Target::Tuple(_) => None,
    });
    through_others(channels, &|e| match &e.kind {
        ExprKind::Reduce { vars, .. } => vars.iter().any(|(variable, _)| variable.text == words::BLOCK),
        _ => false,
    })
}

/// Definitions of which a part has a property, directly or through others.
fn through_others<'d>(
    definitions: impl Iterator<Item = (&'d str, &'d Expr)> + Clone,
    has: &dyn Fn(&Expr) -> bool,
) -> HashSet<&'d str> {
    let mut found: HashSet<&str> = HashSet::new();
    loop {
        let uses = |e: &Expr| has(e) || matches!(&e.kind, ExprKind::Name(name) if found.contains(name.as_str()));
        let new: HashSet<&str> = definitions
            .clone()
            .filter(|(_, value)| any_of(value, &uses))
            .map(|(n, _)| n)
            .collect();
        if new.len() == found.len() {
            return found;
        }
        found = new;
    }
}

/// Whether a cache gives a name: to a setting, a `dim` or a definition.
pub(super) fn gives(def: &Def, name: &str) -> bool {
    let settings = def.settings.iter().map(|s| s.name.text.as_str());
    let defined = def.body.iter().filter_map(|stmt| match stmt {
        Stmt::Dim { name, .. }
        | Stmt::Let {
            target: Target::Name { name, .. } | Target::Indexed { name, .. },
            ..
        } => Some(name.text.as_str()),
        _ => None,
    });
    settings.chain(defined).any(|given| given == name)
}

/// Whether a name is this word, and not one that the cache gives.
fn is_word(def: &Def, name: &str, words: &[&str]) -> bool {
    words.contains(&name) && !(words::SOFT.contains(&name) && gives(def, name))
}

/// Whether an expression of a body, or a definition that it uses, is about blocks.
pub(super) fn is_about_blocks(def: &Def, e: &Expr) -> bool {
    let lets = def.body.iter().filter_map(|stmt| match stmt {
        Stmt::Let {
            target: Target::Name { name, .. } | Target::Indexed { name, .. },
            value,
        } => Some((name.text.as_str(), value)),
        _ => None,
    });
    let of_block = |e: &Expr| of_block(def, e);
    let found = through_others(lets, &of_block);
    let uses = |e: &Expr| of_block(e) || matches!(&e.kind, ExprKind::Name(name) if found.contains(name.as_str()));
    any_of(e, &uses)
}

/// Whether an expression reads a query, which is at hand where blocks are chosen.
pub(super) fn mentions_query(e: &Expr) -> bool {
    any_of(e, &|e| matches!(&e.kind, ExprKind::Name(name) if name == words::QUERY))
}

/// Whether an expression itself is about blocks.
fn of_block(def: &Def, e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Reduce { vars, .. } => vars.iter().any(|(variable, _)| {
            [words::BLOCK, words::BLOCKS, words::HEADS, words::MEMBERS].contains(&variable.text.as_str())
        }),
        ExprKind::Name(name) => is_word(def, name, &[words::BLOCK, words::CLOSED, words::GIVEN]),
        _ => false,
    }
}

/// Whether a body, or a default of a setting, mentions a name.
pub(crate) fn mentions(def: &Def, name: &str) -> bool {
    let is_name = |e: &Expr| matches!(&e.kind, ExprKind::Name(found) if found == name);
    expressions(def).into_iter().any(|e| any_of(e, &is_name))
}

fn expressions(def: &Def) -> Vec<&Expr> {
    let defaults = def.settings.iter().filter_map(|s| s.default.as_ref());
    let values = def.body.iter().filter_map(|stmt| match stmt {
        Stmt::Dim { value, .. }
        | Stmt::Let { value, .. }
        | Stmt::Trace { value, .. }
        | Stmt::Result(value)
        | Stmt::Clause(value) => Some(value),
        Stmt::Param(_) => None,
    });
    defaults.chain(values).collect()
}

/// Whether `test` holds for an expression or a part of it.
fn any_of(e: &Expr, test: &dyn Fn(&Expr) -> bool) -> bool {
    test(e) || children(e).into_iter().any(|part| any_of(part, test))
}
