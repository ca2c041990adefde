#!/usr/bin/env bash
# mutations.sh DIRECTORY [MUTATION...]: applies each patch in tests/mutations to a copy of
# the guest, one at a time, and prints the scenarios that fail under the stock wasmtime.
# Fails if a bug is not caught. Takes a minute per bug; all output is in DIRECTORY.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1"
place=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- tests/mutations/*.patch
wasm=wasm32-wasip2 tree=$place/tree bin=$place/bin
export CARGO_TARGET_DIR=$place/target
# Without a bug the slowest scenario takes a few seconds; with a bug it may never end.
export PLAKBOX_WATCHDOG=${PLAKBOX_WATCHDOG:-20}
# Keep git from taking the copy for a part of this repository.
export GIT_CEILING_DIRECTORIES=$place

rm -rf "$tree"
mkdir -p "$tree" "$bin"
git ls-files --cached --others --exclude-standard -z | xargs -0 cp --parents --preserve=timestamps -t "$tree"
cargo build --quiet --release --package driver --package store-driver --package fake-rclone --target $wasm

missed=()
for mutation in "$@"; do
    mutation=$(basename "$mutation" .patch)
    patch=$PWD/tests/mutations/$mutation.patch
    git -C "$tree" apply "$patch"
    cargo build --quiet --release --package rclone-connector --target $wasm --manifest-path "$tree/Cargo.toml"
    built=$CARGO_TARGET_DIR/$wasm/release
    # Bugs of stores are caught by the scenarios of stores.
    driver=driver composed=composed
    if grep -q '^+++ b/guest/src/store/' "$patch"; then driver=store_driver composed=store-composed; fi
    tests/wasi/compose.sh "$built" "$built/rclone_connector.wasm" "$bin/$composed.wasm" "$driver"
    git -C "$tree" apply --reverse "$patch"

    tests/wasi/run.sh "$bin/$composed.wasm" "$place/scenarios" > "$place/$mutation.log" || true
    rm -rf "$place/scenarios"
    mapfile -t by < <(sed -n 's/^FAIL *//p' "$place/$mutation.log")
    if [ ${#by[@]} = 0 ]; then
        missed+=("$mutation")
        echo "$mutation: MISSED"
    else
        echo "$mutation: caught by ${#by[@]}, such as ${by[*]:0:2}"
    fi
done
echo "$(($# - ${#missed[@]})) of $# mutations caught"
[ ${#missed[@]} = 0 ]
