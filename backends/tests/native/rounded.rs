//! Products with rounded activations, as units of processors multiply them.

use crate::{
    matvec::{GEMM, GEMV, Gemm, Gemv},
    support::{Loaded, Random, export, targets, weights},
};
use seqc_backends::{
    kernel::{Module, Ty},
    kernels::{self, GemmRows, RowForm, RowLayout},
    mlir::Target,
};
use seqc_formats::{Encoding, Native, nearest_bf16};
use seqc_ir::Rounding;

const ROUND: [Ty; 3] = [Ty::GLOBAL, Ty::I64, Ty::GLOBAL];
type Round = extern "C" fn(*const f32, i64, *mut f32);
/// The rounding of the vector of a product with weights of an encoding.
pub(crate) fn rounding(encoding: Encoding) -> Option<Rounding> {
    match encoding.native()? {
        Native::Block(_) => Some(Rounding::Int8),
        Native::Bf16 => Some(Rounding::Bf16),
        Native::F32 | Native::F16 | Native::Float8(_) => None,
    }
}

/// What a row is rounded to.
pub(crate) fn rounded(rounding: Rounding, row: &[f32]) -> Vec<f32> {
    match rounding {
        Rounding::Bf16 => row
            .iter()
            .map(|x| f32::from_bits(u32::from(nearest_bf16(*x)) << 16))
            .collect(),
        Rounding::Int8 => {
            let block = |block: &[f32]| {
                let largest = block.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
                let (scale, inverse) = (largest / 127.0, 127.0 / largest);
                let nearest = |x: &f32| {
                    if largest > 0.0 {
                        (x * inverse).round_ties_even() * scale
                    } else {
                        0.0
                    }
                };
                block.iter().map(nearest).collect::<Vec<f32>>()
            };
            row.chunks(Rounding::BLOCK).flat_map(block).collect()
        }
    }
}

fn columns(encoding: Encoding) -> &'static [usize] {
    match encoding.block() {
        1 => &[1, 7, 32, 40, 100, 2100],
        32 => &[32, 96, 576, 2080],
        _ => &[256, 1280, 2304],
    }
}

fn load(target: &Target) -> Loaded {
    let mut module = Module::default();
    for rounding in Rounding::ALL {
        for form in [RowForm::Floats, RowForm::Bytes, RowForm::Pairs] {
            let of_integers = form == RowForm::Bytes;
            if form == RowForm::Floats || of_integers == (rounding == Rounding::Int8) {
                let name = kernels::round_row(&mut module, target.info(), rounding, form);
                export(&mut module, &name, &ROUND);
            }
        }
    }
    for encoding in Encoding::all_native() {
        let Some(layout) = layout(target, encoding) else {
            continue;
        };
        if let Some(form) = of_vector(target, encoding) {
            let name = kernels::gemv(&mut module, target.info(), encoding, form);
            export(&mut module, &name, &GEMV);
        }
        for k in columns(encoding) {
            let name = kernels::gemm(&mut module, target.info(), encoding, *k, layout);
            export(&mut module, &name, &GEMM);
        }
    }
    Loaded::new(module, target)
}

/// The form of a rounded vector, if it is not that of every vector.
fn of_vector(target: &Target, encoding: Encoding) -> Option<RowForm> {
    let form = RowForm::of_vector(target.info(), rounding(encoding)?, encoding);
    (form != RowForm::Floats).then_some(form)
}

fn layout(target: &Target, encoding: Encoding) -> Option<RowLayout> {
    Some(RowLayout {
        rows: GemmRows::Together,
        form: RowForm::of(target.info(), rounding(encoding)?, encoding),
        units: kernels::Units::Vectors,
    })
}

#[test]
fn rows_are_rounded_to_the_nearest() {
    for target in targets() {
        let loaded = load(&target);
        let mut random = Random::new(3);
        for rounding in Rounding::ALL {
            let name = kernels::round_row_name(rounding, RowForm::Floats);
            // SAFETY: the type is that of the kernel's documentation.
            let round: Round = unsafe { loaded.function(&format!("t_{name}")) };
            let mut row = random.floats(32 * 5);
            row[32..64].fill(0.0);
            row[64..96].fill(1e-38);
            let mut out = vec![f32::NAN; row.len()];
            round(row.as_ptr(), row.len() as i64, out.as_mut_ptr());
            if rounding == Rounding::Int8 {
                // Blocks of the least numbers are zeros.
                row[64..96].fill(0.0);
            }
            assert_eq!(out, rounded(rounding, &row), "{rounding:?}");
            row[3] = f32::INFINITY;
            round(row.as_ptr(), row.len() as i64, out.as_mut_ptr());
            assert!(!out[3].is_finite() && out[40].is_finite());
            assert_eq!(rounding == Rounding::Int8, out[0].is_nan());
        }
    }
}

