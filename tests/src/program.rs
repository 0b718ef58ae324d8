//! Programs that `seqc build` makes, and calls of their verbs.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;

use crate::{
    command::{self, Answer},
    device, emulation,
    rows::Rows,
};

/// A built program.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// What runs it; `None`: this machine does.
    pub emulator: Option<PathBuf>,
}

/// How a sequence is put through a program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way<'a> {
    /// Sizes of the chunks, the last one repeats; empty: the program's own choice.
    pub chunks: &'a [usize],
    /// Threads; 0 is one.
    pub threads: usize,
    /// What the encoder reads, of a model that has one.
    pub source: &'a [i64],
    /// A file with what the encoder reads, where that is no tokens.
    pub source_input: Option<&'a Path>,
    /// Start from this saved state.
    pub load: Option<&'a Path>,
    /// Cut that state after so many tokens.
    pub truncate: Option<usize>,
    /// Leave the state here.
    pub save: Option<&'a Path>,
}

impl Way<'_> {
    fn arguments(&self) -> Vec<String> {
        let mut args = vec!["--threads".to_owned(), self.threads.max(1).to_string()];
        if !self.chunks.is_empty() {
            args.extend(["--chunk".to_owned(), list(self.chunks)]);
        }
        if !self.source.is_empty() {
            args.extend(["--source-tokens".to_owned(), list(self.source)]);
        }
        if let Some(tokens) = self.truncate {
            args.extend(["--truncate".to_owned(), tokens.to_string()]);
        }
        let files = [
            ("--source-input", self.source_input),
            ("--load-state", self.load),
            ("--save-state", self.save),
        ];
        for (flag, path) in files.into_iter().filter_map(|(flag, path)| Some((flag, path?))) {
            args.extend([flag.to_owned(), path.display().to_string()]);
        }
        args
    }
}

/// Builds a model once per process and name, and shares the program between tests.
pub fn built(name: &str, model: impl FnOnce() -> PathBuf) -> Program {
    built_for(emulation::usual_target(), name, model)
}

/// [`built`] for a target; the name is that of no program for another one.
pub fn built_for(target: &str, name: &str, model: impl FnOnce() -> PathBuf) -> Program {
    type Slot = Arc<OnceLock<Program>>;
    static BUILT: Mutex<Option<HashMap<String, Slot>>> = Mutex::new(None);
    let slot = {
        let mut built = BUILT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        built
            .get_or_insert_default()
            .entry(name.to_owned())
            .or_default()
            .clone()
    };
    slot.get_or_init(|| Program::build_for(target, &model(), &crate::scratch("programs").join(name)))
        .clone()
}

impl Program {
    /// `seqc build MODEL -o PATH` for this machine, or the one that a variable names.
    pub fn build(model: &Path, path: &Path) -> Program {
        Program::build_for(emulation::usual_target(), model, path)
    }

    /// A program that was built for this machine, or the one that a variable names.
    pub fn at(path: PathBuf) -> Program {
        Program {
            path,
            emulator: emulation::of_target(emulation::usual_target()),
        }
    }

    /// The same for these processors.
    pub fn build_for(target: &str, model: &Path, path: &Path) -> Program {
        let words = [
            Path::new("build"),
            model,
            Path::new("--target"),
            Path::new(target),
            Path::new("-o"),
            path,
        ];
        let emulator = emulation::of_target(target);
        command::seqc(&words).ok();
        if target == "cuda" {
            device::build_kernels(model, path);
        }
        Program {
            path: path.to_owned(),
            emulator,
        }
    }

    /// Runs a verb.
    pub fn run(&self, args: &[String]) -> Answer {
        let (program, words) = self.line(args);
        command::run(program, &words)
    }

    /// Runs a verb with a text on standard input.
    pub fn run_with_input(&self, args: &[String], input: &str) -> Answer {
        let (program, words) = self.line(args);
        command::run_with_input(program, &words, input)
    }

    /// What starts it.
    pub fn command(&self) -> Command {
        let (program, words) = self.line(&[]);
        let mut command = Command::new(program);
        command.args(words);
        command
    }

