//! Slower clocks: which tokens of a chunk tick, their rows and their positions.
//!
//! The list of a chunk is in the scratch of every thread: the tokens that tick, then for each token how many did up to
//! it. With it rows are read and written in place, and positions count ticks.

use super::{
    layout::{Strided, row_at},
    variant::Attend,
};
use crate::kernel::{Cmp, Func, Module, Scalar, Team, Ty, Val};
use seqc_ir::{Clock, Normaliser, UNSEEN};

impl Attend {
    /// True unless all tokens are keys and queries: the number of keys is a state entry.
    pub(super) fn has_clock(&self) -> bool {
        self.spec.clock != Clock::Every
    }

    /// The first of the two slots of the clock in the table: the list, and the number of keys.
    fn clock_slot(&self) -> usize {
        self.spec.key_streams + 2 * self.spec.query_streams + self.spec.tables
    }

    /// Row of query `n` in the chunk.
    pub(super) fn query_row(&self, f: &mut Func, table: Val, n: Val) -> Val {
        if self.spec.clock != Clock::Both {
            return n;
        }
        let list = f.load_slot(table, self.clock_slot(), Ty::SCRATCH);
        tick(f, list, n)
    }

    /// Position of query `n` of the chunk, whose first key has position `position`.
    pub(super) fn query_position(&self, f: &mut Func, table: Val, position: Val, n: Val) -> Val {
        if self.spec.clock != Clock::Keys {
            return f.add(position, n);
        }
        let list = f.load_slot(table, self.clock_slot(), Ty::SCRATCH);
        let counts = f.i64(self.max_chunk as i64);
        let counts = f.gep(list, counts, Scalar::I64);
        let ticks = tick(f, counts, n);
        let (sum, one) = (f.add(position, ticks), f.i64(1));
        f.sub(sum, one)
    }

    /// Number of keys when the chunk has been appended.
    pub(super) fn keys_end(&self, f: &mut Func, table: Val, chunk: Chunk) -> Val {
        if self.has_clock() {
            f.load_slot(table, self.clock_slot() + 1, Ty::I64)
        } else {
            f.add(chunk.position, chunk.count)
        }
    }
}

/// The tokens that are computed together.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    /// Position of the first key among them.
    pub(super) position: Val,
    /// Tokens, or keys where these are queries too.
    pub(super) count: Val,
}

/// Entry `n` of a list.
pub(super) fn tick(f: &mut Func, list: Val, n: Val) -> Val {
    let p = f.gep(list, n, Scalar::I64);
    f.load(p, Ty::I64)
}

/// Adds the function of [`Attend::ticks`].
pub(super) fn list(attend: &Attend, module: &mut Module) -> String {
    let name = format!("{}_ticks", attend.name);
    let params = [Ty::GLOBAL, Ty::I64, Ty::I64, Ty::SCRATCH];
    let mut f = Func::new(&name, &params, Some(Ty::I64));
    let on = Strided::of_params(&f, 0);
    let (count, list) = (f.param(2), f.param(3));
    let (zero, one) = (f.i64(0), f.i64(1));
    let counts = f.i64(attend.max_chunk as i64);
    let counts = f.gep(list, counts, Scalar::I64);
    let ticks = f.for_loop(zero..count, one, &[zero], |f, t, ticks| {
        let ticking = holds(f, on, t);
        // Overwritten by the next tick, unless this is one.
        let p = f.gep(list, ticks[0], Scalar::I64);
        f.store(t, p);
        let next = f.add(ticks[0], one);
        let next = f.select(ticking, next, ticks[0]);
        let p = f.gep(counts, t, Scalar::I64);
        f.store(next, p);
        vec![next]
    });
    f.ret(ticks[0]);
    module.add(f);
    name
}

/// Whether a token ticks.
fn holds(f: &mut Func, on: Strided, token: Val) -> Val {
    let p = on.row(f, token);
    let (truth, none) = (f.load(p, Ty::F32), f.f32(0.0));
    f.cmp(Cmp::Ne, truth, none)
}

/// Adds the function of [`Attend::inactive_results`].
pub(super) fn inactive_results(attend: &Attend, module: &mut Module) -> String {
    let name = format!("{}_inactive_results", attend.name);
    let params = [vec![Ty::GLOBAL, Ty::I64, Ty::GLOBAL], vec![Ty::I64; 4]].concat();
    let mut f = Func::new(&name, &params, None);
    let (out, on) = (Strided::of_params(&f, 0), Strided::of_params(&f, 2));
    let count = f.param(4);
    let team = Team {
        tid: f.param(5),
        threads: f.param(6),
    };
    f.team_for(team.cyclic(count), |f, t| {
        let ticking = holds(f, on, t);
        let silent = f.not(ticking);
        f.if_then(silent, |f| {
            let row = out.row(f, t);
            unseen(attend, f, row);
        });
    });
    module.add(f);
    name
}

/// The result of a query that sees no key.
fn unseen(attend: &Attend, f: &mut Func, row: Val) {
    let (zero, heads, width) = (f.i64(0), f.i64(attend.choosing() as i64), attend.result_width());
    let parts = match attend.spec.normaliser {
        Normaliser::Top(n) => vec![(n, UNSEEN), (n, -1.0)],
        _ => vec![(attend.value_dim, 0.0), (width - attend.value_dim, UNSEEN)],
    };
    f.for_each(zero, heads, 1, |f, head| {
        let row = row_at(f, row, head, width);
        let mut first = 0;
        for (size, value) in parts {
            let (low, high) = (f.i64(first as i64), f.i64((first + size) as i64));
            let value = f.f32(value as f32);
            f.for_each(low, high, 1, |f, entry| {
                let p = f.gep(row, entry, Scalar::F32);
                f.store(value, p);
            });
            first += size;
        }
    });
}
