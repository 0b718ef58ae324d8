//! Values that are a part of the keys: of a page, keys lie by entry, and the products with weights take values by token.

use super::{
    layout::{PAGE, Panel, number_at, numbers_at},
    variant::Attend,
};
use crate::{
    kernel::{Func, Module, Ty, Val},
    kernels::lanes::transpose,
};

/// Name of the function that [`function`] adds.
pub(super) fn name(attend: &Attend) -> String {
    format!("{}_values", attend.name)
}

/// Where values are a part of the keys, adds `fn(keys, values)`: writes the values of the keys of a head's page as pages of values are stored.
pub(super) fn function(attend: &Attend, module: &mut Module) {
    let Some(first) = attend.values_in_keys else { return };
    let mut f = Func::new(name(attend), &[Ty::GLOBAL, Ty::SCRATCH], None);
    for panel in attend.panels() {
        Turn { attend, first, panel }.panel(&mut f);
    }
    module.add(f);
}

/// Entries of keys that become columns of a panel.
struct Turn<'a> {
    attend: &'a Attend,
    /// The entry of a key where the value begins.
    first: usize,
    panel: Panel,
}

impl Turn<'_> {
    fn panel(&self, f: &mut Func) {
        let lanes = self.attend.lanes() as usize;
        let whole = self.panel.columns - self.panel.columns % lanes;
        let (zero, size, end) = (f.i64(0), f.i64(PAGE as i64), f.i64(whole as i64));
        f.for_each(zero, size, lanes as i64, |f, token| {
            f.for_each(zero, end, lanes as i64, |f, column| {
                self.square(f, token, column, lanes)
            });
            if whole < self.panel.columns {
                self.square(f, token, end, self.panel.columns - whole);
            }
        });
    }

    /// As many tokens as a vector has lanes, and `size` columns; columns beside them are those of the last one.
    fn square(&self, f: &mut Func, token: Val, column: Val, size: usize) {
        let (attend, elem) = (self.attend, self.attend.elem());
        let (keys, values) = (f.param(0), f.param(1));
        let entry = number_at(f, keys, PAGE * (self.first + self.panel.start), elem);
        let entry = numbers_at(f, entry, column, PAGE, elem);
        let entry = f.gep(entry, token, elem);
        let vector = Ty::V(attend.lanes(), elem);
        let row = |n: usize| {
            let p = number_at(f, entry, PAGE * n.min(size - 1), elem);
            f.load(p, vector)
        };
        let rows: Vec<Val> = (0..attend.lanes() as usize).map(row).collect();
        let to = number_at(f, values, PAGE * self.panel.start, elem);
        let to = numbers_at(f, to, token, self.panel.width, elem);
        let to = f.gep(to, column, elem);
        for (n, of_token) in transpose(f, &rows).into_iter().enumerate() {
            let p = number_at(f, to, n * self.panel.width, elem);
            f.store(of_token, p);
        }
    }
}
