//! What of a batch is in the store already, and what is in its way.

use std::collections::{HashMap, HashSet};

use super::batch::Item;
use super::votes;
use super::write::{self, columns};
use crate::pg::error::Result;
use crate::pg::planner::LookUps;
use crate::pg::spi::Session;
use crate::store::access::Call;

/// A row of the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Same {
    Identical,
    Different {
        /// In what makes a new version of a memory.
        renewed: bool,
    },
}

/// A row of another id that holds the key or the content of an item.
pub struct Holder {
    pub id: String,
    /// Expired or deprecated: it gives way.
    pub is_dead: bool,
}

/// The items whose id is in the store, and how they compare.
pub fn same_ids(call: &Call, session: &Session, items: &[Item]) -> Result<HashMap<String, Same>> {
    let present = present(call, session, items);
    if present.is_empty() {
        return Ok(HashMap::new());
    }
    let compared: Vec<&Item> = items
        .iter()
        .filter(|item| present.contains(item.id()))
        .collect();
    let voted: Vec<String> = compared
        .iter()
        .filter(|item| item.record.votes.is_some())
        .map(|item| item.id().to_owned())
        .collect();
    let mut there = votes::existing(call, session, voted)?;
    let mut same = differences(call, session, &compared);
    for item in compared {
        let Some(imported) = &item.record.votes else {
            continue;
        };
        let existing = there.remove(item.id()).unwrap_or_default();
        if let Some(state) = same.get_mut(item.id())
            && *state == Same::Identical
            && !votes::are_there(imported, &existing)
        {
            *state = Same::Different { renewed: false };
        }
    }
    Ok(same)
}

fn present(call: &Call, session: &Session, items: &[Item]) -> HashSet<String> {
    let _plan = LookUps::enforce();
    let sql = call.store.sql(&format!(
        "SELECT m.id FROM {} JOIN @s@.memories m ON m.id = i.id AND m.project_id = i.project_id",
        columns::rows(&["id"])
    ));
    let ids: Vec<Option<&str>> = items.iter().map(|item| Some(item.id())).collect();
    let rows = session.write_planned_anew(&sql, &[call.project().into(), ids.into()]);
    (0..rows.len()).map(|row| rows.required(row, 1)).collect()
}

/// What a line leaves out is not compared. A version may be higher than the imported one: an import that changed the memory
/// made it so. Counters count votes: without votes in the line they are those of the memory.
fn differences(call: &Call, session: &Session, items: &[&Item]) -> HashMap<String, Same> {
    let _plan = LookUps::enforce();
    let sql = call.store.sql(&format!(
        "SELECT i.id,
                ROW(m.content, m.metadata, m.is_sensitive, m.key, m.namespace, m.agent_id, m.user_id, m.session_id, m.entity_id, m.scope,
                    m.shared_with_agents, m.memory_type, m.importance, m.expires_at, m.deleted_at, m.is_deprecated, m.superseded_by, m.error_pattern)
                IS DISTINCT FROM
                ROW(i.content, {metadata}, i.is_sensitive, i.key, i.namespace, i.agent_id, i.user_id, i.session_id, i.entity_id, i.scope,
                    {shared}, i.memory_type, i.importance, i.expires_at::timestamptz, i.deleted_at::timestamptz, i.is_deprecated, i.superseded_by, i.error_pattern),
                coalesce(m.created_at <> i.created_at::timestamptz, false)
                OR coalesce(m.updated_at <> coalesce(i.updated_at, i.created_at)::timestamptz, false)
                OR m.version < i.version
                OR (i.deprecated_at IS NOT NULL AND m.deprecated_at IS DISTINCT FROM i.deprecated_at::timestamptz)
                OR (i.deprecated_by IS NOT NULL AND m.deprecated_by IS DISTINCT FROM i.deprecated_by)
                OR m.source_trajectory_id IS DISTINCT FROM i.source_trajectory_id
                OR (i.has_votes AND (m.bullet_helpful <> i.bullet_helpful OR m.bullet_harmful <> i.bullet_harmful))
                OR (i.flags IS NOT NULL AND m.content_flags IS DISTINCT FROM {flags})
                OR (m.key IS NULL AND i.key IS NULL AND (m.dedupe_hash IS NULL) <> (i.dedupe_hash IS NULL))
                OR (i.embedding IS NOT NULL AND NOT coalesce(m.embedding OPERATOR(@v@.=) i.embedding AND m.embedded_hash = i.embedded_hash, false))
         FROM {items} JOIN @s@.memories m ON m.id = i.id AND m.project_id = i.project_id",
        metadata = write::METADATA,
        shared = write::SHARED,
        flags = write::FLAGS,
        items = columns::unnested(),
    ));
    let rows = session.write_planned_anew(
        &sql,
        &columns::args(call, items.iter().copied(), &HashSet::new()),
    );
    (0..rows.len())
        .map(|row| {
            let renewed: bool = rows.required(row, 2);
            let differs: bool = rows.required(row, 3);
            let same = match renewed || differs {
                false => Same::Identical,
                true => Same::Different { renewed },
            };
            (rows.required(row, 1), same)
        })
        .collect()
}

