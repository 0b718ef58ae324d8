#!/usr/bin/env bash
# Makes the models that `make bench` runs, in build/bench: SmolLM2-135M (a Llama) and Mamba-130m, each in f32 and with
# 4-bit weights (Q4_0, the embedding in Q8_0). Both sides of the comparison read the same files.
#
#   scripts/bench-models.sh                                   these
#   scripts/bench-models.sh llama-1.2b-q4_0 mamba-1.4b-bf16   random weights of such sizes and types, for `make bench` with --models and --types
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
models=$work/bench
quantize=$work/peers/bin/llama-quantize
mkdir -p "$models"

# make FILE COMMAND…: runs the command with a temporary name appended, and renames what it wrote.
make_file() {
    local file=$models/$1
    shift
    if [ -f "$file" ]; then
        note "$(basename "$file"): there"
        return 0
    fi
    step "$(basename "$file")" "$@" "$file.part" || die "$(basename "$file") cannot be made"
    mv "$file.part" "$file"
}
to_f32() { "$quantize" --allow-requantize "$work/SmolLM2-135M-Instruct.Q4_1.gguf" "$1" F32 2; }
to_q4_0() { "$quantize" --token-embedding-type q8_0 --output-tensor-type q8_0 "$1" "$2" Q4_0 2; }

say "Making the models to measure"
for name in "$@"; do
    make_file "$name.gguf" python3 "$root/scripts/bench-models.py" "${name%-*}" "${name##*-}"
done
if [ $# -gt 0 ]; then exit 0; fi
make_file llama-135m-f32.gguf to_f32
make_file llama-135m-q4_0.gguf to_q4_0 "$models/llama-135m-f32.gguf"
make_file mamba-130m-f32.gguf python3 "$root/scripts/bench-models.py" mamba-130m f32
make_file mamba-130m-q4_0.gguf to_q4_0 "$models/mamba-130m-f32.gguf"
