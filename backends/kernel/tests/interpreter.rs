//! The interpreter: what instructions mean, and what it refuses.

use seqc_abi::symbols::BARRIER;
use seqc_kernel::{
    Cast, Cmp, Func, Inst, Intrinsic, Module, Scalar, Space, Team, TeamRange, Ty, Unary, Val,
    interpret::{Fault, Interpreter},
};

/// The word that a function of words gives.
fn word(params: &[Ty], result: Ty, args: &[u64], write: impl FnOnce(&mut Func) -> Val) -> Result<u64, Fault> {
    let mut module = Module::default();
    let mut f = Func::new("f", params, Some(result));
    let value = write(&mut f);
    f.ret(value);
    module.add(f);
    Interpreter::new(&module).call("f", args)
}

fn bits(x: f32) -> u64 {
    u64::from(x.to_bits())
}

/// What a function of floats gives.
fn float(args: &[f32], write: impl FnOnce(&mut Func) -> Val) -> f32 {
    let (params, args) = (vec![Ty::F32; args.len()], args.iter().map(|x| bits(*x)));
    let found = word(&params, Ty::F32, &args.collect::<Vec<_>>(), write);
    f32::from_bits(found.unwrap_or_else(|fault| panic!("{fault}")) as u32)
}

/// What a function of integers gives.
fn integer(args: &[i64], write: impl FnOnce(&mut Func) -> Val) -> Result<i64, Fault> {
    let (params, args) = (vec![Ty::I64; args.len()], args.iter().map(|n| *n as u64));
    word(&params, Ty::I64, &args.collect::<Vec<_>>(), write).map(|word| word as i64)
}

/// Why a function of words stops.
fn refusal(params: &[Ty], args: &[u64], write: impl FnOnce(&mut Func)) -> String {
    let zero = |f: &mut Func| {
        write(f);
        f.i64(0)
    };
    match word(params, Ty::I64, args, zero) {
        Ok(_) => "nothing".to_owned(),
        Err(fault) => fault.message,
    }
}

#[test]
fn products_and_sums_round_once() {
    let (a, b) = (1.0 + f32::EPSILON, 1.0 - f32::EPSILON);
    let fused = float(&[a, b, -1.0], |f| f.fma(f.param(0), f.param(1), f.param(2)));
    assert_eq!(fused, -f32::EPSILON * f32::EPSILON);
    let apart = float(&[a, b, -1.0], |f| {
        let product = f.mul(f.param(0), f.param(1));
        f.add(product, f.param(2))
    });
    assert_eq!(apart, 0.0);
}

