#!/usr/bin/env bash
# compose.sh DIRECTORY CONNECTOR COMPOSED: puts a connector between the fake rclone and the
# driver, which are in DIRECTORY.
set -euo pipefail
with_fake=$(mktemp --suffix .wasm)
trap 'rm -f "$with_fake"' EXIT
wac plug --plug "$1/fake_rclone.wasm" "$2" -o "$with_fake"
wac plug --plug "$with_fake" "$1/driver.wasm" -o "$3"
