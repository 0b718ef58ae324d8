"""Memories that learn while they are read, and pools of notes."""
import math

import numpy as np

from fixture import Fixture, gelu, layer_norm, rms, short_conv, sigmoid, silu, softmax, softplus, turn, unit

D, HEADS, HD = 16, 2, 8


def titans(name):
    """The neural memory of Titans (Behrouz et al. 2024, arXiv:2501.00663, equations 8 to 15) as a matrix: loss |M k - v|^2."""
    f = Fixture(name)
    proj = {c: f.weight(f"{c}_proj", D, D) for c in "qkv"}
    taps = {c: f.weight(f"{c}_conv", D, 4) for c in "qkv"}
    gates = {c: (f.weight(f"{c}_gate", HEADS, D), f.weight(f"{c}_bias", HEADS, scale=0.3, shift=shift))
             for c, shift in (("forget", -3.0), ("step", -1.0), ("momentum", 0.5))}
    g_proj, norm, out = f.weight("g_proj", D, D), f.weight("norm", HD, scale=0.1, shift=1.0), f.weight("o_proj", D, D)
    q, k, v = (silu(short_conv(f.x @ proj[c].T, taps[c])).reshape(-1, HEADS, HD) for c in "qkv")
    q, k = unit(q), unit(k)
    M, S, rows = np.zeros((HEADS, HD, HD)), np.zeros((HEADS, HD, HD)), []
    for t, x in enumerate(f.x):
        alpha, theta, eta = (sigmoid(w @ x + b) for w, b in gates.values())
        o = []
        for h in range(HEADS):
            gradient = 2 * np.outer(M[h] @ k[t, h] - v[t, h], k[t, h])
            S[h] = eta[h] * S[h] - theta[h] * gradient
            M[h] = (1 - alpha[h]) * M[h] + S[h]
            o.append(M[h] @ q[t, h])
        rows.append(out @ ((rms(np.array(o), 1e-5) * norm).ravel() * silu(g_proj @ x)))
    f.answer(rows)
    return f


def ttt_linear(name):
    """TTT-Linear (Sun et al. 2024, arXiv:2407.04620, sections 2.3 to 2.7): f(u) = u + LN(W u + b), loss |f(k) - v|^2 / 2, mini-batches of 8."""
    f = Fixture(name)
    batch = 8
    q_proj, k_proj, v_proj, out = (f.weight(key, D, D) for key in ("q_proj", "k_proj", "v_proj", "o_proj"))
    W0, b0 = f.weight("start", HEADS, HD, HD, scale=0.3), f.weight("start_bias", HEADS, HD, scale=0.1)
    gamma, beta = f.weight("ln", HEADS, HD, scale=0.1, shift=1.0), f.weight("ln_bias", HEADS, HD, scale=0.1)
    rate, rate_bias = f.weight("rate", HEADS, D), f.weight("rate_bias", HEADS)
    g_proj, norm, norm_bias = f.weight("g_proj", D, D), f.weight("norm", D, scale=0.1, shift=1.0), f.weight("norm_bias", D, scale=0.1)

    def gradient(h, W, b, k, v):
        """Of the loss at one token: the Jacobian of the layer norm written out."""
        z = W @ k + b
        spread = np.sqrt(((z - z.mean()) ** 2).mean() + 1e-6)
        hat = (z - z.mean()) / spread
        jacobian = np.diag(gamma[h]) @ (np.eye(HD) - 1 / HD - np.outer(hat, hat) / HD) / spread
        g = jacobian.T @ (k + hat * gamma[h] + beta[h] - v)
        return np.outer(g, k), g

    rows, base_W, base_b = [], W0.copy(), b0.copy()
    W, b = W0.copy(), b0.copy()
    for t, x in enumerate(f.x):
        if t % batch == 0:
            base_W, base_b = W.copy(), b.copy()
        q, k, v = ((m @ x).reshape(HEADS, HD) for m in (q_proj, k_proj, v_proj))
        eta = sigmoid(rate @ x + rate_bias) / HD
        o = []
        for h in range(HEADS):
            dW, db = gradient(h, base_W[h], base_b[h], k[h], v[h])
            W[h], b[h] = W[h] - eta[h] * dW, b[h] - eta[h] * db
            o.append(q[h] + layer_norm(W[h] @ q[h] + b[h], 1e-6) * gamma[h] + beta[h])
        rows.append(out @ ((layer_norm(np.concatenate(o), 1e-6) * norm + norm_bias) * gelu(g_proj @ x)))
    f.answer(rows)
    return f


