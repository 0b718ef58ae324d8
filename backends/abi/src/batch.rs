//! The tables of a step: the rows of several sequences, their segments, and the rows whose outputs are wanted.
//!
//! A step reads a ragged batch: concatenated segments, each some consecutive tokens of one sequence. Generated code that
//! is independent for each row runs over all rows; kernels along the sequence run segment by segment.

use super::{
    Descriptor,
    frame::{self, rows},
};

/// Where a prompt ends whose end has not been said: behind all tokens that a sequence can have.
pub const OPEN_PROMPT: u64 = u64::MAX >> 1;

/// Consecutive tokens of one sequence, as generated code reads them. A table has [`Segment::WORDS`] 64-bit words for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Segment {
    /// Row of its first token.
    pub first: u64,
    /// Number of tokens, at least one.
    pub count: u64,
    /// Position of its first token in the sequence.
    pub position: u64,
    /// `*const *mut u8`: one pointer per [`StateSlot`](super::StateSlot), in order.
    pub states: u64,
    /// Position behind the last token of the prompt that the sequence reads or has read last; [`OPEN_PROMPT`] where that has not
    /// been said. A token at position `i` belongs to a prompt if `i < prompt`, and is its last one if `i + 1 == prompt`. The end of
    /// a prompt may lie anywhere: before, in or behind the segment.
    pub prompt: u64,
}

impl Segment {
    /// 64-bit words of a record.
    pub const WORDS: usize = size_of::<Segment>() / 8;
}

/// One row, as generated code reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Row {
    /// Position in its sequence.
    pub position: u64,
    /// Number of its segment.
    pub segment: u64,
    /// Its index among all rows of the step.
    pub row: u64,
}

/// Rows at a constant stride in buffers that reserve rows of earlier tokens before each segment: the rows of one segment, or of
/// segments of one token each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Run {
    /// The first one.
    pub first: u64,
    /// Number of rows.
    pub count: u64,
    /// Segment of the first one.
    pub segment: u64,
    /// 1 where each row is a segment of its own, else 0.
    pub single: u64,
}

/// The part of a step that belongs to one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Number of tokens, at least one.
    pub count: usize,
    /// Position of the first one.
    pub position: u64,
    /// The first of them whose outputs are wanted, `0..=count`.
    pub wanted_from: usize,
    /// Address of the sequence's table of states.
    pub states: u64,
    /// Where the prompt of the sequence ends, as [`Segment::prompt`].
    pub prompt: u64,
}

/// Tables of some rows of a step, numbered from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// One record for each row.
    pub rows: Vec<Row>,
    /// One record for each sequence that has a row here.
    pub segments: Vec<Segment>,
    /// The rows as runs, in order.
    pub runs: Vec<Run>,
}

/// The tables of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Tables of all rows.
    pub all: Rows,
    /// Tables of the rows whose outputs are wanted.
    pub wanted: Rows,
}

impl Batch {
    /// The tables of a step that reads these parts of sequences, in order.
    pub fn new(parts: &[Part]) -> Batch {
        let mut batch = Batch::default();
        for part in parts {
            let first = batch.all.rows.len() as u64;
            batch.all.append(part, 0, first);
            batch.wanted.append(part, part.wanted_from, first);
        }
        batch
    }

    /// The number of the first wanted row, where the wanted rows are consecutive.
    pub fn wanted_together(&self) -> Option<usize> {
        let rows = &self.wanted.rows;
        let first = rows.first()?.row;
        let together = |(n, row): (usize, &Row)| row.row == first + n as u64;
        rows.iter().enumerate().all(together).then_some(first as usize)
    }
}

impl Rows {
    /// Fills the slots of these rows, from `first` on; `inputs` is the address of the table of their inputs. The tables must
    /// not move as long as the frame is used.
    pub fn fill(&self, frame: &mut [u64; frame::SLOTS], first: usize, inputs: u64) {
        frame[first + rows::COUNT] = self.rows.len() as u64;
        frame[first + rows::TABLE] = self.rows.as_ptr() as u64;
        frame[first + rows::INPUTS] = inputs;
        frame[first + rows::SEGMENTS] = self.segments.len() as u64;
        frame[first + rows::SEGMENT_TABLE] = self.segments.as_ptr() as u64;
        frame[first + rows::RUNS] = self.runs.len() as u64;
        frame[first + rows::RUN_TABLE] = self.runs.as_ptr() as u64;
    }

