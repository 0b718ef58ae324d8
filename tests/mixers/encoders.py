"""Two sequences: one that is read whole, and one whose tokens attend to it."""
import math

import numpy as np

from fixture import Fixture, gelu, layer_norm, softmax, turn

D, E, ROWS = 16, 12, 75


def attention(q, k, v, scale=1.0, seen=None, added=0.0):
    """Equation 1 of Vaswani et al. 2017 (arXiv:1706.03762): q [n, h, e], k [m, g, e], v [m, g, f]; `seen` [n, m], `added` [h, n, m]."""
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    scores = np.einsum("nhe,mhe->hnm", q, k) * scale + added
    if seen is not None:
        scores = np.where(seen, scores, -np.inf)
    return np.einsum("hnm,mhf->nhf", softmax(scores), v).reshape(len(q), -1)


def bucket(distance, causal, buckets, longest):
    """The bucket of a distance from the query back to the key, as T5's published code has it (Raffel et al. 2019, arXiv:1910.10683)."""
    first = 0
    if not causal:
        buckets //= 2
        first, distance = (buckets if distance < 0 else 0), abs(distance)
    distance, exact = max(distance, 0), buckets // 2
    if distance < exact:
        return first + distance
    steps = math.log(distance / exact) / math.log(longest / exact) * (buckets - exact)
    return first + min(exact + int(steps + 1e-9), buckets - 1)


def encoder_decoder(name):
    """An encoder and a decoder with the attentions of CAB (Zhang et al. 2023, arXiv:2210.07661, section 3.1)."""
    f = Fixture(name, D)
    memory = f.inputs["m"] = f.normal(ROWS, E)

    def heads(layer, stream, proj, count, width, bias=False):
        f.layer = layer
        y = stream @ f.weight(f"{proj}_proj", count * width, stream.shape[1]).T
        if bias:
            y = y + f.weight(f"{proj}_bias", count * width, scale=0.3)
        return y.reshape(len(stream), count, width)

    def own(layer, x, count, causal):
        """Attention inside a sequence, with T5's scores of distances."""
        n, width = len(x), x.shape[1] // count
        q, k, v = (heads(layer, x, proj, count, width) for proj in "qkv")
        f.layer = layer
        table, out = f.weight("distances", 8, count, scale=1.0), f.weight("o_proj", x.shape[1], count * width)
        added = np.array([[table[bucket(i - j, causal, 8, 20)] for j in range(n)] for i in range(n)]).transpose(2, 0, 1)
        seen = np.tril(np.ones((n, n), bool)) if causal else None
        return x + attention(q, k, v, 1.0, seen, added) @ out.T

    def other(layer, x, rows, count, groups, aligned, bias):
        """Attention to the rows of the other sequence."""
        width = D // count
        q = heads(layer, x, "q", count, width, bias)
        k, v = (heads(layer, rows, proj, groups, width, bias) for proj in "kv")
        out, shift = f.weight("o_proj", D, D), f.weight("o_bias", D, scale=0.3) if bias else 0.0
        seen = np.arange(len(rows))[None, :] <= np.arange(len(x))[:, None] if aligned else None
        return x + attention(q, k, v, width ** -0.5, seen) @ out.T + shift

    memory = own("encoder.bucketed_attention", memory, 3, False)
    f.layer = "encoder.mlp"
    up, up_bias = f.weight("up_proj", 20, E), f.weight("up_bias", 20, scale=0.3)
    down, down_bias = f.weight("down_proj", E, 20), f.weight("down_bias", E, scale=0.3)
    memory = memory + gelu(memory @ up.T + up_bias) @ down.T + down_bias
    y = own("bucketed_attention", f.x, 4, True)
    y = other("memory_attention", y, memory, 4, 2, False, True)
    f.answer(other("memory_attention_2", y, memory, 2, 2, True, False))
    return f


def mlm_u(name):
    """Masked language modelling with uniform rates (MLM-U, Nolte et al. 2024, arXiv:2411.05718): visible tokens alone are read, and then asked
    from every position by the same vector."""
    f, hidden, heads, width = Fixture(name, D, length=60), 24, 2, D // 2
    f.x[f.random.random(len(f.x)) < 0.4] = 0.0
    visible, places = np.abs(f.x).sum(axis=1) > 0, range(len(f.x))

    def normed(x, key):
        return layer_norm(x, 1e-5) * f.weight(key, D, scale=0.1, shift=1.0) + f.weight(f"{key}_bias", D, scale=0.1)

    def turned(rows):
        return np.array([turn(row, t) for t, row in zip(places, rows)])

    def split(x, key):
        return (x @ f.weight(key, D, D).T).reshape(len(x), heads, width)

    def fed(x, key):
        n = normed(x, f"{key}norm" if key else "mlp_norm")
        return x + gelu(n @ f.weight(f"{key}up_proj", hidden, D).T) @ f.weight(f"{key}down_proj", D, hidden).T

    seen = np.tile(visible, (len(f.x), 1))
    n = normed(f.x, "norm")
    q, k, v = turned(split(n, "q_proj")), turned(split(n, "k_proj")), split(n, "v_proj")
    e = fed(f.x + attention(q, k, v, width ** -0.5, seen) @ f.weight("o_proj", D, D).T, "")
    m = normed(e, "memory_norm")
    asks = np.tile(f.weight("asks", D, scale=1.0).reshape(heads, width), (len(f.x), 1, 1))
    k, v = turned(split(m, "memory_k_proj")), split(m, "memory_v_proj")
    r = attention(turned(asks), k, v, width ** -0.5, seen) @ f.weight("memory_o_proj", D, D).T
    f.answer(fed(r, "last_"))
    return f


MAKERS = {"encoder_decoder": encoder_decoder, "mlm_u": mlm_u}
