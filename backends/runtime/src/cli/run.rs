//! `logits` and `run`: the outputs of every token, for tokens from the command line or streams from a file.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use seqc_abi::Stream;
use seqc_checkpoint::output;

use super::{
    args::{Format, Logits, PromptEnd, Reading, Run},
    bar::Bar,
    common,
    console::Console,
    input::{self, Inputs},
    output::{Contents, Place, Tensors},
    setup, source,
};
use crate::{
    Error, Result,
    code::Code,
    finite,
    inputs::Values,
    kept,
    model::Model,
    session::{Cut, Feed, Session, Wanted, feed_together},
    streams::{self, TRACE},
};

pub(crate) fn logits(code: Code, args: &Logits, console: &mut Console) -> Result<()> {
    common::check_standard_input(args.tokens.iter().map(Path::new), "--tokens")?;
    let words = args.tokens.iter().chain(&args.prompt).map(Path::new);
    for word in words {
        source::check_standard_input(&args.source, Some(word), "--tokens or --prompt")?;
    }
    let descriptor = code.describe()?;
    let sequences = match &args.prompt {
        Some(text) => {
            let weights = args.reading.loading.weights.as_deref();
            let tokenizer = setup::needed_tokenizer(&descriptor, args.tokenizer.as_deref(), weights, console)?;
            vec![tokenizer.encode(&common::text_of(text)?, args.reading.load_state.is_none())?]
        }
        None => {
            let sequences = args.tokens.iter().map(|words| common::ids(words, "--tokens"));
            sequences.collect::<Result<Vec<_>>>()?
        }
    };
    streams::check_reads_tokens(&descriptor)?;
    let (named, weights) = (args.tokenizer.as_deref(), args.reading.loading.weights.as_deref());
    let source = source::read(
        &args.source,
        &descriptor,
        |console| setup::needed_tokenizer(&descriptor, named, weights, console),
        console,
    )?;
    let model = common::load(code, &args.reading.loading, console)?;
    let target = Target {
        path: &args.output,
        format: args.format,
        trace: args.trace,
        end: args.end,
        inputs: common::inputs(&model, args.source.source_input.clone()),
        source,
    };
    let mut session = open(&model, &target, &args.reading, console)?;
    let sequences: Vec<Vec<Values>> = sequences.into_iter().map(|ids| common::tokens(ids).into()).collect();
    write_all(&mut session, &sequences, &target, &args.reading, console)
}

/// Reads one or several sequences, and writes their outputs.
fn write_all(
    session: &mut Session,
    sequences: &[Vec<Values>],
    target: &Target,
    reading: &Reading,
    console: &mut Console,
) -> Result<()> {
    match sequences {
        [only] => write(session, only, target, reading, console),
        _ => write_batch(session, sequences, target, reading, console),
    }
}

/// Reads several sequences together, each from where the session is, and writes their outputs one behind the other.
fn write_batch(
    session: &mut Session,
    inputs: &[Vec<Values>],
    target: &Target,
    reading: &Reading,
    console: &mut Console,
) -> Result<()> {
    if reading.save_state.is_some() {
        return Err(Error::Usage(
            "--save-state leaves the state of one sequence, and there are several".to_owned(),
        ));
    }
    let cut = common::cut(&reading.chunk);
    let counts = inputs.iter().map(|rows| session.check(rows, &Cut::default()));
    let counts = counts.collect::<Result<Vec<usize>>>()?;
    let (tokens, longest) = (counts.iter().sum(), counts.iter().max().copied().unwrap_or_default());
    for count in &counts {
        target.end.say(session, *count)?;
    }
    let before = session.position();
    common::warn_of_length(session.model().descriptor(), before, before + longest as u64, console);
    let rows = together(session, inputs, &cut)?;
    let outputs = session.model().descriptor().outputs.len();
    let all = |output: usize| rows.iter().flat_map(|rows| rows[output].iter().copied()).collect();
    let all: Vec<Vec<u8>> = (0..outputs).map(all).collect();
    let mut tensors = target.create(session.model(), reading, tokens, Vec::new(), console.result)?;
    tensors.take_rows(tokens, |output| &all[output])?;
    let Some(name) = tensors.finish()? else {
        return Ok(());
    };
    let streams = &session.model().descriptor().outputs;
    let odd = |rows: &Vec<Vec<u8>>| {
        streams
            .iter()
            .zip(rows)
            .any(|(stream, rows)| finite::odd_rows(stream, rows))
    };
    let faults = inputs.iter().zip(&rows).enumerate().filter(|(_, (_, rows))| odd(rows));
    let fault = faults.take(1).find_map(|(n, (inputs, _))| {
        let begun = common::begin(session.model(), reading, target.source.as_deref());
        let fault = finite::trace(begun, session.prompts(), [inputs])?;
        Some(format!(": in sequence {}, {fault}", n + 1))
    });
    console.warn(format_args!(
        "`{name}` holds numbers that are not finite{}",
        fault.unwrap_or_default()
    ));
    Ok(())
}

