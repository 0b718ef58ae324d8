//! `generate`: continues a prompt, token by token, as text while it comes or as one JSON object.

use std::{io::Write, time::Instant};

use serde_json::{Value, json};

use super::{
    answering::{Answering, Generated, Stop},
    args::Generate,
    common::{self, milliseconds},
    console::{Console, JSON_VERSION},
    prompt::Asked,
    samples::{self, Answered},
    setup::{self, Setup},
    source,
};
use crate::{
    Error, Result,
    code::Code,
    generation::{LogProb, LogProbs, Reason},
    model::Model,
    session::Session,
    speculation::DraftTotals,
    streams,
    tokenizer::Tokenizer,
};

pub(crate) fn generate(code: Code, args: &Generate, console: &mut Console) -> Result<()> {
    let descriptor = code.describe()?;
    streams::logits(&descriptor)?;
    let (words, weights) = (&args.answers, args.reading.loading.weights.as_deref());
    let ids = args.prompt_tokens.is_some();
    let tokenizer = setup::open_tokenizer(&descriptor, words.tokenizer.as_deref(), weights, ids, console)?;
    let setup = Setup::new(&descriptor, words, tokenizer, console)?;
    let tokenizer = setup.tokenizer.as_ref();
    let asked = Asked::new(args, tokenizer, &descriptor, console)?;
    let named = words.tokenizer.as_deref();
    let source = source::read(
        &args.source,
        &descriptor,
        |console| setup::needed_tokenizer(&descriptor, named, weights, console),
        console,
    )?;
    let from = Instant::now();
    let model = common::load(code, &args.reading.loading, console)?;
    let loading = milliseconds(from);
    let inputs = common::inputs(
        &model,
        words.files().into_iter().chain(args.source.source_input.clone()),
    );
    let mut session = common::open(&model, &args.reading, source.as_deref(), &inputs, console)?;
    let prompt = asked.prompt(&mut session, console)?;
    let tokens = prompt.tokens.clone();
    let text = tokenizer.map(|tokenizer| prompt.text(tokenizer, &session));
    let mut answering = setup.answering(0, text, args.logprobs, &args.reading.chunk)?;
    answering.keeps = args.reading.save_state.is_some();
    let from = Instant::now();
    answering.read(&mut session, prompt, console)?;
    let reading = milliseconds(from);
    let answers = match args.samples {
        1 => vec![one(&mut session, answering, &setup, args, console)?],
        samples => several(&session, &setup, samples, args, console)?,
    };
    common::save(&session, &args.reading, &inputs, console)?;
    if model.busy() {
        say_busy(&model, args, console);
    }
    let Some(Answered { generated: first, .. }) = answers.first() else {
        return Ok(());
    };
    let timings = timings(&[loading, reading], tokens.len(), &answers);
    note(&timings, first, console);
    if args.json {
        let object = json!({
            "version": JSON_VERSION,
            "model": descriptor.model,
            "prompt_tokens": tokens,
            "seed": setup.options.seed,
            "threads": model.threads(),
            "timings": timings,
        });
        let object = with_answers(object, &answers, args, tokenizer)?;
        print(console.result, &format!("{object}\n"))?;
    }
    Ok(())
}

/// The answer of a session, shown as it comes, which the session has read if its state is saved.
fn one(
    session: &mut Session,
    answering: Answering,
    setup: &Setup,
    args: &Generate,
    console: &mut Console,
) -> Result<Answered> {
    let mut shown = Shown {
        has_text: setup.tokenizer.is_some(),
        streams: !args.json,
        text: String::new(),
        tokens: 0,
    };
    let mut show = |token, text: &str, console: &mut Console| shown.show(token, text, console);
    let generated = answering.answer(session, &mut show, console)?;
    shown.end(&generated, args, console)?;
    Ok(Answered {
        generated,
        text: shown.text,
    })
}

/// Several answers, shown at their end with their numbers.
fn several(
    session: &Session,
    setup: &Setup,
    samples: usize,
    args: &Generate,
    console: &mut Console,
) -> Result<Vec<Answered>> {
    if args.reading.save_state.is_some() {
        return Err(Error::Usage(
            "--save-state leaves the state of one answer: give it without --samples".to_owned(),
        ));
    }
    let answers = samples::sample(session, setup, samples, args.logprobs)?;
    for (n, answer) in answers.iter().enumerate().filter(|_| !args.json) {
        let ids: Vec<String> = answer.generated.tokens.iter().map(i64::to_string).collect();
        let said = match setup.tokenizer {
            Some(_) => answer.text.clone(),
            None => ids.join(" "),
        };
        print(console.result, &format!("[{}] {said}\n", n + 1))?;
    }
    Ok(answers)
}

/// The JSON object with the first answer, and with all of them where there are several.
fn with_answers(
    mut object: Value,
    answers: &[Answered],
    args: &Generate,
    tokenizer: Option<&Tokenizer>,
) -> Result<Value> {
    let add = |object: &mut Value, Answered { generated, text }: &Answered| -> Result<()> {
        object["tokens"] = json!(generated.tokens);
        object["text"] = json!(tokenizer.map(|_| text));
        object["stop"] = json!(generated.stop.name());
        if args.logprobs.is_some() {
            object["logprobs"] = log_probabilities(&generated.logprobs, tokenizer)?;
        }
        Ok(())
    };
    if let Some(first) = answers.first() {
        add(&mut object, first)?;
        if args.answers.drafts.speculate.is_some() || args.answers.drafts.draft.is_some() {
            let DraftTotals { drafted, accepted } = first.generated.drafts;
            object["speculation"] = json!({"drafted": drafted, "accepted": accepted});
        }
    }
    if answers.len() > 1 {
        let each = |answer: &Answered| {
            let mut object = json!({});
            add(&mut object, answer).map(|()| object)
        };
        object["answers"] = answers.iter().map(each).collect::<Result<Value>>()?;
    }
    Ok(object)
}

