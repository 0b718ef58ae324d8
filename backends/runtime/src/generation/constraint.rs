//! Answers that follow a JSON schema or a grammar: which tokens may come next, by the crate `llguidance`.
//!
//! Grammars are about bytes, so that every tokenizer will do and tokens may end anywhere in a word or a character. How an
//! answer is cut into tokens is left to the model: no token is forced but by being the only one.

mod multiples;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use llguidance::{
    JsonCompileOptions, ParserFactory, TokenParser,
    api::{StopReason, TopLevelGrammar},
    toktrie::{ApproximateTokEnv, INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie},
};
use serde_json::{Value, json};

use crate::{Error, Result, limits::reading, tokenizer::Tokenizer};

/// Memory that a grammar may take, for itself or for the tokens that may come next.
const MEMORY: usize = 1 << 30;
/// Longer tokens are never chosen: more than any vocabulary needs, and as much as the tree of all tokens admits.
const LONGEST_TOKEN: usize = 1000;
/// What may stand between the parts of a JSON text, unless the schema says it: models that like white space come to an end.
const JSON_SPACE: &str = r" |\n{1,2}[ \t]{0,20}";

/// What an answer must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Grammar {
    /// Where it was read, for messages.
    name: PathBuf,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Json(Value),
    Lark(String),
}

impl Grammar {
    /// Any JSON object.
    pub fn json_object() -> Grammar {
        Grammar {
            name: "a JSON object".into(),
            kind: Kind::Json(json!({"type": "object"})),
        }
    }

    /// JSON that a schema admits, which was read from `name`.
    ///
    /// # Errors
    ///
    /// A text that is not JSON.
    pub fn json_schema(name: &Path, text: &str) -> Result<Grammar> {
        let schema = serde_json::from_str(text)
            .map_err(|error| Error::input(format!("{}: not JSON: {error}", name.display())))?;
        Ok(Grammar {
            name: name.to_owned(),
            kind: Kind::Json(schema),
        })
    }

    /// A grammar in the syntax of Lark, as `llguidance` reads it, from `name`.
    pub fn lark(name: &Path, text: String) -> Grammar {
        Grammar {
            name: name.to_owned(),
            kind: Kind::Lark(text),
        }
    }

    /// Whether it asks for more work than the limits of its reader know of.
    fn is_too_much(&self) -> bool {
        match &self.kind {
            Kind::Json(schema) => multiples::too_many(&schema.to_string()),
            Kind::Lark(text) => multiples::too_many(text),
        }
    }

    fn top_level(&self) -> TopLevelGrammar {
        match &self.kind {
            Kind::Lark(text) => TopLevelGrammar::from_lark(text.clone()),
            Kind::Json(schema) => {
                let mut schema = schema.clone();
                if schema.is_object() && schema.get("x-guidance").is_none() {
                    let spaced = JsonCompileOptions {
                        whitespace_pattern: Some(JSON_SPACE.to_owned()),
                        ..JsonCompileOptions::default()
                    };
                    spaced.apply_to(&mut schema);
                }
                TopLevelGrammar::from_json_schema(schema)
            }
        }
    }
}

/// A vocabulary as grammars see it: made once, used for every answer.
pub struct GrammarVocabulary(ParserFactory);

impl fmt::Debug for GrammarVocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.0.tok_env().tok_trie().vocab_size();
        f.debug_struct("GrammarVocabulary")
            .field("tokens", &tokens)
            .finish_non_exhaustive()
    }
}

