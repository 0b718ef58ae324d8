//! `perplexity`: how likely the model finds a text, in windows of its tokens, and where in these.

mod against;
mod windows;

use std::fmt::Write as _;

use seqc_abi::Descriptor;
use serde_json::{Value, json};

use super::{
    args::{Cutting, Perplexity, Scores},
    bar::Bar,
    common,
    console::{Console, JSON_VERSION},
    generate::print,
    setup,
};
use crate::{
    Error, Result,
    code::Code,
    finite,
    generation::LogProb,
    inputs::check_tokens,
    model::Model,
    session::{Session, Wanted},
    streams,
    tokenizer::TokenBytes,
};
use against::{Against, Distance, Distances};
use windows::{Window, Windows};

pub(crate) fn perplexity(code: Code, args: &Perplexity, console: &mut Console) -> Result<()> {
    let descriptor = code.describe()?;
    let logits = streams::logits(&descriptor)?;
    streams::check_no_source(&descriptor, "perplexity")?;
    let text = Text::new(&descriptor, args, console)?;
    check_tokens(&descriptor, &text.tokens)?;
    let windows = Windows::new(&descriptor, args, text.tokens.len())?;
    let against = against(&descriptor, args, &text, &windows)?;
    let model = common::load(code, &args.loading, console)?;
    common::warn_of_length(&descriptor, 0, windows.context as u64, console);
    let mut reader = Reader {
        session: Session::new(&model)?,
        bar: Bar::new(
            windows.all().iter().map(|window| window.end - window.start).sum(),
            console,
        ),
        logits,
        against,
        distances: Vec::new(),
        scores: vec![Score::default(); args.by_position.unwrap_or(1)],
    };
    for window in windows.all() {
        reader.read(&text, &window, &windows, args)?;
    }
    reader.bar.end();
    let report = Report {
        model: &model,
        windows: &windows,
        parts: &reader.scores,
        distances: reader.against.is_some().then(|| Distances::of(&reader.distances)),
        by_position: args.by_position.is_some(),
    };
    let text = match args.format {
        Scores::Text => report.text(),
        Scores::Json => format!("{}\n", report.json()),
    };
    print(console.result, &text)
}

/// The logits of another model, which are of a text in one window.
fn against(descriptor: &Descriptor, args: &Perplexity, text: &Text, windows: &Windows) -> Result<Option<Against>> {
    let Some(path) = &args.against else { return Ok(None) };
    if windows.all().len() > 1 {
        return Err(Error::input(format!(
            "--against compares texts of one window, and this one has {} tokens for windows of {}: give a shorter text, or a longer --context",
            text.tokens.len(),
            windows.context
        )));
    }
    let stream = &descriptor.outputs[streams::logits(descriptor)?];
    let vocabulary = stream.shape.iter().product();
    Against::open(path, &stream.name, text.tokens.len(), vocabulary).map(Some)
}

/// The tokens to score.
struct Text {
    tokens: Vec<i64>,
    /// What each of them says, in bytes, where that is known.
    bytes: Option<Vec<usize>>,
    /// The token that begins a text, where the tokenizer puts one there.
    begin: Option<i64>,
}

impl Text {
    fn new(descriptor: &Descriptor, args: &Perplexity, console: &mut Console) -> Result<Text> {
        if let Some(words) = &args.tokens {
            return Ok(Text {
                tokens: common::ids(words, "--tokens")?,
                bytes: None,
                begin: None,
            });
        }
        let weights = args.loading.weights.as_deref();
        let tokenizer = setup::open_tokenizer(descriptor, args.tokenizer.as_deref(), weights, false, console)?;
        let tokenizer = tokenizer.ok_or_else(|| {
            Error::input(format!(
                "the program of {} has no tokenizer: give the text as --tokens 1,2,3, or name one with --tokenizer PATH",
                descriptor.model
            ))
        })?;
        let text = match (&args.text, args.path.as_deref().or(args.file.as_deref())) {
            (Some(text), _) => common::text_of(text)?,
            (None, Some(path)) => common::text(path)?,
            (None, None) => common::standard_input_text()?,
        };
        let tokens = tokenizer.encode(&text, true)?;
        let said = tokenizer.token_bytes(&tokens)?;
        let length = |said: &TokenBytes| if said.special { 0 } else { said.bytes.len() };
        Ok(Text {
            bytes: Some(said.iter().map(length).collect()),
            begin: tokenizer.encode("", true)?.first().copied(),
            tokens,
        })
    }
}

/// Scores of some tokens.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    tokens: usize,
    /// Sum of the negative log likelihoods.
    nll: f64,
    /// Bytes that the tokens say; none where that is not known.
    bytes: usize,
}

impl Score {
    fn add(&mut self, other: Score) {
        self.tokens += other.tokens;
        self.nll += other.nll;
        self.bytes += other.bytes;
    }

    fn mean(self) -> f64 {
        self.nll / self.tokens as f64
    }

    /// Independent of how the text is cut into tokens.
    fn bits_per_byte(self) -> Option<f64> {
        (self.bytes > 0).then(|| self.nll / std::f64::consts::LN_2 / self.bytes as f64)
    }

    fn json(self) -> Value {
        json!({
            "scored": self.tokens,
            "nll": self.mean(),
            "perplexity": self.mean().exp(),
            "bits_per_byte": self.bits_per_byte(),
        })
    }
}

/// Reads windows, one after another.
struct Reader<'m> {
    session: Session<'m>,
    bar: Bar,
    /// Place of the logits among the outputs.
    logits: usize,
    against: Option<Against>,
    /// Of each token that is scored, where there is another model.
    distances: Vec<Distance>,
    /// For each part of a window.
    scores: Vec<Score>,
}

