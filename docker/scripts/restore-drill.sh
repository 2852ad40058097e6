#!/usr/bin/env bash
# Restores a dump of memory-backup.sh into a new database, checks that the store is whole and alive, and drops it again.
#
#   restore-drill.sh [dump]      default: the newest dump of PGDATABASE in BACKUP_DIR
#
# The server is the one of PGHOST, PGPORT, PGUSER and PGPASSFILE; it needs the roles that the dump names (pg_dumpall --roles-only).
#
#   BACKUP_DIR      directory of the dumps (/backups/memory)
#   MAX_AGE_HOURS   the newest dump must not be older (48)
#
# The new database is marked as a template, which memory_ext's worker does not visit: what has expired since the dump stays, and can be
# counted. A drill that was killed leaves it: ALTER DATABASE memory_drill_... IS_TEMPLATE false, then dropdb.
#
# Exit codes: 0 good, 2 bad settings or no server, 3 no dump or an old one, 4 not restored, 5 restored, but not whole.
set -euo pipefail

backup_dir=${BACKUP_DIR:-/backups/memory}
max_age_hours=${MAX_AGE_HOURS:-48}

log() { printf '%s restore-drill: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"; }
fail() {
    local code=$1
    shift
    log "error: $*" >&2
    exit "$code"
}

[[ $max_age_hours =~ ^[0-9]{1,6}$ ]] || fail 2 "MAX_AGE_HOURS is '$max_age_hours', not a number of hours"
for program in psql pg_restore; do
    command -v "$program" >/dev/null || fail 2 "$program is not installed"
done

if [ $# -gt 0 ]; then
    dump=$1
    [ -f "$dump" ] || fail 3 "there is no $dump"
else
    [ "${PGDATABASE:-}" ] || fail 2 "PGDATABASE does not say whose dump to restore"
    digits='[0-9][0-9]'
    pattern="${PGDATABASE}_$digits$digits$digits${digits}_$digits$digits$digits.dump"
    dump=$(find "$backup_dir" -maxdepth 1 -type f -name "$pattern" | sort | tail -n 1)
    [ "$dump" ] || fail 3 "there is no dump of $PGDATABASE in $backup_dir"
    [ "$(find "$dump" -mmin "-$((max_age_hours * 60))")" ] || fail 3 "the newest dump, $dump, is older than $max_age_hours hours"
fi

started=$SECONDS
at_server() { PGDATABASE=postgres psql -XAtq -v ON_ERROR_STOP=1 "$@"; }

at_server -c '' || fail 2 "the server does not answer"
drill=memory_drill_$(date -u +%Y%m%d_%H%M%S)_$$
drop() {
    at_server <<-SQL
		SELECT format('ALTER DATABASE %I IS_TEMPLATE false', datname) FROM pg_database WHERE datname = '$drill' \gexec
		SET client_min_messages = warning;
		DROP DATABASE IF EXISTS $drill WITH (FORCE);
	SQL
}
trap drop EXIT
at_server -c "CREATE DATABASE $drill TEMPLATE template0 ENCODING 'UTF8' IS_TEMPLATE true" || fail 4 "the database $drill cannot be made"
pg_restore -d "$drill" --exit-on-error -j 2 "$dump" || fail 4 "$dump cannot be restored"

ask() { PGOPTIONS='-c search_path=' PGDATABASE=$drill psql -XAtq -v ON_ERROR_STOP=1 "$@"; }

schema=$(ask -c "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'memory_ext'") || fail 5 "$drill does not answer"
[ "$schema" ] || fail 5 "the extension memory_ext is not in $dump"

# As many rows in every table as there are lines in the dump: a line of COPY is a row.
lines=$(pg_restore --data-only -f - "$dump" |
    awk '/^COPY .* FROM stdin;$/ && !rows { sub(/^COPY /, ""); sub(/ \(.*/, ""); table = $0; rows = 1; next }
         /^\\\.$/ && rows { print rows - 1 "\t" table; rows = 0; next }
         rows { rows++ }') || fail 4 "$dump cannot be read"
[ "$lines" ] || fail 5 "there are no tables in $dump"
tables=0
memories=
while IFS=$'\t' read -r expected table; do
    is=$(ask -c "SELECT count(*) FROM $table") || fail 5 "$table cannot be read"
    [ "$is" = "$expected" ] || fail 5 "$table has $is rows, the dump $expected"
    [ "$table" != "$schema.memories" ] || memories=$is
    tables=$((tables + 1))
done <<<"$lines"
[ "$memories" ] || fail 5 "there is no table memories in $dump"

# The newest memory that has a vector is found by it; then the next memory is added, and taken back.
searched=$(
    ask -v schema="$schema" <<-'SQL'
		WITH newest AS (
		    SELECT project_id, embedding FROM :schema.memories
		    WHERE embedding IS NOT NULL AND deleted_at IS NULL AND NOT is_deprecated AND (expires_at IS NULL OR expires_at > now())
		    ORDER BY created_at DESC LIMIT 1)
		SELECT CASE WHEN NOT EXISTS (SELECT FROM newest) THEN 'nothing to search for'
		            WHEN max(found.similarity) > 0.999 THEN 'search answers'
		       END
		FROM newest, LATERAL :schema.memory_search(NULL, k => 3, embedding => newest.embedding, mode => 'vector', agent_id => '*', project_id => newest.project_id) found;
	SQL
) || fail 5 "the restored store is not searched"
[ "$searched" ] || fail 5 "the newest memory is not found"
ask -c "BEGIN; SELECT $schema.memory_add('restore drill'); ROLLBACK" >/dev/null || fail 5 "the restored store takes no memory"

log "$(basename "$dump"): $memories memories, $tables tables, $searched, $((SECONDS - started)) s"
