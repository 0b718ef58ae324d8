//! Matrix times vector from stored weights.

use crate::{
    rounded::rounding,
    support::{Loaded, Random, all_targets, export, weights},
};
use seqc_backends::{
    kernel::{Func, Module, Scalar, Ty},
    kernels::{self, RowForm},
    mlir::Target,
};
use seqc_formats::Encoding;
use std::time::Instant;

pub(crate) const GEMV: [Ty; 6] = [Ty::GLOBAL, Ty::I64, Ty::I64, Ty::GLOBAL, Ty::I64, Ty::GLOBAL];

pub(crate) const GEMM: [Ty; 8] = [
    Ty::GLOBAL,
    Ty::I64,
    Ty::GLOBAL,
    Ty::I64,
    Ty::GLOBAL,
    Ty::I64,
    Ty::I64,
    Ty::SCRATCH,
];

const FLOATS: kernels::RowLayout = kernels::RowLayout {
    rows: kernels::GemmRows::Together,
    form: RowForm::Floats,
    units: kernels::Units::Vectors,
};

pub(crate) type Gemv = extern "C" fn(*const u8, i64, i64, *const f32, i64, *mut f32);
pub(crate) type Gemm = extern "C" fn(*const u8, i64, *const f32, i64, *mut f32, i64, i64, *mut f32);

fn load(target: &Target) -> Loaded {
    let mut module = Module::default();
    for encoding in Encoding::all_native() {
        for form in forms(target, encoding) {
            let name = kernels::gemv(&mut module, target.info(), encoding, form);
            export(&mut module, &name, &GEMV);
        }
        let name = kernels::gemv_in_order(&mut module, target.info(), encoding);
        export(&mut module, &name, &GEMV);
        for k in sizes(encoding) {
            let name = kernels::gemm(&mut module, target.info(), encoding, *k, FLOATS);
            export(&mut module, &name, &GEMM);
        }
    }
    module.add(reader(target.width()));
    Loaded::new(module, target)
}

/// Forms of the vector.
fn forms(target: &Target, encoding: Encoding) -> Vec<RowForm> {
    let rounded = rounding(encoding).map(|rounding| RowForm::of_vector(target.info(), rounding, encoding));
    let rounded = rounded.filter(|form| *form != RowForm::Floats);
    [RowForm::Floats].into_iter().chain(rounded).collect()
}

/// Columns that are tried.
fn sizes(encoding: Encoding) -> &'static [usize] {
    match encoding.block() {
        1 => &[1, 7, 16, 40, 100, 576],
        32 => &[32, 64, 96, 576, 2080],
        _ => &[256, 512, 1280, 2304],
    }
}

fn kernel(loaded: &Loaded, name: &str) -> Gemv {
    // SAFETY: the type is that of the kernel's documentation.
    unsafe { loaded.function(&format!("t_{name}")) }
}

#[test]
fn rows_times_a_vector() {
    for target in all_targets() {
        let loaded = load(&target);
        for encoding in Encoding::all_native() {
            let f = kernel(&loaded, &kernels::gemv_name(encoding, RowForm::Floats));
            let mut random = Random::new(11);
            for &k in sizes(encoding) {
                for rows in [1, 3, 4, 9, 16] {
                    let matrix = Matrix::random(encoding, rows, k, &mut random);
                    check(f, &matrix, &random.floats(k));
                }
            }
        }
    }
}

/// One token alone gets the same bits as in a chunk.
#[test]
fn a_token_gets_what_a_chunk_gives_it() {
    for target in all_targets() {
        let loaded = load(&target);
        for encoding in Encoding::all_native() {
            let f = kernel(&loaded, &kernels::gemv_in_order_name(encoding));
            let mut random = Random::new(12);
            for &k in sizes(encoding) {
                // SAFETY: the type is that of the kernel's documentation.
                let chunk: Gemm = unsafe { loaded.function(&format!("t_{}", kernels::gemm_name(encoding, k, FLOATS))) };
                for rows in [1, 3, 8, 13, 16] {
                    let matrix = Matrix::random(encoding, rows, k, &mut random);
                    let x = random.floats(3 * k);
                    let y = check(f, &matrix, &x[k..2 * k]);
                    let stride = rows as i64;
                    let mut of_chunk = vec![f32::NAN; 3 * rows];
                    let mut scratch = vec![f32::NAN; kernels::gemm_scratch_bytes(target.machine(), 3) / 4];
                    let (from, to) = (x.as_ptr(), of_chunk.as_mut_ptr());
                    chunk(
                        matrix.bytes.as_ptr(),
                        stride,
                        from,
                        k as i64,
                        to,
                        stride,
                        3,
                        scratch.as_mut_ptr(),
                    );
                    assert_eq!(y[..rows], of_chunk[rows..2 * rows], "{} {rows}x{k}", encoding.name());
                }
            }
        }
    }
}

