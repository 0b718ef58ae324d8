//! GGUF files of every family that is read from such, with keys and tensors that are not what they should be.

use crate::{
    containers::{self, Key, Shapes},
    ending::put,
    mutate::EXTREMES,
};
use seqc::model::standard;
use seqc_ir::random::Rng;
use std::path::{Path, PathBuf};

/// The architectures of a family of GGUF files; none where it is of other checkpoints.
pub(crate) fn architectures(family: &str) -> Vec<&str> {
    let listed = family
        .split_once("match: {general.architecture: ")
        .map(|(_, rest)| rest);
    let listed = listed
        .and_then(|rest| rest.split_once('}'))
        .map_or("", |(list, _)| list);
    let names = listed.trim_matches(['[', ']']).split(',');
    names
        .map(|name| name.trim_matches(['"', ' ']))
        .filter(|name| !name.is_empty())
        .collect()
}

/// A file of that architecture, with the keys that the family and its parts read and the tensors that it names.
pub(crate) fn file(rng: &mut Rng, dir: &Path, family: &str, architecture: &str) -> Result<PathBuf, String> {
    let included = family
        .lines()
        .find(|line| line.starts_with("include:"))
        .unwrap_or_default();
    let parts = standard::family_parts();
    let parts = parts.iter().filter(|(_, name, _)| has_word(included, name));
    let texts: Vec<&str> = parts.map(|(_, _, text)| *text).chain([family]).collect();
    let mut keys = vec![("general.architecture".to_owned(), Key::Text(architecture.to_owned()))];
    for text in &texts {
        for (name, quoted) in read_keys(text) {
            let name = name.replace("{arch}", architecture);
            if name != "general.architecture" && !rng.once_in(20) && keys.iter().all(|(known, _)| *known != name) {
                keys.push((name, value(rng, quoted)));
            }
        }
    }
    let mut names: Vec<String> = Vec::new();
    for name in texts.iter().flat_map(|text| tensor_names(text)) {
        for layer in ["0", "1"] {
            let name = name.replace("{i}", layer);
            if !names.contains(&name) && !rng.once_in(30) {
                names.push(name);
            }
        }
    }
    let shapes: Shapes = names.into_iter().map(|name| (name, shape(rng))).collect();
    put(dir, "model.gguf", &containers::gguf(rng, &keys, &shapes))
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(['[', ']', ',', ' ', ':']).any(|part| part == word)
}

/// The keys that a text asks for, and the text that stands for a missing one, where that is a text.
fn read_keys(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split("get(\"").skip(1).filter_map(|rest| {
        let (key, after) = rest.split_once('"')?;
        let quoted = after.strip_prefix(", \"").and_then(|text| text.split_once('"'));
        Some((key, quoted.map(|(text, _)| text)))
    })
}

/// Names of tensors of a block and of the whole model.
fn tensor_names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| c.is_whitespace() || "\"',()[]".contains(c));
    words
        .map(|word| word.trim_end_matches(['}', ':']))
        .filter(|word| word.ends_with(".weight") || word.ends_with(".bias"))
        .filter(|word| {
            ["blk.{i}.", "enc.", "dec.", "token_", "output", "rope_", "position_"]
                .iter()
                .any(|start| word.starts_with(start))
        })
}

fn value(rng: &mut Rng, quoted: Option<&str>) -> Key {
    match (quoted, rng.below(16)) {
        (Some(text), _) => Key::Text(text.to_owned()),
        (_, 0) => Key::Bool(rng.once_in(2)),
        (_, 1) => Key::Float(*rng.choose(&[0.5, 1e-6, -1.0, f32::INFINITY, f32::NAN])),
        (_, 2) => Key::Uint(*rng.choose(EXTREMES)),
        (_, 3 | 4) => Key::Ints(vec![*rng.choose(&[0, 1, 2, 8, -1]); 1 + rng.below(3)]),
        _ => Key::Int(*rng.choose(&[1, 1, 2, 2, 4, 8, 16, 32])),
    }
}

fn shape(rng: &mut Rng) -> Vec<usize> {
    let axes = 1 + rng.below(3);
    (0..axes).map(|_| *rng.choose(&[1, 2, 4, 8, 16, 32])).collect()
}

#[cfg(test)]
mod tests {
    use super::{architectures, read_keys, tensor_names};
    use seqc::model::standard;

    #[test]
    fn families_of_gguf_files_name_keys_and_tensors() {
        let mut count = 0;
        for (name, text) in standard::families() {
            if !architectures(text).is_empty() {
                assert!(tensor_names(text).count() > 4, "{name}");
                count += read_keys(text).count();
            }
        }
        assert!(count > 20, "{count} keys");
    }
}
