//! `tokenize`: the tokens of a text, or the text of tokens, without loading the model.

use seqc_abi::Descriptor;
use serde_json::json;

use super::{
    args::Tokenize,
    common,
    console::{Console, JSON_VERSION},
    generate::print,
    prompt, setup, template,
};
use crate::{
    Result,
    chat::{self, Message},
    inputs::check_tokens,
    tokenizer::Tokenizer,
};

pub(crate) fn tokenize(descriptor: &Descriptor, args: &Tokenize, console: &mut Console) -> Result<()> {
    template::warn_without_chat(args.chat.as_deref(), args.system.as_deref(), &args.template, console);
    let tokenizer = setup::needed_tokenizer(descriptor, args.tokenizer.as_deref(), None, console)?;
    let tokens = tokens(descriptor, args, &tokenizer)?;
    if args.json {
        let text = tokenizer.decode(&tokens)?;
        let pieces = tokenizer.token_bytes(&tokens)?;
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| String::from_utf8_lossy(&piece.bytes))
            .collect();
        let object = json!({"version": JSON_VERSION, "tokens": tokens, "pieces": pieces, "text": text});
        return print(console.result, &format!("{object}\n"));
    }
    let shown = match args.tokens {
        Some(_) => tokenizer.decode(&tokens)?,
        None => tokens.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
    };
    print(console.result, &format!("{shown}\n"))
}

fn tokens(descriptor: &Descriptor, args: &Tokenize, tokenizer: &Tokenizer) -> Result<Vec<i64>> {
    if let Some(words) = &args.tokens {
        let tokens = common::ids(words, "--tokens")?;
        check_tokens(descriptor, &tokens)?;
        return Ok(tokens);
    }
    let Some(message) = &args.chat else {
        return tokenizer.encode(&common::text_of(args.prompt.as_deref().unwrap_or_default())?, true);
    };
    let given = template::given(&args.template, prompt::reader(&[("--chat -", &args.chat)]))?;
    let system = args.system.iter().map(|content| Message::new("system", content));
    let messages: Vec<Message> = system
        .chain([Message::new("user", prompt::message(message)?)])
        .collect();
    let rendered = chat::render(tokenizer, &messages, &given)?;
    tokenizer.encode_rendered(&rendered, true)
}
