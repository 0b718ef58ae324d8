//! Model files: what is read, and what is said about mistakes.

use crate::{
    show,
    support::{files, render, snapshot, snippets},
};
use seqc_grammar::{
    FileId, line_column,
    model::{Entry, Load, ModelFile, Part, Template},
    parse_model, parse_template, schema,
};

const FILE: FileId = FileId(0);

fn model(text: &str) -> ModelFile {
    let (model, problems) = parse_model(FILE, text);
    assert!(problems.is_empty(), "{text}\n{}", render(text, &problems));
    model.unwrap_or_else(|| panic!("no model"))
}

#[test]
fn models_of_the_project_are_read_without_a_word() {
    let mut texts = files("specs/models", ".yaml");
    texts.extend(snippets("yaml").into_iter().filter(|(_, text)| text.contains("stack:")));
    assert!(texts.len() > 4, "the models were not found");
    for (name, text) in texts {
        let (model, problems) = parse_model(FILE, &text);
        assert!(problems.is_empty(), "{name}\n{}", render(&text, &problems));
        assert!(model.is_some_and(|m| !m.stack.is_empty()), "{name}");
    }
}

const WHOLE: &str = r#"version: 1
model: whole
sizes: {d: 64, "äö": 3, act: silu, kinds: [full, "sliding", 2*d], flag: true, far: .inf}
inputs: {tokens: int, x: "[d, 2*d]", y: [d], z: "int[4]"}
use: [a.seq, b.seq]
weights: {file: m.gguf, type: bf16}
tokenizer: t.json
block: [outer, {inner: {eps: 1e-5}}]
output: scores
stack:
  - embed
  - repeat: layers / 2
    of:
      - first: {heads: 4, window: "if i % 2 == 0 then 16 else inf", act: "gelu"}
        name: one
        if: d > 3
        block: none
        load:
          pre.weight: "l.{i}.{2*i+1}.w"
          p: ["a.{i}", b]
          q: "e.{0..n}.w"
        in: {m: memory}
        tap: {keys: k}
  - second:
"#;

#[test]
fn a_model_has_everything_that_was_written() {
    snapshot("model", WHOLE, &shown(&model(WHOLE)));
}

/// A model in few lines.
fn shown(m: &ModelFile) -> String {
    let mut out = format!("{} {}\n", m.version.value, m.name.value);
    for (name, value) in &m.sizes {
        out.push_str(&format!("size {} = {}\n", name.text, show::expr(value)));
    }
    for (name, ty) in &m.inputs {
        let shape = ty
            .shape
            .iter()
            .flat_map(|s| &s.dims)
            .map(show::expr)
            .collect::<Vec<_>>();
        out.push_str(&format!("input {} int={} {shape:?}\n", name.text, ty.int));
    }
    let uses: Vec<&str> = m.uses.iter().map(|u| u.value.as_str()).collect();
    let weights = m
        .weights
        .as_ref()
        .map(|w| (w.file.as_ref().map(|f| &f.value), w.ty.as_ref().map(|t| &t.value)));
    let blocks: Vec<&str> = m
        .block
        .iter()
        .flat_map(|b| &b.blocks)
        .map(|b| b.name.text.as_str())
        .collect();
    let (tokenizer, output) = (
        m.tokenizer.as_ref().map(|t| &t.value),
        m.output.as_ref().map(|o| &o.value),
    );
    out.push_str(&format!(
        "use {uses:?} weights {weights:?} block {blocks:?} {tokenizer:?} {output:?}\n"
    ));
    entries(&m.stack, 0, &mut out);
    out
}

