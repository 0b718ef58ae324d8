//! Conversations, the ends of texts and characters, with a model of random weights and a tokenizer of bytes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use seqc_tests::{
    command::{self, Answer},
    fixture,
    program::{self, Program, fresh_file, integers, list},
};

pub(super) const MODEL: &str = "version: 1
model: bytes
sizes: {d: 32, vocab: 272}
weights: {random: 7}
block: {pre_norm: {eps: 1e-5}}
stack:
  - embed: {vocab: vocab}
    block: none
  - attention: {heads: 2, kv_heads: 1, theta: 1e4}
  - head: {vocab: vocab}
    block: final_norm
";

pub(super) fn bytes() -> Program {
    program::built("bytes", || model("bytes.yaml"))
}

/// The same for another target.
pub(super) fn bytes_for(target: &str) -> Program {
    let name = format!("bytes-{target}");
    program::built_for(target, &name, || model(&format!("{name}.yaml")))
}

fn model(name: &str) -> PathBuf {
    let path = seqc_tests::scratch("models").join(name);
    write(&path, MODEL);
    path
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A folder with the tokenizer of bytes and these files beside it.
pub(super) fn folder(files: &[(&str, &str)]) -> PathBuf {
    let dir = fresh_file("tokenizer");
    fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let tokenizer = fs::read_to_string(fixture::folder().join("chat").join("tokenizer.json"));
    write(&dir.join("tokenizer.json"), &tokenizer.unwrap_or_default());
    files.iter().for_each(|(name, text)| write(&dir.join(name), text));
    dir
}

const SPECIALS: (&str, &str) = ("tokenizer_config.json", r#"{"bos_token": "<s>", "eos_token": "</s>"}"#);

pub(super) fn with_template(template: &str) -> PathBuf {
    folder(&[SPECIALS, ("chat_template.jinja", template)])
}

/// Every message as `[role]text</s>`, then the role of the answer.
pub(super) const PLAIN: &str = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";

/// `generate --tokenizer DIR --json` with these words.
fn generate(dir: &Path, words: &[&str]) -> Answer {
    let dir = dir.display().to_string();
    let all: Vec<String> = ["generate", "--tokenizer", &dir, "--json"]
        .iter()
        .chain(words)
        .map(|word| (*word).to_owned())
        .collect();
    bytes().run(&all)
}

fn answer(dir: &Path, words: &[&str]) -> (Value, String) {
    let answer = generate(dir, words).ok();
    let found = serde_json::from_str(&answer.stdout);
    (
        found.unwrap_or_else(|error| panic!("{error}: {}", answer.stdout)),
        answer.stderr,
    )
}

/// The same of a run that has nothing to say beside its result.
fn quiet(dir: &Path, words: &[&str]) -> Value {
    let (found, said) = answer(dir, words);
    assert_eq!(said, "", "{words:?}");
    found
}

/// [`quiet`] that reads a text or a message and answers nothing, from one saved state to the next.
fn going_on(dir: &Path, [from, to]: [&str; 2], [flag, text]: [&str; 2]) -> Value {
    quiet(dir, &[flag, text, "-n", "0", "--load-state", from, "--save-state", to])
}

/// Tokens of a text.
fn tokens(dir: &Path, text: &str) -> Vec<i64> {
    integers(&quiet(dir, &["--prompt", text, "-n", "0"])["prompt_tokens"])
}

fn state() -> String {
    fresh_file("state").display().to_string()
}

#[test]
fn special_tokens_come_from_their_map() {
    let template = r#"{"chat_template": "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}"}"#;
    let map = r#"{"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>"}"#;
    let dir = folder(&[("tokenizer_config.json", template), ("special_tokens_map.json", map)]);
    let found = integers(&quiet(&dir, &["--chat", "hi", "-n", "0"])["prompt_tokens"]);
    assert_eq!(found, tokens(&dir, "<s>[user]hi</s>"));
    assert_eq!((found.first(), found.last()), (Some(&256), Some(&257)));
    // A configuration that lists its tokens counts more than the map.
    let listed = template.replacen('{', r#"{"bos_token": "<pad>", "added_tokens_decoder": {}, "#, 1);
    let dir = folder(&[("tokenizer_config.json", &listed), ("special_tokens_map.json", map)]);
    let found = integers(&quiet(&dir, &["--chat", "hi", "-n", "0"])["prompt_tokens"]);
    assert_eq!(found, tokens(&dir, "<pad>[user]hi</s>"));
}

/// A run of some tokens after a prompt, with these files beside the tokenizer: why it stopped, and after how many.
fn stopped(files: &[(&str, &str)]) -> (String, usize) {
    let found = answer(&folder(files), &["--prompt-tokens", "1,2,3", "-n", "8"]).0;
    let stop = found["stop"].as_str().unwrap_or_default().to_owned();
    (stop, integers(&found["tokens"]).len())
}

#[test]
fn texts_end_where_the_configurations_say() {
    let free = integers(&quiet(&folder(&[]), &["--prompt-tokens", "1,2,3", "-n", "8", "--ignore-eos"])["tokens"]);
    let at = (1..8).find(|at| !free[..*at].contains(&free[*at])).unwrap_or_default();
    let id = |name: &'static str, text: String| (name, text);
    let end = |name| {
        id(
            name,
            format!("{{\"x\": [-Infinity, NaN], \"eos_token_id\": {}}}", free[at]),
        )
    };
    let listed = id("config.json", format!("{{\"eos_token_id\": [271, {}]}}", free[at]));
    let other = id("generation_config.json", "{\"eos_token_id\": 271}".to_owned());
    let none = id("generation_config.json", "{\"eos_token_id\": null}".to_owned());
    let generation = id("generation_config.json", format!("{{\"eos_token_id\": {}}}", free[at]));
    let first = id("config.json", format!("{{\"eos_token_id\": {}}}", free[0]));
    let run = |files: &[&(&'static str, String)]| {
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        stopped(&files)
    };
    let (ended, went_on) = (("end".to_owned(), at), ("length".to_owned(), 8));
    assert_eq!(run(&[]), went_on);
    assert_eq!(run(&[&end("config.json")]), ended);
    assert_eq!(run(&[&listed]), ended);
    assert_eq!(run(&[&listed, &none]), ended);
    // What is said for generating counts more.
    assert_eq!(run(&[&listed, &other]), went_on);
    assert_eq!(run(&[&first, &generation]), ended);
    let (found, said) = answer(
        &folder(&[("config.json", "{\"eos_token_id\": \"x\"}")]),
        &["--prompt-tokens", "1", "-n", "1"],
    );
    assert_eq!(found["stop"], "length");
    assert!(said.contains("eos_token_id") && said.contains("config.json"), "{said}");
}

#[test]
fn a_program_without_a_tokenizer_knows_where_texts_end() {
    let fixture = fixture::folder().join("hf").join("llama");
    let dir = fresh_file("checkpoint");
    fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{error}"));
    let config = fs::read_to_string(fixture.join("config.json")).unwrap_or_default();
    fs::copy(fixture.join("model.safetensors"), dir.join("model.safetensors")).unwrap_or_default();
    let free = fixture::Fixture::open("llama");
    let at = (1..free.greedy.len()).find(|at| !free.greedy[..*at].contains(&free.greedy[*at]));
    let at = at.unwrap_or_default();
    let mut config: Value = serde_json::from_str(&config).unwrap_or_default();
    config["eos_token_id"] = json!([2, free.greedy[at]]);
    write(&dir.join("config.json"), &config.to_string());
    let model = dir.join("m.yaml");
    command::seqc(&["import".into(), dir.clone(), "-o".into(), model.clone()]).ok();
    let text = fs::read_to_string(&model).unwrap_or_default();
    assert!(text.contains(&format!("end: [2, {}]", free.greedy[at])), "{text}");
    assert!(text.contains("trained_length: 512"), "{text}");
    let program = Program::build(&model, &dir.join("m"));
    let words = ["generate", "--prompt-tokens", &list(&free.input), "-n", "20", "--json"].map(str::to_owned);
    let found: Value = serde_json::from_str(&program.run(&words).ok().stdout).unwrap_or_default();
    assert_eq!(
        (integers(&found["tokens"]), &found["stop"]),
        (free.greedy[..at].to_vec(), &json!("end"))
    );
    let info: Value =
        serde_json::from_str(&program.run(&["info", "--json"].map(str::to_owned)).ok().stdout).unwrap_or_default();
    assert_eq!(
        (&info["ends"], &info["trained_length"]),
        (&json!([2, free.greedy[at]]), &json!(512))
    );
    for wrong in [json!("x"), json!([1, "x"]), json!(1.5), json!({"a": 1})] {
        config["eos_token_id"] = wrong;
        write(&dir.join("config.json"), &config.to_string());
        let said = command::seqc(&["import".into(), dir.clone(), "-o".into(), dir.join("wrong.yaml")]).refused();
        assert!(said.contains("eos_token_id") && said.contains("config.json"), "{said}");
    }
}

#[test]
fn a_conversation_goes_on_where_the_template_does() {
    let dir = with_template(PLAIN);
    let (one, two) = (state(), state());
    let first = quiet(
        &dir,
        &[
            "--chat",
            "My name is Ada.",
            "--system",
            "Be brief.",
            "-n",
            "0",
            "--save-state",
            &one,
        ],
    );
    let begun = "<s>[system]Be brief.</s>[user]My name is Ada.</s>[assistant]";
    assert_eq!(integers(&first["prompt_tokens"]), tokens(&dir, begun));
    // An answer whose text is known, as if it had been cut off by its length.
    going_on(&dir, [&one, &two], ["--prompt", "Hello, A"]);
    let next = going_on(&dir, [&two, &one], ["--chat", "What is my name?"]);
    let asked = "</s>[user]What is my name?</s>[assistant]";
    assert_eq!(integers(&next["prompt_tokens"]), tokens(&dir, asked));
    // An answer that ended is closed once.
    going_on(&dir, [&one, &two], ["--prompt", "Ada</s>"]);
    let (whole, said) = answer(&dir, &["--chat", "Thanks", "-n", "0", "--load-state", &two]);
    assert!(said.is_empty(), "{said}");
    assert_eq!(
        integers(&whole["prompt_tokens"]),
        tokens(&dir, "</s>[user]Thanks</s>[assistant]")
    );
}

#[test]
fn a_conversation_in_pieces_is_the_conversation_in_one() {
    let dir = with_template(PLAIN);
    let (one, two) = (state(), state());
    let first = quiet(&dir, &["--chat", "Hi", "-n", "0", "--save-state", &one]);
    going_on(&dir, [&one, &two], ["--prompt", "Yes?"]);
    let pieces = quiet(
        &dir,
        &["--chat", "Bye", "-n", "6", "--ignore-eos", "--load-state", &two],
    );
    let whole = quiet(
        &dir,
        &[
            "--prompt",
            "<s>[user]Hi</s>[assistant]Yes?</s>[user]Bye</s>[assistant]",
            "-n",
            "6",
            "--ignore-eos",
        ],
    );
    assert_eq!(pieces["tokens"], whole["tokens"]);
    assert_eq!(first["stop"], "length");
}

#[test]
fn what_the_template_writes_in_another_way_is_read_again() {
    // What was said before is left out, as templates do with thoughts.
    let forgets = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content | trim if loop.last or m.role == 'user' else '-' }}{{ eos_token }}{% endfor %}[assistant]";
    let dir = with_template(forgets);
    let (one, two) = (state(), state());
    quiet(&dir, &["--chat", "Hi", "-n", "0", "--save-state", &one]);
    going_on(&dir, [&one, &two], ["--prompt", "thinking"]);
    let (found, said) = answer(
        &dir,
        &[
            "--chat",
            "Bye",
            "-n",
            "3",
            "--ignore-eos",
            "--load-state",
            &two,
            "--save-state",
            &one,
        ],
    );
    let whole = "<s>[user]Hi</s>[assistant]-</s>[user]Bye</s>[assistant]";
    assert_eq!(integers(&found["prompt_tokens"]), tokens(&dir, whole));
    assert!(said.contains("from its start"), "{said}");
    let fresh = quiet(&dir, &["--prompt", whole, "-n", "3", "--ignore-eos"]);
    assert_eq!(found["tokens"], fresh["tokens"]);
}

#[test]
fn words_that_change_nothing_are_told() {
    let dir = with_template(PLAIN);
    let one = state();
    quiet(&dir, &["--prompt", "abc", "-n", "0", "--save-state", &one]);
    let (found, said) = answer(
        &dir,
        &["--chat", "Hi", "-n", "0", "--load-state", &one, "--save-state", &one],
    );
    assert!(said.contains("no conversation"), "{said}");
    assert_eq!(
        integers(&found["prompt_tokens"]),
        tokens(&dir, "<s>[user]Hi</s>[assistant]")
    );
    for (words, told) in [
        (
            &["--chat", "Bye", "--system", "Be brief", "--load-state", &one][..],
            "--system",
        ),
        (&["--prompt", "x", "--system", "Be brief"], "--system"),
        (&["--prompt", "x", "--top-k", "5"], "--top-k 5"),
        (&["--prompt", "x", "--top-p", "0.5", "--seed", "3"], "--top-p 0.5"),
    ] {
        let (_, said) = answer(&dir, &[words, &["-n", "1"]].concat());
        assert!(
            said.starts_with("warning: ") && said.contains(told),
            "{words:?}: {said}"
        );
    }
    quiet(
        &dir,
        &["--prompt", "x", "--top-k", "5", "--temperature", "0.5", "-n", "1"],
    );
}

#[test]
fn characters_are_completed_across_states() {
    let dir = with_template(PLAIN);
    // Two of three bytes.
    let start = list(&tokens(&dir, "語")[..2]);
    let prompt = ["--prompt-tokens", &start, "--ignore-eos"];
    let (whole, last) = (state(), state());
    let whole = quiet(&dir, &[&prompt[..], &["-n", "6", "--save-state", &whole]].concat());
    let first = quiet(&dir, &[&prompt[..], &["-n", "1", "--save-state", &last]].concat());
    let mut pieces = first["text"].as_str().unwrap_or_default().to_owned();
    for _ in 1..6 {
        let words = [
            "--prompt-tokens=",
            "-n",
            "1",
            "--ignore-eos",
            "--load-state",
            &last,
            "--save-state",
            &last,
        ];
        let found = quiet(&dir, &words);
        pieces.push_str(found["text"].as_str().unwrap_or_default());
    }
    assert_eq!(json!(pieces), whole["text"]);
    // The prompt says two bytes, which the text that is generated begins with.
    let mut all: Vec<i64> = tokens(&dir, "語")[..2].to_vec();
    all.extend(integers(&whole["tokens"]));
    assert!(!pieces.is_empty(), "{all:?}");
}

#[test]
fn a_text_that_ends_inside_a_character_waits_for_the_rest() {
    let dir = with_template(PLAIN);
    let one = state();
    let program = bytes().path;
    let folder = dir.display().to_string();
    let words = [
        "generate",
        "--tokenizer",
        &folder,
        "--json",
        "--prompt",
        "-",
        "-n",
        "0",
        "--save-state",
        &one,
    ];
    let text = "aé語".as_bytes();
    let answer = command::run_with_bytes(&program, &words, &text[..5]).ok();
    let found: Value = serde_json::from_str(&answer.stdout).unwrap_or_default();
    assert_eq!(integers(&found["prompt_tokens"]), tokens(&dir, "aé"));
    let said = command::run_with_bytes(&program, &words[..8], &text[..5]).refused();
    assert!(said.contains("inside a character"), "{said}");
    let said = generate(&dir, &["--chat", "x", "--load-state", &one]).refused();
    assert!(said.contains("inside a character"), "{said}");
    let words = [
        "generate",
        "--tokenizer",
        &folder,
        "--json",
        "--prompt",
        "-",
        "-n",
        "0",
        "--load-state",
        &one,
    ];
    let answer = command::run_with_bytes(&program, &words, &text[5..]).ok();
    let found: Value = serde_json::from_str(&answer.stdout).unwrap_or_default();
    assert_eq!(integers(&found["prompt_tokens"]), tokens(&dir, "語"));
    let wrong = command::run_with_bytes(&program, &words[..8], b"a\xffb").refused();
    assert!(wrong.contains("UTF-8") && wrong.contains("byte 2"), "{wrong}");
}

#[test]
fn the_end_of_the_last_line_is_no_part_of_a_message() {
    let dir = with_template(PLAIN);
    let folder = dir.display().to_string();
    let words = ["generate", "--tokenizer", &folder, "--json", "--chat", "-", "-n", "0"];
    for (text, message) in [
        ("Hi\n", "Hi"),
        ("Hi\r\n", "Hi"),
        ("Hi\n\n", "Hi\n"),
        ("Hi", "Hi"),
        ("\n", ""),
    ] {
        let answer = command::run_with_input(&bytes().path, &words, text).ok();
        let found: Value = serde_json::from_str(&answer.stdout).unwrap_or_default();
        let expected = tokens(&dir, &format!("<s>[user]{message}</s>[assistant]"));
        assert_eq!(integers(&found["prompt_tokens"]), expected, "{text:?}");
    }
}

#[test]
fn numbers_are_understood_as_other_tools_write_them() {
    let dir = folder(&[]);
    let plain = quiet(&dir, &["--prompt-tokens", "1,2,3", "-n", "4"]);
    for ids in ["[1,2,3]", " [1, 2, 3]\n", "1 2 3", "[1,2,3,]"] {
        let found = quiet(&dir, &["--prompt-tokens", ids, "-n", "4"]);
        assert_eq!(found["tokens"], plain["tokens"], "{ids}");
    }
    generate(&dir, &["--prompt-tokens", "[1,2", "-n", "4"]).refused();
    let seeds: Vec<Value> = (0..2)
        .map(|_| {
            quiet(
                &dir,
                &["--prompt-tokens", "1", "-n", "1", "--temperature", "1", "--seed", "-1"],
            )["seed"]
                .clone()
        })
        .collect();
    assert_ne!(seeds[0], seeds[1]);
    for wrong in [["-n", "-2"], ["-n", "x"], ["--seed", "-2"], ["--seed", "1.5"]] {
        let answer = generate(&dir, &[&["--prompt-tokens", "1"][..], &wrong].concat());
        assert_eq!(answer.code, Some(2), "{wrong:?}: {}", answer.stderr);
    }
}
