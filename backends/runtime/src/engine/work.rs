//! What is made of the outputs of an answer's tokens: the next tokens, or one vector.

use seqc_abi::Descriptor;

use super::request::Generation;
use crate::{
    Result,
    generation::{Continuation, Sampler, Wishes},
    pooling::Pooling,
    streams::{self, is_vector, width},
    tokenizer::Tokenizer,
};

/// What is made of the outputs.
#[derive(Debug)]
pub(super) enum Work<'m> {
    Generate {
        continuation: Box<Continuation<'m>>,
        max_tokens: usize,
    },
    Embed {
        pooling: Pooling,
        /// The place of the vectors among the outputs.
        output: usize,
        /// The sum of the rows that count.
        sum: Vec<f32>,
    },
    Over,
}

impl<'m> Work<'m> {
    pub(super) fn generate(
        generation: Generation,
        prompt: &[i64],
        descriptor: &Descriptor,
        tokenizer: Option<&'m Tokenizer>,
    ) -> Result<Work<'m>> {
        let logits = streams::logits(descriptor)?;
        let sampler = Sampler::new(generation.sampling, width(&descriptor.outputs[logits]))?;
        let wishes = Wishes {
            ends: generation.ends,
            stops: generation.stops,
            constraint: generation.constraint,
            logprobs: generation.logprobs,
        };
        let text = tokenizer.map(|tokenizer| tokenizer.stream(prompt));
        let mut continuation = Continuation::new(sampler, text, wishes)?;
        continuation.read(prompt);
        Ok(Work::Generate {
            continuation: Box::new(continuation),
            max_tokens: generation.max_tokens,
        })
    }

    pub(super) fn embed(pooling: Pooling, descriptor: &Descriptor) -> Work<'m> {
        let output = descriptor.outputs.iter().position(is_vector).unwrap_or_default();
        Work::Embed {
            pooling,
            output,
            sum: Vec::new(),
        }
    }
}
