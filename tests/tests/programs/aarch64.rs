//! Programs for AArch64 in emulation: known answers, and what every verb says on this machine. The other tests of whole programs run the same
//! way where `SEQC_TEST_TARGET` is `aarch64-linux`.

use std::{fs, path::Path, process::Command};

use super::{
    both::{Both, TOLERANCE, check_checkpoints, check_policies},
    chat,
    embed::deviation,
    serve::Server,
};
use seqc_tests::{
    command,
    emulation::{self, emulator},
    fixture::{self, Fixture},
    program::{Program, fresh_file, json},
};

const TARGET: &str = "aarch64-linux";

#[test]
fn checkpoints_give_the_numbers_of_transformers() {
    check_checkpoints(TARGET);
}

#[test]
fn policies_keep_and_choose_what_is_known() {
    check_policies(TARGET);
}

#[test]
fn every_verb_says_what_it_says_on_this_machine() {
    Both::new(TARGET).agree_on_verbs();
}

#[test]
fn conversations_and_servers_answer_as_on_this_machine() {
    let both = Both::new(TARGET);
    let server = |program: &Program| Server::start(program, Path::new(&both.tokenizer), &[]);
    let body = r#"{"prompt": "Hello", "max_tokens": 8, "temperature": 0}"#;
    let [here, there] = [&both.here, &both.there].map(|program| server(program).post("/v1/completions", body).json());
    assert!(here["choices"][0]["text"].is_string(), "{here}");
    assert_eq!(here["choices"][0]["text"], there["choices"][0]["text"]);
    both.agree_on_conversations("--max-tokens 6");
}

#[test]
fn states_and_caches_in_files_serve_as_on_this_machine() {
    let dir = fresh_file("caches");
    fs::create_dir_all(&dir).expect("a folder");
    Both::new(TARGET).agree_on_states(&format!("--cache-file {}", dir.display()));
}

#[test]
fn the_code_that_runs_is_that_of_the_processor() {
    let program = chat::bytes_for(TARGET).path.display().to_string();
    for (processor, level) in [("neoverse-n1", "armv8.2-a+dotprod"), ("cortex-a72", "armv8-a")] {
        let words = ["-cpu", processor, &program, "info", "--json"];
        let info = json(command::run(&emulator("aarch64"), &words));
        assert_eq!(info["target"], level, "{processor}");
    }
}

/// Where the C library of AArch64 is on other machines, of Debian's `libc6-dev-arm64-cross`.
const SYSROOT: &str = "/usr/aarch64-linux-gnu";

#[test]
fn c_programs_get_from_libraries_what_programs_say() {
    let (fixture, dir) = (Fixture::open("llama"), seqc_tests::scratch("embed-aarch64"));
    let at = |name: &str| dir.join(name).display().to_string();
    let (model, shared) = (at("model.yaml"), at("libmodel.so"));
    let checkpoint = fixture.dir.display().to_string();
    command::seqc(&["import", &checkpoint, "-o", &model]).ok();
    emulation::of_target(TARGET);
    command::seqc(&["build", &model, "--target", TARGET, "--emit", "lib", "-o", &shared]).ok();
    let source = fixture::folder().join("embed.c").display().to_string();
    let (include, rpath) = (format!("-I{}", dir.display()), format!("-Wl,-rpath,{}", dir.display()));
    for (library, program) in [(shared, at("with-shared")), (at("libmodel.a"), at("with-static"))] {
        let line = [
            &source,
            &library,
            &include,
            &rpath,
            "-lm",
            "-lpthread",
            "-ldl",
            "-o",
            &program,
        ];
        command::run(Path::new("aarch64-linux-gnu-gcc"), &line).ok();
        let tokens = &fixture.input[..12];
        let weights = fixture.dir.join("model.safetensors").display().to_string();
        let mut words = vec!["-L".to_owned(), SYSROOT.to_owned(), program, weights];
        words.extend(tokens.iter().map(i64::to_string));
        let printed = command::run(&emulator("aarch64"), &words).ok().stdout;
        let off = deviation(&fixture, tokens, &printed);
        assert!(f64::from(off) <= TOLERANCE, "{library}: off by {off:e}");
        // Errors are caught inside the library, with a text for the caller.
        words.push("320".to_owned());
        let said = command::run(&emulator("aarch64"), &words).refused();
        assert!(said.contains("320"), "the token is named: {said}");
    }
}

/// A compiler that was installed without runtimes for other processors says where it looked, and what makes them.
#[test]
fn a_compiler_without_the_runtime_says_what_to_do() {
    let folder = seqc_tests::scratch("bare").join("bin");
    fs::create_dir_all(&folder).expect("a folder");
    let seqc = folder.join("seqc");
    if !seqc.exists() {
        fs::hard_link(command::seqc_binary(), &seqc).expect("a link");
    }
    let model = fresh_file("bytes.yaml");
    fs::write(&model, chat::MODEL).expect("written");
    let other = emulation::other_family();
    let mut build = Command::new(&seqc);
    build
        .arg("build")
        .arg(&model)
        .args(["--target", other, "-o"])
        .arg(fresh_file("never"));
    let output = build.env_remove("SEQC_RUNTIMES").output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in [
        "there is no runtime for",
        &format!("lib/seqc/{other}"),
        &format!("scripts/runtime.sh {other}"),
    ] {
        assert!(said.contains(part), "{said}");
    }
}