fn entries(stack: &[Entry], depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    for entry in stack {
        match entry {
            Entry::Repeat(r) => {
                let count = r.count.as_ref().map_or("once".to_owned(), show::expr);
                let when = r
                    .when
                    .as_ref()
                    .map_or(String::new(), |w| format!(" when {}", show::expr(&w.condition)));
                out.push_str(&format!("{pad}repeat {count}{when}\n"));
                entries(&r.of, depth + 1, out);
            }
            Entry::Layer(l) => {
                let settings: Vec<String> = l
                    .settings
                    .iter()
                    .map(|(n, v)| format!("{} = {}", n.text, show::expr(v)))
                    .collect();
                let label = l.label.as_ref().map(|l| l.value.as_str());
                out.push_str(&format!("{pad}{} {settings:?} {label:?}\n", l.layer.text));
                let block = l.block.as_ref().map(|b| b.blocks.len());
                let cond = l.cond.as_ref().map(show::expr);
                out.push_str(&format!("{pad}  block {block:?} if {cond:?}\n"));
                for (path, load) in &l.load {
                    out.push_str(&format!("{pad}  load {} <- {}\n", path.text, load_text(load)));
                }
                let pairs = l
                    .inputs
                    .iter()
                    .map(|p| ("in", p))
                    .chain(l.taps.iter().map(|p| ("tap", p)));
                for (what, (name, other)) in pairs {
                    out.push_str(&format!("{pad}  {what} {} = {}\n", name.text, other.text));
                }
            }
        }
    }
}

fn load_text(load: &Load) -> String {
    match load {
        Load::One(t) => template_text(t),
        Load::Stack(all, _) => all.iter().map(template_text).collect::<Vec<_>>().join(" & "),
    }
}

fn template_text(template: &Template) -> String {
    let part = |part: &Part| match part {
        Part::Text(t) => format!("{t:?}"),
        Part::Expr(e) => show::expr(e),
        Part::Range(from, to) => format!("{}..{}", show::expr(from), show::expr(to)),
        Part::Rows(from, to) => format!("rows {}..{}", show::expr(from), show::expr(to)),
    };
    template.parts.iter().map(part).collect::<Vec<_>>().join(" ")
}

