//! Loops over the members of a team: which iterations are whose, and the loop over them.

use super::{Axis, Cmp, Func, Val};

/// The member of a team that runs a function; all members run the same one.
#[derive(Clone, Copy, Debug)]
pub struct Team {
    /// Number of this member, from 0.
    pub tid: Val,
    /// How many there are.
    pub threads: Val,
}

/// The iterations of one member of a team; each iteration belongs to exactly one member.
#[derive(Clone, Copy, Debug)]
pub struct TeamRange {
    /// The first index.
    pub low: Val,
    /// Before this one.
    pub high: Val,
    /// From one index to the next.
    pub step: Val,
}

impl Team {
    /// Every index of `0..size` whose remainder by the number of members is this member: neighbours go to different members.
    pub fn cyclic(self, size: Val) -> TeamRange {
        TeamRange {
            low: self.tid,
            high: size,
            step: self.threads,
        }
    }
}

impl Func {
    /// The same team numbered from the member whose turn it is when `dealt` indices have been dealt out cyclically.
    pub fn after(&mut self, team: Team, dealt: Val) -> Team {
        let Team { tid, threads } = team;
        let rest = self.urem(dealt, threads);
        let left = self.sub(threads, rest);
        let tid = self.add(tid, left);
        let tid = self.urem(tid, threads);
        Team { tid, threads }
    }

    /// Consecutive indices of `0..size` for each member, in multiples of `step` but for the end.
    pub fn team_range(&mut self, team: Team, size: Val, step: i64) -> TeamRange {
        let (step, less) = (self.i64(step), self.i64(step - 1));
        let blocks = self.add(size, less);
        let blocks = self.udiv(blocks, step);
        let one = self.i64(1);
        let next = self.add(team.tid, one);
        let mut bound = |tid: Val| {
            let at = self.part(team, blocks, tid);
            let at = self.mul(at, step);
            self.min(at, size)
        };
        let (low, high) = (bound(team.tid), bound(next));
        TeamRange { low, high, step }
    }

    /// Consecutive indices of `0..size` for each member, one by one: [`Func::team_range`] without what multiples need.
    pub fn team_indices(&mut self, team: Team, size: Val) -> TeamRange {
        let one = self.i64(1);
        let low = self.part(team, size, team.tid);
        let next = self.add(team.tid, one);
        let high = self.part(team, size, next);
        TeamRange { low, high, step: one }
    }

    /// Where the part of member `tid` begins if `size` is divided evenly.
    fn part(&mut self, team: Team, size: Val, tid: Val) -> Val {
        let at = self.mul(size, tid);
        self.udiv(at, team.threads)
    }

    /// Work number `n` of several that the team shares: one member runs it.
    pub fn on_member(&mut self, team: Team, n: usize, body: impl FnOnce(&mut Func)) {
        let n = self.i64(n as i64);
        let owner = self.urem(n, team.threads);
        let mine = self.cmp(Cmp::Eq, owner, team.tid);
        self.if_then(mine, body);
    }

    /// A loop over the blocks of a team, of iterations that [`Func::team_indices`] divides between them.
    pub fn blocks_for(&mut self, mine: TeamRange, body: impl FnOnce(&mut Func, Val)) {
        let TeamRange { low, high, step } = mine;
        self.loop_over(Axis::Blocks, low..high, step, &[], |f, i, _| {
            body(f, i);
            Vec::new()
        });
    }

    /// A loop over the team: this member runs its own iterations, and nothing is carried between them.
    pub fn team_for(&mut self, mine: TeamRange, body: impl FnOnce(&mut Func, Val)) {
        let TeamRange { low, high, step } = mine;
        self.loop_over(Axis::Team, low..high, step, &[], |f, i, _| {
            body(f, i);
            Vec::new()
        });
    }
}
