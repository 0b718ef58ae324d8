//! The clock belongs to every expression: a layer means the same whether its parts have names or stand inside each other.

use seqc::{
    model::{self, ReadOptions},
    reference, render,
    source::Sources,
};
use seqc_ir::{eval::Tensor, random::Rng};
use std::{fmt::Write, fs, path::Path};

const MODEL: &str = "version: 1
model: m
sizes: {d: 4}
inputs: {x: \"[d]\", t: int}
use: [layer.seq]
weights: {random: 1}
stack: [thing: {}]
";

/// Functions that take their argument apart, and what all layers begin with.
const FUNCTIONS: &str = "fn reversed(u: [n]) {
  dim i = n
  y[i] = u[n - 1 - i]
  y
}
fn transposed(m: [a, b]) {
  y[j, i] = m[i, j]
  y
}
fn turned(z: complex[n]) {
  y[i] = z[n - 1 - i] * z[i]
  y
}
fn average(u: [n]) {
  h: [n] = 0.5 * prev(h) + 0.5 * u
  h
}
fn entry(u) {
  u[1]
}
fn whole(t: int[n]) {
  dim i = n
  y[i] = t[n - 1 - i] + 1
  y
}
";

const BEGIN: &str = "  param w[d, d], v[d, d], b[d], taps[d, 3], lags[d, 5], c[d]: complex
  on  = x[0] > 0
  off = !on
  k   = x when on
";

const TOKENS: usize = 24;

/// Inputs that any two runs share: numbers between -1 and 1, and integers from 0 to 3.
fn rows() -> Vec<Vec<Tensor>> {
    let mut random = Rng::new(7);
    let row = |r: &mut Rng| {
        let x = (0..4).map(|_| r.below(2001) as f64 / 1000.0 - 1.0).collect();
        vec![Tensor::new(&[4], x), Tensor::scalar(r.below(4) as f64)]
    };
    (0..TOKENS).map(|_| row(&mut random)).collect()
}

/// All outputs of a layer `thing`, by the evaluator, or the messages about it.
fn run(name: &str, body: &str) -> Result<Vec<f64>, String> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clocks").join(name);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    let layer = format!("{FUNCTIONS}layer thing(x: [d], t: int) {{\n{BEGIN}{body}\n}}\n");
    fs::write(dir.join("layer.seq"), layer).unwrap_or_else(|e| panic!("{e}"));
    let mut sources = Sources::default();
    let path = dir.join("model.yaml");
    let built = match model::read_text(&path, MODEL.to_owned(), &mut sources, &ReadOptions::default()) {
        Ok(built) => built,
        Err(diagnostics) => {
            let text: Vec<_> = diagnostics.iter().map(|d| render::human(d, &sources, false)).collect();
            return Err(format!("{name}:\n{body}\n{}", text.join("\n")));
        }
    };
    let outputs = reference::run(&built, &rows()).map_err(|e| format!("{name}: {e}"))?;
    Ok(outputs.into_iter().flat_map(|output| output.data).collect())
}

/// Compares a body without names and with them: what is wrong, if anything.
fn difference(name: &str, plain: &str, named: &str) -> Option<String> {
    let (found, wanted) = match (run(name, plain), run(name, named)) {
        (Ok(found), Ok(wanted)) => (found, wanted),
        (Err(message), _) | (_, Err(message)) => return Some(message),
    };
    let near = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * b.abs().max(1.0);
    let same = found.len() == wanted.len() && found.iter().zip(&wanted).all(|(a, b)| near(*a, *b));
    (!same).then(|| format!("{name}:\n{plain}\nis not\n{named}\n{found:?}\n{wanted:?}"))
}