#[test]
fn mistakes_are_all_reported_at_their_places() {
    let text = "\
versoin: 1
version: 2
model: [a]
sizes: {d: 2 +, 2x: 3, d: 4, e: {}}
inputs: {x: real}
weights: {file: a, random: 1, tpye: f32}
block: {a: {}, b: {}}
stak: []
stack:
  - atention: {heads: \"4 *\"}
    laod: {w: a}
    block: none
  - load: {w: \"a.{i\", \"x y\": b, v: {}}
  - repeat: 3
  - {repeat: \"i %% 2\", of: [], name: x}
  - []
  - first: {a: \"\\x41 + +\"}
    load: {w: \"a.{i\"}
";
    let (_, problems) = parse_model(FILE, text);
    snapshot("model_mistakes", text, &render(text, &problems));
}

#[test]
fn what_is_no_yaml_is_reported_once() {
    for (name, text) in [
        ("open", "version: 1\nstack: [a, b\n"),
        ("indent", "version: 1\n stack: 2\n"),
        ("scalar", "nothing"),
        ("empty", "# only a comment\n"),
        ("two", "a: 1\n---\nb: 2\n"),
        ("key", "{[a]: 1}\n"),
        ("deeper", "sizes:\n  d: 64\n   vocab: 256\nstack:\n  - norm\n"),
        (
            "between",
            "model: m\nsizes:\n    d: 64\n  vocab: 256\nstack:\n  - norm\n",
        ),
        ("less", "sizes:\n  d: 64\n vocab: 256\nstack:\n  - norm\n"),
        ("item", "stack:\n  - repeat: 2\n    of:\n    - norm\n   - norm\n"),
        (
            "beside_item",
            "stack:\n  - attention: {heads: 4}\n     block: none\n  - norm\n",
        ),
        ("no_dash", "stack:\n  - norm: {}\n  norm: {}\n"),
        ("dash", "sizes:\n  d: 64\n  - e: 64\n"),
        ("tab", "sizes:\n\td: 64\nstack:\n  - norm\n"),
        (
            "tab_later",
            "stack:\n  - attention:\n      heads: 4\n\tkv_heads: 4\n  - norm\n",
        ),
        ("bare_item", "stack:\n  - norm\n    block: none\n  - norm\n"),
        ("bare_key", "model: m\nsizes\n  d: 64\n"),
        ("two_colons", "model: a: b\n"),
        ("no_comma", "sizes: {d: 64 e: 3}\nstack: [norm]\n"),
        ("bracket_inside", "stack:\n  - {norm: {}, if: kinds[i] == 1}\n"),
        ("quote", "model: \"m\nstack: [norm]\n"),
        ("alias", "sizes: {d: 64}\nstack:\n  - swiglu: {hidden: *d}\n"),
        ("sign", "model: @m\n"),
    ] {
        let (model, problems) = parse_model(FILE, text);
        assert!(model.is_none(), "{name}");
        assert_eq!(problems.len(), 1, "{name}\n{}", render(text, &problems));
        snapshot(&format!("yaml_{name}"), text, &render(text, &problems));
    }
}

#[test]
fn places_inside_quotes_are_exact() {
    let text = "version: 1\nmodel: ü\nsizes:\n  a: 'b + c $ 1'\nstack: [x]\n";
    let (_, problems) = parse_model(FILE, text);
    assert_eq!(line_column(text, problems[0].span().start), (4, 13), "{problems:?}");
}

#[test]
fn templates_have_parts() {
    for (text, wanted) in [
        ("", ""),
        ("a.b", "\"a.b\""),
        ("{i}", "i"),
        ("a.{i}.b.{j+1}", "\"a.\" i \".b.\" (j Add 1)"),
        ("e.{0..n - 1}", "\"e.\" 0..(n Sub 1)"),
    ] {
        let (template, problems) = parse_template(FILE, text, Default::default());
        assert!(problems.is_empty(), "{text}: {problems:?}");
        assert_eq!(template_text(&template), wanted, "{text}");
    }
    for text in ["{", "}", "a{}", "{i", "{{i}}", "{0..}"] {
        let (_, problems) = parse_template(FILE, text, Default::default());
        assert!(!problems.is_empty(), "{text}");
    }
}

#[test]
fn the_schema_knows_every_key() {
    use seqc_grammar::model::{ENTRY_KEYS, MODEL_KEYS, REPEAT_KEYS};
    let schema = schema();
    let has = |path: &str, key: &str| {
        let described = schema.pointer(&format!("{path}/properties/{key}"));
        assert!(
            described.is_some_and(|d| d.as_object().is_some_and(|o| !o.is_empty())),
            "{path} {key}"
        );
    };
    MODEL_KEYS.iter().for_each(|key| has("", key));
    ENTRY_KEYS.iter().for_each(|key| has("/$defs/layer", key));
    REPEAT_KEYS.iter().for_each(|key| has("/$defs/repeat", key));
}

#[test]
fn caches_are_one_entry_or_a_list() {
    let of = |cache: &str| {
        let text = format!("version: 1\nmodel: m\ncache: {cache}\nstack: [head]\n");
        let shown = |cache: &seqc_grammar::model::Cache| {
            let on = cache.on.iter().flatten().map(|on| on.value.clone()).collect::<Vec<_>>();
            let settings = cache
                .settings
                .iter()
                .map(|(name, value)| format!("{}={}", name.text, show::expr(value)));
            let (policy, ty) = (
                cache.policy.iter().map(|p| p.text.clone()),
                cache.ty.iter().map(|t| t.value.clone()),
            );
            let parts: Vec<String> = on.into_iter().chain(policy).chain(settings).chain(ty).collect();
            parts.join(" ")
        };
        model(&text).caches.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(of("{type: f16}"), ["f16"]);
    assert_eq!(of("{size: 2 * d, policy: best}"), ["best size=(2 Mul d)"]);
    assert_eq!(
        of("[{on: [attention, 2], policy: best, few: 4}, {on: 3, type: bf16}]"),
        ["attention 2 best few=4", "3 bf16"]
    );
    assert_eq!(of("[]"), Vec::<String>::new());
}
