//! Twelve checkpoints as Hugging Face saves them: the same numbers as `transformers`, in whatever chunks.

use crate::batches::{self, CUT_TOLERANCE, random_cut};
use seqc_tests::{
    fixture::Fixture,
    program::{Program, Way, fresh_file, integers, json, list},
    rows::Rows,
};

/// max |difference| / max |reference| against another implementation in f32.
const TOLERANCE: f32 = 2e-4;

macro_rules! causal {
    ($($module:ident: $name:literal),* $(,)?) => { $(
        mod $module {
            use super::*;

            #[test]
            fn logits_are_those_of_transformers() {
                check_logits(&Fixture::open($name));
            }

            #[test]
            fn greedy_continuation_is_that_of_transformers() {
                check_greedy(&Fixture::open($name));
            }

            #[test]
            fn greedy_continuation_with_drafts_is_the_same() {
                check_drafts(&Fixture::open($name));
            }

            #[test]
            fn every_cut_into_chunks_gives_the_same() {
                check_cuts(&Fixture::open($name));
            }

            #[test]
            fn a_batch_gives_each_sequence_what_it_gets_alone() {
                let fixture = Fixture::open($name);
                batches::check(fixture.name, &fixture.program(), &fixture.sequence());
            }

            #[test]
            fn a_state_that_is_cut_goes_on_from_there() {
                check_truncated(&Fixture::open($name));
            }

            #[test]
            fn saved_and_restored_in_the_middle_gives_the_same() {
                check_restored(&Fixture::open($name));
            }
        }
    )* };
}

causal! {
    diffllama: "diffllama",
    falcon_mamba: "falcon-mamba",
    gemma3: "gemma3",
    gpt_neo_local: "gpt-neo-local",
    jamba: "jamba",
    llama: "llama",
    mamba: "mamba",
    mamba2: "mamba2",
    mistral_swa: "mistral-swa",
    qwen3: "qwen3",
    recurrent_gemma: "recurrent-gemma",
}

pub(crate) fn check_logits(fixture: &Fixture) {
    let program = fixture.program();
    let tokens = fixture.sequence();
    let expected = fixture.expected("logits");
    let steps = fixture.expected("step_logits");
    for chunks in [&[tokens.len()][..], &[fixture.input.len(), 1]] {
        let found = program.logits(
            &tokens,
            Way {
                chunks,
                ..Way::default()
            },
        );
        let prompt = found.slice(0, fixture.input.len()).relative(&expected);
        assert!(
            prompt <= TOLERANCE,
            "{}, chunks {chunks:?}: prompt logits are off by {prompt:e}",
            fixture.name
        );
        let step = found.slice(fixture.input.len() - 1, tokens.len()).relative(&steps);
        assert!(
            step <= TOLERANCE,
            "{}, chunks {chunks:?}: step logits are off by {step:e}",
            fixture.name
        );
    }
}

pub(crate) fn check_greedy(fixture: &Fixture) {
    let found = fixture.program().greedy_tokens(&fixture.input, fixture.greedy.len());
    assert_eq!(found, fixture.greedy, "{}", fixture.name);
}

/// Tokens with drafts are those without, and a state that is saved behind them goes on alike.
fn check_drafts(fixture: &Fixture) {
    let program = fixture.program();
    // What stands there twice is looked up.
    let prompt = list(&[&fixture.input[..], &fixture.input].concat());
    let tokens = |how: &str| {
        let line = format!("generate --ignore-eos --json {how}");
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        integers(&json(program.run(&words))["tokens"])
    };
    let plain = tokens(&format!("--prompt-tokens {prompt} -n 68"));
    for most in [2, 7] {
        let state = fresh_file("state");
        let state = state.display();
        let begin = format!("--prompt-tokens {prompt} -n 60 --speculate lookup:{most} --save-state {state}");
        assert_eq!(tokens(&begin), plain[..60], "{}, drafts of {most}", fixture.name);
        let rest = tokens(&format!("-n 8 --load-state {state}"));
        assert_eq!(rest, plain[60..], "{}, behind drafts of {most}", fixture.name);
    }
}

