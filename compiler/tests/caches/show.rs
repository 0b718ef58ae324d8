//! Policies as lines of text.

use seqc_ir::policy::{Along, Coding, Kind, Policy};

/// One line for each part of a policy.
pub(crate) fn policy(policy: &Policy) -> String {
    let mut lines = Vec::new();
    for (what, all) in [("counter", &policy.counters), ("memory", &policy.memories)] {
        lines.extend(
            all.iter()
                .map(|r| format!("{what} {} = {}, first {}", r.name, r.next, r.init)),
        );
    }
    for (n, d) in policy.definitions.iter().enumerate() {
        lines.push(format!("{} key[{}] = {}", d.name, policy.stream_of(n), kind(&d.kind)));
    }
    if let Some(blocks) = &policy.blocks {
        lines.push(format!(
            "blocks of {} from {}, {} behind, {} together, then every {}",
            blocks.size, blocks.first, blocks.behind, blocks.together, blocks.refresh
        ));
        for (n, d) in blocks.closing.iter().enumerate() {
            lines.push(format!(
                "{} closed[{}] = {}",
                d.name,
                policy.closing_stream(n),
                kind(&d.kind)
            ));
        }
        for (n, d) in blocks.choosing.iter().enumerate() {
            lines.push(format!(
                "{} chosen[{}] = {}",
                d.name,
                policy.choosing_stream(n),
                kind(&d.kind)
            ));
        }
    }
    for s in &policy.sights {
        let seen = s.seen.as_ref().map_or("all".to_owned(), ToString::to_string);
        lines.push(format!("see {seen} at {}, {}", s.query, s.key));
    }
    lines.extend(policy.evict.iter().map(|e| format!("keep {} after {}", e.keep, e.at)));
    for (what, stored) in [("keys", &policy.keys), ("values", &policy.values)] {
        lines.extend(stored.iter().map(|c| format!("{what} {}", coding(c))));
    }
    lines.extend(policy.turn.iter().map(|t| format!("{t:?}")));
    lines.join("\n")
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Entry(e) => e.to_string(),
        Kind::Pool { of, window, how, among } => {
            let (size, over) = (window.size, if window.pages { "pages of " } else { "" });
            format!("{how:?} of definition {of} over {over}{size} among {among}")
        }
        Kind::Top {
            by,
            count,
            among,
            heads,
        } => {
            let over = if *heads { " over heads" } else { "" };
            format!("top {count} by {by} among {among}{over}")
        }
        Kind::Over { of, how, among } => format!("{how:?} of {of} among {among}"),
        Kind::Fewest { of, sum, among } => format!("how many of {of} add up to {sum} among {among}"),
        Kind::Seen { queries } => format!("seen by {queries}"),
        Kind::VectorSum { of, values } => {
            let what = if *values { " of values" } else { "" };
            format!("sum over channels{what} of {of}")
        }
        Kind::Within => "seen by the queries of the block".to_owned(),
        Kind::Fold { of, how, among, values } => {
            let what = if *values { "values" } else { "keys" };
            format!("{how:?} over {what} of {of} among {among}")
        }
        Kind::QuerySum { of, over } => format!("{over:?} over queries of the sum over channels of {of}"),
        Kind::EntrySum { of, entries, over } => {
            format!("{over:?} over queries, {entries:?} over entries of the sum over channels of {of}")
        }
        Kind::Search { by, count } => format!("search {count} by {by}"),
        Kind::QueryFold { of, over, .. } => format!("{over:?} over queries of {of}"),
        Kind::Heads { of, how, members } => {
            let which = if *members { "members" } else { "heads" };
            format!("{how:?} over {which} of {of}")
        }
        Kind::Channel(e) => format!("each channel: {e}"),
        Kind::KeyMean(e) => format!("mean over keys of {e}"),
        Kind::QueryMean { of, queries } => format!("mean over {queries} queries of {of}"),
    }
}

fn coding(c: &Coding) -> String {
    let along = match c.along {
        Along::Channels => "channels",
        Along::Tokens => "tokens",
    };
    let from = if c.from > 0 {
        format!("from {} on, ", c.from)
    } else {
        String::new()
    };
    let until = c
        .until
        .as_ref()
        .map_or("at once".to_owned(), |e| format!("{from}below {e}"));
    let channels = c.channels.as_ref().map_or(String::new(), |c| {
        format!(", {} channels by definition {}", c.count, c.by)
    });
    let symmetric = if c.symmetric { ", symmetric" } else { "" };
    format!(
        "{} bits, {} along {along}{symmetric}, {until}{channels}",
        c.bits, c.group
    )
}
