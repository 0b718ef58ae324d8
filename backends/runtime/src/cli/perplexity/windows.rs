//! The windows in which a text is read, and which of their tokens are scored.

use seqc_abi::Descriptor;

use super::super::args::{Cutting, Perplexity};
use crate::{Error, Result};

/// Tokens `start..end` of a text, of which those from `first` on are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: usize,
    pub(super) first: usize,
    pub(super) end: usize,
}

/// How a text is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// Tokens of the text.
    pub(super) tokens: usize,
    /// Tokens of a window.
    pub(super) context: usize,
    /// Tokens from the start of a window to that of the next.
    pub(super) stride: usize,
    /// Tokens of a window that are a prompt.
    pub(super) prompt: Option<usize>,
    /// How they follow each other.
    pub(super) cutting: Cutting,
}

impl Windows {
    /// As the words ask for it; of a text of so many tokens.
    pub(super) fn new(descriptor: &Descriptor, args: &Perplexity, tokens: usize) -> Result<Windows> {
        let limit = descriptor.max_context.unwrap_or(usize::MAX);
        let asked = args
            .context
            .unwrap_or(descriptor.trained_length.unwrap_or(limit).min(limit));
        if asked > limit {
            return Err(Error::input(format!(
                "--context {asked}: the model {} takes sequences of at most {limit} tokens",
                descriptor.model
            )));
        }
        let (context, prompt) = (asked.min(tokens), args.prompt_length);
        if args.windows == Cutting::Llama {
            return Windows::separate(args, asked, tokens);
        }
        let left = context.saturating_sub(prompt.unwrap_or(context / 2));
        let windows = Windows {
            tokens,
            context,
            stride: args.stride.unwrap_or(left.max(1)),
            prompt,
            cutting: Cutting::Strided,
        };
        if windows.stride > asked {
            return Err(Error::input(format!(
                "--stride {}: windows of {asked} tokens would leave out the tokens between them",
                windows.stride
            )));
        }
        match (windows.all().is_empty(), prompt) {
            (false, _) => Ok(windows),
            (true, Some(prompt)) if prompt >= context => Err(Error::input(format!(
                "--prompt-length {prompt}: no token stands behind the prompt in a window of {context} tokens"
            ))),
            (true, _) => Err(Error::input(format!(
                "{tokens} tokens are too few: a token is scored by those before it"
            ))),
        }
    }

    /// Windows that do not overlap, of `context` of the `tokens` of a text.
    fn separate(args: &Perplexity, context: usize, tokens: usize) -> Result<Windows> {
        if args.stride.is_some() || args.prompt_length.is_some() {
            return Err(Error::Usage(
                "--windows llama says where windows begin and what of them is scored: leave out --stride and --prompt-length".to_owned(),
            ));
        }
        if context < 4 || tokens < context {
            return Err(Error::input(format!(
                "--windows llama: a window of {context} tokens, which are at least 4, does not fit into the {tokens} tokens of the text; \
                 --context N makes it shorter"
            )));
        }
        Ok(Windows {
            tokens,
            context,
            stride: context,
            prompt: None,
            cutting: Cutting::Llama,
        })
    }

    /// The windows of which tokens are scored. Each token is scored at most once, in the first window that has it behind its prompt.
    pub(super) fn all(&self) -> Vec<Window> {
        if self.cutting == Cutting::Llama {
            let window = |n: usize| Window {
                start: n * self.context,
                first: n * self.context + self.context / 2 + 1,
                end: (n + 1) * self.context,
            };
            return (0..self.tokens / self.context).map(window).collect();
        }
        let (mut all, mut scored) = (Vec::new(), 0);
        for start in (0..self.tokens).step_by(self.stride) {
            let end = (start + self.context).min(self.tokens);
            let first = scored.max(start + self.prompt.unwrap_or(1));
            if first < end {
                all.push(Window { start, first, end });
                scored = end;
            }
            if end == self.tokens {
                break;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(tokens: usize, context: usize, stride: usize, prompt: Option<usize>) -> Vec<[usize; 3]> {
        let windows = Windows {
            tokens,
            context,
            stride,
            prompt,
            cutting: Cutting::Strided,
        };
        windows.all().iter().map(|w| [w.start, w.first, w.end]).collect()
    }

    #[test]
    fn every_token_but_the_first_is_scored_once() {
        assert_eq!(windows(5, 8, 4, None), [[0, 1, 5]]);
        assert_eq!(
            windows(18, 8, 4, None),
            [[0, 1, 8], [4, 8, 12], [8, 12, 16], [12, 16, 18]]
        );
        assert_eq!(windows(16, 8, 8, None), [[0, 1, 8], [8, 9, 16]]);
        assert_eq!(windows(1, 8, 4, None), [[0; 3]; 0]);
    }

    #[test]
    fn windows_of_llama_are_whole_and_scored_in_their_second_half() {
        let windows = Windows {
            tokens: 21,
            context: 8,
            stride: 8,
            prompt: None,
            cutting: Cutting::Llama,
        };
        let all: Vec<_> = windows.all().iter().map(|w| [w.start, w.first, w.end]).collect();
        assert_eq!(all, [[0, 5, 8], [8, 13, 16]]);
    }

    #[test]
    fn prompts_are_not_scored() {
        assert_eq!(windows(14, 8, 3, Some(5)), [[0, 5, 8], [3, 8, 11], [6, 11, 14]]);
        assert_eq!(windows(16, 8, 8, Some(5)), [[0, 5, 8], [8, 13, 16]]);
        assert_eq!(windows(9, 8, 3, Some(8)), [[0; 3]; 0]);
    }
}
