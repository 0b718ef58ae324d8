#!/usr/bin/env bash
# Every check of the project: layout of the source, lints, tests, documentation. What CI runs.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$root"
if [ -n "${CI:-}" ]; then export INSTA_UPDATE=no; fi
before=$(git status --porcelain 2>/dev/null || true)

bash scripts/setup.sh

check() {
    local what=$1 start=$SECONDS
    shift
    say "$what: $*"
    "$@" || die "$what: this failed: $*"
    note "$what took $((SECONDS - start)) s"
}

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
