"""Writes a model with random weights of a type as a GGUF file: the sizes are real, the text is not.

usage: python3 bench-models.py mamba-130m|llama-1.2b|mamba-1.4b TYPE FILE.gguf

TYPE is f32, bf16 or one of the types with blocks that `BLOCKS` lists. The K-quants and iq4_xs need rows of whole blocks of 256.
"""
import array
import math
import random
import struct
import sys

ALIGN = 32
POOL = (1 << 20) + 7  # normal values; every tensor is cut from them at another place
# Of a type: its number in GGUF and as the type of a file, numbers of a block, and bytes of it.
TYPES = {"f32": (0, 0, 1, 4), "bf16": (30, 32, 1, 2), "q4_0": (2, 2, 32, 18), "q5_0": (6, 8, 32, 22), "q8_0": (8, 7, 32, 34), "q2_k": (10, 10, 256, 84),
         "q3_k": (11, 12, 256, 110), "q4_k": (12, 15, 256, 144), "q5_k": (13, 17, 256, 176), "q6_k": (14, 18, 256, 210), "iq4_nl": (20, 25, 32, 18),
         "iq4_xs": (23, 30, 256, 136), "mxfp4": (39, 38, 32, 17)}
# Of a type with blocks: the byte of the f16 scale, that of the minimum and its size that makes the mean zero, in scales; and the deviation that random bits
# have, in scales.
BLOCKS = {"q4_0": (0, None, 0, 4.6), "q5_0": (0, None, 0, 9.2), "q8_0": (0, None, 0, 74), "q2_k": (80, 82, 1.5, 14), "q3_k": (108, None, 0, 43),
          "q4_k": (0, 2, 7.5, 258), "q5_k": (0, 2, 15.5, 527), "q6_k": (208, None, 0, 1366), "iq4_nl": (0, None, 0, 70), "iq4_xs": (0, None, 0, 1293),
          "mxfp4": (0, None, 0, 2.9)}


class Mamba:
    """Mamba (arXiv:2312.00752) of a width and so many layers."""

    def __init__(self, width, layers):
        self.width, self.layers, self.vocab = width, layers, 50280
        self.inner, self.state, self.taps, self.rank = 2 * width, 16, 4, width // 16

    def metadata(self):
        return {
            "general.architecture": "mamba",
            "mamba.context_length": 1 << 20,
            "mamba.embedding_length": self.width,
            "mamba.feed_forward_length": 0,
            "mamba.attention.head_count": 0,
            "mamba.block_count": self.layers,
            "mamba.vocab_size": self.vocab,
            "mamba.ssm.conv_kernel": self.taps,
            "mamba.ssm.inner_size": self.inner,
            "mamba.ssm.state_size": self.state,
            "mamba.ssm.time_step_rank": self.rank,
            "mamba.attention.layer_norm_rms_epsilon": 1e-5,
        }

    def tensors(self):
        """Name, shape and fill of every tensor; a fill is a standard deviation or a function of the element's index."""
        width, inner, state = self.width, self.inner, self.state
        yield "token_embd.weight", (self.vocab, width), 0.02
        yield "output_norm.weight", (width,), lambda i: 1.0
        for layer in range(self.layers):
            name = f"blk.{layer}."
            yield name + "attn_norm.weight", (width,), lambda i: 1.0
            yield name + "ssm_in.weight", (2 * inner, width), width**-0.5
            yield name + "ssm_conv1d.weight", (inner, self.taps), lambda i: math.sin(i) / 2
            yield name + "ssm_conv1d.bias", (inner,), lambda i: math.sin(i) / 50
            yield name + "ssm_x.weight", (self.rank + 2 * state, inner), inner**-0.5
            yield name + "ssm_dt.weight", (inner, self.rank), lambda i: math.sin(i) * self.rank**-0.5
            # inverse softplus of steps from 0.001 to 0.1
            yield name + "ssm_dt.bias", (inner,), lambda i: math.log(math.expm1(10 ** (2 * (i % 97) / 96 - 3)))
            yield name + "ssm_a", (inner, state), lambda i: -(1.0 + i % state)
            yield name + "ssm_d", (inner,), lambda i: 1.0
            yield name + "ssm_out.weight", (width, inner), inner**-0.5


