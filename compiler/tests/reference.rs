//! The reference against published implementations: every checkpoint of `tests/fixtures/hf`, imported and evaluated.

use seqc::{
    effective, import,
    model::{self, ReadOptions},
    reference,
    source::Sources,
};
use seqc_checkpoint::Checkpoint;
use seqc_formats::Encoding;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Mixers with known answers. Their weights and inputs are the same in f32 and f64.
fn mixers() -> Vec<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/mixers");
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    entries
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect()
}

fn fixtures() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/hf");
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect()
}

/// Numbers of a tensor of the recorded results.
fn recorded(file: &Checkpoint, name: &str) -> Option<Vec<f64>> {
    let numbers = file.get(name)?.to_f32().unwrap_or_else(|e| panic!("{e}"));
    Some(numbers.into_iter().map(f64::from).collect())
}

/// Largest difference, relative to the largest recorded number.
fn difference(dir: &Path) -> f64 {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reference.yaml");
    let mut sources = Sources::default();
    let request = import::Request {
        checkpoint: dir,
        output: &output,
        family: None,
        caches: &[],
    };
    let imported =
        import::import(request, &mut sources).unwrap_or_else(|d| panic!("{}: {}", dir.display(), d[0].message));
    // Tiny vocabularies, of configurations that still name the end of the published one.
    let of_vocabulary = |message: &str| message.contains("the vocabulary has the ids from");
    let warnings = imported.warnings.iter().filter(|d| !of_vocabulary(&d.message));
    let warnings: Vec<_> = warnings.collect();
    assert!(warnings.is_empty(), "{}: {warnings:?}", dir.display());
    let built = model::read_text(&output, imported.text, &mut sources, &ReadOptions::default())
        .unwrap_or_else(|d| panic!("{}: {}", dir.display(), d[0].message));
    let expected = Checkpoint::open(dir.join("expected.safetensors")).unwrap_or_else(|e| panic!("{e}"));
    let tokens = recorded(&expected, "input_ids").unwrap_or_else(|| panic!("no input_ids"));
    let tokens: Vec<i64> = tokens.into_iter().map(|t| t as i64).collect();
    let rows = reference::token_rows(&built.model, &tokens).unwrap_or_else(|e| panic!("{e}"));
    let outputs = reference::run(&built, &rows).unwrap_or_else(|e| panic!("{e}"));
    let wanted = recorded(&expected, &outputs[0].name).unwrap_or_else(|| panic!("no {}", outputs[0].name));
    assert_eq!(outputs[0].data.len(), wanted.len(), "{}", dir.display());
    let largest = wanted.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let pairs = outputs[0].data.iter().zip(&wanted);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

#[test]
fn checkpoints_give_the_recorded_results() {
    let dirs = fixtures();
    assert!(dirs.len() >= 12);
    for dir in dirs {
        let found = difference(&dir);
        assert!(found < 2e-5, "{}: {found:e}", dir.display());
    }
}

/// Numbers of a tensor of f64.
fn doubles(path: &Path, name: &str) -> Vec<f64> {
    let file = Checkpoint::open(path).unwrap_or_else(|e| panic!("{e}"));
    let tensor = file
        .get(name)
        .unwrap_or_else(|| panic!("{}: no {name}", path.display()));
    assert_eq!(tensor.encoding, Encoding::F64, "{}", path.display());
    let each = tensor.bytes.as_chunks().0.iter();
    each.map(|b| f64::from_le_bytes(*b)).collect()
}

/// max |difference| / max |reference| of a published mixer: its model, and the known answer in double precision.
fn mixer_difference(name: &str, found: impl Fn(&Path, &Path) -> Vec<f64>) -> f64 {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let known = root
        .join("tests/fixtures/mixers")
        .join(name)
        .join("expected.safetensors");
    let wanted = doubles(&known, "y");
    let found = found(&root.join("specs/mixers").join(format!("{name}.yaml")), &known);
    assert_eq!(found.len(), wanted.len(), "{name}");
    let largest = wanted.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let pairs = found.iter().zip(&wanted);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

/// The evaluator against published equations, both in double precision.
#[test]
fn mixers_give_their_known_answers() {
    let names = mixers();
    assert!(names.len() >= 40, "{names:?}");
    for name in names {
        let off = mixer_difference(&name, |model, known| {
            let text = std::fs::read_to_string(model).unwrap_or_else(|e| panic!("{name}: {e}"));
            // Sizes that no layer of the library speaks of, by names of its index variables.
            let text = text.replace("sizes: {", "sizes: {i: 1, j: 1, k: 1, m: 1, c: 1, ");
            let built = model::read_text(model, text, &mut Sources::default(), &ReadOptions::default());
            let built = built.unwrap_or_else(|d| panic!("{name}: {}", d[0].message));
            let rows = reference::file_rows(&built.model, known).unwrap_or_else(|e| panic!("{name}: {e}"));
            let memory = reference::memory_file_rows(&built.model, known).unwrap_or_else(|e| panic!("{name}: {e}"));
            let given = reference::Given {
                rows: &rows,
                memory: &memory,
                prompt: None,
            };
            reference::run_given(&built, &given)
                .unwrap_or_else(|e| panic!("{name}: {e}"))
                .remove(0)
                .data
        });
        assert!(off < 1e-10, "{name}: {off:e}");
    }
}

/// `seqc eval --f64` writes what was computed.
#[test]
fn the_command_writes_doubles() {
    let off = mixer_difference("retnet", |model, known| {
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("retnet.safetensors");
        let mut command = Command::new(env!("CARGO_BIN_EXE_seqc"));
        command
            .arg("eval")
            .arg(model)
            .arg("--input")
            .arg(known)
            .arg("-o")
            .arg(&output)
            .arg("--f64");
        assert!(command.status().is_ok_and(|s| s.success()));
        doubles(&output, "y")
    });
    assert!(off < 1e-10, "{off:e}");
}

/// Results that are no numbers are written, and not without a word.
#[test]
fn the_command_warns_of_results_that_are_no_numbers() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("not-finite");
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{e}"));
    let layer = "layer inverse(x: [d]) -> [d] {\n  y[i] = 1 / x[i]\n  y\n}\n";
    let model = "version: 1\nmodel: m\nsizes: {d: 2}\nuse: [layer.seq]\ninputs: {x: \"[d]\"}\nstack: [{inverse: {}, block: none}]\n";
    for (name, text) in [("layer.seq", layer), ("model.yaml", model)] {
        std::fs::write(folder.join(name), text).unwrap_or_else(|e| panic!("{e}"));
    }
    let header = r#"{"x":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
    let numbers = [1.0_f32, 2.0, 4.0, 0.0].map(f32::to_le_bytes).concat();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &numbers].concat();
    std::fs::write(folder.join("x.safetensors"), bytes).unwrap_or_else(|e| panic!("{e}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqc"));
    command
        .current_dir(&folder)
        .args(["eval", "model.yaml", "--input", "x.safetensors", "-o", "y.safetensors"]);
    let output = command.output().unwrap_or_else(|e| panic!("{e}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("[not-finite]") && said.contains("inf at entry 1 of token 1"),
        "{said}"
    );
}

/// Twice the layers of one kind are one kind.
#[test]
fn equal_layers_share_a_graph() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/models/mamba-130m.yaml");
    let kinds = |layers: &str| {
        let options = ReadOptions {
            set: vec![("sizes.layers".to_owned(), layers.to_owned())],
            ..ReadOptions::default()
        };
        let built =
            model::read(&path, &mut Sources::default(), &options).unwrap_or_else(|d| panic!("{}", d[0].message));
        (built.model.kinds.len(), built.model.calls.len())
    };
    assert_eq!(kinds("24"), (3, 26));
    assert_eq!(kinds("48"), (3, 50));
}

/// A model written out is the same model.
#[test]
fn effective_models_are_the_same_models() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/models");
    let read = |path: &Path, text: String| {
        let built = model::read_text(path, text, &mut Sources::default(), &ReadOptions::default());
        built.unwrap_or_else(|d| panic!("{}: {}", path.display(), d[0].message))
    };
    for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{e}")).flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_else(|e| panic!("{e}"));
        let built = read(&entry.path(), text);
        let again = read(&entry.path(), effective::effective(&built));
        assert!(
            built.model.to_string() == again.model.to_string(),
            "{}",
            entry.path().display()
        );
    }
}
