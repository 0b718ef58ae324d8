//! Every family of `tests/checkpoints`: imported without a word, evaluated, and some of them built, against what `transformers` computes.

use std::{
    fs,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use seqc_tests::{
    command,
    program::{self, Way, fresh_file, list},
    rows::{self, Rows},
};

/// max |difference| / max |reference| of the evaluator, in double precision, against `transformers` in f32.
const EVALUATOR_TOLERANCE: f32 = 1e-5;
/// The same of a program.
const TOLERANCE: f32 = 1e-4;
/// One of so many families is built, each day other ones. `SEQC_FAMILIES=all` builds all, a number the same as on that day.
const SLICES: usize = 8;

/// A tiny checkpoint with what is computed from it.
struct Known {
    name: String,
    dir: PathBuf,
}

impl Known {
    fn tokens(&self) -> Vec<i64> {
        rows::read_integers(&self.expected_file(), "input_ids").unwrap_or_default()
    }

    fn expected_file(&self) -> PathBuf {
        self.dir.join("expected.safetensors")
    }

    /// The model that `seqc import` writes, which has nothing to remark.
    fn import(&self) -> PathBuf {
        let model = seqc_tests::scratch("families").join(format!("{}.yaml", self.name));
        let words = [
            "import".into(),
            self.dir.clone(),
            "-o".into(),
            model.clone(),
            "--force".into(),
        ];
        let answer = command::seqc(&words).ok();
        assert!(!answer.stderr.contains("arning"), "{}: {}", self.name, answer.stderr);
        model
    }

    fn deviation(&self, found: &Rows) -> f32 {
        found.relative(&Rows::read_any(&self.expected_file(), OUTPUTS))
    }
}

/// What models compute: with a head, and without.
const OUTPUTS: &[&str] = &["logits", "hidden"];

fn all() -> Vec<Known> {
    let dir = seqc_tests::root().join("tests").join("checkpoints");
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let folders = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let mut all: Vec<Known> = folders
        .map(|dir| Known {
            name: dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            dir,
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(all.len() > 20, "{} checkpoints", all.len());
    all
}

#[test]
fn checkpoints_of_all_families_are_evaluated_as_transformers_does() {
    for known in all() {
        let (model, output) = (known.import(), fresh_file("evaluated.safetensors"));
        let tokens = list(&known.tokens());
        let args = [
            "eval".into(),
            model,
            "--tokens".into(),
            tokens.into(),
            "-o".into(),
            output.clone(),
        ];
        command::seqc::<PathBuf>(&args).ok();
        let off = known.deviation(&Rows::read_any(&output, OUTPUTS));
        assert!(
            off <= EVALUATOR_TOLERANCE,
            "{}: the evaluator is off by {off:e}",
            known.name
        );
    }
}

#[test]
fn programs_of_some_families_compute_as_transformers_does() {
    let asked = std::env::var("SEQC_FAMILIES").unwrap_or_default();
    let day = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() / 86_400);
    let slice = asked.parse().unwrap_or(day as usize) % SLICES;
    for (at, known) in all().iter().enumerate() {
        if asked != "all" && at % SLICES != slice {
            continue;
        }
        let program = program::built(&format!("family-{}", known.name), || known.import());
        let tokens = known.tokens();
        for chunks in [vec![tokens.len()], vec![7, 1, 1, 11]] {
            let way = Way {
                chunks: &chunks,
                ..Way::default()
            };
            let off = known.deviation(&program.logits(&tokens, way));
            assert!(
                off <= TOLERANCE,
                "{} (SEQC_FAMILIES={slice}), chunks {chunks:?}: off by {off:e}",
                known.name
            );
        }
    }
}
