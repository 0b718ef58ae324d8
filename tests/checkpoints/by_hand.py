"""Tiny random checkpoints of architectures that transformers does not have, under their published names, and what they compute.

usage: by_hand.py [NAME ...]         writes NAME/config.json, NAME/model.safetensors and NAME/expected.safetensors beside this file

Everything is computed from the equations of the papers, a token at a time, in double precision, from parameters that are rounded to bf16, in
which the checkpoint is stored: `input_ids` [20] i64 and `logits` [20, vocab].

needs: pip install torch safetensors
"""
import json, math, pathlib, sys

sys.path.pop(0)  # Folders here have the names of packages.
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
LENGTH = 20
VOCAB = 48
F = torch.float64


class Weights:
    """Parameters by name, drawn when they are first asked for: matrices keep the size of what they read, vectors vary around `base`."""

    def __init__(self, seed=1):
        self.generator = torch.Generator().manual_seed(seed)
        self.all = {}

    def __call__(self, name, *shape, base=0.0, spread=0.2, size=None):
        if name not in self.all:
            noise = torch.randn(shape, generator=self.generator, dtype=F)
            value = base + spread * noise if len([n for n in shape if n > 1]) < 2 else noise * (size or shape[-1] ** -0.5)
            self.all[name] = value.bfloat16()
        assert self.all[name].shape == shape, name
        return self.all[name].to(F)

    def norm(self, name, n):
        return self(name + ".weight", n, base=1.0), self(name + ".bias", n)


def layer_norm(x, weights, eps=1e-5):
    c = x - x.mean(-1, keepdim=True)
    y = c / torch.sqrt((c * c).mean(-1, keepdim=True) + eps)
    return y * weights[0] + weights[1]


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def silu(x):
    return x * sigmoid(x)


def before(rows):
    """The rows of the tokens before."""
    return torch.cat([torch.zeros_like(rows[:1]), rows[:-1]])


def group_norm(o, weights, eps):
    """Layer norm of each head, then weights of all channels."""
    c = o - o.mean(-1, keepdim=True)
    y = (c / torch.sqrt((c * c).mean(-1, keepdim=True) + eps)).flatten(-2)
    return y * weights[0] + weights[1]


def rwkv6(w, tokens, config):
    """Peng et al. 2024, arXiv:2404.05892, section 4.2."""
    d, hd, hidden = config["hidden_size"], config["head_size"], config["intermediate_size"]
    heads = d // hd
    x = layer_norm(w("rwkv.embeddings.weight", VOCAB, d, size=1)[tokens], w.norm("rwkv.blocks.0.pre_ln", d))
    for i in range(config["num_hidden_layers"]):
        a, f = f"rwkv.blocks.{i}.attention.", f"rwkv.blocks.{i}.feed_forward."
        h = layer_norm(x, w.norm(f"rwkv.blocks.{i}.ln1", d))
        delta = before(h) - h
        low = torch.tanh((h + delta * w(a + "time_maa_x", 1, 1, d, base=0.5)[0, 0]) @ w(a + "time_maa_w1", d, 160, size=d**-0.5))
        up = w(a + "time_maa_w2", 5, 32, d, size=0.1)
        mixed = {}
        for n, name in enumerate("wkvrg"):
            by = w(a + f"time_maa_{name}", 1, 1, d, base=0.5)[0, 0] + low[:, 32 * n : 32 * (n + 1)] @ up[n]
            mixed[name] = h + delta * by
        decay = w(a + "time_decay", 1, 1, d, base=-1.0, spread=1.0)[0, 0]
        decay = decay + torch.tanh(mixed["w"] @ w(a + "time_decay_w1", d, 64, size=d**-0.5)) @ w(a + "time_decay_w2", 64, d, size=0.1)
        decay = torch.exp(-torch.exp(decay)).reshape(-1, heads, hd)
        r, k, v = ((mixed[c] @ w(a + name + ".weight", d, d).T).reshape(-1, heads, hd) for c, name in
                   (("r", "receptance"), ("k", "key"), ("v", "value")))
        g = silu(mixed["g"] @ w(a + "gate.weight", d, d).T)
        bonus, state, rows = w(a + "time_faaaa", heads, hd, size=0.5), torch.zeros(heads, hd, hd, dtype=F), []
        for t in range(len(tokens)):
            pair = k[t][:, :, None] * v[t][:, None, :]
            rows.append(torch.einsum("hk,hkv->hv", r[t], state + bonus[:, :, None] * pair))
            state = decay[t][:, :, None] * state + pair
        o = group_norm(torch.stack(rows), w.norm(a + "ln_x", d), 1e-5 * config["head_size_divisor"] ** 2)
        x = x + (o * g) @ w(a + "output.weight", d, d).T
        h = layer_norm(x, w.norm(f"rwkv.blocks.{i}.ln2", d))
        delta = before(h) - h
        hk, hr = (h + delta * w(f + f"time_maa_{c}", 1, 1, d, base=0.5)[0, 0] for c in "kr")
        value = torch.relu(hk @ w(f + "key.weight", hidden, d).T) ** 2 @ w(f + "value.weight", d, hidden).T
        x = x + sigmoid(hr @ w(f + "receptance.weight", d, d).T) * value
    return layer_norm(x, w.norm("rwkv.ln_out", d)) @ w("head.weight", VOCAB, d).T


