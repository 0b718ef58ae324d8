//! The verifier of kernels: for each law functions that break it.

use seqc_abi::symbols::BARRIER;
use seqc_kernel::{
    Axis, Binary, Block, Cast, Cmp, Const, For, Func, If, Inst, Intrinsic, Module, Reduction, Scalar, Space, Team, Ty,
    Unary, Val,
    verify::{Violation, verify},
};

const F32X8: Ty = Ty::V(8, Scalar::F32);

/// A function of a pointer, an index, a float and a vector; what it breaks is written by `write`.
fn broken(write: impl FnOnce(&mut Func)) -> Vec<Violation> {
    let mut module = Module::default();
    let mut f = Func::new("broken", &[Ty::GLOBAL, Ty::I64, Ty::F32, F32X8], None);
    write(&mut f);
    module.declare("other", &[Ty::I64], Some(Ty::F32));
    module.declare(BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64], None);
    module.add_table("table", &[1, 2]);
    module.declare("reads", &[Ty::GENERIC], None);
    module.add(meets());
    module.add(f);
    verify(&module)
}

/// A function that meets the others of a team, called with a pointer.
fn meets() -> Func {
    let mut f = Func::new("meets", &[Ty::GLOBAL], None);
    let (p, zero, two) = (f.param(0), f.i64(0), f.i64(2));
    f.call(BARRIER, &[p, zero, two], None);
    f
}

/// One more value of a type, which nothing defines.
fn nothing(ty: Ty) -> Val {
    next(ty, 0)
}

/// Another one for each number.
fn next(ty: Ty, number: i64) -> Val {
    let mut f = Func::new("elsewhere", &[], None);
    (0..1000 + number).fold(f.zero(ty), |_, n| f.int(Ty::I64, n)).with(ty)
}

trait With {
    fn with(self, ty: Ty) -> Val;
}

impl With for Val {
    fn with(mut self, ty: Ty) -> Val {
        self.ty = ty;
        self
    }
}

