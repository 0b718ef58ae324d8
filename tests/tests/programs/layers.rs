//! The layers of the documents: each builds from its text and obeys the chunk law.

use std::{fs, path::PathBuf};

use seqc_tests::{
    command,
    document::{self, Head, Snippet},
    program::{Program, Way},
    root,
};

const CUT_TOLERANCE: f32 = 1e-5;

fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(root().join("docs"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect();
    found.extend(["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].map(|name| root().join(name)));
    found.retain(|path| path.extension().is_some_and(|ending| ending == "md") && path.exists());
    found.sort();
    found
}

/// Writes every `seq` snippet of a document to a file named after its first definition.
fn written(document: &std::path::Path) -> (PathBuf, Vec<(Head, Snippet)>) {
    let stem = document
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let dir = seqc_tests::scratch(&format!("documents-{stem}"));
    let mut layers = Vec::new();
    for snippet in document::snippets(document).into_iter().filter(|s| s.language == "seq") {
        let head = document::head(&snippet.text);
        let head = head.unwrap_or_else(|| panic!("{}:{}: no definition", document.display(), snippet.line));
        write(&dir.join(format!("{}.seq", head.name)), &snippet.text);
        layers.push((head, snippet));
    }
    (dir, layers)
}

fn write(path: &std::path::Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

#[test]
fn every_model_in_the_documents_is_right() {
    for document in documents() {
        let (dir, _) = written(&document);
        for snippet in document::snippets(&document)
            .into_iter()
            .filter(|s| s.language == "yaml" && s.text.contains("stack:"))
        {
            let model = dir.join(format!("line{}.yaml", snippet.line));
            write(&model, &snippet.text);
            command::seqc(&[PathBuf::from("check"), model]).ok();
        }
    }
}

#[test]
fn every_layer_in_the_documents_obeys_the_chunk_law() {
    let mut tried = 0;
    for document in documents() {
        let (dir, layers) = written(&document);
        for (head, _) in layers
            .iter()
            .filter(|(head, _)| !["fn", "cache"].contains(&&*head.kind))
        {
            let integers_only = head.inputs.iter().all(|(_, shape)| shape == "int");
            let model = dir.join(format!("{}-trial.yaml", head.name));
            if !integers_only {
                continue; // reads vectors of another layer; its model stands beside it in the document
            }
            write(&model, &document::trial(head, &format!("{}.seq", head.name)));
            command::seqc(&[PathBuf::from("check"), model.clone()]).ok();
            if head.inputs.is_empty() {
                check_chunks(&head.name, &Program::build(&model, &dir.join(&head.name)));
                tried += 1;
            }
        }
    }
    assert!(tried > 5, "only {tried} layers were found in the documents");
}

fn check_chunks(name: &str, program: &Program) {
    let tokens: Vec<i64> = (0..75).map(|i| (i * i * 31 + 7 * i + 3) % 64).collect();
    let whole = program.logits(
        &tokens,
        Way {
            chunks: &[tokens.len()],
            ..Way::default()
        },
    );
    assert!(
        whole.data.iter().any(|v| v.abs() > 1e-3) && whole.data.iter().all(|v| v.is_finite()),
        "{name}: no sensible numbers"
    );
    for chunks in [&[1][..], &[7], &[16], &[3, 1, 20]] {
        let way = Way {
            chunks,
            ..Way::default()
        };
        let found = match program.try_logits(&tokens, way) {
            Ok(found) => found,
            Err(answer) => {
                let refused = answer.refused();
                assert!(refused.contains("reads its input at once"), "{name}: {refused}");
                let threads = 2;
                let way = Way {
                    threads,
                    ..Way::default()
                };
                program.logits(&tokens, way)
            }
        };
        let off = found.relative(&whole);
        assert!(off <= CUT_TOLERANCE, "{name}, chunks {chunks:?}: off by {off:e}");
    }
}
