//! Broken layer files and models: messages, never a panic, and never long.

use seqc::{
    diag::Placed,
    model::{self, ReadOptions, standard},
    render,
    source::{FileId, Sources},
};
use seqc_grammar::ast::DefKind;
use std::{fs, path::Path, time::Instant};

/// Work with the stack that the command has.
fn deep(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1 << 30).spawn(work);
    if let Err(panic) = thread.unwrap_or_else(|e| panic!("{e}")).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Mutations of each kind; `SEQC_CASES` asks for more.
fn cases() -> usize {
    let asked = std::env::var("SEQC_CASES").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(800)
}

/// A small generator of well mixed bits.
struct Mix(u64);

impl Mix {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

/// The text with a few pieces removed, doubled, swapped or replaced.
fn mutated(text: &str, mix: &mut Mix) -> String {
    const PIECES: &[&str] = &[
        "",
        " ",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ";",
        ":",
        "=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "@",
        "**",
        "0",
        "1e9",
        "-1",
        "inf",
        "x",
        "d",
        "prev(h)",
        "prev(x)",
        "sum(i: x[i])",
        "split(x, 1, 1)",
        "if x > 0 then x else 0",
        "attend(x, x, x)",
        "\n",
        "reshape(x, 1, d)",
        "position()",
        "\"\"",
        "[1, 2]",
        "x[0]",
        "delay(x, 3)",
        "none",
        "true",
        "i",
        "{i}",
        "&a",
        "*a",
        "\t",
        "\n  ",
        "   ",
        "- ",
        "\r\n",
        "\r",
        "é",
        "\u{1b}[31m",
        "\u{9b}",
        "\u{202e}",
        "\u{2028}",
        "\"",
        "'",
    ];
    let mut words: Vec<String> = Vec::new();
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if c.is_alphanumeric() && word.ends_with(char::is_alphanumeric) => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    for _ in 0..1 + mix.below(4) {
        let at = mix.below(words.len());
        match mix.below(4) {
            0 => words[at].clear(),
            1 => words[at] = PIECES[mix.below(PIECES.len())].to_owned(),
            2 => {
                let other = mix.below(words.len());
                words.swap(at, other);
            }
            _ => {
                let copy = words[mix.below(words.len())].clone();
                words.insert(at, copy);
            }
        }
    }
    words.concat()
}

fn read(dir: &Path, text: String) {
    let mut sources = Sources::default();
    if let Err(diagnostics) = model::read_text(&dir.join("model.yaml"), text, &mut sources, &ReadOptions::default()) {
        assert!(!diagnostics.is_empty());
        for d in &diagnostics {
            let shown = render::human(d, &sources, false);
            assert_ne!(d.code, "internal", "{shown}");
            assert!(!shown.contains(['\u{1b}', '\r', '\u{9b}', '\u{202e}']), "{shown:?}");
            let told = render::machine(d, &sources);
            assert!(
                d.place().is_some() && told["help"][0].is_string(),
                "no place or no remedy: {shown}"
            );
        }
    }
}

/// Functions that hand a setting to each other by so many calls.
fn passed_on(calls: usize) -> String {
    let body = |callee: &str| vec![format!("{callee}(x; s = s)"); calls].join(" + ");
    let of = |name: &str, callee: &str| format!("fn {name}(x: [d]; s) -> [d] {{ {} }}\n", body(callee));
    let functions = [of("f", "g"), of("g", "h"), of("h", "f")].concat();
    format!("{functions}layer thing(x: [d]; s) -> [d] {{ {} }}\n", body("f"))
}

/// Layer files and models without end or measure, and what is said about them.
fn extremes() -> Vec<(&'static str, String, String)> {
    let with = |from: &str, to: &str| SMALL.replace(from, to);
    let layer = |body: &str| format!("layer thing(x: [d]) -> [d] {{\n{body}\n}}\n");
    let doubled: String = (1..40)
        .map(|n| format!("fn f{n}(x) {{ f{}(f{}(x)) }}\n", n - 1, n - 1))
        .collect();
    let mut nested = "x[0]".to_owned();
    (0..14).for_each(|_| nested = format!("sum(i: softmax(reshape({nested}, 1))[i])"));
    vec![
        ("large", String::new(), with("d: 8", "d: 1e18")),
        ("out of range", String::new(), with("d: 8", "d: 1e400, e: 2 * d")),
        ("size", String::new(), with("d: 8", "d: -8")),
        ("size", String::new(), with("d: 8", "d: 0")),
        ("size", String::new(), with("d: 8", "d: 8 / 0")),
        ("size", String::new(), with("d: 8", "d: 8.5")),
        ("up to", String::new(), with("repeat: 2", "repeat: 1e9")),
        ("up to", String::new(), with("repeat: 2", "repeat: -1")),
        (
            "up to",
            String::new(),
            with(
                "      - thing: {}",
                "      - {repeat: 20000, of: [{repeat: 20000, of: [thing]}]}\n      - thing: {}",
            ),
        ),
        ("tensors", String::new(), with("a.{i}", "a.{0..100000}.{0..100000}")),
        ("up to", String::new(), with("a.{i}", "a.{0..1e12}")),
        (
            "size",
            layer("  dim heads = 0\n  reshape(x, heads, d)"),
            SMALL.to_owned(),
        ),
        ("size", layer("  reshape(x, d / 0, d)"), SMALL.to_owned()),
        ("large", layer("  param w[1e11, 1e11]\n  x * w[0, 0]"), SMALL.to_owned()),
        (
            "large",
            layer("  y[d] = sum(i < 1e6, j < 1e6: x[d])\n  y"),
            SMALL.to_owned(),
        ),
        ("leaves", layer("  y[d] = x[d * 1e9]\n  y"), SMALL.to_owned()),
        ("every axis", layer("  y[d] = x[d * 1e14]\n  y"), SMALL.to_owned()),
        ("integer", layer("  delay(x, 1e12)"), SMALL.to_owned()),
        (
            "taps",
            layer("  param w[d, 1e6]\n  causal_conv(x, w)"),
            SMALL.to_owned(),
        ),
        ("taps", layer("  param w[d, 2e6]\n  long_conv(x, w)"), SMALL.to_owned()),
        (
            "itself",
            "fn f(x) { g(x) }\nfn g(x) { f(x) }\nlayer thing(x: [d]) -> [d] { f(x) }\n".to_owned(),
            SMALL.to_owned(),
        ),
        ("calls itself", passed_on(40), with("thing: {}", "thing: {s: word}")),
        (
            "more than 20000 calls",
            format!("fn f0(x) {{ x + 1 }}\n{doubled}layer thing(x: [d]) -> [d] {{ f39(x) }}\n"),
            SMALL.to_owned(),
        ),
        ("", layer(&format!("  x * {nested}")), SMALL.to_owned()),
        (
            "names the parameter itself",
            layer("  param mix[mix, d]\n  y[d] = sum(c: mix[d, c] * x[c])\n  y"),
            SMALL.to_owned(),
        ),
        (
            "not inf",
            layer("  param w[d]\n  p = 1 / 0\n  x + lookup(reshape(w, 4, 2), p)[0]"),
            SMALL.to_owned(),
        ),
        (
            "numbers of state",
            layer("  dim i = 1000000\n  y[d, i] = x[d] * i\n  x + sum(d, i: delay(y, 16777216)[d, i])"),
            SMALL.to_owned(),
        ),
        (
            "100000 entries per head",
            layer("  param w[100000, d]\n  q = reshape(w @ x, 1, 100000)\n  x + sum(i: attend(q, q, q)[0, i])"),
            SMALL.to_owned(),
        ),
        (
            "numbers in its parameters",
            layer("  dim n = 1e11\n  param u[d, n], v[d, n], w[d, n]\n  x + u[0, 0] + v[0, 0] + w[0, 0]"),
            with("repeat: 2", "repeat: 20"),
        ),
        (
            "500 operators",
            layer(&format!(
                "  y[d] = x[d]{}\n  y",
                " + sum(i, j: x[i] * x[j])".repeat(400)
            )),
            SMALL.to_owned(),
        ),
    ]
}

#[test]
fn extremes_are_answered_at_once() {
    deep(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-extremes");
        fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
        for (says, layer, text) in extremes() {
            let layer = if layer.is_empty() { LAYER.to_owned() } else { layer };
            fs::write(dir.join("layer.seq"), &layer).unwrap_or_else(|e| panic!("{e}"));
            let start = Instant::now();
            let mut sources = Sources::default();
            let read = model::read_text(
                &dir.join("model.yaml"),
                text.clone(),
                &mut sources,
                &ReadOptions::default(),
            );
            let said: String = read
                .err()
                .iter()
                .flatten()
                .map(|d| render::human(d, &sources, false))
                .collect();
            assert!(said.contains(says), "`{says}` is not said\n{layer}\n{text}\n{said}");
            assert!(!said.contains("bug in seqc"), "{said}");
            assert!(start.elapsed().as_secs() < 20, "too long:\n{layer}\n{text}");
        }
    });
}

