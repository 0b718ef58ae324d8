"""What the references of this folder share: a folder of weights, an input and known answers, and functions of the field."""
import json, math, pathlib, zlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "mixers"
LENGTH = 120


class Fixture:
    """The weights of a model whose one layer is `layer`, drawn from a seed that its name gives, and an input `x` of `d` channels; `inputs` are others."""

    def __init__(self, name, d=16, length=LENGTH, layer=None):
        self.name, self.layer = name, layer or name
        self.random = np.random.default_rng(zlib.crc32(name.encode()))
        self.weights, self.answers, self.inputs = {}, {}, {}
        self.x = self.normal(length, d)

    def normal(self, *shape, scale=1.0, shift=0.0):
        """Normal numbers that f32 holds exactly."""
        return (self.random.standard_normal(shape) * scale + shift).astype(np.float32).astype(np.float64)

    def weight(self, name, *shape, scale=None, shift=0.0):
        """A new weight: by default of the size at which a product with it keeps the size of what it multiplies."""
        scale = shape[-1] ** -0.5 if scale is None else scale
        return self.set(name, self.normal(*shape, scale=scale, shift=shift))

    def set(self, name, values):
        """A weight of given numbers, rounded to f32. A complex one is stored as pairs."""
        values = np.asarray(values)
        if np.iscomplexobj(values):
            values = values.astype(np.complex64).astype(np.complex128)
            self.weights[f"{self.layer}.{name}"] = np.stack([values.real, values.imag], axis=-1).astype(np.float32)
            return values
        values = values.astype(np.float32)
        self.weights[f"{self.layer}.{name}"] = values
        return values.astype(np.float64)

    def complex(self, name, *shape, scale=None):
        """A complex weight."""
        scale = shape[-1] ** -0.5 if scale is None else scale
        return self.set(name, self.normal(*shape, scale=scale) + 1j * self.normal(*shape, scale=scale))

    def answer(self, values, name="y"):
        """What the model must give, one row per token."""
        self.answers[name] = np.array(values, dtype=np.float64).reshape(len(self.x), -1)

    def write(self):
        folder = FOLDER / self.name
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "weights.safetensors", self.weights)
        inputs = {name: values.astype(np.float32) for name, values in self.inputs.items()}
        write(folder / "expected.safetensors", {"x": self.x.astype(np.float32), **inputs, **self.answers})


def write(path, tensors):
    """A safetensors file: the length of the header, the header, the numbers."""
    header, parts, at = {}, [], 0
    for name, values in tensors.items():
        kind = {"float32": "F32", "float64": "F64", "int64": "I64"}[values.dtype.name]
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        parts.append(np.ascontiguousarray(values).tobytes())
        at += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def softplus(x):
    return np.logaddexp(x, 0)


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def unit(x, eps=1e-6):
    """Rows of length 1."""
    return x / np.sqrt((x * x).sum(axis=-1, keepdims=True) + eps)


def rms(x, eps):
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)


def layer_norm(x, eps):
    c = x - x.mean(axis=-1, keepdims=True)
    return c / np.sqrt((c * c).mean(axis=-1, keepdims=True) + eps)


def short_conv(x, taps):
    """A causal filter of each channel over all tokens; the last tap meets the token itself."""
    count = taps.shape[1]
    padded = np.concatenate([np.zeros((count - 1, x.shape[1])), x])
    return np.array([(padded[t:t + count] * taps.T).sum(axis=0) for t in range(len(x))])


def turn(x, t, theta=1e4, interleaved=False):
    """Rotary positions of the rows of `x` at position `t`."""
    n = x.shape[-1]
    angle = t * theta ** (-2 * np.arange(n // 2) / n)
    c, s = np.cos(angle), np.sin(angle)
    out = np.empty_like(x)
    first, second = (slice(0, n, 2), slice(1, n, 2)) if interleaved else (slice(0, n // 2), slice(n // 2, n))
    a, b = x[..., first], x[..., second]
    out[..., first], out[..., second] = a * c - b * s, a * s + b * c
    return out
