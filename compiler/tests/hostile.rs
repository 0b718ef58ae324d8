//! Broken layer files and models: messages, never a panic, and never long.

use seqc::{
    model::{self, ReadOptions, standard},
    render,
    source::{FileId, Sources},
};
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
    asked.and_then(|n| n.parse().ok()).unwrap_or(1500)
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
            assert_ne!(d.code, "internal", "{}", render::human(d, &sources, false));
            render::human(d, &sources, false);
            render::machine(d, &sources);
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
    for (n, (_, text)) in standard::layer_texts().into_iter().enumerate() {
        diagnostics.extend(seqc_grammar::parse_file(FileId(n as u32), text).1);
    }
    let library = standard::library(&mut Sources::default(), &mut diagnostics);
    assert_eq!(diagnostics, []);
    assert!(library.get("attention").is_some());
}
