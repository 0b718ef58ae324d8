//! How `generate` chooses tokens and where it stops, with a model whose next token is the sum of all before.

use serde_json::{Value, json};

use super::{json, ok, refused, run, words};
use crate::{
    code::Code,
    testing::{adder, file, fresh, tokenizer},
};

/// Continues with the sums 3, 6, 12, 8, 0, 0.
const SUMS: &str = "generate --prompt-tokens 1,2 -n 6";
/// With the first of them.
const ONE: &str = "generate --prompt-tokens 1,2 -n 1 --json";

fn sums() -> Code {
    adder("adder")
}

/// A tokenizer whose sixteen tokens are the letters from `a` on, but 3 and 6 the halves of `é`.
pub(super) fn letters() -> String {
    let texts = ('a'..='p').map(|letter| match letter {
        'd' => "Ã".to_owned(),
        'g' => "©".to_owned(),
        letter => letter.to_string(),
    });
    tokenizer(texts).display().to_string()
}

#[test]
fn biases_and_penalties_change_the_most_likely_token() {
    let tokens = |line: &str| json(sums(), line)["tokens"].clone();
    let six = |how: &str| tokens(&format!("{SUMS} --json {how}"));
    assert_eq!(six(""), json!([3, 6, 12, 8, 0, 0]));
    assert_eq!(
        six("--presence-penalty 2 --frequency-penalty 0.1"),
        json!([3, 6, 12, 8, 0, 1])
    );
    assert_eq!(tokens(&format!("{ONE} --logit-bias 3=-inf")), json!([0]));
    assert_eq!(
        tokens(&format!("{ONE} --logit-bias 5=100 --logit-bias 3=9")),
        json!([5])
    );
    // Tokens of the prompt count for the repetition penalty alone.
    let repeated = "generate --prompt-tokens 2,0 -n 1 --json";
    assert_eq!(tokens(&format!("{repeated} --presence-penalty 2")), json!([2]));
    assert_eq!(tokens(&format!("{repeated} --logit-bias 7=1.75")), json!([2]));
    assert_eq!(
        tokens(&format!("{repeated} --logit-bias 7=1.75 --repetition-penalty 2")),
        json!([7])
    );
}

#[test]
fn a_token_with_a_bias_may_be_given_as_its_text() {
    let tokenizer = letters();
    let line = format!("{ONE} --tokenizer {tokenizer} --logit-bias");
    assert_eq!(json(sums(), &format!("{line} c=5"))["text"], "c");
    assert_eq!(json(sums(), &format!("{line} 4=5"))["text"], "e");
    let said = refused(sums(), 1, &format!("{line} ab=5"));
    assert!(said.contains("is 2 tokens"), "{said}");
    let said = refused(sums(), 1, &format!("{SUMS} --logit-bias a=5"));
    assert!(said.contains("no tokenizer"), "{said}");
}

#[test]
fn a_stop_text_ends_the_answer_before_it() {
    let tokenizer = letters();
    let line = format!("{SUMS} --tokenizer {tokenizer}");
    assert_eq!(ok(sums(), &line), "émiaa\n");
    assert_eq!(ok(sums(), &format!("{line} --stop xx --stop mi")), "é\n");
    assert_eq!(ok(sums(), &format!("{line} --stop aax")), "émiaa\n");
    assert_eq!(ok(sums(), &format!("{line} --stop ém")), "\n");
    let found = json(sums(), &format!("{line} --json --stop mi --stop a"));
    assert_eq!((&found["text"], &found["stop"]), (&json!("é"), &json!("text")));
    assert_eq!(found["tokens"], json!([3, 6, 12, 8]));
    refused(sums(), 1, &format!("{SUMS} --stop a"));
    refused(sums(), 2, &format!("{line} --stop="));
}

