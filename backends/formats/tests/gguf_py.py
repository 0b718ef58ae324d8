"""Writes gguf_py.txt: a random block of each encoding of GGML, and the numbers that gguf-py decodes from it.

usage: gguf_py.py > gguf_py.txt        needs: pip install numpy gguf (written with numpy 2.4.6, gguf 0.19.0)

A line has the name of an encoding, the bytes of a block, and its numbers as binary32, all in hexadecimal digits, lowest byte first.
"""
import gguf, numpy as np

# Where the f16 numbers of each block are; everything else is random.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [],
}
random = np.random.default_rng(16)
for name, halves in HALVES.items():
    kind = gguf.GGMLQuantizationType[name]
    _, size = gguf.GGML_QUANT_SIZES[kind]
    for sign in [1, -1]:
        block = random.integers(0, 256, size, dtype=np.uint8)
        for at in halves:
            value = np.float16(sign * random.uniform(0.001, 0.1))
            block[at : at + 2] = np.frombuffer(value.tobytes(), np.uint8)
        numbers = gguf.quants.dequantize(block[None], kind).astype("<f4")
        print(name.lower(), block.tobytes().hex(), numbers.tobytes().hex())
