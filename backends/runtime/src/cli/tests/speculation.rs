//! Answers with drafts are those without.

use serde_json::{Value, json};

use super::{json, refused, run, words};
use crate::{
    code::Code,
    testing::{VOCAB, adder, adder_descriptor, breaker, fresh, rememberer, script, thinner},
    weights::Mix,
};

/// One model that carries a counter, which cannot be cut, and one that carries a cache alone.
fn models() -> [Code; 2] {
    [adder("adder"), rememberer()]
}

/// The answer, and how many tokens of drafts were read and accepted.
fn drafted(code: Code, line: &str) -> (Value, u64, u64) {
    let found = json(code, line);
    let count = |what: &str| found["speculation"][what].as_u64().expect("a number");
    (found["tokens"].clone(), count("drafted"), count("accepted"))
}

#[test]
fn tokens_are_those_without_drafts() {
    let mut mix = Mix(3);
    let (mut all, mut right) = (0, 0);
    // And one that writes its cache anew.
    for code in models().into_iter().chain([thinner()]) {
        for case in 0..60 {
            let prompt: Vec<String> = (0..1 + mix.next() % 12).map(|_| (mix.next() % 3).to_string()).collect();
            let how = [
                "",
                "--temperature 0.6",
                "--temperature 2 --top-k 5 --repetition-penalty 1.2",
            ][case % 3];
            let line = format!(
                "generate --prompt-tokens {} -n {} --seed {case} {how} --json",
                prompt.join(","),
                1 + mix.next() % 40
            );
            let plain = json(code, &line);
            let (tokens, drafted, accepted) =
                drafted(code, &format!("{line} --speculate lookup:{}", 1 + mix.next() % 9));
            assert_eq!(tokens, plain["tokens"], "{line}");
            (all, right) = (all + drafted, right + accepted);
        }
    }
    assert!(right > 300 && all > right, "{right} of {all}");
}

#[test]
fn a_state_that_is_saved_has_what_was_chosen_and_no_draft() {
    let mut described = adder_descriptor("ending");
    described.ends = vec![8];
    for code in [
        adder("adder"),
        rememberer(),
        crate::testing::code(&described, crate::testing::add),
    ] {
        for count in 1..20 {
            let [plain, with] = ["", "--speculate lookup"].map(|how| {
                let state = fresh("state");
                let begin = format!("generate --prompt-tokens 4,4,4,4 --temperature 1.5 -n {count} {how}");
                let begun = json(code, &format!("{begin} --json --save-state {}", state.display()));
                let on = format!("generate -n 6 --ignore-eos --json --load-state {}", state.display());
                (begun["tokens"].clone(), json(code, &on)["tokens"].clone())
            });
            assert_eq!(plain, with, "{count} tokens");
        }
    }
}

#[test]
fn the_distribution_of_answers_is_that_of_the_model() {
    // The likeliest of the sixteen tokens is 2 / T above the others: whether it is chosen is decided anew for each token.
    let likely = 1.0 / (1.0 + (VOCAB - 1) as f64 * (-2.0_f64 / 0.6).exp());
    let mut counts = [0_u32; 8];
    let (runs, mut right, mut wrong) = (1500, 0, 0);
    for seed in 0..runs {
        let line =
            format!("generate --prompt-tokens 0,0,0 -n 3 --temperature 0.6 --seed {seed} --speculate lookup:4 --json");
        let (tokens, drafted, accepted) = drafted(adder("adder"), &line);
        (right, wrong) = (right + accepted, wrong + drafted - accepted);
        let mut sum = 0;
        let mut place = 0;
        for token in tokens.as_array().expect("tokens") {
            let token = token.as_u64().expect("a token");
            place = 2 * place + usize::from(token == sum % VOCAB as u64);
            sum += token;
        }
        counts[place] += 1;
    }
    let expected = |place: usize| {
        let hits = place.count_ones() as i32;
        f64::from(runs) * likely.powi(hits) * (1.0 - likely).powi(3 - hits)
    };
    let square = |(place, count): (usize, &u32)| (f64::from(*count) - expected(place)).powi(2) / expected(place);
    let chi_square: f64 = counts.iter().enumerate().map(square).sum();
    // Exceeded by one in a thousand at seven degrees of freedom.
    assert!(chi_square < 24.3, "{chi_square}: {counts:?}");
    assert!(right > 200 && wrong > 200, "{right} right, {wrong} wrong");
}

