//! Every kind of rendered message: one snapshot for each code.

mod caches;
mod cases;
mod doubts;
mod memories;
mod rates;

use cases::{cases, more_cases};
use doubts::{CLEAR, doubts};
use seqc::{
    diag::Diagnostic,
    import,
    model::{self, ReadOptions},
    pages, render,
    source::Sources,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Messages of the command itself: about files that cannot be written, its options, folders that are imported,
/// and failures of later stages.
const ELSEWHERE: &[&str] = &[
    "backend",
    "bad-length",
    "eval",
    "file-exists",
    "internal",
    "no-tokenizer",
    "no-topic",
    "not-finite",
    "profile",
    "text-half",
    "usage",
    "write",
];

const MODEL: &str = "version: 1
model: m
sizes: {d: 8, e: 6, vocab: 16}
use: [layer.seq]
inputs: {x: \"[d]\"}
weights: {random: 1}
stack:
  - thing: {}
";

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("diagnostics").join(name);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    dir
}

fn write(path: &Path, text: &[u8]) {
    fs::write(path, text).unwrap_or_else(|e| panic!("{e}"));
}

fn shown(diagnostics: &[Diagnostic], sources: &Sources, dir: &Path) -> String {
    let text: Vec<String> = diagnostics.iter().map(|d| render::human(d, sources, false)).collect();
    text.join("\n").replace(&format!("{}/", dir.display()), "")
}

/// The messages about a model that uses one layer file.
fn problems(name: &str, layer: &str, model: &str, set: &[(&str, &str)]) -> (Vec<Diagnostic>, String) {
    let dir = scratch(name);
    write(&dir.join("layer.seq"), layer.as_bytes());
    write(&dir.join("model.yaml"), model.as_bytes());
    let mut sources = Sources::default();
    let options = ReadOptions {
        set: set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..ReadOptions::default()
    };
    let diagnostics = match model::read(&dir.join("model.yaml"), &mut sources, &options) {
        Ok(_) => panic!("{name}: the model should be refused"),
        Err(diagnostics) => diagnostics,
    };
    let text = shown(&diagnostics, &sources, &dir);
    (diagnostics, text)
}

/// A layer `thing` with one input and this body.
fn body(text: &str) -> String {
    format!("layer thing(x: [d]) -> [d] {{\n{text}\n}}\n")
}

#[test]
fn every_message_has_a_snapshot() {
    let mut seen: BTreeSet<String> = ELSEWHERE.iter().map(|c| (*c).to_owned()).collect();
    for (code, layer, model) in cases() {
        let (diagnostics, text) = problems(code, &layer, &model, &[]);
        assert!(
            diagnostics.iter().any(|d| d.code == code),
            "{code} is not among\n{text}"
        );
        insta::assert_snapshot!(code, text);
        seen.insert(code.to_owned());
    }
    seen.extend(of_checkpoints());
    seen.extend(of_options());
    seen.extend(of_files());
    seen.extend(of_doubts());
    seen.extend(of_quotients());
    seen.extend(of_readings());
    seen.extend(of_unused());
    seen.extend(of_caches());
    seen.extend(of_sequences());
    for code in codes() {
        assert!(seen.contains(&code), "the message `{code}` has no snapshot");
    }
}

fn of_sequences() -> Vec<String> {
    let mut codes = Vec::new();
    for (name, layer, model) in memories::cases().into_iter().chain(rates::cases()) {
        let (diagnostics, text) = problems(name, &layer, &model, &[]);
        insta::assert_snapshot!(name, text);
        codes.extend(diagnostics.iter().map(|d| d.code.to_owned()));
    }
    codes
}

fn of_caches() -> Vec<String> {
    let mut codes = Vec::new();
    for case in caches::bodies().into_iter().chain(caches::entries()) {
        let (diagnostics, text) = problems(case.name, &case.file, &case.model, &[]);
        assert!(
            diagnostics.iter().all(|d| d.code == case.code),
            "{} is not alone in\n{text}",
            case.code
        );
        insta::assert_snapshot!(case.name, text);
        codes.push(case.code.to_owned());
    }
    codes
}

/// A tap of what later layers cannot read.
#[test]
fn taps_are_real_and_there_at_every_token() {
    let layer = body("  slow = x when x[0] > 0\n  z = complex(x, x)\n  merge(x[1] > 0, x, 0)");
    let model = MODEL.replace("thing: {}", "thing: {}\n    tap: {a: slow, b: z}");
    let (diagnostics, text) = problems("taps", &layer, &model, &[]);
    assert_eq!(diagnostics.len(), 2, "{text}");
    insta::assert_snapshot!("taps", text);
}

#[test]
fn other_causes_have_other_words() {
    for (name, code, layer) in more_cases() {
        let (diagnostics, text) = problems(name, &layer, MODEL, &[]);
        assert!(
            diagnostics.iter().all(|d| d.code == code || d.code == "refused"),
            "{code} is not alone in\n{text}"
        );
        insta::assert_snapshot!(name, text);
    }
}

/// Two files that a model uses, and what both define.
#[test]
fn two_meanings_are_a_mistake() {
    let model = MODEL.replace("[layer.seq]", "[layer.seq, other.seq]");
    let layer = "layer thing(x: [d]) -> [d] { x }\n";
    write(&scratch("two-layers").join("other.seq"), layer.as_bytes());
    let (_, text) = problems("two-layers", layer, &model, &[]);
    insta::assert_snapshot!("two-layers", text);

    let model = MODEL.replace("[layer.seq]", "[layer.seq, one.seq, other.seq]");
    let dir = scratch("two-functions");
    for file in ["one.seq", "other.seq"] {
        write(&dir.join(file), b"fn twice(x) { 2 * x }\n");
    }
    let (_, text) = problems("two-functions", &body("  twice(x)"), &model, &[]);
    insta::assert_snapshot!("two-functions", text);
}

/// The tensors of another model.
const OTHER: &[(&str, &str, &[usize])] = &[("w", "F32", &[4, 8])];

/// A checkpoint with zeros of these names, types and shapes.
fn tensors(all: &[(&str, &str, &[usize])]) -> Vec<u8> {
    let (mut entries, mut at) = (Vec::new(), 0);
    for (name, dtype, shape) in all {
        let bytes = shape.iter().product::<usize>() * if *dtype == "F32" { 4 } else { 1 };
        let end = at + bytes;
        entries.push(format!(
            "\"{name}\": {{\"dtype\": \"{dtype}\", \"shape\": {shape:?}, \"data_offsets\": [{at}, {end}]}}"
        ));
        at = end;
    }
    let header = format!("{{{}}}", entries.join(", "));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + at, 0);
    bytes
}