def rwkv7(w, tokens, config):
    """Peng et al. 2025, arXiv:2503.14456, equations 4 to 22."""
    d, hd, hidden = config["hidden_size"], config["head_dim"], config["intermediate_size"]
    heads, eps = d // hd, config["norm_eps"]
    x = layer_norm(w("model.embeddings.weight", VOCAB, d, size=1)[tokens], w.norm("model.layers.0.pre_norm", d), eps)
    first = None
    for i in range(config["num_hidden_layers"]):
        a, f = f"model.layers.{i}.attn.", f"model.layers.{i}.ffn."

        def lora(name, x, rank, act=lambda x: x, bias=True):
            y = act(x @ w(a + f"{name}_lora.lora.0.weight", rank, d).T) @ w(a + f"{name}_lora.lora.2.weight", d, rank).T
            return y + w(a + f"{name}_lora.lora.2.bias", d, spread=0.5) if bias else y

        h = layer_norm(x, w.norm(f"model.layers.{i}.attn_norm", d), eps)
        delta = before(h) - h
        xr, xw, xk, xv, xa, xg = (h + delta * w(a + f"x_{c}", 1, 1, d, base=0.5)[0, 0] for c in "rwkvag")
        r, k, v = (y @ w(a + f"{c}_proj.weight", d, d).T for c, y in (("r", xr), ("k", xk), ("v", xv)))
        decay = torch.exp(-math.exp(-0.5) * sigmoid(lora("w", xw, config["decay_low_rank_dim"], torch.tanh)))
        if first is None:
            first = v
        else:
            v = v + (first - v) * sigmoid(lora("v", xv, config["v_low_rank_dim"]))
        rate = sigmoid(lora("a", xa, config["a_low_rank_dim"]))
        gate = lora("g", xg, config["gate_low_rank_dim"], sigmoid, bias=False)
        removed = (k * w(a + "k_k", d, base=0.8)).reshape(-1, heads, hd)
        removed = removed / removed.norm(dim=-1, keepdim=True)
        k = k * (1 + (rate - 1) * w(a + "k_a", d, base=1.0))
        r, k, v, decay, rate = (y.reshape(-1, heads, hd) for y in (r, k, v, decay, rate))
        state, rows = torch.zeros(heads, hd, hd, dtype=F), []  # value, key
        for t in range(len(tokens)):
            gone = torch.einsum("hvk,hk->hv", state, removed[t])
            state = state * decay[t][:, None, :] - gone[:, :, None] * (rate[t] * removed[t])[:, None, :] + v[t][:, :, None] * k[t][:, None, :]
            rows.append(torch.einsum("hvk,hk->hv", state, r[t]))
        o = group_norm(torch.stack(rows), w.norm(a + "g_norm", d), hd * eps)
        o = o + ((r * k * w(a + "r_k", heads, hd, size=0.5)).sum(-1, keepdim=True) * v).flatten(-2)
        x = x + (o * gate) @ w(a + "o_proj.weight", d, d).T
        h = layer_norm(x, w.norm(f"model.layers.{i}.ffn_norm", d), eps)
        hk = h + (before(h) - h) * w(f + "x_k", d, base=0.5)
        x = x + torch.relu(hk @ w(f + "key.weight", hidden, d).T) ** 2 @ w(f + "value.weight", d, hidden).T
    return layer_norm(x, w.norm("model.norm", d), eps) @ w("lm_head.weight", VOCAB, d).T


