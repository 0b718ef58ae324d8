//! Every layer of the documents, of `specs/layers` and of `tests/layers`, tried in a small model and evaluated.

use seqc::{
    model::{self, ReadOptions},
    reference, render,
    source::{FileId, Sources},
};
use seqc_grammar::ast::{Def, DefKind, ExprKind, Shape, StreamTy};
use seqc_ir::eval::Tensor;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(dir: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(dir)).unwrap_or_else(|e| panic!("{dir}: {e}"));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == ending));
    paths.sort();
    paths
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Fenced snippets of a language.
fn snippets(text: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    let parts = text.split(&open).skip(1);
    parts.filter_map(|p| p.split("```").next().map(str::to_owned)).collect()
}

/// Names in a shape that a model has to give sizes.
fn sizes_of(shape: &Shape, out: &mut Vec<String>) {
    for e in &shape.dims {
        if let ExprKind::Name(name) = &e.kind
            && name != "d"
            && !out.contains(name)
        {
            out.push(name.clone());
        }
    }
}

/// A model that stacks a layer, or wraps a layer in a block, with an input for each of its streams.
fn trial(def: &Def, file: &str) -> String {
    let (mut sizes, mut inputs, mut wires) = (Vec::new(), Vec::new(), Vec::new());
    for stream in &def.streams {
        let name = &stream.name.text;
        let shown = |s: &Shape| {
            s.dims
                .iter()
                .map(|e| {
                    if let ExprKind::Name(n) = &e.kind {
                        n.clone()
                    } else {
                        "8".to_owned()
                    }
                })
                .collect::<Vec<_>>()
                .join(", ")
        };
        let ty = match &stream.ty {
            StreamTy::Layer | StreamTy::Complex(_) => continue,
            StreamTy::Any | StreamTy::Int(None) => "int".to_owned(),
            StreamTy::Real(shape) => {
                sizes_of(shape, &mut sizes);
                format!("[{}]", shown(shape))
            }
            StreamTy::Int(Some(shape)) => {
                sizes_of(shape, &mut sizes);
                format!("int[{}]", shown(shape))
            }
        };
        inputs.push(format!("{name}: \"{ty}\""));
        wires.push(format!("{name}: {name}"));
    }
    let given = def.settings.iter().filter(|s| s.default.is_none()).map(|s| {
        let value = match s.name.text.as_str() {
            "heads" => 4,
            "depth" => 1,
            _ => 8,
        };
        format!("{}: {value}", s.name.text)
    });
    let given = given.collect::<Vec<_>>().join(", ");
    let sizes: String = sizes
        .iter()
        .map(|n| format!(", {n}: {}", if n == "g" { 2 } else { 8 }))
        .collect();
    let name = &def.name.text;
    let governed = match def.kind {
        DefKind::Cache => format!("cache: [{{policy: {name}, {given}}}]\n"),
        DefKind::Layer | DefKind::Block | DefKind::Fn => String::new(),
    };
    let entry = match def.kind {
        DefKind::Cache => "  - attention: {heads: 4, kv_heads: 2}\n  - attention: {heads: 4, kv_heads: 2}\n".to_owned(),
        DefKind::Block => format!("  - swiglu: {{hidden: 8}}\n    block: {{{name}: {{{given}}}}}\n"),
        _ => format!("  - {name}: {{{given}}}\n    in: {{{}}}\n", wires.join(", ")),
    };
    format!(
        "version: 1\nmodel: trial\nsizes: {{d: 32{sizes}}}\nuse: [{file}]\ninputs: {{{}}}\nweights: {{random: 5}}\n{governed}stack:\n{entry}",
        if inputs.is_empty() {
            "x: \"[d]\"".to_owned()
        } else {
            inputs.join(", ")
        }
    )
}

/// Reads a model and evaluates a few tokens; gives the warnings about its layers.
fn evaluate(path: &Path, text: &str) -> String {
    let mut sources = Sources::default();
    let built = match model::read_text(path, text.to_owned(), &mut sources, &ReadOptions::default()) {
        Ok(built) => built,
        Err(diagnostics) => {
            let said: String = diagnostics.iter().map(|d| render::human(d, &sources, false)).collect();
            panic!("{}\n{text}\n{said}", path.display());
        }
    };
    let rows = |inputs: &[seqc_ir::ModelInput]| -> Vec<Vec<Tensor>> {
        let row = |t: usize| {
            let of = |input: &seqc_ir::ModelInput| {
                let sizes = input.ty.sizes();
                let count: usize = sizes.iter().product();
                let int = input.ty.elem == seqc_ir::Elem::I64;
                let value = |i: usize| {
                    if int {
                        ((t + i) % 2) as f64
                    } else {
                        ((t * 7 + i * 3) % 11) as f64 / 6.0 - 0.9
                    }
                };
                Tensor::new(&sizes, (0..count).map(value).collect())
            };
            inputs.iter().map(of).collect()
        };
        (0..6).map(row).collect()
    };
    let given = reference::Given {
        rows: &rows(&built.model.inputs),
        memory: &rows(&built.model.memory.inputs),
        prompt: None,
    };
    let outputs = reference::run_given(&built, &given).unwrap_or_else(|e| panic!("{}: {e}\n{text}", path.display()));
    let data = &outputs[0].data;
    let sensible = data.iter().all(|v| v.is_finite()) && data.iter().any(|v| v.abs() > 1e-9);
    assert!(sensible, "{}: no sensible numbers\n{text}", path.display());
    built
        .remarks
        .iter()
        .map(|d| render::human(d, &sources, false))
        .collect()
}

