//! `generate`: continues a prompt, token by token, as text while it comes or as one JSON object.

use std::{io::Write, time::Instant};

use seqc_abi::Descriptor;
use serde_json::{Value, json};

use super::{
    answering::{Answering, Generated, Stop},
    args::Generate,
    common::{self, milliseconds},
    console::{Console, JSON_VERSION},
    prompt::Asked,
    sampling,
};
use crate::{
    Error, Result,
    code::Code,
    generation::{Continuation, DraftTotals, LogProb, LogProbs, Sampler, Speculation, Wishes},
    model::Model,
    places,
    streams::{self, width},
    tokenizer::Tokenizer,
};

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
    let has_text = text.is_some();
    let wishes = Wishes {
        ends: if args.ignore_eos { Vec::new() } else { ends },
        stops: args.stop.clone(),
        constraint,
        logprobs: args.logprobs,
    };
    let mut answering = Answering {
        logits,
        max_tokens: args.max_tokens,
        cut: common::cut(&args.reading.chunk),
        continuation: Continuation::new(sampler, text, wishes)?,
        speculation: args.speculate.map(Speculation::new),
        interrupted: || false,
    };
    let from = Instant::now();
    answering.read(&mut session, prompt, console)?;
    let reading = milliseconds(from);
    let mut shown = Shown {
        has_text,
        streams: !args.json,
        text: String::new(),
        tokens: 0,
    };
    let mut show = |token, text: &str, console: &mut Console| shown.show(token, text, console);
    let mut generated = answering.answer(&mut session, &mut show, console)?;
    shown.end(answering.continuation, &generated, args, console)?;
    if args.reading.save_state.is_some() {
        generated.complete(&mut session, logits, console)?;
    }
    common::save(&session, &args.reading, &inputs, console)?;
    if model.busy() {
        say_busy(&model, args, console);
    }
    let timings = timings(&[loading, reading], tokens.len(), &generated);
    note(&timings, &generated, console);
    if args.json {
        let mut object = json!({
            "version": JSON_VERSION,
            "model": descriptor.model,
            "prompt_tokens": tokens,
            "tokens": generated.tokens,
            "text": has_text.then_some(shown.text),
            "stop": generated.stop.name(),
            "seed": seed,
            "threads": model.threads(),
            "timings": timings,
        });
        if args.logprobs.is_some() {
            object["logprobs"] = log_probabilities(&generated.logprobs, tokenizer.as_ref())?;
        }
        if args.speculate.is_some() {
            let DraftTotals { drafted, accepted } = generated.drafts;
            object["speculation"] = json!({"drafted": drafted, "accepted": accepted});
        }
        print(console.result, &format!("{object}\n"))?;
    }
    Ok(())
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
    let DraftTotals { drafted, accepted } = generated.drafts;
    if drafted > 0 {
        console.note(format_args!(
            "drafts: {accepted} of {drafted} tokens were accepted, {} steps",
            generated.steps
        ));
    }
}

pub(crate) fn print(to: &mut dyn Write, text: &str) -> Result<()> {
    to.write_all(text.as_bytes())
        .and_then(|()| to.flush())
        .map_err(|error| Error::write("standard output", &error))
}

/// Timings of an answer, whose loading and prompt took so many milliseconds.
fn timings([loading, reading]: &[f64; 2], prompt: usize, generated: &Generated) -> Value {
    let rate = |count: usize, took: f64| (count > 0 && took > 0.0).then(|| count as f64 / took * 1e3);
    json!({
        "load": {"milliseconds": loading},
        "prompt": {
            "tokens": prompt,
            "milliseconds": reading,
            "tokens_per_second": rate(prompt, *reading),
        },
        "generation": {
            "tokens": generated.tokens.len(),
            "steps": generated.steps,
            "milliseconds": generated.milliseconds,
            "tokens_per_second": rate(generated.chosen, generated.milliseconds),
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
    fn end(&mut self, answer: Continuation, done: &Generated, args: &Generate, console: &mut Console) -> Result<()> {
        if done.stop != Stop::Text && !done.tokens.is_empty() {
            let mut rest = answer.finish();
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