/// Fails with all differences.
fn none(differences: Vec<String>) {
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

/// A body in which `$(…)` marks what may have a name: as it stands, and with every mark defined above its statement.
fn both_ways(body: &str) -> (String, String) {
    let plain = body.replace("$(", "(");
    let (mut named, mut count) = (String::new(), 0);
    for line in body.lines() {
        let mut line = line.to_owned();
        while let Some(start) = line.rfind("$(") {
            let mut depth = 0;
            let end = line[start..].char_indices().find_map(|(n, c)| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                (c == ')' && depth == 0).then_some(start + n)
            });
            let end = end.unwrap_or_else(|| panic!("{body}"));
            writeln!(named, "  n{count} = {}", &line[start + 2..end]).unwrap_or_default();
            line.replace_range(start..=end, &format!("n{count}"));
            count += 1;
        }
        writeln!(named, "{line}").unwrap_or_default();
    }
    (plain, named)
}

/// Bodies with marks, by what they are about.
const TABLE: &[(&str, &str)] = &[
    ("product", "  z = w @ $(x when on)\n  merge(on, z - delay(z, 1), 0)"),
    ("entry", "  z = $(x when on)[2]\n  hold(z + prev(z) * b)"),
    ("entries", "  z[d] = $(x when on)[d]\n  merge(on, delay(z, 2), x)"),
    (
        "sums",
        "  z = sum(d: $(x when on)[d] * $(k * 2)[d])\n  hold(b * prev(z))",
    ),
    ("computed-entry", "  z = $(x when on)[t]\n  hold(b * prev(z))"),
    (
        "computed-row",
        "  z = $(lookup(w, $(t when on)))[1]\n  hold(b * prev(z))",
    ),
    ("table", "  z[d] = w[$(t when on), d]\n  hold(prev(z))"),
    (
        "integers",
        "  z = $(whole($(reshape(t when on, 1))))[0]\n  hold(b * prev(z))",
    ),
    (
        "truths",
        "  z = $($(x > 0) when on)[1]\n  merge(on, if prev(z) then x else b, 0)",
    ),
    (
        "number",
        "  z = $(3 when on)\n  y[d] = $(z * b)[d]\n  hold(y + prev(y))",
    ),
    ("function", "  hold(prev(reversed($(x when on))))"),
    ("untyped-function", "  hold(b * prev(entry($(x when on))))"),
    ("functions", "  hold(prev(reversed($(reversed($(x when on)) * 2))))"),
    ("remembering-function", "  hold(w @ $(average(reversed($(x when on)))))"),
    ("prev", "  hold(w @ $(prev($(x when on))))"),
    ("prev-entry", "  merge(on, b * $(prev($(x when on)))[1], 0)"),
    ("prev-init", "  hold(w @ $(prev($(w @ $(x when on)); init = 1)))"),
    (
        "prev-reset",
        "  hold(w @ $(prev($(w @ $(x when on)); reset = x[1] > 0)))",
    ),
    ("prev-prev", "  hold(reversed($(prev($(w @ $(prev($(x when on))))))))"),
    ("delay", "  hold(w @ $(delay($(x when on), 3)))"),
    (
        "delay-of-entries",
        "  z[d] = $(delay($(x when on), 2))[3 - d]\n  hold(prev(z))",
    ),
    ("sum-when", "  hold(w @ $(prev($($(x + b) when on))))"),
    ("entry-when", "  hold(b * $(prev($($(w @ x)[1] when on))))"),
    ("rope", "  hold(flatten(rope($(reshape(x, 2, 2) when on))))"),
    (
        "rope-prev",
        "  hold(flatten($(prev($(rope($(reshape(x, 2, 2) when on)))))))",
    ),
    ("norms", "  hold(w @ $(prev($(rms_norm($(x when on), b)))))"),
    ("softmax", "  hold(w @ $(prev($(softmax($(x when on))))))"),
    (
        "transposed",
        "  hold(flatten($(prev($(transposed($(reshape(x, 2, 2) when on)))))))",
    ),
    ("best", "  z = $(best($(x when on); k = 2))[1]\n  hold(b * prev(z))"),
    ("argmax", "  z = argmax(d: $(x when on)[d])\n  hold(b * prev(z))"),
    (
        "any",
        "  z = any(d: $(x when on)[d] > 0.5)\n  merge(on, if prev(z) then b else x, 0)",
    ),
    (
        "condition",
        "  z = if $(x when on)[1] > 0 then x else b\n  hold(prev(z))",
    ),
    (
        "concat",
        "  z = concat($(x when on), b)\n  hold(z[5] * $(prev($(z * 1)))[2] * b)",
    ),
    (
        "split",
        "  (p, q) = split($(x when on), 2, 2)\n  hold(concat(prev(q), p))",
    ),
    (
        "keys",
        "  m = $(reshape(w @ $(x when on), 1, d))\n  flatten(attend(reshape(x, 1, d), m, m))",
    ),
    (
        "keys-queries",
        "  z = flatten(attend(reshape($(x when on), 1, d), reshape(w @ $(x when on), 1, d), reshape($(x when on), 1, d)))\n  hold(prev(z))",
    ),
    (
        "keys-rope",
        "  q = rope(reshape(x, 2, 2))\n  flatten(attend(q, rope(reshape($(x when on), 2, 2)), reshape(w @ $(x when on), 2, 2)))",
    ),
    (
        "keys-streams",
        "  g = $(x when on)[1]\n  m = reshape($(x when on), 1, d)\n  flatten(attend(reshape(x, 1, d), m, m; where (i, j) = i - j < 3, score (s, i, j) = s + g[j]))",
    ),
    (
        "queries",
        "  z = flatten(attend(reshape(w @ $(x when on), 1, d), reshape(x, 1, d), reshape(x, 1, d)))\n  hold(prev(z))",
    ),
    (
        "scale",
        "  z = flatten(attend(reshape(x, 1, d), reshape(x, 1, d), reshape(x, 1, d); scale = $(x when on)[1]))\n  hold(prev(z))",
    ),
    (
        "stages",
        "  m = reshape(w @ $(x when on), 1, d)\n  n = reshape(x, 1, d)\n  flatten(attend(stage(n, m, m), stage(n, n, n; where (i, j) = i - j < 2)))",
    ),
    (
        "own-keys",
        "  m = reshape(w @ $(x when on), 1, d)\n  z = attend(stage(reshape($(x when on), 1, d), m, m), stage(reshape($(x when on), 2, 2)[0, 0] * reshape(b, 1, d), w))\n  hold(flatten(prev(z)))",
    ),
    (
        "select",
        "  (place, score) = select(reshape(x, 1, d), reshape(w @ $(x when on), 1, d); top = 2)\n  score[0, 0] * b + place[0, 1]",
    ),
    ("short-filter", "  hold(w @ $(causal_conv($(x when on), taps)))"),
    (
        "short-filter-of-product",
        "  hold(causal_conv(w @ $(x when on), taps; dilation = 2))",
    ),
    (
        "filter-on-clock",
        "  z = causal_conv(x, $(taps when on))\n  hold(prev(z))",
    ),
    ("long-filter", "  long_conv(hold(w @ $(x when on)), lags)"),
    (
        "hold-init",
        "  hold(w @ $(x when on); init = b) + hold($(x when on)[0]; init = 3)",
    ),
    ("hold-hold", "  hold(w @ $($(hold($(x when on))) when off))"),
    ("merge", "  merge(on, w @ $(x when on), b)"),
    (
        "merge-both",
        "  merge(on, prev(w @ $(x when on)), delay(v @ $(x when off), 2))",
    ),
    (
        "merge-other-side",
        "  merge(off, prev(w @ $(x when off)), prev(v @ $(x when on)))",
    ),
    (
        "merge-entries",
        "  z[d] = merge(on, $(x when on)[d], $(w @ x)[d])\n  z + prev(z)",
    ),
    (
        "merge-when",
        "  z = $(merge(on, w @ $(x when on), b))\n  hold(prev(w @ $(z when off)))",
    ),
    ("every", "  z = w @ $(x when every(3))\n  hold(z - prev(z))"),
    (
        "every-recurrence",
        "  h = 0.5 * prev(h) + (w @ $(x when every(2)))\n  hold(h)",
    ),
    ("recurrence", "  h = 0.5 * prev(h) + (w @ $(x when on))\n  hold(h)"),
    (
        "recurrence-of-entries",
        "  h[d] = 0.5 * prev(h)[d] + $(x when on)[3 - d]\n  merge(on, h, 0)",
    ),
    (
        "recurrence-held",
        "  u = hold($(prev(h))[0])\n  h: [d] = 0.5 * prev(h) + $(x when on) * u + b\n  merge(on, h, 0)",
    ),
    (
        "recurrence-above",
        "  z = w @ $(prev(h))\n  h: [d] = $(x when on) - 0.5 * prev(h)\n  merge(on, z, 0)",
    ),
    (
        "segment-sum",
        "  z = w @ $(segment_sum($(w @ x); size = 3))\n  hold(z - prev(z))",
    ),
    (
        "segment-mean",
        "  z[d] = $(segment_mean(x; size = 2))[3 - d]\n  hold(prev(z))",
    ),
    (
        "segment-max",
        "  hold(b * $(prev($(segment_max($(w @ x); size = 4))))[1])",
    ),
    (
        "complex",
        "  z = $(complex($(x when on), b)) * c\n  hold(re(z * prev(z)))",
    ),
    (
        "complex-when",
        "  z = $($(complex(x, b) * c) when on)\n  hold(im(z * delay(z, 2)))",
    ),
    (
        "complex-entry",
        "  z = $($(complex(x, b)) when on)[1] * c\n  hold(re(z * prev(z)))",
    ),
    (
        "complex-sum",
        "  z = sum(d: $($(complex(x, b)) when on)[d] * c[d])\n  hold(b * abs(prev(z)))",
    ),
    (
        "complex-function",
        "  z = turned($($(complex(x, b)) when on))\n  hold(re(prev(z)) + im(z))",
    ),
    (
        "complex-imaginary",
        "  z = complex(b, $(x when on))\n  hold(re(prev(z)) + im(reversed($(im(z)))))",
    ),
    (
        "complex-recurrence",
        "  h = 0.5 * c * prev(h) + $($(complex(x, b)) when on)\n  hold(re(h))",
    ),
    ("complex-hold", "  re(hold($(complex($(x when on), b)) * c))"),
    (
        "complex-merge",
        "  z = merge(on, $(complex($(x when on), b)) * c, $(complex(b, $(x when off))))\n  re(z) + im(prev(z))",
    ),
    (
        "complex-merge-real",
        "  z = merge(on, $(complex($(x when on), b)) * c, $(x when off))\n  re(z) + im(prev(z))",
    ),
    ("trace", "  trace gone = prev(w @ $(x when on))\n  x"),
    ("count", "  z = $(count(x[1] > 0) when on) * b\n  hold(prev(z))"),
    ("position", "  z = $(position() when on) * b\n  hold(z - prev(z))"),
];

