//! Cache policies on a small Llama, from `specs/policies`: what they keep and see decides the logits, which are known.

use crate::batches::random_cut;
use seqc_tests::{
    command,
    fixture::folder,
    program::{Program, built, built_for, fresh_file, list},
    root,
    rows::{Rows, read_integers},
};
use std::path::{Path, PathBuf};

/// max |difference| / max |reference| of a program in f32.
const TOLERANCE: f32 = 2e-4;
/// The same for the evaluator, which computes in f64 and writes f32.
const EVALUATOR_TOLERANCE: f32 = 1e-7;
/// Tokens of the prompt.
const PROMPT: usize = 200;

macro_rules! policies {
    ($($name:ident),* $(,)?) => { $(
        #[test]
        fn $name() {
            check(stringify!($name));
        }
    )* };
}

policies! {
    h2o, hip, infllm, int8, kivi2, kivi4, lacache, longheads, pyramidkv, selfextend, snapkv, streaming, think
}

/// Policies that read a prompt 8 or 20 tokens at a time.
const TOGETHER: [&str; 2] = ["hip", "infllm"];

/// A policy's model and what it must give.
struct Case {
    program: Program,
    tokens: Vec<i64>,
    /// Logits of the last tokens.
    expected: Rows,
}

fn weights() -> String {
    folder().join("hf/llama/model.safetensors").display().to_string()
}

fn model(name: &str) -> PathBuf {
    root().join("specs/policies").join(format!("{name}.yaml"))
}

impl Case {
    fn new(name: &str) -> Case {
        Case::of(name, built(&format!("policy-{name}"), || model(name)))
    }

    fn of(name: &str, program: Program) -> Case {
        let known = folder().join("policies").join(name).join("expected.safetensors");
        Case {
            program,
            tokens: read_integers(&known, "input_ids").expect("ids"),
            expected: Rows::read(&known, "logits"),
        }
    }