fn of_checkpoints() -> Vec<String> {
    let layer = "layer thing(x: [d]) -> [d] {\n  param proj[d, d]\n  proj @ x\n}\n";
    let mut codes = Vec::new();
    for (code, bytes, tensor) in [
        ("bad-type", tensors(&[("w", "I8", &[8, 8])]), "w"),
        (
            "quantised-weights",
            tensors(&[("w", "F8_E4M3", &[8, 8]), ("w_scale", "F32", &[8])]),
            "w",
        ),
        ("missing-tensor", tensors(OTHER), "v"),
        ("bad-tensor", tensors(OTHER), "w"),
        ("bad-checkpoint", b"no tensors at all".to_vec(), "w"),
    ] {
        write(&scratch(code).join("model.safetensors"), &bytes);
        let model = MODEL
            .replace("{random: 1}", "{file: model.safetensors}")
            .replace("thing: {}", &format!("thing: {{}}\n    load: {{proj: {tensor}}}"));
        let (diagnostics, text) = problems(code, layer, &model, &[]);
        assert!(diagnostics.iter().any(|d| d.code == code), "{code}");
        insta::assert_snapshot!(code, text);
        codes.push(code.to_owned());
    }
    codes
}

/// Tensors that two parameters read in different ways, and such as nothing reads.
/// Warnings about anything but the sizes of [`MODEL`], which are more than most layers need.
fn doubts_of(built: &model::Built) -> Vec<Diagnostic> {
    let mut found = built.warnings();
    found.retain(|d| d.code != "unused");
    found
}

