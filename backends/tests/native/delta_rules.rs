//! Generalised delta rules as matrix products: decays for each key, keys that are removed and others that are added, several writes of a
//! token. They compute what the evaluator says, however the sequence is cut; next to each stands what has no such form.

use crate::{
    chunked::model,
    generated::{Machine, TOLERANCE, difference, distance, reference, spoil, widest},
};
use seqc_ir::{BinaryOp, Graph, ReduceOp, StateId, Ty, UnaryOp, Value, dims};
use seqc_passes::{
    machine,
    plan::{Chunked, Chunks, Kernel, Plan, Settings},
};

/// Sizes of a state, which is `S[heads, n, p]`, or `S[heads, p, n]` if it is transposed.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    heads: usize,
    n: usize,
    p: usize,
    transposed: bool,
    /// For each query, whether it meets the previous state.
    queries: &'static [bool],
}

/// A graph of one recurrence at these sizes, with the values that it is made of.
struct Maker {
    g: Graph,
    s: Sizes,
    state: StateId,
    prev: Value,
    inputs: usize,
}

impl Maker {
    fn new(s: Sizes) -> Maker {
        let mut g = Graph::new("delta");
        let state = g.add_state("S", Ty::f32(&s.shape()));
        let prev = g.prev(state);
        Maker {
            g,
            s,
            state,
            prev,
            inputs: 0,
        }
    }

    fn input(&mut self, sizes: &[usize]) -> Value {
        self.inputs += 1;
        self.g.add_input(format!("x{}", self.inputs), Ty::f32(sizes))
    }

    /// A key, `[heads, n]`, short enough for stable delta rules.
    fn key(&mut self) -> Value {
        let Sizes { heads, n, .. } = self.s;
        let x = self.input(&[heads, n]);
        let scale = self.g.constant((n as f64).sqrt().recip(), Ty::f32(&[heads, n]));
        self.g.product_of(x, scale)
    }

    fn value(&mut self) -> Value {
        let Sizes { heads, p, .. } = self.s;
        self.input(&[heads, p])
    }

    /// Decays for each key, some of them zero.
    fn decays(&mut self) -> Value {
        let Sizes { heads, n, .. } = self.s;
        let x = self.input(&[heads, n]);
        let (half, zero) = (
            self.g.constant(0.8, Ty::f32(&[heads, n])),
            self.g.constant(0.0, Ty::f32(&[heads, n])),
        );
        let x = self.g.sum_of(x, half);
        let one = self.g.constant(0.999, Ty::f32(&[heads, n]));
        let x = self.g.binary(BinaryOp::Max, x, zero);
        self.g.binary(BinaryOp::Min, x, one)
    }

    fn of_head(&mut self) -> Value {
        let x = self.input(&[self.s.heads]);
        self.g.unary(UnaryOp::Sigmoid, x)
    }

    /// `x`, which has the axes `[heads, n]`, `[heads, p]` or `[heads]`, over all of the state.
    fn wide(&mut self, x: Value, along: Option<char>) -> Value {
        let axes = self.s.axes();
        let [n, p] = [axes.iter().position(|a| *a == 'n'), axes.iter().position(|a| *a == 'p')].map(Option::unwrap);
        let shape = dims(&self.s.shape());
        match along {
            Some('n') => self.g.broadcast(x, shape, &[0, n]),
            Some(_) => self.g.broadcast(x, shape, &[0, p]),
            None => self.g.broadcast(x, shape, &[0]),
        }
    }

    /// `sum(n: by[heads, n] * state[heads, n, p])`
    fn read(&mut self, state: Value, by: Value) -> Value {
        let Sizes { heads, n, p, .. } = self.s;
        let shape = dims(&[heads, p, n]);
        let by = self.g.broadcast(by, shape, &[0, 2]);
        let state = if self.s.transposed {
            state
        } else {
            self.g.transpose(state, &[0, 2, 1])
        };
        let product = self.g.product_of(by, state);
        self.g.reduce(ReduceOp::Sum, product, 1)
    }

