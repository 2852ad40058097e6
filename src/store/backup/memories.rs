//! How memories come back: with their version, times and vector, and in the places that unique indexes give.

use super::contents;
use super::failure;
use super::merge::{Merge, Outcome, alike, differs};
use crate::pg::error::{Error, Result};
use crate::pg::owner::SettingScope;
use crate::pg::spi::Arg;
use crate::pg::system;
use crate::store::maintenance::progress::{Phase, Progress};

const SAME: &str = "t.id = s.id AND t.project_id = s.project_id";

/// The tables whose rows belong to a memory.
const OF_MEMORY: [&str; 4] = [
    "memory_history",
    "memory_usage",
    "vote_history",
    "vote_changes",
];

/// What two live memories cannot both have.
const KEY: &str = "t.project_id = s.project_id AND t.namespace = s.namespace AND t.key = s.key AND t.deleted_at IS NULL AND s.deleted_at IS NULL AND t.id <> s.id";
const CONTENT: &str = "t.project_id = s.project_id AND t.dedupe_hash = s.dedupe_hash AND t.deleted_at IS NULL AND s.deleted_at IS NULL AND t.id <> s.id";

/// Settles, among the staged rows, which of them come back, and as what.
pub fn prepare(merge: &Merge<'_>, outcome: &mut Outcome) -> Result<()> {
    if merge.plan.without_sensitive {
        // A backup that says so has none.
        if merge.holds("SELECT EXISTS (SELECT FROM @staged@memories WHERE is_sensitive) OR EXISTS (SELECT FROM @staged@memory_history WHERE is_sensitive)")
        {
            return Err(failure::damaged());
        }
        outcome.kept_sensitive = keep_sensitive(merge);
        if merge.plan.clean {
            refuse_to_lose(merge)?;
        }
    }
    // A memory that was made since has the place of one whose time is over, and a sensitive one that of any that a backup
    // without sensitive memories brings: that comes back as a tombstone, at a time that is the same at every restore.
    let stays = stays(merge);
    let sensitive = match merge.plan.without_sensitive {
        true => "t.is_sensitive",
        false => "false",
    };
    for place in [KEY, CONTENT] {
        outcome.yielded += merge.run(&format!(
            "UPDATE @staged@memories s SET deleted_at = CASE WHEN s.expires_at <= now() THEN s.expires_at ELSE s.updated_at END
             FROM @s@.memories t WHERE {place} AND {stays} AND (s.expires_at <= now() OR {sensitive})"
        ));
    }
    Ok(())
}

/// A memory that is not in the backup has come since, and goes in a clean restore; or it was a secret then and is none now.
fn refuse_to_lose(merge: &Merge<'_>) -> Result<()> {
    let was_left_out = format!(
        "SELECT EXISTS (
             SELECT FROM @s@.memories t JOIN @s@.memory_history h ON h.memory_id = t.id AND h.project_id = t.project_id
             WHERE {} AND NOT t.is_sensitive AND h.is_sensitive AND h.valid_to >= {}::timestamptz
                   AND NOT EXISTS (SELECT FROM @staged@memories s WHERE {SAME}))",
        merge.in_scope("t"),
        system::quoted_literal(merge.plan.made_at)
    );
    if !merge.holds(&was_left_out) {
        return Ok(());
    }
    Err(Error::state("the backup left out memories that were sensitive when it was made and are not any more")
        .detail("A clean restore would remove them as if they had been added since.")
        .hint("Restore without clean, or restore a backup made with include_sensitive; or delete those memories first."))
}

/// The memories `t` that are not in the backup and are there after it all the same.
fn stays(merge: &Merge<'_>) -> String {
    let unstaged = format!(
        "NOT EXISTS (SELECT FROM @staged@memories o WHERE {})",
        SAME.replace("s.", "o.")
    );
    match (merge.plan.clean, merge.plan.without_sensitive) {
        (true, true) => format!("{unstaged} AND t.is_sensitive"),
        (true, false) => "false".to_owned(),
        (false, _) => unstaged,
    }
}

