//! Numbers of entries of small policies, which follow on paper.

use super::*;
use seqc_ir::{
    BinaryOp, PairExpr,
    policy::{ENDED, ENTRIES, Eviction, Kind, MEMORIES, READING, Recurrence, Sight},
};

fn number(x: f64) -> PairExpr {
    PairExpr::Const(x)
}

fn op(op: BinaryOp, x: PairExpr, y: PairExpr) -> PairExpr {
    PairExpr::binary(op, x, y)
}

/// `i - j < tokens`
fn newest(tokens: f64) -> PairExpr {
    let age = op(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos);
    op(BinaryOp::Lt, age, number(tokens))
}

fn policy(at: PairExpr, keep: PairExpr) -> Policy {
    Policy {
        evict: Some(Eviction { at, keep }),
        sights: vec![Sight {
            seen: None,
            query: PairExpr::QueryPos,
            key: PairExpr::KeyPos,
        }],
        ..Policy::default()
    }
}

/// The `k` entries with the largest sums of weights.
fn with_top(policy: Policy, k: f64) -> Policy {
    let mass = op(BinaryOp::Add, PairExpr::KeyStream(MEMORIES), PairExpr::Score);
    let top = Kind::Top {
        by: PairExpr::KeyStream(MEMORIES),
        count: number(k),
        among: number(1.0),
        heads: false,
    };
    Policy {
        memories: vec![Recurrence {
            name: "mass".to_owned(),
            init: 0.0,
            next: mass,
            each: false,
        }],
        definitions: vec![seqc_ir::policy::Definition {
            name: "top".to_owned(),
            kind: top,
        }],
        ..policy
    }
}

/// Whether [`with_top`] keeps an entry.
fn is_top() -> PairExpr {
    PairExpr::KeyStream(MEMORIES + 1)
}

fn all(entries: &PolicyEntries, lengths: &[(usize, usize)]) -> Vec<f64> {
    let count = |(tokens, prompt): &(usize, usize)| entries.count(Share::All, *tokens, Some(*prompt));
    lengths.iter().map(count).collect()
}

#[test]
fn a_window_is_full_at_its_size() {
    let entries = PolicyEntries::new(&policy(number(1.0), newest(60.0)), 2);
    assert_eq!(entries.words(Share::All), "min(T, 60)");
    assert_eq!(
        all(&entries, &[(0, 0), (7, 3), (60, 60), (1 << 20, 5)]),
        [0.0, 14.0, 120.0, 120.0]
    );
    assert_eq!(entries.growth_at_end(Share::All), Some((2, Some(60))));
}

#[test]
fn what_decides_at_the_end_of_a_prompt_grows_behind_it() {
    let cut = with_top(policy(PairExpr::QueryStream(ENDED), is_top()), 40.0);
    let entries = PolicyEntries::new(&cut, 1);
    assert_eq!(entries.words(Share::All), "T - P + 40");
    let lengths = [(20, 10), (30, 50), (100, 90), (5000, 4000), (1 << 20, 1 << 20)];
    assert_eq!(all(&entries, &lengths), [20.0, 30.0, 50.0, 1040.0, 40.0]);
    assert_eq!(entries.count(Share::All, 3000, None), 3000.0);
    assert_eq!(entries.growth_at_end(Share::All), Some((1, Some(40))));
}

#[test]
fn entries_that_leave_in_groups_are_a_remainder() {
    // From 48 entries on, every 16 tokens.
    let full = op(BinaryOp::Ge, PairExpr::QueryStream(ENTRIES), number(48.0));
    let entries = PolicyEntries::new(&policy(full, newest(32.0)), 1);
    assert_eq!(entries.words(Share::All), "T mod 16 + 32");
    assert_eq!(all(&entries, &[(47, 1), (48, 1), (1000, 1)]), [47.0, 32.0, 40.0]);
    // Not while the prompt is read, and a token later in each answer.
    let behind = op(BinaryOp::Eq, PairExpr::QueryStream(READING), number(0.0));
    let full = op(BinaryOp::Ge, PairExpr::QueryStream(ENTRIES), number(48.0));
    let at = op(BinaryOp::And, behind, full);
    let entries = PolicyEntries::new(&policy(at, newest(32.0)), 1);
    assert_eq!(entries.words(Share::All), "(T - P) mod 16 + 32");
    assert_eq!(all(&entries, &[(500, 500), (515, 500), (516, 500)]), [32.0, 47.0, 32.0]);
}

