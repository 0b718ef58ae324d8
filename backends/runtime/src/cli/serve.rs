//! `serve`: answers requests over HTTP, many at once.

use std::{
    net::{TcpListener, ToSocketAddrs},
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use seqc_abi::Descriptor;
use tokio::sync::watch;

use super::{Console, args::Serve, common, generate, setup};
use crate::{
    Error, Result,
    code::Code,
    engine::{Engine, Settings},
    limits, places, server,
    speculation::Drafting,
    streams::{self, width},
    tokenizer::Tokenizer,
};

pub(crate) fn serve(code: Code, args: &Serve, console: &mut Console) -> Result<()> {
    let api_key = api_key(args)?;
    streams::check_no_source(&code.describe()?, "serve")?;
    let tokenizer = open_tokenizer(code, args, console)?;
    // Who cannot listen need not load.
    let listener = listen(&args.host, args.port)?;
    let model = common::load(code, &args.loading, console)?;
    let descriptor = model.descriptor();
    let drafting = drafting(args, descriptor, console)?;
    let mut engine = Engine::new(&model, tokenizer.as_deref(), settings(args, descriptor, drafting))?;
    let site = server::Site {
        handle: engine.handle(),
        ends: setup::ends(descriptor, tokenizer.as_deref()),
        tokenizer: tokenizer.clone(),
        model: descriptor.model.clone(),
        api_key,
        largest_body: args.max_body.saturating_mul(1 << 20),
        max_tokens: args.max_tokens,
        pooling: args.pooling,
        started: server::now(),
        vocabulary: OnceLock::new(),
        threads: server::Threads::new(),
    };
    let failed = |what: &str, error: std::io::Error| Error::Failed(format!("{what}: {error}"));
    let address = listener.local_addr().map_err(|error| failed("the port", error))?;
    // What comes from here on comes from clients, of whom none may end the program.
    limits::lift();
    let line = format!("listening on http://{address}\n");
    generate::print(console.result, &line)?;
    let (running, watched) = watch::channel(());
    let connections = std::thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || server::serve(listener, site, watched));
    let connections = connections.map_err(|error| failed("no thread", error))?;
    engine.run();
    // What came too late has no listener any more.
    drop(engine);
    drop(running);
    let served = connections.join().unwrap_or(Ok(()));
    served.map_err(|error| failed("the server", error))
}

/// How tokens are drafted, where the model has something to choose.
fn drafting(args: &Serve, descriptor: &Descriptor, console: &Console) -> Result<Option<Drafting>> {
    match streams::logits(descriptor) {
        Ok(logits) => setup::drafting(&args.drafts, width(&descriptor.outputs[logits]), console),
        Err(error) if args.drafts.draft.is_some() => Err(error),
        Err(_) => Ok(None),
    }
}

fn settings(args: &Serve, descriptor: &Descriptor, drafting: Option<Drafting>) -> Settings {
    Settings {
        sequences: args.max_sequences,
        queue: args.queue,
        context: args.context.or(descriptor.trained_length),
        prompt_rows: args.prompt_chunk,
        cache_bytes: args.prefix_cache.saturating_mul(1 << 20),
        snapshot_tokens: args.snapshot_interval,
        drafting,
        timeout: (args.timeout > 0).then(|| Duration::from_secs(args.timeout)),
    }
}

/// The key that clients must know: a word of the command line, or the first line of a file.
fn api_key(args: &Serve) -> Result<Option<String>> {
    let key = match (&args.api_key, &args.api_key_file) {
        (Some(key), _) => key.clone(),
        (None, Some(path)) => first_line(path)?,
        (None, None) => return Ok(None),
    };
    if key.is_empty() || key.contains(|character: char| !character.is_ascii_graphic()) {
        return Err(Error::Usage(
            "the API key must consist of visible ASCII characters".to_owned(),
        ));
    }
    Ok(Some(key))
}

fn first_line(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::input(format!("{}: {error}", path.display())))?;
    Ok(text.lines().next().unwrap_or_default().trim_end().to_owned())
}

fn open_tokenizer(code: Code, args: &Serve, console: &mut Console) -> Result<Option<Arc<Tokenizer>>> {
    let tokenizer = match &args.tokenizer {
        Some(path) => Tokenizer::open(path)?,
        None => match places::tokenizer(&code.describe()?, args.loading.weights.as_deref())? {
            Some(found) => Tokenizer::open_source(&found)?,
            None => return Ok(None),
        },
    };
    for warning in tokenizer.warnings() {
        console.warn(warning);
    }
    Ok(Some(Arc::new(tokenizer)))
}

fn listen(host: &str, port: u16) -> Result<TcpListener> {
    let refused = |error: std::io::Error| Error::input(format!("{host}:{port}: {error}"));
    let addresses: Vec<_> = (host, port).to_socket_addrs().map_err(refused)?.collect();
    TcpListener::bind(&addresses[..]).map_err(refused)
}
