//! A team of threads that share a memory: one runs at a time, and the next continues at a barrier.

use super::{Memory, fault::Fault, races::Access};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What the threads share.
pub(super) struct Team {
    pub(super) memory: Memory,
    /// Whose turn it is.
    turn: usize,
    /// How often each has met the others.
    met: Vec<usize>,
    /// Who is done.
    done: Vec<bool>,
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
            met: vec![0; threads],
            done: vec![false; threads],
            broken: false,
            fault: None,
        }
    }

    /// The memory, and whether all have met as often, if none has failed.
    pub(super) fn end(self) -> (Memory, Result<bool, Fault>) {
        let all = self.met.iter().all(|n| *n == self.met[0]);
        let mut memory = self.memory;
        memory.intervals += 1 + self.met.iter().max().map_or(0, |n| *n as u64);
        (memory, self.fault.map_or(Ok(all), Err))
    }

    /// The next who is not done gets the turn.
    fn hand_over(&mut self) {
        let threads = self.done.len();
        let next = (1..=threads).map(|n| (self.turn + n) % threads);
        if let Some(next) = next.into_iter().find(|n| !self.done[*n]) {
            self.turn = next;
        }
    }
}

/// One thread, while it has the turn.
pub(super) struct Member<'t> {
    shared: &'t Mutex<Team>,
    changed: &'t Condvar,
    tid: usize,
    team: Option<MutexGuard<'t, Team>>,
}

impl<'t> Member<'t> {
    /// Waits for the first turn.
    pub(super) fn join(shared: &'t Mutex<Team>, changed: &'t Condvar, tid: usize) -> Member<'t> {
        let mut member = Member {
            shared,
            changed,
            tid,
            team: None,
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
        if team.met.len() == 1 {
            return Ok(());
        }
        let interval = team.memory.intervals + team.met[member] as u64;
        let access = Access {
            member,
            interval,
            writes,
        };
        team.memory.reach(address, count, access)
    }

    /// Waits at a barrier; false where another thread has failed.
    pub(super) fn meet(&mut self) -> bool {
        let tid = self.tid;
        let team = self.team();
        team.met[tid] += 1;
        if team.met.len() > 1 {
            team.hand_over();
            self.changed.notify_all();
            self.wait();
        }
        !self.team().broken
    }

    /// Is done, with this result.
    pub(super) fn leave(mut self, result: Result<u64, Fault>) -> Result<u64, Fault> {
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
        team.done[tid] = true;
        team.broken |= std::thread::panicking();
        team.hand_over();
        self.changed.notify_all();
    }
}
