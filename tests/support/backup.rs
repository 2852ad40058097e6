//! What the tests of backups share: a cluster with a directory for them, a store with something of everything, and ways to
//! compare two stores.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use memory_core::container::{Event, Header, Randomness, Reader, Secret, Writer};
use memory_core::copy_text;
use postgres::Client;
use serde_json::Value;

use super::cluster::{Cluster, Options};
use super::database::{Database, Sql};
use super::server::run;

/// The key of memory_ext.backup_key_file in `vault()`.
pub const KEY: [u8; 32] = [7; 32];
pub const SECRET: &str = "hunter2-xyzzy-plugh";

/// A cluster with a directory for backups and a key file.
pub fn vault() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| vault_with(Options::default()))
}

pub fn vault_with(options: Options) -> Cluster {
    let cluster = Cluster::prepare(super::Server::from_environment(), options);
    let (folder, key) = (folder(&cluster), cluster.directory().join("key"));
    run(cluster.server.command("mkdir").arg(&folder));
    let digits = "07".repeat(32);
    run(cluster
        .server
        .command("sh")
        .args([
            "-c",
            "umask 077; printf '%s\\n' \"$1\" >\"$2\"",
            "key",
            &digits,
        ])
        .arg(&key));
    cluster.configure(&format!(
        "memory_ext.backup_directory = '{}'\nmemory_ext.backup_key_file = '{}'",
        folder.display(),
        key.display()
    ));
    cluster.control_start();
    cluster
}

pub fn folder(cluster: &Cluster) -> PathBuf {
    cluster.directory().join("backups")
}

/// A file in the directory of `vault()`.
pub fn file(name: &str) -> PathBuf {
    folder(vault()).join(name)
}

/// A new database of `vault()`, with an empty store.
pub fn database() -> Database<'static> {
    let database = vault().database();
    database.connect().run("SELECT memory_init()");
    database
}

/// A name that no other test has.
pub fn name() -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    format!("backup_{}", NAMES.fetch_add(1, Ordering::Relaxed))
}

/// `SELECT memory_backup('name'ARGUMENTS)`
pub fn backup(sql: &mut Client, name: &str, arguments: &str) -> Value {
    sql.one(&format!("SELECT memory_backup('{name}'{arguments})"), &[])
}

pub fn restore(sql: &mut Client, name: &str, arguments: &str) -> Value {
    sql.one(&format!("SELECT memory_restore('{name}'{arguments})"), &[])
}

/// Something in every table, of two projects, live and ended, open and secret.
pub fn furnish(sql: &mut Client) {
    sql.run(&format!(
        "INSERT INTO memory_types VALUES ('recipe', 12.5, 'how to cook');
         DELETE FROM memory_types WHERE memory_type = 'feature';
         SELECT memory_add('words of one, with a tab\t, a newline \n and a backslash \\ in them', id => 'one', metadata => '{{\"n\": 1.50, \"deep\": {{\"a\": [1, null, \"\\u00e9\"]}}}}');
         SELECT memory_add('words of two', id => 'two', agent_id => 'alice', shared_with_agents => '{{bob,\"o,dd\"}}', importance => 0.1, memory_type => 'recipe');
         SELECT memory_add('words of three', id => 'three', ttl => '3 days', user_id => 'u', session_id => 's', entity_id => 'e');
         SELECT memory_update('one', 'words of one, changed');
         SELECT memory_update('two', metadata => '{{\"x\": 1}}', agent_id => 'alice');
         SELECT memory_add('words of four, deleted', id => 'four');
         SELECT memory_delete('four');
         SELECT memory_add('words of five', id => 'five');
         SELECT memory_deprecate('five', 'outdated', superseded_by => 'one');
         SELECT memory_add('words of other', id => 'one', project_id => 'other', agent_id => 'zed');
         SELECT memory_update('one', 'words of other, changed', project_id => 'other', agent_id => 'zed');
         SELECT memory_kv_set('colour', 'blue');
         SELECT memory_kv_set('colour', 'green');
         SELECT memory_kv_alias('farbe', 'colour');
         SELECT memory_add('{SECRET} alone', id => 'secret', sensitive => true);
         SELECT memory_update('secret', '{SECRET} later', agent_id => '*');
         SELECT memory_kv_set('vault', '{SECRET} in the vault', sensitive => true);
         SELECT memory_add('{SECRET} once open', id => 'turned');
         SELECT memory_update('turned', sensitive => true);
         SELECT memory_touch('{{one,two,three,turned}}', agent_id => '*');
         SELECT memory_vote('one', 'helpful', 'alice', 'it was', 't1');
         SELECT memory_vote('one', 'harmful', 'bob');
         SELECT memory_vote('one', 'helpful', 'bob');
         SELECT memory_vote('secret', 'helpful', 'alice', '{SECRET} is good');
         SELECT memory_vote('one', 'helpful', 'zed', project_id => 'other');
         SELECT memory_session_start('work', agent_id => 'alice', next_items => '[\"a\", \"b\"]');
         SELECT memory_session_update('work', complete_item => 'a', agent_id => 'alice');
         SELECT memory_feature_create('login', description => 'logging in', agent_id => 'alice');
         SELECT memory_run_start('run', agent_id => 'alice', task_type => 't', memory_ids => '{{one}}');
         SELECT memory_run_complete('run', false, error => 'it broke', agent_id => 'alice');
         INSERT INTO memory_maintenance_runs (operation, role, started_at, issues_found, issues_resolved, report)
         VALUES ('check', current_user, now(), 3, 1, '{{\"a\": 1}}');"
    ));
}

