//! Models of which layers run at some tokens only: what programs keep of ticks, however their sequences begin, branch and go back.

use std::fs;

use seqc_tests::program::{Program, built, fresh_file, integers, list};

use super::{
    encoders::{generate, near, outputs},
    mixers::ways::random_cut,
};

/// A model of two levels of chunks, the first of which data decide, with attentions and recurrences.
fn model() -> Program {
    built("clocked", || {
        let path = seqc_tests::scratch("models").join("clocked.yaml");
        let text = "version: 1
model: clocked
sizes: {d: 32, vocab: 272}
weights: {random: 3}
block: {pre_norm: {eps: 1e-5}}
stack:
  - embed: {vocab: vocab}
    block: none
  - attention: {heads: 2}
  - chunk_bounds: {}
    block: none
    tap: {begins: begins, p: p, fine: result}
  - when: begins
    of:
      - repeat: 2
        of:
          - attention: {heads: 4, kv_heads: 2}
          - mamba2: {heads: 4, n: 8}
            when: every(2)
            otherwise: pass
      - chunk_smoothing: {}
        block: none
  - chunk_residual: {}
    block: none
  - head: {vocab: vocab}
    block: final_norm
";
        fs::write(&path, text).unwrap_or_else(|error| panic!("{error}"));
        path
    })
}

#[test]
fn a_state_has_the_ticks_and_what_is_held() {
    let program = model();
    let tokens: Vec<i64> = (0..90).map(|n| (n * n * 7 + n * 13) % 272).collect();
    let text = list(&tokens);
    let whole = outputs(&program, &format!("logits --tokens {text}"), "logits");
    for (n, cut) in [vec![1], vec![7], random_cut("clocked", 1, 90)].iter().enumerate() {
        let how = format!("--chunk {} --threads {}", list(cut), 1 + n % 3);
        near(
            &outputs(&program, &format!("logits --tokens {text} {how}"), "logits"),
            &whole,
            &how,
        );
    }
    let state = fresh_file("state");
    let (first, second) = (list(&tokens[..37]), list(&tokens[37..]));
    let saved = format!("logits --tokens {first} --save-state {}", state.display());
    let begun = outputs(&program, &saved, "logits");
    let more = format!("logits --tokens {second} --load-state {}", state.display());
    near(&begun.then(&outputs(&program, &more, "logits")), &whole, "saved");
    // Sequences of a batch have ticks of their own.
    let both = outputs(&program, &format!("logits --tokens {text} --tokens {second}"), "logits");
    let alone = outputs(&program, &format!("logits --tokens {second}"), "logits");
    near(&both, &whole.then(&alone), "in a batch");
}

#[test]
fn answers_are_the_same_from_states_cuts_drafts_and_samples() {
    let program = model();
    let prompt = "--prompt-tokens 5,9,33,2,71,40 -n 40";
    let tokens = integers(&generate(&program, prompt)["tokens"]);
    let text = list(&[&[5, 9, 33, 2, 71, 40], &tokens[..]].concat());
    let logits = outputs(&program, &format!("logits --tokens {text} --chunk 5"), "logits");
    for (n, token) in tokens.iter().enumerate() {
        let row = &logits.data[(n + 5) * logits.width..(n + 6) * logits.width];
        let best = row.iter().copied().fold(f32::MIN, f32::max);
        assert!(row[*token as usize] >= best - 1e-4, "token {n}");
    }
    let file = fresh_file("state").display().to_string();
    generate(
        &program,
        &format!("--prompt-tokens 5,9,33,2,71,40 -n 9 --save-state {file}"),
    );
    let rest = generate(&program, &format!("--load-state {file} -n 31"));
    assert_eq!(integers(&rest["tokens"]), tokens[9..]);
    for cut in [1, 5] {
        let rest = list(&[&[5, 9, 33, 2, 71, 40], &tokens[..]].concat()[cut..cut + 4]);
        let line = format!("logits --tokens {rest} --load-state {file} --truncate {cut}");
        near(&outputs(&program, &line, "logits"), &logits.slice(cut, cut + 4), "cut");
    }
    for more in ["--speculate lookup", "--samples 3"] {
        let answer = generate(&program, &format!("{prompt} {more}"));
        assert_eq!(integers(&answer["tokens"]), tokens, "{more}");
    }
}
