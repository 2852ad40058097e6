#!/usr/bin/env bash
# The steps of docker/Dockerfile. They also run on plain Debian, all of them by scripts/image-test.sh; tests/image.rs runs build, runtime and
# check in a root that is no system, with a stand-in for apt-get.
#
#   build-steps.sh packages   installs what compiling needs (as root; Rust has to be there)
#   build-steps.sh build      compiles and puts library, programs, control file and SQL under OUT, stripped
#   build-steps.sh runtime    installs pgvector and what OUT holds into the server (as root), and sets the preload
#   build-steps.sh check      tries the installed extension and its programs on a server of its own, as an unprivileged user
#
#   PG_MAJOR           major version of the server (18)
#   PG_CONFIG          its pg_config (of Debian's layout: /usr/lib/postgresql/PG_MAJOR/bin/pg_config)
#   OUT                where `build` writes and `runtime` reads (/out)
#   ROOT               goes before every path that `runtime` changes, and `check` looks at (nothing)
#   PGVECTOR_VERSION   of the package postgresql-PG_MAJOR-pgvector, an apt version pattern such as 0.8.1-* (newest)
set -euo pipefail
umask 022

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
major=${PG_MAJOR:-18}
out=${OUT:-/out}
root=${ROOT:-}
PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/$major/bin/pg_config}
export PG_CONFIG

die() {
    echo "build-steps: $*" >&2
    exit 1
}

# Package lists and caches do not stay in the image.
install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@"
    rm -rf "$root"/var/lib/apt/lists/*
}

packages() {
    local wanted=(gcc libc6-dev libclang-dev make binutils)
    # A server of another origin brings its headers along.
    [ -e "$PG_CONFIG" ] && [ -e "$("$PG_CONFIG" --includedir-server)/postgres.h" ] || wanted+=("postgresql-server-dev-$major")
    install_packages "${wanted[@]}"
}

build() {
    make -C "$repo" install PG_CONFIG="$PG_CONFIG" DESTDIR="$out"
    # Line tables are 40 MB; symbols that backtraces name stay in the library.
    strip --strip-debug "$out$("$PG_CONFIG" --pkglibdir)/memory_ext.so"
    strip --strip-unneeded "$out$("$PG_CONFIG" --bindir)"/memory-{backup,audit}
}

runtime() {
    local sample
    install_packages "postgresql-$major-pgvector${PGVECTOR_VERSION:+=$PGVECTOR_VERSION}"
    cp -a "$out"/. "$root/"
    # initdb makes postgresql.conf of this file.
    sample=$root$("$PG_CONFIG" --sharedir)/postgresql.conf.sample
    sed -i --follow-symlinks "s/^#*shared_preload_libraries = .*/shared_preload_libraries = 'memory_ext'/" "$sample"
    grep -q "^shared_preload_libraries = 'memory_ext'" "$sample" || die "$sample has no line for shared_preload_libraries"
}

check() {
    [ "$(id -u)" -ne 0 ] || die "the server does not run as root: run this step as another user"
    local bin work program
    bin=$root$("$PG_CONFIG" --bindir)
    for program in memory-backup memory-audit; do
        "$bin/$program" --help >/dev/null || die "$program does not run"
    done
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # now, not at the end
    trap "'$bin/pg_ctl' stop -D '$work/data' -m immediate -s >/dev/null 2>&1 || true; rm -rf '$work'" EXIT
    "$bin/initdb" -D "$work/data" -U postgres -A trust --no-sync --no-instructions -E UTF8 --locale C >/dev/null
    "$bin/pg_ctl" start -D "$work/data" -w -s -l "$work/log" \
        -o "-c listen_addresses= -c unix_socket_directories=$work -c shared_preload_libraries=memory_ext" >/dev/null || {
        cat "$work/log" >&2
        die "the server does not start"
    }
    "$bin/psql" -h "$work" -U postgres -XAtq -v ON_ERROR_STOP=1 <<-'SQL' || die "the extension does not work"
		\o /dev/null
		CREATE EXTENSION memory_ext CASCADE;
		SELECT memory_add('the ferry leaves at noon', id => 'ferry');
		SELECT coalesce(bool_and(id = 'ferry'), false) AS found FROM memory_search('ferry', 1) \gset
		\if :found
		\else
		    \warn 'the memory is not found'
		    SELECT 1 / 0;
		\endif
		\o
		SELECT 'memory_ext ' || (memory_version() ->> 'library') || ' works on ' || version();
	SQL
}

case ${1:-} in
    packages | build | runtime | check) "$1" ;;
    *) die "usage: build-steps.sh packages | build | runtime | check" ;;
esac