/// Files of many keys, sizes, layers and mistakes take time in proportion.
#[test]
fn long_files_are_answered_soon() {
    let many = |f: &dyn Fn(usize) -> String| (0..30_000).map(f).collect::<String>();
    for text in [
        format!(
            "version: 1\nmodel: m\nsizes:\n{}stack: [a]\n",
            many(&|i| format!("  k{i}: {i} + 1\n"))
        ),
        format!(
            "version: 1\nmodel: m\n{}stack: [a]\n",
            many(&|i| format!("k{i}: {i}\n"))
        ),
        format!(
            "version: 1\nmodel: m\nstack:\n{}",
            many(&|i| format!("  - q{i}: {{}}\n"))
        ),
        format!(
            "version: 1\nmodel: m\nstack: [a]\n{}",
            many(&|_| "model: n\n".to_owned())
        ),
    ] {
        let start = Instant::now();
        let mut sources = Sources::default();
        let read = model::read_text(Path::new("model.yaml"), text, &mut sources, &ReadOptions::default());
        assert!(read.is_err());
        assert!(start.elapsed().as_secs() < 20);
    }
}

/// Configurations of the recorded checkpoints with changed values and torn texts.
#[test]
fn changed_configurations_are_answered() {
    const VALUES: &[&str] = &[
        "0",
        "-1",
        "1e18",
        "1e400",
        "null",
        "\"x\"",
        "[]",
        "{}",
        "[[[]]]",
        "true",
        "0.5",
        "Infinity",
        "NaN",
        "{\"a\": 1}",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/hf");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-config");
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    let mut mix = Mix(5);
    for fixture in fs::read_dir(root).unwrap_or_else(|e| panic!("{e}")).flatten() {
        let text = fs::read_to_string(fixture.path().join("config.json")).unwrap_or_else(|e| panic!("{e}"));
        let lines: Vec<&str> = text.lines().collect();
        for round in 0..40 {
            let mut changed: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
            let at = mix.below(changed.len());
            match changed[at].split_once(": ") {
                Some((key, rest)) if round % 4 > 0 => {
                    let comma = if rest.ends_with(',') { "," } else { "" };
                    changed[at] = format!("{key}: {}{comma}", VALUES[mix.below(VALUES.len())]);
                }
                _ if round % 8 == 0 => changed.truncate(at),
                _ => drop(changed.remove(at)),
            }
            fs::write(dir.join("config.json"), changed.join("\n")).unwrap_or_else(|e| panic!("{e}"));
            let mut sources = Sources::default();
            let request = seqc::import::Request {
                checkpoint: &dir,
                output: &dir.join("model.yaml"),
                family: None,
                caches: &[],
            };
            if let Err(diagnostics) = seqc::import::import(request, &mut sources) {
                assert!(!diagnostics.is_empty());
                for d in &diagnostics {
                    let text = render::human(d, &sources, false);
                    assert_ne!(d.code, "internal", "{text}\n{}", changed.join("\n"));
                }
            }
        }
    }
}

