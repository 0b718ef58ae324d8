//! Verbs of hand-made models: results, files, exit statuses.

mod choosing;
mod generation;
mod prompts;
mod scores;
mod speculation;
mod states;

use std::{
    io::{self, Write},
    path::Path,
};

use seqc_checkpoint::Checkpoint;
use serde_json::Value;

use super::run_on;
use crate::{
    code::Code,
    testing::{
        BROKEN, CONTEXT, VOCAB, adder, adder_descriptor, breaker, bytes_of, code, file, fresh, safetensors, scaler,
        total,
    },
};

/// How a run ended: status, standard output, standard error.
struct Ended {
    status: i32,
    out: String,
    err: String,
}

fn run(code: Code, line: &[&str]) -> Ended {
    let args = ["program"].iter().chain(line).map(Into::into).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = run_on(code, args, &mut out, &mut err);
    Ended {
        status,
        out: String::from_utf8(out).expect("text"),
        err: String::from_utf8(err).expect("text"),
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn ok(code: Code, line: &str) -> String {
    let ended = run(code, &words(line));
    assert_eq!((ended.status, ended.err.as_str()), (0, ""), "{line}");
    ended.out
}

fn json(code: Code, line: &str) -> Value {
    serde_json::from_str(&ok(code, line)).expect("JSON")
}

/// The message of a run that is refused with this status.
fn refused(code: Code, status: i32, line: &str) -> String {
    let ended = run(code, &words(line));
    assert_eq!(
        (ended.status, ended.out.as_str()),
        (status, ""),
        "{line}: {}",
        ended.err
    );
    assert!(!ended.err.trim().is_empty(), "{line} is refused without a word");
    ended.err
}

fn rows(path: &Path, name: &str) -> Vec<f32> {
    let file = Checkpoint::open(path).expect("a file");
    file.get(name).expect(name).to_f32().expect("numbers")
}

/// The likeliest tokens by `logits`.
fn best(line: &str) -> Vec<usize> {
    let path = fresh("logits.safetensors");
    ok(adder("adder"), &format!("logits {line} --output {}", path.display()));
    let logits = rows(&path, "logits");
    logits.chunks(VOCAB).map(crate::generation::greedy).collect()
}

#[test]
fn every_cut_gives_the_logits_of_every_token() {
    for how in ["", "--chunk 1", "--chunk 3,1,2", "--threads 2 --chunk 100", "-t 1"] {
        assert_eq!(best(&format!("--tokens 1,2,3,4,15 {how}")), [1, 3, 6, 10, 9], "{how}");
    }
}

#[test]
fn logits_are_json_where_the_name_or_the_user_says_so() {
    let found = json(adder("adder"), "logits --tokens 2,3 --output -");
    assert_eq!(found["version"], 1);
    assert_eq!(found["logits"][1][5], 1.0);
    assert_eq!(found["tensors"]["logits"]["shape"], serde_json::json!([2, VOCAB]));
    let path = fresh("logits.json");
    ok(
        adder("adder"),
        &format!("logits --tokens 7 --output {}", path.display()),
    );
    let text = std::fs::read_to_string(path).expect("a file");
    let found: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(found["logits"][0][7], 1.0);
    let hidden = json(total(), "logits --tokens 2,3 --output -");
    assert_eq!(hidden["hidden"], serde_json::json!([[5.0], [5.0]]));
}

#[test]
fn wrong_tokens_are_wrong_input() {
    for tokens in ["1,16", "1,-2", "1,two", "-1", "99999999999999999999"] {
        let said = refused(adder("adder"), 1, &format!("logits --tokens {tokens} --output -"));
        assert!(said.starts_with("error: "), "{said}");
    }
    let long = vec!["1"; CONTEXT + 1].join(",");
    refused(adder("adder"), 1, &format!("logits --tokens {long} --output -"));
    refused(scaler(), 1, "logits --tokens 1 --output -");
    refused(total(), 1, "logits --tokens 1,2,3 --chunk 2 --output -");
    refused(total(), 1, "logits --tokens 1,2,3,4,5,6,7,8,9 --output -");
}

#[test]
fn scores_that_are_no_numbers_end_the_run_with_the_layer_at_fault() {
    for how in ["", "--chunk 1", "--temperature 1", "--json"] {
        let line = format!("generate --prompt-tokens 1,2,3,4,5,6,7,8,9,10,11,12,{BROKEN} -n 4 {how}");
        let said = refused(breaker(), 1, &line);
        assert!(
            said.contains("after 13 tokens") && said.contains("layers.1.breaks, at token 12"),
            "{said}"
        );
    }
    ok(breaker(), "generate --prompt-tokens 1,2 -n 4");
    for line in [
        format!("logits --tokens 1,{BROKEN},2 --output -"),
        format!("logits --tokens 1 --tokens 1,{BROKEN},2 --output -"),
        "bench -p 0 -n 200 -r 1".to_owned(),
    ] {
        let ended = run(breaker(), &words(&line));
        assert_eq!(ended.status, 0, "{line}: {}", ended.err);
        assert!(
            ended.err.contains("warning: ") && ended.err.contains("layers.1.breaks"),
            "{}",
            ended.err
        );
    }
}

#[test]
fn a_refused_input_leaves_the_old_file() {
    let path = file("old.safetensors", b"old");
    refused(
        adder("adder"),
        1,
        &format!("logits --tokens 99 --output {}", path.display()),
    );
    assert_eq!(std::fs::read(path).expect("a file"), b"old");
}

#[test]
fn wrong_usage_is_status_two() {
    for line in [
        "",
        "sing",
        "info --jsn",
        "logits --tokens 1",
        "logits --tokens 1 --output - --chunk 0",
        "logits --tokens 1 --output - --threads 5000",
        "generate",
        "generate --prompt a --chat b",
        "generate --prompt-tokens 1 --temperature -1",
        "generate --prompt-tokens 1 --temperature nan",
        "generate --prompt-tokens 1 --top-p 7",
        "bench -r 0",
        "bench --output xml",
        "logits --tokens 1 --output /nowhere/at/all",
        "logits --tokens - --tokens 1 --tokens - --output -",
        "run --input - --input - --output -",
        "generate --prompt-tokens 1 --temperature 1e30",
        "generate --prompt-tokens 1 --repetition-penalty 1e30",
    ] {
        refused(adder("adder"), 2, line);
    }
    for (line, about) in [
        ("generate --prompt-tokens 1 --top-k x", "must be a whole number from 0"),
        (
            "generate --prompt-tokens 1 --top-k 99999999999999999999",
            "it is too large",
        ),
        ("generate --prompt-tokens 1 --temperature x", "must be a number"),
        ("serve --max-sequences 99999999", "must be at most 1024"),
        ("serve --prompt-chunk 99999999", "must be at most 65536"),
    ] {
        let said = refused(adder("adder"), 2, line);
        assert!(said.contains(about), "{said}");
    }
    for ids in ["1,,2", "1,2,,", ",1", "[1,,2]", ","] {
        let said = refused(adder("adder"), 1, &format!("generate --prompt-tokens {ids}"));
        assert!(said.contains("an id is missing"), "{said}");
    }
    let help = run(adder("adder"), &["--help"]);
    assert_eq!((help.status, help.err.as_str()), (0, ""));
    assert!(help.out.contains("The model adder"), "{}", help.out);
}

#[test]
fn without_a_tokenizer_ids_are_the_text() {
    assert_eq!(
        ok(adder("adder"), "generate --prompt-tokens 1,2 --max-tokens 3"),
        "3 6 12\n"
    );
    let said = refused(adder("adder"), 1, "generate --prompt word");
    assert!(said.contains("--prompt-tokens"), "{said}");
    refused(adder("adder"), 1, "generate --prompt-tokens=");
    let mut described = adder_descriptor("adder");
    described.tokenizer = Some("/nowhere/tokenizer.json".to_owned());
    let lost = code(&described, crate::testing::add);
    let said = refused(lost, 1, "generate --prompt word");
    assert!(
        said.contains("/nowhere/tokenizer.json") && said.contains("--tokenizer"),
        "{said}"
    );
    let ended = run(lost, &words("generate --prompt-tokens 1,2 --max-tokens 1"));
    assert_eq!((ended.status, ended.out.as_str()), (0, "3\n"));
    assert!(ended.err.contains("/nowhere/tokenizer.json"), "{}", ended.err);
}

#[test]
fn generation_ends_where_the_context_does() {
    let prompt = vec!["0"; CONTEXT - 2].join(",");
    let found = json(
        adder("adder"),
        &format!("generate --prompt-tokens {prompt} --max-tokens 9 --json"),
    );
    assert_eq!(found["stop"], "context");
    assert_eq!(found["tokens"].as_array().map(Vec::len), Some(3));
    let said = refused(total(), 1, "generate --prompt-tokens 1");
    assert!(said.contains("looks ahead"), "{said}");
    refused(scaler(), 1, "generate --prompt-tokens 1");
}

#[test]
fn texts_end_where_the_model_says() {
    let mut described = adder_descriptor("adder");
    described.ends = vec![99, 12];
    let ending = code(&described, crate::testing::add);
    let found = json(ending, "generate --prompt-tokens 1,2 --max-tokens 6 --json");
    assert_eq!(
        (&found["tokens"], &found["stop"]),
        (&serde_json::json!([3, 6]), &"end".into())
    );
    let found = json(
        ending,
        "generate --prompt-tokens 1,2 --max-tokens 6 --ignore-eos --json",
    );
    assert_eq!(found["tokens"], serde_json::json!([3, 6, 12, 8, 0, 0]));
    let found = json(ending, "generate --prompt-tokens 1,2 -n -1 --json");
    assert_eq!(found["tokens"], serde_json::json!([3, 6]));
    assert!(ok(ending, "info").contains("[99, 12]"));
}

#[test]
fn sequences_beyond_those_of_training_are_told_once() {
    let mut described = adder_descriptor("adder");
    described.trained_length = Some(4);
    let trained = code(&described, crate::testing::add);
    for (line, told) in [
        ("generate --prompt-tokens 1,2 --max-tokens 2", 0),
        ("generate --prompt-tokens 1,2 --max-tokens 9", 1),
        ("generate --prompt-tokens 1,2,3,4,5 --max-tokens 9", 1),
        ("generate --prompt-tokens 1,2,3,4,5 --max-tokens 9 -q", 0),
        ("logits --tokens 1,2,3,4 --output -", 0),
        ("logits --tokens 1,2,3,4,5 --output -", 1),
        (
            "logits --tokens 1,2,3,4,5 --tokens 1 --tokens 1,2,3,4,5,6 --output -",
            1,
        ),
    ] {
        let ended = run(trained, &words(line));
        assert_eq!(
            (ended.status, ended.err.matches("4 tokens that").count()),
            (0, told),
            "{line}: {}",
            ended.err
        );
    }
    assert!(ok(trained, "info").contains("up to 4 tokens"));
}

#[test]
fn names_cannot_command_a_terminal() {
    let name = "a\u{1b}[31m\u{202e}b";
    let said = run(adder(name), &["logits", "--tokens", "99", "--output", "-"]).err;
    assert!(said.contains("a\\u{1b}[31m\\u{202e}b"), "{said:?}");
    let path = "/nowhere/\u{1b}]0;x\u{7}";
    let lines: [&[&str]; 4] = [
        &["logits", "--tokens", "1", "--output", "-", "--load-state", path],
        &["logits", "--tokens", path, "--output", "-"],
        &["info"],
        &["generate", path],
    ];
    for line in lines {
        let ended = run(adder(name), line);
        let all = ended.out + &ended.err;
        assert!(!all.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{all:?}");
    }
}

#[test]
fn a_seed_fixes_what_is_drawn() {
    let drawn = |seed: u32| {
        let line = format!(
            "generate --prompt-tokens 1 --max-tokens 40 --temperature 3 --top-k 9 --top-p 0.95 --seed {seed} --json"
        );
        json(adder("adder"), &line)["tokens"].clone()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn streams_come_from_a_file_in_whatever_type() {
    let x = bytes_of![1.0_f64, 2.0_f64, 3.0_f64, 4.0_f64, 5.0_f64, 6.0_f64];
    let input = safetensors(&[("ids", "I32", &[2], bytes_of![2_i32, -3_i32]), ("x", "F64", &[2, 3], x)]);
    let (input, output) = (file("in.safetensors", &input), fresh("out.safetensors"));
    let line = format!("run --input {} --output {}", input.display(), output.display());
    ok(scaler(), &line);
    assert_eq!(rows(&output, "y"), [2.0, 4.0, 6.0, -12.0, -15.0, -18.0]);
    let file = Checkpoint::open(&output).expect("a file");
    assert!(file.get("trace.ids").is_none());
    ok(scaler(), &format!("{line} --trace --chunk 1"));
    assert_eq!(rows(&output, "trace.ids"), [2.0, -3.0]);
    assert_eq!(rows(&output, "y")[3..], [-12.0, -15.0, -18.0]);
    let found = json(scaler(), &format!("run --trace --input {} --output -", input.display()));
    assert_eq!(found["trace.ids"], serde_json::json!([[2], [-3]]));
}

#[test]
fn streams_that_do_not_fit_are_refused_by_name() {
    let x = || bytes_of![1.0_f32, 2.0_f32, 3.0_f32];
    let ids = || bytes_of![1_i64];
    let cases = [
        safetensors(&[("x", "F32", &[1, 3], x())]),
        safetensors(&[("x", "F32", &[3], x()), ("ids", "I64", &[1], ids())]),
        safetensors(&[("x", "F32", &[1, 3], x()), ("ids", "F32", &[1], bytes_of![1.0_f32])]),
        safetensors(&[("x", "F32", &[1, 3], x()), ("ids", "U64", &[1], bytes_of![u64::MAX])]),
        safetensors(&[
            ("x", "F32", &[1, 3], x()),
            ("ids", "I64", &[2], [ids(), ids()].concat()),
        ]),
        safetensors(&[("x", "F32", &[0, 3], Vec::new()), ("ids", "I64", &[1], ids())]),
        b"nonsense".to_vec(),
    ];
    for (number, bytes) in cases.iter().enumerate() {
        let input = file("in.safetensors", bytes);
        let said = refused(scaler(), 1, &format!("run --input {} --output -", input.display()));
        assert!(said.contains("in.safetensors"), "case {number}: {said}");
    }
    refused(scaler(), 1, "run --input /nowhere --output -");
}

#[test]
fn measurements_are_rows() {
    let table = ok(adder("adder"), "bench -p 32 -n 8 -r 2");
    assert!(table.contains("| pp32 |") && table.contains("| tg8 |"), "{table}");
    let found = json(adder("adder"), "bench -p 32,64 -n 0 -r 3 --output json --threads 1");
    assert_eq!(found["results"][1]["test"], "pp64");
    assert_eq!(found["results"][1]["milliseconds"].as_array().map(Vec::len), Some(3));
    assert!(found["machine"]["cores"].is_number(), "{found}");
    let found = json(adder("adder"), "bench -p 0 -n 2 -d 24 -r 5 --output json");
    assert_eq!(found["results"][0]["test"], "tg2@24");
    assert_eq!(found["results"][0]["milliseconds"].as_array().map(Vec::len), Some(5));
    assert!(
        found["peak_bytes"].as_u64().is_some_and(|bytes| bytes > 4096),
        "{found}"
    );
    refused(adder("adder"), 1, "bench -p 1000 -n 0 -r 1");
    refused(adder("adder"), 1, "bench -p 0 -n 8 -d 1000 -r 1");
    refused(scaler(), 1, "bench -p 9000000000000000000 -n 0 -r 1");
    let ended = run(total(), &words("bench -p 4 -n 4 -r 1"));
    assert!(ended.status == 0 && ended.err.contains("looks ahead"), "{}", ended.err);
}

#[test]
fn info_tells_without_weights() {
    let found = json(adder("adder"), "info --json");
    assert_eq!(found["version"], 1);
    assert_eq!(found["state"][1]["grows"], true);
    assert!(ok(adder("adder"), "info").contains("adder"));
    let broken = Code {
        descriptor: b"{}",
        ..adder("adder")
    };
    refused(broken, 2, "info");
}

#[test]
fn missing_weights_are_named_with_a_remedy() {
    let mut described = adder_descriptor("adder");
    described.weights = Some("no/such.gguf".to_owned());
    let said = refused(code(&described, crate::testing::add), 1, "logits --tokens 1 --output -");
    assert!(said.contains("no/such.gguf") && said.contains("--weights"), "{said}");
    refused(adder("adder"), 1, "logits --tokens 1 --output - --weights /nowhere");
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_is_quiet() {
    for line in [
        "info",
        "--help",
        "logits --tokens 1 --output -",
        "generate --prompt-tokens 1 --max-tokens 2",
        "bench -p 1 -n 1 -r 1",
    ] {
        let args = ["program"].iter().chain(&words(line)).map(Into::into).collect();
        let mut err = Vec::new();
        assert_eq!(run_on(adder("adder"), args, &mut Closed, &mut err), 0, "{line}");
        assert!(err.is_empty(), "{line}: {}", String::from_utf8_lossy(&err));
    }
}
