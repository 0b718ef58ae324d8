#!/usr/bin/env bash
# Measures what cache policies lose and take, and writes the table of docs/caches.md anew: bash scripts/bench-caches.sh MODEL.gguf
# SEQC: the compiler to use instead of a release build of this tree. TEXT: another text. About ten minutes on two cores.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"
[ $# = 1 ] || die "give a checkpoint with a tokenizer: bash scripts/bench-caches.sh MODEL.gguf"
if [ -z "${SEQC:-}" ]; then
    say "Building seqc"
    cargo build --release --package seqc || die "seqc does not build"
    SEQC=$target/release/seqc
fi
folder=$work/caches
rm -rf "$folder"
mkdir -p "$folder"
policies=(none streaming:sink=4,recent=508 h2o:heavy=256,recent=256 snapkv:budget=512,window=32
    kivi:bits=4,group=32,residual=128 kivi:bits=2,group=32,residual=128 int8 quest:page=16,budget=512)
"$SEQC" tasks passkey --length 840 --count 2 -o "$folder/1k.jsonl"
"$SEQC" tasks passkey --length 1690 --count 2 -o "$folder/2k.jsonl"
for n in "${!policies[@]}"; do
    policy=${policies[$n]} model=$folder/model$n.yaml program=$folder/program$n
    say "Measuring $policy"
    cache=(--cache "$policy")
    [ "$policy" != none ] || cache=()
    "$SEQC" import "$1" -o "$model" "${cache[@]}"
    "$SEQC" build "$model" --target native -o "$program"
    "$SEQC" inspect "$model" --context 4k --json >"$folder/inspect$n.json"
    "$program" perplexity "${TEXT:-docs/errors.md}" --context 4096 --prompt-length 3072 --format json >"$folder/perplexity$n.json"
    for length in 1k 2k; do
        "$program" tasks "$folder/$length.jsonl" --format json >"$folder/tasks$length$n.json"
    done
    echo "$policy" >"$folder/policy$n"
done
exec python3 "$root/scripts/bench-caches.py" "$folder" "$root/docs/caches.md"
