#!/usr/bin/env bash
# Runs the tests of sessions, of the C interface and of the engine under the thread and the address sanitizer. The standard library
# is compiled with them, which takes some minutes; its source is a component that rustup fetches.
#
#   scripts/sanitizers.sh [thread|address] [names of tests]
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"
sanitizers=(thread address)
if [ "${1:-}" = thread ] || [ "${1:-}" = address ]; then
    sanitizers=("$1")
    shift
fi
if [ $# -eq 0 ]; then set -- capi:: session:: engine:: pool:: pages:: places::; fi
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/src" ]; then
    step "source of the standard library" rustup component add rust-src || die "the component rust-src cannot be had"
fi
# Hand-made models of tests last as long as the process, and so do texts of a command line.
leaks=$(mktemp)
trap 'rm -f "$leaks"' EXIT
printf 'leak:%s\n' seqc_runtime::testing::code seqc_runtime::cli::words >"$leaks"
for sanitizer in "${sanitizers[@]}"; do
    say "Tests under the $sanitizer sanitizer"
    # Sanitizers are an unstable feature of rustc, which the variable allows.
    LSAN_OPTIONS="suppressions=$leaks" RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=$sanitizer" CARGO_TARGET_DIR="$work/sanitizers" \
        cargo test -Zbuild-std --target "$(uname -m)-unknown-linux-gnu" -p seqc-runtime --no-default-features --features library \
        --lib -- "$@" || die "the $sanitizer sanitizer found something, or a test failed"
done
