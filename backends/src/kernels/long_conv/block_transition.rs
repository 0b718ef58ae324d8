//! What happens between two blocks: the past of one size is transformed, and what it adds to the tokens to come is kept.

use super::{
    fft::{self, Transform},
    rows::{rows, rows_at},
    variant::LongConv,
};
use crate::kernel::{Cmp, Func, Module, Scalar, Ty, Val};

/// Adds `fn(prepared, past, sums, spectra, scratch, number)` for a panel, called where block `number` begins; returns its
/// name.
pub(super) fn function(conv: &LongConv, module: &mut Module) -> String {
    let name = format!("{}_block_transition", conv.name);
    let table = fft::table(module, conv.blocks.top());
    let sizes = conv.blocks.sizes();
    let below: Vec<String> = sizes
        .iter()
        .map(|size| below_top(conv, module, *size, &table))
        .collect();
    let top = top(conv, module, &table);
    let mut f = Func::new(&name, &[&[Ty::GLOBAL; 4][..], &[Ty::SCRATCH, Ty::I64]].concat(), None);
    let args = f.params();
    let number = f.param(5);
    let zero = f.i64(0);
    // Exactly one size is due: the largest that divides the block's position.
    for (size, callee) in sizes.iter().zip(&below) {
        let blocks = (size / conv.blocks.smallest) as i64;
        let (cycle, half) = (f.i64(2 * blocks), f.i64(blocks));
        let rest = f.urem(number, cycle);
        let due = f.cmp(Cmp::Eq, rest, half);
        f.if_then(due, |f| {
            f.call(callee, &args, None);
        });
    }
    let cycle = f.i64((conv.blocks.top() / conv.blocks.smallest) as i64);
    let rest = f.urem(number, cycle);
    let due = f.cmp(Cmp::Eq, rest, zero);
    f.if_then(due, |f| {
        f.call(&top, &args, None);
    });
    module.add(f);
    name
}

/// One block of `size` tokens for the next one.
fn below_top(conv: &LongConv, module: &mut Module, size: usize, table: &str) -> String {
    let (lanes, quarter) = (conv.lanes(), size / 4);
    let first = fft::first_step(module, lanes, size);
    let convolve = fft::transform(module, &conv.machine, quarter, Transform::Convolve);
    let last = fft::last_step(module, lanes, size, true);
    let name = format!("{}_block_transition{size}", conv.name);
    let mut f = Func::new(&name, &[&[Ty::GLOBAL; 4][..], &[Ty::SCRATCH, Ty::I64]].concat(), None);
    let [prepared, past, sums, scratch, number] = [0, 1, 2, 4, 5].map(|n| f.param(n));
    let table = f.address_of(table);
    let page = f.i64(conv.page() as i64);
    let (block, top, count) = (
        f.i64(conv.blocks.smallest as i64),
        f.i64(conv.blocks.top() as i64),
        f.i64(size as i64),
    );
    let position = f.mul(number, block);
    let row = f.urem(position, top);
    let from = f.sub(row, count);
    f.call(&first, &[past, page, from, scratch], None);
    let filter = rows_at(&mut f, prepared, conv.size_row(size), lanes);
    // A quarter at a time: it stays near.
    for k in 0..4 {
        let node = f.i64(1 + k as i64);
        let data = rows_at(&mut f, scratch, 2 * k * quarter, lanes);
        let filter = rows_at(&mut f, filter, 2 * k * quarter, lanes);
        f.call(&convolve, &[data, node, table, filter], None);
    }
    f.call(&last, &[scratch, sums, page, row], None);
    module.add(f);
    name
}

