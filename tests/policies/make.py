"""Known answers of policies that a user writes: tests/policies/NAME.seq, from what docs/caches.md says alone.

usage: make.py [NAME ...]            writes tests/fixtures/user_policies/NAME.safetensors, of all policies or of these

One class here per file, which knows nothing of it: logits of some tokens, and the positions that are kept behind the last one. The model is that of
`specs/policies`. No decision hangs on less than the margin that is printed. Seeds are fixed: a second run writes the same numbers.

needs: pip install numpy
"""
import pathlib, sys

import numpy as np

from llama import *

sys.path.append(str(pathlib.Path(__file__).parent.parent / "mixers"))
from fixture import write

TOKENS, PROMPT = 160, 100


class Scissorhands(Policy):
    """Counts, over the last period of 12, how often an entry got less than the mean weight; at its end the worst leave."""
    mems = ("low",)
    def remember(self, c, w, i):
        n = len(c.pos)
        old = np.zeros(n) if i % 12 == 0 else c.mem["low"]
        c.mem["low"] = old + (w * n < MEMBERS)
    def keep(self, i):
        if i % 12 != 11: return None
        out = []
        for c in self.heads:
            age = i - c.pos
            out.append((age < 10) | top(-c.mem["low"], 30, age >= 10))
        return out


class Keyformer(Policy):
    mems = ("mass",)
    def remember(self, c, w, i):
        tau = 1 + min(i, 80) / 80
        noise = ((c.pos % 101) * 37 + 11) % 101 / 1010
        with np.errstate(divide="ignore"): c.mem["mass"] = c.mem["mass"] + np.exp((np.log(w) + noise) / tau)
    def keep(self, i):
        if self.reading: return None
        return [(i - c.pos < 12) | top(c.mem["mass"], 28, i - c.pos >= 12) for c in self.heads]


class KeyDiff(Policy):
    def keep(self, i):
        if (i + 1) % 8: return None
        out = []
        for c in self.heads:
            k = c.keys(); unit = k / np.sqrt((k * k).sum(-1, keepdims=True))
            out.append((i - c.pos < 8) | top(-(unit @ unit.mean(0)), 24, i - c.pos >= 8))
        return out


class Chance(Policy):
    def keep(self, i):
        out = []
        for c in self.heads:
            draw = ((c.pos % 257) * 97 + 31) % 257
            mid = (c.pos >= 4) & (i - c.pos >= 8)
            out.append(~mid | top(draw.astype(float), 20, mid))
        return out


class Coverage(Policy):
    """FastGen-like: at the prompt's end heads whose newest 24 entries have 45 % of the votes keep only these; others keep the 40 best too."""
    mems = ("mass",)
    def remember(self, c, w, i): c.mem["mass"] = c.mem["mass"] + w
    def keep(self, i):
        if not self.ended: return None
        out = []
        for c in self.heads:
            near = i - c.pos < 24
            share = c.mem["mass"][near].sum() / c.mem["mass"].sum()
            MARGINS.append(abs(share - 0.3))
            out.append(near | (top(c.mem["mass"], 40, ~near) if share < 0.3 else False))
        return out


class Shares(Policy):
    """Key heads share 80 entries by how many entries have more than the mean mass."""
    mems = ("mass",)
    def remember(self, c, w, i): c.mem["mass"] = c.mem["mass"] + w
    def keep(self, i):
        if not (self.ended or (not self.reading and i % 16 == 0)): return None
        spread = [float((c.mem["mass"] * len(c.pos) > c.mem["mass"].sum()).sum()) for c in self.heads]
        out = []
        for c, s in zip(self.heads, spread):
            old = i - c.pos >= 8
            out.append(~old | top(c.mem["mass"], np.floor(80 * s / sum(spread)), old))
        return out


