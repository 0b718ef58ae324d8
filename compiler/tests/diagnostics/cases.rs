//! A model for each message.

use super::{MODEL, body};

/// Code, layer file and model of each case.
pub(super) fn cases() -> Vec<(&'static str, String, String)> {
    let fine = "layer thing(x: [d]) -> [d] { x }\n".to_owned();
    let of = |code, text: &str| (code, body(text), MODEL.to_owned());
    let model = |code, from: &str, to: &str| {
        let changed = MODEL.replace(from, to);
        assert_ne!(changed, MODEL, "{code}");
        (code, fine.clone(), changed)
    };
    let whole = |code, layer: &str| (code, layer.to_owned(), MODEL.to_owned());
    let wrapped = |code, block: &str| {
        let stack = MODEL.replace("  - thing: {}", "  - thing: {}\n    block: around");
        (code, format!("{fine}{block}"), stack)
    };
    vec![
        of("bad-index", "  y[i] = x[x[i]]\n  y"),
        of("bad-size", "  param w[d, d / 3]\n  w @ x"),
        of("both-directions", "  h = 0.5 * prev(h) + 0.5 * next(h) + x\n  h"),
        of(
            "clock-mismatch",
            "  on = x[0] > 0\n  off = x[1] > 0\n  y = (x when on) + (x when off)\n  merge(on, y, x)",
        ),
        of("complex-use", "  complex(x, x)"),
        of("defined-twice", "  y = x\n  y = x + 1\n  y"),
        wrapped(
            "inner-twice",
            "block around(x: [d], inner: layer) -> [d] { inner(x) + inner(x) }\n",
        ),
        wrapped(
            "block-argument",
            "block around(x: [d], first: layer, second: layer) -> [d] { first(x) + second(x) }\n",
        ),
        wrapped("inner-unused", "block around(x: [d], inner: layer) -> [d] { x }\n"),
        wrapped(
            "layer-as-value",
            "block around(x: [d], inner: layer) -> [d] { x + inner }\n",
        ),
        of("layer-as-function", "  swiglu(x)"),
        whole("missing-setting", "layer thing(x: [d]; heads) -> [d] { x * heads }\n"),
        whole("no-result", "layer thing(x: [d]) -> [d] {\n  y = x\n}\n"),
        of("no-gradient", "  w = prev(w) + x\n  grad(sum(i: x[i] ** 2), w)"),
        of(
            "no-shape",
            "  h = concat(flatten(prev(h)), x)\n  (a, b) = split(h, 1, d)\n  b",
        ),
        of("no-size", "  y[d] = sum(k: x[d] * k)\n  y"),
        of("not-a-condition", "  if x then x else 0"),
        of("not-a-number", "  x * (0 / 0)"),
        of("not-a-stream", "  x * prev(3)"),
        of("not-a-tensor", "  y[d] = x[d] * e[d]\n  y"),
        of("not-indexed", "  y[d] = x[d] * x\n  y"),
        of("not-known", "  param w[d]\n  reshape(x, sum(i: w[i]))"),
        of("out-of-range", "  y[d] = x[d + 1]\n  y"),
        whole(
            "param-in-fn",
            "fn f(x) {\n  param w\n  x * w\n}\nlayer thing(x: [d]) -> [d] { f(x) }\n",
        ),
        whole(
            "recurrence-per-index",
            "fn average(u) {\n  h = 0.5 * prev(h) + u\n  h\n}\nlayer thing(x: [d]) -> [d] {\n  y[d] = average(x[d])\n  y\n}\n",
        ),
        of(
            "score-use",
            "  q = reshape(x, 2, 4)\n  flatten(attend(q, q, q; where (i, j) = i[0] > 0))",
        ),
        model("refused", "thing: {}", "swiglu: {hidden: 4, act: Silu}"),
        of(
            "shape-mismatch",
            "  param gate[2 * d, d], up[d, d]\n  (gate @ x) * (up @ x)",
        ),
        of("size-mismatch", "  (a, b) = split(x, d, e)\n  a"),
        whole("too-deep", "fn f(x) { f(x) }\nlayer thing(x: [d]) -> [d] { f(x) }\n"),
        of(
            "too-large",
            "  param w[d, 1e9, 1e9]\n  y[d] = sum(i, j: w[d, i, j])\n  y",
        ),
        whole(
            "trace-in-fn",
            "fn f(x) {\n  trace size = x[0]\n  x\n}\nlayer thing(x: [d]) -> [d] { f(x) }\n",
        ),
        of("tuple-use", "  (a, b) = x\n  a"),
        of("unknown-name", "  silu(x) + windw(x) + xx"),
        of("unknown-setting", "  param w[d]\n  rms_norm(x, w; epsilon = 1e-5)"),
        of("used-before", "  h = 0.9 * h + x\n  h"),
        of("wrong-arguments", "  rms_norm(x, 1e-5, 3)"),
        of("wrong-operands", "  x + (x > 0)"),
        of("wrong-rank", "  param w[d, d]\n  y[i] = w[i] * x[i]\n  y"),
        model(
            "bad-template",
            "  - thing: {}",
            "  - swiglu: {hidden: 4}\n    load: {up_proj: \"w.{3..1}\"}",
        ),
        model("bad-use", "layer.seq", "/etc/hostname"),
        model("bad-version", "version: 1", "version: 2"),
        model("missing-key", "model: m\n", ""),
        model("no-file", "layer.seq", "lair.seq"),
        model("unknown-key", "weights:", "wieghts:"),
        model("unknown-layer", "- thing", "- thin"),
        model(
            "unknown-parameter",
            "thing: {}",
            "swiglu: {hidden: 4}\n    load: {gate: a.b}",
        ),
        model("unknown-stream", "thing: {}", "gmu: {}\n    in: {m: memory}"),
        model("unknown-tap", "thing: {}", "swiglu: {hidden: 4}\n    tap: {memory: h}"),
        model("unknown-type", "{random: 1}", "{random: 1, type: f8}"),
        model("wrong-type", "stack:", "stack: 3\nblock:"),
        model("yaml", "{random: 1}", "{random: 1"),
    ]
}

