#!/usr/bin/env bash
# Builds the extension against the server that PG_CONFIG names, or the embedded PostgreSQL 18.
. "$(dirname "$0")/environment.sh"

if [ -n "${PG_CONFIG:-}" ]; then
    "$repo/scripts/setup.sh" toolchain
else
    "$repo/scripts/setup.sh" 18
    PG_CONFIG=$(embedded_pg_config 18)
fi
major=$(pg_major "$PG_CONFIG")
say "building memory_ext $version for PostgreSQL $major"
cd "$repo"
# memory_core for its program, the reader of backups that needs no server.
PGRX_PG_CONFIG_PATH=$PG_CONFIG exec cargo build --release --package memory_ext --package memory_core \
    --no-default-features --features "memory_ext/pg$major" --target-dir "$(target_dir "$major")"
