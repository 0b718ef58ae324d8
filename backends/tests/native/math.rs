//! Elementary functions against double precision, over their ranges and at their limits.

use crate::support::{Loaded, Random, all_targets};
use seqc_backends::{
    kernel::{Func, Module, Scalar, Ty, Val},
    kernels::math::{Range, emit_pow, emit_unary, exp_product, exp_within, sin_cos_of_product},
};
use seqc_ir::UnaryOp;
use std::collections::BTreeSet;

const OPS: &[(UnaryOp, &str)] = &[
    (UnaryOp::Exp, "exp"),
    (UnaryOp::Log, "log"),
    (UnaryOp::Sqrt, "sqrt"),
    (UnaryOp::Rsqrt, "rsqrt"),
    (UnaryOp::Sin, "sin"),
    (UnaryOp::Cos, "cos"),
    (UnaryOp::Tanh, "tanh"),
    (UnaryOp::Sigmoid, "sigmoid"),
    (UnaryOp::Softplus, "softplus"),
    (UnaryOp::Erf, "erf"),
    (UnaryOp::Floor, "floor"),
    (UnaryOp::Round, "round"),
    (UnaryOp::Neg, "neg"),
    (UnaryOp::Abs, "abs"),
];

/// `name(x, y, n)`: y = f(x) by vectors of `lanes`.
fn map(name: &str, lanes: u32, body: impl FnOnce(&mut Func, Val) -> Val) -> Func {
    let mut f = Func::exported(format!("{name}_{lanes}"), &[Ty::GLOBAL, Ty::GLOBAL, Ty::I64]);
    let (x, y, n, zero) = (f.param(0), f.param(1), f.param(2), f.i64(0));
    let ty = if lanes == 1 { Ty::F32 } else { Ty::V(lanes, Scalar::F32) };
    f.for_each(zero, n, i64::from(lanes), |f, i| {
        let p = f.gep(x, i, Scalar::F32);
        let v = f.load(p, ty);
        let v = body(f, v);
        let p = f.gep(y, i, Scalar::F32);
        f.store(v, p);
    });
    f
}

type Map = extern "C" fn(*const f32, *mut f32, i64);

fn apply(loaded: &Loaded, name: &str, x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    // SAFETY: the type `map` gives the function; lengths are equal and multiples of the lanes.
    let f: Map = unsafe { loaded.function(name) };
    f(x.as_ptr(), y.as_mut_ptr(), x.len() as i64);
    y
}

