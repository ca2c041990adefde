# All recipes of the project. `make` installs just and forwards to this file.

set shell := ["bash", "-euo", "pipefail", "-c"]

version := "v0.1.0"
# Programs for the tests and the demo, built once for all clones.
tools := env("PLAKBOX_TOOLS", env("HOME") / ".cache/plakbox/tools")
target := env("CARGO_TARGET_DIR", justfile_directory() / "target")
wasm := "wasm32-wasip2"
apple := "aarch64-apple-darwin"
arm := "aarch64-unknown-linux-gnu"
example := "examples/documents/bin"
# Many tests wait most of their time, so one more runs than there are processors.
at-once := "--test-threads " + shell("expr 1 + $(nproc 2> /dev/null || sysctl -n hw.ncpu)")

export PATH := tools / "bin" + ":" + env("PATH")

# Lists the recipes
default:
    @just --list

# Builds the files in manifest.yaml: the host, the component, and the precompiled component
build: component
    cargo build --quiet --release --package plakbox
    # A running program can't be overwritten, only replaced.
    cp --remove-destination {{ target }}/release/plakbox bin/plakbox
    bin/plakbox compile bin/rclone.wasm bin/rclone.cwasm

# Builds only the component
component: wasm-target
    cargo build --quiet --release --package rclone-connector --target {{ wasm }}
    mkdir -p bin
    cp --remove-destination {{ target }}/{{ wasm }}/release/rclone_connector.wasm bin/rclone.wasm