/// Rows of every output for each sequence, which goes on from where the session is. Sequence `n` begins with the `n`-th chunk of the
/// cut.
fn together(session: &Session, inputs: &[Vec<Values>], cut: &Cut) -> Result<Vec<Vec<Vec<u8>>>> {
    let forks = inputs.iter().map(|_| session.fork());
    let mut forks = forks.collect::<Result<Vec<Session>>>()?;
    let cuts: Vec<Cut> = (0..inputs.len()).map(|n| cut.from(n)).collect();
    let mut feeds = Vec::new();
    for ((session, inputs), cut) in forks.iter_mut().zip(inputs).zip(&cuts) {
        feeds.push(Feed {
            session,
            inputs,
            cut,
            wanted: Wanted::All,
        });
    }
    let outputs = session.model().descriptor().outputs.len();
    let mut rows = vec![vec![Vec::new(); outputs]; inputs.len()];
    feed_together(&mut feeds, |n, outputs| {
        for (place, rows) in rows[n].iter_mut().enumerate() {
            rows.extend_from_slice(outputs.bytes(place));
        }
        Ok(())
    })?;
    Ok(rows)
}

pub(crate) fn run(code: Code, args: &Run, console: &mut Console) -> Result<()> {
    let descriptor = code.describe()?;
    common::check_standard_input(args.input.iter().map(PathBuf::as_path), "--input")?;
    for file in &args.input {
        source::check_standard_input(&args.source, Some(file), "--input")?;
    }
    let weights = args.reading.loading.weights.as_deref();
    let mut source = source::read(
        &args.source,
        &descriptor,
        |console| setup::needed_tokenizer(&descriptor, None, weights, console),
        console,
    )?;
    // What the encoder reads may stand in the one file of inputs.
    let beside = source.is_none() && args.input.len() == 1 && args.reading.load_state.is_none();
    let inputs = args
        .input
        .iter()
        .map(|file| input::read(&descriptor, file, beside, console));
    let inputs = inputs.collect::<Result<Vec<Inputs>>>()?;
    let mut sequences = Vec::new();
    for Inputs { tokens, memory } in inputs {
        sequences.push(tokens);
        source = source.or(memory);
    }
    let model = common::load(code, &args.reading.loading, console)?;
    let target = Target {
        path: &args.output,
        format: args.format,
        trace: args.trace,
        end: args.end,
        inputs: common::inputs(&model, args.input.iter().chain(&args.source.source_input).cloned()),
        source,
    };
    let mut session = open(&model, &target, &args.reading, console)?;
    write_all(&mut session, &sequences, &target, &args.reading, console)
}

/// Where the prompt ends, and where outputs go.
struct Target<'a> {
    path: &'a Path,
    format: Option<Format>,
    trace: bool,
    end: PromptEnd,
    /// Files that the run reads, but for the state that it begins with.
    inputs: Vec<PathBuf>,
    /// What the encoder reads.
    source: Option<Vec<Values>>,
}

