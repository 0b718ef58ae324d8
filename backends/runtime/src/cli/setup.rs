//! How answers come, made from the words of the command line: for one answer in a session, and for requests to an engine.

use std::{path::Path, sync::Arc};

use seqc_abi::Descriptor;

use super::{
    answering::Answering,
    args::{Answers, Drafts},
    common,
    console::{Console, printable},
    sampling,
};
use crate::{
    Error, Result,
    answer::Wish,
    generation::{Constraint, Continuation, Sampler, SamplingOptions, Wishes},
    places,
    speculation::{DraftProgram, Drafting, Speculation},
    streams::{self, width},
    tokenizer::{TextStream, Tokenizer},
};

/// Everything that answers need but the model.
pub(crate) struct Setup<'w> {
    pub(crate) words: &'w Answers,
    /// Place of the logits among the outputs.
    pub(crate) logits: usize,
    /// Without one, there are ids and no texts.
    pub(crate) tokenizer: Option<Tokenizer>,
    pub(crate) options: SamplingOptions,
    /// Tokens that end an answer.
    pub(crate) ends: Vec<i64>,
    pub(crate) constraint: Option<Constraint>,
    /// How tokens are drafted, where they are.
    pub(crate) drafting: Option<Drafting>,
    vocab: usize,
}

impl<'w> Setup<'w> {
    /// What can be made before the model is loaded; `tokenizer` is that of the words.
    pub(crate) fn new(
        descriptor: &Descriptor,
        words: &'w Answers,
        tokenizer: Option<Tokenizer>,
        console: &mut Console,
    ) -> Result<Setup<'w>> {
        let logits = streams::logits(descriptor)?;
        let vocab = width(&descriptor.outputs[logits]);
        let options = sampling::options(&words.sampling, tokenizer.as_ref(), console)?;
        Sampler::new(options.clone(), vocab)?;
        let ends = ends(descriptor, tokenizer.as_ref());
        let constraint = sampling::constraint(&words.form, tokenizer.as_ref(), vocab, &ends)?;
        let drafting = drafting(&words.drafts, vocab, console)?;
        Ok(Setup {
            words,
            logits,
            options,
            ends: if words.ignore_eos { Vec::new() } else { ends },
            constraint,
            drafting,
            vocab,
            tokenizer,
        })
    }

    /// One answer, whose text this is; the first one has number 0.
    pub(crate) fn answering<'t>(
        &self,
        number: u64,
        text: Option<TextStream<'t>>,
        logprobs: Option<usize>,
        chunk: &[usize],
    ) -> Result<Answering<'t>> {
        let sampling = SamplingOptions {
            seed: self.options.seed.wrapping_add(number),
            ..self.options.clone()
        };
        let wishes = Wishes {
            ends: self.ends.clone(),
            stops: self.words.stop.clone(),
            constraint: self.constraint.clone(),
            logprobs,
        };
        Ok(Answering {
            wish: Wish {
                continuation: Continuation::new(Sampler::new(sampling, self.vocab)?, text, wishes)?,
                max_tokens: self.words.max_tokens,
                logits: self.logits,
                speculation: self.drafting.as_ref().map(Speculation::new),
            },
            cut: common::cut(chunk),
            keeps: false,
            interrupted: || false,
        })
    }
}

/// How the words ask that tokens be drafted, for a model of so many tokens. A program that drafts is started.
pub(crate) fn drafting(words: &Drafts, vocab: usize, console: &Console) -> Result<Option<Drafting>> {
    let Some(program) = &words.draft else {
        return Ok(words.speculate.map(|most| Drafting::Lookup { most }));
    };
    let quiet = console.verbosity < 0;
    let tell = move |why: &str| {
        if !quiet {
            eprintln!("warning: {}: answers go on without drafts", printable(why));
        }
    };
    Ok(Some(Drafting::Program {
        program: Arc::new(DraftProgram::start(program, vocab, Box::new(tell))?),
        most: words.draft_tokens,
    }))
}

/// Ids that end a text or a turn, as the model and its tokenizer name them.
pub(crate) fn ends(descriptor: &Descriptor, tokenizer: Option<&Tokenizer>) -> Vec<i64> {
    let named = tokenizer.map_or(&[][..], Tokenizer::stops);
    descriptor.ends.iter().chain(named).copied().collect()
}

/// The tokenizer of the words or of the descriptor, without which there is nothing to do.
pub(crate) fn needed_tokenizer(
    descriptor: &Descriptor,
    named: Option<&Path>,
    weights: Option<&Path>,
    console: &mut Console,
) -> Result<Tokenizer> {
    let tokenizer = open_tokenizer(descriptor, named, weights, false, console)?;
    tokenizer.ok_or_else(|| {
        Error::input(format!(
            "the program of {} has no tokenizer: name one with --tokenizer PATH",
            descriptor.model
        ))
    })
}

/// The tokenizer of the words or of the descriptor. Where `ids_will_do`, one that cannot be used is left out.
pub(crate) fn open_tokenizer(
    descriptor: &Descriptor,
    named: Option<&Path>,
    weights: Option<&Path>,
    ids_will_do: bool,
    console: &mut Console,
) -> Result<Option<Tokenizer>> {
    let opened = match named {
        Some(path) => Tokenizer::open(path).map(Some),
        None => places::tokenizer(descriptor, weights)
            .and_then(|found| found.map(|found| Tokenizer::open_source(&found)).transpose()),
    };
    let tokenizer = match opened {
        Ok(None) => return Ok(None),
        Ok(Some(tokenizer)) => tokenizer,
        Err(error) if ids_will_do && named.is_none() => {
            console.warn(format_args!(
                "only token ids are shown, as the tokenizer cannot be used: {error}"
            ));
            return Ok(None);
        }
        Err(error) if named.is_none() => {
            return Err(Error::input(format!("{error}; --tokenizer PATH names another one")));
        }
        Err(error) => return Err(error),
    };
    for warning in tokenizer.warnings() {
        console.warn(warning);
    }
    Ok(Some(tokenizer))
}