fn exact(op: UnaryOp, x: f64) -> f64 {
    match op {
        UnaryOp::Exp => x.exp(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Rsqrt => 1.0 / x.sqrt(),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        UnaryOp::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        UnaryOp::Erf => erf(x),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Neg => -x,
        UnaryOp::Abs => x.abs(),
        UnaryOp::Not => unreachable!("not a function of floats"),
    }
}

/// Its Taylor series, which double precision carries far enough.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.5 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..120 {
        term *= -x * x / n as f64;
        sum += term / (2 * n + 1) as f64;
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

fn range(op: UnaryOp) -> (f32, f32) {
    match op {
        UnaryOp::Exp => (-86.9, 88.7),
        UnaryOp::Log | UnaryOp::Sqrt | UnaryOp::Rsqrt => (1e-30, 1e4),
        UnaryOp::Sin | UnaryOp::Cos => (-1e5, 1e5),
        UnaryOp::Softplus | UnaryOp::Sigmoid => (-80.0, 80.0),
        _ => (-12.0, 12.0),
    }
}

/// Half of the samples spread evenly over the range, half logarithmically towards zero.
fn samples(op: UnaryOp) -> Vec<f32> {
    let (lo, hi) = range(op);
    let mut random = Random::new(7);
    let mut x = Vec::new();
    while x.len() < 1 << 15 {
        let u = random.float();
        x.push((lo + (hi - lo) * (u * 0.5 + 0.5)).clamp(lo, hi));
        let small = (u * 10.0).exp2() * 2f32.powi(-(x.len() as i32 % 8));
        let small = if random.bits() & 1 == 0 { small } else { -small };
        x.push(small.clamp(lo, hi));
    }
    x
}

#[test]
fn functions_agree_with_double_precision() {
    for target in all_targets() {
        let mut module = Module::default();
        for (op, name) in OPS {
            module.add(map(name, target.width(), |f, x| emit_unary(f, *op, x)));
            module.add(map(name, 1, |f, x| emit_unary(f, *op, x)));
        }
        let loaded = Loaded::new(module, &target);
        for (op, name) in OPS {
            let x = samples(*op);
            for lanes in [1, target.width()] {
                let y = apply(&loaded, &format!("{name}_{lanes}"), &x);
                let worst = x
                    .iter()
                    .zip(&y)
                    .map(|(&x, &y)| (error(*op, x, y), x))
                    .fold((0.0, 0.0), |a, b| if b.0 > a.0 || f64::is_nan(b.0) { b } else { a });
                // The zeros of sine and cosine cannot be hit relatively from a rounded argument.
                println!("{name}_{lanes}: {:.2e} at {}", worst.0, worst.1);
                assert!(
                    worst.0 < 4e-7,
                    "{name} on {}: error {} at {}",
                    target.name(),
                    worst.0,
                    worst.1
                );
            }
        }
    }
}

/// Relative error, but absolute for sine and cosine.
fn error(op: UnaryOp, x: f32, y: f32) -> f64 {
    let exact = exact(op, f64::from(x));
    let difference = (f64::from(y) - exact).abs();
    match op {
        UnaryOp::Sin | UnaryOp::Cos => difference,
        _ if difference == 0.0 => 0.0,
        _ => difference / exact.abs(),
    }
}

#[test]
fn limits_are_those_of_ieee() {
    let inf = f32::INFINITY;
    let cases: &[(UnaryOp, f32, f32)] = &[
        (UnaryOp::Exp, -inf, 0.0),
        (UnaryOp::Exp, inf, inf),
        (UnaryOp::Exp, 200.0, inf),
        (UnaryOp::Exp, -200.0, 0.0),
        (UnaryOp::Exp, 0.0, 1.0),
        (UnaryOp::Log, 0.0, -inf),
        (UnaryOp::Log, inf, inf),
        (UnaryOp::Log, 1.0, 0.0),
        (UnaryOp::Log, 1e-40, -92.103_4),
        (UnaryOp::Log, -1.0, f32::NAN),
        (UnaryOp::Sigmoid, 100.0, 1.0),
        (UnaryOp::Sigmoid, -100.0, 0.0),
        (UnaryOp::Sigmoid, -inf, 0.0),
        (UnaryOp::Softplus, 100.0, 100.0),
        (UnaryOp::Softplus, inf, inf),
        (UnaryOp::Softplus, -inf, 0.0),
        (UnaryOp::Tanh, inf, 1.0),
        (UnaryOp::Tanh, -inf, -1.0),
        (UnaryOp::Erf, inf, 1.0),
        (UnaryOp::Erf, -inf, -1.0),
        (UnaryOp::Exp, f32::NAN, f32::NAN),
        (UnaryOp::Log, f32::NAN, f32::NAN),
        (UnaryOp::Tanh, f32::NAN, f32::NAN),
        (UnaryOp::Softplus, f32::NAN, f32::NAN),
        (UnaryOp::Sigmoid, f32::NAN, f32::NAN),
        (UnaryOp::Erf, f32::NAN, f32::NAN),
        (UnaryOp::Sin, inf, f32::NAN),
        (UnaryOp::Round, 2.5, 2.0),
        (UnaryOp::Floor, -0.5, -1.0),
    ];
    for target in all_targets() {
        let mut module = Module::default();
        for (op, name) in OPS {
            module.add(map(name, target.width(), |f, x| emit_unary(f, *op, x)));
        }
        let loaded = Loaded::new(module, &target);
        for (op, x, want) in cases {
            let name = OPS.iter().find(|(o, _)| o == op).expect("listed").1;
            let y = apply(&loaded, &format!("{name}_{}", target.width()), &[*x; 32])[0];
            let same = y == *want || (y.is_nan() && want.is_nan()) || ((y - want) / want).abs() < 1e-5;
            assert!(same, "{name}({x}) on {}: {y}, not {want}", target.name());
        }
    }
}

/// Powers of what is not positive, and of products; also by vectors of several registers.
#[test]
fn exponentials_of_known_sign_and_of_products_agree_with_double_precision() {
    for target in all_targets() {
        let (native, mut module) = (target.width(), Module::default());
        let widths = BTreeSet::from([1, native, 32]);
        for &lanes in &widths {
            module.add(map("negative", lanes, |f, x| exp_within(f, x, Range::NotPositive)));
            for (name, range) in [("product", Range::Any), ("negative_product", Range::NotPositive)] {
                // The product with 1 is exact, so that all of the error is the function's; with 3 it is rounded as well.
                for factor in [1.0, 3.0] {
                    module.add(map(&format!("{name}{factor}"), lanes, |f, x| {
                        let y = f.float(x.ty, factor);
                        exp_product(f, y, x, range, &target.info().micro_kernels)
                    }));
                }
            }
        }
        let loaded = Loaded::new(module, &target);
        let negative: Vec<f32> = samples(UnaryOp::Exp).into_iter().map(|x| -x.abs().min(86.9)).collect();
        let any: Vec<f32> = samples(UnaryOp::Exp);
        let limits = [0.0, f32::NEG_INFINITY, f32::NAN, -1000.0];
        for &lanes in &widths {
            let check = |name: &str, factor: f32, x: &[f32]| {
                let x: Vec<f32> = x.iter().map(|x| x / factor).collect();
                let y = apply(&loaded, &format!("{name}_{lanes}"), &x);
                for (x, y) in x.iter().zip(y) {
                    let e = f64::from(x * factor);
                    // Rounding the exponent is an error of the result in proportion to it.
                    let bound = if name == "negative" {
                        4e-7
                    } else {
                        4e-7 + 1.8e-7 * e.abs()
                    };
                    let error = (f64::from(y) / e.exp() - 1.0).abs();
                    assert!(
                        error < bound,
                        "{name}_{lanes}({x}) on {}: {y}, error {error}",
                        target.name()
                    );
                }
                let y = apply(&loaded, &format!("{name}_{lanes}"), &limits.repeat(8));
                assert_eq!((y[0], y[1], y[3]), (1.0, 0.0, 0.0), "{name}_{lanes}");
                assert!(y[2].is_nan(), "{name}_{lanes}");
            };
            check("negative", 1.0, &negative);
            for factor in [1.0, 3.0] {
                check(&format!("negative_product{factor}"), factor, &negative);
                check(&format!("product{factor}"), factor, &any);
            }
            let y = apply(
                &loaded,
                &format!("product1_{lanes}"),
                &[200.0, f32::INFINITY].repeat(16),
            );
            assert_eq!(y[..2], [f32::INFINITY, f32::INFINITY]);
        }
    }
}

#[test]
fn powers_agree_with_double_precision() {
    let exponents = [
        -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 7.0, 40.0, 0.37, -1.3, -0.93, 2.5,
    ];
    for target in all_targets() {
        let (w, mut module) = (target.width(), Module::default());
        for (i, y) in exponents.iter().enumerate() {
            module.add(map(&format!("constant{i}"), w, |f, x| {
                let e = f.float(x.ty, *y);
                emit_pow(f, x, e, Some(*y))
            }));
            module.add(map(&format!("general{i}"), w, |f, x| {
                let e = f.float(x.ty, *y);
                emit_pow(f, x, e, None)
            }));
        }
        let loaded = Loaded::new(module, &target);
        let mut x: Vec<f32> = Random::new(3).floats(4096);
        x.iter_mut()
            .enumerate()
            .for_each(|(i, x)| *x *= [1.0, 9.0, 1e4, 1e-3][i % 4]);
        x.extend(
            [0.0, 1.0, -1.0, f32::INFINITY, f32::NAN, 1e-20, 2.0, -3.0]
                .iter()
                .chain(&[1.0; 8]),
        );
        for (i, y) in exponents.iter().enumerate() {
            for kind in ["constant", "general"] {
                let z = apply(&loaded, &format!("{kind}{i}_{w}"), &x);
                for (x, z) in x.iter().zip(z) {
                    let want = f64::from(*x).powf(f64::from(*y));
                    assert!(
                        close(z, want),
                        "{kind} {x} ** {y} on {}: {z}, not {want}",
                        target.name()
                    );
                }
            }
        }
    }
}

/// Within 8e-7 relatively; what float cannot hold may be infinite or zero.
fn close(got: f32, want: f64) -> bool {
    let same = f64::from(got) == want || (got.is_nan() && want.is_nan());
    let tiny = want.abs() < 3e-38 && f64::from(got).abs() < 3e-38;
    let huge = want.abs() > 3.4e38 && got.is_infinite();
    same || tiny || huge || ((f64::from(got) - want) / want).abs() < 8e-7
}

/// The product is not rounded: angles of positions up to 4e6 are turns as those near 0.
#[test]
fn sines_of_products_hold_far_from_zero() {
    let rate = 0.736_1_f32;
    for target in all_targets() {
        let mut module = Module::default();
        let widths = [1, target.width()];
        for &lanes in &widths {
            for (name, cosine) in [("sin", false), ("cos", true)] {
                module.add(map(&format!("far_{name}"), lanes, |f, x| {
                    let rate = f.float(x.ty, rate);
                    let (sin, cos) = sin_cos_of_product(f, x, rate);
                    if cosine { cos } else { sin }
                }));
            }
        }
        let loaded = Loaded::new(module, &target);
        let mut random = Random::new(7);
        let x: Vec<f32> = (0..4096).map(|_| (random.float() * 4e6).round()).collect();
        for &lanes in &widths {
            for (name, exact) in [("sin", f64::sin as fn(f64) -> f64), ("cos", f64::cos)] {
                let y = apply(&loaded, &format!("far_{name}_{lanes}"), &x);
                for (x, y) in x.iter().zip(y) {
                    let error = (f64::from(y) - exact(f64::from(*x) * f64::from(rate))).abs();
                    assert!(
                        error < 3e-7,
                        "{name}_{lanes}({x} * {rate}) on {}: {y}, error {error}",
                        target.name()
                    );
                }
            }
        }
    }
}
