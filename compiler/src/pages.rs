//! The pages about messages, docs/errors.md: one for each code.

/// The document, which is also part of the tool.
const TEXT: &str = include_str!("../../docs/errors.md");

/// In front of the line of a page that says what to do.
const REMEDY: &str = "Do: ";

/// Code and text of every page.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    TEXT.split("\n## ").skip(1).filter_map(|page| {
        let (code, text) = page.split_once('\n')?;
        Some((code.trim(), text.trim()))
    })
}

/// The page of a code.
pub fn page(code: &str) -> Option<&'static str> {
    all().find(|(c, _)| *c == code).map(|(_, text)| text)
}

/// What to do about a message of this code.
pub fn remedy(code: &str) -> Option<&'static str> {
    let line = page(code)?.lines().find_map(|line| line.strip_prefix(REMEDY))?;
    Some(line.strip_suffix('.').unwrap_or(line))
}
