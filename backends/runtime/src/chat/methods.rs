//! Methods of Python's texts, lists and mappings that the engine does not have, or has otherwise.

use minijinja::{Error, State, Value, value::ValueKind};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::{
    arguments::{Arguments, centered, padded, wrong},
    tuples::{pairs, tuple},
};

/// Calls a method of a value.
pub(super) fn call(state: &State, value: &Value, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    let own = match value.kind() {
        ValueKind::String => of_text(value.as_str().unwrap_or_default(), method, arguments)?,
        ValueKind::Map => of_mapping(value, method, arguments)?,
        ValueKind::Seq => of_list(value, method, arguments)?,
        _ => None,
    };
    match own {
        Some(result) => Ok(result),
        None => unknown_method_callback(state, value, method, arguments),
    }
}

/// The result of a method of texts; `None` for others.
fn of_text(text: &str, method: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    if let Some(holds) = holds(text, method) {
        Arguments::of(arguments)?.end(0)?;
        return Ok(Some(holds.into()));
    }
    let given = Arguments::of(arguments)?;
    let first = |name: &str| given.need::<String>(0, name);
    let result = match method {
        "find" | "rfind" | "index" | "rindex" => place(text, method, &first("sub")?)?.into(),
        "partition" => {
            let separator = first("sep")?;
            parts(text.split_once(&*separator), &separator, [text, "", ""])
        }
        "rpartition" => {
            let separator = first("sep")?;
            parts(text.rsplit_once(&*separator), &separator, ["", "", text])
        }
        "removeprefix" => {
            let prefix = first("prefix")?;
            text.strip_prefix(&*prefix).unwrap_or(text).into()
        }
        "removesuffix" => {
            let suffix = first("suffix")?;
            text.strip_suffix(&*suffix).unwrap_or(text).into()
        }
        "center" | "ljust" | "rjust" | "zfill" => {
            let width = given.need(0, "width")?;
            let fill = given.get::<char>(1, "fillchar")?.unwrap_or(' ');
            given.end(2)?;
            return aligned(text, method, width, fill).map(|text| Some(text.into()));
        }
        "split" | "rsplit" => {
            let separator = given.get::<String>(0, "sep")?;
            let most = given.get::<i64>(1, "maxsplit")?.unwrap_or(-1);
            given.end(2)?;
            let most = usize::try_from(most).unwrap_or(usize::MAX - 1);
            return split(text, separator.as_deref(), most, method == "rsplit").map(Some);
        }
        "swapcase" => {
            given.end(0)?;
            return Ok(Some(text.chars().map(swapped).collect::<String>().into()));
        }
        "casefold" => {
            given.end(0)?;
            return Ok(Some(text.to_lowercase().replace('ß', "ss").into()));
        }
        _ => return Ok(None),
    };
    given.end(1)?;
    Ok(Some(result))
}

/// Whether all characters of a text, of which there is at least one, are of a kind; `None` for other methods.
fn holds(text: &str, method: &str) -> Option<bool> {
    let all = |is: fn(char) -> bool| !text.is_empty() && text.chars().all(is);
    let cased = |is: fn(char) -> bool| {
        let mut letters = text.chars().filter(|c| c.is_lowercase() || c.is_uppercase()).peekable();
        letters.peek().is_some() && letters.all(is)
    };
    Some(match method {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isdigit" | "isnumeric" => all(char::is_numeric),
        "isspace" => all(char::is_whitespace),
        "islower" => cased(char::is_lowercase),
        "isupper" => cased(char::is_uppercase),
        _ => return None,
    })
}

/// Where a text holds another one, in characters.
fn place(text: &str, method: &str, part: &str) -> Result<i64, Error> {
    let found = match method.starts_with('r') {
        true => text.rfind(part),
        false => text.find(part),
    };
    match found {
        Some(byte) => Ok(text[..byte].chars().count() as i64),
        None if method.ends_with("find") => Ok(-1),
        None => Err(wrong("substring not found")),
    }
}

/// What stands before a separator, the separator and what stands behind it.
fn parts(found: Option<(&str, &str)>, separator: &str, otherwise: [&str; 3]) -> Value {
    let parts = found.map_or(otherwise, |(before, behind)| [before, separator, behind]);
    tuple(parts.map(Value::from))
}

fn aligned(text: &str, method: &str, width: usize, fill: char) -> Result<String, Error> {
    let missing = width.saturating_sub(text.chars().count());
    match method {
        "center" => centered(text, width, fill),
        "ljust" => padded(text, 0, missing, fill),
        "rjust" => padded(text, missing, 0, fill),
        _ => {
            let (sign, digits) = text.split_at(text.starts_with(['+', '-']).into());
            Ok(sign.to_owned() + &padded(digits, missing, 0, '0')?)
        }
    }
}

/// At most `most` cuts, from the end where `from_end`; without a separator at runs of spaces.
fn split(text: &str, separator: Option<&str>, most: usize, from_end: bool) -> Result<Value, Error> {
    let mut parts: Vec<&str> = match (separator, from_end) {
        (Some(""), _) => return Err(wrong("empty separator")),
        (Some(separator), false) => text.splitn(most + 1, separator).collect(),
        (Some(separator), true) => text.rsplitn(most + 1, separator).collect(),
        (None, _) => words(text, most, from_end),
    };
    if from_end {
        parts.reverse();
    }
    Ok(parts.into_iter().map(Value::from).collect::<Vec<_>>().into())
}

/// The words of a text in the order in which they are cut off.
fn words(text: &str, most: usize, from_end: bool) -> Vec<&str> {
    let trimmed = |rest: &str| {
        if from_end {
            rest.trim_end().len()
        } else {
            rest.trim_start().len()
        }
    };
    let (mut words, mut rest) = (Vec::new(), text);
    loop {
        let length = trimmed(rest);
        rest = if from_end {
            &rest[..length]
        } else {
            &rest[rest.len() - length..]
        };
        if rest.is_empty() {
            return words;
        }
        let cut = match from_end {
            true => rest
                .rsplit_once(char::is_whitespace)
                .map(|(left, word)| (word, &rest[..=left.len()])),
            false => rest.split_once(char::is_whitespace),
        };
        match cut.filter(|_| words.len() < most) {
            Some((word, left)) => {
                words.push(word);
                rest = left;
            }
            None => {
                words.push(rest);
                return words;
            }
        }
    }
}

fn swapped(c: char) -> String {
    match c.is_uppercase() {
        true => c.to_lowercase().collect(),
        false => c.to_uppercase().collect(),
    }
}

/// The result of a method of mappings; `None` for others.
fn of_mapping(mapping: &Value, method: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    let result = match method {
        "items" => pairs(mapping).map(Value::from),
        "copy" => Some(mapping.clone()),
        _ => return Ok(None),
    };
    Arguments::of(arguments)?.end(0)?;
    Ok(result)
}

/// The result of a method of lists; `None` for others.
fn of_list(list: &Value, method: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    let given = Arguments::of(arguments)?;
    let result = match method {
        "index" => {
            let wanted = given.need::<Value>(0, "value")?;
            given.end(1)?;
            let place = list.try_iter()?.position(|item| item == wanted);
            Value::from(place.ok_or_else(|| wrong(format!("{wanted} is not in the list")))?)
        }
        "copy" => {
            given.end(0)?;
            list.clone()
        }
        _ => return Ok(None),
    };
    Ok(Some(result))
}
