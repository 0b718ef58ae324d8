//! `tasks`: answers the tasks of a file, and counts the right answers by length and depth.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answering::Answering,
    args::{Scores, Tasks},
    common,
    console::{Console, JSON_VERSION},
    generate::print,
    prompt::Prompt,
    setup,
};
use crate::{
    Error, Result,
    answer::Wish,
    code::Code,
    generation::{Continuation, Sampler, SamplingOptions, Wishes},
    session::Session,
    streams,
    tokenizer::Tokenizer,
};

/// A line of the file; other keys are left alone.
#[derive(Debug, Deserialize)]
struct Task {
    prompt: String,
    /// What the answer contains if it is right.
    answer: String,
    /// Words of the prompt, about.
    length: Option<u64>,
    /// Where in the prompt the answer is, from 0 to 1.
    depth: Option<f64>,
}

/// What became of a task.
struct Answered {
    task: Task,
    tokens: usize,
    text: String,
    right: bool,
}

pub(crate) fn tasks(code: Code, args: &Tasks, console: &mut Console) -> Result<()> {
    let descriptor = code.describe()?;
    let logits = streams::logits(&descriptor)?;
    streams::check_no_source(&descriptor, "tasks")?;
    let weights = args.loading.weights.as_deref();
    let tokenizer = setup::needed_tokenizer(&descriptor, args.tokenizer.as_deref(), weights, console)?;
    let tasks = read(args)?;
    let model = common::load(code, &args.loading, console)?;
    let mut asker = Asker {
        session: Session::new(&model)?,
        ends: setup::ends(&descriptor, Some(&tokenizer)),
        tokenizer: &tokenizer,
        logits,
        args,
    };
    let (mut answers, count) = (Vec::new(), tasks.len());
    for (n, task) in tasks.into_iter().enumerate() {
        let answered = asker.ask(task, console)?;
        console.note(format_args!("task {} of {count}: {:?}", n + 1, answered.text));
        answers.push(answered);
    }
    let text = match args.format {
        Scores::Text => as_text(&answers),
        Scores::Json => {
            let mut object = as_json(&answers);
            object["version"] = JSON_VERSION.into();
            object["model"] = json!(descriptor.model);
            object["hash"] = json!(descriptor.hash);
            object["threads"] = model.threads().into();
            format!("{object}\n")
        }
    };
    print(console.result, &text)
}

