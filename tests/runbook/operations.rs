//! docs/operations.md

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::desk::Desk;
use super::section::{Section, sections};
use super::store::{assert_alive, assert_indexed, filled};
use super::yaml;
use crate::support::markdown::repository;
use crate::support::{Cluster, Database, Options, Sql, run};

sections!("operations.md" {
    "Monitoring" => monitoring,
    "Alerts" => alerts,
    "Containers" => containers,
    "Kubernetes" => kubernetes,
    "Upgrade" => upgrade,
    "Roll back" => roll_back,
    "Capacity" => capacity,
    "Tuning" => tuning,
    "Troubleshooting" => troubleshooting,
    "Privileges" => privileges,
    "Managed PostgreSQL" => managed_postgresql,
});

/// A server that counts, as operations.md wants it.
fn preloaded() -> Cluster {
    Cluster::start(Options {
        preload: true,
        settings: vec!["memory_ext.naptime = 1h"],
    })
}

/// For sections that set nothing for the server.
fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(preloaded)
}

/// What a checkout has in docker/, where the operator sits.
fn with_docker(desk: &Desk) {
    run(Command::new("cp")
        .arg("-r")
        .arg(repository().join("docker"))
        .arg(desk.directory()));
    run(Command::new("chmod")
        .args(["-R", "a+rwX"])
        .arg(desk.directory().join("docker")));
}

/// A program that a plain machine does not have: it notes how it was called, fails when a file that it is given is not there, and
/// answers.
fn stand_in(desk: &Desk, name: &str, answers: &str) {
    desk.program(
        name,
        &format!(
            r#"#!/bin/bash
set -eu
echo "{name} $*" >> "$HOME/called"
file=
for word; do
    if [ "$file" ]; then test -f "$word"; fi
    file=
    case $word in
        -f) file=yes ;;
        --from-file=*) test -s "${{word##*=}}" ;;
    esac
done
case "$*" in
    {answers}
    *) ;;
esac
"#
        ),
    );
}

fn called(desk: &Desk) -> Vec<String> {
    let text = fs::read_to_string(desk.directory().join("called")).expect("something was called");
    text.lines().map(str::to_owned).collect()
}

fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|of| of.starts_with(line)),
            "{line:?} is not in\n{text}"
        );
    }
}

fn monitoring(mut section: Section) {
    let (database, desk) = filled(shared());
    with_docker(&desk);
    let said = section.run(&desk);
    has(
        &said,
        &[
            "ready",
            "t",
            "status,issues",
            "healthy,",
            "memory_memories,",
            "operation,phase,done",
        ],
    );
    // The role may be there, of another section's.
    let role = section.take("sql");
    assert!(role.starts_with("CREATE ROLE scraper"));
    scraper(shared());
    let families: u32 = section.run(&desk).trim().parse().expect("a number");
    assert!(families > 20, "{families}");

    let shown = yaml::document(&section.take("yaml"));
    section.end();
    let shipped = yaml::document(
        &fs::read_to_string(repository().join("docker/prometheus/prometheus.yml"))
            .expect("the configuration"),
    );
    let (shown, shipped) = (&shown["scrape_configs"][0], &shipped["scrape_configs"][0]);
    for key in ["job_name", "metrics_path", "params", "static_configs"] {
        assert_eq!(shown[key], shipped[key], "{key}");
    }
    assert_alive(&database);
}

fn scraper(cluster: &Cluster) {
    let mut admin = cluster.connect("postgres");
    if !admin.one::<bool>(
        "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'scraper')",
        &[],
    ) {
        // Two sections may find that it is not there.
        let _ =
            admin.batch_execute("CREATE ROLE scraper LOGIN IN ROLE pg_monitor CONNECTION LIMIT 3");
    }
}

