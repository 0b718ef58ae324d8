//! Plots as SVG: curves on logarithmic axes, and bars.

use super::show::escaped;
use std::fmt::Write;

/// Size of a plot, in its own units.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
/// Margins: left and below, for the numbers; above and right.
const LEFT: f64 = 70.0;
const BELOW: f64 = 44.0;
const ABOVE: f64 = 12.0;
const RIGHT: f64 = 16.0;
/// Colours that are told apart on a light and on a dark ground; more curves repeat them with dashes.
const COLOURS: [&str; 6] = ["#3b82d0", "#d9722e", "#2f9e6b", "#c2528b", "#8a6fd1", "#a08a1c"];
const DASHES: [&str; 3] = ["", "7 4", "2 3"];

/// A named curve through points.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// Points that were measured.
    pub(super) marks: Vec<(f64, f64)>,
}

/// How numbers are written at the axes.
#[derive(Clone, Copy)]
pub(super) struct Axes<'a> {
    pub(super) title: &'a str,
    pub(super) x: fn(f64) -> String,
    pub(super) y: fn(f64) -> String,
    /// Grid lines of x stand at powers of this.
    pub(super) base: f64,
}

/// Numbers where grid lines may stand, as multiples of each power of ten; the first that are few enough are taken.
const STEPS: [&[f64]; 3] = [&[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0], &[1.0, 2.0, 5.0], &[1.0]];
/// Most grid lines of an axis.
const LINES: usize = 12;

/// A logarithmic axis: its grid lines, the first and last at its ends.
struct Range {
    lines: Vec<f64>,
}

impl Range {
    /// Around all values above 0; from power to power of `base`.
    fn powers(values: impl Iterator<Item = f64>, base: f64) -> Option<Range> {
        let (low, high) = ends(values)?;
        let power = |v: f64| v.ln() / base.ln();
        let first = (power(low) + 1e-9).floor();
        let last = (power(high) - 1e-9).ceil().max(first + 1.0);
        let count = (last - first) as usize;
        let step = count / LINES + 1;
        let lines = (0..=count.div_ceil(step)).map(|n| base.powf(first + (n * step) as f64));
        Some(Range { lines: lines.collect() })
    }

    /// Around all values above 0, closely; lines at round decimal numbers.
    fn round(values: impl Iterator<Item = f64>) -> Option<Range> {
        let (low, high) = ends(values)?;
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32 + 1);
        let around = |steps: &[f64]| {
            let numbers = (first..=last).flat_map(|n| steps.iter().map(move |s| s * 10f64.powi(n)));
            let numbers: Vec<f64> = numbers.collect();
            let from = numbers.iter().rposition(|v| *v <= low * (1.0 + 1e-9)).unwrap_or(0);
            let to = numbers.iter().position(|v| *v >= high * (1.0 - 1e-9));
            let to = to.unwrap_or(numbers.len() - 1).max(from + 1).min(numbers.len() - 1);
            numbers[from..=to].to_vec()
        };
        let few = STEPS
            .iter()
            .map(|steps| around(steps))
            .find(|lines| lines.len() <= LINES);
        match few {
            Some(lines) => Some(Range { lines }),
            None => Range::powers([low, high].into_iter(), 10.0),
        }
    }

    fn part(&self, value: f64) -> f64 {
        let (low, high) = (self.lines[0], self.lines[self.lines.len() - 1]);
        (value / low).ln() / (high / low).ln()
    }
}

/// The least and the largest value above 0.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let positive = values.filter(|v| v.is_finite() && *v > 0.0);
    let (low, high) = positive.fold((f64::INFINITY, 0.0), |(a, b), v| (f64::min(a, v), f64::max(b, v)));
    (low <= high).then_some((low, high))
}

/// Curves on two logarithmic axes. Empty without a point above 0.
pub(super) fn curves(curves: &[Curve], axes: Axes<'_>) -> String {
    let all = || curves.iter().flat_map(|c| c.points.iter().chain(&c.marks));
    let (xs, ys) = (
        Range::powers(all().map(|p| p.0), axes.base),
        Range::round(all().map(|p| p.1)),
    );
    let (Some(xs), Some(ys)) = (xs, ys) else {
        return String::new();
    };
    let x = |v: f64| LEFT + xs.part(v) * (WIDTH - LEFT - RIGHT);
    let y = |v: f64| HEIGHT - BELOW - ys.part(v) * (HEIGHT - BELOW - ABOVE);
    let mut out = opening(HEIGHT, axes.title);
    for v in &xs.lines {
        let (at, end) = (x(*v), HEIGHT - BELOW);
        // Writing to a string does not fail.
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{at:.1} {ABOVE}V{end:.1}\"/>");
        let _ = writeln!(out, "{}", label(at, end + 18.0, "middle", &(axes.x)(*v)));
    }
    for v in &ys.lines {
        let at = y(*v);
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/>", WIDTH - RIGHT);
        let _ = writeln!(out, "{}", label(LEFT - 8.0, at + 4.0, "end", &(axes.y)(*v)));
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    let _ = writeln!(
        out,
        "{}",
        label(middle, HEIGHT - 6.0, "middle", "context length in tokens")
    );
    for (n, curve) in curves.iter().enumerate() {
        let placed = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
            let inside = points.iter().filter(|p| p.0 > 0.0 && p.1 > 0.0);
            inside.map(|p| (x(p.0), y(p.1))).collect()
        };
        out.push_str(&drawn(&curve.name, n, &placed(&curve.points), &placed(&curve.marks)));
    }
    out.push_str("</svg>\n");
    out + &legend(curves)
}

