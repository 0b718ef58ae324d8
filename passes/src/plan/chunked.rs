//! Finds the recurrences that a chunk of tokens can compute as matrix products (state-space duality; Dao & Gu 2024,
//! arXiv:2405.21060, section 6), and says whether that is cheaper than going from token to token.
//!
//! For each head `h`, `S[n, p] = a prev(S)[n, p] + k[n] v[p]` with `y[p] = sum(n: q[n] S[n, p])` is, over a block of tokens,
//!
//! ```text
//! D[t, s] = a[s+1] … a[t] for s <= t, else 0        d[t] = a[1] … a[t]
//! Y       = (Q K^T o D) V + (d o Q) S
//! S'      = d[last] S + K^T (D[last] o V)
//! ```
//!
//! Where results read the previous state, `D[t, s] = a[s+1] … a[t-1]` for `s < t`, and `d` is that of the token before. Where they read
//! it several times, `Q` and `Y` have as many rows for each token.
//!
//! A token may write several such products `k v^T`: `K` and `V` then have as many rows for each token. Where a delta rule corrects
//! `v` by what the state holds, the corrected values of a block solve a triangular system first.
//!
//! `D` is built row by row, each from the one before. Unlike differences of logarithms such products take any decay:
//! zero, negative, or too small for its logarithm.
//!
//! A decay `a[n]` for each row of the state (gated linear attention, Yang et al. 2023, arXiv:2312.06635, section 4; Kimi Linear, arXiv:2510.26692)
//! is multiplied into the keys: `D` then is a matrix for each `n`. Blocks are made of sub-blocks. Within one, keys decay from
//! token to token, and each token multiplies those before it. To all earlier sub-blocks, whose keys have decayed up to the sub-block's
//! start, queries that decay from there are multiplied as matrices: every factor is a product of decays, and none a quotient of such
//! products, which may overflow.

use super::{
    Misfit,
    chunked_cost::MatrixCost,
    matrix_form::{Chunked, Correction, Costs, Factor, Query, Term, Write},
    scan::inner_values,
    types::{Plan, Scan},
};
use crate::{
    affine::{AffineExpr, Atom, operand_entries, through},
    recurrence::Recurrence,
};
use seqc_ir::{BinaryOp, Elem, Graph, Op, OpClass, ReduceOp, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A question about a value.
type Test<'a> = &'a dyn Fn(Value) -> bool;

/// The matrix form of a scan that has one, and when it is used. The last kept axis is `p`, the reduced one `n`, all others are heads.
/// `inside` are stored values that only the loop of the recurrence has at hand.
pub(super) fn find(
    graph: &Graph,
    plan: &Plan,
    recurrence: &Recurrence,
    scan: &Scan,
    inside: &HashSet<Value>,
) -> Result<Chunked, Misfit> {
    let ([state], [_]) = (&scan.states[..], &scan.reduced[..]) else {
        return Err(Misfit::NoMatrix);
    };
    let state_ty = &graph.states[state.0 as usize];
    let axes: Vec<usize> = scan.kept.iter().chain(&scan.reduced).copied().collect();
    let place = |axis: usize| axes.iter().position(|a| *a == axis).map(AffineExpr::axis);
    let written: HashSet<Value> = scan.outputs.iter().map(|nest| nest.value).collect();
    let finder = Finder {
        graph,
        next: state_ty.next.ok_or(Misfit::NoMatrix)?,
        inner: inner_values(recurrence),
        coords: (0..axes.len())
            .map(place)
            .collect::<Option<_>>()
            .ok_or(Misfit::NoMatrix)?,
        sizes: axes.iter().map(|a| state_ty.ty.dims[*a].size).collect(),
        stop: &|v| plan.is_stored(v) && !inside.contains(&v) && !written.contains(&v),
    };
    if finder.sizes.contains(&0) {
        return Err(Misfit::NoMatrix);
    }
    let mut form = finder.form(written.iter().copied().collect())?;
    let settings = &plan.settings;
    MatrixCost::new(&form, &finder.sizes, &settings.machine).choose(&mut form, settings.chunks);
    Ok(form)
}

/// More writes of a token than these are left to the form of single tokens: the triangular system grows with their square.
const MOST_WRITES: usize = 8;

/// More reads of the state than these are left to the form of single tokens, which reads each entry once for all of them.
const MOST_QUERIES: usize = 4;

/// More factors of a product than these are left together: a power of a power has twice as many each time.
const MOST_FACTORS: usize = 64;

/// How a state is made of the previous one.
struct Chain {
    /// What multiplies the previous state.
    decay: Vec<Factor>,
    /// What is added, in order, with what multiplies it later.
    writes: Vec<Term>,
    /// Whether something multiplies the state after a write.
    late: bool,
    /// The states on the way, each with the number of writes that it has.
    stages: HashMap<Value, usize>,
}

struct Finder<'a> {
    graph: &'a Graph,
    next: Value,
    /// Members of the recurrence and the previous value.
    inner: HashSet<Value>,
    /// Indices of the state's axes over the loops.
    coords: Vec<AffineExpr>,
    /// Sizes of the loops.
    sizes: Vec<usize>,
    /// What is read, not computed.
    stop: Test<'a>,
}

