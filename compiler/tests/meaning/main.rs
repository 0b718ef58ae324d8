//! What expressions mean: small layers without parameters, computed by the evaluator and by hand.

mod activations;
mod directions;
mod gradients;
mod memories;
mod positions;
mod rates;
mod stacks;
mod time;

use seqc::{
    model::{self, ReadOptions},
    reference, render,
    source::Sources,
};
use seqc_ir::eval::Tensor;
use std::{fs, path::Path};

const MODEL: &str = "version: 1
model: m
sizes: {d: 4}
inputs: {x: \"[d]\", t: int}
use: [layer.seq]
weights: {random: 1}
stack: [thing: {}]
";

/// Results of a layer `thing` over tokens whose inputs are `x: [4]` and `t: int`.
fn run(name: &str, body: &str, rows: &[([f64; 4], i64)]) -> Vec<Vec<f64>> {
    let layer = format!("layer thing(x: [d], t: int) {{\n{body}\n}}\n");
    run_model(name, MODEL, &[("layer.seq", &layer)], rows)
}

/// Results of a model with its layer files.
fn run_model(name: &str, model: &str, files: &[(&str, &str)], rows: &[([f64; 4], i64)]) -> Vec<Vec<f64>> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("meaning").join(name);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    for (file, text) in files {
        fs::write(dir.join(file), text).unwrap_or_else(|e| panic!("{e}"));
    }
    let mut sources = Sources::default();
    let path = dir.join("model.yaml");
    let built = match model::read_text(&path, model.to_owned(), &mut sources, &ReadOptions::default()) {
        Ok(built) => built,
        Err(diagnostics) => {
            let text: Vec<_> = diagnostics.iter().map(|d| render::human(d, &sources, false)).collect();
            panic!("{name}:\n{}", text.join("\n"));
        }
    };
    let rows: Vec<Vec<Tensor>> = rows
        .iter()
        .map(|(x, t)| vec![Tensor::new(&[4], x.to_vec()), Tensor::scalar(*t as f64)])
        .collect();
    let given = reference::Given {
        rows: &rows,
        memory: if built.model.has_memory() { &rows[1..] } else { &[] },
        prompt: None,
    };
    let outputs = reference::run_given(&built, &given).unwrap_or_else(|e| panic!("{name}: {e}"));
    let each = outputs[0].data.len() / rows.len();
    outputs[0].data.chunks(each).map(<[f64]>::to_vec).collect()
}

const ROWS: [([f64; 4], i64); 4] = [
    ([1.0, 2.0, 3.0, 4.0], 0),
    ([-1.0, 0.5, 2.0, -3.0], 2),
    ([0.0, 1.0, 0.0, 1.0], 2),
    ([5.0, -5.0, 0.25, 8.0], 3),
];

/// Compares a layer with a function of one token.
fn each(name: &str, body: &str, expected: impl Fn([f64; 4], i64) -> Vec<f64>) {
    let wanted: Vec<Vec<f64>> = ROWS.iter().map(|(x, t)| expected(*x, *t)).collect();
    close(name, &run(name, body, &ROWS), &wanted);
}

fn close(name: &str, found: &[Vec<f64>], wanted: &[Vec<f64>]) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    for (f, w) in found.iter().zip(wanted) {
        assert_eq!(f.len(), w.len(), "{name}: {f:?} {w:?}");
        let near = f.iter().zip(w).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1.0));
        assert!(near, "{name}: {found:?} is not {wanted:?}");
    }
}

/// Numbers as one vector.
fn vector(parts: &[&str]) -> String {
    let parts: Vec<String> = parts.iter().map(|p| format!("reshape({p}, 1)")).collect();
    format!("concat({})", parts.join(", "))
}