#[test]
fn names_do_not_matter() {
    let differences = TABLE.iter().filter_map(|(name, body)| {
        let (plain, named) = both_ways(body);
        assert_ne!(plain, named, "{name}");
        difference(name, &plain, &named)
    });
    none(differences.collect());
}

/// Several values at once cannot have one name: here the parts are named.
#[test]
fn tuples_are_on_a_clock() {
    let pairs = [
        (
            "  (p, q) = split(x, 2, 2) when on\n  hold(concat(prev(reversed(q)), p))",
            "  (r, s) = split(x, 2, 2)\n  p = r when on\n  q = s when on\n  u = reversed(q)\n  hold(concat(prev(u), p))",
        ),
        (
            "  (p, q) = split(w @ (complex(x, b) when on), 2, 2)\n  hold(re(concat(q, prev(turned(p)))))",
            "  z = complex(x, b) when on\n  u = w @ z\n  (p, q) = split(u, 2, 2)\n  r = turned(p)\n  hold(re(concat(q, prev(r))))",
        ),
    ];
    let differences = pairs.iter().enumerate();
    none(
        differences
            .filter_map(|(n, (plain, named))| difference(&format!("tuple-{n}"), plain, named))
            .collect(),
    );
}

/// What is on a clock, by hand: the mean of a product over ticks, one tick ago.
#[test]
fn the_past_of_a_clock_is_its_ticks() {
    let found = run("by-hand", "  merge(on, prev((x when on)[1]) * (b / b), 0)").unwrap_or_else(|e| panic!("{e}"));
    let mut last = 0.0;
    for (row, out) in rows().iter().zip(found.chunks(4)) {
        let tick = row[0].data[0] > 0.0;
        let wanted = if tick { last } else { 0.0 };
        assert_eq!(out, [wanted; 4]);
        last = if tick { row[0].data[1] } else { last };
    }
}

