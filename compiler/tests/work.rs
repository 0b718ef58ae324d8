//! The work for a layer grows with its length, and not with the sizes of its tensors: counted in allocations and in lines of
//! code, which are the same on every machine.

use seqc::{
    backend,
    driver::{self, Product},
    explain,
    model::{self, Built, Meta, ReadOptions},
    render,
    request::{Emit, Request},
    source::Sources,
};
use seqc_abi::Level;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs,
    path::Path,
};

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all work is the system's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = COUNT.with(Cell::get);
    let made = work();
    (made, COUNT.with(Cell::get) - before)
}

/// Layers by their length `n`.
fn forms(n: usize) -> Vec<(&'static str, String)> {
    let lines = |line: &dyn Fn(usize) -> String| (1..=n).map(line).collect::<String>();
    let layer = |body: String, result: &str| format!("layer thing(x: [d]) -> [d] {{\n{body}  {result}\n}}\n");
    // An expression has a bounded number of operators: sums of many are sums of sums.
    let sum = |name: &str| {
        let parts: Vec<String> = (1..=n)
            .collect::<Vec<_>>()
            .chunks(100)
            .enumerate()
            .map(|(k, part)| {
                let terms: Vec<String> = part.iter().map(|i| format!("{name}{i}")).collect();
                format!("  s{k} = {}\n", terms.join(" + "))
            })
            .collect();
        let all: Vec<String> = (0..parts.len()).map(|k| format!("s{k}")).collect();
        (parts.concat(), all.join(" + "))
    };
    let (sums_of_h, all_of_h) = sum("h");
    let (sums_of_y, all_of_y) = sum("y");
    vec![
        (
            "values one token ago, each of the one before",
            layer(
                format!("  a0 = x\n{}", lines(&|i| format!("  a{i} = prev(a{})\n", i - 1))),
                &format!("a{n} + x"),
            ),
        ),
        (
            "the same, scaled on the way",
            layer(
                format!("  a0 = x\n{}", lines(&|i| format!("  a{i} = prev(a{}) * 0.5\n", i - 1))),
                &format!("a{n} + x"),
            ),
        ),
        (
            "recurrences side by side",
            layer(
                lines(&|i| format!("  h{i} = 0.{} * prev(h{i}) + x\n", i % 9 + 1)) + &sums_of_h,
                &all_of_h,
            ),
        ),
        (
            "recurrences one behind the other",
            layer(
                format!(
                    "  h0 = x\n{}",
                    lines(&|i| format!("  h{i} = 0.5 * prev(h{i}) + h{}\n", i - 1))
                ),
                &format!("h{n}"),
            ),
        ),
        (
            "recurrences that read each other",
            layer(
                lines(&|i| format!("  h{i}: [d] = tanh(prev(h{}) + x)\n", i % n + 1)),
                "h1",
            ),
        ),
        ("reports", layer(lines(&|i| format!("  trace r{i} = x * {i}\n")), "x")),
        (
            "products with parameters",
            layer(
                lines(&|i| format!("  param w{i}[d, d]\n  y{i} = w{i} @ x\n")) + &sums_of_y,
                &all_of_y,
            ),
        ),
        (
            "steps of conjugate gradients",
            layer(
                "  r0 = x\n  p0 = x\n".to_owned()
                    + &lines(&|i| {
                        let j = i - 1;
                        format!(
                            "  c{i} = 1 / (1 + sum(d: p{j}[d] * p{j}[d]))\n  r{i} = r{j} - c{i} * p{j}\n  p{i} = r{i} + c{i} * p{j}\n"
                        )
                    }),
                &format!("r{n} + p{n}"),
            ),
        ),
        (
            "powers of powers, and their sum",
            layer(
                format!("  a0 = x\n{}", lines(&|i| format!("  a{i} = a{0} * a{0}\n", i - 1))),
                &format!("x * sum(d: a{n}[d] * x[d])"),
            ),
        ),
        (
            "a state that is added to itself",
            layer(
                format!(
                    "  dim e = d\n  b0 = prev(S)\n{}  S[d, e] = 0.1 * b{n}[d, e] + x[d] * x[e]\n",
                    lines(&|i| format!("  b{i} = b{0} + b{0} * 0.5\n", i - 1))
                ),
                "x * sum(d, e: S[d, e])",
            ),
        ),
        (
            "functions of functions",
            layer(
                lines(&|i| format!("  y{i} = softmax(x * {i})\n")) + &sums_of_y,
                &all_of_y,
            ),
        ),
    ]
}

fn read(name: &str, layer: &str, model: &str) -> Built {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{e}"));
    fs::write(dir.join("layer.seq"), layer).unwrap_or_else(|e| panic!("{e}"));
    let mut sources = Sources::default();
    model::read_text(
        &dir.join("model.yaml"),
        model.to_owned(),
        &mut sources,
        &ReadOptions::default(),
    )
    .unwrap_or_else(|diagnostics| {
        let text: Vec<_> = diagnostics.iter().map(|d| render::human(d, &sources, false)).collect();
        panic!("{}", text.join("\n"))
    })
}