/// One after the other; what the first ones tell is looked at.
fn alerts(mut section: Section) {
    let cluster = preloaded();
    let (database, desk) = filled(&cluster);
    scraper(&cluster);
    let mut sql = database.connect();
    sql.refused("SELECT memory_kv_set('', 'x')", &[]);
    let mut said = Vec::new();
    while let Some(language) = section.language_of_next() {
        if language == "text" {
            assert_eq!(
                section.take("text"),
                "shared_preload_libraries = 'memory_ext'\n"
            );
        } else {
            said.push(section.run(&desk));
        }
    }
    section.end();
    let all = said.join("\n");
    has(
        &all,
        &[
            "t,3",
            "operation,calls,mean_milliseconds",
            "class,errors",
            "22,1",
            "kv_set,1",
            "memory_expire",
            "embedder,vectors",
            "index,indisvalid,indisready",
            "memory_ext,memory_ext",
            "memory_ext.naptime,3600",
            "memory_ext.seal_interval,",
            "relname,n_live_tup",
            "VACUUM",
        ],
    );
    assert!(all.contains("memory_ext launcher"), "{all}");
    let seals: i64 = sql.one("SELECT count(*) FROM memory_audit_seals", &[]);
    assert!(seals > 0);
    // What two of them have set for the server.
    assert_eq!(
        database
            .connect()
            .one::<String>("SHOW memory_ext.vector_path", &[]),
        "exact"
    );
    assert_eq!(
        database
            .connect()
            .one::<String>("SHOW memory_ext.ef_search", &[]),
        "200"
    );
    cluster.admin("ALTER SYSTEM RESET ALL");
    cluster.reload();
}

fn containers(mut section: Section) {
    let (_, desk) = filled(shared());
    with_docker(&desk);
    stand_in(&desk, "docker", "");
    for _ in 0..4 {
        section.run(&desk);
    }
    section.end();
    let secrets = desk.directory().join("docker/secrets");
    assert_eq!(fs::read_dir(secrets).expect("secrets").count(), 4);
    let compose = yaml::document(
        &fs::read_to_string(repository().join("docker/compose.yml")).expect("compose.yml"),
    );
    for call in called(&desk) {
        let words: Vec<&str> = call.split(' ').collect();
        assert_eq!(
            words[..4],
            ["docker", "compose", "-f", "docker/compose.yml"]
        );
        match words[4] {
            "exec" => assert!(!compose["services"][words[5]].is_badvalue(), "{call}"),
            what => assert!(["up", "build"].contains(&what), "{call}"),
        }
    }
    assert_eq!(called(&desk).len(), 9);
}

/// kubectl, for a job that ends so.
fn stand_in_of_kubectl(desk: &Desk, ended: &str) {
    let image = format!(
        "registry.example.com/memory-postgres:18-{}",
        env!("CARGO_PKG_VERSION")
    );
    stand_in(
        desk,
        "kubectl",
        &format!(
            "'get job '*) echo '{ended}' ;;
    'get pods '*) echo '{image} {image} {image}' ;;
    'get cluster '*) echo memory-2 ;;"
        ),
    );
}

fn kubernetes(mut section: Section) {
    let (_, desk) = filled(shared());
    with_docker(&desk);
    stand_in_of_kubectl(&desk, "SuccessCriteriaMet Complete");
    section.run(&desk);
    let first = called(&desk);
    let upgrades = [section.take("bash"), section.take("bash")];
    section.end();
    for upgrade in &upgrades {
        // The image stays when there is no backup.
        stand_in_of_kubectl(&desk, "FailureTarget Failed");
        desk.bash(upgrade).fails(1, "there may be no backup");
        stand_in_of_kubectl(&desk, "SuccessCriteriaMet Complete");
        let calls = called(&desk).join("\n");
        assert!(
            !calls.contains("set image") && !calls.contains("patch"),
            "{calls}"
        );
        fs::remove_file(desk.directory().join("called")).expect("what was called");
    }
    for upgrade in &upgrades {
        desk.bash(upgrade).good();
    }
    let manifests: String = fs::read_dir(repository().join("docker/kubernetes"))
        .expect("manifests")
        .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a manifest"))
        .collect();
    let calls = [first, called(&desk)].concat();
    assert_eq!(calls.len(), 5 + 5 + 7, "{calls:#?}");
    let last = calls.last().expect("a call");
    assert!(
        last.starts_with(
            "kubectl exec --namespace memory memory-2 --container postgres -- psql -d memory "
        ),
        "{last}"
    );
    for call in &calls {
        for word in call.split([' ', '"']) {
            let named = word
                .strip_prefix("statefulset/")
                .or(word.strip_prefix("--from=cronjob/"))
                .or(word.strip_prefix("cluster/"))
                .map(|name| format!("name: {name}\n"))
                .or(word
                    .strip_prefix("postgres=")
                    .filter(|_| call.contains("set image"))
                    .map(|image| format!("image: {image}\n")))
                .or(word
                    .starts_with("registry.")
                    .then(|| format!("imageName: {word}\n")));
            if let Some(named) = named {
                assert!(manifests.contains(&named), "{call}: {named}");
            }
        }
    }
    let patch = calls
        .iter()
        .find_map(|call| call.split_once("--patch "))
        .expect("a patch")
        .1;
    let patch: Value = serde_json::from_str(patch).expect("JSON");
    assert!(patch["spec"]["imageName"].is_string(), "{patch}");
}

