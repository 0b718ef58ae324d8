//! Transforms of complex sequences, one for each lane: polynomials modulo `z^n - c` at the roots of `z^n = c`.
//!
//! A *node* is such a polynomial in place. One step splits it in four: modulo `z^(n/4) - t i^k` for `k = 0..4`, where
//! `t^4 = c`; all its butterflies have the same factors `t, t^2, t^3`. So there is no bit reversal, and the inverse takes the
//! steps in the opposite order. Nodes are numbered like a heap: the parts of node `e` are `4 e + 1 + k`. The root has `c = i`, that is angle
//! pi / 2; a table holds the factors of all nodes.
//!
//! An element is two vectors, the real and the imaginary parts.

use super::rows::{row_of, rows, rows_at, vector};
use crate::kernel::{Func, Module, Scalar, Ty, Val};
use seqc_passes::machine::Machine;
use std::f64::consts::FRAC_PI_2;

/// A vector of complex numbers.
#[derive(Clone, Copy)]
pub(super) struct Complex {
    pub(super) re: Val,
    pub(super) im: Val,
}

/// Adds the table of factors for transforms up to `size`; returns its name.
pub(super) fn table(module: &mut Module, size: usize) -> String {
    let name = format!("seqc_roots{size}");
    if module.has(&name) {
        return name;
    }
    let depth = size.ilog2().div_ceil(2);
    let mut angles = vec![FRAC_PI_2];
    let mut level = angles.clone();
    for _ in 1..depth {
        level = level
            .iter()
            .flat_map(|angle| (0..4).map(move |k| angle / 4.0 + f64::from(k) * FRAC_PI_2))
            .collect();
        angles.extend(&level);
    }
    let factors = angles.iter().flat_map(|angle| root_factors(*angle));
    let bytes: Vec<u8> = factors.flat_map(f32::to_le_bytes).collect();
    module.add_own_bytes(&name, &bytes);
    name
}

/// `t, t^2, t^3` of a node.
fn root_factors(angle: f64) -> [f32; 6] {
    let part = |n: f64| (n * angle / 4.0).sin_cos();
    let [(s1, c1), (s2, c2), (s3, c3)] = [part(1.0), part(2.0), part(3.0)];
    [c1, s1, c2, s2, c3, s3].map(|x| x as f32)
}

/// What is computed of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    /// From a sequence to its spectrum.
    Forward,
    /// From a spectrum to `size` times the sequence.
    Inverse,
    /// Its convolution with a filter whose spectrum is given.
    Convolve,
}

/// Adds `fn(data, node, table, filter)`, in place on `size` elements (a power of two from 4) of node number `node`; returns
/// its name. Only [`Transform::Convolve`] reads the filter, `size` elements.
pub(super) fn transform(module: &mut Module, machine: &Machine, size: usize, kind: Transform) -> String {
    let lanes = machine.lanes;
    let name = match kind {
        Transform::Forward => format!("seqc_fft{lanes}_{size}"),
        Transform::Inverse => format!("seqc_ifft{lanes}_{size}"),
        Transform::Convolve => format!("seqc_fft{lanes}_convolve_{size}"),
    };
    if module.has(&name) {
        return name;
    }
    let part = (size > machine.convolution.stepwise_elements).then(|| transform(module, machine, size / 4, kind));
    let mut f = Func::new(&name, &[Ty::GENERIC, Ty::I64, Ty::CONSTANT, Ty::GLOBAL], None);
    let data = Data {
        base: f.param(0),
        table: f.param(2),
        filter: f.param(3),
        lanes,
        kind,
    };
    // Nodes of one depth after another, down to leaves of four or eight elements; of a large transform only the first.
    let depths: Vec<u32> = match part {
        Some(_) => vec![0],
        None => (0..).take_while(|depth| size >> (2 * depth) > 8).collect(),
    };
    if kind != Transform::Inverse {
        depths.iter().for_each(|depth| data.steps(&mut f, size, *depth, true));
    }
    match part {
        Some(part) => data.parts(&mut f, size, &part),
        None => data.leaves(&mut f, size, depths.len() as u32),
    }
    if kind != Transform::Forward {
        depths
            .iter()
            .rev()
            .for_each(|depth| data.steps(&mut f, size, *depth, false));
    }
    module.add(f);
    name
}

/// What a transform works on.
struct Data {
    base: Val,
    table: Val,
    filter: Val,
    lanes: u32,
    kind: Transform,
}

