//! Rounded activations: programs compute what the evaluator says of the rounded model, on every level, however tokens are cut.

use std::fs;

use seqc_tests::{
    command,
    program::{Program, Way, fresh_file, list},
    rows::Rows,
};

/// Products of all kinds: of attention with few keys, whose matrices are small, with gate, with chosen matrices, and one in a recurrence, which is left alone.
const MODEL: &str = "version: 1\nmodel: rounded\nsizes: {d: 96, vocab: 128}\nweights: {random: 5}\n\
                     block: {pre_norm: {eps: 1e-5}}\nstack:\n  - embed: {vocab: vocab}\n    block: none\n  - attention: {heads: 3, kv_heads: 1}\n\
                     \x20 - swiglu: {hidden: 160}\n  - moe: {experts: 4, chosen: 2, hidden: 64}\n  - slstm: {heads: 3}\n  - head: {vocab: vocab}\n    block: final_norm\n";

/// Of what one rounding may be to another, for a last bit: much less than what rounding itself does.
const TOLERANCE: f32 = 4e-3;

/// The model, and weights of a type for it.
struct Given {
    model: String,
    weights: String,
}

impl Given {
    fn new(ty: &str) -> Given {
        let place = |name: &str| fresh_file(name).display().to_string();
        let (model, full, weights) = (place("rounded.yaml"), place("full.safetensors"), place("weights.gguf"));
        fs::write(&model, MODEL).unwrap_or_else(|error| panic!("{error}"));
        command::seqc(&["init", &model, "-o", &full]).ok();
        command::seqc(&["quantise", "--weights", &full, "--type", ty, "-o", &weights, &model]).ok();
        Given { model, weights }
    }

    /// What a command says of it.
    fn said(&self, words: &[&str]) -> String {
        let given = ["--weights", &self.weights, &self.model];
        command::seqc(&[words, &given].concat()).ok().stdout
    }

    fn evaluated(&self, activations: &str, tokens: &[i64]) -> Rows {
        let output = fresh_file("evaluated.safetensors");
        let (tokens, place) = (list(tokens), output.display().to_string());
        self.said(&["eval", "--activations", activations, "--tokens", &tokens, "-o", &place]);
        Rows::read(&output, "logits")
    }
}

#[test]
fn programs_compute_what_is_meant_by_rounding() {
    let tokens: Vec<i64> = (0..70).map(|n| n * 37 % 128).collect();
    for (weights, activations) in [("q8_0", "int8"), ("q4_1", "auto"), ("bf16", "bf16")] {
        let given = Given::new(weights);
        let (exact, wanted) = (given.evaluated("f32", &tokens), given.evaluated(activations, &tokens));
        let apart = wanted.relative(&exact);
        assert!((1e-4..0.2).contains(&apart), "{activations} changes results by {apart}");
        for target in ["x86-64-v3", "native", "cuda-emulated"] {
            let path = fresh_file("rounded");
            let place = path.display().to_string();
            given.said(&["build", "--activations", activations, "--target", target, "-o", &place]);
            let program = Program::at(path);
            for chunks in [&[70][..], &[1], &[40, 1, 7], &[33]] {
                for threads in [1, 2] {
                    let way = Way {
                        chunks,
                        threads,
                        ..Way::default()
                    };
                    let found = program.logits(&tokens, way).relative(&wanted);
                    assert!(
                        found <= TOLERANCE.min(apart / 3.0),
                        "{weights} on {target}, chunks {chunks:?}: {found} of {apart}"
                    );
                }
            }
            let together = program.logits_together(&[&tokens[..50], &tokens[..9]], Way::default());
            for rows in together {
                let found = rows.relative(&wanted.slice(0, rows.len()));
                assert!(
                    found <= TOLERANCE.min(apart / 3.0),
                    "{weights} on {target}, together: {found} of {apart}"
                );
            }
        }
    }
}

#[test]
fn explain_says_what_is_rounded_and_what_is_not() {
    let given = Given::new("q8_0");
    let said = |activations: &str| given.said(&["explain", "--activations", activations]);
    assert!(said("int8").contains("activations to int8") && !said("f32").contains("activations to"));
    assert!(!said("bf16").contains("activations to"));
}
