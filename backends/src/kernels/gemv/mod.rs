//! Matrix times vector, straight from the stored weights: what decoding spends its time on.

mod blocks;
mod dot;
mod fixed;
mod float8;
mod groups;
mod inputs;
mod ordered;
mod plain;
mod records;
mod shape;

pub use ordered::{gemv_in_order, gemv_in_order_name};
pub(super) use shape::Shape;

use super::{
    dequant::byte,
    lanes::sum_four,
    layout::{Blocks, Layout, Plain, layout},
    rounded::RowForm,
};
use crate::{
    kernel::{Func, Module, Scalar, Ty, Val},
    targets::TargetInfo,
};
use seqc_formats::{Encoding, Float8};
use seqc_passes::machine::Machine;

/// Name of the function that [`gemv`] adds.
pub fn gemv_name(encoding: Encoding, form: RowForm) -> String {
    let rounded = match form {
        RowForm::Floats => "",
        RowForm::Bytes | RowForm::Pairs => "_rounded",
    };
    format!("seqc_gemv{rounded}_{}", encoding.name())
}

/// Adds the kernel for one store; returns its name.
///
/// `fn(w, row_bytes, rows, x, k, y)` computes `y[r] = sum_k W[r][k] * x[k]` for `r < rows` in f32. For block
/// stores `k` is a multiple of their block. Threads share the work by calling it on ranges of rows, best of a multiple
/// of 8; rows are expected to be contiguous, which only prefetching relies on. `x` has the form that [`RowForm::of_vector`] allows.
pub fn gemv(module: &mut Module, target: &TargetInfo, encoding: Encoding, form: RowForm) -> String {
    let name = gemv_name(encoding, form);
    if module.has(&name) {
        return name;
    }
    let mut f = Func::new(
        &name,
        &[Ty::GLOBAL, Ty::I64, Ty::I64, Ty::GENERIC, Ty::I64, Ty::GENERIC],
        None,
    );
    let (w, stride, rows) = (f.param(0), f.param(1), f.param(2));
    let (x, k, y) = (f.param(3), f.param(4), f.param(5));
    let machine = &target.machine;
    let count = match layout(encoding) {
        Layout::Plain(_) => machine.matrix_vector.plain_rows,
        Layout::Blocks(_) | Layout::Float8(_) => machine.matrix_vector.block_rows,
    };
    let ahead = bytes_ahead(&mut f, machine, stride, count);
    let shape = Shape {
        encoding,
        target,
        lanes: machine.lanes,
        w,
        stride,
        x,
        k,
        ahead,
        rounded: form == RowForm::Bytes,
    };
    let kernel = match layout(encoding) {
        Layout::Plain(plain) => Kernel::Plain(plain),
        Layout::Float8(kind) => Kernel::Float8(kind),
        Layout::Blocks(Blocks::Short(block)) => Kernel::Blocks(blocks::Blocks::new(&mut f, &shape, block, count)),
        Layout::Blocks(Blocks::Grouped(grouped)) => Kernel::Groups(groups::Groups::new(&mut f, &shape, grouped, count)),
    };
    let (zero, some) = (f.i64(0), f.i64(i64::from(count)));
    let rest = f.urem(rows, some);
    let whole = f.sub(rows, rest);
    f.for_each(zero, whole, i64::from(count), |f, r| {
        let (sums, more) = kernel.row_sums(f, &shape, r, count);
        let p = f.gep(y, r, Scalar::F32);
        for (i, s) in sums.chunks_exact(4).enumerate() {
            let mut four = sum_four(f, [s[0], s[1], s[2], s[3]]);
            if let Some(more) = more {
                let lanes: Vec<i64> = (0..4).map(|l| 4 * i as i64 + l).collect();
                let part = f.shuffle(more, more, &lanes);
                four = f.add(four, part);
            }
            let p = byte(f, p, 16 * i as i64);
            f.store(four, p);
        }
    });
    f.for_each(whole, rows, 1, |f, r| {
        let (sums, more) = kernel.row_sums(f, &shape, r, 1);
        let mut sum = f.reduce_add(sums[0]);
        if let Some(more) = more {
            let part = f.extract(more, 0);
            sum = f.add(sum, part);
        }
        let p = f.gep(y, r, Scalar::F32);
        f.store(sum, p);
    });
    module.add(f);
    name
}

/// The least multiple of `count` rows that is not below what the machine asks for ahead of use.
pub(super) fn bytes_ahead(f: &mut Func, machine: &Machine, stride: Val, count: u32) -> Val {
    let least = machine.memory.prefetch as i64 - 1;
    let (count, least, one) = (f.i64(i64::from(count)), f.i64(least), f.i64(1));
    let group = f.mul(count, stride);
    // A matrix without columns has no bytes to ask for.
    let group = f.max(group, one);
    let above = f.add(least, group);
    let groups = f.udiv(above, group);
    f.mul(groups, group)
}

enum Kernel {
    Plain(Plain),
    Blocks(blocks::Blocks),
    Groups(groups::Groups),
    Float8(Float8),
}

impl Kernel {
    /// For each of `count` rows from `r` on, a vector whose lanes add up to the product; and a vector with one
    /// more summand for each row, if there is one.
    fn row_sums(&self, f: &mut Func, shape: &Shape<'_>, r: Val, count: u32) -> (Vec<Val>, Option<Val>) {
        let rows = shape.rows(f, r, count);
        match self {
            Kernel::Plain(plain) => (plain::row_sums(f, shape, *plain, &rows), None),
            Kernel::Blocks(blocks) => blocks.row_sums(f, shape, &rows),
            Kernel::Groups(groups) => (groups.row_sums(f, shape, &rows), None),
            Kernel::Float8(kind) => (float8::row_sums(f, shape, *kind, &rows), None),
        }
    }
}
