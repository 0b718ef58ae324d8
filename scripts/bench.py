"""Emitted programs against llama.cpp: both in turn in one run, medians, ratios with their spread, the memory's speed beside.

usage: python3 bench.py --seqc target/release/seqc --work build [--rounds 5] [--models llama-135m,mamba-130m] [--types f32,q4_0]
       [--activations f32,auto] [--target x86-64]
Rows of models with rounded activations say so: llama-135m-q4_0 (auto).
Prints a Markdown table; everything measured goes to WORK/bench.json.
"""
import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time

PROMPT, COUNT = 512, 128
# Decoding of several sequences at once: tokens of each behind a context of so many, and numbers of sequences.
BATCH_CONTEXT, BATCH_COUNT, BATCHES = 16, 64, (4, 8, 16)


def say(text):
    print(text, file=sys.stderr, flush=True)


def output(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def machine():
    cpu = open("/proc/cpuinfo").read()
    flags = re.search(r"^(?:flags|Features)\s*: (.*)$", cpu, re.M)
    kept = [f for f in (flags.group(1).split() if flags else []) if re.match("avx|fma$|f16c$|asimd|sve|i8mm$|bf16$", f)]
    memory = re.search(r"MemTotal:\s*(\d+)", open("/proc/meminfo").read())
    model = re.search(r"model name\s*: (.*)", cpu)
    return {
        "processor": model.group(1) if model else platform.processor(),
        "cores": os.cpu_count(),
        "features": sorted(kept),
        "memory_gib": round(int(memory.group(1)) / 2**20, 1) if memory else None,
        "system": platform.platform(),
        "load_at_start": os.getloadavg()[0],
    }


class Bench:
    def __init__(self, options):
        self.options = options
        self.probe_binary = os.path.join(options.work, "bandwidth")
        self.peers = os.path.join(options.work, "peers", "bin")
        self.peer_version = None

    def probe(self):
        return float(output([self.probe_binary, str(self.options.threads), "200"]))

    def build(self, name):
        """Imports and builds a model; the program and how long that took."""
        base = os.path.join(self.options.work, "bench", name)
        output([self.options.seqc, "import", base + ".gguf", "-o", base + ".yaml", "--force"])
        start = time.monotonic()
        for activations in self.activations(name):
            target = ["--target", self.options.target] if self.options.target else []
            output([self.options.seqc, "build", base + ".yaml", *target, "--activations", activations, "-o", f"{base}.{activations}"])
        return base, (time.monotonic() - start) / len(self.activations(name))

    def activations(self, name):
        """Those that are measured; f32 weights meet none that is rounded."""
        return [a for a in self.options.activations.split(",") if a == "f32" or not name.endswith("-f32")]

    def peer(self, base):
        text = output([os.path.join(self.peers, "llama-bench"), "-m", base + ".gguf", "-t", str(self.options.threads), "-p", str(PROMPT), "-n", str(COUNT),
                       "-r", "1", "-o", "json"])
        rows = json.loads(text)
        self.peer_version = rows[0].get("build_commit")
        single = {f"pp{r['n_prompt']}" if r["n_gen"] == 0 else f"tg{r['n_gen']}": r["avg_ts"] for r in rows}
        context = max(BATCHES) * (BATCH_CONTEXT + BATCH_COUNT)
        text = output([os.path.join(self.peers, "llama-batched-bench"), "-m", base + ".gguf", "-t", str(self.options.threads), "-c", str(context),
                       "-npp", str(BATCH_CONTEXT), "-ntg", str(BATCH_COUNT), "-npl", ",".join(map(str, BATCHES)), "--output-format", "jsonl"])
        rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return single | {f"tg{r['tg']}@{r['pp']} b{r['pl']}": r["speed_tg"] for r in rows}

    def ours(self, base, activations):
        program = [f"{base}.{activations}", "bench", "-r", "1", "--threads", str(self.options.threads), "--output", "json"]
        single = output(program + ["-p", str(PROMPT), "-n", str(COUNT)])
        batched = output(program + ["-p", "0", "-n", str(BATCH_COUNT), "-d", str(BATCH_CONTEXT), "-b", ",".join(map(str, BATCHES))])
        return speeds(json.loads(single)) | speeds(json.loads(batched))

    def pair(self, name):
        """Alternates the two sides on one model file: a row per test."""
        base, seconds = self.build(name)
        say(f"{name}: built in {seconds:.2f} s")
        samples = []
        for number in range(self.options.rounds):
            before = self.probe()
            theirs, ours = self.peer(base), {a: self.ours(base, a) for a in self.activations(name)}
            after = self.probe()
            samples.append({"bandwidth": [before, after], "peer": theirs, "ours": ours})
            say(f"  round {number + 1}: " + ", ".join(f"{t} {'/'.join(f'{o[t]:.0f}' for o in ours.values())} against {theirs[t]:.0f}" for t in theirs)
                + f" tokens/s; memory {before:.0f}, {after:.0f} GB/s")
        size = os.path.getsize(base + ".gguf")
        return [self.row(name, a, test, samples, size, seconds) for a in self.activations(name) for test in samples[0]["peer"]]

    def row(self, name, activations, test, samples, size, seconds):
        ours, theirs = [s["ours"][activations][test] for s in samples], [s["peer"][test] for s in samples]
        ratios = [a / b for a, b in zip(ours, theirs)]
        bandwidth = [statistics.mean(s["bandwidth"]) for s in samples]
        share = [size * a / b / 1e9 for a, b in zip(ours, bandwidth)] if test == f"tg{COUNT}" else None
        return {
            "model": name if activations == "f32" else f"{name} ({activations})", "test": test, "ours": statistics.median(ours), "peer": statistics.median(theirs),
            "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
            "bandwidth": statistics.median(bandwidth), "bandwidth_min": min(bandwidth), "bandwidth_max": max(bandwidth),
            "share_of_bandwidth": statistics.median(share) if share else None, "build_seconds": seconds, "samples": samples,
        }


def speeds(report):
    """Tokens per second by test name, from the JSON of a program's `bench`."""
    rows = report if isinstance(report, list) else next(v for k in ("results", "tests", "rows") if isinstance(v := report.get(k), list))
    names = ("mean", "tokens_per_second", "avg_ts", "tps")
    return {row["test"]: next(row[k] for k in names if k in row) for row in rows}


def table(rows):
    lines = ["| model | test | seqc, tokens/s | llama.cpp, tokens/s | ratio (min to max) | memory bandwidth, GB/s | utilisation |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for r in rows:
        share = f"{100 * r['share_of_bandwidth']:.0f} %" if r["share_of_bandwidth"] else "-"
        lines.append(f"| {r['model']} | {r['test']} | {r['ours']:.1f} | {r['peer']:.1f} | {r['ratio']:.2f} ({r['ratio_min']:.2f} to "
                     f"{r['ratio_max']:.2f}) | {r['bandwidth']:.0f} ({r['bandwidth_min']:.0f} to {r['bandwidth_max']:.0f}) | {share} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seqc", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", default="llama-135m,mamba-130m")
    parser.add_argument("--types", default="f32,q4_0")
    parser.add_argument("--activations", default="f32,auto")
    parser.add_argument("--target", help="of seqc build; all levels of this machine's kind unless given")
    options = parser.parse_args()
    bench = Bench(options)
    about, rows = machine(), []
    for model in options.models.split(","):
        for kind in options.types.split(","):
            rows += bench.pair(f"{model}-{kind}")
    report = {"version": 1, "machine": about, "peer": f"llama.cpp {bench.peer_version}", "threads": options.threads, "rows": rows}
    path = os.path.join(options.work, "bench.json")
    with open(path, "w") as file:
        json.dump(report, file, indent=1)
    print(f"{about['processor']}, {about['cores']} cores, {options.threads} threads; llama.cpp {bench.peer_version}; "
          f"{options.rounds} rounds of both sides in turn, medians\n")
    print(table(rows))
    say(f"\nall samples: {path}")


main()
