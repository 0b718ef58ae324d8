//! Layers that are probably not what was meant, and some that are.

/// Layers that are read, with a warning: name of the snapshot, code, body.
pub(super) fn doubts() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        (
            "unrounded-quotient",
            "unrounded-quotient",
            "  y[i] = sum(j: if i / 2 == j then x[i] * x[j] else 0)\n  y",
        ),
        (
            "unrounded-quotient-named",
            "unrounded-quotient",
            "  half = (position() + 1) / 2\n  if half * 2 == position() + 1 then x else 0",
        ),
        (
            "unrounded-quotient-power",
            "unrounded-quotient",
            "  y[i] = x[i] * sum(b < 3: i / 2 ** b % 2)\n  y",
        ),
        (
            "unrounded-quotient-pair",
            "unrounded-quotient",
            "  q = reshape(x, 2, 4)\n  flatten(attend(q, q, q; where (i, j) = any(b < 3: j / 2 ** b % 2 == 1)))",
        ),
        ("hidden-size", "hidden-size", "  x * sum(d: d * x[d])"),
        (
            "hidden-size-dim",
            "hidden-size",
            "  dim hd = d / 2\n  (a, b) = split(x, hd, hd)\n  q[hd] = a[hd] * hd ** -0.5\n  concat(q, b)",
        ),
        (
            "hidden-value",
            "hidden-value",
            "  param w[4, d]\n  e = argmax(i: x[i])\n  y[d] = sum(e: w[e, d])\n  y",
        ),
    ]
}

/// Bodies that are right as they are, beside those above.
pub(super) const CLEAR: &[&str] = &[
    "  y[i] = x[i] * (i / 2)\n  y",
    "  y[i] = if int(i / 2) == 1 then x[i] else 0\n  y",
    "  y[i] = if i / 2 < 2 then x[i] else 0\n  y",
    "  y[i] = if x[i] * (i / 2) > 1 then x[i] else 0\n  y",
    "  y[i] = x[i / 2] * (i / 2 % 1) + x[i]\n  y",
    "  y[i] = if i / 2 == 0.5 then x[i] else 0\n  y",
    "  q = reshape(x, 2, 4)\n  flatten(attend(q, q, q; where (i, j) = j / 2 % 2 == 1))",
    "  y[d] = if d % 2 == 0 then x[d] else x[(d + 1) % 8]\n  y",
    "  dim i = d\n  y[i] = i * x[i]\n  y",
    "  x * sum(i: i * x[i])",
    "  w[d] = d == d - 1 || 2 * d > 3\n  y[d] = if w[d] then x[d] else 0\n  y",
];