/// What is defined and not used.
fn of_unused() -> Vec<String> {
    let layer = "layer thing(x: [d]; scale = 1, width = 3) -> [d] {
  dim half = d / 2
  dim wide = width
  param w[d, d], b[d]
  (a, c) = split(x, d / 2, d / 2)
  lost = 2 * x
  h = 0.5 * prev(h) + x
  kept = w @ x
  v[wide] = x[wide]
  concat(a, a) + 0 * sum(i: v[i])
}
";
    let model = MODEL.replace("thing: {}", "thing: {}\n    tap: {memory: kept, other: result}");
    let dir = scratch("unused");
    write(&dir.join("layer.seq"), layer.as_bytes());
    write(&dir.join("model.yaml"), model.as_bytes());
    let mut sources = Sources::default();
    let built = model::read(&dir.join("model.yaml"), &mut sources, &ReadOptions::default());
    let warnings = match built {
        Ok(built) => built.warnings(),
        Err(wrong) => panic!("{}", shown(&wrong, &sources, &dir)),
    };
    insta::assert_snapshot!("unused", shown(&warnings, &sources, &dir));
    let model = "version: 1
model: m
sizes: {d: 8}
inputs: {x: \"[d]\", spare: \"[d]\", m: \"[d]\"}
weights: {random: 1}
block: residual
stack:
  - mlp: {hidden: 4}
    tap: {before: result}
  - mlp: {hidden: 4}
    tap: {before: result}
    params: both
  - gmu: {}
    in: {m: before}
  - attention: {heads: 2}
    params: both
";
    write(&dir.join("model.yaml"), model.as_bytes());
    let mut sources = Sources::default();
    let built = model::read(&dir.join("model.yaml"), &mut sources, &ReadOptions::default());
    let warnings = built.map_or_else(|wrong| wrong, |built| built.warnings());
    insta::assert_snapshot!("unused-streams", shown(&warnings, &sources, &dir));
    let cache = "cache mine(; recent = 4) {\n  blocks(size = 4)\n  keep(age < recent)\n}\n";
    write(&dir.join("layer.seq"), cache.as_bytes());
    write(&dir.join("model.yaml"), caches::MODEL.as_bytes());
    let mut sources = Sources::default();
    let built = model::read(&dir.join("model.yaml"), &mut sources, &ReadOptions::default());
    let warnings = built.map_or_else(|wrong| wrong, |built| built.warnings());
    insta::assert_snapshot!("unused-blocks", shown(&warnings, &sources, &dir));
    vec!["unused".to_owned()]
}

fn of_readings() -> Vec<String> {
    let layer = "layer thing(x: [d]) -> [d] {\n  param a[d], w[d, 2]\n  y[d] = sum(i: w[d, i]) * x[d] * a[d]\n  y\n}\n";
    let model = MODEL.replace("thing: {}", "thing: {}\n    load: {a: t, w: t}");
    let (diagnostics, text) = problems("two-shapes", layer, &model, &[]);
    assert_eq!(diagnostics[0].code, "two-shapes");
    insta::assert_snapshot!("two-shapes", text);
    let dir = scratch("unread-tensors");
    let one: &[usize] = &[8];
    let names = ["a", "b", "c", "d", "e", "x.inv_freq"].map(|name| (name, "F32", one));
    write(&dir.join("model.safetensors"), &tensors(&names));
    write(
        &dir.join("layer.seq"),
        b"layer thing(x: [d]) -> [d] {\n  param a[d]\n  a * x\n}\n",
    );
    let weights = "{file: model.safetensors, unused: [\"*.inv_freq\"]}";
    let model = MODEL
        .replace("{random: 1}", weights)
        .replace("thing: {}", "thing: {}\n    load: {a: a}");
    write(&dir.join("model.yaml"), model.as_bytes());
    let mut sources = Sources::default();
    let built = model::read(&dir.join("model.yaml"), &mut sources, &ReadOptions::default());
    let warnings = built.map(|built| doubts_of(&built)).unwrap_or_default();
    insta::assert_snapshot!("unread-tensors", shown(&warnings, &sources, &dir));
    vec!["two-shapes".to_owned(), "unread-tensors".to_owned()]
}

