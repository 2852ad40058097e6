//! docs/guides.md: no section and no command of the two guides is forgotten, and what stands beside a command does its work.

use std::fs;

use serde_json::Value;

use super::desk::{Desk, objects, records};
use super::maintenance::operations;
use super::store::{assert_alive, cluster, filled, memories_hash, options};
use crate::support::markdown::repository;
use crate::support::{Cluster, Sql};

const AEGIS_MEMORY: [&str; 31] = [
    "Backup & Restore",
    "PostgreSQL Backup",
    "Option 1: pg_dump (Recommended for < 100GB)",
    "Option 2: pg_basebackup (For larger databases)",
    "Automated Backup Script",
    "Restore",
    "Kubernetes Backup with Velero",
    "Data Export",
    "Export via API",
    "Export Format (JSONL)",
    "Direct SQL Export",
    "Import Data",
    "Monitoring",
    "Prometheus Metrics",
    "Key Metrics",
    "Grafana Dashboard",
    "Alerting Rules",
    "Health Checks",
    "Kubernetes Probes",
    "Upgrades & Migrations",
    "Version Compatibility",
    "Upgrade Process",
    "Rollback",
    "Migration: v1.0 -> v1.1 (ACE Tables)",
    "Troubleshooting",
    "Common Issues",
    "1. Slow Queries",
    "2. Connection Pool Exhausted",
    "3. Embedding Service Errors",
    "4. Memory Not Found After Add",
    "Support",
];

const MEMORY_STAGES: [&str; 33] = [
    "Vector Index Operations",
    "Index Rebuild Procedure",
    "Safe Rebuild Process",
    "Failure Recovery",
    "Vector Store Providers",
    "Memory Store (Default)",
    "FAISS Store (Production)",
    "Troubleshooting Vector Issues",
    "Common Problems",
    "Database Maintenance",
    "Stage 6: Privacy-Protected Backup and Restore",
    "Encrypted Backup Procedure",
    "Privacy-Safe Restore Procedure",
    "Automated Maintenance Operations",
    "Legacy Backup Procedure (Stages 1-5)",
    "Legacy Recovery from Backup (Stages 1-5)",
    "Migration to Stage 6 Backup System",
    "Monitoring and Health Checks",
    "Automated Health Checks",
    "Key Metrics to Monitor",
    "Configuration Management",
    "Environment Variables Reference",
    "Production Configuration",
    "Performance Considerations",
    "Memory Usage",
    "Optimization Tips",
    "Upgrade Procedures",
    "Future Stage Transitions",
    "Rollback Procedures",
    "Emergency Procedures",
    "Data Loss Response",
    "Memory Management Crisis",
    "Contact and Support",
];

/// The scripts of MemoryStages' guide, as it calls them.
const SCRIPTS: [&str; 14] = [
    "scripts/rebuild_index.py",
    "scripts/backup.py my_backup --encrypt",
    "scripts/backup.py my_backup_full --include-sensitive --admin-confirmed",
    "scripts/backup.py my_backup --dry-run --verbose",
    "scripts/restore.py my_backup my_backup.manifest.json --dry-run --verbose",
    "scripts/restore.py my_backup my_backup.manifest.json",
    "scripts/restore.py my_backup_full my_backup_full.manifest.json --admin-confirmed",
    "scripts/restore.py my_backup my_backup.manifest.json  # Will prompt for confirmation",
    "scripts/maintenance.py --full-maintenance",
    "scripts/maintenance.py --full-maintenance --json >> maintenance_log.json",
    "scripts/maintenance.py --check-integrity",
    "scripts/maintenance.py --validate-vectors",
    "scripts/maintenance.py --cleanup-orphans",
    "scripts/maintenance.py --rebuild-index",
];

/// Its copies of the database's file.
const COPIES: [&str; 3] = [
    "cp ./data/memory.db ./data/memory-pre-rebuild.db",
    "cp ./data/memory.db ./data/memory_backup_${TIMESTAMP}.db",
    "cp ./data/memory_backup_TIMESTAMP.db ./data/memory.db",
];

/// The rows of a table of docs/guides.md: the one with this header, under this heading.
fn table(guide: &str, header: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(repository().join("docs/guides.md")).expect("docs/guides.md");
    let rows: Vec<(String, String)> = text
        .lines()
        .skip_while(|line| *line != format!("## {guide}"))
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .skip_while(|line| *line != format!("| {header} | Here |"))
        .skip(2)
        .map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|row| {
            let (left, right) = row.split_once(" | ").expect("two columns");
            (left.to_owned(), right.to_owned())
        })
        .collect();
    assert!(!rows.is_empty(), "{guide}: {header}");
    rows
}

