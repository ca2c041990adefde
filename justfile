# Every recipe of the project. `make` gets just and forwards to this.

set shell := ["bash", "-euo", "pipefail", "-c"]

version := "v0.1.0"
# Programs that the tests and the demonstration need, built once for all clones.
tools := env("PLAKBOX_TOOLS", env("HOME") / ".cache/plakbox/tools")
target := env("CARGO_TARGET_DIR", justfile_directory() / "target")
wasm := "wasm32-wasip2"
apple := "aarch64-apple-darwin"
arm := "aarch64-unknown-linux-gnu"
example := "examples/documents/bin"
# Many tests wait for something most of their time.
at-once := "--test-threads " + shell("expr 1 + $(nproc 2> /dev/null || sysctl -n hw.ncpu)")

export PATH := tools / "bin" + ":" + env("PATH")

# Lists the recipes
default:
    @just --list

# Builds what manifest.yaml names: the host, the component, and the component compiled ahead
build: component
    cargo build --quiet --release --package plakbox
    # A running program can't be written over, only replaced.
    cp --remove-destination {{ target }}/release/plakbox bin/plakbox
    bin/plakbox compile bin/rclone.wasm bin/rclone.cwasm

# Builds the component alone
component: wasm-target
    cargo build --quiet --release --package rclone-connector --target {{ wasm }}
    mkdir -p bin
    cp --remove-destination {{ target }}/{{ wasm }}/release/rclone_connector.wasm bin/rclone.wasm

