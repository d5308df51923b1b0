#!/usr/bin/env bash
# Builds tradewind as it is shipped: optimised by a profile of itself at work (profile-guided optimisation).
#
#   pgo.sh FOLDER   leaves FOLDER/release/tradewind
#
# Three steps: an instrumented build; calls through it (train.py: whole answers and streams, both dialects, translated or
# not, with keys, limits and a budget, and refusals; tunnels; zips of modules; state); a build that lays out the code by what was
# counted. Takes about three times as long as a plain release build. Needs llvm-profdata of the LLVM that rustc has (Debian: llvm-22).
set -euo pipefail

mkdir -p "$1"
folder=$(realpath "$1")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
python=${TRADEWIND_PEERS:?}/python/bin/python

say() { printf 'pgo: %s\n' "$*" >&2; }

llvm=$(rustc -vV | awk '/^LLVM version/ { split($3, part, "."); print part[1] }')
if ! command -v "llvm-profdata-$llvm" >/dev/null; then
    command -v apt-get >/dev/null || { say "error: llvm-profdata-$llvm is not here; install LLVM $llvm"; exit 1; }
    say "installing llvm-$llvm for llvm-profdata"
    ${SUDO:-} apt-get install -y --no-install-recommends "llvm-$llvm" >/dev/null
fi

build() { # FLAGS FOLDER
    RUSTFLAGS="$1" CARGO_TARGET_DIR="$2" cargo build --release -p tradewind --bin tradewind \
        --manifest-path "$root/Cargo.toml"
}

say "1 of 3: an instrumented build"
counts=$folder/counts
rm -rf "$counts"
build "-Cprofile-generate=$counts" "$folder/instrumented"
CARGO_TARGET_DIR="$folder/instrumented" cargo build --release -p tradewind-sim --bin tradewind-sim \
    --manifest-path "$root/Cargo.toml"

say "2 of 3: calls through it"
TRADEWIND_BIN=$folder/instrumented/release/tradewind TRADEWIND_SIM_BIN=$folder/instrumented/release/tradewind-sim \
    "$python" "$here/train.py"
"llvm-profdata-$llvm" merge -o "$folder/tradewind.profdata" "$counts"

say "3 of 3: the build by that profile"
build "-Cprofile-use=$folder/tradewind.profdata" "$folder"
say "built $folder/release/tradewind"
