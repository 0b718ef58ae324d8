//! Configurations as published models have them, with the keys of older versions: they import, and have the parameters of those models.

use super::{folder, text, write};
use seqc::{
    import,
    model::{self, ReadOptions, weights::distinct_parameters},
    source::Sources,
};
use serde_json::Value;

/// A line for each model: its name, its parameters in millions, and its configuration.
const PUBLISHED: &str = include_str!("../../../tests/checkpoints/published.jsonl");

#[test]
fn published_configurations_give_the_parameters_of_their_models() {
    for line in PUBLISHED.lines() {
        let published: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let name = published["name"].as_str().unwrap_or_default();
        let dir = folder(&format!("published-{name}"));
        write(&dir.join("config.json"), published["config"].to_string());
        let mut sources = Sources::default();
        let output = dir.join("model.yaml");
        let request = import::Request {
            checkpoint: &dir,
            output: &output,
            family: None,
            caches: &[],
        };
        let imported = import::import(request, &mut sources);
        let imported = imported.unwrap_or_else(|d| panic!("{name}: {}", text(&d, &sources)));
        let built = model::read_text(&output, imported.text, &mut sources, &ReadOptions::default());
        let built = built.unwrap_or_else(|d| panic!("{name}: {}", text(&d, &sources)));
        let millions = distinct_parameters(&built.model).0 as f64 / 1e6;
        let expected = published["millions"].as_f64().unwrap_or_default();
        assert!(
            (millions / expected - 1.0).abs() < 2e-3,
            "{name}: {millions} million parameters, not {expected}"
        );
    }
}
