//! A conversation as one text, by the chat template that comes with a tokenizer.
//!
//! Templates are Jinja and come from files: rendering is bounded in steps, depth, memory and time.

use minijinja::{Environment, Error as TemplateError, ErrorKind, context};
use serde::Serialize;

use crate::{Error, Result, bounded::bounded, tokenizer::Tokenizer};

/// Steps of a template; the published ones need some hundreds.
const FUEL: u64 = 2_000_000;
/// Calls inside calls.
const DEEPEST: usize = 64;
/// Templates beyond this are refused.
const LONGEST: usize = 1 << 20;

/// One message.
#[derive(Clone, Copy, Debug, Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a str,
}

/// The text that asks for an answer to one message of a user, after an optional system message.
///
/// # Errors
///
/// A tokenizer without a template, a template that is wrong, refuses the messages or does not end.
pub fn render(tokenizer: &Tokenizer, system: Option<&str>, user: &str) -> Result<String> {
    let Some(template) = tokenizer.chat_template() else {
        return Err(Error::input(
            "the tokenizer has no chat template: give the whole text with --prompt",
        ));
    };
    if template.len() > LONGEST {
        return Err(Error::input("the chat template is longer than any"));
    }
    let system = system.map(|content| Message {
        role: "system",
        content,
    });
    let user = Message {
        role: "user",
        content: user,
    };
    let messages: Vec<Message> = system.into_iter().chain([user]).collect();
    let specials = tokenizer.specials();
    let values = context! {
        messages,
        add_generation_prompt => true,
        bos_token => specials.bos.unwrap_or_default(),
        eos_token => specials.eos.unwrap_or_default(),
        unk_token => specials.unk.unwrap_or_default(),
        pad_token => specials.pad.unwrap_or_default(),
    };
    let rendered = bounded(|| {
        let rendered = environment().render_str(template, values);
        rendered.map_err(|error| error.to_string())
    });
    rendered.map_err(|error| Error::input(format!("the chat template cannot be rendered: {error}")))
}

/// Jinja as the authors of chat templates expect it.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEEPEST);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Meta, file, gguf};

    fn chat(template: &str, system: Option<&str>) -> Result<String> {
        let keys = [
            ("tokenizer.ggml.model", Meta::Text("llama")),
            (
                "tokenizer.ggml.tokens",
                Meta::Texts(vec!["<s>".to_owned(), "</s>".to_owned()]),
            ),
            ("tokenizer.ggml.bos_token_id", Meta::Number(0)),
            ("tokenizer.ggml.add_bos_token", Meta::Truth(true)),
            ("tokenizer.chat_template", Meta::Text(template)),
        ];
        let tokenizer = Tokenizer::open(&file("chat.gguf", &gguf(&keys)))?;
        render(&tokenizer, system, "hi there")
    }

    #[test]
    fn templates_have_what_they_expect() {
        let template = "{{ bos_token }}{% for m in messages %}\n  {% if loop.first and m['role'] == 'system' %}\n[{{ m.content.strip() | upper }}]\n  \
                        {% else %}\n{{ m['role'].title() }}: {{ m.content | trim }}\n{% endif %}\n{% endfor %}\n\
                        {% if add_generation_prompt %}{{ strftime_now('%Y').isdigit() }}{% endif %}{{ tools is defined }}\n";
        assert_eq!(chat(template, None).expect("a chat"), "<s>User: hi there\nTrueFalse");
        let with_system = chat(template, Some(" be brief ")).expect("a chat");
        assert_eq!(with_system, "<s>[BE BRIEF]\nUser: hi there\nTrueFalse");
    }

    #[test]
    fn templates_that_are_wrong_or_do_not_end_are_refused() {
        let nested = "{{ ".to_owned() + &"(".repeat(50_000) + "1" + &")".repeat(50_000) + " }}";
        let wide = "{% for a in range(100000) %}".repeat(9) + &"{% endfor %}".repeat(9);
        let cases = [
            "{{ raise_exception('no system message, please') }}",
            "{% for m in messages %}",
            "{{ nothing.at.all }}",
            "{{ strftime_now('%c' * 1000) }}{{ none.x }}",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
            &nested,
            &wide,
            &"x".repeat(LONGEST + 1),
        ];
        for template in cases {
            let said = chat(template, None)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            assert!(said.contains("template"), "{:.60}: {said}", template);
        }
        let said = chat(cases[0], None).expect_err("refused").to_string();
        assert!(said.contains("no system message, please"), "{said}");
    }

    #[test]
    fn doubling_texts_are_bounded() {
        let doubling = "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s | length }}";
        let said = chat(doubling, None).expect_err("refused").to_string();
        assert!(said.contains("too much memory"), "{said}");
    }
}