/// The tasks of the file.
fn read(args: &Tasks) -> Result<Vec<Task>> {
    let text = common::text(&args.file)?;
    let wrong = |n: usize, why: &dyn std::fmt::Display| {
        Error::input(format!(
            "{}, line {}: {why}; a task is an object such as {{\"prompt\": \"…\", \"answer\": \"…\"}}",
            args.file.display(),
            n + 1
        ))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let tasks = lines.map(|(n, line)| {
        let task: Task = serde_json::from_str(line).map_err(|error| wrong(n, &error))?;
        match task.answer.trim().is_empty() {
            true => Err(wrong(n, &"every answer contains an empty one")),
            false => Ok(task),
        }
    });
    let tasks = tasks.collect::<Result<Vec<Task>>>()?;
    match tasks.is_empty() {
        true => Err(Error::input(format!("{} has no task", args.file.display()))),
        false => Ok(tasks),
    }
}

/// Answers tasks, one after another.
struct Asker<'a, 'm> {
    session: Session<'m>,
    tokenizer: &'a Tokenizer,
    ends: Vec<i64>,
    /// Place of the logits among the outputs.
    logits: usize,
    args: &'a Tasks,
}

impl Asker<'_, '_> {
    /// The most likely answer to the prompt as it is, without a chat template.
    fn ask(&mut self, task: Task, console: &mut Console) -> Result<Answered> {
        self.session.reset()?;
        let tokens = self.tokenizer.encode(&task.prompt, true)?;
        let count = tokens.len();
        let vocab = streams::width(&self.session.model().descriptor().outputs[self.logits]);
        let wishes = Wishes {
            ends: self.ends.clone(),
            ..Wishes::default()
        };
        let sampler = Sampler::new(SamplingOptions::default(), vocab)?;
        let stream = self.tokenizer.stream(&tokens);
        let mut answering = Answering {
            wish: Wish {
                continuation: Continuation::new(sampler, Some(stream), wishes)?,
                max_tokens: self.args.max_tokens,
                logits: self.logits,
                speculation: None,
            },
            cut: common::cut(&self.args.chunk),
            keeps: false,
            interrupted: || false,
        };
        let prompt = Prompt {
            tokens,
            ..Prompt::default()
        };
        answering.read(&mut self.session, prompt, console)?;
        let mut text = String::new();
        let mut show = |_: i64, piece: &str, _: &mut Console| {
            text.push_str(piece);
            Ok(())
        };
        let generated = answering.answer(&mut self.session, &mut show, console)?;
        text.push_str(&generated.rest.text);
        Ok(Answered {
            right: text.contains(task.answer.trim()),
            tokens: count,
            text,
            task,
        })
    }
}

/// Answers at one length and depth.
#[derive(Default)]
struct Group {
    tasks: usize,
    right: usize,
    /// Tokens of all prompts.
    tokens: usize,
}

impl Group {
    fn of<'a>(answers: impl IntoIterator<Item = &'a Answered>) -> Group {
        let mut group = Group::default();
        answers.into_iter().for_each(|answered| group.add(answered));
        group
    }

    fn add(&mut self, answered: &Answered) {
        self.tasks += 1;
        self.right += usize::from(answered.right);
        self.tokens += answered.tokens;
    }

    fn accuracy(&self) -> f64 {
        self.right as f64 / self.tasks as f64
    }
}

/// By length, then depth in thousandths.
fn groups(answers: &[Answered]) -> BTreeMap<(Option<u64>, Option<i64>), Group> {
    let mut groups: BTreeMap<_, Group> = BTreeMap::new();
    for answered in answers {
        let depth = answered.task.depth.map(|depth| (1000.0 * depth).round() as i64);
        groups.entry((answered.task.length, depth)).or_default().add(answered);
    }
    groups
}

fn as_text(answers: &[Answered]) -> String {
    let mut text =
        "| words | tokens | depth | right | tasks | accuracy |\n| ---: | ---: | ---: | ---: | ---: | ---: |\n"
            .to_owned();
    let mut row = |words: &str, depth: &str, group: &Group| {
        let tokens = group.tokens / group.tasks.max(1);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {words} | {tokens} | {depth} | {} | {} | {:.0} % |",
            group.right,
            group.tasks,
            100.0 * group.accuracy()
        );
    };
    for ((length, depth), group) in &groups(answers) {
        let words = length.map_or_else(String::new, |length| length.to_string());
        let depth = depth.map_or_else(String::new, |depth| (depth as f64 / 1000.0).to_string());
        row(&words, &depth, group);
    }
    row("all", "", &Group::of(answers));
    text
}

fn as_json(answers: &[Answered]) -> Value {
    let group = |group: &Group| {
        json!({
            "tasks": group.tasks, "right": group.right, "accuracy": group.accuracy(), "tokens": group.tokens,
        })
    };
    let parts = groups(answers).into_iter().map(|((length, depth), found)| {
        let mut object = group(&found);
        object["length"] = json!(length);
        object["depth"] = json!(depth.map(|depth| depth as f64 / 1000.0));
        object
    });
    let one = |answered: &Answered| {
        json!({
            "answer": answered.task.answer, "text": answered.text, "right": answered.right, "tokens": answered.tokens,
            "length": answered.task.length, "depth": answered.task.depth,
        })
    };
    let mut object = group(&Group::of(answers));
    object["groups"] = parts.collect();
    object["answers"] = answers.iter().map(one).collect();
    object
}
