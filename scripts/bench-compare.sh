#!/usr/bin/env bash
# Measures the models of one size and writes the table of docs/compare.md anew: bash scripts/bench-compare.sh [MODEL.yaml …]
# SEQC: the compiler to use instead of a release build of this tree. AT: context lengths. Some minutes; leave the machine alone.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"
if [ -z "${SEQC:-}" ]; then
    say "Building seqc"
    cargo build --release --package seqc || die "seqc does not build"
    SEQC=$target/release/seqc
fi
[ $# -gt 0 ] || set -- specs/models/*-130m.yaml
say "Measuring"
"$SEQC" probe >"$work/machine.txt" || die "the machine was not measured"
"$SEQC" compare "$@" --at "${AT:-512,4k}" --measure --format json >"$work/compare.json" || die "the models were not measured"
exec python3 "$root/scripts/bench-compare.py" "$work/compare.json" "$root/docs/compare.md"
