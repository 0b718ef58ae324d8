//! What members of a team do to the same memory between barriers.

use seqc_abi::symbols::BARRIER;
use seqc_kernel::{Cmp, Func, Module, Scalar, Ty, Val, interpret::Interpreter};

/// What a team of three says of `f(p, tid, threads)`, which may meet.
fn said(write: impl FnOnce(&mut Func, Val, &mut dyn FnMut(&mut Func))) -> String {
    let mut module = Module::default();
    module.declare(BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64], None);
    let mut f = Func::exported("f", &[Ty::GLOBAL, Ty::I64, Ty::I64]);
    let (p, tid, threads) = (f.param(0), f.param(1), f.param(2));
    write(&mut f, p, &mut |f| {
        f.call(BARRIER, &[p, tid, threads], None);
    });
    module.add(f);
    let mut interpreter = Interpreter::new(&module);
    let p = interpreter.memory().allocate("words", vec![0; 64]);
    // Every call begins anew.
    let all = (0..2).map(|_| interpreter.entry("f", p, 3));
    all.filter_map(Result::err)
        .map(|fault| fault.message)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Every member writes a word of its own, and reads that of the next one.
fn exchange(f: &mut Func, p: Val, between: &mut dyn FnMut(&mut Func)) {
    let (tid, threads, one) = (f.param(1), f.param(2), f.i64(1));
    let own = f.gep(p, tid, Scalar::I64);
    f.store(tid, own);
    between(f);
    let next = f.add(tid, one);
    let next = f.urem(next, threads);
    let theirs = f.gep(p, next, Scalar::I64);
    f.load(theirs, Ty::I64);
}

#[test]
fn a_missing_barrier_is_found() {
    let found = said(|f, p, _| exchange(f, p, &mut |_| {}));
    let why = "which another member has";
    assert!(found.contains(why), "{found}");
}

#[test]
fn members_that_meet_may_read_what_others_wrote() {
    let found = said(|f, p, meet| {
        exchange(f, p, meet);
        // The next call writes what was read.
        meet(f);
    });
    assert_eq!(found, "");
}

#[test]
fn writing_what_another_reads_is_found() {
    let found = said(|f, p, _| {
        let (tid, zero) = (f.param(1), f.i64(0));
        f.load(p, Ty::I64);
        let last = f.cmp(Cmp::Gt, tid, zero);
        f.if_then(last, |f| f.store(tid, p));
    });
    assert!(
        found.starts_with("writes byte 0 of words, which another member has read"),
        "{found}"
    );
}

#[test]
fn bytes_beside_each_other_are_of_different_members() {
    let found = said(|f, p, _| {
        let (tid, zero) = (f.param(1), f.int(Ty::S(Scalar::I8), 0));
        let own = f.gep(p, tid, Scalar::I8);
        f.store(zero, own);
    });
    assert_eq!(found, "");
}
