//! What models cost, side by side: computed from their graphs, predicted for a machine, and measured.

pub mod cross;
mod data;
pub mod doubt;
pub mod form;
mod html;
mod identity;
pub mod kept;
pub mod measure;
mod plot;
pub mod predict;
pub mod probe;
pub mod profile;
mod program;
pub mod report;
mod show;
mod tables;
pub mod total;

use profile::{Phase, Points, Profile, Rates};
use report::Report;
use show::{Table, bytes, count, length, time};

/// How a comparison is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns for a terminal.
    Table,
    /// Markdown.
    Markdown,
    /// One JSON object.
    Json,
    /// One line for each model and context length.
    Csv,
    /// A page with plots.
    Html,
}

/// Where long work stands: what is going on, and how many of all steps are done.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What is done now.
    pub text: &'a str,
    /// Steps before this one.
    pub done: usize,
    /// All steps.
    pub of: usize,
}

/// A comparison in a format.
pub fn written(report: &Report, format: Format) -> String {
    let join = |of: fn(&Table) -> String| tables::tables(report).iter().map(of).collect::<Vec<_>>().join("\n");
    let machine = tables::machine(report);
    match format {
        Format::Table => format!("{}\nTimes are predicted for {machine}.\n", join(Table::text)),
        Format::Markdown => format!("{}\nTimes are predicted for {machine}.\n", join(Table::markdown)),
        Format::Json => format!("{:#}\n", data::json(report)),
        Format::Csv => data::csv(report),
        Format::Html => html::page(report),
    }
}

/// A machine's rates as a table.
pub fn profile_text(profile: &Profile) -> String {
    let header = ["measured", "one thread", "all threads"];
    let mut table = Table::new(profile.machine["processor"].as_str().unwrap_or("this machine"), &header);
    let mut row = |name: String, of: &dyn Fn(&Rates) -> String| {
        table.rows.push(vec![name, of(&profile.one), of(&profile.all)]);
    };
    row("threads".to_owned(), &|r| r.threads.to_string());
    for (what, points) in [
        (
            "weights read by products with a vector",
            (|r| &r.read) as fn(&Rates) -> &Points,
        ),
        ("states with rows on separate pages, read and written", |r| &r.rows),
        ("rows of earlier tokens, read and written", |r| &r.copy),
    ] {
        for (n, (size, _)) in points(&profile.one).iter().enumerate() {
            let rate = |r: &Rates| points(r).get(n).map_or(0.0, |r| r.1);
            row(format!("{what}, {} of them", bytes(*size)), &|r| {
                format!("{}/s", bytes(rate(r)))
            });
        }
    }
    row("states in chunks that exceed the L1 cache".to_owned(), &|r| {
        format!("{}/s", bytes(r.block))
    });
    row(
        format!("products of matrices, chunks of {} tokens", length(predict::CHUNK)),
        &|r| format!("{}flop/s", count(r.product)),
    );
    row("an empty kernel".to_owned(), &|r| time(r.step));
    for (what, rate) in [
        ("loops over entries", (|p| p.entries) as fn(&Phase) -> f64),
        ("sums over entries", |p| p.sums),
        ("recurrences by entries", |p| p.scans),
        ("recurrences by heads", |p| p.loops),
        ("attention", |p| p.attend),
    ] {
        row(format!("{what}, token by token, in additions"), &|r| {
            format!("{}/s", count(rate(&r.decode)))
        });
        row(format!("{what}, in chunks"), &|r| {
            format!("{}/s", count(rate(&r.prefill)))
        });
    }
    let mut text = table.text();
    if let Some(probed) = &profile.probed {
        let load = probed.load.map_or(String::new(), |load| {
            format!("; other processes used {:.0} % of the processor", 100.0 * load)
        });
        text.push_str(&format!(
            "Measured at {}; runs of one probe differ by up to {:.0} %{load}.\n",
            probed.date(),
            100.0 * probed.spread
        ));
    }
    for doubt in doubt::doubts(profile) {
        text.push_str(&format!("Doubtful: {doubt}.\n"));
    }
    text
}