# Makes bin/rclone_VERSION_OS_ARCH.ptar
package: build plakar
    rm -f bin/*.ptar
    cd bin && plakar pkg create ../manifest.yaml {{ version }} > package.log 2>&1 || { cat package.log; exit 1; }
    ls -sh bin/*.ptar

# Makes the example connector's package, examples/documents/bin/documents_VERSION_OS_ARCH.ptar
example: build plakar
    cargo build --quiet --release --package documents --target {{ wasm }}
    mkdir -p {{ example }}
    cp --remove-destination bin/plakbox {{ target }}/{{ wasm }}/release/documents.wasm {{ example }}
    bin/plakbox compile {{ example }}/documents.wasm {{ example }}/documents.cwasm
    rm -f {{ example }}/*.ptar
    cd {{ example }} && plakar pkg create ../manifest.yaml {{ version }} > package.log 2>&1 || { cat package.log; exit 1; }

# Writes docs/contract.md anew, from wit/
contract:
    PLAKBOX_WRITE=1 cargo test --quiet --release --package plakbox-tests --test end_to_end contract::

# Shows a real backup and restore, from nothing
demo: package rclone
    tests/demo.sh "$PWD"/bin/*.ptar

# Everything that CI runs
test: lint deny check-macos check-arm check-deploy (unit "60") wasmtime-run (end-to-end "60")
    @echo "everything passed"

# Formatting, clippy and documentation, without a warning
lint: wasm-target
    cargo fmt --all --check
    cargo clippy --quiet --release --package plakbox --package plakbox-tests --package scenarios --all-targets -- -D warnings
    cargo clippy --quiet --release --package rclone-connector --package rogue --package documents --package driver --package fake-rclone --target {{ wasm }} -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --quiet --release --no-deps --document-private-items --package plakbox --package plakbox-tests
    for patch in tests/mutations/*.patch; do git apply --check "$patch" || exit 1; done

# The host's Rust for macOS, where its standard library can be had. No C is compiled and nothing is linked
check-macos:
    @rustup target list --installed | grep -qx {{ apple }} || rustup target add {{ apple }} > /dev/null 2>&1 \
        || { echo "macOS was not checked: its standard library can't be fetched from here"; exit 0; }; \
    CC_aarch64_apple_darwin=true AR_aarch64_apple_darwin=true SDKROOT=/ \
        cargo check --quiet --release --package plakbox --target {{ apple }}

# The host's Rust for Linux on ARM, with clippy, where its standard library can be had. No C is compiled and nothing is linked
check-arm:
    @rustup target list --installed | grep -qx {{ arm }} || rustup target add {{ arm }} > /dev/null 2>&1 \
        || { echo "Linux on ARM was not checked: its standard library can't be fetched from here"; exit 0; }; \
    CC_aarch64_unknown_linux_gnu=true AR_aarch64_unknown_linux_gnu=true \
        cargo clippy --quiet --release --package plakbox --target {{ arm }} -- -D warnings

# Licences, sources and bans; advisories where their database can be had
deny: cargo-deny
    cargo deny --log-level error check licenses bans sources
    cargo deny --log-level error fetch db > /dev/null 2>&1 \
        && cargo deny --log-level error check advisories \
        || echo "advisories were not checked: their database can't be fetched from here"

# What deploy/ has for systemd and Kubernetes, by their own rules; the latter where Python is
check-deploy: kubernetes-validate
    tests/deploy.sh "{{ tools }}/kubernetes/bin/kubernetes-validate"

# The tests beside the code, with so many seconds for each that makes up nonsense; compiled
# in more units, which takes half the time of what a package is worth
unit seconds="": probe
    PLAKBOX_FUZZ={{ seconds }} CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo test --quiet --release --package plakbox --package rclone-connector -- {{ at-once }}

# The host's tests beside the code, for Linux on ARM: needs qemu-user and gcc-aarch64-linux-gnu of Debian
unit-arm *filter:
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo test --quiet --release --package plakbox --target {{ arm }} -- {{ filter }} {{ at-once }}

# The component under the stock wasmtime, with a driver and a fake rclone: one scenario, or all
wasmtime-run scenario="": compose wasmtime
    {{ if scenario =~ "^documents" { "" } else { "tests/wasi/run.sh bin/composed.wasm " + target + "/scenarios " + scenario } }}
    {{ if scenario =~ "^(documents|$)" { "tests/wasi/run.sh bin/documents-composed.wasm " + target + "/scenarios " + scenario } else { "" } }}

# bin/rclone.wasm and the example connector, each with what stands around it in these scenarios
compose: component wac
    cargo build --quiet --release --package driver --package fake-rclone --package documents --target {{ wasm }}
    cp --remove-destination {{ target }}/{{ wasm }}/release/documents.wasm bin/
    tests/wasi/compose.sh {{ target }}/{{ wasm }}/release bin/rclone.wasm bin/composed.wasm
    tests/wasi/compose.sh {{ target }}/{{ wasm }}/release bin/documents.wasm bin/documents-composed.wasm

# Bugs put into the component on purpose, and which scenarios catch them: all, or these
mutations *names: wasm-target wac wasmtime
    tests/mutations.sh {{ target }}/mutations {{ names }}

# Real Plakar, real rclone, with so many seconds for each test that makes up nonsense
end-to-end seconds="": package example rclone rogue probe servers
    # This one builds everything: alone, it keeps no other waiting.
    cargo test --quiet --release --package plakbox-tests --test end_to_end package::
    PLAKBOX_FUZZ={{ seconds }} cargo test --quiet --release --package plakbox-tests -- --skip package:: {{ at-once }}

# Reads and restores under concurrency, faults and cancellation, for so many rounds
concurrency rounds="1000": package rclone
    PLAKBOX_ROUNDS={{ rounds }} cargo test --quiet --release --package plakbox-tests --test end_to_end -- concurrency:: concurrent_restores::

# Measures against rclone and Plakar's own connectors, so many rounds, and prints tables
bench rounds="3" case="": package rclone probe
    cargo run --quiet --release --package plakbox-tests --bin bench_alone -- {{ rounds }}
    cargo run --quiet --release --package plakbox-tests --bin bench -- {{ rounds }} {{ case }}

# Where the processors' time goes in the two local cases
profile: package rclone
    tests/profile.sh

# What confining rclone costs: how much later it starts, how fast it reads
bench-confinement rounds="5": rclone
    PLAKBOX_ROUNDS={{ rounds }} CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo test --quiet --release --package plakbox without_confinement -- --ignored --nocapture

# What Google Photos costs in calls, downloads and seconds, on the emulator
bench-photos *library: package rclone
    cargo run --quiet --release --package plakbox-tests --bin bench_photos -- {{ library }}

# What the service for many tenants bears and costs, each figure beside its goal; fails if one is missed
load case="": package rclone
    cargo run --quiet --release --package plakbox-tests --bin load -- {{ case }}

# Random sessions, cancellations and faults for so many minutes, after which the service is as it was
soak minutes="60": package rclone
    PLAKBOX_SOAK={{ minutes }} cargo test --quiet --release --package plakbox-tests --test end_to_end service_soak:: -- --nocapture

# The most memory of a backup of so many times 500 files and one of 2 GiB
memory directories="400": package rclone
    tests/memory.sh {{ directories }}

# The component of the sandbox's tests
rogue: wasm-target
    cargo build --quiet --release --package rogue --target {{ wasm }}
    mkdir -p bin
    cp {{ target }}/{{ wasm }}/release/rogue.wasm bin/rogue.wasm

# What stands in rclone's place in the confinement's tests
probe:
    cargo build --quiet --release --package plakbox-tests --bin probe
    mkdir -p bin
    cp --remove-destination {{ target }}/release/probe bin/probe

# Nonsense for whatever reads what others wrote, for so many seconds each; the smallest that fails is shown
fuzz seconds="60": package probe
    PLAKBOX_FUZZ={{ seconds }} cargo test --quiet --release --package plakbox --package rclone-connector whatever -- --nocapture {{ at-once }}
    PLAKBOX_FUZZ={{ seconds }} cargo test --quiet --release --package plakbox-tests --test end_to_end fuzz:: -- --nocapture {{ at-once }}

# The compiler's support for components
wasm-target:
    @rustup target list --installed | grep -qx {{ wasm }} || rustup target add {{ wasm }}

# plakar, if it isn't in PATH
plakar:
    @command -v plakar > /dev/null || tests/tools/build.sh plakar github.com/PlakarKorp/plakar "{{ tools }}/bin"

# rclone, if a recent one isn't in PATH
rclone:
    @tests/tools/recent.sh || tests/tools/build.sh rclone github.com/rclone/rclone "{{ tools }}/bin"

# The servers of the end-to-end tests, where they can be installed: root, and a Debian
servers:
    @tests/tools/servers.sh "{{ tools }}"

# cargo-deny, if it isn't in PATH
cargo-deny:
    @command -v cargo-deny > /dev/null || cargo install --quiet --locked --root "{{ tools }}" cargo-deny

# wac, which composes components, if it isn't in PATH
wac:
    @command -v wac > /dev/null || cargo install --quiet --locked --no-default-features --root "{{ tools }}" wac-cli@0.12.0

# wasmtime, if a recent one isn't in PATH
wasmtime:
    @tests/tools/wasmtime.sh "{{ tools }}/bin"

# kubernetes-validate, which has the schemas of Kubernetes in it
kubernetes-validate:
    @test -x "{{ tools }}/kubernetes/bin/kubernetes-validate" || ! python3 -c "import ensurepip, venv" 2> /dev/null || { \
        python3 -m venv "{{ tools }}/kubernetes" \
        && "{{ tools }}/kubernetes/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate==1.37.0; \
    }
