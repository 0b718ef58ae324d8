//! Micro-kernels of every target against the portable ones, under the interpreter.

use crate::support::Random;
use seqc_backends::{
    kernel::{Func, Module, Scalar, Space, Ty, Val, interpret::Interpreter, verify::verify},
    kernels::{RowForm, math::Range},
    targets::{MicroKernels, PORTABLE, Scaling, TargetInfo},
};

fn bytes<T: Copy, const N: usize>(values: &[T], word: fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|x| word(*x)).collect()
}

/// What a function `fn(x, y, n)` named `map` writes for some words.
fn run(module: &Module, x: Vec<u8>) -> Vec<f32> {
    assert_eq!(verify(module), []);
    let (n, mut interpreter) = (x.len() / 4, Interpreter::new(module));
    let x = interpreter.memory().allocate_constant("x", x);
    let y = interpreter.memory().allocate("y", vec![0xFF; 4 * n]);
    let done = interpreter.call("map", &[x, y, n as u64]);
    done.unwrap_or_else(|fault| panic!("{fault}"));
    read(&mut interpreter, y, n)
}

fn read(interpreter: &mut Interpreter<'_>, at: u64, n: usize) -> Vec<f32> {
    let found = interpreter.memory().bytes(at, 4 * n, 4).map(<[u8]>::to_vec);
    let found = found.unwrap_or_else(|message| panic!("{message}"));
    let word = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    found.chunks_exact(4).map(word).collect()
}

/// A module with `map`, which writes what `body` makes of each vector of the type.
fn map(ty: Ty, body: impl FnOnce(&mut Func, Val) -> Val) -> Module {
    let mut f = Func::new("map", &[Ty::GLOBAL, Ty::GLOBAL, Ty::I64], None);
    let (x, y, n, zero) = (f.param(0), f.param(1), f.param(2), f.i64(0));
    f.for_each(zero, n, i64::from(ty.lanes()), |f, i| {
        let p = f.gep(x, i, ty.scalar());
        let v = f.load(p, ty);
        let v = body(f, v);
        let p = f.gep(y, i, Scalar::F32);
        f.store(v, p);
    });
    let mut module = Module::default();
    module.add(f);
    module
}

fn of_lanes(lanes: u32, scalar: Scalar) -> Ty {
    if lanes == 1 {
        Ty::S(scalar)
    } else {
        Ty::V(lanes, scalar)
    }
}

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

#[test]
fn low_nibbles_of_every_target_are_the_portable_ones() {
    let all: Vec<i32> = (0..256).collect();
    for target in &TargetInfo::ALL {
        let ty = Ty::V(target.machine.lanes, Scalar::I32);
        let nibbles = |micro_kernels: &MicroKernels| {
            let module = map(ty, |f, x| {
                let fifteen = f.int(Ty::S(Scalar::I32), 15);
                (micro_kernels.low_nibbles)(f, x, fifteen)
            });
            run(&module, bytes(&all, i32::to_le_bytes))
        };
        let own = nibbles(&target.micro_kernels);
        assert_eq!(own, nibbles(&PORTABLE.micro_kernels), "{}", target.machine.name);
        assert_eq!(own[0x5A], 10.0);
    }
}

#[test]
fn scaled_nibbles_of_every_target_are_the_portable_ones() {
    let all: Vec<i32> = (0..256).collect();
    for target in &TargetInfo::ALL {
        let ty = Ty::V(target.machine.lanes, Scalar::I32);
        for (offset, minimum) in [(-8.0, None), (0.0, Some(0.3))] {
            let numbers = |micro_kernels: &MicroKernels, half: usize| {
                let module = map(ty, |f, x| {
                    let float = ty.with(Scalar::F32);
                    let scaling = Scaling {
                        offset,
                        scale: f.float(float, 0.7),
                        minimum: minimum.map(|m| f.float(float, m)),
                    };
                    (micro_kernels.scaled_nibbles)(f, x, scaling)[half]
                });
                run(&module, bytes(&all, i32::to_le_bytes))
            };
            for half in 0..2 {
                let own = numbers(&target.micro_kernels, half);
                assert_eq!(own, numbers(&PORTABLE.micro_kernels, half), "{}", target.machine.name);
                let (q, m) = ([10.0, 5.0][half], minimum.unwrap_or(0.0));
                assert!((own[0x5A] - ((q + offset) * 0.7 + m)).abs() < 1e-6, "{}", own[0x5A]);
            }
        }
    }
}

