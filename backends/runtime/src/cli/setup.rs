//! How answers come, made from the words of the command line: for one answer in a session, and for requests to an engine.

use std::path::Path;

use seqc_abi::Descriptor;

use super::{
    answering::Answering, args::Answers, common, console::Console, draft_process::DraftProcess, drafts::Drafts,
    sampling,
};
use crate::{
    Error, Result,
    generation::{Constraint, Continuation, DraftTotals, Sampler, SamplingOptions, Speculation, Wishes},
    places,
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
        Ok(Setup {
            words,
            logits,
            options,
            ends: if words.ignore_eos { Vec::new() } else { ends },
            constraint,
            vocab,
            tokenizer,
        })
    }

    /// How tokens are drafted, where they are.
    pub(crate) fn drafts(&self) -> Result<Option<Drafts>> {
        match &self.words.draft {
            Some(program) => {
                let process = DraftProcess::start(program, self.vocab)?;
                Ok(Some(Drafts::Program {
                    process,
                    most: self.words.draft_tokens,
                    totals: DraftTotals::default(),
                }))
            }
            None => Ok(self.words.speculate.map(Speculation::new).map(Drafts::Lookup)),
        }
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
            logits: self.logits,
            max_tokens: self.words.max_tokens,
            cut: common::cut(chunk),
            continuation: Continuation::new(Sampler::new(sampling, self.vocab)?, text, wishes)?,
            drafts: None,
            interrupted: || false,
        })
    }
}

/// Ids that end a text or a turn, as the model and its tokenizer name them.
pub(crate) fn ends(descriptor: &Descriptor, tokenizer: Option<&Tokenizer>) -> Vec<i64> {
    let named = tokenizer.map_or(&[][..], Tokenizer::stops);
    descriptor.ends.iter().chain(named).copied().collect()
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
