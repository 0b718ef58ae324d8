//! What programs for this machine and for another one say to the same words.

use std::fs;

use serde_json::Value;

use super::{
    chat::{self, PLAIN, with_template},
    fixtures::{check_cuts, check_greedy, check_logits},
    policies,
};
use seqc_tests::{
    command::Answer,
    fixture::Fixture,
    program::{Program, fresh_file, json},
};

/// max |difference| / max |value| between numbers of programs for two machines.
pub(super) const TOLERANCE: f64 = 2e-4;

/// Checkpoints on another machine give the numbers of transformers.
pub(super) fn check_checkpoints(target: &'static str) {
    for name in ["llama", "mamba2", "jamba", "gemma3"] {
        let fixture = Fixture::open(name).on(target);
        check_logits(&fixture);
        check_greedy(&fixture);
    }
    check_cuts(&Fixture::open("qwen3").on(target));
}

/// Policies on another machine keep and choose what is known.
pub(super) fn check_policies(target: &'static str) {
    for name in ["kivi4", "h2o", "infllm"] {
        policies::check_on(target, name);
    }
}

/// A program for this machine and one for another, and a tokenizer.
pub(super) struct Both {
    pub(super) here: Program,
    pub(super) there: Program,
    pub(super) tokenizer: String,
}

impl Both {
    /// The program for a target beside that for this machine.
    pub(super) fn new(target: &str) -> Both {
        Both {
            here: chat::bytes(),
            there: chat::bytes_for(target),
            tokenizer: with_template(PLAIN).display().to_string(),
        }
    }

    /// The words of a line, and the tokenizer.
    pub(super) fn words(&self, line: &str) -> Vec<String> {
        let words = line.split(' ').map(str::to_owned);
        words
            .chain(["--tokenizer".to_owned(), self.tokenizer.clone()])
            .collect()
    }

    /// What both say to the same words.
    fn say(&self, line: &str) -> [Answer; 2] {
        let words = self.words(line);
        [&self.here, &self.there].map(|program| program.run(&words).ok())
    }

    /// Parts of the JSON objects that both print are equal, numbers nearly.
    pub(super) fn agree(&self, line: &str, keys: &[&str]) {
        let [here, there] = self.say(line).map(json);
        for key in keys {
            assert!(!here[key].is_null(), "{line}: {key} is missing in {here}");
            assert!(
                alike(&here[key], &there[key]),
                "{line}: {key} is {}, not {}",
                there[key],
                here[key]
            );
        }
    }

    /// Every verb that prints something says what it says on this machine.
    pub(super) fn agree_on_verbs(&self) {
        let schema = fresh_file("schema.json");
        let text = fresh_file("text.txt");
        fs::write(
            &schema,
            r#"{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}"#,
        )
        .expect("written");
        fs::write(&text, "What is read here is read there, too. ".repeat(8)).expect("written");
        let (schema, text) = (schema.display(), text.display());
        let said = ["prompt_tokens", "tokens", "text", "stop"];
        for line in [
            "generate --json --prompt Once -n 24 --threads 2".to_owned(),
            "generate --json --chat Hello -n 24 --temperature 0.8 --top-p 0.9 --seed 3 --logprobs 3".to_owned(),
            "generate --json --prompt abcabcabcabc -n 24 --speculate lookup".to_owned(),
            format!("generate --json --prompt Object -n 24 --json-schema {schema}"),
            "generate --json --prompt Once -n 12 --samples 3 --temperature 1".to_owned(),
        ] {
            self.agree(&line, &said);
        }
        self.agree(&format!("perplexity {text} --format json"), &["tokens", "perplexity"]);
        let tasks = fresh_file("tasks.jsonl");
        fs::write(&tasks, "{\"prompt\": \"What is 1 + 1?\", \"answer\": \"2\"}\n").expect("written");
        self.agree(
            &format!("tasks {} -n 4 --format json", tasks.display()),
            &["tasks", "answers"],
        );
        let bench = "bench -p 16 -n 4 -r 1 --output json".split(' ').map(str::to_owned);
        json(self.there.run(&bench.collect::<Vec<_>>()));
    }

    /// A conversation goes on as on this machine.
    pub(super) fn agree_on_conversations(&self, how: &str) {
        let words = self.words(format!("chat {how}").trim_end());
        let [here, there] =
            [&self.here, &self.there].map(|program| program.run_with_input(&words, "Hi\nAnd now?\n").ok().stdout);
        assert_eq!(here, there, "{how}");
    }

    /// An answer ends as on this machine, and what goes on from the state behind it does. Why it ended.
    pub(super) fn agree_on_ends(&self, line: &str) -> Value {
        let said = [&self.here, &self.there].map(|program| {
            let state = fresh_file("state").display().to_string();
            let begun = json(program.run(&self.words(&format!("{line} --json --save-state {state}"))));
            let on = format!("generate -n 20 --ignore-eos --json --load-state {state}");
            let on = json(program.run(&self.words(&on)));
            ["tokens", "text", "stop"].map(|key| [begun[key].clone(), on[key].clone()])
        });
        assert_eq!(said[0], said[1], "{line}");
        said[0][2][0].clone()
    }

    /// A state that the other machine saves and loads, with these words, goes on as on this one.
    pub(super) fn agree_on_states(&self, more: &str) {
        let state = fresh_file("state");
        let begin = format!("generate --prompt Once -n 5 --json --save-state {}", state.display());
        self.there.run(&self.words(&begin)).ok();
        let line = format!("generate --json -n 7 --load-state {} {more}", state.display());
        let rest = json(self.there.run(&self.words(line.trim_end())));
        let whole = json(self.here.run(&self.words("generate --prompt Once -n 12 --json")));
        let tokens = whole["tokens"].as_array().expect("a list");
        assert_eq!(rest["tokens"], Value::from(tokens[5..].to_vec()));
    }
}

/// What a refusal of usage says; its status is that of one.
pub(super) fn refused(answer: Answer) -> String {
    assert_eq!(answer.code, Some(2), "{}: {}", answer.line, answer.stderr);
    answer.stderr
}

fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let [a, b] = [a, b].map(|n| n.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= TOLERANCE * a.abs().max(1e-3)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            let same = |(key, value): (&String, &Value)| b.get(key).is_some_and(|other| alike(value, other));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => a == b,
    }
}
