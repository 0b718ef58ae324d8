//! Configurations as published models have them, with the keys of older versions: they are checked without their weights, have the parameters of
//! those models, and are compared.

use super::{folder, text, write};
use seqc::{
    import,
    model::{ReadOptions, WeightsFrom, weights::distinct_parameters},
    source::Sources,
};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A line for each model: its name, its parameters in millions, its configuration, and where that was found.
const PUBLISHED: &str = include_str!("../../../tests/checkpoints/published.jsonl");

/// Each model with the folder of its configuration.
fn published(test: &str) -> impl Iterator<Item = (Value, PathBuf)> {
    let test = test.to_owned();
    PUBLISHED.lines().map(move |line| {
        let published: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let dir = folder(&format!("{test}-{}", published["name"].as_str().unwrap_or_default()));
        write(&dir.join("config.json"), published["config"].to_string());
        (published, dir)
    })
}

#[test]
fn published_configurations_give_the_parameters_of_their_models() {
    let options = ReadOptions {
        weights: WeightsFrom::Nowhere,
        ..ReadOptions::default()
    };
    let mut count = 0;
    for (published, dir) in published("published") {
        let name = &published["name"];
        let mut sources = Sources::default();
        let built = import::read(&dir, &mut sources, &options);
        let built = built.unwrap_or_else(|d| panic!("{name}: {}", text(&d, &sources)));
        let mut warnings = built.warnings();
        warnings.retain(|warning| warning.code != "text-half");
        assert!(warnings.is_empty(), "{name}: {}", text(&warnings, &sources));
        let millions = distinct_parameters(&built.model).0 as f64 / 1e6;
        let expected = published["millions"].as_f64().unwrap_or_default();
        assert!(
            (millions / expected - 1.0).abs() < 2e-3,
            "{name}: {millions} million parameters, not {expected}"
        );
        count += 1;
    }
    assert!(count >= 100, "{count}");
}

fn seqc(words: &[&str], files: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqc"));
    command
        .args(words)
        .args(files)
        .output()
        .unwrap_or_else(|e| panic!("{e}"))
}

/// Programs hold matrices as they will be stored: in the type of the configuration, experts of four bits so, floats of eight bits with an f32 for each 32 of them.
#[test]
fn bytes_of_weights_are_those_that_configurations_say() {
    let options = ReadOptions {
        weights: WeightsFrom::Nowhere,
        ..ReadOptions::default()
    };
    for (published, dir) in published("bytes") {
        let name = published["name"].as_str().unwrap_or_default();
        let (least, most) = match name {
            "whisper-tiny" => (4.0, 4.0),
            "whisper-large-v3" | "gemma-3-4b" | "minitron-4b" => (2.0, 2.01),
            "gpt-oss-20b" | "gpt-oss-120b" => (0.53, 0.75),
            "minimax-m2" => (1.12, 1.14),
            _ => continue,
        };
        let mut sources = Sources::default();
        let built = import::read(&dir, &mut sources, &options);
        let built = built.unwrap_or_else(|d| panic!("{name}: {}", text(&d, &sources)));
        let (count, bytes) = distinct_parameters(&built.model);
        let each = bytes as f64 / count as f64;
        assert!((least..=most).contains(&each), "{name}: {each} bytes for a parameter");
    }
}

#[test]
fn models_without_their_weights_are_checked_and_compared() {
    let (found, dir) = published("compared")
        .find(|(p, _)| p["name"] == "zamba2-7b")
        .expect("a model");
    let model = dir.join("zamba2.yaml");
    let output = model.to_str().expect("a path");
    assert!(seqc(&["import", "-q", "-o", output], &[&dir]).status.success());
    let config = dir.join("zamba2-7b.json");
    write(&config, found["config"].to_string());
    let said = |files: &[&Path]| {
        let output = seqc(&["check", "--weights", "none"], files);
        assert!(output.status.success(), "{files:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(said(&[&model, &dir, &dir.join("config.json"), &config]), "");
    let named = seqc(&["check"], &[&model]);
    assert!(String::from_utf8_lossy(&named.stderr).contains("no-weights"));
    let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/../specs/devices/h100-sxm.json");
    let words = [
        "compare",
        "--weights",
        "none",
        "--at",
        "1k",
        "--format",
        "json",
        "--profile",
        profile,
    ];
    let compared = seqc(&words, &[&model, &dir]);
    let table: Value = serde_json::from_slice(&compared.stdout).expect("JSON");
    assert!(compared.status.success() && table.is_object());
}