fn opening(height: f64, title: &str) -> String {
    let title = escaped(title);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\"><title>{title}</title>\n"
    )
}

fn label(x: f64, y: f64, anchor: &str, text: &str) -> String {
    let text = escaped(text);
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
}

fn style(n: usize) -> String {
    let (colour, dash) = (COLOURS[n % COLOURS.len()], DASHES[n / COLOURS.len() % DASHES.len()]);
    format!("stroke=\"{colour}\" stroke-dasharray=\"{dash}\"")
}

fn drawn(name: &str, n: usize, points: &[(f64, f64)], marks: &[(f64, f64)]) -> String {
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    let mut out = String::new();
    let name = escaped(name);
    if !path.is_empty() {
        let _ = writeln!(
            out,
            "<path class=\"curve\" {} d=\"M{}\"><title>{name}</title></path>",
            style(n),
            path.join("L")
        );
    }
    for (x, y) in marks {
        let colour = COLOURS[n % COLOURS.len()];
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{colour}\"><title>{name}, measured</title></circle>"
        );
    }
    out
}

fn legend(curves: &[Curve]) -> String {
    let mut out = "<ul class=\"legend\">".to_owned();
    for (n, curve) in curves.iter().enumerate() {
        let line = format!(
            "<svg viewBox=\"0 0 28 8\" width=\"28\" height=\"8\" aria-hidden=\"true\"><path class=\"curve\" {} d=\"M0 4H28\"/></svg>",
            style(n)
        );
        let _ = write!(out, "<li>{line} {}</li>", escaped(&curve.name));
    }
    out + "</ul>\n"
}

/// One horizontal bar for each row, made of parts; parts of one name have one colour.
pub(super) fn bars(rows: &[(String, Vec<(String, f64)>)], title: &str, unit: fn(f64) -> String) -> String {
    let sum = |parts: &[(String, f64)]| parts.iter().map(|p| p.1).sum::<f64>();
    let longest = rows.iter().map(|r| sum(&r.1)).fold(0.0, f64::max);
    if longest <= 0.0 {
        return String::new();
    }
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|r| &r.1) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let (left, room, step) = (150.0, WIDTH - 150.0 - 80.0, 28.0);
    let mut out = opening(rows.len() as f64 * step + 8.0, title);
    for (n, (name, parts)) in rows.iter().enumerate() {
        let top = n as f64 * step + 4.0;
        let _ = writeln!(out, "{}", label(left - 8.0, top + 15.0, "end", name));
        let mut x = left;
        for (part, value) in parts.iter().filter(|p| p.1 > 0.0) {
            let width = value / longest * room;
            let place = names.iter().position(|m| m == part).unwrap_or(0);
            let said = format!("{part}: {}", unit(*value));
            let (colour, faint) = (
                COLOURS[place % COLOURS.len()],
                1.0 - 0.3 * (place / COLOURS.len() % 3) as f64,
            );
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.2}\" height=\"20\" fill=\"{colour}\" fill-opacity=\"{faint:.1}\"><title>{}</title></rect>",
                escaped(&said)
            );
            x += width;
        }
        let _ = writeln!(out, "{}", label(x + 6.0, top + 15.0, "start", &unit(sum(parts))));
    }
    out.push_str("</svg>\n<ul class=\"legend\">");
    for (place, name) in names.iter().enumerate() {
        let (colour, faint) = (
            COLOURS[place % COLOURS.len()],
            1.0 - 0.3 * (place / COLOURS.len() % 3) as f64,
        );
        let _ = write!(
            out,
            "<li><svg viewBox=\"0 0 12 12\" width=\"12\" height=\"12\" aria-hidden=\"true\"><rect width=\"12\" height=\"12\" fill=\"{colour}\" \
             fill-opacity=\"{faint:.1}\"/></svg> {}</li>",
            escaped(name)
        );
    }
    out + "</ul>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_without_a_point_above_zero_are_not_drawn() {
        let none = Curve {
            name: "a".to_owned(),
            points: vec![(1.0, 0.0)],
            marks: Vec::new(),
        };
        let axes = Axes {
            title: "t",
            x: |v| v.to_string(),
            y: |v| v.to_string(),
            base: 2.0,
        };
        assert_eq!(curves(&[none], axes), "");
        assert_eq!(bars(&[("a".to_owned(), Vec::new())], "t", |v| v.to_string()), "");
    }

    #[test]
    fn ranges_reach_whole_powers() {
        let lines = |range: Option<Range>| range.map(|r| r.lines).unwrap_or_default();
        assert_eq!(
            lines(Range::powers([1.0, 8.0, 0.0].into_iter(), 2.0)),
            [1.0, 2.0, 4.0, 8.0]
        );
        let round = lines(Range::round([62.0, 225.0].into_iter()));
        assert_eq!(
            (round[0].round(), round[round.len() - 1].round(), round.len()),
            (60.0, 300.0, 6)
        );
        assert!(Range::round([0.0].into_iter()).is_none());
    }
}
