#!/usr/bin/env bash
# profile.sh: each program's share of the processor time, and the idle time, while Plakar
# backs up 10,000 x 16 KB, and then 1 GiB in one file, from a local remote. It uses `perf`
# (package linux-perf), which usually requires root.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v perf > /dev/null || { echo "perf is missing: install your system's linux-perf" >&2; exit 1; }
package=$(realpath bin/*.ptar)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export HOME=$place/home RCLONE_CONFIG=$place/rclone.conf
mkdir -p "$HOME" "$place/many" "$place/one"
printf '[many]\ntype = alias\nremote = %s/many\n[one]\ntype = alias\nremote = %s/one\n' \
    "$place" "$place" > "$RCLONE_CONFIG"
head -c 160000000 /dev/urandom | (cd "$place/many" && split --bytes 16000 --suffix-length 4)
head -c 1G /dev/urandom > "$place/one/one"
{
    plakar -disable-security-check
    plakar pkg add "$package"
} > /dev/null 2>&1

# share RECORD PROGRAM: the program's percentage of all samples
share() {
    perf report --input "$1" --no-children --sort comm --stdio 2> /dev/null |
        awk -v program="$2" '$2 == program { sub("%", "", $1); print $1; found = 1 } END { if (!found) print 0 }'
}

echo "| case | plakar | rclone | plakbox | idle |"
echo "| --- | --- | --- | --- | --- |"
for remote in many one; do
    plakar at "$place/$remote.store" create -plaintext > "$place/log" 2>&1
    perf record --quiet --all-cpus --freq 999 --output "$place/$remote.record" -- \
        plakar at "$place/$remote.store" backup "rclone://$remote:" > "$place/log" 2>&1 ||
        { cat "$place/log" >&2; exit 1; }
    row="| $remote |"
    for program in plakar rclone plakbox swapper; do
        row+=" $(share "$place/$remote.record" "$program") % |"
    done
    echo "$row"
done