fn upgrade(mut section: Section) {
    let (database, desk) = filled(shared());
    let said = section.run(&desk);
    section.end();
    let version = env!("CARGO_PKG_VERSION");
    has(
        &said,
        &[
            &format!("{version},{version},{version}"),
            "ready,issues",
            "t,",
        ],
    );
    assert!(said.ends_with("check_name,status,issues\n"), "{said}");
    assert_alive(&database);
}

fn roll_back(mut section: Section) {
    let (_database, desk) = filled(shared());
    has(
        &section.run(&desk),
        &["number,extension_version,applied_at", "1,", "2,", "3,"],
    );
    section.end();
}

fn capacity(mut section: Section) {
    let (_database, desk) = filled(shared());
    let said = section.run(&desk);
    section.end();
    has(
        &said,
        &[
            "memories,tables,indexes,bytes_a_row,index_bytes_a_row",
            "ix_memories_embedding_hnsw,",
        ],
    );
}

fn tuning(mut section: Section) {
    let (database, desk) = filled(shared());
    has(
        &section.run(&desk),
        &[
            "path,population,plan",
            "path,recall,milliseconds",
            "ALTER TABLE",
        ],
    );
    section.end();
    let options: String = database.connect().one(
        "SELECT reloptions::text FROM pg_class WHERE oid = 'memories'::regclass",
        &[],
    );
    assert!(
        options.contains("autovacuum_vacuum_scale_factor=0.05"),
        "{options}"
    );
    assert_alive(&database);
}

fn troubleshooting(mut section: Section) {
    let (database, desk): (Database, Desk) = filled(shared());
    let slow = section.run(&desk);
    has(&slow, &["path,population", "index", "path,searches"]);
    let nothing = section.run(&desk);
    has(
        &nothing,
        &[
            "project_id,namespace,scope,agent_id,count,embedded",
            "default,notes,global,,2,2",
            "id,score",
        ],
    );
    assert!(
        nothing
            .lines()
            .last()
            .is_some_and(|line| line.contains(',') && line != "id,score"),
        "{nothing}"
    );
    let damaged = section.run(&desk);
    has(
        &damaged,
        &["path,recall,worst,short", "REINDEX", "index", "\"{"],
    );
    let rebuild = section.run(&desk);
    section.run(&desk);
    section.end();
    // As it was when it was dumped, and a database like others again.
    let copied = desk.other("_copy");
    let mut copy = copied.connect();
    let over = "SELECT count(*) FROM memories WHERE expires_at <= now()";
    assert_eq!(copy.one::<i64>(over, &[]), 1);
    let template = "SELECT datistemplate FROM pg_database WHERE datname = current_database()";
    assert!(!copy.one::<bool>(template, &[]));
    has(
        &rebuild,
        &["operation,phase,done,total,remaining", "format"],
    );
    assert_indexed(&mut database.connect());
    assert_alive(&database);
}

fn privileges(mut section: Section) {
    let (_database, desk) = filled(shared());
    let said = section.run(&desk);
    section.end();
    has(
        &said,
        &[
            "finding,severity,detail",
            "caller is superuser,warning",
            "role,project_id,privilege,agent_id",
        ],
    );
}

fn managed_postgresql(mut section: Section) {
    let (_database, desk) = filled(shared());
    let said = section.run(&desk);
    section.end();
    has(
        &said,
        &[
            "superuser,preloaded,monitors,standby",
            "on,t,t,f",
            "name,default_version,installed_version",
            "memory_ext,",
            "vector,",
        ],
    );
}
