"""State spaces that read a sequence in both directions."""
import numpy as np

from fixture import Fixture, gelu, short_conv, silu, softplus

D = 16


def bidirectional_mamba(name):
    """Bidirectional Mamba (Vision Mamba, Zhu et al. 2024, arXiv:2401.09417, algorithm 1), both directions from the projected stream on."""
    f = Fixture(name)
    e, n, taps, r = 2 * D, 8, 4, 1
    project = f.weight("in_proj", 2 * e, D)
    u, z = np.split(f.x @ project.T, 2, axis=1)

    def scan(u, end):
        conv, conv_bias = f.weight(f"conv{end}", e, taps), f.weight(f"conv_bias{end}", e, scale=0.1)
        x_proj, dt_proj = f.weight(f"x_proj{end}", r + 2 * n, e), f.weight(f"dt_proj{end}", e, r)
        dt_bias, A = f.weight(f"dt_bias{end}", e, scale=0.5, shift=-2.0), -np.exp(f.weight(f"A_log{end}", e, n, scale=0.7, shift=0.5))
        skip = f.weight(f"D{end}", e, scale=1.0)
        u = silu(short_conv(u, conv) + conv_bias)
        h, rows = np.zeros((e, n)), []
        for token in u:
            dt0, B, C = np.split(x_proj @ token, [r, r + n])
            dt = softplus(dt_proj @ dt0 + dt_bias)
            h = np.exp(dt[:, None] * A) * h + (dt * token)[:, None] * B
            rows.append(h @ C + skip * token)
        return np.array(rows)

    out = f.weight("out_proj", D, e)
    f.answer(((scan(u, "") + scan(u[::-1], "_b")[::-1]) * silu(z)) @ out.T)
    return f


def s4nd(name):
    """S4ND in two dimensions (Nguyen et al. 2022, arXiv:2210.06583, section 3.2): the convolution of the whole image of each channel with the
    outer product of two kernels, each of lags in both directions; a row of the image is a token."""
    c, width, n = 2, 6, 8
    f = Fixture(name, c * width)

    def kernels(prefix, length):
        """Taps at the lags -(length - 1) to length - 1 of each channel."""
        dt = np.exp(f.set(f"{prefix}log_dt", np.log(f.random.uniform(0.02, 0.3, (2, c)))))
        A = -np.exp(f.weight(f"{prefix}log_A_real", 2, c, n, scale=0.3, shift=-0.7)) + 1j * f.set(
            f"{prefix}A_imag", np.pi * np.arange(n) * np.ones((2, c, 1)))
        C = f.complex(f"{prefix}C", 2, c, n)
        z = dt[..., None] * A
        lag = np.arange(length)
        taps = 2 * np.einsum("wcn,wcnl->wcl", C * (np.exp(z) - 1) / A, np.exp(z[..., None] * lag)).real
        return np.concatenate([taps[1, :, :length - 1][:, ::-1], taps[0]], axis=1)

    length = len(f.x)
    along, across = kernels("", length), kernels("row_", width)
    skip, out, out_bias = f.weight("D", c, scale=1.0), f.weight("out", c, c), f.weight("out_bias", c)
    image = f.x.reshape(length, c, width)
    t, w = np.arange(length), np.arange(width)
    by_row = along[:, t[:, None] - t[None, :] + length - 1]
    by_column = across[:, w[:, None] - w[None, :] + width - 1]
    s = np.einsum("cts,cvw,scw->tcv", by_row, by_column, image) + skip[:, None] * image
    f.answer(np.einsum("cj,tjw->tcw", out, gelu(s)) + out_bias[:, None])
    return f


MAKERS = {"bidirectional_mamba": bidirectional_mamba, "s4nd": s4nd}