/// Tables that a backup holds; grants come back only on request.
pub const TABLES: [&str; 13] = [
    "memory_models",
    "memory_key_aliases",
    "memories",
    "memory_history",
    "memory_usage",
    "vote_history",
    "vote_changes",
    "memory_types",
    "session_progress",
    "feature_tracker",
    "memory_runs",
    "memory_events",
    "memory_maintenance_runs",
];

/// One line a table: its name, how many rows it has and a hash of them all; without the events of backups and restores
/// themselves.
pub fn contents(sql: &mut Client) -> Vec<String> {
    contents_where(sql, "true", "true", "true")
}

/// The same of the rows that fit: of `memories` by the first condition, of what belongs to a memory by the second, of other
/// tables with a project by the third.
pub fn contents_where(
    sql: &mut Client,
    memories: &str,
    of_memory: &str,
    others: &str,
) -> Vec<String> {
    TABLES
        .iter()
        .map(|&table| {
            let condition = match table {
                "memories" => memories,
                "memory_history" | "memory_usage" | "vote_history" | "vote_changes" => of_memory,
                "memory_events" => "event NOT IN ('backup', 'restore', 'rotate')",
                "memory_key_aliases" | "session_progress" | "feature_tracker" | "memory_runs" => others,
                _ => "true",
            };
            let hash: String = sql.one(
                &format!(
                    "SELECT count(*) || ' rows ' || md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\"), ''))
                     FROM {table} t WHERE {condition}"
                ),
                &[],
            );
            format!("{table}: {hash}")
        })
        .collect()
}

/// What a store has after a backup without sensitive memories came back to an empty database.
pub fn open_contents(sql: &mut Client) -> Vec<String> {
    contents_where(
        sql,
        "NOT is_sensitive",
        "NOT EXISTS (SELECT FROM memories m WHERE m.id = t.memory_id AND m.project_id = t.project_id AND m.is_sensitive)",
        "true",
    )
}

/// All plaintext of a backup, a line of COPY text a row, each behind its table's name.
pub fn decrypt(path: &Path, secret: &Secret) -> String {
    let mut reader =
        Reader::open(fs::File::open(path).expect("a backup"), secret).expect("it opens");
    let (mut text, mut table) = (String::new(), String::new());
    loop {
        match reader.next_event().expect("it is whole") {
            Event::SectionStart(section) => table.clone_from(&section.table),
            Event::Rows(lines) => {
                for line in String::from_utf8_lossy(lines).lines() {
                    text += &format!("{table}\t{line}\n");
                }
            }
            Event::SectionEnd(_) => (),
            Event::End(_) => return text,
        }
    }
}

/// The rows of a table in a backup, by the names of their columns.
pub fn rows(path: &Path, secret: &Secret, wanted: &str) -> Vec<Value> {
    let mut reader =
        Reader::open(fs::File::open(path).expect("a backup"), secret).expect("it opens");
    let (mut rows, mut columns) = (Vec::new(), None);
    loop {
        match reader.next_event().expect("it is whole") {
            Event::SectionStart(section) => {
                columns = (section.table == wanted).then(|| section.columns.clone());
            }
            Event::Rows(lines) => {
                let Some(columns) = &columns else { continue };
                for line in lines.split_inclusive(|byte| *byte == b'\n') {
                    let values = copy_text::fields(line).map(|field| {
                        field
                            .expect("COPY text")
                            .map_or(Value::Null, |text| text.into_owned().into())
                    });
                    let names = columns.iter().map(|column| column.name.clone());
                    rows.push(names.zip(values).collect::<serde_json::Map<_, _>>().into());
                }
            }
            Event::SectionEnd(_) => columns = None,
            Event::End(_) => return rows,
        }
    }
}

/// A new role of `vault()`, with a grant in a database of it, and its connection.
pub fn granted(database: &Database, project: &str, privilege: &str) -> (String, Client) {
    let role = stranger();
    database
        .connect()
        .query(
            "SELECT memory_grant($1, $2, $3)",
            &[&role, &project, &privilege],
        )
        .expect("granted");
    let client = database.connect_as(&role);
    (role, client)
}

