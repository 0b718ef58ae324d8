//! A comparison as a page that needs nothing but a browser: plots and tables, light and dark.

use super::{
    plot::{Axes, Curve, bars, curves},
    predict,
    report::{Point, Quantity, Report, Row},
    show::{bytes, escaped, length, time},
    tables,
};

const STYLE: &str = include_str!("page.css");

/// The page.
pub(super) fn page(report: &Report) -> String {
    let names: Vec<&str> = report.rows.iter().map(|r| r.total.name.as_str()).collect();
    let tables: String = tables::tables(report).iter().map(super::show::Table::html).collect();
    let marks = if report.is_measured() {
        " Dots are measured."
    } else {
        ""
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{}</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n<main>\n<h1>Sequence models side by side</h1>\n<p>Times are predicted for {}.{marks}</p>\n\
         {}{}{}{}{tables}</main>\n</body>\n</html>\n",
        escaped(&format!("Comparison: {}", names.join(", "))),
        escaped(&tables::machine(report)),
        section("Bytes of state", &over_lengths(report, Quantity::State)),
        section("Time of a generated token", &over_lengths(report, Quantity::Decode)),
        section(
            "Time of a generated token by layer, at the shortest context",
            &by_layer(report, |row| row.points.first())
        ),
        section(
            "Time of a generated token by layer, at the longest context",
            &by_layer(report, |row| row.points.last())
        ),
    )
}

fn section(title: &str, plot: &str) -> String {
    if plot.is_empty() {
        return String::new();
    }
    format!("<section>\n<h2>{}</h2>\n{plot}</section>\n", escaped(title))
}

fn over_lengths(report: &Report, of: Quantity) -> String {
    let all = report.rows.iter().filter(|r| r.total.causal);
    let lines: Vec<Curve> = all.map(|row| curve(report, row, of)).collect();
    let (title, y): (_, fn(f64) -> String) = match of {
        Quantity::State => ("bytes of state against context length", bytes),
        Quantity::Decode => ("seconds for a token against context length", time),
    };
    let axes = Axes {
        title,
        x: length,
        y,
        base: 2.0,
    };
    curves(&lines, axes)
}

/// From 256 tokens, or the shortest length that was asked for, to the longest, at least 64k.
fn curve(report: &Report, row: &Row, of: Quantity) -> Curve {
    let asked = || report.rows.iter().flat_map(|r| &r.points).map(|p| p.context as f64);
    let (from, to) = (asked().fold(256.0, f64::min), asked().fold(65536.0, f64::max));
    let to = row.total.max_context.map_or(to, |most| to.min(most as f64));
    let steps = ((to / from).log2().max(0.0) * 4.0) as usize;
    let lengths = (0..=steps).map(|n| (from * (n as f64 / 4.0).exp2()).round());
    let measured = |p: &Point| match (of, &p.measured) {
        (Quantity::Decode, Some(Ok(m))) if m.void().is_none() => m.decode.map(|d| (p.context as f64, d)),
        _ => None,
    };
    Curve {
        name: row.total.name.clone(),
        points: lengths.map(|t| (t, of.at(&row.total, &report.profile, t))).collect(),
        marks: row.points.iter().filter_map(measured).collect(),
    }
}

fn by_layer(report: &Report, point: fn(&Row) -> Option<&Point>) -> String {
    let row = |row: &Row| {
        let context = point(row).map_or(1.0, |p| p.context as f64);
        let footprint = row.total.footprint();
        let parts = row.total.layers.iter().map(|layer| {
            let seconds = predict::decode_layer(layer, &report.profile.all, context, footprint);
            (layer.name.clone(), layer.runs() * seconds)
        });
        (row.total.name.clone(), parts.collect())
    };
    let rows: Vec<_> = report.rows.iter().filter(|r| r.total.causal).map(row).collect();
    bars(&rows, "seconds for a token by layer", time)
}
