//! Hostile input: reading ends, without a panic, whatever the text.

use crate::support::{files, layer_texts};
use seqc_grammar::{FileId, MAX_FILE, parse_expr, parse_file, parse_model, parse_template};

const FILE: FileId = FileId(0);

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

/// Reads a text as everything it could be, and checks that all places lie in it.
fn read(text: &str) {
    let (_, problems) = parse_file(FILE, text);
    let (_, more) = parse_model(FILE, text);
    let (_, most) = parse_expr(FILE, text, 0);
    for d in problems.iter().chain(&more).chain(&most) {
        assert!(d.primary().is_some(), "{d:?}");
        for label in &d.labels {
            assert!(
                label.span.start <= label.span.end && label.span.end as usize <= text.len(),
                "{d:?}\n{text:?}"
            );
            assert!(text.is_char_boundary(label.span.start as usize), "{d:?}");
        }
    }
    parse_template(FILE, text, Default::default());
}

fn samples() -> Vec<String> {
    let mut texts: Vec<String> = layer_texts().into_iter().map(|(_, text)| text).take(12).collect();
    texts.extend(files("specs/models", ".yaml").into_iter().map(|(_, text)| text));
    texts.into_iter().map(|text| text.chars().take(900).collect()).collect()
}

#[test]
fn truncated_texts_are_read() {
    for (n, text) in samples().into_iter().enumerate() {
        for (at, _) in text.char_indices().skip(n % 4).step_by(4) {
            read(&text[..at]);
        }
    }
}

#[test]
fn mutated_texts_are_read() {
    let marks = [
        "(", ")", "[", "]", "{", "}", "\"", "\n", ";", ":", "=", "-", "if ", "\0", "é", "&a ", "*a", "|", ">", "#",
        "'", "\t", "%", " ", "   ", "\n  ", "- ", "- - ", "\r", "\u{1b}", "\u{202e}", "---\n", "? ",
    ];
    let mut random = Random(7);
    for text in samples() {
        for _ in 0..60 {
            let mut chars: Vec<char> = text.chars().collect();
            for _ in 0..=random.below(4) {
                let at = random.below(chars.len());
                match random.below(3) {
                    0 => drop(chars.remove(at)),
                    1 => chars.swap(at, (at + 1).min(text.chars().count() - 4)),
                    _ => drop(chars.splice(at..at, marks[random.below(marks.len())].chars())),
                }
            }
            read(&chars.into_iter().collect::<String>());
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let n = 8_000;
    for text in [
        "(".repeat(n),
        "[".repeat(n),
        "{".repeat(n),
        "-".repeat(n),
        "!".repeat(n),
        "f(".repeat(n),
        "x[".repeat(n),
        "if ".repeat(n),
        "if a then ".repeat(n),
        "a ** ".repeat(n),
        "max(a < ".repeat(n),
        "sum(i: ".repeat(n),
        "- ".repeat(n),
        "{a: ".repeat(n),
        "a:\n - ".repeat(n),
    ] {
        read(&text);
        read(&format!("fn f(x) {{ y = {text}\n x }}"));
    }
}

#[test]
fn long_expressions_are_refused_and_long_files_read() {
    for text in [
        format!("a{}", " + a".repeat(20_000)),
        format!("a{}", "[0]".repeat(20_000)),
        format!("{}c", "if a then b else ".repeat(10_000)),
        format!("a{}", " || a".repeat(20_000)),
    ] {
        let (_, problems) = parse_expr(FILE, &text, 0);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].code, "too-long");
    }
    let (_, problems) = parse_expr(FILE, &format!("f({})", "a, ".repeat(20_000)), 0);
    assert!(problems.is_empty());
    let many = "fn f(x) { x }\n".repeat(10_000);
    let (file, problems) = parse_file(FILE, &many);
    assert_eq!((file.items.len(), problems.len()), (10_000, 0));
    let (_, problems) = parse_file(FILE, &" ".repeat(MAX_FILE + 1));
    assert_eq!(problems[0].code, "too-long");
}

#[test]
fn yaml_bombs_are_refused() {
    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    for n in 1..60 {
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", format!("*a{}, ", n - 1).repeat(9)));
    }
    let (model, problems) = parse_model(FILE, &bomb);
    assert!(model.is_none());
    assert!(problems[0].message.contains("more than"), "{problems:?}");
    read("a: &a [*a]\n");
    read("a: *b\n");
    read(&"- ".repeat(200_000));
    read(&"? ".repeat(50_000));
    read(&"&a ".repeat(10_000));
    read(&"!!t ".repeat(10_000));
    read("version: 99999999999999999999999\nmodel: \"\\uD800\"\nweights: {random: -1}\nstack: [\"\\0\"]\n");
}

#[test]
fn odd_characters_are_read() {
    for text in [
        "\0",
        "\u{feff}fn f(x) { x }",
        "fn f(x)\r\n{\r\n  x\r\n}\r\n",
        "\u{2028}",
        "𝔵 = 1",
        "fn 名(x) { x }",
        "\"",
        "///",
        "//",
        "1..2",
        "..",
        "1e",
        "0x10",
        "_",
    ] {
        read(text);
    }
    let (file, problems) = parse_file(FILE, "\u{feff}fn f(x)\r\n{\r\n  x\r\n}\r\n");
    assert_eq!((file.items.len(), problems.len()), (1, 0));
}
