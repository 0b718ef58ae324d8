#!/usr/bin/env bash
# Assembles the device code of some models by NVIDIA's ptxas, for three generations of GPUs, and says what registers it takes and spills.
#
#   scripts/ptxas.sh [SEQC]
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"
seqc=${1:-target/debug/seqc}
tool=build/python/ptxas/nvidia/cuda_nvcc/bin/ptxas
if [ ! -x "$tool" ]; then
    say "ptxas, of the package nvidia-cuda-nvcc-cu12 on PyPI"
    python3 -m pip install --quiet --no-deps --target build/python/ptxas nvidia-cuda-nvcc-cu12==12.9.86 || die "the package cannot be installed"
    chmod +x "$tool"
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for model in specs/models/smollm2-135m.yaml specs/mixers/{mamba2,gated_deltanet,moe,hyena}.yaml specs/policies/{h2o,quest}.yaml; do
    [ -e "$model" ] || continue
    "$seqc" build "$model" --emit ptx -o "$folder/code.ptx" 2>"$folder/messages" || die "$model does not build" "$(cat "$folder/messages")"
    for arch in sm_80 sm_90 sm_100; do
        "$tool" -arch="$arch" -v "$folder/code.ptx" -o "$folder/code.cubin" 2>"$folder/report" || die "ptxas refuses $model for $arch" "$(tail -5 "$folder/report")"
        spilled=$(grep -oE '[0-9]+ bytes spill stores' "$folder/report" | sort -n | tail -1)
        registers=$(grep -oE 'Used [0-9]+ registers' "$folder/report" | grep -oE '[0-9]+' | sort -n | tail -1)
        note "$model for $arch: at most $registers registers, ${spilled:-0 bytes spill stores}"
    done
done
