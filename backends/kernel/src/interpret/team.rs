//! A team of threads that share a memory: one runs at a time, and the next continues at a barrier of all or of a block.

use super::{Memory, copies::Copies, fault::Fault, races::Access};
use crate::Space;
use seqc_abi::{
    device::{BLOCK_MEMBERS, SHARED_BYTES},
    symbols,
};
use std::{
    collections::HashMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Who meets at a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// All members.
    Team,
    /// Those of a block.
    Block,
}

/// A thread, as the others see it.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// How often it has met all others.
    met: usize,
    /// How often it has met those of its block.
    met_block: usize,
    /// Where it waits.
    waits: Option<Meeting>,
    done: bool,
}

/// What the threads share.
pub(super) struct Team {
    pub(super) memory: Memory,
    /// Whose turn it is.
    turn: usize,
    states: Vec<State>,
    /// Memory of blocks, by their numbers.
    blocks: HashMap<usize, u64>,
    /// One has broken off: the others stop, too.
    broken: bool,
    /// Why the first one did.
    fault: Option<Fault>,
}

impl Team {
    pub(super) fn new(memory: Memory, threads: usize) -> Team {
        Team {
            memory,
            turn: 0,
            states: vec![State::default(); threads],
            blocks: HashMap::new(),
            broken: false,
            fault: None,
        }
    }

    /// The memory, and whether all have met as often, if none has failed.
    pub(super) fn end(self) -> (Memory, Result<bool, Fault>) {
        let blocks = self.states.chunks(BLOCK_MEMBERS);
        let all = self.states.iter().all(|s| s.met == self.states[0].met)
            && blocks
                .into_iter()
                .all(|b| b.iter().all(|s| s.met_block == b[0].met_block));
        let mut memory = self.memory;
        self.blocks.into_values().for_each(|address| memory.free(address));
        memory.intervals += 1 + self.states.iter().map(|s| s.met as u64).max().unwrap_or(0);
        (memory, self.fault.map_or(Ok(all), Err))
    }

    /// Whether a thread that is not done may go on: all whom it waits for have come.
    fn may_run(&self, tid: usize) -> bool {
        let own = self.states[tid];
        let first = tid - tid % BLOCK_MEMBERS;
        let end = (first + BLOCK_MEMBERS).min(self.states.len());
        match own.waits {
            None => true,
            Some(Meeting::Team) => self.states.iter().all(|s| s.done || s.met >= own.met),
            Some(Meeting::Block) => {
                let block = &self.states[first..end];
                block.iter().all(|s| s.done || s.met_block >= own.met_block)
            }
        }
    }

    /// The next who may run gets the turn. If all that are left wait, they wait for each other.
    fn hand_over(&mut self) {
        let threads = self.states.len();
        let mut next = (1..=threads).map(|n| (self.turn + n) % threads);
        if let Some(next) = next.find(|n| !self.states[*n].done && self.may_run(*n)) {
            self.turn = next;
        } else if self.states.iter().any(|s| !s.done) {
            self.broken = true;
            self.fault.get_or_insert_with(|| Fault {
                function: symbols::BLOCK_BARRIER.to_owned(),
                inst: format!("call @{}", symbols::BLOCK_BARRIER),
                message: "threads of a block wait at different barriers".to_owned(),
            });
        }
    }
}

/// One thread, while it has the turn.
pub(super) struct Member<'t> {
    shared: &'t Mutex<Team>,
    changed: &'t Condvar,
    tid: usize,
    team: Option<MutexGuard<'t, Team>>,
    pub(super) copies: Copies,
}

impl<'t> Member<'t> {
    /// Waits for the first turn.
    pub(super) fn join(shared: &'t Mutex<Team>, changed: &'t Condvar, tid: usize) -> Member<'t> {
        let mut member = Member {
            shared,
            changed,
            tid,
            team: None,
            copies: Copies::default(),
        };
        member.wait();
        member
    }

    fn wait(&mut self) {
        let (shared, tid) = (self.shared, self.tid);
        let team = self.team.take();
        let team = team.unwrap_or_else(|| shared.lock().unwrap_or_else(PoisonError::into_inner));
        let others = |team: &mut Team| team.turn != tid && !team.broken;
        let team = self.changed.wait_while(team, others);
        self.team = Some(team.unwrap_or_else(PoisonError::into_inner));
    }

    /// What the threads share; it is there while this one has the turn.
    pub(super) fn team(&mut self) -> &mut Team {
        let shared = self.shared;
        self.team
            .get_or_insert_with(|| shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The shared memory.
    pub(super) fn memory(&mut self) -> &mut Memory {
        &mut self.team().memory
    }

    /// The address of the memory of this thread's block, which nobody has written when the call begins.
    pub(super) fn block_memory(&mut self) -> u64 {
        let block = self.tid / BLOCK_MEMBERS;
        let Team { blocks, memory, .. } = self.team();
        *blocks.entry(block).or_insert_with(|| {
            let bytes = vec![0xFF; SHARED_BYTES];
            memory.allocate_in(Space::Shared, "the memory of a block", bytes)
        })
    }

    /// Memory that is read.
    ///
    /// # Errors
    ///
    /// What is wrong with the access.
    pub(super) fn bytes(&mut self, address: u64, count: usize, align: usize) -> Result<&[u8], String> {
        self.reach(address, count, false)?;
        self.memory().bytes(address, count, align)
    }

    /// Memory that is written.
    ///
    /// # Errors
    ///
    /// What is wrong with the access.
    pub(super) fn bytes_mut(&mut self, address: u64, count: usize, align: usize) -> Result<&mut [u8], String> {
        self.reach(address, count, true)?;
        self.memory().bytes_mut(address, count, align)
    }

    fn reach(&mut self, address: u64, count: usize, writes: bool) -> Result<(), String> {
        let member = self.tid;
        let team = self.team();
        if team.states.len() == 1 {
            return Ok(());
        }
        let State { met, met_block, .. } = team.states[member];
        let access = Access {
            member,
            interval: team.memory.intervals + met as u64,
            of_block: met_block as u64,
            writes,
        };
        team.memory.reach(address, count, access)
    }

    /// Waits at a barrier; false where another thread has failed.
    pub(super) fn meet(&mut self, meeting: Meeting) -> bool {
        let tid = self.tid;
        let team = self.team();
        let state = &mut team.states[tid];
        match meeting {
            Meeting::Team => state.met += 1,
            Meeting::Block => state.met_block += 1,
        }
        state.waits = Some(meeting);
        if team.states.len() > 1 {
            team.hand_over();
            self.changed.notify_all();
            self.wait();
        }
        let team = self.team();
        team.states[tid].waits = None;
        !team.broken
    }

    /// Is done, with this result.
    pub(super) fn leave(mut self, result: Result<u64, Fault>) -> Result<u64, Fault> {
        let result = result.and_then(|word| match self.copies.are_left() {
            false => Ok(word),
            true => Err(Fault {
                function: "a member".to_owned(),
                inst: "wait_copies 0".to_owned(),
                message: "ends without waiting for its copies".to_owned(),
            }),
        });
        let team = self.team();
        if let Err(fault) = &result {
            team.broken = true;
            team.fault.get_or_insert_with(|| fault.clone());
        }
        result
    }
}

impl Drop for Member<'_> {
    /// The others go on, or stop where this one panics.
    fn drop(&mut self) {
        let tid = self.tid;
        let team = self.team();
        team.states[tid].done = true;
        team.broken |= std::thread::panicking();
        team.hand_over();
        self.changed.notify_all();
    }
}
