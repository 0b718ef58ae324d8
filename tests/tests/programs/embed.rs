//! Libraries to embed: a C program that uses a model through `seqc.h`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use seqc_tests::{
    command,
    fixture::{self, Fixture},
    program::Way,
    rows::Rows,
    scratch,
};

/// max |difference| / max |reference| between a library and a program of the same model.
const TOLERANCE: f32 = 1e-5;

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

/// The library of a checkpoint, and a C program that is linked with it.
pub(crate) fn embedded(name: &'static str) -> PathBuf {
    linked(name, "embed", &[])
}

/// The same in a folder of its own, of a library that is built with more arguments.
fn linked(name: &'static str, folder: &str, more: &[&str]) -> PathBuf {
    let dir = scratch(folder);
    let checkpoint = fixture::folder().join("hf").join(name).display().to_string();
    let (model, library) = (path(&dir, "model.yaml"), path(&dir, "libmodel.so"));
    command::seqc(&["import", &checkpoint, "-o", &model]).ok();
    let build = ["build", &model, "--emit", "lib", "-o", &library];
    command::seqc(&[&build[..], more].concat()).ok();
    let (source, program) = (path(&fixture::folder(), "embed.c"), dir.join("embed"));
    let rpath = format!("-Wl,-rpath,{}", dir.display());
    let (include, output) = (format!("-I{}", dir.display()), program.display().to_string());
    command::run(
        Path::new("cc"),
        &[&source, &library, &include, &rpath, "-Wall", "-Werror", "-o", &output],
    )
    .ok();
    program
}

/// How far logits that a C program printed are from those of the program, behind some tokens.
pub(crate) fn deviation(fixture: &Fixture, tokens: &[i64], printed: &str) -> f32 {
    let found: Vec<f32> = printed.lines().map(|line| line.parse().unwrap_or(f32::NAN)).collect();
    let expected = fixture.program().logits(tokens, Way::default());
    let width = found.len();
    Rows { width, data: found }.relative(&expected.slice(tokens.len() - 1, tokens.len()))
}

#[test]
fn a_c_program_gets_what_the_program_gets() {
    let program = embedded("llama");
    let fixture = Fixture::open("llama");
    let weights = fixture.dir.join("model.safetensors").display().to_string();
    let tokens = &fixture.input[..12];
    let mut args = vec![weights];
    args.extend(tokens.iter().map(i64::to_string));
    let off = deviation(&fixture, tokens, &command::run(&program, &args).ok().stdout);
    assert!(off <= TOLERANCE, "off by {off:e}");
    args.push("320".to_owned());
    let said = command::run(&program, &args).refused();
    assert!(said.contains("320"), "the token is named: {said}");
}

#[test]
fn libraries_find_their_weights_from_where_they_are() {
    let tokens = ["", "1", "2", "3"];
    let named = linked("llama", "embed-named", &[]);
    let inside = linked("llama", "embed-inside", &["--embed-weights"]);
    let printed = command::run(&named, &tokens).ok().stdout;
    assert_eq!(command::run(&inside, &tokens).ok().stdout, printed);
    let moved = scratch("embed-moved").join("deeper");
    fs::create_dir_all(&moved).unwrap_or_else(|error| panic!("{error}"));
    let run_moved = |program: &Path| {
        let (from, to) = (program.with_file_name("libmodel.so"), moved.join("libmodel.so"));
        fs::copy(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        let line = format!("LD_PRELOAD={} {} '' 1 2 3", to.display(), program.display());
        command::run(Path::new("/bin/sh"), &["-c", &line])
    };
    let said = run_moved(&named).refused();
    assert!(said.contains("looked for") && said.contains("embed-moved"), "{said}");
    assert_eq!(run_moved(&inside).ok().stdout, printed);
}
