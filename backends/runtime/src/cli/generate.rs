//! `generate`: continues a prompt, token by token, as text while it comes or as one JSON object.

use std::{io::Write, time::Instant};

use seqc_abi::Descriptor;
use serde_json::{Value, json};

use super::{
    args::Generate,
    bar::Bar,
    common::{self, milliseconds},
    console::{Console, JSON_VERSION},
    prompt::{Asked, Prompt},
    sampling,
};
use crate::{
    Error, Result,
    code::Code,
    finite,
    generation::{Choice, Continuation, LogProb, LogProbs, Sampler, Taken, Wishes},
    model::Model,
    places,
    session::{Cut, Session, Wanted},
    streams::{self, width},
    tokenizer::Tokenizer,
};

/// Why no further token was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// As many as asked for.
    Length,
    /// A token that ends a text or a turn, or a grammar that admits nothing more.
    End,
    /// A text at which the user wants it to end.
    Text,
    /// The model admits no longer context.
    Context,
}

impl Stop {
    fn name(self) -> &'static str {
        match self {
            Stop::Length => "length",
            Stop::End => "end",
            Stop::Text => "text",
            Stop::Context => "context",
        }
    }
}

/// What was generated, and how long it took in milliseconds.
struct Generated {
    tokens: Vec<i64>,
    /// What the model thought of each, where that was asked for.
    logprobs: Vec<LogProbs>,
    text: Option<String>,
    stop: Stop,
    /// The last token of the answer, where the session has not read it.
    unread: Option<i64>,
    prompt: f64,
    generation: f64,
    /// Steps of the model during `generation`: the first token comes from the prompt's logits.
    steps: usize,
}

impl Generated {
    /// Adds the answer to the JSON object, and its log probabilities where they are wanted: with the texts that the
    /// tokenizer knows.
    fn add_to(&self, object: &mut Value, logprobs: Option<Option<&Tokenizer>>) -> Result<()> {
        object["tokens"] = json!(self.tokens);
        object["text"] = json!(self.text);
        object["stop"] = json!(self.stop.name());
        if let Some(tokenizer) = logprobs {
            object["logprobs"] = log_probabilities(&self.logprobs, tokenizer)?;
        }
        Ok(())
    }
}

pub(crate) fn generate(code: Code, args: &Generate, console: &mut Console) -> Result<()> {
    let descriptor = code.describe()?;
    let logits = streams::logits(&descriptor)?;
    let tokenizer = open_tokenizer(&descriptor, args, console)?;
    let options = sampling::options(&args.sampling, tokenizer.as_ref(), console)?;
    let seed = options.seed;
    let vocab = width(&descriptor.outputs[logits]);
    let sampler = Sampler::new(options, vocab)?;
    let ends = ends(&descriptor, tokenizer.as_ref());
    let constraint = sampling::constraint(&args.form, tokenizer.as_ref(), vocab, &ends)?;
    let asked = Asked::new(args, tokenizer.as_ref(), &descriptor.model, console)?;
    let from = Instant::now();
    let model = common::load(code, &args.reading.loading, console)?;
    let loading = milliseconds(from);
    let named = args.tokenizer.iter().flat_map(|path| places::with_folder(path));
    let inputs = common::inputs(&model, named);
    let mut session = common::open(&model, &args.reading, &inputs, console)?;
    let prompt = asked.prompt(&mut session, console)?;
    let tokens = prompt.tokens.clone();
    let text = tokenizer.as_ref().map(|tokenizer| prompt.text(tokenizer, &session));
    let wishes = Wishes {
        ends: if args.ignore_eos { Vec::new() } else { ends },
        stops: args.stop.clone(),
        constraint,
        logprobs: args.logprobs,
    };
    let mut run = Generator {
        args,
        logits,
        has_text: text.is_some(),
        answer: Continuation::new(sampler, text, wishes)?,
    };
    let generated = run.generate(&mut session, prompt, console)?;
    let generated = run.end(generated, console)?;
    if args.reading.save_state.is_some() {
        complete(&mut session, generated.unread, console)?;
    }
    common::save(&session, &args.reading, &inputs, console)?;
    if model.busy() {
        say_busy(&model, args, console);
    }
    let timings = timings(loading, tokens.len(), &generated);
    note(&timings, console);
    if args.json {
        let mut object = json!({
            "version": JSON_VERSION,
            "model": descriptor.model,
            "prompt_tokens": tokens,
            "seed": seed,
            "threads": model.threads(),
            "timings": timings,
        });
        generated.add_to(&mut object, args.logprobs.and(Some(tokenizer.as_ref())))?;
        print(console.result, &format!("{object}\n"))?;
    }
    Ok(())
}

