//! Saved states: what goes on from them, and which are refused.

use super::{best, json, ok, refused};
use crate::{
    code::Code,
    testing::{adder, file, fresh},
};

#[test]
fn a_saved_state_continues_the_sequence() {
    let state = fresh("state");
    let state = state.display();
    assert_eq!(best(&format!("--tokens 1,2,3 --save-state {state}")), [1, 3, 6]);
    assert_eq!(best(&format!("--tokens 4,15 --load-state {state}")), [10, 9]);
}

#[test]
fn generation_is_the_same_in_one_piece_and_in_two() {
    let whole = json(adder("adder"), "generate --prompt-tokens 1,2 --max-tokens 6 --json");
    assert_eq!(whole["prompt_tokens"], serde_json::json!([1, 2]));
    assert_eq!(whole["tokens"], serde_json::json!([3, 6, 12, 8, 0, 0]));
    assert_eq!(whole["stop"], "length");
    assert!(
        whole["timings"]["generation"]["tokens_per_second"].is_number(),
        "{whole}"
    );
    let state = fresh("state");
    let state = state.display();
    let line = format!("generate --prompt-tokens 1,2 --max-tokens 2 --json --save-state {state}");
    assert_eq!(json(adder("adder"), &line)["tokens"], serde_json::json!([3, 6]));
    let line = format!("generate --prompt-tokens= --max-tokens 4 --json --load-state {state}");
    assert_eq!(json(adder("adder"), &line)["tokens"], serde_json::json!([12, 8, 0, 0]));
    // The last token chosen is part of the text for every verb.
    assert_eq!(best(&format!("--tokens 1 --load-state {state}")), [13]);
    // The state has the logits after it, and its tokens.
    let line = format!("generate --max-tokens 4 --json --load-state {state}");
    let found = json(adder("adder"), &line);
    assert_eq!(found["tokens"], serde_json::json!([12, 8, 0, 0]));
    assert_eq!(found["prompt_tokens"], serde_json::json!([]));
    let line = format!("{line} --logit-bias 7=1.75 --repetition-penalty");
    assert_eq!(json(adder("adder"), &format!("{line} 1.1"))["tokens"][0], 12);
    let line = format!("generate --prompt-tokens 6 -n 1 --logit-bias 7=1.75 --json --load-state {state}");
    // 1 + 2 + 3 + 6 + 6 is 2, which was read before the state was saved.
    assert_eq!(json(adder("adder"), &line)["tokens"], serde_json::json!([2]));
    let line = format!("{line} --repetition-penalty 2");
    assert_eq!(json(adder("adder"), &line)["tokens"], serde_json::json!([7]));
}

#[test]
fn a_saved_state_is_cut_where_the_user_says() {
    let state = fresh("state");
    let state = state.display();
    assert_eq!(best(&format!("--tokens 1,2,3 --save-state {state}")), [1, 3, 6]);
    assert_eq!(
        best(&format!("--tokens 4,15 --load-state {state} --truncate 2")),
        [7, 6]
    );
    assert_eq!(best(&format!("--tokens 4 --load-state {state} --truncate 0")), [4]);
    let line = format!("generate -n 2 --json --load-state {state} --truncate 2");
    assert_eq!(json(adder("adder"), &line)["tokens"], serde_json::json!([3, 6]));
    refused(
        adder("adder"),
        1,
        &format!("logits --tokens 1 --output - --load-state {state} --truncate 4"),
    );
    refused(adder("adder"), 2, "logits --tokens 1 --output - --truncate 1");
}

#[test]
fn saved_states_that_are_not_of_this_sequence_are_refused() {
    let state = fresh("state");
    let line = format!("logits --tokens 1,2,3 --output - --save-state {}", state.display());
    ok(adder("adder"), &line);
    let good = std::fs::read(&state).expect("a file");
    let load = |code: Code, bytes: &[u8]| {
        let path = file("wrong.state", bytes);
        let said = refused(
            code,
            1,
            &format!("logits --tokens 1 --output - --load-state {}", path.display()),
        );
        std::fs::remove_file(path).expect("the file");
        said
    };
    let said = load(adder("another"), &good);
    assert!(said.contains("another"), "{said}");
    for length in 0..good.len() {
        load(adder("adder"), &good[..length]);
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        load(adder("adder"), &bad);
    }
    load(adder("adder"), &[&good[..], b"x"].concat());
    // Lengths beyond all memory, with a matching start.
    let position = 16
        + good[16..]
            .windows(8)
            .position(|word| word == 3_u64.to_le_bytes())
            .expect("the position");
    for claim in [u64::MAX, i64::MAX as u64, 1 << 40] {
        let mut bad = good.clone();
        bad[position..position + 8].copy_from_slice(&claim.to_le_bytes());
        load(adder("adder"), &bad);
    }
    refused(adder("adder"), 1, "logits --tokens 1 --output - --load-state /nowhere");
    refused(adder("adder"), 1, "logits --tokens 1 --output - --load-state /");
}