def memmamba(name):
    """Mamba that reads notes of important tokens (after MemMamba, Wang et al. 2025, arXiv:2510.03279): the last 5 notes, first in, first out;
    tokens whose second gate opens attend to them before the selective scan."""
    f = Fixture(name)
    width, pool, e, n, r = 8, 5, 24, 4, 2
    judge, ask_gate = f.weight("judge", D), f.weight("recall", D)
    note, ask, tell = f.weight("note", width, D), f.weight("ask", width, D), f.weight("tell", D, width)
    in_proj, conv, offset = f.weight("in_proj", 2 * e, D), f.weight("conv", e, 4), f.weight("conv_offset", e, scale=0.1)
    x_proj, dt_proj, dt_bias = f.weight("x_proj", r + 2 * n, e), f.weight("dt_proj", e, r), f.weight("dt_bias", e, scale=0.5, shift=-2.0)
    A_log, skip, out = f.set("A_log", np.log(np.tile(np.arange(1, n + 1), (e, 1)))), f.weight("D", e, scale=0.5), f.weight("out_proj", D, e)
    notes, past, state, rows = [], [np.zeros(e)] * 3, np.zeros((e, n)), []
    for x in f.x:
        assert min(abs(judge @ x - 0.3), abs(ask_gate @ x)) > 1e-5
        if judge @ x > 0.3:
            notes = (notes + [note @ x])[-pool:]
        z = x
        if ask_gate @ x > 0 and notes:
            stack = np.array(notes)
            z = x + tell @ (softmax(stack @ (ask @ x) * width ** -0.5) @ stack)
        u, gate = np.split(in_proj @ z, 2)
        past = past[-3:] + [u]
        u = silu(sum(conv[:, i] * past[i] for i in range(4)) + offset)
        dt, B, C = np.split(x_proj @ u, [r, r + n])
        dt = softplus(dt_proj @ dt + dt_bias)
        state = np.exp(-dt[:, None] * np.exp(A_log)) * state + np.outer(dt * u, B)
        rows.append(out @ ((state @ C + skip * u) * silu(gate)))
    f.answer(rows)
    return f


def hope(name):
    """Self-modifying Titans of HOPE (Behrouz et al. 2025, arXiv:2512.24695, section 8): five memories, each a network of two layers without biases
    beside a skip, which all learn from their own answers; read before the write, gradients at the weights with which a chunk of 8 began."""
    f = Fixture(name, layer="self_modifying_titans")
    hidden, chunk, rate = 12, 8, 0.2
    f.x = (f.x + 1).astype(np.float32).astype(np.float64)
    conv, q_proj = f.weight("conv", D, 4), f.weight("q_proj", D, D)
    inner, outer = f.weight("inner", 3, hidden, D), f.weight("outer", 3, D, hidden)
    gate_inner, gate_outer = f.weight("gate_inner", 2, hidden, D), f.weight("gate_outer", 2, hidden)
    gate_skip, out = f.weight("gate_skip", 2, D, scale=0.1, shift=0.3), f.weight("o_proj", D, D)
    # A memory is [matrix at the input, matrix at the output, skip]; the skip of the first three is the identity and stays.
    names = ("key", "value", "memory", "step", "keep")
    now = {key: [inner[i], outer[i], None] for i, key in enumerate(names[:3])}
    now.update({key: [gate_inner[i], gate_outer[i][None], gate_skip[i][None]] for i, key in enumerate(names[3:])})

    def answer(memory, u):
        first, last, skip = memory
        return (u if skip is None else skip @ u) + last @ gelu(first @ u)

    def slope(z):
        return gelu(z) / z + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

    rows = []
    for t, u in enumerate(short_conv(f.x, conv)):
        if t % chunk == 0:
            begun = {key: list(memory) for key, memory in now.items()}
        k, v = unit(answer(begun["key"], u)), answer(begun["value"], u)
        eta, alpha = rate * softplus(answer(begun["step"], u)[0]), sigmoid(answer(begun["keep"], u)[0])
        rows.append(out @ answer(begun["memory"], unit(q_proj @ u)))
        forget = alpha * np.eye(D) - eta * np.outer(k, k)
        for key in names:
            first, last, skip = begun[key]
            error = 2 * (answer(begun[key], k) - answer(begun[key], v))
            z = first @ k
            now[key][0] = now[key][0] @ forget - eta * np.outer((last.T @ error) * slope(z), k)
            now[key][1] = alpha * now[key][1] - eta * np.outer(error, gelu(z))
            if skip is not None:
                now[key][2] = now[key][2] @ forget - eta * np.outer(error, k)
    f.answer(rows)
    return f


