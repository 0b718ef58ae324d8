//! A comparison as text tables.

use super::{
    doubt,
    report::{Measured, Point, Quantity, Report, Row},
    show::{Table, bytes, count, error, length, time},
};

/// All tables of a report.
pub(super) fn tables(report: &Report) -> Vec<Table> {
    let mut all = vec![models(report), lengths(report)];
    if report.is_measured() {
        all.push(measured(report));
    }
    all.extend([Quantity::State, Quantity::Decode].map(|of| crossings(report, of)));
    all.retain(|t| !t.rows.is_empty());
    all
}

/// What times are predicted for.
pub(super) fn machine(report: &Report) -> String {
    let machine = &report.profile.machine;
    let rates = &report.profile.all;
    let date = report.profile.probed.as_ref().map(|probed| probed.date());
    let date = date.map_or(String::new(), |date| format!(", measured on {}", &date[..10]));
    let doubts = match &doubt::doubts(&report.profile)[..] {
        [] => String::new(),
        doubts => format!("; these rates are doubtful: {}", doubts.join("; ")),
    };
    format!(
        "{}, {} threads: {} from memory, {} in products{date}{doubts}",
        machine["processor"].as_str().unwrap_or("a processor without a name"),
        rates.threads,
        rate(bytes(rates.read.last().map_or(0.0, |r| r.1))),
        rate(format!("{}flop", spaced(count(rates.product)))),
    )
}

fn rate(of: String) -> String {
    format!("{of}/s")
}

fn spaced(text: String) -> String {
    if text.contains(' ') { text } else { format!("{text} ") }
}

fn models(report: &Report) -> Table {
    let mut table = Table::new(
        "Models (computed)",
        &[
            "model",
            "parameters",
            "weights",
            "read a token",
            "state in bytes, T: context length",
        ],
    );
    table.rows = report
        .rows
        .iter()
        .map(|row| {
            let total = &row.total;
            vec![
                total.name.clone(),
                count(total.parameters as f64),
                bytes(total.weight_bytes as f64),
                bytes(total.token_bytes()),
                total.state.words(),
            ]
        })
        .collect();
    table
}

fn lengths(report: &Report) -> Table {
    let mut table = Table::new(
        "A token at each context length (operations, bytes and state computed; times predicted)",
        &[
            "model",
            "context",
            "prefill op",
            "prefill bytes",
            "prefill time",
            "decode op",
            "decode bytes",
            "decode time",
            "state",
        ],
    );
    for row in &report.rows {
        for point in &row.points {
            table.rows.push(at_length(row, point));
        }
        if let Some(note) = &row.note {
            table.rows.push(vec![row.total.name.clone(), note.clone()]);
        }
    }
    table
}

fn at_length(row: &Row, point: &Point) -> Vec<String> {
    let decode = |text: String| if row.total.causal { text } else { "-".to_owned() };
    vec![
        row.total.name.clone(),
        length(point.context as f64),
        count(point.prefill_operations),
        bytes(point.prefill_bytes),
        time(point.prefill),
        decode(count(point.decode_operations)),
        decode(bytes(point.decode_bytes)),
        decode(time(point.decode)),
        bytes(point.state),
    ]
}

fn measured(report: &Report) -> Table {
    let mut table = Table::new(
        "Times of a token, predicted and measured",
        &[
            "model",
            "context",
            "prefill predicted",
            "measured",
            "error",
            "decode predicted",
            "measured",
            "error",
            "memory beside",
            "remark",
        ],
    );
    for row in &report.rows {
        for point in &row.points {
            let mut cells = vec![row.total.name.clone(), length(point.context as f64)];
            match &point.measured {
                Some(Ok(found)) => cells.extend(beside(point, found)),
                Some(Err(reason)) => cells.extend([time(point.prefill), reason.clone()]),
                None => continue,
            }
            table.rows.push(cells);
        }
    }
    table
}

fn beside(point: &Point, found: &Measured) -> Vec<String> {
    let mut cells = vec![
        time(point.prefill),
        time(found.prefill),
        error(point.prefill, found.prefill),
    ];
    match found.decode {
        Some(decode) => cells.extend([time(point.decode), time(decode), error(point.decode, decode)]),
        None => cells.extend(["-", "-", "-"].map(str::to_owned)),
    }
    cells.push(point.memory.map_or("-".to_owned(), |memory| rate(bytes(memory))));
    cells.push(found.void().unwrap_or_default());
    cells
}

/// A square: the context length from which the row's model is dearer than the column's.
fn crossings(report: &Report, of: Quantity) -> Table {
    let what = match of {
        Quantity::State => "state is larger than the column's (computed)",
        Quantity::Decode => "decode time is longer than the column's (predicted)",
    };
    let mut header = vec!["model"];
    header.extend(report.rows.iter().map(|r| r.total.name.as_str()));
    let mut table = Table::new(format!("Context length from which the row's {what}"), &header);
    let found: Vec<_> = report.crossings.iter().filter(|c| c.of == of).collect();
    if found.is_empty() {
        return table;
    }
    for (n, row) in report.rows.iter().enumerate() {
        let cell = |m: usize| {
            let crossing = found.iter().find(|c| c.larger == n && c.smaller == m);
            crossing.map_or("-".to_owned(), |c| format!("{:.0}", c.context))
        };
        let mut cells = vec![row.total.name.clone()];
        cells.extend((0..report.rows.len()).map(cell));
        table.rows.push(cells);
    }
    table
}
