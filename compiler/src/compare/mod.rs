//! What models cost, side by side: computed from their graphs, predicted for a machine, and measured.

pub mod cross;
mod data;
pub mod form;
mod html;
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

use profile::{Profile, Rates};
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
    for (n, (size, _)) in profile.one.read.iter().enumerate() {
        let name = format!("weights read by products with a vector, {} of them", bytes(*size));
        row(name, &|r| format!("{}/s", bytes(r.read.get(n).map_or(0.0, |r| r.1))));
    }
    row(
        format!("products of matrices, chunks of {} tokens", length(predict::CHUNK)),
        &|r| format!("{}flop/s", count(r.product)),
    );
    row("a kernel that does nothing".to_owned(), &|r| time(r.step));
    row("loops over entries, token by token, in additions".to_owned(), &|r| {
        format!("{}/s", count(r.decode.entries))
    });
    row("loops over entries, in chunks".to_owned(), &|r| {
        format!("{}/s", count(r.prefill.entries))
    });
    row("recurrences by entries, token by token".to_owned(), &|r| {
        format!("{}/s", count(r.decode.scans))
    });
    row("recurrences by entries, in chunks".to_owned(), &|r| {
        format!("{}/s", count(r.prefill.scans))
    });
    row("recurrences by heads, token by token".to_owned(), &|r| {
        format!("{}/s", count(r.decode.loops))
    });
    row("recurrences by heads, in chunks".to_owned(), &|r| {
        format!("{}/s", count(r.prefill.loops))
    });
    row("attention, token by token".to_owned(), &|r| {
        format!("{}/s", count(r.decode.attend))
    });
    row("attention, in chunks".to_owned(), &|r| {
        format!("{}/s", count(r.prefill.attend))
    });
    table.text()
}
