//! What follows from a change of a memory, whoever makes it: the work of the triggers.

use pgrx::datum::TimestampWithTimeZone;

use super::content_policy;
use super::embedder::embedded_text;
use super::learning::reflect;
use super::memory::{self, Identifying};
use super::open::{self, Store};
use super::plain_sql;
use crate::pg::actor;
use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::pg::spi;
use crate::pg::system;
use crate::pg::trigger::RowChange;
use crate::pg::vector::Vector;

/// The columns whose change makes a new version.
const VERSIONED: [&std::ffi::CStr; 15] = [
    c"content",
    c"metadata",
    c"is_sensitive",
    c"key",
    c"namespace",
    c"agent_id",
    c"user_id",
    c"session_id",
    c"entity_id",
    c"scope",
    c"shared_with_agents",
    c"memory_type",
    c"importance",
    c"expires_at",
    c"deleted_at",
];

/// The same of what came with 1.1.0.
const VERSIONED_ACE: [&std::ffi::CStr; 3] = [c"is_deprecated", c"superseded_by", c"error_pattern"];

/// The columns that say whether two memories of equal content are the same.
const IDENTIFYING: [&std::ffi::CStr; 9] = [
    c"is_sensitive",
    c"content",
    c"namespace",
    c"scope",
    c"agent_id",
    c"user_id",
    c"session_id",
    c"entity_id",
    c"memory_type",
];

pub fn before_write(change: &mut RowChange) -> Result<()> {
    // A store that is being restored does not say yet what it is; its rows bring along what they need.
    let Some(store) = store_of(change)? else {
        return Ok(());
    };
    let actor = actor::current();
    let restoring = actor.as_ref().is_some_and(|actor| actor.restoring);
    // The functions have checked theirs; a backup is what somebody made of it.
    if actor.is_none() || restoring {
        plain_sql::check_names(change)?;
    }
    if restoring {
        return Ok(());
    }
    if actor.is_none() {
        plain_sql::check_times(change, store.has_ace())?;
        plain_sql::check_contents(change, store.has_ace())?;
        plain_sql::check_readers(change)?;
    }
    if store.has_safety() {
        apply_policies(change)?;
    }
    if change.is_update() {
        if change.changed(c"id") || change.changed(c"project_id") {
            return Err(
                Error::argument("id and project_id of a memory cannot be changed")
                    .hint("Add a new memory and delete this one."),
            );
        }
        let renewed = VERSIONED.iter().any(|column| change.changed(column))
            || (store.has_ace() && VERSIONED_ACE.iter().any(|column| change.changed(column)));
        if renewed && !change.changed(c"version") {
            let version: i32 = change.old_value(c"version").unwrap_or(0);
            let next = version.checked_add(1).ok_or_else(|| {
                Error::limit(format!(
                    "memory {:?} has version {version}, after which there is none",
                    change.new_value::<String>(c"id").unwrap_or_default()
                ))
                .hint("Erase it with memory_forget() and add its content anew.")
            })?;
            change.set(c"version", Some(next));
            change.set(c"updated_at", Some(system::now()));
        }
        rededuplicate(change);
    }
    if store.has_ace() {
        deprecate(change);
    }
    embed(change, &store)
}

/// Refuses or redacts what comes by plain SQL, and flags what is let in, whoever writes it.
fn apply_policies(change: &mut RowChange) -> Result<()> {
    let renewed = |column| !change.is_update() || change.changed(column);
    let is_on = content_policy::is_on();
    // What was deleted may be older than the policies.
    let revived = is_on
        && change.is_update()
        && change.changed(c"deleted_at")
        && change.new_is_null(c"deleted_at");
    let rewritten = renewed(c"is_sensitive") || renewed(c"content");
    let content_new = rewritten || revived;
    let pattern_new = renewed(c"is_sensitive") || revived || renewed(c"error_pattern");
    let lesson_new = is_reflection(change) && renewed(c"metadata");
    if !(content_new || is_on && (pattern_new || lesson_new)) {
        return Ok(());
    }
    // An import brings the flags too; they hold unless somebody looks anew.
    if actor::operation() == Some("import") && !is_on {
        return Ok(());
    }
    let sensitive = change.new_value(c"is_sensitive").unwrap_or(false);
    let mut flags = None;
    if is_on {
        // The functions have screened the content.
        if content_new && actor::current().is_none() {
            let screened = screen(change, c"content", sensitive)?;
            if screened {
                // The vector of a redacted text would still tell what it said.
                change.set::<Vector>(c"embedding", None);
                change.set::<Vec<u8>>(c"embedded_hash", None);
            }
        }
        if pattern_new {
            screen(change, c"error_pattern", sensitive)?;
        }
        change.settle();
        flags = content_policy::flags(&texts(change), sensitive);
        // What the content was flagged with holds as long as it does, whatever the policies are by now.
        if !rewritten {
            flags = content_policy::united(change.new_value(c"content_flags"), flags);
        }
    }
    if flags.is_some() || !change.new_is_null(c"content_flags") {
        change.set(c"content_flags", flags);
    }
    Ok(())
}