impl Data {
    /// The four parts, each by a function.
    fn parts(&self, f: &mut Func, size: usize, part: &str) {
        let four = f.i64(4);
        let first = f.mul(f.param(1), four);
        for k in 0..4 {
            let number = f.i64(1 + k as i64);
            let node = f.add(first, number);
            let [start, filter] = [self.base, self.filter].map(|p| rows_at(f, p, 2 * k * (size / 4), self.lanes));
            f.call(part, &[start, node, self.table, filter], None);
        }
    }

    /// Number of the first node `depth` below the function's.
    fn first_node(&self, f: &mut Func, depth: u32) -> Val {
        let (scale, offset) = (1_i64 << (2 * depth), ((1_i64 << (2 * depth)) - 1) / 3);
        let (scale, offset) = (f.i64(scale), f.i64(offset));
        let at = f.mul(f.param(1), scale);
        f.add(at, offset)
    }

    /// Factor `n` of a node, from 1.
    fn factor(&self, f: &mut Func, node: Val, n: i64) -> Complex {
        let six = f.i64(6);
        let at = f.mul(node, six);
        let mut load = |n: i64| {
            let n = f.i64(n);
            let at = f.add(at, n);
            let p = f.gep(self.table, at, Scalar::F32);
            let x = f.load(p, Ty::F32);
            f.splat(x, self.lanes)
        };
        Complex {
            re: load(2 * n - 2),
            im: load(2 * n - 1),
        }
    }

    fn factors(&self, f: &mut Func, node: Val) -> [Complex; 3] {
        [1, 2, 3].map(|n| self.factor(f, node, n))
    }

    /// One step of all nodes `depth` below the function's.
    fn steps(&self, f: &mut Func, size: usize, depth: u32, forward: bool) {
        let node_size = size >> (2 * depth);
        let quarter = node_size / 4;
        let first = self.first_node(f, depth);
        let (zero, nodes, end) = (f.i64(0), f.i64(1 << (2 * depth)), f.i64(quarter as i64));
        f.for_each(zero, nodes, 1, |f, n| {
            let node = f.add(first, n);
            let factors = self.factors(f, node);
            let width = f.i64(2 * node_size as i64);
            let start = f.mul(n, width);
            let start = rows(f, self.base, start, self.lanes);
            f.for_each(zero, end, 1, |f, i| {
                let two = f.i64(2);
                let at = f.mul(i, two);
                let at = rows(f, start, at, self.lanes);
                let places = [0, 1, 2, 3].map(|k| rows_at(f, at, 2 * k * quarter, self.lanes));
                let x = places.map(|p| load(f, p, self.lanes));
                let y = if forward {
                    split(f, x, &factors)
                } else {
                    join(f, x, &factors)
                };
                for (y, p) in y.into_iter().zip(places) {
                    store(f, y, p, self.lanes);
                }
            });
        });
    }

    /// All of the smallest nodes, in registers.
    fn leaves(&self, f: &mut Func, size: usize, depth: u32) {
        let leaf = size >> (2 * depth);
        let first = self.first_node(f, depth);
        let (zero, nodes) = (f.i64(0), f.i64(1 << (2 * depth)));
        f.for_each(zero, nodes, 1, |f, n| {
            let node = f.add(first, n);
            let factors = self.factors(f, node);
            let width = f.i64(2 * leaf as i64);
            let start = f.mul(n, width);
            let start = rows(f, self.base, start, self.lanes);
            let places: Vec<Val> = (0..leaf).map(|i| rows_at(f, start, 2 * i, self.lanes)).collect();
            let x: Vec<Complex> = places.iter().map(|p| load(f, *p, self.lanes)).collect();
            let x = match self.kind {
                Transform::Inverse => x,
                Transform::Forward | Transform::Convolve => self.leaf_forward(f, node, x, &factors),
            };
            let x = match self.kind {
                Transform::Forward | Transform::Inverse => x,
                Transform::Convolve => {
                    let filter = f.mul(n, width);
                    let filter = rows(f, self.filter, filter, self.lanes);
                    let mut filtered = Vec::new();
                    for (i, x) in x.into_iter().enumerate() {
                        let p = rows_at(f, filter, 2 * i, self.lanes);
                        let k = load(f, p, self.lanes);
                        filtered.push(times(f, x, k));
                    }
                    filtered
                }
            };
            let y = match self.kind {
                Transform::Forward => x,
                Transform::Inverse | Transform::Convolve => self.leaf_inverse(f, node, x, &factors),
            };
            for (y, p) in y.into_iter().zip(places) {
                store(f, y, p, self.lanes);
            }
        });
    }

