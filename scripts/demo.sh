#!/usr/bin/env bash
# From a bare machine to text: sets up, builds seqc, compiles SmolLM2-135M, and lets the program answer a prompt. Then the same with Gemma 3 270M
# in Q4_K_M, which SEQC_DEMO_GEMMA=no leaves out (253 MB, under Google's Gemma terms).
#
#   scripts/demo.sh [PROMPT]
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"
prompt=${1:-What is a sequence model? Answer in two sentences.}

bash scripts/setup.sh
say "Building seqc (some minutes the first time)"
cargo build --release --package seqc ||
    die "seqc does not build" "if LLVM is the reason: scripts/setup.sh lists the packages it takes"

say "Compiling specs/models/smollm2-135m.yaml to build/smollm2"
start=$(date +%s%N)
"$target/release/seqc" build specs/models/smollm2-135m.yaml -o "$work/smollm2" || die "seqc build failed"
note "took $((($(date +%s%N) - start) / 1000000)) ms; the program has $(wc -c <"$work/smollm2") bytes and needs no library"

say "build/smollm2 generate --chat '$prompt'"
"$work/smollm2" generate --chat "$prompt" --max-tokens 120 --temperature 0 || die "the program failed"
printf '\n'
note "ask it something else: build/smollm2 generate --chat '…'"

if [ "${SEQC_DEMO_GEMMA:-yes}" = no ]; then exit 0; fi
bash scripts/setup.sh gemma
say "Compiling specs/models/gemma3-270m.yaml to build/gemma3"
"$target/release/seqc" build specs/models/gemma3-270m.yaml -o "$work/gemma3" || die "seqc build failed"
say "build/gemma3 generate --prompt 'The capital of Italy is Rome, and the capital of Spain is'"
"$work/gemma3" generate --prompt 'The capital of Italy is Rome, and the capital of Spain is' --max-tokens 48 --temperature 0 ||
    die "the program failed"
printf '\n'
