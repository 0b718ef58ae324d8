"""State spaces."""
import numpy as np

from fixture import Fixture, gelu, layer_norm, rms, sigmoid, silu, softplus

D = 16


def lru(name):
    """Linear recurrent unit (Orvieto et al. 2023, arXiv:2303.06349, equations 4 to 7 and appendix A)."""
    f = Fixture(name)
    n = 12
    nu, theta = f.set("nu_log", np.log(-0.5 * np.log(f.random.uniform(0.6, 0.99, n)))), f.set("theta_log", np.log(f.random.uniform(0.01, 3, n)))
    lam = np.exp(-np.exp(nu) + 1j * np.exp(theta))
    gamma = f.set("gamma_log", np.log(np.sqrt(1 - abs(lam) ** 2)))
    B, C, skip = f.complex("B", n, D), f.complex("C", D, n), f.weight("D", D, scale=1.0)
    h, rows = np.zeros(n, complex), []
    for x in f.x:
        h = lam * h + np.exp(gamma) * (B @ x)
        rows.append((C @ h).real + skip * x)
    f.answer(rows)
    return f


def s5(name):
    """S5 (Smith et al. 2022, arXiv:2208.04933, equations 5 and 6, zero-order hold, appendix G.1 for the gate)."""
    f = Fixture(name)
    n = 12
    lam = -np.exp(f.set("log_real", np.log(f.random.uniform(0.2, 1, n)))) + 1j * f.set("imag", f.random.uniform(0, 30, n))
    dt = np.exp(f.set("log_dt", np.log(f.random.uniform(0.01, 0.1, n))))
    B, C, skip = f.complex("B", n, D, scale=2.0), f.complex("C", D, n), f.weight("D", D, scale=1.0)
    gate = f.weight("gate", D, D)
    A_bar, h, rows = np.exp(lam * dt), np.zeros(n, complex), []
    B_bar = ((A_bar - 1) / lam)[:, None] * B
    for x in f.x:
        h = A_bar * h + B_bar @ x
        y = gelu(2 * (C @ h).real + skip * x)
        rows.append(y * sigmoid(gate @ y))
    f.answer(rows)
    return f


def gss(name):
    """Gated state space (Mehta et al. 2022, arXiv:2206.13947, figure 2) without its norm and residual sum: the kernel as a sum over lags."""
    f = Fixture(name)
    narrow, wide, n = 8, 48, 10
    u_proj, v_proj = f.weight("u_proj", wide, D), f.weight("v_proj", narrow, D)
    norm, norm_bias = f.weight("norm", narrow, scale=0.1, shift=1.0), f.weight("norm_bias", narrow, scale=0.1)
    lam = -np.exp(f.weight("log_real", n, scale=0.5, shift=-2.0)) + 1j * np.exp(f.weight("log_imag", n, scale=0.7, shift=-0.5))
    C, skip = f.complex("C", narrow, n), f.weight("D", narrow, scale=1.0)
    y_proj, out = f.weight("y_proj", wide, narrow), f.weight("o_proj", D, wide)
    lags = np.arange(len(f.x))
    kernel = (C[:, None, :] * ((np.exp(lam) - 1) / lam * np.exp(np.outer(lags, lam)))[None]).sum(axis=-1).real
    v = layer_norm(gelu(f.x @ v_proj.T), 1e-5) * norm + norm_bias
    rows = []
    for t, x in enumerate(f.x):
        y = sum(kernel[:, lag] * v[t - lag] for lag in range(t + 1)) + skip * v[t]
        rows.append(out @ ((y_proj @ y) * gelu(u_proj @ x)))
    f.answer(rows)
    return f


def h3(name):
    """H3 (Fu et al. 2022, arXiv:2212.14052, algorithm 1): a shift over keys, products with values per head, a diagonal state space over them."""
    f = Fixture(name)
    heads, hd, n, taps = 4, 4, 6, 5
    q_proj, k_proj, v_proj, out = (f.weight(key, D, D) for key in ("q_proj", "k_proj", "v_proj", "o_proj"))
    shift, shift_skip = f.weight("shift", D, taps), f.weight("shift_skip", D, scale=0.5)
    lam = -np.exp(f.weight("log_real", heads, n, scale=0.3, shift=-0.7)) + 1j * f.weight("imag", heads, n, scale=10.0)
    dt = np.exp(f.set("log_dt", np.log(f.random.uniform(0.01, 0.2, heads))))
    C, skip = f.complex("C", heads, n), f.weight("D", heads, scale=0.5)
    A = np.exp(lam * dt[:, None])
    B = (A - 1) / lam
    keys = [np.zeros(D)] * (taps - 1) + [k_proj @ x for x in f.x]
    state, rows = np.zeros((heads, hd, hd, n), complex), []
    for t, x in enumerate(f.x):
        k = sum(shift[:, i] * keys[t + i] for i in range(taps)) + shift_skip * keys[t + taps - 1]
        q, k, v = (u.reshape(heads, hd) for u in (q_proj @ x, k, v_proj @ x))
        o = np.zeros((heads, hd))
        for h in range(heads):
            kv = np.outer(k[h], v[h])
            state[h] = A[h] * state[h] + B[h] * kv[:, :, None]
            o[h] = q[h] @ (2 * (state[h] @ C[h]).real + skip[h] * kv)
        rows.append(out @ o.ravel())
    f.answer(rows)
    return f


