//! Tables as text for terminals, as Markdown and as HTML; numbers with units.

use std::fmt::Write;

/// A table: a title, the names of its columns, its rows. The first column is words, all others are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) title: String,
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(title: impl Into<String>, header: &[&str]) -> Table {
        Table {
            title: title.into(),
            header: header.iter().map(|h| (*h).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    fn widths(&self) -> Vec<usize> {
        let width = |n: usize| {
            let cells = std::iter::once(&self.header).chain(&self.rows);
            cells.filter_map(|row| row.get(n)).map(|c| c.chars().count()).max()
        };
        (0..self.header.len()).map(|n| width(n).unwrap_or(0).max(3)).collect()
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let widths = self.widths();
        let mut out = format!("{}\n", self.title);
        for row in std::iter::once(&self.header).chain(&self.rows) {
            out.push_str("  ");
            out.push_str(cells(row, &widths).join("  ").trim_end());
            out.push('\n');
        }
        out
    }

    /// In Markdown.
    pub(super) fn markdown(&self) -> String {
        let widths = self.widths();
        let line = |row: &[String]| format!("| {} |\n", cells(row, &widths).join(" | "));
        let mut out = format!("### {}\n\n{}", self.title, line(&self.header));
        let rule = widths.iter().enumerate().map(|(n, width)| match n {
            0 => "-".repeat(*width),
            _ => format!("{}:", "-".repeat(width - 1)),
        });
        out.push_str(&line(&rule.collect::<Vec<_>>()));
        for row in &self.rows {
            out.push_str(&line(row));
        }
        out
    }

    /// In HTML.
    pub(super) fn html(&self) -> String {
        let mut out = format!(
            "<h2>{}</h2>\n<div class=\"wide\"><table>\n<thead><tr>",
            escaped(&self.title)
        );
        // Writing to a string does not fail.
        for name in &self.header {
            let _ = write!(out, "<th>{}</th>", escaped(name));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            let cells: String = row.iter().map(|c| format!("<td>{}</td>", escaped(c))).collect();
            let _ = writeln!(out, "<tr>{cells}</tr>");
        }
        out.push_str("</tbody></table></div>\n");
        out
    }
}

fn cells(row: &[String], widths: &[usize]) -> Vec<String> {
    let cell = |(n, (text, width)): (usize, (&String, &usize))| {
        let gap = " ".repeat(width.saturating_sub(text.chars().count()));
        if n == 0 {
            format!("{text}{gap}")
        } else {
            format!("{gap}{text}")
        }
    };
    row.iter().zip(widths).enumerate().map(cell).collect()
}

/// Text between tags and in attributes.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Three digits and a unit of thousands: 124 M.
pub(super) fn count(x: f64) -> String {
    scaled(x, &[(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")], "")
}

/// Bytes in thousands: 524 MB.
pub(super) fn bytes(x: f64) -> String {
    scaled(x, &[(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")], "B")
}

/// Seconds as milliseconds or microseconds.
pub(super) fn time(x: f64) -> String {
    scaled(x, &[(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")], "s")
}

fn scaled(x: f64, units: &[(f64, &str)], base: &str) -> String {
    // Rounding may lead to the next unit: 999.9 kB is 1.00 MB.
    let (scale, unit) = units
        .iter()
        .copied()
        .find(|(scale, _)| x >= 0.9995 * scale)
        .unwrap_or((1.0, base));
    let y = x / scale;
    let digits = match y {
        _ if y == 0.0 || scale == 1.0 && base != "s" && y.fract() == 0.0 => 0,
        _ if y < 9.995 => 2,
        _ if y < 99.95 => 1,
        _ => 0,
    };
    format!("{y:.digits$} {unit}").trim_end().to_owned()
}

/// A context length: 8k for 8192.
pub(super) fn length(tokens: f64) -> String {
    let (thousands, millions) = (1024.0, 1024.0 * 1024.0);
    match tokens {
        t if t >= millions && t % millions == 0.0 => format!("{}M", t / millions),
        t if t >= thousands && t % thousands == 0.0 => format!("{}k", t / thousands),
        t => format!("{t}"),
    }
}

/// The error of a prediction, in percent of what was measured.
pub(super) fn error(predicted: f64, measured: f64) -> String {
    format!("{:+.0} %", 100.0 * (predicted / measured - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        assert_eq!(count(124_439_808.0), "124 M");
        assert_eq!(count(999_999.0), "1.00 M");
        assert_eq!(count(12.0), "12");
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(18_874.0), "18.9 kB");
        assert_eq!(time(0.001_234), "1.23 ms");
        assert_eq!(time(0.000_012), "12.0 us");
        assert_eq!(length(65536.0), "64k");
        assert_eq!(length(1000.0), "1000");
        assert_eq!(error(1.2, 1.0), "+20 %");
    }
}
