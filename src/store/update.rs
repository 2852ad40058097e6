//! Changing a memory. The trigger `memory_before_write` does what follows from a change (version, time, vector,
//! deduplication), so that direct SQL has the same effect.

use super::access::Call;
use super::conditions::Conditions;
use super::content_policy;
use super::events;
use super::memory::{self, Expiry, Identifying};
use super::resolve;
use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::pg::spi::{Arg, Rows, Session};
use crate::pg::vector::Vector;

/// What is to change; `None` stays as it is.
pub struct Change {
    pub content: Option<String>,
    /// RFC 7396 merge patch.
    pub metadata: Option<Jsonb>,
    pub expiry: Expiry,
    pub importance: Option<f32>,
    pub memory_type: Option<String>,
    pub scope: Option<String>,
    pub shared_with_agents: Option<Vec<String>>,
    pub sensitive: Option<bool>,
    pub embedding: Option<Vector>,
    pub expected_version: Option<i32>,
}

impl Change {
    pub fn nothing() -> Self {
        Change {
            content: None,
            metadata: None,
            expiry: Expiry::Unsaid,
            importance: None,
            memory_type: None,
            scope: None,
            shared_with_agents: None,
            sensitive: None,
            embedding: None,
            expected_version: None,
        }
    }

    fn check(&self, dimensions: usize) -> Result<()> {
        if let Some(importance) = self.importance {
            memory::check_importance(importance)?;
        }
        if let Some(memory_type) = &self.memory_type {
            memory::check_type(memory_type)?;
        }
        if let Some(metadata) = &self.metadata {
            memory::check_metadata(metadata)?;
        }
        if let Some(embedding) = &self.embedding {
            memory::check_vector("embedding", embedding, dimensions)?;
            if self.sensitive == Some(true) {
                return Err(Error::argument(
                    "a sensitive memory is never embedded, but an embedding was given",
                ));
            }
        }
        Ok(())
    }
}

/// A row as it was when it was locked.
pub struct Locked {
    pub id: String,
    pub version: i32,
    namespace: String,
    content_hash: Vec<u8>,
    agent_id: Option<String>,
    user_id: Option<String>,
    session_id: Option<String>,
    entity_id: Option<String>,
    scope: String,
    shared_with_agents: Vec<String>,
    metadata: Jsonb,
    memory_type: String,
    sensitive: bool,
    deduplicated: bool,
    key: Option<String>,
}

impl Locked {
    pub fn author(&self) -> Option<&str> {
        self.agent_id.as_deref()
    }

    pub fn scope(&self) -> &str {
        &self.scope
    }

    pub fn sensitive(&self) -> bool {
        self.sensitive
    }
}

const LOCKED: &str = "m.id, m.version, m.namespace, m.content_hash, m.agent_id, m.user_id, m.session_id, m.entity_id, m.scope,
    m.shared_with_agents, m.metadata, m.memory_type, m.is_sensitive, m.dedupe_hash IS NOT NULL, m.key";

fn locked(rows: &Rows<'_>) -> Option<Locked> {
    (!rows.is_empty()).then(|| Locked {
        id: rows.required(0, 1),
        version: rows.required(0, 2),
        namespace: rows.required(0, 3),
        content_hash: rows.required(0, 4),
        agent_id: rows.get(0, 5),
        user_id: rows.get(0, 6),
        session_id: rows.get(0, 7),
        entity_id: rows.get(0, 8),
        scope: rows.required(0, 9),
        shared_with_agents: rows
            .required::<Vec<Option<String>>>(0, 10)
            .into_iter()
            .flatten()
            .collect(),
        metadata: rows.required(0, 11),
        memory_type: rows.required(0, 12),
        sensitive: rows.required(0, 13),
        deduplicated: rows.required(0, 14),
        key: rows.get(0, 15),
    })
}

/// Locks a live memory the requester may change; `None` when there is none it sees.
pub fn lock(call: &Call, session: &Session, id: &str) -> Result<Option<Locked>> {
    let mut conditions = Conditions::default();
    conditions.visible(&call.access, false);
    lock_where(call, session, id, conditions)
}

/// The same for a memory that may be deleted or expired; a missing one is an error.
pub fn lock_dead_or_alive(call: &Call, session: &Session, id: &str) -> Result<Locked> {
    let mut conditions = Conditions::default();
    conditions.in_scope(&call.access);
    conditions.not_over(&call.access);
    lock_where(call, session, id, conditions)?.ok_or_else(|| not_found(id))
}

