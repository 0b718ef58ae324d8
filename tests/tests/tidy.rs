//! Rules of the source tree: the form of a file, the dependencies between crates, and what no text mentions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use seqc_tests::{
    imports::{circles, imports},
    root,
    signatures::{self, Parameter},
    source::{self, File},
};

/// Lines that no file exceeds.
const LONGEST: usize = 500;

/// Names of layers and of their files that are ordinary words of the field, too: an operation of the language
/// (attention, norm), a place in a model (embed, head) or a kind of file (std, blocks).
const ORDINARY: &[&str] = &["attention", "embed", "head", "norm", "std", "blocks", "residual"];

/// Families of published models, which are data of `specs` and never known to the compiler.
const FAMILIES: &[&str] = &[
    "llama", "mistral", "qwen", "gemma", "jamba", "falcon", "griffin", "retnet", "hyena",
];

/// Directories whose Rust knows no layer by name.
const NAMELESS: &[&str] = &[
    "grammar/",
    "ir/",
    "passes/",
    "backends/src/",
    "backends/abi/",
    "backends/formats/",
    "backends/kernel/",
    "backends/checkpoint/",
    "compiler/",
];

/// Names in a format that others made, which are also those of layers: GGUF files call kinds of tokenizers after models.
const OF_FORMATS: &[&str] = &["backends/checkpoint/src/tokenizer_kinds.rs"];

/// Which of the project's crates a crate may depend on.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("seqc-archive", &[]),
    ("seqc-grammar", &[]),
    ("seqc-formats", &[]),
    ("seqc-ir", &["seqc-formats"]),
    ("seqc-abi", &["seqc-formats"]),
    ("seqc-kernel", &["seqc-abi", "seqc-formats"]),
    ("seqc-checkpoint", &["seqc-formats"]),
    ("seqc-passes", &["seqc-ir", "seqc-formats"]),
    (
        "seqc-backends",
        &[
            "seqc-archive",
            "seqc-ir",
            "seqc-passes",
            "seqc-abi",
            "seqc-formats",
            "seqc-kernel",
        ],
    ),
    ("seqc-runtime", &["seqc-abi", "seqc-checkpoint", "seqc-formats"]),
    (
        "seqc",
        &[
            "seqc-grammar",
            "seqc-ir",
            "seqc-passes",
            "seqc-backends",
            "seqc-abi",
            "seqc-checkpoint",
            "seqc-formats",
        ],
    ),
    (
        "seqc-fuzz",
        &[
            "seqc",
            "seqc-grammar",
            "seqc-formats",
            "seqc-ir",
            "seqc-abi",
            "seqc-checkpoint",
            "seqc-runtime",
        ],
    ),
    (
        "seqc-tests",
        &["seqc-ir", "seqc-passes", "seqc-backends", "seqc-abi", "seqc"],
    ),
];

/// Where matches on operations may have a wildcard arm: the table itself.
const OPERATIONS: &[&str] = &["ir/src/op"];

/// What no text of the project mentions: paths of a particular machine and hosts of package registries.
const PLACES: &[&str] = &[
    "/work/",
    "/root/",
    "/home/",
    "/tmp/t-",
    "deb.debian",
    "pypi.org",
    "pythonhosted",
    "static.rust-lang",
];

