//! Products of many rows on matrix units, emulated, against plain sums.

use crate::{
    matvec::{GEMM, Gemm},
    support::{Loaded, Random, all_targets, export, weights},
};
use seqc_abi::Level;
use seqc_backends::{
    kernel::{Func, Module, Ty},
    kernels::{self, GemmRows, Parts, RowForm, RowLayout, Units},
    mlir::{Emit, Target, compile},
};
use seqc_formats::{Encoding, nearest_bf16};

fn layout(activations: Parts) -> RowLayout {
    RowLayout {
        rows: GemmRows::Together,
        form: RowForm::Floats,
        units: Units::Matrices(activations),
    }
}

fn columns(encoding: Encoding) -> &'static [usize] {
    match encoding.block() {
        1 => &[37, 544],
        32 => &[544],
        _ => &[768],
    }
}

fn devices() -> Vec<Target> {
    let has = |target: &Target| target.info().micro_kernels.matrix_units.is_some();
    let list: Vec<Target> = all_targets().into_iter().filter(has).collect();
    assert!(!list.is_empty());
    list
}

fn as_bf16(x: f32) -> f32 {
    f32::from_bits(u32::from(nearest_bf16(x)) << 16)
}

#[test]
fn matrix_units_multiply_with_every_encoding() {
    for target in devices() {
        let mut module = Module::default();
        for encoding in Encoding::all_native() {
            for k in columns(encoding) {
                for parts in [Parts::One, Parts::Three] {
                    let name = kernels::gemm(&mut module, target.info(), encoding, *k, layout(parts));
                    export(&mut module, &name, &GEMM);
                }
            }
        }
        let loaded = Loaded::new(module, &target);
        let mut random = Random::new(8);
        for encoding in Encoding::all_native() {
            for k in columns(encoding) {
                for parts in [Parts::One, Parts::Three] {
                    let name = kernels::gemm_name(encoding, *k, layout(parts));
                    // SAFETY: the type is that of the kernel's documentation.
                    let gemm: Gemm = unsafe { loaded.function(&format!("t_{name}")) };
                    let case = Case { encoding, k: *k, parts };
                    check(gemm, &target, case, &mut random);
                }
            }
        }
    }
}

/// A product.
#[derive(Clone, Copy)]
struct Case {
    encoding: Encoding,
    k: usize,
    /// Of activations.
    parts: Parts,
}

/// Activations that are exact in so many parts, times panels with all rows and with fewer.
fn check(gemm: Gemm, target: &Target, case: Case, random: &mut Random) {
    let Case { encoding, k, parts } = case;
    let panel = target.machine().panel_rows();
    for (rows, count) in [(1, 1), (panel - 1, 35), (panel, 9)] {
        let (bytes, values) = weights(encoding, rows, k, random);
        let stride = k + 3;
        let mut x = random.floats(count * stride);
        if parts == Parts::One {
            x.iter_mut().for_each(|x| *x = as_bf16(*x));
        }
        // Nothing beyond the last column counts.
        x.chunks_mut(stride).for_each(|row| row[k..].fill(f32::NAN));
        let x = &x[..(count - 1) * stride + k];
        let mut y = vec![f32::NAN; count * rows + 1];
        let mut scratch = vec![f32::NAN; kernels::gemm_scratch_bytes(target.machine(), count) / 4];
        gemm(
            bytes.as_ptr(),
            rows as i64,
            x.as_ptr(),
            stride as i64,
            y.as_mut_ptr(),
            rows as i64,
            count as i64,
            scratch.as_mut_ptr(),
        );
        assert!(y[count * rows].is_nan(), "wrote past the rows");
        for (t, x) in x.chunks(stride).enumerate() {
            for (r, weights) in values.chunks(k).enumerate() {
                let terms = || x.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(*w));
                let (sum, size): (f64, f64) = (terms().sum(), terms().map(f64::abs).sum());
                let apart = (f64::from(y[t * rows + r]) - sum).abs();
                assert!(
                    apart <= 2e-6 * size + 1e-30,
                    "{encoding} {rows}x{k}, row {t} of {count}: {} for {sum} of {size}",
                    y[t * rows + r]
                );
            }
        }
    }
}

#[test]
fn a_gpu_multiplies_matrices_by_instructions() {
    let target = Target::of(Level::Sm80);
    let mut module = Module::default();
    let name = kernels::gemm(&mut module, target.info(), Encoding::Q4_0, 256, layout(Parts::Three));
    let mut f = Func::exported("entry", &[Ty::GLOBAL, Ty::I64, Ty::I64]);
    let (p, n) = (f.param(0), f.param(2));
    let scratch = f.load_slot(p, 0, Ty::SCRATCH);
    f.call(&name, &[p, n, p, n, p, n, n, scratch], None);
    module.add(f);
    let text = (target.info().print)(&module);
    let code = compile(&text, &target, Emit::Asm).unwrap_or_else(|error| panic!("{error}"));
    let code = String::from_utf8(code).expect("text");
    for instruction in [
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",
        "cvt.rn.bf16x2.f32",
    ] {
        assert!(code.contains(instruction), "no {instruction}");
    }
}