class Llama:
    """A Llama of 1.2 billion parameters: the sizes of Llama 3.2 1B."""

    width, hidden, layers, heads, kv_heads, vocab = 2048, 8192, 16, 32, 8, 128256

    def metadata(self):
        return {
            "general.architecture": "llama",
            "llama.context_length": 131072,
            "llama.embedding_length": self.width,
            "llama.feed_forward_length": self.hidden,
            "llama.attention.head_count": self.heads,
            "llama.attention.head_count_kv": self.kv_heads,
            "llama.block_count": self.layers,
            "llama.vocab_size": self.vocab,
            "llama.rope.dimension_count": self.width // self.heads,
            "llama.rope.freq_base": 5e5,
            "llama.attention.layer_norm_rms_epsilon": 1e-5,
        }

    def tensors(self):
        width, hidden = self.width, self.hidden
        kv = width // self.heads * self.kv_heads
        yield "token_embd.weight", (self.vocab, width), 0.02
        yield "output_norm.weight", (width,), lambda i: 1.0
        for layer in range(self.layers):
            name = f"blk.{layer}."
            for norm in ("attn_norm", "ffn_norm"):
                yield f"{name}{norm}.weight", (width,), lambda i: 1.0
            for part, shape in (("attn_q", (width, width)), ("attn_k", (kv, width)), ("attn_v", (kv, width)), ("attn_output", (width, width)),
                                ("ffn_gate", (hidden, width)), ("ffn_up", (hidden, width)), ("ffn_down", (width, hidden))):
                yield f"{name}{part}.weight", shape, shape[1] ** -0.5


MODELS = {"mamba-130m": Mamba(768, 24), "mamba-1.4b": Mamba(2048, 48), "llama-1.2b": Llama()}


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, value):
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", 6, value)
    return text(key) + struct.pack("<II", 4, value)


def padded(size):
    return -(-size // ALIGN) * ALIGN


def pool(kind, deviation, values):
    """Bytes of random numbers of a type: normal ones, or of evenly spread integers with the scale that gives the deviation."""
    if kind == "f32":
        return array.array("f", (v * deviation for v in values)).tobytes()
    if kind == "bf16":
        return b"".join(struct.pack("<f", v * deviation)[2:] for v in values)
    (_, _, count, size), (at, minimum, mean, spread) = TYPES[kind], BLOCKS[kind]
    blocks = bytearray(random.Random(2).randbytes(POOL // count * size))
    scale = deviation / spread
    for start in range(0, len(blocks), size):
        if kind == "mxfp4":  # a power of two
            blocks[start] = 127 + round(math.log2(scale))
            continue
        struct.pack_into("<e", blocks, start + at, scale)
        if minimum is not None:
            struct.pack_into("<e", blocks, start + minimum, scale * mean)
    return bytes(blocks)


def write(model, kind, path):
    random.seed(1)
    values = [random.gauss(0, 1) for _ in range(POOL)]
    listed = [(name, shape, fill, "f32" if callable(fill) else kind) for name, shape, fill in model.tensors()]
    keys = model.metadata() | {"general.name": "random weights", "general.file_type": TYPES[kind][1], "tokenizer.ggml.model": "no_vocab"}
    size = lambda shape, kind: math.prod(shape) // TYPES[kind][2] * TYPES[kind][3]
    for name, shape, _, own in listed:
        if shape[-1] % TYPES[own][2]:
            sys.exit(f"{name} has rows of {shape[-1]} numbers, which are no blocks of {TYPES[own][2]}")
    head = b"GGUF" + struct.pack("<IQQ", 3, len(listed), len(keys)) + b"".join(entry(k, v) for k, v in keys.items())
    offset = 0
    for name, shape, _, own in listed:
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", TYPES[own][0], offset)
        offset += padded(size(shape, own))
    pools = {}
    with open(path, "wb") as file:
        file.write(head.ljust(padded(len(head)), b"\0"))
        for number, (_, shape, fill, own) in enumerate(listed):
            count = math.prod(shape)
            if callable(fill):
                data = array.array("f", map(fill, range(count))).tobytes()
            else:
                if fill not in pools:
                    pools[fill] = pool(own, fill, values)
                source, block = pools[fill], TYPES[own][3]
                start = block * (number * 7919 % (len(source) // block))
                turned = source[start:] + source[:start]
                data = (turned * (size(shape, own) // len(turned) + 1))[: size(shape, own)]
            file.write(data.ljust(padded(len(data)), b"\0"))


if len(sys.argv) != 4 or sys.argv[1] not in MODELS or sys.argv[2] not in TYPES:
    sys.exit(__doc__)
write(MODELS[sys.argv[1]], sys.argv[2], sys.argv[3])