type Case = (u8, &'static str, fn(&mut Func));

const CASES: &[Case] = &[
    (1, "defined twice", |f| {
        let a = f.param(2);
        f.push(Inst::Unary {
            op: Unary::Neg,
            out: a,
            a,
        });
    }),
    (1, "used with another type", |f| {
        let a = f.param(1).with(Ty::F32);
        f.neg(a);
    }),
    (2, "defined nowhere", |f| {
        let a = nothing(Ty::F32);
        f.neg(a);
    }),
    (2, "defined in a loop that is over", |f| {
        let (zero, n) = (f.i64(0), f.param(1));
        let mut inner = zero;
        f.for_each(zero, n, 1, |f, i| inner = f.add(i, n));
        f.add(inner, n);
    }),
    (2, "defined in the other branch", |f| {
        let (cond, a) = (f.i1(true), f.param(2));
        let mut inner = a;
        f.if_then(cond, |f| inner = f.neg(a));
        f.neg(inner);
    }),
    (2, "defined later", |f| {
        let a = f.param(2);
        let next = f.neg(a);
        let last = f.neg(next);
        f.at_start(|f| f.neg(last));
    }),
    (3, "a constant behind the start", |f| {
        let out = nothing(Ty::I64);
        f.push(Inst::Const {
            out,
            value: Const::Int(1),
        });
    }),
    (4, "an integer out of range", |f| {
        f.int(Ty::S(Scalar::I8), 256);
    }),
    (4, "bits of a float as an integer", |f| {
        f.float(Ty::I64, 1.0);
    }),
    (5, "types that differ", |f| {
        let (a, b) = (f.param(1), f.param(2));
        f.add(a, b);
    }),
    (5, "bits of floats", |f| {
        let a = f.param(2);
        f.and(a, a);
    }),
    (5, "the sign of an integer", |f| {
        let a = f.param(1);
        f.neg(a);
    }),
    (5, "rounding an integer once", |f| {
        let a = f.param(1);
        f.fma(a, a, a);
    }),
    (5, "comparing pointers", |f| {
        let p = f.param(0);
        f.cmp(Cmp::Eq, p, p);
    }),
    (5, "selecting between types", |f| {
        let (cond, a, b) = (f.i1(true), f.param(1), f.param(2));
        f.select(cond, a, b);
    }),
    (6, "a comparison that is a number", |f| {
        let (out, a) = (nothing(Ty::I64), f.param(2));
        f.push(Inst::Compare {
            cmp: Cmp::Lt,
            out,
            a,
            b: a,
        });
    }),
    (6, "a mask of other lanes", |f| {
        let (n, v) = (f.param(1), f.param(3));
        let mask = f.tail_mask(n, 16);
        f.select(mask, v, v);
    }),
    (6, "a branch on a number", |f| {
        let n = f.param(1);
        f.if_then(n, |_| ());
    }),
    (7, "widening to what is narrow", |f| {
        let n = f.param(1);
        f.convert(Cast::SignExtend, n, Scalar::I32);
    }),
    (7, "a float from a float", |f| {
        let a = f.param(2);
        f.convert(Cast::SignedToFloat, a, Scalar::F32);
    }),
    (7, "bits of another size", |f| {
        let a = f.param(2);
        f.bitcast(a, Ty::I64);
    }),
    (8, "a lane that there is not", |f| {
        let v = f.param(3);
        f.shuffle(v, v, &[0, 16]);
    }),
    (8, "a scalar of another type", |f| {
        let (n, v) = (f.param(1), f.param(3));
        f.insert(n, v, 0);
    }),
    (8, "a sum of a scalar", |f| {
        let (out, a) = (nothing(Ty::F32), f.param(2));
        f.push(Inst::Reduce {
            op: Reduction::Add,
            out,
            a,
        });
    }),
    (8, "an intrinsic of other lanes", |f| {
        let v = f.param(3);
        f.intrinsic(Intrinsic::Permute, &[v, v]);
    }),
    (8, "products of what are no bytes", |f| {
        let sums = f.zero(Ty::V(4, Scalar::I32));
        f.intrinsic(Intrinsic::DotBytes, &[sums, sums, sums]);
    }),
    (8, "products of what are no words", |f| {
        let sums = f.zero(Ty::V(4, Scalar::I32));
        f.intrinsic(Intrinsic::DotWords, &[sums, sums, sums]);
    }),
    (8, "products of bytes of other lanes", |f| {
        let (sums, bytes) = (f.zero(Ty::V(4, Scalar::I32)), f.zero(Ty::V(16, Scalar::I8)));
        f.intrinsic(Intrinsic::DotUnsignedBytes, &[sums, bytes, bytes]);
    }),
    (8, "sums of products of bytes that are no words", |f| {
        let (sums, bytes) = (f.zero(Ty::V(8, Scalar::I32)), f.zero(Ty::V(32, Scalar::I8)));
        f.intrinsic(Intrinsic::DotUnsignedPairs, &[sums, bytes, bytes]);
    }),
    (8, "signs of what are no bytes", |f| {
        let words = f.zero(Ty::V(16, Scalar::I16));
        f.intrinsic(Intrinsic::TakeSign, &[words, words]);
    }),
    (8, "bytes that are looked up in words", |f| {
        let (words, places) = (f.zero(Ty::V(16, Scalar::I16)), f.zero(Ty::V(16, Scalar::I8)));
        f.intrinsic(Intrinsic::PermuteBytes, &[words, places]);
    }),
    (8, "products of what are no numbers of bfloat16", |f| {
        let sums = f.zero(Ty::V(16, Scalar::F32));
        f.intrinsic(Intrinsic::DotBf16, &[sums, sums, sums]);
    }),
    (9, "loading from a number", |f| {
        let n = f.param(1);
        f.load(n, Ty::F32);
    }),
    (9, "an index that is a float", |f| {
        let (p, a) = (f.param(0), f.param(2));
        f.gep(p, a, Scalar::F32);
    }),
    (9, "alignment of three bytes", |f| {
        let (ptr, value) = (f.param(0), f.param(2));
        f.push(Inst::Store { value, ptr, align: 3 });
    }),
    (9, "a truth value in memory", |f| {
        let (p, truth) = (f.param(0), f.i1(true));
        f.store(truth, p);
    }),
    (9, "a gather from one pointer", |f| {
        let (p, n) = (f.param(0), f.param(1));
        let mask = f.tail_mask(n, 1);
        f.gather(p, mask, Scalar::F32);
    }),
    (10, "a mask of other lanes in memory", |f| {
        let (p, n) = (f.param(0), f.param(1));
        let mask = f.tail_mask(n, 4);
        f.masked_load(p, mask, F32X8);
    }),
    (11, "counting in floats", |f| {
        let (a, one) = (f.param(2), f.i64(1));
        f.for_loop(a..a, one, &[], |_, _, _| Vec::new());
    }),
    (11, "carrying on another type", |f| {
        let (n, one, a) = (f.param(1), f.i64(1), f.param(2));
        f.for_loop(one..n, one, &[a], |_, i, _| vec![i]);
    }),
    (11, "carrying on less", |f| {
        let (n, one, a) = (f.param(1), f.i64(1), f.param(2));
        f.for_loop(one..n, one, &[a], |_, _, _| Vec::new());
    }),
    (12, "branches of two types", |f| {
        let (cond, n, a) = (f.i1(true), f.param(1), f.param(2));
        f.if_else(cond, |_| vec![n], |_| vec![a]);
    }),
    (12, "a branch that gives nothing", |f| {
        let (cond, n) = (f.i1(true), f.param(1));
        f.if_else(cond, |_| vec![n], |_| Vec::new());
    }),
    (13, "calling what there is not", |f| {
        f.call("nobody", &[], None);
    }),
    (13, "calling with other arguments", |f| {
        let a = f.param(2);
        f.call("other", &[a], Some(Ty::F32));
    }),
    (13, "calling for another result", |f| {
        let n = f.param(1);
        f.call("other", &[n], None);
    }),
    (13, "calling with memory of another space", |f| {
        let slots = f.stack(1);
        f.call("meets", &[slots], None);
    }),
    (13, "calling with memory of some space where one is asked for", |f| {
        let (cond, p, slots) = (f.i1(true), f.param(0), f.stack(1));
        let either = f.if_else(cond, |_| vec![p], |_| vec![slots]);
        f.call("meets", &either, None);
    }),
    (14, "an address of nothing", |f| {
        f.address_of("nobody");
    }),
    (15, "a result of a function without one", |f| {
        let a = f.param(2);
        f.ret(a);
    }),
    (15, "a return in a branch", |f| {
        let (cond, a) = (f.i1(true), f.param(2));
        f.if_then(cond, |f| f.ret(a));
    }),
    (17, "carrying over the team", |f| {
        let (n, a, one) = (f.param(1), f.param(2), f.i64(1));
        let (iv, carried, out) = (nothing(Ty::I64), next(Ty::F32, 1), next(Ty::F32, 2));
        f.push(Inst::For(Box::new(For {
            axis: Axis::Team,
            iv,
            low: one,
            high: n,
            step: one,
            init: vec![a],
            carried: vec![carried],
            body: Block {
                insts: Vec::new(),
                yields: vec![carried],
            },
            out: vec![out],
        })));
    }),
    (17, "a barrier inside a loop over the team", |f| {
        let (p, n, team) = (f.param(0), f.param(1), team(f));
        f.team_for(team.cyclic(n), |f, _| {
            f.call(BARRIER, &[p, team.tid, team.threads], None);
        });
    }),
    (17, "a loop over the team inside another", |f| {
        let (n, team) = (f.param(1), team(f));
        f.team_for(team.cyclic(n), |f, i| {
            let within = f.team_indices(team, i);
            f.team_for(within, |_, _| ());
        });
    }),
    (17, "a call that meets the team inside a loop over it", |f| {
        let (p, n, team) = (f.param(0), f.param(1), team(f));
        f.team_for(team.cyclic(n), |f, i| {
            let zero = f.i64(0);
            f.for_each(zero, i, 1, |f, _| {
                f.call("meets", &[p], None);
            });
        });
    }),
    (18, "an offset into another space", |f| {
        let (base, index, out) = (f.param(0), f.param(1), nothing(Ty::SCRATCH));
        f.push(Inst::Offset {
            out,
            base,
            index,
            elem: Scalar::F32,
        });
    }),
    (18, "pointers into another space", |f| {
        let (base, index) = (f.param(0), f.iota(8));
        let out = nothing(Ty::PtrV(8, Space::Private));
        f.push(Inst::Offset {
            out,
            base,
            index,
            elem: Scalar::F32,
        });
    }),
    (18, "constants that all can write", |f| {
        let (out, global) = (nothing(Ty::GLOBAL), "table".to_owned());
        f.push(Inst::Address { out, global });
    }),
    (18, "a stack that others see", |f| {
        let (out, count) = (nothing(Ty::GLOBAL), f.param(1));
        f.push(Inst::Stack {
            out,
            count,
            elem: Scalar::F32,
        });
    }),
    (19, "writing a constant", |f| {
        let (table, n) = (f.address_of("table"), f.param(1));
        f.store(n, table);
    }),
    (19, "writing lanes of a constant", |f| {
        let (table, n, v) = (f.address_of("table"), f.param(1), f.param(3));
        let mask = f.tail_mask(n, 8);
        f.masked_store(v, table, mask);
    }),
    (19, "a pointer to the stack where others see it", |f| {
        let (p, slots) = (f.param(0), f.stack(1));
        f.store(slots, p);
    }),
    (20, "a number of 64 bits among floats", |f| {
        let (p, n) = (f.param(0), f.param(1));
        let p = f.gep(p, n, Scalar::F32);
        f.load(p, Ty::I64);
    }),
    (20, "a pointer among floats", |f| {
        let (p, n) = (f.param(0), f.param(1));
        let place = f.gep(p, n, Scalar::F32);
        f.store(p, place);
    }),
    (20, "floats side by side among slots", |f| {
        let (p, n) = (f.param(0), f.param(1));
        let p = f.gep(p, n, Scalar::I64);
        f.load(p, F32X8);
    }),
    (20, "gathering halves among floats", |f| {
        let (p, places, truth) = (f.param(0), f.iota(8), f.int(Ty::V(8, Scalar::I1), 1));
        let places = f.gep(p, places, Scalar::F32);
        f.gather(places, truth, Scalar::F16);
    }),
];

/// The first of two.
fn team(f: &mut Func) -> Team {
    Team {
        tid: f.i64(0),
        threads: f.i64(2),
    }
}

#[test]
fn every_law_is_checked() {
    for (law, what, write) in CASES {
        let found: Vec<u8> = broken(write).iter().map(|v| v.law).collect();
        assert_eq!(found, [*law], "{what}");
    }
    let tested = |law| CASES.iter().any(|case| case.0 == law);
    assert!((1..=20).filter(|law| *law != 16).all(tested));
}

#[test]
fn names_do_not_repeat() {
    let mut module = Module::default();
    module.add(Func::new("twice", &[], None));
    module.add(Func::new("twice", &[], None));
    module.add_table("table", &[]);
    module.add_table("table", &[]);
    let found = verify(&module);
    let names: Vec<(u8, &str)> = found.iter().map(|v| (v.law, v.name.as_str())).collect();
    assert_eq!(names, [(16, "table"), (16, "twice")]);
}

#[test]
fn a_function_with_a_result_returns_it() {
    let mut module = Module::default();
    module.add(Func::new("silent", &[Ty::F32], Some(Ty::F32)));
    let found = verify(&module);
    assert_eq!(
        found[0].to_string(),
        "`silent` breaks law 15: does not end with a return of f32"
    );
}

#[test]
fn what_obeys_the_laws_is_accepted() {
    let found = broken(|f| {
        let (p, n, a, v) = (f.param(0), f.param(1), f.param(2), f.param(3));
        let (zero, one) = (f.i64(0), f.i64(1));
        let sums = f.for_loop(zero..n, one, &[v], |f, i, sums| {
            let p = f.gep(p, i, Scalar::F32);
            let x = f.load(p, F32X8);
            vec![f.fma(x, x, sums[0])]
        });
        let some = f.cmp(Cmp::Gt, n, zero);
        let sum = f.if_else(some, |f| vec![f.reduce_add(sums[0])], |_| vec![a]);
        let other = f.call("other", &[n], Some(Ty::F32)).unwrap_or(sum[0]);
        let sum = f.add(sum[0], other);
        f.store(sum, p);
        f.call("meets", &[p], None);
        let (slots, table) = (f.stack(1), f.address_of("table"));
        f.store(p, slots);
        let either = f.if_else(some, |_| vec![slots], |_| vec![table])[0];
        f.load(either, Ty::GLOBAL);
        let (byte, slot) = (f.gep(p, n, Scalar::I8), f.gep(p, n, Scalar::I64));
        f.load(byte, F32X8);
        f.load(slot, Ty::GLOBAL);
        f.load(slot, Ty::F32);
        f.call("reads", &[table], None);
        let team = team(f);
        let mine = f.team_range(team, n, 8);
        f.team_for(mine, |f, i| {
            let p = f.gep(p, i, Scalar::F32);
            f.for_each(zero, n, 1, |f, _| f.store(a, p));
        });
    });
    assert_eq!(found, []);
}

#[test]
fn a_violation_shows_the_instruction() {
    let found = broken(|f| {
        let (n, a) = (f.param(1), f.param(2));
        let out = nothing(Ty::F32);
        f.push(Inst::Binary {
            op: Binary::Add,
            out,
            a,
            b: n,
        });
        f.push(Inst::If(Box::new(If {
            cond: n,
            then: Default::default(),
            otherwise: Default::default(),
            out: vec![],
        })));
    });
    let shown: Vec<String> = found.iter().map(Violation::to_string).collect();
    assert!(shown[0].ends_with("add %2, %1"), "{shown:?}");
    assert!(shown[1].ends_with("if %1 {"), "{shown:?}");
}
