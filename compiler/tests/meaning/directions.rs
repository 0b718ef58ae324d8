//! What reaches later tokens.

use super::{ROWS, close, run};

/// Row `n` of the input, zeros beside it.
fn at(n: usize) -> [f64; 4] {
    ROWS.get(n).map_or([0.0; 4], |row| row.0)
}

#[test]
fn streams_are_read_from_their_end_and_ahead() {
    let rows = |of: &dyn Fn(usize) -> [f64; 4]| (0..4).map(|n| of(n).to_vec()).collect::<Vec<_>>();
    close("reverse", &run("reverse", "  reverse(x)", &ROWS), &rows(&|n| at(3 - n)));
    close("ahead", &run("ahead", "  ahead(x, 2)", &ROWS), &rows(&|n| at(n + 2)));
    close("next", &run("next", "  next(x)", &ROWS), &rows(&|n| at(n + 1)));
    close("twice", &run("twice", "  next(next(x))", &ROWS), &rows(&|n| at(n + 2)));
    let body = "  up = x[0] > 0\n  n = ahead(position(), 2)\n  (if next(up) then x else 0 * x) + n * 100 + reverse(t)";
    let wanted = rows(&|n| {
        let kept = if at(n + 1)[0] > 0.0 { 1.0 } else { 0.0 };
        let ahead = if n + 2 < 4 { 100.0 * (n + 2) as f64 } else { 0.0 };
        at(n).map(|x| kept * x + ahead + ROWS[3 - n].1 as f64)
    });
    close("integers", &run("integers", body, &ROWS), &wanted);
}

#[test]
fn recurrences_run_from_the_end() {
    let mut wanted = vec![vec![]; 4];
    let mut h = [10.0; 4];
    for n in (0..4).rev() {
        let before = if ROWS[n].1 == 2 { [10.0; 4] } else { h };
        h = std::array::from_fn(|i| 0.5 * before[i] + at(n)[i]);
        wanted[n] = h.to_vec();
    }
    let body = "  h[d] = 0.5 * next(h; init = 10, reset = t == 2)[d] + x[d]\n  h";
    close("from_end", &run("from_end", body, &ROWS), &wanted);
    // Two values that wait for each other, read by sums in both directions.
    let (mut a, mut b) = ([0.0; 6], [0.0; 6]);
    for n in (0..4).rev() {
        a[n] = b[n + 1] + at(n)[0];
        b[n] = 0.5 * a[n + 1] - 0.25 * a[n + 2];
    }
    let mut sum = 0.0;
    let both: Vec<Vec<f64>> = (0..4)
        .map(|n| {
            sum = 0.5 * sum + a[n];
            vec![sum, a[n] * at(n)[1] + b[n + 1]]
        })
        .collect();
    let body = "  a = next(b) + x[0]\n  b = 0.5 * next(a) - 0.25 * next(next(a))\n  s = 0.5 * prev(s) + a\n  \
                concat(reshape(s, 1), reshape(a * x[1] + next(b), 1))";
    close("pairs", &run("pairs", body, &ROWS), &both);
}

#[test]
fn functions_run_from_the_end() {
    let layer = "fn total(x: [d]) {\n  h = prev(h) + x\n  h\n}\nlayer thing(x: [d], t: int) {\n  total(x) + reverse(total(reverse(x)))\n}\n";
    let sums = |n: usize| {
        (0..4)
            .map(|i| (0..4).map(|m| at(m)[i]).sum::<f64>() + at(n)[i])
            .collect::<Vec<_>>()
    };
    let wanted: Vec<Vec<f64>> = (0..4).map(sums).collect();
    let found = super::run_model("functions", super::MODEL, &[("layer.seq", layer)], &ROWS);
    close("functions", &found, &wanted);
}