impl Finder<'_> {
    fn n(&self) -> usize {
        self.sizes.len() - 1
    }

    fn p(&self) -> usize {
        self.sizes.len() - 2
    }

    fn form(&self, outputs: Vec<Value>) -> Result<Chunked, Misfit> {
        let mut chain = self.chain(self.next).ok_or(Misfit::NotDecayAndProduct)?;
        let terms = std::mem::take(&mut chain.writes);
        if !(1..=MOST_WRITES).contains(&terms.len()) {
            return Err(Misfit::NotDecayAndProduct);
        }
        let sums = self.sums(outputs).ok_or(Misfit::OtherReads)?;
        if !(1..=MOST_QUERIES).contains(&sums.len()) {
            return Err(Misfit::OtherReads);
        }
        let query = |sum| self.query(sum).ok_or(Misfit::OtherReads);
        let queries = sums.into_iter().map(query).collect::<Result<Vec<Query>, Misfit>>()?;
        let write = |term| self.write(&chain, term).ok_or(Misfit::OtherCorrection);
        let writes = terms.into_iter().map(write).collect::<Result<Vec<Write>, Misfit>>()?;
        let decay = chain.decay;
        let apart = |factors: &[Factor], axis: usize| factors.iter().all(|x| !self.uses(x, axis));
        let corrections = || writes.iter().filter_map(|write| write.correction.as_ref());
        let rows: Vec<&Factor> = writes
            .iter()
            .flat_map(|write| &write.key)
            .chain(queries.iter().flat_map(|query| &query.factors))
            .chain(corrections().flat_map(|c| &c.probe))
            .collect();
        let fits = rows.iter().all(|x| !self.uses(x, self.p())) && apart(&decay, self.p());
        let of_head = |c: &Correction| apart(&c.gain.factors, self.p()) && apart(&c.gain.factors, self.n());
        if !fits || !corrections().all(of_head) {
            return Err(Misfit::EntriesOfValues);
        }
        let diagonal = !apart(&decay, self.n());
        let of_scores = rows.into_iter().chain(decay.iter().filter(|_| diagonal));
        let form = Chunked {
            shared: self.shared(of_scores),
            block: 0,
            shortest: None,
            costs: Costs::default(),
            diagonal,
            decay,
            writes,
            queries,
        };
        let linear = form.factors().all(|x| !self.reads_state(x.value));
        linear.then_some(form).ok_or(Misfit::NotDecayAndProduct)
    }

    /// How `v` is made of the previous state; `None` where that is not only multiplied and added to.
    fn chain(&self, v: Value) -> Option<Chain> {
        let (mut at, mut scale, mut writes) = (v, Vec::new(), Vec::new());
        let (mut stages, mut late) = (Vec::new(), false);
        loop {
            stages.push((at, writes.len()));
            let (op, operands) = (self.graph.op(at), self.graph.operands(at));
            if let Op::Prev(_) = op {
                break;
            }
            let inside: Vec<bool> = operands.iter().map(|o| self.carries(*o)).collect();
            if let (Op::Select, [false, a, b]) = (op, &inside[..]) {
                let (on, off) = if *a { (1, 2) } else { (2, 1) };
                // Only a state that is emptied is a decay of zero.
                if a == b || !is_zero(self.graph, operands[off]) {
                    return None;
                }
                scale.push(Factor {
                    value: operands[0],
                    coords: self.coords.clone(),
                    keeps: Some(*a),
                });
                at = operands[on];
                continue;
            }
            let (Op::Binary(op), [a, b]) = (op, &inside[..]) else {
                return None;
            };
            let (on, off) = if *a { (0, 1) } else { (1, 0) };
            let subtracts = *op == BinaryOp::Sub;
            if a == b || subtracts && off == 0 {
                return None;
            }
            if *op == BinaryOp::Mul {
                self.factors(operands[off], self.coords.clone(), &mut scale);
            } else if subtracts || *op == BinaryOp::Add {
                self.terms(operands[off], subtracts, &scale, &mut writes);
                late |= !scale.is_empty();
            } else {
                return None;
            }
            at = operands[on];
        }
        let total = writes.len();
        writes.reverse();
        Some(Chain {
            decay: scale,
            writes,
            late,
            stages: stages.into_iter().map(|(v, later)| (v, total - later)).collect(),
        })
    }

    /// The products that `v` is the sum of, the last one first; `scale` multiplies each.
    fn terms(&self, v: Value, negative: bool, scale: &[Factor], into: &mut Vec<Term>) {
        let operands = self.graph.operands(v);
        let (add, sub) = (Op::Binary(BinaryOp::Add), Op::Binary(BinaryOp::Sub));
        let op = self.graph.op(v);
        let few = into.len() <= MOST_WRITES;
        if few && !(self.stop)(v) && (*op == add || *op == sub) && self.graph.ty(v).elem == Elem::F32 {
            self.terms(operands[1], negative != (*op == sub), scale, into);
            self.terms(operands[0], negative, scale, into);
            return;
        }
        let mut factors = scale.to_vec();
        self.factors(v, self.coords.clone(), &mut factors);
        into.push(Term { factors, negative });
    }

    /// True for the previous value, and what is computed from it entry by entry.
    fn carries(&self, v: Value) -> bool {
        let (mut work, mut seen) = (vec![v], HashSet::new());
        while let Some(v) = work.pop() {
            let op = self.graph.op(v);
            if !self.inner.contains(&v) || !seen.insert(v) {
                continue;
            }
            if matches!(op, Op::Prev(_)) {
                return true;
            }
            if matches!(op, Op::Binary(_) | Op::Select) {
                work.extend(self.graph.operands(v));
            }
        }
        false
    }

    /// What is added to the state as a key and a value, corrected where that reads the state.
    fn write(&self, chain: &Chain, term: Term) -> Option<Write> {
        let (key, rest): (Vec<Factor>, Vec<Factor>) = term.factors.into_iter().partition(|x| self.uses(x, self.n()));
        let (state, common): (Vec<Factor>, Vec<Factor>) = rest.into_iter().partition(|x| self.reads_state(x.value));
        let product = |factors: Vec<Factor>, negative: bool| Term { factors, negative };
        let [read] = &state[..] else {
            let value = Some(product(common, term.negative));
            return state.is_empty().then_some(Write {
                key,
                value,
                correction: None,
            });
        };
        let (op, operands) = (self.graph.op(read.value), self.graph.operands(read.value));
        let subtracts = *op == Op::Binary(BinaryOp::Sub);
        if !subtracts && *op != Op::Binary(BinaryOp::Add) {
            let correction = self.correction(chain, read.clone(), product(common, term.negative))?;
            return Some(Write {
                key,
                value: None,
                correction: Some(correction),
            });
        }
        let (own, held) = if self.reads_state(operands[0]) { (1, 0) } else { (0, 1) };
        let negative = |operand: usize| term.negative != (subtracts && operand == 1);
        let mut value = product(common.clone(), negative(own));
        self.factors(operands[own], read.coords.clone(), &mut value.factors);
        let mut found = Vec::new();
        self.factors(operands[held], read.coords.clone(), &mut found);
        let (held_factors, more): (Vec<Factor>, Vec<Factor>) =
            found.into_iter().partition(|x| self.reads_state(x.value));
        let [read] = &held_factors[..] else { return None };
        let gain = product(common.into_iter().chain(more).collect(), negative(held));
        Some(Write {
            key,
            value: Some(value),
            correction: Some(self.correction(chain, read.clone(), gain)?),
        })
    }

    /// A correction by `gain` times a sum over the keys of a state.
    fn correction(&self, chain: &Chain, read: Factor, gain: Term) -> Option<Correction> {
        let sum = Op::Reduce {
            op: ReduceOp::Sum,
            axes: 1,
        };
        if *self.graph.op(read.value) != sum {
            return None;
        }
        let summed = self.graph.operands(read.value)[0];
        let mut coords = read.coords;
        coords.push(AffineExpr::axis(self.n()));
        let mut factors = Vec::new();
        self.factors(summed, coords, &mut factors);
        let (state, mut probe): (Vec<Factor>, Vec<Factor>) =
            factors.into_iter().partition(|x| self.reads_state(x.value));
        let all = self.graph.ty(summed).sizes().last() == self.sizes.last();
        let [state] = &state[..] else { return None };
        if !all || state.coords != self.coords {
            return None;
        }
        let read = self.chain(state.value)?;
        let after = if read.writes.is_empty() {
            // The previous state, perhaps decayed.
            probe.extend(read.decay);
            0
        } else {
            *chain.stages.get(&state.value).filter(|_| !chain.late)?
        };
        Some(Correction { gain, probe, after })
    }

    /// The factors of a product, behind views.
    fn factors(&self, v: Value, coords: Vec<AffineExpr>, into: &mut Vec<Factor>) {
        let operands = self.graph.operands(v);
        let computed = !(self.stop)(v) && v != self.next;
        let product = *self.graph.op(v) == Op::Binary(BinaryOp::Mul) && self.graph.ty(v).elem == Elem::F32;
        let product = product && into.len() < MOST_FACTORS;
        if computed && let Some(inner) = through(self.graph, v, &coords, &self.sizes) {
            self.factors(operands[0], inner, into);
        } else if computed && product {
            self.factors(operands[0], coords.clone(), into);
            self.factors(operands[1], coords, into);
        } else {
            into.push(Factor {
                value: v,
                coords,
                keeps: None,
            });
        }
    }

    /// The sums over `n` through which outputs read the state.
    fn sums(&self, outputs: Vec<Value>) -> Option<Vec<Value>> {
        // The loops go over all of the state: what reads a part of it has another size.
        if outputs
            .iter()
            .any(|v| self.graph.ty(*v).sizes() != self.sizes[..self.n()])
        {
            return None;
        }
        let own: Vec<AffineExpr> = (0..self.n()).map(AffineExpr::axis).collect();
        let mut work: Vec<(Value, Vec<AffineExpr>)> = outputs.into_iter().map(|v| (v, own.clone())).collect();
        let (mut seen, mut found) = (HashSet::new(), BTreeSet::new());
        while let Some((v, coords)) = work.pop() {
            if self.inner.contains(&v) {
                return None;
            }
            if (self.stop)(v) || !self.reads_state(v) || !seen.insert((v, coords.clone())) {
                continue;
            }
            let sum = Op::Reduce {
                op: ReduceOp::Sum,
                axes: 1,
            };
            if *self.graph.op(v) == sum && coords == own {
                found.insert(v);
            } else {
                work.extend(operand_entries(self.graph, v, &coords, &self.sizes[..self.n()])?);
            }
        }
        Some(found.into_iter().collect())
    }

    /// What the next or the previous state is multiplied by in a sum.
    fn query(&self, sum: Value) -> Option<Query> {
        let coords = (0..self.sizes.len()).map(AffineExpr::axis).collect();
        let mut factors = Vec::new();
        self.factors(self.graph.operands(sum)[0], coords, &mut factors);
        let (state, factors): (Vec<Factor>, Vec<Factor>) = factors.into_iter().partition(|x| self.reads_state(x.value));
        let all = self.graph.ty(self.graph.operands(sum)[0]).sizes() == self.sizes;
        let [x] = &state[..] else { return None };
        let reads_previous = matches!(self.graph.op(x.value), Op::Prev(_));
        let whole = all && (reads_previous || x.value == self.next) && x.coords == self.coords;
        whole.then_some(Query {
            factors,
            reads_previous,
            sum,
        })
    }

    fn reads_state(&self, v: Value) -> bool {
        let (mut work, mut seen) = (vec![v], HashSet::new());
        while let Some(at) = work.pop() {
            if self.inner.contains(&at) {
                return true;
            }
            if !(self.stop)(at) && seen.insert(at) {
                work.extend(self.graph.operands(at));
            }
        }
        false
    }

    /// The indices at which a factor reads.
    fn indices(&self, factor: &Factor) -> Vec<AffineExpr> {
        let mut work = vec![(factor.value, factor.coords.clone())];
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        while let Some((v, coords)) = work.pop() {
            if !seen.insert((v, coords.clone())) {
                continue;
            }
            let read = operand_entries(self.graph, v, &coords, &self.sizes);
            match read.filter(|_| !(self.stop)(v)) {
                Some(read) => work.extend(read),
                None if !(self.stop)(v) && matches!(self.graph.op(v), Op::Const(_) | Op::Position) => {}
                None => found.extend(coords),
            }
        }
        found
    }

    fn uses(&self, factor: &Factor, axis: usize) -> bool {
        self.indices(factor).iter().any(|at| at.uses(axis))
    }

    /// How many heads in a row read the same: all, or those of one quotient of the head's index.
    fn shared<'f>(&self, factors: impl Iterator<Item = &'f Factor>) -> usize {
        let heads: usize = self.sizes[..self.p()].iter().product();
        let indices = factors.flat_map(|x| self.indices(x)).collect::<Vec<_>>();
        let of_heads = indices.iter().filter(|at| at.uses_any(&|axis| axis < self.p()));
        let spans = of_heads.flat_map(|at| at.terms.keys()).map(|atom| match atom {
            Atom::Div(x, k) if self.p() == 1 && **x == AffineExpr::axis(0) => *k as usize,
            atom if !AffineExpr::atom(atom.clone()).uses_any(&|axis| axis < self.p()) => heads,
            _ => 1,
        });
        spans.fold(heads, gcd)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn is_zero(graph: &Graph, v: Value) -> bool {
    let mut at = v;
    while graph.class(at) == OpClass::Index {
        at = graph.operands(at)[0];
    }
    graph.op(at).as_const() == Some(0.0)
}

#[cfg(test)]
mod tests;
