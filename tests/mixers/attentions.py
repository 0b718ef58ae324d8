"""Attention: over latent keys, over chosen keys and blocks, with keys that change."""
import numpy as np

from experts import choose
from fixture import Fixture, gelu, layer_norm, rms, sigmoid, silu, softmax, turn

D, HEADS, HD = 16, 4, 8


def mla(name):
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, equations 9 to 19), with keys and values of full width."""
    f = Fixture(name, layer="latent_attention")
    q_rank, rank, nope, turned, vd = 10, 6, 6, 4, 5
    q_a, q_norm = f.weight("q_a_proj", q_rank, D), f.weight("q_a_norm", q_rank, scale=0.1, shift=1.0)
    q_b = f.weight("q_b_proj", HEADS * (nope + turned), q_rank)
    kv_a, kv_norm = f.weight("kv_a_proj", rank + turned, D), f.weight("kv_a_norm", rank, scale=0.1, shift=1.0)
    kv_b, out = f.weight("kv_b_proj", HEADS * (nope + vd), rank), f.weight("o_proj", D, HEADS * vd)
    keys, values, rows = [], [], []
    for t, x in enumerate(f.x):
        q = (q_b @ (rms(q_a @ x, 1e-6) * q_norm)).reshape(HEADS, nope + turned)
        q = np.concatenate([q[:, :nope], turn(q[:, nope:], t, interleaved=True)], axis=1)
        latent, k_turned = np.split(kv_a @ x, [rank])
        kv = (kv_b @ (rms(latent, 1e-6) * kv_norm)).reshape(HEADS, nope + vd)
        shared = np.tile(turn(k_turned, t, interleaved=True), (HEADS, 1))
        keys.append(np.concatenate([kv[:, :nope], shared], axis=1))
        values.append(kv[:, nope:])
        K, V = np.array(keys), np.array(values)
        o = [softmax(K[:, h] @ q[h] * (nope + turned) ** -0.5) @ V[:, h] for h in range(HEADS)]
        rows.append(out @ np.concatenate(o))
    f.answer(rows)
    return f


def dsa(name):
    """DeepSeek sparse attention (DeepSeek-V3.2, arXiv:2512.02556, equations 1 and 2): the index score of a key is the weighted sum over index
    heads of rectified products; queries attend to the 12 best keys alone."""
    f = Fixture(name, layer="indexed_attention")
    index_heads, index_hd, top = 2, 4, 12
    q_proj, k_proj, v_proj = f.weight("q_proj", HEADS * HD, D), f.weight("k_proj", HD, D), f.weight("v_proj", HD, D)
    iq, ik, iw = f.weight("index_q", index_heads * index_hd, D), f.weight("index_k", index_hd, D), f.weight("index_weight", index_heads, D)
    out = f.weight("o_proj", D, HEADS * HD)
    keys, values, index_keys, rows = [], [], [], []
    for t, x in enumerate(f.x):
        q = turn((q_proj @ x).reshape(HEADS, HD), t)
        keys.append(turn(k_proj @ x, t))
        values.append(v_proj @ x)
        index_keys.append(ik @ x)
        a = (iq @ x).reshape(index_heads, index_hd)
        score = np.array([(iw @ x) @ np.maximum(a @ k, 0) for k in index_keys])
        # Where every product is negative scores tie at 0: the earlier key is taken.
        chosen = np.argsort(-score, kind="stable")[:top]
        if t >= top:
            edge = np.sort(-score)[top - 1:top + 1]
            assert edge[0] == edge[1] or edge[1] - edge[0] > 1e-6
        K, V = np.array(keys)[chosen], np.array(values)[chosen]
        rows.append(out @ np.concatenate([softmax(K @ q[h] * HD ** -0.5) @ V for h in range(HEADS)]))
    f.answer(rows)
    return f


def nsa(name):
    """Native sparse attention (Yuan et al. 2025, arXiv:2502.11089, equations 5 to 12): compressed blocks of 8, the 2 best blocks besides the first
    and the token's own, and a window of 16; two groups of two heads; blocks do not overlap."""
    f = Fixture(name, layer="native_sparse_attention")
    groups, size, top, window, share = 2, 8, 2, 16, HEADS // 2
    q_proj = f.weight("q_proj", HEADS * HD, D)
    proj = {key: f.weight(key, groups * HD, D) for key in ("k_block", "v_block", "k_chosen", "v_chosen", "k_near", "v_near")}
    place_k, place_v = f.weight("k_place", size, HD, scale=0.3), f.weight("v_place", size, HD, scale=0.3)
    first = {c: f.weight(f"{c}_first", size, HD, HD, scale=(size * HD) ** -0.5) for c in "kv"}
    second = {c: f.weight(f"{c}_second", HD, HD) for c in "kv"}
    gate, out = f.weight("gate", 3 * HEADS, D), f.weight("o_proj", D, HEADS * HD)
    every = {key: (f.x @ w.T).reshape(-1, groups, HD) for key, w in proj.items()}
    every["k_chosen"] = np.array([turn(k, t) for t, k in enumerate(every["k_chosen"])])
    every["k_near"] = np.array([turn(k, t) for t, k in enumerate(every["k_near"])])

    def compressed(c, b, g):
        rows = every[f"{c}_block"][b * size:(b + 1) * size, g] + (place_k if c == "k" else place_v)
        return second[c] @ gelu(sum(first[c][n] @ rows[n] for n in range(size)))

    rows = []
    blocks = {c: np.array([[compressed(c, b, g) for g in range(groups)] for b in range(len(f.x) // size)]) for c in "kv"}
    for t, x in enumerate(f.x):
        q = (q_proj @ x).reshape(HEADS, HD)
        turned, g3 = turn(q, t), sigmoid(gate @ x).reshape(HEADS, 3)
        done, own = (t + 1) // size, t // size
        o = np.zeros((HEADS, HD))
        for g in range(groups):
            total = np.zeros(done)
            for h in range(g * share, (g + 1) * share):
                if done:
                    p = softmax(blocks["k"][:done, g] @ q[h] * HD ** -0.5)
                    o[h] += g3[h, 0] * (p @ blocks["v"][:done, g])
                    total += p
            # The first block and the token's own are taken anyway.
            rest = np.array([total[b] if 0 < b < own else -np.inf for b in range(done)])
            open_ = np.isfinite(rest).sum()
            taken = {0, own} | set(choose(rest, top) if open_ > top else np.flatnonzero(np.isfinite(rest)))
            near = range(max(0, t - window + 1), t + 1)
            chosen = [s for s in range(t + 1) if s // size in taken]
            for h in range(g * share, (g + 1) * share):
                for index, places, branch in ((1, chosen, "chosen"), (2, near, "near")):
                    K, V = every[f"k_{branch}"][places, g], every[f"v_{branch}"][places, g]
                    o[h] += g3[h, index] * (softmax(K @ turned[h] * HD ** -0.5) @ V)
        rows.append(out @ o.ravel())
    f.answer(rows)
    return f


def path(name):
    """PaTH attention (Yang et al. 2025, arXiv:2505.16381, equations 3 to 5): between key and query stand the reflections of all later tokens;
    of the last 48 tokens."""
    f = Fixture(name, layer="path_attention")
    heads, window = 2, 48
    q_proj, k_proj, v_proj, w_proj = (f.weight(key, heads * HD, D) for key in ("q_proj", "k_proj", "v_proj", "w_proj"))
    b_proj, b_bias, out = f.weight("b_proj", heads, D), f.weight("b_bias", heads), f.weight("o_proj", D, heads * HD)
    keys, values, rows = [], [], []
    for x in f.x:
        q, k, v, w = ((m @ x).reshape(heads, HD) for m in (q_proj, k_proj, v_proj, w_proj))
        beta = 2 * sigmoid(b_proj @ x + b_bias)
        o = []
        for h in range(heads):
            u = w[h] / np.sqrt(w[h] @ w[h] + 1e-6)
            H = np.eye(HD) - beta[h] * np.outer(u, u)
            for earlier in keys:
                earlier[h] = H @ earlier[h]
        keys.append(k.copy())
        values.append(v)
        K, V = np.array(keys[-window:]), np.array(values[-window:])
        o = [softmax(K[:, h] @ q[h] * HD ** -0.5) @ V[:, h] for h in range(heads)]
        rows.append(out @ np.concatenate(o))
    f.answer(rows)
    return f


def yoco(name):
    """YOCO (Sun et al. 2024, arXiv:2405.05254, section 2): a layer of sliding windows, then one layer's keys and values, which the two cross
    attentions behind it share; feed-forwards between them, RMS norms before all."""
    f = Fixture(name)
    f.weights = {}
    weights = {}

    def weight(key, *shape, **kind):
        values = f.weight(key, *shape, **kind)
        weights[key] = f.weights.pop(f"{f.layer}.{key}")
        return values

    def normed(key, x):
        return rms(x, 1e-5) * weight(f"{key}.pre_norm.weight", D, scale=0.1, shift=1.0)

    def swiglu(key, x):
        n = normed(key, x)
        gate, up, down = (weight(f"{key}.{p}_proj", *shape) for p, shape in (("gate", (24, D)), ("up", (24, D)), ("down", (D, 24))))
        return x + silu(n @ gate.T) * (n @ up.T) @ down.T

    def heads(rows, count):
        return rows.reshape(len(rows), count, HD)

    def attend(q, k, v, window):
        rows = []
        for t in range(len(q)):
            near = slice(max(0, t - window + 1), t + 1)
            rows.append(np.concatenate([softmax(k[near, h // 2] @ q[t, h] * HD ** -0.5) @ v[near, h // 2] for h in range(HEADS)]))
        return np.array(rows)

    def turned(rows):
        return np.array([turn(row, t) for t, row in enumerate(rows)])

    def attention(key, x, window):
        n = normed(key, x)
        q, k, v = (weight(f"{key}.{p}_proj", count * HD, D) for p, count in (("q", HEADS), ("k", 2), ("v", 2)))
        k, v = turned(heads(n @ k.T, 2)), heads(n @ v.T, 2)
        return x + attend(turned(heads(n @ q.T, HEADS)), k, v, window) @ weight(f"{key}.o_proj", D, HEADS * HD).T, k, v

    def cross(key, x, k, v):
        q = turned(heads(normed(key, x) @ weight(f"{key}.q_proj", HEADS * HD, D).T, HEADS))
        return x + attend(q, k, v, len(x)) @ weight(f"{key}.o_proj", D, HEADS * HD).T

    x = swiglu("near.mlp", attention("near", f.x, 12)[0])
    x, k, v = attention("shared", x, len(f.x))
    x = swiglu("shared.mlp", x)
    for key in ("first", "second"):
        x = swiglu(f"{key}.mlp", cross(key, x, k, v))
    f.weights = weights
    f.answer(x)
    return f


def infllm(name):
    """InfLLM (Xiao et al. 2024, arXiv:2402.04617, section 3): the first block, a window of 16, and the 2 earlier blocks of 8 whose 3
    representative tokens the query meets best; a token represents by how much the 16 queries after it asked for it. Keys before the window
    are all as far away as the window is long. Two groups of two heads choose together."""
    f = Fixture(name, layer="recalled_attention")
    groups, size, window, blocks, kept, share = 2, 8, 16, 2, 3, HEADS // 2
    q_proj, k_proj, v_proj = f.weight("q_proj", HEADS * HD, D), f.weight("k_proj", groups * HD, D), f.weight("v_proj", groups * HD, D)
    out = f.weight("o_proj", D, HEADS * HD)
    q = (f.x @ q_proj.T).reshape(-1, HEADS, HD)
    k, v = ((f.x @ w.T).reshape(-1, groups, HD) for w in (k_proj, v_proj))
    rows = []
    for t in range(len(f.x)):
        o = []
        for g in range(groups):
            asks = q[:, g * share:(g + 1) * share].sum(axis=1)
            # Blocks whose tokens all have 16 tokens behind them, but the first.
            done = [b for b in range(1, len(f.x) // size) if (b + 1) * size <= t + 1 - window]
            score = []
            for b in done:
                tokens = np.arange(b * size, (b + 1) * size)
                weight = np.array([sum(asks[m + i] @ k[m, g] for i in range(1, window + 1)) for m in tokens])
                score.append(sum(asks[t] @ k[m, g] for m in tokens[choose(weight, kept)]))
            score = np.array(score)
            taken = {0} | {done[n] for n in (choose(score, blocks) if len(done) > blocks else range(len(done)))}
            for h in range(g * share, (g + 1) * share):
                s, seen = [], []
                for j in range(t + 1):
                    if t - j < window:
                        s.append(turn(q[t, h], t) @ turn(k[j, g], j))
                    elif j // size in taken:
                        s.append(turn(q[t, h], window) @ k[j, g])
                    else:
                        continue
                    seen.append(v[j, g])
                o.append(softmax(np.array(s) * HD ** -0.5) @ np.array(seen))
        rows.append(out @ np.concatenate(o))
    f.answer(rows)
    return f


def grouped(f, kv_heads):
    """Queries, keys and values of all tokens, keys and values repeated for the heads that share them, and the last projection."""
    q_proj, out = f.weight("q_proj", HEADS * HD, D), f.weight("o_proj", D, HEADS * HD)
    k_proj, v_proj = f.weight("k_proj", kv_heads * HD, D), f.weight("v_proj", kv_heads * HD, D)
    q = (f.x @ q_proj.T).reshape(-1, HEADS, HD)
    k, v = [(f.x @ w.T).reshape(-1, kv_heads, HD).repeat(HEADS // kv_heads, axis=1) for w in (k_proj, v_proj)]
    return q, k, v, out


def stick_breaking(name):
    """Stick-breaking attention (Tan et al. 2024, arXiv:2410.17980, section 2): A[i, j] = b[i, j] prod(j < m < i: 1 - b[i, m]), b = sigmoid(q k / sqrt(hd))."""
    f = Fixture(name, layer="stick_breaking_attention")
    q, k, v, out = grouped(f, 2)
    rows = []
    for t in range(len(f.x)):
        o = []
        for h in range(HEADS):
            share, left, sum_ = sigmoid(k[:t, h] @ q[t, h] * HD ** -0.5), 1.0, np.zeros(HD)
            for j in range(t - 1, -1, -1):
                sum_ += left * share[j] * v[j, h]
                left *= 1 - share[j]
            o.append(sum_)
        rows.append(out @ np.concatenate(o))
    f.answer(rows)
    return f


def forgetting(name):
    """Forgetting attention (Lin et al. 2025, arXiv:2503.02130, equation 8): weights are multiplied by the forget gates of all later tokens."""
    f = Fixture(name, layer="forgetting_attention")
    q, k, v, out = grouped(f, 4)
    gates = sigmoid(f.x @ f.weight("f_proj", HEADS, D).T + f.weight("f_bias", HEADS, scale=1.0, shift=2.0))
    rows = []
    for t in range(len(f.x)):
        o = []
        for h in range(HEADS):
            passed = np.array([np.prod(gates[j + 1:t + 1, h]) for j in range(t + 1)])
            weight = np.exp(k[:t + 1, h] @ q[t, h] * HD ** -0.5) * passed
            o.append(weight @ v[:t + 1, h] / weight.sum())
        rows.append(out @ np.concatenate(o))
    f.answer(rows)
    return f


def cope(name):
    """Contextual positions (Golovneva et al. 2024, arXiv:2405.18719, section 4): the position of a key is the sum of the gates from it to the
    query, embeddings of positions are interpolated."""
    f = Fixture(name, layer="contextual_position_attention")
    q, k, v, out = grouped(f, 2)
    positions = 12
    embedding = f.weight("pos_emb", HD, positions, scale=0.5)
    rows = []
    for t in range(len(f.x)):
        o = []
        for h in range(HEADS):
            s = k[:t + 1, h] @ q[t, h] * HD ** -0.5
            place = np.minimum(np.cumsum(sigmoid(s)[::-1])[::-1], positions - 1)
            low, near = np.floor(place).astype(int), q[t, h] @ embedding
            high = np.minimum(low + 1, positions - 1)
            s = s + (place - low) * near[high] + (1 - (place - low)) * near[low]
            o.append(softmax(s) @ v[:t + 1, h])
        rows.append(out @ np.concatenate(o))
    f.answer(rows)
    return f


MAKERS = {"infllm": infllm, "mla": mla, "dsa": dsa, "nsa": nsa, "path": path, "yoco": yoco, "stick_breaking": stick_breaking,
          "forgetting": forgetting, "cope": cope}
