#!/usr/bin/env python3
"""Runs a command of WASI under wasmtime, which PyPI has as a library: `scripts/wasi.py PROGRAM.wasm WORD...`.

The program sees the files of this machine. Its exit status is that of this script; one that traps exits with 134, as after `abort`.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build", "python"))
try:
    import wasmtime
except ImportError:
    sys.exit("wasmtime is missing: `scripts/setup.sh test` installs it into build/python, or `pip install wasmtime` anywhere")


def main(words):
    config = wasmtime.Config()
    config.cache = True
    # The parser of grammars and compilers of regular expressions descend deep.
    config.max_wasm_stack = 1 << 20
    engine = wasmtime.Engine(config)
    module = wasmtime.Module.from_file(engine, words[0])
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    wasi = wasmtime.WasiConfig()
    wasi.argv = words
    wasi.env = list(os.environ.items())
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    for place in (".", "/"):
        wasi.preopen_dir(place, place)
    store = wasmtime.Store(engine)
    store.set_wasi(wasi)
    start = linker.instantiate(store, module).exports(store)["_start"]
    try:
        start(store)
    except wasmtime.ExitTrap as ended:
        return ended.code
    except wasmtime.Trap as trap:
        print(trap, file=sys.stderr)
        return 134
    return 0


if __name__ == "__main__":
    sys.stdout.flush()
    os._exit(main(sys.argv[1:]))
