//! What is printed for processors that neither convert halves nor multiply and add in one instruction, run on this machine.

use crate::support::{Loaded, Random, targets};
use seqc_backends::{
    kernel::{Cast, Func, Module, Scalar, Ty},
    mlir::print_plain,
};
use seqc_formats::nearest_f16;

/// `name(x, y, n)`: y = x as numbers of another type, by vectors of `lanes`.
fn convert(name: &str, lanes: u32, from: Scalar, to: Scalar) -> Func {
    let mut f = Func::exported(name, &[Ty::GLOBAL, Ty::GLOBAL, Ty::I64]);
    let (x, y, n, zero) = (f.param(0), f.param(1), f.param(2), f.i64(0));
    let ty = if lanes == 1 { Ty::S(from) } else { Ty::V(lanes, from) };
    let op = if from == Scalar::F16 {
        Cast::FloatExtend
    } else {
        Cast::FloatTruncate
    };
    f.for_each(zero, n, i64::from(lanes), |f, i| {
        let p = f.gep(x, i, from);
        let v = f.load(p, ty);
        let v = f.convert(op, v, to);
        let p = f.gep(y, i, to);
        f.store(v, p);
    });
    f
}

#[test]
fn halves_are_converted_as_processors_convert_them() {
    let mut module = Module::default();
    for lanes in [1, 4] {
        module.add(convert(&format!("extend{lanes}"), lanes, Scalar::F16, Scalar::F32));
        module.add(convert(&format!("truncate{lanes}"), lanes, Scalar::F32, Scalar::F16));
    }
    let loaded = Loaded::printed(&print_plain(&module), &targets()[0]);
    let halves: Vec<u16> = (0..=u16::MAX).collect();
    let mut random = Random::new(16);
    for lanes in [1, 4] {
        let mut reals = vec![0_f32; halves.len()];
        // SAFETY: the type `convert` gives the functions; lengths are equal and multiples of the lanes.
        let extend: extern "C" fn(*const u16, *mut f32, i64) = unsafe { loaded.function(&format!("extend{lanes}")) };
        let truncate: extern "C" fn(*const f32, *mut u16, i64) =
            unsafe { loaded.function(&format!("truncate{lanes}")) };
        extend(halves.as_ptr(), reals.as_mut_ptr(), halves.len() as i64);
        for (half, real) in halves.iter().zip(&reals) {
            let back = nearest_f16(*real);
            assert!(
                real.is_nan() || back == *half,
                "{half:#x} is {real:e}, which is {back:#x}"
            );
            assert_eq!(real.is_nan(), half & 0x7fff > 0x7c00, "{half:#x}");
        }
        // All halves, what lies between two of them, and anything.
        let mut given = reals.clone();
        given.extend(reals.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0));
        given.extend((0..1 << 18).map(|_| f32::from_bits(random.bits() as u32)));
        given.resize(given.len().next_multiple_of(4), 0.0);
        let mut found = vec![0_u16; given.len()];
        truncate(given.as_ptr(), found.as_mut_ptr(), given.len() as i64);
        for (real, half) in given.iter().zip(&found) {
            let expected = nearest_f16(*real);
            let both_nan = real.is_nan() && half & 0x7fff > 0x7c00;
            assert!(both_nan || *half == expected, "{real:e}: {half:#x}, not {expected:#x}");
        }
    }
}