    /// `key[n] * value[p]`
    fn outer(&mut self, key: Value, value: Value) -> Value {
        let (key, value) = (self.wide(key, Some('n')), self.wide(value, Some('p')));
        self.g.product_of(key, value)
    }

    fn sub(&mut self, a: Value, b: Value) -> Value {
        self.g.binary(BinaryOp::Sub, a, b)
    }

    /// The state after the delta rule with a key and a value, times a step.
    fn delta(&mut self, state: Value, read: Value, key: Value) -> Value {
        let (value, step) = (self.value(), self.of_head());
        let error = self.sub(value, read);
        let added = self.outer(key, error);
        let step = self.wide(step, None);
        let added = self.g.product_of(step, added);
        self.g.sum_of(state, added)
    }

    fn finish(mut self, next: Value) -> Graph {
        self.g.set_next(self.state, next);
        let mut sum: Option<Value> = None;
        for previous in self.s.queries {
            let query = self.key();
            let y = self.read(if *previous { self.prev } else { next }, query);
            let bounded = self.g.unary(UnaryOp::Tanh, y);
            sum = Some(sum.map_or(y, |sum| self.g.sum_of(sum, bounded)));
        }
        self.g.add_output("y", sum.expect("a query"));
        self.g
    }
}

impl Sizes {
    fn axes(self) -> [char; 3] {
        if self.transposed {
            ['h', 'p', 'n']
        } else {
            ['h', 'n', 'p']
        }
    }

    fn shape(self) -> [usize; 3] {
        let Sizes { heads, n, p, .. } = self;
        if self.transposed { [heads, p, n] } else { [heads, n, p] }
    }
}

/// `S = (I - b k k^T) diag(a) S' + b k v^T` (Kimi delta attention).
fn decay_of_each_key(s: Sizes) -> Graph {
    let mut m = Maker::new(s);
    let (key, decay) = (m.key(), m.decays());
    let probe = m.g.product_of(key, decay);
    let old = m.read(m.prev, probe);
    let wide = m.wide(decay, Some('n'));
    let kept = m.g.product_of(wide, m.prev);
    let next = m.delta(kept, old, key);
    m.finish(next)
}

/// `S = diag(w) S' - (a o c) (c^T S') + k v^T` (RWKV-7).
fn removal_and_replacement(s: Sizes) -> Graph {
    let mut m = Maker::new(s);
    let (probe, removed, added, decay, value) = (m.key(), m.key(), m.key(), m.decays(), m.value());
    let old = m.read(m.prev, probe);
    let wide = m.wide(decay, Some('n'));
    let kept = m.g.product_of(wide, m.prev);
    let removed = m.outer(removed, old);
    let kept = m.sub(kept, removed);
    let added = m.outer(added, value);
    let next = m.g.sum_of(kept, added);
    m.finish(next)
}

/// A decay, then the delta rule some times (DeltaProduct).
fn several_steps(s: Sizes, steps: usize, diagonal: bool) -> Graph {
    let mut m = Maker::new(s);
    let (decay, along) = if diagonal {
        (m.decays(), Some('n'))
    } else {
        (m.of_head(), None)
    };
    let wide = m.wide(decay, along);
    let mut state = m.g.product_of(wide, m.prev);
    for _ in 0..steps {
        let key = m.key();
        let old = m.read(state, key);
        state = m.delta(state, old, key);
    }
    m.finish(state)
}

/// `S = a S' + k v^T + l w^T` (Mamba-3).
fn two_writes(s: Sizes, diagonal: bool) -> Graph {
    let mut m = Maker::new(s);
    let (decay, along) = if diagonal {
        (m.decays(), Some('n'))
    } else {
        (m.of_head(), None)
    };
    let wide = m.wide(decay, along);
    let mut state = m.g.product_of(wide, m.prev);
    for _ in 0..2 {
        let (key, value) = (m.key(), m.value());
        let added = m.outer(key, value);
        state = m.g.sum_of(state, added);
    }
    m.finish(state)
}

