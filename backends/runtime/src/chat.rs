//! A conversation as one text, by the chat template that comes with a tokenizer.
//!
//! Templates are Jinja and come from files: rendering is bounded in steps, depth, memory and time. They are given what
//! Hugging Face's `transformers` gives them.

mod arguments;
mod filters;
mod json;
mod methods;
mod python;
mod requested;
mod tags;
#[cfg(test)]
mod tests;
mod tuples;

pub(crate) use requested::requested;

use minijinja::{Environment, Error as TemplateError, ErrorKind, Value};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{Error, Result, bounded::bounded, tokenizer::Tokenizer};

/// Steps of a template; the published ones need some hundreds.
const FUEL: u64 = 2_000_000;
/// Calls inside calls.
const DEEPEST: usize = 64;
/// Templates beyond this are refused.
const LONGEST: usize = 1 << 20;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it: `system`, `user`, `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of that role.
    pub fn new(role: &str, content: impl Into<String>) -> Message {
        Message {
            role: role.to_owned(),
            content: content.into(),
        }
    }
}

/// What templates are given beside the messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// Tools that the model may call, as templates expect them: mostly JSON schemas of functions.
    pub tools: Option<Json>,
    /// Documents that the model may use.
    pub documents: Option<Json>,
    /// Further variables by name, which come before the special tokens of these names.
    pub variables: Vec<(String, Json)>,
}

/// Names that templates have for what is given otherwise.
pub(crate) const TAKEN: &[&str] = &["messages", "tools", "documents"];

/// The generation prompt of a conversation.
///
/// # Errors
///
/// A tokenizer without a template, a template that is wrong, refuses the messages or does not end.
pub fn render(tokenizer: &Tokenizer, messages: &[Message], given: &Given) -> Result<String> {
    let Some(template) = tokenizer.chat_template(given.tools.is_some()) else {
        return Err(Error::input(
            "the tokenizer has no chat template: give the whole text with --prompt",
        ));
    };
    let name = template.place;
    if template.text.len() > LONGEST {
        return Err(Error::input(format!(
            "{name}: the chat template is longer than {LONGEST} bytes"
        )));
    }
    // Ends of lines are those of Unix, as the engine in Python makes them.
    let text = template.text.replace("\r\n", "\n").replace('\r', "\n");
    let template = tags::plain(&text);
    let or_none = |json: &Option<Json>| json.as_ref().map_or(Value::from(()), Value::from_serialize);
    let specials = tokenizer.specials();
    let specials = specials
        .iter()
        .map(|(name, text)| (format!("{name}_token"), Value::from(text)));
    let standing = [
        ("messages", Value::from_serialize(messages)),
        ("tools", or_none(&given.tools)),
        ("documents", or_none(&given.documents)),
        ("add_generation_prompt", Value::from(true)),
    ];
    let variables = given.variables.iter();
    // Of equal names the last one counts.
    let values: Value = specials
        .chain(standing.map(|(name, value)| (name.to_owned(), value)))
        .chain(variables.map(|(name, value)| (name.clone(), Value::from_serialize(value))))
        .collect();
    let rendered = bounded(|| {
        let rendered = environment().render_named_str(&name, &template, values);
        rendered.map_err(|error| told(&error))
    });
    rendered.map_err(|error| Error::input(format!("the chat template cannot be rendered: {error}")))
}

/// What went wrong, with the cause where there is one.
fn told(error: &TemplateError) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Jinja as the authors of chat templates expect it.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEEPEST);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_unknown_method_callback(methods::call);
    python::install(&mut environment);
    filters::install(&mut environment);
    environment.add_filter("tojson", json::tojson);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", strftime_now);
    environment
}

fn raise_exception(message: String) -> std::result::Result<String, TemplateError> {
    Err(TemplateError::new(ErrorKind::InvalidOperation, message))
}

/// The local time, in the format of C's `strftime`.
fn strftime_now(format: String) -> std::result::Result<String, TemplateError> {
    let wrong = || TemplateError::new(ErrorKind::InvalidOperation, "strftime_now: not a format of dates");
    let format = std::ffi::CString::new(format).map_err(|_| wrong())?;
    let mut buffer = [0_u8; 256];
    // SAFETY: all pointers lead to locals that live through the calls; `strftime` writes at most `buffer.len()` bytes.
    let written = unsafe {
        let now = libc::time(std::ptr::null_mut());
        let mut parts = std::mem::zeroed::<libc::tm>();
        if libc::localtime_r(&raw const now, &raw mut parts).is_null() {
            return Err(wrong());
        }
        let to = buffer.as_mut_ptr().cast();
        libc::strftime(to, buffer.len(), format.as_ptr(), &raw const parts)
    };
    if written == 0 && !format.is_empty() {
        return Err(wrong());
    }
    Ok(String::from_utf8_lossy(&buffer[..written]).into_owned())
}
