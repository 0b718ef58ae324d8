//! What `generate` reads before it chooses tokens: a text, token ids, or a message in a conversation.

use seqc_abi::Descriptor;

use super::{
    args::Generate,
    common::{self, is_standard},
    console::Console,
    template,
};
use crate::{
    Error, Result,
    chat::{self, Given, Message},
    history::Conversation,
    session::Session,
    tokenizer::{TextStream, Tokenizer},
};

/// What the words ask for.
#[derive(Debug)]
enum Request {
    Text(Vec<u8>),
    Message(Words),
    Ids(Vec<i64>),
}

/// A message as the command line gives it.
#[derive(Debug)]
struct Words {
    text: String,
    /// What the system is told before a conversation.
    system: Option<String>,
}

/// What is to be read, and what it belongs to.
#[derive(Debug, Default)]
pub(crate) struct Prompt {
    /// Tokens of what the words say.
    pub(crate) tokens: Vec<i64>,
    /// The conversation that waits for an answer.
    pub(crate) conversation: Option<Conversation>,
    /// Bytes at the end of a text that are no whole character.
    pub(crate) rest: Vec<u8>,
}

impl Prompt {
    /// The text of the tokens to come, which begins behind what was read and the prompt.
    pub(crate) fn text<'a>(&self, tokenizer: &'a Tokenizer, session: &Session) -> TextStream<'a> {
        let before = [session.tokens().unwrap_or_default(), &self.tokens].concat();
        tokenizer.stream(&before)
    }
}

/// Reads the prompt of the command line: of a fresh sequence, or of one that goes on.
pub(crate) struct Asked<'a> {
    request: Request,
    /// Whether bytes at the end of a text that are no whole character are kept with the state.
    keeps_rest: bool,
    tokenizer: Option<&'a Tokenizer>,
    model: &'a str,
    /// Ids that a fresh sequence begins with, behind an encoder.
    start: &'a [i64],
    /// What the chat template is given beside the messages.
    given: Given,
}

impl<'a> Asked<'a> {
    /// What can be said before the model is loaded.
    pub(crate) fn new(
        args: &'a Generate,
        tokenizer: Option<&'a Tokenizer>,
        descriptor: &'a Descriptor,
        console: &mut Console,
    ) -> Result<Asked<'a>> {
        let words = [
            ("--prompt -", &args.prompt),
            ("--chat -", &args.chat),
            ("--prompt-tokens -", &args.prompt_tokens),
        ];
        let given = template::given(&args.template, reader(&words))?;
        let start = descriptor.memory.as_ref().map_or(&[][..], |memory| &memory.start);
        let request = request(args, start)?;
        template::warn_without_chat(args.chat.as_deref(), args.system.as_deref(), &args.template, console);
        let asked = Asked {
            request,
            keeps_rest: args.answers.max_tokens == 0 && args.reading.save_state.is_some(),
            tokenizer,
            model: &descriptor.model,
            start,
            given,
        };
        if !matches!(asked.request, Request::Ids(_)) {
            asked.tokenizer()?;
        }
        Ok(asked)
    }

    /// A message in a conversation, which `system` may begin.
    #[cfg(feature = "program")]
    pub(crate) fn message(
        text: String,
        system: Option<&str>,
        given: &Given,
        tokenizer: &'a Tokenizer,
        model: &'a str,
    ) -> Asked<'a> {
        let system = system.map(str::to_owned);
        Asked {
            request: Request::Message(Words { text, system }),
            keeps_rest: false,
            tokenizer: Some(tokenizer),
            model,
            start: &[],
            given: given.clone(),
        }
    }

    fn tokenizer(&self) -> Result<&'a Tokenizer> {
        self.tokenizer.ok_or_else(|| {
            Error::input(format!(
                "the program of {} has no tokenizer: give the prompt as --prompt-tokens 1,2,3, or name one with --tokenizer PATH",
                self.model
            ))
        })
    }

    /// What is to be read next in this session.
    pub(crate) fn prompt(self, session: &mut Session, console: &mut Console) -> Result<Prompt> {
        match &self.request {
            Request::Ids(ids) => Ok(Prompt {
                tokens: ids.clone(),
                ..Prompt::default()
            }),
            Request::Text(bytes) => self.text([&session.take_bytes()[..], bytes].concat(), session),
            Request::Message(words) => {
                let conversation = session.history().conversation.clone();
                match conversation {
                    Some(conversation) => self.next_message(conversation, words, session, console),
                    None => self.first_message(words, session, console),
                }
            }
        }
    }

    fn text(&self, bytes: Vec<u8>, session: &mut Session) -> Result<Prompt> {
        let starts = session.position() == 0;
        let (text, rest) = match std::str::from_utf8(&bytes) {
            Ok(text) => (text, &[][..]),
            Err(error) if error.error_len().is_none() => {
                let (text, rest) = bytes.split_at(error.valid_up_to());
                (std::str::from_utf8(text).unwrap_or_default(), rest)
            }
            Err(error) => {
                return Err(Error::input(format!(
                    "the prompt is not UTF-8: its byte {} does not belong there",
                    error.valid_up_to() + 1
                )));
            }
        };
        if !rest.is_empty() && !self.keeps_rest {
            return Err(Error::input(
                "the prompt ends inside a character; `-n 0 --save-state FILE` keeps its bytes with the state, for the text that goes on",
            ));
        }
        let mut tokens = Vec::new();
        if starts {
            tokens.extend(self.start);
        }
        // What an encoder's texts begin and end with is not what the tokens behind it begin with.
        tokens.extend(self.tokenizer()?.encode(text, starts && self.start.is_empty())?);
        Ok(Prompt {
            tokens,
            rest: rest.to_vec(),
            ..Prompt::default()
        })
    }

    /// A conversation begins.
    fn first_message(&self, words: &Words, session: &mut Session, console: &mut Console) -> Result<Prompt> {
        let tokenizer = self.tokenizer()?;
        let whole = session.position() == 0;
        if !whole {
            console.warn("the saved state holds no conversation: one begins after the text that was read");
        }
        let system = words.system.as_ref().map(|content| Message::new("system", content));
        let messages: Vec<Message> = system.into_iter().chain([Message::new("user", &words.text)]).collect();
        let rendered = chat::render(tokenizer, &messages, &self.given)?;
        let tokens = tokenizer.encode_rendered(&rendered, whole)?;
        Ok(Prompt {
            conversation: Some(Conversation {
                messages,
                rendered,
                answer_from: session.position() as usize + tokens.len(),
                whole,
            }),
            tokens,
            rest: Vec::new(),
        })
    }

    /// A conversation goes on: what the template makes of all of it, less what was read. Where the template writes the part
    /// that was read in another way, all of it is read again.
    fn next_message(
        &self,
        before: Conversation,
        words: &Words,
        session: &mut Session,
        console: &mut Console,
    ) -> Result<Prompt> {
        let tokenizer = self.tokenizer()?;
        let said = Said::of(tokenizer, &before, session)?;
        let mut messages = before.messages;
        check_system(words.system.as_deref(), &messages, console);
        messages.push(Message::new("assistant", said.text.clone()));
        messages.push(Message::new("user", &words.text));
        let rendered = chat::render(tokenizer, &messages, &self.given)?;
        let rest = rendered
            .strip_prefix(&before.rendered)
            .and_then(|rest| rest.strip_prefix(&said.text))
            .filter(|_| said.whole);
        let tokens = match rest {
            Some(rest) => tokenizer.encode_rendered(rest, false)?,
            None if before.whole => {
                console.warn("the chat template now writes what was said before in another way: the conversation is read again from its start");
                session.reset()?;
                tokenizer.encode_rendered(&rendered, true)?
            }
            None => {
                return Err(Error::input(
                    "the chat template now writes what was said before in another way, and what the saved state read before that is not known: begin anew, without --load-state",
                ));
            }
        };
        Ok(Prompt {
            conversation: Some(Conversation {
                messages,
                rendered,
                answer_from: session.position() as usize + tokens.len(),
                whole: before.whole,
            }),
            tokens,
            rest: Vec::new(),
        })
    }
}

