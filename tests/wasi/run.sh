#!/usr/bin/env bash
# Runs one scenario, or all of a connector, under the stock wasmtime:
# run.sh COMPONENT DIRECTORY [SCENARIO]. The names of the example connector's scenarios begin
# with its name, those of stores with `store`. The remote of a scenario that was named, or that failed, stays in the directory.
set -euo pipefail
component=$1 directory=$2 scenario=${3:-}
# Timeout of a scenario in seconds. The slowest needs five on an idle machine.
watchdog=${PLAKBOX_WATCHDOG:-60}
wasmtime=$(command -v wasmtime)
mkdir -p "$directory"

if [ -n "$scenario" ]; then
    command=("$wasmtime" run --dir "$directory::/data" "$component" "$scenario")
    echo "${command[*]}"
    exec timeout "$watchdog" "${command[@]}"
fi

echo "$wasmtime run --dir $directory::/data $component SCENARIO, for each:"
# Compiled once, so that each scenario starts quickly.
compiled=$directory/compiled.cwasm
"$wasmtime" compile "$component" --output "$compiled"
passed=0 failed=()
case ${component##*/} in
    documents*) filter=(grep ^documents) ;;
    store*) filter=(grep ^store) ;;
    *) filter=(grep -vE '^(documents|store)') ;;
esac
for scenario in $("$wasmtime" run --allow-precompiled "$compiled" | "${filter[@]}"); do
    status=0
    output=$(timeout "$watchdog" "$wasmtime" run --allow-precompiled \
        --dir "$directory::/data" "$compiled" "$scenario" 2>&1) || status=$?
    if [ "$status" = 0 ]; then
        passed=$((passed + 1))
        rm -rf "${directory:?}/$scenario"
        echo "ok    $scenario"
        continue
    fi
    failed+=("$scenario")
    echo "FAIL  $scenario"
    if [ "$status" = 124 ]; then echo "      it timed out after $watchdog seconds"; fi
    grep -v '^kept ' <<< "$output" | sed 's/^/      /' || true
done
echo "$passed scenarios passed, ${#failed[@]} failed, in $SECONDS s"
[ ${#failed[@]} = 0 ] && [ "$passed" -gt 0 ]
