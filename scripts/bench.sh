#!/usr/bin/env bash
# Runs the bench program against the embedded PostgreSQL 18, in a cluster of its own, or against
# the server of DATABASE_URL if that is set (a superuser's connection; memory_ext installed there).
#
#   bench.sh bench | quality | soak | capacity [options of the program; --help lists them with their variables]
. "$(dirname "$0")/environment.sh"

unset PG_CONFIG
if [ -z "${DATABASE_URL:-}" ]; then
    "$repo/scripts/build.sh"
    "$repo/scripts/install.sh"
    export MEMORY_EXT_CLUSTER=bench MEMORY_EXT_PORT=${MEMORY_EXT_BENCH_PORT:-54320}
    # Room for the data set, and no checkpoint in the middle of a measurement.
    export MEMORY_EXT_SETTINGS='shared_buffers=2GB max_wal_size=8GB checkpoint_timeout=30min'
    trap '"$repo/scripts/cluster.sh" stop' EXIT
    "$repo/scripts/cluster.sh" start
    DATABASE_URL=$("$repo/scripts/cluster.sh" socket-url)
    export DATABASE_URL
fi

cd "$repo"
cargo run --release --quiet --package memory_bench -- "$@"
