#!/usr/bin/env bash
# Runs parts of the test suite in the order given, and stops at the first that fails.
#
#   test.sh [lint] [core] [18] [16] [upgrade] [schema] [frozen] [demo]
. "$(dirname "$0")/environment.sh"

# The parts choose their own servers.
unset PG_CONFIG
cd "$repo"

lint() {
    "$repo/scripts/setup.sh" 18
    cargo metadata --locked --format-version 1 >/dev/null || die "Cargo.lock does not fit Cargo.toml" "Run cargo build and commit Cargo.lock."
    cargo fmt --all --check
    # With the release profile the check shares build scripts and generated bindings with the build.
    PGRX_PG_CONFIG_PATH=$(embedded_pg_config 18) cargo clippy --release --workspace --all-targets -- -D warnings
    "$repo/scripts/setup.sh" programs
    PATH=$PATH:$repo/target/tools/debian/usr/bin \
        shellcheck --external-sources --source-path=SCRIPTDIR scripts/*.sh docker/*.sh docker/kubernetes/*.sh docker/scripts/*.sh .ci/run
    if command -v cargo-deny >/dev/null; then
        cargo deny --offline check licenses bans sources
    else
        say "cargo-deny is not installed: licences not checked"
    fi
}

core() { cargo test --release --package memory_core; }

# Builds and installs into the embedded server of a major version.
install_into() {
    local pg_config
    "$repo/scripts/setup.sh" "$1"
    pg_config=$(embedded_pg_config "$1")
    PG_CONFIG=$pg_config "$repo/scripts/build.sh"
    PG_CONFIG=$pg_config "$repo/scripts/install.sh"
}

# Test files that match a pattern, with that server. The tests are the same programs for every server, so they are compiled
# once, and not optimised: there are many. One that fails does not hide what others say.
cargo_test() {
    local major=$1 files=$2
    "$repo/scripts/setup.sh" 18
    PG_CONFIG=$(embedded_pg_config "$major") PGRX_PG_CONFIG_PATH=$(embedded_pg_config 18) MEMORY_EXT_TEST_USER=$server_user \
        cargo test --no-fail-fast --package memory_ext --test "$files" --target-dir "$(target_dir 18)"
}

on_server() {
    install_into "$1"
    # --test '*': the library itself has symbols that only a server resolves, so no test binary of
    # it can be linked.
    cargo_test "$1" '*'
}

# From one server to the next, so both need the extension.
upgrade() {
    install_into 16
    install_into 18
    MEMORY_EXT_OLD_PG_CONFIG=$(embedded_pg_config 16) cargo_test 18 pg_upgrade
}

# The install and upgrade scripts of a release never change: databases were made with them.
frozen() {
    local listed
    listed=$(grep -cv -e '^#' -e '^$' sql/frozen.sha256 || true)
    if [ "$listed" -eq 0 ]; then
        say "no release yet: sql/frozen.sha256 lists nothing"
        return
    fi
    (cd sql && sha256sum --check --strict frozen.sha256) ||
        die "released SQL has changed" "Put the files back and write an upgrade script instead."
}

# The demo in a cluster of its own, beside one that somebody may be using.
demo() {
    local output=$repo/target/demo-check.out
    export MEMORY_EXT_CLUSTER=check MEMORY_EXT_PORT=${MEMORY_EXT_CHECK_PORT:-54319}
    trap '"$repo/scripts/cluster.sh" stop' EXIT
    if ! "$repo/scripts/demo.sh" >"$output" 2>&1; then
        cat "$output"
        die "the demo fails"
    fi
    say "the demo ran ($(wc -l <"$output") lines)"
}

run() {
    local started=$SECONDS
    say "test: $1"
    case $1 in
        lint | core | upgrade | frozen | demo) "$1" ;;
        16 | 18) on_server "$1" ;;
        schema) "$repo/scripts/schema.sh" --check ;;
        *) die "unknown part: $1" "Known: lint, core, 18, 16, upgrade, schema, frozen, demo." ;;
    esac
    say "test: $1 passed ($((SECONDS - started)) s)"
}

[ $# -gt 0 ] || set -- lint core 18 16 upgrade schema frozen demo
for part; do
    run "$part"
done
say "all parts passed: $*"
