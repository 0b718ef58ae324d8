//! The reference against published implementations: every checkpoint of `tests/fixtures/hf`, imported and evaluated.

use seqc::{
    effective, import,
    model::{self, ReadOptions},
    reference,
    source::Sources,
};
use seqc_checkpoint::Checkpoint;
use std::path::{Path, PathBuf};

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
    let text =
        import::import(dir, &output, &mut sources).unwrap_or_else(|d| panic!("{}: {}", dir.display(), d[0].message));
    let built = model::read_text(&output, text, &mut sources, &ReadOptions::default())
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
