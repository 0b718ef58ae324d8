//! Products of a tile of rows with a page: by lanes, or on matrix units where the processor has them and there are many rows.

use super::{
    layout::row_at,
    matrix_tile,
    tile::{self, Init, RowCounts, Shape},
    variant::{Attend, PageCopy},
};
use crate::kernel::{Cmp, Func, Module, Scalar, Ty, Val};

/// Adds `fn(a, b, c, k, factors, rows, ahead)`, the products of [`tile::product`] for any number of rows that a tile of this attention can have; returns its
/// name. On matrix units what is not finite is no more than that, except in products of nothing before ([`Init::Zero`]), which are those of lanes then.
pub(super) fn product(attend: &Attend, module: &mut Module, name: String, shape: &Shape) -> String {
    let counts = row_counts(attend);
    let Some(units) = attend.matrix_units() else {
        return tile::product(module, name, shape, counts);
    };
    let by_lanes = tile::product(module, format!("{name}_lanes"), shape, counts);
    let on_units = matrix_tile::product(module, format!("{name}_matrices"), shape, units);
    let mut f = Func::new(&name, &shape.params(), None);
    let (list, rows, most) = (f.params(), f.param(5), f.i64(counts.most as i64));
    let many = f.cmp(Cmp::Gt, rows, most);
    let done = f.if_else(
        many,
        |f| {
            let finite = f.call(&on_units, &list, Some(Ty::S(Scalar::I1)));
            let known = f.i1(true);
            vec![finite.filter(|_| shape.init == Init::Zero).unwrap_or(known)]
        },
        |f| vec![f.i1(false)],
    );
    let left = f.not(done[0]);
    f.if_then(left, |f| in_parts(f, &by_lanes, shape, most));
    module.add(f);
    name
}

/// Products by lanes of `most` rows, then of the next ones.
fn in_parts(f: &mut Func, by_lanes: &str, shape: &Shape, most: Val) {
    let [a, b, c, k, factors, rows, ahead] = [0, 1, 2, 3, 4, 5, 6].map(|n| f.param(n));
    let zero = f.i64(0);
    f.for_loop(zero..rows, most, &[], |f, at, _| {
        let left = f.sub(rows, at);
        let (a, c) = (row_at(f, a, at, shape.lda), row_at(f, c, at, shape.ldc));
        let factors = f.gep(factors, at, Scalar::F32);
        let list = [a, b, c, k, factors, f.min(left, most), ahead];
        f.call(by_lanes, &list, None);
        Vec::new()
    });
}

/// How many rows are multiplied by lanes together.
fn row_counts(attend: &Attend) -> RowCounts {
    let most = attend.machine.tallest_tile() as usize;
    let of_tile = gcd(most, attend.tile_rows());
    RowCounts {
        most,
        unit: match (attend.names(), attend.spec.together) {
            (Some(_), _) => 1,
            _ if attend.copy == PageCopy::OfMember => 1,
            (None, 1) => gcd(of_tile, attend.ratio()),
            (None, together) => gcd(of_tile, together),
        },
        prefetch: attend.names().is_none() && attend.copy == PageCopy::None,
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