pub(crate) fn check_cuts(fixture: &Fixture) {
    let program = fixture.program();
    let tokens = fixture.sequence();
    let whole = program.logits(
        &tokens,
        Way {
            chunks: &[tokens.len()],
            ..Way::default()
        },
    );
    let mut ways = vec![(vec![1], 1), (vec![7], 1), (vec![16], 2), (vec![], 2)];
    ways.extend((0..3).map(|seed| (random_cut(fixture.name, seed, tokens.len()), 1 + seed % 2)));
    for (chunks, threads) in ways {
        let found = program.logits(
            &tokens,
            Way {
                chunks: &chunks,
                threads,
                ..Way::default()
            },
        );
        let off = found.relative(&whole);
        assert!(
            off <= CUT_TOLERANCE,
            "{}, chunks {chunks:?}, {threads} threads: off by {off:e}",
            fixture.name
        );
    }
}

/// Sequences that are read together, from the beginning and as forks of a saved state, in chunks that meet in every way.
/// A state that is cut goes on as if it had never been longer.
fn check_truncated(fixture: &Fixture) {
    let program = fixture.program();
    let tokens = fixture.sequence();
    let whole = program.logits(&tokens, Way::default());
    let save = fresh_file("state");
    let others: Vec<i64> = tokens[..40].iter().chain(tokens[..30].iter().rev()).copied().collect();
    let way = Way {
        save: Some(&save),
        ..Way::default()
    };
    program.logits(&others, way);
    for cut in [0, 1, 17, 39, 40] {
        let way = Way {
            load: Some(&save),
            truncate: Some(cut),
            ..Way::default()
        };
        let found = program.logits(&tokens[cut..], way);
        let off = found.relative(&whole.slice(cut, tokens.len()));
        assert!(off <= CUT_TOLERANCE, "{}, cut at {cut}: off by {off:e}", fixture.name);
    }
}

fn check_restored(fixture: &Fixture) {
    let program = fixture.program();
    let tokens = fixture.sequence();
    let whole = program.logits(
        &tokens,
        Way {
            chunks: &[tokens.len()],
            ..Way::default()
        },
    );
    for cuts in [&[17][..], &[1, 40], &[5, 6, 63]] {
        let found = in_sessions(&program, &tokens, cuts);
        let off = found.relative(&whole);
        assert!(
            off <= CUT_TOLERANCE,
            "{}, saved at {cuts:?}: off by {off:e}",
            fixture.name
        );
    }
}

/// The outputs of processes that each read the tokens up to a cut and hand their state to the next.
fn in_sessions(program: &Program, tokens: &[i64], cuts: &[usize]) -> Rows {
    let ends = cuts.iter().copied().chain([tokens.len()]);
    let (mut from, mut load, mut all) = (0, None, None::<Rows>);
    for to in ends {
        let save = fresh_file("state");
        let way = Way {
            load: load.as_deref(),
            save: Some(&save),
            ..Way::default()
        };
        let rows = program.logits(&tokens[from..to], way);
        all = Some(match all {
            Some(before) => before.then(&rows),
            None => rows,
        });
        (from, load) = (to, Some(save));
    }
    all.unwrap_or_else(|| panic!("nothing was read"))
}

#[test]
fn a_model_without_a_head_gives_the_hidden_states_of_transformers() {
    let fixture = Fixture::open("bert");
    let found = fixture.program().logits(&fixture.input, Way::default());
    let off = found.relative(&fixture.expected("hidden"));
    assert!(off <= TOLERANCE, "bert: hidden states are off by {off:e}");
}

#[test]
fn a_model_that_looks_ahead_refuses_to_generate() {
    let program = Fixture::open("bert").program();
    let args = ["generate", "--prompt-tokens", "1,2,3", "--max-tokens", "2"].map(str::to_owned);
    program.run(&args).refused();
}

#[test]
fn the_state_of_another_model_is_refused() {
    let (one, other) = (Fixture::open("llama"), Fixture::open("mistral-swa"));
    let state = fresh_file("state");
    one.program().logits(
        &one.input,
        Way {
            save: Some(&state),
            ..Way::default()
        },
    );
    let answer = other.program().try_logits(
        &other.input,
        Way {
            load: Some(&state),
            ..Way::default()
        },
    );
    match answer {
        Ok(_) => panic!("a program took the state of another model"),
        Err(answer) => drop(answer.refused()),
    }
}
