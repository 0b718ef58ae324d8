//! Models whose attentions have random cache policies: what is refused is refused with a message; what is accepted is evaluated,
//! and the program computes what the evaluator says, however the sequence is cut.

use crate::{
    ending::{Ending, put, refused},
    layers,
};
use seqc::{effective, model::ReadOptions, source::Sources};
use seqc_ir::random::Rng;
use std::{fmt::Write, path::Path};

/// One case.
pub(crate) fn case(rng: &mut Rng, dir: &Path) -> Ending {
    let file = file(rng);
    let model = model(rng);
    put(dir, "cache.seq", file.as_bytes())?;
    let path = put(dir, "model.yaml", model.as_bytes())?;
    let mut sources = Sources::default();
    let built = match seqc::model::read_text(&path, model, &mut sources, &ReadOptions::default()) {
        Ok(built) => built,
        Err(diagnostics) => return refused(&diagnostics, &sources),
    };
    let text = effective::effective(&built);
    if let Err(diagnostics) = seqc::model::read_text(&path, text, &mut sources, &ReadOptions::default()) {
        refused(&diagnostics, &sources)?;
        return Err("the effective model is refused".to_owned());
    }
    layers::compare(rng, &built, dir)
}

/// One or two attentions, some of which have the policy.
fn model(rng: &mut Rng) -> String {
    let rotary = ["half", "interleaved", "none"][rng.below(3)];
    let window = ["inf", "inf", "6"][rng.below(3)];
    let layer = format!("  - attention: {{heads: 4, kv_heads: 2, rotary: {rotary}, window: {window}}}\n");
    let on = ["", "", "on: 0, "][rng.below(3)];
    let ty = ["", "", ", type: f16"][rng.below(3)];
    let count = 1 + rng.below(2);
    format!(
        "version: 1\nmodel: m\nsizes: {{d: 16}}\nuse: [cache.seq]\ninputs: {{x: \"[d]\"}}\nweights: {{random: {}}}\n\
         cache: [{{{on}policy: mine, size: {}{ty}}}]\nstack:\n{}",
        rng.below(100),
        2 + rng.below(9),
        layer.repeat(count)
    )
}

/// Names that expressions may use.
#[derive(Clone, Default)]
struct Names {
    /// Numbers of the cache.
    cache: Vec<String>,
    /// Numbers of each entry.
    entry: Vec<String>,
}

/// A file with a cache `mine`.
fn file(rng: &mut Rng) -> String {
    let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let mut names = Names {
        cache: owned(&["i", "n", "size", "head", "layer"]),
        entry: owned(&["j", "age", "slot", "age"]),
    };
    let mut out = "cache mine(; size = 4) {\n".to_owned();
    // Writing to a string does not fail.
    for k in 0..rng.below(3) {
        let next = number(rng, &names.cache, 2);
        let _ = writeln!(out, "  c{k} = min(prev(c{k}; init = {}) + 1, {next})", rng.below(5));
        names.cache.push(format!("c{k}"));
    }
    for k in 0..rng.below(3) {
        let all = [&names.cache[..], &names.entry].concat();
        let gain = ["weight", "weight * weight", "if weight > 0.1 then 1 else 0"][rng.below(3)];
        let next = match rng.below(3) {
            0 => format!("prev(m{k}) + {gain}"),
            1 => format!("0.5 * prev(m{k}; init = 1) + {gain}"),
            _ => format!("max(prev(m{k}), {gain}) + 0.01 * min({}, 4)", number(rng, &all, 1)),
        };
        let _ = writeln!(out, "  m{k} = {next}");
        names.entry.push(format!("m{k}"));
    }
    let seen = names.clone();
    for k in 0..rng.below(3) {
        let _ = writeln!(out, "  e{k} = {}", entry(rng, &names));
        names.entry.push(format!("e{k}"));
    }
    clauses(rng, &names, &seen, &mut out);
    out.push_str("}\n");
    out
}

