//! Programs for GPUs, whose kernels are run by fibers: known answers, what every verb says on this machine, and what is said without a driver. The
//! other tests of whole programs run the same way where `SEQC_TEST_TARGET` is `cuda`.

use super::{
    both::{Both, check_checkpoints, check_policies, refused},
    chat,
    libraries::{library, library_for, program, shell},
};
use seqc_tests::{
    command, device, emulation,
    program::{Program, fresh_file},
    scratch,
};
use std::{fs, process::Command};

const TARGET: &str = "cuda";

#[test]
fn checkpoints_give_the_numbers_of_transformers() {
    check_checkpoints(TARGET);
}

#[test]
fn policies_keep_and_choose_what_is_known() {
    check_policies(TARGET);
}

#[test]
fn every_verb_says_what_it_says_on_this_machine() {
    let both = Both::new(TARGET);
    both.agree_on_verbs();
    both.agree_on_conversations("--max-tokens 6");
    both.agree_on_states("");
}

#[test]
fn a_machine_without_a_driver_is_told_what_it_lacks() {
    let both = Both::new(TARGET);
    let alone = Program {
        emulator: None,
        ..both.there.clone()
    };
    let said = refused(alone.run(&both.words("generate --prompt Once -n 1")));
    assert!(said.contains("no CUDA driver here"), "{said}");
    let info = alone.run(&["info".to_owned()]).ok().stdout;
    assert!(info.contains("device      none: no CUDA driver here"), "{info}");
}

#[test]
fn what_a_device_does_not_have_is_refused() {
    let both = Both::new(TARGET);
    let there = |line: &str| refused(both.there.run(&both.words(line)));
    let said = there("generate --prompt Once -n 1 --device 1");
    assert!(said.contains("no CUDA device 1"), "{said}");
    let said = there("generate --prompt Once -n 1 --cache-file .");
    assert!(said.contains("--cache-file"), "{said}");
}

#[test]
fn builds_that_are_not_there_say_so() {
    let model = fresh_file("bytes.yaml");
    fs::write(&model, chat::MODEL).expect("written");
    let (model, output) = (model.display().to_string(), fresh_file("never").display().to_string());
    let build = |more: &[&str]| {
        let words = ["build", &model, "-o", &output];
        refused(command::seqc(&[&words[..], more].concat()))
    };
    let said = build(&["--target", TARGET, "--emit", "web"]);
    assert!(said.contains("--target wasm"), "{said}");
    let said = build(&["--target", "x86-64-v3", "--emit", "ptx"]);
    assert!(said.contains("--target cuda"), "{said}");
}

/// Answers of which steps choose most tokens, and how many kernels were started for them.
#[test]
fn tokens_that_steps_choose_are_those_of_this_machine() {
    let both = Both::new(TARGET);
    let said = ["tokens", "text", "stop"];
    let (mut greedy, mut drawn) = (0, 0);
    for prompt in ["Once", "upon", "a", "time"] {
        both.agree(&format!("generate --json --prompt {prompt} -n 50 --ignore-eos"), &said);
        greedy += launches(&both, &format!("generate --prompt {prompt} -n 65 --ignore-eos"));
    }
    for (seed, how) in [
        "--top-k 2",
        "--top-k 20 --min-p 0.05",
        "--top-k 40 --top-p 0.9",
        "--top-k 64",
    ]
    .into_iter()
    .enumerate()
    {
        let how = format!("--temperature 0.9 {how} --seed {seed} --ignore-eos");
        both.agree(&format!("generate --json --prompt Once -n 50 {how}"), &said);
        drawn += launches(&both, &format!("generate --prompt Once -n 65 {how}"));
    }
    // One reads parameters, one the prompt, and one 16 tokens at most.
    assert_eq!(greedy, 4 * (2 + 4));
    assert!(drawn <= 4 * (2 + 6), "{drawn} kernels were started");
    let alone = launches(&both, "generate --prompt Once -n 17 --temperature 0.9 --ignore-eos");
    assert_eq!(alone, 2 + 16);
}

#[test]
fn answers_end_in_the_middle_of_a_launch() {
    let both = Both::new(TARGET);
    let of_text = ["LH", "y^Z", "ho", ")Z"].map(|stop| {
        let line = format!("generate --prompt Once -n 45 --stop {stop}");
        both.agree_on_ends(&line)
    });
    assert!(of_text.iter().filter(|why| *why == "text").count() >= 3, "{of_text:?}");
    for how in [
        "--max-tokens 40",
        "--max-tokens 40 --temperature 0.8 --top-k 30 --seed 4",
    ] {
        both.agree_on_conversations(how);
    }
    let config = r#"{"bos_token": "<s>", "eos_token": "Z"}"#;
    let dir = chat::folder(&[("tokenizer_config.json", config)]).display().to_string();
    let both = Both { tokenizer: dir, ..both };
    assert_eq!(both.agree_on_ends("generate --prompt Once -n 45"), "end");
    for seed in 1..4 {
        both.agree_on_ends(&format!(
            "generate --prompt Once -n 45 --temperature 0.5 --top-k 30 --seed {seed}"
        ));
    }
}

/// How many kernels are started for a line.
fn launches(both: &Both, line: &str) -> usize {
    let counted = fresh_file("launches");
    let emulator = both.there.emulator.as_ref().expect("no GPU is needed");
    let mut command = Command::new(emulator);
    command
        .env("SEQC_LAUNCHES", &counted)
        .arg(&both.there.path)
        .args(both.words(line));
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(counted).expect("kernels were started");
    text.parse().expect("a number")
}

/// Libraries for this machine and for a GPU in one program.
#[test]
fn libraries_answer_as_those_of_this_machine() {
    let emulator = emulation::of_target(TARGET).expect("no GPU is needed");
    let dir = scratch("cuda-libraries");
    library(&dir, "llama", "here");
    let model = library_for(&dir, "llama", "there", Some(TARGET));
    let source = program(&dir, &["here", "there"]).display().to_string();
    shell(
        &dir,
        &format!("cc -Wall -Werror {source} libhere.a libthere.a -lgcc_s -lm -lpthread -ldl -o both"),
    );
    let said = command::run_in(&dir, &dir.join("both"), &[""; 0]);
    assert!(said.stderr.contains("no CUDA driver here"), "{}", said.stderr);
    device::build_kernels(&model, &dir.join("both"));
    let printed = shell(&dir, &format!("{} ./both", emulator.display()));
    let numbers = |name: &str| -> Vec<f64> {
        let line = printed.lines().find_map(|line| line.strip_prefix(name));
        let words = line.unwrap_or_default().split_whitespace();
        words.map(|word| word.parse().expect("a number")).collect()
    };
    let (here, there) = (numbers("here"), numbers("there"));
    assert!(here.len() > 1 && here.len() == there.len(), "{printed}");
    let largest = here[1..].iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let off = here
        .iter()
        .zip(&there)
        .fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()));
    assert!(off <= 1e-4 * largest, "off by {off:e} of {largest:e}");
}

#[test]
fn code_of_a_device_is_for_its_level() {
    let model = fresh_file("bytes.yaml");
    fs::write(&model, chat::MODEL).expect("written");
    let model = model.display().to_string();
    let ptx = |target: &str| {
        command::seqc(&["build", &model, "--emit", "ptx", "--target", target])
            .ok()
            .stdout
    };
    let text = ptx("cuda:sm_80");
    assert!(
        text.contains(".target sm_80") && text.contains(".entry seqc_step_v800"),
        "{text}"
    );
    assert_eq!(text, ptx(TARGET));
}
