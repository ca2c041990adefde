#!/usr/bin/env bash
# deploy.sh VALIDATOR: checks the Kubernetes files in deploy/ against their schemas, and the
# units with systemd-analyze, if it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
validator=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

if [ -x "$validator" ]; then
    "$validator" --strict --quiet deploy/*.yaml
    # Check the validator itself: it must refuse a misspelled key.
    sed 's/runAsNonRoot:/runAsNonRoots:/' deploy/kubernetes.yaml > "$place/wrong.yaml"
    if "$validator" --strict --quiet "$place/wrong.yaml" > /dev/null 2>&1; then
        echo "the validator accepted a misspelled key" >&2
        exit 1
    fi
else
    echo "deploy/kubernetes.yaml was not checked: Python with venv is not installed"
fi

if ! command -v systemd-analyze > /dev/null; then
    echo "the units were not checked: systemd-analyze is not installed"
    exit 0
fi
cp deploy/plakbox.socket "$place"
# systemd-analyze requires that the program exists; any program will do.
sed "s|/usr/lib/plakbox/plakbox|$(command -v true)|" deploy/plakbox.service > "$place/plakbox.service"
systemd-analyze verify "$place/plakbox.service" "$place/plakbox.socket"
