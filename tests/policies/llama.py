"""A small Llama that reads token by token in double precision, with a cache for each layer and key head that a policy governs."""
import json, pathlib

import numpy as np

WEIGHTS = pathlib.Path(__file__).parent.parent / "fixtures" / "hf" / "llama" / "model.safetensors"
HEADS, KEY_HEADS, WIDTH, LAYERS = 4, 2, 16, 3
MEMBERS = HEADS // KEY_HEADS

# How close decisions were: relative differences of scores, and distances of codes from halves.
MARGINS = []


def load(path):
    """The tensors of a safetensors file."""
    raw = pathlib.Path(path).read_bytes()
    n = int.from_bytes(raw[:8], "little")
    out = {}
    for name, t in json.loads(raw[8:8 + n]).items():
        if name != "__metadata__":
            a, b = t["data_offsets"]
            out[name] = np.frombuffer(raw[8 + n + a:8 + n + b], np.float32).reshape(t["shape"]).astype(float)
    return out


def turn(x, t):
    """Rotary positions."""
    n = x.shape[-1]
    angle = np.asarray(t, float)[..., None] * 1e4 ** (-2 * np.arange(n // 2) / n)
    c, s = np.cos(angle), np.sin(angle)
    a, b = x[..., :n // 2], x[..., n // 2:]
    return np.concatenate([a * c - b * s, a * s + b * c], -1)


def rms(x, w):
    return x / np.sqrt((x * x).mean() + 1e-6) * w


def top(score, k, among):
    """Which entries have the k largest scores of some; of equal ones the first."""
    places = np.flatnonzero(among)
    order = places[np.argsort(-score[places], kind="stable")]
    k = int(max(0, min(k, len(order))))
    out = np.zeros(len(score), bool)
    out[order[:k]] = True
    if 0 < k < len(order):
        a, b = score[order[k - 1]], score[order[k]]
        if a != b:
            MARGINS.append(abs(a - b) / (abs(a) + abs(b)))
    return out


def fewest(x, total, among):
    """How many of the largest positive numbers of some add up to a total."""
    order = np.sort(x[among & (x > 0)])[::-1]
    sums = np.cumsum(order)
    enough = int((sums < total).sum())
    if total > 0 and len(sums):
        MARGINS.append(np.abs(sums / total - 1).min())
    return 0 if total <= 0 else min(enough + 1, len(order))


def coded(x, bits, group, symmetric=False):
    """Rows whose numbers share a step in groups of channels. Steps and least values are f32."""
    out = x.copy()
    for a in range(0, x.shape[-1], group):
        part = x[..., a:a + group]
        if symmetric:
            low, step = 0, np.abs(part).max(-1, keepdims=True) / (2 ** (bits - 1) - 1)
        else:
            low = part.min(-1, keepdims=True)
            step = (part.max(-1, keepdims=True) - low) / (2 ** bits - 1)
        low, step = (np.float32(n).astype(float) for n in (low, step))
        code = np.divide(part - low, step, out=np.zeros_like(part), where=step != 0)
        MARGINS.append(np.abs(np.abs(code - np.floor(code)) - 0.5).min())
        out[..., a:a + group] = low + np.round(code) * step
    return out


def coded_along_tokens(x, bits, group):
    """The same with groups of consecutive rows in each channel."""
    out = x.copy()
    for a in range(0, len(x), group):
        out[a:a + group] = coded(x[a:a + group].T, bits, group).T
    return out


class Head:
    """The cache of a key head; keys are as they are before rotary positions."""

    def __init__(self):
        self.pos, self.k, self.v, self.mem = np.zeros(0, int), np.zeros((0, WIDTH)), np.zeros((0, WIDTH)), {}
        self.coded_keys = self.coded_values = 0

    def keys(self):
        return turn(self.k, self.pos)


class Policy:
    """A cache that keeps all. A policy overrides what it does otherwise; `i` is the position of the token."""
    mems = ()

    def __init__(self, layer):
        self.layer, self.heads, self.queries = layer, [Head() for _ in range(KEY_HEADS)], []

    def begin(self, i):
        pass

    def see(self, c, i):
        """Sets of entries, with the positions of the query and of the keys."""
        return [(np.ones(len(c.pos), bool), i, c.pos)]

    def remember(self, c, w, i):
        pass

    def keep(self, i):
        """For each key head, which entries stay; None: all."""

    def code(self, i):
        pass

    def fresh_key(self, k, i):
        return k

    def fresh_value(self, v):
        return v

    def weights(self, c, h, i, q):
        """Of the query heads that share a key head, over its entries."""
        rows = []
        for g in range(MEMBERS):
            sets = self.see(c, i)
            scores = [np.where(mask & (c.pos <= i), turn(c.k, key) @ turn(q[h * MEMBERS + g], query) / np.sqrt(WIDTH), -np.inf) for mask, query, key in sets]
            e = np.exp(np.stack(scores) - np.max(scores))
            rows.append((e / e.sum()).sum(0))
        return np.array(rows)

    def seen(self, c, h, i, n):
        """What the last n queries give the entries that are there."""
        return sum(self.weights(c, h, t, self.queries[t]).sum(0) for t in range(max(0, i - n + 1), i + 1))

    def step(self, q, k, v, i, reading, ended):
        self.reading, self.ended = reading, ended
        self.begin(i)
        self.queries.append(q)
        out = np.zeros((HEADS, WIDTH))
        for h, c in enumerate(self.heads):
            c.pos = np.append(c.pos, i)
            c.k, c.v = np.vstack([c.k, self.fresh_key(k[h], i)]), np.vstack([c.v, self.fresh_value(v[h])])
            for m in self.mems:
                c.mem[m] = np.append(c.mem.get(m, np.zeros(0)), 0.0)
            w = self.weights(c, h, i, q)
            out[h * MEMBERS:(h + 1) * MEMBERS] = w @ c.v
            self.remember(c, w.sum(0), i)
        kept = self.keep(i)
        for c, m in zip(self.heads, kept or []):
            c.coded_keys, c.coded_values = m[:c.coded_keys].sum(), m[:c.coded_values].sum()
            c.pos, c.k, c.v, c.mem = c.pos[m], c.k[m], c.v[m], {name: x[m] for name, x in c.mem.items()}
        self.code(i)
        return out


def run(policy, tokens, prompt):
    """Logits of all tokens, and the policies of the layers behind them."""
    w = load(WEIGHTS)
    layers, logits, embedding = [policy(layer) for layer in range(LAYERS)], [], w["model.embed_tokens.weight"]
    for i, t in enumerate(tokens):
        x = embedding[t]
        for n, layer in enumerate(layers):
            own = {name.removeprefix(f"model.layers.{n}."): x for name, x in w.items()}
            y = rms(x, own["input_layernorm.weight"])
            q, k, v = (
                (own[f"self_attn.{p}_proj.weight"] @ y).reshape(-1, WIDTH) for p in ("q", "k", "v")
            )
            x = x + own["self_attn.o_proj.weight"] @ layer.step(q, k, v, i, i < prompt - 1, i == prompt - 1).reshape(-1)
            y = rms(x, own["post_attention_layernorm.weight"])
            g = own["mlp.gate_proj.weight"] @ y
            x = x + own["mlp.down_proj.weight"] @ (g / (1 + np.exp(-g)) * (own["mlp.up_proj.weight"] @ y))
        logits.append(embedding @ rms(x, w["model.norm.weight"]))
    return np.array(logits), layers
