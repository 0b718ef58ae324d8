//! What models cost side by side: the table, its JSON, crossovers, mistakes.

use seqc::{
    compare::{self, Format, profile::Profile, report::Report, total::Total},
    model::{self, ReadOptions},
    source::Sources,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A machine with round rates.
const MACHINE: &str = r#"{
  "version": 2, "seqc": "VERSION", "machine": {"processor": "a round machine", "cores": 2},
  "one": {"threads": 1, "read": [{"bytes": 1e6, "rate": 2e10}, {"bytes": 1e9, "rate": 1e10}],
    "rows": [{"bytes": 1e9, "rate": 1e10}], "copy": [{"bytes": 1e9, "rate": 1e10}], "block": 1e10, "product": 1e11, "step": 1e-9,
    "decode": {"entries": 1e10, "sums": 1e10, "scans": 1e10, "loops": 1e10, "attend": 1e10},
    "prefill": {"entries": 2e10, "sums": 2e10, "scans": 2e10, "loops": 2e10, "attend": 2e10}},
  "all": {"threads": 2, "read": [{"bytes": 1e6, "rate": 4e10}, {"bytes": 1e9, "rate": 1e10}],
    "rows": [{"bytes": 1e9, "rate": 1e10}], "copy": [{"bytes": 1e9, "rate": 1e10}], "block": 1e10, "product": 2e11, "step": 1e-9,
    "decode": {"entries": 1e10, "sums": 1e10, "scans": 1e10, "loops": 1e10, "attend": 1e10},
    "prefill": {"entries": 2e10, "sums": 2e10, "scans": 2e10, "loops": 2e10, "attend": 2e10}}
}"#;

const LAYERS: &str = "
layer remembers(x: [d]; n = 16) -> [d] {
  param in[d, d], a[d, n], out[d, d]
  u = in @ x
  h[d, n] = exp(-exp(a[d, n])) * prev(h)[d, n] + u[d]
  y[d] = sum(n: h[d, n])
  out @ y
}

layer filters(x: [d]; taps = 300) -> [d] {
  param h[d, taps], mix[d, d]
  mix @ (long_conv(x, h) + delay(x, 3))
}

layer looks_back(x: [d]; heads = 2, window = inf) -> [d] {
  dim e = d / heads
  param q_proj[d, d], k_proj[d, d], v_proj[d, d]
  q = reshape(q_proj @ x, heads, e)
  k = reshape(k_proj @ x, heads, e)
  v = reshape(v_proj @ x, heads, e)
  flatten(attend(q, k, v; scale = e ** -0.5, where (i, j) = i - j < window))
}
";

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare").join(name);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    dir
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap_or_else(|e| panic!("{e}"));
    path
}

fn machine_text() -> String {
    MACHINE.replace("VERSION", env!("CARGO_PKG_VERSION"))
}

/// Two models of one width: four layers of `entry` between table and scores.
fn model_file(dir: &Path, name: &str, entry: &str) -> PathBuf {
    write(dir, "layers.seq", LAYERS);
    let text = format!(
        "version: 1\nmodel: {name}\nsizes: {{d: 64, vocab: 256}}\nuse: [layers.seq]\nweights: {{random: 1}}\nblock: residual\nstack:\n  \
         - embed: {{vocab: vocab}}\n    block: none\n  - repeat: 4\n    of:\n      - {entry}\n  - head: {{vocab: vocab}}\n    block: none\n"
    );
    write(dir, &format!("{name}.yaml"), &text)
}

fn total(file: &Path) -> Total {
    let built = model::read(file, &mut Sources::default(), &ReadOptions::default());
    let built = built.unwrap_or_else(|d| panic!("{:?}", d.iter().map(|d| &d.message).collect::<Vec<_>>()));
    Total::new(&built)
}

fn report(name: &str) -> Report {
    let dir = scratch(name);
    let totals = [
        ("state", "remembers: {}"),
        ("cache", "looks_back: {}"),
        ("window", "looks_back: {window: 100}"),
    ];
    let totals = totals
        .iter()
        .map(|(name, entry)| total(&model_file(&dir, name, entry)))
        .collect();
    let machine = serde_json::from_str(&machine_text()).unwrap_or_else(|e| panic!("{e}"));
    let profile = Profile::from_json(&machine).unwrap_or_else(|| panic!("the profile is not understood"));
    Report::new(profile, totals, &[64, 1024])
}

