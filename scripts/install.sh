#!/usr/bin/env bash
# Copies the built extension into the server that PG_CONFIG names, or the embedded PostgreSQL 18.
# DESTDIR, if set, goes before every path (for packages).
. "$(dirname "$0")/environment.sh"

PG_CONFIG=${PG_CONFIG:-$(embedded_pg_config 18)}
major=$(pg_major "$PG_CONFIG")
library=$(target_dir "$major")/release/libmemory_ext.so
script=$repo/sql/memory_ext--$version.sql
library_dir=${DESTDIR:-}$("$PG_CONFIG" --pkglibdir)
extension_dir=${DESTDIR:-}$("$PG_CONFIG" --sharedir)/extension
program=$(target_dir "$major")/release/memory-backup
program_dir=${DESTDIR:-}$("$PG_CONFIG" --bindir)

[ -f "$library" ] || die "$library is not there" "Run: make build"
[ -f "$program" ] || die "$program is not there" "Run: make build"
[ -f "$script" ] || die "$script is not there" "Run: make schema"

as_root=()
# The build stays the caller's; only the copy into a system directory needs root.
nearest=$library_dir
while [ ! -e "$nearest" ]; do nearest=$(dirname "$nearest"); done
if [ ! -w "$nearest" ]; then
    command -v sudo >/dev/null || die "$library_dir is not writable" "Run this as a user who may write there."
    as_root=(sudo)
fi

# By rename: a running server keeps the library that it has mapped, and nobody sees half a file.
# An equal file stays as it is, so that its time tells when it really changed.
put() {
    local mode=$1 from=$2 to=$3
    cmp -s "$from" "$to" && return
    "${as_root[@]}" install -m "$mode" "$from" "$to.new"
    "${as_root[@]}" mv -f "$to.new" "$to"
}

"${as_root[@]}" mkdir -p "$library_dir" "$extension_dir" "$program_dir"
control=$(mktemp)
trap 'rm -f "$control"' EXIT
sed "s/@CARGO_VERSION@/$version/" "$repo/memory_ext.control" >"$control"

for file in "$repo"/sql/memory_ext--*.sql; do
    put 644 "$file" "$extension_dir/$(basename "$file")"
done
put 755 "$library" "$library_dir/memory_ext.so"
put 755 "$program" "$program_dir/memory-backup"
put 644 "$control" "$extension_dir/memory_ext.control"
say "memory_ext $version installed into PostgreSQL $major ($library_dir)"
