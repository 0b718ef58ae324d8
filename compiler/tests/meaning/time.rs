//! What reaches earlier tokens: recurrences, delays, attention, and clocks.

use super::{ROWS, close, run, vector};

#[test]
fn recurrences_remember() {
    let mut total = [0.0; 4];
    let sums = ROWS.map(|(x, _)| {
        (0..4).for_each(|i| total[i] += x[i]);
        total.to_vec()
    });
    close("total", &run("total", "  h = prev(h) + x\n  h", &ROWS), &sums);
    let mut m = [10.0; 4];
    let reset = ROWS.map(|(x, t)| {
        let before = if t == 2 { [10.0; 4] } else { m };
        m = std::array::from_fn(|i| 0.5 * before[i] + x[i]);
        m.to_vec()
    });
    let body = "  h[d] = 0.5 * prev(h; init = 10, reset = t == 2)[d] + x[d]\n  h";
    close("reset", &run("reset", body, &ROWS), &reset);
    let (mut a, mut b) = (0.0, 0.0);
    let pair = ROWS.map(|(x, _)| {
        (a, b) = (b, 0.5 * a + x[0]);
        vec![a, b]
    });
    let body = "  a = prev(b)\n  b = 0.5 * prev(a) + x[0]\n  concat(reshape(a, 1), reshape(b, 1))";
    close("pair", &run("pair", body, &ROWS), &pair);
}

#[test]
fn the_past_is_zero_before_the_start() {
    let at = |n: usize, k: usize| n.checked_sub(k).map_or([0.0; 4], |n| ROWS[n].0);
    let wanted: Vec<Vec<f64>> = (0..4).map(|n| at(n, 2).to_vec()).collect();
    close("delay", &run("delay", "  delay(x, 2)", &ROWS), &wanted);
    let body = "  dim taps = 2\n  w[d, taps] = taps + 1\n  causal_conv(x, w; dilation = 2)";
    let filtered: Vec<Vec<f64>> = (0..4)
        .map(|n| (0..4).map(|i| at(n, 2)[i] + 2.0 * at(n, 0)[i]).collect())
        .collect();
    close("filter", &run("filter", body, &ROWS), &filtered);
    let place: Vec<Vec<f64>> = (0..4).map(|n| vec![f64::from(n % 3) / 2.0]).collect();
    close(
        "position",
        &run("position", "  reshape(position() % 3 / 2, 1)", &ROWS),
        &place,
    );
}

#[test]
fn attention_sees_what_its_predicate_says() {
    let body = "  q = reshape(x, 2, 2)\n  k = reshape(x, 1, 4)\n  v = reshape(x, 2, 2)\n  \
                flatten(attend(q, q, v; scale = 0.5, where (i, j) = i - j < 3 && t[i] == t[j], score (s, i, j) = s - (head + 1) * (i - j) / 2))";
    let wanted: Vec<Vec<f64>> = (0..4_usize)
        .map(|i| {
            let mut out = Vec::new();
            for head in 0..2 {
                let part = |n: usize| [ROWS[n].0[2 * head], ROWS[n].0[2 * head + 1]];
                let seen: Vec<usize> = (0..=i).filter(|j| i - j < 3 && ROWS[i].1 == ROWS[*j].1).collect();
                let score = |j: usize| {
                    let product = part(i)[0] * part(j)[0] + part(i)[1] * part(j)[1];
                    // Between integers `/` rounds down.
                    0.5 * product - ((head + 1) * (i - j) / 2) as f64
                };
                let total: f64 = seen.iter().map(|j| score(*j).exp()).sum();
                (0..2).for_each(|e| out.push(seen.iter().map(|j| score(*j).exp() / total * part(*j)[e]).sum()));
            }
            out
        })
        .collect();
    let body = body.replace("  k = reshape(x, 1, 4)\n", "");
    close("attend", &run("attend", &body, &ROWS), &wanted);
}

/// A function is that of the file where it is called, then that of the library, then that of another file.
/// Streams over heads are read at the key and at the query.
#[test]
fn heads_have_decays_of_their_own() {
    let body = "  q = reshape(x, 2, 2)\n  k = reshape(x, 2, 2)\n  dim h = 2\n  g[h] = x[2 * h]\n  c = prev(c) + g\n  \
                flatten(attend(q, k, q; where (i, j) = g[j][head] > -2, score (s, i, j) = s + c[i][head] - c[j][head] + c[head] * 0))";
    let gate = |n: usize, head: usize| ROWS[n].0[2 * head];
    let kept = |n: usize, head: usize| (0..=n).map(|m| gate(m, head)).sum::<f64>();
    let wanted: Vec<Vec<f64>> = (0..4_usize)
        .map(|i| {
            let mut out = Vec::new();
            for head in 0..2 {
                let part = |n: usize| [ROWS[n].0[2 * head], ROWS[n].0[2 * head + 1]];
                let seen: Vec<usize> = (0..=i).filter(|j| gate(*j, head) > -2.0).collect();
                let score = |j: usize| {
                    let product = part(i)[0] * part(j)[0] + part(i)[1] * part(j)[1];
                    (product + kept(i, head) - kept(j, head)).exp()
                };
                let total: f64 = seen.iter().map(|j| score(*j)).sum();
                (0..2).for_each(|e| out.push(seen.iter().map(|j| score(*j) / total * part(*j)[e]).sum()));
            }
            out
        })
        .collect();
    close("heads", &run("heads", body, &ROWS), &wanted);
}