fn kernels(built: &Built) -> String {
    let request = Request {
        read: ReadOptions::default(),
        emit: Emit::Mlir,
        target: "x86-64-v3".to_owned(),
        output: "kernels.mlir".into(),
        embed: false,
        force: false,
        prefix: "seqc".to_owned(),
    };
    match driver::stages(built, &request, &mut |_, _, _| {}) {
        Ok(Product::Text(text)) => text,
        other => panic!("{other:?}"),
    }
}

const MODEL: &str = "version: 1\nmodel: m\nsizes: {d: 24}\ninputs: {x: \"[d]\"}\nuse: [layer.seq]\nweights: {random: 1}\nstack: [thing]\n";

/// Allocations of check, explain, inspect and of the text of all kernels.
fn work(name: &str, layer: &str) -> [usize; 4] {
    let (built, check) = allocations(|| read(name, layer, MODEL));
    let (_, explain) = allocations(|| {
        let canonical = backend::canonical(&built.model);
        let planned = backend::plan(&canonical, &Meta::default(), Level::V3);
        let kinds = canonical.kinds.iter().zip(&planned.plans);
        kinds
            .map(|(k, plan)| explain::layer(&k.graph, &[plan]))
            .collect::<String>()
    });
    let (_, inspect) = allocations(|| {
        let canonical = backend::canonical(&built.model);
        backend::manifest(&backend::plan(&canonical, &Meta::default(), Level::V3))
    });
    let (_, code) = allocations(|| kernels(&built));
    [check, explain, inspect, code]
}

#[test]
fn work_grows_with_the_length_of_a_layer() {
    let mut wrong = Vec::new();
    for ((what, short), (_, long)) in forms(60).into_iter().zip(forms(240)) {
        let (short, long) = (work("work-short", &short), work("work-long", &long));
        for (n, verb) in ["check", "explain", "inspect", "build"].into_iter().enumerate() {
            // Four times the length; what is quadratic takes sixteen times, small parts of it leave the sum below eight.
            if long[n] > 8 * short[n] {
                wrong.push(format!(
                    "{what}: {verb} takes {} allocations, and {} for four times as much",
                    short[n], long[n]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Experts are hundreds of tensors that become one parameter.
#[test]
fn work_grows_with_the_tensors_of_a_stack() {
    let model = |experts: usize| {
        let load = ["gate_proj", "up_proj", "down_proj"].map(|name| format!("{name}: \"e.{{0..{experts}}}.{name}\""));
        MODEL.replace(
            "[thing]",
            &format!(
                "\n  - moe: {{hidden: 8, experts: {experts}}}\n    load: {{{}}}\n",
                load.join(", ")
            ),
        )
    };
    let layer = "layer thing(x: [d]) -> [d] {\n  x\n}\n";
    let work = |experts: usize| allocations(|| read("work-stacks", layer, &model(experts))).1;
    let (few, many) = (work(64), work(512));
    assert!(many < 12 * few, "64 experts take {few} allocations, 512 take {many}");
}

/// No function of generated code is longer than code generation takes well.
#[test]
fn functions_of_generated_code_have_a_bound() {
    for (what, layer) in forms(240) {
        let text = kernels(&read("work-functions", &layer, MODEL));
        let functions = text
            .split("llvm.func ")
            .map(|f| (f.lines().count(), f.lines().next().unwrap_or_default()));
        let longest = functions.max_by_key(|(lines, _)| *lines).unwrap_or_default();
        assert!(longest.0 < 12_000, "{what}: {longest:?}");
    }
}

#[test]
fn code_does_not_grow_with_sizes() {
    let layer = "layer thing(x: [d]; heads = 2, hd = 8, n = 16) -> [d] {
  param w[n, d], k[heads * hd, d], v[d, heads * hd], c[d, 4], u[d, n], t[n]
  h = 0.5 * prev(h) + softmax(w @ x) * t[argmax(n: t[n])]
  q = reshape(k @ x, heads, hd)
  o = attend(q, q, q)
  S[heads, hd, n] = 0.9 * prev(S)[heads, hd, n] + q[heads, hd] * h[n]
  p[heads, hd] = sum(n: S[heads, hd, n] * h[n])
  causal_conv(x, c) + u @ h + v @ flatten(o + p)
}
";
    let lines = |d: usize, settings: &str| {
        let stack = format!("sizes: {{d: {d}}}\ninputs: {{x: \"[d]\"}}\nuse: [layer.seq]\nweights: {{random: 1}}\n");
        let model = format!("version: 1\nmodel: m\n{stack}stack:\n  - thing: {{{settings}}}\n");
        kernels(&read("work-sizes", layer, &model)).lines().count()
    };
    let small = lines(64, "heads: 4, hd: 64, n: 64");
    for (d, settings) in [
        (1_000_003, "heads: 4, hd: 64, n: 64"),
        (64, "heads: 8192, hd: 64, n: 64"),
        (64, "heads: 4, hd: 512, n: 64"),
        (64, "heads: 4, hd: 64, n: 100003"),
    ] {
        let large = lines(d, settings);
        assert!(large < 2 * small, "{small} lines, {large} for d = {d}, {settings}");
    }
}
