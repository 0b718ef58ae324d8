//! Changes of valid inputs: as by a damaged download, a mistake in an editor, or an attacker.

use seqc_ir::random::Rng;
use serde_json::Value;

/// Numbers at the edges of what readers count with.
pub(crate) const EXTREMES: &[u64] = &[
    0,
    1,
    255,
    65_536,
    (1 << 31) - 1,
    u32::MAX as u64,
    1 << 32,
    1 << 48,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 7,
    u64::MAX,
];

/// What stands in texts in the place of a number or a word.
const ODD: &[&str] = &[
    "0",
    "-1",
    "0.5",
    "1e9",
    "1e400",
    "4294967296",
    "9223372036854775808",
    "1 / 0",
    "-inf",
    "true",
    "null",
    "\"\"",
    "\"x\"",
    "[]",
    "{}",
    "[1, 2]",
    "é",
    "\u{0}",
    "\t",
    "#",
    "&a",
    "*a",
    "|",
    "{{",
    "{%",
    "(((((((((((((((((((((((((",
];

/// A few changes of bytes, or none.
pub(crate) fn bytes(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.below(5) {
        let at = rng.below(bytes.len());
        let end = bytes.len().min(at + 1 + rng.below(64));
        match rng.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            3 | 4 => {
                let number = rng.choose(EXTREMES).to_le_bytes();
                let width = *rng.choose(&[1, 4, 8]);
                let room = bytes.iter_mut().skip(at);
                room.zip(&number[..width]).for_each(|(byte, new)| *byte = *new);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.below(8);
                }
            }
        }
    }
}

/// A few changes of a text's words and lines, or none.
pub(crate) fn text(rng: &mut Rng, text: &str) -> String {
    let mut words: Vec<&str> = words(text);
    for _ in 0..rng.below(4) {
        let (at, other) = (rng.below(words.len()), rng.below(words.len()));
        let end = words.len().min(at + 1 + rng.below(12));
        match rng.below(8) {
            0 if rng.once_in(4) => words.truncate(at),
            0 | 1 => drop(words.drain(at..end)),
            2 => {
                let again = words[at..end].to_vec();
                words.splice(at..at, again);
            }
            3 if !words.is_empty() => words.swap(at, other),
            4 if !words.is_empty() => words[at] = words[other],
            5 => words.insert(at, *rng.choose(ODD)),
            _ if !words.is_empty() => words[at] = *rng.choose(ODD),
            _ => {}
        }
    }
    words.concat()
}

/// Runs of letters and digits, runs of spaces, and each other character.
fn words(text: &str) -> Vec<&str> {
    let kind = |c: char| match c {
        ' ' => 1,
        _ if c.is_alphanumeric() || c == '_' || c == '.' => 2,
        _ => 0,
    };
    let mut words = Vec::new();
    let mut start = 0;
    let mut before = 0;
    for (at, c) in text.char_indices() {
        if at > start && (kind(c) == 0 || kind(c) != before) {
            words.push(&text[start..at]);
            start = at;
        }
        before = kind(c);
    }
    words.push(&text[start..]);
    words
}

/// A few changes of a JSON document, or none.
pub(crate) fn json(rng: &mut Rng, root: &mut Value) {
    for _ in 0..rng.below(4) {
        let depth = 1 + rng.below(5);
        change(rng, root, depth);
    }
}

/// Changes a value at most so deep inside this one.
fn change(rng: &mut Rng, value: &mut Value, depth: usize) {
    match value {
        Value::Object(map) if depth > 0 && !map.is_empty() => {
            let key = map.keys().nth(rng.below(map.len())).cloned().unwrap_or_default();
            match rng.below(12) {
                0 => drop(map.remove(&key)),
                1 => {
                    let moved = map.get(&key).cloned().unwrap_or_default();
                    let other = map.keys().nth(rng.below(map.len())).cloned().unwrap_or_default();
                    map.insert(other, moved);
                }
                _ => {
                    if let Some(inner) = map.get_mut(&key) {
                        change(rng, inner, depth - 1);
                    }
                }
            }
        }
        Value::Array(list) if depth > 0 && !list.is_empty() => {
            let at = rng.below(list.len());
            match rng.below(8) {
                0 => drop(list.remove(at)),
                1 => list.insert(at, list[at].clone()),
                _ => change(rng, &mut list[at], depth - 1),
            }
        }
        _ => *value = odd(rng, value),
    }
}

/// Another value in the place of this one.
fn odd(rng: &mut Rng, value: &Value) -> Value {
    match rng.below(9) {
        0 => Value::Null,
        1 => Value::Bool(rng.once_in(2)),
        2 => Value::from(*rng.choose(EXTREMES)),
        3 => Value::from(-(rng.below(1000) as i64)),
        4 => Value::from(*rng.choose(&[0.5, -1e300, 1e-320, 1e18])),
        5 => Value::from(*rng.choose(ODD)),
        6 => Value::Array(vec![value.clone(); rng.below(3)]),
        7 => Value::Object([("type".to_owned(), value.clone())].into_iter().collect()),
        _ => match value.as_u64() {
            Some(number) => Value::from(number.wrapping_add(1)),
            None => Value::from(text(rng, value.as_str().unwrap_or_default())),
        },
    }
}
