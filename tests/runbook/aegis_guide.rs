//! The command lines of the Aegis operations guide, as they stand there: only hosts, users, databases, paths and the ids in
//! examples have other names. What of the guide is a call over HTTP has its form in SQL in the runbooks.

use std::fs;

use serde_json::Value;

use super::desk::Desk;
use super::store::{assert_alive, assert_indexed, assert_same_rows, cluster, filled, table_hash};
use crate::support::catalog::store_objects;
use crate::support::release::{NEW, versions};
use crate::support::{Sql, run, store_hash, wait_until};

/// The guide's text with the names of this place.
fn here(text: &str) -> String {
    [
        ("-h localhost", "-h \"$PGHOST\""),
        ("-U aegis", "-U \"$PGUSER\""),
        (
            "createdb aegis_restored",
            "createdb \"${PGDATABASE}_restored\"",
        ),
        ("-d aegis_restored", "-d \"${PGDATABASE}_restored\""),
        ("-d aegis", "-d \"$PGDATABASE\""),
        ("/backups/aegis_base", "\"$BACKUP_DIR\"/aegis_base"),
        ("BACKUP_DIR=\"/backups/aegis\"", ""),
    ]
    .iter()
    .fold(text.to_owned(), |text, (theirs, ours)| {
        text.replace(theirs, ours)
    })
}

fn day(desk: &Desk) -> String {
    desk.bash("date +%Y%m%d").good().trim().to_owned()
}

#[test]
fn backup_and_restore_option_1_pg_dump() {
    let (database, desk) = filled(cluster());
    desk.bash(&here(
        "# Full backup
         pg_dump -h localhost -U aegis -d aegis -F c -f aegis_backup_$(date +%Y%m%d).dump
         # With compression
         pg_dump -h localhost -U aegis -d aegis -F c -Z 9 -f aegis_backup_$(date +%Y%m%d).dump.gz
         # Backup specific tables only
         pg_dump -h localhost -U aegis -d aegis -t memories -t vote_history -F c -f aegis_memories_backup.dump",
    ))
    .good();
    let before = store_hash(&mut database.connect());

    // The third is of two tables: a database that has the extension takes it.
    let tables = cluster().database();
    desk.bash(&format!(
        "pg_restore -d {} --exit-on-error aegis_memories_backup.dump",
        tables.name
    ))
    .good();
    tables.connect().run("SELECT memory_init()");
    for table in ["memories", "vote_history"] {
        assert_eq!(table_hash(&tables, table), table_hash(&database, table));
    }
    assert_alive(&tables);

    for suffix in ["dump", "dump.gz"] {
        let dump = format!("aegis_backup_{}.{suffix}", day(&desk));
        desk.bash(&format!("cp {dump} aegis_backup.dump")).good();
        database
            .connect()
            .run("SELECT memory_add('since the dump'); SELECT memory_forget(namespace => 'notes', reason => 'a mistake')");
        // "Restore from dump", over the store that is there.
        desk.bash(&here(
            "pg_restore -h localhost -U aegis -d aegis -c aegis_backup.dump",
        ))
        .good();
        assert_eq!(store_hash(&mut database.connect()), before, "{dump}");

        // "Restore to a new database"
        desk.bash(&here(
            "createdb aegis_restored
             pg_restore -h localhost -U aegis -d aegis_restored aegis_backup.dump",
        ))
        .good();
        let restored = desk.other("_restored");
        assert_same_rows(&dump, &restored, &database);
        assert_alive(&restored);
        desk.bash("dropdb \"${PGDATABASE}_restored\"").good();
    }
    assert_alive(&database);
}

#[test]
fn backup_and_restore_option_2_pg_basebackup() {
    let (database, desk) = filled(cluster());
    let before = store_hash(&mut database.connect());
    desk.bash(&here(
        "# Base backup for point-in-time recovery
         pg_basebackup -h localhost -U aegis -D /backups/aegis_base -Fp -Xs -P",
    ))
    .good();
    desk.bash("pg_verifybackup \"$BACKUP_DIR\"/aegis_base")
        .good();

    // A server of its own, from the backup.
    let port = "5434";
    desk.bash(&format!(
        "pg_ctl start -D \"$BACKUP_DIR\"/aegis_base -o '-p {port}' -w -s -l server.log"
    ))
    .good();
    let hash = postgres::Config::new()
        .host_path(cluster().directory())
        .port(5434)
        .user("postgres")
        .dbname(&database.name)
        .connect(postgres::NoTls)
        .map(|mut sql| {
            assert_indexed(&mut sql);
            store_hash(&mut sql)
        });
    desk.bash("pg_ctl stop -D \"$BACKUP_DIR\"/aegis_base -w -s -m immediate")
        .good();
    assert_eq!(hash.expect("it answers"), before);
}

