//! Fibers that stand for the threads of a GPU's warp: code for devices, printed for this machine, runs one member of the team in
//! 32 of them, which take turns wherever lanes move or threads meet.
//!
//! A warp goes in rounds: every fiber runs up to its next meeting, then the next one does, and the first goes on when the last has come. All must come to meetings
//! of the same kind, which is checked.

#[path = "warp_block.rs"]
mod block;

use std::{arch::naked_asm, cell::RefCell, collections::VecDeque, process};

use crate::{DEVICE_MEMORY, seqc_barrier};

/// Threads of a member.
const THREADS: usize = 32;
/// Words that a thread has of the factors of a product of matrices.
const WORDS: usize = 6;
/// Bytes of a fiber's own stack.
const STACK: usize = 256 << 10;

/// What every fiber runs: `fn(arguments, stack)`, where the stack is the member's, which its threads share.
type Body = unsafe extern "C" fn(arguments: *const u64, stack: *mut u8);

/// Where fibers meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meeting {
    Sync,
    Shuffle,
    Matrix,
    Rows,
    Barrier,
    Block,
    End,
}

/// A copy under way: `count` bytes, and zeros up to all of them.
struct Copy {
    to: *mut u8,
    from: *const u8,
    count: usize,
    bytes: usize,
}

/// Copies that a thread did not wait for yet.
#[derive(Default)]
struct Copies {
    groups: VecDeque<Vec<Copy>>,
    /// Those of no group yet.
    open: Vec<Copy>,
}

/// Bytes of a row of a matrix.
const ROW: usize = 16;

/// The fibers of a thread of the pool.
struct Warp {
    /// Memory of all their stacks.
    stacks: Vec<u8>,
    /// Memory of the member's stack, in words that align it.
    shared: Vec<u128>,
    /// Where fibers that wait left their stacks; the last one is the caller's.
    waiting: [*mut u8; THREADS + 1],
    running: usize,
    /// What the first fiber of this round came to.
    meeting: Meeting,
    /// Values to shuffle, of this round and of the one before.
    lanes: [[u32; THREADS]; 2],
    /// Words of matrices, of which threads have some each.
    matrices: [[[u32; WORDS]; THREADS]; 2],
    /// Rows of matrices that threads point to.
    rows: [[*const u8; THREADS]; 2],
    rounds: [usize; THREADS],
    copies: [Copies; THREADS],
    call: Option<(Body, *const u64)>,
}

thread_local! {
    static WARP: RefCell<Option<Box<Warp>>> = const { RefCell::new(None) };
}

/// The warp of this thread. Fibers switch while they use it, so that it is not borrowed.
fn warp() -> *mut Warp {
    WARP.with(|warp| {
        let mut warp = warp.borrow_mut();
        let warp = warp.get_or_insert_with(|| {
            Box::new(Warp {
                stacks: vec![0; STACK * THREADS],
                shared: Vec::new(),
                waiting: [std::ptr::null_mut(); THREADS + 1],
                running: THREADS,
                meeting: Meeting::End,
                lanes: [[0; THREADS]; 2],
                matrices: [[[0; WORDS]; THREADS]; 2],
                rows: [[std::ptr::null(); THREADS]; 2],
                rounds: [0; THREADS],
                copies: Default::default(),
                call: None,
            })
        });
        &raw mut **warp
    })
}

/// Saves the registers that functions keep, and the stack, and goes on where `to` was left.
#[unsafe(naked)]
unsafe extern "C" fn switch(from: *mut *mut u8, to: *mut u8) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Runs `body` as the threads of one member.
///
/// # Safety
///
/// `body` is generated code for a device, and the rest what it expects.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_warp_run(body: Body, arguments: *const u64, stack_bytes: i64) {
    let warp = warp();
    // SAFETY: the warp is this thread's, and no fiber runs.
    unsafe {
        (*warp).shared.resize(stack_bytes as usize / size_of::<u128>() + 4, 0);
        (*warp).call = Some((body, arguments));
        (*warp).rounds = [0; THREADS];
        for thread in 0..THREADS {
            // As `switch` leaves a stack: six registers, and where to go on; behind that an entry is aligned as behind a call.
            let end = (*warp).stacks.as_mut_ptr().add(STACK * (thread + 1));
            let top = end.sub(end as usize % 16 + 24).cast::<u64>();
            *top = 0;
            *top.sub(1) = fiber as *const () as u64;
            (*warp).waiting[thread] = top.sub(7).cast();
        }
        (*warp).running = 0;
        switch(&raw mut (*warp).waiting[THREADS], (*warp).waiting[0]);
        if let Some(block) = block::last() {
            block.leave();
        }
    }
}

