//! Weights that are not finite: what programs say of them.

use std::{fs, path::PathBuf};

use seqc_tests::{
    command,
    fixture::Fixture,
    program::{Program, fresh_file, list},
};

/// The program of a checkpoint, and a copy of its weights with a number that is not finite in a tensor.
fn poisoned(tensor: &str, value: f32) -> (Program, PathBuf) {
    let fixture = Fixture::open("llama");
    let weights = fixture.dir.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap_or_else(|error| panic!("{}: {error}", weights.display()));
    let length = bytes[..8]
        .iter()
        .rev()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    let header: serde_json::Value =
        serde_json::from_slice(&bytes[8..8 + length]).unwrap_or_else(|error| panic!("{error}"));
    let about = &header[tensor];
    assert_eq!(about["dtype"], "F32", "{tensor}");
    let start = about["data_offsets"][0].as_u64().unwrap_or_else(|| panic!("{tensor}")) as usize;
    let at = 8 + length + start;
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    let path = fresh_file("poisoned.safetensors");
    fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (fixture.program(), path)
}

fn run(program: &Program, line: &str) -> command::Answer {
    program.run(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

const TENSOR: &str = "model.layers.1.mlp.down_proj.weight";

#[test]
fn generating_ends_with_the_layer_that_is_at_fault() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (program, weights) = poisoned(TENSOR, value);
        for how in ["", "--json", "--temperature 1", "--chunk 1", "--threads 2"] {
            let line = format!(
                "generate --prompt-tokens 1,2,3 -n 4 {how} --weights {}",
                weights.display()
            );
            let said = run(&program, &line).refused();
            let named = said.contains("layers.1.") && said.contains("at token 0") && said.contains(TENSOR);
            assert!(named, "{line}: {said}");
        }
    }
}

#[test]
fn a_state_that_goes_on_is_traced_from_its_start() {
    let (program, weights) = poisoned(TENSOR, f32::NAN);
    let state = fresh_file("state");
    let save = format!(
        "logits --tokens 1,2 -o - --weights {} --save-state {}",
        weights.display(),
        state.display()
    );
    run(&program, &save).ok();
    let load = format!(
        "generate --prompt-tokens 3 -n 4 --weights {} --load-state {}",
        weights.display(),
        state.display()
    );
    let said = run(&program, &load).refused();
    assert!(said.contains("layers.") && said.contains("after 3 tokens"), "{said}");
}

#[test]
fn outputs_and_measurements_warn() {
    let (program, weights) = poisoned("model.norm.weight", f32::NAN);
    let weights = weights.display();
    for line in [
        "logits --tokens 1,2,3 -o -",
        "bench -p 4 -n 0 -r 1",
        "bench -p 0 -n 2 -r 1",
    ] {
        let answer = run(&program, &format!("{line} --weights {weights}")).ok();
        let said = answer.stderr;
        assert!(
            said.contains("warning: ") && said.contains("not finite"),
            "{line}: {said}"
        );
        assert!(said.contains("model.norm.weight"), "{line}: {said}");
    }
    let sound = Fixture::open("llama").dir.join("model.safetensors");
    let answer = run(
        &program,
        &format!("logits --tokens 1,2,3 -o - --weights {}", sound.display()),
    )
    .ok();
    assert_eq!(answer.stderr, "");
}

#[test]
fn libraries_give_an_error() {
    let program = crate::embed::embedded("llama");
    let (_, weights) = poisoned(TENSOR, f32::NAN);
    let said = command::run(&program, &[weights.display().to_string(), list(&[1])]).refused();
    assert!(said.contains("layers.1.") && said.contains(TENSOR), "{said}");
}
