//! Runs steps of a model: memory for activations and outputs, which all sequences share, and the frame of a step.

mod decode;

pub(crate) use decode::Launch;

use seqc_abi::{
    Stream,
    batch::{Batch, OPEN_PROMPT, Part, Room, Row},
    frame,
};

use crate::{
    Error, Result,
    copies::Copies,
    inputs::Values,
    memory::Region,
    model::Model,
    outputs::Outputs,
    seen::Seen,
    sequence::Sequence,
    state::State,
    streams::{no_source, row_bytes, width},
};

/// Some consecutive tokens of one sequence.
#[derive(Debug)]
pub struct Segment<'s> {
    /// The sequence.
    pub sequence: &'s mut Sequence,
    /// Rows of every input stream.
    pub inputs: &'s [Values],
    /// The row of the first token.
    pub at: usize,
    /// Number of tokens, at least one.
    pub tokens: usize,
    /// The first of them whose outputs are wanted, `0..=tokens`.
    pub wanted_from: usize,
}

/// Memory for the steps of a model.
#[derive(Debug)]
pub struct Executor<'m> {
    model: &'m Model,
    arena: Region,
    scratch: Region,
    outputs: Vec<Region>,
    /// Rows of each input stream, those of several sequences concatenated.
    joined: Vec<Rows>,
    /// Inputs of the wanted rows, where these are not consecutive.
    wanted: Vec<Rows>,
    /// Tables of the last step, as generated code sees them.
    seen: Seen,
    /// Tables of the last step that chose tokens.
    copies: Copies,
}

/// What the slots of a step point to: it lives until the step is over.
struct Tables {
    batch: Batch,
    /// Addresses of the rows of each input stream, all of them and the wanted ones.
    inputs: Vec<u64>,
    wanted_inputs: Vec<u64>,
    /// Addresses of the outputs.
    outputs: Vec<u64>,
}

/// Rows of one stream, 8-byte aligned.
#[derive(Debug, Default)]
struct Rows {
    words: Vec<u64>,
    /// Number of bytes in use.
    bytes: usize,
}

impl<'m> Executor<'m> {
    /// Memory for steps of a model.
    ///
    /// # Errors
    ///
    /// Too little memory.
    pub fn new(model: &'m Model) -> Result<Executor<'m>> {
        let descriptor = model.descriptor();
        let outputs = descriptor.outputs.iter().map(|_| Region::new(0));
        let rows = || descriptor.inputs.iter().map(|_| Rows::default()).collect();
        Ok(Executor {
            model,
            arena: Region::huge(descriptor.arena_bytes)?,
            scratch: model.scratch()?,
            outputs: outputs.collect::<Result<_>>()?,
            joined: rows(),
            wanted: rows(),
            seen: Seen::default(),
            copies: Copies::default(),
        })
    }

    /// The model whose steps they are.
    pub fn model(&self) -> &'m Model {
        self.model
    }

