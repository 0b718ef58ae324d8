//! What the next step reads: of every sequence that generates its one token, of prompts as much as there is room and budget for.
//!
//! 1. Sequences that generate come first, those that waited longest before others, as long as a prompt that waits still gets
//!    a row. Rows beyond one for each, of drafts and of what is read again, come out of the budget for prompts.
//! 2. The oldest prompt gets three quarters of the budget for prompts, the others the rest, the one that waited longest first.
//!    While nothing is generated, the budget is the room.
//! 3. Where only one of several fits, it is the one that waited longest.
//!
//! So everyone is served after at most as many steps as there are others.

use seqc_abi::batch::Room;

/// What can be read of one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    /// Tokens that can be read now; none of a sequence that is paused.
    pub(super) tokens: usize,
    /// Whether it generates; otherwise its prompt is read.
    pub(super) generates: bool,
    /// The step that last read of it; 0: none yet.
    pub(super) turn: u64,
}

/// The tokens that the next step reads of each sequence; these are in the order in which they came. Prompts get at most
/// `budget` rows while others generate.
pub(super) fn plan(ready: &[Ready], room: Room, budget: usize) -> Vec<usize> {
    let mut plan = Plan {
        ready,
        room,
        shares: vec![0; ready.len()],
    };
    let mut generating = plan.those(true);
    generating.sort_by_key(|n| ready[*n].turn);
    let mut prompts = plan.those(false);
    if let ([_, rest @ ..], 3..) = (&mut prompts[..], ready.len()) {
        rest.sort_by_key(|n| ready[*n].turn);
    }
    let together = room.without(1).most() > 0;
    if !together {
        let first = generating.iter().chain(&prompts).min_by_key(|n| ready[**n].turn);
        if let Some(first) = first {
            plan.give(*first, budget);
        }
        return plan.shares;
    }
    let left = plan.generate(&generating, !prompts.is_empty(), budget);
    plan.prompts(
        &prompts,
        if generating.is_empty() {
            room.most()
        } else {
            left.max(2)
        },
    );
    plan.shares
}

/// A plan being made.
struct Plan<'r> {
    ready: &'r [Ready],
    room: Room,
    shares: Vec<usize>,
}

impl Plan<'_> {
    /// Sequences that generate, or those whose prompts are read, with something to read.
    fn those(&self, generates: bool) -> Vec<usize> {
        let wanted = |ready: &Ready| ready.tokens > 0 && ready.generates == generates;
        let all = self.ready.iter().enumerate();
        all.filter(|(_, ready)| wanted(ready)).map(|(n, _)| n).collect()
    }

    /// Gives at most so many rows to a sequence: how many it got.
    fn give(&mut self, n: usize, most: usize) -> usize {
        let rows = self.ready[n].tokens.min(most.max(1)).min(self.room.most());
        if rows > 0 {
            self.shares[n] = rows;
            self.room = self.room.without(rows);
        }
        rows
    }

    /// Gives sequences that generate a row each, and more of the budget where they have more to read and nobody goes without
    /// a row for it: what is left of the budget.
    fn generate(&mut self, those: &[usize], prompts: bool, budget: usize) -> usize {
        let padding = self.room.most().saturating_sub(1 + self.room.without(1).most());
        let mut left = budget;
        for (place, n) in those.iter().enumerate() {
            if self.room.without(1).most() < usize::from(prompts) || self.room.most() == 0 {
                break;
            }
            let others = those.len() - place - 1 + usize::from(prompts);
            let spare = self.room.most().saturating_sub(1 + others * (1 + padding));
            left -= self.give(*n, 1 + spare.min(left)).saturating_sub(1);
        }
        left
    }

    /// Shares a budget among prompts: the oldest, then the others by the time that they waited.
    fn prompts(&mut self, prompts: &[usize], budget: usize) {
        let [oldest, rest @ ..] = prompts else { return };
        let both = self.room.most_of_two();
        let mut left = budget;
        if !rest.is_empty() && both < 2 {
            let first = prompts.iter().min_by_key(|n| self.ready[**n].turn);
            self.give(*first.unwrap_or(oldest), left);
            return;
        }
        let most = match rest {
            [] => left,
            _ => {
                let others = (left / 4).max(1);
                (left - others).min(both - others.min(both - 1)).max(1)
            }
        };
        left = left.saturating_sub(self.give(*oldest, most));
        for n in rest {
            if left == 0 {
                break;
            }
            left -= self.give(*n, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Mix;

    fn room(rows: usize, padding: usize) -> Room {
        Room::new(rows, padding)
    }

    fn generates(turn: u64) -> Ready {
        Ready {
            tokens: 1,
            generates: true,
            turn,
        }
    }

    fn prompt(tokens: usize, turn: u64) -> Ready {
        Ready {
            tokens,
            generates: false,
            turn,
        }
    }

    #[test]
    fn all_that_generate_come_before_prompts_within_their_budget() {
        let ready = [generates(5), prompt(100, 0), generates(5), prompt(100, 0)];
        assert_eq!(plan(&ready, room(64, 0), 16), [1, 12, 1, 4]);
        assert_eq!(plan(&ready[1..2], room(64, 0), 16), [64]);
        assert_eq!(
            plan(&[prompt(3, 0), prompt(9, 0), generates(1)], room(64, 0), 8),
            [3, 5, 1]
        );
        assert_eq!(plan(&[], room(64, 0), 16), [0; 0]);
    }

    #[test]
    fn drafts_get_what_others_leave() {
        let drafts = |tokens| Ready { tokens, ..generates(5) };
        assert_eq!(plan(&[drafts(9), drafts(1), drafts(9)], room(64, 0), 16), [9, 1, 9]);
        assert_eq!(plan(&[drafts(9), drafts(9)], room(64, 0), 10), [9, 3]);
        assert_eq!(plan(&[drafts(9), drafts(9), prompt(9, 0)], room(7, 0), 10), [5, 1, 1]);
        assert_eq!(plan(&[drafts(9), drafts(9)], room(16, 5), 10), [9, 2]);
    }

    #[test]
    fn prompts_after_the_oldest_take_turns() {
        let ready = [generates(3), prompt(100, 3), prompt(100, 3), prompt(100, 2)];
        assert_eq!(plan(&ready, room(64, 0), 16), [1, 12, 0, 4]);
    }

    #[test]
    fn a_step_is_never_overfull_and_nobody_waits_for_long() {
        let mut mix = Mix(7);
        let mut below = |bound: u64| (mix.next() % bound) as usize;
        for case in 0..2000 {
            let (rows, padding, budget) = (1 + below(40), below(30), 1 + below(20));
            let count = 1 + below(12);
            let mut ready: Vec<Ready> = (0..count)
                .map(|_| match below(2) {
                    0 => Ready {
                        tokens: 1 + below(3) * below(4),
                        ..generates(0)
                    },
                    _ => prompt(1 + below(50), 0),
                })
                .collect();
            for step in 1..60_u64 {
                let shares = plan(&ready, room(rows, padding), budget);
                let segments = shares.iter().filter(|share| **share > 0).count();
                let taken: usize = shares.iter().sum();
                assert!(segments > 0, "case {case}: nobody is served");
                assert!(taken + (segments - 1) * padding <= rows, "case {case}: {shares:?}");
                for (one, share) in ready.iter_mut().zip(&shares) {
                    assert!(*share <= one.tokens);
                    if *share > 0 {
                        one.turn = step;
                    }
                    let waited = step - one.turn;
                    assert!(waited <= 2 * count as u64, "case {case}, step {step}: {ready:?}");
                }
            }
        }
    }
}
