//! A comparison as JSON and as CSV, for scripts: bytes, operations and seconds without units.

use super::report::{Measured, Point, Report, Row};
use serde_json::{Value, json};

/// One JSON object.
pub(super) fn json(report: &Report) -> Value {
    let name = |n: usize| report.rows[n].total.name.as_str();
    let crossings = report.crossings.iter().map(
        |c| json!({"of": c.of.name(), "larger": name(c.larger), "smaller": name(c.smaller), "from_context": c.context}),
    );
    json!({
        "version": 1,
        "seqc": env!("CARGO_PKG_VERSION"),
        "computed": ["parameters", "weight_bytes", "state", "operations", "bytes"],
        "predicted": ["seconds"],
        "measured": if report.is_measured() { vec!["measured_seconds"] } else { Vec::new() },
        "profile": report.profile.to_json(),
        "models": report.rows.iter().map(|r| model(r, report)).collect::<Vec<_>>(),
        "crossovers": crossings.collect::<Vec<_>>(),
    })
}

fn model(row: &Row, report: &Report) -> Value {
    let total = &row.total;
    let footprint = total.footprint();
    let context = row.points.last().map_or(1.0, |p| p.context as f64);
    let layers = total.layers.iter().map(|l| {
        let seconds = super::predict::decode_layer(l, &report.profile.all, context, footprint);
        json!({
            "name": l.name, "count": l.calls, "runs": l.rate.share(), "parameters": l.cost.parameters, "read_bytes": l.matrix_bytes + l.row_bytes,
            "operations": l.cost.decode_operations(l.seen(context)), "state_bytes": l.state.at(context) / l.calls.max(1) as f64, "decode_seconds": seconds,
        })
    });
    json!({
        "name": total.name,
        "parameters": total.parameters,
        "weight_bytes": total.weight_bytes,
        "causal": total.causal,
        "max_context": total.max_context,
        "state": total.state.words(),
        "layers": layers.collect::<Vec<_>>(),
        "at": row.points.iter().map(point).collect::<Vec<_>>(),
    })
}

fn point(point: &Point) -> Value {
    json!({
        "context": point.context,
        "state_bytes": point.state,
        "prefill": {"operations": point.prefill_operations, "bytes": point.prefill_bytes, "seconds": point.prefill},
        "decode": {"operations": point.decode_operations, "bytes": point.decode_bytes, "seconds": point.decode},
        "memory_rate": point.memory,
        "measured": point.measured.as_ref().map(measured),
    })
}

fn measured(found: &Result<Measured, String>) -> Value {
    match found {
        Ok(m) => json!({
            "prefill_seconds": m.prefill, "decode_seconds": m.decode, "spread": m.spread, "load": m.load, "void": m.void(),
        }),
        Err(reason) => json!({"skipped": reason}),
    }
}

/// One line for each model and context length.
pub(super) fn csv(report: &Report) -> String {
    let mut out = "model,parameters,weight_bytes,context,state_bytes,prefill_operations,prefill_bytes,prefill_seconds_predicted,\
                   decode_operations,decode_bytes,decode_seconds_predicted,prefill_seconds_measured,decode_seconds_measured,void\n"
        .to_owned();
    for row in &report.rows {
        for p in &row.points {
            let found = p.measured.as_ref().and_then(|m| m.as_ref().ok());
            let or_nothing = |x: Option<f64>| x.map_or(String::new(), |x| x.to_string());
            let cells = [
                quoted(&row.total.name),
                row.total.parameters.to_string(),
                row.total.weight_bytes.to_string(),
                p.context.to_string(),
                p.state.to_string(),
                p.prefill_operations.to_string(),
                p.prefill_bytes.to_string(),
                p.prefill.to_string(),
                p.decode_operations.to_string(),
                p.decode_bytes.to_string(),
                p.decode.to_string(),
                or_nothing(found.map(|m| m.prefill)),
                or_nothing(found.and_then(|m| m.decode)),
                quoted(&found.and_then(Measured::void).unwrap_or_default()),
            ];
            out.push_str(&cells.join(","));
            out.push('\n');
        }
    }
    out
}

/// A cell that may hold anything.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
