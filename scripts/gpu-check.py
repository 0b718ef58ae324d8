"""Runs programs for a GPU and for the processor on the same tokens, compares what they compute, and measures the former. Called by gpu-check.sh.

Prints a JSON object: for each program how far its numbers are off in each cut into chunks, relative to the largest, and what `bench` says."""

import array
import json
import pathlib
import struct
import subprocess
import sys

TOLERANCE = 2e-4
CUTS = ["", "1", "7", "3,1,40"]
TOKENS = [(7 * n * n + 3 * n + 1) % 250 for n in range(160)]


def call(program, *words):
    return subprocess.run([program, *words], check=True, capture_output=True, text=True).stdout


def numbers(program, cut):
    output = program.with_suffix(".safetensors")
    output.unlink(missing_ok=True)
    words = ["logits", "--tokens", ",".join(map(str, TOKENS)), "--output", str(output)]
    call(program, *words, *(["--chunk", cut] if cut else []))
    data = output.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    first, end = next(v for k, v in header.items() if k != "__metadata__")["data_offsets"]
    found = array.array("f")
    found.frombytes(data[8 + length + first : 8 + length + end])
    return found


def compared(folder, name):
    wanted = numbers(folder / f"{name}.x86-64-v3", "")
    scale = max(map(abs, wanted))
    off = {}
    for cut in CUTS:
        found = numbers(folder / f"{name}.cuda", cut)
        off[cut or "whole"] = max(abs(a - b) for a, b in zip(found, wanted, strict=True)) / scale
    return off


def main():
    folder = pathlib.Path(sys.argv[1])
    programs = sorted(path.stem for path in folder.glob("*.x86-64-v3"))
    info = call(folder / f"{programs[0]}.cuda", "info").splitlines()
    result = {"device": next(line for line in info if line.startswith("device")), "off": {}}
    for name in programs:
        try:
            result["off"][name] = compared(folder, name)
        except subprocess.CalledProcessError as error:
            result["off"][name] = error.stderr
    words = ["bench", "-p", "512", "-n", "64", "-r", "3", "--output", "json"]
    try:
        result["bench"] = json.loads(call(folder / "large.cuda", *words))
    except subprocess.CalledProcessError as error:
        result["bench"] = error.stderr
    print(json.dumps(result, indent=1))
    wrong = [n for n, off in result["off"].items() if isinstance(off, str) or max(off.values()) > TOLERANCE]
    if wrong:
        sys.exit(f"these differ: {', '.join(wrong)}")


main()