impl PromptEnd {
    /// Tells the session, which will read so many tokens.
    fn say(self, session: &mut Session, tokens: usize) -> Result<()> {
        let Some(length) = self.prompt_length.map(|length| length as u64) else {
            return Ok(());
        };
        let before = session.position();
        let after = before + tokens as u64;
        if length > after {
            return Err(Error::input(format!(
                "--prompt-length {length}: the sequence has {after} tokens and cannot begin with a longer prompt"
            )));
        }
        if length < before {
            return Err(Error::input(format!(
                "--prompt-length {length}: the loaded state has read {before} tokens, so that its prompt cannot end earlier any more"
            )));
        }
        let ends_unseen = length == before && session.prompt_end() != Some(before);
        if before > 0 && ends_unseen && session.model().descriptor().prompt_matters {
            return Err(Error::input(format!(
                "--prompt-length {length}: the loaded state has read {before} tokens of a prompt that goes on, and what happens at its end had to happen \
                 then: save the state with --prompt-length {length}, or one token earlier"
            )));
        }
        session.end_prompt(length - before);
        Ok(())
    }
}

impl Target<'_> {
    /// Streams that are read from the state at the end.
    fn reports(&self, model: &Model) -> Vec<Stream> {
        let descriptor = model.descriptor();
        if self.trace {
            kept::streams(descriptor)
        } else {
            Vec::new()
        }
    }

    /// All files that the run reads.
    fn all_inputs(&self, reading: &Reading) -> Vec<PathBuf> {
        self.inputs.iter().chain(&reading.load_state).cloned().collect()
    }

    /// Starts a file of `rows` rows of the model's outputs, and of reports.
    fn create<'a>(
        &self,
        model: &'a Model,
        reading: &Reading,
        rows: usize,
        reports: Vec<Stream>,
        standard: &'a mut dyn Write,
    ) -> Result<Tensors<'a>> {
        let outputs = model.descriptor().outputs.iter().enumerate();
        let streams = outputs
            .filter(|(_, stream)| self.trace || !stream.name.starts_with(TRACE))
            .collect();
        let place = Place {
            path: self.path,
            format: self.format,
            inputs: &self.all_inputs(reading),
        };
        let contents = Contents { streams, reports, rows };
        Tensors::create(&place, contents, standard)
    }
}

/// A session whose outputs can be written: nothing is computed in vain.
fn open<'m>(model: &'m Model, target: &Target, reading: &Reading, console: &mut Console) -> Result<Session<'m>> {
    output::check(target.path, &target.all_inputs(reading))?;
    if let Some(state) = reading
        .save_state
        .as_deref()
        .filter(|state| output::same_place(state, target.path))
    {
        let twice = format!("{}: --output and --save-state name the same file", state.display());
        return Err(Error::Usage(twice));
    }
    common::open(model, reading, target.source.as_deref(), &target.inputs, console)
}

/// Feeds the inputs and writes the outputs, then the state if the words say so.
fn write(
    session: &mut Session,
    inputs: &[Values],
    target: &Target,
    reading: &Reading,
    console: &mut Console,
) -> Result<()> {
    let cut = common::cut(&reading.chunk);
    // A file that stands there already is not given up for inputs that are refused.
    let tokens = session.check(inputs, &cut)?;
    target.end.say(session, tokens)?;
    let before = session.position();
    common::warn_of_length(session.model().descriptor(), before, before + tokens as u64, console);
    let mut bar = Bar::new(tokens, console);
    let reports = target.reports(session.model());
    let reported = !reports.is_empty();
    let mut tensors = target.create(session.model(), reading, tokens, reports, console.result)?;
    session.feed(inputs, &cut, Wanted::All, |outputs| {
        bar.add(outputs.tokens());
        tensors.take(outputs)
    })?;
    bar.end();
    if reported {
        tensors.report(session.kept(tokens));
    }
    if let Some(name) = tensors.finish()? {
        let begun = common::begin(session.model(), reading, target.source.as_deref());
        let fault = finite::trace(begun, session.prompts(), [inputs]);
        let why = fault.map_or_else(String::new, |fault| format!(": {fault}"));
        console.warn(format_args!("`{name}` holds numbers that are not finite{why}"));
    }
    common::save(session, reading, &target.inputs, console)
}
