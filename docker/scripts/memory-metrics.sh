#!/bin/sh
# Prints the metrics of a memory store, Prometheus text, for an exporter that runs a program.
#
#   memory-metrics.sh
#
# The server is the one of PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSFILE; the role needs pg_monitor.
#
#   PGPASSWORD_FILE   file with the password (instead of PGPASSFILE)
#
# Exit codes: 0 printed, 1 no extension memory_ext in the database, 2 called with arguments, other: those of psql.
set -eu

# An exporter hands the arguments of a URL to the program, and psql's could be any command.
[ $# -eq 0 ] || { echo 'memory-metrics: takes no arguments' >&2; exit 2; }

if [ "${PGPASSWORD_FILE:-}" ]; then
    PGPASSWORD=$(cat "$PGPASSWORD_FILE")
    export PGPASSWORD
fi
export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-3}" PGAPPNAME="${PGAPPNAME:-memory-metrics}"
export PGOPTIONS="${PGOPTIONS:-} -c statement_timeout=8s -c search_path="
# The extension may lie in a schema of its own.
metrics=$(
    psql -XAtq -v ON_ERROR_STOP=1 <<-'SQL'
		SELECT count(*) = 0 AS absent, max(quote_ident(n.nspname)) AS schema
		FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'memory_ext' \gset
		\if :absent
		    \warn memory-metrics: database :DBNAME has no extension memory_ext
		\else
		    SELECT rtrim(:schema.memory_metrics(), E'\n');
		\endif
	SQL
)
[ "$metrics" ] || exit 1
printf '%s\n' "$metrics"
