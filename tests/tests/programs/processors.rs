//! One program for several processors: what runs on emulated ones, and what is said where nothing can run.

use std::path::Path;

use seqc_tests::{
    command::{self, Answer},
    emulation::emulator,
    fixture::Fixture,
    program::{Program, fresh_file, integers},
};

/// A model that computes a little of everything a level matters to: products, attention, a scan.
const MODEL: &str = "version: 1
model: small
sizes: {d: 32, vocab: 64}
weights: {random: 5}
block: {pre_norm: {eps: 1e-5}}
stack:
  - embed: {vocab: vocab}
    block: none
  - attention: {heads: 4}
  - mamba: {}
  - head: {vocab: vocab}
    block: final_norm
";

/// Runs a program for x86-64 on an emulated processor.
fn on(processor: &str, program: &Path, args: &[String]) -> Answer {
    let mut words = vec!["-cpu".to_owned(), processor.to_owned(), program.display().to_string()];
    words.extend_from_slice(args);
    command::run(&emulator("x86_64"), &words)
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn built(target: &str) -> Program {
    let (model, program) = (fresh_file("small.yaml"), fresh_file("small"));
    std::fs::write(&model, MODEL).unwrap_or_else(|error| panic!("{error}"));
    Program::build_for(target, &model, &program)
}

#[test]
fn one_program_runs_on_every_processor_of_its_levels() {
    let program = built("x86-64");
    let args = words("generate --prompt-tokens 1,2,3 --max-tokens 8 --ignore-eos --threads 1 --json");
    let tokens = |answer: Answer| {
        let answer = answer.ok();
        let json: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap_or_else(|error| panic!("{error}"));
        integers(&json["tokens"])
    };
    let here = tokens(program.run(&args));
    // The emulation knows no AVX-512: a server's Skylake is one of level 3 there.
    for processor in ["Haswell", "Skylake-Server"] {
        assert_eq!(tokens(on(processor, &program.path, &args)), here, "{processor}");
    }
}

#[test]
fn a_processor_below_every_level_is_told_so() {
    for (target, processor, lacking) in [
        ("x86-64", "Nehalem", "avx2"),
        ("x86-64-v3", "Nehalem", "avx2"),
        ("x86-64-v4", "Haswell", "avx512f"),
    ] {
        let answer = on(processor, &built(target).path, &words("info"));
        assert_eq!(answer.code, Some(2), "{target} on {processor}: {}", answer.stderr);
        assert!(
            answer.stderr.contains("this processor lacks") && answer.stderr.contains(lacking),
            "{}",
            answer.stderr
        );
    }
}

#[test]
fn a_library_gives_the_same_as_an_error_of_its_host() {
    let weights = Fixture::open("llama")
        .dir
        .join("model.safetensors")
        .display()
        .to_string();
    let said = on("Nehalem", &crate::embed::embedded("llama"), &[weights, "1".to_owned()]);
    assert!(said.code.is_some_and(|code| code != 0), "{said:?}");
    assert!(said.stderr.contains("this processor lacks"), "{said:?}");
}

#[test]
fn names_of_processors_are_checked() {
    let model = fresh_file("small.yaml");
    std::fs::write(&model, MODEL).unwrap_or_else(|error| panic!("{error}"));
    let refused = |target: &str, stage: &str, reason: &str| {
        let model = model.display().to_string();
        let answer = command::seqc(&["build", &model, "--emit", stage, "--target", target, "-o", "-"]);
        assert_eq!(answer.code, Some(2), "{answer:?}");
        assert!(answer.stderr.contains(reason), "{answer:?}");
    };
    refused("pentium3", "mlir", "unknown processor");
    refused("znver2,haswell", "mlir", "x86-64-v3");
    refused("znver2,neoverse-n1", "mlir", "a program is for one of them");
    refused("x86-64", "asm", "one processor");
    // Those of which the documents speak are known, one of each level.
    for target in ["haswell,znver4", "skylake-avx512,icelake-server,sapphirerapids"] {
        refused(target, "mlir", "one processor");
    }
}
