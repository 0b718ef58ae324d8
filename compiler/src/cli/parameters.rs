//! The parameters of a model one by one, for `seqc inspect`: as JSON, and as text with repeated layers in one line.

use seqc_ir::Model;
use serde_json::{Value, json};
use std::{collections::HashMap, fmt::Write};

/// One parameter of one layer.
struct Parameter<'m> {
    name: &'m str,
    shape: Vec<usize>,
    encoding: &'m str,
    tensors: &'m [String],
}

/// Parameters that differ in the numbers of their names only.
struct Row<'m> {
    first: Parameter<'m>,
    /// Numbers in the names, one list for each parameter.
    numbers: Vec<Vec<usize>>,
}

fn all(model: &Model) -> impl Iterator<Item = Parameter<'_>> {
    model.calls.iter().flat_map(|call| {
        let kind = &model.kinds[call.kind.0 as usize];
        let ports = kind.graph.params.iter().zip(&call.params).zip(&kind.stores);
        ports.map(|((port, source), store)| Parameter {
            name: &source.name,
            shape: port.ty.sizes(),
            encoding: store,
            tensors: &source.tensors,
        })
    })
}

/// Every parameter: its name, shape, encoding in memory, and the tensors that it is read from.
pub(super) fn list(model: &Model) -> Vec<Value> {
    let entry = |p: Parameter<'_>| json!({"name": p.name, "shape": p.shape, "type": p.encoding, "from": p.tensors});
    all(model).map(entry).collect()
}

/// The same as lines for people; `named`: a checkpoint has names of its own.
pub(super) fn text(model: &Model, named: bool) -> String {
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut places: HashMap<(String, Vec<usize>, &str), usize> = HashMap::new();
    for p in all(model) {
        let (pattern, numbers) = numbers(p.name);
        let at = *places
            .entry((pattern, p.shape.clone(), p.encoding))
            .or_insert(rows.len());
        match rows.get_mut(at) {
            Some(row) => row.numbers.push(numbers),
            None => rows.push(Row {
                first: p,
                numbers: vec![numbers],
            }),
        }
    }
    let mut out = String::new();
    for row in &rows {
        let Parameter {
            name,
            shape,
            encoding,
            tensors,
        } = &row.first;
        let mut line = format!("  {} {shape:?} {encoding}", folded(name, &row.numbers));
        if named {
            let from: Vec<String> = tensors.iter().take(1).map(|t| folded(t, &row.numbers)).collect();
            let more = tensors.len().saturating_sub(1);
            let also = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let _ = write!(line, " from {}{also}", from.concat());
        }
        // Writing to a string does not fail.
        let _ = writeln!(out, "{line}");
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

/// One name for several: a range `{0..4}` where one number counts up, `*` where it does not.
fn folded(name: &str, all: &[Vec<usize>]) -> String {
    let (pattern, own) = numbers(name);
    let [first, .., last] = all else {
        return name.to_owned();
    };
    let counts = all
        .windows(2)
        .all(|w| w[0].len() == 1 && w[1].len() == 1 && w[1][0] == w[0][0] + 1);
    match (own == *first && counts, first[..].first(), last[..].first()) {
        (true, Some(from), Some(to)) => pattern.replace('*', &format!("{{{from}..{}}}", to + 1)),
        _ => pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn repeated_layers_share_a_name() {
        let name = "layers.0.mixer.w";
        assert_eq!(folded(name, &[vec![0]]), name);
        assert_eq!(folded(name, &[vec![0], vec![1], vec![2]]), "layers.{0..3}.mixer.w");
        assert_eq!(folded(name, &[vec![0], vec![2]]), "layers.*.mixer.w");
        assert_eq!(folded("layers.0.1.w", &[vec![0, 1], vec![0, 2]]), "layers.*.*.w");
        assert_eq!(folded("model.embed", &[vec![0], vec![1]]), "model.embed");
    }
}
