"""Each form of code beside the same mathematics in numpy: both on one thread, in turns in one run; results are compared first.

usage: python3 bench-forms.py --seqc SEQC --models FOLDER --work FOLDER [--rounds 5] [--only NAME]
Prints a Markdown table. A row is a function of the inputs `[tokens, …]` by the name of its layer in forms.seq; numpy works in f32 and takes as many
tokens at once as its form allows. needs: pip install numpy safetensors
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
from safetensors.numpy import load_file, save_file

D, HEADS, N, TAPS, WINDOW, EXPERTS, CHOSEN, HIDDEN = 512, 8, 16, 2048, 256, 32, 4, 512
HD = D // HEADS
# Of a block of tokens in numpy's chunked forms; keys with decays of their own are divided by them, in shorter ones.
BLOCK, SHORT = 64, 16


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def kept(a):
    return sigmoid(a + 3)


def rows(x):
    """[tokens, heads * n] as [heads, tokens, n]."""
    return np.ascontiguousarray(x.reshape(len(x), HEADS, -1).transpose(1, 0, 2))


def flat(y):
    return y.transpose(1, 0, 2).reshape(y.shape[1], -1)


def unit(k):
    return k / np.sqrt((k * k).sum(-1, keepdims=True) + 1e-6)


def fused_scan(x, a, b, c):
    f, h, y = kept(a), np.zeros((D, N), np.float32), np.empty_like(x)
    for t in range(len(x)):
        h *= f[t][:, None]
        h += x[t][:, None] * b[t]
        y[t] = h @ c[t]
    return y


def backward_scan(x, a, b, c):
    return fused_scan(x[::-1], a[::-1], b[::-1], c[::-1])[::-1]


def chained_scan(x, a, k):
    f, y = kept(a), np.empty_like(x)
    m, s, n = np.full(D, -1e30, np.float32), np.zeros(D, np.float32), np.zeros(D, np.float32)
    for t in range(len(x)):
        past = m - f[t]
        m = np.maximum(past, k[t])
        old, new = np.exp(past - m), np.exp(k[t] - m)
        s, n = old * s + new * x[t], old * n + new
        y[t] = s / n
    return y


def recurrent_heads(x, W):
    y, h = np.empty_like(x), np.zeros((HEADS, HD, 1), np.float32)
    for t in range(len(x)):
        h = np.tanh(W @ h + x[t].reshape(HEADS, HD, 1))
        y[t] = h.ravel()
    return y


def recurrent(x, W):
    y, h = np.empty_like(x), np.zeros(D, np.float32)
    for t in range(len(x)):
        h = y[t] = np.tanh(W @ h + x[t])
    return y


def duality(q, k, v, a):
    q, k, v, y = rows(q), rows(k), rows(v), np.empty((HEADS, len(q), HD), np.float32)
    logs = np.log(kept(a)).T
    S, lower = np.zeros((HEADS, HD, HD), np.float32), np.tril(np.ones((BLOCK, BLOCK), bool))
    for t in range(0, q.shape[1], BLOCK):
        at = slice(t, t + BLOCK)
        g = np.cumsum(logs[:, at], axis=1)
        D_ = np.exp(np.where(lower, g[:, :, None] - g[:, None, :], -np.inf))
        y[:, at] = (q[:, at] @ k[:, at].transpose(0, 2, 1) * D_) @ v[:, at] + np.exp(g)[:, :, None] * (q[:, at] @ S)
        end = g[:, -1:]
        S = np.exp(end)[:, :, None] * S + (k[:, at] * np.exp(end - g)[:, :, None]).transpose(0, 2, 1) @ v[:, at]
    return flat(y)


def inverse(L):
    """Of 1 + L for strictly lower triangles, in products: the powers of L double."""
    one = np.eye(L.shape[-1], dtype=np.float32)
    X, power, n = one - L, L @ L, 2
    while n < L.shape[-1]:
        X, power, n = X + X @ power, power @ power, 2 * n
    return X


def wy(q, k, v, b, logs=None):
    """Chunks of a delta rule: [heads, tokens, n]; `logs` of decays for each key channel."""
    block = BLOCK if logs is None else SHORT
    y, S = np.empty_like(q), np.zeros((HEADS, q.shape[2], v.shape[2]), np.float32)
    strict, lower = (np.tril(np.ones((block, block), np.float32), n) for n in (-1, 0))
    for t in range(0, q.shape[1], block):
        at = slice(t, t + block)
        kept_, Q, K, W, keep = 1, q[:, at], k[:, at], k[:, at], 1
        if logs is not None:
            g = np.cumsum(logs[:, at], axis=1)
            Q, K, W = Q * np.exp(g), K * np.exp(-g), K * np.exp(g)
            keep = np.exp(g[:, -1])[:, :, None]
        B = b[:, at, None]
        X = inverse(B * (W @ K.transpose(0, 2, 1)) * strict)
        U = X @ (B * (v[:, at] - W @ S))
        y[:, at] = Q @ S + (Q @ K.transpose(0, 2, 1) * lower) @ U
        S = keep * (S + K.transpose(0, 2, 1) @ U)
    return y


def delta(q, k, v, b):
    return flat(wy(rows(q), unit(rows(k)), rows(v), sigmoid(b).T))


def decayed_delta(q, k, v, b, a):
    return flat(wy(rows(q), unit(rows(k)), rows(v), sigmoid(b).T, rows(np.log(kept(a)))))


def two_deltas(q, k, l, v, b):
    twice = lambda first, second: np.stack([first, second], 2).reshape(HEADS, -1, HD)
    q, v, g = rows(q), rows(v), np.repeat(sigmoid(b).T, 2, axis=1)
    return flat(wy(twice(q, q), twice(unit(rows(k)), unit(rows(l))), twice(v, v), g)[:, 1::2])


def held_weights(q, k, v, batch=16):
    q, k, v = rows(q), unit(rows(k)), rows(v)
    W, y, lower = np.zeros((HEADS, HD, HD), np.float32), np.empty_like(q), np.tril(np.ones((batch, batch), np.float32))
    for t in range(0, q.shape[1], batch):
        at = slice(t, t + batch)
        step = (v[:, at] - k[:, at] @ W) / 8
        y[:, at] = q[:, at] @ W + (q[:, at] @ k[:, at].transpose(0, 2, 1) * lower) @ step
        W = W + k[:, at].transpose(0, 2, 1) @ step
    return flat(y)


def filters(x, F):
    n = 2 * len(x)
    return np.fft.irfft(np.fft.rfft(x.T, n) * np.fft.rfft(F[:, :len(x)], n), n)[:, :len(x)].T


def seen(q, k, v, window=None, block=128):
    q, k, v = rows(q) * HD**-0.5, rows(k), rows(v)
    y = np.empty_like(q)
    for t in range(0, q.shape[1], block):
        first = 0 if window is None else max(0, t - window + 1)
        s = q[:, t:t + block] @ k[:, first:t + block].transpose(0, 2, 1)
        apart = np.arange(t, t + s.shape[1])[:, None] - np.arange(first, t + block)
        s[:, (apart < 0) | (apart >= (window or np.inf))] = -np.inf
        s = np.exp(s - s.max(-1, keepdims=True))
        y[:, t:t + block] = s @ v[:, first:t + block] / s.sum(-1, keepdims=True)
    return flat(y)


def windowed(q, k, v):
    return seen(q, k, v, WINDOW)


def experts(x, router, up, down):
    chosen, y = np.argsort(-(x @ router.T), axis=1)[:, :CHOSEN], np.zeros_like(x)
    for e in range(EXPERTS):
        at = np.nonzero((chosen == e).any(1))[0]
        y[at] += np.maximum(x[at] @ up[e].T, 0) @ down[e].T
    return y


WIDE = dict.fromkeys("qkvlxa", D)
PLAIN, OF_HEADS = {}, {"a": HEADS, "b": HEADS}
# What it is, the layer, sizes of inputs that are not D, settings, parameters.
ROWS = [
    ("fused scan, 16 entries a channel", fused_scan, {"b": N, "c": N}, "", {}),
    ("fused scan from the end", backward_scan, {"b": N, "c": N}, "", {}),
    ("fused scan of three states that feed each other", chained_scan, {}, "", {}),
    ("heads in parallel: 8 recurrent networks of 64", recurrent_heads, {}, f"heads: {HEADS}", {"W": (HEADS, HD, HD)}),
    ("token loop: a recurrent network of 512", recurrent, {}, "", {"W": (D, D)}),
    ("state-space duality", duality, OF_HEADS, "", {}),
    ("WY: delta rule", delta, OF_HEADS, "", {}),
    ("WY: delta rule with a decay for each key channel", decayed_delta, {"b": HEADS}, "", {}),
    ("WY: two delta rules a token", two_deltas, OF_HEADS, "", {}),
    ("weights that are held for 16 tokens", held_weights, {}, f"heads: {HEADS}", {}),
    ("long convolution of 2048 taps", filters, {}, f"taps: {TAPS}", {"F": (D, TAPS)}),
    ("attention", seen, {}, f"heads: {HEADS}", {}),
    ("attention in a window of 256", windowed, {}, f"heads: {HEADS}, window: {WINDOW}", {}),
    ("32 experts of 512, 4 chosen", experts, {}, f"hidden: {HIDDEN}, many: {EXPERTS}, chosen: {CHOSEN}",
     {"router": (EXPERTS, D), "up": (EXPERTS, HIDDEN, D), "down": (EXPERTS, D, HIDDEN)}),
]


def output(command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def total(y):
    """What needs every token of the layer, as the layer of that name."""
    h, out = np.zeros(D, np.float32), np.empty_like(y)
    for t in range(len(y)):
        h = out[t] = h * np.float32(0.5) + y[t]
    return out


def measure(row, options):
    what, function, sizes, settings, params = row
    layer = "seen" if function is windowed else function.__name__
    random = np.random.default_rng(1)
    names = [name for name in function.__code__.co_varnames[:function.__code__.co_argcount] if name in "qklvxabc"]
    widths = {name: sizes.get(name, D) for name in names}
    inputs = {name: random.uniform(-1, 1, (options.tokens, width)).astype(np.float32) for name, width in widths.items()}
    weights = {name: (random.standard_normal(shape) * shape[-1]**-0.5).astype(np.float32) for name, shape in params.items()}
    path = lambda end: os.path.join(options.work, f"{function.__name__}{end}")
    save_file(weights or {"none": np.zeros(1, np.float32)}, path(".weights.safetensors"))
    save_file(inputs, path(".inputs.safetensors"))
    letter = {D: "d", N: "n", HEADS: "heads"}
    streams = ", ".join(f'{name}: "[{letter[width]}]"' for name, width in widths.items())
    load = ", ".join(f"{name}: {name}" for name in params)
    with open(path(".yaml"), "w") as file:
        file.write(f"version: 1\nmodel: form\nsizes: {{d: {D}, heads: {HEADS}, n: {N}}}\ninputs: {{{streams}}}\n"
                   f"use: [{os.path.join(options.models, 'forms.seq')}]\nweights: {{file: {path('.weights.safetensors')}}}\n"
                   f"stack:\n  - {layer}: {{{settings}}}\n    block: none\n" + (f"    load: {{{load}}}\n" if load else "") + "  - total: {}\n    block: none\n")
    program = path("")
    output([options.seqc, "build", path(".yaml"), "-o", program, "--quiet"])
    output([program, "run", "--input", path(".inputs.safetensors"), "--output", path(".rows.safetensors"), "--threads", "1"])
    found, expected = load_file(path(".rows.safetensors"))["y"], total(function(**inputs, **weights))
    off = np.abs(found - expected).max() / np.abs(expected).max()
    if not off < 1e-3:
        sys.exit(f"{what}: the results differ by {off:.1e}")
    rounds = []
    for _ in range(options.rounds):
        start = time.perf_counter()
        function(**inputs, **weights)
        theirs = 1e3 * (time.perf_counter() - start)
        words = ["bench", "-p", str(options.tokens), "-n", "0", "-r", "3", "--threads", "1", "--output", "json"]
        rounds.append((theirs, min(json.loads(output([program, *words]))["results"][0]["milliseconds"])))
    return rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--seqc", "--models", "--work"):
        parser.add_argument(name, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print("| form | seqc, ms | numpy, ms | ratio (min to max) |\n| --- | --- | --- | --- |")
    for row in ROWS:
        if options.only not in row[0]:
            continue
        rounds = measure(row, options)
        ratios = sorted(theirs / ours for theirs, ours in rounds)
        theirs, ours = (statistics.median(times) for times in zip(*rounds))
        print(f"| {row[0]} | {ours:.1f} | {theirs:.1f} | {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |", flush=True)


main()
