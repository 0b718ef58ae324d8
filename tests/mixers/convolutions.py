"""Filters: as long as the sequence, dilated, and over frames."""
import numpy as np

from fixture import Fixture, gelu, layer_norm, rms, sigmoid, silu, softmax

D = 16


def filtered(x, kernel):
    """Every channel with its own causal filter, lag by lag."""
    return np.array([sum(kernel[:, lag] * x[t - lag] for lag in range(min(t + 1, kernel.shape[1]))) for t in range(len(x))])


def longconv(name):
    """Long convolutions with free taps (Fu et al. 2023, arXiv:2302.06646, section 3.1): smoothed over 5 lags, then squashed."""
    f = Fixture(name, layer="free_filter")
    context, squash, reach = 100, 0.02, 2
    free, skip = f.weight("taps", D, context, scale=0.1), f.weight("D", D, scale=1.0)
    out, out_bias = f.weight("out", 2 * D, D), f.weight("out_bias", 2 * D)
    padded = np.concatenate([np.zeros((D, reach)), free, np.zeros((D, reach))], axis=1)
    smooth = sum(padded[:, i:i + context] for i in range(2 * reach + 1)) / (2 * reach + 1)
    kernel = np.sign(smooth) * np.maximum(abs(smooth) - squash, 0)
    a, g = np.split(gelu(filtered(f.x, kernel) + skip * f.x) @ out.T + out_bias, 2, axis=1)
    f.answer(a * sigmoid(g))
    return f


def sgconv(name):
    """SGConv (Li et al. 2022, arXiv:2210.09298, equations 4 to 6): 4 scales of 16 taps, each stretched linearly to twice the length of the one
    before and half as strong, over a norm that is a weight; GELU, linear."""
    f = Fixture(name, layer="multiscale_filter")
    taps, scales = 16, 4
    w, skip = f.weight("taps", D, scales, taps, scale=1.0), f.weight("D", D, scale=1.0)
    out, out_bias = f.weight("out", D, D), f.weight("out_bias", D)
    pieces = []
    for scale in range(scales):
        stretch = 2 ** max(scale - 1, 0)
        piece = np.empty((D, taps * stretch))
        for lag in range(taps * stretch):
            at = max((lag + 0.5) / stretch - 0.5, 0)
            low = int(at)
            high = min(low + 1, taps - 1)
            piece[:, lag] = (1 - (at - low)) * w[:, scale, low] + (at - low) * w[:, scale, high]
        pieces.append(piece * 2.0 ** (scales - 1 - scale))
    kernel = np.concatenate(pieces, axis=1)
    norm = f.set("norm", np.sqrt((kernel ** 2).sum(axis=1)))
    f.answer(gelu(filtered(f.x, kernel / norm[:, None]) + skip * f.x) @ out.T + out_bias)
    return f


def tnn(name):
    """Gated Toeplitz unit (TNN, Qin et al. 2023, arXiv:2305.04749, section 3): taps from a network of the lag, times 0.98 ** lag."""
    f = Fixture(name, layer="toeplitz")
    e, hidden, context = 24, 8, 128
    u_proj, v_proj, out = f.weight("u_proj", e, D), f.weight("v_proj", e, D), f.weight("o_proj", D, e)
    first, first_bias = f.weight("first", hidden, scale=1.0), f.weight("first_bias", hidden, scale=0.5)
    norms = [f.weight("first_norm", hidden, scale=0.1, shift=1.0), f.weight("second_norm", hidden, scale=0.1, shift=1.0)]
    second, second_bias = f.weight("second", hidden, hidden), f.weight("second_bias", hidden, scale=0.5)
    last, last_bias = f.weight("last", e, hidden), f.weight("last_bias", e, scale=0.5)
    kernel = np.empty((e, context))
    for lag in range(context):
        z = first * lag / context + first_bias
        z = second @ np.maximum(layer_norm(z, 1e-5) * norms[0], 0) + second_bias
        kernel[:, lag] = (last @ np.maximum(layer_norm(z, 1e-5) * norms[1], 0) + last_bias) * 0.98 ** lag
    f.answer((silu(f.x @ u_proj.T) * filtered(silu(f.x @ v_proj.T), kernel)) @ out.T)
    return f


