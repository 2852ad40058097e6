#!/usr/bin/env bash
# Runs the bench program, which makes its own temporary cluster of the embedded PostgreSQL 18.
#
#   bench.sh bench | quality | soak [arguments of the program]
#
# See bench/ for the sizes and paths that the program takes from the environment.
. "$(dirname "$0")/environment.sh"

unset PG_CONFIG
"$repo/scripts/build.sh"
"$repo/scripts/install.sh"

cd "$repo"
pg_config=$(embedded_pg_config 18)
PG_CONFIG=$pg_config PGRX_PG_CONFIG_PATH=$pg_config MEMORY_EXT_TEST_USER=$server_user \
    exec cargo run --release --package memory_bench -- "$@"
