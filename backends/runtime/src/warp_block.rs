//! Blocks of members in emulation: memory that their threads of this process share, and a barrier of their own.

use std::{
    cell::Cell,
    process,
    sync::{Condvar, Mutex, PoisonError},
};

/// Members of a block, as devices have them (`seqc_abi::device`).
const MEMBERS: i64 = 8;
/// Bytes of its memory.
const BYTES: usize = 96 << 10;
/// What that begins on.
const ALIGNED: usize = 128;

/// What tells blocks apart: the barrier of their team, their number, and how many members they have.
type Key = (usize, i64, i64);

/// A block.
pub(super) struct Block {
    /// The address of its memory, which lives as long as the process.
    memory: usize,
    members: i64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Members at the block's barrier.
    waiting: i64,
    /// How often all have met there.
    round: usize,
    /// Members that are at the barrier of the team, or that have ended.
    away: i64,
}

/// The blocks of teams of several threads, which stay for the next kernel.
static BLOCKS: Mutex<Vec<(Key, &'static Block)>> = Mutex::new(Vec::new());

thread_local! {
    /// The block that this thread found last.
    static LAST: Cell<Option<(Key, &'static Block)>> = const { Cell::new(None) };
}

/// The block of a member. One of a single member is of the thread alone.
pub(super) fn find(barrier: *const u8, tid: i64, threads: i64) -> &'static Block {
    let first = tid - tid % MEMBERS;
    let key = (barrier as usize, first, (threads - first).min(MEMBERS));
    if let Some((known, block)) = LAST.get()
        && known == key
    {
        return block;
    }
    let block = match key.2 {
        1 => Block::new(key),
        _ => {
            let mut blocks = BLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
            match blocks.iter().find(|(known, _)| *known == key) {
                Some((_, block)) => block,
                None => {
                    let block = Block::new(key);
                    blocks.push((key, block));
                    block
                }
            }
        }
    };
    LAST.set(Some((key, block)));
    block
}

/// The block that this thread found last, if it did.
pub(super) fn last() -> Option<&'static Block> {
    LAST.get().map(|(_, block)| block)
}

impl Block {
    /// What is not written is NaN.
    fn new(key: Key) -> &'static Block {
        let words = Box::leak(vec![u128::MAX; (BYTES + ALIGNED) / size_of::<u128>()].into_boxed_slice());
        Box::leak(Box::new(Block {
            memory: (words.as_mut_ptr() as usize).next_multiple_of(ALIGNED),
            members: key.2,
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Its memory.
    pub(super) fn memory(&self) -> *mut u8 {
        self.memory as *mut u8
    }

    /// Returns when all members have called it.
    pub(super) fn meet(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.away > 0 {
            part("their barrier, others to that of the team or their end");
        }
        state.waiting += 1;
        if state.waiting == self.members {
            state.waiting = 0;
            state.round += 1;
            self.changed.notify_all();
            return;
        }
        let round = state.round;
        let wait = self.changed.wait_while(state, |state| state.round == round);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }

    /// A member comes to the barrier of the team, or ends.
    pub(super) fn leave(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.waiting > 0 {
            part("the barrier of the team or their end, others wait at their own");
        }
        // Where the last one comes, all go on.
        state.away = (state.away + 1) % self.members;
    }
}

/// Members of a block that wait at different barriers would wait forever.
fn part(came: &str) -> ! {
    eprintln!("members of a block part: some came to {came}");
    process::abort();
}
