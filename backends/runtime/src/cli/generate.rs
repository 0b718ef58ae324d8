//! `generate`: continues a prompt, token by token, as text while it comes or as one JSON object.

use std::{io::Write, time::Instant};

use seqc_abi::Descriptor;
use serde_json::{Value, json};

use super::{
    Console, JSON_VERSION,
    args::Generate,
    common::{self, milliseconds},
};
use crate::{
    Error, Result, chat,
    code::Code,
    finite, places,
    sample::{Sampler, Sampling},
    session::{Cut, Session, Wanted},
    streams,
    tokenizer::{TextStream, Tokenizer},
};

/// Why no further token was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// As many as asked for.
    Length,
    /// A token that ends a text or a turn.
    End,
    /// The model admits no longer context.
    Context,
}

impl Stop {
    fn name(self) -> &'static str {
        match self {
            Stop::Length => "length",
            Stop::End => "end",
            Stop::Context => "context",
        }
    }
}

/// What was generated, and how long it took in milliseconds.
struct Generated {
    tokens: Vec<i64>,
    text: Option<String>,
    stop: Stop,
    /// The tokens drawn that the session has not read.
    pending: Vec<i64>,
    prompt: f64,
    generation: f64,
    /// Steps of the model during `generation`: the first token comes from the prompt's logits.
    steps: usize,
}

pub(crate) fn generate(code: Code, args: &Generate, console: &mut Console) -> Result<()> {
    let descriptor = code.describe()?;
    let logits = streams::logits(&descriptor)?;
    let sampler = Sampler::new(Sampling {
        temperature: args.sampling.temperature,
        top_k: args.sampling.top_k,
        top_p: args.sampling.top_p,
        seed: args.sampling.seed,
    })?;
    let tokenizer = open_tokenizer(&descriptor, args, console)?;
    let prompt = prompt(tokenizer.as_ref(), &descriptor, args)?;
    let from = Instant::now();
    let model = common::load(code, &args.reading.loading, console)?;
    let loading = milliseconds(from);
    let tokenizer_path = tokenizer.as_ref().and_then(Tokenizer::path);
    let named = tokenizer_path
        .into_iter()
        .flat_map(|path| [path, path.parent().unwrap_or(path)]);
    let inputs = common::inputs(&model, named);
    let mut session = common::open(&model, &args.reading, &inputs, console)?;
    let mut run = Generator {
        args,
        logits,
        sampler,
        scores: Vec::new(),
        read: Vec::new(),
        tokenizer: tokenizer.as_ref(),
    };
    let generated = run.generate(&mut session, &prompt, console)?;
    common::save(&session, &args.reading, &inputs, &generated.pending, console)?;
    let timings = timings(loading, prompt.len(), &generated);
    note(&timings, console);
    if args.json {
        let object = json!({
            "version": JSON_VERSION,
            "model": descriptor.model,
            "prompt_tokens": prompt,
            "tokens": generated.tokens,
            "text": generated.text,
            "stop": generated.stop.name(),
            "threads": model.threads(),
            "timings": timings,
        });
        print(console.result, &format!("{object}\n"))?;
    }
    Ok(())
}

/// The timings for people who asked to be told more.
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

fn print(to: &mut dyn Write, text: &str) -> Result<()> {
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
            console.warn(format_args!("no text, only token ids: {error}"));
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

/// Tokens of the prompt, however it is given.
fn prompt(tokenizer: Option<&Tokenizer>, descriptor: &Descriptor, args: &Generate) -> Result<Vec<i64>> {
    if let Some(words) = &args.prompt_tokens {
        return common::ids(words, "--prompt-tokens");
    }
    let tokenizer = tokenizer.ok_or_else(|| {
        Error::input(format!(
            "the program of {} has no tokenizer: give the prompt as --prompt-tokens 1,2,3, or name one with --tokenizer PATH",
            descriptor.model
        ))
    })?;
    // What continues a saved state stands in the middle of a text.
    let starts = args.reading.load_state.is_none();
    match (&args.prompt, &args.chat) {
        (Some(text), _) => tokenizer.encode(&common::text(text)?, starts),
        (None, Some(message)) => {
            let text = chat::render(tokenizer, args.system.as_deref(), &common::text(message)?)?;
            tokenizer.encode_rendered(&text, starts)
        }
        (None, None) => Err(Error::Usage(
            "one of --prompt, --chat and --prompt-tokens is needed".to_owned(),
        )),
    }
}

struct Generator<'a> {
    args: &'a Generate,
    /// Place of the logits among the outputs.
    logits: usize,
    sampler: Sampler,
    /// Of every token that may follow.
    scores: Vec<f32>,
    /// All tokens that the session was given here.
    read: Vec<i64>,
    tokenizer: Option<&'a Tokenizer>,
}