#[test]
fn indices_are_affine() {
    each("reversed", "  y[d] = x[3 - d]\n  y", |x, _| {
        vec![x[3], x[2], x[1], x[0]]
    });
    each(
        "pairs",
        "  dim half = d / 2\n  y[half] = x[2 * half + 1] - x[2 * half]\n  y",
        |x, _| vec![x[1] - x[0], x[3] - x[2]],
    );
    each(
        "repeated",
        "  dim two = 2\n  y[two, d] = x[d / 2 + d % 2 + two - 1 + (1 - two)]\n  flatten(y)",
        |x, _| [0, 1, 1, 2].map(|n: usize| x[n]).repeat(2),
    );
}

#[test]
fn indices_are_in_range_where_every_value_is() {
    each("halves", "  y[d] = x[d - d / 2 * 2 + 2]\n  y", |x, _| {
        vec![x[2], x[3], x[2], x[3]]
    });
}

#[test]
fn quotients_round_down_in_brackets_only() {
    each("quotients", "  y[d] = x[d / 2] * (d / 2)\n  y", |x, _| {
        vec![0.0, x[0] * 0.5, x[1], x[1] * 1.5]
    });
}

#[test]
fn sums_nest() {
    each("prefix", "  y[d] = sum(j: if j <= d then x[j] else 0)\n  y", |x, _| {
        (0..4).map(|i| x[..=i].iter().sum()).collect()
    });
    each(
        "gram",
        "  y[d] = sum(j: x[d] * x[j] * sum(k < 2: x[k] + j))\n  y",
        |x, _| {
            let inner = |j: usize| (0..2).map(|k| x[k] + j as f64).sum::<f64>();
            (0..4).map(|i| (0..4).map(|j| x[i] * x[j] * inner(j)).sum()).collect()
        },
    );
    each(
        "kinds",
        "  concat(reshape(mean(i: x[i]), 1), reshape(max(i: x[i]), 1), reshape(min(i: x[i]), 1), reshape(prod(i: x[i]), 1))",
        |x, _| {
            let fold = |f: fn(f64, f64) -> f64| x.into_iter().reduce(f).unwrap_or(0.0);
            vec![
                x.iter().sum::<f64>() / 4.0,
                fold(f64::max),
                fold(f64::min),
                x.iter().product(),
            ]
        },
    );
}

#[test]
fn integers_index_streams_and_tables() {
    each("chosen", "  reshape(x[t], 1)", |x, t| vec![x[t as usize]]);
    each(
        "row",
        "  dim rows = 5\n  table[rows, d] = rows * 10 + d\n  lookup(table, t + 1)",
        |_, t| (0..4).map(|i| (t + 1) as f64 * 10.0 + f64::from(i)).collect(),
    );
    each(
        "entry",
        "  dim rows = 5\n  table[rows, d] = rows * 10 + d\n  y[d] = table[t, 3 - d]\n  y",
        |_, t| (0..4).map(|i| t as f64 * 10.0 + 3.0 - f64::from(i)).collect(),
    );
}

#[test]
fn functions_apply_entry_by_entry_and_to_tensors() {
    let silu = |v: f64| v / (1.0 + (-v).exp());
    each("entries", "  y[d] = silu(x[d])\n  y", |x, _| x.map(silu).to_vec());
    each("tensor", "  silu(x)", |x, _| x.map(silu).to_vec());
    each("softmax", "  softmax(x)", |x, _| {
        let total: f64 = x.iter().map(|v| v.exp()).sum();
        x.map(|v| v.exp() / total).to_vec()
    });
}

#[test]
fn an_index_outside_is_the_nearest_inside() {
    each("beyond", "  reshape(x[t * 5 - 1], 1)", |x, t| {
        vec![x[(t * 5 - 1).clamp(0, 3) as usize]]
    });
    each(
        "beyond-table",
        "  dim rows = 2\n  table[rows, d] = rows + d\n  lookup(table, 2 * t - t)",
        |_, t| (0..4).map(|i| t.min(1) as f64 + f64::from(i)).collect(),
    );
}

#[test]
fn lists_of_numbers_are_vectors() {
    each(
        "list",
        "  y[d] = [10, 20, 30, 40][d] * x[d] + [1, 2][1]\n  y",
        |x, _| (0..4).map(|i| (10 * (i + 1)) as f64 * x[i] + 2.0).collect(),
    );
    each("list-stream", "  reshape([7, 8, 9][t % 3], 1)", |_, t| {
        vec![[7.0, 8.0, 9.0][t as usize % 3]]
    });
}