    /// A leaf of four elements, or of eight: a step in four, then each part in two.
    fn leaf_forward(&self, f: &mut Func, node: Val, x: Vec<Complex>, factors: &[Complex; 3]) -> Vec<Complex> {
        if let [a, b, c, d] = x[..] {
            return split(f, [a, b, c, d], factors).to_vec();
        }
        let even = split(f, [x[0], x[2], x[4], x[6]], factors);
        let odd = split(f, [x[1], x[3], x[5], x[7]], factors);
        let mut out = Vec::new();
        for (k, (a, b)) in even.into_iter().zip(odd).enumerate() {
            let half = self.half(f, node, k);
            let b = times(f, b, half);
            out.extend([plus(f, a, b), minus(f, a, b)]);
        }
        out
    }

    fn leaf_inverse(&self, f: &mut Func, node: Val, x: Vec<Complex>, factors: &[Complex; 3]) -> Vec<Complex> {
        if let [a, b, c, d] = x[..] {
            return join(f, [a, b, c, d], factors).to_vec();
        }
        let (mut even, mut odd) = (Vec::new(), Vec::new());
        for (k, pair) in x.chunks_exact(2).enumerate() {
            let half = self.half(f, node, k);
            even.push(plus(f, pair[0], pair[1]));
            let difference = minus(f, pair[0], pair[1]);
            odd.push(times_conjugate(f, difference, half));
        }
        let even = join(f, [even[0], even[1], even[2], even[3]], factors);
        let odd = join(f, [odd[0], odd[1], odd[2], odd[3]], factors);
        even.into_iter().zip(odd).flat_map(|(a, b)| [a, b]).collect()
    }

    /// The square root of what part `k` of a node is taken modulo.
    fn half(&self, f: &mut Func, node: Val, k: usize) -> Complex {
        let (four, number) = (f.i64(4), f.i64(1 + k as i64));
        let first = f.mul(node, four);
        let part = f.add(first, number);
        self.factor(f, part, 2)
    }
}

/// Adds `fn(panel, page, row, data)`: `size` rows of reals of a state from `row` on, split in four; returns its name.
pub(super) fn first_step(module: &mut Module, lanes: u32, size: usize) -> String {
    let name = format!("seqc_fft{lanes}_first_{size}");
    if module.has(&name) {
        return name;
    }
    let mut f = Func::new(&name, &[Ty::GLOBAL, Ty::I64, Ty::I64, Ty::GENERIC], None);
    let (panel, page, row, data) = (f.param(0), f.param(1), f.param(2), f.param(3));
    let t = constants(&mut f, lanes);
    let quarter = size / 4;
    let (zero, end) = (f.i64(0), f.i64(quarter as i64));
    f.for_each(zero, end, 1, |f, i| {
        let at = f.add(row, i);
        let x = [0, 1, 2, 3].map(|k| {
            let skip = f.i64((k * quarter) as i64);
            let at = f.add(at, skip);
            let p = row_of(f, panel, page, at, lanes);
            f.load(p, vector(lanes))
        });
        let b = [1, 2, 3].map(|k| Complex {
            re: f.mul(x[k], t[k - 1].re),
            im: f.mul(x[k], t[k - 1].im),
        });
        let a0 = Complex {
            re: x[0],
            im: f.zero(vector(lanes)),
        };
        let y = four(f, [a0, b[0], b[1], b[2]]);
        let two = f.i64(2);
        let at = f.mul(i, two);
        let at = rows(f, data, at, lanes);
        for (k, y) in y.into_iter().enumerate() {
            let p = rows_at(f, at, 2 * k * quarter, lanes);
            store(f, y, p, lanes);
        }
    });
    module.add(f);
    name
}

/// Adds `fn(data, panel, page, row)`: the last step of the inverse, whose real parts go to `size` rows of a state, or are added to
/// what is there; returns its name.
pub(super) fn last_step(module: &mut Module, lanes: u32, size: usize, add: bool) -> String {
    let name = format!("seqc_ifft{lanes}_{}_{size}", if add { "add" } else { "last" });
    if module.has(&name) {
        return name;
    }
    let mut f = Func::new(&name, &[Ty::SCRATCH, Ty::GLOBAL, Ty::I64, Ty::I64], None);
    let (data, panel, page, row) = (f.param(0), f.param(1), f.param(2), f.param(3));
    let t = constants(&mut f, lanes);
    let quarter = size / 4;
    let (zero, end) = (f.i64(0), f.i64(quarter as i64));
    f.for_each(zero, end, 1, |f, i| {
        let two = f.i64(2);
        let at = f.mul(i, two);
        let at = rows(f, data, at, lanes);
        let x = [0, 1, 2, 3].map(|k| {
            let p = rows_at(f, at, 2 * k * quarter, lanes);
            load(f, p, lanes)
        });
        let b = four_inverse(f, x);
        let mut y = vec![b[0].re];
        for k in 1..4 {
            let part = f.mul(b[k].im, t[k - 1].im);
            y.push(f.fma(b[k].re, t[k - 1].re, part));
        }
        let at = f.add(row, i);
        for (k, mut y) in y.into_iter().enumerate() {
            let skip = f.i64((k * quarter) as i64);
            let at = f.add(at, skip);
            let p = row_of(f, panel, page, at, lanes);
            if add {
                let before = f.load(p, vector(lanes));
                y = f.add(before, y);
            }
            f.store(y, p);
        }
    });
    module.add(f);
    name
}

