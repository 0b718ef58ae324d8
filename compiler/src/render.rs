//! Messages as text and as JSON: the only place that writes diagnostics.

use crate::{
    diag::{Diagnostic, Placed},
    pages,
    source::{Place, Sources},
};
use ariadne::{Color, Config, IndexType, Label, Report, ReportKind};
use seqc_grammar::Severity;
use serde_json::{Value, json};
use std::{borrow::Cow, collections::HashMap, fmt::Write, ops::Range};

/// Most labels of one message; further places add nothing that a person reads.
const MAX_LABELS: usize = 8;

/// Lines longer than this are shown in part.
const LONG_LINE: usize = 300;

/// Texts longer than this are not laid out around a message, which takes time for all of their lines.
const LONG_TEXT: usize = 1 << 17;

/// Labels over more lines than this point at their first one.
const MAX_LINES: usize = 8;

/// A text without characters that a terminal obeys or that turn the order of others: they are written as escapes, in a
/// form that JSON knows. Line ends and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_hidden(c) {
            // Writing to a string does not fail.
            true => drop(write!(out, "\\u{:04x}", c as u32)),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Control characters, marks that change the direction of text, and ends of lines that are none to us.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || (c.is_control() && c != '\n' && c != '\t')
}

/// The lines of a source, a sign in the place of each character that is not to reach a terminal.
fn shown(text: &str) -> String {
    let text = text.replace("\r\n", " \n");
    let sign = |c: char| match c {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        _ => '\u{fffd}',
    };
    text.chars().map(|c| if is_hidden(c) { sign(c) } else { c }).collect()
}

/// What to do: as the message says it, else as the page of its code does.
fn remedies(d: &Diagnostic) -> Vec<Cow<'_, str>> {
    match d.help.is_empty() {
        true => pages::remedy(d.code).map(Cow::Borrowed).into_iter().collect(),
        false => d.help.iter().map(|help| visible(help)).collect(),
    }
}

/// A rendered message, with the lines of the source that it is about.
pub fn human(d: &Diagnostic, sources: &Sources, color: bool) -> String {
    let Some(place) = d.place() else {
        let help: String = remedies(d).iter().map(|h| format!("\n  help: {h}")).collect();
        return format!("[{}] {}: {}{help}\n", d.code, severity(d), visible(&d.message));
    };
    if places(d).any(|p| sources.text(p.file).len() > LONG_TEXT || line(sources, p).len() > LONG_LINE) {
        return plain(d, place, sources);
    }
    let id = |p: Place| (visible(sources.path(p.file)).into_owned(), letters(sources, p));
    let kind = match d.severity {
        Severity::Error => ReportKind::Error,
        Severity::Warning => ReportKind::Warning,
    };
    let mut report = Report::build(kind, id(place))
        .with_config(Config::default().with_color(color).with_index_type(IndexType::Char))
        .with_code(d.code)
        .with_message(visible(&d.message));
    let mut labels: Vec<&seqc_grammar::Label> = d.labels.iter().take(MAX_LABELS).collect();
    // The file of the main place first; in each file from top to bottom.
    labels.sort_by_key(|l| {
        let end = range(sources, Place::new(l.file, l.span)).end as u32;
        (l.file != place.file, l.file, sources.line_column(l.file, end).0)
    });
    for (order, l) in labels.into_iter().enumerate() {
        let text = if l.text.is_empty() { "here" } else { &l.text };
        let color = if l.primary { Color::Red } else { Color::Cyan };
        let label = Label::new(id(Place::new(l.file, l.span)))
            .with_message(visible(text))
            .with_color(color);
        report.add_label(label.with_order(order as i32));
    }
    for step in &d.trace {
        let (line, column) = sources.line_column(step.file, step.span.start);
        let note = format!("{}: {}:{line}:{column}", step.text, sources.path(step.file));
        report.add_note(visible(&note));
    }
    for help in remedies(d) {
        report.add_help(help);
    }
    let texts: HashMap<String, String> = places(d)
        .map(|p| (visible(sources.path(p.file)).into_owned(), shown(sources.text(p.file))))
        .collect();
    let mut out = Vec::new();
    // Writing to memory does not fail.
    let _ = report.finish().write(ariadne::sources(texts), &mut out);
    let text = String::from_utf8_lossy(&out);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n"))
}

