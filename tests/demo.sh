#!/usr/bin/env bash
# demo.sh PACKAGE: backs up and restores a remote with the real Plakar and the real
# rclone, step by step as a user would, and compares the result byte by byte.
set -euo pipefail
package=$(realpath "$1")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
export HOME=$place/home RCLONE_CONFIG=$place/rclone.conf
mkdir -p "$HOME" "photos/2024/summer" "photos/2025" restored

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { say "\$ $*"; "$@"; }

for number in $(seq 1 40); do
    head -c $((number * 7919)) /dev/urandom > "photos/2024/summer/beach $number.jpg"
done
head -c 40000000 /dev/urandom > "photos/2025/party 🎉.mp4"
printf '[myphotos]\ntype = alias\nremote = %s/photos\n\n[elsewhere]\ntype = alias\nremote = %s/restored\n' \
    "$place" "$place" > "$RCLONE_CONFIG"

plakar -disable-security-check > /dev/null
run plakar pkg add "$package" | tail -n 1
run plakar pkg list
echo
say "\$ rclone config show myphotos | plakar source import -rclone"
rclone config show myphotos | plakar source import -rclone
say "\$ rclone config show elsewhere | plakar destination import -rclone"
rclone config show elsewhere | plakar destination import -rclone
run plakar at "$place/store" create -plaintext
run plakar at "$place/store" backup @myphotos | tail -n 4
run plakar at "$place/store" ls
snapshot=$(plakar at "$place/store" ls | awk '/^20/ { print $2; exit }')
run plakar at "$place/store" restore -to @elsewhere "$snapshot" | tail -n 4
say "\$ diff -r photos restored"
diff -r photos restored
times() { (cd "$1" && find . -type f -printf '%P %T@\n' | sort); }
diff <(times photos) <(times restored)
say "every byte and every time came back: $(find restored -type f | wc -l) files, $(du -sh restored | cut -f1)"