#[test]
fn sizes_are_meant_where_sizes_stand() {
    each(
        "bounds",
        "  dim n = 4\n  y[n] = sum(m < n: if m <= n then x[m] else 0)\n  y",
        |x, _| (0..4).map(|i| x[..=i].iter().sum()).collect(),
    );
}

#[test]
fn states_move_along_axes_and_live_in_functions() {
    let body = "  dim n = 3\n  s[n, d] = if n == 0 then x[d] else prev(s)[(n + 2) % 3, d]\n  flatten(s)";
    let at = |t: usize, k: usize| t.checked_sub(k).map_or([0.0; 4], |t| ROWS[t].0);
    let wanted: Vec<Vec<f64>> = (0..4).map(|t| (0..3).flat_map(|k| at(t, k)).collect()).collect();
    close("register", &run("register", body, &ROWS), &wanted);
    let body = "  y = x + 0\n  prev(prev(y)) + prev(x; init = 5)";
    let before = |t: usize| if t == 0 { [5.0; 4] } else { at(t, 1) };
    let wanted: Vec<Vec<f64>> = (0..4)
        .map(|t| (0..4).map(|i| at(t, 2)[i] + before(t)[i]).collect())
        .collect();
    close("twice", &run("twice", body, &ROWS), &wanted);
    let (mut a, mut b) = ([0.0; 4], [0.0; 4]);
    let wanted = ROWS.map(|(x, _)| {
        a = std::array::from_fn(|i| 0.5 * a[i] + x[i]);
        b = std::array::from_fn(|i| 0.25 * b[i] + a[i]);
        b.to_vec()
    });
    let body = "  mean_of(mean_of(x; a = 0.5); a = 0.25)\n}\nfn mean_of(u; a) {\n  h = a * prev(h) + u\n  h";
    close("function", &run("function", body, &ROWS), &wanted);
}

#[test]
fn filters_run_over_matrices() {
    let body = "  dim p = 2\n  dim q = 2\n  dim k = 2\n  w[p, q, k] = if k == 1 then 1 + p else 2 + q\n  flatten(causal_conv(reshape(x, p, q), w))";
    let at = |t: usize, k: usize| t.checked_sub(k).map_or([0.0; 4], |t| ROWS[t].0);
    let wanted: Vec<Vec<f64>> = (0..4)
        .map(|t| {
            (0..4)
                .map(|i| (1 + i / 2) as f64 * at(t, 0)[i] + (2 + i % 2) as f64 * at(t, 1)[i])
                .collect()
        })
        .collect();
    close("matrix-filter", &run("matrix-filter", body, &ROWS), &wanted);
}

#[test]
fn long_filters_are_functions_of_the_lag() {
    let at = |t: usize, k: usize| t.checked_sub(k).map_or([0.0; 4], |t| ROWS[t].0);
    let wanted: Vec<Vec<f64>> = (0..4)
        .map(|t| {
            (0..4)
                .map(|i| (0..3).map(|lag| (1 + i * lag) as f64 * at(t, lag)[i]).sum())
                .collect()
        })
        .collect();
    let body = "  dim lag = 3\n  f[d, lag] = 1 + d * lag\n  long_conv(x, f)";
    close("long-filter", &run("long-filter", body, &ROWS), &wanted);
    let rows = "  dim p = 2\n  dim q = 2\n  dim lag = 3\n  f[p, q, lag] = 1 + (2 * p + q) * lag\n  flatten(long_conv(reshape(x, p, q), f))";
    close("long-filter-rows", &run("long-filter-rows", rows, &ROWS), &wanted);
    // A short filter of many taps is the same operation; its taps are counted from the oldest.
    let body = "  dim taps = 150\n  w[d, taps] = if taps < 147 then 0 else 1 + d * (149 - taps)\n  causal_conv(x, w)";
    close("many-taps", &run("many-taps", body, &ROWS), &wanted);
}