#[test]
fn bytes_of_nibbles_and_their_levels_of_every_target_are_the_portable_ones() {
    let all: Vec<u8> = (0..=255).collect();
    let levels = std::array::from_fn(|i| (16 * i as i32 - 128) as i8);
    for target in &TargetInfo::ALL {
        for half in [0..16, 16..32] {
            let half: Vec<i64> = half.collect();
            let words = |micro_kernels: &MicroKernels, are_levels: bool| {
                let module = map(Ty::V(4, Scalar::I32), |f, x| {
                    let sixteen = f.bitcast(x, Ty::V(16, Scalar::I8));
                    let mut q = (micro_kernels.nibbles)(f, sixteen);
                    if are_levels {
                        q = (micro_kernels.levels)(f, q, &levels);
                    }
                    let q = f.shuffle(q, q, &half);
                    f.bitcast(q, x.ty.with(Scalar::F32))
                });
                let words = run(&module, all.clone());
                words.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
            };
            for are_levels in [false, true] {
                let own = words(&target.micro_kernels, are_levels);
                assert_eq!(
                    own,
                    words(&PORTABLE.micro_kernels, are_levels),
                    "{}",
                    target.machine.name
                );
            }
            let first = words(&target.micro_kernels, false)[0].to_le_bytes();
            assert_eq!(first, if half[0] == 0 { [0, 1, 2, 3] } else { [0; 4] });
        }
    }
}

#[test]
fn powers_of_two_of_every_target_are_the_portable_ones() {
    let normal: Vec<f32> = (0..4096).map(|n| -124.4 + n as f32 * (252.3 / 4096.0)).collect();
    let limits = [f32::NEG_INFINITY, f32::NAN, -1000.0, -151.0, 0.0, -0.0, -1.0, -125.0];
    let above = [f32::INFINITY, 128.0, 200.0, 127.999, 1.0, 0.5, 1.5, 127.0];
    for target in &TargetInfo::ALL {
        let lanes = target.machine.lanes;
        for (lanes, range) in [1, lanes, 32]
            .iter()
            .flat_map(|n| [(n, Range::Any), (n, Range::NotPositive)])
        {
            let allowed = |x: &f32| range == Range::Any || x.is_nan() || *x <= 0.0;
            let mut x: Vec<f32> = normal.iter().copied().filter(allowed).collect();
            x.extend(limits.iter().chain(&above).copied().filter(allowed));
            x.resize(x.len().next_multiple_of(32), 0.0);
            let powers = |micro_kernels: &MicroKernels| {
                let module = map(of_lanes(*lanes, Scalar::F32), |f, x| (micro_kernels.exp2)(f, x, range));
                run(&module, bytes(&x, f32::to_le_bytes))
            };
            let (own, portable) = (powers(&target.micro_kernels), powers(&PORTABLE.micro_kernels));
            for ((x, own), portable) in x.iter().zip(own).zip(portable) {
                let name = target.machine.name;
                assert!(
                    same(own, portable),
                    "{name} {lanes} {range:?}: 2^{x} is {own}, not {portable}"
                );
                assert!(
                    (own - x.exp2()).abs() <= 3e-7 * x.exp2() || same(own, x.exp2()),
                    "2^{x} is {own}"
                );
            }
        }
    }
}

#[test]
fn product_tiles_of_every_target_are_the_portable_ones() {
    for TargetInfo {
        machine, micro_kernels, ..
    } in &TargetInfo::ALL
    {
        let (rows, panel, k) = (machine.tallest_tile(), machine.tiles.vectors, 37);
        let (n, mut random) = (machine.panel_rows(), Random::new(3));
        let (a, b) = (random.floats(rows as usize * k), random.floats(k * n));
        let product = |micro_kernels: &MicroKernels| {
            let mut module = Module::default();
            let name = (micro_kernels.product_tile)(&mut module, machine, rows, panel);
            assert_eq!(verify(&module), []);
            let mut interpreter = Interpreter::new(&module);
            let memory = interpreter.memory();
            let a = memory.allocate_constant("a", bytes(&a, f32::to_le_bytes));
            let b = memory.allocate_in(Space::Scratch, "b", bytes(&b, f32::to_le_bytes));
            let c = memory.allocate("c", vec![0xFF; 4 * rows as usize * n]);
            let args = [a, k as u64, b, c, n as u64, k as u64, 0];
            let done = interpreter.call(&name, &args);
            done.unwrap_or_else(|fault| panic!("{} {fault}", machine.name));
            read(&mut interpreter, c, rows as usize * n)
        };
        assert_eq!(
            product(micro_kernels),
            product(&PORTABLE.micro_kernels),
            "{}",
            machine.name
        );
    }
}

#[test]
fn vectors_of_many_lanes_alone_do_not_bring_instructions_of_a_processor() {
    let wide = seqc_passes::machine::Machine {
        lanes: 16,
        ..PORTABLE.machine
    };
    let intrinsics = |target: &TargetInfo| {
        let mut module = Module::default();
        seqc_backends::kernels::gemv(&mut module, target, seqc_formats::Encoding::Q4_0, RowForm::Floats);
        module.to_string().matches("permute").count()
    };
    assert_eq!(intrinsics(&TargetInfo::of(&wide)), 0);
    assert!(TargetInfo::ALL.iter().any(|target| intrinsics(target) > 0));
}