/// What the model thought of each token, for the JSON object.
fn log_probabilities(found: &[LogProbs], tokenizer: Option<&Tokenizer>) -> Result<Value> {
    let one = |LogProb { token, logprob }: &LogProb| -> Result<Value> {
        let mut value = json!({"token": token, "logprob": logprob});
        if let Some(tokenizer) = tokenizer {
            let said = tokenizer.token_bytes(&[*token as i64])?;
            let bytes = said.first().map(|said| said.bytes.as_slice()).unwrap_or_default();
            value["text"] = String::from_utf8_lossy(bytes).into();
            value["bytes"] = bytes.into();
        }
        Ok(value)
    };
    let all = found.iter().map(|LogProbs { chosen, best }| {
        let mut value = one(chosen)?;
        value["best"] = best.iter().map(one).collect::<Result<Value>>()?;
        Ok(value)
    });
    all.collect()
}

/// Other processes used the cores: what the program did about it, or what the user can do.
fn say_busy(model: &Model, args: &Generate, console: &mut Console) {
    let asked = args.reading.loading.threads;
    match asked {
        0 => console.note(format_args!(
            "other processes use the cores: tokens were generated with fewer threads than {} where that was faster",
            model.threads()
        )),
        asked => console.warn(format_args!(
            "other processes use the cores, and {asked} threads wait for each other: without --threads the program takes as many as are worth it"
        )),
    }
}

/// The timings that `-v` prints.
fn note(timings: &Value, generated: &Generated, console: &mut Console) {
    for part in ["prompt", "generation"] {
        let part_timings = &timings[part];
        console.note(format_args!(
            "{part}: {} tokens in {:.1} ms, {:.1} tokens/s",
            part_timings["tokens"],
            part_timings["milliseconds"].as_f64().unwrap_or_default(),
            part_timings["tokens_per_second"].as_f64().unwrap_or_default(),
        ));
    }
    note_drafts(generated, console);
}

/// What became of drafts, for `-v`.
pub(crate) fn note_drafts(generated: &Generated, console: &mut Console) {
    let DraftTotals { drafted, accepted } = generated.drafts;
    if drafted > 0 {
        console.note(format_args!(
            "drafts: {accepted} of {drafted} tokens were accepted, {} steps",
            generated.work.steps
        ));
    }
}

pub(crate) fn print(to: &mut dyn Write, text: &str) -> Result<()> {
    to.write_all(text.as_bytes())
        .and_then(|()| to.flush())
        .map_err(|error| Error::write("standard output", &error))
}

/// Timings of answers, whose loading and prompt took so many milliseconds.
fn timings([loading, reading]: &[f64; 2], prompt: usize, answers: &[Answered]) -> Value {
    let rate = |count: usize, took: f64| (count > 0 && took > 0.0).then(|| count as f64 / took * 1e3);
    let all = || answers.iter().map(|answer| &answer.generated);
    let took: f64 = all().map(|generated| generated.milliseconds).sum();
    json!({
        "load": {"milliseconds": loading},
        "prompt": {
            "tokens": prompt,
            "milliseconds": reading,
            "tokens_per_second": rate(prompt, *reading),
        },
        "generation": {
            "tokens": all().map(|generated| generated.tokens.len()).sum::<usize>(),
            "steps": all().map(|generated| generated.work.steps).sum::<usize>(),
            "milliseconds": took,
            "tokens_per_second": rate(all().map(|generated| generated.work.chosen).sum(), took),
        },
    })
}

/// What was shown of an answer.
struct Shown {
    /// Whether there is a text, or ids alone.
    has_text: bool,
    /// Whether it is printed as it comes.
    streams: bool,
    text: String,
    tokens: usize,
}

impl Shown {
    fn show(&mut self, token: i64, text: &str, console: &mut Console) -> Result<()> {
        self.tokens += 1;
        match (self.has_text, self.tokens) {
            (true, _) => self.add(text, console),
            (false, 1) => self.add(&token.to_string(), console),
            (false, _) => self.add(&format!(" {token}"), console),
        }
    }

    /// Adds to the answer, and prints it at once where text is wanted.
    fn add(&mut self, piece: &str, console: &mut Console) -> Result<()> {
        self.text.push_str(piece);
        if !self.streams || piece.is_empty() {
            return Ok(());
        }
        print(console.result, piece)
    }

    /// What was held back, what is left of a character that was not completed, and the end of the line.
    fn end(&mut self, done: &Generated, args: &Generate, console: &mut Console) -> Result<()> {
        if done.stop != Stop::Over(Reason::Stop) && !done.tokens.is_empty() {
            let mut rest = done.rest.clone();
            if args.reading.save_state.is_some() && !rest.broken.is_empty() {
                console.note("the text ends inside a character, which a run that goes on completes");
                rest.broken.clear();
            }
            self.add(&(rest.text + &rest.broken), console)?;
        }
        match args.json {
            true => Ok(()),
            false => print(console.result, "\n"),
        }
    }
}