/// All blocks of the top size that are past, for the one that begins.
fn top(conv: &LongConv, module: &mut Module, table: &str) -> String {
    let (lanes, size, quarter) = (conv.lanes(), conv.blocks.top(), conv.blocks.top() / 4);
    let first = fft::first_step(module, lanes, size);
    let forward = fft::transform(module, &conv.machine, quarter, Transform::Forward);
    let (set, add) = (multiply(module, lanes, false), multiply(module, lanes, true));
    let backward = fft::transform(module, &conv.machine, quarter, Transform::Inverse);
    let last = fft::last_step(module, lanes, size, false);
    let name = format!("{}_block_transition_top", conv.name);
    let mut f = Func::new(&name, &[&[Ty::GLOBAL; 4][..], &[Ty::SCRATCH, Ty::I64]].concat(), None);
    let [prepared, past, sums, spectra, scratch, number] = [0, 1, 2, 3, 4, 5].map(|n| f.param(n));
    let table = f.address_of(table);
    let page = f.i64(conv.page() as i64);
    let (zero, one, two) = (f.i64(0), f.i64(1), f.i64(2));
    let (blocks, ring) = (
        f.i64((size / conv.blocks.smallest) as i64),
        f.i64(conv.blocks.ring() as i64),
    );
    let number = f.udiv(number, blocks);
    let whole = f.i64((conv.panels() * 2 * size * lanes as usize) as i64);
    let spectrum = |f: &mut Func, distance: Val| {
        let block = f.sub(number, distance);
        let slot = f.urem(block, ring);
        let at = f.mul(slot, whole);
        f.gep(spectra, at, Scalar::F32)
    };
    let newest = spectrum(&mut f, one);
    f.call(&first, &[past, page, zero, newest], None);
    let filters = rows_at(&mut f, prepared, conv.top_row(1), lanes);
    let known = f.min(number, ring);
    let behind = f.add(known, one);
    let together = conv.machine.convolution.spectrum_elements.min(quarter);
    for k in 0..4 {
        let node = f.i64(1 + k as i64);
        let skip = 2 * k * quarter;
        let data = rows_at(&mut f, newest, skip, lanes);
        f.call(&forward, &[data, node, table, filters], None);
        let out = rows_at(&mut f, scratch, skip, lanes);
        let end = f.i64(quarter as i64);
        f.for_each(zero, end, together as i64, |f, bin| {
            let (row, bins) = (f.mul(bin, two), f.i64(together as i64));
            let to = rows(f, out, row, lanes);
            let x = rows(f, data, row, lanes);
            let filter = rows_at(f, filters, skip, lanes);
            let filter = rows(f, filter, row, lanes);
            f.call(&set, &[to, x, filter, bins], None);
            f.for_each(two, behind, 1, |f, distance| {
                let x = spectrum(f, distance);
                let x = rows_at(f, x, skip, lanes);
                let x = rows(f, x, row, lanes);
                let (size, less) = (f.i64(2 * size as i64), f.sub(distance, one));
                let further = f.mul(less, size);
                let filter = rows(f, filter, further, lanes);
                f.call(&add, &[to, x, filter, bins], None);
            });
        });
        f.call(&backward, &[out, node, table, filters], None);
    }
    f.call(&last, &[scratch, sums, page, zero], None);
    module.add(f);
    name
}

/// Adds `fn(out, x, filter, bins)`: products of elements, into `out` or added to it; returns its name.
fn multiply(module: &mut Module, lanes: u32, add: bool) -> String {
    let name = format!("seqc_bins{lanes}_{}", if add { "add" } else { "set" });
    if module.has(&name) {
        return name;
    }
    let mut f = Func::new(&name, &[Ty::SCRATCH, Ty::GLOBAL, Ty::GLOBAL, Ty::I64], None);
    let [out, x, filter, bins] = [0, 1, 2, 3].map(|n| f.param(n));
    let (zero, two) = (f.i64(0), f.i64(2));
    f.for_each(zero, bins, 1, |f, bin| {
        let row = f.mul(bin, two);
        let [to, x, k] = [out, x, filter].map(|base| rows(f, base, row, lanes));
        let (a, b) = (fft::load(f, x, lanes), fft::load(f, k, lanes));
        let mut y = fft::times(f, a, b);
        if add {
            let before = fft::load(f, to, lanes);
            y = fft::plus(f, before, y);
        }
        fft::store(f, y, to, lanes);
    });
    module.add(f);
    name
}
