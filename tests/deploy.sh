#!/usr/bin/env bash
# deploy.sh VALIDATOR: checks what deploy/ has for Kubernetes against its schemas, and its
# units by systemd, where that is.
set -euo pipefail
cd "$(dirname "$0")/.."
validator=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

if [ -x "$validator" ]; then
    "$validator" --strict --quiet deploy/*.yaml
    # It would notice: a key of another name is refused.
    sed 's/runAsNonRoot:/runAsNonRoots:/' deploy/kubernetes.yaml > "$place/wrong.yaml"
    if "$validator" --strict --quiet "$place/wrong.yaml" > /dev/null 2>&1; then
        echo "the validator takes anything" >&2
        exit 1
    fi
else
    echo "deploy/kubernetes.yaml was not checked: Python with venv isn't here"
fi

if ! command -v systemd-analyze > /dev/null; then
    echo "the units were not checked: systemd-analyze isn't here"
    exit 0
fi
cp deploy/plakbox.socket "$place"
# The program is where it is installed; here any does.
sed "s|/usr/lib/plakbox/plakbox|$(command -v true)|" deploy/plakbox.service > "$place/plakbox.service"
systemd-analyze verify "$place/plakbox.service" "$place/plakbox.socket"
