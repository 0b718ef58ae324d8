//! Sessions that read in as few steps as there is room for, with their outputs written where the caller wants them.

use super::{callbacks::CCallbacks, outcome::Outcome};
use crate::{
    inputs::Values,
    outputs::Outputs,
    session::{Cut, Feed, Session, Together, Wanted},
};

/// What one session reads.
pub(super) struct Reading<'a> {
    pub(super) session: &'a mut Session<'static>,
    /// Rows of every input stream.
    pub(super) inputs: &'a [Values],
    pub(super) wanted: Wanted,
    /// Where the wanted rows of every output go; empty: nowhere.
    pub(super) places: Vec<Place>,
}

/// Where the next row of an output goes; NULL: nowhere. There is room for all that are wanted.
pub(super) struct Place(pub(super) *mut u8);

impl Place {
    /// Writes rows, one after another.
    fn take(&mut self, bytes: &[u8]) {
        if self.0.is_null() {
            return;
        }
        // SAFETY: there is room, which the caller promised.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0, bytes.len());
            self.0 = self.0.add(bytes.len());
        }
    }
}

/// Reads in as few steps as there is room for. Between two of them, no lock is held and callbacks are told.
pub(super) fn read(readings: Vec<Reading>, callbacks: &CCallbacks) -> Outcome<()> {
    let cut = Cut::default();
    let (mut feeds, mut places) = (Vec::new(), Vec::new());
    for reading in readings {
        feeds.push(Feed {
            session: reading.session,
            inputs: reading.inputs,
            cut: &cut,
            wanted: reading.wanted,
        });
        places.push(reading.places);
    }
    let mut together = Together::new(&mut feeds)?;
    let total = together.total();
    while together.done() < total {
        together.step(|n, outputs: &Outputs| {
            for (output, place) in places[n].iter_mut().enumerate() {
                place.take(outputs.bytes(output));
            }
            Ok(())
        })?;
        callbacks.progress(together.done() as u64, total as u64)?;
    }
    Ok(())
}
