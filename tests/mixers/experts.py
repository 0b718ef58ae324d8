"""Mixtures of experts."""
import numpy as np

from fixture import Fixture, sigmoid, silu, softmax

D, HIDDEN, EXPERTS = 16, 12, 8


def choose(scores, count):
    """The indices of the `count` highest scores, which are far enough apart for f32 to find the same."""
    order = np.argsort(-scores, kind="stable")
    if count < len(scores):
        assert scores[order[count - 1]] - scores[order[count]] > 1e-6
    return order[:count]


def moe(name):
    """Four routers over the same experts: Shazeer et al. 2017 (arXiv:1701.06538) as Mixtral has it, DeepSeek-V3 (arXiv:2412.19437, section
    2.1.2), gpt-oss (arXiv:2508.10925), and Switch (arXiv:2101.03961, section 2.2) with a capacity. The results of the first router's 4 experts are
    whole vectors of 8 and 16 numbers together, those of one expert are not."""
    f = Fixture(name, D, length=108)
    router = f.weight("router", EXPERTS, D)
    router_bias, correction = f.weight("router_bias", EXPERTS, scale=0.3), f.weight("correction", EXPERTS, scale=0.2)
    gate, up = f.weight("gate_proj", EXPERTS, HIDDEN, D), f.weight("up_proj", EXPERTS, HIDDEN, D)
    down = f.weight("down_proj", EXPERTS, D, HIDDEN)
    gate_up, gate_up_bias = f.weight("gate_up_proj", EXPERTS, 2 * HIDDEN, D), f.weight("gate_up_bias", EXPERTS, 2 * HIDDEN, scale=0.3)
    down_bias = f.weight("down_bias", EXPERTS, D, scale=0.3)
    shared_gate, shared_up = f.weight("shared_gate_proj", 12, D), f.weight("shared_up_proj", 12, D)
    shared_down, shared_router = f.weight("shared_down_proj", D, 12), f.weight("shared_router", D)

    def expert(e, x):
        return down[e] @ (silu(gate[e] @ x) * (up[e] @ x))

    rows = {"y": [], "y_sigmoid": [], "y_biased": [], "y_capacity": []}
    used = np.zeros(EXPERTS)
    for t, x in enumerate(f.x):
        p = softmax(router @ x)
        chosen = choose(p, 4)
        rows["y"].append(sum(p[e] / p[chosen].sum() * expert(e, x) for e in chosen))

        # Four groups of two; the two best groups are open.
        s = sigmoid(router @ x)
        open_groups = choose((s + correction).reshape(4, 2).sum(axis=1), 2)
        allowed = np.array([s[e] + correction[e] if e // 2 in open_groups else -np.inf for e in range(EXPERTS)])
        chosen = choose(allowed, 3)
        shared = shared_down @ (silu(shared_gate @ x) * (shared_up @ x))
        rows["y_sigmoid"].append(sum(2.5 * s[e] / s[chosen].sum() * expert(e, x) for e in chosen) + sigmoid(shared_router @ x) * shared)

        # The softmax of the chosen logits alone; gates and ups lie alternately; the experts have biases and bounds.
        logits = router @ x + router_bias
        chosen = choose(logits, 3)
        y = 0
        for weight, e in zip(softmax(logits[chosen]), chosen):
            both = gate_up[e] @ x + gate_up_bias[e]
            g, u = np.minimum(both[0::2], 0.8), np.clip(both[1::2], -0.8, 0.8)
            y = y + weight * (down[e] @ (g * sigmoid(1.702 * g) * (u + 1)) + down_bias[e])
        rows["y_biased"].append(y)

        # One expert a token; each takes 4 tokens of 24.
        used = np.zeros(EXPERTS) if t % 24 == 0 else used
        e = choose(p, 1)[0]
        used[e] += 1
        rows["y_capacity"].append(p[e] * expert(e, x) if used[e] <= 4 else np.zeros(D))
    for key, values in rows.items():
        f.answer(values, key)
    return f


MAKERS = {"moe": moe}
