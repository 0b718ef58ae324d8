//! What is wrong with cache policies: bodies of a cache `mine`, and models that name it.

/// A model whose attentions have the policy `mine`.
pub(super) const MODEL: &str = "version: 1
model: m
sizes: {d: 8}
use: [layer.seq]
inputs: {x: \"[d]\"}
weights: {random: 1}
cache: [{policy: mine}]
stack:
  - attention: {heads: 2}
  - attention: {heads: 2}
    name: second
  - swiglu: {hidden: 8}
";

/// A cache that is right.
const FINE: &str = "cache mine(; recent = 4) {\n  keep(age < recent)\n}\n";

/// A case: a name, the code of its message, the layer file, the model.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) code: &'static str,
    pub(super) file: String,
    pub(super) model: String,
}

fn of(name: &'static str, code: &'static str, body: &str) -> Case {
    Case {
        name,
        code,
        file: format!("cache mine(; recent = 4) {{\n{body}\n}}\n"),
        model: MODEL.to_owned(),
    }
}

fn entry(name: &'static str, code: &'static str, cache: &str) -> Case {
    Case {
        name,
        code,
        file: FINE.to_owned(),
        model: MODEL.replace("[{policy: mine}]", cache),
    }
}

fn layer(name: &'static str, from: &str, to: &str) -> Case {
    let model = MODEL.replace(
        "  - attention: {heads: 2}\n  - attention: {heads: 2}\n    name: second\n",
        "  - thing: {}\n",
    );
    let body = "cache mine(; recent = 4) {
  see(query = n - 1, key = slot)
  keep(age < recent)
}

layer thing(x: [d]) -> [d] {
  q = reshape(x, 2, 4)
  t = position()
  on = t % 2 == 0
  o = attend(rope(q), rope(q), q; where (i, j) = i - j < 9)
  flatten(o)
}
";
    let file = body.replace(from, to);
    assert_ne!(file, body, "{name}");
    Case {
        name,
        code: "no-policy",
        file,
        model,
    }
}

