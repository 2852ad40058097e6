//! Programs of docker/ that a plain machine does not have: fetched by scripts/setup.sh, started on loopback, ended with the test.

// Each of the test files uses its own part of this.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

use crate::support::markdown::repository;
use crate::support::{run, wait_until};

pub fn docker(path: &str) -> PathBuf {
    repository().join("docker").join(path)
}

pub fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Has scripts/setup.sh bring a part, once.
pub fn need(part: &'static str) {
    static THERE: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let mut there = THERE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if there.insert(part) {
        run(Command::new(repository().join("scripts/setup.sh"))
            .arg(part)
            .env_remove("PG_CONFIG"));
    }
}

/// One of the programs of the part `programs`.
pub fn program(name: &str) -> PathBuf {
    need("programs");
    let unpacked = repository().join("target/tools/debian/usr/bin").join(name);
    if unpacked.is_file() {
        unpacked
    } else {
        PathBuf::from(name)
    }
}

pub fn output(command: &mut Command) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = [stdout, stderr].concat();
    (
        status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// A directory of a test, empty.
pub fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory is made");
    directory
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("an address").port()
}

/// A server on a port of loopback.
pub struct Running {
    pub port: u16,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// It ends with the thread that has started it, however that ends.
    pub fn start(mut command: Command, port: u16, log: PathBuf) -> Self {
        let file = fs::File::create(&log).expect("a log is made");
        let mut guarded = Command::new("setpriv");
        guarded
            .args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(name, value),
                None => guarded.env_remove(name),
            };
        }
        let child = guarded
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the log is shared"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        command.stdin(Stdio::null());
        let mut running = Running { port, child, log };
        wait_until(&format!("{command:?} listens"), || {
            let ended = running.child.try_wait().expect("its state is known");
            assert!(ended.is_none(), "{command:?} ended: {}", running.log());
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        running
    }

    pub fn log(&self) -> String {
        read(&self.log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of a GET on loopback.
pub fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a limit is set");
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAccept: text/plain\r\n\r\n"
    )
    .expect("it is asked");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no answer in HTTP: {answer}"));
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

pub struct Prometheus(Running);

impl Prometheus {
    /// Started in a directory of its own, which may hold what the configuration names.
    pub fn start(directory: &Path, configuration: &str) -> Self {
        let file = directory.join("prometheus.yml");
        fs::write(&file, configuration).expect("a configuration is written");
        let port = free_port();
        let mut command = Command::new(program("prometheus"));
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn");
        let prometheus = Prometheus(Running::start(
            command,
            port,
            directory.join("prometheus.log"),
        ));
        wait_until("Prometheus is ready", || get(port, "/-/ready").0 == 200);
        prometheus
    }

    pub fn api(&self, path: &str) -> Value {
        let (status, body) = get(self.0.port, path);
        assert_eq!(status, 200, "{path}: {body}\n{}", self.0.log());
        let mut answer: Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}\n{body}"));
        answer["data"].take()
    }

    /// The samples that an expression gives now.
    pub fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.api(&format!("/api/v1/query?query={}", encoded(expression)));
        data["result"]
            .as_array()
            .unwrap_or_else(|| panic!("{expression}: {data}"))
            .clone()
    }

    /// The value of the only sample.
    pub fn value(&self, expression: &str) -> f64 {
        let samples = self.query(expression);
        assert_eq!(samples.len(), 1, "{expression}: {samples:?}");
        samples[0]["value"][1]
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("{expression}: {samples:?}"))
    }

    /// Names of alerts that are pending or firing.
    pub fn alerts(&self) -> BTreeSet<String> {
        self.alerts_in(&["pending", "firing"])
    }

    /// Names of alerts that are firing.
    pub fn firing(&self) -> BTreeSet<String> {
        self.alerts_in(&["firing"])
    }

    fn alerts_in(&self, states: &[&str]) -> BTreeSet<String> {
        let data = self.api("/api/v1/alerts");
        data["alerts"]
            .as_array()
            .expect("alerts")
            .iter()
            .filter(|alert| {
                alert["state"]
                    .as_str()
                    .is_some_and(|is| states.contains(&is))
            })
            .map(|alert| {
                alert["labels"]["alertname"]
                    .as_str()
                    .expect("a name")
                    .to_owned()
            })
            .collect()
    }
}