def phi4flash(w, tokens, config):
    """SambaY (Ren et al. 2025, arXiv:2507.06607) with differential attention (Ye et al. 2024, arXiv:2410.05258)."""
    d, heads, kv, layers = (config[k] for k in ("hidden_size", "num_attention_heads", "num_key_value_heads", "num_hidden_layers"))
    hd, hidden, n, taps = d // heads, config["intermediate_size"], config["mamba_d_state"], config["mamba_d_conv"]
    e, rank, half = config["mamba_expand"] * d, math.ceil(d / 16), layers // 2
    count = len(tokens)
    memory = shared = None

    def softmax_of(q, k, v, window):
        """q [T, hd], k [T, hd], v [T, 2 hd]"""
        rows = []
        for t in range(count):
            seen = range(max(0, t - window + 1), t + 1)
            s = torch.stack([q[t] @ k[j] for j in seen]) * hd**-0.5
            p = torch.exp(s - s.max())
            rows.append(sum(p[m] * v[j] for m, j in enumerate(seen)) / p.sum())
        return torch.stack(rows)

    def attention(x, i, window):
        nonlocal shared
        a = f"model.layers.{i}.attn."
        cross = i >= half + 2
        wide = heads * hd if cross else (heads + 2 * kv) * hd
        y = x @ w(a + "Wqkv.weight", wide, d).T + w(a + "Wqkv.bias", wide)
        q = y[:, : heads * hd].reshape(count, heads, hd)
        if cross:
            k, v = shared
        else:
            k = y[:, heads * hd : (heads + kv) * hd].reshape(count, kv, hd)
            v = y[:, (heads + kv) * hd :].reshape(count, kv, hd)
        if i == half + 1:
            shared = k, v
        init = 0.8 - 0.6 * math.exp(-0.3 * i)
        q1, k1, q2, k2 = (w(a + f"inner_cross_attn.lambda_{c}", hd, spread=0.1) for c in ("q1", "k1", "q2", "k2"))
        factor = torch.exp((q1 * k1).sum()) - torch.exp((q2 * k2).sum()) + init
        norm, parts = w(a + "inner_cross_attn.subln.weight", 2 * hd, base=1.0), []
        for p in range(heads // 2):
            m = p // (heads // kv)
            values = torch.cat([v[:, 2 * m], v[:, 2 * m + 1]], dim=-1)
            o = softmax_of(q[:, 2 * p], k[:, 2 * m], values, window) - factor * softmax_of(q[:, 2 * p + 1], k[:, 2 * m + 1], values, window)
            parts.append(o / torch.sqrt((o * o).mean(-1, keepdim=True) + 1e-5) * norm * (1 - init))
        return torch.cat(parts, dim=-1) @ w(a + "out_proj.weight", d, d).T + w(a + "out_proj.bias", d)

    def states(x, i):
        nonlocal memory
        a = f"model.layers.{i}.attn."
        if i >= half + 2:
            return (memory * silu(x @ w(a + "in_proj.weight", e, d).T)) @ w(a + "out_proj.weight", d, e).T
        u, z = (x @ w(a + "in_proj.weight", 2 * e, d).T).split(e, dim=-1)
        conv, bias = w(a + "conv1d.weight", e, 1, taps)[:, 0], w(a + "conv1d.bias", e)
        padded = torch.cat([torch.zeros(taps - 1, e, dtype=F), u])
        u = silu(torch.stack([(padded[t : t + taps] * conv.T).sum(0) for t in range(count)]) + bias)
        dt, B, C = (u @ w(a + "x_proj.weight", rank + 2 * n, e).T).split([rank, n, n], dim=-1)
        dt = torch.log1p(torch.exp(dt @ w(a + "dt_proj.weight", e, rank).T + w(a + "dt_proj.bias", e)))
        A = -torch.exp(w(a + "A_log", e, n, size=0.5))
        D, h, rows = w(a + "D", e, base=1.0), torch.zeros(e, n, dtype=F), []
        for t in range(count):
            h = torch.exp(dt[t][:, None] * A) * h + dt[t][:, None] * B[t][None] * u[t][:, None]
            rows.append(h @ C[t] + D * u[t])
        y = torch.stack(rows)
        if i == half:
            memory = y
        return (y * silu(z)) @ w(a + "out_proj.weight", d, e).T

    x = w("model.embed_tokens.weight", VOCAB, d, size=1)[tokens]
    for i in range(layers):
        h = layer_norm(x, w.norm(f"model.layers.{i}.input_layernorm", d))
        x = x + (states(h, i) if i % 2 == 0 else attention(h, i, config["sliding_window"] if i < half else count))
        h = layer_norm(x, w.norm(f"model.layers.{i}.post_attention_layernorm", d))
        gate, up = (h @ w(f"model.layers.{i}.mlp.fc1.weight", 2 * hidden, d).T).split(hidden, dim=-1)
        x = x + (up * silu(gate)) @ w(f"model.layers.{i}.mlp.fc2.weight", d, hidden).T
    return layer_norm(x, w.norm("model.final_layernorm", d)) @ w("model.embed_tokens.weight", VOCAB, d).T


def hyenadna(w, tokens, config):
    """Hyena (Poli et al. 2023, arXiv:2302.10866) with filters of a network of stored features (HyenaDNA, arXiv:2306.15794)."""
    d, hidden, lags, order = config["d_model"], config["d_inner"], config["max_seq_len"], config["filter_order"]
    features, taps, count = config["emb_dim"], config["short_filter_order"], len(tokens)
    x = w("hyena.backbone.embeddings.word_embeddings.weight", VOCAB, d, size=1)[tokens]
    time = torch.arange(lags, dtype=F) / (lags - 1)
    for i in range(config["n_layer"]):
        b = f"hyena.backbone.layers.{i}."
        m, net = b + "mixer.", b + "mixer.filter_fn.implicit_filter."
        h = layer_norm(x, w.norm(b + "norm1", d))
        u = h @ w(m + "in_proj.weight", 3 * d, d).T + w(m + "in_proj.bias", 3 * d)
        short = w(m + "short_filter.weight", 3 * d, 1, taps)[:, 0]
        padded = torch.cat([torch.zeros(taps - 1, 3 * d, dtype=F), u])
        u = torch.stack([(padded[t : t + taps] * short.T).sum(0) for t in range(count)]) + w(m + "short_filter.bias", 3 * d)
        x0, x1, v = u.split(d, dim=-1)
        freq = w(net + "1.freq", 1, order, base=2.0)[0]
        w.all[m + "filter_fn.pos_emb.t"] = time.reshape(1, lags, 1).float()
        k = w(m + "filter_fn.pos_emb.z", 1, lags, features, size=0.7)[0]
        for n, wide in ((0, features), (2, order), (4, order)):
            k = torch.sin(freq * (k @ w(net + f"{n}.weight", order, wide).T + w(net + f"{n}.bias", order)))
        k = k @ w(net + "6.weight", d, order).T
        deltas = w(m + "filter_fn.modulation.deltas", 1, 1, d, base=-6.0, spread=3.0)[0, 0].abs()
        k = k * (torch.exp(-time[:, None] * deltas) + 0.05)
        u = v * x1
        y = torch.stack([sum(k[l] * u[t - l] for l in range(min(t + 1, lags))) for t in range(count)])
        y = (y + w(m + "filter_fn.bias", d, spread=0.5) * u) * x0
        x = x + y @ w(m + "out_proj.weight", d, d).T + w(m + "out_proj.bias", d)
        h = layer_norm(x, w.norm(b + "norm2", d))
        g = h @ w(b + "mlp.fc1.weight", hidden, d).T + w(b + "mlp.fc1.bias", hidden)
        g = 0.5 * g * (1 + torch.tanh(math.sqrt(2 / math.pi) * (g + 0.044715 * g**3)))
        x = x + g @ w(b + "mlp.fc2.weight", d, hidden).T + w(b + "mlp.fc2.bias", d)
    return layer_norm(x, w.norm("hyena.backbone.ln_f", d)) @ w("lm_head.weight", VOCAB, d).T


MODELS = {
    "rwkv6": (rwkv6, dict(
        architectures=["Rwkv6ForCausalLM"], model_type="rwkv6", hidden_size=32, attention_hidden_size=32, head_size=8, head_size_divisor=8,
        intermediate_size=40, num_hidden_layers=3, layer_norm_epsilon=1e-5, rescale_every=2, tie_word_embeddings=False, vocab_size=VOCAB)),
    # llama.cpp adds 64e-5 in the norms of heads, whatever the configuration says.
    "rwkv7": (rwkv7, dict(
        architectures=["RWKV7ForCausalLM"], model_type="rwkv7", hidden_size=32, head_dim=8, hidden_ratio=2, intermediate_size=40, num_hidden_layers=3,
        decay_low_rank_dim=6, gate_low_rank_dim=10, a_low_rank_dim=8, v_low_rank_dim=4, hidden_act="sqrelu", norm_first=True, norm_bias=True,
        norm_eps=8e-5, attn=None, fuse_norm=True, max_position_embeddings=2048, tie_word_embeddings=False, vocab_size=VOCAB)),
    "phi4flash": (phi4flash, dict(
        architectures=["Phi4FlashForCausalLM"], model_type="phi4flash", hidden_size=32, intermediate_size=40, num_hidden_layers=8,
        num_attention_heads=8, num_key_value_heads=4, hidden_act="silu", layer_norm_eps=1e-5, sliding_window=6, mb_per_layer=2, mamba_d_state=4,
        mamba_d_conv=4, mamba_expand=2, mamba_dt_rank="auto", mamba_conv_bias=True, mamba_proj_bias=False, mlp_bias=False, lm_head_bias=False,
        max_position_embeddings=64, tie_word_embeddings=True, vocab_size=VOCAB)),
    "hyenadna": (hyenadna, dict(
        architectures=["HyenaDNAForCausalLM"], model_type="hyenadna", d_model=32, d_inner=40, n_layer=2, vocab_size=VOCAB - 3,
        pad_vocab_size_multiple=8, max_seq_len=32, emb_dim=5, filter_order=16, short_filter_order=3, hyena_order=2, num_inner_mlps=2,
        train_freq=True, use_bias=True, layer_norm_epsilon=1e-5, tie_word_embeddings=False)),
}


def make(name):
    compute, config = MODELS[name]
    weights = Weights()
    tokens = torch.randint(3, VOCAB - 4, (LENGTH,), generator=torch.Generator().manual_seed(2))
    logits = compute(weights, tokens, config)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file({key: value.contiguous() for key, value in weights.all.items()}, folder / "model.safetensors")
    save_file({"input_ids": tokens, "logits": logits.float().contiguous()}, folder / "expected.safetensors")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name}: {size} bytes, logits from {logits.min():.2f} to {logits.max():.2f}")


if __name__ == "__main__":
    for name in sys.argv[1:] or MODELS:
        make(name)