impl Generator<'_> {
    fn generate(&mut self, session: &mut Session, prompt: &[i64], console: &mut Console) -> Result<Generated> {
        let from = Instant::now();
        let mut unread = session.take_pending();
        unread.extend(prompt);
        if unread.is_empty() && self.args.max_tokens > 0 {
            return Err(Error::input("the prompt is empty: there is no token to continue from"));
        }
        let mut text = self.tokenizer.map(|tokenizer| tokenizer.stream(&unread));
        let cut = common::cut(&self.args.reading.chunk);
        self.feed(session, unread, &cut)?;
        let mut done = Generated {
            tokens: Vec::new(),
            text: text.is_some().then(String::new),
            stop: Stop::Length,
            pending: Vec::new(),
            prompt: milliseconds(from),
            generation: 0.0,
            steps: 0,
        };
        let from = Instant::now();
        while done.tokens.len() < self.args.max_tokens {
            let token = self.sampler.next(&self.scores) as i64;
            done.pending = vec![token];
            if !self.args.ignore_eos && self.tokenizer.is_some_and(|tokenizer| tokenizer.is_stop(token)) {
                done.stop = Stop::End;
                break;
            }
            done.tokens.push(token);
            self.show(token, &mut text, &mut done, console)?;
            if done.tokens.len() == self.args.max_tokens {
                break;
            }
            if session.room() == 0 {
                done.stop = Stop::Context;
                break;
            }
            self.feed(session, std::mem::take(&mut done.pending), &cut)?;
            done.steps += 1;
        }
        done.generation = milliseconds(from);
        self.end(text, &mut done, console)?;
        Ok(done)
    }

    /// Reads tokens and keeps the scores after the last one, from which a token can be chosen.
    fn feed(&mut self, session: &mut Session, tokens: Vec<i64>, cut: &Cut) -> Result<()> {
        self.read.extend(&tokens);
        session.feed(&common::tokens(tokens), cut, Wanted::Last, |outputs| {
            self.scores.clear();
            self.scores.extend(outputs.floats(self.logits));
            Ok(())
        })?;
        if !finite::undecided(&self.scores) {
            return Ok(());
        }
        let read = common::tokens(std::mem::take(&mut self.read));
        let fault = finite::trace(session.model(), self.args.reading.load_state.as_deref(), [read]);
        Err(Error::input(finite::no_token(session.position(), fault)))
    }

    /// Adds what a token says to the text, and prints it at once where text is wanted.
    fn show(
        &self,
        token: i64,
        text: &mut Option<TextStream>,
        done: &mut Generated,
        console: &mut Console,
    ) -> Result<()> {
        let piece = match text {
            Some(stream) => stream.push(token)?,
            None if done.tokens.len() > 1 => format!(" {token}"),
            None => token.to_string(),
        };
        self.add(&piece, done, console)
    }

    fn add(&self, piece: &str, done: &mut Generated, console: &mut Console) -> Result<()> {
        if let Some(text) = &mut done.text {
            text.push_str(piece);
        }
        if self.args.json || piece.is_empty() {
            return Ok(());
        }
        print(console.result, piece)
    }

    /// What is left of a character that was not completed, and the end of the line.
    fn end(&self, text: Option<TextStream>, done: &mut Generated, console: &mut Console) -> Result<()> {
        if let Some(stream) = text {
            let rest = stream.finish();
            self.add(&rest, done, console)?;
        }
        if self.args.json {
            Ok(())
        } else {
            print(console.result, "\n")
        }
    }
}