class Pages(Policy):
    """Whole pages of 16 slots: the 3 with the largest mean weight per age; the newest page(s) stay."""
    mems = ("mass",)
    def remember(self, c, w, i): c.mem["mass"] = c.mem["mass"] + w
    def keep(self, i):
        out = []
        for c in self.heads:
            n = len(c.pos)
            if n % 16 or self.reading: out.append(np.ones(n, bool)); continue
            score = (c.mem["mass"] / (i - c.pos + 1)).reshape(-1, 16).mean(-1)
            old = np.arange(n // 16) < n // 16 - 1
            out.append(np.repeat(~old | top(score, 3, old), 16))
        return out


class Layered(Policy):
    """Budgets fall by layer: floor(64 * 0.6 ** layer), the last queries' votes decide, once at the prompt's end."""
    def keep(self, i):
        if not self.ended: return None
        k = np.floor(64 * 0.6 ** self.layer)
        return [(i - c.pos < 8) | top(self.seen(c, h, i, 8), k, i - c.pos >= 8) for h, c in enumerate(self.heads)]


class Mixed(Policy):
    """Keys 4 bits in groups of 4 channels, values 8 bits symmetric in 8; the newest 20 and the first 4 exact."""
    first = 4
    def code(self, i):
        for c in self.heads:
            end = max(len(c.pos) - 20, 0)
            a = max(c.coded_keys, self.first)
            if end > a:
                raw = turn(c.k[a:end], c.pos[a:end])
                c.k[a:end] = turn(coded(raw, 4, 4), -c.pos[a:end])
                c.v[a:end] = coded(c.v[a:end], 8, 8, True)
                c.coded_keys = c.coded_values = end
class Channels(Policy):
    """Keys 4 bits along 16 tokens from 16 behind, values 2 bits in groups of 16 channels, 24 behind; from the first token on."""
    def code(self, i):
        for c in self.heads:
            end = max(0, (len(c.pos) - 16) // 16 * 16)
            if end > c.coded_keys:
                a = c.coded_keys
                c.k[a:end] = turn(coded_along_tokens(turn(c.k[a:end], c.pos[a:end]), 4, 16), -c.pos[a:end]); c.coded_keys = end
            end = max(0, len(c.pos) - 24)
            if end > c.coded_values:
                c.v[c.coded_values:end] = coded(c.v[c.coded_values:end], 2, 16); c.coded_values = end


class Middle(Policy):
    """Sinks, a window, and the best of the middle by a decayed mass; distances of slots."""
    mems = ("mass",)
    def see(self, c, i):
        n = len(c.pos); return [(np.ones(n, bool), n - 1, np.arange(n))]
    def remember(self, c, w, i): c.mem["mass"] = 0.9 * c.mem["mass"] + w
    def keep(self, i):
        out = []
        for c in self.heads:
            mid = (c.pos >= 4) & (i - c.pos >= 16)
            out.append(~mid | top(c.mem["mass"], 24, mid))
        return out


class Once(Policy):
    """At the prompt's end the best 30 and the newest 10; then the answer streams: a window of 12 of it."""
    mems = ("mass",)
    def begin(self, i):
        if i == 0: self.read = 0
        if self.reading or self.ended: self.read += 1
    def remember(self, c, w, i): c.mem["mass"] = c.mem["mass"] + w
    def keep(self, i):
        if self.reading: return None
        out = []
        for c in self.heads:
            if self.ended: out.append((i - c.pos < 10) | top(c.mem["mass"] / (i - c.pos + 1), 30, i - c.pos >= 10))
            else: out.append((c.pos < self.read) | (i - c.pos < 12))
        return out


class Vatp(Policy):
    """Mass times the 1-norm of the value."""
    mems = ("mass",)
    def remember(self, c, w, i): c.mem["mass"] = c.mem["mass"] + w
    def keep(self, i):
        if self.reading: return None
        return [(i - c.pos < 12) | top(c.mem["mass"] * np.abs(c.v).sum(-1), 28, i - c.pos >= 12) for c in self.heads]


class Morph(Policy):
    """Every token of the answer: what the last 6 queries look at most by max pooling over 3."""
    def keep(self, i):
        if self.reading: return None
        out = []
        for h, c in enumerate(self.heads):
            old = i - c.pos >= 6
            s = self.seen(c, h, i, 6); p = np.zeros(len(s))
            for a in range(len(s)):
                js = [b for b in range(a - 1, a + 2) if 0 <= b < len(s) and old[b]]
                p[a] = max((s[b] for b in js), default=0)
            out.append(~old | top(p, 34, old))
        return out


class Duo(Policy):
    table = [[1, 0], [0, 1], [0, 0]]
    def keep(self, i):
        return [np.ones(len(c.pos), bool) if self.table[self.layer][h] else (c.pos < 2) | (i - c.pos < 20) for h, c in enumerate(self.heads)]


class Surprise(Policy):
    """The last two weights: an entry stays that the larger of both favours; a memory reads another's past."""
    mems = ("last", "before")
    def remember(self, c, w, i):
        c.mem["before"] = c.mem["last"]; c.mem["last"] = w
    def keep(self, i):
        return [(i - c.pos < 4) | top(np.maximum(c.mem["last"], c.mem["before"]), 40, i - c.pos >= 4) for c in self.heads]


class Nacl(Policy):
    mems = ("mass",)
    def remember(self, c, w, i): c.mem["mass"] = c.mem["mass"] + w
    def keep(self, i):
        if not (self.ended or (not self.reading and i % 5 == 0)): return None
        out = []
        for c in self.heads:
            old = i - c.pos >= 8
            a = top(c.mem["mass"], 20, old)
            out.append(~old | a | top(((c.pos % 127) * 53 % 127).astype(float), 12, old & ~a))
        return out


class LayerBits(Policy):
    """8 bits in the first layer, 4 behind, for keys as they come; values 4."""
    def fresh_key(self, k, i): return turn(coded(turn(k, i), 8 if self.layer == 0 else 4, 8), -i)
    def fresh_value(self, v): return coded(v, 4, 16, True)


class Spheres(Policy):
    """Blocks of 8 by center and radius: bound q.c + |q| r, for each query head, in prompt and answer; the first block and the open ones are seen."""
    size, few = 8, 4
    def weights(self, c, h, i, q):
        n = len(c.pos); k = c.keys(); rows = []
        closed = max(0, (n - 1) // self.size)   # complete before this token
        for g in range(MEMBERS):
            qq = turn(q[h * MEMBERS + g], i)
            seen = np.ones(n, bool)
            bounds = np.zeros(closed)
            for b in range(closed):
                kk = k[b * self.size:(b + 1) * self.size]; m = kk.mean(0)
                r = np.sqrt(((kk - m) ** 2).sum(-1).max())
                bounds[b] = qq @ m + np.sqrt((qq * qq).sum()) * r
            ch = top(bounds, self.few, np.arange(closed) > 0)
            for b in range(1, closed):
                if not ch[b]: seen[b * self.size:(b + 1) * self.size] = False
            s = np.where(seen, k @ qq / np.sqrt(WIDTH), -np.inf); e = np.exp(s - s.max()); rows.append(e / e.sum())
        return np.array(rows)


class TopP(Policy):
    """The fewest old entries with 88 % of the mean weights, 4 at least; at the prompt's end and every 16 tokens of the answer."""
    mems = ("mass",)
    def remember(self, c, w, i): c.mem["mass"] = c.mem["mass"] + w
    def keep(self, i):
        if not self.ended and (self.reading or i % 16 != 3): return None
        out = []
        for c in self.heads:
            mean, old = c.mem["mass"] / (i - c.pos + 1), i - c.pos >= 8
            out.append(~old | top(mean, max(fewest(mean, 0.88 * mean[old].sum(), old), 4), old))
        return out


class Rkv(Policy):
    """Votes of the last 8 queries, pooled over 5, less how like the other keys a key is."""
    def keep(self, i):
        out = []
        for h, c in enumerate(self.heads):
            n = len(c.pos)
            if not (self.ended or (not self.reading and n > 56)): out.append(np.ones(n, bool)); continue
            votes = self.seen(c, h, i, 8)
            peak = np.array([votes[max(0, a - 2):a + 3].max() for a in range(n)])
            unit = c.keys() / np.linalg.norm(c.keys(), axis=-1, keepdims=True)
            alike = unit @ unit.T
            np.fill_diagonal(alike, 0)
            like = np.exp(alike.sum(-1) / n)
            score = 0.1 * peak / peak.sum() - 0.9 * like / like.sum()
            out.append((i - c.pos < 8) | top(score, 40, i - c.pos >= 8))
        return out


class Lazy(Policy):
    """When an entry was last looked at, and the longest time between two looks."""
    mems = ("last", "longest")
    def remember(self, c, w, i):
        last = np.where(np.arange(len(w)) == len(w) - 1, -1, c.mem["last"])
        looked = w > 0.03 * MEMBERS
        MARGINS.append(np.abs(w / (0.03 * MEMBERS) - 1).min())
        c.mem["longest"] = np.where(looked & (last >= 0), np.maximum(c.mem["longest"], i - last), c.mem["longest"])
        c.mem["last"] = np.where(looked, i, last)
    def keep(self, i):
        if i % 8 != 5: return None
        out = []
        for c in self.heads:
            age, last = i - c.pos, c.mem["last"]
            calm = np.where(last < 0, np.inf, (i - last) / (c.mem["longest"] + 1))
            out.append((age < 12) | top(-calm - age * 0.001, 32, age >= 12))
        return out


class Chosen(Policy):
    """What each query head sees is chosen among closed blocks."""
    size = 8
    def choose(self, q, k, closed):
        """Which of the closed blocks a query sees."""
    def weights(self, c, h, i, q):
        n, k, rows = len(c.pos), c.keys(), []
        closed = (n - 1) // self.size
        for g in range(MEMBERS):
            one = turn(q[h * MEMBERS + g], i)
            seen = np.ones(n, bool)
            seen[:closed * self.size] = np.repeat(self.choose(one, k, closed), self.size)
            seen |= i - c.pos < self.near
            s = np.where(seen, k @ one / np.sqrt(WIDTH), -np.inf); e = np.exp(s - s.max()); rows.append(e / e.sum())
        return np.array(rows)


class Twilight(Chosen):
    """Behind the prompt the fewest blocks of 8 that have 60 % of a softmax over their means."""
    near = 0
    def choose(self, q, k, closed):
        if self.reading or not closed: return np.ones(closed, bool)
        means = k[:closed * 8].reshape(closed, 8, -1).mean(1)
        part = np.exp((means @ q - (means @ q).max()) / np.sqrt(WIDTH))
        return top(part, fewest(part, 0.6 * part.sum(), np.ones(closed, bool)), np.ones(closed, bool))


class Loki(Chosen):
    """Of all entries but the first two and the newest 8, the 24 with the largest product over 6 channels."""
    size, near = 1, 8
    def choose(self, q, k, closed):
        later = np.arange(closed) >= 2
        return ~later | top(k[:closed, :6] @ q[:6], 24, later)


if __name__ == "__main__":
    policies = {policy.__name__.lower(): policy for policy in Policy.__subclasses__() + Chosen.__subclasses__() if policy is not Chosen}
    for name in sys.argv[1:] or policies:
        MARGINS.clear()
        tokens = np.random.default_rng(7).integers(0, 320, TOKENS)
        logits, layers = run(policies[name], tokens, PROMPT)
        rows = np.arange(9, TOKENS, 25)
        kept = {f"kept.{n}.{h}": c.pos.astype(np.int64) for n, layer in enumerate(layers) for h, c in enumerate(layer.heads)}
        folder = pathlib.Path(__file__).parent.parent / "fixtures" / "user_policies"
        folder.mkdir(exist_ok=True)
        write(folder / f"{name}.safetensors", {"input_ids": tokens, "rows": rows, "logits": logits[rows].astype(np.float32), **kept})
        print(name, f"{min(MARGINS, default=1):.1e}", [len(c.pos) for layer in layers for c in layer.heads])
