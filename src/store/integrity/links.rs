//! What ties the tables together: votes and their counters, rows about memories, supersession, cached vectors.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Inspection;
use super::finding::{Finding, MOST_SAMPLES, Met, Status, memory, readable};
use crate::pg::spi::{Planning, Rows, Session};
use crate::pg::system;

pub const COUNTERS: &str = "vote_counters";
pub const ORPHANS: &str = "orphans";
pub const SECRETS_CACHED: &str = "secrets_cached";
pub const DANGLING: &str = "superseded_by";
pub const CYCLES: &str = "supersession_cycles";

fn read<'s>(inspection: &Inspection<'_>, session: &'s Session, sql: &str) -> Rows<'s> {
    let sql = inspection.call.store.sql(sql);
    session.read(&sql, Planning::Custom, &[inspection.project()])
}

/// Memories in the first two columns; how many there are in all in the last one.
fn memories(rows: &Rows<'_>, count: usize) -> Met {
    let sample = (0..rows.len()).map(|row| named(rows, row)).collect();
    Met::counted(rows.get(0, count).unwrap_or(0), sample)
}

fn named(rows: &Rows<'_>, row: usize) -> Value {
    memory(
        &rows.bytes(row, 1).unwrap_or_default(),
        &rows.bytes(row, 2).unwrap_or_default(),
    )
}

/// The counters of a memory are what its votes add up to.
pub fn counters(inspection: &Inspection<'_>, session: &Session) -> Finding {
    let rows = read(
        inspection,
        session,
        &format!(
            "WITH v AS (
                 SELECT memory_id, project_id, count(*) FILTER (WHERE vote = 'helpful') AS helpful, count(*) FILTER (WHERE vote = 'harmful') AS harmful
                 FROM @s@.vote_history WHERE ($1::text IS NULL OR project_id = $1) GROUP BY memory_id, project_id)
             SELECT m.id, m.project_id, m.bullet_helpful, m.bullet_harmful, coalesce(v.helpful, 0), coalesce(v.harmful, 0), count(*) OVER ()
             FROM @s@.memories m LEFT JOIN v ON v.memory_id = m.id AND v.project_id = m.project_id
             WHERE ($1::text IS NULL OR m.project_id = $1)
                   AND (m.bullet_helpful <> coalesce(v.helpful, 0) OR m.bullet_harmful <> coalesce(v.harmful, 0))
             LIMIT {MOST_SAMPLES}"
        ),
    );
    let sample = (0..rows.len())
        .map(|row| {
            let mut named = named(&rows, row);
            let (helpful, harmful): (Option<i32>, Option<i32>) =
                (rows.get(row, 3), rows.get(row, 4));
            let (votes_for, against): (Option<i64>, Option<i64>) =
                (rows.get(row, 5), rows.get(row, 6));
            named["counters"] = json!([helpful, harmful]);
            named["votes"] = json!([votes_for, against]);
            named
        })
        .collect();
    Finding::of(
        COUNTERS,
        Status::Error,
        Met::counted(rows.get(0, 7).unwrap_or(0), sample),
        "Restore vote_history if it lost votes; else set bullet_helpful and bullet_harmful of the memory to what it counts.",
    )
}

/// Tables whose rows are about a memory and go with it.
const ABOUT_MEMORIES: [&str; 3] = ["vote_history", "vote_changes", "memory_usage"];

/// Foreign keys keep these with their memories, as long as nobody turns them off.
pub fn orphans(inspection: &Inspection<'_>, session: &Session) -> Finding {
    let mut met = Met::default();
    let mut tables = serde_json::Map::new();
    for table in ABOUT_MEMORIES {
        let rows = read(
            inspection,
            session,
            &format!(
                "SELECT o.memory_id, o.project_id, count(*) OVER () FROM @s@.{table} o
                 WHERE ($1::text IS NULL OR o.project_id = $1)
                       AND NOT EXISTS (SELECT FROM @s@.memories m WHERE m.id = o.memory_id AND m.project_id = o.project_id)
                 LIMIT {MOST_SAMPLES}"
            ),
        );
        for row in 0..rows.len() {
            met.one(|| {
                let mut named = named(&rows, row);
                named["table"] = table.into();
                named
            });
        }
        let count: i64 = rows.get(0, 3).unwrap_or(0);
        met.count += count - rows.len() as i64;
        tables.insert(table.to_owned(), count.into());
    }
    let none = met.count == 0;
    let hint = "SELECT * FROM memory_cleanup_orphans(dry_run => false) removes them.";
    let finding = Finding::of(ORPHANS, Status::Error, met, hint);
    match none {
        true => finding,
        false => finding.with("tables", tables),
    }
}