#[test]
fn heads_that_differ_are_added_up() {
    let first = op(BinaryOp::Eq, PairExpr::Head, number(0.0));
    let entries = PolicyEntries::new(&policy(number(1.0), op(BinaryOp::Or, first, newest(10.0))), 2);
    assert_eq!(entries.words(Share::All), "(T + 10) / 2");
    assert_eq!(all(&entries, &[(4, 4), (100, 50)]), [8.0, 110.0]);
    assert_eq!(entries.growth_at_end(Share::All), None);
}

#[test]
fn numbers_that_depend_on_data_have_no_closed_form() {
    let either = with_top(policy(number(1.0), op(BinaryOp::Or, newest(20.0), is_top())), 20.0);
    let entries = PolicyEntries::new(&either, 1);
    assert_eq!(entries.words(Share::All), "at most T");
    let kept = entries.at_end(Share::All, 300);
    assert!((20.0..=40.0).contains(&kept), "{kept}");
}

#[test]
fn a_threshold_may_keep_every_token() {
    for (than, few) in [(5.0, BinaryOp::Gt), (0.001, BinaryOp::Lt)] {
        let mut policy = policy(number(1.0), newest(8.0));
        policy.memories.push(Recurrence {
            name: "mass".to_owned(),
            init: 0.0,
            next: PairExpr::Score,
            each: false,
        });
        if let Some(evict) = &mut policy.evict {
            let mass = op(few, PairExpr::KeyStream(MEMORIES), number(than));
            evict.keep = op(BinaryOp::Or, newest(8.0), mass);
        }
        let entries = PolicyEntries::new(&policy, 1);
        assert_eq!(entries.words(Share::All), "at most T");
        assert_eq!(all(&entries, &[(300, 1)]), [300.0]);
    }
}

#[test]
fn without_a_closed_form_long_contexts_go_on_as_before() {
    // The window grows with the square root of the position.
    let root = PairExpr::Unary(seqc_ir::UnaryOp::Sqrt, Box::new(PairExpr::QueryPos));
    let age = op(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos);
    let entries = PolicyEntries::new(&policy(number(1.0), op(BinaryOp::Lt, age, root)), 1);
    assert_eq!(entries.words(Share::All), "at most T");
    assert_eq!(all(&entries, &[(101, 1)]), [10.0]);
    let far = entries.at_end(Share::All, 2 * LONGEST);
    assert!((200.0..300.0).contains(&far), "{far}");
}

#[test]
fn a_token_sees_what_its_sights_admit_and_entries_leave_at_their_time() {
    let every = op(
        BinaryOp::Eq,
        op(BinaryOp::Mod, PairExpr::QueryPos, number(4.0)),
        number(0.0),
    );
    let mut window = policy(every, newest(100.0));
    window.sights[0].seen = Some(newest(20.0));
    let entries = PolicyEntries::new(&window, 2);
    let next = entries.next(1000, None);
    assert_eq!((next.seen, next.events), (20.0, 0.25));
    assert_eq!(entries.next(9, Some(9)).seen, 10.0);
    assert_eq!(entries.next(1 << 20, None).seen, 20.0);
    window.evict = None;
    window.sights[0].seen = None;
    let all = PolicyEntries::new(&window, 2).next(1 << 20, None);
    assert_eq!((all.seen, all.events), (f64::from(1 << 20), 0.0));
}