/// Kinds of random expressions.
#[derive(Clone, Copy)]
enum Kind {
    Scalar,
    Vector,
    Matrix,
    Complex,
}

/// Forms of each kind; `V`, `M`, `S` and `C` stand for expressions of these kinds.
const SCALARS: &[&str] = &[
    "V[2]",
    "sum(i: V[i] * b[i])",
    "max(i: V[i])",
    "entry(V)",
    "M[1, 0]",
    "prev(S)",
    "hold(S when on) when on",
];
const VECTORS: &[&str] = &[
    "w @ V",
    "V + V",
    "V * S",
    "tanh(V) when on",
    "hold(V when on) when on",
    "merge(on, V, b)",
    "reversed(V)",
    "prev(V)",
    "prev(V; init = 1)",
    "delay(V, 2)",
    "causal_conv(V, taps)",
    "average(V)",
    "if S > 0 then V else V",
    "flatten(M)",
    "re(C)",
    "im(C)",
    "softmax(V)",
    "concat(reshape(S, 1), reshape(S, 1), reshape(S, 1), reshape(S, 1))",
    "flatten(attend(reshape(V, 1, d), reshape(V when on, 1, d), reshape(V when on, 1, d)))",
    "lookup(w, int(S * 3) when on)",
    "hold(segment_mean(hold(V when on); size = 2))",
];
const MATRICES: &[&str] = &[
    "reshape(V, 2, 2)",
    "rope(reshape(V, 2, 2))",
    "transposed(M)",
    "l2_norm_rows(M)",
    "prev(M)",
];
const COMPLEXES: &[&str] = &[
    "complex(V, V)",
    "c * C",
    "turned(C)",
    "prev(C)",
    "conj(C) + C",
    "merge(on, C, c)",
];