/// A new role of `vault()`.
pub fn stranger() -> String {
    let role = format!("role_of_{}", name());
    vault().role(&role);
    role
}

/// A connection, and what notices and warnings it has received.
pub fn noticing(database: &Database) -> (Client, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut config = database.cluster.config(&database.name, "postgres");
    config.notice_callback({
        let heard = Arc::clone(&heard);
        move |notice| {
            heard.lock().expect("not poisoned").push(format!(
                "{}: {}",
                notice.severity(),
                notice.message()
            ));
        }
    });
    let client = config.connect(postgres::NoTls).expect("a connection");
    (client, heard)
}

/// Writes a file into the directory of backups, which the server can read.
pub fn put(name: &str, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    let path = file(name);
    fs::write(&path, content).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("readable");
}

/// The same backup written anew under `key()`, with another header and other lines, by somebody who has the key.
pub fn forge(
    path: &Path,
    edit_header: impl FnOnce(&mut Header),
    mut edit_line: impl FnMut(&str, &str) -> Vec<String>,
) -> Vec<u8> {
    let mut reader =
        Reader::open(fs::File::open(path).expect("a backup"), &key()).expect("it opens");
    let mut header = reader.header().clone();
    edit_header(&mut header);
    let randomness = Randomness::from([9; Randomness::LEN]);
    let mut writer = Writer::new(Vec::new(), header, &key(), randomness).expect("a header");
    let mut table = String::new();
    loop {
        match reader.next_event().expect("it is whole") {
            Event::SectionStart(section) => {
                table.clone_from(&section.table);
                writer.start_section(&table).expect("a section");
            }
            Event::Rows(lines) => {
                for line in std::str::from_utf8(lines).expect("UTF-8").lines() {
                    for line in edit_line(&table, line) {
                        writer.rows(format!("{line}\n").as_bytes()).expect("a row");
                    }
                }
            }
            Event::SectionEnd(_) => {
                writer.end_section().expect("its end");
            }
            Event::End(_) => break,
        }
    }
    writer.finish().expect("finished").output
}

pub fn key() -> Secret {
    Secret::key(&KEY).expect("32 bytes")
}

/// The names in the directory of backups.
pub fn listed(cluster: &Cluster) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder(cluster))
        .expect("the directory of backups")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

pub const FULL: &str = ", include_sensitive => true, confirm_sensitive => true";
pub const CONFIRMED: &str = ", confirm_sensitive => true";

/// A furnished store and its full backup.
pub fn backed_up() -> (Database<'static>, Client, String) {
    let database = database();
    let mut sql = database.connect();
    furnish(&mut sql);
    let name = name();
    backup(&mut sql, &name, FULL);
    (database, sql, name)
}

/// What happens after a backup: changes, deletions, additions, votes.
pub fn go_on(sql: &mut Client) {
    sql.run(&format!(
        "SELECT memory_update('one', 'words of one, changed again', metadata => '{{\"later\": true}}');
         SELECT memory_delete('two', agent_id => 'alice');
         SELECT memory_forget(ids => '{{three}}', reason => 'a test');
         SELECT memory_undeprecate('five');
         SELECT memory_add('words of six', id => 'six', memory_type => 'recipe');
         SELECT memory_update('six', 'words of six, changed');
         SELECT memory_vote('six', 'harmful', 'alice');
         SELECT memory_vote('one', 'helpful', 'dora', 'since', 't9');
         SELECT memory_vote('one', 'harmful', 'alice', 'no more', 't1');
         SELECT memory_kv_set('colour', 'red');
         SELECT memory_kv_alias('couleur', 'colour');
         SELECT memory_update('secret', '{SECRET} latest', agent_id => '*');
         SELECT memory_session_update('work', complete_item => 'b', agent_id => 'alice');
         SELECT memory_session_start('more work', agent_id => 'alice');
         SELECT memory_run_start('run 2', agent_id => 'alice');
         SELECT memory_touch('{{one}}', agent_id => '*');
         INSERT INTO memory_types VALUES ('song', 3, 'how to sing');
         UPDATE memory_types SET half_life_days = 99 WHERE memory_type = 'recipe';"
    ));
}

/// All that pg_dump writes of a database.
pub fn dump(database: &Database) -> String {
    let text = run(database
        .cluster
        .client("pg_dump", &database.name)
        .arg("--no-sync"));
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What the directory of backups has of a name, under any ending or beginning.
pub fn traces(name: &str) -> Vec<String> {
    listed(vault())
        .into_iter()
        .filter(|file| file.contains(name))
        .collect()
}

/// Runs a shell command as the server's user.
pub fn sh(script: &str, argument: &Path) {
    run(vault()
        .server
        .command("sh")
        .args(["-c", script, "sh"])
        .arg(argument));
}
