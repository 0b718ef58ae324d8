//! How tokens are chosen and which form an answer has, from the words of the command line.

use std::path::Path;

use seqc_checkpoint::Source;

use super::{
    args::{BiasWord, Form, SamplingWords, Seed},
    console::Console,
};
use crate::{
    Error, Result,
    entropy::any_seed,
    generation::{Constraint, Grammar, GrammarVocabulary, SamplingOptions, TokenBias},
    tokenizer::Tokenizer,
};

/// Files of grammars beyond this are refused.
const LARGEST_GRAMMAR: u64 = 16 << 20;

/// How tokens are chosen; a user whose words change nothing about it is told so.
pub(crate) fn options(
    words: &SamplingWords,
    tokenizer: Option<&Tokenizer>,
    console: &mut Console,
) -> Result<SamplingOptions> {
    let seed = match words.seed {
        Seed::Fixed(seed) => seed,
        Seed::Any => any_seed()?,
    };
    let biases = words.logit_bias.iter().map(|word| token_bias(word, tokenizer));
    let options = SamplingOptions {
        temperature: words.temperature,
        top_k: words.top_k,
        top_p: words.top_p,
        min_p: words.min_p,
        typical_p: words.typical_p,
        repetition_penalty: words.repetition_penalty,
        presence_penalty: words.presence_penalty,
        frequency_penalty: words.frequency_penalty,
        logit_bias: biases.collect::<Result<_>>()?,
        seed,
    };
    if words.temperature == 0.0 {
        for word in without_effect(words) {
            console.warn(format_args!(
                "{word} changes nothing: without --temperature above 0 the most likely token is taken"
            ));
        }
    }
    Ok(options)
}

/// Words about what is drawn, for a user who draws nothing.
fn without_effect(words: &SamplingWords) -> impl Iterator<Item = String> {
    [
        (words.top_k > 1).then(|| format!("--top-k {}", words.top_k)),
        (words.top_p < 1.0).then(|| format!("--top-p {}", words.top_p)),
        (words.min_p > 0.0).then(|| format!("--min-p {}", words.min_p)),
        (words.typical_p < 1.0).then(|| format!("--typical-p {}", words.typical_p)),
    ]
    .into_iter()
    .flatten()
}

/// The bias of a token that is given by its id, or by a text that is this token alone.
fn token_bias(word: &BiasWord, tokenizer: Option<&Tokenizer>) -> Result<TokenBias> {
    let BiasWord { token, bias } = word;
    if let Ok(token) = token.parse() {
        return Ok(TokenBias { token, bias: *bias });
    }
    let Some(tokenizer) = tokenizer else {
        return Err(Error::input(format!(
            "--logit-bias: `{token}` is not a token id, and there is no tokenizer that knows it as a text"
        )));
    };
    match tokenizer.encode(token, false)?[..] {
        [one] if one >= 0 => Ok(TokenBias {
            token: one as usize,
            bias: *bias,
        }),
        ref ids => Err(Error::input(format!(
            "--logit-bias: the text `{token}` is {} tokens, {ids:?}; only one can be given a bias",
            ids.len()
        ))),
    }
}

/// The form that the words ask for, over the first `vocab` tokens, of which `ends` end an answer.
pub(crate) fn constraint(
    form: &Form,
    tokenizer: Option<&Tokenizer>,
    vocab: usize,
    ends: &[i64],
) -> Result<Option<Constraint>> {
    let grammar = match form {
        Form { json_object: true, .. } => Grammar::json_object(),
        Form {
            json_schema: Some(path),
            ..
        } => Grammar::json_schema(path, &text_of(path)?)?,
        Form {
            grammar: Some(path), ..
        } => Grammar::lark(path, text_of(path)?),
        _ => return Ok(None),
    };
    let Some(tokenizer) = tokenizer else {
        return Err(Error::input(
            "an answer of a given form needs a tokenizer: name one with --tokenizer PATH",
        ));
    };
    GrammarVocabulary::new(tokenizer, vocab, ends)?
        .constraint(&grammar)
        .map(Some)
}

/// The text of a file.
fn text_of(path: &Path) -> Result<String> {
    let source = Source::from(path);
    source.check_plain()?;
    String::from_utf8(source.read(LARGEST_GRAMMAR)?)
        .map_err(|_| Error::input(format!("{}: not UTF-8 text", path.display())))
}