/// A random expression with every part marked.
fn expression(r: &mut Rng, kind: Kind, depth: usize) -> String {
    let forms = match kind {
        Kind::Scalar => SCALARS,
        Kind::Vector => VECTORS,
        Kind::Matrix => MATRICES,
        Kind::Complex => COMPLEXES,
    };
    if depth == 0 {
        return match kind {
            Kind::Scalar => "$(x when on)[1]".to_owned(),
            Kind::Vector => ["x when on", "$(w @ x) when on", "$(x + b) when on", "x"][r.below(4)].to_owned(),
            Kind::Matrix => "reshape($(x when on), 2, 2)".to_owned(),
            Kind::Complex => "$(complex(x, b)) when on".to_owned(),
        };
    }
    let form = forms[r.below(forms.len())];
    let mut out = String::new();
    for c in form.chars() {
        let part = match c {
            'S' => Kind::Scalar,
            'V' => Kind::Vector,
            'M' => Kind::Matrix,
            'C' => Kind::Complex,
            _ => {
                out.push(c);
                continue;
            }
        };
        let part = expression(r, part, depth - 1);
        write!(out, "$({part})").unwrap_or_default();
    }
    out
}

#[test]
fn names_do_not_matter_in_random_layers() {
    let mut r = Rng::new(11);
    let mut differences = Vec::new();
    for n in 0..80 {
        let depth = 2 + r.below(3);
        let body = format!("  merge(on, {}, 0)", expression(&mut r, Kind::Vector, depth));
        let (plain, named) = both_ways(&body);
        differences.extend(difference(&format!("random-{n}"), &plain, &named));
    }
    none(differences);
}
