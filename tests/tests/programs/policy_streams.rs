//! Policies on attention whose mask and scores read streams at the key: what an entry brings along stays and leaves with it.

use crate::batches::random_cut;
use seqc_tests::{
    command,
    program::{Program, Way, fresh_file, list},
    root,
    rows::Rows,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

const TOLERANCE: f32 = 2e-4;

/// What the layer's own condition on distances is.
const REACH: &str = "i - j < 100";

/// Two layers of forgetting attention, with this condition on distances and this policy.
fn model(name: &str, reach: &str, policy: Option<&str>) -> PathBuf {
    let dir = seqc_tests::scratch("policy-streams").join(name);
    fs::create_dir_all(&dir).expect("a folder");
    let layer = fs::read_to_string(root().join("tests/layers/forgetting.seq")).expect("a layer");
    assert!(layer.contains(REACH), "{layer}");
    fs::write(dir.join("forgetting.seq"), layer.replace(REACH, reach)).expect("a layer");
    let (file, entry) = match policy {
        Some(body) => {
            fs::write(dir.join("mine.seq"), format!("cache mine() {{\n  {body}\n}}\n")).expect("a policy");
            (", mine.seq", "cache: {policy: mine}\n")
        }
        None => ("", ""),
    };
    let text = format!(
        "version: 1\nmodel: streams\nsizes: {{d: 16, vocab: 64}}\nuse: [forgetting.seq{file}]\nweights: {{random: 3}}\n{entry}\
         block: {{pre_norm: {{eps: 1e-5}}}}\nstack:\n  - embed: {{vocab: vocab}}\n    block: none\n  - repeat: 2\n    of:\n      - forgetting: {{}}\n\
         \x20 - head: {{vocab: vocab}}\n    block: final_norm\n"
    );
    let file = dir.join("model.yaml");
    fs::write(&file, text).expect("a model");
    file
}

/// Arbitrary tokens: in regular ones, blocks of the same tokens in other orders would be equally good.
fn tokens() -> Vec<i64> {
    let next = |state: &mut u64, _| {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some((*state >> 33) as i64 % 61)
    };
    (0..150).scan(5, next).collect()
}

fn evaluated(model: &Path) -> Rows {
    let out = fresh_file("safetensors");
    let prompt = "90".into();
    let args: [PathBuf; 8] = [
        "eval".into(),
        model.to_path_buf(),
        "--tokens".into(),
        list(&tokens()).into(),
        "--prompt-length".into(),
        prompt,
        "-o".into(),
        out.clone(),
    ];
    command::seqc(&args).ok();
    Rows::read(&out, "logits")
}

/// A program in several cuts against the evaluator.
fn check(name: &str, model: &Path) {
    let (expected, tokens) = (evaluated(model), tokens());
    let program = Program::build(model, &model.with_file_name("program"));
    for (at, chunks) in [vec![150], vec![1], vec![7], random_cut(name, 2, 150)]
        .iter()
        .enumerate()
    {
        let file = fresh_file("safetensors").display().to_string();
        let (ids, chunks, threads) = (list(&tokens), list(chunks), (1 + at % 2).to_string());
        let args = [
            "logits",
            "--tokens",
            &ids,
            "--prompt-length",
            "90",
            "--chunk",
            &chunks,
            "--threads",
            &threads,
            "-o",
            &file,
        ];
        program.run(&args.map(str::to_owned)).ok();
        let off = Rows::read(file.as_ref(), "logits").relative(&expected);
        assert!(off <= TOLERANCE, "{name}, chunks {chunks}: off by {off:e}");
    }
}

/// What a policy keeps by position is what a mask of the layer says.
#[test]
fn entries_that_leave_are_those_that_a_mask_hides() {
    for (name, policy, reach) in [
        ("all", "keep(age < 1000)", REACH),
        ("near", "keep(age < 24)", "i - j < 25"),
        (
            "sinks",
            "keep(j < 4 || age < 24)",
            "(j < 4 && i - j < 100 || i - j < 25)",
        ),
        (
            "in-order",
            "mass = prev(mass) + weight\n  keep(age < 24 || top(pool(mass; size = 3); k = 0))",
            "i - j < 25",
        ),
        (
            "blocks",
            "blocks(size = 8)\n  see(!closed || top(block; k = 4))",
            "(j / 8 >= i / 8 - 4 && i - j < 100)",
        ),
    ] {
        let governed = model(name, REACH, Some(policy));
        let plain = model(&format!("{name}-plain"), reach, None);
        let off = evaluated(&governed).relative(&evaluated(&plain));
        assert!(off <= 1e-6, "{name}: off by {off:e}");
        check(name, &governed);
    }
}

#[test]
fn programs_keep_what_the_evaluator_does() {
    for (name, policy) in [
        (
            "heavy",
            "mass = prev(mass) + weight\n  keep(age < 8 || top(mass; k = 20, among = age >= 8); at = !reading)",
        ),
        (
            "slots",
            "mass = prev(mass) + weight\n  see(slot > 1)\n  keep(age < 8 || top(mass; k = 20, among = age >= 8))",
        ),
        // Weights of earlier queries are computed again, with the streams that were read at them.
        (
            "votes",
            "votes = seen(queries = 6)\n  keep(age < 6 || top(votes; k = 20, among = age >= 6); at = ended || !reading && i % 7 == 0)",
        ),
        (
            "query-mean",
            "use[c] = mean(queries < 9: query[c] ** 2)\n  keep(age < 8 || top(sum(c: use[c] * key[c] ** 2); k = 20); at = n > 60)",
        ),
        ("codes", "keys(bits = 8)\n  values(bits = 8, symmetric = true)"),
        (
            "together",
            "mass = prev(mass) + weight\n  keep(top(mass; k = 64, over = \"heads\"); at = i % 16 == 3)",
        ),
        (
            "chosen",
            "blocks(size = 4)\n  m[c] = mean(block: key[c])\n  see(age < 9 || !closed || top(sum(c: query[c] * m[c]); k = 5))",
        ),
    ] {
        check(name, &model(name, REACH, Some(policy)));
    }
    let saved = model(
        "saved",
        REACH,
        Some("mass = prev(mass) + weight\n  keep(age < 8 || top(mass; k = 20, among = age >= 8))"),
    );
    let (program, tokens) = (Program::build(&saved, &saved.with_file_name("program")), tokens());
    let whole = program.logits(&tokens, Way::default());
    let state = fresh_file("state");
    let head = program.logits(
        &tokens[..70],
        Way {
            save: Some(&state),
            ..Way::default()
        },
    );
    let tail = program.logits(
        &tokens[70..],
        Way {
            load: Some(&state),
            ..Way::default()
        },
    );
    let off = head.then(&tail).relative(&whole);
    assert!(off <= TOLERANCE, "saved: off by {off:e}");
}
