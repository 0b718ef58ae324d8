//! Micro-kernel and packing against plain loops, with every tail.

use crate::support::{Loaded, Random, all_targets, export, weights};
use seqc_backends::{
    kernel::{Module, Ty},
    kernels,
    mlir::Target,
};
use seqc_formats::Encoding;
use std::time::Instant;

const MK: [Ty; 7] = [Ty::GLOBAL, Ty::I64, Ty::SCRATCH, Ty::GENERIC, Ty::I64, Ty::I64, Ty::I1];
const PACK: [Ty; 6] = [Ty::GLOBAL, Ty::I64, Ty::I64, Ty::I64, Ty::I64, Ty::SCRATCH];

type Mk = extern "C" fn(*const f32, i64, *const f32, *mut f32, i64, i64, bool);
type Pack = extern "C" fn(*const u8, i64, i64, i64, i64, *mut f32);

fn tiles(target: &Target) -> Vec<(u32, u32)> {
    let rows = |panel| target.machine().tile_rows(panel);
    (1..=4)
        .flat_map(|panel| (1..=rows(panel)).map(move |r| (r, panel)))
        .collect()
}

#[test]
fn micro_kernels_multiply() {
    for target in all_targets() {
        let mut module = Module::default();
        for tile in tiles(&target) {
            let name = kernels::micro_kernel(&mut module, target.machine(), tile.0, tile.1);
            export(&mut module, &name, &MK);
        }
        let loaded = Loaded::new(module, &target);
        let mut random = Random::new(1);
        for (rows, panel) in tiles(&target) {
            // SAFETY: the type is that of the kernel's documentation.
            let f: Mk = unsafe { loaded.function(&format!("t_seqc_mk_{rows}x{panel}")) };
            for k in [0, 1, 3, 4, 37] {
                check_tile(f, [rows as usize, (panel * target.width()) as usize, k], &mut random);
            }
        }
    }
}

fn check_tile(f: Mk, [m, n, k]: [usize; 3], random: &mut Random) {
    let (lda, ldc) = (k + 3, n + 5);
    let (a, b, c) = (random.floats(m * lda), random.floats(k * n), random.floats(m * ldc));
    for accumulate in [false, true] {
        let mut out = c.clone();
        f(
            a.as_ptr(),
            lda as i64,
            b.as_ptr(),
            out.as_mut_ptr(),
            ldc as i64,
            k as i64,
            accumulate,
        );
        for i in 0..m {
            for j in 0..ldc {
                let old = c[i * ldc + j];
                let sum: f64 = (0..k)
                    .map(|x| f64::from(a[i * lda + x]) * f64::from(b[x * n + j.min(n - 1)]))
                    .sum();
                let want = if j >= n {
                    old
                } else {
                    sum as f32 + if accumulate { old } else { 0.0 }
                };
                assert!((out[i * ldc + j] - want).abs() < 1e-5, "{m}x{n}x{k} at {i},{j}");
            }
        }
    }
}

#[test]
fn panels_hold_the_rows_transposed() {
    for target in all_targets() {
        let mut module = Module::default();
        for encoding in Encoding::all_native() {
            for panel in 1..=4 {
                let name = kernels::pack(&mut module, target.info(), encoding, panel);
                export(&mut module, &name, &PACK);
            }
        }
        let loaded = Loaded::new(module, &target);
        for encoding in Encoding::all_native() {
            for panel in 1..=4 {
                // SAFETY: the type is that of the kernel's documentation.
                let f: Pack = unsafe { loaded.function(&format!("t_seqc_pack_{}x{panel}", encoding.name())) };
                check_panel(f, encoding, (panel * target.width()) as usize);
            }
        }
    }
}