#[test]
fn the_table_says_what_is_computed_and_what_is_predicted() {
    insta::assert_snapshot!("table", compare::written(&report("table"), Format::Table));
    insta::assert_snapshot!("markdown", compare::written(&report("table"), Format::Markdown));
}

#[test]
fn numbers_are_what_the_definitions_say() {
    let report = report("numbers");
    let [state, cache, window] = &report.rows[..] else {
        panic!("three models")
    };
    // Four layers of two or three matrices, a table and the scores.
    assert_eq!(state.total.parameters, 4 * (2 * 64 * 64 + 64 * 16) + 2 * 256 * 64);
    assert_eq!(cache.total.parameters, 4 * 3 * 64 * 64 + 2 * 256 * 64);
    assert_eq!(state.total.weight_bytes, 4 * state.total.parameters);
    // A state of 64 x 16; keys and values of 64 entries each.
    assert_eq!(
        state.points.iter().map(|p| p.state).collect::<Vec<_>>(),
        [16384.0, 16384.0]
    );
    assert_eq!(cache.points[1].state, 4.0 * 2.0 * 64.0 * 4.0 * 1024.0);
    assert_eq!(window.points[1].state, 4.0 * 2.0 * 64.0 * 4.0 * 100.0);
    assert_eq!(window.total.state.words(), "2048 min(T, 100)");
    // Of the table a token reads one row.
    let matrices = 4 * 3 * 64 * 64 + 256 * 64 + 64;
    assert_eq!(cache.total.token_bytes(), 4.0 * f64::from(matrices));
}

/// The value of a closed form such as `12 + 2048 min(T, 100) + 8 T / 4`.
fn value(form: &str, t: f64) -> f64 {
    let ticks = |text: &str| {
        let (times, over) = text.split_once('T').unwrap_or_else(|| panic!("{form}"));
        let times: f64 = if times.trim().is_empty() { 1.0 } else { number(times) };
        let over = over.trim().strip_prefix('/').map_or(1.0, number);
        times * t / over
    };
    let term = |text: &str| match text.split_once(' ') {
        None => number(text),
        Some((bytes, tokens)) => {
            let kept = match tokens.strip_prefix("min(").and_then(|rest| rest.strip_suffix(')')) {
                Some(inside) => {
                    let (grown, most) = inside.split_once(", ").unwrap_or_else(|| panic!("{form}"));
                    ticks(grown).min(number(most))
                }
                None => ticks(tokens),
            };
            number(bytes) * kept
        }
    };
    form.split(" + ").map(term).sum()
}

fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

#[test]
fn the_state_is_one_number_in_every_format() {
    let dir = scratch("state");
    let entries = [
        ("filter", "filters: {}"),
        ("state", "remembers: {}"),
        ("cache", "looks_back: {window: 100}"),
    ];
    let totals = entries.map(|(name, entry)| total(&model_file(&dir, name, entry)));
    let machine = serde_json::from_str(&machine_text()).unwrap_or_else(|e| panic!("{e}"));
    let profile = Profile::from_json(&machine).unwrap_or_else(|| panic!("the profile is not understood"));
    let report = Report::new(profile, totals.into(), &[64, 1024]);
    let written = |format| compare::written(&report, format);
    let json: serde_json::Value = serde_json::from_str(&written(Format::Json)).unwrap_or_else(|e| panic!("{e}"));
    let csv = written(Format::Csv);
    let mut lines = csv.lines().skip(1);
    for (n, row) in report.rows.iter().enumerate() {
        let model = &json["models"][n];
        let form = model["state"].as_str().unwrap_or_default();
        assert_eq!(form, row.total.state.words());
        assert!(
            [Format::Table, Format::Markdown, Format::Html]
                .iter()
                .all(|f| written(*f).contains(form))
        );
        for (m, point) in row.points.iter().enumerate() {
            let t = point.context as f64;
            assert_eq!(value(form, t), point.state, "{form} at {t}");
            assert_eq!(model["at"][m]["state_bytes"].as_f64(), Some(point.state));
            let cell = lines.next().and_then(|line| line.split(',').nth(4)).map(number);
            assert_eq!(cell, Some(point.state));
        }
        // Layers add up to the model, at the last length.
        let layers = model["layers"].as_array().into_iter().flatten();
        let sum: f64 = layers
            .map(|l| l["count"].as_f64().unwrap_or(0.0) * l["state_bytes"].as_f64().unwrap_or(0.0))
            .sum();
        assert_eq!(Some(sum), row.points.last().map(|p| p.state));
        assert_eq!(inspected(&dir, &row.total.name, 1024.0), sum, "{}", row.total.name);
    }
    // Four layers: three rows of 64 entries and a number for each of 64 channels, and of these the past, sums and spectra of a
    // filter of 300 taps.
    assert_eq!(
        report.rows[0].total.state.words(),
        "4096 + 1024 min(T, 128) + 1024 min(2 T, 128) + 2048 min(T, 384)"
    );
}

