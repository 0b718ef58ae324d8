//! Rotary positions: every way to stretch them, against its paper's formula in double precision.

use super::{close, run};

const TAU: f64 = std::f64::consts::TAU;

/// Tokens enough for angles of several turns.
fn rows() -> Vec<([f64; 4], i64)> {
    (0..40)
        .map(|n| {
            let n = f64::from(n);
            ([n.sin(), (2.0 * n + 1.0).cos(), 1.0 - 0.1 * n, (3.0 * n).sin()], 0)
        })
        .collect()
}

/// Compares `rope` with these settings over one row of four coordinates with rotations by the angles of its two pairs, `magnitude` times as long.
fn turned(name: &str, settings: &str, angles: [f64; 2], magnitude: f64) {
    let rows = rows();
    let wanted = rows.iter().enumerate().map(|(n, (x, _))| {
        let mut y = vec![0.0; 4];
        for (pair, angle) in angles.iter().enumerate() {
            let (sin, cos) = (n as f64 * angle).sin_cos();
            y[pair] = magnitude * (x[pair] * cos - x[pair + 2] * sin);
            y[pair + 2] = magnitude * (x[pair + 2] * cos + x[pair] * sin);
        }
        y
    });
    let body = format!("  flatten(rope(reshape(x, 1, d); {settings}))");
    close(
        name,
        &run(&format!("rope-{name}"), &body, &rows),
        &wanted.collect::<Vec<_>>(),
    );
}

#[test]
fn plain_positions_and_another_base() {
    turned("plain", "theta = 1e4", [1.0, 1e-2], 1.0);
    // Adjusted base frequency (Xiong et al. 2023, arXiv:2309.16039, section 4.1) is another base.
    turned("abf", "theta = 5e5", [1.0, 5e5_f64.powf(-0.5)], 1.0);
    turned(
        "linear",
        "theta = 100, scaling = \"linear\", factor = 4",
        [0.25, 0.025],
        1.0,
    );
}

/// arXiv:2309.00071, definition 1, with the scale of the length beyond the context as section 3.3 has it.
#[test]
fn dynamic_bases_grow_with_the_length() {
    let angle = |scale: f64| (100.0 * scale.powf(4.0 / 2.0)).powf(-0.5);
    turned(
        "dynamic-short",
        "theta = 100, scaling = \"dynamic\", factor = 2, context = 64",
        [1.0, 0.1],
        1.0,
    );
    turned(
        "dynamic-within",
        "theta = 100, scaling = \"dynamic\", factor = 2, context = 64, length = 40",
        [1.0, 0.1],
        1.0,
    );
    let settings = "theta = 100, scaling = \"dynamic\", factor = 2, context = 64, length = 160";
    turned("dynamic-long", settings, [1.0, angle(2.0 * 160.0 / 64.0 - 1.0)], 1.0);
    // A factor of 1: NTK-aware interpolation by the quotient of the lengths.
    turned(
        "dynamic-ntk",
        "theta = 100, scaling = \"dynamic\", context = 64, length = 256",
        [1.0, angle(4.0)],
        1.0,
    );
}

/// As Llama 3.1 does: by wavelengths between context / high and context / low.
#[test]
fn slow_pairs_are_slowed_by_their_wavelength() {
    for (theta, context, factor) in [(1e4_f64, 2048.0, 8.0), (100.0, 128.0, 8.0), (4.0, 64.0, 3.0)] {
        let angles = [0.0, 0.5].map(|part| {
            let angle = theta.powf(-part);
            let wave = TAU / angle;
            let smooth = (context / wave - 1.0) / (4.0 - 1.0);
            match wave {
                w if w < context / 4.0 => angle,
                w if w > context => angle / factor,
                _ => (1.0 - smooth) * angle / factor + smooth * angle,
            }
        });
        let settings =
            format!("theta = {theta}, scaling = \"llama3\", factor = {factor}, low = 1, high = 4, context = {context}");
        turned(&format!("llama3-{theta}"), &settings, angles, 1.0);
    }
}

/// arXiv:2309.00071, section 3.2, with bounds that are pairs of coordinates, rounded or not.
#[test]
fn yarn_is_a_ramp_over_pairs() {
    let (theta, context, factor, slow, fast) = (50.0_f64, 64.0, 4.0, 1.0, 12.0);
    let pair_of = |turns: f64| 4.0 * (context / (turns * TAU)).ln() / (2.0 * theta.ln());
    for truncate in [true, false] {
        let (first, last) = (pair_of(fast), pair_of(slow));
        let (first, last) = if truncate {
            (first.floor(), last.ceil())
        } else {
            (first, last)
        };
        let (first, last) = (first.max(0.0), last.min(3.0));
        let angles = [0.0, 1.0].map(|pair: f64| {
            let angle = theta.powf(-pair / 2.0);
            let slowed = ((pair - first) / (last - first)).clamp(0.0, 1.0);
            angle / factor * slowed + angle * (1.0 - slowed)
        });
        let magnitude = 0.1 * factor.ln() + 1.0;
        let settings = format!(
            "theta = {theta}, scaling = \"yarn\", factor = {factor}, low = {slow}, high = {fast}, context = {context}, magnitude = {magnitude}, \
             truncate = {truncate}"
        );
        turned(&format!("yarn-{truncate}"), &settings, angles, magnitude);
    }
}

/// arXiv:2308.10882: angles from `high` on stay, those up to `low` are 0, and those between have one value.
#[test]
fn a_basis_is_cut() {
    let cut = |low: f64, high: f64| {
        format!("theta = 100, scaling = \"truncated\", low = {low}, high = {high}, between = 0.03")
    };
    turned("cut-none", &cut(0.0, 0.05), [1.0, 0.1], 1.0);
    turned("cut-between", &cut(0.05, 0.5), [1.0, 0.03], 1.0);
    turned("cut-zero", &cut(0.2, 0.5), [1.0, 0.0], 1.0);
}

/// arXiv:2402.13753: each pair has its divisor.
#[test]
fn pairs_have_divisors() {
    turned(
        "divisors",
        "theta = 100, divisors = [1.25, 8], magnitude = 1.1",
        [0.8, 0.0125],
        1.1,
    );
}

/// Coordinates behind the fraction are not turned, and neighbours may be pairs.
#[test]
fn parts_and_neighbours() {
    let rows = rows();
    let wanted = |n: usize, x: [f64; 4]| {
        let (sin, cos) = (n as f64).sin_cos();
        vec![x[0] * cos - x[1] * sin, x[1] * cos + x[0] * sin, x[2], x[3]]
    };
    let wanted: Vec<_> = rows.iter().enumerate().map(|(n, (x, _))| wanted(n, *x)).collect();
    for rotary in ["half", "interleaved"] {
        let body = format!("  flatten(rope(reshape(x, 1, d); fraction = 0.5, rotary = \"{rotary}\"))");
        close(rotary, &run(&format!("rope-part-{rotary}"), &body, &rows), &wanted);
    }
}