#[test]
fn every_section_of_both_guides_is_somewhere_or_says_why_not() {
    for (guide, sections) in [
        ("Aegis Memory", &AEGIS_MEMORY[..]),
        ("MemoryStages", &MEMORY_STAGES[..]),
    ] {
        let rows = table(guide, "Section");
        let named: Vec<&str> = rows.iter().map(|(section, _)| section.as_str()).collect();
        assert_eq!(named, sections, "{guide}");
        for (section, here) in &rows {
            // That links lead somewhere is tested where all links are.
            assert!(
                here.contains("](") || here.ends_with('.'),
                "{guide}, {section}: {here:?} is neither a link nor a sentence"
            );
        }
    }
}

#[test]
fn every_script_of_the_maintenance_guide_has_a_statement() {
    let rows = table("MemoryStages", "Command");
    let scripts = SCRIPTS.map(|script| format!("`python {script}`"));
    for command in scripts
        .into_iter()
        .chain(COPIES.map(|copy| format!("`{copy}`")))
    {
        assert!(rows.iter().any(|(left, _)| *left == command), "{command}");
    }
}

/// Runs a statement of the right column, and gives what psql wrote.
fn run(desk: &Desk, command: &str, statement: &str) -> String {
    // Behind it may stand a sentence about it.
    let statement = statement
        .strip_prefix('`')
        .and_then(|rest| rest.split_once('`'))
        .map(|(statement, _)| statement)
        .unwrap_or_else(|| panic!("{command}: {statement}"));
    let outcome = desk.psql(&format!("{statement};\n"));
    assert_eq!(
        outcome.code,
        Some(0),
        "{command}\n{statement}\n{outcome:#?}"
    );
    outcome.output
}

#[test]
fn the_statements_beside_the_commands_of_aegis_memory_do_their_work() {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    sql.run("DELETE FROM memory_import_inbox; SELECT memory_add('of the assistant', agent_id => 'assistant', namespace => 'production')");
    sql.run("INSERT INTO memory_import_inbox (line) VALUES ('{\"id\":\"abc123\",\"content\":\"Memory content\",\"agent_id\":\"assistant\",\"namespace\":\"default\",\"scope\":\"agent-private\",\"metadata\":{},\"created_at\":\"2024-01-15T10:30:00Z\"}')");
    let mut done = 0;
    for (command, statement) in table("Aegis Memory", "Command") {
        let said = run(&desk, &command, &statement);
        let lines = said.lines().count();
        match command.split(['`', '<', '>']).nth(1).unwrap_or_default() {
            "curl -X POST http://localhost:8000/memories/export -d '{\"format\": \"jsonl\"}'" => {
                assert_eq!(objects(&said).len(), 1 + 48 + 1, "{said}");
            }
            one if one.contains("\"production\"") => {
                assert_eq!(objects(&said)[1]["content"], "of the assistant", "{said}");
                assert_eq!(lines, 4, "{said}");
            }
            one if one.contains("/memories/import") => {
                assert_eq!(objects(&said)[0]["imported"], 1, "{said}");
            }
            one if one.ends_with("/health") => {
                assert!(objects(&said)[0]["status"] == "healthy", "{said}");
            }
            one if one.ends_with("/ready") => assert_eq!(said, "memory_ready\nt\n"),
            "ls migrations/" => assert!(said.contains("1.1.0,2.0.0,1.1.0--2.0.0\n"), "{said}"),
            "alembic upgrade head" => assert_eq!(said, "ALTER EXTENSION\n"),
            _ => assert!(
                command.contains("grep db_pool") && lines == 2,
                "{command}: {said}"
            ),
        }
        done += 1;
    }
    assert_eq!(done, 8);
    assert_alive(&database);
}