/// Factors of the root.
fn constants(f: &mut Func, lanes: u32) -> [Complex; 3] {
    let all = root_factors(FRAC_PI_2).map(|x| f.float(vector(lanes), x));
    [0, 2, 4].map(|n| Complex {
        re: all[n],
        im: all[n + 1],
    })
}

/// Loads an element.
pub(super) fn load(f: &mut Func, p: Val, lanes: u32) -> Complex {
    let q = rows_at(f, p, 1, lanes);
    Complex {
        re: f.load(p, vector(lanes)),
        im: f.load(q, vector(lanes)),
    }
}

/// Stores an element.
pub(super) fn store(f: &mut Func, x: Complex, p: Val, lanes: u32) {
    let q = rows_at(f, p, 1, lanes);
    f.store(x.re, p);
    f.store(x.im, q);
}

/// A node in four.
fn split(f: &mut Func, x: [Complex; 4], t: &[Complex; 3]) -> [Complex; 4] {
    let b = [1, 2, 3].map(|k| times(f, x[k], t[k - 1]));
    four(f, [x[0], b[0], b[1], b[2]])
}

/// The inverse of [`split`], times four.
fn join(f: &mut Func, x: [Complex; 4], t: &[Complex; 3]) -> [Complex; 4] {
    let b = four_inverse(f, x);
    let [a1, a2, a3] = [1, 2, 3].map(|k| times_conjugate(f, b[k], t[k - 1]));
    [b[0], a1, a2, a3]
}

/// `out_k = sum_j x_j i^(j k)`
fn four(f: &mut Func, x: [Complex; 4]) -> [Complex; 4] {
    let (s0, s1) = (plus(f, x[0], x[2]), minus(f, x[0], x[2]));
    let (s2, s3) = (plus(f, x[1], x[3]), minus(f, x[1], x[3]));
    let turned = Complex {
        re: f.sub(s1.re, s3.im),
        im: f.add(s1.im, s3.re),
    };
    let back = Complex {
        re: f.add(s1.re, s3.im),
        im: f.sub(s1.im, s3.re),
    };
    [plus(f, s0, s2), turned, minus(f, s0, s2), back]
}

/// The inverse of [`four`], times four.
fn four_inverse(f: &mut Func, x: [Complex; 4]) -> [Complex; 4] {
    let (s0, s2) = (plus(f, x[0], x[2]), minus(f, x[0], x[2]));
    let (s1, d) = (plus(f, x[1], x[3]), minus(f, x[1], x[3]));
    let b1 = Complex {
        re: f.add(s2.re, d.im),
        im: f.sub(s2.im, d.re),
    };
    let b3 = Complex {
        re: f.sub(s2.re, d.im),
        im: f.add(s2.im, d.re),
    };
    [plus(f, s0, s1), b1, minus(f, s0, s1), b3]
}

pub(super) fn plus(f: &mut Func, a: Complex, b: Complex) -> Complex {
    Complex {
        re: f.add(a.re, b.re),
        im: f.add(a.im, b.im),
    }
}

fn minus(f: &mut Func, a: Complex, b: Complex) -> Complex {
    Complex {
        re: f.sub(a.re, b.re),
        im: f.sub(a.im, b.im),
    }
}

/// `a b`
pub(super) fn times(f: &mut Func, a: Complex, b: Complex) -> Complex {
    let (ii, ir) = (f.mul(a.im, b.im), f.mul(a.im, b.re));
    let less = f.neg(ii);
    Complex {
        re: f.fma(a.re, b.re, less),
        im: f.fma(a.re, b.im, ir),
    }
}

/// `a` times the conjugate of `b`.
fn times_conjugate(f: &mut Func, a: Complex, b: Complex) -> Complex {
    let (ii, ri) = (f.mul(a.im, b.im), f.mul(a.re, b.im));
    let less = f.neg(ri);
    Complex {
        re: f.fma(a.re, b.re, ii),
        im: f.fma(a.im, b.re, less),
    }
}
