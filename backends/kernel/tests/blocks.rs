//! Members of a block: the memory that they share, matrices and copies in it, their barrier, and what breaks the laws of these.

use seqc_abi::{device::BLOCK_MEMBERS, symbols::BARRIER};
use seqc_kernel::{Cmp, Func, Inst, Module, Scalar, Space, Team, Ty, Val, interpret::Interpreter, verify::verify};

/// Lanes of a copy, of 16 bytes each.
const LANES: u32 = 8;

/// An entry `f(p, tid, threads)`.
fn module(write: impl FnOnce(&mut Func, Val, Team)) -> Module {
    let mut module = Module::default();
    module.declare(BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64], None);
    module.declare_blocks();
    let mut f = Func::exported("f", &[Ty::GLOBAL, Ty::I64, Ty::I64]);
    let (p, team) = (
        f.param(0),
        Team {
            tid: f.param(1),
            threads: f.param(2),
        },
    );
    write(&mut f, p, team);
    module.add(f);
    module
}

/// What a team says of an entry, and the words that it leaves: 32 for each member, which are their numbers at first.
fn run(threads: usize, write: impl FnOnce(&mut Func, Val, Team)) -> Result<Vec<u32>, String> {
    let module = module(write);
    assert_eq!(verify(&module), []);
    let mut interpreter = Interpreter::new(&module);
    let words: Vec<u8> = (0..32 * threads as u32).flat_map(u32::to_le_bytes).collect();
    let count = words.len();
    let p = interpreter.memory().allocate("words", words);
    let done = interpreter.entry("f", p, threads as u64);
    done.map_err(|fault| fault.message)?;
    let bytes = interpreter.memory().bytes(p, count, 4)?;
    let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    Ok(bytes.chunks_exact(4).map(word).collect())
}

/// Bytes from lane to lane.
fn steps(f: &mut Func) -> Val {
    let list: Vec<i64> = (0..i64::from(LANES)).map(|lane| 16 * lane).collect();
    f.lanes(Scalar::I64, &list)
}

/// Where 128 bytes of a member are behind one another, from `base` on.
fn own(f: &mut Func, base: Val, member: Val) -> Val {
    let bytes = f.i64(16 * i64::from(LANES));
    let before = f.mul(member, bytes);
    f.gep(base, before, Scalar::I8)
}

/// Each member copies its words into the memory of the block, of which `count` bytes of each lane.
fn copy(f: &mut Func, [p, memory]: [Val; 2], tid: Val, count: i64) {
    let (from, to, steps) = (own(f, p, tid), own(f, memory, tid), steps(f));
    let (from, to) = (f.gep(from, steps, Scalar::I8), f.gep(to, steps, Scalar::I8));
    let counts = f.int(Ty::V(LANES, Scalar::I32), count);
    f.copy_async(to, from, counts, 16);
    f.commit_copies();
}

/// Each member writes the words of the next one of the block that it finds in its memory.
fn exchange(f: &mut Func, [p, memory]: [Val; 2], team: Team) {
    let (own_place, one) = (f.block_member(team), f.i64(1));
    let next = f.add(own_place.member, one);
    let next = f.urem(next, own_place.members);
    let (theirs, steps) = (own(f, memory, next), steps(f));
    let rows = f.gep(theirs, steps, Scalar::I8);
    let words = f.load_matrices(rows);
    let to = own(f, p, team.tid);
    f.store(words, to);
}

/// Copies, waits and meets where `parts` says so.
fn round(f: &mut Func, p: Val, team: Team, [waits, meets]: [bool; 2]) {
    let memory = f.block_memory(p, team);
    let member = f.block_member(team).member;
    let from = {
        let first = f.sub(team.tid, member);
        own(f, p, first)
    };
    copy(f, [from, memory], member, 16);
    if waits {
        f.wait_copies(0);
    }
    if meets {
        f.block_barrier(p, team);
    }
    exchange(f, [p, memory], team);
    if !waits {
        f.wait_copies(0);
    }
}

#[test]
fn members_of_each_block_find_what_others_copied() {
    // Two blocks, of which the second one has three members.
    let threads = BLOCK_MEMBERS + 3;
    let found = run(threads, |f, p, team| round(f, p, team, [true, true])).expect("nothing is wrong");
    for (member, words) in found.chunks(32).enumerate() {
        let first = member / BLOCK_MEMBERS * BLOCK_MEMBERS;
        let members = BLOCK_MEMBERS.min(threads - first);
        let next = first + (member - first + 1) % members;
        let wanted: Vec<u32> = (32 * next as u32..).take(32).collect();
        assert_eq!(words, wanted, "member {member}");
    }
}