/// What a fiber begins with.
extern "C" fn fiber() {
    let warp = warp();
    // SAFETY: `seqc_warp_run` set the call, and the caller of that waits.
    unsafe {
        if let Some((body, arguments)) = (*warp).call {
            let shared = (*warp).shared.as_mut_ptr().cast::<u8>();
            body(arguments, shared.add(64 - shared as usize % 64));
        }
        come(warp, Meeting::End);
        let running = (*warp).running;
        let next = running + 1;
        (*warp).running = next;
        switch(&raw mut (*warp).waiting[running], (*warp).waiting[next]);
    }
    unreachable!("a fiber that ended goes on");
}

/// Checks that the running fiber comes to the meeting that the others came to.
unsafe fn come(warp: *mut Warp, meeting: Meeting) {
    // SAFETY: the warp is this thread's.
    unsafe {
        let running = (*warp).running;
        (*warp).rounds[running] += 1;
        if running == 0 {
            (*warp).meeting = meeting;
        } else if (*warp).meeting != meeting || (*warp).rounds[running] != (*warp).rounds[0] {
            eprintln!(
                "threads of a warp part: thread 0 came to {:?} and thread {running} to {meeting:?}, at meeting {}",
                (*warp).meeting,
                (*warp).rounds[running]
            );
            process::abort();
        }
    }
}

/// Lets the others come to the same meeting.
unsafe fn meet(warp: *mut Warp, meeting: Meeting) {
    // SAFETY: the warp is this thread's, and fibers that wait left their stacks in it.
    unsafe {
        come(warp, meeting);
        let running = (*warp).running;
        let next = (running + 1) % THREADS;
        (*warp).running = next;
        switch(&raw mut (*warp).waiting[running], (*warp).waiting[next]);
    }
}

/// The number of the running thread.
#[unsafe(no_mangle)]
pub extern "C" fn seqc_warp_lane() -> i32 {
    // SAFETY: the warp is this thread's.
    unsafe { (*warp()).running as i32 }
}

/// What thread `from` gave at this meeting.
#[unsafe(no_mangle)]
pub extern "C" fn seqc_warp_shuffle(value: i32, from: i32) -> i32 {
    let warp = warp();
    // SAFETY: the warp is this thread's. Values of the round before are read until the last fiber of this one came.
    unsafe {
        let running = (*warp).running;
        let round = ((*warp).rounds[running] + 1) % 2;
        (*warp).lanes[round][running] = value as u32;
        meet(warp, Meeting::Shuffle);
        (*warp).lanes[round][from as usize % THREADS] as i32
    }
}

/// The numbers of bfloat16 nearest to two others, the first one in the lower half.
#[unsafe(no_mangle)]
pub extern "C" fn seqc_warp_pairs(a: f32, b: f32) -> i32 {
    let half = |x: f32| {
        let bits = x.to_bits();
        match x.is_nan() {
            true => bits >> 16 | 0x40,
            false => (bits + 0x7FFF + (bits >> 16 & 1)) >> 16,
        }
    };
    (half(a) | half(b) << 16) as i32
}

/// Adds the product of two matrices of bfloat16 to the thread's entries of a third one, as `mma.sync.m16n8k16` does: six words of the factors, then
/// four sums.
///
/// # Safety
///
/// So many words are there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_warp_matrix(words: *mut u32) {
    let warp = warp();
    // SAFETY: the warp is this thread's, the caller's promise. Words of the round before are read until the last fiber of this one came.
    unsafe {
        let running = (*warp).running;
        let round = ((*warp).rounds[running] + 1) % 2;
        for n in 0..WORDS {
            (*warp).matrices[round][running][n] = *words.add(n);
        }
        meet(warp, Meeting::Matrix);
        let all = &raw const (*warp).matrices[round];
        let entry =
            |thread: usize, word: usize, k: usize| f32::from_bits(((*all)[thread][word] >> (16 * (k % 2))) << 16);
        let (group, within) = (running / 4, running % 4);
        for n in 0..4 {
            let (lower, column) = (n / 2, 2 * within + n % 2);
            let sum = words.add(WORDS).add(n).cast::<f32>();
            for k in 0..16 {
                let a = entry(4 * group + k % 8 / 2, lower + 2 * (k / 8), k);
                let b = entry(4 * column + k % 8 / 2, 4 + k / 8, k);
                *sum += a * b;
            }
        }
    }
}