impl GrammarVocabulary {
    /// The first `vocab` tokens, of which `ends` end an answer.
    ///
    /// # Errors
    ///
    /// A tokenizer whose vocabulary cannot be used.
    pub fn new(tokenizer: &Tokenizer, vocab: usize, ends: &[i64]) -> Result<GrammarVocabulary> {
        let ids: Vec<i64> = (0..vocab as i64).collect();
        let words: Vec<Vec<u8>> = tokenizer
            .token_bytes(&ids)?
            .into_iter()
            .map(|token| match token.bytes.len() {
                LONGEST_TOKEN.. => Vec::new(),
                _ if token.special => [&[TokTrie::SPECIAL_TOKEN_MARKER], &token.bytes[..]].concat(),
                _ => token.bytes,
            })
            .collect();
        let mut ends: Vec<u32> = ends.iter().filter_map(|id| u32::try_from(*id).ok()).collect();
        ends.retain(|id| (*id as usize) < vocab);
        let made = reading(Path::new("the tokenizer"), MEMORY, || {
            let mut trie = TokTrie::from(&TokRxInfo::new(vocab as u32, INVALID_TOKEN), &words);
            if !ends.is_empty() {
                trie = trie.with_eos_tokens(&ends);
            }
            let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
            let slices = llguidance::earley::SlicedBiasComputer::json_slices();
            ParserFactory::new(&environment, InferenceCapabilities::default(), &slices)
        })?;
        let mut factory = made.map_err(|error| Error::input(format!("the vocabulary cannot be used: {error}")))?;
        factory.quiet().limits_mut().verbose_errors = false;
        Ok(GrammarVocabulary(factory))
    }

    /// An answer that follows this grammar, from its start.
    ///
    /// # Errors
    ///
    /// A grammar that is wrong, or too large.
    pub fn constraint(&self, grammar: &Grammar) -> Result<Constraint> {
        if grammar.is_too_much() {
            return Err(told(
                &grammar.name,
                &"the numbers of `multipleOf` are too large together",
            ));
        }
        let made = reading(&grammar.name, MEMORY, || {
            self.0.create_parser(grammar.top_level()).map(|mut parser| {
                parser.start_without_prompt();
                parser
            })
        })?;
        let parser = made.map_err(|error| told(&grammar.name, &error))?;
        Ok(Constraint {
            name: grammar.name.clone(),
            parser,
        })
    }
}

/// Which tokens may come next in an answer that follows a grammar.
#[derive(Clone)]
pub struct Constraint {
    name: PathBuf,
    parser: TokenParser,
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Constraint {
    /// Rules out, by minus infinity, what must not come next.
    ///
    /// # Errors
    ///
    /// A grammar that no token can continue, or that exceeds the limits of the parser.
    pub fn mask(&mut self, logits: &mut [f32]) -> Result<()> {
        let mask = reading(&self.name, MEMORY, || self.parser.compute_mask())?;
        let mask = mask.map_err(|error| match self.parser.stop_reason() {
            StopReason::NoExtensionBias => told(&self.name, &"no token of the vocabulary continues the answer"),
            _ => told(&self.name, &error),
        })?;
        for (token, logit) in logits.iter_mut().enumerate() {
            if token >= mask.len() || !mask.get(token) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Takes the token that came next. Whether the answer is complete, so that nothing can follow.
    ///
    /// # Errors
    ///
    /// A token that the grammar does not admit.
    pub fn accept(&mut self, token: i64) -> Result<bool> {
        let id = u32::try_from(token).unwrap_or(INVALID_TOKEN);
        let taken = reading(&self.name, MEMORY, || {
            self.parser.consume_token(id)?;
            self.parser.check_stop()
        })?;
        taken.map_err(|error| told(&self.name, &error))
    }

    /// Why no token is left.
    pub(super) fn nothing_left(&self) -> Error {
        Error::input(format!(
            "{}: the model and the biases rule out every token that may come next",
            self.name.display()
        ))
    }
}

/// What is wrong with a grammar.
fn told(name: &Path, error: &impl fmt::Display) -> Error {
    Error::input(format!("{}: {}", name.display(), error.to_string().trim_end()))
}

/// Lets the reader of grammars put its panic hook in place now. It does so once and is silent about what it reads, which
/// is wrong where panics end the program: a hook that is set later stands.
pub(crate) fn settle_panic_hook() {
    // Nothing is done that could fail.
    let _ = llguidance::panic_utils::catch_unwind(|| Ok(()));
}