const DEAD: &str = "(m.is_deprecated OR (m.expires_at IS NOT NULL AND m.expires_at <= now()))";

/// The live rows of other ids that hold the contents of items, by deduplication key.
pub fn holders_of_contents(
    call: &Call,
    session: &Session,
    items: &[&Item],
) -> HashMap<[u8; 32], Holder> {
    let held: Vec<(&Item, [u8; 32])> = items
        .iter()
        .filter_map(|item| Some((*item, item.held_hash()?)))
        .collect();
    if held.is_empty() {
        return HashMap::new();
    }
    let _plan = LookUps::enforce();
    let sql = call.store.sql(&format!(
        "SELECT m.id, {DEAD}, m.dedupe_hash FROM {}
         JOIN @s@.memories m ON m.project_id = i.project_id AND m.dedupe_hash = i.dedupe_hash AND m.deleted_at IS NULL AND m.id <> i.id",
        columns::rows(&["id", "dedupe_hash"])
    ));
    let ids: Vec<Option<&str>> = held.iter().map(|(item, _)| Some(item.id())).collect();
    let hashes: Vec<Option<Vec<u8>>> = held.iter().map(|(_, hash)| Some(hash.to_vec())).collect();
    let rows =
        session.write_planned_anew(&sql, &[call.project().into(), ids.into(), hashes.into()]);
    (0..rows.len())
        .filter_map(|row| {
            let hash: Vec<u8> = rows.required(row, 3);
            let holder = Holder {
                id: rows.required(row, 1),
                is_dead: rows.required(row, 2),
            };
            Some((hash.try_into().ok()?, holder))
        })
        .collect()
}

/// The rows of other ids that hold the keys of items, by namespace and key.
pub fn holders_of_keys(
    call: &Call,
    session: &Session,
    items: &[&Item],
) -> HashMap<(String, String), Holder> {
    let held: Vec<(&Item, (&str, &str))> = items
        .iter()
        .filter_map(|item| Some((*item, item.held_key()?)))
        .collect();
    if held.is_empty() {
        return HashMap::new();
    }
    let _plan = LookUps::enforce();
    let sql = call.store.sql(&format!(
        "SELECT m.id, {DEAD}, m.namespace, m.key FROM {}
         JOIN @s@.memories m ON m.project_id = i.project_id AND m.namespace = i.namespace AND m.key = i.key AND m.deleted_at IS NULL
              AND m.id <> i.id",
        columns::rows(&["id", "namespace", "key"])
    ));
    let column = |of: &dyn Fn(&(&Item, (&str, &str))) -> String| {
        held.iter().map(of).collect::<Vec<String>>()
    };
    let args = [
        call.project().into(),
        column(&|(item, _)| item.id().to_owned()).into(),
        column(&|(_, (namespace, _))| (*namespace).to_owned()).into(),
        column(&|(_, (_, key))| (*key).to_owned()).into(),
    ];
    let rows = session.write_planned_anew(&sql, &args);
    (0..rows.len())
        .map(|row| {
            let holder = Holder {
                id: rows.required(row, 1),
                is_dead: rows.required(row, 2),
            };
            ((rows.required(row, 3), rows.required(row, 4)), holder)
        })
        .collect()
}