/// Mistakes in the body of a cache.
pub(super) fn bodies() -> Vec<Case> {
    vec![
        of(
            "cache-heads-count",
            "wrong-operands",
            "  norm = sum(c: key[c] ** 2)\n  keep(top(norm; k = n / 2, over = \"heads\"); at = ended)",
        ),
        of(
            "cache-heads-at",
            "policy-parts",
            "  norm = sum(c: key[c] ** 2)\n  keep(top(sum(heads: norm); k = 4); at = n > 8)",
        ),
        of(
            "cache-heads-and-channels",
            "policy-parts",
            "  use[c] = mean(entries: key[c] ** 2)\n  keep(top(sum(heads: slot); k = 4))\n  keys(channels = use, count = 2, until = n - 8)",
        ),
        of(
            "cache-over-layers",
            "unknown-name",
            "  keep(top(slot; k = 4, over = \"layers\"))",
        ),
        of("cache-entry-in-k", "entry-number", "  keep(top(slot; k = slot))"),
        of("cache-negative-k", "bad-size", "  keep(top(slot; k = recent - 16))"),
        of(
            "cache-entry-in-sum",
            "entry-number",
            "  keep(top(slot; k = fewest(slot; sum = age)))",
        ),
        of(
            "cache-fewest-of-what",
            "wrong-arguments",
            "  keep(top(slot; k = fewest(slot; k = 4)))",
        ),
        of(
            "cache-pool-and-page",
            "wrong-arguments",
            "  keep(pool(age; size = 3, page = 4) < 4)",
        ),
        of(
            "cache-members-in-keep",
            "wrong-operands",
            "  keep(sum(members: slot) < 4)",
        ),
        of("cache-weight-in-keep", "cache-time", "  keep(top(weight; k = 4))"),
        of(
            "cache-prev-in-keep",
            "cache-time",
            "  mass = prev(mass) + weight\n  keep(prev(mass) > 0)",
        ),
        of(
            "cache-top-in-memory",
            "cache-time",
            "  mass = prev(mass) + weight\n  best = if top(mass; k = 4) then prev(best) else weight\n  keep(best > 0)",
        ),
        of(
            "cache-prev-of-counter-in-memory",
            "cache-time",
            "  size = max(prev(size), n)\n  mass = prev(mass) + weight * prev(size)\n  keep(mass > 0)",
        ),
        of(
            "cache-entry-in-until",
            "entry-number",
            "  keys(bits = 8, until = n - age)",
        ),
        of(
            "cache-entry-in-at",
            "entry-number",
            "  old = age > 4\n  keep(age < recent; at = old)",
        ),
        of(
            "cache-entry-in-query",
            "entry-number",
            "  see(query = slot, key = slot)",
        ),
        of(
            "cache-entry-in-channel",
            "entry-number",
            "  use[c] = age * mean(entries: key[c])\n  keys(channels = use, count = 2)",
        ),
        of(
            "cache-two-values",
            "two-values",
            "  size = max(prev(size; init = 4), prev(size; init = 8))\n  keep(slot < size)",
        ),
        of(
            "see-too-far",
            "bad-size",
            "  see(age < recent)\n  see(age >= recent; query = 5e6, key = 0)",
        ),
        of("blocks-missing", "no-blocks", "  see(top(sum(c: query[c]); k = 2))"),
        of(
            "blocks-below",
            "no-blocks",
            "  mean[c] = mean(block: key[c])\n  blocks(size = 4)\n  see(!closed)",
        ),
        of(
            "blocks-key-moves",
            "wrong-operands",
            "  blocks(size = 4)\n  see(age >= 0; query = i, key = if closed then j else 0)",
        ),
        of(
            "blocks-key-chosen",
            "wrong-operands",
            "  blocks(size = 4)\n  see(age >= 0; query = i, key = max(block: j))",
        ),
        of(
            "blocks-key-remembered",
            "wrong-operands",
            "  mass = prev(mass) + weight\n  blocks(size = 4, key = mass)\n  see(!closed)",
        ),
        of(
            "blocks-twice",
            "defined-twice",
            "  blocks(size = 4)\n  blocks(size = 8)",
        ),
        of("blocks-without-size", "wrong-arguments", "  blocks(4)"),
        of("blocks-behind", "bad-size", "  blocks(size = 4, behind = -1)"),
        of("blocks-together", "bad-size", "  blocks(size = 4, together = 0)"),
        of(
            "blocks-and-keep",
            "policy-parts",
            "  blocks(size = 4)\n  see(!closed)\n  keep(age < recent)",
        ),
        of(
            "blocks-and-counters",
            "policy-parts",
            "  blocks(size = 4, together = 8)\n  steps = prev(steps) + 1\n  see(!closed || steps > 3)",
        ),
        of(
            "blocks-whose-query",
            "wrong-operands",
            "  blocks(size = 4, together = 8)\n  mean[c] = mean(block: key[c])\n  see(top(sum(c: query[c] * mean[c]); k = 2))",
        ),
        of(
            "blocks-keys-and-values",
            "wrong-operands",
            "  blocks(size = 4)\n  both[c] = mean(block: key[c] * value[c])\n  see(top(sum(c: query[c] * both[c]); k = 2))",
        ),
        of(
            "blocks-number-in-keep",
            "cache-time",
            "  blocks(size = 4)\n  mean[c] = mean(block: key[c])\n  keep(sum(c: mean[c]) > 0)",
        ),
        of(
            "blocks-blocks-in-keep",
            "cache-time",
            "  blocks(size = 4)\n  keep(max(blocks: age) > 0)",
        ),
        of(
            "blocks-entry-in-choice",
            "entry-number",
            "  blocks(size = 4)\n  see(top(age; k = 2))",
        ),
        of(
            "blocks-search-nothing",
            "bad-size",
            "  blocks(size = 4)\n  see(search(block; k = 0))",
        ),
        of(
            "blocks-seen",
            "cache-time",
            "  blocks(size = 4)\n  see(seen(block) > 0)",
        ),
        of("cache-closed-in-keep", "cache-time", "  keep(closed)"),
        of("cache-rank-in-keep", "cache-time", "  keep(rank < 4)"),
        of("cache-shown-in-keep", "cache-time", "  keep(age < shown)"),
        of("cache-given-in-keep", "cache-time", "  keep(given > 0)"),
        of(
            "cache-given-and-weight",
            "wrong-operands",
            "  mass = prev(mass) + given + weight",
        ),
        of(
            "cache-memory-of-query-heads",
            "wrong-operands",
            "  mass = prev(mass) + given\n  keep(top(mass; k = 4))",
        ),
        of(
            "cache-tokens-and-keep",
            "policy-parts",
            "  keys(bits = 4, group = 4, along = \"tokens\", until = n - 4)\n  keep(age < recent)",
        ),
        of(
            "cache-channels-and-distances",
            "policy-parts",
            "  use[c] = mean(entries: key[c] ** 2)\n  see(query = n - 1, key = slot)\n  keys(channels = use, count = 2, until = n - 4)",
        ),
        of(
            "cache-keys-and-values",
            "wrong-operands",
            "  keep(top(sum(c: key[c] * value[c]); k = 4))",
        ),
        of(
            "cache-block-of-channel",
            "wrong-operands",
            "  blocks(size = 4)\n  m[c] = mean(block: key[c])\n  see(!closed || top(sum(c: query[c] * m[c] * block); k = 4))",
        ),
        of("cache-exact-at-once", "wrong-arguments", "  keys(bits = 4, from = 4)"),
        of(
            "cache-exact-part-of-group",
            "bad-size",
            "  keys(bits = 4, along = \"tokens\", group = 8, from = 4, until = n)",
        ),
        of(
            "cache-list-of-words",
            "wrong-operands",
            "  keep([\"a\", \"b\"][head] == 1)",
        ),
        of("cache-key-moves", "wrong-operands", "  see(query = n, key = slot + n)"),
        of(
            "cache-tokens-at-once",
            "wrong-arguments",
            "  keys(bits = 4, group = 4, along = \"tokens\")",
        ),
        of(
            "cache-group-of-tokens",
            "bad-size",
            "  keys(bits = 4, group = 3, along = \"tokens\", until = n - 4)",
        ),
        of(
            "cache-coded-channels",
            "policy-parts",
            "  use[c] = mean(entries: key[c] ** 2)\n  keys(channels = use, count = 2, bits = 4, until = n - 4)",
        ),
        of("cache-sees-nothing", "policy-parts", "  see(recent < 1)"),
        of("cache-group", "bad-size", "  keys(bits = 8, group = 3)"),
        of("cache-bits", "bad-size", "  keys(bits = 3)"),
        of(
            "cache-count",
            "bad-size",
            "  use[c] = mean(entries: key[c] ** 2)\n  keys(channels = use, count = 5)",
        ),
        of("cache-names", "defined-twice", "  n = 4\n  keep(age < n)"),
        of("cache-keep-twice", "defined-twice", "  keep(age < 4)\n  keep(j < 4)"),
        of("cache-clause", "unknown-name", "  kep(age < 4)"),
        of("cache-option", "unknown-setting", "  keep(age < 4; when_ = ended)"),
        of("cache-function", "unknown-name", "  keep(position() < 4)"),
        of("cache-not-a-condition", "not-a-condition", "  keep(age)"),
        of("cache-not-a-number", "wrong-operands", "  keep(top(age < 4; k = 4))"),
        of("cache-used-before", "used-before", "  keep(age < size)\n  size = n / 2"),
        of("cache-bare-key", "not-indexed", "  keep(top(key; k = 4))"),
        of(
            "cache-bad-index",
            "bad-index",
            "  norm = sum(c: key[c + 1])\n  keep(top(norm; k = 4))",
        ),
        of(
            "cache-whose-query",
            "wrong-operands",
            "  norm = sum(c: query[c])\n  keep(top(norm; k = 4))",
        ),
        of(
            "cache-range",
            "wrong-arguments",
            "  norm = sum(entries < 4: age)\n  keep(top(norm; k = 4))",
        ),
        of(
            "cache-how",
            "unknown-name",
            "  keep(pool(age; size = 3, how = \"median\") < 4)",
        ),
        of("cache-stray", "stray-expression", "  age < 4"),
        of("cache-param", "syntax", "  param w\n  keep(age < 4)"),
        of("cache-misspelt", "unknown-name", "  keep(agee < 4)"),
    ]
}

