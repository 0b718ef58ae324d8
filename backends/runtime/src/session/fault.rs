//! The first layer whose output is not finite, found by running one layer after another.

use std::fmt;

use seqc_abi::{Rows, RowsAt, frame};

use super::{Cut, Session};
use crate::{Result, executor::Segment, inputs::Values, prompts::Prompts};

/// The layer whose output is the first that is not finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its path: `layers.3.attention`.
    pub layer: String,
    /// The first token of the sequence at which it is so, counted from 0.
    pub token: u64,
    /// A tensor of the layer that holds such numbers itself.
    pub tensor: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { layer, token, tensor } = self;
        write!(
            f,
            "the first layer whose output is not finite is {layer}, at token {token}"
        )?;
        match tensor {
            Some(tensor) => write!(f, ": its weights `{tensor}` hold numbers that are not finite"),
            None => Ok(()),
        }
    }
}

impl Session<'_> {
    /// Reads inputs as [`Session::feed`] does, one layer after another, up to the first whose output is not finite. Prompts end where those
    /// of another sequence ended, which began with the same tokens.
    ///
    /// # Errors
    ///
    /// As [`Session::feed`].
    pub(crate) fn find_fault(&mut self, inputs: &[Values], prompts: &Prompts) -> Result<Option<Fault>> {
        let tokens = self.check(inputs, &Cut::default())?;
        let descriptor = self.model().descriptor();
        let mut done = 0;
        while done < tokens {
            let position = self.position();
            let (here, next) = prompts.until(position);
            self.track.sequence.prompts = here;
            let same = usize::try_from(next - position).unwrap_or(usize::MAX);
            let size = descriptor.max_chunk.max(1).min(same);
            let chunk = self.track.chunk(descriptor, size, tokens - done);
            let last = descriptor.calls.len().saturating_sub(1);
            let mut found = None;
            let segment = Segment {
                sequence: &mut self.track.sequence,
                inputs,
                at: done,
                tokens: chunk,
                wanted_from: 0,
            };
            self.executor.turn().run(&mut [segment], |model, slots| {
                let first = descriptor.memory.as_ref().map_or(0, |memory| memory.calls);
                for (n, call) in descriptor.calls.iter().enumerate().skip(first) {
                    slots[frame::SKIP_FIRST] = n as u64;
                    slots[frame::SKIP_LAST] = (last - n) as u64;
                    // SAFETY: the slots are filled; the calls before this one have run.
                    unsafe { model.step(slots) }?;
                    // SAFETY: the call's results are where the descriptor says, until the next one runs.
                    if let Some(row) = call
                        .results
                        .iter()
                        .filter_map(|rows| unsafe { odd_row(slots, rows, chunk) })
                        .min()
                    {
                        found = Some((call, position + row as u64));
                        break;
                    }
                }
                Ok(())
            })?;
            if let Some((call, token)) = found {
                return Ok(Some(Fault {
                    layer: call.layer.clone(),
                    token,
                    tensor: self.model().weights_not_finite(&call.layer),
                }));
            }
            done += chunk;
        }
        Ok(None)
    }
}

/// The first of some rows with a number that is not finite.
///
/// # Safety
///
/// The slots are those of a step whose rows have been computed, and outputs begin at the first token.
unsafe fn odd_row(slots: &[u64; frame::SLOTS], rows: &Rows, count: usize) -> Option<usize> {
    // SAFETY: the caller's promise: so many rows lie there.
    let values = unsafe {
        let start = match rows.at {
            RowsAt::Arena(offset) => (slots[frame::ARENA] as *const u8).add(offset),
            RowsAt::Output(n) => *(slots[frame::OUTPUTS] as *const u64).add(n) as *const u8,
        };
        std::slice::from_raw_parts(start.cast::<f32>(), rows.width * count)
    };
    let place = values.iter().position(|value| !value.is_finite())?;
    Some(place / rows.width)
}