#[test]
fn an_answer_follows_a_grammar_and_ends_where_it_admits_nothing_more() {
    let tokenizer = letters();
    let grammar = file("words.lark", "start: \"h\" \"é\"+ (\"a\" | \"bc\")".as_bytes());
    let line = format!("{SUMS} --tokenizer {tokenizer} --grammar {}", grammar.display());
    assert_eq!(ok(sums(), &format!("{line} --logit-bias a=3")), "héa\n");
    let found = json(sums(), &format!("{line} --json --logit-bias b=3 --logprobs 1"));
    assert_eq!((&found["text"], &found["stop"]), (&json!("hébc"), &json!("end")));
    // What the model thought is another matter.
    assert_eq!(found["logprobs"][0]["best"][0]["token"], 3);
    let schema = file("schema.json", b"{\"type\": 3}");
    let said = refused(
        sums(),
        1,
        &format!("{SUMS} --tokenizer {tokenizer} --json-schema {}", schema.display()),
    );
    assert!(said.contains("schema.json"), "{said}");
    // Sixteen letters hold no braces.
    refused(sums(), 1, &format!("{SUMS} --tokenizer {tokenizer} --json-object"));
    refused(sums(), 1, &format!("{SUMS} --json-object"));
    refused(sums(), 1, &format!("{line}x"));
    refused(sums(), 2, &format!("{line} --json-object"));
    refused(sums(), 2, &format!("{line} --ignore-eos"));
}

#[test]
fn log_probabilities_are_those_of_the_model() {
    let line = format!("{ONE} --tokenizer {}", letters());
    assert!(json(sums(), &line).get("logprobs").is_none());
    let found = json(
        sums(),
        &format!("{line} --logprobs 2 --temperature 0.1 --logit-bias 4=-3"),
    )["logprobs"]
        .clone();
    let likeliest = 1.0 - (1.0_f64.exp() + 15.0 * (-1.0_f64).exp()).ln();
    let close = |value: &Value, expected: f64| (value.as_f64().expect("a number") - expected).abs() < 1e-5;
    let one = &found[0];
    assert_eq!(
        (&one["token"], &one["text"], &one["bytes"]),
        (&json!(3), &json!("\u{fffd}"), &json!([0xc3]))
    );
    assert!(close(&one["logprob"], likeliest), "{found}");
    assert!(close(&one["best"][1]["logprob"], likeliest - 2.0), "{found}");
    assert_eq!(one["best"].as_array().map(Vec::len), Some(2));
    let ids = json(sums(), &format!("{SUMS} --json --logprobs 0"))["logprobs"].clone();
    assert_eq!(ids.as_array().map(Vec::len), Some(6));
    assert!(ids[0]["best"] == json!([]) && ids[0].get("text").is_none());
}

#[test]
fn choices_that_make_no_sense_are_wrong_usage() {
    for how in [
        "--min-p 2",
        "--typical-p -1",
        "--repetition-penalty 0",
        "--presence-penalty 3",
        "--frequency-penalty nan",
        "--logit-bias 16=1",
        "--logit-bias 1=nan",
        "--logit-bias 1",
        "--logit-bias =1",
        "--logprobs 1",
        "--logprobs -1 --json",
    ] {
        refused(sums(), 2, &format!("{SUMS} {how}"));
    }
    for how in ["--top-k 5", "--top-p 0.5", "--min-p 0.5", "--typical-p 0.5"] {
        let ended = run(sums(), &words(&format!("{SUMS} {how}")));
        assert!(ended.err.contains(&format!("{how} changes nothing")), "{}", ended.err);
    }
}

#[test]
fn samples_are_the_answers_of_the_next_seeds() {
    let tokenizer = letters();
    for how in [
        "",
        "--speculate lookup:3",
        "--logprobs 1 --stop aa",
        "--repetition-penalty 1.5",
    ] {
        let line = format!("generate --prompt-tokens 1,2,2 -n 9 --temperature 2 --tokenizer {tokenizer} {how} --json");
        let found = json(sums(), &format!("{line} --samples 5 --seed 3"));
        let answers = found["answers"].as_array().expect("answers");
        assert_eq!(answers.len(), 5);
        for (n, answer) in answers.iter().enumerate() {
            let alone = json(sums(), &format!("{line} --seed {}", 3 + n));
            for part in ["tokens", "text", "stop", "logprobs"] {
                assert_eq!(answer.get(part), alone.get(part), "{n}: {line}");
            }
        }
        assert_eq!(found["text"], answers[0]["text"]);
    }
    let state = fresh("state");
    let state = state.display();
    ok(
        sums(),
        &format!("generate --prompt-tokens 1,2 -n 0 --save-state {state}"),
    );
    let line = format!("generate -n 3 --samples 2 --load-state {state}");
    assert_eq!(ok(sums(), &line), "[1] 3 6 12\n[2] 3 6 12\n");
    assert_eq!(
        ok(sums(), "generate --prompt-tokens 1 -n 0 --samples 2"),
        "[1] \n[2] \n"
    );
    refused(sums(), 2, &format!("{line} --save-state {state}"));
    refused(sums(), 2, "generate --prompt-tokens 1 --samples 0");
}