#[test]
fn rows_of_activations_times_rows_of_weights() {
    for target in targets() {
        let loaded = load(&target);
        let mut random = Random::new(5);
        for encoding in Encoding::all_native() {
            let (Some(layout), Some(rounding)) = (layout(&target, encoding), rounding(encoding)) else {
                continue;
            };
            let name = kernels::round_row_name(rounding, layout.form);
            // SAFETY: the types are those of the kernels' documentation.
            let round: Round = unsafe { loaded.function(&format!("t_{name}")) };
            for &k in columns(encoding) {
                // SAFETY: as above.
                let gemm: Gemm = unsafe { loaded.function(&format!("t_{}", kernels::gemm_name(encoding, k, layout))) };
                let panel = target.machine().panel_rows();
                for (rows, count) in [(1, 1), (7, 4), (panel - 1, 13), (panel, 9)] {
                    let what = format!("{encoding} {rows}x{k}, {count} rows on {}", target.name());
                    let (bytes, values) = weights(encoding, rows, k, &mut random);
                    let x = random.floats(count * k);
                    let stride = k.next_multiple_of(2) + 2;
                    let mut from = vec![f32::NAN; count * stride];
                    for (row, to) in x.chunks(k).zip(from.chunks_mut(stride)) {
                        round(row.as_ptr(), k as i64, to.as_mut_ptr());
                    }
                    let mut y = vec![f32::NAN; count * rows];
                    let mut scratch = vec![f32::NAN; kernels::gemm_scratch_bytes(target.machine(), count) / 4];
                    gemm(
                        bytes.as_ptr(),
                        rows as i64,
                        from.as_ptr(),
                        stride as i64,
                        y.as_mut_ptr(),
                        rows as i64,
                        count as i64,
                        scratch.as_mut_ptr(),
                    );
                    for (x, y) in x.chunks(k).zip(y.chunks(rows)) {
                        check(&what, &values, &rounded(rounding, x), y);
                    }
                }
            }
        }
    }
}

/// Compares products of rows of weights with a vector.
fn check(what: &str, weights: &[f32], x: &[f32], found: &[f32]) {
    for (weights, found) in weights.chunks(x.len()).zip(found) {
        let terms = || x.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(*w));
        let (sum, size): (f64, f64) = (terms().sum(), terms().map(f64::abs).sum());
        let apart = (f64::from(*found) - sum).abs();
        assert!(apart <= 2e-6 * size + 1e-30, "{what}: {found} for {sum} of {size}");
    }
}

#[test]
fn a_rounded_vector_times_rows_of_weights() {
    for target in targets() {
        let loaded = load(&target);
        let mut random = Random::new(6);
        for encoding in Encoding::all_native() {
            let (Some(form), Some(rounding)) = (of_vector(&target, encoding), rounding(encoding)) else {
                continue;
            };
            // SAFETY: the types are those of the kernels' documentation.
            let round: Round = unsafe { loaded.function(&format!("t_{}", kernels::round_row_name(rounding, form))) };
            // SAFETY: as above.
            let gemv: Gemv = unsafe { loaded.function(&format!("t_{}", kernels::gemv_name(encoding, form))) };
            for &k in columns(encoding) {
                for rows in [1, 4, 9, 16] {
                    let (bytes, values) = weights(encoding, rows, k, &mut random);
                    let x = random.floats(k);
                    let (mut made, mut y) = (vec![f32::NAN; k], vec![f32::NAN; rows]);
                    round(x.as_ptr(), k as i64, made.as_mut_ptr());
                    let stride = (bytes.len() / rows) as i64;
                    gemv(
                        bytes.as_ptr(),
                        stride,
                        rows as i64,
                        made.as_ptr(),
                        k as i64,
                        y.as_mut_ptr(),
                    );
                    let what = format!("{encoding} {rows}x{k} on {}", target.name());
                    check(&what, &values, &rounded(rounding, &x), &y);
                }
            }
        }
    }
}