/// Takes out of the staged rows what is about a memory, or a version, that is sensitive by now.
fn keep_sensitive(merge: &Merge<'_>) -> u64 {
    for table in OF_MEMORY {
        merge.run(&format!(
            "DELETE FROM @staged@{table} s USING @s@.memories t WHERE t.id = s.memory_id AND t.project_id = s.project_id AND t.is_sensitive"
        ));
    }
    merge.run(
        "DELETE FROM @staged@memory_history s USING @s@.memory_history t
         WHERE t.memory_id = s.memory_id AND t.project_id = s.project_id AND t.version = s.version AND t.valid_to = s.valid_to AND t.is_sensitive",
    );
    merge.run(&format!(
        "DELETE FROM @staged@memories s USING @s@.memories t WHERE {SAME} AND t.is_sensitive"
    ))
}

pub fn merge(merge: &Merge<'_>, outcome: &mut Outcome) {
    let Some(staged) = merge.stages.of("memories") else {
        return;
    };
    if merge.plan.clean && staged.present {
        let which = format!(
            "@s@.memories t WHERE {} AND NOT EXISTS (SELECT FROM @staged@memories s WHERE {SAME})",
            merge.reach(staged.table)
        );
        outcome.tally("memories").removed = merge.change(
            &format!("DELETE FROM {which}"),
            &format!("SELECT count(*) FROM {which}"),
        );
    }
    outcome.displaced = make_way(merge);
    remove_later_versions(merge, outcome);
    let tally = outcome.tally("memories");
    let differs = differs(&staged.columns, "t", "s");
    // A vector that is the same must be the same datum, so that no index takes it in again.
    let settings: Vec<String> = staged
        .columns
        .iter()
        .map(|column| match column.name.as_str() {
            "embedding" => {
                let pair = std::slice::from_ref(column);
                format!(
                    "embedding = CASE WHEN {} THEN t.embedding ELSE s.embedding END",
                    alike(pair, "t", "s")
                )
            }
            _ => format!("{0} = s.{0}", column.quoted),
        })
        .collect();
    tally.updated = merge.change(
        &format!(
            "UPDATE @s@.memories t SET {} FROM @staged@memories s WHERE {SAME} AND {differs}",
            settings.join(", ")
        ),
        &format!(
            "SELECT count(*) FROM @s@.memories t JOIN @staged@memories s ON {SAME} WHERE {differs}"
        ),
    );
    let missing = format!(
        "FROM @staged@memories s WHERE NOT EXISTS (SELECT FROM @s@.memories t WHERE {SAME})"
    );
    tally.inserted = merge.change(
        &format!(
            "INSERT INTO @s@.memories ({}) SELECT {} {missing}",
            contents::list(&staged.columns, ""),
            contents::list(&staged.columns, "s.")
        ),
        &format!("SELECT count(*) {missing}"),
    );
}

/// Frees the keys and contents that the backup's memories have, whoever has them now: for a moment where that one is in the
/// backup itself, else for good. How many memories made since became tombstones.
fn make_way(merge: &Merge<'_>) -> u64 {
    let unstaged = format!(
        "NOT EXISTS (SELECT FROM @staged@memories o WHERE {})",
        SAME.replace("s.", "o.")
    );
    // In a clean restore the others are gone, or, in a dry one, will be.
    let displaced = match merge.plan.clean {
        true => 0,
        false => merge.count(&format!(
            "SELECT count(*) FROM @s@.memories t JOIN @staged@memories s ON {KEY} WHERE {unstaged}"
        )),
    };
    if !merge.plan.dry_run {
        merge.run(&format!(
            "UPDATE @s@.memories t SET deleted_at = now() FROM @staged@memories s WHERE {KEY}"
        ));
        // As a deprecated memory's: with its id behind it, the deduplication key is nobody else's.
        merge.run(&format!(
            "UPDATE @s@.memories t SET dedupe_hash = t.dedupe_hash || convert_to(t.id, 'UTF8') FROM @staged@memories s WHERE {CONTENT}"
        ));
    }
    displaced
}