    /// Logits of some tokens.
    fn logits(&self, tokens: &[i64], more: &[&str]) -> Rows {
        let file = fresh_file("safetensors");
        let ids = list(tokens);
        let out = file.display().to_string();
        let weights = weights();
        let mut args = vec!["logits", "--tokens", &ids, "--weights", &weights, "-o", &out];
        args.extend(more);
        self.program
            .run(&args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
            .ok();
        Rows::read(&file, "logits")
    }

    /// The file of a run that reports what is kept and chosen behind the prompt.
    fn traced(&self, tokens: &[i64]) -> String {
        let file = fresh_file("safetensors").display().to_string();
        let (ids, weights, prompt) = (list(tokens), weights(), PROMPT.to_string());
        let args = [
            "logits",
            "--tokens",
            &ids,
            "--weights",
            &weights,
            "--prompt-length",
            &prompt,
            "--trace",
            "-o",
            &file,
        ];
        self.program.run(&args.map(str::to_owned)).ok();
        file
    }

    fn check(&self, name: &str, way: &str, found: &Rows, tolerance: f32) {
        let rows = found.slice(found.len() - self.expected.len(), found.len());
        let off = rows.relative(&self.expected);
        assert!(off <= tolerance, "{name}, {way}: off by {off:e}");
    }
}

/// Whether a program for another target gives the known logits, in one chunk and in others.
pub(crate) fn check_on(target: &str, name: &str) {
    let case = Case::of(
        name,
        built_for(target, &format!("policy-{name}-{target}"), || model(name)),
    );
    let prompt = PROMPT.to_string();
    for (chunks, threads) in [("320", "1"), ("7,64", "2")] {
        let way = ["--prompt-length", &prompt, "--chunk", chunks, "--threads", threads];
        let found = case.logits(&case.tokens, &way);
        case.check(name, &format!("{target}, chunks {chunks}"), &found, TOLERANCE);
    }
}

fn check(name: &str) {
    let case = Case::new(name);
    let (all, prompt) = (case.tokens.len(), PROMPT.to_string());
    let file = fresh_file("safetensors");
    let [model, ids, out] = [
        model(name).display().to_string(),
        list(&case.tokens),
        file.display().to_string(),
    ];
    let evaluated = [
        "eval",
        &model,
        "--weights",
        &weights(),
        "--tokens",
        &ids,
        "--prompt-length",
        &prompt,
        "-o",
        &out,
    ];
    command::seqc(&evaluated.map(PathBuf::from)).ok();
    case.check(name, "evaluated", &Rows::read(&file, "logits"), EVALUATOR_TOLERANCE);

    let mut ways = vec![vec![all], vec![1], vec![7], vec![PROMPT, 1]];
    ways.extend((0..2).map(|seed| random_cut(name, seed, all)));
    for (at, chunks) in ways.iter().enumerate() {
        let (chunks, threads) = (list(chunks), (1 + at % 2).to_string());
        let way = ["--prompt-length", &prompt, "--chunk", &chunks, "--threads", &threads];
        case.check(
            name,
            &format!("chunks {chunks}"),
            &case.logits(&case.tokens, &way),
            TOLERANCE,
        );
    }
    // Tokens that choose together are not divided.
    let inside = if TOGETHER.contains(&name) { 160 } else { 150 };
    for cut in [inside, PROMPT, 230] {
        let state = fresh_file("state").display().to_string();
        let first = (cut >= PROMPT).then_some(["--prompt-length", &prompt]);
        let mut way = vec!["--save-state", &state];
        way.extend(first.iter().flatten());
        let head = case.logits(&case.tokens[..cut], &way);
        let mut way = vec!["--load-state", &state];
        let rest = (cut < PROMPT).then_some(["--prompt-length", &prompt]);
        way.extend(rest.iter().flatten());
        let tail = case.logits(&case.tokens[cut..], &way);
        case.check(name, &format!("saved at {cut}"), &head.then(&tail), TOLERANCE);
    }
    together(name, &case);
    decisions(name, &case);
    if let Some(choice) = CHOICES.iter().find(|choice| choice.policy == name) {
        choices(choice, &case);
    }
}

/// Tokens that are kept after some steps behind the prompt, as `--trace` says, are those of the lists that are known.
fn decisions(name: &str, case: &Case) {
    let known = folder().join("policies").join(name).join("expected.safetensors");
    for step in [0, 20, 60, 119] {
        let tokens = &case.tokens[..PROMPT + step];
        let file = case.traced(tokens);
        for (layer, head) in (0..3).flat_map(|layer| [(layer, 0), (layer, 1)]) {
            // A list that all heads, or all layers, have in common stands there once.
            let names = [
                format!("kept.L{layer}.H{head}.t{step}"),
                format!("kept.L{layer}.t{step}"),
                format!("kept.t{step}"),
            ];
            let Some(expected) = names.iter().find_map(|n| read_integers(&known, n)) else {
                continue;
            };
            let trace = format!("trace.layers.{layer}.attention.kept");
            let kept = read_integers(Path::new(&file), &trace).unwrap_or_else(|| panic!("{name}: no {trace}"));
            let found = (0..tokens.len() as i64).filter(|token| kept[2 * *token as usize + head] == 1);
            assert_eq!(
                found.collect::<Vec<_>>(),
                expected,
                "{name}, layer {layer}, head {head}, step {step}"
            );
        }
    }
}

/// Key heads that share a budget keep as many entries together as their budgets allow, and not each as many.
#[test]
fn heads_share_a_budget() {
    let known = folder().join("policies/snapkv/expected.safetensors");
    let tokens = read_integers(&known, "input_ids").expect("ids");
    let evaluated = fresh_file("safetensors");
    let [model, ids, prompt, out] = [
        model("adakv").display().to_string(),
        list(&tokens),
        PROMPT.to_string(),
        evaluated.display().to_string(),
    ];
    let weights = weights();
    let way = [
        &*model,
        "--weights",
        &weights,
        "--tokens",
        &ids,
        "--prompt-length",
        &prompt,
        "-o",
        &out,
    ];
    command::seqc(
        &[&["eval"][..], &way]
            .concat()
            .iter()
            .map(PathBuf::from)
            .collect::<Vec<_>>(),
    )
    .ok();
    let case = Case {
        program: built("policy-adakv", || self::model("adakv")),
        tokens,
        expected: Rows::read(&evaluated, "logits"),
    };
    for (chunk, threads) in [("1", "2"), ("7", "1"), ("320", "2")] {
        let way = ["--prompt-length", &prompt, "--chunk", chunk, "--threads", threads];
        case.check("adakv", chunk, &case.logits(&case.tokens, &way), TOLERANCE);
    }
    together("adakv", &case);
    let file = case.traced(&case.tokens[..PROMPT]);
    let mut differ = false;
    for layer in 0..3 {
        let trace = format!("trace.layers.{layer}.attention.kept");
        let kept = read_integers(Path::new(&file), &trace).expect("what is kept");
        let of = |head: usize| (0..PROMPT).filter(|token| kept[2 * token + head] == 1).count();
        let counts = [of(0), of(1)];
        assert_eq!(counts[0] + counts[1], 2 * 64, "layer {layer}");
        // The newest 16, and a fifth of the other 48.
        assert!(counts.iter().all(|count| *count >= 16 + 9), "layer {layer}: {counts:?}");
        differ |= counts[0] != counts[1];
    }
    assert!(differ, "each head keeps as many");
}

/// What queries of a policy choose.
struct Choice {
    policy: &'static str,
    /// Position of the first block's first token.
    first: i64,
    /// Tokens of a block.
    size: i64,
    /// Blocks are known by their first tokens, not by their numbers.
    by_token: bool,
    /// Layers below read everything.
    dense: usize,
    /// The first chunk, the last one and the one before are read in any case.
    forced: bool,
}

const CHOICES: [Choice; 3] = [
    Choice {
        policy: "hip",
        first: 4,
        size: 2,
        by_token: true,
        dense: 1,
        forced: false,
    },
    Choice {
        policy: "infllm",
        first: 8,
        size: 16,
        by_token: false,
        dense: 0,
        forced: false,
    },
    Choice {
        policy: "longheads",
        first: 0,
        size: 16,
        by_token: false,
        dense: 0,
        forced: true,
    },
];

/// Blocks that the last query chose, as `--trace` says, are those of the lists that are known.
fn choices(choice: &Choice, case: &Case) {
    let name = choice.policy;
    let known = folder().join("policies").join(name).join("expected.safetensors");
    for step in [0, 20, 60, 119] {
        let tokens = &case.tokens[..PROMPT + step];
        let file = case.traced(tokens);
        for (layer, head) in (choice.dense..3).flat_map(|layer| (0..4).map(move |head| (layer, head))) {
            let names = [
                format!("blocks.L{layer}.Q{head}.t{step}"),
                format!("blocks.L{layer}.t{step}"),
            ];
            let expected = names
                .iter()
                .find_map(|n| read_integers(&known, n))
                .expect("a list of blocks");
            let trace = format!("trace.layers.{layer}.attention.chosen");
            let chosen = read_integers(Path::new(&file), &trace).unwrap_or_else(|| panic!("{name}: no {trace}"));
            let is_chosen = |token: i64| chosen[4 * token as usize + head] == 1;
            let firsts = (choice.first..tokens.len() as i64).step_by(choice.size as usize);
            let number = |first: i64| {
                if choice.by_token {
                    first
                } else {
                    (first - choice.first) / choice.size
                }
            };
            let mut found: Vec<i64> = firsts.filter(|first| is_chosen(*first)).map(number).collect();
            if choice.forced {
                let now = (tokens.len() as i64 - 1) / choice.size;
                found.extend([0, now - 1, now]);
                found.sort_unstable();
            }
            assert_eq!(found, expected, "{name}, layer {layer}, query head {head}, step {step}");
        }
    }
}

/// Several sequences in a batch, one of them cut before the end of its prompt.
fn together(name: &str, case: &Case) {
    let (prompt, short) = (PROMPT.to_string(), list(&case.tokens[..PROMPT + 20]));
    let way = ["--tokens", &short, "--prompt-length", &prompt, "--threads", "2"];
    let rows = case.logits(&case.tokens, &way);
    let all = case.tokens.len();
    case.check(name, "in a batch", &rows.slice(0, all), TOLERANCE);
    let (other, own) = (rows.slice(all, rows.len()), rows.slice(0, PROMPT + 20));
    let off = other.relative(&own);
    assert!(off <= TOLERANCE, "{name}, the same tokens in a batch: off by {off:e}");
}
