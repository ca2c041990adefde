#!/usr/bin/env bash
# build.sh NAME PACKAGE DIRECTORY: builds a Go program from the module next to this
# file, with the versions that its go.sum pins, into DIRECTORY.
set -euo pipefail
name=$1 package=$2 directory=$3
command -v go > /dev/null || {
    echo "$name is not in PATH and can't be built without Go: install $name, or Go 1.26 or later" >&2
    exit 1
}
mkdir -p "$directory"
echo "building $name, once, into $directory" >&2
cd "$(dirname "$0")/$name"
go build -trimpath -ldflags '-s -w' -o "$directory/$name" "$package"
