#!/usr/bin/env bash
# Measures what plakbox promises, and prints a table. Figures depend on the machine;
# ratios within one run are what counts.
set -euo pipefail
cd "$(dirname "$0")/.."
plakbox=$PWD/bin/plakbox
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export HOME=$place RCLONE_CONFIG=$place/rclone.conf
printf '[remote]\ntype = memory\n' > "$RCLONE_CONFIG"

entries=1000000
awk -v n=$entries 'BEGIN {
    print "[";
    for (i = 1; i <= n; i++)
        printf "{\"Path\":\"dir%d/sub%d/file-%07d.bin\",\"Name\":\"file-%07d.bin\",\"Size\":%d,\"ModTime\":\"2024-01-02T03:04:05.%09dZ\",\"IsDir\":false,\"ID\":\"abcdefghijklmnop%d\"}%s\n", i / 10000, i / 100, i, i, i, i, i, i < n ? "," : "";
    print "]";
}' > "$place/listing"
fake() { # fake NAME LISTING: an rclone that only lists
    printf '#!/bin/sh\ncase "$1" in version) echo rclone v1.75.1 ;; lsjson) exec cat %s ;; esac\n' "$2" > "$place/$1"
    chmod +x "$place/$1"
}
printf '[\n]\n' > "$place/nothing"
fake empty "$place/nothing"
fake million "$place/listing"

# median COMMAND...: the median of five runs, in milliseconds
median() {
    for _ in 1 2 3 4 5; do
        local start=${EPOCHREALTIME/./}
        "$@" > /dev/null
        echo $(((${EPOCHREALTIME/./} - start) / 1000))
    done | sort -n | sed -n 3p
}
row() { printf '| %-62s | %22s |\n' "$1" "$2"; }

row "what" "median of 5"
row "---" "---"
export PLAKBOX_RCLONE=$place/empty
row "start of plugin and component, with an rclone that does nothing" "$(median "$plakbox" ls remote:) ms"
export PLAKBOX_RCLONE=$place/million
took=$(median "$plakbox" ls remote:)
row "a listing of $entries entries, from pipe to pipe" "$took ms"
row "" "$((entries * 1000 / took)) entries/s"
"$plakbox" ls remote: > /dev/null &
peak=0
while kill -0 $! 2> /dev/null; do
    now=$(awk '/VmHWM/ { print $2 }' /proc/$!/status 2> /dev/null || true)
    ((${now:-0} > peak)) && peak=$now
    sleep 0.02
done
row "memory of plakbox with that listing" "$((peak / 1024)) MiB"
row "the package" "$(($(stat -c %s bin/*.ptar) / 1000)) kB"
