#!/usr/bin/env bash
# memory.sh [DIRECTORIES]: backs up this number of directories (400) with 500 small files
# each, and one file of 2 GiB, with the real Plakar. Prints the peak memory of plakbox and
# of a single rclone. Takes minutes and 4 GB of disk.
set -euo pipefail
cd "$(dirname "$0")/.."
package=$(realpath bin/*.ptar)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export HOME=$place/home RCLONE_CONFIG=$place/rclone.conf
mkdir -p "$HOME" "$place/files"
printf '[files]\ntype = alias\nremote = %s/files\n' "$place" > "$RCLONE_CONFIG"
for directory in $(seq "${1:-400}"); do
    mkdir "$place/files/$directory"
    for file in $(seq 500); do
        # A quarter of the files is empty.
        ((file % 4)) && echo "$directory $file" > "$place/files/$directory/$file" || : > "$place/files/$directory/$file"
    done
done
truncate -s 2G "$place/files/huge"
{
    plakar -disable-security-check
    plakar pkg add "$package"
    plakar at "$place/store" create -plaintext
} > /dev/null 2>&1
plakar at "$place/store" backup rclone://files: > "$place/log" 2>&1 &
backup=$! own=0 rclone=0
peak() { awk '/VmHWM/ { print $2 }' "/proc/$1/status" 2> /dev/null || true; }
while kill -0 $backup 2> /dev/null; do
    for id in $(pgrep -f "$place/.*bin/plakbox importer" || true); do
        now=$(peak "$id")
        ((${now:-0} > own)) && own=$now
    done
    for id in $(pgrep -f -- "--use-json-log.*$place" || true); do
        now=$(peak "$id")
        ((${now:-0} > rclone)) && rclone=$now
    done
    sleep 0.5
done
wait $backup
tail -n 1 "$place/log"
echo "plakbox: $((own / 1024)) MiB, rclone: $((rclone / 1024)) MiB"
