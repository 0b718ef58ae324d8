//! The parameters of a model one by one, for `seqc inspect`: as JSON, and as text with repeated layers in one line.

use seqc_formats::Encoding;
use seqc_ir::Model;
use serde_json::{Value, json};
use std::{collections::HashMap, fmt::Write};

/// Most numbers of a row that are listed one by one.
const MOST_LISTED: usize = 8;

/// One parameter of one layer.
struct Parameter<'m> {
    name: &'m str,
    shape: Vec<usize>,
    encoding: Encoding,
    tensors: &'m [String],
}

/// Parameters that differ in the numbers of their names, and of the tensors that they are read from, only.
struct Row<'m> {
    first: Parameter<'m>,
    names: Vec<&'m str>,
    /// The first tensor of each.
    from: Vec<&'m str>,
}

fn all(model: &Model) -> impl Iterator<Item = Parameter<'_>> {
    model.calls.iter().flat_map(|call| {
        let kind = &model.kinds[call.kind.0 as usize];
        let ports = kind.graph.params.iter().zip(&call.params).zip(&kind.encodings);
        ports.map(|((port, source), encoding)| Parameter {
            name: &source.name,
            shape: port.ty.sizes(),
            encoding: *encoding,
            tensors: &source.tensors,
        })
    })
}

/// Every parameter: its name, shape, encoding in memory, and the tensors that it is read from.
pub(super) fn list(model: &Model) -> Vec<Value> {
    let entry =
        |p: Parameter<'_>| json!({"name": p.name, "shape": p.shape, "type": p.encoding.name(), "from": p.tensors});
    all(model).map(entry).collect()
}

/// The same as text; `named`: a checkpoint has names of its own.
pub(super) fn text(model: &Model, named: bool) -> String {
    let mut out = String::new();
    for row in rows(model) {
        let Parameter {
            shape,
            encoding,
            tensors,
            ..
        } = &row.first;
        let mut line = format!("  {} {shape:?} {encoding}", folded(&row.names));
        let more = tensors.len().saturating_sub(1);
        // Without a checkpoint, a parameter is read from elsewhere where layers share it.
        if named || row.from[0] != row.names[0] {
            line.push_str(&format!(" from {}", folded(&row.from)));
            if more > 0 {
                line.push_str(&format!(" and {more} more"));
            }
        }
        // Writing to a string does not fail.
        let _ = writeln!(out, "{line}");
    }
    out
}

fn rows(model: &Model) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut places: HashMap<(String, String, Vec<usize>, Encoding), usize> = HashMap::new();
    for p in all(model) {
        let from = p.tensors.first().map_or("", String::as_str);
        let key = (numbers(p.name).0, without_digits(from), p.shape.clone(), p.encoding);
        let at = *places.entry(key).or_insert(rows.len());
        match rows.get_mut(at) {
            Some(row) => {
                row.names.push(p.name);
                row.from.push(from);
            }
            None => rows.push(Row {
                names: vec![p.name],
                from: vec![from],
                first: p,
            }),
        }
    }
    rows
}

/// A name with `*` for each run of digits.
fn without_digits(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c.is_ascii_digit() {
            false => out.push(c),
            true if out.ends_with('*') => {}
            true => out.push('*'),
        }
    }
    out
}

/// A name with `*` for the numbers that stand alone between dots, and these numbers.
fn numbers(name: &str) -> (String, Vec<usize>) {
    let mut found = Vec::new();
    let parts: Vec<&str> = name
        .split('.')
        .map(|part| match part.parse() {
            Ok(n) => {
                found.push(n);
                "*"
            }
            Err(_) => part,
        })
        .collect();
    (parts.join("."), found)
}

/// One name for several: a range `{0..4}` where one number counts up, `{0,2}` where there are few, else `*`; the first where more than
/// numbers differ.
fn folded(names: &[&str]) -> String {
    let [first, _, ..] = names else {
        return names.concat();
    };
    if names.iter().all(|name| name == first) {
        return (*first).to_owned();
    }
    let pattern = numbers(first).0;
    let all: Vec<(String, Vec<usize>)> = names.iter().map(|name| numbers(name)).collect();
    if all.iter().any(|(other, _)| *other != pattern) {
        return format!("{first} …");
    }
    let single: Option<Vec<usize>> = all
        .iter()
        .map(|(_, own)| own.first().copied().filter(|_| own.len() == 1))
        .collect();
    let Some(single) = single else { return pattern };
    let counts = single
        .iter()
        .enumerate()
        .all(|(n, own)| *own == single[0].saturating_add(n));
    match single.len() {
        all if counts => pattern.replace('*', &format!("{{{}..{}}}", single[0], single[0].saturating_add(all))),
        few if few <= MOST_LISTED => {
            let listed: Vec<String> = single.iter().map(usize::to_string).collect();
            pattern.replace('*', &format!("{{{}}}", listed.join(",")))
        }
        _ => pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn repeated_layers_share_a_name() {
        assert_eq!(folded(&["layers.0.mixer.w"]), "layers.0.mixer.w");
        assert_eq!(folded(&["layers.0.w", "layers.1.w", "layers.2.w"]), "layers.{0..3}.w");
        assert_eq!(folded(&["layers.0.w", "layers.2.w"]), "layers.{0,2}.w");
        assert_eq!(
            folded(&[
                "l.0.w", "l.2.w", "l.4.w", "l.6.w", "l.8.w", "l.10.w", "l.12.w", "l.14.w", "l.16.w"
            ]),
            "l.*.w"
        );
        assert_eq!(folded(&["layers.0.1.w", "layers.0.2.w"]), "layers.*.*.w");
        assert_eq!(folded(&["model.embed", "model.embed"]), "model.embed");
        assert_eq!(folded(&["first.w", "second.w"]), "first.w …");
    }
}
