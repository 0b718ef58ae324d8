//! Bytes of caches with policies, as their authors' formulas have them.

use super::{read, specs};
use seqc::backend;
use seqc_abi::Level;

/// Tokens of the prompt.
const PROMPT: f64 = 200.0;
/// Tokens that were read, and what the three layers of two key heads of width 16 take then.
const READ: [f64; 4] = [200.0, 220.0, 260.0, 319.0];

/// Bytes of a model's state after so many tokens, and the number of tokens in the entries of its first layer.
fn bytes(name: &str) -> ([f64; 4], Vec<String>) {
    let file = specs().join("policies").join(format!("{name}.yaml"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{e}"));
    let built = read(&file, text, &[]).unwrap_or_else(|e| panic!("{e}"));
    let canonical = backend::canonical(&built.model);
    let planned = backend::plan(&canonical, &built.meta, Level::V3);
    let entries = backend::manifest(&planned);
    let sum = |tokens: f64| entries.iter().map(|entry| entry.kept.behind(tokens, PROMPT)).sum();
    let first = entries.iter().filter(|entry| entry.slot.layer == entries[0].slot.layer);
    let counted = first.filter(|entry| entry.slot.bound.ends_with("tokens"));
    let line = |name: &str, bound: &str| format!("{name}: {bound}");
    let mut bounds: Vec<String> = counted.map(|entry| line(&entry.slot.name, &entry.slot.bound)).collect();
    bounds.retain(|line| !line.contains(".entry"));
    (READ.map(sum), bounds)
}

#[test]
fn policies_take_the_bytes_of_their_formulas_at_and_behind_the_end_of_a_prompt() {
    for (name, expected) in [
        ("adakv", [49152, 64512, 95232, 140_544]),
        ("h2o", [50688, 50688, 50688, 50688]),
        ("hip", [154_112, 169_472, 200_192, 245_504]),
        ("infllm", [162_816, 179_136, 211_776, 259_920]),
        ("int8", [48000, 52800, 62400, 76560]),
        ("kivi2", [58560, 68640, 71904, 93192]),
        ("kivi4", [67200, 77760, 83520, 106_992]),
        ("lacache", [49152, 49152, 49152, 49920]),
        ("longheads", [168_960, 188_160, 215_040, 271_104]),
        ("pyramidkv", [49152, 64512, 95232, 140_544]),
        ("selfextend", [153_600, 168_960, 199_680, 244_992]),
        ("snapkv", [49152, 64512, 95232, 140_544]),
        ("streaming", [49152, 49152, 49152, 49152]),
        ("think", [129_420, 144_780, 175_500, 220_812]),
    ] {
        assert_eq!(bytes(name).0, expected.map(f64::from), "{name}");
    }
}

#[test]
fn the_number_of_entries_is_a_closed_form() {
    let of = |name: &str| bytes(name).1.join(", ");
    assert_eq!(of("streaming"), "o.k: min(T, 64) tokens, o.v: min(T, 64) tokens");
    assert_eq!(of("h2o"), "o.k: 64 tokens, o.v: 64 tokens, o.mass: 64 tokens");
    assert_eq!(of("snapkv"), "o.k: T - P + 64 tokens, o.v: T - P + 64 tokens");
    assert_eq!(of("adakv"), "o.k: T - P + 64 tokens, o.v: T - P + 64 tokens");
    assert_eq!(of("pyramidkv"), "o.k: T - P + 110 tokens, o.v: T - P + 110 tokens");
    assert_eq!(of("lacache"), "o.k: T mod 2 + 64 tokens, o.v: T mod 2 + 64 tokens");
    assert_eq!(
        of("think"),
        "o.k: T - P + 32 tokens, o.v: T tokens, o.k.codes: P - 32 tokens"
    );
    assert_eq!(
        of("kivi2"),
        "o.k: T mod 32 tokens, o.v: 32 tokens, o.k.codes: T - T mod 32 tokens, o.v.codes: T - 32 tokens"
    );
}
