#!/usr/bin/env bash
# The demo cluster: an embedded PostgreSQL 18 on a unix socket and on loopback.
#
#   cluster.sh start | stop | status | url | socket-url | psql [psql arguments]
#
# url is for any program on this machine, socket-url (no password) for root and this user.
#
# MEMORY_EXT_PORT       its port (54318)
# MEMORY_EXT_CLUSTER    its name (demo), for more than one beside each other
# MEMORY_EXT_SETTINGS   more settings for a start: "name=value name=value"
. "$(dirname "$0")/environment.sh"

port=${MEMORY_EXT_PORT:-54318}
name=${MEMORY_EXT_CLUSTER:-demo}
cluster=$server_home/cluster/$name
data=$cluster/data
password_file=$cluster/password
prefix=$(embedded_prefix 18)
database=demo

# A socket's path may have 107 bytes, and a checkout can lie deep.
socket_dir=$cluster/socket
if [ ${#socket_dir} -gt 85 ]; then
    socket_dir=${TMPDIR:-/tmp}/memory_ext-$(id -u)-$name
fi

running() { [ -d "$data" ] && as_server_user "$prefix/bin/pg_ctl" status -D "$data" >/dev/null 2>&1; }

# Local connections are trusted, in a directory that only this user (and root) can enter. On
# loopback, which every user of the machine can reach, there is a password.
init() {
    mkdir -p "$cluster"
    chmod 700 "$cluster"
    python3 -c 'import secrets; print(secrets.token_hex(16))' >"$password_file"
    chmod 600 "$password_file"
    [ -z "$server_user" ] || chown -R "$server_user" "$cluster"
    say "creating the cluster in $data"
    as_server_user "$prefix/bin/initdb" --pgdata "$data" --username postgres --encoding UTF8 \
        --locale-provider builtin --builtin-locale C.UTF-8 --locale C --no-instructions \
        --auth-local trust --auth-host scram-sha-256 --pwfile "$password_file" >/dev/null
    as_server_user tee -a "$data/postgresql.conf" >/dev/null <<-CONF
		# memory_ext: the background worker that removes expired memories needs the preload.
		shared_preload_libraries = 'memory_ext'
		memory_ext.databases = '$database'
	CONF
}

# Our own directory or none: in /tmp somebody else could have made it first.
make_socket_dir() {
    [ -d "$socket_dir" ] || as_server_user mkdir -m 700 "$socket_dir"
    [ "$(stat -c %U:%a "$socket_dir")" = "${server_user:-$(id -un)}:700" ] ||
        die "$socket_dir belongs to somebody else" "Remove it, or set TMPDIR to another directory."
}

start() {
    [ -x "$prefix/bin/postgres" ] || die "the embedded PostgreSQL is not there" "Run: make demo"
    local library=$prefix/lib/memory_ext.so
    [ -f "$library" ] || die "the extension is not installed" "Run: make install"
    [ -f "$data/PG_VERSION" ] || init
    if running; then
        # A preloaded library changes only with a restart; another port also needs one.
        if [ ! "$library" -nt "$data/postmaster.pid" ] && [ "$(sed -n 4p "$data/postmaster.pid")" = "$port" ]; then
            return
        fi
        stop
    fi
    make_socket_dir
    local options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$socket_dir'" setting
    for setting in ${MEMORY_EXT_SETTINGS:-}; do options+=" -c $setting"; done
    if ! as_server_user "$prefix/bin/pg_ctl" start --wait -D "$data" --log "$cluster/log" --silent \
        --options "$options"; then
        tail -n 20 "$cluster/log" >&2
        die "the server did not start" "Is port $port taken? Set MEMORY_EXT_PORT to another one."
    fi
    say "PostgreSQL runs on port $port"
}

stop() {
    running || return 0
    as_server_user "$prefix/bin/pg_ctl" stop --wait -D "$data" --mode fast --silent
    say "PostgreSQL stopped"
}

url() { printf 'postgresql://postgres:%s@127.0.0.1:%s/%s\n' "$(cat "$password_file")" "$port" "$database"; }

# The embedded psql has no line editing of its own.
client() {
    local wrapper=()
    if [ -t 0 ] && [ -t 1 ] && command -v rlwrap >/dev/null; then wrapper=(rlwrap -a); fi
    exec "${wrapper[@]}" "$prefix/bin/psql" -h "$socket_dir" -p "$port" -U postgres -d "${PGDATABASE:-$database}" "$@"
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    status)
        running || die "not running" "Run: scripts/cluster.sh start"
        say "running in $data on port $port"
        ;;
    url)
        running || die "not running" "Run: scripts/cluster.sh start"
        url
        ;;
    socket-url) printf 'postgresql://postgres@/postgres?host=%s&port=%s\n' "$socket_dir" "$port" ;;
    psql)
        shift
        running || die "the demo cluster is not running" "Run: make demo"
        client "$@"
        ;;
    *) die "usage: cluster.sh start | stop | status | url | socket-url | psql [arguments]" ;;
esac
