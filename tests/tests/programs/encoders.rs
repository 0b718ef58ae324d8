//! Models with an encoder: what tokens compute behind a source is the same however they are cut, saved, forked or drafted.

use std::{fs, path::PathBuf};

use seqc_tests::{
    command,
    fixture::folder,
    program::{self, Program, built, fresh_file, integers, list},
    root,
    rows::Rows,
};
use serde_json::Value;

use super::mixers::ways::{random_cut, stream};

/// max |difference| / max |reference|.
const TOLERANCE: f32 = 1e-5;

/// The name of a model of an encoder of tokens, and a decoder with a recurrent state beside its caches where `state` is.
fn name(state: bool) -> &'static str {
    if state { "encoder-state" } else { "encoder" }
}

/// Its text.
pub(super) fn text(state: bool) -> String {
    let (name, mamba) = (name(state), if state { "  - mamba: {}\n" } else { "" });
    format!(
        "version: 1
model: {name}
sizes: {{d: 32, vocab: 272}}
weights: {{random: 5}}
block: {{pre_norm: {{eps: 1e-5}}}}
encoder:
  start: 1
  stack:
    - embed: {{vocab: 96}}
      block: none
    - attention: {{heads: 2, causal: false}}
    - bidirectional_mamba: {{}}
stack:
  - embed: {{vocab: vocab}}
    block: none
  - repeat: 2
    of:
      - attention: {{heads: 2, kv_heads: 1}}
      - memory_attention: {{heads: 4, kv_heads: 2}}
{mamba}  - head: {{vocab: vocab}}
    block: final_norm
"
    )
}

