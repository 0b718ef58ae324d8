#!/usr/bin/env bash
# Every check of the project: layout of the source, lints, tests, documentation. What CI runs.
#
#   scripts/test.sh         everything
#   scripts/test.sh quick   what the inner loop takes: no documentation, and no tests that build programs
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"
if [ -n "${CI:-}" ]; then export INSTA_UPDATE=no; fi
before=$(git status --porcelain 2>/dev/null || true)

check() {
    local what=$1 start=$SECONDS
    shift
    say "$what: $*"
    "$@" || die "$what: this failed: $*"
    note "$what took $((SECONDS - start)) s"
}

if [ "${1:-all}" = quick ]; then
    check "Layout" cargo fmt --all --check
    check "Lints" cargo clippy --workspace --all-targets --quiet -- -D warnings
    check "Tests" cargo test --quiet --package seqc-grammar --package seqc-ir --package seqc-passes --package seqc-abi \
        --package seqc-kernel --package seqc-checkpoint --package seqc-runtime --package seqc
    check "House rules" cargo test --quiet --package seqc-tests --test tidy
    say "The quick checks passed in $SECONDS s"
    exit 0
fi

bash scripts/setup.sh
check "Layout" cargo fmt --all --check
check "Lints" cargo clippy --workspace --all-targets --quiet -- -D warnings
check "The compiler" cargo build --workspace --bins
check "Tests" cargo test --workspace
check "Documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

after=$(git status --porcelain 2>/dev/null || true)
if [ "$before" != "$after" ]; then
    printf '%s\n' "$after" >&2
    die "the checks changed the tree" "the files above are new or different"
fi
say "All checks passed in $SECONDS s"
