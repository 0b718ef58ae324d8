//! Messages for people and for programs: the only place that writes diagnostics.

use crate::{
    diag::Diagnostic,
    source::{Place, Sources},
};
use ariadne::{Color, Config, IndexType, Label, Report, ReportKind};
use serde_json::{Value, json};
use std::{collections::HashMap, ops::Range};

/// Most labels of one message; further places add nothing that a person reads.
const MAX_LABELS: usize = 8;

/// Lines longer than this are shown in part.
const LONG_LINE: usize = 300;

/// A message as people read it, with the lines of the source that it is about.
pub fn human(d: &Diagnostic, sources: &Sources, color: bool) -> String {
    let place = d.place.filter(|p| sources.get(p.file).is_some());
    let Some(place) = place else {
        let help = d.help.as_ref().map(|h| format!("\n  help: {h}")).unwrap_or_default();
        return format!("error[{}]: {}{help}\n", d.code, d.message);
    };
    let places = || std::iter::once(place).chain(d.notes.iter().map(|(p, _)| *p));
    if places().any(|p| line(sources, p).len() > LONG_LINE) {
        return plain(d, place, sources);
    }
    let id = |p: Place| (name(sources, p), range(sources, p));
    let mut report = Report::build(ReportKind::Error, id(place))
        .with_config(Config::default().with_color(color).with_index_type(IndexType::Byte))
        .with_code(d.code)
        .with_message(&d.message);
    let label = if d.label.is_empty() { "here" } else { &d.label };
    report.add_label(Label::new(id(place)).with_message(label).with_color(Color::Red));
    let mut seen = vec![place];
    for (order, (at, text)) in d.notes.iter().enumerate() {
        if sources.get(at.file).is_none() || seen.len() > MAX_LABELS {
            continue;
        }
        seen.push(*at);
        let label = Label::new(id(*at)).with_message(text).with_color(Color::Cyan);
        report.add_label(label.with_order(order as i32 + 1));
    }
    for (at, text) in &d.trace {
        let (line, column) = sources.line_column(*at);
        report.add_note(format!("{text}: {}:{line}:{column}", name(sources, *at)));
    }
    if let Some(help) = &d.help {
        report.add_help(help);
    }
    let texts: HashMap<String, String> = std::iter::once(place)
        .chain(d.notes.iter().map(|(p, _)| *p))
        .filter_map(|p| sources.get(p.file).map(|s| (s.name.clone(), s.text.clone())))
        .collect();
    let mut out = Vec::new();
    // Writing to memory does not fail.
    let _ = report.finish().write(ariadne::sources(texts), &mut out);
    let text = String::from_utf8_lossy(&out);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n"))
}

/// The line of a place.
fn line(sources: &Sources, place: Place) -> &str {
    let range = range(sources, place);
    let text = sources.get(place.file).map_or("", |s| s.text.as_str());
    let start = text[..range.start].rfind('\n').map_or(0, |n| n + 1);
    let end = text[range.start..].find('\n').map_or(text.len(), |n| range.start + n);
    &text[start..end]
}

/// A message about a line too long to be shown: an excerpt around the place.
fn plain(d: &Diagnostic, place: Place, sources: &Sources) -> String {
    let (at, column) = sources.line_column(place);
    let before = column - 1;
    let skip = before.saturating_sub(30);
    let excerpt: String = line(sources, place).chars().skip(skip).take(60).collect();
    let caret = " ".repeat(before - skip);
    let mut out = format!("[{}] Error: {}\n  {}:{at}:{column}\n", d.code, d.message, name(sources, place));
    out.push_str(&format!("  … {excerpt} …\n    {caret}^ {}\n", d.label));
    for (p, text) in d.notes.iter().chain(&d.trace) {
        let (line, column) = sources.line_column(*p);
        out.push_str(&format!("  {text}: {}:{line}:{column}\n", name(sources, *p)));
    }
    if let Some(help) = &d.help {
        out.push_str(&format!("  Help: {help}\n"));
    }
    out
}

/// A message as programs read it.
pub fn machine(d: &Diagnostic, sources: &Sources) -> Value {
    let place = |p: Place| {
        let (line, column) = sources.line_column(p);
        json!({
            "file": name(sources, p),
            "line": line,
            "column": column,
            "start": p.span.start,
            "end": p.span.end,
        })
    };
    let list = |items: &[(Place, String)]| -> Vec<Value> {
        items
            .iter()
            .map(|(p, text)| json!({"place": place(*p), "message": text}))
            .collect()
    };
    json!({
        "version": 1,
        "severity": "error",
        "code": d.code,
        "message": d.message,
        "place": d.place.map(place),
        "label": d.label,
        "notes": list(&d.notes),
        "trace": list(&d.trace),
        "help": d.help,
    })
}

fn name(sources: &Sources, place: Place) -> String {
    sources.get(place.file).map(|s| s.name.clone()).unwrap_or_default()
}

/// The bytes of a place, inside the text and at character boundaries, one line long at most.
fn range(sources: &Sources, place: Place) -> Range<usize> {
    let Some(source) = sources.get(place.file) else {
        return 0..0;
    };
    let text = &source.text;
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
    let end = if text[start..end].matches('\n').count() > 8 { line_end } else { end };
    start..end
}