pub fn lock_where(
    call: &Call,
    session: &Session,
    id: &str,
    mut conditions: Conditions,
) -> Result<Option<Locked>> {
    conditions.equal("id", Some(id));
    let sql = call.store.sql(&format!(
        "SELECT {LOCKED} FROM @s@.memories m WHERE {} FOR NO KEY UPDATE OF m",
        conditions.sql()
    ));
    let found = locked(&session.write(&sql, &conditions.args));
    if let Some(row) = &found
        && !call.access.may_write(row.agent_id.as_deref(), &row.scope)
    {
        return Err(call.access.refuse_write(id));
    }
    Ok(found)
}

pub fn not_found(id: &str) -> Error {
    Error::not_found(format!("there is no memory {id:?} that this caller may see"))
        .hint("Private and shared memories need the agent_id they belong to; expired and deleted ones are not seen.")
}

/// Changes a memory; its new version.
pub fn update(call: &Call, id: &str, change: Change) -> Result<i32> {
    change.check(call.store.dimensions)?;
    call.sql(|session| {
        let Some(row) = lock(call, session, id)? else {
            return Err(not_found(id));
        };
        apply(call, session, &row, change)
    })
}

/// Changes a locked row; its new version.
pub fn apply(call: &Call, session: &Session, row: &Locked, change: Change) -> Result<i32> {
    if let Some(expected) = change.expected_version
        && expected != row.version
    {
        return Err(Error::version_conflict(format!(
            "memory {:?} is at version {}, expected {expected}",
            row.id, row.version
        ))
        .hint("Read the memory again and repeat the change."));
    }
    let sensitive = change.sensitive.unwrap_or(row.sensitive);
    let reveals = row.sensitive && !sensitive && change.content.is_none();
    if reveals && !call.access.is_admin() {
        return Err(Error::denied(format!(
            "role {:?} may not make the secret of memory {:?} readable",
            call.access.role, row.id
        ))
        .hint("Give a new content in the same call, or ask an admin."));
    }
    if sensitive && change.embedding.is_some() {
        return Err(Error::argument(
            "a sensitive memory is never embedded, but an embedding was given",
        ));
    }
    let (scope, shared) = target_scope(call, row, &change)?;
    let metadata = match &change.metadata {
        Some(patch) => Some(Jsonb::parse(&merge_patch(&row.metadata.text(), patch)?)),
        None => None,
    };
    let (mut content, mut embedding) = (None, change.embedding);
    if let Some(given) = change.content {
        let given = memory::check_content("content", Some(given))?;
        let screened = content_policy::screen("content", given, sensitive)?;
        // The vector of a redacted text would still tell what it said.
        embedding = embedding.filter(|_| !screened.redacted);
        content = Some(screened.content);
    } else if reveals && content_policy::is_on() {
        // What was let in as a secret comes into the open now.
        let screened =
            content_policy::screen("content", content_of(call, session, &row.id), false)?;
        embedding = embedding.filter(|_| !screened.redacted);
        content = screened.redacted.then_some(screened.content);
    }
    let content_hash = match &content {
        Some(content) => memory_core::text::content_hash(content),
        None => row.content_hash.as_slice().try_into().unwrap_or_default(),
    };
    let memory_type = change.memory_type.as_deref().unwrap_or(&row.memory_type);
    refuse_conflicts(
        call,
        session,
        row,
        &scope,
        memory_type,
        sensitive,
        &content_hash,
    )?;
    let (set_expiry, expires_at) = match change.expiry {
        Expiry::Unsaid => (false, None),
        Expiry::Never => (true, None),
        Expiry::At(time) => (true, Some(time)),
    };
    let sql = call.store.sql(
        "UPDATE @s@.memories SET content = coalesce($3, content), metadata = coalesce($4, metadata),
                expires_at = CASE WHEN $5 THEN $6 ELSE expires_at END, importance = coalesce($7, importance),
                memory_type = coalesce($8, memory_type), scope = $9, shared_with_agents = $10,
                is_sensitive = $11, embedding = coalesce($12, embedding),
                embedded_hash = CASE WHEN $12 IS NULL THEN embedded_hash ELSE $13 END
         WHERE id = $1 AND project_id = $2 RETURNING version",
    );
    let rows = session.write(
        &sql,
        &[
            row.id.as_str().into(),
            call.project().into(),
            content.as_deref().into(),
            metadata.into(),
            set_expiry.into(),
            expires_at.into(),
            change.importance.into(),
            change.memory_type.as_deref().into(),
            scope.as_str().into(),
            shared.into(),
            sensitive.into(),
            Arg::vector(embedding.as_ref(), call.store.identity.vector_type),
            content_hash.as_slice().into(),
        ],
    );
    let version = rows.required(0, 1);
    if reveals {
        let payload = serde_json::json!({ "reason": "no longer sensitive" });
        events::record(call, session, "reveal", Some(&row.id), &payload);
    }
    events::record(
        call,
        session,
        "update",
        Some(&row.id),
        &serde_json::json!({ "version": version }),
    );
    Ok(version)
}

