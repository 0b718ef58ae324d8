//! Caches of fewer bits: half the memory, nearly the same numbers, the same tokens.

use crate::batches::random_cut;
use seqc_tests::{
    command,
    fixture::Fixture,
    program::{self, Program, Way, fresh_file, list},
    rows::Rows,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The model of a checkpoint with a cache of this type, in a file for some use.
fn model(fixture: &Fixture, ty: &str, using: &str) -> PathBuf {
    let model = fixture.import(&format!("{}-cache-{ty}-{using}", fixture.name));
    let text = fs::read_to_string(&model).expect("an imported model");
    fs::write(&model, format!("{text}cache: {{type: {ty}}}\n")).expect("a model");
    model
}

fn stored(fixture: &Fixture, ty: &str) -> Program {
    program::built(&format!("{}-cache-{ty}", fixture.name), || model(fixture, ty, "built"))
}

/// What the evaluator says of a model.
fn evaluated(model: &Path, tokens: &[i64]) -> Rows {
    let out = fresh_file("safetensors");
    let args: [PathBuf; 6] = [
        "eval".into(),
        model.into(),
        "--tokens".into(),
        list(tokens).into(),
        "-o".into(),
        out.clone(),
    ];
    command::seqc(&args).ok();
    Rows::read(&out, "logits")
}

/// Sizes of a state file behind 40 tokens.
fn state_bytes(program: &Program, tokens: &[i64]) -> u64 {
    let save = fresh_file("state");
    let way = Way {
        save: Some(&save),
        ..Way::default()
    };
    program.logits(&tokens[..40], way);
    fs::metadata(&save).expect("a state").len()
}

#[test]
fn programs_round_keys_and_values_as_the_evaluator_does() {
    for name in ["llama", "gemma3", "jamba"] {
        let fixture = Fixture::open(name);
        let tokens = fixture.sequence();
        let plain = fixture.program().logits(&tokens, Way::default());
        // What double precision puts on the other side of a tie is off by the spacing of the type, 2^-10 or 2^-7 of a number.
        for (ty, tolerance) in [("f16", 2e-4), ("bf16", 2e-3)] {
            let found = stored(&fixture, ty).logits(&tokens, Way::default());
            let off = found.relative(&evaluated(&model(&fixture, ty, "evaluated"), &tokens));
            assert!(off <= tolerance, "{name} {ty}: off by {off:e}");
            let rounded = found.relative(&plain);
            assert!(rounded > 1e-5, "{name} {ty}: rounded by {rounded:e}");
        }
    }
}

/// A key whose last bit depends on the chunk may be rounded to the next half.
#[test]
fn every_cut_gives_the_same_but_for_what_is_rounded_the_other_way() {
    let fixture = Fixture::open("llama");
    let (program, tokens) = (stored(&fixture, "f16"), fixture.sequence());
    let whole = program.logits(&tokens, Way::default());
    for seed in 0..4 {
        let chunks = random_cut(fixture.name, seed, tokens.len());
        let found = program.logits(
            &tokens,
            Way {
                chunks: &chunks,
                threads: 1 + seed % 2,
                ..Way::default()
            },
        );
        let off = found.relative(&whole);
        assert!(off <= 2e-4, "chunks {chunks:?}: off by {off:e}");
    }
}

#[test]
fn a_saved_cache_takes_half_the_bytes_and_goes_on() {
    let fixture = Fixture::open("llama");
    let (program, tokens) = (stored(&fixture, "f16"), fixture.sequence());
    let (half, full) = (state_bytes(&program, &tokens), state_bytes(&fixture.program(), &tokens));
    assert!(half < full * 6 / 10, "{half} of {full} bytes");
    let save = fresh_file("state");
    let begin = Way {
        save: Some(&save),
        ..Way::default()
    };
    let first = program.logits(&tokens[..30], begin);
    let rest = program.logits(
        &tokens[30..],
        Way {
            load: Some(&save),
            ..Way::default()
        },
    );
    let whole = program.logits(&tokens, Way::default());
    let off = |found: &Rows, from, to| found.relative(&whole.slice(from, to));
    let off = off(&first, 0, 30).max(off(&rest, 30, tokens.len()));
    assert!(off <= 2e-4, "off by {off:e}");
}

/// Angles are products of positions, whose rounding would be a part of a turn.
#[test]
fn positions_far_from_the_start_turn_queries_and_keys_as_near_ones_do() {
    let fixture = Fixture::open("llama");
    let tokens = fixture.sequence();
    let plain = fixture.program().logits(&tokens, Way::default());
    for (name, sight) in [
        ("far-positions", "see(query = i + 1000000, key = j + 1000000)"),
        ("far-slots", "see(query = n - 1 + 1000000, key = slot + 1000000)"),
    ] {
        let program = program::built(name, || {
            let model = fixture.import(name);
            let policy = model.with_file_name("far.seq");
            fs::write(policy, format!("cache far() {{\n  {sight}\n}}\n")).expect("a policy");
            let text = fs::read_to_string(&model).expect("an imported model");
            let entry = "use: [far.seq]\ncache: {policy: far}\n";
            fs::write(&model, format!("{text}{entry}")).expect("a model");
            model
        });
        let off = program.logits(&tokens, Way::default()).relative(&plain);
        assert!(off <= 1e-5, "{name}: off by {off:e}");
    }
}
