//! Random model files around a random layer.

use super::text::Layer;
use seqc_ir::random::Rng;

/// The texts of a case.
pub(super) struct Files {
    pub(super) model: String,
    pub(super) layer: String,
}

/// Sizes of the stream between layers.
const SMALL: &[u64] = &[1, 2, 3, 4, 6, 8, 16, 17];

const LARGE: &[u64] = &[1, 8, 64, 100, 1000, 5000, 8192, 65537, 1_000_003, 1 << 31, 1 << 40];

/// What numbers are replaced by, now and then.
const ODD: &[&str] = &[
    "0",
    "-1",
    "0.5",
    "1e18",
    "1e400",
    "2 ** 62",
    "2 ** 64",
    "2 ** 100",
    "1 / 0",
    "0 / 0",
    "-inf",
    "1e9",
    "4294967296",
    "9223372036854775807",
    "true",
    "\"x\"",
    "[1, 2]",
];

/// A model of one random layer, with what stands around it.
pub(super) fn files(rng: &mut Rng, large: bool) -> Files {
    let d = if large {
        let end = if rng.once_in(5) { LARGE.len() } else { 8 };
        LARGE[rng.below(end)]
    } else {
        SMALL[rng.below(SMALL.len())]
    };
    let integers = rng.once_in(2);
    let layer = Layer::new(rng, large, d, integers).file("thing", integers);
    let inputs = if integers {
        "inputs: {x: \"[d]\", t: int}"
    } else {
        "inputs: {x: \"[d]\"}"
    };
    let block = ["", "block: {pre_norm: {eps: 1e-5}}\n"][rng.below(2)];
    let when = ["every(2)", "every(d)", "bounds", "t"][rng.below(4)];
    let otherwise = ["hold", "zero", "pass"][rng.below(3)];
    let bounds = "  - chunk_bounds: {}\n    block: none\n    tap: {bounds: begins}\n";
    let stack = match rng.below(6) {
        4 if !large => format!(
            "{bounds}  - thing: {{}}\n    when: {when}\n    otherwise: {otherwise}\n  - swiglu: {{hidden: 8}}\n"
        ),
        5 => format!(
            "{bounds}  - when: {when}\n    otherwise: {otherwise}\n    of:\n      - thing: {{}}\n      - repeat: 2\n        when: every(3)\n        of:\n          - thing: {{}}\n"
        ),
        0 => "  - repeat: 2\n    of:\n      - thing: {}\n".to_owned(),
        1 if !large => "  - thing: {}\n  - swiglu: {hidden: 8}\n".to_owned(),
        _ => "  - thing: {}\n".to_owned(),
    };
    let model = format!(
        "version: 1\nmodel: m\nsizes: {{d: {d}}}\n{inputs}\nuse: [layer.seq]\nweights: {{random: 1}}\n{block}stack:\n{stack}"
    );
    if large && rng.once_in(4) {
        return Files {
            model: odd(rng, &model),
            layer: odd(rng, &layer),
        };
    }
    Files { model, layer }
}

/// The text with one of its numbers replaced, or as it is.
fn odd(rng: &mut Rng, text: &str) -> String {
    let digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let word = |at: usize| {
        text.as_bytes()
            .get(at)
            .is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_')
    };
    let starts: Vec<usize> = (1..text.len()).filter(|at| digit(*at) && !word(at - 1)).collect();
    if starts.is_empty() || rng.once_in(3) {
        return text.to_owned();
    }
    let start = starts[rng.below(starts.len())];
    let end = (start..text.len()).find(|at| !digit(*at)).unwrap_or(text.len());
    format!("{}{}{}", &text[..start], ODD[rng.below(ODD.len())], &text[end..])
}
