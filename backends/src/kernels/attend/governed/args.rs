//! Arguments of the functions of a governed cache.

use super::{Governed, code_layout::Side, states::Part};
use crate::{
    kernel::{Ty, Val},
    parameters::parameters,
};

parameters! {
    /// Arguments of every function, in order; what a policy has no use for is any pointer of the same space.
    struct Args {
        /// Rows of queries, and the floats from one to the next.
        q: Ty::GLOBAL,
        q_stride: Ty::I64,
        /// Rows of keys.
        k: Ty::GLOBAL,
        k_stride: Ty::I64,
        /// Rows of values.
        v: Ty::GLOBAL,
        v_stride: Ty::I64,
        /// Rows of the result.
        out: Ty::GLOBAL,
        out_stride: Ty::I64,
        /// [`Part::Words`]
        words: Ty::GLOBAL,
        /// Table of pages of [`Part::Keys`].
        keys: Ty::GLOBAL,
        /// Table of pages of [`Part::Values`].
        values: Ty::GLOBAL,
        /// Table of pages of [`Part::KeyCodes`].
        key_codes: Ty::GLOBAL,
        /// Table of pages of [`Part::ValueCodes`].
        value_codes: Ty::GLOBAL,
        /// [`Part::Channels`]
        channels: Ty::GLOBAL,
        /// [`Part::Queries`]
        queries: Ty::GLOBAL,
        /// Angle per position of each rotary pair.
        angles: Ty::GLOBAL,
        /// The table of the sights ([`super::super::Attend::attend`]); numbers of the cache come in behind the layer's query streams.
        table: Ty::PRIVATE,
        /// The same for queries of earlier tokens.
        observed: Ty::PRIVATE,
        /// Tables of pages of [`Governed::block_parts`].
        blocks: Ty::PRIVATE,
        /// Position in the sequence of row 0.
        position: Ty::I64,
        /// Position behind the prompt.
        prompt: Ty::I64,
        /// Rows.
        count: Ty::I64,
        /// Another layer's cache is read, which has these tokens already: nothing is appended and nothing closed.
        reads: Ty::I1,
        /// Scratch, of all threads in `govern` and of this thread everywhere else.
        scratch: Ty::SCRATCH,
    }
}

impl Args {
    /// Table of pages of codes.
    pub(super) fn codes(&self, side: Side) -> Val {
        match side {
            Side::Keys => self.key_codes,
            Side::Values => self.value_codes,
        }
    }
}

/// Types of the parameters of `NAME_govern`: the arguments of every function, then whose turn it is, how many threads there are, the number of
/// this thread, and what a barrier takes.
pub(super) const ARGS: [Ty; Args::TYPES.len() + 4] = {
    let mut all = [Ty::I64; Args::TYPES.len() + 4];
    let mut n = 0;
    while n < Args::TYPES.len() {
        all[n] = Args::TYPES[n];
        n += 1;
    }
    all[Args::TYPES.len() + 3] = Ty::GLOBAL;
    all
};

/// What a caller has at hand for `NAME_govern`.
pub struct Arguments {
    /// Rows of queries, keys, values and results with their strides.
    pub rows: [(Val, Val); 4],
    /// Pointer of each state entry ([`Governed::slots`]).
    pub states: Vec<Val>,
    /// Angle per position of each rotary pair, where the policy turns.
    pub angles: Option<Val>,
    /// Tables of the sights, of earlier queries, and of blocks.
    pub tables: [Val; 3],
    /// Position in the sequence of row 0, position behind the prompt, rows.
    pub numbers: [Val; 3],
    /// Whether another layer's cache is read.
    pub reads: Val,
    /// Scratch of all threads.
    pub scratch: Val,
    /// Whose turn it is to get the first key head, and how many threads there are.
    pub team: [Val; 2],
    /// The number of this thread, whose scratch it uses.
    pub thread: Val,
    /// What a barrier takes.
    pub barrier: Val,
}

impl Governed<'_> {
    /// The list of arguments of `NAME_govern`.
    pub fn arguments(&self, given: &Arguments) -> Vec<Val> {
        let words = given.states[0];
        let state = |part| self.entry(part).map_or(words, |n| given.states[n]);
        let mut list: Vec<Val> = given.rows.iter().flat_map(|(row, stride)| [*row, *stride]).collect();
        list.push(words);
        let parts = [
            Part::Keys,
            Part::Values,
            Part::KeyCodes,
            Part::ValueCodes,
            Part::Channels,
            Part::Queries,
        ];
        list.extend(parts.map(state));
        list.push(given.angles.unwrap_or(words));
        list.extend(given.tables);
        list.extend(given.numbers);
        list.push(given.reads);
        list.push(given.scratch);
        list.extend(given.team);
        list.extend([given.thread, given.barrier]);
        list
    }
}