/// Whether a text had to be redacted; one that is not to be let in at all is an error.
fn screen(change: &mut RowChange, column: &std::ffi::CStr, sensitive: bool) -> Result<bool> {
    let Some(text) = change.new_value::<String>(column) else {
        return Ok(false);
    };
    let name = format!("{} of a memory", column.to_string_lossy());
    let screened = content_policy::screen(&name, text, sensitive).map_err(Error::alone)?;
    if screened.redacted {
        change.set(column, Some(screened.content));
    }
    Ok(screened.redacted)
}

fn is_reflection(change: &RowChange) -> bool {
    change.new_value::<String>(c"memory_type").as_deref() == Some(reflect::TYPE)
}

/// The texts of a memory that are read again as such. A reflection's lesson is in its metadata; other metadata is the
/// caller's, and not looked at.
fn texts(change: &RowChange) -> Vec<String> {
    let mut texts: Vec<String> = [c"content", c"error_pattern"]
        .iter()
        .filter_map(|column| change.new_value(column))
        .collect();
    if is_reflection(change)
        && let Some(metadata) = change.new_value::<Jsonb>(c"metadata")
    {
        texts.extend(reflect::lesson_texts(&metadata));
    }
    texts
}

/// Length of a deduplication key, before what deprecation puts behind it.
pub const HASH_BYTES: usize = 32;

/// A deprecated memory keeps its deduplication key out of the way of a new memory of equal content: its id behind the hash
/// makes it nobody else's key. When it is live again, so is its key.
fn deprecate(change: &mut RowChange) {
    let deprecated = change.new_value(c"is_deprecated").unwrap_or(false);
    let turned = change.is_update() && change.changed(c"is_deprecated");
    if !deprecated && !turned {
        return;
    }
    if let Some(mut hash) = change.edited::<Vec<u8>>(c"dedupe_hash") {
        let is = hash.clone();
        hash.truncate(HASH_BYTES);
        if deprecated {
            let id: String = change.new_value(c"id").unwrap_or_default();
            hash.extend_from_slice(id.as_bytes());
        }
        if hash != is {
            change.set(c"dedupe_hash", Some(hash));
        }
    }
    if deprecated {
        if change.new_is_null(c"deprecated_at") {
            change.set(c"deprecated_at", Some(system::now()));
        }
        if change.new_is_null(c"deprecated_by") {
            let actor = actor::current();
            let by = actor
                .map(|actor| actor.agent_id.unwrap_or(actor.role))
                .unwrap_or_else(|| system::role_name(system::current_role()));
            change.set(c"deprecated_by", Some(by));
        }
    } else {
        change.set::<String>(c"superseded_by", None);
        change.set::<String>(c"deprecated_by", None);
        change.set::<TimestampWithTimeZone>(c"deprecated_at", None);
    }
}

/// A row that was deduplicated before its identity changed is deduplicated by its new identity.
fn rededuplicate(change: &mut RowChange) {
    let was: Option<Vec<u8>> = change.old_value(c"dedupe_hash");
    if was.is_none()
        || change.changed(c"dedupe_hash")
        || !IDENTIFYING.iter().any(|column| change.changed(column))
    {
        return;
    }
    let text = |column| change.new_value::<String>(column);
    let content_hash = memory_core::text::content_hash(&text(c"content").unwrap_or_default());
    let hash = memory::dedupe_hash(&Identifying {
        namespace: &text(c"namespace").unwrap_or_default(),
        scope: &text(c"scope").unwrap_or_default(),
        agent_id: text(c"agent_id").as_deref(),
        user_id: text(c"user_id").as_deref(),
        session_id: text(c"session_id").as_deref(),
        entity_id: text(c"entity_id").as_deref(),
        memory_type: &text(c"memory_type").unwrap_or_default(),
        sensitive: change.new_value(c"is_sensitive").unwrap_or(false),
        content_hash: &content_hash,
    });
    change.set(c"dedupe_hash", Some(hash.to_vec()));
}