/// Mistakes in entries of `cache:`, and attentions that have no policy.
pub(super) fn entries() -> Vec<Case> {
    vec![
        entry("policy-unknown", "unknown-policy", "[{policy: mien}]"),
        entry("policy-setting", "unknown-setting", "[{policy: mine, recnt: 8}]"),
        entry("policy-without", "unknown-key", "[{recent: 8}]"),
        entry(
            "policy-two",
            "two-policies",
            "[{policy: mine}, {policy: mine, on: second}]",
        ),
        entry("policy-two-for-all", "two-policies", "[{type: f16}, {type: int8}]"),
        entry("policy-two-types", "two-policies", "[{type: f16}, {type: bf16, on: 1}]"),
        entry("policy-on-nothing", "no-attention", "[{policy: mine, on: atention}]"),
        entry(
            "policy-on-path",
            "no-attention",
            "[{policy: mine, on: layers.1.attention}]",
        ),
        entry(
            "policy-on-mlp",
            "no-attention",
            "[{policy: mine, on: [attention, swiglu]}]",
        ),
        entry("policy-on-number", "no-attention", "[{policy: mine, on: 2}]"),
        Case {
            name: "policy-and-type",
            code: "no-policy",
            file: FINE.replace("  keep(age < recent)", "  values(bits = recent)"),
            model: MODEL.replace("policy: mine", "policy: mine, type: f16"),
        },
        Case {
            name: "policy-and-codes",
            code: "two-policies",
            file: FINE.replace("  keep(age < recent)", "  values(bits = recent)"),
            model: MODEL.replace("policy: mine", "policy: mine, type: int8"),
        },
        entry("policy-type-unknown", "unknown-type", "{type: int4}"),
        Case {
            name: "policy-codes-not-causal",
            model: layer("", "i - j < 9", "i - j < 9, causal = false")
                .model
                .replace("policy: mine", "type: int8"),
            ..layer("policy-codes-not-causal", "i - j < 9", "i - j < 9, causal = false")
        },
        entry("policy-as-type", "unknown-type", "{type: mine}"),
        entry("policy-not-a-list", "wrong-type", "f16"),
        Case {
            name: "policy-setting-missing",
            code: "missing-setting",
            file: FINE.replace("recent = 4", "recent"),
            model: MODEL.to_owned(),
        },
        Case {
            name: "policy-refuses",
            code: "refused",
            file: FINE.replace(
                "  keep",
                "  dim m = if recent > 0 then recent else fail(\"{recent} is not above 0\")\n  keep",
            ),
            model: MODEL.replace("policy: mine", "policy: mine, recent: 0"),
        },
        Case {
            name: "cache-default",
            code: "not-a-number",
            file: FINE.replace("recent = 4", "recent = 0 / 0"),
            model: MODEL.to_owned(),
        },
        Case {
            name: "cache-streams",
            code: "syntax",
            file: FINE.replace("(;", "(x: [d];"),
            model: MODEL.to_owned(),
        },
        layer("policy-not-causal", "i - j < 9", "i - j < 9, causal = false"),
        layer(
            "policy-clock",
            "attend(rope(q), rope(q), q;",
            "attend(rope(q), rope(q) when on, q when on;",
        ),
        layer("policy-normaliser", "i - j < 9", "i - j < 9, normalise = sum"),
        layer(
            "policy-stages",
            "attend(rope(q), rope(q), q; where (i, j) = i - j < 9)",
            "attend(stage(rope(q), rope(q), q), stage(rope(q), rope(q), q))",
        ),
        Case {
            name: "policy-keys-of-another-layer",
            code: "no-policy",
            file: "cache mine() {\n  see(query = n - 1, key = slot)\n}\n".to_owned(),
            model: MODEL.replace(
                "  - attention: {heads: 2}\n    name: second\n",
                "    tap: {keys: k, values: v}\n  - cross_attention: {heads: 2}\n    in: {k: keys, v: values}\n",
            ),
        },
        layer("policy-keys-not-turned", "attend(rope(q), rope(q)", "attend(rope(q), q"),
        layer(
            "policy-turned-otherwise",
            "attend(rope(q), rope(q)",
            "attend(rope(q), rope(q; theta = 100)",
        ),
    ]
}