/// Reads the last token of an answer, so that the state has all of it and the outputs from which it goes on.
fn complete(session: &mut Session, unread: Option<i64>, console: &mut Console) -> Result<()> {
    let Some(token) = unread else { return Ok(()) };
    if session.room() == 0 {
        console.warn("the context is full: the saved state lacks the last token of the answer");
        return Ok(());
    }
    session.feed(&common::tokens(vec![token]), &Cut::default(), Wanted::Last, |_| Ok(()))
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

/// Ids that end a text or a turn, as the model and its tokenizer name them.
pub(crate) fn ends(descriptor: &Descriptor, tokenizer: Option<&Tokenizer>) -> Vec<i64> {
    let named = tokenizer.map_or(&[][..], Tokenizer::stops);
    descriptor.ends.iter().chain(named).copied().collect()
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
fn note(timings: &Value, console: &mut Console) {
    for part in ["prompt", "generation"] {
        let part_timings = &timings[part];
        console.note(format_args!(
            "{part}: {} tokens in {:.1} ms, {:.1} tokens/s",
            part_timings["tokens"],
            part_timings["milliseconds"].as_f64().unwrap_or_default(),
            part_timings["tokens_per_second"].as_f64().unwrap_or_default(),
        ));
    }
}

pub(crate) fn print(to: &mut dyn Write, text: &str) -> Result<()> {
    to.write_all(text.as_bytes())
        .and_then(|()| to.flush())
        .map_err(|error| Error::write("standard output", &error))
}

fn timings(loading: f64, prompt: usize, generated: &Generated) -> Value {
    let rate = |count: usize, took: f64| (count > 0 && took > 0.0).then(|| count as f64 / took * 1e3);
    json!({
        "load": {"milliseconds": loading},
        "prompt": {
            "tokens": prompt,
            "milliseconds": generated.prompt,
            "tokens_per_second": rate(prompt, generated.prompt),
        },
        "generation": {
            "tokens": generated.tokens.len(),
            "steps": generated.steps,
            "milliseconds": generated.generation,
            "tokens_per_second": rate(generated.steps, generated.generation),
        },
    })
}

/// The tokenizer of the command line or the descriptor; without one, ids are all there is.
fn open_tokenizer(descriptor: &Descriptor, args: &Generate, console: &mut Console) -> Result<Option<Tokenizer>> {
    let opened = match &args.tokenizer {
        Some(path) => Tokenizer::open(path).map(Some),
        None => places::tokenizer(descriptor, args.reading.loading.weights.as_deref())
            .and_then(|found| found.map(|found| Tokenizer::open_source(&found)).transpose()),
    };
    let tokenizer = match opened {
        Ok(None) => return Ok(None),
        Ok(Some(tokenizer)) => tokenizer,
        Err(error) if args.prompt_tokens.is_some() && args.tokenizer.is_none() => {
            console.warn(format_args!(
                "only token ids are shown, as the tokenizer cannot be used: {error}"
            ));
            return Ok(None);
        }
        Err(error) if args.tokenizer.is_none() => {
            return Err(Error::input(format!("{error}; --tokenizer PATH names another one")));
        }
        Err(error) => return Err(error),
    };
    for warning in tokenizer.warnings() {
        console.warn(warning);
    }
    Ok(Some(tokenizer))
}

struct Generator<'a> {
    args: &'a Generate,
    /// Place of the logits among the outputs.
    logits: usize,
    /// Whether there is a text, or ids alone.
    has_text: bool,
    answer: Continuation<'a>,
}

impl Generator<'_> {
    fn generate(&mut self, session: &mut Session, prompt: Prompt, console: &mut Console) -> Result<Generated> {
        let from = Instant::now();
        self.read(session, prompt, console)?;
        let mut done = Generated {
            tokens: Vec::new(),
            logprobs: Vec::new(),
            text: self.has_text.then(String::new),
            stop: Stop::Length,
            unread: None,
            prompt: milliseconds(from),
            generation: 0.0,
            steps: 0,
        };
        let from = Instant::now();
        let cut = common::cut(&self.args.reading.chunk);
        while done.tokens.len() < self.args.max_tokens {
            if let Some(stop) = self.choose(session, &mut done, console)? {
                done.stop = stop;
                break;
            }
            if done.tokens.len() == self.args.max_tokens {
                break;
            }
            if session.room() == 0 {
                done.stop = Stop::Context;
                break;
            }
            let before = session.position();
            common::warn_of_length(session.model().descriptor(), before, before + 1, console);
            let next = common::tokens(done.unread.take().into_iter().collect());
            session.feed(&next, &cut, Wanted::Last, |_| Ok(()))?;
            done.steps += 1;
        }
        done.generation = milliseconds(from);
        Ok(done)
    }

    /// Chooses the next token and shows what it says; whether the answer is over with it.
    fn choose(&mut self, session: &Session, done: &mut Generated, console: &mut Console) -> Result<Option<Stop>> {
        let Choice { token, logprobs } = self.answer.choose(scores(session, self.logits)?)?;
        let (text, stop) = match self.answer.take(token)? {
            Taken::End => return Ok(Some(Stop::End)),
            Taken::Text(text) => (text, None),
            Taken::Stopped(text) => (text, Some(Stop::Text)),
            Taken::Complete(text) => (text, Some(Stop::End)),
        };
        done.unread = Some(token);
        done.tokens.push(token);
        done.logprobs.extend(logprobs);
        match (self.has_text, done.tokens.len()) {
            (true, _) => add(&text, done, self.args, console)?,
            (false, 1) => add(&token.to_string(), done, self.args, console)?,
            (false, _) => add(&format!(" {token}"), done, self.args, console)?,
        }
        Ok(stop)
    }

    /// Reads the prompt.
    fn read(&mut self, session: &mut Session, prompt: Prompt, console: &mut Console) -> Result<()> {
        let unread = prompt.tokens;
        self.answer.read(session.tokens().unwrap_or_default());
        self.answer.read(&unread);
        if unread.is_empty() && session.last(self.logits).is_none() && self.args.max_tokens > 0 {
            return Err(Error::input("the prompt is empty: there is no token to continue from"));
        }
        let before = session.position();
        let after = before.saturating_add(unread.len() as u64);
        let cut = common::cut(&self.args.reading.chunk);
        let mut bar = Bar::new(unread.len(), console);
        if after <= before.saturating_add(session.room()) {
            common::warn_of_length(session.model().descriptor(), before, after, console);
        }
        session.feed(&common::tokens(unread), &cut, Wanted::Last, |outputs| {
            bar.add(outputs.tokens());
            Ok(())
        })?;
        bar.end();
        session.keep_bytes(prompt.rest);
        if let Some(conversation) = prompt.conversation {
            session.converse(conversation);
        }
        Ok(())
    }

    /// What was held back, what is left of a character that was not completed, and the end of the line.
    fn end(self, mut done: Generated, console: &mut Console) -> Result<Generated> {
        let (args, answered) = (self.args, !done.tokens.is_empty());
        if done.stop != Stop::Text {
            let mut rest = self.answer.finish();
            if args.reading.save_state.is_some() && answered && !rest.broken.is_empty() {
                console.note("the text ends inside a character, which a run that goes on completes");
                rest.broken.clear();
            }
            if answered {
                add(&(rest.text + &rest.broken), &mut done, args, console)?;
            }
        }
        if !args.json {
            print(console.result, "\n")?;
        }
        Ok(done)
    }
}

/// The logits after the last token, from which a token can be chosen.
fn scores<'s>(session: &'s Session, logits: usize) -> Result<&'s [f32]> {
    let scores = session.last(logits).unwrap_or_default();
    if !finite::undecided(scores) {
        return Ok(scores);
    }
    let read = common::tokens(session.tokens().unwrap_or_default().to_vec());
    let fault = finite::trace_in(Session::new(session.model()), [read]);
    Err(Error::input(finite::no_token(session.position(), fault)))
}

/// Adds to the answer, and prints it at once where text is wanted.
fn add(piece: &str, done: &mut Generated, args: &Generate, console: &mut Console) -> Result<()> {
    if let Some(text) = &mut done.text {
        text.push_str(piece);
    }
    if args.json || piece.is_empty() {
        return Ok(());
    }
    print(console.result, piece)
}
