//! Derivatives, compared with differences.

use super::{ROWS, close, run};

/// Losses as functions of `w`, which is made of the input, and of `y`, which is not.
const LOSSES: &[(&str, &str)] = &[
    ("square", "sum(i: w[i] ** 2)"),
    ("cube", "sum(i: 0.1 * w[i] ** 3) + w[0] * w[1]"),
    ("power", "sum(i: (w[i] ** 2 + 1) ** (0.1 * w[3 - i]))"),
    ("shares", "sum(i: y[i] / (2 + w[i] ** 2)) - w[0]"),
    (
        "functions",
        "sum(i: exp(0.1 * w[i]) + sin(w[i]) * cos(w[i]) + tanh(w[i]) + sigmoid(w[i]) + erf(w[i]) + abs(w[i] - 0.3))",
    ),
    (
        "roots",
        "sum(i: sqrt(w[i] ** 2 + 1) + rsqrt(w[i] ** 2 + 2) + log(w[i] ** 2 + 3) + softplus(w[i]))",
    ),
    ("products", "sum(i: sum(j: (w[i] * y[j] - y[i]) ** 2))"),
    ("parts", "sum(i < 2: w[i] * w[i + 2]) + w[3] * w[0]"),
    (
        "shapes",
        "sum(i < 2, j < 2: reshape(w, 2, 2)[i, j] * reshape(w, 2, 2)[j, i] * (i + 1)) + sum(i < 2: reshape(w, 2, 2)[i, i] * w[1])",
    ),
    ("joined", "sum(i < 8: concat(w, 2 * w)[i] * concat(y, w)[i])"),
    ("halves", "sum(i < 8: (w[i / 2] - 0.1 * i) ** 2)"),
    ("around", "sum(i: w[(i + 1) % 4] * w[i])"),
    ("largest", "max(i: 1.5 * w[i] + 0.1 * i) ** 2 + min(i: w[i] + 0.1 * i)"),
    ("larger", "sum(i: max(w[i], 0.33) + min(w[i] * w[0], y[i] + 0.2))"),
    ("choices", "sum(i: if w[i] > 0.4 then w[i] ** 2 else 3 * w[i])"),
    ("rows", "lookup(reshape(w, 4, 1), t)[0] ** 2 + w[t] * w[1]"),
    ("remainders", "sum(i: (w[i] + 0.05) % 2)"),
    (
        "norms",
        "sum(i: y[i] * rms(w; eps = 0.1)[i]) + sum(i: y[i] * softmax(w)[i])",
    ),
    (
        "stopped",
        "sum(i: w[i] * stop_gradient(y * 2)[i]) + 0 * stop_gradient(w)[0] + w[1] ** 2",
    ),
];

const W: &str = "  y[d] = 0.3 * d - 0.2 + 0.1 * position()\n  w = x + 0.05\n";

#[test]
fn derivatives_are_those_of_differences() {
    let step = 1e-5;
    for (name, loss) in LOSSES {
        let found = run(name, &format!("{W}  grad({loss}, w)"), &ROWS);
        let body = format!("{W}  loss = {loss}\n  reshape(loss, 1)");
        let at = |i: usize, by: f64| {
            let mut rows = ROWS;
            rows.iter_mut().for_each(|(x, _)| x[i] += by);
            run(&format!("loss_{name}"), &body, &rows)
        };
        for i in 0..4 {
            let (up, down) = (at(i, step), at(i, -step));
            for (n, row) in found.iter().enumerate() {
                let wanted = (up[n][0] - down[n][0]) / (2.0 * step);
                let near = (row[i] - wanted).abs() <= 1e-7 * wanted.abs().max(1.0);
                assert!(near, "{name}, token {n}, entry {i}: {}, not {wanted}", row[i]);
            }
        }
    }
}

#[test]
fn what_earlier_tokens_computed_is_constant() {
    let (mut h, mut m) = ([0.0; 4], 0.0);
    let wanted = ROWS.map(|(x, _)| {
        h = std::array::from_fn(|i| h[i] - 0.2 * (m * x[i] - 1.0) * x[i]);
        m = 0.5 * m + x[0];
        h.to_vec()
    });
    let body = "  p = prev(m)\n  l = grad(sum(i: (p * x[i] - 1) ** 2), x)\n  m = 0.5 * p + x[0]\n  \
                w = 0 * x + p\n  h = prev(h) - 0.1 * grad(sum(i: (w[i] * x[i] - 1) ** 2), w)\n  h + 0 * l";
    close("constant_past", &run("constant_past", body, &ROWS), &wanted);
}

#[test]
fn functions_give_several_results_and_streams_their_last_values() {
    let layer = "fn both(x: [d]) {\n  s = prev(s) + x\n  (s, 2 * x)\n}\nlayer thing(x: [d], t: int) {\n  (a, b) = both(x)\n  \
                 (c, e) = (b, a)\n  r = recent(x, 3)\n  y[d] = a[d] + c[d] - e[d] + 100 * r[0, d] + 10 * r[1, d] + r[2, d]\n  y\n}\n";
    let at = |n: usize, k: usize| n.checked_sub(k).map_or([0.0; 4], |n| ROWS[n].0);
    let row =
        |n: usize| (0..4).map(move |i| 2.0 * at(n, 0)[i] + 100.0 * at(n, 2)[i] + 10.0 * at(n, 1)[i] + at(n, 0)[i]);
    let wanted: Vec<Vec<f64>> = (0..4).map(|n| row(n).collect()).collect();
    let found = super::run_model("several", super::MODEL, &[("layer.seq", layer)], &ROWS);
    close("several", &found, &wanted);
}