# Creates bin/rclone_VERSION_OS_ARCH.ptar
package: build plakar
    rm -f bin/*.ptar
    cd bin && plakar pkg create ../manifest.yaml {{ version }} > package.log 2>&1 || { cat package.log; exit 1; }
    ls -sh bin/*.ptar

# Creates the example connector's package, examples/documents/bin/documents_VERSION_OS_ARCH.ptar
example: build plakar
    cargo build --quiet --release --package documents --target {{ wasm }}
    mkdir -p {{ example }}
    cp --remove-destination bin/plakbox {{ target }}/{{ wasm }}/release/documents.wasm {{ example }}
    bin/plakbox compile {{ example }}/documents.wasm {{ example }}/documents.cwasm
    rm -f {{ example }}/*.ptar
    cd {{ example }} && plakar pkg create ../manifest.yaml {{ version }} > package.log 2>&1 || { cat package.log; exit 1; }

# Generates docs/contract.md from wit/
contract:
    PLAKBOX_WRITE=1 cargo test --quiet --release --package plakbox-tests --test end_to_end contract::

# Shows a real backup and restore, from an empty directory
demo: package rclone
    tests/demo.sh "$PWD"/bin/*.ptar

# Runs everything that CI runs
test: lint deny check-macos check-arm check-deploy (unit "60") wasmtime-run (end-to-end "60")
    @echo "everything passed"

# Checks formatting, clippy and documentation; warnings are errors
lint: wasm-target
    cargo fmt --all --check
    cargo clippy --quiet --release --package plakbox --package plakbox-tests --package scenarios --all-targets -- -D warnings
    cargo clippy --quiet --release --package rclone-connector --package rogue --package documents --package driver --package store-driver --package fake-rclone --target {{ wasm }} -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --quiet --release --no-deps --document-private-items --package plakbox --package plakbox-tests
    for patch in tests/mutations/*.patch; do git apply --check "$patch" || exit 1; done

# Checks the host's Rust code for macOS, if its standard library is available; compiles no C and links nothing
check-macos:
    @rustup target list --installed | grep -qx {{ apple }} || rustup target add {{ apple }} > /dev/null 2>&1 \
        || { echo "macOS was not checked: its standard library can't be fetched from here"; exit 0; }; \
    CC_aarch64_apple_darwin=true AR_aarch64_apple_darwin=true SDKROOT=/ \
        cargo check --quiet --release --package plakbox --target {{ apple }}

# Checks the host's Rust code for Linux on ARM, with clippy, if its standard library is available; compiles no C and links nothing
check-arm:
    @rustup target list --installed | grep -qx {{ arm }} || rustup target add {{ arm }} > /dev/null 2>&1 \
        || { echo "Linux on ARM was not checked: its standard library can't be fetched from here"; exit 0; }; \
    CC_aarch64_unknown_linux_gnu=true AR_aarch64_unknown_linux_gnu=true \
        cargo clippy --quiet --release --package plakbox --target {{ arm }} -- -D warnings

# Checks licences, sources and bans, and advisories if their database is available
deny: cargo-deny
    cargo deny --log-level error check licenses bans sources
    cargo deny --log-level error fetch db > /dev/null 2>&1 \
        && cargo deny --log-level error check advisories \
        || echo "advisories were not checked: their database can't be fetched from here"

# Checks deploy/ for systemd and, if Python is available, for Kubernetes
check-deploy: kubernetes-validate
    tests/deploy.sh "{{ tools }}/kubernetes/bin/kubernetes-validate"

# More codegen units than in a package: this halves the build time.
# Runs the unit tests, with this number of seconds per fuzz test
unit seconds="": probe
    PLAKBOX_FUZZ={{ seconds }} CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo test --quiet --release --package plakbox --package rclone-connector -- {{ at-once }}

# Runs the host's unit tests for Linux on ARM: needs Debian's qemu-user and gcc-aarch64-linux-gnu
unit-arm *filter:
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo test --quiet --release --package plakbox --target {{ arm }} -- {{ filter }} {{ at-once }}

# Runs the component under the stock wasmtime, with a driver and a fake rclone: one scenario, or all
wasmtime-run scenario="": compose wasmtime
    {{ if scenario =~ "^(documents|store)" { "" } else { "tests/wasi/run.sh bin/composed.wasm " + target + "/scenarios " + scenario } }}
    {{ if scenario =~ "^(store|$)" { "tests/wasi/run.sh bin/store-composed.wasm " + target + "/scenarios " + scenario } else { "" } }}
    {{ if scenario =~ "^(documents|$)" { "tests/wasi/run.sh bin/documents-composed.wasm " + target + "/scenarios " + scenario } else { "" } }}

# Composes bin/rclone.wasm and the example connector with the driver and the fake rclone of the scenarios
compose: component wac
    cargo build --quiet --release --package driver --package store-driver --package fake-rclone --package documents --target {{ wasm }}
    cp --remove-destination {{ target }}/{{ wasm }}/release/documents.wasm bin/
    tests/wasi/compose.sh {{ target }}/{{ wasm }}/release bin/rclone.wasm bin/composed.wasm
    tests/wasi/compose.sh {{ target }}/{{ wasm }}/release bin/rclone.wasm bin/store-composed.wasm store_driver
    tests/wasi/compose.sh {{ target }}/{{ wasm }}/release bin/documents.wasm bin/documents-composed.wasm

# Applies deliberate bugs to the component and shows the scenarios that catch them: all bugs, or these
mutations *names: wasm-target wac wasmtime
    tests/mutations.sh {{ target }}/mutations {{ names }}

# Runs the tests with real Plakar and real rclone, with this number of seconds per fuzz test
end-to-end seconds="": package example rclone rogue probe servers
    # This test builds everything, so it runs alone and blocks no other.
    cargo test --quiet --release --package plakbox-tests --test end_to_end package::
    PLAKBOX_FUZZ={{ seconds }} cargo test --quiet --release --package plakbox-tests -- --skip package:: {{ at-once }}

# Tests reads and restores under concurrency, faults and cancellation, for this number of rounds
concurrency rounds="1000": package rclone
    PLAKBOX_ROUNDS={{ rounds }} cargo test --quiet --release --package plakbox-tests --test end_to_end -- concurrency:: concurrent_restores::

# Kills backups to a store at random moments, for this number of rounds
store-kills rounds="500": package rclone
    PLAKBOX_ROUNDS={{ rounds }} cargo test --quiet --release --package plakbox-tests --test end_to_end store_kills::

# Backs up a Takeout export of more than 4 GiB
large-exports: package rclone
    cargo test --quiet --release --package plakbox-tests --test end_to_end more_than_four_gib -- --ignored

# Runs the long forms of the tests: some hours
nightly: concurrency store-kills large-exports (fuzz "600") (soak "60") load mutations

# Opens stores of Plakar's official rclone package, which PEER_PTAR names
test-official: package rclone
    cargo test --quiet --release --package plakbox-tests --test end_to_end official_package -- --ignored

# Compares with rclone and Plakar's own connectors, for this number of rounds, and prints tables
bench rounds="3" case="": package rclone probe
    cargo run --quiet --release --package plakbox-tests --bin bench_alone -- {{ rounds }}
    cargo run --quiet --release --package plakbox-tests --bin bench -- {{ rounds }} {{ case }}

# Measures stores on a remote that is 40 ms away, for this number of rounds: `restore`, `open`, `change`, `backup` or all
bench-stores rounds="3" case="": package rclone
    cargo run --quiet --release --package plakbox-tests --bin bench_stores -- {{ rounds }} {{ case }}

# Profiles the processor time of the two local cases
profile: package rclone
    tests/profile.sh

# Measures the cost of confining rclone: start delay and read throughput
bench-confinement rounds="5": rclone
    PLAKBOX_ROUNDS={{ rounds }} CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo test --quiet --release --package plakbox without_confinement -- --ignored --nocapture

# Measures the calls, downloads and seconds of Google Photos, on the emulator
bench-photos *library: package rclone
    cargo run --quiet --release --package plakbox-tests --bin bench_photos -- {{ library }}

# Measures the requests, bytes, seconds and memory of Google Takeout exports: PHOTOS ARCHIVES, or three libraries
bench-takeout *library: package rclone
    cargo run --quiet --release --package plakbox-tests --bin bench_takeout -- {{ library }}

# Measures the capacity and cost of the service for many tenants against goals; fails if one is missed
load case="": package rclone
    cargo run --quiet --release --package plakbox-tests --bin load -- {{ case }}

# Runs random sessions, cancellations and faults for this number of minutes; the service must return to its initial state
soak minutes="60": package rclone
    PLAKBOX_SOAK={{ minutes }} cargo test --quiet --release --package plakbox-tests --test end_to_end service_soak:: -- --nocapture

# Measures the peak memory of a backup of this number of directories with 500 files each, and one file of 2 GiB
memory directories="400": package rclone
    tests/memory.sh {{ directories }}

# Builds the component for the sandbox's tests
rogue: wasm-target
    cargo build --quiet --release --package rogue --target {{ wasm }}
    mkdir -p bin
    cp {{ target }}/{{ wasm }}/release/rogue.wasm bin/rogue.wasm

# Builds the program that replaces rclone in the confinement's tests
probe:
    cargo build --quiet --release --package plakbox-tests --bin probe
    mkdir -p bin
    cp --remove-destination {{ target }}/release/probe bin/probe

# Fuzzes all code that reads foreign input, for this number of seconds per target; shows the smallest failing input
fuzz seconds="60": package probe
    PLAKBOX_FUZZ={{ seconds }} cargo test --quiet --release --package plakbox --package rclone-connector whatever -- --nocapture {{ at-once }}
    PLAKBOX_FUZZ={{ seconds }} cargo test --quiet --release --package plakbox-tests --test end_to_end fuzz:: -- --nocapture {{ at-once }}

# Installs the compiler's target for components
wasm-target:
    @rustup target list --installed | grep -qx {{ wasm }} || rustup target add {{ wasm }}

# Builds plakar, if it isn't in PATH
plakar:
    @command -v plakar > /dev/null || tests/tools/build.sh plakar github.com/PlakarKorp/plakar "{{ tools }}/bin"

# Builds rclone, if a recent version isn't in PATH
rclone:
    @tests/tools/recent.sh || tests/tools/build.sh rclone github.com/rclone/rclone "{{ tools }}/bin"

# Installs the servers for the end-to-end tests, as root on Debian
servers:
    @tests/tools/servers.sh "{{ tools }}"

# Installs cargo-deny, if it isn't in PATH
cargo-deny:
    @command -v cargo-deny > /dev/null || cargo install --quiet --locked --root "{{ tools }}" cargo-deny

# Installs wac, which composes components, if it isn't in PATH
wac:
    @command -v wac > /dev/null || cargo install --quiet --locked --no-default-features --root "{{ tools }}" wac-cli@0.12.0

# Installs wasmtime, if a recent version isn't in PATH
wasmtime:
    @tests/tools/wasmtime.sh "{{ tools }}/bin"

# Installs kubernetes-validate, which contains the schemas of Kubernetes
kubernetes-validate:
    @test -x "{{ tools }}/kubernetes/bin/kubernetes-validate" || ! python3 -c "import ensurepip, venv" 2> /dev/null || { \
        python3 -m venv "{{ tools }}/kubernetes" \
        && "{{ tools }}/kubernetes/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate==1.37.0; \
    }
