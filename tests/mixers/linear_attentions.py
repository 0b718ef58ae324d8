"""Linear attention with decays: every token writes k v^T into a matrix that fades."""
import numpy as np

from fixture import Fixture, rms, sigmoid, silu, softplus

D, HEADS, HD = 16, 2, 8


def gla(name):
    """Gated linear attention (Yang et al. 2023, arXiv:2312.06635, equations 3 and 4 and section 4.4)."""
    f = Fixture(name)
    q_proj, k_proj, v_proj = f.weight("q_proj", D, D), f.weight("k_proj", D, D), f.weight("v_proj", 2 * D, D)
    low, high, bias = f.weight("a_down", 4, D), f.weight("a_up", D, 4), f.weight("a_bias", D, shift=1.0)
    g_proj, g_bias = f.weight("g_proj", 2 * D, D), f.weight("g_bias", 2 * D)
    norm, out = f.weight("norm", 2 * HD, scale=0.1, shift=1.0), f.weight("o_proj", D, 2 * D)
    S, rows = np.zeros((HEADS, HD, 2 * HD)), []
    for x in f.x:
        alpha = (sigmoid(high @ (low @ x) + bias) ** (1 / 16)).reshape(HEADS, HD)
        q, k, v = (q_proj @ x).reshape(HEADS, HD), (k_proj @ x).reshape(HEADS, HD), (v_proj @ x).reshape(HEADS, 2 * HD)
        o = []
        for h in range(HEADS):
            S[h] = np.diag(alpha[h]) @ S[h] + np.outer(k[h], v[h])
            o.append(rms(HD ** -0.5 * q[h] @ S[h], 1e-5) * norm)
        rows.append(out @ (np.concatenate(o) * silu(g_proj @ x + g_bias)))
    f.answer(rows)
    return f


def lightning(name):
    """Lightning attention of MiniMax-01 (arXiv:2501.08313, section 2.2; Qin et al. 2024, arXiv:2401.04658), in layer 2 of 6."""
    f = Fixture(name, layer="lightning_attention")
    q_proj, k_proj, v_proj, g_proj = (f.weight(key, D, D) for key in ("q_proj", "k_proj", "v_proj", "g_proj"))
    norm, out = f.weight("norm", D, scale=0.1, shift=1.0), f.weight("o_proj", D, D)
    S, rows = np.zeros((HEADS, HD, HD)), []
    for x in f.x:
        q, k, v = (silu(w @ x).reshape(HEADS, HD) for w in (q_proj, k_proj, v_proj))
        o = []
        for h in range(HEADS):
            slope = 2.0 ** (-8 * (h + 1) / HEADS) * (1 - 2 / (6 - 1) + 1e-5)
            S[h] = np.exp(-slope) * S[h] + np.outer(k[h], v[h])
            o.append(q[h] @ S[h])
        rows.append(out @ (sigmoid(g_proj @ x) * rms(np.concatenate(o), 1e-6) * norm))
    f.answer(rows)
    return f


def rwkv4(name):
    """Time mixing of RWKV-4 (Peng et al. 2023, arXiv:2305.13048, equations 11 to 17), the sums as they stand."""
    f = Fixture(name)
    mix_k, mix_v, mix_r = (f.set(key, f.random.uniform(0, 1, D)) for key in ("mix_k", "mix_v", "mix_r"))
    decay, bonus = f.weight("decay", D, scale=1.0, shift=-2.0), f.weight("bonus", D, scale=0.5)
    key, value, receptance = f.weight("key", D, D, scale=0.6), f.weight("value", D, D), f.weight("receptance", D, D)
    out = f.weight("output", D, D)
    w, before, keys, values, rows = np.exp(decay), np.zeros(D), [], [], []
    for t, x in enumerate(f.x):
        r, k, v = (m @ (mix * x + (1 - mix) * before) for m, mix in ((receptance, mix_r), (key, mix_k), (value, mix_v)))
        above, below = np.exp(bonus + k) * v, np.exp(bonus + k)
        for i in range(t):
            e = np.exp(-(t - 1 - i) * w + keys[i])
            above, below = above + e * values[i], below + e
        rows.append(out @ (sigmoid(r) * above / below))
        keys.append(k)
        values.append(v)
        before = x
    f.answer(rows)
    return f


def log_linear(name):
    """Log-linear attention over gated linear attention with one decay per head (Guo et al. 2025, arXiv:2506.04761, equations 4 to 7, the
    mask M = M_S * M_H): a token of the past belongs to a bucket of the Fenwick tree, and level l counts lambda^(l). The last level keeps
    all that is older."""
    f = Fixture(name, length=125, layer="log_linear_attention")
    levels = 6
    q_proj, k_proj, v_proj = (f.weight(key, D, D) for key in ("q_proj", "k_proj", "v_proj"))
    a_proj, a_bias = f.weight("a_proj", HEADS, D), f.weight("a_bias", HEADS, shift=2.0)
    l_proj, l_bias = f.weight("l_proj", HEADS * levels, D), f.weight("l_bias", HEADS * levels)
    out = f.weight("o_proj", D, D)
    kept, keys, values, rows = [], [], [], []
    for t, x in enumerate(f.x):
        q = (q_proj @ x).reshape(HEADS, HD) * HD ** -0.5
        keys.append((k_proj @ x).reshape(HEADS, HD))
        values.append((v_proj @ x).reshape(HEADS, HD))
        kept.append(sigmoid(a_proj @ x + a_bias))
        level_weight = softplus(l_proj @ x + l_bias).reshape(HEADS, levels)
        # The buckets of [0, t]: the token itself is level 0; then, from t down, each takes the lowest set bit of what is left.
        level, end = {t: 0}, t
        while end > 0:
            size = end & -end
            for s in range(end - size, end):
                level[s] = min(size.bit_length(), levels - 1)
            end -= size
        o = np.zeros((HEADS, HD))
        for s in range(t + 1):
            decay = np.prod(kept[s + 1:t + 1], axis=0) if s < t else np.ones(HEADS)
            for h in range(HEADS):
                o[h] += level_weight[h, level[s]] * decay[h] * (q[h] @ keys[s][h]) * values[s][h]
        rows.append(out @ o.ravel())
    f.answer(rows)
    return f


MAKERS = {"gla": gla, "lightning": lightning, "rwkv4": rwkv4, "log_linear": log_linear}