#[test]
fn conditions_select() {
    each("select", "  y = if x > 0 && t != 3 then x else -1\n  y", |x, t| {
        x.map(|v| if v > 0.0 && t != 3 { v } else { -1.0 }).to_vec()
    });
    each("known", "  if d > 3 then x else x @ x", |x, _| x.to_vec());
}

#[test]
fn parts_are_consecutive() {
    each(
        "parts",
        "  (a, b) = split(x, 1, 3)\n  m = reshape(concat(b, a), 2, 2)\n  y[i, j] = m[j, i]\n  flatten(y)",
        |x, _| vec![x[1], x[3], x[2], x[0]],
    );
}

#[test]
fn a_file_never_changes_what_others_mean() {
    let thing = "layer thing(x: [d], t: int) -> [d] { silu(x) + twice(x) }\nfn twice(x) { 2 * x }\n";
    let other = "layer other(x: [d]) -> [d] { silu(x) + shared(x) }\nfn silu(x) { 0 * x }\nfn twice(x) { 3 * x }\n";
    let shared = "fn shared(x) { twice(x) }\nfn twice(x) { 5 * x }\nlayer relu(x: [d]) -> [d] { relu(x) }\n";
    let files = [("thing.seq", thing), ("other.seq", other), ("shared.seq", shared)];
    let model = MODEL.replace("layer.seq", "other.seq, thing.seq, shared.seq, other.seq");
    let silu = |v: f64| v / (1.0 + (-v).exp());
    let of = |f: &dyn Fn(f64) -> f64| -> Vec<Vec<f64>> { ROWS.iter().map(|(x, _)| x.map(f).to_vec()).collect() };
    let found = run_model("scopes-thing", &model, &files, &ROWS);
    close("scopes-thing", &found, &of(&|v| silu(v) + 2.0 * v));
    let model = model.replace("thing: {}", "other: {}, relu: {}");
    let found = run_model("scopes-other", &model, &files, &ROWS);
    close("scopes-other", &found, &of(&|v| (5.0 * v).max(0.0)));
}

/// The library's layers mean the same beside any file.
#[test]
fn library_layers_are_not_changed_by_a_file() {
    let model = |stack: &str| MODEL.replace("[thing: {}]", stack);
    let with =
        model("[swiglu: {hidden: 8}, thing: {}]").replace("swiglu: {hidden: 8}", "{swiglu: {hidden: 8}, name: a}");
    let redefined = "layer thing(x: [d], t: int) -> [d] { x }\nfn silu(x) { x * 0 }\nfn relu(x) { silu(x) }\n";
    let plain = "layer thing(x: [d], t: int) -> [d] { x }\n";
    let found = run_model("library-changed", &with, &[("layer.seq", redefined)], &ROWS);
    let wanted = run_model("library-plain", &with, &[("layer.seq", plain)], &ROWS);
    assert!(wanted.iter().flatten().any(|v| *v != 0.0));
    close("library", &found, &wanted);
}

/// What is true one token ago is a boolean; functions take booleans as they are.
#[test]
fn truth_values_are_remembered_and_passed() {
    let up = |t: usize| t > 0 && ROWS[t - 1].0[0] > 0.0;
    let number = |b: bool| vec![f64::from(u8::from(b))];
    let wanted: Vec<Vec<f64>> = (0..4).map(|t| number(up(t))).collect();
    let body = "  on = x[0] > 0\n  reshape(if prev(on) then 1 else 0, 1)";
    close("truth", &run("truth", body, &ROWS), &wanted);
    let wanted: Vec<Vec<f64>> = (0..4).map(|t| number(t == 0 || up(t))).collect();
    let body = "  on = x[0] > 0\n  reshape(if prev(on; init = true) && true then 1 else 0, 1)";
    close("truth-init", &run("truth-init", body, &ROWS), &wanted);
    let wanted: Vec<Vec<f64>> = (0..4).map(|t| number(ROWS[t].1 != 2 && up(t))).collect();
    let body = "  on = x[0] > 0\n  reshape(if !prev(on; reset = t == 2) then 0 else 1, 1)";
    close("truth-reset", &run("truth-reset", body, &ROWS), &wanted);
    let seen: Vec<Vec<f64>> = (0..4).map(|t| number((0..=t).any(|k| ROWS[k].1 == 2))).collect();
    let body = "  on = prev(on) > 0 || t == 2\n  reshape(on, 1)";
    close("truth-state", &run("truth-state", body, &ROWS), &seen);
    let body =
        "  reshape(counted(x > 0, t), 1)\n}\nfn counted(c: [n], t: int) {\n  sum(i: if c[i] then 1 else 0) + t % 2";
    each("truth-argument", body, |x, t| {
        vec![x.iter().filter(|v| **v > 0.0).count() as f64 + (t % 2) as f64]
    });
}

