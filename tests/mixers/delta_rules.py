"""Memories that take away what they hold at a key before they write."""
import numpy as np

from fixture import Fixture, layer_norm, rms, short_conv, sigmoid, silu, softplus, unit

D, HEADS, HD = 16, 2, 8


def rwkv7(name):
    """Time mixing of RWKV-7 (Peng et al. 2025, arXiv:2503.14456, equations 4 to 20) in the first layer, where values are not mixed."""
    f = Fixture(name)
    mix = {c: f.set(f"mix_{c}", f.random.uniform(0, 1, D)) for c in "rwkvag"}
    r_proj, k_proj, v_proj, out = (f.weight(key, D, D) for key in ("r_proj", "k_proj", "v_proj", "o_proj"))
    low = {c: (f.weight(f"{c}_down", 4, D), f.weight(f"{c}_up", D, 4)) for c in "wag"}
    w_bias, a_bias = f.weight("w_bias", D, shift=-1.0), f.weight("a_bias", D)
    k_k, k_a = f.weight("k_k", D, scale=0.2, shift=0.85), f.weight("k_a", D, scale=0.2, shift=1.0)
    r_k = f.weight("r_k", HEADS, HD, scale=0.3)
    norm, norm_bias = f.weight("norm", D, scale=0.1, shift=1.0), f.weight("norm_bias", D, scale=0.1)
    S, before, rows = np.zeros((HEADS, HD, HD)), np.zeros(D), []
    for x in f.x:
        s = {c: x + (before - x) * mix[c] for c in "rwkvag"}
        before = x
        r, k, v = r_proj @ s["r"], k_proj @ s["k"], v_proj @ s["v"]
        w = np.exp(-np.exp(-0.5) * sigmoid(w_bias + low["w"][1] @ np.tanh(low["w"][0] @ s["w"])))
        a = sigmoid(a_bias + low["a"][1] @ (low["a"][0] @ s["a"]))
        g = low["g"][1] @ sigmoid(low["g"][0] @ s["g"])
        kappa = unit((k * k_k).reshape(HEADS, HD), 1e-12)
        k = (k * (1 + (a - 1) * k_a)).reshape(HEADS, HD)
        r, v, w, a = (u.reshape(HEADS, HD) for u in (r, v, w, a))
        o = []
        for h in range(HEADS):
            S[h] = S[h] @ (np.diag(w[h]) - np.outer(kappa[h], a[h] * kappa[h])) + np.outer(v[h], k[h])
            o.append(S[h] @ r[h])
        o = layer_norm(np.array(o), 64e-5).ravel() * norm + norm_bias
        bonus = np.array([(r[h] * k[h] * r_k[h]).sum() * v[h] for h in range(HEADS)]).ravel()
        rows.append(out @ ((o + bonus) * g))
    f.answer(rows)
    return f


def kda(name):
    """Kimi delta attention (Kimi Linear, arXiv:2510.26692, equation 1 and section 4)."""
    f = Fixture(name)
    proj = {c: f.weight(f"{c}_proj", D, D) for c in "qkv"}
    taps = {c: f.weight(f"{c}_conv", D, 4) for c in "qkv"}
    f_down, f_up, dt_bias = f.weight("f_down", HD, D), f.weight("f_up", D, HD), f.weight("dt_bias", D, scale=1.0, shift=-2.0)
    A_log, b_proj = f.weight("A_log", HEADS, scale=0.5, shift=0.5), f.weight("b_proj", HEADS, D)
    g_down, g_up, g_bias = f.weight("g_down", HD, D), f.weight("g_up", D, HD), f.weight("g_bias", D)
    norm, out = f.weight("norm", HD, scale=0.1, shift=1.0), f.weight("o_proj", D, D)
    q, k, v = (silu(short_conv(f.x @ proj[c].T, taps[c])).reshape(-1, HEADS, HD) for c in "qkv")
    q, k = unit(q) * HD ** -0.5, unit(k)
    S, rows = np.zeros((HEADS, HD, HD)), []
    for t, x in enumerate(f.x):
        alpha = np.exp(-np.exp(A_log)[:, None] * softplus(f_up @ (f_down @ x) + dt_bias).reshape(HEADS, HD))
        beta = sigmoid(b_proj @ x)
        o = []
        for h in range(HEADS):
            kk = np.outer(k[t, h], k[t, h])
            S[h] = (np.eye(HD) - beta[h] * kk) @ np.diag(alpha[h]) @ S[h] + beta[h] * np.outer(k[t, h], v[t, h])
            o.append(S[h].T @ q[t, h])
        gate = sigmoid(g_up @ (g_down @ x) + g_bias)
        rows.append(out @ (gate * (rms(np.array(o), 1e-5) * norm).ravel()))
    f.answer(rows)
    return f


def deltaproduct(name):
    """Gated DeltaProduct (Siems et al. 2025, arXiv:2502.10297, section 3): three reflections a token, eigenvalues between -1 and 1."""
    f = Fixture(name, layer="delta_product")
    steps = 3
    q_proj, k_proj, v_proj = f.weight("q_proj", D, D), f.weight("k_proj", steps * D, D), f.weight("v_proj", steps * D, D)
    q_conv, k_conv, v_conv = f.weight("q_conv", D, 4), f.weight("k_conv", steps * D, 4), f.weight("v_conv", steps * D, 4)
    a_proj, A_log, dt_bias = f.weight("a_proj", HEADS, D), f.weight("A_log", HEADS, scale=0.5), f.weight("dt_bias", HEADS, shift=-2.0)
    b_proj = f.weight("b_proj", steps * HEADS, D)
    g_proj, norm, out = f.weight("g_proj", D, D), f.weight("norm", HD, scale=0.1, shift=1.0), f.weight("o_proj", D, D)
    q = unit(silu(short_conv(f.x @ q_proj.T, q_conv)).reshape(-1, HEADS, HD)) * HD ** -0.5
    k = unit(silu(short_conv(f.x @ k_proj.T, k_conv)).reshape(-1, steps, HEADS, HD))
    v = silu(short_conv(f.x @ v_proj.T, v_conv)).reshape(-1, steps, HEADS, HD)
    S, rows = np.zeros((HEADS, HD, HD)), []
    for t, x in enumerate(f.x):
        alpha = np.exp(-np.exp(A_log) * softplus(a_proj @ x + dt_bias))
        beta = 2 * sigmoid(b_proj @ x).reshape(steps, HEADS)
        o = []
        for h in range(HEADS):
            S[h] = alpha[h] * S[h]
            for j in range(steps):
                key, value = k[t, j, h], v[t, j, h]
                S[h] = (np.eye(HD) - beta[j, h] * np.outer(key, key)) @ S[h] + beta[j, h] * np.outer(key, value)
            o.append(S[h].T @ q[t, h])
        rows.append(out @ ((rms(np.array(o), 1e-5) * norm).ravel() * silu(g_proj @ x)))
    f.answer(rows)
    return f


MAKERS = {"rwkv7": rwkv7, "kda": kda, "deltaproduct": deltaproduct}
