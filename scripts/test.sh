#!/usr/bin/env bash
# Every check of the project: layout of the source, lints, tests, documentation. What CI runs.
#
#   scripts/test.sh         everything
#   scripts/test.sh quick   what the inner loop takes, in three minutes after the first build: layout, lints, unit tests, the
#                           tests of single stages, 50 random models through generated code
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

# The test files that `quick` leaves out: they build programs, or measure kernels at many sizes.
slow="native programs outputs hostile slice"

# Arguments that name every other test file of the workspace.
quick_tests() {
    local file name
    for file in */tests/*.rs */tests/*/main.rs backends/*/tests/*.rs tests/fuzz/tests/*.rs; do
        [ -e "$file" ] || continue
        name=$(basename "$file" .rs)
        if [ "$name" = main ]; then name=$(basename "$(dirname "$file")"); fi
        case " $slow " in *" $name "*) continue ;; esac
        printf -- '--test %s ' "$name"
    done
}

if [ "${1:-all}" = quick ]; then
    check "Layout" cargo fmt --all --check
    check "Lints" cargo clippy --workspace --all-targets --quiet -- -D warnings
    # One selection of packages for all, the same as that of the lints and of the whole: nothing is built twice.
    # shellcheck disable=SC2046
    check "Unit and file tests" cargo test --quiet --workspace --lib --bins $(quick_tests)
    check "Random models" env SEQC_CASES=50 cargo test --quiet --workspace --test native -- \
        generated::random_models_compute_what_the_evaluator_says
    say "The quick checks passed in $SECONDS s"
    exit 0
fi

bash scripts/setup.sh test
check "Layout" cargo fmt --all --check
check "Lints" cargo clippy --workspace --all-targets --quiet -- -D warnings
check "Lints of the runtime for GPUs" cargo clippy --package seqc-runtime --features cuda --quiet -- -D warnings
# With the features that tests ask for, so that tests build nothing anew.
check "The compiler" cargo build --workspace --all-targets
check "Tests" cargo test --workspace
check "Documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

after=$(git status --porcelain 2>/dev/null || true)
if [ "$before" != "$after" ]; then
    printf '%s\n' "$after" >&2
    die "the checks changed the tree" "the files above are new or different"
fi
say "All checks passed in $SECONDS s"
