//! Moving lanes between vectors: transposition and sums of several vectors at once.

use crate::kernel::{Func, Val};

/// Transposes a square of 4, 8 or 16 vectors: pairs of lanes, pairs of pairs, then 128-bit parts.
pub fn transpose(f: &mut Func, rows: &[Val]) -> Vec<Val> {
    let parts = rows.len() / 4;
    let fours: Vec<[Val; 4]> = rows
        .chunks_exact(4)
        .map(|r| transpose_four(f, [r[0], r[1], r[2], r[3]]))
        .collect();
    let mut out = vec![rows[0]; rows.len()];
    for c in 0..4 {
        let group: Vec<Val> = fours.iter().map(|four| four[c]).collect();
        for (j, v) in transpose_parts(f, &group).into_iter().enumerate().take(parts) {
            out[4 * j + c] = v;
        }
    }
    out
}

/// Vectors joined by pairs.
pub(super) fn fold(f: &mut Func, values: &[Val], mut join: impl FnMut(&mut Func, Val, Val) -> Val) -> Val {
    let mut values = values.to_vec();
    while values.len() > 1 {
        values = values
            .chunks(2)
            .map(|pair| if let [a, b] = pair { join(f, *a, *b) } else { pair[0] })
            .collect();
    }
    values[0]
}

/// The sums of the lanes of four vectors, as a vector of four.
pub(super) fn sum_four(f: &mut Func, rows: [Val; 4]) -> Val {
    let pair = |f: &mut Func, a, b, size| {
        let (low, high) = (
            interleave(f, a, b, size, Half::Low),
            interleave(f, a, b, size, Half::High),
        );
        f.add(low, high)
    };
    let (ab, cd) = (pair(f, rows[0], rows[1], 1), pair(f, rows[2], rows[3], 1));
    let mut sum = pair(f, ab, cd, 2);
    let mut lanes = i64::from(sum.ty.lanes());
    while lanes > 4 {
        lanes /= 2;
        let (low, high): (Vec<i64>, Vec<i64>) = ((0..lanes).collect(), (lanes..2 * lanes).collect());
        let (a, b) = (f.shuffle(sum, sum, &low), f.shuffle(sum, sum, &high));
        sum = f.add(a, b);
    }
    sum
}

/// Within each 128-bit part: result `c`, part `j`, holds column `4j + c` of the four rows.
fn transpose_four(f: &mut Func, [a, b, c, d]: [Val; 4]) -> [Val; 4] {
    let (ab_low, ab_high) = (interleave(f, a, b, 1, Half::Low), interleave(f, a, b, 1, Half::High));
    let (cd_low, cd_high) = (interleave(f, c, d, 1, Half::Low), interleave(f, c, d, 1, Half::High));
    [
        interleave(f, ab_low, cd_low, 2, Half::Low),
        interleave(f, ab_low, cd_low, 2, Half::High),
        interleave(f, ab_high, cd_high, 2, Half::Low),
        interleave(f, ab_high, cd_high, 2, Half::High),
    ]
}

/// Half of a 128-bit part.
#[derive(Clone, Copy)]
enum Half {
    Low,
    High,
}

/// Within each 128-bit part: runs of `size` lanes, taken in turn from a half of `a` and of `b`.
fn interleave(f: &mut Func, a: Val, b: Val, size: usize, half: Half) -> Val {
    let n = a.ty.lanes() as usize;
    let half = match half {
        Half::Low => 0,
        Half::High => 1,
    };
    let lane = |l: usize| {
        let (part, run, offset) = (l / 4 * 4, l % 4 / size, l % size);
        (part + half * 2 + run / 2 * size + offset + run % 2 * n) as i64
    };
    let lanes: Vec<i64> = (0..n).map(lane).collect();
    f.shuffle(a, b, &lanes)
}

/// Transposes vectors as a square matrix of 128-bit parts (1 by 1, 2 by 2 or 4 by 4).
fn transpose_parts(f: &mut Func, rows: &[Val]) -> Vec<Val> {
    let lanes = |parts: &[i64]| -> Vec<i64> { parts.iter().flat_map(|p| (0..4).map(move |l| 4 * p + l)).collect() };
    if rows.len() == 1 {
        return rows.to_vec();
    }
    if let [a, b] = rows {
        return vec![f.shuffle(*a, *b, &lanes(&[0, 2])), f.shuffle(*a, *b, &lanes(&[1, 3]))];
    }
    let (even, odd) = (lanes(&[0, 2, 4, 6]), lanes(&[1, 3, 5, 7]));
    let mut pairs = Vec::new();
    for pair in rows.chunks(2) {
        pairs.push((f.shuffle(pair[0], pair[1], &even), f.shuffle(pair[0], pair[1], &odd)));
    }
    // Parts of rows 0 and 1: `even` holds 0 and 2, `odd` 1 and 3; the same again joins the two pairs.
    vec![
        f.shuffle(pairs[0].0, pairs[1].0, &even),
        f.shuffle(pairs[0].1, pairs[1].1, &even),
        f.shuffle(pairs[0].0, pairs[1].0, &odd),
        f.shuffle(pairs[0].1, pairs[1].1, &odd),
    ]
}