const SMALL: &str = "version: 1\nmodel: m\nsizes: {d: 8, vocab: 16}\nuse: [layer.seq]\nweights: {random: 1}\nblock: {pre_norm: {eps: 1e-5}}\nstack:\n  \
                     - embed: {vocab: vocab}\n    block: none\n  - repeat: 2\n    of:\n      - thing: {}\n        if: i < 5\n      \
                     - swiglu: {hidden: 8}\n        load: {up_proj: \"a.{i}\"}\n  - head: {vocab: vocab}\n    block: final_norm\n";

const LAYER: &str = "fn scaled(u: [n]; by = 2) {\n  y[n] = u[n] * by\n  y\n}\n\nlayer thing(x: [d]; heads = 2, hd = d / heads) -> [d] {\n  \
                     param w[d, d], a[d], conv[d, 3]\n  q = reshape(w @ x, heads, hd)\n  h = sigmoid(a) * prev(h; init = 1) + causal_conv(x, conv)\n  \
                     S[heads, hd] = 0.5 * prev(S)[heads, hd] + q[heads, hd]\n  o = attend(q, q, S; where (i, j) = i - j < 4, score (s, i, j) = s - 0.1 * (i - j))\n  \
                     m = max(i: x[i])\n  scaled(flatten(o) + h - m; by = 3)\n}\n";