fn check_panel(f: Pack, encoding: Encoding, n: usize) {
    let (total, spans): (usize, &[(usize, usize)]) = match encoding.block() {
        1 => (75, &[(0, 75), (0, 64), (5, 33), (16, 1), (74, 1), (9, 0)]),
        32 => (96, &[(0, 96), (32, 64), (64, 32), (0, 0)]),
        _ => (768, &[(0, 768), (256, 512), (512, 256), (0, 0)]),
    };
    let (bytes, values) = weights(encoding, n, total, &mut Random::new(5));
    let stride = encoding.row_bytes(total).expect("whole blocks");
    for rows in [n, n - 1, n / 2 + 1, 1] {
        for &(k0, kc) in spans {
            // Nothing behind the last row may be read: hand over a copy that ends there.
            let held = bytes[..rows * stride].to_vec();
            let mut out = vec![f32::NAN; kc * n + 1];
            f(
                held.as_ptr(),
                stride as i64,
                rows as i64,
                k0 as i64,
                kc as i64,
                out.as_mut_ptr(),
            );
            assert!(out[kc * n].is_nan(), "wrote past the panel");
            for k in 0..kc {
                for r in 0..n {
                    let want = if r < rows { values[r * total + k0 + k] } else { 0.0 };
                    let got = out[k * n + r];
                    assert!(
                        got == want,
                        "{} n={n} rows={rows} k0={k0} kc={kc} at {r},{k}: {got} {want}",
                        encoding.name()
                    );
                }
            }
        }
    }
}

/// Speeds of this machine. `cargo test --release -p seqc-backends --test native -- --ignored --nocapture speed`
#[test]
#[ignore = "a measurement"]
fn speed_of_matrix_kernels() {
    for target in all_targets() {
        let w = target.width();
        let panel = target.machine().tiles.vectors;
        let mut module = Module::default();
        let rows: Vec<u32> = (1..=target.machine().tile_rows(panel)).collect();
        for r in &rows {
            let name = kernels::micro_kernel(&mut module, target.machine(), *r, panel);
            export(&mut module, &name, &MK);
        }
        for encoding in Encoding::all_native() {
            let name = kernels::pack(&mut module, target.info(), encoding, panel);
            export(&mut module, &name, &PACK);
        }
        let loaded = Loaded::new(module, &target);
        let n = (panel * w) as usize;
        for k in [576, 1536, 3072] {
            for r in [1, 4, rows.len()] {
                // SAFETY: the type is that of the kernel's documentation.
                let f: Mk = unsafe { loaded.function(&format!("t_seqc_mk_{r}x{panel}")) };
                time_tile(f, [r, n, k]);
            }
        }
        for encoding in Encoding::all_native() {
            // SAFETY: the type is that of the kernel's documentation.
            let f: Pack = unsafe { loaded.function(&format!("t_seqc_pack_{}x{panel}", encoding.name())) };
            time_panel(f, encoding, n);
        }
    }
}

fn time_tile(f: Mk, [m, n, k]: [usize; 3]) {
    let mut random = Random::new(1);
    let blocks = 504 / m;
    let (a, b) = (random.floats(m * k * blocks), random.floats(k * n));
    let mut c = vec![0.0; m * n];
    let mut best = f64::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        for i in 0..blocks {
            let a = a[i * m * k..].as_ptr();
            f(a, k as i64, b.as_ptr(), c.as_mut_ptr(), n as i64, k as i64, false);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    let flops = 2.0 * (m * n * k * blocks) as f64;
    println!("mk {m}x{n} k={k}: {:.0} GFLOP/s", flops / best / 1e9);
}

fn time_panel(f: Pack, encoding: Encoding, n: usize) {
    for k in [576usize, 1024, 3072] {
        if k % encoding.block() != 0 {
            continue;
        }
        let panels = 16;
        let (bytes, _) = weights(encoding, n * panels, k, &mut Random::new(2));
        let stride = encoding.row_bytes(k).expect("whole blocks");
        let mut out = vec![0.0; n * k];
        let mut best = f64::MAX;
        for _ in 0..10 {
            let start = Instant::now();
            for i in 0..panels {
                f(
                    bytes[i * n * stride..].as_ptr(),
                    stride as i64,
                    n as i64,
                    0,
                    k as i64,
                    out.as_mut_ptr(),
                );
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!(
            "pack {} n={n} k={k}: {:.1} GB/s out",
            encoding.name(),
            (4 * n * k * panels) as f64 / best / 1e9
        );
    }
}
