//! Where prompts end, for models to which it matters.

use serde_json::json;

use super::{json, ok, refused, run, words};
use crate::{
    generation::greedy,
    testing::{NEVER, VOCAB, breaks_at_ends, fresh, since},
};

/// What [`since`] says after every token.
fn said(line: &str) -> Vec<usize> {
    let path = fresh("logits.safetensors");
    ok(since(), &format!("logits {line} --output {}", path.display()));
    super::rows(&path, "logits").chunks(VOCAB).map(greedy).collect()
}

#[test]
fn an_answer_begins_where_the_prompt_ends_however_both_are_read() {
    for how in ["", "--chunk 1", "--chunk 3,1,2", "--speculate lookup:4"] {
        for prompt in ["5", "5,6,7", "0,1,2,3,4,5,6,0,1,2,3,4,5,6,0"] {
            let line = format!("generate --prompt-tokens {prompt} -n 7 --json {how}");
            assert_eq!(json(since(), &line)["tokens"], json!([0, 1, 2, 3, 4, 5, 6]), "{line}");
        }
    }
    let found = json(since(), "generate --prompt-tokens 5,6 -n 4 --samples 2 --json");
    assert_eq!(found["answers"][1]["tokens"], json!([0, 1, 2, 3]), "{found}");
}

#[test]
fn an_answer_goes_on_in_another_run_and_a_further_prompt_moves_the_end() {
    let state = fresh("state");
    let state = state.display();
    let line = format!("generate --prompt-tokens 5,6,7 -n 3 --json --save-state {state}");
    assert_eq!(json(since(), &line)["tokens"], json!([0, 1, 2]));
    let line = format!("generate -n 3 --json --load-state {state}");
    assert_eq!(json(since(), &line)["tokens"], json!([3, 4, 5]));
    let line = format!("generate --prompt-tokens 8,9 -n 3 --json --load-state {state}");
    assert_eq!(json(since(), &line)["tokens"], json!([0, 1, 2]));
    // Tokens behind a prompt that has ended belong to its answer.
    assert_eq!(said(&format!("--tokens 1,1 --load-state {state}")), [4, 5]);
    // Of a prompt that was cut, no end is known.
    assert_eq!(
        said(&format!("--tokens 1,1 --load-state {state} --truncate 2")),
        [NEVER; 2]
    );
}

#[test]
fn an_answer_of_no_tokens_ends_the_prompt_in_the_state_that_is_saved() {
    let state = fresh("state");
    let state = state.display();
    assert_eq!(said("--tokens 1,2,3"), [NEVER; 3]);
    ok(
        since(),
        &format!("generate --prompt-tokens 5,6 -n 0 --save-state {state}"),
    );
    assert_eq!(said(&format!("--tokens 1,1 --load-state {state}")), [1, 2]);
    let line = format!("generate -n 3 --json --load-state {state}");
    assert_eq!(json(since(), &line)["tokens"], json!([0, 1, 2]));
    let line = format!("generate --prompt-tokens 7 -n 3 --json --load-state {state}");
    assert_eq!(json(since(), &line)["tokens"], json!([0, 1, 2]));
}

#[test]
fn the_user_says_where_a_prompt_ends() {
    for how in ["", "--chunk 1", "--chunk 2", "--chunk 3,1"] {
        let line = format!("--tokens 1,2,3,4,5 {how} --prompt-length");
        assert_eq!(said(&format!("{line} 3")), [NEVER, NEVER, 0, 1, 2], "{how}");
        assert_eq!(said(&format!("{line} 5")), [NEVER, NEVER, NEVER, NEVER, 0], "{how}");
    }
    // Of each of several sequences.
    let several = said("--tokens 1,2 --tokens 1,2,3 --prompt-length 2");
    assert_eq!(several, [NEVER, 0, NEVER, 0, 1]);
    // Tokens of a loaded state count.
    let state = fresh("state");
    let state = state.display();
    assert_eq!(said(&format!("--tokens 1,2 --save-state {state}")), [NEVER; 2]);
    let line = format!("--tokens 3,4 --load-state {state}");
    assert_eq!(said(&format!("{line} --prompt-length 3")), [0, 1]);
    // What happens at an end happens with its last token.
    let late = refused(since(), 1, &format!("logits --output - {line} --prompt-length 2"));
    assert!(late.contains("2 tokens of a prompt that goes on"), "{late}");
    assert_eq!(
        said(&format!("--tokens 1,2 --prompt-length 2 --save-state {state}")),
        [NEVER, 0]
    );
    assert_eq!(said(&format!("{line} --prompt-length 2")), [1, 2]);
}

#[test]
fn the_layer_at_fault_is_looked_for_with_the_prompts_that_were_read() {
    for line in [
        "generate --prompt-tokens 5,6,7 -n 2",
        "perplexity --tokens 1,2,3,4,5 --prompt-length 3",
    ] {
        let said = refused(breaks_at_ends(), 1, line);
        assert!(said.contains("layers.0.ends, at token 2"), "{line}: {said}");
    }
    for line in [
        "logits --output - --tokens 1,2,3,4,5 --prompt-length 3",
        "logits --output - --tokens 1,2,3 --tokens 1,2,3,4,5 --prompt-length 3",
        "bench -p 3 -n 0 -r 1",
    ] {
        let ended = run(breaks_at_ends(), &words(line));
        assert_eq!(ended.status, 0, "{line}: {}", ended.err);
        assert!(ended.err.contains("layers.0.ends, at token 2"), "{line}: {}", ended.err);
    }
}

#[test]
fn prompts_that_no_sequence_can_have_are_refused() {
    let state = fresh("state");
    let state = state.display();
    said(&format!("--tokens 1,2,3 --save-state {state}"));
    let refused = |status: i32, line: &str| refused(since(), status, &format!("logits --output - --tokens {line}"));
    refused(2, "1,2 --prompt-length 0");
    assert!(refused(1, "1,2 --prompt-length 3").contains("has 2 tokens"));
    assert!(refused(1, "1,2,3 --tokens 1 --prompt-length 2").contains("has 1 tokens"));
    assert!(refused(1, &format!("4 --load-state {state} --prompt-length 5")).contains("has 4 tokens"));
    assert!(refused(1, &format!("4 --load-state {state} --prompt-length 2")).contains("has read 3 tokens"));
}