/// A secret has no vector; everything else has the vector of its present text, or none until somebody brings it.
fn embed(change: &mut RowChange, store: &Store) -> Result<()> {
    if change.new_value::<bool>(c"is_sensitive").unwrap_or(false) {
        if !change.new_is_null(c"embedding") || !change.new_is_null(c"embedded_hash") {
            change.set::<Vector>(c"embedding", None);
            change.set::<Vec<u8>>(c"embedded_hash", None);
        }
        return Ok(());
    }
    // An import brings both, and says itself of which text the vector is.
    if actor::operation() == Some("import")
        && !change.new_is_null(c"embedding")
        && !change.new_is_null(c"embedded_hash")
    {
        return Ok(());
    }
    let updated = change.is_update();
    let text_changed = !updated
        || change.changed(c"content")
        || change.changed(c"key")
        || change.changed(c"is_sensitive");
    // A vector that came with the change counts even if it equals the old one: its hash says what it is the vector of.
    let hash_brought =
        !change.new_is_null(c"embedded_hash") && (!updated || change.changed(c"embedded_hash"));
    let brought = !change.new_is_null(c"embedding")
        && (!updated || change.changed(c"embedding") || hash_brought);
    if brought {
        // The functions have checked theirs.
        if actor::operation().is_none()
            && let Some(vector) = change.new_value::<Vector>(c"embedding")
        {
            memory::check_vector("embedding", &vector, store.dimensions)?;
        }
        if !hash_brought {
            let hash = content_hash(change);
            change.set(c"embedded_hash", Some(hash));
        }
        return Ok(());
    }
    if !text_changed && !change.new_is_null(c"embedding") {
        return Ok(());
    }
    let content: String = change.new_value(c"content").unwrap_or_default();
    let key: Option<String> = change.new_value(c"key");
    let vector = store
        .embedder
        .embed(&embedded_text(key.as_deref(), &content), store.dimensions);
    if vector.is_none() && change.new_is_null(c"embedding") {
        return Ok(());
    }
    let hash = vector.is_some().then(|| content_hash(change));
    change.set(c"embedding", vector);
    change.set(c"embedded_hash", hash);
    Ok(())
}

fn content_hash(change: &RowChange) -> Vec<u8> {
    let content: String = change.new_value(c"content").unwrap_or_default();
    memory_core::text::content_hash(&content).to_vec()
}

/// Keeps the version that ended.
pub fn after_change(change: &RowChange) -> Result<()> {
    let actor = actor::current();
    if actor
        .as_ref()
        .is_some_and(|actor| actor.erasing || actor.restoring)
    {
        return Ok(());
    }
    let Some(store) = store_of(change)? else {
        return Ok(());
    };
    let deleted =
        change.is_delete() || (change.changed(c"deleted_at") && !change.new_is_null(c"deleted_at"));
    let turned = !change.is_delete() && store.has_ace() && change.changed(c"is_deprecated");
    let operation = match &actor {
        _ if turned && change.new_value(c"is_deprecated") == Some(true) => "deprecate",
        _ if turned => "undeprecate",
        Some(actor) if actor.operation != "add" => actor.operation,
        _ if deleted => "delete",
        Some(_) => "merge",
        None => "update",
    };
    let role = actor.as_ref().map_or_else(
        || system::role_name(system::current_role()),
        |actor| actor.role.clone(),
    );
    let agent = actor.and_then(|actor| actor.agent_id);
    let Some(old) = change.old_row() else {
        return Ok(());
    };
    let memory_id: String = change.old_value(c"id").unwrap_or_default();
    let project_id: String = change.old_value(c"project_id").unwrap_or_default();
    let became_secret = !change.is_delete()
        && change.changed(c"is_sensitive")
        && change.new_value(c"is_sensitive") == Some(true);
    let _owner = store.as_owner();
    spi::connect(|session| {
        let (columns, values) = match store.has_ace() {
            true => (
                ", is_deprecated, superseded_by, error_pattern",
                ", ($1).is_deprecated, ($1).superseded_by, ($1).error_pattern",
            ),
            false => ("", ""),
        };
        let sql = store.sql(&format!(
            "INSERT INTO @s@.memory_history (project_id, memory_id, version, operation, content, content_hash, namespace, agent_id, user_id,
                    session_id, entity_id, scope, shared_with_agents, metadata, memory_type, key, is_sensitive, importance, created_at,
                    expires_at, deleted_at, valid_from, valid_to, changed_by, changed_as_agent{columns})
             SELECT ($1).project_id, ($1).id, ($1).version, $2, ($1).content, ($1).content_hash, ($1).namespace, ($1).agent_id, ($1).user_id,
                    ($1).session_id, ($1).entity_id, ($1).scope, ($1).shared_with_agents, ($1).metadata, ($1).memory_type, ($1).key,
                    ($1).is_sensitive, ($1).importance, ($1).created_at, ($1).expires_at, ($1).deleted_at, ($1).updated_at, now(), $3, $4{values}"
        ));
        session.write(&sql, &[old, operation.into(), role.into(), agent.into()]);
        if became_secret {
            let sql = store.sql("UPDATE @s@.memory_history SET is_sensitive = true WHERE memory_id = $1 AND project_id = $2 AND NOT is_sensitive");
            session.write(
                &sql,
                &[memory_id.as_str().into(), project_id.as_str().into()],
            );
            let sql = store.sql(
                "DELETE FROM @s@.embedding_cache WHERE content_hash IN (
                     SELECT content_hash FROM @s@.memory_history WHERE memory_id = $1 AND project_id = $2)",
            );
            session.write(&sql, &[memory_id.into(), project_id.into()]);
        }
    });
    Ok(())
}

/// The triggers serve the store's own table and no other.
fn store_of(change: &RowChange) -> Result<Option<std::rc::Rc<Store>>> {
    if !open::is_memories(change.relation())? {
        return Err(Error::state(
            "this trigger function serves the table memories of the memory store only",
        ));
    }
    open::find_whatever_its_state()
}