    /// What is started, and with which words: with one thread where there are no more.
    fn line(&self, args: &[String]) -> (&Path, Vec<String>) {
        match &self.emulator {
            None => (&self.path, args.to_vec()),
            Some(emulator) => {
                let mut words = [&[self.path.display().to_string()], args].concat();
                let asked = words.iter().position(|word| word == "--threads");
                if let Some(asked) = asked.filter(|_| emulation::has_one_thread(emulator)) {
                    words[asked + 1] = "1".to_owned();
                }
                (emulator, words)
            }
        }
    }

    /// `logits`: the output of every token, `logits` or `hidden`.
    pub fn logits(&self, tokens: &[i64], way: Way) -> Rows {
        self.try_logits(tokens, way)
            .unwrap_or_else(|answer| panic!("{} failed:\n{}", answer.line, answer.stderr))
    }

    /// [`Program::logits`], or the answer of a program that refuses.
    pub fn try_logits(&self, tokens: &[i64], way: Way) -> Result<Rows, Answer> {
        self.try_logits_of(&[tokens], way)
    }

    /// [`Program::logits`] of several sequences, read together.
    pub fn logits_together(&self, sequences: &[&[i64]], way: Way) -> Vec<Rows> {
        let rows = self
            .try_logits_of(sequences, way)
            .unwrap_or_else(|answer| panic!("{} failed:\n{}", answer.line, answer.stderr));
        let mut from = 0;
        let rows = sequences.iter().map(|tokens| {
            from += tokens.len();
            rows.slice(from - tokens.len(), from)
        });
        rows.collect()
    }

    fn try_logits_of(&self, sequences: &[&[i64]], way: Way) -> Result<Rows, Answer> {
        let file = fresh_file("logits.safetensors");
        let mut args = vec!["logits".to_owned()];
        for tokens in sequences {
            args.extend(["--tokens".to_owned(), list(tokens)]);
        }
        args.extend(["--output".to_owned(), file.display().to_string()]);
        args.extend(way.arguments());
        let answer = self.run(&args);
        if answer.code != Some(0) {
            return Err(answer);
        }
        let rows = Rows::read_any(&file, &["logits", "hidden"]);
        fs::remove_file(&file).ok();
        let tokens: usize = sequences.iter().map(|tokens| tokens.len()).sum();
        assert_eq!(rows.len(), tokens, "{}: one row per token", answer.line);
        Ok(rows)
    }

    /// `generate --json`, greedy, never stopping early; `prompt` is `--prompt-tokens 1,2`, `--prompt=text` or the like.
    pub fn greedy(&self, prompt: &[String], count: usize) -> Value {
        json(self.run(&greedy_arguments(prompt, count)))
    }

    /// [`Program::greedy`] with the prompt on standard input, where any character can stand.
    pub fn greedy_of_input(&self, text: &str, count: usize) -> Value {
        let args = greedy_arguments(&["--prompt=-".to_owned()], count);
        json(self.run_with_input(&args, text))
    }

    /// [`Program::greedy`] after a prompt of tokens: the tokens chosen.
    pub fn greedy_tokens(&self, prompt: &[i64], count: usize) -> Vec<i64> {
        integers(&self.greedy(&["--prompt-tokens".to_owned(), list(prompt)], count)["tokens"])
    }
}

fn greedy_arguments(prompt: &[String], count: usize) -> Vec<String> {
    let count = count.to_string();
    let rest = ["--max-tokens", &count, "--temperature", "0", "--ignore-eos", "--json"];
    let words = ["generate".to_owned()].into_iter().chain(prompt.iter().cloned());
    words.chain(rest.map(str::to_owned)).collect()
}

/// The JSON object that a run printed.
pub fn json(answer: Answer) -> Value {
    let answer = answer.ok();
    serde_json::from_str(&answer.stdout).unwrap_or_else(|error| panic!("{}: {error}\n{}", answer.line, answer.stdout))
}

/// A JSON list of integers.
pub fn integers(value: &Value) -> Vec<i64> {
    let list = value.as_array().unwrap_or_else(|| panic!("{value} is no list"));
    list.iter()
        .map(|item| item.as_i64().unwrap_or_else(|| panic!("{item} is no integer")))
        .collect()
}

/// `1,2,3`.
pub fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

/// A path that no other call uses.
pub fn fresh_file(name: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    crate::scratch("files").join(format!("{}-{number}-{name}", std::process::id()))
}