#[test]
fn the_statements_beside_the_commands_of_memory_stages_do_their_work() {
    let cluster = Cluster::start(options());
    let (database, desk) = filled(&cluster);
    let mut sql = database.connect();
    desk.bash(
        "mkdir -p \"$(dirname \"$KEY_FILE\")\"; (umask 077; openssl rand -hex 32 > \"$KEY_FILE\")
         psql -d postgres -c \"LOAD 'memory_ext'\" -c \"ALTER SYSTEM SET memory_ext.backup_key_file = '$KEY_FILE'\" -c \"ALTER SYSTEM SET memory_ext.backup_directory = '$BACKUP_DIR'\"",
    )
    .good();
    cluster.stop("fast");
    cluster.control_start();
    drop(sql);
    sql = database.connect();
    let rows = memories_hash(&mut sql);
    let mut before = Value::Null;
    for (command, statement) in table("MemoryStages", "Command") {
        let dry = statement.contains("dry_run => true");
        if statement.contains("memory_restore(") && !dry {
            sql.run("SELECT memory_forget(namespace => 'notes', reason => 'to see it come back')");
        }
        let said = run(&desk, &command, &statement);
        let report = objects(&said).into_iter().next().unwrap_or_default();
        match () {
            () if statement.contains("memory_rebuild_index(") => {
                assert_eq!(
                    (&report["eligible"], &report["embedded"]),
                    (&48.into(), &48.into()),
                    "{said}"
                );
            }
            () if statement.contains("memory_search(") => {
                assert_eq!(said.lines().next(), Some("id,score,content"));
            }
            () if statement.contains("memory_backup(") => {
                let made = desk
                    .backup(report["path"].as_str().expect("a path"))
                    .is_file();
                assert_eq!(made, !dry, "{command}: {report}");
                assert_eq!(
                    report["includes_sensitive"],
                    statement.contains("include_sensitive => true"),
                    "{report}"
                );
                assert!(
                    report["counts"]["memories"].as_i64() >= Some(49),
                    "{report}"
                );
            }
            () if statement.contains("memory_restore(") => {
                assert_eq!(
                    report["tables"]["memories"]["inserted"],
                    if dry { 0 } else { 2 },
                    "{report}"
                );
                assert_eq!(memories_hash(&mut sql), rows, "{command}");
            }
            () if statement.contains("memory_maintenance(") => {
                assert!(
                    operations(&report).iter().all(|(_, errors)| *errors == 0),
                    "{report}"
                );
                before = report;
            }
            () if statement.contains("FROM memory_c") || statement.contains("FROM memory_v") => {
                let wrong = records(&said).into_iter().skip(1);
                let wrong: Vec<Vec<String>> = wrong
                    .filter(|fields| fields[1] != "ok" && fields[1] != "0")
                    .collect();
                assert!(wrong.is_empty(), "{command}: {wrong:?}");
            }
            () => assert!(report["status"] == "healthy", "{command}: {said}"),
        }
    }
    assert_eq!(before["maintenance_run"]["full"], true, "{before}");
    assert_alive(&database);
}

/// What both guides have for the numbers of /health, and key/value operations through a backup and back.
#[test]
fn kv_1_to_5_keys_go_through_a_dump_an_export_and_back() {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    sql.run("SELECT memory_kv_set('deploy.window', 'Tuesday', source => 'form'); SELECT memory_kv_set('gone', 'x'); SELECT memory_kv_delete('gone');
             SELECT memory_kv_set('pin', '0000', sensitive => true); SELECT memory_kv_alias('town', 'city')");
    desk.bash("pg_dump -F c -f \"$BACKUP_DIR/memory.dump\"; createdb \"${PGDATABASE}_restored\"; pg_restore -d \"${PGDATABASE}_restored\" --exit-on-error \"$BACKUP_DIR/memory.dump\"")
        .good();
    let dumped = desk.other("_restored");
    let exported = cluster().database();
    exported.connect().run("SELECT memory_init()");
    desk.bash(&format!(
        "psql -XAtqc 'SELECT memory_export()' > \"$BACKUP_DIR/export.jsonl\"
         psql -Xq -d {} -v ON_ERROR_STOP=1 <<SQL\n\\copy memory_import_inbox(line) FROM '$BACKUP_DIR/export.jsonl' WITH (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01')\nSELECT memory_import_inbox();\nSQL",
        exported.name
    ))
    .good();
    for (copy, with_secrets) in [(&dumped, true), (&exported, false)] {
        let mut copy = copy.connect();
        let listed: Vec<String> =
            copy.column("SELECT key || '=' || value FROM memory_kv_list()", &[]);
        let expected = if with_secrets {
            &["city=Bergen", "deploy.window=Tuesday", "pin=***"][..]
        } else {
            &["city=Bergen", "deploy.window=Tuesday"][..]
        };
        assert_eq!(listed, expected);
        assert_eq!(
            copy.one::<Option<String>>("SELECT memory_kv_get('gone')", &[]),
            None
        );
        copy.run("SELECT memory_kv_set('gone', 'back'); SELECT memory_kv_set('city', 'Oslo')");
        assert_eq!(
            copy.one::<String>("SELECT memory_kv_get('city')", &[]),
            "Oslo"
        );
        assert!(copy.one::<bool>("SELECT memory_kv_delete('gone')", &[]));
        assert!(!copy.one::<bool>("SELECT memory_kv_delete('gone')", &[]));
    }
    assert_eq!(
        dumped
            .connect()
            .one::<String>("SELECT memory_kv_get('town')", &[]),
        "Oslo"
    );
}