/// A write that is not corrected, then one that is corrected by what the state then holds.
fn corrected_by_an_earlier_write(s: Sizes) -> Graph {
    let mut m = Maker::new(s);
    let (decay, key, value, second) = (m.decays(), m.key(), m.value(), m.key());
    let wide = m.wide(decay, Some('n'));
    let kept = m.g.product_of(wide, m.prev);
    let added = m.outer(key, value);
    let state = m.g.sum_of(kept, added);
    let old = m.read(state, second);
    let next = m.delta(state, old, second);
    m.finish(next)
}

fn form(graph: &Graph, chunks: Chunks) -> Option<Chunked> {
    let mut graph = graph.clone();
    seqc_passes::optimise(&mut graph);
    let settings = Settings {
        chunks,
        ..Settings::of(&machine::Machine::PORTABLE)
    };
    let plan = Plan::new(&graph, &settings);
    plan.kernels.iter().find_map(|kernel| match kernel {
        Kernel::Scan(scan) => scan.chunked.clone(),
        Kernel::Heads { chunked, .. } => chunked.as_ref().and_then(|scan| scan.chunked.clone()),
        _ => None,
    })
}

/// Writes of a token, those that are corrected, and whether decays differ from key to key.
type Shape = (usize, usize, bool);

fn shape(graph: &Graph) -> Option<Shape> {
    form(graph, Chunks::Products).map(|form| (form.writes.len(), form.corrected(), form.diagonal))
}

fn check(graph: Graph, expected: Shape) {
    assert_eq!(shape(&graph), Some(expected));
    let random = model(graph);
    let inputs = random.input_values(7, 130);
    let reference_of = |inputs: &_| reference(&random, 0, inputs);
    let machine = Machine::new(&random, &widest(), 0, 128, Chunks::Products);
    let cuts: [(&[usize], usize); 4] = [(&[128], 1), (&[1], 1), (&[1, 49, 3, 7], 2), (&[48, 47, 2, 128], 3)];
    let expected = reference_of(&inputs);
    for (cut, threads) in cuts {
        let off = distance(&machine.run(&inputs, cut, threads), &expected, 0);
        assert!(off < TOLERANCE, "chunks {cut:?}: off by {off:e}");
    }
    for seed in 0..2 {
        let mut inputs = inputs.clone();
        spoil(&random, &mut inputs, seed);
        let expected = reference_of(&inputs);
        for (cut, threads) in cuts {
            let off = difference(&machine.run(&inputs, cut, threads), &expected, 0);
            assert_eq!(off, None, "chunks {cut:?}, seed {seed}");
        }
    }
}

/// Sizes of whole vectors, and of others.
fn sizes(transposed: bool) -> [Sizes; 3] {
    [(2, 64, 64), (3, 37, 40), (2, 48, 75)].map(|(heads, n, p)| Sizes {
        heads,
        n,
        p,
        transposed,
        queries: &[false],
    })
}

#[test]
fn queries_of_the_previous_state() {
    for s in sizes(false).into_iter().chain(sizes(true)) {
        let s = Sizes { queries: &[true], ..s };
        check(two_writes(s, false), (2, 0, false));
        check(two_writes(s, true), (2, 0, true));
        check(removal_and_replacement(s), (2, 1, true));
        check(several_steps(s, 2, false), (2, 2, false));
    }
}

#[test]
fn several_queries_of_a_state() {
    let all = sizes(false).into_iter().chain([sizes(true)[1]]);
    let queries: [&[bool]; 2] = [&[false, false], &[true, false, false]];
    for (s, queries) in all.zip(queries.into_iter().cycle()) {
        let s = Sizes { queries, ..s };
        check(two_writes(s, false), (2, 0, false));
        check(two_writes(s, true), (2, 0, true));
        check(removal_and_replacement(s), (2, 1, true));
    }
    let many = Sizes {
        queries: &[false; 5],
        ..sizes(false)[0]
    };
    assert_eq!(shape(&two_writes(many, false)), None);
}

#[test]
fn decays_of_each_key_and_a_delta_rule() {
    for s in sizes(false).into_iter().chain(sizes(true)) {
        check(decay_of_each_key(s), (1, 1, true));
    }
}

#[test]
fn keys_that_are_removed_and_others_that_are_added() {
    for s in sizes(false).into_iter().chain(sizes(true)) {
        check(removal_and_replacement(s), (2, 1, true));
    }
}