/// Its program.
pub(super) fn model(state: bool) -> Program {
    built(name(state), || {
        let path = seqc_tests::scratch("models").join(format!("{}.yaml", name(state)));
        fs::write(&path, text(state)).unwrap_or_else(|error| panic!("{error}"));
        path
    })
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// The outputs of a verb that writes them.
pub(super) fn outputs(program: &Program, line: &str, name: &str) -> Rows {
    let file = fresh_file("rows.safetensors");
    let all = [words(line), vec!["--output".to_owned(), file.display().to_string()]].concat();
    program.run(&all).ok();
    let rows = Rows::read(&file, name);
    fs::remove_file(file).ok();
    rows
}

pub(super) fn near(found: &Rows, expected: &Rows, how: &str) {
    let off = found.relative(expected);
    assert!(off <= TOLERANCE, "{how}: off by {off:e}");
}

pub(super) fn generate(program: &Program, line: &str) -> Value {
    program::json(program.run(&words(&format!("generate --ignore-eos --json {line}"))))
}

#[test]
fn encoder_and_decoder_give_their_known_answers() {
    let known = folder()
        .join("mixers")
        .join("encoder_decoder")
        .join("expected.safetensors");
    let model: PathBuf = root().join("specs").join("mixers").join("encoder_decoder.yaml");
    let program = built("mixer-encoder_decoder", || model.clone());
    let (x, source) = (Rows::read(&known, "x"), known.display().to_string());
    let evaluated = fresh_file("evaluated.safetensors");
    let args = [
        "eval",
        &model.display().to_string(),
        "--input",
        &source,
        "-o",
        &evaluated.display().to_string(),
    ];
    command::seqc(&args).ok();
    let y = Rows::read(&evaluated, "y");
    let input = stream(&x).display().to_string();
    let run = |more: &str| {
        outputs(
            &program,
            &format!("run --input {input} --source-input {source} {more}"),
            "y",
        )
    };
    let mut cuts = vec![vec![x.len()], vec![1], vec![7], vec![x.len() - 1, 1]];
    cuts.extend((0..2).map(|seed| random_cut("encoder_decoder", seed, x.len())));
    for (n, chunks) in cuts.iter().enumerate() {
        let how = format!("--chunk {} --threads {}", list(chunks), 1 + n % 3);
        near(&run(&how), &y, &how);
    }
    near(
        &outputs(&program, &format!("run --input {source}"), "y"),
        &y,
        "both in one file",
    );
    // The state has the memory.
    let (state, parts) = (fresh_file("state"), [x.slice(0, 50), x.slice(50, x.len())]);
    let [first, second] = parts.map(|part| stream(&part).display().to_string());
    let saved = format!(
        "run --input {first} --source-input {source} --save-state {}",
        state.display()
    );
    let continued = format!("run --input {second} --load-state {}", state.display());
    let all = outputs(&program, &saved, "y").then(&outputs(&program, &continued, "y"));
    near(&all, &y, "saved");
    // Several sequences attend to one source.
    let several = outputs(
        &program,
        &format!("run --input {input} --input {first} --source-input {source}"),
        "y",
    );
    let begun = y.slice(0, 50);
    near(&several, &y.then(&begun), "in a batch");
}

#[test]
fn answers_are_the_same_from_states_and_drafts_and_samples() {
    for state in [false, true] {
        let program = model(state);
        let source = "--source-tokens 5,9,33,2,71,40";
        let whole = generate(&program, &format!("{source} --prompt-tokens 1,17,200 -n 24"));
        let tokens = integers(&whole["tokens"]);
        assert_eq!(tokens.len(), 24);
        // Each is the most likely one of the logits.
        let text = list(&[&[1, 17, 200], &tokens[..]].concat());
        let logits = outputs(
            &program,
            &format!("logits --tokens {text} {source} --chunk 5"),
            "logits",
        );
        for (n, token) in tokens.iter().enumerate() {
            let row = &logits.data[(n + 2) * logits.width..(n + 3) * logits.width];
            let best = row.iter().copied().fold(f32::MIN, f32::max);
            assert!(row[*token as usize] >= best - 1e-4, "token {n}");
        }
        let file = fresh_file("state").display().to_string();
        generate(
            &program,
            &format!("{source} --prompt-tokens 1,17,200 -n 9 --save-state {file}"),
        );
        let rest = generate(&program, &format!("--load-state {file} -n 15"));
        assert_eq!(integers(&rest["tokens"]), tokens[9..], "state {state}");
        // A cut keeps the memory, also where all tokens are read again.
        let cut = outputs(
            &program,
            &format!("logits --tokens 17,200 --load-state {file} --truncate 1"),
            "logits",
        );
        near(&cut, &logits.slice(1, 3), "cut");
        let drafted = format!("{source} --prompt-tokens 1,17,200 -n 24 --speculate lookup");
        assert_eq!(
            integers(&generate(&program, &drafted)["tokens"]),
            tokens,
            "drafts, state {state}"
        );
        let samples = format!("{source} --prompt-tokens 1,17,200 -n 24 --samples 3");
        assert_eq!(
            integers(&generate(&program, &samples)["tokens"]),
            tokens,
            "samples, state {state}"
        );
        // The source matters, and so does where it is cut.
        for other in ["--source-tokens 5,9,33,2,71", "--source-tokens 6,9,33,2,71,40"] {
            let others = outputs(&program, &format!("logits --tokens {text} {other}"), "logits");
            assert!(others.relative(&logits) > 1e-3, "{other}");
        }
        // Without a prompt, tokens begin as the model says.
        let begun = generate(&program, &format!("{source} -n 3"));
        assert_eq!(integers(&begun["prompt_tokens"]), [1]);
    }
}

#[test]
fn a_source_that_cannot_be_read_is_refused_with_the_reason() {
    let program = model(false);
    let file = fresh_file("state").display().to_string();
    generate(
        &program,
        &format!("--source-tokens 1,2 --prompt-tokens 1 -n 2 --save-state {file}"),
    );
    let refused = |line: &str| program.run(&words(line)).refused();
    for (line, reason) in [
        ("generate --prompt-tokens 1", "give what it reads with --source"),
        ("logits --tokens 1 --output -", "give what it reads with --source"),
        (
            "generate --prompt-tokens 1 --source-tokens 96",
            "takes ids from 0 to 95",
        ),
        ("generate --prompt-tokens 1 --source-tokens ,", "--source-tokens"),
        ("generate --prompt-tokens 1 --source text", "has no tokenizer"),
        ("chat", "`chat` gives it nothing to read"),
        ("serve", "`serve` gives it nothing to read"),
        ("perplexity --tokens 1,2,3", "`perplexity` gives it nothing to read"),
    ] {
        let message = refused(line);
        assert!(message.contains(reason), "{line}: {message}");
    }
    let message = refused(&format!("generate --load-state {file} --source-tokens 1 -n 1"));
    assert!(message.contains("a source comes before the first token"), "{message}");
    let long = list(&vec![1; 5000]);
    let message = refused(&format!("generate --prompt-tokens 1 --source-tokens {long}"));
    assert!(message.contains("from 1 to 4096"), "{message}");
    let plain = built("encoder-none", || root().join("specs").join("mixers").join("gla.yaml"));
    let x = folder()
        .join("mixers")
        .join("gla")
        .join("expected.safetensors")
        .display()
        .to_string();
    let message = plain
        .run(&words(&format!("run -i {x} -o - --source-input {x}")))
        .refused();
    assert!(message.contains("has no encoder"), "{message}");
}

#[test]
fn programs_describe_and_measure_their_encoder() {
    let program = model(true);
    let info = program::json(program.run(&words("info --json")));
    assert_eq!(info["source"]["inputs"][0]["name"], "source");
    assert_eq!(info["source"]["start"][0], 1);
    let entries = info["state"].as_array().map_or(0, Vec::len);
    // Caches of two attentions, rows and caches of two to the memory, states of a mamba.
    assert_eq!(entries, 2 * 2 + 2 * 3 + 2, "{info}");
    let bench = program::json(program.run(&words("bench -p 16 -n 4 -r 1 --source-rows 40 --output json")));
    let tests: Vec<&str> = bench["results"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| row["test"].as_str())
        .collect();
    assert_eq!(tests, ["src40", "pp16", "tg4"]);
}