/// What an answer says.
struct Said {
    text: String,
    /// Whether it ends with a whole character.
    whole: bool,
}

impl Said {
    /// The answer that was read in a conversation.
    fn of(tokenizer: &Tokenizer, conversation: &Conversation, session: &Session) -> Result<Said> {
        let before = tokenizer.encode_rendered(&conversation.rendered, false)?;
        let mut stream = tokenizer.stream(&before);
        let mut text = String::new();
        let read = session.tokens().unwrap_or_default();
        for id in read.get(conversation.answer_from..).unwrap_or_default() {
            text.push_str(&stream.push(*id)?);
        }
        let whole = stream.finish().is_empty();
        Ok(Said { text, whole })
    }
}

/// A system message stands at the start of a conversation, not in its middle.
fn check_system(system: Option<&str>, messages: &[Message], console: &mut Console) {
    let first = messages.first().filter(|first| first.role == "system");
    if system.is_some() && system != first.map(|first| first.content.as_str()) {
        console.warn("--system comes before the first message of a conversation; this one goes on, and it is left out");
    }
}

fn request(args: &Generate, start: &[i64]) -> Result<Request> {
    match (&args.prompt, &args.chat, &args.prompt_tokens) {
        (Some(text), _, _) if is_standard(text.as_ref()) => common::standard_input().map(Request::Text),
        (Some(text), _, _) => Ok(Request::Text(text.clone().into_bytes())),
        (None, Some(text), _) => Ok(Request::Message(Words {
            text: message(text)?,
            system: args.system.clone(),
        })),
        (None, None, Some(words)) => common::ids(words, "--prompt-tokens").map(Request::Ids),
        // The state has the outputs of its last token.
        (None, None, None) if args.reading.load_state.is_some() => Ok(Request::Ids(Vec::new())),
        (None, None, None) if !start.is_empty() => Ok(Request::Ids(start.to_vec())),
        (None, None, None) => Err(Error::Usage(
            "one of --prompt, --chat and --prompt-tokens is needed, or --load-state to go on from".to_owned(),
        )),
    }
}

/// Which of these words reads standard input.
pub(crate) fn reader<'w>(words: &[(&'w str, &Option<String>)]) -> Option<&'w str> {
    let reads = |word: &Option<String>| word.as_deref().is_some_and(|word| is_standard(word.as_ref()));
    words.iter().find(|(_, word)| reads(word)).map(|(name, _)| *name)
}

/// A message from the command line, or from standard input for `-`: the end of its last line does not belong to it.
pub(crate) fn message(word: &str) -> Result<String> {
    if !is_standard(word.as_ref()) {
        return Ok(word.to_owned());
    }
    let text = common::standard_input_text()?;
    let line = text
        .strip_suffix('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(line.unwrap_or(&text).to_owned())
}