#[test]
fn several_delta_rules_a_token() {
    for s in sizes(false) {
        check(several_steps(s, 2, false), (2, 2, false));
        check(several_steps(s, 3, true), (3, 3, true));
    }
}

#[test]
fn several_writes_a_token() {
    for s in sizes(true) {
        check(two_writes(s, false), (2, 0, false));
        check(two_writes(s, true), (2, 0, true));
    }
    check(corrected_by_an_earlier_write(sizes(false)[0]), (2, 1, true));
}

#[test]
fn recurrences_that_are_no_delta_rules_have_no_matrix_form() {
    let s = sizes(false)[0];
    // A decay after the writes that a later one reads.
    let mut m = Maker::new(s);
    let (key, second, decay) = (m.key(), m.key(), m.decays());
    let old = m.read(m.prev, key);
    let state = m.delta(m.prev, old, key);
    let old = m.read(state, second);
    let state = m.delta(state, old, second);
    let wide = m.wide(decay, Some('n'));
    let next = m.g.product_of(wide, state);
    assert_eq!(shape(&m.finish(next)), None);
    // What is read is no linear function of the state.
    let mut m = Maker::new(s);
    let key = m.key();
    let old = m.read(m.prev, key);
    let old = m.g.unary(UnaryOp::Tanh, old);
    let next = m.delta(m.prev, old, key);
    assert_eq!(shape(&m.finish(next)), None);
    // A decay for each value.
    let mut m = Maker::new(s);
    let (key, decay) = (m.key(), m.value());
    let old = m.read(m.prev, key);
    let wide = m.wide(decay, Some('p'));
    let kept = m.g.product_of(wide, m.prev);
    let next = m.delta(kept, old, key);
    assert_eq!(shape(&m.finish(next)), None);
    // More writes than a block can hold.
    assert_eq!(shape(&several_steps(s, 9, false)), None);
}

#[test]
fn products_are_taken_where_they_cost_less() {
    let large = Sizes {
        heads: 4,
        n: 128,
        p: 128,
        transposed: false,
        queries: &[false],
    };
    let small = Sizes { n: 8, p: 8, ..large };
    for graph in [decay_of_each_key, removal_and_replacement] {
        let shortest = |s: Sizes| form(&graph(s), Chunks::Cheapest).map(|form| form.shortest.is_some());
        assert_eq!(shortest(large), Some(true));
        assert_ne!(shortest(small), Some(true));
    }
}

/// `cargo test --workspace --test native -- --ignored --nocapture time_of_delta_rules`
#[test]
#[ignore = "measures, and prints what it finds"]
fn time_of_delta_rules() {
    let s = |n: usize, p: usize| Sizes {
        heads: 8,
        n,
        p,
        transposed: false,
        queries: &[false],
    };
    for (n, p) in [(32, 32), (64, 64), (128, 128)] {
        let cases = [
            ("delta rule", several_steps(s(n, p), 1, false)),
            ("decay of each key", decay_of_each_key(s(n, p))),
            ("removal and replacement", removal_and_replacement(s(n, p))),
            ("two steps", several_steps(s(n, p), 2, false)),
            ("three steps", several_steps(s(n, p), 3, false)),
            ("two writes", two_writes(s(n, p), false)),
            ("two writes, decay of each key", two_writes(s(n, p), true)),
        ];
        for (name, graph) in cases {
            let random = model(graph);
            let inputs = random.input_values(7, 256);
            let forms = [Chunks::Tokens, Chunks::Products].map(|c| Machine::new(&random, &widest(), 0, 256, c));
            for chunk in [16, 256] {
                let mut least = [f64::INFINITY; 2];
                for _ in 0..4 {
                    for (form, least) in forms.iter().zip(&mut least) {
                        *least = least.min(form.seconds(&inputs[..chunk], 2048 / chunk) / chunk as f64);
                    }
                }
                let [tokens, products] = least.map(|s| s * 1e6);
                println!(
                    "{name}, {n} x {p}, chunks of {chunk}: by tokens {tokens:.2} us a token, products {products:.2}"
                );
            }
        }
    }
}