def cms(name):
    """Two levels of a continuum memory (Behrouz et al. 2025, arXiv:2512.24695, section 7), each a network of two layers beside a skip whose weights
    change every 4 and every 12 tokens: by the summed gradients of half of |f(x') - x|^2, at the weights with which the period began."""
    f = Fixture(name)
    levels = [("cms", 4), ("cms_2", 12)]
    hidden, rate, stream = 24, 0.003, f.x
    for layer, period in levels:
        f.layer = layer
        A, B = f.weight("inner", hidden, D), f.weight("outer", D, hidden)
        sums, rows = [np.zeros_like(A), np.zeros_like(B)], []
        for t, x in enumerate(stream):
            if t % period == 0:
                A, B = A - rate * sums[0], B - rate * sums[1]
                sums = [np.zeros_like(A), np.zeros_like(B)]
            last = stream[t - 1] if t else np.zeros(D)
            z = A @ last
            error = last + B @ gelu(z) - x
            slope = 0.5 * np.vectorize(math.erf)(z / np.sqrt(2)) + 0.5 + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
            sums[0] += np.outer((B.T @ error) * slope, last)
            sums[1] += np.outer(error, gelu(z))
            rows.append(x + B @ gelu(A @ x))
        stream = np.array(rows)
    f.answer(stream)
    return f


def h_net(name):
    """Dynamic chunking of H-Net (Hwang et al. 2025, arXiv:2507.07955, equations 4 to 9) around one attention and one feed-forward: the chunks are
    found first, then the network runs over their first tokens alone."""
    f = Fixture(name, layer="dynamic_chunks")
    bound_q, bound_k, skip = f.weight("bound_q", D, D), f.weight("bound_k", D, D), f.weight("skip", D, D)
    norm, mlp_norm = f.weight("norm", D, scale=0.1, shift=1.0), f.weight("mlp_norm", D, scale=0.1, shift=1.0)
    q_proj, k_proj, v_proj, out = (f.weight(key, D, D) for key in ("q_proj", "k_proj", "v_proj", "o_proj"))
    gate, up, down = f.weight("gate_proj", 24, D), f.weight("up_proj", 24, D), f.weight("down_proj", D, 24)
    p = [1.0]
    for now, before in zip(f.x[1:], f.x):
        a, b = bound_q @ now, bound_k @ before
        p.append((1 - a @ b / np.sqrt((a @ a) * (b @ b))) / 2)
        assert abs(p[-1] - 0.5) > 1e-5
    starts = [t for t in range(len(p)) if p[t] >= 0.5]
    keys, values, smooth, held = [], [], np.zeros(D), {}
    for t in starts:
        n = rms(f.x[t], 1e-5) * norm
        q = turn((q_proj @ n).reshape(HEADS, HD), t)
        keys.append(turn((k_proj @ n).reshape(HEADS, HD), t))
        values.append((v_proj @ n).reshape(HEADS, HD))
        K, V = np.array(keys), np.array(values)
        u = f.x[t] + out @ np.concatenate([softmax(K[:, h] @ q[h] * HD ** -0.5) @ V[:, h] for h in range(HEADS)])
        m = rms(u, 1e-5) * mlp_norm
        smooth = p[t] * (u + down @ (silu(gate @ m) * (up @ m))) + (1 - p[t]) * smooth
        held[t] = smooth
    f.answer([held[max(s for s in starts if s <= t)] + skip @ x for t, x in enumerate(f.x)])
    return f


MAKERS = {"cms": cms, "h_net": h_net, "hope": hope, "titans": titans, "ttt_linear": ttt_linear, "memmamba": memmamba}
