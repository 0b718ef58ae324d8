#!/usr/bin/env bash
# Builds what `seqc build --target FAMILY` links with, for another kind of processors than that of this machine: the runtime of programs and
# libraries, and the C library that rustc ships. A `seqc` of the same build finds it; takes some minutes the first time.
#
#   scripts/runtime.sh aarch64-linux|x86-64|wasm|cuda [FOLDER]
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"
case ${1:-} in
aarch64-linux) targets=(aarch64-unknown-linux-musl aarch64-unknown-linux-gnu) ;;
x86-64) targets=(x86_64-unknown-linux-musl x86_64-unknown-linux-gnu) ;;
wasm) targets=(wasm32-wasip1) ;;
cuda) targets=(x86_64-unknown-linux-gnu) ;;
*) die "usage: scripts/runtime.sh aarch64-linux|x86-64|wasm|cuda [FOLDER]" ;;
esac
install_rust_targets "${targets[@]}"
say "The runtime for $1"
cargo run --quiet --package seqc-archive -- "$@" || die "the runtime for $1 does not build"
