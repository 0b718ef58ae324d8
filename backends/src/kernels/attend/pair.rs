//! One query row and a vector of keys: what expressions over both are computed from.

use super::{rational_lanes::RationalLanes, sums_behind::SumBehind, table::Tables, variant::Attend};
use crate::kernel::{Func, Ty, Val};
use seqc_passes::attention::named::List;

/// The value of an expression; scalars hold for all lanes.
#[derive(Clone, Copy)]
pub(super) enum Term {
    Const(f64),
    /// A fraction of positions.
    Exact(RationalLanes),
    /// f32.
    Real(Val),
    /// i1.
    Truth(Val),
}

/// One query row and a vector of keys.
pub(super) struct Pair<'a> {
    pub(super) tables: &'a Tables,
    pub(super) lanes: u32,
    /// Position of the query, i64.
    pub(super) query: Val,
    /// Position of the first lane's key, i64.
    pub(super) key: Val,
    /// Query head, i64.
    pub(super) head: Val,
    /// Scaled products; absent in predicates.
    pub(super) score: Option<Val>,
    /// Query streams, f32 scalars.
    pub(super) query_streams: &'a [Val],
    /// Key streams, f32 vectors.
    pub(super) key_streams: Vec<Val>,
    /// What [`PairExpr::Table`] reads.
    pub(super) lookups: &'a [Lookup<'a>],
    /// Lists by which the query names its keys.
    pub(super) named: &'a [List],
    /// Which keys each of them names, i1 vectors.
    pub(super) members: Vec<Val>,
    /// What [`PairExpr::Listed`] looks through, for each query stream.
    pub(super) lists: &'a [Option<Entries>],
    /// The values of [`PairExpr::After`](seqc_ir::PairExpr::After).
    pub(super) behind: &'a [SumBehind<'a>],
}

/// The entries of a list for a query row.
#[derive(Clone, Copy)]
pub(super) struct Entries {
    /// Pointer to the first one.
    pub(super) first: Val,
    /// How many there are.
    pub(super) count: usize,
}

/// One table.
pub(super) struct Lookup<'a> {
    pub(super) base: Val,
    pub(super) sizes: &'a [usize],
}

impl<'a> Lookup<'a> {
    /// All tables of an attention; `table` is its array of slots.
    pub(super) fn all(attend: &'a Attend, f: &mut Func, table: Val) -> Vec<Lookup<'a>> {
        let first = attend.spec.key_streams + 2 * attend.spec.query_streams;
        let lookup = |(n, sizes): (usize, &'a Vec<usize>)| Lookup {
            base: f.load_slot(table, first + n, Ty::GLOBAL),
            sizes,
        };
        attend.tables.iter().enumerate().map(lookup).collect()
    }
}