    /// Adds the tokens of a part from `from` on; `row` is the number of the part's first one among all rows.
    fn append(&mut self, part: &Part, from: usize, row: u64) {
        let (first, segment) = (self.rows.len() as u64, self.segments.len() as u64);
        let (from, count) = (from as u64, (part.count - from) as u64);
        if count == 0 {
            return;
        }
        let position = part.position + from;
        self.rows.extend((0..count).map(|n| Row {
            position: position + n,
            segment,
            row: row + from + n,
        }));
        self.segments.push(Segment {
            first,
            count,
            position,
            states: part.states,
            prompt: part.prompt,
        });
        let single = u64::from(count == 1);
        match self.runs.last_mut() {
            Some(run) if run.single == 1 && single == 1 => run.count += 1,
            _ => self.runs.push(Run {
                first,
                count,
                segment,
                single,
            }),
        }
    }
}

/// Rows that a step has left.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    rows: usize,
    /// Rows that each segment but the first takes in addition to its own.
    padding: usize,
    empty: bool,
}

impl Room {
    /// A step of at most `rows` rows, of which each segment but the first takes `padding` more than its own.
    pub fn new(rows: usize, padding: usize) -> Room {
        Room {
            rows,
            padding,
            empty: true,
        }
    }

    /// All that a step of a model takes.
    pub fn of(descriptor: &Descriptor) -> Room {
        Room::new(descriptor.max_chunk, descriptor.padding)
    }

    /// Maximum number of rows of one more segment.
    pub fn most(&self) -> usize {
        let padding = if self.empty { 0 } else { self.padding };
        self.rows.saturating_sub(padding)
    }

    /// Maximum number of rows of two more segments together.
    pub fn most_of_two(&self) -> usize {
        self.most().saturating_sub(self.padding)
    }

    /// What is left after a segment of this many rows; nothing if they do not fit.
    pub fn without(&self, rows: usize) -> Room {
        Room {
            rows: self.most().saturating_sub(rows),
            empty: false,
            ..*self
        }
    }

    /// What is left after a segment of this many rows, if they fit.
    pub fn take(&self, rows: usize) -> Option<Room> {
        (rows <= self.most()).then(|| self.without(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(count: usize, position: u64, wanted_from: usize) -> Part {
        Part {
            count,
            position,
            wanted_from,
            states: 0,
            prompt: OPEN_PROMPT,
        }
    }

    #[test]
    fn rows_say_position_and_segment_and_runs_cover_them() {
        let batch = Batch::new(&[part(1, 7, 0), part(1, 9, 0), part(3, 4, 2), part(1, 0, 1)]);
        let positions: Vec<u64> = batch.all.rows.iter().map(|row| row.position).collect();
        assert_eq!(positions, [7, 9, 4, 5, 6, 0]);
        let run = |run: &Run| [run.first, run.count, run.segment, run.single];
        let runs: Vec<[u64; 4]> = batch.all.runs.iter().map(run).collect();
        assert_eq!(runs, [[0, 2, 0, 1], [2, 3, 2, 0], [5, 1, 3, 1]]);
    }

    #[test]
    fn wanted_rows_are_numbered_anew_and_know_where_they_come_from() {
        let batch = Batch::new(&[part(1, 7, 0), part(2, 3, 2), part(3, 4, 2)]);
        let row = |row: &Row| [row.row, row.segment, row.position];
        let wanted: Vec<[u64; 3]> = batch.wanted.rows.iter().map(row).collect();
        assert_eq!(wanted, [[0, 0, 7], [5, 1, 6]]);
        let segment = |s: &Segment| [s.first, s.count, s.position];
        let segments: Vec<[u64; 3]> = batch.wanted.segments.iter().map(segment).collect();
        assert_eq!(segments, [[0, 1, 7], [1, 1, 6]]);
        assert_eq!(batch.wanted_together(), None);
        assert_eq!(Batch::new(&[part(5, 0, 3)]).wanted_together(), Some(3));
    }

    #[test]
    fn segments_know_where_the_prompts_of_their_sequences_end() {
        let ends = |prompt, part| Part { prompt, ..part };
        let batch = Batch::new(&[ends(5, part(3, 4, 2)), part(2, 0, 1), ends(0, part(1, 0, 1))]);
        let prompts = |rows: &Rows| rows.segments.iter().map(|segment| segment.prompt).collect::<Vec<_>>();
        assert_eq!(prompts(&batch.all), [5, OPEN_PROMPT, 0]);
        assert_eq!(prompts(&batch.wanted), [5, OPEN_PROMPT]);
    }

    #[test]
    fn further_segments_take_room_for_earlier_rows() {
        let room = Room::new(10, 3);
        assert_eq!(room.most(), 10);
        let room = room.take(2).expect("two of ten");
        assert_eq!(room.most(), 5);
        assert!(room.take(6).is_none());
        assert_eq!(room.take(5).map(|room| room.most()), Some(0));
    }
}
