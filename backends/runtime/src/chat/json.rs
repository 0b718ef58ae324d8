//! JSON as Python's `json.dumps` writes it: what chat templates mean by `tojson`.

use std::fmt::Write as _;

use minijinja::{
    Error, ErrorKind, Value,
    value::{Kwargs, Rest, ValueKind},
};

/// Lists inside lists, as deep as Python goes before it gives up.
const DEEPEST: usize = 500;

/// How a text is written.
#[derive(Debug, Default)]
struct Style {
    /// Everything beyond ASCII as escapes.
    ascii: bool,
    /// What indents a level; none: all on one line.
    indent: Option<String>,
    /// Between items, and between a key and its value.
    separators: (String, String),
    /// Keys in order.
    sorted: bool,
}

/// The filter `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)` of transformers.
pub(super) fn tojson(value: &Value, positional: Rest<Value>, named: Kwargs) -> Result<String, Error> {
    if positional.len() > 4 {
        return Err(wrong("tojson takes at most four arguments"));
    }
    let argument = |place: usize, name: &str| -> Result<Value, Error> {
        let given = positional.get(place).cloned();
        let value = match given {
            Some(value) => value,
            None => named.get::<Option<Value>>(name)?.unwrap_or(Value::from(())),
        };
        Ok(value)
    };
    let mut style = Style {
        ascii: argument(0, "ensure_ascii")?.is_true(),
        indent: indent(&argument(1, "indent")?)?,
        separators: (String::new(), String::new()),
        sorted: argument(3, "sort_keys")?.is_true(),
    };
    style.separators = separators(&argument(2, "separators")?, style.indent.is_some())?;
    named.assert_all_used()?;
    let mut out = String::new();
    style.value(value, 0, &mut out)?;
    Ok(out)
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// Python takes a number of spaces or a text.
fn indent(value: &Value) -> Result<Option<String>, Error> {
    if value.is_none() || value.is_undefined() {
        return Ok(None);
    }
    if let Some(text) = value.as_str() {
        return Ok(Some(text.to_owned()));
    }
    let spaces = match bool::try_from(value.clone()) {
        Ok(one) => i64::from(one),
        Err(_) => i64::try_from(value.clone()).map_err(|_| wrong("tojson: `indent` is a number or a text"))?,
    };
    let spaces = usize::try_from(spaces).unwrap_or(0);
    if spaces > 1000 {
        return Err(wrong("tojson: `indent` is too large"));
    }
    Ok(Some(" ".repeat(spaces)))
}

fn separators(value: &Value, indented: bool) -> Result<(String, String), Error> {
    if value.is_none() || value.is_undefined() {
        let item = if indented { "," } else { ", " };
        return Ok((item.to_owned(), ": ".to_owned()));
    }
    let texts: Vec<String> = value
        .try_iter()?
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect();
    match <[String; 2]>::try_from(texts) {
        Ok([item, key]) => Ok((item, key)),
        Err(_) => Err(wrong("tojson: `separators` are two texts")),
    }
}

impl Style {
    fn value(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(wrong("tojson: lists inside lists are too deep"));
        }
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&number(value)),
            ValueKind::String => self.text(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.list(['[', ']'], &items, depth, out, |style, item, out| {
                    style.value(item, depth + 1, out)
                })?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sorted {
                    keys.sort();
                }
                self.list(['{', '}'], &keys, depth, out, |style, name, out| {
                    style.text(&key(name)?, out);
                    out.push_str(&style.separators.1);
                    style.value(&value.get_item(name)?, depth + 1, out)
                })?;
            }
            kind => return Err(wrong(format!("tojson: {kind} is not a value of JSON"))),
        }
        Ok(())
    }

    fn list(
        &self,
        [open, close]: [char; 2],
        items: &[Value],
        depth: usize,
        out: &mut String,
        each: impl Fn(&Style, &Value, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                out.push_str(&self.separators.0);
            }
            self.line(depth + 1, out);
            each(self, item, out)?;
        }
        if !items.is_empty() {
            self.line(depth, out);
        }
        out.push(close);
        Ok(())
    }

    /// A new line at this depth, where lines are wanted.
    fn line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
    }

    fn text(&self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                ' '..='~' => out.push(character),
                _ if character >= ' ' && !self.ascii => out.push(character),
                _ => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        // Writing to a string does not fail.
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
            }
        }
        out.push('"');
    }
}

/// Keys that are no texts become texts.
fn key(name: &Value) -> Result<String, Error> {
    match name.kind() {
        ValueKind::String => Ok(name.as_str().unwrap_or_default().to_owned()),
        ValueKind::None => Ok("null".to_owned()),
        ValueKind::Bool => Ok(if name.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::Number => Ok(number(name)),
        kind => Err(wrong(format!("tojson: {kind} is not a key of JSON"))),
    }
}

/// Integers as they are; others as Python's `repr` spells them.
fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let Ok(number) = f64::try_from(value.clone()) else {
        return value.to_string();
    };
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{number:?}")
}
