//! The batch law: sequences that are read together give what each gives alone.

use std::path::{Path, PathBuf};

use seqc_tests::{
    command, emulation,
    program::{Program, Way, fresh_file},
    root,
};

/// max |difference| / max |reference| between two ways of reading one sequence.
pub(crate) const CUT_TOLERANCE: f32 = 1e-5;

/// Logits of some sequences of these tokens, together and alone: from the beginning, and as forks of a saved state.
pub(crate) fn check(name: &str, program: &Program, tokens: &[i64]) {
    let begun = fresh_file("state");
    let save = Way {
        save: Some(&begun),
        ..Way::default()
    };
    program.logits(&tokens[..9], save);
    let sequences = [tokens, &tokens[..1], &tokens[3..30], &tokens[..17], &tokens[20..]];
    let cut = random_cut(name, 7, tokens.len());
    for load in [None, Some(&*begun)] {
        let alone = sequences.map(|tokens| program.logits(tokens, Way { load, ..Way::default() }));
        for (chunks, threads) in [(&[][..], 1), (&[1], 2), (&[16, 1, 1], 1), (&cut, 2)] {
            let way = Way {
                chunks,
                threads,
                load,
                ..Way::default()
            };
            let found = program.logits_together(&sequences, way);
            for (n, (found, alone)) in found.iter().zip(&alone).enumerate() {
                let off = found.relative(alone);
                assert!(
                    off <= CUT_TOLERANCE,
                    "{name}, sequence {n}, chunks {chunks:?}, {threads} threads: off by {off:e}"
                );
            }
        }
    }
}

/// Sizes from 1 to 24 that add up to at least `length`, the same ones in every run.
pub(crate) fn random_cut(name: &str, seed: usize, length: usize) -> Vec<usize> {
    let mut state = name.bytes().fold(0x9e37_79b9_7f4a_7c15 ^ seed as u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        sizes.push(1 + (state >> 33) as usize % 24);
    }
    sizes
}

/// The models of `specs/models` that read tokens and have random weights.
fn models() -> Vec<PathBuf> {
    let folder = root().join("specs").join("models");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let random = |path: &PathBuf| std::fs::read_to_string(path).is_ok_and(|text| text.contains("weights: {random:"));
    let mut models: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(random).collect();
    models.sort();
    models
}

/// 80 tokens of a vocabulary of 512.
fn tokens() -> Vec<i64> {
    (0..80).map(|n: i64| (n * n * 31 + n * 7 + 3) % 512).collect()
}

/// A model with one layer of each kind and 512 tokens in its vocabulary, otherwise as it is shipped.
pub(crate) fn shrunk(model: &Path) -> Program {
    let text = std::fs::read_to_string(model).unwrap_or_default();
    let mut settings = vec!["sizes.vocab=512".to_owned()];
    let entries = text.lines().filter(|line| line.starts_with("  - "));
    let repeated = entries.enumerate().filter(|(_, line)| line.starts_with("  - repeat:"));
    settings.extend(repeated.map(|(n, _)| format!("stack.{n}.repeat=1")));
    build(model, &settings)
}

fn name(model: &Path) -> String {
    model.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn build(model: &Path, settings: &[String]) -> Program {
    let path = fresh_file(&name(model));
    let mut words: Vec<&Path> = vec![Path::new("build"), model, Path::new("-o"), &path];
    let target = emulation::target_words();
    words.extend(target.iter().map(PathBuf::as_path));
    for setting in settings {
        words.extend([Path::new("--set"), Path::new(setting)]);
    }
    command::seqc(&words).ok();
    Program::at(path)
}

#[test]
fn shipped_models_give_each_sequence_what_it_gets_alone() {
    let models = models();
    assert!(models.len() >= 13, "{models:?}");
    for model in models {
        check(&name(&model), &shrunk(&model), &tokens());
    }
}

/// The same at their full sizes: some gigabytes and minutes.
#[test]
#[ignore = "takes long"]
fn models_of_full_size_give_each_sequence_what_it_gets_alone() {
    for model in models() {
        check(&name(&model), &build(&model, &[]), &tokens());
    }
}