/// Bytes of the entries that `seqc inspect` prints.
fn inspected(dir: &Path, name: &str, t: f64) -> f64 {
    let file = dir.join(format!("{name}.yaml")).display().to_string();
    let found: serde_json::Value =
        serde_json::from_slice(&seqc(&["inspect", "--json", &file]).stdout).unwrap_or_else(|e| panic!("{e}"));
    let entry = |e: &serde_json::Value| {
        let sizes = e["shape"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(serde_json::Value::as_f64);
        let bound = e["bound"].as_str().unwrap_or_default();
        match bound.strip_suffix(" tokens").filter(|_| bound.contains('T')) {
            Some(tokens) => 4.0 * sizes.product::<f64>() * value(&format!("1 {tokens}"), t),
            None => e["bytes"].as_f64().unwrap_or(f64::NAN),
        }
    };
    found["state"].as_array().into_iter().flatten().map(entry).sum()
}

#[test]
fn picked_matrices_are_counted_and_no_others() {
    let dir = scratch("picked");
    let layers = "
layer picks(x: [d]; experts = 8, hidden = 32) -> [d] {
  param router[experts, d], up[experts, hidden, d], down[experts, d, hidden]
  score = router @ x
  one = argmax(experts: score[experts])
  rest[experts] = if experts == one then -inf else score[experts]
  two = argmax(experts: rest[experts])
  a[hidden] = silu(sum(d: up[one, hidden, d] * x[d]))
  b[hidden] = silu(sum(d: up[two, hidden, d] * x[d]))
  y[d] = sum(hidden: down[one, d, hidden] * a[hidden])
  z[d] = sum(hidden: down[two, d, hidden] * b[hidden])
  y + z
}
";
    let file = model_file(&dir, "picks", "picks: {}");
    write(&dir, "layers.seq", layers);
    let total = total(&file);
    let layer = total
        .layers
        .iter()
        .find(|l| l.name == "picks")
        .unwrap_or_else(|| panic!("a layer"));
    // The router whole; of eight pairs of matrices two.
    assert_eq!(
        (layer.matrix_bytes, layer.row_bytes),
        (4.0 * 8.0 * 64.0, 4.0 * 2.0 * 2.0 * 32.0 * 64.0)
    );
    // A product and a sum for each entry of what was picked and of the router, and little beside.
    let products = 2.0 * (2.0 * 2.0 * 32.0 * 64.0 + 8.0 * 64.0);
    let operations = layer.cost.decode_operations(1.0);
    assert!((products..1.1 * products).contains(&operations), "{operations}");
}

#[test]
fn crossovers_stand_where_the_closed_forms_meet() {
    let report = report("crossings");
    let state: Vec<_> = report
        .crossings
        .iter()
        .filter(|c| c.of == compare::report::Quantity::State)
        .map(|c| (c.larger, c.smaller, c.context))
        .collect();
    // 2048 T is more than 16384 from T = 9 on; more than 2048 * 100 from T = 101 on.
    assert_eq!(state, [(1, 0, 9.0), (1, 2, 101.0), (2, 0, 9.0)]);
}

#[test]
fn the_json_has_a_version_the_machine_and_every_number() {
    let text = compare::written(&report("json"), Format::Json);
    let found: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(found["version"], 1);
    assert_eq!(found["profile"]["machine"]["processor"], "a round machine");
    assert_eq!(found["measured"], serde_json::json!([]));
    let models = found["models"].as_array().map_or(0, Vec::len);
    assert_eq!(models, 3);
    let at = &found["models"][1]["at"][1];
    assert_eq!(at["context"], 1024);
    for (part, key) in ["prefill", "decode"]
        .iter()
        .flat_map(|p| ["operations", "bytes", "seconds"].map(|k| (*p, k)))
    {
        assert!(at[part][key].as_f64().is_some_and(|x| x > 0.0), "{part}.{key}");
    }
    assert!(found["models"][0]["layers"].as_array().is_some_and(|l| l.len() == 3));
    assert!(found["crossovers"].as_array().is_some_and(|c| !c.is_empty()));
}

#[test]
fn every_line_of_the_csv_has_all_columns() {
    let text = compare::written(&report("csv"), Format::Csv);
    let columns: Vec<usize> = text.lines().map(|l| l.split(',').count()).collect();
    assert_eq!(columns, vec![14; 7]);
}

#[test]
fn the_page_needs_no_network_and_closes_what_it_opens() {
    let page = compare::written(&report("page"), Format::Html);
    let links = page.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !links.contains("http") && !links.contains("<script"),
        "the page refers to something"
    );
    for tag in [
        "svg", "section", "table", "text", "ul", "li", "tr", "td", "main", "html",
    ] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"), "a number is none");
}