/// The guide's script, but for the shebang and the place of the backups.
const AUTOMATED_BACKUP_SCRIPT: &str = r#"
BACKUP_DIR="/backups/aegis"
RETENTION_DAYS=30
DATE=$(date +%Y%m%d_%H%M%S)

# Create backup
pg_dump -h localhost -U aegis -d aegis -F c -Z 6 \
  -f "${BACKUP_DIR}/aegis_${DATE}.dump"

# Upload to S3 (optional)
aws s3 cp "${BACKUP_DIR}/aegis_${DATE}.dump" \
  "s3://your-bucket/aegis-backups/aegis_${DATE}.dump"

# Clean old backups
find ${BACKUP_DIR} -name "aegis_*.dump" -mtime +${RETENTION_DAYS} -delete

echo "Backup completed: aegis_${DATE}.dump"
"#;

#[test]
fn backup_and_restore_automated_backup_script() {
    let (database, desk) = filled(cluster());
    desk.program("aws", "#!/bin/bash\nexec test -s \"$3\"\n");
    desk.bash("touch -d '31 days ago' \"$BACKUP_DIR/aegis_20200101_020000.dump\"; touch -d '29 days ago' \"$BACKUP_DIR/aegis_20200102_020000.dump\"")
        .good();
    let said = desk.bash(&here(AUTOMATED_BACKUP_SCRIPT)).good();
    let name = said
        .trim()
        .strip_prefix("Backup completed: ")
        .expect("it says what it made");
    assert_eq!(
        desk.backup_names(),
        ["aegis_20200102_020000.dump", name],
        "the older one is deleted"
    );
    let restored = cluster().empty_database();
    desk.bash(&format!(
        "pg_restore -d {} --exit-on-error \"$BACKUP_DIR/{name}\"",
        restored.name
    ))
    .good();
    assert_same_rows(name, &restored, &database);
}

