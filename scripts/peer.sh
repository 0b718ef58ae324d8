#!/usr/bin/env bash
# Builds the peer that `make bench` and `scripts/bench-serve.sh` measure against: llama.cpp, from the source package of llama-cpp-python on PyPI.
# The result is build/peers/bin; nothing is done when it is there already.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

version=0.3.36
peers=$work/peers
source_dir=$peers/llama_cpp_python-$version/vendor/llama.cpp
jobs=${JOBS:-$(nproc)}

programs=(llama-bench llama-batched-bench llama-quantize llama-server)
missing=0
for program in "${programs[@]}"; do
    [ -x "$peers/bin/$program" ] || missing=1
done
if [ $missing = 0 ]; then
    note "the peer is there: $peers/bin"
    exit 0
fi
for tool in cmake g++ python3; do
    command -v "$tool" >/dev/null || die "$tool is missing" "the peer is C++ built with cmake; install cmake, g++ and python3"
done

say "Building the peer, llama.cpp of llama-cpp-python $version (half an hour on two cores)"
mkdir -p "$peers"
if [ ! -d "$source_dir" ]; then
    step "source package" python3 -m pip download --quiet --disable-pip-version-check --no-deps \
        --no-binary llama-cpp-python -d "$peers" "llama-cpp-python==$version" ||
        die "the source package llama-cpp-python==$version cannot be had" "it comes from PyPI: is it reachable?"
    tar -xzf "$peers/llama_cpp_python-$version.tar.gz" -C "$peers"
fi
[ -d "$source_dir" ] || die "the source package holds no vendor/llama.cpp"

generator=()
if command -v ninja >/dev/null; then generator=(-G Ninja); fi
step "configure" cmake "${generator[@]}" -S "$source_dir" -B "$peers/llama" -DCMAKE_BUILD_TYPE=Release \
    -DGGML_NATIVE=ON -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_SERVER=ON -DLLAMA_BUILD_TESTS=OFF \
    -DLLAMA_BUILD_EXAMPLES=OFF -DBUILD_SHARED_LIBS=ON || die "cmake refused to configure llama.cpp"
step "compile with $jobs jobs" cmake --build "$peers/llama" -j "$jobs" --target "${programs[@]}" ||
    die "llama.cpp does not compile"
ln -sfn llama/bin "$peers/bin"
note "built ${programs[*]} in $peers/bin"
