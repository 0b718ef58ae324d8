#!/usr/bin/env bash
# Measures each form of code beside numpy, on one thread, in turns: bash scripts/bench-forms.sh [--rounds 5] [--only NAME]
# Prints a Markdown table, that of docs/performance.md. SEQC: the compiler to use instead of a release build of this tree. Some minutes.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
python=$work/forms/venv/bin/python
if [ ! -x "$python" ]; then
    mkdir -p "$work/forms"
    python3 -m venv "$work/forms/venv"
    step "the packages numpy and safetensors" "$python" -m pip install --quiet numpy safetensors || die "numpy cannot be had"
fi
if [ -z "${SEQC:-}" ]; then
    say "Building seqc"
    (cd "$root" && cargo build --release --package seqc) || die "seqc does not build"
    SEQC=$target/release/seqc
fi
export OPENBLAS_NUM_THREADS=1
exec "$python" "$root/scripts/bench-forms.py" --seqc "$SEQC" --models "$root/scripts/forms" --work "$work/forms" "$@"