/// Stored weights, and the values that they stand for.
struct Matrix {
    encoding: Encoding,
    rows: usize,
    bytes: Vec<u8>,
    values: Vec<f32>,
}

impl Matrix {
    fn random(encoding: Encoding, rows: usize, k: usize, random: &mut Random) -> Matrix {
        let (bytes, values) = weights(encoding, rows, k, random);
        Matrix {
            encoding,
            rows,
            bytes,
            values,
        }
    }
}

/// Results of a product, which must be near the sums.
fn check(f: Gemv, matrix: &Matrix, x: &[f32]) -> Vec<f32> {
    let Matrix {
        encoding,
        rows,
        ref bytes,
        ref values,
    } = *matrix;
    let k = x.len();
    let mut y = vec![f32::NAN; rows + 1];
    let stride = encoding.row_bytes(k).expect("whole blocks");
    f(
        bytes.as_ptr(),
        stride as i64,
        rows as i64,
        x.as_ptr(),
        k as i64,
        y.as_mut_ptr(),
    );
    assert!(y[rows].is_nan(), "wrote past the rows");
    for r in 0..rows {
        let terms = (0..k).map(|i| f64::from(values[r * k + i]) * f64::from(x[i]));
        let (sum, size) = terms.fold((0.0, 0.0), |(s, a), t| (s + t, a + t.abs()));
        let error = (f64::from(y[r]) - sum).abs();
        assert!(
            error <= 1e-6 * size,
            "{} {rows}x{k} row {r}: {} {sum}",
            encoding.name(),
            y[r]
        );
    }
    y
}

/// `t_read(p, n, out)`: reads n bytes as fast as the machine can.
fn reader(lanes: u32) -> Func {
    let mut f = Func::exported("t_read", &[Ty::GLOBAL, Ty::I64, Ty::GLOBAL]);
    let (p, n, out, ty) = (f.param(0), f.param(1), f.param(2), Ty::V(lanes, Scalar::I32));
    let (zero, start, step) = (f.zero(ty), f.i64(0), f.i64(i64::from(lanes) * 16));
    let sums = f.for_loop(start..n, step, &[zero; 4], |f, i, sums| {
        let load = |(u, sum): (usize, &_)| {
            let shift = f.i64(i64::from(lanes) * 4 * u as i64);
            let at = f.add(i, shift);
            let p = f.gep(p, at, Scalar::I8);
            let v = f.load(p, ty);
            f.add(v, *sum)
        };
        sums.iter().enumerate().map(load).collect()
    });
    for s in sums {
        f.store(s, out);
    }
    f
}

/// Bytes of weights read per second, from memory. Run as `speed_of_matrix_kernels`.
#[test]
#[ignore = "a measurement"]
fn speed_of_matrix_vector() {
    for target in all_targets() {
        let loaded = load(&target);
        // SAFETY: the type is that of `reader`.
        let read: extern "C" fn(*const u8, i64, *mut f32) = unsafe { loaded.function("t_read") };
        let (bytes, mut out) = (vec![1u8; 192 << 20], [0.0; 16]);
        let best = fastest(|| read(bytes.as_ptr(), bytes.len() as i64, out.as_mut_ptr()));
        println!("read: {:.1} GB/s", bytes.len() as f64 / best / 1e9);
        let best = fastest(|| read(bytes.as_ptr(), 128 << 10, out.as_mut_ptr()));
        println!("read from L2: {:.1} GB/s", f64::from(128 << 10) / best / 1e9);
        let names = Encoding::all_native().flat_map(|encoding| {
            let forms = forms(&target, encoding)
                .into_iter()
                .map(move |form| kernels::gemv_name(encoding, form));
            let names = forms.chain([kernels::gemv_in_order_name(encoding)]);
            names.map(move |name| (encoding, name))
        });
        for (encoding, name) in names {
            let f = kernel(&loaded, &name);
            for k in [576usize, 1536, 4096] {
                if k % encoding.block() != 0 {
                    continue;
                }
                let stride = encoding.row_bytes(k).expect("whole blocks");
                let (large, small) = ((96 << 20) / stride, (192 << 10) / stride);
                let (x, mut y) = (vec![0.5f32; k], vec![0.0f32; large]);
                let mut rate = |rows: usize| {
                    let (rows, stride) = (rows as i64, stride as i64);
                    let best = fastest(|| f(bytes.as_ptr(), stride, rows, x.as_ptr(), k as i64, y.as_mut_ptr()));
                    (rows * stride) as f64 / best / 1e9
                };
                let (large, small) = (rate(large), rate(small));
                println!("{name} k={k}: {large:.1} GB/s, from cache {small:.1}");
            }
        }
    }
}

fn fastest(mut body: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        body();
        start.elapsed().as_secs_f64()
    };
    (0..7).map(time).fold(f64::MAX, f64::min)
}