/// What is computed where entries are kept.
fn entry(rng: &mut Rng, names: &Names) -> String {
    let all = [&names.cache[..], &names.entry].concat();
    let of = number(rng, &all, 1);
    match rng.below(7) {
        0 => format!(
            "pool({of}; {} = {}, how = \"{}\")",
            ["size", "page"][rng.below(2)],
            1 + rng.below(5),
            ["max", "min", "sum", "mean"][rng.below(4)]
        ),
        1 => format!("{}(entries: {of})", ["sum", "max", "min", "mean"][rng.below(4)]),
        2 => "sum(c: key[c] ** 2)".to_owned(),
        3 => format!("seen(queries = {})", 1 + rng.below(4)),
        // No part of a few equal numbers adds up to exactly this.
        4 => format!("fewest({of}; sum = 0.618034 * sum(entries: max({of}, 0)))"),
        _ => of,
    }
}

fn clauses(rng: &mut Rng, names: &Names, seen: &Names, out: &mut String) {
    let all = [&names.cache[..], &names.entry].concat();
    let (early, positions) = (
        [&seen.cache[..], &seen.entry].concat(),
        ["j", "slot", "j / 2", "n - 1", "0"],
    );
    for _ in 0..rng.below(3) {
        let condition = condition(rng, &early);
        let _ = match rng.below(3) {
            0 => writeln!(out, "  see({condition})"),
            1 => writeln!(out, "  see(age < 8 || {condition}; query = n - 1, key = slot)"),
            _ => writeln!(
                out,
                "  see(query = {}, key = {})",
                ["i", "n", "i / 2 + 3"][rng.below(3)],
                rng.choose(&positions)
            ),
        };
    }
    if !rng.once_in(4) {
        let (by, bound) = (number(rng, &all, 2), number(rng, &names.cache, 1));
        let kept = match rng.below(3) {
            0 => condition(rng, &all),
            1 => format!("age < 3 || top({by}; k = size)"),
            _ => format!(
                "slot < 2 || top({by}; k = min({bound}, 8), among = {})",
                condition(rng, &all)
            ),
        };
        let at = ["", "; at = n % 4 == 0", "; at = n > size", "; at = i % 3 == 2 || ended"][rng.below(4)];
        let _ = writeln!(out, "  keep({kept}{at})");
    }
    for tensor in ["keys", "values"] {
        if rng.once_in(2) {
            let bits = [2, 4, 8, 32][rng.below(4)];
            let group = [1, 2, 4][rng.below(3)];
            let along = ["channels", "channels", "tokens"][rng.below(3)];
            let until = ["", ", until = n - size", ", until = 4 * (n / 4)"][rng.below(3)];
            let symmetric = rng.once_in(2);
            let _ = writeln!(
                out,
                "  {tensor}(bits = {bits}, group = {group}, along = \"{along}\", symmetric = {symmetric}{until})"
            );
        }
    }
}

/// A number over some names.
fn number(rng: &mut Rng, names: &[String], depth: usize) -> String {
    if depth == 0 || rng.once_in(3) {
        return match rng.once_in(3) {
            true => rng.below(9).to_string(),
            false => rng.choose(names).clone(),
        };
    }
    let (a, b) = (number(rng, names, depth - 1), number(rng, names, depth - 1));
    match rng.below(8) {
        0 => format!("({a} + {b})"),
        1 => format!("({a} - {b})"),
        2 => format!("({a} * {b})"),
        3 => format!("({a} / {})", 1 + rng.below(5)),
        4 => format!("({a} % {})", 1 + rng.below(5)),
        5 => format!("{}({a}, {b})", ["min", "max"][rng.below(2)]),
        6 => format!("{}({a})", ["floor", "abs", "ceil", "sqrt"][rng.below(4)]),
        _ => format!("(if {a} < {b} then {a} else {b})"),
    }
}

/// A condition over some names.
fn condition(rng: &mut Rng, names: &[String]) -> String {
    let (a, b) = (number(rng, names, 1), number(rng, names, 1));
    let one = format!("{a} {} {b}", ["<", "<=", ">", ">=", "==", "!="][rng.below(6)]);
    match rng.below(4) {
        0 => format!("({one} {} age < {})", ["&&", "||"][rng.below(2)], 2 + rng.below(8)),
        1 => format!("!({one})"),
        _ => one,
    }
}
