//! Filters of Jinja that the engine does not have.

use minijinja::{
    Environment, Error, State, Value,
    filters::{self, escape},
    value::{Kwargs, Rest},
};
use minijinja_contrib::{filters::filesizeformat, globals};

use super::{
    arguments::{Arguments, centered, wrong},
    python::string,
    tuples::{pairs, tuple},
};

/// Adds the filters, and the functions that come with them.
pub(super) fn install(environment: &mut Environment) {
    environment.add_filter("center", center);
    environment.add_filter("dictsort", dictsort);
    environment.add_filter("filesizeformat", filesizeformat);
    environment.add_filter("forceescape", |state: &State, value: &Value| {
        escape(state, &Value::from(string(value)))
    });
    environment.add_filter("items", items);
    environment.add_filter("striptags", |value: &Value| {
        minijinja_contrib::filters::striptags(string(value))
    });
    environment.add_filter("truncate", truncate);
    environment.add_filter("urlencode", urlencode);
    environment.add_filter("wordcount", wordcount);
    environment.add_filter("first", |value: &Value| match value.is_undefined() {
        true => Ok(Value::UNDEFINED),
        false => filters::first(value),
    });
    for name in ["length", "count"] {
        environment.add_filter(name, |value: &Value| match value.is_undefined() {
            true => Ok(0),
            false => filters::length(value),
        });
    }
    environment.add_filter("join", join);
    environment.add_filter("trim", trim);
    environment.add_filter("upper", |value: &Value| string(value).to_uppercase());
    environment.add_filter("lower", |value: &Value| string(value).to_lowercase());
    environment.add_function("cycler", |items: Rest<Value>| globals::cycler(items.0));
    environment.add_function("joiner", globals::joiner);
}

/// `trim(chars=None)`: of what is no text, of that as a text.
fn trim(value: &Value, arguments: Rest<Value>) -> Result<String, Error> {
    let arguments = Arguments::of(&arguments)?;
    let characters: Option<String> = arguments.get(0, "chars")?;
    arguments.end(1)?;
    let text = string(value);
    Ok(match characters {
        Some(characters) => text.trim_matches(|c| characters.contains(c)),
        None => text.trim(),
    }
    .to_owned())
}

/// `join(d='', attribute=None)`: parts that are no texts as such.
fn join(value: &Value, arguments: Rest<Value>) -> Result<String, Error> {
    let arguments = Arguments::of(&arguments)?;
    let between: String = arguments.get(0, "d")?.unwrap_or_default();
    let attribute: Option<String> = arguments.get(1, "attribute")?;
    arguments.end(2)?;
    if value.is_undefined() {
        return Ok(String::new());
    }
    let part = |part: Value| match &attribute {
        Some(name) => part.get_attr(name).map(|part| string(&part)),
        None => Ok(string(&part)),
    };
    Ok(value
        .try_iter()?
        .map(part)
        .collect::<Result<Vec<_>, _>>()?
        .join(&between))
}

fn center(value: &Value, arguments: Rest<Value>) -> Result<String, Error> {
    let arguments = Arguments::of(&arguments)?;
    let width = arguments.get(0, "width")?.unwrap_or(80);
    arguments.end(1)?;
    centered(&string(value), width, ' ')
}

fn items(value: &Value) -> Result<Vec<Value>, Error> {
    if value.is_undefined() {
        return Ok(Vec::new());
    }
    pairs(value).ok_or_else(|| wrong("`items` is for mappings"))
}

/// `truncate(length=255, killwords=False, end='...', leeway=5)`.
fn truncate(value: &Value, arguments: Rest<Value>) -> Result<String, Error> {
    let arguments = Arguments::of(&arguments)?;
    let length: usize = arguments.get(0, "length")?.unwrap_or(255);
    let inside_words = arguments.get(1, "killwords")?.unwrap_or(false);
    let end: String = arguments.get(2, "end")?.unwrap_or_else(|| "...".to_owned());
    let leeway: usize = arguments.get(3, "leeway")?.unwrap_or(5);
    arguments.end(4)?;
    let kept = length.checked_sub(end.chars().count());
    let kept = kept.ok_or_else(|| wrong("`truncate`: `length` is shorter than `end`"))?;
    let text = string(value);
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let cut: String = text.chars().take(kept).collect();
    let whole = cut.rsplit_once(' ').filter(|_| !inside_words);
    Ok(whole.map_or(&*cut, |(words, _)| words).to_owned() + &end)
}

/// A text, or the pairs of a mapping or a list, as a part of an address.
fn urlencode(value: &Value) -> Result<String, Error> {
    if value.as_str().is_some() {
        return Ok(quoted(&string(value), b"/"));
    }
    let listed = || value.try_iter().ok().map(Iterator::collect);
    let Some(all) = pairs(value).or_else(listed) else {
        return Ok(quoted(&string(value), b"/"));
    };
    let word = |pair: &Value, place: usize| -> Result<String, Error> {
        let word = pair.get_item_by_index(place)?;
        Ok(quoted(&string(&word), b"").replace("%20", "+"))
    };
    let pair = |pair: &Value| -> Result<String, Error> { Ok(format!("{}={}", word(pair, 0)?, word(pair, 1)?)) };
    Ok(all.iter().map(pair).collect::<Result<Vec<_>, _>>()?.join("&"))
}

fn quoted(text: &str, safe: &[u8]) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || safe.contains(&byte);
    let letter = |byte: u8| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

/// Runs of letters, digits and `_`.
fn wordcount(value: &Value) -> usize {
    let text = string(value);
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty()).count()
}

/// `dictsort`, whose pairs are tuples.
fn dictsort(value: &Value, arguments: Kwargs) -> Result<Vec<Value>, Error> {
    let sorted = minijinja::filters::dictsort(value, arguments)?;
    let pair = |pair: Value| Ok(tuple(pair.try_iter()?));
    sorted.try_iter()?.map(pair).collect()
}
