//! `--cache NAME:setting=value,…`: how attention keeps keys and values, as an entry of a model file.

use super::error::bare;
use crate::diag::Diagnostic;

/// Stands for no policy.
pub(crate) const NONE: &str = "none";

/// The policies of a list: a comma begins another one, unless a setting follows it.
pub(crate) fn split(list: &str) -> Vec<String> {
    let mut policies: Vec<String> = Vec::new();
    for part in settings_of(list) {
        let is_setting = part
            .split('=')
            .next()
            .is_some_and(|name| part.contains('=') && !name.contains(':'));
        match policies.last_mut().filter(|_| is_setting) {
            Some(policy) => {
                policy.push(if policy.contains(':') { ',' } else { ':' });
                policy.push_str(part.trim());
            }
            None => policies.push(part.trim().to_owned()),
        }
    }
    policies
}

/// The line of a model file for some policies; nothing for none.
pub(super) fn line(caches: &[String]) -> Result<String, Diagnostic> {
    let entries = caches.iter().map(|text| entry(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(match entries.is_empty() {
        true => String::new(),
        false => format!("cache: [{}]\n", entries.join(", ")),
    })
}

/// `mine:size=40,on=[0,1]` as `{policy: mine, size: 40, on: [0,1]}`, and `none:type=f16` as `{type: f16}`.
pub(crate) fn entry(text: &str) -> Result<String, Diagnostic> {
    let (name, settings) = match text.split_once(':') {
        Some((name, settings)) => (name, settings_of(settings)),
        None => (text, Vec::new()),
    };
    let name = word(text, name)?;
    let policy = (name != NONE).then(|| format!("policy: {name}"));
    let mut parts = Vec::from_iter(policy);
    for setting in settings {
        let (key, value) = setting.split_once('=').ok_or_else(|| wrong(text))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || " []+-*/%._,()".contains(c);
        if value.trim().is_empty() || !value.chars().all(plain) {
            return Err(wrong(text));
        }
        parts.push(format!("{}: {}", word(text, key)?, value.trim()));
    }
    match parts.is_empty() {
        true => Err(wrong(text)),
        false => Ok(format!("{{{}}}", parts.join(", "))),
    }
}

/// The parts between commas that stand in no brackets; what is empty is a part, too.
fn settings_of(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// A name; what is none is reported.
fn word<'t>(text: &str, name: &'t str) -> Result<&'t str, Diagnostic> {
    let name = name.trim();
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if fits { Ok(name) } else { Err(wrong(text)) }
}

fn wrong(text: &str) -> Diagnostic {
    let message = match text.trim().is_empty() {
        true => "what `--cache` names is not a policy: it is empty".to_owned(),
        false => format!("`--cache {}` is not a policy with settings", text.escape_debug()),
    };
    bare(message)
    .help("write `--cache NAME:setting=value,setting=value`, or `--cache none:type=f16`; docs/caches.md lists the policies of the library")
}

#[cfg(test)]
mod tests {
    use super::{line, split};

    #[test]
    fn a_comma_begins_another_policy_unless_a_setting_follows() {
        assert_eq!(
            split("none, one:a=1,b=[2,3],two,three:c=4"),
            ["none", "one:a=1,b=[2,3]", "two", "three:c=4"]
        );
        assert_eq!(split("one,a=1"), ["one:a=1"]);
        assert_eq!(split("a=1"), ["a=1"]);
        assert_eq!(split("none,"), ["none", ""]);
        assert_eq!(split(","), ["", ""]);
    }

    #[test]
    fn a_policy_becomes_an_entry() {
        let of = |texts: &[&str]| {
            line(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>()).unwrap_or_else(|d| d.message)
        };
        assert_eq!(of(&[]), "");
        assert_eq!(of(&["mine"]), "cache: [{policy: mine}]\n");
        assert_eq!(
            of(&["mine:size=40, on=[0,1]", "other:drop=0.5,on=2"]),
            "cache: [{policy: mine, size: 40, on: [0,1]}, {policy: other, drop: 0.5, on: 2}]\n"
        );
        assert_eq!(of(&["none:type=f16"]), "cache: [{type: f16}]\n");
        for bad in [
            "",
            "none",
            "2:",
            "mine:size",
            "mine:size=",
            "mine:",
            "mine:size=1,",
            "mine:size=1,,on=0",
            "mine:size={a: 1}",
            "mine:si ze=1",
        ] {
            assert!(of(&[bad]).contains("is not a policy"), "{bad}");
        }
    }
}