    /// One step: every sequence reads its segment. Outputs are those of the wanted tokens, in order of the segments.
    ///
    /// The caller has checked the inputs ([`Session::check`](crate::session::Session::check)).
    ///
    /// # Errors
    ///
    /// Too little memory; nothing was read then. A device that failed, as it does from then on.
    ///
    /// # Panics
    ///
    /// If the segments do not fit in one step ([`Room`]), or one has no token.
    pub fn step(&mut self, segments: &mut [Segment]) -> Result<Outputs<'_>> {
        self.run(segments, |model, slots| {
            // SAFETY: the slots are filled.
            unsafe { model.step(slots) }
        })?;
        let tokens = segments.iter().map(|s| s.tokens).sum();
        let rows = segments.iter().map(|s| s.tokens - s.wanted_from).sum();
        Ok(self.outputs(rows, tokens))
    }

    /// The outputs of the last step.
    fn outputs(&self, rows: usize, tokens: usize) -> Outputs<'_> {
        Outputs {
            descriptor: self.model.descriptor(),
            regions: &self.outputs,
            first: 0,
            rows,
            tokens,
        }
    }

    /// Runs segments by `step`, which gets all slots filled as the ABI requires.
    pub(crate) fn run(
        &mut self,
        segments: &mut [Segment],
        step: impl FnOnce(&Model, &mut [u64; frame::SLOTS]) -> Result<()>,
    ) -> Result<()> {
        let (model, descriptor) = (self.model, self.model.descriptor());
        assert!(segments.iter().all(|s| s.tokens > 0 && s.wanted_from <= s.tokens));
        let left = segments
            .iter()
            .try_fold(Room::of(descriptor), |room, s| room.take(s.tokens));
        assert!(left.is_some(), "{} segments do not fit in a step", segments.len());
        self.seen.begin();
        let of_memory = descriptor.memory.as_ref().map_or(0, |memory| memory.calls);
        let mut parts = Vec::with_capacity(segments.len());
        for segment in segments.iter_mut() {
            self.check(segment.sequence)?;
            let prompt = segment.sequence.prompt_end();
            let Sequence { state, position, .. } = &mut *segment.sequence;
            state.reserve(descriptor, *position, segment.tokens as u64)?;
            parts.push(Part {
                count: segment.tokens,
                position: *position,
                wanted_from: segment.wanted_from,
                states: state.table(&mut self.seen)?,
                prompt,
            });
        }
        let batch = Batch::new(&parts);
        let wanted = batch.wanted.rows.len();
        self.reserve_outputs(wanted)?;
        let inputs = self.inputs(segments);
        let wanted_inputs = self.wanted_inputs(&batch, &inputs);
        let streams = &descriptor.inputs;
        let [inputs, wanted_inputs] = [(inputs, batch.all.rows.len()), (wanted_inputs, wanted)]
            .map(|(rows, count)| self.seen_rows(streams, &rows, count));
        let (mut inputs, mut wanted_inputs) = (inputs?, wanted_inputs?);
        // Calls of tokens read no input of the memory.
        let none = descriptor.memory.iter().flat_map(|memory| &memory.inputs).map(|_| 0);
        inputs.extend(none.clone());
        wanted_inputs.extend(none);
        let tables = Tables {
            batch,
            inputs,
            wanted_inputs,
            outputs: self.output_rows(),
        };
        let mut slots = self.slots(&tables)?;
        slots[frame::SKIP_FIRST] = of_memory as u64;
        // Every slot is filled: tables and regions live until the call returns, inputs were counted and checked against
        // the tables they index, states have room for their segments, outputs for the wanted rows.
        step(model, &mut slots)?;
        drop(tables);
        for Segment { sequence, tokens, .. } in segments {
            sequence.position += *tokens as u64;
            sequence.state.settle(descriptor, sequence.position);
        }
        Ok(())
    }

    /// Reads the memory of a sequence that has read no token: so many rows of each of its inputs, by one step of the calls of the memory.
    ///
    /// The caller has checked the inputs ([`Session::remember`](crate::session::Session::remember)).
    ///
    /// # Errors
    ///
    /// Too little memory; the sequence is as before then.
    ///
    /// # Panics
    ///
    /// If the model has no memory, or the rows do not fit in one step.
    pub fn remember(&mut self, sequence: &mut Sequence, inputs: &[Values], rows: usize) -> Result<()> {
        let (model, descriptor) = (self.model, self.model.descriptor());
        let Some(memory) = &descriptor.memory else {
            panic!("the model {} has no memory", descriptor.model);
        };
        assert!(
            (1..=descriptor.max_chunk).contains(&rows),
            "{rows} rows do not fit in a step"
        );
        self.seen.begin();
        // What only this step needs is gone with its state.
        let mut reading = State::new(descriptor, model.store())?;
        reading.reserve_memory(descriptor, rows as u64)?;
        let batch = Batch::new(&[Part {
            count: rows,
            position: 0,
            wanted_from: rows,
            states: reading.table(&mut self.seen)?,
            prompt: OPEN_PROMPT,
        }]);
        let given = memory.inputs.iter().zip(inputs);
        let given: Vec<u64> = given
            .map(|(stream, values)| values.row(0, width(stream)) as u64)
            .collect();
        let mut inputs: Vec<u64> = descriptor.inputs.iter().map(|_| 0).collect();
        inputs.extend(self.seen_rows(&memory.inputs, &given, rows)?);
        let tables = Tables {
            batch,
            wanted_inputs: inputs.clone(),
            inputs,
            outputs: self.output_rows(),
        };
        let mut slots = self.slots(&tables)?;
        slots[frame::SKIP_LAST] = (descriptor.calls.len() - memory.calls) as u64;
        // SAFETY: every slot is filled, as in `run`; no row is wanted.
        unsafe { model.step(&slots) }?;
        drop(tables);
        sequence.state.take_memory(descriptor, reading);
        Ok(())
    }

    /// The slots of a step but for the calls that it leaves out; they point into the tables.
    fn slots(&mut self, tables: &Tables) -> Result<[u64; frame::SLOTS]> {
        let mut slots = self.model.frame(&self.scratch);
        slots[frame::ARENA] = self.arena.as_ptr() as u64;
        slots[frame::OUTPUTS] = self.seen.place(&tables.outputs)?;
        for (rows, first, inputs) in [
            (&tables.batch.all, frame::ALL, &tables.inputs),
            (&tables.batch.wanted, frame::WANTED, &tables.wanted_inputs),
        ] {
            rows.fill(&mut slots, first, self.seen.place(inputs)?);
            slots[first + frame::rows::TABLE] = self.seen.place(&rows.rows)?;
            slots[first + frame::rows::SEGMENT_TABLE] = self.seen.place(&rows.segments)?;
            slots[first + frame::rows::RUN_TABLE] = self.seen.place(&rows.runs)?;
        }
        Ok(slots)
    }

    /// Whether a sequence can read tokens.
    fn check(&self, sequence: &Sequence) -> Result<()> {
        let descriptor = self.model.descriptor();
        if descriptor.memory.is_some() && sequence.state.rows(descriptor) == 0 {
            return Err(no_source(descriptor));
        }
        if sequence.is_divided(descriptor) {
            return Err(Error::input(format!(
                "{} reads the tokens of a prompt {} at a time, and {} were read: read a multiple of it, or say first where the prompt ends",
                descriptor.model,
                descriptor.together,
                sequence.position()
            )));
        }
        Ok(())
    }

    /// Makes room for so many rows of every output.
    fn reserve_outputs(&mut self, rows: usize) -> Result<()> {
        let outputs = self.model.descriptor().outputs.iter().zip(&mut self.outputs);
        for (stream, region) in outputs {
            region.grow(row_bytes(stream).saturating_mul(rows))?;
        }
        Ok(())
    }

    /// Addresses of the outputs.
    fn output_rows(&self) -> Vec<u64> {
        self.outputs.iter().map(|region| region.as_ptr() as u64).collect()
    }

    /// Address of the rows of each input stream, as tables hold it: in place for one sequence, in a copy for several.
    fn inputs(&mut self, segments: &[Segment]) -> Vec<u64> {
        let streams = self.model.descriptor().inputs.iter().enumerate();
        if let [only] = segments {
            return streams
                .map(|(n, stream)| only.inputs[n].row(only.at, width(stream)) as u64)
                .collect();
        }
        let rows = |(n, stream): (usize, &Stream)| {
            let joined = &mut self.joined[n];
            joined.bytes = 0;
            for segment in segments {
                let row = segment.inputs[n].row(segment.at, width(stream));
                // SAFETY: the segment has this many rows from there on.
                unsafe { joined.append(row, row_bytes(stream) * segment.tokens) };
            }
            joined.start() as u64
        };
        streams.map(rows).collect()
    }

    /// Where generated code sees so many rows of each input stream.
    fn seen_rows(&mut self, streams: &[Stream], inputs: &[u64], count: usize) -> Result<Vec<u64>> {
        let rows = streams.iter().zip(inputs).map(|(stream, rows)| {
            let bytes = row_bytes(stream) * count;
            // SAFETY: so many rows are there, in this step.
            let rows = unsafe { std::slice::from_raw_parts(*rows as *const u8, bytes) };
            self.seen.place(rows)
        });
        rows.collect()
    }

    /// Address of the wanted ones of these rows.
    fn wanted_inputs(&mut self, batch: &Batch, inputs: &[u64]) -> Vec<u64> {
        let streams = self.model.descriptor().inputs.iter().enumerate();
        let together = batch.wanted_together();
        let rows = |(n, stream): (usize, &Stream)| {
            let bytes = row_bytes(stream);
            // SAFETY: these are rows of the stream.
            let row = |number: usize| unsafe { (inputs[n] as *const u8).add(number * bytes) };
            if let Some(first) = together {
                return row(first) as u64;
            }
            let wanted = &mut self.wanted[n];
            wanted.bytes = 0;
            for Row { row: number, .. } in &batch.wanted.rows {
                // SAFETY: as above.
                unsafe { wanted.append(row(*number as usize), bytes) };
            }
            wanted.start() as u64
        };
        streams.map(rows).collect()
    }
}

impl Rows {
    fn start(&self) -> *const u8 {
        self.words.as_ptr().cast()
    }

    /// # Safety
    ///
    /// This many bytes can be read from there.
    unsafe fn append(&mut self, from: *const u8, bytes: usize) {
        let end = self.bytes + bytes;
        if self.words.len() * 8 < end {
            self.words.resize(end.div_ceil(8), 0);
        }
        // SAFETY: the words have that much room, and do not overlap.
        unsafe {
            let to = self.words.as_mut_ptr().cast::<u8>().add(self.bytes);
            std::ptr::copy_nonoverlapping(from, to, bytes);
        }
        self.bytes = end;
    }
}
