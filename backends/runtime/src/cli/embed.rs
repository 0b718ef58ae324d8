//! `embed`: one vector for each text, of the vectors of its tokens.

use std::path::Path;

use seqc_abi::{Descriptor, Elem, Stream};
use seqc_checkpoint::output;

use super::{
    args::Embed,
    bar::Bar,
    common,
    console::Console,
    output::{Contents, Place, Tensors},
    setup,
};
use crate::{
    Error, Result,
    code::Code,
    inputs::check_tokens,
    pooling::{Pooling, add, unit},
    session::{Cut, Session, Wanted},
    streams::{self, is_vector, width},
};

pub(crate) fn embed(code: Code, args: &Embed, console: &mut Console) -> Result<()> {
    let descriptor = code.describe()?;
    streams::check_reads_tokens(&descriptor)?;
    streams::check_no_source(&descriptor, "embed")?;
    let Some(vectors) = descriptor.outputs.iter().position(is_vector) else {
        return Err(Error::input(format!(
            "{} has no vectors of its tokens, but {}: build the model without its head, and where its last layer gives vectors, with `output: hidden`",
            descriptor.model,
            streams::list(&descriptor.outputs)
        )));
    };
    let texts = texts(&descriptor, args, console)?;
    let model = common::load(code, &args.loading, console)?;
    let inputs = common::inputs(&model, args.file.clone());
    output::check(&args.output, &inputs)?;
    let mut bar = Bar::new(texts.iter().map(Vec::len).sum(), console);
    let mut bytes = Vec::new();
    let mut session = Session::new(&model)?;
    for tokens in &texts {
        session.reset()?;
        let mut vector = pooled(&mut session, tokens, vectors, args.pooling)?;
        bar.add(tokens.len());
        if !args.raw {
            vector = unit(vector);
        }
        bytes.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
    }
    bar.end();
    let stream = Stream {
        name: "embeddings".to_owned(),
        shape: vec![width(&descriptor.outputs[vectors])],
        elem: Elem::F32,
        vocab: None,
    };
    let place = Place {
        path: &args.output,
        format: None,
        inputs: &inputs,
    };
    let contents = Contents {
        streams: Vec::new(),
        reports: vec![stream],
        rows: texts.len(),
    };
    let mut tensors = Tensors::create(&place, contents, console.result)?;
    tensors.report(vec![bytes]);
    tensors.finish()?;
    Ok(())
}

/// The tokens of the texts, in the order of the options: those of `--prompt`, of `--tokens`, and of the lines of the file.
fn texts(descriptor: &Descriptor, args: &Embed, console: &mut Console) -> Result<Vec<Vec<i64>>> {
    common::check_standard_input(args.prompt.iter().map(Path::new), "--prompt")?;
    common::check_standard_input(args.tokens.iter().map(Path::new), "--tokens")?;
    let lines = args.file.as_deref().map(common::text).transpose()?.unwrap_or_default();
    let lines: Vec<&str> = lines.lines().collect();
    if let Some(empty) = lines.iter().position(|line| line.trim().is_empty()) {
        return Err(Error::input(format!(
            "line {} of --file is empty: a text without tokens has no vector",
            empty + 1
        )));
    }
    let needed = !args.prompt.is_empty() || !lines.is_empty();
    let open = || {
        setup::needed_tokenizer(
            descriptor,
            args.tokenizer.as_deref(),
            args.loading.weights.as_deref(),
            console,
        )
    };
    let tokenizer = needed.then(open).transpose()?;
    let encode = |text: &str| {
        tokenizer
            .as_ref()
            .map_or(Ok(Vec::new()), |tokenizer| tokenizer.encode(text, true))
    };
    let mut all = Vec::new();
    for text in &args.prompt {
        all.push(encode(&common::text_of(text)?)?);
    }
    for words in &args.tokens {
        all.push(common::ids(words, "--tokens")?);
    }
    for line in lines {
        all.push(encode(line)?);
    }
    for tokens in &all {
        if tokens.is_empty() {
            return Err(Error::input("a text without tokens has no vector"));
        }
        check_tokens(descriptor, tokens)?;
    }
    Ok(all)
}

/// The vector of a text.
fn pooled(session: &mut Session, tokens: &[i64], output: usize, pooling: Pooling) -> Result<Vec<f32>> {
    let (mut sum, mut done) = (Vec::new(), 0);
    session.feed(
        &common::tokens(tokens.to_vec()),
        &Cut::default(),
        Wanted::All,
        |outputs| {
            for row in 0..outputs.rows() {
                let counts = match pooling {
                    Pooling::Mean => true,
                    Pooling::First => done == 0,
                    Pooling::Last => done + 1 == tokens.len(),
                };
                if counts {
                    add(&mut sum, outputs.row(output, row));
                }
                done += 1;
            }
            Ok(())
        },
    )?;
    if pooling == Pooling::Mean {
        sum.iter_mut().for_each(|value| *value /= tokens.len() as f32);
    }
    Ok(sum)
}
