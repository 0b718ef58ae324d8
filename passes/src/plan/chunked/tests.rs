//! Both forms of recurrences in plain loops, and which recurrences have two.

use super::{super::Plan, *};
use crate::{
    machine::Machine,
    optimise,
    plan::{Chunks, Kernel, Settings},
};
use seqc_ir::random::Rng;

/// Sizes of one head: tokens, keys, values.
const SIZES: [[usize; 3]; 3] = [[1, 3, 2], [7, 4, 5], [33, 6, 3]];

struct Head {
    decay: Vec<f64>,
    key: Vec<Vec<f64>>,
    value: Vec<Vec<f64>>,
    query: Vec<Vec<f64>>,
    /// Of corrections; gains of zero correct nothing.
    probe: Vec<Vec<f64>>,
    gain: Vec<f64>,
    state: Vec<Vec<f64>>,
}

impl Head {
    fn random(rng: &mut Rng, [tokens, n, p]: [usize; 3], corrected: bool) -> Head {
        let mut rows = |count: usize, size: usize| -> Vec<Vec<f64>> {
            let row = |rng: &mut Rng| (0..size).map(|_| 2.0 * rng.unit() - 1.0).collect();
            (0..count).map(|_| row(rng)).collect()
        };
        let gain = rows(tokens, 1)
            .iter()
            .map(|x| if corrected { x[0] } else { 0.0 })
            .collect();
        let probe = rows(tokens, n);
        let (key, query, value, state) = (rows(tokens, n), rows(tokens, n), rows(tokens, p), rows(n, p));
        // Some decays are negative, some tiny, some zero.
        let decay = |x: &Vec<f64>| match x[0] {
            x if x < -0.8 => 0.0,
            x if x > 0.9 => 1e-300,
            x => x,
        };
        let decay = rows(tokens, 1).iter().map(decay).collect();
        Head {
            decay,
            key,
            value,
            query,
            probe,
            gain,
            state,
        }
    }

    fn sizes(&self) -> (usize, usize) {
        (self.state.len(), self.state[0].len())
    }

    /// Results and the last state, token by token.
    fn recurrence(&self) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let ((n, p), mut s, mut y) = (self.sizes(), self.state.clone(), Vec::new());
        for t in 0..self.decay.len() {
            let held = |j: usize| (0..n).map(|i| self.probe[t][i] * s[i][j]).sum::<f64>();
            let u: Vec<f64> = (0..p).map(|j| self.value[t][j] - self.gain[t] * held(j)).collect();
            for (row, k) in s.iter_mut().zip(&self.key[t]) {
                for (x, v) in row.iter_mut().zip(&u) {
                    *x = self.decay[t] * *x + k * v;
                }
            }
            y.push(
                (0..p)
                    .map(|j| (0..n).map(|i| self.query[t][i] * s[i][j]).sum())
                    .collect(),
            );
        }
        (y, s)
    }

    /// The same as products.
    fn products(&self) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let ((n, p), tokens) = (self.sizes(), self.decay.len());
        let (mut row, mut total) = (vec![0.0; tokens], 1.0);
        let (mut u, mut y): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
        for t in 0..tokens {
            // What a row reads: of the block so far, and of the state before it.
            let read = |by: &[f64], u: &[Vec<f64>], row: &[f64], total: f64, j: usize| {
                let score = |s: usize| (0..n).map(|i| by[i] * self.key[s][i]).sum::<f64>();
                let among = (0..u.len()).map(|s| row[s] * score(s) * u[s][j]).sum::<f64>();
                among + (0..n).map(|i| total * by[i] * self.state[i][j]).sum::<f64>()
            };
            let held = |j: usize| read(&self.probe[t], &u, &row, total, j);
            let own = (0..p).map(|j| self.value[t][j] - self.gain[t] * held(j)).collect();
            u.push(own);
            row.iter_mut().for_each(|d| *d *= self.decay[t]);
            row[t] = 1.0;
            total *= self.decay[t];
            y.push((0..p).map(|j| read(&self.query[t], &u, &row, total, j)).collect());
        }
        let added = |i: usize, j: usize| (0..tokens).map(|s| self.key[s][i] * row[s] * u[s][j]).sum::<f64>();
        let next = |i: usize, j: usize| total * self.state[i][j] + added(i, j);
        let last = (0..n).map(|i| (0..p).map(|j| next(i, j)).collect()).collect();
        (y, last)
    }
}

#[test]
fn products_are_the_recurrence() {
    let mut rng = Rng::new(3);
    for sizes in SIZES {
        for n in 0..20 {
            let head = Head::random(&mut rng, sizes, n % 2 == 1);
            let ((y, s), (z, r)) = (head.recurrence(), head.products());
            let pairs = y.iter().chain(&s).flatten().zip(z.iter().chain(&r).flatten());
            for (a, b) in pairs {
                assert!((a - b).abs() < 1e-12 * (1.0 + a.abs()), "{sizes:?}: {a} and {b}");
            }
        }
    }
}

