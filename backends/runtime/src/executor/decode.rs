//! Steps that choose tokens: several tokens of one sequence, of which the first is given ([`seqc_abi::decoding`]).

use seqc_abi::{
    batch::{Batch, Part},
    decoding::{Decoding, Work},
    frame::{self, rows},
};

use super::Executor;
use crate::{Result, generation::Choosing, outputs::Outputs, sequence::Sequence};

/// What a step reads that chooses tokens.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// The token that is given.
    pub(crate) first: i64,
    /// The most tokens to read, at least one.
    pub(crate) count: usize,
    /// How the others are chosen.
    pub(crate) choosing: &'a Choosing,
}

impl Executor<'_> {
    /// Reads a token and others behind it that are chosen by logits ([`Descriptor::sampled`](seqc_abi::Descriptor::sampled)): gives all of them, and the
    /// outputs of the last one. There are fewer than asked for where a token follows that ends the answer, or that only the host can choose.
    ///
    /// The caller has checked the first token, and that there is room for all of them.
    ///
    /// # Errors
    ///
    /// Too little memory; nothing was read then. A device that failed, as it does from then on.
    ///
    /// # Panics
    ///
    /// If the steps of the model choose no tokens.
    pub(crate) fn decode(&mut self, sequence: &mut Sequence, launch: &Launch) -> Result<(Vec<i64>, Outputs<'_>)> {
        let (model, descriptor) = (self.model, self.model.descriptor());
        assert!(descriptor.sampled.is_some() && launch.count > 0);
        self.check(sequence)?;
        self.seen.begin();
        self.copies.begin();
        let position = sequence.position;
        sequence.state.reserve(descriptor, position, launch.count as u64)?;
        let batch = Batch::new(&[Part {
            count: 1,
            position,
            wanted_from: 0,
            states: sequence.state.table(&mut self.seen)?,
            prompt: sequence.prompt_end(),
        }]);
        self.reserve_outputs(1)?;
        let outputs = self.output_rows();
        let mut slots = model.frame(&self.scratch);
        slots[frame::ARENA] = self.arena.as_ptr() as u64;
        slots[frame::OUTPUTS] = self.copies.place(&outputs)?;
        slots[frame::SKIP_FIRST] = descriptor.memory.as_ref().map_or(0, |memory| memory.calls) as u64;
        // The tables of all rows and of the wanted ones are the same, which the step changes.
        let mut inputs = vec![self.copies.place(&[launch.first])?];
        inputs.extend(descriptor.memory.iter().flat_map(|memory| &memory.inputs).map(|_| 0));
        let inputs = self.copies.place(&inputs)?;
        let tables = [
            (rows::TABLE, self.copies.place(&batch.all.rows)?),
            (rows::SEGMENT_TABLE, self.copies.place(&batch.all.segments)?),
            (rows::RUN_TABLE, self.copies.place(&batch.all.runs)?),
        ];
        for first in [frame::ALL, frame::WANTED] {
            batch.all.fill(&mut slots, first, inputs);
            for (slot, table) in tables {
                slots[first + slot] = table;
            }
        }
        let decoding = self.decoding(launch)?;
        slots[frame::DECODING] = self.copies.place(&[decoding])?;
        // SAFETY: every slot is filled: tables and regions live until the call returns, the state has room for all tokens, and so do outputs for one.
        unsafe { model.step(&slots) }?;
        // SAFETY: the record was placed, and the step is over.
        let read = unsafe { (slots[frame::DECODING] as *const Decoding).read() }.read as usize;
        let read = read.clamp(1, launch.count);
        // SAFETY: so many tokens are there.
        let tokens = unsafe { std::slice::from_raw_parts(decoding.tokens as *const i64, read) }.to_vec();
        sequence.position += read as u64;
        sequence.state.settle(descriptor, sequence.position);
        Ok((tokens, self.outputs(1, read)))
    }

    /// How the step chooses, and where it writes what it read.
    fn decoding(&mut self, launch: &Launch) -> Result<Decoding> {
        let Choosing {
            top_k,
            temperature,
            top_p,
            min_p,
            draws,
            ends,
        } = launch.choosing;
        let mut tokens = vec![0; launch.count];
        tokens[0] = launch.first;
        let vocab = self.model.descriptor().inputs.first().and_then(|stream| stream.vocab);
        Ok(Decoding {
            count: launch.count as u64,
            read: 1,
            going: 1,
            tokens: self.copies.place(&tokens)?,
            draws: self.copies.place(draws)?,
            top_k: *top_k as u64,
            temperature: u64::from(temperature.to_bits()),
            top_p: u64::from(top_p.to_bits()),
            min_p: u64::from(min_p.to_bits()),
            limit: vocab.map_or(i64::MAX as u64, |vocab| vocab as u64),
            ends: ends.len() as u64,
            end_table: self.copies.place(ends)?,
            work: self.copies.room(size_of::<Work>())? as u64,
        })
    }
}
