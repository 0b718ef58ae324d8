"""Stacks of several rates: layers that run at some tokens only."""
import numpy as np

from encoders import attention
from fixture import Fixture, short_conv, turn

D, HEADS = 16, 2


def attended(f, layer, x):
    """Causal attention with a residual, over the ticks that `x` has."""
    f.layer, width = layer, x.shape[1]
    q, k, v, out = (f.weight(f"{name}_proj", width, width) for name in "qkvo")
    heads = lambda w: (x @ w.T).reshape(len(x), HEADS, width // HEADS)
    turned = lambda w: np.array([turn(row, t, 100.0) for t, row in enumerate(heads(w))])
    seen = np.tril(np.ones((len(x), len(x)), bool))
    y = attention(turned(q), turned(k), heads(v), (width // HEADS) ** -0.5, seen)
    return x + y @ out.T


def convolved(f, layer, x):
    """A short convolution between two gates with a residual, over the ticks that `x` has."""
    f.layer, width = layer, x.shape[1]
    into, taps, out = f.weight("in_proj", 3 * width, width), f.weight("conv", width, 3), f.weight("out_proj", width, width)
    b, c, u = np.split(x @ into.T, 3, axis=1)
    return x + (c * short_conv(b * u, taps)) @ out.T


def held(values, ticks, length):
    """At every token the value of the last tick, zeros before the first."""
    out, last = np.zeros((length, values.shape[1])), np.zeros(values.shape[1])
    at = dict(zip(ticks, values))
    for t in range(length):
        last = at.get(t, last)
        out[t] = last
    return out


def chunk_stack(name):
    """H-Net (Hwang et al. 2025, arXiv:2507.07955, equations 3 to 9) around an attention and a short convolution, whose positions count chunks."""
    f = Fixture(name, D)
    x, n = f.x, len(f.x)
    f.layer = "chunk_bounds"
    a, k = x @ f.weight("bound_q", D, D).T, x @ f.weight("bound_k", D, D).T
    p = np.ones(n)
    for t in range(1, n):
        p[t] = 0.5 - 0.5 * (a[t] @ k[t - 1]) / np.sqrt((a[t] @ a[t]) * (k[t - 1] @ k[t - 1]) + 1e-12)
    assert np.abs(p - 0.5).min() > 1e-3, "a bound that rounding decides"
    ticks = np.flatnonzero(p >= 0.5)
    z = convolved(f, "short_conv", attended(f, "attention", x[ticks]))
    smooth, last = [], np.zeros(D)
    for row, weight in zip(z, p[ticks]):
        last = weight * row + (1 - weight) * last
        smooth.append(last)
    f.layer = "chunk_residual"
    f.answer(held(np.array(smooth), ticks, n) + x @ f.weight("skip", D, D).T)
    return f


def multi_rate(name):
    """Pairs of tokens, every second pair, and the way back."""
    f = Fixture(name, D)
    x, n = f.x, len(f.x)
    before = np.vstack([np.zeros(D), x[:-1]])
    ticks = np.arange(1, n, 2)
    f.layer = "linear_projection"
    z = np.hstack([before, x])[ticks] @ f.weight("weight", 24, 2 * D).T
    z = attended(f, "attention", z)
    z[1::2] = convolved(f, "short_conv", z[1::2])
    f.layer = "widen"
    wide = held(z @ f.weight("weight", 2 * D, 24).T, ticks, n).reshape(n, 2, D)
    f.answer(wide[np.arange(n), (np.arange(n) + 1) % 2])
    return f


MAKERS = {"chunk_stack": chunk_stack, "multi_rate": multi_rate}
