//! Key/value memories: one live memory a key and namespace.

use pgrx::datum::TimestampWithTimeZone;

use super::access::Call;
use super::conditions::Conditions;
use super::memory::{self, Draft, Expiry};
use super::past::{self, Which};
use super::read::MASK;
use super::update::{self, Change};
use super::{aliases, erase, insert, resolve};
use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::pg::spi::{Planning, Session};
use crate::pg::system;

pub struct Setting {
    pub key: String,
    pub value: Option<String>,
    pub sensitive: Option<bool>,
    pub source: Option<String>,
    pub expiry: Expiry,
    pub namespace: String,
    pub metadata: Option<Jsonb>,
}

pub struct Entry {
    pub key: String,
    pub value: String,
    pub source: Option<String>,
    pub is_sensitive: bool,
    pub id: String,
    pub version: i32,
    pub namespace: String,
    pub metadata: Jsonb,
    pub created_at: TimestampWithTimeZone,
    pub updated_at: TimestampWithTimeZone,
    pub expires_at: Option<TimestampWithTimeZone>,
}

/// Sets the value of a key; the id of its memory.
pub fn set(call: &Call, setting: Setting) -> Result<String> {
    memory::check_name("key", &setting.key)?;
    memory::check_name("namespace", &setting.namespace)?;
    let value = memory::check_content("value", setting.value)?;
    if let Some(metadata) = &setting.metadata {
        memory::check_metadata(metadata)?;
    }
    let key = aliases::resolve(call, &setting.key);
    let metadata = with_source(setting.metadata, setting.source.as_deref())?;
    // Somebody may set or delete the same key between the look and the write; then it is another round.
    const ROUNDS: usize = 8;
    for _ in 0..ROUNDS {
        if let Some(id) = call.sql(|session| {
            change_existing(
                call,
                session,
                &key,
                &setting.namespace,
                &value,
                setting.sensitive,
                setting.expiry,
                metadata.clone(),
            )
        })? {
            return Ok(id);
        }
        let draft = Draft {
            content: Some(value.clone()),
            namespace: Some(setting.namespace.clone()),
            metadata: metadata.clone(),
            key: Some(key.clone()),
            sensitive: setting.sensitive.unwrap_or(false),
            expires_at: match setting.expiry {
                Expiry::At(time) => Some(time),
                Expiry::Unsaid | Expiry::Never => Some(TimestampWithTimeZone::positive_infinity()),
            },
            ..Draft::default()
        };
        let new = draft.complete(&call.store, &call.access)?;
        match insert::add_keyed(call, &new) {
            Some(id) => return Ok(id),
            None => continue,
        }
    }
    Err(Error::version_conflict(format!(
        "key {key:?} is being set and deleted at the same time"
    ))
    .hint("Try again."))
}

/// Changes the live memory of a key, and tombstones an expired or deprecated one; `None` when there is none to change.
#[allow(clippy::too_many_arguments)]
fn change_existing(
    call: &Call,
    session: &Session,
    key: &str,
    namespace: &str,
    value: &str,
    sensitive: Option<bool>,
    expiry: Expiry,
    metadata: Option<Jsonb>,
) -> Result<Option<String>> {
    let deprecated = if call.store.has_ace() {
        "is_deprecated"
    } else {
        "false"
    };
    let sql = call.store.sql(&format!(
        "SELECT id, {deprecated} OR (expires_at IS NOT NULL AND expires_at <= now()) FROM @s@.memories
         WHERE project_id = $1 AND namespace = $2 AND key = $3 AND deleted_at IS NULL FOR NO KEY UPDATE"
    ));
    let rows = session.write(&sql, &[call.project().into(), namespace.into(), key.into()]);
    let Some(id) = rows.get::<String>(0, 1) else {
        return Ok(None);
    };
    if rows.required(0, 2) {
        resolve::tombstone(call, session, vec![id]);
        return Ok(None);
    }
    let Some(row) = update::lock(call, session, &id)? else {
        return Err(Error::duplicate(format!(
            "key {key:?} of namespace {namespace:?} belongs to another agent"
        ))
        .hint("Use a namespace of the agent's own."));
    };
    let change = Change {
        content: Some(value.to_owned()),
        metadata,
        sensitive,
        expiry: match expiry {
            Expiry::Unsaid => Expiry::Never,
            said => said,
        },
        ..Change::nothing()
    };
    update::apply(call, session, &row, change)?;
    Ok(Some(id))
}

