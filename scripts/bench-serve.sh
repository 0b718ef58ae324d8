#!/usr/bin/env bash
# Measures the server of an emitted program against llama-server on the same file, at 1, 8 and 32 clients, both in turn in one
# run: see scripts/bench-serve.py, whose options it takes. The first time it also builds the peer and makes the models.
#
#   scripts/bench-serve.sh [MODEL] [options]     MODEL is a file of build/bench: llama-135m-q4_0 without it
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"

model=llama-135m-q4_0
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    model=$1
    shift
fi
bash scripts/setup.sh bench
bash scripts/peer.sh
bash scripts/bench-models.sh
say "Building the program"
cargo build --release --package seqc || die "seqc does not build"
file=$work/bench/$model.gguf
[ -f "$file" ] || die "no model $file"
"$target/release/seqc" import "$file" -o "$work/bench/$model.yaml" --force
"$target/release/seqc" build "$work/bench/$model.yaml" -o "$work/bench/$model"
say "Measuring (some minutes; leave the machine alone)"
exec python3 scripts/bench-serve.py --program "$work/bench/$model" --peer "$work/peers/bin/llama-server" --model "$file" "$@"