/// Tries every layer and block of a layer file.
fn try_all(name: &str, layers: &str) -> usize {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documents");
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    let file = format!("{name}.seq");
    fs::write(dir.join(&file), layers).unwrap_or_else(|e| panic!("{e}"));
    let (parsed, problems) = seqc_grammar::parse_file(FileId(0), layers);
    assert_eq!(problems, [], "{name}");
    let tried = parsed.items.iter().filter(|def| def.kind != DefKind::Fn);
    let (mut count, mut doubts) = (0, String::new());
    for def in tried {
        doubts += &evaluate(&dir.join(format!("{}.yaml", def.name.text)), &trial(def, &file));
        count += 1;
    }
    assert!(doubts.is_empty(), "{name}:\n{doubts}");
    count
}

#[test]
fn layers_of_the_library_and_of_the_suite_are_evaluated() {
    let mut paths = files("specs/layers", "seq");
    paths.extend(files("specs/caches", "seq"));
    paths.extend(files("tests/layers", "seq"));
    let stem = |p: &Path| {
        p.file_stem()
            .map_or(String::new(), |s| s.to_string_lossy().into_owned())
    };
    let tried: usize = paths.iter().map(|p| try_all(&stem(p), &text(p))).sum();
    assert!(tried > 40, "{tried}");
}

/// docs/layers.md has a row for each layer and block, docs/caches.md for each cache, with its settings as they are declared.
#[test]
fn the_library_is_listed() {
    assert_eq!(
        unlisted("specs/layers", "docs/layers.md"),
        Vec::<String>::new(),
        "not in docs/layers.md"
    );
    assert_eq!(
        unlisted("specs/caches", "docs/caches.md"),
        Vec::<String>::new(),
        "not in docs/caches.md"
    );
}

/// Definitions of a folder, and settings, that a page has no row for.
fn unlisted(folder: &str, page: &str) -> Vec<String> {
    let listed = text(&root().join(page));
    let mut missing = Vec::new();
    for path in files(folder, "seq") {
        let (parsed, _) = seqc_grammar::parse_file(FileId(0), &text(&path));
        for def in parsed.items.iter().filter(|def| def.kind != DefKind::Fn) {
            let name = &def.name.text;
            let row = listed.lines().find(|line| line.starts_with(&format!("| `{name}` | ")));
            let has =
                |s: &str| row.is_some_and(|row| row.contains(&format!("`{s}`")) || row.contains(&format!("`{s} = ")));
            let settings = def.settings.iter().map(|s| s.name.text.as_str());
            missing.extend(settings.filter(|s| !has(s)).map(|s| format!("{name}: {s}")));
            missing.extend(row.is_none().then(|| name.clone()));
        }
    }
    missing
}

#[test]
fn layers_and_models_of_the_documents_are_evaluated() {
    let mut paths = files("docs", "md");
    paths.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|n| root().join(n)));
    let (mut layers, mut models) = (0, 0);
    for path in paths {
        let text = text(&path);
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documents");
        for snippet in snippets(&text, "seq") {
            let (parsed, _) = seqc_grammar::parse_file(FileId(0), &snippet);
            let name = parsed.items.first().map_or("empty", |def| &def.name.text);
            layers += try_all(name, &snippet);
        }
        for yaml in snippets(&text, "yaml").iter().filter(|t| t.contains("stack:")) {
            if yaml.contains("random:") {
                evaluate(&dir.join("model.yaml"), yaml);
            } else {
                let read = model::read_text(
                    &dir.join("model.yaml"),
                    yaml.clone(),
                    &mut Sources::default(),
                    &ReadOptions::default(),
                );
                assert!(read.is_ok(), "{}\n{yaml}\n{read:?}", path.display());
            }
            models += 1;
        }
    }
    assert!(layers > 12 && models > 3, "{layers} {models}");
}
