//! What is left of what is gone. Only what nobody can reach any more is removed.

use serde_json::{Map, Value};

use super::progress::{Phase, Progress};
use crate::pg::guc;
use crate::pg::spi::{Arg, Session};
use crate::pg::system;
use crate::store::access::Call;
use crate::store::integrity;
use crate::store::seal::receipt;

/// Leftovers of one kind.
pub struct Leftover {
    pub what: &'static str,
    pub found: i64,
    pub removed: i64,
}

/// A kind of leftover: the statements that count and remove it.
struct Kind {
    what: &'static str,
    count: String,
    /// `None`: it is only reported.
    remove: Option<String>,
    args: Vec<Arg>,
}

/// Finds the leftovers of the whole store, and, unless it is a dry run, removes them.
pub fn run(call: &Call, dry_run: bool) -> Vec<Leftover> {
    call.sql(|session| {
        let (mut leftovers, mut versions) = (Vec::new(), Vec::new());
        let progress = Progress::of(Phase::Removing, 0);
        let mut done = 0;
        for kind in kinds(call) {
            system::check_for_interrupts();
            let count = |sql: &str| session.write(sql, &kind.args).get(0, 1).unwrap_or(0);
            let (found, removed) = match kind.remove {
                // An unlogged table cannot even be read there.
                _ if kind.what.starts_with("cached") && system::in_recovery() => (0, 0),
                Some(remove) if !dry_run => {
                    let rows = session.write(&remove, &kind.args);
                    if kind.what == HISTORY {
                        versions.extend((0..rows.len()).map(|row| rows.required::<i64>(row, 1)));
                    }
                    (rows.len() as i64, rows.len() as i64)
                }
                _ => (count(&kind.count), 0),
            };
            done += found.unsigned_abs();
            progress.note(done);
            leftovers.push(Leftover {
                what: kind.what,
                found,
                removed,
            });
        }
        record(call, session, &leftovers, versions);
        leftovers
    })
}

/// `versions` are the numbers of those that were removed.
fn record(call: &Call, session: &Session, leftovers: &[Leftover], versions: Vec<i64>) {
    let removed: Map<String, Value> = leftovers
        .iter()
        .filter(|leftover| leftover.removed > 0)
        .map(|leftover| (leftover.what.to_owned(), leftover.removed.into()))
        .collect();
    if !removed.is_empty() {
        receipt::record(call, session, "cleanup", &removed.into(), versions);
    }
}

fn kinds(call: &Call) -> Vec<Kind> {
    let sql = |text: &str| call.store.sql(text);
    // A statement that finds rows of a table, by its alias o.
    let rows = |what, table: &str, condition: &str, args: Vec<Arg>| Kind {
        what,
        count: sql(&format!(
            "SELECT count(*) FROM @s@.{table} o WHERE {condition}"
        )),
        remove: Some(sql(&format!("DELETE FROM @s@.{table} o WHERE {condition}"))),
        args,
    };
    let gone = "NOT EXISTS (SELECT FROM @s@.memories m WHERE m.id = o.memory_id AND m.project_id = o.project_id)";
    let nobody = "NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = o.role)";
    let leaked = integrity::LEAKED;
    let of_leaked = "o.content_hash IN (SELECT content_hash FROM leaked)";
    let no_project = || vec![None::<&str>.into()];
    vec![
        rows("votes", "vote_history", gone, Vec::new()),
        rows("vote_changes", "vote_changes", gone, Vec::new()),
        rows("usage", "memory_usage", gone, Vec::new()),
        history(call),
        rows(
            "cached_vectors",
            "embedding_cache",
            "o.model <> $1",
            vec![call.store.model.as_str().into()],
        ),
        Kind {
            what: "cached_secrets",
            count: sql(&format!("{leaked} SELECT count(*) FROM @s@.embedding_cache o WHERE {of_leaked}")),
            remove: Some(sql(&format!("{leaked} DELETE FROM @s@.embedding_cache o WHERE {of_leaked}"))),
            args: no_project(),
        },
        rows("grants", "memory_grants", nobody, Vec::new()),
        rows(
            "inbox_lines",
            "memory_import_lines",
            &format!("{nobody} AND o.brought_at < now() - interval '30 days'"),
            Vec::new(),
        ),
        // Whoever reads a successor's name in vain; the memory itself stays, and its history keeps the name.
        Kind {
            what: "successors",
            count: sql(&format!("SELECT count(*) FROM @s@.memories o WHERE {DANGLING}")),
            remove: Some(sql(&format!("UPDATE @s@.memories o SET superseded_by = NULL WHERE {DANGLING}"))),
            args: Vec::new(),
        },
        // The key may still come.
        Kind {
            what: "aliases",
            count: sql(
                "SELECT count(*) FROM @s@.memory_key_aliases o
                 WHERE NOT EXISTS (SELECT FROM @s@.memories m WHERE m.project_id = o.project_id AND m.key = o.key)",
            ),
            remove: None,
            args: Vec::new(),
        },
    ]
}

const DANGLING: &str = "o.superseded_by IS NOT NULL
    AND NOT EXISTS (SELECT FROM @s@.memories m WHERE m.id = o.superseded_by AND m.project_id = o.project_id)";

const HISTORY: &str = "history";

/// Old versions of memories whose row is gone stay, as memory_history() shows them, until memory_expire() would have taken them
/// along had the row been there: the memory is over its time, or was deleted before memory_ext.tombstone_retention.
fn history(call: &Call) -> Kind {
    let over = "WITH last AS (
             SELECT DISTINCT ON (h.memory_id, h.project_id) h.memory_id, h.project_id, h.expires_at, h.valid_to FROM @s@.memory_history h
             WHERE NOT EXISTS (SELECT FROM @s@.memories m WHERE m.id = h.memory_id AND m.project_id = h.project_id)
             ORDER BY h.memory_id, h.project_id, h.history_id DESC),
         over AS MATERIALIZED (
             SELECT memory_id, project_id FROM last WHERE expires_at <= now() OR valid_to <= now() - make_interval(days => $1))";
    let of_over = "o.memory_id = over.memory_id AND o.project_id = over.project_id";
    Kind {
        what: HISTORY,
        count: call.store.sql(&format!(
            "{over} SELECT count(*) FROM @s@.memory_history o, over WHERE {of_over}"
        )),
        remove: Some(call.store.sql(&format!(
            "{over} DELETE FROM @s@.memory_history o USING over WHERE {of_over} RETURNING o.history_id"
        ))),
        args: vec![guc::tombstone_retention().into()],
    }
}