#[test]
fn data_export_direct_sql() {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    sql.run("SELECT memory_add('of another project', project_id => 'your-project', id => 'theirs', agent_id => 'a', metadata => '{\"quote\": \"\\\"\"}');
             SELECT memory_add(E'two\\nlines, and a \\\\', project_id => 'your-project', id => 'lines')");
    let directory = desk.backups().display().to_string();
    desk.psql(
        &"-- Export to CSV
COPY (
  SELECT id, content, agent_id, namespace, scope, 
         metadata::text, created_at, updated_at
  FROM memories 
  WHERE project_id = 'your-project'
  ORDER BY created_at
) TO '/tmp/memories_export.csv' WITH CSV HEADER;

-- Export to JSON
COPY (
  SELECT json_agg(row_to_json(m))
  FROM (
    SELECT id, content, agent_id, namespace, scope, metadata, created_at
    FROM memories
    WHERE project_id = 'your-project'
  ) m
) TO '/tmp/memories_export.json';
"
        .replace("/tmp", &directory),
    )
    .good();

    sql.run(&format!(
        "CREATE TEMP TABLE csv (id text, content text, agent_id text, namespace text, scope text, metadata jsonb, created_at timestamptz, updated_at timestamptz);
         COPY csv FROM '{directory}/memories_export.csv' WITH CSV HEADER;
         CREATE TEMP TABLE exported (line json);
         COPY exported FROM '{directory}/memories_export.json'"
    ));
    let expected = sql.one::<String>("SELECT string_agg(concat_ws('|', id, content, agent_id, namespace, scope, metadata, created_at), E'\\n' ORDER BY id) FROM memories WHERE project_id = 'your-project'", &[]);
    assert_eq!(
        sql.one::<String>("SELECT string_agg(concat_ws('|', id, content, agent_id, namespace, scope, metadata, created_at), E'\\n' ORDER BY id) FROM csv", &[]),
        expected
    );
    // COPY writes a backslash as two, and reads two as one; JSON readers want them as the runbook's line writes them.
    assert_eq!(
        sql.one::<String>("SELECT string_agg(concat_ws('|', m.id, content, agent_id, namespace, scope, metadata, created_at), E'\\n' ORDER BY m.id)
                           FROM exported, json_to_recordset(line) AS m (id text, content text, agent_id text, namespace text, scope text, metadata jsonb, created_at timestamptz)", &[]),
        expected
    );
    let raw = fs::read_to_string(desk.backup("memories_export.json")).expect("the file");
    assert!(serde_json::from_str::<Value>(&raw).is_err(), "{raw}");
}

#[test]
fn upgrade_process_and_rollback() {
    let database = cluster().empty_database();
    let mut sql = database.connect();
    sql.run("CREATE EXTENSION memory_ext VERSION '1.1.0' CASCADE");
    super::store::fill(&mut sql);
    let desk = Desk::at(&database);
    let rows = crate::support::Rows::of(&mut sql);

    // "Backup first", "Check migration scripts", "Run migrations", "Verify"
    desk.bash(&here(
        "pg_dump -h localhost -U aegis -d aegis -F c -f pre_upgrade_backup.dump",
    ))
    .good();
    let scripts = run(cluster().server.tool("pg_config").arg("--sharedir"));
    let scripts = desk
        .bash(&format!("ls {}/extension", scripts.trim()))
        .good();
    assert!(scripts.contains("\nmemory_ext--1.1.0--"), "{scripts}");
    sql.run("ALTER EXTENSION memory_ext UPDATE");
    assert_eq!(versions(&mut sql), (NEW.to_owned(), NEW.to_owned()));
    assert_eq!(
        sql.one::<String>("SELECT memory_version() ->> 'library'", &[]),
        NEW
    );

    // "Database (if needed)"
    sql.run("SELECT memory_add('since the upgrade', id => 'since')");
    drop(sql);
    let restored = desk.bash(&here(
        "pg_restore -h localhost -U aegis -d aegis -c pre_upgrade_backup.dump",
    ));
    assert!(
        restored.errors.contains("errors ignored on restore: 2"),
        "the extensions stay: {restored:#?}"
    );
    let mut sql = database.connect();
    rows.assert_kept(&mut sql);
    sql.run("SELECT memory_migrate()");
    rows.assert_kept(&mut sql);
    assert_alive(&database);
}

/// migrations/002_ace_tables.sql of the guide.
const MIGRATION: &str = "
-- Add new columns to memories table
ALTER TABLE memories ADD COLUMN IF NOT EXISTS memory_type VARCHAR(16) DEFAULT 'standard';
ALTER TABLE memories ADD COLUMN IF NOT EXISTS is_deprecated BOOLEAN DEFAULT false;
ALTER TABLE memories ADD COLUMN IF NOT EXISTS bullet_helpful INTEGER DEFAULT 0;
ALTER TABLE memories ADD COLUMN IF NOT EXISTS bullet_harmful INTEGER DEFAULT 0;

-- Create vote_history table
CREATE TABLE IF NOT EXISTS vote_history (
    id VARCHAR(32) PRIMARY KEY,
    memory_id VARCHAR(32) REFERENCES memories(id) ON DELETE CASCADE,
    project_id VARCHAR(64) NOT NULL,
    voter_agent_id VARCHAR(64) NOT NULL,
    vote VARCHAR(8) NOT NULL,
    context TEXT,
    task_id VARCHAR(64),
    created_at TIMESTAMPTZ DEFAULT NOW()
);

-- Create session_progress table
CREATE TABLE IF NOT EXISTS session_progress (
    id VARCHAR(32) PRIMARY KEY,
    project_id VARCHAR(64) NOT NULL,
    session_id VARCHAR(64) UNIQUE NOT NULL,
    agent_id VARCHAR(64),
    status VARCHAR(16) DEFAULT 'active',
    completed_items JSONB DEFAULT '[]',
    in_progress_item VARCHAR(256),
    next_items JSONB DEFAULT '[]',
    blocked_items JSONB DEFAULT '[]',
    summary TEXT,
    last_action TEXT,
    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW()
);

-- Create feature_tracker table
CREATE TABLE IF NOT EXISTS feature_tracker (
    id VARCHAR(32) PRIMARY KEY,
    project_id VARCHAR(64) NOT NULL,
    feature_id VARCHAR(128) NOT NULL,
    description TEXT NOT NULL,
    status VARCHAR(16) DEFAULT 'not_started',
    passes BOOLEAN DEFAULT false,
    test_steps JSONB DEFAULT '[]',
    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW()
);

-- Create indexes
CREATE INDEX IF NOT EXISTS ix_memories_type ON memories (project_id, memory_type);
CREATE INDEX IF NOT EXISTS ix_votes_memory ON vote_history (memory_id);
CREATE INDEX IF NOT EXISTS ix_session_project ON session_progress (project_id);
CREATE INDEX IF NOT EXISTS ix_feature_project ON feature_tracker (project_id);
";

/// On a store that has these tables it changes no column, no table and no row; three indexes are of names that are not there.
#[test]
fn migration_v1_0_to_v1_1() {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    let (rows, objects) = (store_hash(&mut sql), store_objects(&mut sql));

    desk.psql(MIGRATION).good();

    assert_eq!(store_hash(&mut sql), rows);
    let now = store_objects(&mut sql);
    let mut new: Vec<&str> = now
        .iter()
        .filter(|line| !objects.contains(line))
        .map(|line| line.split(" ON ").next().unwrap_or_default())
        .collect();
    new.sort_unstable();
    assert_eq!(
        new,
        [
            "index | CREATE INDEX ix_feature_project",
            "index | CREATE INDEX ix_session_project",
            "index | CREATE INDEX ix_votes_memory"
        ]
    );
    assert!(objects.iter().all(|line| now.contains(line)));
    assert_alive(&database);

    // Run again it changes nothing; and without its indexes all is as it was.
    desk.psql(MIGRATION).good();
    assert_eq!(store_objects(&mut sql), now);
    sql.run("DROP INDEX ix_feature_project, ix_session_project, ix_votes_memory");
    assert_eq!(store_objects(&mut sql), objects);
}

#[test]
fn troubleshooting_1_slow_queries() {
    let (database, desk) = filled(cluster());
    let dimensions: String = database
        .connect()
        .one("SELECT memory_version() ->> 'dimensions'", &[]);
    let literal = vec!["0.1"; dimensions.parse().expect("a number")].join(", ");
    let report = desk
        .psql(
            &"
-- Check if HNSW index exists
SELECT indexname FROM pg_indexes WHERE tablename = 'memories';

-- Check index usage
EXPLAIN ANALYZE
SELECT * FROM memories
WHERE project_id = 'test'
ORDER BY embedding <=> '[0.1, 0.2, ...]'::vector
LIMIT 10;
"
            .replace("0.1, 0.2, ...", &literal),
        )
        .good();
    assert!(
        report.contains("\nix_memories_embedding_hnsw\n"),
        "{report}"
    );
    assert!(report.contains("Execution Time: "), "{report}");

    let said = desk
        .psql(
            "
-- Recreate HNSW index
DROP INDEX IF EXISTS ix_memories_embedding_hnsw;
CREATE INDEX ix_memories_embedding_hnsw ON memories 
USING hnsw (embedding vector_cosine_ops)
WITH (m = 16, ef_construction = 64);

-- Increase ef_search for better recall (at cost of speed)
SET hnsw.ef_search = 200;
-- Not of the guide: what that has brought.
SHOW hnsw.ef_search;
",
        )
        .good();
    assert!(said.contains("\nhnsw.ef_search\n200\n"), "{said}");
    // Rows that were updated keep a new index from being used as long as any transaction of the cluster that was
    // open then is (pg_index.indcheckxmin), and other tests have some.
    wait_until("the new index is used", || {
        desk.psql(
            "
SET enable_seqscan = off;
SELECT memory_embed('fact about harbours')::text AS vector \\gset
EXPLAIN (COSTS off) SELECT id FROM memories ORDER BY embedding <=> :'vector'::vector LIMIT 10;
",
        )
        .good()
        .contains("Index Scan using ix_memories_embedding_hnsw")
    });
    assert_alive(&database);
}

#[test]
fn troubleshooting_4_memory_not_found_after_add() {
    let (database, desk) = filled(cluster());
    let report = desk
        .psql(
            &"
-- Check if memory exists
SELECT id, created_at, expires_at FROM memories 
WHERE id = 'your-memory-id';

-- Check if TTL expired
SELECT * FROM memories WHERE expires_at < NOW();

VACUUM ANALYZE memories;
"
            .replace("your-memory-id", "note-1"),
        )
        .good();
    assert!(
        report.starts_with("id,created_at,expires_at\nnote-1,20"),
        "{report}"
    );
    assert!(
        report.contains("\nover,default,default,over and gone,"),
        "{report}"
    );
    assert!(report.ends_with("VACUUM\n"), "{report}");
    assert_alive(&database);
}
