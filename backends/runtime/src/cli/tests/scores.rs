//! `perplexity` and `tasks`: what models of known scores get.

use serde_json::Value;

use super::{json, ok, refused};
use crate::testing::{BROKEN, NEVER, VOCAB, adder, breaker, file, since};

/// The log probability of the only token whose logit is 1, and that of every other one, whose logit is -1.
fn logprobs() -> (f64, f64) {
    let normal = (1_f64.exp() + (VOCAB - 1) as f64 * (-1_f64).exp()).ln();
    (1.0 - normal, -1.0 - normal)
}

fn close(found: &Value, expected: f64) {
    let found = found.as_f64().expect("a number");
    assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
}

#[test]
fn perplexity_is_that_of_the_softmax_over_logits() {
    let (right, wrong) = logprobs();
    // The adder expects the sum of what it read.
    let mean = -(2.0 * right + 2.0 * wrong) / 4.0;
    for how in ["", "--chunk 1", "--chunk 3,1", "-t 2"] {
        let found = json(
            adder("adder"),
            &format!("perplexity --tokens 1,1,2,5,3 --format json {how}"),
        );
        assert_eq!((&found["scored"], &found["windows"]), (&4.into(), &1.into()), "{found}");
        close(&found["nll"], mean);
        close(&found["perplexity"], mean.exp());
    }
    let text = ok(adder("adder"), "perplexity --tokens 1,1,2,5,3");
    assert!(
        text.contains("5 tokens, of which 4 are scored") && text.contains(&format!("{mean:.5}")),
        "{text}"
    );
}

#[test]
fn each_window_is_read_afresh() {
    let (right, wrong) = logprobs();
    // Windows 1 1, 2 2 and 4 4: the second token of each is the sum of the first.
    let found = json(
        adder("adder"),
        "perplexity --tokens 1,1,2,2,4,4 --context 2 --stride 2 --format json",
    );
    assert_eq!((&found["scored"], &found["windows"]), (&3.into(), &3.into()), "{found}");
    close(&found["nll"], -right);
    // Half a window of context before each token but those of the first window.
    let line = "perplexity --tokens 1,1,2,4,4,0,8,12 --context 4 --by-position 2 --format json";
    let found = json(adder("adder"), line);
    assert_eq!((&found["scored"], &found["windows"]), (&7.into(), &3.into()), "{found}");
    // Of 1 1 2 4 all are sums; of 2 4 4 0 the last two are 6 and 10; of 4 0 8 12 they are 4 and 12.
    close(&found["nll"], -(4.0 * right + 3.0 * wrong) / 7.0);
    let parts = found["positions"].as_array().expect("parts");
    assert_eq!(
        (&parts[0]["to"], &parts[1]["from"], &parts[1]["to"]),
        (&1.into(), &2.into(), &3.into())
    );
    assert_eq!((&parts[0]["scored"], &parts[1]["scored"]), (&1.into(), &6.into()));
    close(&parts[0]["nll"], -right);
}

#[test]
fn tokens_behind_a_prompt_are_scored_and_know_of_its_end() {
    let (right, _) = logprobs();
    for how in ["", "--chunk 1", "--chunk 2"] {
        let line = format!("perplexity --tokens 5,6,7,0,1,2 --prompt-length 3 --format json {how}");
        let found = json(since(), &line);
        assert_eq!(found["scored"], 3, "{found}");
        close(&found["nll"], -right);
        // Prompts of several windows: 5 6 7 | 0, then 6 7 0 | 0, then 7 0 0 | 0.
        let line = format!("perplexity --tokens 5,6,7,0,0,0 --prompt-length 3 --context 4 --format json {how}");
        let found = json(since(), &line);
        assert_eq!((&found["scored"], &found["windows"]), (&3.into(), &3.into()), "{found}");
        close(&found["nll"], -right);
    }
    let open = format!("perplexity --tokens 5,{NEVER},{NEVER} --format json");
    close(&json(since(), &open)["nll"], -right);
}

#[test]
fn texts_that_cannot_be_scored_are_refused() {
    let refused = |status, line: &str| refused(adder("adder"), status, &format!("perplexity {line}"));
    assert!(refused(1, "--tokens 1").contains("too few"));
    assert!(refused(1, "--tokens 1,99").contains("out of range"));
    assert!(refused(1, "--tokens 1,2,3 --prompt-length 3").contains("no token stands behind"));
    assert!(refused(1, "--tokens 1,2,3 --context 2 --stride 3").contains("leave out"));
    assert!(refused(1, "--tokens 1,2,3 --context 1000").contains("at most"));
    assert!(refused(1, "--text hello").contains("no tokenizer"));
    refused(2, "");
    refused(2, "--text hello --tokens 1,2");
    let line = format!("perplexity --tokens 1,{BROKEN},2");
    let said = super::refused(breaker(), 1, &line);
    assert!(
        said.contains("not finite") && said.contains("layers.1.breaks"),
        "{said}"
    );
}

#[test]
fn tasks_that_cannot_be_read_are_refused() {
    let path = file("tasks.jsonl", b"{\"prompt\": \"a\"}\n");
    let said = refused(adder("adder"), 1, &format!("tasks {}", path.display()));
    assert!(said.contains("tokenizer"), "{said}");
}
