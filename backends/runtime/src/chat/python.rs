//! Where Jinja in Python and the engine differ: what is iterable, and how lists and mappings look as text.

use std::fmt::Write as _;

use minijinja::{Environment, Error, Output, State, Value, escape_formatter, value::ValueKind};

use super::tuples::is_tuple;

/// Lists inside lists beyond this are cut.
const DEEPEST: usize = 100;

/// Makes an environment behave as Python's.
pub(super) fn install(environment: &mut Environment) {
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_sequence);
    environment.add_filter("string", string);
    environment.set_formatter(format);
}

/// None is not; what is undefined is.
fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// What has a length and parts: texts, lists and mappings.
fn is_sequence(value: &Value) -> bool {
    matches!(
        value.kind(),
        ValueKind::Undefined | ValueKind::String | ValueKind::Seq | ValueKind::Map
    )
}

/// A value as Python's `str` spells it.
pub(super) fn string(value: &Value) -> String {
    let mut out = String::new();
    match value.kind() {
        ValueKind::Seq | ValueKind::Map => repr(value, 0, &mut out),
        _ => out = value.to_string(),
    }
    out
}

fn format(out: &mut Output, state: &State, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Map => Ok(out.write_str(&string(value))?),
        _ => escape_formatter(out, state, value),
    }
}

/// A value as Python's `repr` spells it.
fn repr(value: &Value, depth: usize, out: &mut String) {
    let parts = || value.try_iter().into_iter().flatten().enumerate();
    let separator = |number: usize| if number > 0 { ", " } else { "" };
    match value.kind() {
        _ if depth > DEEPEST => out.push_str("..."),
        ValueKind::String => text(value.as_str().unwrap_or_default(), out),
        ValueKind::Seq => {
            let (opening, closing) = match (is_tuple(value), value.len()) {
                (true, Some(1)) => ('(', ",)"),
                (true, _) => ('(', ")"),
                (false, _) => ('[', "]"),
            };
            out.push(opening);
            for (number, item) in parts() {
                out.push_str(separator(number));
                repr(&item, depth + 1, out);
            }
            out.push_str(closing);
        }
        ValueKind::Map => {
            out.push('{');
            for (number, key) in parts() {
                out.push_str(separator(number));
                repr(&key, depth + 1, out);
                out.push_str(": ");
                repr(&value.get_item(&key).unwrap_or_default(), depth + 1, out);
            }
            out.push('}');
        }
        _ => out.push_str(&value.to_string()),
    }
}

fn text(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character == quote => out.extend(['\\', quote]),
            _ if character.is_control() => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\x{:02x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push(quote);
}