fn with_source(metadata: Option<Jsonb>, source: Option<&str>) -> Result<Option<Jsonb>> {
    let Some(source) = source else {
        return Ok(metadata);
    };
    let base = metadata
        .as_ref()
        .map_or_else(|| "{}".to_owned(), Jsonb::text);
    let patch = Jsonb::parse(&serde_json::json!({ "source": source }).to_string());
    Ok(Some(Jsonb::parse(&update::merge_patch(&base, &patch)?)))
}

/// The value of a key; `None` when there is none the requester sees.
pub fn get(call: &Call, key: &str, namespace: &str) -> Option<String> {
    let key = aliases::resolve(call, key);
    let mut conditions = Conditions::default();
    let memories = past::memories(call, &mut conditions, Which::Live);
    conditions.equal("namespace", Some(namespace));
    conditions.equal("key", Some(&key));
    let sql = call.store.sql(&format!(
        "SELECT CASE WHEN m.is_sensitive THEN '{MASK}' ELSE m.content END FROM {memories} WHERE {}{}",
        conditions.sql(),
        match call.time {
            None => "",
            // Of two transactions that set a key at once, the one that began first may have been the last one.
            Some(_) => " ORDER BY m.created_at, m.id",
        }
    ));
    call.sql(|session| {
        session
            .read(&sql, Planning::Generic, &conditions.args)
            .get(0, 1)
    })
}

/// Tombstones a key; false when there is none the requester sees.
pub fn delete(call: &Call, key: &str, namespace: &str) -> Result<bool> {
    let key = aliases::resolve(call, key);
    let sql = call.store.sql("SELECT id FROM @s@.memories WHERE project_id = $1 AND namespace = $2 AND key = $3 AND deleted_at IS NULL");
    let id: Option<String> = call.sql(|session| {
        session
            .write(
                &sql,
                &[call.project().into(), namespace.into(), key.as_str().into()],
            )
            .get(0, 1)
    });
    match id {
        Some(id) => erase::delete(call, &id),
        None => Ok(false),
    }
}

/// The live keys that begin with `prefix`, in order.
pub fn list(call: &Call, prefix: Option<&str>, namespace: Option<&str>) -> Vec<Entry> {
    let mut conditions = Conditions::default();
    let memories = past::memories(call, &mut conditions, Which::Live);
    conditions.push("m.key IS NOT NULL");
    conditions.equal("namespace", namespace);
    if let Some(prefix) = prefix {
        let place = conditions.arg(prefix);
        conditions.push(format_args!("starts_with(m.key, {place})"));
    }
    let sql = call.store.sql(&format!(
        "SELECT m.key, CASE WHEN m.is_sensitive THEN '{MASK}' ELSE m.content END, m.metadata ->> 'source', m.is_sensitive, m.id, m.version,
                m.namespace, m.metadata, m.created_at, m.updated_at, m.expires_at
         FROM {memories} WHERE {} ORDER BY m.key, m.namespace, m.created_at, m.id",
        conditions.sql()
    ));
    call.sql(|session| {
        let rows = session.read(&sql, Planning::Custom, &conditions.args);
        (0..rows.len())
            .map(|row| Entry {
                key: rows.required(row, 1),
                value: rows.required(row, 2),
                source: rows.get(row, 3),
                is_sensitive: rows.required(row, 4),
                id: rows.required(row, 5),
                version: rows.required(row, 6),
                namespace: rows.required(row, 7),
                metadata: rows.required(row, 8),
                created_at: rows.required(row, 9),
                updated_at: rows.required(row, 10),
                expires_at: rows.get(row, 11),
            })
            .collect()
    })
}

/// The content of a sensitive memory, for an admin, with a reason that is kept.
pub fn reveal(call: &Call, id: &str, reason: &str) -> Result<String> {
    let mut conditions = Conditions::default();
    conditions.visible(&call.access, false);
    conditions.equal("id", Some(id));
    let sql = call.store.sql(&format!(
        "SELECT m.content FROM @s@.memories m WHERE {}",
        conditions.sql()
    ));
    call.sql(|session| {
        let Some(content) = session.write(&sql, &conditions.args).get(0, 1) else {
            return Err(update::not_found(id));
        };
        // The event goes when the caller rolls back; this line does not.
        system::log_for_operators(format!(
            "memory_ext: role {:?} revealed memory {id:?} of project {:?}, reason: {reason:?}",
            call.access.role,
            call.project()
        ));
        super::events::record(
            call,
            session,
            "reveal",
            Some(id),
            &serde_json::json!({ "reason": reason }),
        );
        Ok(content)
    })
}