fn content_of(call: &Call, session: &Session, id: &str) -> String {
    let sql = call
        .store
        .sql("SELECT content FROM @s@.memories WHERE id = $1 AND project_id = $2");
    session
        .write(&sql, &[id.into(), call.project().into()])
        .required(0, 1)
}

/// The scope and sharing after the change; sharing alone makes a memory agent-shared.
fn target_scope(call: &Call, row: &Locked, change: &Change) -> Result<(String, Vec<String>)> {
    let scope = match (&change.scope, &change.shared_with_agents) {
        (Some(scope), _) => scope.clone(),
        (None, Some(shared)) if !shared.is_empty() => "agent-shared".to_owned(),
        _ => row.scope.clone(),
    };
    let shared = match &change.shared_with_agents {
        Some(shared) => shared.clone(),
        None if scope == "agent-shared" => row.shared_with_agents.clone(),
        None => Vec::new(),
    };
    memory::check_scope(&scope, row.agent_id.as_deref(), &shared)?;
    if (scope != row.scope || shared != row.shared_with_agents)
        && !call.access.may_share(row.author())
    {
        return Err(Error::denied(format!(
            "role {:?} may not change who sees memory {:?}",
            call.access.role, row.id
        ))
        .hint("Its author may, and so may an admin."));
    }
    Ok((scope, shared))
}

/// What a memory is that comes back as it was must not have come to be another meanwhile.
pub fn refuse_conflicts_of(call: &Call, session: &Session, row: &Locked) -> Result<()> {
    let hash = row.content_hash.as_slice().try_into().unwrap_or_default();
    refuse_conflicts(
        call,
        session,
        row,
        &row.scope,
        &row.memory_type,
        row.sensitive,
        &hash,
    )
}

/// A change must not make two live memories the same one, nor give a key two values.
pub fn refuse_conflicts(
    call: &Call,
    session: &Session,
    row: &Locked,
    scope: &str,
    memory_type: &str,
    sensitive: bool,
    content_hash: &[u8; 32],
) -> Result<()> {
    if let Some(key) = &row.key
        && resolve::key_is_taken(call, session, &row.namespace, key, &row.id)
    {
        return Err(Error::duplicate(format!(
            "key {key:?} has another value by now in namespace {:?}",
            row.namespace
        ))
        .hint("Delete that one with memory_kv_delete() first."));
    }
    if !row.deduplicated {
        return Ok(());
    }
    let hash = memory::dedupe_hash(&Identifying {
        namespace: &row.namespace,
        scope,
        agent_id: row.agent_id.as_deref(),
        user_id: row.user_id.as_deref(),
        session_id: row.session_id.as_deref(),
        entity_id: row.entity_id.as_deref(),
        memory_type,
        sensitive,
        content_hash,
    });
    match resolve::live_equal(call, session, &hash, &row.id) {
        Some(other) => Err(Error::duplicate(format!(
            "memory {:?} would become equal to memory {other:?}",
            row.id
        ))
        .hint("Delete one of the two instead.")),
        None => Ok(()),
    }
}

/// RFC 7396, number for number.
pub fn merge_patch(target: &str, patch: &Jsonb) -> Result<String> {
    let merged = memory_core::merge_patch::apply(target, &patch.text()).map_err(|error| {
        Error::limit(format!("metadata cannot be merged: {error}"))
            .hint("Metadata may be nested 100 levels deep; plain SQL can replace what is there: UPDATE memories SET metadata = '{}' WHERE id = ...")
    })?;
    match merged.len() > memory::MAX_JSON_BYTES {
        true => Err(memory::too_long("merged metadata")),
        false => Ok(merged),
    }
}