fn severity(d: &Diagnostic) -> &'static str {
    match d.severity {
        Severity::Error => "Error",
        Severity::Warning => "Warning",
    }
}

fn places(d: &Diagnostic) -> impl Iterator<Item = Place> {
    d.labels.iter().map(|l| Place::new(l.file, l.span))
}

/// The line of a place.
fn line(sources: &Sources, place: Place) -> &str {
    let range = range(sources, place);
    let text = sources.text(place.file);
    let start = text[..range.start].rfind('\n').map_or(0, |n| n + 1);
    let end = text[range.start..].find('\n').map_or(text.len(), |n| range.start + n);
    &text[start..end]
}

/// A message about a line or a text too long to be shown: an excerpt around the place.
fn plain(d: &Diagnostic, place: Place, sources: &Sources) -> String {
    let (at, column) = sources.line_column(place.file, place.span.start);
    let before = column - 1;
    let skip = before.saturating_sub(30);
    let excerpt: String = line(sources, place).chars().skip(skip).take(60).collect();
    let caret = " ".repeat(before - skip);
    let says = d.primary().map_or("", |l| l.text.as_str());
    let path = sources.path(place.file);
    let mut out = format!("[{}] {}: {}\n  {path}:{at}:{column}\n", d.code, severity(d), d.message);
    out.push_str(&format!("  … {} …\n    {caret}^ {says}\n", shown(&excerpt)));
    for l in d.labels.iter().filter(|l| !l.primary).chain(&d.trace) {
        let (line, column) = sources.line_column(l.file, l.span.start);
        out.push_str(&format!("  {}: {}:{line}:{column}\n", l.text, sources.path(l.file)));
    }
    for help in remedies(d) {
        out.push_str(&format!("  Help: {help}\n"));
    }
    visible(&out).into_owned()
}

/// A message as programs read it.
pub fn machine(d: &Diagnostic, sources: &Sources) -> Value {
    let label = |l: &seqc_grammar::Label| {
        let (line, column) = sources.line_column(l.file, l.span.start);
        json!({
            "file": sources.path(l.file),
            "line": line,
            "column": column,
            "start": l.span.start,
            "end": l.span.end,
            "message": l.text,
        })
    };
    json!({
        "version": 1,
        "severity": severity(d).to_lowercase(),
        "code": d.code,
        "message": d.message,
        "place": d.primary().map(label),
        "notes": d.labels.iter().filter(|l| !l.primary).map(label).collect::<Vec<_>>(),
        "trace": d.trace.iter().map(label).collect::<Vec<_>>(),
        "help": match d.help.is_empty() {
            true => pages::remedy(d.code).map(ToOwned::to_owned).into_iter().collect(),
            false => d.help.clone(),
        },
    })
}

/// The same place in characters.
fn letters(sources: &Sources, place: Place) -> Range<usize> {
    let range = range(sources, place);
    let text = sources.text(place.file);
    let start = text[..range.start].replace("\r\n", " \n").chars().count();
    start..start + text[range].chars().count()
}

/// The bytes of a place, inside the text and at character boundaries, a few lines long at most.
fn range(sources: &Sources, place: Place) -> Range<usize> {
    let text = sources.text(place.file);
    let floor = |n: u32| {
        let mut n = (n as usize).min(text.len());
        while !text.is_char_boundary(n) {
            n -= 1;
        }
        n
    };
    let start = floor(place.span.start);
    let end = floor(place.span.end).max(start);
    let line_end = text[start..].find('\n').map_or(text.len(), |n| start + n);
    let long = text[start..end].matches('\n').count() > MAX_LINES;
    start..if long { line_end } else { end }
}