/// A vector tells much of its text: one whose text is a secret's, and nothing else's, must not lie in the cache. There is no
/// index on content hashes, so each table is read once. $1 is the project, or NULL.
pub const LEAKED: &str = "WITH cached AS MATERIALIZED (SELECT DISTINCT content_hash FROM @s@.embedding_cache),
         secret AS MATERIALIZED (
             SELECT m.id, m.project_id, m.content_hash FROM @s@.memories m JOIN cached c ON c.content_hash = m.content_hash
             WHERE m.is_sensitive AND ($1::text IS NULL OR m.project_id = $1)
             UNION ALL
             SELECT h.memory_id, h.project_id, h.content_hash FROM @s@.memory_history h JOIN cached c ON c.content_hash = h.content_hash
             WHERE h.is_sensitive AND ($1::text IS NULL OR h.project_id = $1)),
         leaked AS MATERIALIZED (
             SELECT DISTINCT ON (s.content_hash) s.content_hash, s.id, s.project_id FROM secret s
             WHERE NOT EXISTS (SELECT FROM @s@.memories m WHERE m.content_hash = s.content_hash AND NOT m.is_sensitive))";

pub fn secrets_cached(inspection: &Inspection<'_>, session: &Session) -> Finding {
    if system::in_recovery() {
        return Finding::skipped(SECRETS_CACHED, "a standby has no cache");
    }
    let rows = read(
        inspection,
        session,
        "SELECT EXISTS (SELECT FROM @s@.embedding_cache), $1::text",
    );
    if rows.get(0, 1) != Some(true) {
        return Finding::ok(SECRETS_CACHED);
    }
    let rows = read(
        inspection,
        session,
        &format!(
            "{LEAKED} SELECT id, project_id, count(*) OVER () FROM leaked LIMIT {MOST_SAMPLES}"
        ),
    );
    Finding::of(
        SECRETS_CACHED,
        Status::Error,
        memories(&rows, 3),
        "SELECT * FROM memory_cleanup_orphans(dry_run => false) removes the vectors from embedding_cache.",
    )
}

/// A successor may have been erased or expired since.
pub fn dangling(inspection: &Inspection<'_>, session: &Session) -> Finding {
    let rows = read(
        inspection,
        session,
        &format!(
            "SELECT m.id, m.project_id, count(*) OVER () FROM @s@.memories m
             WHERE m.superseded_by IS NOT NULL AND ($1::text IS NULL OR m.project_id = $1)
                   AND NOT EXISTS (SELECT FROM @s@.memories s WHERE s.id = m.superseded_by AND s.project_id = m.project_id)
             LIMIT {MOST_SAMPLES}"
        ),
    );
    Finding::of(
        DANGLING,
        Status::Warning,
        memories(&rows, 3),
        "The memories that took the place of these are gone, forgotten or expired maybe: SELECT * FROM memory_cleanup_orphans(dry_run => false) clears superseded_by.",
    )
}

/// Who follows superseded_by must come to an end.
pub fn cycles(inspection: &Inspection<'_>, session: &Session) -> Finding {
    // In a cycle everybody supersedes and is superseded; hardly anybody else is both.
    let sql = inspection.call.store.sql(
        "SELECT m.id, m.project_id, m.superseded_by FROM @s@.memories m
         WHERE m.superseded_by IS NOT NULL AND ($1::text IS NULL OR m.project_id = $1)
               AND EXISTS (SELECT FROM @s@.memories s WHERE s.superseded_by = m.id AND s.project_id = m.project_id)",
    );
    let mut next: HashMap<(String, String), String> = HashMap::new();
    session.scan(
        &sql,
        Planning::Custom,
        &[inspection.project()],
        1000,
        |rows| {
            system::check_for_interrupts();
            for row in 0..rows.len() {
                let text = |column| readable(&rows.bytes(row, column).unwrap_or_default());
                next.insert((text(2), text(1)), text(3));
            }
        },
    );
    let mut circular = in_cycles(&next);
    circular.sort();
    Finding::of(
        CYCLES,
        Status::Error,
        circular
            .into_iter()
            .map(|(project_id, id)| memory(id.as_bytes(), project_id.as_bytes()))
            .collect(),
        "These memories supersede each other in a circle: memory_undeprecate() the one that is to stay.",
    )
}

/// The members of cycles, where everybody has one successor at most.
fn in_cycles(next: &HashMap<(String, String), String>) -> Vec<&(String, String)> {
    let keys: Vec<&(String, String)> = next.keys().collect();
    let numbers: HashMap<&(String, String), usize> = keys.iter().copied().zip(0..).collect();
    let follow = |number: usize| -> Option<usize> {
        let (project_id, _) = keys[number];
        let successor = (project_id.clone(), next.get(keys[number])?.clone());
        numbers.get(&successor).copied()
    };
    // The walk that came by first; 0: none.
    let mut walked = vec![0usize; keys.len()];
    let mut found = Vec::new();
    for start in 0..keys.len() {
        let walk = start + 1;
        let mut at = Some(start);
        while let Some(number) = at.filter(|number| walked[*number] == 0) {
            walked[number] = walk;
            at = follow(number);
        }
        // The walk met itself: once around.
        let Some(first) = at.filter(|number| walked[*number] == walk) else {
            continue;
        };
        let mut member = first;
        loop {
            found.push(keys[member]);
            match follow(member) {
                Some(number) if number != first => member = number,
                _ => break,
            }
        }
    }
    found
}