impl Reader<'_> {
    fn read(&mut self, text: &Text, window: &Window, windows: &Windows, args: &Perplexity) -> Result<()> {
        let mut tokens = text.tokens[window.start..window.end].to_vec();
        if let (Cutting::Llama, Some(begin)) = (windows.cutting, text.begin) {
            tokens[0] = begin;
        }
        let session = &mut self.session;
        session.reset()?;
        if let Some(prompt) = args.prompt_length {
            session.end_prompt(prompt as u64);
        }
        let cut = common::cut(&args.chunk);
        // The token before each one that is scored has the logits; the last token says nothing about this window. Tokens that choose
        // together are read together.
        let unscored = window.first - 1 - window.start;
        let together = session.model().descriptor().together.max(1);
        let split = unscored - unscored % together;
        let before = &tokens[..split];
        let read = &tokens[split..tokens.len() - 1];
        if !before.is_empty() {
            let bar = &mut self.bar;
            session.feed(&common::tokens(before.to_vec()), &cut, Wanted::Last, |outputs| {
                bar.add(outputs.tokens());
                Ok(())
            })?;
        }
        let (mut next, mut odd) = (split + 1, false);
        let (bar, scores, logits) = (&mut self.bar, &mut self.scores, self.logits);
        let (against, distances) = (&self.against, &mut self.distances);
        session.feed(&common::tokens(read.to_vec()), &cut, Wanted::All, |outputs| {
            bar.add(outputs.tokens());
            for row in 0..outputs.rows() {
                if next > unscored {
                    let row: Vec<f32> = outputs.row(logits, row).collect();
                    odd |= finite::undecided(&row);
                    if let Some(against) = against {
                        distances.push(against.distance(window.start + next - 1, &row)?);
                    }
                    let part = next * scores.len() / windows.context;
                    let found = LogProb::of(&row, tokens[next] as usize);
                    let bytes = text.bytes.as_ref().map(|bytes| bytes[window.start + next]);
                    scores[part].add(Score {
                        tokens: 1,
                        nll: -f64::from(found.logprob),
                        bytes: bytes.unwrap_or(0),
                    });
                }
                next += 1;
            }
            Ok(())
        })?;
        if odd {
            let inputs = common::tokens(tokens[..tokens.len() - 1].to_vec());
            let fault = finite::trace(Session::new(session.model()), session.prompts(), [&inputs]);
            return Err(Error::input(finite::no_token(session.position(), fault)));
        }
        Ok(())
    }
}

/// What was found.
struct Report<'a> {
    model: &'a Model,
    windows: &'a Windows,
    parts: &'a [Score],
    by_position: bool,
    /// How far another model is.
    distances: Option<Distances>,
}

impl Report<'_> {
    fn total(&self) -> Score {
        let mut total = Score::default();
        self.parts.iter().for_each(|part| total.add(*part));
        total
    }

    /// The positions of each part of a window of which tokens are scored, from the first to before the last.
    fn positions(&self) -> impl Iterator<Item = (usize, usize, Score)> {
        let (context, count) = (self.windows.context, self.parts.len());
        let parts = self.parts.iter().enumerate().filter(|(_, part)| part.tokens > 0);
        let border = move |n: usize| (n * context).div_ceil(count);
        parts.map(move |(n, part)| (border(n), border(n + 1), *part))
    }

    fn text(&self) -> String {
        let (total, windows) = (self.total(), self.windows);
        let mut text = format!(
            "{} tokens, of which {} are scored, in windows of {} that begin {} apart\nnegative log likelihood {:.5}, perplexity {:.4}{}\n",
            windows.tokens,
            total.tokens,
            windows.context,
            windows.stride,
            total.mean(),
            total.mean().exp(),
            total
                .bits_per_byte()
                .map_or(String::new(), |bits| format!(", bits per byte {bits:.5}"))
        );
        if let Some(distances) = &self.distances {
            text.push_str(&distances.text());
        }
        if self.by_position {
            text.push_str("\n| positions | tokens | nll | perplexity |\n| --- | ---: | ---: | ---: |\n");
            for (from, to, part) in self.positions() {
                let (tokens, mean) = (part.tokens, part.mean());
                // Writing to a string does not fail.
                let _ = writeln!(
                    text,
                    "| {from} to {} | {tokens} | {mean:.5} | {:.4} |",
                    to - 1,
                    mean.exp()
                );
            }
        }
        text
    }

    fn json(&self) -> Value {
        let windows = self.windows;
        let mut found = self.total().json();
        let about = json!({
            "version": JSON_VERSION,
            "model": self.model.descriptor().model,
            "hash": self.model.descriptor().hash,
            "threads": self.model.threads(),
            "tokens": windows.tokens,
            "windows": windows.all().len(),
            "context": windows.context,
            "stride": windows.stride,
            "prompt_length": windows.prompt,
        });
        let mut add = |fields: Value| {
            if let (Value::Object(found), Value::Object(fields)) = (&mut found, fields) {
                found.extend(fields);
            }
        };
        add(about);
        if let Some(distances) = &self.distances {
            add(json!({"against": distances.json()}));
        }
        if self.by_position {
            let part = |(from, to, part): (usize, usize, Score)| {
                let mut object = part.json();
                object["from"] = from.into();
                object["to"] = (to - 1).into();
                object
            };
            add(json!({"positions": self.positions().map(part).collect::<Vec<_>>()}));
        }
        found
    }
}