/// A checkpoint of another model.
#[test]
fn many_missing_tensors_are_one_message() {
    let layer = "layer thing(x: [d]) -> [d] {\n  param a[d], b[d], c[d], w[d, d]\n  w @ (a * x + b) + c\n}\n";
    write(&scratch("missing-tensors").join("model.safetensors"), &tensors(OTHER));
    let model = MODEL.replace("{random: 1}", "{file: model.safetensors}");
    let (diagnostics, text) = problems("missing-tensors", layer, &model, &[]);
    assert_eq!(diagnostics.len(), 1);
    insta::assert_snapshot!("missing-tensors", text);
}

/// Weights that are not there yet and a type for no cache are warnings, a layer file in the place of a model is an error.
fn of_files() -> Vec<String> {
    let dir = scratch("no-weights");
    let model = MODEL.replace("{random: 1}", "{file: later.safetensors}");
    write(&dir.join("layer.seq"), body("  x").as_bytes());
    write(&dir.join("model.yaml"), model.as_bytes());
    let mut sources = Sources::default();
    let built = model::read(&dir.join("model.yaml"), &mut sources, &ReadOptions::default());
    let warnings = built.map(|built| doubts_of(&built)).unwrap_or_default();
    insta::assert_snapshot!("no-weights", shown(&warnings, &sources, &dir));
    let cached = MODEL.replace("weights:", "cache: {type: f16}\nweights:");
    write(&dir.join("cached.yaml"), cached.as_bytes());
    let built = model::read(&dir.join("cached.yaml"), &mut sources, &ReadOptions::default());
    let warnings = built.map(|built| doubts_of(&built)).unwrap_or_default();
    insta::assert_snapshot!("no-cache", shown(&warnings, &sources, &dir));
    let rounded = MODEL.replace("weights:", "activations: int8\nweights:");
    write(&dir.join("rounded.yaml"), rounded.as_bytes());
    let built = model::read(&dir.join("rounded.yaml"), &mut sources, &ReadOptions::default());
    let warnings = built.map(|built| doubts_of(&built)).unwrap_or_default();
    insta::assert_snapshot!("no-rounding", shown(&warnings, &sources, &dir));
    let Err(wrong) = model::read(&dir.join("layer.seq"), &mut sources, &ReadOptions::default()) else {
        panic!("a layer file is no model");
    };
    insta::assert_snapshot!("layer-file", shown(&wrong, &sources, &dir));
    ["no-weights", "no-cache", "no-rounding", "layer-file"]
        .map(str::to_owned)
        .to_vec()
}

fn of_doubts() -> Vec<String> {
    let warnings = |name: &str, text: &str| {
        let dir = scratch(name);
        write(&dir.join("layer.seq"), body(text).as_bytes());
        write(&dir.join("model.yaml"), MODEL.as_bytes());
        let mut sources = Sources::default();
        let built = model::read(&dir.join("model.yaml"), &mut sources, &ReadOptions::default());
        let warnings = match built {
            Ok(built) => doubts_of(&built),
            Err(wrong) => panic!("{}", shown(&wrong, &sources, &dir)),
        };
        let text = shown(&warnings, &sources, &dir);
        (warnings, text)
    };
    for (name, code, layer) in doubts() {
        let (found, text) = warnings(name, layer);
        let codes: Vec<&str> = found.iter().map(|d| d.code).collect();
        assert_eq!(codes, [code], "{layer}\n{text}");
        insta::assert_snapshot!(name, text);
    }
    for layer in CLEAR {
        let (found, text) = warnings("clear", layer);
        assert!(found.is_empty(), "{layer}\n{text}");
    }
    doubts().into_iter().map(|(_, code, _)| code.to_owned()).collect()
}