/// On a slower clock everything counts ticks; `hold` and `merge` lead back.
#[test]
fn clocks_count_ticks() {
    let result = vector(&[
        "hold(y)",
        "merge(on, prev(y), -7)",
        "hold(s)",
        "count(on)",
        "hold(delay(y, 2); init = 3)",
    ]);
    let body = format!("  on = x[0] > 0\n  y = x[1] when on\n  s = prev(s) + y\n  {result}");
    let wanted = [
        vec![2.0, 0.0, 2.0, 1.0, 0.0],
        vec![2.0, -7.0, 2.0, 1.0, 0.0],
        vec![2.0, -7.0, 2.0, 1.0, 0.0],
        vec![-5.0, 2.0, -3.0, 2.0, 0.0],
    ];
    close("ticks", &run("ticks", &body, &ROWS), &wanted);
    let body = "  off = x[0] <= 0\n  h = 0.5 * prev(h; init = 8) + (x[1] when off)\n  reshape(hold(h; init = -1), 1)";
    let wanted = [-1.0, 4.5, 3.25, 3.25].map(|v| vec![v]);
    close("tick-init", &run("tick-init", body, &ROWS), &wanted);
    let body = "  off = x[0] <= 0\n  y = x[1] when off\n  h = 0.5 * prev(h; init = 2 * y) + y\n  reshape(hold(h), 1)";
    close(
        "tick-stream-init",
        &run("tick-stream-init", body, &ROWS),
        &[0.0, 1.0, 1.5, 1.5].map(|v| vec![v]),
    );
    let body =
        "  on = x[0] > 0\n  y = x[1] when on\n  z = merge(on, complex(y, 2), 0.5)\n  reshape(re(z) + 10 * im(z), 1)";
    close(
        "complex-merge",
        &run("complex-merge", body, &ROWS),
        &[22.0, 0.5, 0.5, 15.0].map(|v| vec![v]),
    );
    let body = "  on = x[0] > 0\n  xo = x when on\n  h = prev(h; reset = xo[1] > 0.25) + xo[0]\n  reshape(hold(h), 1)";
    close(
        "tick-reset",
        &run("tick-reset", body, &ROWS),
        &[1.0, 1.0, 1.0, 6.0].map(|v| vec![v]),
    );
    // What is made of `prev(y)` is on the clock of `y`, also above the definition and in functions.
    let body = "  on = x[3] > 0\n  xo = x when on\n  y = xo[0] + 0.5 * prev(prev(y))\n  reshape(hold(y), 1)";
    close(
        "tick-twice",
        &run("tick-twice", body, &ROWS),
        &[1.0, 1.0, 0.0, 5.5].map(|v| vec![v]),
    );
    let body = "  on = x[3] > 0\n  g = delay(prev(h), 1)\n  h = 2 * prev(h) + ema(x[0] when on)\n  \
                reshape(merge(on, g, -1), 1)\n}\nfn ema(u) {\n  m = 0.5 * prev(m) + u\n  m";
    close(
        "tick-above",
        &run("tick-above", body, &ROWS),
        &[0.0, -1.0, 0.0, 1.0].map(|v| vec![v]),
    );
    let result = vector(&[
        "merge(on, im(prev(z)), -1)",
        "im(hold(w; init = complex(0.5, 7)))",
        "re(hold(w; init = 0.5))",
    ]);
    let body = format!(
        "  on = x[0] > 0\n  xo = x when on\n  z = complex(xo[0], 2)\n  w = complex(x[1], x[2]) when x[0] <= 0\n  {result}"
    );
    let wanted = [
        vec![0.0, 7.0, 0.5],
        vec![-1.0, 2.0, 0.5],
        vec![-1.0, 0.0, 1.0],
        vec![2.0, 0.0, 1.0],
    ];
    close("complex-ticks", &run("complex-ticks", &body, &ROWS), &wanted);
    let result = vector(&[
        "hold(segment_mean(x[0]; size = 2))",
        "hold(segment_max(x[0]; size = 2))",
        "hold(x[1] when every(3))",
    ]);
    let wanted = [
        vec![0.0, 0.0, 0.0],
        vec![0.0, 1.0, 0.0],
        vec![0.0, 1.0, 1.0],
        vec![2.5, 5.0, 1.0],
    ];
    close("segments", &run("segments", &format!("  {result}"), &ROWS), &wanted);
}

/// Attention among ticks: positions are those of ticks, other tokens are not seen.
#[test]
fn attention_on_a_clock_sees_its_ticks() {
    let body = "  on = t >= 2\n  y = x when on\n  k = reshape(y, 2, 2)\n  \
                o = attend(reshape(x, 2, 2), k, k; normalise = none, where (i, j) = i - j < 2, score (s, i, j) = 1 + 0 * s)\n  flatten(o)";
    let value = |n: usize| ROWS[n].0.to_vec();
    let sum = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).map(|(a, b)| a + b).collect::<Vec<_>>();
    let wanted = [vec![0.0; 4], value(1), sum(value(1), value(2)), sum(value(2), value(3))];
    close("keys-on-clock", &run("keys-on-clock", body, &ROWS), &wanted);
    let both = body
        .replace("reshape(x, 2, 2), k", "k, k")
        .replace("flatten(o)", "merge(on, flatten(o), 0)");
    close("both-on-clock", &run("both-on-clock", &both, &ROWS), &wanted);
}
