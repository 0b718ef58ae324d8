//! Plots as SVG: curves on logarithmic axes, and bars.

use super::show::escaped;
use std::fmt::Write;

/// Size of a plot, in its own units.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
/// Room on the left and below, for the numbers; above and on the right.
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

/// A range of an axis in logarithms.
#[derive(Clone, Copy)]
struct Range {
    low: f64,
    high: f64,
}

impl Range {
    /// Around all values above 0; whole powers of `base`.
    fn of(values: impl Iterator<Item = f64>, base: f64) -> Option<Range> {
        let logs = values.filter(|v| v.is_finite() && *v > 0.0).map(|v| v.ln() / base.ln());
        let (low, high) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), l| (a.min(l), b.max(l)));
        (low <= high).then(|| Range {
            low: (low + 1e-9).floor(),
            high: (high - 1e-9).ceil().max(low.floor() + 1.0),
        })
    }

    fn part(self, value: f64, base: f64) -> f64 {
        (value.ln() / base.ln() - self.low) / (self.high - self.low)
    }

    /// Grid lines, not more than a dozen.
    fn lines(self, base: f64) -> impl Iterator<Item = f64> {
        let count = (self.high - self.low) as usize;
        (0..=count)
            .step_by(count / 12 + 1)
            .map(move |n| base.powf(self.low + n as f64))
    }
}

/// Curves on two logarithmic axes. Empty without a point above 0.
pub(super) fn curves(curves: &[Curve], axes: Axes<'_>) -> String {
    let all = || curves.iter().flat_map(|c| c.points.iter().chain(&c.marks));
    let (xs, ys) = (
        Range::of(all().map(|p| p.0), axes.base),
        Range::of(all().map(|p| p.1), 10.0),
    );
    let (Some(xs), Some(ys)) = (xs, ys) else {
        return String::new();
    };
    let x = |v: f64| LEFT + xs.part(v, axes.base) * (WIDTH - LEFT - RIGHT);
    let y = |v: f64| HEIGHT - BELOW - ys.part(v, 10.0) * (HEIGHT - BELOW - ABOVE);
    let mut out = opening(HEIGHT, axes.title);
    for v in xs.lines(axes.base) {
        let (at, end) = (x(v), HEIGHT - BELOW);
        // Writing to a string does not fail.
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{at:.1} {ABOVE}V{end:.1}\"/>");
        let _ = writeln!(out, "{}", label((at, end + 18.0), "middle", &(axes.x)(v)));
    }
    for v in ys.lines(10.0) {
        let at = y(v);
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/>", WIDTH - RIGHT);
        let _ = writeln!(out, "{}", label((LEFT - 8.0, at + 4.0), "end", &(axes.y)(v)));
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    let _ = writeln!(
        out,
        "{}",
        label((middle, HEIGHT - 6.0), "middle", "context length in tokens")
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

fn label((x, y): (f64, f64), anchor: &str, text: &str) -> String {
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
        let _ = writeln!(out, "{}", label((left - 8.0, top + 15.0), "end", name));
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
        let _ = writeln!(out, "{}", label((x + 6.0, top + 15.0), "start", &unit(sum(parts))));
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
        let range = Range::of([1.0, 8.0, 0.0].into_iter(), 2.0).unwrap_or(Range { low: 9.0, high: 9.0 });
        assert_eq!((range.low, range.high), (0.0, 3.0));
        assert_eq!(range.lines(2.0).collect::<Vec<_>>(), [1.0, 2.0, 4.0, 8.0]);
    }
}
