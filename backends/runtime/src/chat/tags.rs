//! `{% generation %}`, with which templates mark what the model said: a block that is its contents.

/// Text of the template to the engine's: its `with` opens the same scope and says no more.
const TAGS: [(&str, &str); 2] = [("generation", "with"), ("endgeneration", "endwith")];

/// The template with the marks as blocks that the template engine supports. Texts, comments and raw parts stay as they are.
pub(super) fn plain(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let end = match tag.as_bytes().get(1) {
            Some(b'#') => after(tag, "#}"),
            Some(b'%') if word(tag) == "raw" => raw(tag),
            Some(b'%') => code(tag, "%}"),
            Some(b'{') => code(tag, "}}"),
            _ => 1,
        };
        let (tag, left) = tag.split_at(end);
        let renamed = TAGS.iter().find(|(name, _)| alone(tag, name));
        match renamed {
            Some((name, block)) => out.push_str(&tag.replacen(name, block, 1)),
            None => out.push_str(tag),
        }
        rest = left;
    }
    out + rest
}

/// Where the first such sign ends.
fn after(text: &str, sign: &str) -> usize {
    text.find(sign).map_or(text.len(), |at| at + sign.len())
}

/// The first word of a tag `{% word … %}`.
fn word(tag: &str) -> &str {
    let inside = tag[2..].trim_start_matches(['-', '+']).trim_start();
    let end = inside.find(|c: char| !c.is_alphanumeric() && c != '_');
    &inside[..end.unwrap_or(inside.len())]
}

/// Whether a tag says this word and no more.
fn alone(tag: &str, name: &str) -> bool {
    let inside = tag.strip_prefix("{%").and_then(|tag| tag.strip_suffix("%}"));
    inside.is_some_and(|inside| inside.trim_matches(['-', '+']).trim() == name)
}

/// Where `{% raw %} … {% endraw %}` ends.
fn raw(tag: &str) -> usize {
    let mut at = 2;
    while let Some(next) = tag[at..].find("{%") {
        at += next;
        if word(&tag[at..]) == "endraw" {
            return at + after(&tag[at..], "%}");
        }
        at += 2;
    }
    tag.len()
}

/// Where a tag with this closing sign ends: texts in quotes do not count, nor do braces that are open.
fn code(tag: &str, close: &str) -> usize {
    let (mut quote, mut escaped, mut open) = (None, false, 0_usize);
    for (at, byte) in tag.bytes().enumerate().skip(2) {
        match (quote, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(sign), _) if sign == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, _) if open == 0 && tag.as_bytes()[at..].starts_with(close.as_bytes()) => return at + close.len(),
            (None, b'{') => open += 1,
            (None, b'}') => open = open.saturating_sub(1),
            (None, _) => {}
        }
    }
    tag.len()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn marks_become_scopes_with_their_whitespace() {
        for (template, expected) in [
            ("{% generation %}a{% endgeneration %}", "{% with %}a{% endwith %}"),
            (
                "{%- generation -%} a {%+ endgeneration +%}",
                "{%- with -%} a {%+ endwith +%}",
            ),
            (
                "{%generation%}{{ x }}{%-endgeneration-%}",
                "{%with%}{{ x }}{%-endwith-%}",
            ),
            (
                "{%-\n generation\n%}é{% endgeneration %}",
                "{%-\n with\n%}é{% endwith %}",
            ),
        ] {
            assert_eq!(plain(template), expected);
        }
    }

    #[test]
    fn everything_else_stays() {
        for template in [
            "{{ '{% generation %}' }}",
            "{# {% generation %} #}",
            "{% raw %}{% generation %}{% endraw %}",
            "{% set x = \"%} {% generation %}\" %}",
            "{{ {'a': {'b': '}} \\' {% generation %}'}} }}",
            "{% if generation %}{% endif %}",
            "{% generations %}",
            "{% generation",
            "{",
            "{%",
            "{% raw %}",
            "{# never closed {% generation %}",
        ] {
            assert_eq!(plain(template), template);
        }
    }
}
