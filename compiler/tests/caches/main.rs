//! Cache policies: what the files of `specs/caches` and small bodies are elaborated to.

mod bytes;
mod ladders;
mod settings;
mod show;
mod windows;

use seqc::{
    diag::Diagnostic,
    model::{self, Built, ReadOptions},
    render,
    source::Sources,
};
use seqc_ir::{Op, UnaryOp, policy::Policy};
use std::path::{Path, PathBuf};

fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs")
}

/// The policy of each attention of a model.
fn policies(built: &Built) -> Vec<Policy> {
    let graphs = built.model.calls.iter().map(|call| built.model.graph(call));
    graphs
        .flat_map(|g| {
            let attends = g.values().into_iter().filter_map(|v| match g.op(v) {
                Op::Attend(spec) => spec.policy.as_deref().cloned(),
                _ => None,
            });
            attends.collect::<Vec<_>>()
        })
        .collect()
}

fn read(path: &Path, text: String, set: &[(&str, &str)]) -> Result<Built, String> {
    let mut sources = Sources::default();
    let options = ReadOptions {
        set: set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..ReadOptions::default()
    };
    model::read_text(path, text, &mut sources, &options).map_err(|d| {
        let shown = d.iter().map(|d: &Diagnostic| render::human(d, &sources, false));
        shown.collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn every_policy_of_the_library_is_what_its_equations_say() {
    let dir = specs().join("policies");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{e}"))
        .map(|e| e.unwrap_or_else(|e| panic!("{e}")).path())
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{e}"));
        let built = read(&file, text, &[]).unwrap_or_else(|e| panic!("{e}"));
        let mut all = policies(&built);
        assert_eq!(all.len(), 3, "{}: one for each layer", file.display());
        all.dedup();
        let shown: Vec<String> = all.iter().map(show::policy).collect();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        insta::assert_snapshot!(name, shown.join("\n\n"));
    }
}

/// A model with attentions, a layer file beside it, and these entries of `cache:`.
fn model(file: &str, cache: &str, layers: &str) -> Result<Built, String> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("caches")
        .join(format!("{:x}", hash(file)));
    std::fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    std::fs::write(dir.join("mine.seq"), file).unwrap_or_else(|e| panic!("{e}"));
    let text = format!(
        "version: 1\nmodel: m\nsizes: {{d: 32, few: 4}}\nuse: [mine.seq]\ninputs: {{x: \"[d]\"}}\nweights: {{random: 1}}\n\
         cache: {cache}\nstack:\n{layers}"
    );
    read(&dir.join("model.yaml"), text, &[])
}

fn hash(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

const LAYERS: &str = "  - attention: {heads: 4, kv_heads: 2}\n  - swiglu: {hidden: 8}\n  - attention: {heads: 4, kv_heads: 2}\n    name: second\n";

/// The policy of the first attention, as lines.
fn body(body: &str) -> String {
    let file = format!("cache mine(; size = 8) {{\n{body}\n}}\n");
    let built = model(&file, "[{policy: mine}]", LAYERS).unwrap_or_else(|e| panic!("{e}"));
    show::policy(&policies(&built)[0])
}

#[test]
fn what_remembers_itself_is_a_counter_or_a_memory() {
    let shown = body(
        "  steps = prev(steps; init = 1) + 1
  last  = weight
  mean  = prev(mean) + (last - prev(mean)) / steps
  grown = n - prev(before)
  before = n
  keep(top(mean + last; k = size) || age < steps + grown; at = n % 4 == 0)",
    );
    insta::assert_snapshot!("recurrences", shown);
}

#[test]
fn definitions_that_nothing_needs_are_left_out() {
    let shown = body(
        "  norm = sum(c: key[c] ** 2)\n  most = max(entries: norm)\n  odd = any(entries: j % 2 == 1)\n  keep(norm == most)",
    );
    insta::assert_snapshot!("definitions", shown);
}

#[test]
fn numbers_of_channels_weigh_the_keys_of_entries() {
    let shown = body(
        "  use[c] = mean(queries < size: abs(query[c])) + c
  score = sum(c: use[c] * abs(key[c])) / mean(entries: age)
  keep(pool(score; size = 3, how = \"mean\") > 0.5)",
    );
    insta::assert_snapshot!("channels", shown);
}

#[test]
fn constants_say_which_head_and_layer_it_is() {
    let file = "cache mine() {\n  dim room = 100 * width + 10 * heads + members\n  keep(slot < room + head && layer < layers)\n}\n";
    let built = model(file, "[{policy: mine}]", LAYERS).unwrap_or_else(|e| panic!("{e}"));
    let kept: Vec<String> = policies(&built).iter().map(show::policy).collect();
    insta::assert_snapshot!("constants", kept.join("\n"));
    // Layers are different kinds only where their number counts.
    let attentions = |built: &Built| {
        let kinds: Vec<_> = built.model.calls.iter().map(|call| call.kind).collect();
        kinds[0] == kinds[2]
    };
    assert!(!attentions(&built) || kept[0] == kept[1]);
    let alike = "cache mine() {\n  keep(age < 8)\n}\n";
    let built = model(alike, "[{policy: mine}]", LAYERS).unwrap_or_else(|e| panic!("{e}"));
    assert!(attentions(&built));
}

#[test]
fn functions_of_numbers_may_be_called() {
    let file = "fn near(a; far) { clamp(a; low = 0, high = far) }\ncache mine(; size = 8) {\n  keep(near(age; far = size) < size)\n}\n";
    let built = model(file, "[{policy: mine}]", LAYERS).unwrap_or_else(|e| panic!("{e}"));
    let shown = show::policy(&policies(&built)[0]);
    assert_eq!(
        shown,
        "see all at i, j\nkeep lt(min(max(sub(i, j), 0.0), 8.0), 8.0) after ge(i, 0.0)"
    );
}

#[test]
fn quotients_of_integers_are_rounded_down_but_in_dims() {
    let shown = body("  dim share = size / 16\n  keep(slot < n / 3 && j < 7 / 2 + share)");
    assert_eq!(
        shown,
        "see all at i, j\nkeep and(lt(k0, floor(div(q0, 3.0))), lt(j, 3.5)) after ge(i, 0.0)"
    );
}

#[test]
fn entries_are_for_layers_by_name_and_number() {
    let which = |cache: &str| {
        let built = model("cache mine(; size = 8) {\n  keep(age < size)\n}\n", cache, LAYERS);
        let built = built.unwrap_or_else(|e| panic!("{e}"));
        let governed = |n: &usize| {
            let g = built.model.graph(&built.model.calls[*n]);
            g.values()
                .into_iter()
                .any(|v| matches!(g.op(v), Op::Attend(spec) if spec.policy.is_some()))
        };
        [0, 2].iter().filter(|n| governed(n)).copied().collect::<Vec<_>>()
    };
    assert_eq!(which("[{policy: mine}]"), [0, 2]);
    assert_eq!(which("{policy: mine, size: few}"), [0, 2]);
    assert_eq!(which("[{on: attention, policy: mine}]"), [0, 2]);
    assert_eq!(which("[{on: second, policy: mine}]"), [2]);
    assert_eq!(which("[{on: [0], policy: mine}, {on: 1, type: f16}]"), [0]);
}

/// A type of codes is the policy of the library that only codes; beside a policy it adds the codes to it.
#[test]
fn codes_are_a_type_with_and_without_a_policy() {
    let of = |file: &str, cache: &str| {
        let built = model(file, cache, LAYERS).unwrap_or_else(|e| panic!("{e}"));
        policies(&built).iter().map(show::policy).collect::<Vec<_>>()
    };
    let mine = "cache mine(; size = 8) {\n  keep(age < size)\n}\n";
    assert_eq!(of(mine, "{type: int8}"), of(mine, "[{policy: int8}]"));
    assert_eq!(of(mine, "{type: int8}").len(), 2);
    assert_eq!(of(mine, "{type: int8, on: second}").len(), 1);
    let coded = mine.replace(
        "}",
        "  keys(bits = 8, symmetric = true)\n  values(bits = 8, symmetric = true)\n}",
    );
    assert_eq!(of(mine, "{type: int8, policy: mine}"), of(&coded, "{policy: mine}"));
    assert_eq!(
        of(mine, "[{type: int8}, {policy: mine, on: 0}]")[0],
        of(&coded, "{policy: mine}")[0]
    );
    let turned = "cache mine(; size = 8) {\n  see(query = n - 1, key = slot)\n  keep(age < size)\n}\n";
    assert_eq!(
        of(turned, "{type: int8, policy: mine}"),
        of(
            &turned.replace(
                "}",
                "  keys(bits = 8, symmetric = true)\n  values(bits = 8, symmetric = true)\n}"
            ),
            "{policy: mine}"
        )
    );
}

#[test]
fn a_cache_of_the_user_stands_before_one_of_the_library() {
    let file = "cache streaming(; size = 3) {\n  keep(age < size)\n}\n";
    let built = model(file, "[{policy: streaming}]", LAYERS).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        show::policy(&policies(&built)[0]),
        "see all at i, j\nkeep lt(sub(i, j), 3.0) after ge(i, 0.0)"
    );
}

#[test]
fn queries_and_keys_are_handed_over_as_they_are_before_rotary_positions() {
    let layers = |settings: &str| format!("  - attention: {{heads: 4, kv_heads: 2{settings}}}\n");
    let cases = [
        ("", Some("Turn { interleaved: false, pairs: 4, magnitude: 1.0 }")),
        (
            ", rotary: interleaved, fraction: 0.5",
            Some("Turn { interleaved: true, pairs: 2, magnitude: 1.0 }"),
        ),
        (
            ", magnitude: 1.5",
            Some("Turn { interleaved: false, pairs: 4, magnitude: 1.5 }"),
        ),
        (", rotary: none", None),
    ];
    for (settings, turn) in cases {
        let file = "cache mine() {\n  see(query = n, key = slot)\n}\n";
        let built = model(file, "[{policy: mine}]", &layers(settings)).unwrap_or_else(|e| panic!("{e}"));
        let found = policies(&built)[0].turn.map(|t| format!("{t:?}"));
        assert_eq!(found.as_deref(), turn, "{settings}");
        let graph = built.model.graph(&built.model.calls[0]);
        let turned = graph
            .values()
            .into_iter()
            .any(|v| matches!(graph.op(v), Op::Unary(UnaryOp::Cos)));
        assert!(!turned, "nothing is turned in the layer: {settings}");
    }
}

/// A learnt factor on queries that were turned is a factor on what they were before.
#[test]
fn scaled_queries_are_still_known_to_be_turned() {
    let file = "cache mine() {\n  see(query = n, key = slot)\n}\n
layer thing(x: [d]) -> [d] {\n  param g\n  q = reshape(x, 4, 8)\n  flatten(attend(rope(q), rope(q), q; scale = g))\n}\n";
    let built = model(file, "[{policy: mine}]", "  - thing: {}\n").unwrap_or_else(|e| panic!("{e}"));
    assert!(policies(&built)[0].turn.is_some());
}

#[test]
fn values_of_entries_can_be_overridden() {
    let path = specs().join("policies/snapkv.yaml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{e}"));
    let built =
        read(&path, text, &[("cache.0.budget", "100"), ("cache.0.on", "[0, 2]")]).unwrap_or_else(|e| panic!("{e}"));
    let all = policies(&built);
    assert_eq!(all.len(), 2);
    assert!(show::policy(&all[0]).contains("top 84.0"), "{}", show::policy(&all[0]));
}

#[test]
fn a_type_of_codes_can_be_set_and_stands_in_the_effective_model() {
    let path = specs().join("models/transformer-130m.yaml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{e}"));
    let built = read(&path, text, &[("cache.type", "int8")]).unwrap_or_else(|e| panic!("{e}"));
    assert!(
        policies(&built)
            .iter()
            .all(|policy| policy.keys.is_some() && policy.values.is_some())
    );
    let effective = seqc::effective::effective(&built);
    assert!(effective.contains("\ncache: {type: int8}\n"), "{effective}");
    let again = read(&path, effective, &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(policies(&built), policies(&again));
}

/// `seqc check --print-effective` gives a model with the same policies.
#[test]
fn the_effective_model_has_the_same_policies() {
    for name in ["lacache", "pyramidkv", "h2o"] {
        let path = specs().join(format!("policies/{name}.yaml"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{e}"));
        let built =
            read(&path, text, &[("cache.0.on", "[0, 2]"), ("cache.0.type", "f16")]).unwrap_or_else(|e| panic!("{e}"));
        let effective = seqc::effective::effective(&built);
        let again = read(&path, effective.clone(), &[]).unwrap_or_else(|e| panic!("{e}\n{effective}"));
        assert_eq!(policies(&built), policies(&again), "{effective}");
        let line = effective.lines().find(|line| line.starts_with("cache:")).unwrap_or("");
        assert!(
            line.starts_with(&format!("cache: {{on: [0, 2], policy: {name}, ")) && line.ends_with(", type: f16}"),
            "{line}"
        );
    }
}
