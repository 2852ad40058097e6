#!/usr/bin/env bash
# Builds the extension, starts the embedded PostgreSQL 18, makes the database `demo` anew, loads
# demo/memories.jsonl into it and runs demo/demo.sql. Ends non-zero when any of it fails.
. "$(dirname "$0")/environment.sh"

# Always the embedded server: PG_CONFIG may name one whose databases are not ours to remake.
unset PG_CONFIG
"$repo/scripts/build.sh"
"$repo/scripts/install.sh"
"$repo/scripts/cluster.sh" start

# The memories are UTF-8, whatever the caller's locale says.
export PGCLIENTENCODING=UTF8
psql() { "$repo/scripts/cluster.sh" psql --no-psqlrc --set ON_ERROR_STOP=1 "$@" </dev/null; }

say "making the database demo"
PGDATABASE=postgres psql --quiet --command 'SET client_min_messages = warning' \
    --command 'DROP DATABASE IF EXISTS demo WITH (FORCE)' --command 'CREATE DATABASE demo'
cd "$repo"
psql --quiet --file demo/load.sql
psql --quiet --file demo/demo.sql

cat <<TEXT

The demo cluster is running:
  $("$repo/scripts/cluster.sh" url)
  make psql     opens a shell on it
  make stop     stops it
TEXT
