//! One tile of rows over one page: products with keys, weights, products with values; or the best keys.

use super::{
    layout::{PAGE, Scratch, float_at, number_at, numbers_at, row_at},
    masked_values,
    product::product,
    score::{self, Mask},
    table::Tables,
    tile::{Init, Shape},
    tile_args::TileArgs,
    variant::{Attend, PageCopy},
};
use crate::kernel::{Func, Module, Ty, Val};
use seqc_ir::Normaliser;

/// Adds `fn(args…, k, v, next, keys, open: i1, skip_masked: i1)`; returns its name. `k` and `v` are the head's pages, and `next`
/// the keys of the page that comes after; keys from `keys`
/// on are seen by no query of the tile; with `open` all keys are seen by all; with `skip_masked` values of keys that a query
/// does not see are not multiplied by its weight of zero.
pub(super) fn function(attend: &Attend, module: &mut Module, tables: &Tables) -> String {
    let open = score::function(attend, module, tables, Mask::Open);
    let pairs = score::function(attend, module, tables, Mask::Pairs);
    let products = product(attend, module, products_name(attend), &key_shape(attend));
    let sums = sums(attend, module);
    let name = name(attend, "page");
    let space = attend.page_space();
    let own = [space, space, space, Ty::I64, Ty::I1, Ty::I1];
    let params = [&TileArgs::TYPES[..], &own].concat();
    let mut f = Func::new(&name, &params, None);
    let args = TileArgs::of(&f);
    let (k, v, next, keys) = (f.param(9), f.param(10), f.param(11), f.param(12));
    let (all, skip_masked) = (f.param(13), f.param(14));
    let places = Places::new(attend, &mut f, &args);
    if let Some(best) = attend.best() {
        best.add_insert(attend, module);
    }
    let e = f.i64(attend.key_dim as i64);
    let part = attend.first_of_cell(&mut f, args.page);
    let of_part = |f: &mut Func, page: Val, width: usize| match part {
        Some(first) => numbers_at(f, page, first, width, attend.elem()),
        None => page,
    };
    let (k, next_keys) = (of_part(&mut f, k, 1), of_part(&mut f, v, 1));
    let list = [
        places.queries,
        k,
        places.scores,
        e,
        places.factors,
        args.rows,
        next_keys,
    ];
    f.call(&products, &list, None);
    let call = |name: String| move |f: &mut Func| f.call(&name, &args.list(), None).into_iter().collect::<Vec<Val>>();
    let multiply = f.not(skip_masked);
    let all = f.and(all, multiply);
    f.if_else(all, call(open), call(pairs));
    for (n, (panel, product)) in attend.panels().iter().zip(&sums).enumerate() {
        let [v, next] = [v, next].map(|page| {
            let before = PAGE * (panel.start + n * attend.padding());
            let panel_of = number_at(&mut f, page, before, attend.elem());
            of_part(&mut f, panel_of, panel.width)
        });
        let out = float_at(&mut f, places.sums, panel.start);
        let list = [places.scores, v, out, keys, places.factors, args.rows, next];
        let call = |name: &str| {
            let name = name.to_owned();
            move |f: &mut Func| f.call(&name, &list, None).into_iter().collect::<Vec<Val>>()
        };
        match &product.skipping {
            Some(skipping) => {
                f.if_else(skip_masked, call(skipping), call(&product.all));
            }
            None => {
                call(&product.all)(&mut f);
            }
        }
    }
    module.add(f);
    name
}

/// Name of the function that multiplies a tile of queries by a page of keys.
pub(super) fn products_name(attend: &Attend) -> String {
    name(attend, "products")
}

/// Name of a function of this attention that reads pages.
fn name(attend: &Attend, part: &str) -> String {
    let copy = if attend.copy == PageCopy::OfBlock {
        "_of_block"
    } else {
        ""
    };
    format!("{}_{part}{copy}", attend.name)
}

impl Attend {
    /// The first key of a cell in its page, where cells are parts of pages.
    pub(super) fn first_of_cell(&self, f: &mut Func, cell: Val) -> Option<Val> {
        let size = self.cell();
        if size == PAGE {
            return None;
        }
        let (parts, size) = (f.i64((PAGE / size) as i64), f.i64(size as i64));
        let part = f.urem(cell, parts);
        Some(f.mul(part, size))
    }
}

/// Places in the scratch of the thread, those of the tile's rows where there are rows.
struct Places {
    queries: Val,
    scores: Val,
    factors: Val,
    sums: Val,
}

impl Places {
    fn new(attend: &Attend, f: &mut Func, args: &TileArgs) -> Places {
        let scratch = Scratch::of_tiles(attend);
        let queries = float_at(f, args.scratch, scratch.queries);
        let sums = float_at(f, args.scratch, scratch.sums);
        Places {
            queries: row_at(f, queries, args.at, attend.key_dim),
            scores: float_at(f, args.scratch, scratch.scores),
            factors: float_at(f, args.scratch, scratch.shrink),
            sums: row_at(f, sums, args.at, attend.found_width()),
        }
    }
}

/// The functions that multiply weights by a panel of values.
struct ValueProduct {
    /// All weights.
    all: String,
    /// Those that are not masked, where these are ever left out: not in copies of a block.
    skipping: Option<String>,
}

/// Queries times a page of keys.
fn key_shape(attend: &Attend) -> Shape {
    Shape {
        lanes: attend.lanes(),
        machine: attend.machine,
        width: attend.cell(),
        lda: attend.key_dim,
        ldb: PAGE + attend.padding(),
        ldc: PAGE,
        stored: attend.stored(),
        space: attend.page_space(),
        init: Init::Zero,
    }
}

/// Weights times a page of values, for each panel.
fn sums(attend: &Attend, module: &mut Module) -> Vec<ValueProduct> {
    let shrinks = attend.spec.normaliser == Normaliser::Softmax;
    let panels = attend.panels();
    let mut names = Vec::new();
    for (n, panel) in panels.iter().enumerate() {
        let shape = Shape {
            lanes: attend.lanes(),
            machine: attend.machine,
            width: panel.width,
            lda: PAGE,
            ldb: panel.width + attend.padding(),
            ldc: attend.value_width(),
            stored: attend.stored(),
            space: attend.page_space(),
            init: if shrinks { Init::Scale } else { Init::Add },
        };
        let name = name(attend, &format!("sums_{n}"));
        let skipping = (attend.copy != PageCopy::OfBlock)
            .then(|| masked_values::product(module, format!("{name}_skip_masked"), &shape));
        names.push(ValueProduct {
            all: product(attend, module, name, &shape),
            skipping,
        });
    }
    names
}
