#!/usr/bin/env bash
# What rounded activations lose: SmolLM2-135M with weights of several types, its distributions with rounded activations against those with
# activations of f32. Prints a Markdown table. Needs `make demo` and a release build of seqc.
#
#   scripts/loss.sh [TEXT]       a text of up to some 1000 tokens; the beginning of docs/language.md unless given
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
seqc=${SEQC:-$target/release/seqc}
source_weights=$work/SmolLM2-135M-Instruct.Q4_1.gguf
model=$root/specs/models/smollm2-135m.yaml
[ -x "$seqc" ] || die "$seqc is not there" "cargo build --release --package seqc"
[ -f "$source_weights" ] || die "the weights are not there" "make demo"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
text=$folder/text.txt
head -c 3000 "${1:-$root/docs/language.md}" >"$text"

# program NAME WEIGHTS ACTIVATIONS
program() { "$seqc" build "$model" --quiet --target native --weights "$2" --set "tokenizer=$source_weights" --activations "$3" -o "$folder/$1"; }

echo "| weights | activations | perplexity | with f32 | divergence, mean | 99th percentile | same most likely token |"
echo "| --- | --- | --- | --- | --- | --- | --- |"
for row in q4_1:int8 q8_0:int8 q4_0:int8 bf16:bf16; do
    type=${row%:*}
    activations=${row#*:}
    weights=$source_weights
    if [ "$type" != q4_1 ]; then
        weights=$folder/$type.gguf
        "$seqc" quantise "$model" --quiet --weights "$source_weights" --type "$type" -o "$weights"
    fi
    program exact "$weights" f32
    program rounded "$weights" "$activations"
    "$folder/exact" logits --quiet --prompt "$(cat "$text")" -o "$folder/exact.safetensors"
    "$folder/exact" perplexity --quiet "$text" --format json >"$folder/exact.json"
    "$folder/rounded" perplexity --quiet "$text" --against "$folder/exact.safetensors" --format json >"$folder/rounded.json"
    python3 - "$type" "$activations" "$folder" <<'EOF'
import json, sys

kind, activations, folder = sys.argv[1:]
exact, rounded = (json.load(open(f"{folder}/{name}.json")) for name in ("exact", "rounded"))
apart = rounded["against"]
print(f"| {kind} | {activations} | {rounded['perplexity']:.3f} | {exact['perplexity']:.3f} | {apart['mean']:.6f} | {apart['percentile_99']:.5f} | {100 * apart['same_top']:.2f} % |")
EOF
done
