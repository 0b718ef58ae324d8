//! Windows of layers whose caches hold codes.

use super::{read, specs};
use seqc::backend;
use seqc_abi::Level;

/// What is stored of the first layer of a model with windows, whose caches are of this type.
fn of_windows(ty: &str) -> Vec<String> {
    let text = format!(
        "version: 1\nmodel: m\nsizes: {{d: 32}}\ninputs: {{x: \"[d]\"}}\nweights: {{random: 1}}\ncache: {{type: {ty}}}\n\
         stack:\n  - attention: {{heads: 4, kv_heads: 2, window: 100}}\n"
    );
    let built = read(&specs().join("policies/windows.yaml"), text, &[]).unwrap_or_else(|e| panic!("{e}"));
    let canonical = backend::canonical(&built.model);
    let planned = backend::plan(&canonical, &built.meta, Level::V3);
    let entries = backend::manifest(&planned).into_iter();
    let line = |slot: seqc_abi::StateSlot| format!("{}: {}", slot.name, slot.bound);
    entries
        .map(|entry| line(entry.slot))
        .filter(|line| line.contains(".k"))
        .collect()
}

#[test]
fn windows_bound_caches_of_codes_as_those_of_numbers() {
    assert_eq!(of_windows("f16"), ["o.k: min(T, 100) tokens"]);
    assert_eq!(of_windows("int8"), ["o.k.codes: T mod 64 + 100 tokens"]);
}
