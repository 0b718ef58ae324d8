# What the scripts share: where things lie, how they speak, how they fail. Sourced, never run.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${SEQC_WORK:-$root/build}
target=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$work"

say() { printf '\n== %s\n' "$*" >&2; }
note() { printf '   %s\n' "$*" >&2; }
die() {
    printf '\nfailed: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '   %s\n' "$line" >&2; done
    exit 2
}

# install_rust_targets TARGET…: the libraries of Rust for these targets.
install_rust_targets() {
    local name
    command -v cargo >/dev/null || die "cargo is missing" "install Rust with rustup; rust-toolchain.toml names the version"
    cd "$root"
    for name in "$@"; do
        if [ -d "$(rustc --print sysroot)/lib/rustlib/$name" ]; then
            note "Rust $(rustc --version | cut -d' ' -f2) with $name: there"
            continue
        fi
        command -v rustup >/dev/null || die "rustc has no libraries for $name" "install that target for $(rustc --version)"
        step "Rust libraries for $name" rustup target add "$name" || die "the Rust target $name cannot be had"
    done
}

# step SECONDS-LABEL COMMAND…: runs a command, says how long it took, and shows its end when it fails.
step() {
    local label=$1 log start
    shift
    log=$work/log/$(printf '%s' "$label" | tr -c 'A-Za-z0-9' '-').txt
    mkdir -p "$work/log"
    start=$SECONDS
    printf '   %s …' "$label" >&2
    "$@" >"$log" 2>&1 &
    local pid=$! ticks=0
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1
        ticks=$((ticks + 1))
        if [ $((ticks % 15)) -eq 0 ]; then printf ' %ds' "$((SECONDS - start))" >&2; fi
    done
    if wait "$pid"; then
        printf ' done (%d s)\n' "$((SECONDS - start))" >&2
        return 0
    fi
    printf ' failed; the end of %s:\n' "$log" >&2
    tail -n 25 "$log" >&2
    return 1
}
