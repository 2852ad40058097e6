#!/usr/bin/env bash
# Regenerates sql/memory_ext--VERSION.sql, the install script, from the Rust code, and the upgrade script
# from the release before. With --check it changes nothing and fails when a committed script differs.
#
# The script is the same for every server version, so it is made with the embedded PostgreSQL 18.
. "$(dirname "$0")/environment.sh"

unset PG_CONFIG
"$repo/scripts/setup.sh" 18 cargo-pgrx
"$repo/scripts/build.sh"

committed=$repo/sql/memory_ext--$version.sql
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$repo"
# The library just built carries the description of its functions; no second build is needed.
PGRX_PG_CONFIG_PATH=$(embedded_pg_config 18) CARGO_TARGET_DIR=$(target_dir 18) \
    "$(find_cargo_pgrx)" pgrx schema --package memory_ext --release --skip-build \
    --no-default-features --features pg18 --out "$work/pgrx.sql" 2>"$work/messages" ||
    { cat "$work/messages" >&2; die "cargo pgrx schema failed"; }
python3 scripts/schema.py "$work/pgrx.sql" src >"$work/install.sql"

settle() {
    local committed=$1 made=$2
    if [ "${check:-}" ]; then
        diff -u "$committed" "$made" ||
            die "${committed#"$repo/"} differs from the code" "Run make schema and commit what it writes."
        say "${committed#"$repo/"} is up to date"
    else
        install -m 644 "$made" "$committed"
        say "${committed#"$repo/"} written"
    fi
}

check=
[ "${1:-}" != --check ] || check=yes
settle "$committed" "$work/install.sql"
# The newest release before this version, by its install script.
before=$(find sql -maxdepth 1 -name 'memory_ext--*.sql' ! -name 'memory_ext--*--*.sql' | sed 's/.*--\(.*\)\.sql/\1/' | sort -V |
    sed -n "/^$version\$/q;p" | tail -n 1)
if [ "$before" ]; then
    python3 scripts/upgrade.py "sql/memory_ext--$before.sql" "$work/install.sql" >"$work/upgrade.sql"
    settle "$repo/sql/memory_ext--$before--$version.sql" "$work/upgrade.sql"
fi
