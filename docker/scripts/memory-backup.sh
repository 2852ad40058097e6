#!/usr/bin/env bash
# Dumps the database of a memory store, checks the dump, and deletes old ones.
#
#   memory-backup.sh
#
# The server is the one of PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSFILE. A dump is BACKUP_DIR/DATABASE_YYYYmmdd_HHMMSS.dump
# (UTC), in pg_dump's custom format, readable by its owner only.
#
#   BACKUP_DIR       directory of the dumps (/backups/memory)
#   RETENTION_DAYS   dumps older than so many days are deleted, when a new one is complete (30)
#   S3_URI           s3://bucket/prefix to copy the dump to with `aws`; empty: nowhere
#
# Exit codes: 0 done, 2 bad settings or no server, 3 no good dump, 4 not copied to S3, 5 another run is at work.
# Whatever fails, the dumps that are there stay, and no partial file has the name of a dump.
set -euo pipefail
shopt -s extglob
umask 077

backup_dir=${BACKUP_DIR:-/backups/memory}
retention_days=${RETENTION_DAYS:-30}
s3_uri=${S3_URI:-}

log() { printf '%s memory-backup: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"; }
fail() {
    local code=$1
    shift
    log "error: $*" >&2
    exit "$code"
}

[[ $retention_days =~ ^[0-9]{1,5}$ ]] || fail 2 "RETENTION_DAYS is '$retention_days', not a number of days"
[[ -z $s3_uri || $s3_uri == s3://?* ]] || fail 2 "S3_URI is '$s3_uri', not s3://bucket/prefix"
for program in psql pg_dump pg_restore flock ${s3_uri:+aws}; do
    command -v "$program" >/dev/null || fail 2 "$program is not installed"
done
[[ -d $backup_dir && -w $backup_dir ]] || fail 2 "$backup_dir is not a directory that can be written"
database=$(psql -XAtc 'SELECT current_database()') || fail 2 "the database does not answer"
[[ $database =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || fail 2 "database '$database' has a name that is not fit for a file"

# Held until this process ends, however it ends.
exec 9>"$backup_dir/.$database.lock" || fail 2 "$backup_dir/.$database.lock cannot be written"
flock -n 9 || fail 5 "another run dumps $database"

started=$SECONDS
# Nobody else writes these now: they are of runs that were killed. Digits only: database `a.b` has a run of its own at `.a.b.PID.part`.
rm -f "$backup_dir/.$database".+([0-9]).part
while
    name=${database}_$(date -u +%Y%m%d_%H%M%S).dump
    [ -e "$backup_dir/$name" ]
do sleep 0.2; done
part=$backup_dir/.$database.$$.part
trap 'rm -f "$part"' EXIT

pg_dump -F c -Z 6 --lock-wait-timeout=10min -f "$part" || fail 3 "pg_dump failed"
# The first reads the table of contents, the second all of the data.
contents=$(pg_restore --list "$part") || fail 3 "the dump cannot be listed"
grep -q ' TABLE DATA .* memories ' <<<"$contents" || fail 3 "there is no table memories in $database"
pg_restore -f /dev/null "$part" || fail 3 "the dump cannot be read"
mv "$part" "$backup_dir/$name"
sync "$backup_dir"
report="$name, $(stat -c %s "$backup_dir/$name") bytes"

if [ "$s3_uri" ]; then
    aws s3 cp --only-show-errors "$backup_dir/$name" "${s3_uri%/}/$name" || fail 4 "$report, not copied to $s3_uri"
    report+=", copied to ${s3_uri%/}"
fi

digits='[0-9][0-9]'
removed=$(find "$backup_dir" -maxdepth 1 -type f -mtime "+$retention_days" \
    -name "${database}_$digits$digits$digits${digits}_$digits$digits$digits.dump" -print -delete | wc -l)
log "$report, $removed old removed, $((SECONDS - started)) s"
