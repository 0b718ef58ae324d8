//! Several sessions that read in the same steps, and models with any inputs and outputs.

use std::{ffi::c_void, ptr};

use crate::{Element, Error, Progress, Result, Session, Stream, ffi, progress::Told};

/// Rows of an input stream.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Tokens, or other integers.
    I64(&'a [i64]),
    /// Vectors, one after another.
    F32(&'a [f32]),
}

/// Rows of an output stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Integers.
    I64(Vec<i64>),
    /// Vectors, one after another.
    F32(Vec<f32>),
}

/// Which tokens' outputs are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// None; logits of the last token are kept by the session.
    #[default]
    None,
    /// The last token's.
    Last,
    /// A row for each token.
    All,
}

/// What one session reads.
#[derive(Debug)]
pub struct Segment<'a> {
    session: &'a mut Session,
    inputs: Vec<Input<'a>>,
    wanted: Wanted,
    /// After [`feed`]: the wanted rows of every output.
    pub outputs: Vec<Output>,
    /// After [`feed`]: why the logits of the last token are of no use, where they are not finite.
    pub error: Option<Error>,
}

impl<'a> Segment<'a> {
    /// Rows of every input of the model, in order.
    pub fn new(session: &'a mut Session, inputs: &[Input<'a>]) -> Segment<'a> {
        Segment {
            session,
            inputs: inputs.to_vec(),
            wanted: Wanted::None,
            outputs: Vec::new(),
            error: None,
        }
    }

    /// The same with outputs.
    #[must_use]
    pub fn wanted(mut self, wanted: Wanted) -> Segment<'a> {
        self.wanted = wanted;
        self
    }

    /// How many tokens it reads.
    fn tokens(&self) -> Result<usize> {
        rows(&self.session.model().inputs(), &self.inputs, "model")
    }

    /// Room for the wanted rows of every output.
    fn room(&self, tokens: usize) -> Vec<Output> {
        let rows = match self.wanted {
            Wanted::None => return Vec::new(),
            Wanted::Last => 1,
            Wanted::All => tokens,
        };
        let room = |stream: Stream| match stream.element {
            Element::I64 => Output::I64(vec![0; rows * stream.width]),
            Element::F32 => Output::F32(vec![0.0; rows * stream.width]),
        };
        self.session
            .model()
            .outputs()
            .into_iter()
            .map(room)
            .collect()
    }
}

/// How many rows the inputs of `reader` have, each of the width of its stream.
pub(crate) fn rows(streams: &[Stream], inputs: &[Input<'_>], reader: &str) -> Result<usize> {
    if streams.len() != inputs.len() {
        let (given, reads) = (inputs.len(), streams.len());
        return Err(Error::input(format!(
            "{given} inputs are given, the {reader} reads {reads}"
        )));
    }
    let mut found = None;
    for (stream, input) in streams.iter().zip(inputs) {
        let (element, count) = match input {
            Input::I64(values) => (Element::I64, values.len()),
            Input::F32(values) => (Element::F32, values.len()),
        };
        let rows = count / stream.width.max(1);
        if element != stream.element
            || rows * stream.width != count
            || found.is_some_and(|found| found != rows)
        {
            let name = &stream.name;
            return Err(Error::input(format!(
                "the input `{name}` does not have rows of {} {:?}, as many as the others",
                stream.width, stream.element
            )));
        }
        found = Some(rows);
    }
    Ok(found.unwrap_or(0))
}

/// Reads for several sessions of one model, in as few steps as there is room for: weights are read once for all of them, and each gets
/// what it gets alone.
///
/// # Errors
///
/// Inputs that do not fit, before anything is read; logits that are not finite, which [`Segment::error`] tells for each.
pub fn feed(segments: &mut [Segment<'_>]) -> Result<()> {
    feed_with(segments, &mut |_, _| true)
}

/// The same; the function is told the progress after each step, and may stop the reading.
///
/// # Errors
///
/// As [`feed`], and if the function stopped it. What was read before counts as read.
pub fn feed_with(segments: &mut [Segment<'_>], progress: &mut Progress<'_>) -> Result<()> {
    let mut inputs: Vec<Vec<*const c_void>> = Vec::new();
    let mut outputs: Vec<Vec<*mut c_void>> = Vec::new();
    let mut given = Vec::new();
    for segment in segments.iter_mut() {
        let tokens = segment.tokens()?;
        segment.outputs = segment.room(tokens);
        inputs.push(segment.inputs.iter().map(Input::start).collect());
        outputs.push(segment.outputs.iter_mut().map(Output::start).collect());
        given.push(ffi::Segment {
            size: size_of::<ffi::Segment>(),
            session: segment.session.raw(),
            tokens,
            inputs: ptr::null(),
            outputs: ptr::null(),
            wanted: i32::from(segment.wanted == Wanted::All),
            status: ffi::OK,
        });
    }
    for (n, segment) in given.iter_mut().enumerate() {
        segment.inputs = inputs[n].as_ptr();
        segment.outputs = if outputs[n].is_empty() {
            ptr::null()
        } else {
            outputs[n].as_ptr()
        };
    }
    let mut told = Told::new(progress);
    let callbacks = told.callbacks();
    // SAFETY: segments, inputs, room for outputs and callbacks live through the call; sizes were checked.
    let status = unsafe { ffi::seqc_feed(given.as_mut_ptr(), given.len(), &raw const callbacks) };
    told.end();
    let mut first = None;
    for (segment, given) in segments
        .iter_mut()
        .zip(&given)
        .filter(|(_, given)| given.status != ffi::OK)
    {
        // SAFETY: the text is valid until the next failure.
        let error =
            unsafe { Error::of(given.status, ffi::seqc_session_error(segment.session.raw())) };
        first.get_or_insert_with(|| error.clone());
        segment.error = Some(error);
    }
    match (status, first) {
        (ffi::OK, _) => Ok(()),
        (_, Some(error)) => Err(error),
        // SAFETY: the text is valid until the next failure in this thread.
        (status, None) => Err(unsafe { Error::of(status, ffi::seqc_error()) }),
    }
}

impl Input<'_> {
    pub(crate) fn start(&self) -> *const c_void {
        match self {
            Input::I64(values) => values.as_ptr().cast(),
            Input::F32(values) => values.as_ptr().cast(),
        }
    }
}

impl Output {
    fn start(&mut self) -> *mut c_void {
        match self {
            Output::I64(values) => values.as_mut_ptr().cast(),
            Output::F32(values) => values.as_mut_ptr().cast(),
        }
    }
}
