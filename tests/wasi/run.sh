#!/usr/bin/env bash
# Runs one scenario, or all of a connector, under the stock wasmtime:
# run.sh COMPONENT DIRECTORY [SCENARIO]. Those of the example connector begin with its name.
# The remote of a scenario that was asked for, or failed, stays in the directory, to be
# looked at.
set -euo pipefail
component=$1 directory=$2 scenario=${3:-}
# Seconds that a scenario may take: the slowest takes five on a machine that does nothing else.
watchdog=${PLAKBOX_WATCHDOG:-60}
wasmtime=$(command -v wasmtime)
mkdir -p "$directory"

if [ -n "$scenario" ]; then
    command=("$wasmtime" run --dir "$directory::/data" "$component" "$scenario")
    echo "${command[*]}"
    exec timeout "$watchdog" "${command[@]}"
fi

echo "$wasmtime run --dir $directory::/data $component SCENARIO, for each:"
# Compiled once, each starts at once.
compiled=$directory/compiled.cwasm
"$wasmtime" compile "$component" --output "$compiled"
passed=0 failed=()
of=(grep)
case ${component##*/} in documents*) ;; *) of+=(-v) ;; esac
for scenario in $("$wasmtime" run --allow-precompiled "$compiled" | "${of[@]}" ^documents); do
    status=0
    said=$(timeout "$watchdog" "$wasmtime" run --allow-precompiled \
        --dir "$directory::/data" "$compiled" "$scenario" 2>&1) || status=$?
    if [ "$status" = 0 ]; then
        passed=$((passed + 1))
        rm -rf "${directory:?}/$scenario"
        echo "ok    $scenario"
        continue
    fi
    failed+=("$scenario")
    echo "FAIL  $scenario"
    if [ "$status" = 124 ]; then echo "      it had no end after $watchdog seconds"; fi
    grep -v '^kept ' <<< "$said" | sed 's/^/      /' || true
done
echo "$passed scenarios passed, ${#failed[@]} failed, in $SECONDS s"
[ ${#failed[@]} = 0 ] && [ "$passed" -gt 0 ]
