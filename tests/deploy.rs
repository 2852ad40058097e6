//! The files of docker/: what can be tried without a database. Alerts, the dashboard's queries and the configurations run in the real
//! programs, fetched by scripts/setup.sh; manifests are held against published schemas.

mod support;

mod deploy {
    pub mod dashboard;
    pub mod exposed;
    pub mod programs;
}

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use deploy::dashboard::{dashboard, dashboard_queries};
use deploy::exposed::{exporter, labels, names, sample};
use deploy::programs::{Prometheus, directory, docker, need, output, program, read};
use serde_json::Value;
use support::markdown::{blocks_of, repository};
use support::wait_until;
use yaml_rust2::{Yaml, YamlLoader};

/// The files of a directory, however deep.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.ends_with("secrets") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn yaml(path: &Path) -> Vec<Yaml> {
    YamlLoader::load_from_str(&read(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn promtool(arguments: &[&str]) -> String {
    let (good, said) = output(
        Command::new(program("promtool"))
            .args(arguments)
            .current_dir(docker("prometheus")),
    );
    assert!(good, "promtool {arguments:?}\n{said}");
    said
}

/// Name, expression and runbook of every alert.
fn alerts() -> Vec<(String, String, String)> {
    let rules = yaml(&docker("prometheus/alerts.yml")).remove(0);
    let mut alerts = Vec::new();
    for rule in rules["groups"][0]["rules"].as_vec().expect("rules") {
        let text = |yaml: &Yaml| yaml.as_str().expect("a text").to_owned();
        alerts.push((
            text(&rule["alert"]),
            text(&rule["expr"]),
            text(&rule["annotations"]["runbook"]),
        ));
    }
    alerts
}

/// The words of an expression outside of its strings that begin as our metrics do.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let outside: String = expression
        .split('"')
        .step_by(2)
        .collect::<Vec<_>>()
        .join("\"");
    outside
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("memory_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn prometheus_accepts_its_configuration() {
    for file in ["prometheus.yml", "other-exporters/prometheus.yml"] {
        promtool(&["check", "config", file]);
    }
    // Debian's promtool does not know Kubernetes: its part is left out, and looked at alone.
    let text = read(docker("prometheus/kubernetes.yml"));
    let (before, rest) = text
        .split_once("    kubernetes_sd_configs:\n")
        .expect("the pods");
    let (pods, after) = rest
        .split_once("    relabel_configs:\n")
        .expect("what is kept of them");
    assert_eq!(
        pods,
        "      - role: pod\n        namespaces:\n          names: [memory]\n"
    );
    let copy = directory("kubernetes-scraping").join("prometheus.yml");
    fs::write(
        &copy,
        format!("{before}    static_configs: [{{targets: [x]}}]\n    relabel_configs:\n{after}"),
    )
    .expect("a copy");
    promtool(&["check", "config", copy.to_str().expect("ASCII")]);
    assert!(
        promtool(&["check", "rules", "alerts.yml"])
            .contains(&format!("{} rules found", alerts().len()))
    );
}

#[test]
fn alerts_fire_and_stay_quiet() {
    promtool(&["test", "rules", "alerts.test.yml"]);

    let tests = yaml(&docker("prometheus/alerts.test.yml")).remove(0);
    let named: BTreeSet<String> = tests["tests"]
        .as_vec()
        .expect("tests")
        .iter()
        .map(|test| test["name"].as_str().expect("a name").to_owned())
        .collect();
    for (name, ..) in alerts() {
        for does in ["fires", "stays quiet"] {
            assert!(
                named.contains(&format!("{name} {does}")),
                "{name} {does}: no test"
            );
        }
    }
}

#[test]
fn every_alert_says_what_to_do() {
    let operations = read(repository().join("docs/operations.md"));
    let headings: BTreeSet<&str> = operations
        .lines()
        .filter(|line| line.starts_with('#'))
        .collect();
    for (name, _, runbook) in alerts() {
        assert!(
            headings.contains(format!("### {name}").as_str()),
            "docs/operations.md has no section {name}"
        );
        assert_eq!(
            runbook,
            format!("docs/operations.md#{}", name.to_lowercase())
        );
    }
}

#[test]
fn queries_name_only_metrics_and_labels_that_there_are() {
    let sample = sample();
    let (names, labels) = (names(&sample), labels(&sample));
    let mut used = BTreeSet::new();
    let alerts = alerts()
        .into_iter()
        .map(|(name, expression, _)| (name, expression));
    for (place, expression) in alerts.chain(dashboard_queries()) {
        for metric in metrics_in(&expression) {
            assert!(names.contains(&metric), "{place}: {metric}");
            // The selector after each use of the name.
            for selector in expression
                .split(metric.as_str())
                .skip(1)
                .filter_map(|rest| rest.strip_prefix('{'))
            {
                let selector = selector.split('}').next().unwrap_or_default();
                for label in selector
                    .split(',')
                    .filter_map(|part| part.split(['=', '!']).next())
                {
                    let label = label.trim();
                    assert!(
                        ["job", "instance"].contains(&label) || labels[&metric].contains(label),
                        "{place}: {metric} has no label {label}"
                    );
                }
            }
            used.insert(metric);
        }
    }
    // Read by people, or of use to the rest only: nothing else is left without a panel or an alert.
    let unused: Vec<&str> = names
        .iter()
        .filter(|name| !used.contains(*name))
        .map(String::as_str)
        .collect();
    assert_eq!(
        unused,
        [
            "memory_ext_start_time_seconds",
            "memory_maintenance_last_run_timestamp_seconds",
            "memory_operation_duration_seconds_count",
            "memory_operation_duration_seconds_sum",
            "memory_recall_checks_total",
            "memory_recall_timestamp_seconds",
            "memory_store_migration",
        ]
    );
}

/// The guide's panels.
#[test]
fn the_dashboard_has_the_panels_of_the_guide() {
    let panels = dashboard_queries();
    for (title, metric) in [
        ("Request rate", "memory_operations_total"),
        (
            "Latency, 95th percentile",
            "memory_operation_duration_seconds_bucket",
        ),
        ("Memory operation throughput", "memory_operations_total"),
        (
            "Embedding cache hit rate",
            "memory_embedding_cache_hits_total",
        ),
        ("Connections", "memory_db_connections"),
        ("Votes", "memory_votes_total"),
        ("Use of the ACE functions", "memory_operations_total"),
    ] {
        assert!(
            panels
                .iter()
                .any(|(of, expression)| of == title && metrics_in(expression).contains(metric)),
            "{title}"
        );
    }

    // No panel covers another, and none reaches over the edge.
    let dashboard = dashboard();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let at = |name: &str| panel["gridPos"][name].as_u64().expect("a number");
        for cell in (at("y")..at("y") + at("h"))
            .flat_map(|y| (at("x")..at("x") + at("w")).map(move |x| (x, y)))
        {
            assert!(
                cell.0 < 24 && taken.insert(cell),
                "{}: {cell:?}",
                panel["title"]
            );
        }
    }
}

/// `make dashboard-picture`, which nobody has to look at to know that it shows something.
#[test]
fn the_dashboard_can_be_drawn() {
    need("pictures");
    let place = directory("picture");
    let (picture, panels) = (place.join("dashboard.png"), place.join("panels"));
    let (good, said) = output(
        Command::new(repository().join("scripts/dashboard-picture.sh"))
            .arg(&picture)
            .arg(&panels),
    );
    assert!(good && said.contains(" 0 queries without data"), "{said}");

    // Colours of each picture; the name of a panel alone has some shades of grey.
    let count = "import sys, pathlib; from PIL import Image\nfor p in sorted(pathlib.Path(sys.argv[1]).glob('*.png')):\n    i = Image.open(p)\n    print(p.stem, *i.size, sum(i.convert('RGB').convert('HSV').getchannel('S').histogram()[61:]))";
    let (good, drawn) = output(
        Command::new("python3")
            .args(["-c", count])
            .arg(&panels)
            .env("PYTHONPATH", repository().join("target/tools/pictures")),
    );
    assert!(good, "{drawn}");
    let drawn: BTreeMap<u64, Vec<u64>> = drawn
        .lines()
        .map(|line| {
            let numbers: Vec<u64> = line
                .split(' ')
                .map(|number| number.parse().expect("a number"))
                .collect();
            (numbers[0], numbers[1..].to_vec())
        })
        .collect();
    for panel in dashboard()["panels"].as_array().expect("panels") {
        if panel["type"] == "row" {
            continue;
        }
        let title = &panel["title"];
        let [width, height, coloured] = drawn[&panel["id"].as_u64().expect("a number")][..] else {
            panic!("{title}: no size");
        };
        assert!(width > 150 && height > 60, "{title}: {width} x {height}");
        let has_colour =
            panel["type"] == "timeseries" || panel["options"]["colorMode"] == "background";
        assert!(coloured > 50 || !has_colour, "{title} is empty: {coloured}");
    }
    assert!(
        fs::metadata(repository().join("docs/dashboard.png"))
            .expect("the picture that is shown")
            .len()
            < 300_000
    );
}

#[test]
fn no_document_has_a_place_that_was_to_be_filled() {
    let mut documents = support::markdown::documents();
    documents.extend(
        ["README.md", "CHANGELOG.md", "bench/README.md"].map(|name| repository().join(name)),
    );
    for document in documents {
        let text = read(&document);
        // Templates of containers are in blocks of code.
        let prose: String = text.split("```").step_by(2).collect();
        for word in ["{{", "TODO", "FIXME", "TBD"] {
            assert!(!prose.contains(word), "{}: {word}", document.display());
        }
    }
}

#[test]
fn every_query_of_the_dashboard_and_the_alerts_answers() {
    let directory = directory("dashboard");
    fs::copy(
        docker("prometheus/alerts.yml"),
        directory.join("alerts.yml"),
    )
    .expect("rules");
    let port = exporter();
    let prometheus = Prometheus::start(
        &directory,
        &format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [alerts.yml]\nscrape_configs: [{{job_name: memory, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
        ),
    );
    let scraped = || {
        prometheus
            .query("count_over_time(memory_ext_info[1m]) >= 4")
            .len()
            == 1
    };
    wait_until("four scrapes", scraped);

    let silent: Vec<(String, String)> = dashboard_queries()
        .into_iter()
        .filter(|(_, expression)| prometheus.query(expression).is_empty())
        .collect();
    assert!(silent.is_empty(), "no data: {silent:#?}");
    let share = prometheus.value("sum(rate(memory_operations_total{status=\"error\"}[10s])) / sum(rate(memory_operations_total[10s]))");
    assert!((0.001..0.02).contains(&share), "{share}");

    // An evaluation of each rule, without an error.
    thread::sleep(Duration::from_secs(2));
    let rules = prometheus.api("/api/v1/rules");
    let rules = rules["groups"][0]["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), alerts().len());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    // Of 2023, as the sample is: the worker has not run since.
    let pending = prometheus.alerts();
    assert!(pending.contains("MemoryWorkerStale"), "{pending:?}");
    assert!(
        !pending.contains("MemoryDown") && !pending.contains("MemoryUnderReturns"),
        "{pending:?}"
    );
}

#[test]
fn the_sample_of_metrics_is_one() {
    let file = fs::File::open(repository().join("tests/deploy/metrics.prom")).expect("the sample");
    let said = Command::new(program("promtool"))
        .args(["check", "metrics"])
        .stdin(file)
        .output()
        .expect("promtool runs");
    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
}

#[test]
fn all_yaml_and_json_can_be_read() {
    let mut read_files = 0;
    for file in files(&docker("")) {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("yml" | "yaml") => assert!(!yaml(&file).is_empty(), "{}", file.display()),
            Some("json") => drop(
                serde_json::from_str::<Value>(&read(&file))
                    .unwrap_or_else(|error| panic!("{}: {error}", file.display())),
            ),
            _ => continue,
        }
        read_files += 1;
        assert!(read(&file).is_ascii(), "{}", file.display());
    }
    assert!(read_files >= 15, "{read_files}");
}

fn manifests(directory: &Path) -> (bool, String) {
    need("schemas");
    let mut paths = vec![repository().join("target/tools/python")];
    paths.extend(
        std::env::var_os("PYTHONPATH")
            .iter()
            .flat_map(std::env::split_paths),
    );
    output(
        Command::new("python3")
            .arg(repository().join("tests/deploy/manifests.py"))
            .arg(directory)
            .env("PYTHONPATH", std::env::join_paths(paths).expect("paths")),
    )
}

#[test]
fn manifests_fit_their_schemas() {
    let (good, said) = manifests(&docker(""));
    assert!(good, "{said}");
    assert!(
        said.contains("13 manifests and compose.yml: 0 problems"),
        "{said}"
    );
}

/// The check finds a mistake of each kind, by each of the schemas.
#[test]
fn mistakes_in_manifests_are_found() {
    let copy = directory("manifests").join("docker");
    output(Command::new("cp").arg("-r").arg(docker("")).arg(&copy));
    let mistakes = [
        (
            "kubernetes/statefulset.yaml",
            "readinessProbe",
            "readynessProbe",
            "'readynessProbe' was unexpected",
        ),
        (
            "kubernetes/backup-cronjob.yaml",
            "memory-backup.sh",
            "memory-dump.sh",
            "the image has no /usr/local/bin/memory-dump.sh",
        ),
        (
            "kubernetes/velero-schedule.yaml",
            "onError",
            "onErrors",
            "unknown field onErrors",
        ),
        (
            "kubernetes/cloudnative-pg.yaml",
            "instances: 3",
            "instances: many",
            "'many' is no number",
        ),
        (
            "kubernetes/cloudnative-pg.yaml",
            "metricRelabelings",
            "metricsRelabelings",
            "unknown field metricsRelabelings",
        ),
        (
            "kubernetes/cloudnative-pg.yaml",
            "primaryUpdateMethod: switchover",
            "primaryUpdateMethod: reboot",
            "'reboot' is none of",
        ),
        (
            "kubernetes/cloudnative-pg.yaml",
            "dataChecksums",
            "datachecksums",
            "unknown field datachecksums",
        ),
        (
            "kubernetes/cloudnative-pg.yaml",
            "  schedule: \"0 0 2 * * *\"\n",
            "",
            "there is no schedule",
        ),
        (
            "compose.yml",
            "- ./prometheus/alerts.yml",
            "- ./prometheus/alarms.yml",
            "there is no ./prometheus/alarms.yml",
        ),
    ];
    for (file, from, to, _) in mistakes {
        let path = copy.join(file);
        let text = read(&path);
        assert!(text.contains(from), "{file}: {from}");
        fs::write(&path, text.replace(from, to)).expect("a mistake is made");
    }
    let (good, said) = manifests(&copy);
    assert!(!good, "{said}");
    for (file, _, _, says) in mistakes {
        assert!(said.contains(says), "{file}: {says}\n{said}");
    }
}

/// The document of a kind.
fn manifest(file: &str, kind: &str) -> Yaml {
    yaml(&docker("kubernetes").join(file))
        .into_iter()
        .find(|document| document["kind"].as_str() == Some(kind))
        .unwrap_or_else(|| panic!("{file} has no {kind}"))
}

fn texts(list: &Yaml) -> Vec<&str> {
    let list = list.as_vec().expect("a list");
    list.iter()
        .map(|item| item.as_str().expect("a text"))
        .collect()
}

/// A server in recovery lives, and one that does not answer does not.
#[test]
fn a_server_in_recovery_is_not_restarted() {
    let set = manifest("statefulset.yaml", "StatefulSet");
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    for (answer, is_alive) in [(0, true), (1, true), (2, false), (3, false)] {
        for probe in ["startupProbe", "livenessProbe"] {
            let command = texts(&container[probe]["exec"]["command"]);
            assert_eq!(command[..2], ["/bin/sh", "-c"]);
            let asked = format!("pg_isready() {{ return {answer}; }}; {}", command[2]);
            let (good, said) = output(Command::new("/bin/sh").args(["-c", &asked]));
            assert_eq!(good, is_alive, "{probe}, {answer}: {said}");
        }
    }
}

/// A store that nobody can use is not ready, and is to be backed up all the same.
#[test]
fn backups_reach_a_pod_that_is_not_ready() {
    let services = yaml(&docker("kubernetes/statefulset.yaml"));
    for job in yaml(&docker("kubernetes/backup-cronjob.yaml")) {
        if job["kind"].as_str() != Some("CronJob") {
            continue;
        }
        let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        let variables = pod["containers"][0]["env"].as_vec().expect("variables");
        let host = variables
            .iter()
            .find(|variable| variable["name"].as_str() == Some("PGHOST"))
            .expect("PGHOST");
        let service = services
            .iter()
            .find(|document| {
                document["kind"].as_str() == Some("Service")
                    && document["metadata"]["name"] == host["value"]
            })
            .expect("the service of that name");
        assert_eq!(
            service["spec"]["publishNotReadyAddresses"].as_bool(),
            Some(true)
        );
    }
}

/// Alerts and dashboard ask for the job `memory`, whoever scrapes.
#[test]
fn metrics_of_pods_have_the_job_of_the_alerts() {
    for file in ["pod-monitor.yaml", "cloudnative-pg.yaml"] {
        let monitor = manifest(file, "PodMonitor");
        let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
        let relabelings = endpoint["relabelings"].as_vec().expect("relabelings");
        assert!(
            relabelings.iter().any(|to| {
                to["targetLabel"].as_str() == Some("job")
                    && to["replacement"].as_str() == Some("memory")
            }),
            "{file}"
        );
    }
    let monitor = manifest("pod-monitor.yaml", "PodMonitor");
    let set = manifest("statefulset.yaml", "StatefulSet");
    assert_eq!(
        monitor["spec"]["selector"]["matchLabels"],
        set["spec"]["template"]["metadata"]["labels"]
    );
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    let scraping = yaml(&docker("prometheus/kubernetes.yml")).remove(0);
    let static_one = yaml(&docker("prometheus/prometheus.yml")).remove(0);
    let [scraping, static_one] = [&scraping, &static_one].map(|file| &file["scrape_configs"][0]);
    assert_eq!(scraping["job_name"].as_str(), Some("memory"));
    assert_eq!(endpoint["path"], static_one["metrics_path"]);
    assert_eq!(scraping["metrics_path"], static_one["metrics_path"]);
    assert_eq!(endpoint["params"], static_one["params"]);
    assert_eq!(scraping["params"], static_one["params"]);
    let ports = &set["spec"]["template"]["spec"]["containers"][1]["ports"];
    assert_eq!(ports[0]["name"], endpoint["port"]);
}

/// The owner of the store is no role that somebody logs in as.
#[test]
fn nobody_who_serves_agents_owns_the_store() {
    let cluster = manifest("cloudnative-pg.yaml", "Cluster");
    let initdb = &cluster["spec"]["bootstrap"]["initdb"];
    let owner = initdb["owner"].as_str().expect("an owner");
    let sql = texts(&initdb["postInitApplicationSQL"]).join(";\n");
    assert!(
        sql.contains(&format!("ALTER ROLE {owner} NOLOGIN")),
        "{sql}"
    );
    assert!(sql.contains(&format!("SET LOCAL ROLE {owner};")), "{sql}");
    let first = read(docker("init/10-memory.sql"));
    assert!(first.contains(&format!("CREATE ROLE {owner} NOLOGIN;")));
}

/// What two files have to say alike.
#[test]
fn copies_are_equal() {
    let clusters = yaml(&docker("kubernetes/cloudnative-pg.yaml"));
    let queries = clusters
        .iter()
        .find_map(|document| document["data"]["queries"].as_str())
        .expect("the ConfigMap of queries");
    assert_eq!(
        queries,
        read(docker("prometheus/other-exporters/postgres-exporter.yml"))
    );

    let shown = blocks_of(&repository().join("docs/backup-and-restore.md"));
    let shown = shown
        .iter()
        .find(|block| block.language == "yaml")
        .expect("the schedule");
    assert_eq!(shown.text, read(docker("kubernetes/velero-schedule.yaml")));

    // The exporters that get rows name every label that there is.
    let every: BTreeSet<String> = labels(&sample()).into_values().flatten().collect();
    for file in ["postgres-exporter.yml", "sql-exporter.yml"] {
        let text = read(docker("prometheus/other-exporters").join(file));
        for label in every.iter().filter(|label| *label != "database") {
            assert!(text.contains(&format!("AS \"{label}\"")), "{file}: {label}");
        }
    }
}

#[test]
fn versions_are_of_this_release() {
    let version = env!("CARGO_PKG_VERSION");
    let tagged = ["memory-postgres:18-", "memory-exporter:"];
    for file in files(&docker("")) {
        let text = read(&file);
        for (tag, rest) in tagged
            .iter()
            .flat_map(|tag| text.split(tag).skip(1).map(move |rest| (tag, rest)))
        {
            assert!(rest.starts_with(version), "{}: {tag}", file.display());
        }
    }
}

/// What the image is built of is there, and what its context leaves out is not needed.
#[test]
fn the_context_of_the_image_holds_what_its_steps_read() {
    let dockerfile = read(docker("Dockerfile"));
    for step in ["packages", "build", "runtime", "check"] {
        assert!(
            dockerfile.contains(&format!("build-steps.sh {step}")),
            "{step}"
        );
    }
    let (before, after) = dockerfile
        .split_once("USER postgres")
        .expect("it ends as postgres");
    assert!(
        !after.contains("USER ") && !after.contains("runtime"),
        "{after}"
    );
    let last_stage = before.rsplit_once("\nFROM ").expect("stages").1;
    for tool in [
        "gcc",
        "cargo",
        "build-steps.sh packages",
        "build-steps.sh build\n",
    ] {
        assert!(!last_stage.contains(tool), "{tool}");
    }

    let ignored = read(docker("Dockerfile.dockerignore"));
    let let_through: Vec<&str> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    let context = directory("context");
    for path in &let_through {
        assert!(repository().join(path).exists(), "{path}");
    }
    let (good, said) = output(
        Command::new("sh")
            .args(["-ec", "git ls-files -z --cached --others --exclude-standard -- \"$@\" | xargs -0 cp --parents -t \"$DESTINATION\"", "sh"])
            .args(&let_through)
            .env("DESTINATION", &context)
            .current_dir(repository()),
    );
    assert!(good, "{said}");
    for source in dockerfile.lines().filter_map(|line| {
        line.strip_prefix("COPY --chmod=755 ")
            .or(line.strip_prefix("COPY --chmod=644 "))
    }) {
        let source = source.split(' ').next().unwrap_or_default();
        let there = context.join(source.trim_end_matches("*.sh"));
        assert!(
            files(&there).len() > usize::from(source.ends_with("*.sh")),
            "{source}"
        );
    }
    // Cargo finds every member of the workspace and no changed dependency.
    let (good, said) = output(
        Command::new("cargo")
            .args(["metadata", "--locked", "--offline", "--format-version", "1"])
            .current_dir(&context),
    );
    assert!(good, "{said}");
}

#[test]
fn scripts_are_clean_and_executable() {
    let mut scripts: Vec<PathBuf> = ["scripts", "docker", "docker/kubernetes", "docker/scripts"]
        .iter()
        .flat_map(|directory| fs::read_dir(repository().join(directory)).expect("a directory"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .collect();
    scripts.push(repository().join(".ci/run"));
    let (good, said) = output(
        Command::new(program("shellcheck"))
            .args(["--external-sources", "--source-path=SCRIPTDIR"])
            .args(&scripts),
    );
    assert!(good, "{said}");
    for script in scripts {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&script)
            .expect("a script")
            .permissions()
            .mode();
        assert!(
            mode & 0o111 == 0o111 || script.ends_with("environment.sh"),
            "{}",
            script.display()
        );
    }
}

#[test]
fn secrets_are_made_once_and_closed_to_others() {
    let secrets = directory("secrets").join("secrets");
    let script = docker("scripts/make-secrets.sh");
    let all = || -> Vec<String> { files(&secrets.join(".")).iter().map(read).collect() };
    assert!(output(Command::new(&script).arg(&secrets)).0);
    let made = all();
    // In the order of their names: the key of backups is the first.
    let lengths: Vec<usize> = made.iter().map(String::len).collect();
    assert_eq!(lengths, [64, 48, 48, 48]);
    for secret in &made {
        assert!(secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    assert_ne!(made[1], made[2]);
    assert!(output(Command::new(&script).arg(&secrets)).0);
    assert_eq!(all(), made, "what is there stays");
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(&secrets)
        .expect("the directory")
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0);
}