/// A memory that comes back comes with its versions: those that ended after the one in the backup began would be its past and
/// its present at once.
fn remove_later_versions(merge: &Merge<'_>, outcome: &mut Outcome) {
    // A clean restore has removed all that are not in the backup.
    if merge.plan.clean {
        return;
    }
    let Some(staged) = merge.stages.of("memory_history") else {
        return;
    };
    let contents::Merge::Log { number, like } = staged.table.merge else {
        return;
    };
    let unstaged = super::log::unlike(staged, number, like, "h", "@staged@memory_history", "o");
    let kept = match merge.plan.without_sensitive {
        true => " AND NOT h.is_sensitive",
        false => "",
    };
    let which = format!(
        "h.memory_id = s.id AND h.project_id = s.project_id AND h.valid_to > s.updated_at{kept}"
    );
    super::log::remove(
        merge,
        staged,
        &format!("FROM @s@.memory_history h USING @staged@memories s WHERE {which} AND {unstaged}"),
        &format!("FROM @s@.memory_history h JOIN @staged@memories s ON {which} WHERE {unstaged}"),
        "h",
        outcome,
    );
}

/// A vector of what is a secret now does not stay in the cache.
pub fn forget_cached_secrets(merge: &Merge<'_>) {
    merge.run(
        "DELETE FROM @s@.embedding_cache c USING @s@.memories m WHERE m.is_sensitive AND m.content_hash = c.content_hash",
    );
}

/// While this lives, a store without memories has no vector index: it is built in one go when the rows are in, which takes a
/// fraction of the time of taking in one after the other.
pub struct Index<'a> {
    merge: &'a Merge<'a>,
    definitions: Vec<String>,
}

pub fn without_vector_index<'a>(merge: &'a Merge<'a>) -> Index<'a> {
    let mut index = Index {
        merge,
        definitions: Vec::new(),
    };
    if merge.plan.dry_run || merge.holds("SELECT EXISTS (SELECT FROM @s@.memories)") {
        return index;
    }
    let sql = "SELECT format('%I.%I', n.nspname, c.relname), pg_get_indexdef(i.indexrelid)
               FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
               WHERE i.indrelid = $1 AND a.amname = 'hnsw' AND NOT i.indisunique";
    let found: Vec<(String, String)> = {
        let rows = merge
            .session
            .once_with(sql, &[Arg::oid(merge.call.store.memories)]);
        (0..rows.len())
            .map(|row| (rows.required(row, 1), rows.required(row, 2)))
            .collect()
    };
    for (name, definition) in found {
        merge.session.once(&format!("DROP INDEX {name}"));
        index.definitions.push(definition);
    }
    index
}

/// The most memory, in kB, that building the index takes where nobody has given it more than PostgreSQL's default.
const BUILD_KB: i32 = 40 * 1024;
const DEFAULT_KB: i32 = 64 * 1024;

impl Index<'_> {
    pub fn build(self) {
        if self.definitions.is_empty() {
            return;
        }
        let settings = SettingScope::open();
        let given: i32 = self
            .merge
            .session
            .once_with(
                "SELECT setting::int FROM pg_settings WHERE name = 'maintenance_work_mem'",
                &[],
            )
            .required(0, 1);
        if given <= DEFAULT_KB {
            settings.set(c"maintenance_work_mem", &BUILD_KB.min(given).to_string());
        }
        // PostgreSQL's own pg_stat_progress_create_index tells how far that is.
        let _building = Progress::of(Phase::BuildingIndex, 0);
        // What of pgvector says that memory was not enough is of no use to who restores.
        settings.set(c"client_min_messages", "warning");
        for definition in &self.definitions {
            self.merge.session.once(definition);
        }
    }
}
