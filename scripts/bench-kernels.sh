#!/usr/bin/env bash
# Measures emitted kernels against programs in C, both in turn in one run: bash scripts/bench-kernels.sh PEERS [--rounds 5 …]
# PEERS is a folder with the peers' sources (scan.c, fftconv.c), which are compiled for this processor; a row whose source is not there, or
# not for this kind of processor, is left out. Prints a Markdown table. SEQC: the compiler to use instead of a release build of this tree.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
[ $# -ge 1 ] && [ -d "$1" ] || die "the first argument is no folder with the peers' sources" "bash scripts/bench-kernels.sh PEERS"
peers=$1
shift
if [ -z "${SEQC:-}" ]; then
    say "Building seqc"
    (cd "$root" && cargo build --release --package seqc) || die "seqc does not build"
    SEQC=$target/release/seqc
fi
mkdir -p "$work/kernels"
# scan.c is written in intrinsics of x86-64.
if [ -f "$peers/scan.c" ] && [ "$(uname -m)" = x86_64 ]; then
    gcc -include "$root/scripts/kernels/lanes16.h" -O3 -march=native -ffast-math -fopenmp -shared -fPIC "$peers/scan.c" \
        -o "$work/kernels/libscan.so" -lmvec -lm || die "scan.c does not compile"
fi
if [ -f "$peers/fftconv.c" ]; then
    gcc -O3 -march=native -ffast-math -fopenmp "$peers/fftconv.c" -lfftw3f -lm -o "$work/kernels/fftconv" ||
        die "fftconv.c does not compile" "it takes FFTW in single precision: Debian's libfftw3-dev"
fi
exec python3 "$root/scripts/bench-kernels.py" --seqc "$SEQC" --models "$root/scripts/kernels" --work "$work/kernels" "$@"