def tcnca(name):
    """TCNCA (Terzic et al. 2023, arXiv:2312.05605, section 3): MEGA's gated attention in chunks of 16 with a stack of dilated filters in the
    place of its averages; here three residual layers of 4 taps and dilations 1, 3 and 9 for each channel, and softmax."""
    f = Fixture(name)
    z, v, chunk, taps, factor = 8, 24, 16, 4, 3
    norm, norm_bias = f.weight("norm", D, scale=0.1, shift=1.0), f.weight("norm_bias", D, scale=0.1)
    filters = [f.weight(f"{key}_filter", D, taps) for key in ("first", "second", "third")]
    v_proj, v_bias = f.weight("v_proj", v, D), f.weight("v_bias", v, scale=0.3)
    mx_proj, mx_bias = f.weight("mx_proj", 2 * D + z + v, D), f.weight("mx_bias", 2 * D + z + v, scale=0.3)
    qk_gamma, qk_beta = f.weight("qk_gamma", 2, z, scale=1.0), f.weight("qk_beta", 2, z, scale=0.3)
    bias = f.weight("distance_bias", chunk, scale=0.5)
    h_proj, h_bias = f.weight("h_proj", D, v), f.weight("h_bias", D, scale=0.3)
    n = layer_norm(f.x, 1e-5) * norm + norm_bias
    m = n
    for i, w in enumerate(filters):
        step = np.array([sum(w[:, taps - 1 - k] * m[t - k * factor ** i] for k in range(taps) if t >= k * factor ** i) for t in range(len(m))])
        m = m + silu(step)
    rows = []
    values = silu(n @ v_proj.T + v_bias)
    g, s, r, hx = np.split(m @ mx_proj.T + mx_bias, [D, D + z, D + z + v], axis=1)
    q, k = silu(s) * qk_gamma[0] + qk_beta[0], silu(s) * qk_gamma[1] + qk_beta[1]
    for t, x in enumerate(f.x):
        near = np.arange(t // chunk * chunk, t + 1)
        o = softmax(k[near] @ q[t] * z ** -0.5 + bias[t - near]) @ values[near]
        h = silu(hx[t] + h_proj @ (o * silu(r[t])) + h_bias)
        rows.append(x + sigmoid(g[t]) * (h - x))
    f.answer(rows)
    return f


def conv3d(name):
    """A residual block of a causal video encoder (BTB3D, arXiv:2510.20639; CausalConv3d of MAGVIT-v2, arXiv:2310.05737, section 3.1): a token is a
    frame of 2 x 3 x 4; norm in groups of each frame, silu, 3 x 3 x 3 filter with zeros before the first frame and around each, twice."""
    channels, height, width, hidden = 2, 3, 4, 4
    f = Fixture(name, channels * height * width, layer="causal_conv3d")
    first, first_bias = f.weight("first", hidden, channels, 3, 3, 3, scale=0.2), f.weight("first_bias", hidden, scale=0.2)
    second, second_bias = f.weight("second", channels, hidden, 3, 3, 3, scale=0.2), f.weight("second_bias", channels, scale=0.2)
    norms = [(f.weight(f"{key}_norm", n, scale=0.1, shift=1.0), f.weight(f"{key}_norm_bias", n, scale=0.1))
             for key, n in (("first", channels), ("second", hidden))]

    def conv(frames, w, b):
        padded = np.pad(frames, ((2, 0), (0, 0), (1, 1), (1, 1)))
        out = np.zeros((len(frames), len(w), height, width))
        for t in range(len(frames)):
            for i in range(height):
                for j in range(width):
                    patch = padded[t:t + 3, :, i:i + 3, j:j + 3].transpose(1, 0, 2, 3)
                    out[t, :, i, j] = (w * patch).sum(axis=(1, 2, 3, 4)) + b
        return out

    def normed(frames, scale, shift):
        n = layer_norm(frames.reshape(len(frames), -1), 1e-6).reshape(frames.shape)
        return silu(n * scale[:, None, None] + shift[:, None, None])

    frames = f.x.reshape(-1, channels, height, width)
    y = conv(normed(frames, *norms[0]), first, first_bias)
    y = frames + conv(normed(y, *norms[1]), second, second_bias)
    f.answer(y)
    return f


MAKERS = {"longconv": longconv, "sgconv": sgconv, "tnn": tnn, "tcnca": tcnca, "conv3d": conv3d}
