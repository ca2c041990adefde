#!/usr/bin/env bash
# compose.sh DIRECTORY CONNECTOR COMPOSED [DRIVER]: puts a connector between the fake rclone and a
# driver, `driver` unless another one is named. Both are in DIRECTORY.
set -euo pipefail
with_fake=$(mktemp --suffix .wasm)
trap 'rm -f "$with_fake"' EXIT
wac plug --plug "$1/fake_rclone.wasm" "$2" -o "$with_fake"
wac plug --plug "$with_fake" "$1/${4:-driver}.wasm" -o "$3"