/// What is no multiple would be a fault of a device.
fn aligned(address: *const u8, bytes: usize) {
    if !address.addr().is_multiple_of(bytes) {
        eprintln!("{address:?} is not aligned to {bytes} bytes");
        process::abort();
    }
}

/// The thread's words of `count` matrices, of whose rows each thread points to one, as `ldmatrix` does.
///
/// # Safety
///
/// So many words are there, and eight rows for each matrix.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_warp_load_matrices(row: *const u8, words: *mut u32, count: usize) {
    let warp = warp();
    // SAFETY: the warp is this thread's, the caller's promise. Rows of the round before are read until the last fiber of this one came.
    unsafe {
        let running = (*warp).running;
        let round = ((*warp).rounds[running] + 1) % 2;
        (*warp).rows[round][running] = row;
        meet(warp, Meeting::Rows);
        for n in 0..count {
            let row = (*warp).rows[round][8 * n + running / 4];
            aligned(row, ROW);
            *words.add(n) = *row.cast::<u32>().add(running % 4);
        }
    }
}

/// Starts a copy; until it arrives NaN is where it goes.
///
/// # Safety
///
/// The bytes are there, and nobody reads or writes them until the thread waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_warp_copy(to: *mut u8, from: *const u8, count: usize, bytes: usize) {
    aligned(to, bytes);
    if DEVICE_MEMORY && count > 0 {
        aligned(from, bytes);
    }
    if count > bytes {
        eprintln!("a copy of {bytes} bytes reads {count}");
        process::abort();
    }
    let warp = warp();
    // SAFETY: the warp is this thread's, the caller's promise.
    unsafe {
        to.write_bytes(0xFF, bytes);
        let copies = &mut (&mut (*warp).copies)[(*warp).running];
        copies.open.push(Copy { to, from, count, bytes });
    }
}

/// Makes a group of the copies that the thread has started.
#[unsafe(no_mangle)]
pub extern "C" fn seqc_warp_commit_copies() {
    let warp = warp();
    // SAFETY: the warp is this thread's.
    unsafe {
        let copies = &mut (&mut (*warp).copies)[(*warp).running];
        let group = std::mem::take(&mut copies.open);
        copies.groups.push_back(group);
    }
}

/// Lets the copies of all groups but the last ones arrive.
#[unsafe(no_mangle)]
pub extern "C" fn seqc_warp_wait_copies(left: i32) {
    let warp = warp();
    // SAFETY: the warp is this thread's; who started the copies promised that their bytes are there.
    unsafe {
        let copies = &mut (&mut (*warp).copies)[(*warp).running];
        while copies.groups.len() > left as usize {
            for copy in copies.groups.pop_front().unwrap_or_default() {
                copy.to.copy_from_nonoverlapping(copy.from, copy.count);
                copy.to.add(copy.count).write_bytes(0, copy.bytes - copy.count);
            }
        }
    }
}

/// The memory of the member's block.
#[unsafe(no_mangle)]
pub extern "C" fn seqc_warp_block_memory(barrier: *mut u8, tid: i64, threads: i64) -> *mut u8 {
    block::find(barrier, tid, threads).memory()
}

/// Returns when all threads of all members of the block have called it.
#[unsafe(no_mangle)]
pub extern "C" fn seqc_warp_block_barrier(barrier: *mut u8, tid: i64, threads: i64) {
    let warp = warp();
    // SAFETY: the warp is this thread's.
    unsafe {
        meet(warp, Meeting::Block);
        if (*warp).running == 0 {
            block::find(barrier, tid, threads).meet();
        }
        meet(warp, Meeting::Block);
    }
}

/// Returns when all threads of the warp have called it.
#[unsafe(no_mangle)]
pub extern "C" fn seqc_warp_meet() {
    // SAFETY: the warp is this thread's.
    unsafe { meet(warp(), Meeting::Sync) }
}

/// Returns when all threads of all members have called it: the first of each member waits for the others.
///
/// # Safety
///
/// As [`seqc_barrier`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_warp_barrier(barrier: *mut u8, tid: i64, threads: i64) {
    let warp = warp();
    // SAFETY: the warp is this thread's; the caller's promise.
    unsafe {
        meet(warp, Meeting::Barrier);
        if (*warp).running == 0 {
            if let Some(block) = block::last() {
                block.leave();
            }
            seqc_barrier(barrier, tid, threads);
        }
        meet(warp, Meeting::Barrier);
    }
}