#[test]
fn comparisons_fail_for_what_is_no_number_but_inequality_holds() {
    let holds = |cmp| {
        float(&[f32::NAN, 1.0], |f| {
            let holds = f.cmp(cmp, f.param(0), f.param(1));
            f.convert(Cast::UnsignedToFloat, holds, Scalar::F32)
        })
    };
    let all = [Cmp::Lt, Cmp::Le, Cmp::Gt, Cmp::Ge, Cmp::Eq, Cmp::Ne];
    assert_eq!(all.map(holds), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn the_larger_number_is_not_hidden_by_what_is_none() {
    let of = |a, b| float(&[a, b], |f| f.max_number(f.param(0), f.param(1)));
    assert_eq!((of(f32::NAN, 1.0), of(1.0, f32::NAN), of(1.0, 2.0)), (1.0, 1.0, 2.0));
    // The comparison gives the second where it fails.
    let by_comparison = float(&[1.0, f32::NAN], |f| f.max(f.param(0), f.param(1)));
    assert!(by_comparison.is_nan());
}

#[test]
fn halves_round_to_even_and_signs_are_copied() {
    let round = |x| float(&[x], |f| f.unary(Unary::RoundEven, f.param(0)));
    assert_eq!([0.5, 1.5, 2.5, -0.5].map(round), [0.0, 2.0, 2.0, 0.0]);
    assert!(round(-0.5).is_sign_negative());
    assert_eq!(float(&[3.0, -0.0], |f| f.copy_sign(f.param(0), f.param(1))), -3.0);
}

#[test]
fn halves_and_brain_floats_become_floats() {
    let half = |bits: i64| {
        float(&[], |f| {
            let word = f.int(Ty::S(Scalar::I16), bits);
            let half = f.bitcast(word, Ty::S(Scalar::F16));
            f.convert(Cast::FloatExtend, half, Scalar::F32)
        })
    };
    let expected = [1.0, -2.0, 65504.0, 2_f32.powi(-24), 2_f32.powi(-14), f32::INFINITY];
    assert_eq!([0x3C00, 0xC000, 0x7BFF, 1, 0x0400, 0x7C00].map(half), expected);
    assert!(half(0x7E00).is_nan());
}

#[test]
fn integers_wrap_around_and_keep_their_width() {
    assert_eq!(integer(&[i64::MAX, 1], |f| f.add(f.param(0), f.param(1))), Ok(i64::MIN));
    let narrow = integer(&[200], |f| {
        let byte = f.convert(Cast::Truncate, f.param(0), Scalar::I8);
        let twice = f.add(byte, byte);
        f.convert(Cast::SignExtend, twice, Scalar::I64)
    });
    assert_eq!(narrow, Ok(i64::from(144_u8 as i8)));
    assert_eq!(integer(&[-7, 2], |f| f.div(f.param(0), f.param(1))), Ok(-3));
    assert_eq!(integer(&[-7, 2], |f| f.floor_div(f.param(0), f.param(1))), Ok(-4));
    assert_eq!(integer(&[-8, 1], |f| f.shr_signed(f.param(0), f.param(1))), Ok(-4));
    assert_eq!(integer(&[-8, 1], |f| f.shr(f.param(0), f.param(1))), Ok(i64::MAX - 3));
}

#[test]
fn floats_that_fit_no_integer_become_the_least_one() {
    let least = |x| {
        let found = word(&[Ty::F32], Ty::I64, &[bits(x)], |f| {
            let narrow = f.convert(Cast::FloatToSigned, f.param(0), Scalar::I32);
            f.convert(Cast::SignExtend, narrow, Scalar::I64)
        });
        found.map(|word| word as i64)
    };
    let low = Ok(i64::from(i32::MIN));
    assert_eq!([-2.9, f32::NAN, 3e9].map(least), [Ok(-2), low.clone(), low]);
}

#[test]
fn powers_of_two_scale_in_one_rounding() {
    let scaled = |p: f32, n: f32| {
        float(&[p, n], |f| {
            let (p, n) = (f.splat(f.param(0), 16), f.splat(f.param(1), 16));
            let (all, rounding) = (f.int(Ty::S(Scalar::I16), -1), f.int(Ty::S(Scalar::I32), 4));
            let all = f.intrinsic(Intrinsic::ScaleByPower, &[p, n, p, all, rounding]);
            f.extract(all, 7)
        })
    };
    assert_eq!((scaled(1.5, 3.9), scaled(1.0, -149.0)), (12.0, f32::from_bits(1)));
    assert_eq!((scaled(1.0, -151.0), scaled(1.0, 128.0)), (0.0, f32::INFINITY));
    assert!(scaled(0.0, f32::INFINITY).is_nan());
}

/// The last lane of a vector of integers.
fn last_lane(of: impl FnOnce(&mut Func) -> Val) -> Result<u64, Fault> {
    word(&[], Ty::I64, &[], |f| {
        let vector = of(f);
        let lane = f.extract(vector, i64::from(vector.ty.lanes()) - 1);
        f.convert(Cast::SignExtend, lane, Scalar::I64)
    })
}

#[test]
fn products_of_signed_bytes_and_words_are_added_to_each_lane() {
    let found = last_lane(|f| {
        let (ty, sums) = (Ty::V(16, Scalar::I8), f.int(Ty::V(4, Scalar::I32), 7));
        let (minus, least) = (f.int(ty, -1), f.int(ty, -128));
        f.intrinsic(Intrinsic::DotBytes, &[sums, minus, least])
    });
    assert_eq!(found, Ok(7 + 4 * 128));
    let found = last_lane(|f| {
        let (ty, sums) = (Ty::V(8, Scalar::I16), f.int(Ty::V(4, Scalar::I32), 5));
        let (some, least) = (f.int(ty, -3), f.int(ty, -32768));
        f.intrinsic(Intrinsic::DotWords, &[sums, some, least])
    });
    assert_eq!(found, Ok(5 + 2 * 3 * 32768));
    let found = last_lane(|f| {
        let (ty, sums) = (Ty::V(64, Scalar::I8), f.int(Ty::V(16, Scalar::I32), 9));
        let (most, minus) = (f.int(ty, -1), f.int(ty, -2));
        f.intrinsic(Intrinsic::DotUnsignedBytes, &[sums, most, minus])
    });
    assert_eq!(found.map(|word| word as i64), Ok(9 - 4 * 2 * 255));
    let found = float(&[], |f| {
        let (ty, sums) = (Ty::V(32, Scalar::I16), f.float(Ty::V(16, Scalar::F32), 0.5));
        // 1.5 and -2 in the upper halves of floats.
        let (a, b) = (f.int(ty, 0x3fc0), f.int(ty, 0xc000 - 0x1_0000));
        let halves = Ty::V(32, Scalar::Bf16);
        let (a, b) = (f.bitcast(a, halves), f.bitcast(b, halves));
        let sums = f.intrinsic(Intrinsic::DotBf16, &[sums, a, b]);
        f.extract(sums, 3)
    });
    assert_eq!(found, 0.5 - 6.0);
}

#[test]
fn pairs_of_products_are_limited_and_signs_are_taken() {
    let bytes = |f: &mut Func, numbers: [i64; 2]| numbers.map(|n| f.int(Ty::V(32, Scalar::I8), n));
    let pair = |factors: [i64; 2], start: i64| {
        last_lane(|f| {
            let ([w, x], start) = (bytes(f, factors), f.int(Ty::V(16, Scalar::I16), start));
            f.intrinsic(Intrinsic::DotUnsignedPairs, &[start, w, x])
        })
    };
    let found = [pair([-1, 127], 0), pair([-1, -128], 1), pair([15, -127], 5)];
    assert_eq!(found, [32767, -32767, 5 - 2 * 15 * 127].map(|n: i64| Ok(n as u64)));
    let signed = |numbers: [i64; 2]| {
        last_lane(|f| {
            let numbers = bytes(f, numbers);
            f.intrinsic(Intrinsic::TakeSign, &numbers)
        })
    };
    assert_eq!([[-5, -1], [5, 0], [7, 3]].map(signed), [Ok(5), Ok(0), Ok(7)]);
}

#[test]
fn lanes_are_moved_and_summed() {
    let found = float(&[], |f| {
        let (a, b) = (
            f.float_lanes(&[1.0, 2.0, 3.0, 4.0]),
            f.float_lanes(&[5.0, 6.0, 7.0, 8.0]),
        );
        let mixed = f.shuffle(a, b, &[7, 0, 6, 1]);
        let ten = f.f32(10.0);
        let mixed = f.insert(ten, mixed, 3);
        f.reduce_add(mixed)
    });
    assert_eq!(found, 8.0 + 1.0 + 7.0 + 10.0);
}

#[test]
fn loops_carry_values_and_branches_choose() {
    // The sum of the odd numbers below 10.
    let sum = integer(&[10], |f| {
        let (zero, one, two) = (f.i64(0), f.i64(1), f.i64(2));
        let n = f.param(0);
        let sums = f.for_loop(zero..n, one, &[zero], |f, i, sums| {
            let rest = f.urem(i, two);
            let odd = f.cmp(Cmp::Eq, rest, one);
            f.if_else(odd, |f| vec![f.add(sums[0], i)], |_| vec![sums[0]])
        });
        sums[0]
    });
    assert_eq!(sum, Ok(25));
    let none = integer(&[-3], |f| {
        let (zero, one) = (f.i64(0), f.i64(1));
        f.for_loop(zero..f.param(0), one, &[one], |_, i, _| vec![i])[0]
    });
    assert_eq!(none, Ok(1));
}

/// A function that stores twice the lanes of a mask.
fn doubling(lanes: u32) -> Module {
    let mut module = Module::default();
    let mut f = Func::new("double", &[Ty::GLOBAL, Ty::I64], None);
    let (p, n) = (f.param(0), f.param(1));
    let mask = f.tail_mask(n, lanes);
    let x = f.masked_load(p, mask, Ty::V(lanes, Scalar::F32));
    let twice = f.add(x, x);
    f.masked_store(twice, p, mask);
    module.add(f);
    module
}

#[test]
fn masked_lanes_are_not_touched() {
    let module = doubling(8);
    let mut interpreter = Interpreter::new(&module);
    let bytes: Vec<u8> = [1.0_f32, 2.0, 3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    // What is beyond the mask is beyond the allocation.
    let p = interpreter.memory().allocate("x", bytes);
    assert_eq!(interpreter.call("double", &[p, 3]), Ok(0));
    let bytes = interpreter.memory().bytes(p, 12, 4).map(<[u8]>::to_vec);
    assert_eq!(
        bytes,
        Ok([2.0_f32, 4.0, 6.0].iter().flat_map(|x| x.to_le_bytes()).collect())
    );
    let fault = interpreter.call("double", &[p, 4]).map_err(|fault| fault.to_string());
    let told = "`double`: 4 bytes at 12 of x, which has 12\n    %6: f32x8 = load %0 where %4 else [0.0; 8]";
    assert_eq!(fault, Err(told.to_owned()));
}

#[test]
fn accesses_out_of_place_are_refused() {
    let mut module = Module::default();
    module.add_table("table", &[1, 2]);
    let mut f = Func::new("read", &[Ty::I64], Some(Ty::I64));
    let table = f.address_of("table");
    let p = f.gep(table, f.param(0), Scalar::I8);
    let value = f.load(p, Ty::I64);
    f.ret(value);
    module.add(f);
    let mut f = Func::new("write", &[Ty::I64], None);
    let table = f.address_of("table");
    let slot = f.stack(1);
    let never = f.i1(false);
    let either = f.if_else(never, |_| vec![slot], |_| vec![table]);
    f.store(f.param(0), either[0]);
    module.add(f);
    let mut interpreter = Interpreter::new(&module);
    let mut told = |name: &str, n: i64| interpreter.call(name, &[n as u64]).map_err(|fault| fault.message);
    assert_eq!(told("read", 8), Ok(2));
    assert_eq!(told("read", 16), Err("8 bytes at 16 of table, which has 16".to_owned()));
    assert_eq!(told("read", 4), Err("byte 4 of table is not aligned to 8".to_owned()));
    assert!(told("read", -8).is_err());
    assert_eq!(told("write", 0), Err("writes the constant table".to_owned()));
}

#[test]
fn pointers_reach_memory_of_their_space_alone() {
    let mut module = Module::default();
    for (name, ty) in [
        ("global", Ty::GLOBAL),
        ("scratch", Ty::SCRATCH),
        ("generic", Ty::GENERIC),
    ] {
        let mut f = Func::new(name, &[ty], Some(Ty::F32));
        let p = f.param(0);
        let x = f.load(p, Ty::F32);
        f.store(x, p);
        let (lane, all) = (f.iota(1), f.int(Ty::V(1, Scalar::I1), 1));
        let lane = f.gep(p, lane, Scalar::F32);
        let x = f.gather(lane, all, Scalar::F32);
        let x = f.extract(x, 0);
        f.ret(x);
        module.add(f);
    }
    // What is loaded from a table says its space, too.
    let mut f = Func::new("of_table", &[Ty::GLOBAL], Some(Ty::F32));
    let p = f.load(f.param(0), Ty::SCRATCH);
    let x = f.load(p, Ty::F32);
    f.ret(x);
    module.add(f);
    let mut interpreter = Interpreter::new(&module);
    let memory = interpreter.memory();
    let weights = memory.allocate("weights", vec![0; 4]);
    let sums = memory.allocate_in(Space::Scratch, "sums", vec![0; 4]);
    let tables = [weights, sums].map(|p| memory.allocate("table", p.to_le_bytes().to_vec()));
    let mut told = |name: &str, p: u64| interpreter.call(name, &[p]).map_err(|fault| fault.message);
    for (name, place) in [
        ("global", weights),
        ("scratch", sums),
        ("generic", weights),
        ("generic", sums),
    ] {
        assert_eq!(told(name, place), Ok(0), "{name}");
    }
    let wrong = Err("reaches weights, which is global, through a pointer to scratch memory".to_owned());
    assert_eq!(told("scratch", weights), wrong);
    assert_eq!(told("of_table", tables[0]), wrong);
    assert_eq!(told("of_table", tables[1]), Ok(0));
    assert!(told("global", sums).is_err());
}

#[test]
fn stack_memory_ends_with_its_function() {
    let mut module = Module::default();
    let mut f = Func::new("leak", &[], Some(Ty::PRIVATE));
    let p = f.stack(2);
    f.ret(p);
    module.add(f);
    let mut f = Func::new("main", &[], Some(Ty::I64));
    let p = f.call("leak", &[], Some(Ty::PRIVATE));
    let value = f.load(p.unwrap_or_else(|| panic!("a pointer")), Ty::I64);
    f.ret(value);
    module.add(f);
    let found = Interpreter::new(&module)
        .call("main", &[])
        .map_err(|fault| fault.message);
    assert_eq!(found, Err("8 bytes at 0 of the stack, which has 0".to_owned()));
}

#[test]
fn what_has_no_meaning_is_refused() {
    let told = refusal(&[Ty::I64], &[0], |f| {
        let one = f.i64(1);
        f.udiv(one, f.param(0));
    });
    assert_eq!(told, "divides by zero");
    let told = refusal(&[Ty::I64], &[64], |f| {
        let one = f.i64(1);
        f.shl(one, f.param(0));
    });
    assert_eq!(told, "shifts 64 bits by 64");
    let told = refusal(&[Ty::I64], &[0], |f| {
        let one = f.i64(1);
        f.for_loop(one..one, f.param(0), &[], |_, _, _| Vec::new());
    });
    assert_eq!(told, "steps by 0");
    let told = refusal(&[Ty::GLOBAL], &[0], |f| {
        let (callee, args) = (f.param(0), Vec::new());
        f.push(Inst::CallPointer { callee, args });
    });
    assert_eq!(told, "calls through a pointer");
}

#[test]
fn functions_of_the_outside_are_called() {
    let mut module = Module::default();
    module.declare("twice", &[Ty::I64], Some(Ty::I64));
    let mut f = Func::new("main", &[Ty::I64], Some(Ty::I64));
    let result = f.call("twice", &[f.param(0)], Some(Ty::I64));
    f.ret(result.unwrap_or(f.param(0)));
    module.add(f);
    let mut interpreter = Interpreter::new(&module);
    assert!(interpreter.call("main", &[21]).is_err());
    interpreter.add_host("twice", |_, args| 2 * args[0]);
    assert_eq!(interpreter.call("main", &[21]), Ok(42));
}

/// An entry in which each thread stores its number, meets the others `meets` times, and stores the number of its neighbour.
fn neighbours(meets: usize) -> Module {
    let mut module = Module::default();
    module.declare(BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64], None);
    let mut f = Func::exported("entry", &[Ty::GLOBAL, Ty::I64, Ty::I64]);
    let (p, tid, threads) = (f.param(0), f.param(1), f.param(2));
    let own = f.gep(p, tid, Scalar::I64);
    f.store(tid, own);
    for _ in 0..meets {
        f.call(BARRIER, &[p, tid, threads], None);
    }
    let one = f.i64(1);
    let next = f.add(tid, one);
    let next = f.urem(next, threads);
    let other = f.gep(p, next, Scalar::I64);
    let other = f.load(other, Ty::I64);
    let behind = f.add(tid, threads);
    let result = f.gep(p, behind, Scalar::I64);
    f.store(other, result);
    module.add(f);
    module
}

#[test]
fn threads_see_what_others_stored_before_they_met() {
    let found = |meets: usize| {
        let module = neighbours(meets);
        let mut interpreter = Interpreter::new(&module);
        let p = interpreter.memory().allocate("numbers", vec![9; 8 * 6]);
        interpreter
            .entry("entry", p, 3)
            .unwrap_or_else(|fault| panic!("{fault}"));
        let bytes = interpreter.memory().bytes(p, 8 * 6, 8).map(<[u8]>::to_vec);
        let bytes = bytes.unwrap_or_else(|message| panic!("{message}"));
        [24, 32, 40].map(|at| bytes[at])
    };
    assert_eq!(found(1), [1, 2, 0]);
}

#[test]
fn threads_that_do_not_meet_are_found() {
    let mut module = Module::default();
    module.declare(BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64], None);
    let mut f = Func::exported("entry", &[Ty::GLOBAL, Ty::I64, Ty::I64]);
    let (p, tid, threads) = (f.param(0), f.param(1), f.param(2));
    let zero = f.i64(0);
    let first = f.cmp(Cmp::Eq, tid, zero);
    f.if_then(first, |f| {
        f.call(BARRIER, &[p, tid, threads], None);
    });
    module.add(f);
    let mut interpreter = Interpreter::new(&module);
    let p = interpreter.memory().allocate("frame", vec![0; 8]);
    let fault = interpreter.entry("entry", p, 2).map_err(|fault| fault.message);
    assert_eq!(fault, Err("threads did not meet at the same barriers".to_owned()));
}

#[test]
fn the_members_of_a_team_run_each_iteration_once() {
    let divisions: [fn(&mut Func, Team, Val) -> TeamRange; 4] = [
        |f, team, size| f.team_range(team, size, 1),
        |f, team, size| f.team_range(team, size, 4),
        |f, team, size| f.team_indices(team, size),
        |_, team, size| team.cyclic(size),
    ];
    for (n, divide) in divisions.into_iter().enumerate() {
        let mut module = Module::default();
        let mut f = Func::exported("entry", &[Ty::GLOBAL, Ty::I64, Ty::I64]);
        let (p, size, one) = (f.param(0), f.i64(10), f.i64(1));
        let team = Team {
            tid: f.param(1),
            threads: f.param(2),
        };
        let mine = divide(&mut f, team, size);
        let step = f.i64(if n == 1 { 4 } else { 1 });
        f.team_for(mine, |f, i| {
            let end = f.add(i, step);
            let end = f.min(end, size);
            f.for_each(i, end, 1, |f, i| {
                let p = f.gep(p, i, Scalar::I64);
                let times = f.load(p, Ty::I64);
                let times = f.add(times, one);
                f.store(times, p);
            });
        });
        module.add(f);
        let mut interpreter = Interpreter::new(&module);
        let p = interpreter.memory().allocate("numbers", vec![0; 80]);
        let ran = interpreter.entry("entry", p, 3);
        ran.unwrap_or_else(|fault| panic!("{fault}"));
        let bytes = interpreter.memory().bytes(p, 80, 8).map(<[u8]>::to_vec);
        let times: Vec<u8> = bytes.unwrap_or_default().into_iter().step_by(8).collect();
        assert_eq!(times, [1; 10], "division {n}");
    }
}
