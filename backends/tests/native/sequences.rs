//! Sequences of tests: their states in memory, and what steps read of them.

use seqc_abi::{Descriptor, Elem, PAGE_TOKENS, StateKind, StateSlot, Stream, batch::OPEN_PROMPT};
use seqc_ir::eval::Tensor;

/// Tokens of a sequence.
pub(crate) const TOKENS: usize = 53;

/// Tokens that a sequence has room for.
pub(crate) const ROOM: usize = 192;

/// Bytes of a state entry after all tokens.
pub(crate) fn state_bytes(kind: &StateKind) -> usize {
    match kind {
        StateKind::Fixed { bytes } => *bytes,
        StateKind::Shared { .. } => 0,
        StateKind::Bounded { page_bytes, pages } => page_bytes * ROOM.div_ceil(PAGE_TOKENS).min(*pages),
        StateKind::Pages {
            page_bytes,
            pinned,
            pages,
            count: _,
            rewritten: _,
            dropped: _,
        } => {
            let all = ROOM.div_ceil(PAGE_TOKENS);
            page_bytes * pages.map_or(all, |ring| all.min(pinned + ring))
        }
    }
}

/// What one sequence carries.
#[derive(Clone)]
pub(crate) struct Sequence {
    states: Vec<Vec<u64>>,
    pub(crate) position: u64,
    /// Position behind the prompt.
    pub(crate) prompt: u64,
}

/// What a step reads of a sequence.
pub(crate) struct Segment<'s> {
    pub(crate) sequence: &'s mut Sequence,
    pub(crate) inputs: &'s [Vec<Tensor>],
    /// The first of them whose outputs are wanted.
    pub(crate) wanted_from: usize,
}

impl Sequence {
    /// A sequence of no tokens yet.
    pub(crate) fn new(d: &Descriptor) -> Sequence {
        Sequence {
            states: d.states.iter().map(|s| vec![0; state_bytes(&s.kind) / 8 + 1]).collect(),
            position: 0,
            prompt: OPEN_PROMPT,
        }
    }

    /// The frame's table, and the tables of pages that it leads to.
    pub(crate) fn table(&mut self, d: &Descriptor) -> (Vec<*mut u64>, Vec<Vec<*mut u64>>) {
        let mut pages = Vec::new();
        let mut own = Vec::new();
        for (state, slot) in self.states.iter_mut().zip(&d.states) {
            let StateKind::Pages { page_bytes, .. } = slot.kind else {
                own.push(state.as_mut_ptr());
                continue;
            };
            let mut table: Vec<*mut u64> = state.chunks_mut(page_bytes / 8).map(<[u64]>::as_mut_ptr).collect();
            own.push(table.as_mut_ptr().cast());
            pages.push(table);
        }
        let lies_in = |(n, slot): (usize, &StateSlot)| match slot.kind {
            StateKind::Shared { with } => own[with],
            _ => own[n],
        };
        (d.states.iter().enumerate().map(lies_in).collect(), pages)
    }
}

/// Rows of every input stream in memory.
pub(crate) struct Given {
    _reals: Vec<Vec<f32>>,
    _integers: Vec<Vec<i64>>,
    pub(crate) table: Vec<*const u8>,
}

impl Given {
    /// Of tokens.
    pub(crate) fn new(d: &Descriptor, inputs: &[Vec<Tensor>]) -> Given {
        let of_memory = d.memory.iter().map(|memory| memory.inputs.len());
        let mut given = Given::of(&d.inputs, inputs);
        given.table.extend(vec![std::ptr::null(); of_memory.sum()]);
        given
    }

    /// Of rows of the memory.
    pub(crate) fn of_memory(d: &Descriptor, inputs: &[Vec<Tensor>]) -> Given {
        let streams: Vec<Stream> = d.memory.iter().flat_map(|memory| memory.inputs.clone()).collect();
        let mut given = Given::of(&streams, inputs);
        given.table.splice(0..0, vec![std::ptr::null(); d.inputs.len()]);
        given
    }

    fn of(streams: &[Stream], inputs: &[Vec<Tensor>]) -> Given {
        if inputs.is_empty() {
            return Given {
                _reals: Vec::new(),
                _integers: Vec::new(),
                table: vec![std::ptr::null(); streams.len()],
            };
        }
        let reals: Vec<Vec<f32>> = columns(inputs, |x| x as f32);
        let integers: Vec<Vec<i64>> = columns(inputs, |x| x as i64);
        let pointer = |n: usize| match streams[n].elem {
            Elem::F32 => reals[n].as_ptr().cast::<u8>(),
            Elem::I64 => integers[n].as_ptr().cast::<u8>(),
        };
        let table = (0..streams.len()).map(pointer).collect();
        Given {
            _reals: reals,
            _integers: integers,
            table,
        }
    }
}

/// Rows of each input one behind the other.
pub(crate) fn columns<T>(inputs: &[Vec<Tensor>], convert: impl Fn(f64) -> T) -> Vec<Vec<T>> {
    let streams = inputs.first().map_or(0, Vec::len);
    let column = |n: usize| {
        inputs
            .iter()
            .flat_map(|row| &row[n].data)
            .map(|x| convert(*x))
            .collect()
    };
    (0..streams).map(column).collect()
}