#[test]
fn a_missing_barrier_of_a_block_is_found() {
    let found = run(3, |f, p, team| round(f, p, team, [true, false]));
    let message = found.expect_err("members overtake each other");
    assert!(
        message.contains("the memory of a block, which another member has"),
        "{message}"
    );
}

#[test]
fn copies_that_nobody_waited_for_are_not_there() {
    let found = run(1, |f, p, team| {
        let memory = f.block_memory(p, team);
        copy(f, [p, memory], team.tid, 16);
        exchange(f, [p, memory], team);
        f.wait_copies(0);
    });
    assert_eq!(found, Ok(vec![u32::MAX; 32]));
    let found = run(1, |f, p, team| {
        let memory = f.block_memory(p, team);
        copy(f, [p, memory], team.tid, 16);
    });
    assert_eq!(found, Err("ends without waiting for its copies".to_owned()));
}

#[test]
fn the_last_groups_may_be_under_way_and_the_rest_of_a_copy_is_zeros() {
    let found = run(1, |f, p, team| {
        let memory = f.block_memory(p, team);
        copy(f, [p, memory], team.tid, 4);
        f.commit_copies();
        f.wait_copies(1);
        exchange(f, [p, memory], team);
    });
    let wanted: Vec<u32> = (0..32).map(|word| if word % 4 == 0 { word } else { 0 }).collect();
    assert_eq!(found, Ok(wanted));
}

#[test]
fn rows_that_are_not_aligned_are_refused() {
    let found = run(1, |f, p, team| {
        let memory = f.block_memory(p, team);
        let (four, steps) = (f.i64(4), steps(f));
        let memory = f.gep(memory, four, Scalar::I8);
        let rows = f.gep(memory, steps, Scalar::I8);
        f.load_matrices(rows);
    });
    let message = found.expect_err("four bytes off");
    assert!(message.contains("is not aligned to 16"), "{message}");
}

#[test]
fn members_of_a_block_that_wait_at_different_barriers_are_found() {
    let found = run(2, |f, p, team| {
        let zero = f.i64(0);
        let first = f.cmp(Cmp::Eq, team.tid, zero);
        f.if_else(
            first,
            |f| {
                f.block_barrier(p, team);
                Vec::new()
            },
            |f| {
                f.call(BARRIER, &[p, team.tid, team.threads], None);
                Vec::new()
            },
        );
    });
    let message = found.expect_err("they wait for each other");
    assert!(message.contains("wait at different barriers"), "{message}");
    let found = run(2, |f, p, team| {
        let zero = f.i64(0);
        let first = f.cmp(Cmp::Eq, team.tid, zero);
        f.if_then(first, |f| f.block_barrier(p, team));
    });
    let message = found.expect_err("one of them is alone");
    assert!(message.contains("did not meet at the same barriers"), "{message}");
}

/// The laws that a function breaks.
fn broken(write: impl FnOnce(&mut Func, Val, Team)) -> Vec<u8> {
    verify(&module(write)).into_iter().map(|found| found.law).collect()
}

#[test]
fn blocks_meet_in_loops_over_them_and_nowhere_else() {
    let found = broken(|f, p, team| {
        let block = f.block_member(team).block;
        f.blocks_for(block.cyclic(team.threads), |f, _| f.block_barrier(p, team));
    });
    assert_eq!(found, []);
    let found = broken(|f, p, team| {
        f.team_for(team.cyclic(team.threads), |f, _| f.block_barrier(p, team));
    });
    assert_eq!(found, [17]);
    let found = broken(|f, p, team| {
        let block = f.block_member(team).block;
        f.blocks_for(block.cyclic(team.threads), |f, _| {
            f.call(BARRIER, &[p, team.tid, team.threads], None);
        });
    });
    assert_eq!(found, [17]);
}

#[test]
fn matrices_and_copies_are_in_the_memory_of_a_block() {
    let elsewhere = broken(|f, p, _| {
        let steps = steps(f);
        let rows = f.gep(p, steps, Scalar::I8);
        f.load_matrices(rows);
        let counts = f.int(Ty::V(LANES, Scalar::I32), 16);
        f.copy_async(rows, rows, counts, 16);
    });
    assert_eq!(elsewhere, [21, 21]);
    let sizes = broken(|f, p, team| {
        let memory = f.block_memory(p, team);
        let steps = steps(f);
        let rows = f.gep(memory, steps, Scalar::I8);
        let counts = f.int(Ty::V(LANES, Scalar::I32), 8);
        f.copy_async(rows, rows, counts, 8);
        f.push(Inst::LoadMatrices { out: counts, rows });
    });
    assert_eq!(sizes, [21, 21, 1]);
    let kept = broken(|f, p, team| {
        let memory = f.block_memory(p, team);
        assert_eq!(memory.ty.space(), Some(Space::Shared));
        f.store(memory, p);
    });
    assert_eq!(kept, [19]);
}
