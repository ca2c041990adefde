#!/usr/bin/env bash
# Succeeds if PATH has an rclone of version 1.70 or later.
set -euo pipefail
version=$(rclone version 2> /dev/null | head -n 1 | sed -n 's/^rclone v\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
read -r major minor <<< "${version:-0 0}"
((major > 1 || (major == 1 && minor >= 70)))
