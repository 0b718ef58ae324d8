//! `perplexity`: how likely the model finds a text, in windows of its tokens, and where in these.

mod windows;

use std::{fmt::Write as _, path::Path};

use seqc_abi::Descriptor;
use serde_json::{Value, json};

use super::{
    args::{Perplexity, Scores},
    bar::Bar,
    common::{self, is_standard},
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
};
use windows::{Window, Windows};

pub(crate) fn perplexity(code: Code, args: &Perplexity, console: &mut Console) -> Result<()> {
    let descriptor = code.describe()?;
    let logits = streams::logits(&descriptor)?;
    let tokens = tokens(&descriptor, args, console)?;
    check_tokens(&descriptor, &tokens)?;
    let windows = Windows::new(&descriptor, args, tokens.len())?;
    let model = common::load(code, &args.loading, console)?;
    common::warn_of_length(&descriptor, 0, windows.context as u64, console);
    let mut reader = Reader {
        session: Session::new(&model)?,
        bar: Bar::new(
            windows.all().iter().map(|window| window.end - window.start).sum(),
            console,
        ),
        logits,
        scores: vec![Score::default(); args.by_position.unwrap_or(1)],
    };
    for window in windows.all() {
        reader.read(&tokens, &window, &windows, args)?;
    }
    reader.bar.end();
    let report = Report {
        model: &model,
        windows: &windows,
        parts: &reader.scores,
        by_position: args.by_position.is_some(),
    };
    let text = match args.format {
        Scores::Text => report.text(),
        Scores::Json => format!("{}\n", report.json()),
    };
    print(console.result, &text)
}

/// The tokens to score.
fn tokens(descriptor: &Descriptor, args: &Perplexity, console: &mut Console) -> Result<Vec<i64>> {
    if let Some(words) = &args.tokens {
        return common::ids(words, "--tokens");
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
        (Some(text), _) if !is_standard(Path::new(text)) => text.clone(),
        (None, Some(path)) => common::text(path)?,
        (Some(_), _) | (None, None) => common::standard_input_text()?,
    };
    tokenizer.encode(&text, true)
}

/// Scores of some tokens.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    tokens: usize,
    /// Sum of the negative log likelihoods.
    nll: f64,
}

impl Score {
    fn add(&mut self, other: Score) {
        self.tokens += other.tokens;
        self.nll += other.nll;
    }

    fn mean(self) -> f64 {
        self.nll / self.tokens as f64
    }

    fn json(self) -> Value {
        json!({"scored": self.tokens, "nll": self.mean(), "perplexity": self.mean().exp()})
    }
}

/// Reads windows, one after another.
struct Reader<'m> {
    session: Session<'m>,
    bar: Bar,
    /// Place of the logits among the outputs.
    logits: usize,
    /// For each part of a window.
    scores: Vec<Score>,
}

impl Reader<'_> {
    fn read(&mut self, tokens: &[i64], window: &Window, windows: &Windows, args: &Perplexity) -> Result<()> {
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
        let split = window.start + unscored - unscored % together;
        let before = &tokens[window.start..split];
        let read = &tokens[split..window.end - 1];
        if !before.is_empty() {
            let bar = &mut self.bar;
            session.feed(&common::tokens(before.to_vec()), &cut, Wanted::Last, |outputs| {
                bar.add(outputs.tokens());
                Ok(())
            })?;
        }
        let (mut next, mut odd) = (split + 1, false);
        let (bar, scores, logits) = (&mut self.bar, &mut self.scores, self.logits);
        session.feed(&common::tokens(read.to_vec()), &cut, Wanted::All, |outputs| {
            bar.add(outputs.tokens());
            for row in 0..outputs.rows() {
                if next >= window.first {
                    let row: Vec<f32> = outputs.row(logits, row).collect();
                    odd |= finite::undecided(&row);
                    let part = (next - window.start) * scores.len() / windows.context;
                    let found = LogProb::of(&row, tokens[next] as usize);
                    scores[part].add(Score {
                        tokens: 1,
                        nll: -f64::from(found.logprob),
                    });
                }
                next += 1;
            }
            Ok(())
        })?;
        if odd {
            let inputs = common::tokens(tokens[window.start..window.end - 1].to_vec());
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
            "{} tokens, of which {} are scored, in windows of {} that begin {} apart\nnegative log likelihood {:.5}, perplexity {:.4}\n",
            windows.tokens,
            total.tokens,
            windows.context,
            windows.stride,
            total.mean(),
            total.mean().exp()
        );
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
