//! A session that reads tokens which steps of its model choose.

use super::{Cut, Session};
use crate::{
    Result,
    executor::Launch,
    inputs::{Values, check_ids},
};

impl Session<'_> {
    /// How many of `count` tokens one step reads at most, choosing them by this output: 1 where steps choose none by it.
    pub(crate) fn chosen_together(&self, output: usize, count: usize) -> usize {
        let descriptor = self.model().descriptor();
        if descriptor.sampled != Some(output) {
            return 1;
        }
        let room = usize::try_from(self.room()).unwrap_or(usize::MAX);
        count.min(room).min(self.track.until_snapshot(descriptor))
    }

    /// Reads a token and others that the step chooses ([`Session::chosen_together`]): gives all of them.
    ///
    /// # Errors
    ///
    /// A token that the model does not have, no room for so many, a text that ended inside a character, too little memory.
    pub(crate) fn decode(&mut self, launch: &Launch) -> Result<Vec<i64>> {
        let first = [Values::I64(vec![launch.first])];
        self.check(&first, &Cut::default())?;
        let Session { executor, track } = self;
        let mut turn = executor.turn();
        let descriptor = turn.model().descriptor();
        let (tokens, outputs) = turn.decode(&mut track.sequence, launch)?;
        let inputs = [Values::I64(tokens.clone())];
        debug_assert!(check_ids(descriptor, &inputs).is_ok());
        track.advance(descriptor, &inputs, 0..tokens.len(), &outputs);
        Ok(tokens)
    }
}
