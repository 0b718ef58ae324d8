#!/usr/bin/env bash
# What to run on a machine with a GPU: programs for it against programs for the processor, in every cut into chunks, then their speeds. The programs are
# built beforehand, on any machine, since the one with the GPU may have no compiler.
#
#   scripts/gpu-check.sh prepare [SEQC]    builds the programs into build/gpu-check.tar.xz
#   scripts/gpu-check.sh run [ARCHIVE]     runs them there: needs python3, prints JSON, fails where numbers differ
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"
archive=$work/gpu-check.tar.xz
checkpoints="llama mamba mamba2 jamba gemma3 qwen3"
policies="h2o kivi4 infllm streaming"

# both NAME MODEL OPTION…: builds a model for both.
both() {
    local name=$1 model=$2 target
    shift 2
    for target in cuda x86-64-v3; do
        "$seqc" build "$model" --target "$target" "$@" -o "$folder/$name.$target" >"$folder/messages" 2>&1 ||
            die "$name does not build for $target" "$(cat "$folder/messages")"
    done
}

prepare() {
    local name
    seqc=${1:-target/release/seqc}
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    for name in $checkpoints; do
        [ -d "tests/fixtures/hf/$name" ] || continue
        note "$name"
        "$seqc" import "tests/fixtures/hf/$name" -o "$folder/$name.yaml" --force >/dev/null 2>&1
        both "$name" "$folder/$name.yaml" --embed-weights
    done
    for name in $policies; do
        note "$name"
        { cat "specs/policies/$name.yaml" && echo "weights: {random: 1}"; } >"$folder/$name.yaml"
        both "$name" "$folder/$name.yaml"
    done
    note "a Llama of 135M parameters, random weights"
    sed 's/^weights:.*/weights: {random: 1}/' specs/models/smollm2-135m.yaml >"$folder/large.yaml"
    "$seqc" build "$folder/large.yaml" --target cuda -o "$folder/large.cuda" >"$folder/messages" 2>&1 || die "it does not build" "$(cat "$folder/messages")"
    rm -f "$folder"/*.yaml "$folder/messages"
    mkdir -p "$(dirname "$archive")"
    XZ_OPT=-2 tar -C "$folder" -cJf "$archive" .
    say "$(du -h "$archive" | cut -f1) in ${archive#"$root"/}"
}

run() {
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    tar -C "$folder" -xJf "${1:-$archive}"
    python3 scripts/gpu-check.py "$folder"
}

case ${1:-} in
prepare) prepare "${@:2}" ;;
run) run "${@:2}" ;;
*) die "usage: scripts/gpu-check.sh prepare [SEQC] | run [ARCHIVE]" ;;
esac