def liquid_s4(name):
    """Liquid-S4 (Hasani et al. 2022, arXiv:2209.12951, equation 4): the input turns and stretches the state, h = (A + B u) h' + B u."""
    f = Fixture(name)
    n = 6
    lam = -np.exp(f.weight("log_A_real", D, n, scale=0.3, shift=-0.7)) + 1j * f.weight("A_imag", D, n, scale=8.0)
    dt = np.exp(f.set("log_dt", np.log(f.random.uniform(0.01, 0.1, D))))[:, None]
    B, C, skip = f.complex("B", D, n, scale=1.0), f.complex("C", D, n, scale=0.7), f.weight("D", D, scale=1.0)
    out, out_bias = f.weight("out", 2 * D, D), f.weight("out_bias", 2 * D)
    A_bar = (1 + dt * lam / 2) / (1 - dt * lam / 2)
    B_bar = dt * B / (1 - dt * lam / 2)
    h, rows = np.zeros((D, n), complex), []
    for x in f.x:
        h = (A_bar + B_bar * x[:, None]) * h + B_bar * x[:, None]
        y = gelu(2 * (C * h).sum(axis=1).real + skip * x)
        a, g = np.split(out @ y + out_bias, 2)
        rows.append(a * sigmoid(g))
    f.answer(rows)
    return f


def mamba3(name):
    """Mamba-3 with one input and one output a head (Lahoti et al. 2026, sections 3.1 and 3.2): a trapezoidal step, h = a h' + (1 - l) dt a B' x'
    + l dt B x, and states whose pairs turn by angles that the input gives; here the state turns, where the layer turns B and C."""
    f = Fixture(name)
    heads, hd, n = 4, 8, 8
    e = heads * hd
    z_proj, x_proj = f.weight("z_proj", e, D), f.weight("x_proj", e, D)
    B_proj, C_proj = f.weight("B_proj", n, D), f.weight("C_proj", n, D)
    B_norm, C_norm = f.weight("B_norm", n, scale=0.1, shift=1.0), f.weight("C_norm", n, scale=0.1, shift=1.0)
    B_bias, C_bias = f.weight("B_bias", heads, n, scale=0.1, shift=1.0), f.weight("C_bias", heads, n, scale=0.1, shift=1.0)
    dt_proj, dt_bias = f.weight("dt_proj", heads, D), f.weight("dt_bias", heads, scale=0.5, shift=-2.0)
    a_proj, a_bias = f.weight("a_proj", heads, D), f.weight("a_bias", heads, scale=0.5)
    l_proj, angle_proj = f.weight("l_proj", heads, D), f.weight("angle_proj", n // 2, D)
    skip, out = f.weight("D", heads, scale=0.5), f.weight("out_proj", D, e)
    state = np.zeros((heads, hd, n // 2), complex)
    before_B, before_x, rows = np.zeros((heads, n // 2), complex), np.zeros((heads, hd)), []
    for x in f.x:
        u = (x_proj @ x).reshape(heads, hd)
        B, C = (rms(w @ x, 1e-5) * g + b for w, g, b in ((B_proj, B_norm, B_bias), (C_proj, C_norm, C_bias)))
        B, C = B[:, 0::2] + 1j * B[:, 1::2], C[:, 0::2] + 1j * C[:, 1::2]
        dt, lam = softplus(dt_proj @ x + dt_bias), sigmoid(l_proj @ x)
        a = np.exp(-softplus(a_proj @ x + a_bias) * dt)
        turned = a[:, None] * np.exp(1j * np.outer(dt, angle_proj @ x))
        y = np.zeros((heads, hd))
        for h in range(heads):
            state[h] = (turned[h] * state[h] + (1 - lam[h]) * dt[h] * turned[h] * np.outer(before_x[h], before_B[h])
                        + lam[h] * dt[h] * np.outer(u[h], B[h]))
            y[h] = (state[h] @ C[h].conj()).real + skip[h] * u[h]
        before_B, before_x = B, u
        rows.append(out @ (y.ravel() * silu(z_proj @ x)))
    f.answer(rows)
    return f


MAKERS = {"lru": lru, "s5": s5, "gss": gss, "h3": h3, "liquid_s4": liquid_s4, "mamba3": mamba3}