#[test]
fn every_file_says_what_it_is_and_is_of_readable_length() {
    let mut wrong = Vec::new();
    for File { name, text } in source::files(&[".rs"]) {
        if !text.starts_with("//! ") {
            wrong.push(format!("{name}: the first line is no `//!` sentence"));
        }
    }
    for File { name, text } in source::files(&[".rs", ".seq", ".sh", ".py", ".pest"]) {
        let lines = text.lines().count();
        if lines > LONGEST {
            wrong.push(format!("{name}: {lines} lines, more than {LONGEST}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A tuple has no names for its parts and no place for what they mean: a parameter is one value, of a type with a name.
#[test]
fn no_parameter_is_a_tuple() {
    let mut wrong = Vec::new();
    for File { name, text } in source::files(&[".rs"]) {
        let parameters = signatures::parameters(&source::code(&text)).into_iter();
        let tuples = parameters.filter(Parameter::is_tuple);
        wrong.extend(tuples.map(|p| format!("{name}: fn {}, `{}`", p.function, p.text)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_layer_is_known_to_the_compiler_by_name() {
    let names = layer_names();
    assert!(names.len() > 5, "the layers of specs/layers were not found: {names:?}");
    let mut wrong = Vec::new();
    for File { name, text } in source::files(&[".rs"]) {
        let tests = name.contains("/tests/") || name.ends_with("tests.rs");
        if !NAMELESS.iter().any(|dir| name.starts_with(dir)) || tests || OF_FORMATS.contains(&name.as_str()) {
            continue;
        }
        let code = source::code(&text).to_lowercase();
        let found = names.iter().filter(|layer| mentions(&code, layer));
        wrong.extend(found.map(|layer| format!("{name} mentions `{layer}`")));
    }
    assert!(
        wrong.is_empty(),
        "layers are data, see specs/layers:\n{}",
        wrong.join("\n")
    );
}

/// Words of the field that are names of caches, too: a type of numbers, a property of programs.
const ORDINARY_CACHES: &[&str] = &["int8", "streaming"];

#[test]
fn no_cache_is_known_to_the_compiler_by_name() {
    let stem = |name: &str| {
        name.strip_suffix(".seq")
            .and_then(|n| n.rsplit('/').next())
            .map(str::to_owned)
    };
    let files = source::files(&[".seq"]).into_iter();
    let caches = files.filter(|f| f.name.starts_with("specs/caches/"));
    let names: BTreeSet<String> = caches.filter_map(|f| stem(&f.name)).collect();
    assert!(names.len() > 5, "the caches of specs/caches were not found: {names:?}");
    let wrong: Vec<String> = source::files(&[".rs"])
        .iter()
        .filter(|f| !f.name.contains("/tests/") && !f.name.starts_with("tests/") && !f.name.ends_with("tests.rs"))
        .flat_map(|f| {
            let code = source::code(&f.text).to_lowercase();
            let known = names.iter().filter(|name| !ORDINARY_CACHES.contains(&name.as_str()));
            let found = known.filter(|name| code.contains(&format!("\"{name}\"")) || mentions(&code, name));
            found
                .map(|name| format!("{} mentions `{name}`", f.name))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "caches are data, see specs/caches:\n{}",
        wrong.join("\n")
    );
}

/// Names that `specs/layers` defines, its files' names and the families of models.
fn layer_names() -> BTreeSet<String> {
    let mut names: BTreeSet<String> = FAMILIES.iter().map(|name| (*name).to_owned()).collect();
    for File { name, text } in source::files(&[".seq"]) {
        if !name.starts_with("specs/") || name.starts_with("specs/caches/") {
            continue;
        }
        let stem = name.rsplit('/').next().and_then(|file| file.strip_suffix(".seq"));
        let defined = text
            .lines()
            .filter_map(|line| line.strip_prefix("layer ")?.split('(').next());
        names.extend(stem.into_iter().chain(defined).map(|name| name.trim().to_lowercase()));
    }
    names.retain(|name| !ORDINARY.contains(&name.as_str()));
    names
}

/// Names that are parts of ordinary words: `request`.
const PARTS_OF_WORDS: &[&str] = &["quest"];

/// Whether a name occurs: short ones as a word of their own, long ones anywhere.
fn mentions(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let inside = letter(code[..at].chars().next_back()) || letter(code[at + name.len()..].chars().next());
        (name.len() > 4 && !PARTS_OF_WORDS.contains(&name)) || !inside
    })
}

#[test]
fn crates_depend_in_one_direction() {
    let allowed: BTreeMap<&str, &[&str]> = DIRECTIONS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, manifest) in manifests() {
        let package = field(&manifest, "name").unwrap_or_default();
        let Some(allowed) = allowed.get(package.as_str()) else {
            wrong.push(format!(
                "{name}: the crate `{package}` is not in the list of directions"
            ));
            continue;
        };
        let known = dependencies(&manifest)
            .into_iter()
            .filter(|crate_| crate_.starts_with("seqc"));
        wrong.extend(
            known
                .filter(|other| !allowed.contains(&other.as_str()))
                .map(|other| format!("{name} depends on {other}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What several files need stands in a file of its own, below all of them: then each can be read with what it imports alone.
#[test]
fn files_import_each_other_in_one_direction() {
    let files = source::files(&[".rs"]);
    let mut wrong = Vec::new();
    for (name, _) in manifests() {
        let imports = imports(&name.replace("/Cargo.toml", "/src"), &files);
        for circle in circles(&imports) {
            let within = |file: &String| imports[file].intersection(&circle).cloned().collect::<Vec<_>>();
            wrong.extend(
                circle
                    .iter()
                    .map(|file| format!("{file} imports {}", within(file).join(", "))),
            );
        }
    }
    assert!(wrong.is_empty(), "these files import each other:\n{}", wrong.join("\n"));
}

/// Crates in the section `[dependencies]`; what only tests of a crate use may point anywhere.
fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest
        .split("\n[")
        .find(|section| section.starts_with("dependencies]"))
        .unwrap_or("");
    let lines = section.lines().skip(1).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| Some(line.split(['.', '=', ' ']).next()?.to_owned()))
        .filter(|name| !name.is_empty())
        .collect()
}

/// A wildcard arm decides for operations that were added later: that one costs nothing, is not linear, is not stored. What
/// every operation must answer for is a column of the table.
#[test]
fn matches_on_operations_name_them_all() {
    let mut wrong = Vec::new();
    for File { name, text } in source::files(&[".rs"]) {
        if name.contains("/tests/") || OPERATIONS.iter().any(|place| name.starts_with(place)) {
            continue;
        }
        let code = source::code(&text);
        for (at, _) in code.match_indices("match ") {
            let Some((about, body)) = code[at..].split_once('{') else {
                continue;
            };
            let of_operation = [".op(", ".class(", ".mode(", ".source("];
            if of_operation.iter().any(|ask| about.contains(ask)) && has_wildcard(body) {
                wrong.push(format!("{name}: {}", about.trim()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "name the operations, or ask the table of operations:\n{}",
        wrong.join("\n")
    );
}

/// True when an arm of the `match` whose body begins here takes whatever is left.
fn has_wildcard(body: &str) -> bool {
    let mut depth = 1;
    for line in body.lines() {
        let arm = line.trim_start();
        let pattern = arm.split([' ', '=']).next().unwrap_or("");
        let binding = pattern.starts_with(|c: char| c == '_' || c.is_ascii_lowercase());
        let of_letters = pattern.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
        let truth = matches!(pattern, "true" | "false");
        if depth == 1 && binding && of_letters && !truth && arm[pattern.len()..].starts_with(" =>") {
            return true;
        }
        for letter in line.chars() {
            depth += i32::from("{([".contains(letter)) - i32::from("})]".contains(letter));
        }
        if depth <= 0 {
            break;
        }
    }
    false
}

#[test]
fn one_crate_touches_mlir() {
    let mut wrong = Vec::new();
    for File { name, text } in source::files(&[".rs", "Cargo.toml"]) {
        if name.starts_with("backends/") || name.starts_with("tests/") || name == "Cargo.toml" {
            continue;
        }
        let text = if name.ends_with(".rs") {
            source::code(&text)
        } else {
            text
        };
        let found = ["melior", "mlir_sys", "mlir-sys"]
            .into_iter()
            .filter(|word| text.contains(word));
        wrong.extend(found.map(|word| format!("{name} mentions {word}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_inherit_the_lints_and_the_version() {
    let mut wrong = Vec::new();
    for (name, manifest) in manifests() {
        for rule in [
            "[lints]\nworkspace = true",
            "version.workspace = true",
            "edition.workspace = true",
        ] {
            if !manifest.contains(rule) {
                wrong.push(format!("{name} lacks `{}`", rule.replace('\n', " ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn texts_mention_no_machine() {
    let mut wrong = Vec::new();
    for File { name, text } in source::files(&[
        ".md", ".yaml", ".yml", ".seq", ".toml", ".rs", ".sh", ".py", ".pest", "Makefile", ".ci/run",
    ]) {
        if name == "tests/tests/tidy.rs" {
            continue;
        }
        let found = PLACES.iter().filter(|place| text.contains(*place));
        wrong.extend(found.map(|place| format!("{name} mentions {place}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Numbers of sections belong to the language reference; from elsewhere they stand with the section's title, so that a
/// section that moves is noticed.
#[test]
fn references_to_sections_are_right() {
    let mut wrong = Vec::new();
    let language = fs::read_to_string(root().join("docs/language.md")).unwrap_or_default();
    let titles: BTreeMap<&str, &str> = language
        .lines()
        .filter_map(|line| line.strip_prefix("## ")?.split_once(". "))
        .collect();
    assert!(titles.len() > 5, "the sections were not found: {titles:?}");
    for File { name, text } in source::files(&[".md", ".rs", ".pest", ".seq", ".yaml", ".sh", ".py"]) {
        if name == "tests/tests/tidy.rs" {
            continue;
        }
        for (at, sign) in text.match_indices('§') {
            let rest = &text[at + sign.len()..];
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, behind) = rest.split_at(digits);
            let title = titles.get(number);
            let named = title.is_some_and(|title| behind.starts_with(&format!(" ({title})")));
            if title.is_none() || !(named || name == "docs/language.md") {
                wrong.push(format!("{name}: §{number}{}", behind.lines().next().unwrap_or("")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Links of documents lead to files and headings that are there.
#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for File { name, text } in source::files(&[".md"]) {
        let folder = root().join(&name).with_file_name("");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.contains(' ') {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => root().join(&name),
                file => folder.join(file),
            };
            let headings = fs::read_to_string(&path).unwrap_or_default();
            let there = anchor.is_empty() || headings.lines().any(|line| slug(line).as_deref() == Some(anchor));
            if !path.exists() || !there {
                wrong.push(format!("{name}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The anchor of a heading.
fn slug(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase();
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.map(|c| if c == ' ' { '-' } else { c }).collect())
}

/// Manifests of the workspace's members.
fn manifests() -> Vec<(String, String)> {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap_or_default();
    let members = workspace
        .split("members = [")
        .nth(1)
        .and_then(|rest| rest.split(']').next())
        .unwrap_or("");
    let members: Vec<&str> = members
        .split(',')
        .map(|member| member.trim().trim_matches('"'))
        .filter(|m| !m.is_empty())
        .collect();
    assert!(members.len() > 5, "the members were not found: {members:?}");
    let read = |member: &&str| {
        let name = format!("{member}/Cargo.toml");
        let text = fs::read_to_string(root().join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, text)
    };
    members.iter().map(read).collect()
}

fn field(manifest: &str, name: &str) -> Option<String> {
    let line = manifest.lines().find(|line| line.starts_with(&format!("{name} =")))?;
    Some(line.split('"').nth(1)?.to_owned())
}