/// Other causes of the same codes: name of the snapshot, code, layer file.
pub(super) fn more_cases() -> Vec<(&'static str, &'static str, String)> {
    let of = |name, code, text: &str| (name, code, body(text));
    vec![
        of("too-large-work", "too-large", "  x * sum(k < 1000000000000: x[0] * k)"),
        (
            "too-deep-twice",
            "too-deep",
            "fn f(a; n) { if n == 0 then a else f(a; n = n - 1) + f(a; n = n - 1) }\nlayer thing(x: [d]) -> [d] { f(x; n = 20) }\n".to_owned(),
        ),
        (
            "defined-twice-built-in",
            "defined-twice",
            "layer thing(x: [d]) -> [d] { exp(x) }\nfn exp(x) { x }\n".to_owned(),
        ),
        (
            "wrong-type-real",
            "wrong-type",
            "layer thing(x: [d]) -> [d] { f(x) }\nfn f(t: int[d]) { t }\n".to_owned(),
        ),
        (
            "wrong-type-scalar",
            "wrong-type",
            "layer thing(x: [d]) -> [d] {\n  c = prev(c) + 1\n  x * f(c)\n}\nfn f(t: int) { t }\n".to_owned(),
        ),
        (
            "wrong-type-truth",
            "wrong-type",
            "layer thing(x: [d]) -> [d] { f(x > 0) }\nfn f(t: int[d]) { t }\n".to_owned(),
        ),
        of("unknown-name-param", "unknown-name", "  x + mix_bias * silu(x)"),
        of(
            "unknown-name-matrix",
            "unknown-name",
            "  param out[d, e]\n  out @ silu(proj @ x)",
        ),
        of("unknown-name-entry", "unknown-name", "  y[i] = gain[i] * x[i]\n  y"),
        of("unknown-name-argument", "unknown-name", "  rms_norm(x, weight)"),
        of("unknown-name-token", "unknown-name", "  0.5 * x[t - 1] + x"),
        of("unknown-name-later", "unknown-name", "  y[i] = x[i] * x[t + 1]\n  y"),
        of(
            "unknown-name-sum",
            "unknown-name",
            "  param w[d, d]\n  y[i] = w[i, j] * x[j]\n  y",
        ),
        of(
            "not-a-number-remainder",
            "not-a-number",
            "  dim batch = 0\n  if position() % batch == 0 then x else 0 * x",
        ),
        of(
            "no-gradient-operation",
            "no-gradient",
            "  w = 2 * x\n  grad(sum(i: floor(w[i]) * w[i]), w)",
        ),
        of("no-size-token", "no-size", "  y[t] = 0.5 * x[t - 1]\n  y"),
        of("no-shape-result", "no-shape", "  y = prev(z) * 0.5\n  z = tanh(y)\n  y"),
        of(
            "no-shape-product",
            "no-shape",
            "  param w[d, d]\n  h = prev(h) * 0.5\n  w @ h + x",
        ),
        of(
            "no-shape-entry",
            "no-shape",
            "  h = prev(h) * 0.5\n  y[i] = h[i] + x[i]\n  y",
        ),
        (
            "block-argument-none",
            "block-argument",
            "layer thing(x: [d]) -> [d] { x }\nblock around(x: [d]) -> [d] { x }\n".to_owned(),
        ),
        (
            "block-argument-first",
            "block-argument",
            "layer thing(x: [d]) -> [d] { x }\nblock around(inner: layer, x: [d]) -> [d] { inner(x) }\n".to_owned(),
        ),
        (
            "block-argument-layer",
            "block-argument",
            "layer thing(x: [d], inner: layer) -> [d] { inner(x) }\n".to_owned(),
        ),
        of(
            "wrong-rank-key",
            "wrong-rank",
            "  q = reshape(x, 2, 4)\n  flatten(attend(q, q, q; score (s, i, j) = s - x[j][head]))",
        ),
        of(
            "wrong-rank-scalar",
            "wrong-rank",
            "  q = reshape(x, 2, 4)\n  flatten(attend(q, q, q; score (s, i, j) = s - x[j]))",
        ),
        of(
            "refused-size",
            "refused",
            "  rows = if d % 3 == 0 then reshape(x, 3, d / 3) else fail(\"{d} entries are not 3 rows\")\n  flatten(rows)",
        ),
        of(
            "not-known-fail",
            "not-known",
            "  if x[0] > 0 then x else fail(\"a negative number\")",
        ),
        of(
            "wrong-arguments-fail",
            "wrong-arguments",
            "  if d > 3 then fail(d) else x",
        ),
        of(
            "unknown-name-fail",
            "unknown-name",
            "  if d > 9 then x else fail(\"{dd} is too little\")",
        ),
        of(
            "not-known-filter",
            "not-known",
            "  dim lag = 300\n  param w[d, lag]\n  f[d, lag] = x[d] * w[d, lag]\n  long_conv(x, f)",
        ),
        of(
            "shape-mismatch-filter",
            "shape-mismatch",
            "  dim lag = 300\n  param w[lag, d]\n  long_conv(x, w)",
        ),
        of("too-large-filter", "too-large", "  param w[d, 2e6]\n  long_conv(x, w)"),
        of("out-of-range-size", "out-of-range", "  x * x[d]"),
        of("clock-mismatch-result", "clock-mismatch", "  x when x[0] > 0"),
        of("clock-mismatch-hold", "clock-mismatch", "  hold(x)"),
        of(
            "clock-mismatch-keys",
            "clock-mismatch",
            "  on = x[0] > 0\n  q = reshape(x, 2, 4)\n  flatten(attend(q, q when on, q))",
        ),
        of(
            "wrong-operands-complex",
            "wrong-operands",
            "  z = complex(x, x)\n  re(max(z, z))",
        ),
        of(
            "wrong-arguments-stage",
            "wrong-arguments",
            "  q = reshape(x, 2, 4)\n  flatten(attend(q, q, stage(q, q, q)))",
        ),
        of(
            "bad-index-pair",
            "bad-index",
            "  q = reshape(x, 2, 4)\n  flatten(attend(q, q, q; score (s, i, j) = s + x[j][i]))",
        ),
        of(
            "bad-index-state",
            "bad-index",
            "  c = prev(c) + 1\n  y[d] = x[d] * x[c % 4]\n  y",
        ),
        of(
            "wrong-operands-state",
            "wrong-operands",
            "  on = prev(on) || x[0] > 0\n  if on > 0 then x else 0",
        ),
        of(
            "not-a-condition-state",
            "not-a-condition",
            "  on = if prev(on) then x[0] else 1\n  x * on",
        ),
    ]
}