#[test]
fn answers_with_drafts_end_where_others_do() {
    let prompt = vec!["0"; 290].join(",");
    for code in models() {
        let line = format!("generate --prompt-tokens {prompt} -n 50 --json --speculate lookup:7");
        let found = json(code, &line);
        assert_eq!(found["stop"], "context");
        assert_eq!(found["tokens"], json!(vec![0; 11]));
        assert_eq!(found["timings"]["generation"]["steps"], 2);
        let line = "generate --prompt-tokens 0,0,0 -n 10 --json --speculate lookup:7";
        let (tokens, _, accepted) = drafted(code, line);
        assert_eq!((tokens, accepted), (json!(vec![0; 10]), 7));
    }
    let said = refused(breaker(), 1, "generate --prompt-tokens 0,13 -n 4 --speculate lookup");
    assert!(said.contains("layers.1.breaks, at token 1"), "{said}");
    refused(adder("adder"), 2, "generate --prompt-tokens 1 --speculate sometimes");
    refused(adder("adder"), 2, "generate --prompt-tokens 1 --speculate lookup:0");
}

#[test]
fn a_program_that_fails_while_it_drafts_ends_no_answer() {
    let line = "generate --prompt-tokens 1,2 -n 9";
    let begin = r#"echo '{"model": "x", "vocab": 16, "protocol": 2}'"#;
    let first = r#"read line; echo '{"proposals": [{"known": 3, "unread": 0, "tokens": [6]}]}'"#;
    let nonsense = [
        "exit",
        "read line; echo 7",
        r#"read line; echo '{"proposals": []}'"#,
        r#"read line; echo '{"proposals": [{"known": 3, "unread": 0, "tokens": [99]}]}'"#,
        r#"read line; printf '{"proposals": '"#,
        r#"while read line; do echo '{"proposals": [{"known": 3, "unread": 2, "tokens": []}]}'; done"#,
    ];
    for then in nonsense {
        for before in ["", first] {
            let program = script(&[begin, before, then].join("\n"));
            for code in models() {
                let found = json(code, &format!("{line} --json --draft {}", program.display()));
                assert_eq!(found["tokens"], json!([3, 6, 12, 8, 0, 0, 0, 0, 0]), "{then}");
                let accepted = u64::from(!before.is_empty());
                assert_eq!(found["speculation"]["accepted"], accepted, "{then}");
            }
        }
    }
}

#[test]
fn programs_that_do_not_draft_are_refused() {
    let line = "generate --prompt-tokens 1,2 -n 9 --draft";
    let hello = |vocab: usize, protocol: u32| {
        format!(r#"echo '{{"model": "x", "vocab": {vocab}, "protocol": {protocol}}}'; read line"#)
    };
    for (lines, why) in [
        ("exit", "has ended"),
        ("echo no weights 1>&2", "has ended: no weights"),
        ("echo hello", "not a program that drafts"),
        (&hello(16, 1), "another version"),
        (&hello(17, 2), "same tokenizer"),
    ] {
        let said = refused(adder("adder"), 1, &format!("{line} {}", script(lines).display()));
        assert!(said.contains(why), "{said}");
    }
    let said = refused(adder("adder"), 1, &format!("{line} /nowhere/at/all"));
    assert!(said.contains("/nowhere/at/all"), "{said}");
    let both = run(adder("adder"), &words(&format!("{line} x --speculate lookup")));
    assert_eq!(both.status, 2);
}