/// Quotients of integers in a cache, which are rounded down.
fn of_quotients() -> Vec<String> {
    let warnings = |name: &str, test: &str| {
        let dir = scratch(name);
        let file = format!("cache mine() {{\n  last = weight\n  keep({test})\n}}\n");
        write(&dir.join("layer.seq"), file.as_bytes());
        write(&dir.join("model.yaml"), caches::MODEL.as_bytes());
        let mut sources = Sources::default();
        let built = model::read(&dir.join("model.yaml"), &mut sources, &ReadOptions::default());
        let warnings = built.map(|built| doubts_of(&built)).unwrap_or_default();
        (warnings.len(), shown(&warnings, &sources, &dir))
    };
    let (count, text) = warnings("rounded-quotient", "last > members / n");
    assert_eq!(count, 1, "{text}");
    insta::assert_snapshot!("rounded-quotient", text);
    let (count, text) = warnings("rounded-to-nothing", "last > 1 / 4");
    assert_eq!(count, 1, "{text}");
    insta::assert_snapshot!("rounded-to-nothing", text);
    for clear in [
        "last * n > members",
        "slot < n / 4",
        "age / 4 == slot / 4",
        "last > floor(members / n)",
        "age > 0 / 4",
    ] {
        assert_eq!(warnings("rounded-clear", clear).0, 0, "{clear}");
    }
    vec!["rounded-quotient".to_owned()]
}

fn of_options() -> Vec<String> {
    for (name, value) in [("vocb", "3"), ("vocab", "")] {
        let key = format!("sizes.{name}");
        let (diagnostics, text) = problems("bad-set-size", &body("  x"), MODEL, &[(&key, value)]);
        assert_eq!(diagnostics[0].code, "bad-set");
        insta::assert_snapshot!(format!("bad-set-{name}"), text);
    }
    let (diagnostics, text) = problems("bad-set", &body("  x"), MODEL, &[("model.name", "other")]);
    assert_eq!(diagnostics[0].code, "bad-set");
    insta::assert_snapshot!("bad-set", text);
    let (diagnostics, text) = problems("bad-set", &body("  x"), MODEL, &[("stack.repeat", "2")]);
    assert_eq!(diagnostics[0].code, "bad-set");
    insta::assert_snapshot!("bad-set-list", text);
    let dir = scratch("import");
    write(&dir.join("config.json"), b"{\"model_type\": \"lama\"}");
    let mut sources = Sources::default();
    let request = import::Request {
        checkpoint: &dir,
        output: &dir.join("model.yaml"),
        family: None,
        caches: &[],
    };
    let Err(diagnostics) = import::import(request, &mut sources) else {
        panic!("no such family");
    };
    let text = shown(&diagnostics, &sources, &dir);
    assert!(text.contains("--family") && !text.contains("did you mean"), "{text}");
    assert_eq!(diagnostics[0].code, "import");
    vec!["bad-set".to_owned(), "import".to_owned()]
}

/// `seqc help CODE` knows every code, and no other.
#[test]
fn every_code_has_a_page() {
    let mut known = codes();
    known.extend(codes_in("../grammar/src"));
    let pages: BTreeSet<String> = pages::all().map(|(code, _)| code.to_owned()).collect();
    let without: Vec<&String> = known.difference(&pages).collect();
    assert!(
        without.is_empty(),
        "codes without a page in docs/errors.md: {without:?}"
    );
    let stale: Vec<&String> = pages.difference(&known).collect();
    assert!(stale.is_empty(), "pages of docs/errors.md without a message: {stale:?}");
    for (code, text) in pages::all() {
        assert!(
            pages::remedy(code).is_some_and(|r| r.len() > 10) && text.lines().count() >= 2,
            "{code}: {text}"
        );
    }
    let order: Vec<&str> = pages::all().map(|(code, _)| code).collect();
    assert!(order.is_sorted(), "pages stand in the order of the alphabet");
}

/// Codes of all messages in the source of this crate.
fn codes() -> BTreeSet<String> {
    codes_in("src")
}

fn codes_in(dir: &str) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    let mut work = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)];
    while let Some(path) = work.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap_or_else(|e| panic!("{e}"));
            work.extend(entries.flatten().map(|e| e.path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{e}"));
        for start in [
            "Diagnostic::new(",
            "Diagnostic::bare(",
            "Diagnostic::error(",
            "Diagnostic::warning(",
            "self.error(",
            ".fail(",
        ] {
            for (at, _) in text.match_indices(start) {
                let rest = text[at + start.len()..].trim_start();
                let code = rest.strip_prefix('"').and_then(|r| r.split_once('"'));
                codes.extend(code.map(|(c, _)| c.to_owned()).filter(|c| !c.is_empty()));
            }
        }
    }
    codes
}
