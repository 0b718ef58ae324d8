//! What depends on the filter alone: its first taps, and the spectra of its parts.
//!
//! Where a block of `S` tokens meets the one `d` blocks behind it, taps `(d - 1) S .. (d + 1) S` are at work. Of the
//! product with the first `S` of them the upper half counts, with the others the lower half: the filter is the others
//! less `i` times the first, and the real part of the product is the sum.

use super::{
    fft::{self, Transform},
    rows::{rows_at, vector},
    variant::LongConv,
};
use crate::kernel::{Func, Module, Scalar, Ty, Val};

pub(super) fn function(conv: &LongConv, module: &mut Module) -> String {
    let name = format!("{}_prepare", conv.name);
    let table = fft::table(module, conv.blocks.top());
    let parts = parts(conv);
    let sizes: Vec<String> = parts
        .iter()
        .map(|part| fft::transform(module, &conv.machine, part.size, Transform::Forward))
        .collect();
    let scale_strided = scale_strided(module, conv.lanes());
    let mut f = Func::new(&name, &[Ty::GLOBAL, Ty::GLOBAL], None);
    let (filter, prepared) = (f.param(0), f.param(1));
    let lanes = conv.lanes() as usize;
    let table = f.address_of(&table);
    let (zero, panels, width) = (f.i64(0), f.i64(conv.panels() as i64), f.i64(lanes as i64));
    f.for_each(zero, panels, 1, |f, n| {
        let floats = f.i64((conv.prepared_rows() * lanes) as i64);
        let at = f.mul(n, floats);
        let panel = f.gep(prepared, at, Scalar::F32);
        let nothing = f.zero(vector(conv.lanes()));
        f.for_each(zero, floats, lanes as i64, |f, at| {
            let p = f.gep(panel, at, Scalar::F32);
            f.store(nothing, p);
        });
        let first = f.mul(n, width);
        let (channels, end) = (f.i64(conv.channels as i64), f.add(first, width));
        let end = f.min(end, channels);
        f.for_each(first, end, 1, |f, channel| {
            let taps = f.i64(conv.blocks.taps as i64);
            let row = f.mul(channel, taps);
            let row = f.gep(filter, row, Scalar::F32);
            let lane = f.sub(channel, first);
            let panel = f.gep(panel, lane, Scalar::F32);
            let copy = |f: &mut Func, taps: Taps, row_step: usize| {
                if taps.count > 0 {
                    let to = rows_at(f, panel, taps.row, conv.lanes());
                    let tap = f.i64(taps.first as i64);
                    let from = f.gep(row, tap, Scalar::F32);
                    let (count, step) = (f.i64(taps.count as i64), f.i64((row_step * lanes) as i64));
                    let scale = f.f32(taps.scale);
                    f.call(&scale_strided, &[from, count, to, step, scale], None);
                }
            };
            let direct = Taps {
                first: 0,
                count: conv.blocks.taps.min(conv.blocks.smallest),
                row: 0,
                scale: 1.0,
            };
            copy(f, direct, 1);
            for part in &parts {
                let scale = 1.0 / part.size as f32;
                let inside = |tap: usize| part.size.min(conv.blocks.taps.saturating_sub(tap));
                let (early, late) = (part.first, part.first + part.size);
                let early = Taps {
                    first: early,
                    count: inside(early),
                    row: part.row + 1,
                    scale: -scale,
                };
                let late = Taps {
                    first: late,
                    count: inside(late),
                    row: part.row,
                    scale,
                };
                copy(f, early, 2);
                copy(f, late, 2);
            }
        });
        for (part, transform) in parts.iter().zip(&sizes) {
            let data = rows_at(f, panel, part.row, conv.lanes());
            f.call(transform, &[data, zero, table, data], None);
        }
    });
    module.add(f);
    name
}

/// Consecutive taps of a channel, and where they go.
struct Taps {
    first: usize,
    count: usize,
    /// First row of the panel.
    row: usize,
    /// Factor on each.
    scale: f32,
}

/// A spectrum: of how many elements, the first tap, and its address.
struct Part {
    size: usize,
    first: usize,
    row: usize,
}

fn parts(conv: &LongConv) -> Vec<Part> {
    let below = conv.blocks.sizes().into_iter().map(|size| Part {
        size,
        first: 0,
        row: conv.size_row(size),
    });
    let top = (1..=conv.blocks.ring()).map(|distance| Part {
        size: conv.blocks.top(),
        first: (distance - 1) * conv.blocks.top(),
        row: conv.top_row(distance),
    });
    below.chain(top).collect()
}

/// Adds `fn(from, count, to, step, scale)`: scaled numbers, `step` floats apart; returns its name.
fn scale_strided(module: &mut Module, lanes: u32) -> String {
    let name = format!("seqc_scale_strided{lanes}");
    if module.has(&name) {
        return name;
    }
    let mut f = Func::new(&name, &[Ty::GLOBAL, Ty::I64, Ty::GLOBAL, Ty::I64, Ty::F32], None);
    let [from, count, to, step, scale]: [Val; 5] = [0, 1, 2, 3, 4].map(|n| f.param(n));
    let zero = f.i64(0);
    f.for_each(zero, count, 1, |f, n| {
        let p = f.gep(from, n, Scalar::F32);
        let x = f.load(p, Ty::F32);
        let x = f.mul(x, scale);
        let at = f.mul(n, step);
        let p = f.gep(to, at, Scalar::F32);
        f.store(x, p);
    });
    module.add(f);
    name
}