/// Stages are one softmax, exactly; a table is read at any integers; `select` finds the best keys.
#[test]
fn stages_tables_and_selections() {
    let head = "  q = reshape(x, 2, 2)\n  p = [0.5, -1, 2, 0.25, 1]\n  dim n = 5\n  bias[n] = p[n]\n";
    let whole = format!("{head}  flatten(attend(q, q, q; score (s, i, j) = s + bias[i - j]))");
    let own = "  dim h = 2\n  dim one = 1\n  own[h, one] = sum(e: q[h, e] * q[h, e]) + 0.5\n";
    let staged = format!(
        "{head}{own}  flatten(attend(stage(q, q, q; where (i, j) = j < i, score (s, i, j) = s + bias[i - j]), stage(own, reshape(q, 2, 1, 2))))"
    );
    close("staged", &run("staged", &staged, &ROWS), &run("whole", &whole, &ROWS));
    let apart = format!(
        "{head}  flatten(attend(q, q, q; score (s, i, j) = biased(s, i, j, bias)))\n}}\nfn biased(s, i, j, bias) {{\n  m = int((i - j) * 0.75 + 0.25 * (i - j))\n  s + bias[m]"
    );
    close(
        "in-function",
        &run("in-function", &apart, &ROWS),
        &run("whole", &whole, &ROWS),
    );
    let body = "  q = reshape(x, 1, 4)\n  (place, score) = select(q, q; top = 2, where (i, j) = j < i)\n  \
                concat(reshape(place, 2), reshape(score, 2))";
    let product = |i: usize, j: usize| ROWS[i].0.iter().zip(&ROWS[j].0).map(|(a, b)| a * b).sum::<f64>();
    let wanted: Vec<Vec<f64>> = (0..4)
        .map(|i| {
            let mut seen: Vec<(f64, f64)> = (0..i).map(|j| (product(i, j), j as f64)).collect();
            seen.sort_by(|a, b| b.0.total_cmp(&a.0));
            seen.resize(2, (-1e30, -1.0));
            vec![seen[0].1, seen[1].1, seen[0].0, seen[1].0]
        })
        .collect();
    close("selected", &run("selected", body, &ROWS), &wanted);
    choices_together(&product);
}