/// The matrix form of a layer with a state `S[4, 32, 64]`, whose next value `%30` is computed from the previous one `%5`,
/// a decay for each head `%10`, a key `%8` that two heads share and a value `%9`, and read as `%31`.
fn form(next: &str, read: &str) -> Option<Chunked> {
    let text = format!(
        "graph s {{
  input 0 a : f32[4]
  input 1 k : f32[2, 64]
  input 2 v : f32[4, 32]
  state @0 S : f32[4, 32, 64] next %30
  %0 = input(0) : f32[4]
  %1 = input(1) : f32[2, 64]
  %2 = input(2) : f32[4, 32]
  %5 = prev(@0) : f32[4, 32, 64]
  %8 = view(i0 / 2, i2) %1 : f32[4, 32, 64]
  %9 = view(i0, i1) %2 : f32[4, 32, 64]
  %10 = view(i0) %0 : f32[4, 32, 64]
  %11 = mul %8, %9 : f32[4, 32, 64]
{next}
{read}
  %32 = reduce(sum, axes=1) %31 : f32[4, 32]
  output y %32
}}
"
    );
    let mut graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}"));
    optimise(&mut graph);
    let plan = Plan::new(&graph, &Settings::of(&Machine::PORTABLE));
    plan.kernels.iter().find_map(|kernel| match kernel {
        Kernel::Scan(scan) => scan.chunked.clone(),
        _ => None,
    })
}

const PLAIN: &str = "  %12 = mul %10, %5 : f32[4, 32, 64]\n  %30 = add %12, %11 : f32[4, 32, 64]";
const READ: &str = "  %31 = mul %30, %8 : f32[4, 32, 64]";

/// The one product that a token adds to the state, and its value.
fn only_write(form: &Chunked) -> (&Write, &Term) {
    let [write] = &form.writes[..] else { panic!("{form:?}") };
    (write, write.value.as_ref().expect("a value"))
}

#[test]
fn a_decay_for_each_head_has_a_matrix_form() {
    let found = form(PLAIN, READ).expect("legal");
    let (write, value) = only_write(&found);
    let counts = [&found.decay, &write.key, &value.factors, &found.queries[0].factors].map(Vec::len);
    assert_eq!((counts, found.shared, found.diagonal), ([1, 1, 1, 1], 2, false));
}

#[test]
fn what_multiplies_both_parts_is_a_decay_and_a_factor_of_the_value() {
    let next = "  %12 = add %5, %11 : f32[4, 32, 64]\n  %30 = mul %10, %12 : f32[4, 32, 64]";
    let found = form(next, READ).expect("legal");
    let (write, value) = only_write(&found);
    assert_eq!([found.decay.len(), write.key.len(), value.factors.len()], [1, 1, 2]);
}

#[test]
fn a_decay_for_each_key_is_diagonal() {
    let next = "  %12 = mul %8, %5 : f32[4, 32, 64]\n  %30 = add %12, %11 : f32[4, 32, 64]";
    let found = form(next, READ).expect("legal");
    assert_eq!((found.diagonal, found.decay.len(), found.shared), (true, 1, 2));
}

#[test]
fn terms_of_a_sum_are_writes_of_their_own() {
    let next = "  %12 = mul %10, %5 : f32[4, 32, 64]
  %13 = sub %11, %9 : f32[4, 32, 64]
  %30 = add %12, %13 : f32[4, 32, 64]";
    let found = form(next, READ).expect("legal");
    let negative = |write: &Write| write.value.as_ref().map(|value| value.negative);
    assert_eq!(
        found.writes.iter().map(negative).collect::<Vec<_>>(),
        [Some(false), Some(true)]
    );
}

#[test]
fn an_emptied_state_is_a_decay_of_zero() {
    let next = "  %12 = const(0.0) : f32[4, 32, 64]
  %13 = gt %10, %12 : bool[4, 32, 64]
  %14 = select %13, %12, %5 : f32[4, 32, 64]
  %30 = add %14, %11 : f32[4, 32, 64]";
    let found = form(next, READ).expect("legal");
    assert_eq!(found.decay.iter().map(|x| x.keeps).collect::<Vec<_>>(), [Some(false)]);
}

#[test]
fn decays_of_entries_and_sums_that_do_not_factor_have_none() {
    // The decay differs along an axis of the matrix.
    let next = "  %12 = mul %9, %5 : f32[4, 32, 64]\n  %30 = add %12, %11 : f32[4, 32, 64]";
    assert_eq!(form(next, READ), None);
    // What is added is no outer product, nor a sum of some.
    let next = "  %12 = mul %10, %5 : f32[4, 32, 64]
  %13 = add %8, %9 : f32[4, 32, 64]
  %14 = tanh %13 : f32[4, 32, 64]
  %30 = add %12, %14 : f32[4, 32, 64]";
    assert_eq!(form(next, READ), None);
    // The state is read through a function of its entries.
    assert_eq!(form(PLAIN, "  %31 = tanh %30 : f32[4, 32, 64]"), None);
    // The query differs along the axis that is kept.
    assert_eq!(form(PLAIN, "  %31 = mul %30, %9 : f32[4, 32, 64]"), None);
}

#[test]
fn small_states_stay_scans() {
    let mut form = form(PLAIN, READ).expect("legal");
    let shortest = |form: &mut Chunked, p: usize, n: usize| {
        MatrixCost::new(form, &[24, p, n], &Machine::PORTABLE).choose(form, Chunks::Cheapest);
        form.shortest
    };
    assert_eq!(shortest(&mut form, 32, 16), None);
    assert!(shortest(&mut form, 64, 128).is_some_and(|tokens| tokens < 32));
}
