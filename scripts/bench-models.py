"""Writes a Mamba-130m with random weights as a GGUF file in f32: the sizes are real, the text is not.

usage: python3 bench-models.py FILE.gguf
"""
import array
import math
import random
import struct
import sys

WIDTH, LAYERS, VOCAB = 768, 24, 50280
INNER, STATE, TAPS, RANK = 2 * WIDTH, 16, 4, WIDTH // 16
ALIGN = 32
POOL = (1 << 20) + 7  # normal values; every tensor is cut from them at another place


def metadata():
    """Keys and values: unsigned integers, floats and strings as GGUF spells them."""
    return {
        "general.architecture": "mamba",
        "general.name": "mamba-130m with random weights",
        "mamba.context_length": 1 << 20,
        "mamba.embedding_length": WIDTH,
        "mamba.feed_forward_length": 0,
        "mamba.attention.head_count": 0,
        "mamba.block_count": LAYERS,
        "mamba.vocab_size": VOCAB,
        "mamba.ssm.conv_kernel": TAPS,
        "mamba.ssm.inner_size": INNER,
        "mamba.ssm.state_size": STATE,
        "mamba.ssm.time_step_rank": RANK,
        "mamba.attention.layer_norm_rms_epsilon": 1e-5,
        "general.file_type": 0,
        "tokenizer.ggml.model": "no_vocab",
    }


def tensors():
    """Name, shape and fill of every tensor; a fill is a standard deviation or a function of the element's index."""
    yield "token_embd.weight", (VOCAB, WIDTH), 0.02
    yield "output_norm.weight", (WIDTH,), lambda i: 1.0
    for layer in range(LAYERS):
        name = f"blk.{layer}."
        yield name + "attn_norm.weight", (WIDTH,), lambda i: 1.0
        yield name + "ssm_in.weight", (2 * INNER, WIDTH), WIDTH**-0.5
        yield name + "ssm_conv1d.weight", (INNER, TAPS), TAPS**-0.5
        yield name + "ssm_conv1d.bias", (INNER,), 0.02
        yield name + "ssm_x.weight", (RANK + 2 * STATE, INNER), INNER**-0.5
        yield name + "ssm_dt.weight", (INNER, RANK), RANK**-0.5
        # inverse softplus of steps from 0.001 to 0.1
        yield name + "ssm_dt.bias", (INNER,), lambda i: math.log(math.expm1(10 ** (2 * (i % 97) / 96 - 3)))
        yield name + "ssm_a", (INNER, STATE), lambda i: -(1.0 + i % STATE)
        yield name + "ssm_d", (INNER,), lambda i: 1.0
        yield name + "ssm_out.weight", (WIDTH, INNER), INNER**-0.5


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


def write(path):
    random.seed(1)
    pool = [random.gauss(0, 1) for _ in range(POOL)]
    scaled = {}
    listed = list(tensors())
    keys = metadata()
    head = b"GGUF" + struct.pack("<IQQ", 3, len(listed), len(keys)) + b"".join(entry(k, v) for k, v in keys.items())
    offset = 0
    for name, shape, _ in listed:
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", 0, offset)
        offset += padded(4 * math.prod(shape))
    with open(path, "wb") as file:
        file.write(head.ljust(padded(len(head)), b"\0"))
        for number, (_, shape, fill) in enumerate(listed):
            count = math.prod(shape)
            if callable(fill):
                data = array.array("f", map(fill, range(count))).tobytes()
            else:
                if fill not in scaled:
                    scaled[fill] = array.array("f", (v * fill for v in pool)).tobytes()
                start = 4 * (number * 7919 % POOL)
                turned = scaled[fill][start:] + scaled[fill][:start]
                data = (turned * (4 * count // len(turned) + 1))[: 4 * count]
            file.write(data.ljust(padded(4 * count), b"\0"))


write(sys.argv[1])