/// Heads choose by the sums of their scores, or of their weights; a list may have more entries than there are keys.
fn choices_together(product: &dyn Fn(usize, usize) -> f64) {
    let choice = |options: &str| {
        format!(
            "  dim two = 2\n  q[two, d] = x[d] * (1 - 3 * two)\n  (place, score) = select(q, reshape(x, 1, 4); top = 1, together = 2{options})\n  \
             concat(reshape(place, 1), reshape(score, 1))"
        )
    };
    let best = |score: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<f64>> {
        let of = |i: usize| {
            let all = (0..=i).map(|j| (score(i, j), j as f64));
            let best = all.fold(
                (f64::NEG_INFINITY, -1.0),
                |best, new| if new.0 > best.0 { new } else { best },
            );
            vec![best.1, best.0]
        };
        (0..4).map(of).collect()
    };
    let rectified = |i: usize, j: usize| product(i, j).max(0.0) + (-2.0 * product(i, j)).max(0.0);
    let wanted = best(&rectified);
    close(
        "rectified",
        &run("rectified", &choice(", score (s, i, j) = relu(s)"), &ROWS),
        &wanted,
    );
    let weight = |i: usize, j: usize, factor: f64| {
        let exp = |j: usize| (factor * product(i, j)).exp();
        exp(j) / (0..=i).map(exp).sum::<f64>()
    };
    let wanted = best(&|i, j| weight(i, j, 1.0) + weight(i, j, -2.0));
    close(
        "weights",
        &run("weights", &choice(", normalise = softmax"), &ROWS),
        &wanted,
    );
    let list = "  q = reshape(x, 1, 4)\n  dim m = 100\n  list[m] = int(m * 0 + position()) - m * 2\n  \
                flatten(attend(q, q, q; where (i, j) = any(m: j == list[m])))";
    let every = "  q = reshape(x, 1, 4)\n  flatten(attend(q, q, q; where (i, j) = (i - j) % 2 == 0))";
    close(
        "listed",
        &run("listed", list, &ROWS),
        &run("every-second", every, &ROWS),
    );
}

#[test]
fn discrete_choices() {
    let result = vector(&[
        "argmax(n: x[n])",
        "argmin(n: x[n])",
        "if any(n: x[n] > 4) then 1 else 0",
        "if all(n: x[n] >= 0) then 1 else 0",
        "gap(x)",
    ]);
    each("choices", &format!("  {result}"), |x, _| {
        let most = x.iter().copied().fold(f64::MIN, f64::max);
        let least = x.iter().copied().fold(f64::MAX, f64::min);
        let at = |v: f64| x.iter().position(|w| *w == v).map_or(-1.0, |n| n as f64);
        let mut sorted = x;
        sorted.sort_by(|a, b| b.total_cmp(a));
        let truth = |b: bool| f64::from(u8::from(b));
        let (any, all) = (x.iter().any(|v| *v > 4.0), x.iter().all(|v| *v >= 0.0));
        vec![at(most), at(least), truth(any), truth(all), sorted[0] - sorted[1]]
    });
    let body = "  masked[d] = if x[d] > 0.75 then x[d] else -inf\n  b = best(masked; k = 3)\n  y[i] = b[i] + 0.0\n  y";
    let wanted = [[3.0, 2.0, 1.0], [2.0, -1.0, -1.0], [1.0, 3.0, -1.0], [3.0, 0.0, -1.0]].map(|v| v.to_vec());
    close("best", &run("best", body, &ROWS), &wanted);
}

#[test]
fn complex_numbers() {
    let result = vector(&[
        "re(z * w)",
        "im(z / w)",
        "abs(exp(z))",
        "im(z ** 3)",
        "re(conj(z) * 2 - w)",
        "re(sum(d: v[d]))",
    ]);
    let body = format!("  z = complex(x[0], x[1])\n  w = complex(x[2], 2)\n  v[d] = x[d] * z\n  {result}");
    each("complex", &body, |[a, b, c, d], _| {
        let square = (a * a - b * b, 2.0 * a * b);
        vec![
            a * c - b * 2.0,
            (b * c - a * 2.0) / (c * c + 4.0),
            a.exp(),
            square.0 * b + square.1 * a,
            2.0 * a - c,
            (a + b + c + d) * a,
        ]
    });
    let body = "  h = complex(0.5, 0.25) * prev(h; init = 1) + x\n  y[d] = im(h[d])\n  y";
    let mut h = [(1.0, 0.0); 4];
    let wanted: Vec<Vec<f64>> = ROWS
        .iter()
        .map(|(x, _)| {
            for (h, x) in h.iter_mut().zip(x) {
                *h = (0.5 * h.0 - 0.25 * h.1 + x, 0.25 * h.0 + 0.5 * h.1);
            }
            h.iter().map(|h| h.1).collect()
        })
        .collect();
    close("complex-recurrence", &run("complex-recurrence", body, &ROWS), &wanted);
}
