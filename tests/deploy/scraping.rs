//! A database as docker/init makes it, its exporter, and a Prometheus that scrapes it, with the files of docker/.

// Each of the test files uses its own part of this.
#![allow(dead_code)]

use std::fs;
use std::path::Path;
use std::process::Command;

use super::programs::{Prometheus, Running, docker, free_port, output, program, read};
use crate::support::{Cluster, Database, wait_until};

/// A database as docker/init makes it.
pub fn initialised(cluster: &Cluster) -> Database<'_> {
    let database = cluster.empty_database();
    let script = cluster.directory().join("init.sql");
    fs::copy(docker("init/10-memory.sql"), &script).expect("the script is copied");
    let (good, said) = output(
        cluster
            .client("psql", &database.name)
            .args(["-X", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(&script),
    );
    assert!(good, "{said}");
    // Without a password file it may not log in.
    cluster.admin("ALTER ROLE metrics LOGIN");
    database
}

/// A command of an exporter or a script, told how to reach a database as a role.
pub fn reaching(mut command: Command, database: &Database, role: &str) -> Command {
    let bin = database.cluster.server.program("psql");
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env(
            "PATH",
            format!("{}:{path}", bin.parent().expect("a directory").display()),
        )
        .envs(database.cluster.environment(&database.name))
        .env("PGUSER", role)
        .env_remove("PGOPTIONS");
    command
}

pub fn script(name: &str, database: &Database, role: &str) -> Command {
    reaching(Command::new(docker("scripts").join(name)), database, role)
}

/// prometheus-exporter-exporter, by our configuration.
pub fn exporter(place: &Path, database: &Database) -> Running {
    let configuration = read(docker("exporter/exporter.yml"));
    let script = docker("scripts/memory-metrics.sh").display().to_string();
    let here = configuration.replace("/usr/local/bin/memory-metrics.sh", &script);
    assert_ne!(here, configuration);
    fs::write(place.join("exporter.yml"), here).expect("a configuration is written");
    let port = free_port();
    let mut command = reaching(
        Command::new(program("prometheus-exporter-exporter")),
        database,
        "metrics",
    );
    command
        .arg("-config.file")
        .arg(place.join("exporter.yml"))
        .args(["-web.listen-address", &format!("127.0.0.1:{port}")]);
    Running::start(command, port, place.join("exporter.log"))
}

/// docker/prometheus/prometheus.yml with another target and short intervals.
pub fn configuration(file: &str, from: &str, port: u16) -> String {
    let text = read(docker("prometheus").join(file));
    let target = format!("127.0.0.1:{port}");
    assert!(text.contains(from), "{file}");
    let text = text.replace(from, &target).replace("15s", "1s");
    match text.starts_with("global") {
        true => text,
        false => format!("global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n{text}"),
    }
}

pub fn wait_for_metrics(prometheus: &Prometheus) {
    wait_until("metrics arrive", || {
        !prometheus.query("memory_ext_info").is_empty()
    });
}

/// An alert that is pending or firing.
pub fn wait_for_alert(prometheus: &Prometheus, name: &str) {
    wait_until(name, || prometheus.alerts().contains(name));
}
