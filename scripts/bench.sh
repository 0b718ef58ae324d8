#!/usr/bin/env bash
# Measures emitted programs against llama.cpp, both in turn in one run: see scripts/bench.py.
# The first time it also builds the peer and makes the models, half an hour on two cores.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

bash scripts/setup.sh bench
bash scripts/peer.sh
bash scripts/bench-models.sh
say "Building seqc"
cargo build --release --package seqc || die "seqc does not build"
cc=$(command -v clang-22 || command -v gcc) || die "no C compiler for the bandwidth probe"
"$cc" -O3 -march=native -pthread scripts/bandwidth.c -o "$work/bandwidth" || die "the bandwidth probe does not compile"
say "Measuring (some minutes; leave the machine alone)"
exec python3 scripts/bench.py --seqc "$target/release/seqc" --work "$work" "$@"
