#!/bin/sh
# Whether the server accepts connections and its memory store can be used: for healthchecks and readiness probes.
#
#   memory-ready.sh
#
# The server is the one of PGHOST, PGPORT, PGUSER and PGDATABASE. Exit codes: 0 ready, else not.
set -eu

export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-3}" PGAPPNAME="${PGAPPNAME:-memory-ready}"
# While the official image prepares a new cluster its server listens on the socket only.
pg_isready -q -t "$PGCONNECT_TIMEOUT" -h "${PGHOST:-127.0.0.1}"
export PGOPTIONS="${PGOPTIONS:-} -c statement_timeout=3s -c search_path="
# Until ALTER EXTENSION memory_ext UPDATE an extension of 1.x has no memory_ready(); the library of 2.x serves its store meanwhile.
ready=$(
    psql -XAtq -v ON_ERROR_STOP=1 <<-'SQL'
		SELECT count(*) = 0 AS absent, max(quote_ident(n.nspname)) AS schema, max(e.extversion) LIKE '1.%' AS old
		FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'memory_ext' \gset
		\if :absent
		    \warn memory-ready: database :DBNAME has no extension memory_ext
		\elif :old
		    SELECT :schema.memory_version() ->> 'store' IS NOT NULL;
		\else
		    SELECT :schema.memory_ready();
		\endif
	SQL
)
[ "$ready" = t ]
