"""Emitted kernels against programs in C: both in turn in one run, the fastest of several repetitions in each round.

usage: python3 bench-kernels.py --seqc SEQC --models FOLDER --work FOLDER [--rounds 5] [--repetitions 5] [--only NAME]
A row is a class with a name, its sizes, `ready`, `peer`, and `settings` of its model; list it in ROWS. Everything measured goes to WORK/kernels.json.
"""
import argparse
import ctypes
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time


def numbers(count, low, high):
    """Arbitrary floats, the same in every run."""
    some = [random.uniform(low, high) for _ in range(min(count, 65521))]
    part, whole = (ctypes.c_float * len(some))(*some), (ctypes.c_float * count)()
    for at in range(0, count, len(some)):
        ctypes.memmove(ctypes.addressof(whole) + 4 * at, part, 4 * min(len(some), count - at))
    return whole


class SelectiveScan:
    """Softplus of the step, the scan over 16 entries a channel, D skip and SiLU gate, f32, 1536 channels."""

    name, model, lengths = "selective scan, D=1536 N=16", "selective-scan", (2048, 8192)

    def __init__(self, work):
        path = os.path.join(work, "libscan.so")
        self.library = ctypes.CDLL(path) if os.path.exists(path) else None

    def ready(self):
        return self.library is not None

    def settings(self, length):
        return []

    def peer(self, length, threads, repetitions):
        """Milliseconds of the faster of the peer's two forms: blocks of channels, and, on one thread, a plain loop."""
        d, n = 1536, 16
        u, dt, z = (numbers(length * d, -1, 1) for _ in range(3))
        b, c = (numbers(length * n, -1, 1) for _ in range(2))
        a, bias, skip, y = numbers(n * d, -4, -1), numbers(d, -1, 1), numbers(d, -1, 1), numbers(length * d, 0, 0)
        state, row, sums = numbers(n * d, 0, 0), numbers(d, 0, 0), numbers(d, 0, 0)
        sizes, inputs = (ctypes.c_long(length), ctypes.c_long(d)), (u, dt, bias, a, b, c, skip, z, y)
        times = [timed(self.library.scan_blocked, *sizes, *inputs, threads) for _ in range(repetitions + 1)][1:]
        if threads == 1:
            times += [timed(self.library.scan_plain, *sizes, *inputs, state, row, sums) for _ in range(repetitions)]
        return times


class LongConvolution:
    """A filter as long as the prompt for each of 256 channels, f32; the peer transforms whole sequences and keeps its filters' spectra, too."""

    name, model, lengths = "long convolution, D=256", "long-convolution", (8192, 65536)

    def __init__(self, work):
        self.program = os.path.join(work, "fftconv")

    def ready(self):
        return os.path.exists(self.program)

    def settings(self, length):
        return [f"sizes.taps={length}"]

    def peer(self, length, threads, repetitions):
        text = output([self.program, str(length), "256", str(threads), str(repetitions), "measure", "FFTW"])
        kept = [json.loads(line) for line in text.splitlines() if "spectrum kept" in line]
        return [found["min_ms"] for found in kept]


ROWS = [SelectiveScan, LongConvolution]

DENSITIES, TOKENS = (50, 25, 10), 8192


def densities(options):
    """Attention of some tokens of a sequence, against attention of a sequence of only so many tokens; the rest of the layer is taken off both."""
    programs = {}
    for percent in (0, 100, *DENSITIES):
        programs[percent] = os.path.join(options.work, f"clocked-attention-{percent}")
        model = os.path.join(options.models, "clocked-attention.yaml")
        output([options.seqc, "build", model, "-o", programs[percent], "--set", f"sizes.percent={percent}"])
    for percent in DENSITIES:
        few = TOKENS * percent // 100
        rounds = []
        for _ in range(options.rounds):
            time_of = lambda density, tokens: min(ours(programs[density], tokens, 1, options.repetitions))
            rounds.append((time_of(100, few) - time_of(0, few), time_of(percent, TOKENS) - time_of(0, TOKENS)))
        ratios = [a / b for a, b in rounds]
        yield {
            "name": f"attention among {percent} % of the tokens; peer: as many tokens alone", "length": TOKENS, "threads": 1, "rounds": rounds,
            "peer": statistics.median(a for a, _ in rounds), "seqc": statistics.median(b for _, b in rounds),
            "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
        }


def timed(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return (time.perf_counter() - start) * 1e3


def output(command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def ours(program, length, threads, repetitions):
    """Milliseconds of reading a prompt of this length."""
    words = ["bench", "-p", str(length), "-n", "0", "-r", str(repetitions), "--threads", str(threads), "--output", "json"]
    return json.loads(output([program, *words]))["results"][0]["milliseconds"]


def measure(row, options):
    for length in row.lengths:
        program = os.path.join(options.work, row.model)
        settings = [word for value in row.settings(length) for word in ("--set", value)]
        output([options.seqc, "build", os.path.join(options.models, row.model + ".yaml"), "-o", program, *settings])
        for threads in (1, 2):
            rounds = []
            for _ in range(options.rounds):
                theirs = min(row.peer(length, threads, options.repetitions))
                rounds.append((theirs, min(ours(program, length, threads, options.repetitions))))
            ratios = [a / b for a, b in rounds]
            yield {
                "name": row.name, "length": length, "threads": threads, "rounds": rounds,
                "peer": statistics.median(a for a, _ in rounds), "seqc": statistics.median(b for _, b in rounds),
                "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
            }


def machine():
    text = open("/proc/cpuinfo").read()
    found = {key: re.search(rf"^(?:{key})\s*: (.*)$", text, re.M) for key in ("model name", "flags|Features")}
    words = found["flags|Features"].group(1).split() if found["flags|Features"] else []
    features = [w for w in words if re.match("avx|fma$|asimd|sve", w)]
    name = found["model name"].group(1) if found["model name"] else "a processor without a name"
    return f"{name} ({', '.join(features)}), {os.cpu_count()} cores"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--seqc", "--models", "--work"):
        parser.add_argument(name, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    random.seed(1)
    rows = []
    kinds = [kind(options.work) for kind in ROWS]
    sources = [measure(row, options) for row in kinds if options.only in row.name and row.ready()]
    if options.only in "attention among":
        sources.append(densities(options))
    for source in sources:
        for found in source:
            rows.append(found)
            print(f"  {found['name']}, {found['length']} tokens, {found['threads']} threads: {found['ratio']:.2f}", file=sys.stderr)
    with open(os.path.join(options.work, "kernels.json"), "w") as file:
        json.dump({"version": 1, "machine": machine(), "rows": rows}, file, indent=1)
    print(f"{machine()}; {options.rounds} rounds of both sides in turn, medians of the fastest of {options.repetitions}\n")
    print("| kernel | tokens | threads | seqc, ms | reference, ms | ratio (min to max) |\n| --- | --- | --- | --- | --- | --- |")
    for r in rows:
        print(f"| {r['name']} | {r['length']} | {r['threads']} | {r['seqc']:.1f} | {r['peer']:.1f} | {r['ratio']:.2f} "
              f"({r['ratio_min']:.2f} to {r['ratio_max']:.2f}) |")


main()