#[test]
fn mutated_layers_are_answered() {
    deep(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-layers");
        fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
        let mut mix = Mix(7);
        for _ in 0..cases() {
            let layer = mutated(LAYER, &mut mix);
            fs::write(dir.join("layer.seq"), &layer).unwrap_or_else(|e| panic!("{e}"));
            let start = Instant::now();
            read(&dir, SMALL.to_owned());
            assert!(start.elapsed().as_secs() < 20, "too long:\n{layer}");
        }
    });
}

#[test]
fn mutated_models_are_answered() {
    deep(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-models");
        fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
        fs::write(dir.join("layer.seq"), LAYER).unwrap_or_else(|e| panic!("{e}"));
        let mut mix = Mix(11);
        for _ in 0..cases() {
            let text = mutated(SMALL, &mut mix);
            let start = Instant::now();
            read(&dir, text.clone());
            assert!(start.elapsed().as_secs() < 20, "too long:\n{text}");
        }
    });
}

#[test]
fn the_mutated_model_is_right_itself() {
    deep(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-none");
        fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
        fs::write(dir.join("layer.seq"), LAYER).unwrap_or_else(|e| panic!("{e}"));
        let mut sources = Sources::default();
        let read = model::read_text(
            &dir.join("model.yaml"),
            SMALL.to_owned(),
            &mut sources,
            &ReadOptions::default(),
        );
        if let Err(diagnostics) = read {
            let text: Vec<_> = diagnostics.iter().map(|d| render::human(d, &sources, false)).collect();
            panic!("{}", text.join("\n"));
        }
    });
}

#[test]
fn the_standard_library_has_no_problems() {
    let mut diagnostics = Vec::new();
    for (n, (_, text)) in standard::seq_texts().into_iter().enumerate() {
        diagnostics.extend(seqc_grammar::parse_file(FileId(n as u32), text).1);
    }
    let library = standard::library(&mut Sources::default(), &mut diagnostics);
    assert_eq!(diagnostics, []);
    assert!(library.named("attention", DefKind::Layer).is_some());
    // Names of one kind are all different: no file hides another.
    for kind in [DefKind::Layer, DefKind::Block, DefKind::Fn, DefKind::Cache] {
        let texts = standard::seq_texts().into_iter();
        let items = texts.flat_map(|(_, text)| seqc_grammar::parse_file(FileId(0), text).0.items);
        assert_eq!(items.filter(|d| d.kind == kind).count(), library.names(kind).count());
    }
}