fn seqc(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_seqc")).args(args).output();
    output.unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn lengths_that_are_none_are_refused() {
    let dir = scratch("lengths");
    let file = model_file(&dir, "m", "remembers: {}").display().to_string();
    for (at, said) in [
        ("0", "--at 0:"),
        ("8q", "--at 8q:"),
        ("1k,,2k", "--at :"),
        ("99999999999M", "--at 99999999999M:"),
    ] {
        let output = seqc(&["compare", &file, "--at", at]);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{at}: {err}");
        assert!(err.contains(said) && err.contains("512,8k"), "{at}: {err}");
    }
}

#[test]
fn a_profile_that_is_none_is_refused_and_one_that_is_is_used() {
    let dir = scratch("profile");
    let file = model_file(&dir, "m", "remembers: {}").display().to_string();
    let wrong = write(&dir, "wrong.json", "{\"version\": 0}").display().to_string();
    assert_eq!(seqc(&["compare", &file, "--profile", &wrong]).status.code(), Some(1));
    // Of a machine that was busy.
    let busy = machine_text().replace(r#""step": 1e-9"#, r#""step": 9e-5"#);
    let busy = write(&dir, "busy.json", &busy).display().to_string();
    let output = seqc(&["compare", &file, "--profile", &busy]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("an empty kernel") && err.contains("seqc probe"), "{err}");
    let right = write(&dir, "right.json", &machine_text()).display().to_string();
    let output = seqc(&["compare", &file, "--profile", &right, "--at", "2k"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("2k") && text.contains("a round machine"),
        "{text}"
    );
}

#[test]
fn initial_weights_are_those_of_the_seed() {
    let dir = scratch("init");
    let file = model_file(&dir, "m", "remembers: {}").display().to_string();
    let made = |name: &str, seed: &str| {
        let path = dir.join(name);
        let output = seqc(&[
            "init",
            &file,
            "--force",
            "--seed",
            seed,
            "-o",
            &path.display().to_string(),
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(path).unwrap_or_else(|e| panic!("{e}"))
    };
    let (a, b, c) = (
        made("a.safetensors", "1"),
        made("b.safetensors", "1"),
        made("c.safetensors", "2"),
    );
    assert!(a == b && a != c);
    // Read as a checkpoint they mean the same as random weights.
    let meant = |weights: &[&str], name: &str| {
        let path = dir.join(name).display().to_string();
        let mut args = vec!["eval", &file, "--tokens", "1,2,3", "-o", &path];
        args.extend(weights);
        let output = seqc(&args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(path).unwrap_or_else(|e| panic!("{e}"))
    };
    let weights = dir.join("a.safetensors").display().to_string();
    assert!(meant(&[], "random") == meant(&["--weights", &weights], "file"));
}

#[test]
fn policies_are_a_dimension_and_their_bytes_are_those_of_inspect() {
    let dir = scratch("policies");
    let profile = write(&dir, "machine.json", &machine_text()).display().to_string();
    let attends = model_file(&dir, "attends", "looks_back: {}").display().to_string();
    let remembers = model_file(&dir, "remembers", "remembers: {}").display().to_string();
    let policies = "none,h2o:heavy=24,recent=8,int8,snapkv:budget=40,window=8";
    let line = [
        "compare",
        &attends,
        &remembers,
        "--profile",
        &profile,
        "--at",
        "64,1k",
        "--format",
        "json",
    ];
    let output = seqc(&[&line[..], &["--cache", policies]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}"));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let models = found["models"].as_array().cloned().unwrap_or_default();
    let names: Vec<String> = models.iter().map(|model| text(&model["name"])).collect();
    // What does not attend has one row.
    let all = [
        "attends",
        "attends, h2o:heavy=24,recent=8",
        "attends, int8",
        "attends, snapkv:budget=40,window=8",
        "remembers",
    ];
    assert_eq!(names, all);
    let words: Vec<String> = models.iter().map(|model| text(&model["state"])).collect();
    let forms = ["2048 T", "2080 min(T, 32)", "576 T", "2048 min(T, 40)", "16384"];
    assert_eq!(words, forms);
    for (model, cache) in models
        .iter()
        .zip(["[]", "{policy: h2o, heavy: 24, recent: 8}", "{policy: int8}"])
    {
        let set = format!("cache={cache}");
        let words = ["inspect", &attends, "--set", &set, "--json", "--context", "1k"];
        let inspected: serde_json::Value =
            serde_json::from_slice(&seqc(&words).stdout).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            inspected["state_bytes"].as_f64(),
            model["at"][1]["state_bytes"].as_f64(),
            "{cache}"
        );
    }
    let decode = |n: usize| models[n]["at"][1]["decode"]["seconds"].as_f64().unwrap_or(f64::NAN);
    assert!(decode(1) < decode(0) && decode(3) < decode(0));
    // Where all keys are in the nearest caches, unpacking codes takes longer than the bytes that they spare.
    assert!(decode(2) > decode(0));
    // It has it where only policies are asked for, too.
    let output = seqc(&[&line[..], &["--cache", "int8"]].concat());
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(found["models"].as_array().map(Vec::len), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no attention"));
    for (list, said) in [
        ("nobody", "nobody"),
        (",", "it is empty"),
        ("none,", "it is empty"),
        ("", "it is empty"),
    ] {
        let wrong = seqc(&[&line[..], &["--cache", list]].concat());
        assert_eq!(wrong.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&wrong.stderr).contains(said), "{list}");
    }
}

#[test]
fn inspect_says_what_is_kept_behind_a_prompt() {
    let dir = scratch("lengths-of-state");
    let file = model_file(&dir, "m", "looks_back: {}").display().to_string();
    let set = "cache={policy: snapkv, budget: 40, window: 8}";
    let inspect = |more: &[&str]| seqc(&[&["inspect", &file, "--set", set][..], more].concat());
    let text = String::from_utf8_lossy(&inspect(&["--context", "1k", "--prompt-length", "1000"]).stdout).into_owned();
    assert!(text.contains("grows: T - P + 40 tokens; 16384 bytes"), "{text}");
    assert!(
        text.contains("state after 1024 tokens, of which 1000 are the prompt: 131072 bytes"),
        "{text}"
    );
    assert!(
        text.contains("while the prompt is read, 256 tokens at a time: at most"),
        "{text}"
    );
    for wrong in [&["--context", "0"][..], &["--context", "8", "--prompt-length", "9"]] {
        let output = inspect(wrong);
        assert_eq!(output.status.code(), Some(1), "{wrong:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("bad-length"));
    }
}
