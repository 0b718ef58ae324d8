"""What types of weights cost: bytes in memory, and bytes that decoding reads in a second of processor time, in those of q4_0; one thread, in turns.

usage: bench-types.py SEQC [ROUNDS]           prints a Markdown table; writes 450 MB into a temporary folder

Two gated feed-forwards of 1024 and 4096 hold 25 million random weights in each type. Memory is the peak of `generate` less what all have in common.

needs: pip install numpy gguf
"""
import json, os, resource, statistics, subprocess, sys, tempfile

import gguf, numpy as np

# Bytes of a block at which halves lie, which would be arbitrary numbers otherwise.
HALVES = dict(Q4_0=[0], Q4_1=[0, 2], Q5_0=[0], Q5_1=[0, 2], Q8_0=[0], Q2_K=[80, 82], Q3_K=[108], Q4_K=[0, 2], Q5_K=[0, 2], Q6_K=[208], IQ4_NL=[0],
              IQ4_XS=[0], MXFP4=[])
# Floats of eight bits, in safetensors with a factor for each block of 128 rows and columns, and a byte with which all others are numbers.
FLOATS = dict(F8_E4M3=0x7e, F8_E5M2=0x7b)
D, HIDDEN, LAYERS = 1024, 4096, 2
MODEL = """version: 1
model: types
sizes: {{d: {d}, vocab: 64}}
weights: {{file: {file}}}
stack:
  - {{embed: {{vocab: vocab}}, block: none, load: {{weight: embed}}}}
  - repeat: {layers}
    of:
      - swiglu: {{hidden: {hidden}}}
        block: residual
        load: {{gate_proj: "gate.{{i}}", up_proj: "up.{{i}}", down_proj: "down.{{i}}"}}
  - {{head: {{vocab: vocab}}, block: none, load: {{weight: head}}}}
"""


def matrices():
    for i in range(LAYERS):
        for part, rows, columns in [("gate", HIDDEN, D), ("up", HIDDEN, D), ("down", D, HIDDEN)]:
            yield f"{part}.{i}", rows, columns


def write_model(name, file):
    with open(name.lower() + ".yaml", "w") as out:
        out.write(MODEL.format(d=D, file=file, layers=LAYERS, hidden=HIDDEN))


def write_floats(name, largest, rng):
    tensors = {end: ("F32", rng.standard_normal((64, D)).astype(np.float32)) for end in ("embed", "head")}
    for matrix, rows, columns in matrices():
        numbers = rng.integers(0, largest + 1, (rows, columns), dtype=np.uint8) | rng.integers(0, 2, (rows, columns), dtype=np.uint8) << 7
        tensors[matrix] = (name, numbers)
        tensors[matrix + "_scale_inv"] = ("F32", np.full((rows // 128, columns // 128), 1e-4, np.float32))
    header, at = {}, 0
    for tensor, (dtype, data) in tensors.items():
        header[tensor] = dict(dtype=dtype, shape=data.shape, data_offsets=[at, at + data.nbytes])
        at += data.nbytes
    header = json.dumps(header).encode()
    with open(name.lower() + ".safetensors", "wb") as out:
        out.write(len(header).to_bytes(8, "little") + header)
        for _, data in tensors.values():
            out.write(data.tobytes())
    write_model(name, name.lower() + ".safetensors")
    return os.path.getsize(name.lower() + ".safetensors")


def write(name, places, rng):
    kind = gguf.GGMLQuantizationType[name]
    size, bytes_ = gguf.GGML_QUANT_SIZES[kind]
    writer = gguf.GGUFWriter(name.lower() + ".gguf", "none")

    def matrix(rows, columns):
        blocks = rng.integers(0, 256, (rows, columns // size, bytes_), dtype=np.uint8)
        if name == "MXFP4":
            blocks[..., 0] = 120
        for place in places:
            blocks[..., place:place + 2] = np.array([0.001], np.float16).view(np.uint8)
        return blocks.reshape(rows, -1)

    for end in ("embed", "head"):
        writer.add_tensor(end, rng.standard_normal((64, D)).astype(np.float32))
    for tensor, rows, columns in matrices():
        writer.add_tensor(tensor, matrix(rows, columns), raw_dtype=kind)
    writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file(), writer.close()
    write_model(name, name.lower() + ".gguf")
    return os.path.getsize(name.lower() + ".gguf")


def quiet(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def seconds(program, tokens):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    quiet(program, "bench", "-p", "0", "-n", str(tokens), "-r", "1", "-t", "1")
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def peak(program):
    """In a process of its own, whose only child is the program."""
    measure = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    measure += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    words = [sys.executable, "-c", measure, program, "generate", "--prompt-tokens", "1,2,3", "--max-tokens", "4"]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def main():
    seqc, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        rng = np.random.default_rng(1)
        sizes, peaks, rates = {}, {}, {}
        written = [(name, write(name, places, rng)) for name, places in HALVES.items()]
        written += [(name, write_floats(name, largest, rng)) for name, largest in FLOATS.items()]
        for name, size in written:
            name = name.lower()
            quiet(seqc, "build", name + ".yaml", "--quiet", "--target", "native", "-o", name)
            sizes[name], peaks[name], rates[name] = size, peak("./" + name), []
        for _ in range(rounds):
            for name in rates:
                # A run to warm up and one that is measured.
                each = (seconds("./" + name, 60) - seconds("./" + name, 10)) / 100
                rates[name].append(sizes[name] / each)
        common = min(peaks[name] - sizes[name] for name in sizes)
        print("| type | bytes in memory | bytes read in a second (min to max) |\n| --- | --- | --- |")
        for name in rates:
            ratios = [a / b for a, b in zip(rates[name], rates["q4_0"])]
            middle = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"| {name} | {(peaks[name] - common) / sizes[name]:.2f} | {middle} |")


if __name__ == "__main__":
    main()
