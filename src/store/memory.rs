//! A memory as it is about to be written, and the checks every one passes, whichever function brings it.

use memory_core::jsonl::timestamp;
use memory_core::text;
use pgrx::datum::{Interval, TimestampWithTimeZone};

use super::access::{Access, Requester};
use super::content_policy;
use super::embedder::embedded_text;
use super::learning::types;
use super::open::Store;
use crate::pg::error::{Error, Result};
use crate::pg::guc;
use crate::pg::json::{Jsonb, Over};
use crate::pg::system;
use crate::pg::times;
use crate::pg::vector::Vector;

/// Longest id, key, namespace, project, agent, user, session or entity, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// Longest metadata, as text.
pub const MAX_JSON_BYTES: usize = 16 << 20;

/// Most agents that a memory is shared with by name.
pub const MAX_SHARED_AGENTS: usize = 10_000;

/// What to do when a live memory with the same content and the same owner is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDuplicate {
    Return,
    Merge,
    New,
    Error,
}

impl OnDuplicate {
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "return" => Ok(OnDuplicate::Return),
            "merge" => Ok(OnDuplicate::Merge),
            "new" => Ok(OnDuplicate::New),
            "error" => Ok(OnDuplicate::Error),
            _ => Err(Error::argument(format!("unknown on_duplicate {name:?}"))
                .hint("It is one of: return, merge, new, error.")),
        }
    }
}

/// What a caller says of a new memory; everything but the content may be left out.
#[derive(Default)]
pub struct Draft {
    pub content: Option<String>,
    pub namespace: Option<String>,
    pub scope: Option<String>,
    pub metadata: Option<Jsonb>,
    pub ttl: Option<Interval>,
    pub memory_type: Option<String>,
    pub embedding: Option<Vector>,
    pub user_id: Option<String>,
    pub session_id: Option<String>,
    pub entity_id: Option<String>,
    pub shared_with_agents: Option<Vec<String>>,
    pub key: Option<String>,
    pub sensitive: bool,
    pub importance: Option<f32>,
    pub expires_at: Option<TimestampWithTimeZone>,
    pub id: Option<String>,
    pub on_duplicate: Option<String>,
    /// The agent the draft itself names, in a batch; it has to be the requester, unless that may act for all.
    pub agent_id: Option<String>,
}

/// A checked memory, complete: its id is known before it is written.
pub struct NewMemory {
    pub id: String,
    pub id_given: bool,
    pub namespace: String,
    pub content: String,
    pub content_hash: [u8; 32],
    pub dedupe_hash: Option<[u8; 32]>,
    pub agent_id: Option<String>,
    pub user_id: Option<String>,
    pub session_id: Option<String>,
    pub entity_id: Option<String>,
    pub scope: String,
    pub shared_with_agents: Vec<String>,
    pub metadata: Option<Jsonb>,
    /// What is merged into the metadata of a live memory that this one duplicates.
    pub patches: Vec<Jsonb>,
    pub memory_type: String,
    pub key: Option<String>,
    pub sensitive: bool,
    pub importance: f32,
    pub embedding: Option<Vector>,
    pub expires_at: Option<TimestampWithTimeZone>,
    pub on_duplicate: OnDuplicate,
}

impl Draft {
    /// Checks everything and fills in what was left out.
    pub fn complete(self, store: &Store, access: &Access) -> Result<NewMemory> {
        let content = check_content("content", self.content)?;
        let screened = content_policy::screen("content", content, self.sensitive)?;
        let content = screened.content;
        let on_duplicate = OnDuplicate::named(self.on_duplicate.as_deref().unwrap_or("return"))?;
        for (name, value) in [
            ("namespace", &self.namespace),
            ("user_id", &self.user_id),
            ("session_id", &self.session_id),
            ("entity_id", &self.entity_id),
            ("key", &self.key),
            ("id", &self.id),
        ] {
            if let Some(value) = value {
                check_name(name, value)?;
            }
        }
        let agent_id = match (self.agent_id, &access.requester) {
            (Some(agent), Requester::Everything) => {
                check_name("agent_id", &agent)?;
                Some(agent)
            }
            (Some(agent), Requester::Agent(requester)) if agent != *requester => {
                return Err(Error::denied(format!(
                    "may not add a memory of agent {agent:?} as agent {requester:?}"
                )));
            }
            (_, requester) => requester.agent().map(str::to_owned),
        };
        let scope = self.scope.unwrap_or_else(|| {
            default_scope(self.shared_with_agents.is_some(), agent_id.is_some()).to_owned()
        });
        let shared_with_agents = self.shared_with_agents.unwrap_or_default();
        check_scope(&scope, agent_id.as_deref(), &shared_with_agents)?;
        let memory_type = self.memory_type.unwrap_or_else(|| "standard".to_owned());
        check_type(&memory_type)?;
        let importance = self.importance.unwrap_or(0.5);
        check_importance(importance)?;
        if let Some(metadata) = &self.metadata {
            check_metadata(metadata)?;
        }
        let expires_at = match expiry(self.ttl, self.expires_at)? {
            Expiry::At(time) => Some(time),
            Expiry::Never => None,
            Expiry::Unsaid => default_expiry(),
        };
        if self.sensitive && self.embedding.is_some() {
            return Err(Error::argument(
                "a sensitive memory is never embedded, but an embedding was given",
            )
            .hint("Leave out embedding, or sensitive."));
        }
        if let Some(embedding) = &self.embedding {
            check_vector("embedding", embedding, store.dimensions)?;
        }
        let namespace = self.namespace.unwrap_or_else(|| "default".to_owned());
        let content_hash = text::content_hash(&content);
        let dedupe_hash = (on_duplicate != OnDuplicate::New && self.key.is_none()).then(|| {
            dedupe_hash(&Identifying {
                namespace: &namespace,
                scope: &scope,
                agent_id: agent_id.as_deref(),
                user_id: self.user_id.as_deref(),
                session_id: self.session_id.as_deref(),
                entity_id: self.entity_id.as_deref(),
                memory_type: &memory_type,
                sensitive: self.sensitive,
                content_hash: &content_hash,
            })
        });
        // The vector of a redacted text would still tell what it said.
        let embedding = match self.embedding.filter(|_| !screened.redacted) {
            None if !self.sensitive => store.embedder.embed(
                &embedded_text(self.key.as_deref(), &content),
                store.dimensions,
            ),
            given => given,
        };
        Ok(NewMemory {
            id_given: self.id.is_some(),
            id: self.id.unwrap_or_else(new_id),
            namespace,
            content,
            content_hash,
            dedupe_hash,
            agent_id,
            user_id: self.user_id,
            session_id: self.session_id,
            entity_id: self.entity_id,
            scope,
            shared_with_agents,
            patches: self
                .metadata
                .iter()
                .filter(|_| on_duplicate == OnDuplicate::Merge)
                .cloned()
                .collect(),
            metadata: self.metadata,
            memory_type,
            key: self.key,
            sensitive: self.sensitive,
            importance,
            embedding,
            expires_at,
            on_duplicate,
        })
    }
}

/// What makes two memories of equal content the same memory.
pub struct Identifying<'a> {
    pub namespace: &'a str,
    pub scope: &'a str,
    pub agent_id: Option<&'a str>,
    pub user_id: Option<&'a str>,
    pub session_id: Option<&'a str>,
    pub entity_id: Option<&'a str>,
    pub memory_type: &'a str,
    /// A secret is never the same as an open memory of equal text: its caller relies on it being kept secret.
    pub sensitive: bool,
    pub content_hash: &'a [u8; 32],
}

pub fn dedupe_hash(of: &Identifying<'_>) -> [u8; 32] {
    text::dedupe_key(
        &[
            Some(of.namespace),
            Some(of.scope),
            of.agent_id,
            of.user_id,
            of.session_id,
            of.entity_id,
            Some(of.memory_type),
            of.sensitive.then_some("sensitive"),
        ],
        of.content_hash,
    )
}

pub fn new_id() -> String {
    memory_core::id::uuid_v7_hex(system::unix_micros(), system::random())
}

/// Explicit arguments decide, never the text: shared with somebody, of an agent, or everybody's.
fn default_scope(shared: bool, of_agent: bool) -> &'static str {
    match (shared, of_agent) {
        (true, _) => "agent-shared",
        (false, true) => "agent-private",
        (false, false) => "global",
    }
}

pub fn check_length(argument: &str, text: &str) -> Result<()> {
    let limit = guc::max_content_bytes();
    if text.len() > limit {
        return Err(Error::limit(format!(
            "{argument} has {} bytes, over the limit of {limit}",
            text.len()
        ))
        .hint("Split it, or raise memory_ext.max_content_bytes."));
    }
    Ok(())
}

pub fn check_content(argument: &str, content: Option<String>) -> Result<String> {
    let Some(content) = content else {
        return Err(
            Error::argument(format!("{argument} is NULL")).hint("A memory needs some text.")
        );
    };
    check_length(argument, &content)?;
    refuse_nul(argument, &content)?;
    if text::is_blank(&content) {
        return Err(
            Error::argument(format!("{argument} is blank")).hint("A memory needs some text.")
        );
    }
    Ok(content)
}

/// JSON can say it, PostgreSQL's text cannot hold it.
fn refuse_nul(argument: &str, value: &str) -> Result<()> {
    if value.contains('\0') {
        return Err(Error::argument(format!(
            "{argument} has a NUL character in it"
        )));
    }
    Ok(())
}

pub fn check_name(argument: &str, value: &str) -> Result<()> {
    refuse_nul(argument, value)?;
    if text::is_blank(value) {
        return Err(Error::argument(format!("{argument} is blank"))
            .hint("Leave it out, or give it a value."));
    }
    if value.len() > MAX_NAME_BYTES {
        return Err(Error::argument(format!(
            "{argument} has {} bytes, at most {MAX_NAME_BYTES} are allowed",
            value.len()
        )));
    }
    if argument == "agent_id" && value == "*" {
        return Err(Error::argument(
            "agent_id '*' means every agent and cannot be an agent's own name",
        ));
    }
    Ok(())
}

pub fn check_type(memory_type: &str) -> Result<()> {
    if memory_core::MEMORY_TYPES.contains(&memory_type) {
        return Ok(());
    }
    types::check_added(memory_type)
}

pub fn check_scope(scope: &str, agent_id: Option<&str>, shared_with: &[String]) -> Result<()> {
    if !memory_core::SCOPES.contains(&scope) {
        return Err(Error::argument(format!("unknown scope {scope:?}"))
            .hint(format!("Scopes are: {}.", memory_core::SCOPES.join(", "))));
    }
    if scope != "global" && agent_id.is_none() {
        return Err(
            Error::argument(format!("scope {scope:?} needs an agent_id"))
                .hint("Without an agent nobody could ever read it."),
        );
    }
    if scope != "agent-shared" && !shared_with.is_empty() {
        return Err(Error::argument(format!(
            "shared_with_agents is given, but scope is {scope:?}"
        ))
        .hint("Leave out scope, or make it agent-shared."));
    }
    check_sharing("shared_with_agents", shared_with.len())?;
    for agent in shared_with {
        check_name("shared_with_agents", agent)?;
    }
    Ok(())
}

pub fn check_sharing(argument: &str, agents: usize) -> Result<()> {
    if agents > MAX_SHARED_AGENTS {
        return Err(Error::limit(format!(
            "{argument} has {agents} agents, over the limit of {MAX_SHARED_AGENTS}"
        ))
        .hint("Share with everybody instead: scope => 'global'."));
    }
    Ok(())
}

pub fn check_importance(importance: f32) -> Result<()> {
    if (0.0..=1.0).contains(&importance) {
        return Ok(());
    }
    Err(Error::argument(format!(
        "importance is {importance}, expected a number from 0 to 1"
    )))
}

/// Metadata is an object; what it holds is the caller's.
pub fn check_metadata(metadata: &Jsonb) -> Result<()> {
    if metadata.is_object() {
        return check_size("metadata", metadata);
    }
    Err(Error::argument("metadata is not a JSON object").hint("Write it as {\"key\": value}."))
}

/// What is stored can be exported, and one memory must not keep all others from it.
pub fn check_size(argument: &str, json: &Jsonb) -> Result<()> {
    const DEEPEST: usize = 100;
    match json.over(DEEPEST, MAX_JSON_BYTES) {
        None => Ok(()),
        Some(Over::Levels) => Err(Error::limit(format!(
            "{argument} is nested deeper than {DEEPEST} levels"
        ))
        .hint("Flatten it, or keep the inner part as a string.")),
        Some(Over::Bytes) => Err(too_long(argument)),
    }
}

pub fn too_long(argument: &str) -> Error {
    Error::limit(format!(
        "{argument} is longer than {} MB as text",
        MAX_JSON_BYTES >> 20
    ))
    .hint("Numbers count with all their digits. Keep what is long outside of the database, and a link to it here.")
}

/// pgvector has refused NaN and infinity already where the vector came as text; a binary client can still send them.
pub fn check_vector(argument: &str, vector: &Vector, dimensions: usize) -> Result<()> {
    if vector.dimensions() != dimensions {
        return Err(Error::argument(format!(
            "{argument} has {} dimensions, the store has {dimensions}",
            vector.dimensions()
        ))
        .hint(
            "Use the embedding model that the store was made for; memory_version() tells which.",
        ));
    }
    match memory_core::vector::unfit(&vector.0) {
        Some(reason) => Err(Error::argument(format!("{argument} {reason}"))),
        None => Ok(()),
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Expiry {
    Unsaid,
    Never,
    At(TimestampWithTimeZone),
}

/// The end of a memory's life from either way of giving it.
pub fn expiry(ttl: Option<Interval>, expires_at: Option<TimestampWithTimeZone>) -> Result<Expiry> {
    match (ttl, expires_at) {
        (Some(_), Some(_)) => {
            Err(Error::argument("both ttl and expires_at are given").hint("Give one of them."))
        }
        (None, None) => Ok(Expiry::Unsaid),
        (None, Some(time)) if time.is_infinity() => Ok(Expiry::Never),
        (None, Some(time)) if time.into_inner() <= system::now().into_inner() => {
            Err(Error::argument("expires_at is not in the future")
                .hint("Use 'infinity' for a memory that does not expire."))
        }
        (None, Some(time)) if !is_exportable(time) => {
            Err(Error::argument("expires_at lies after the year 9999")
                .hint("Use 'infinity' for a memory that does not expire."))
        }
        (None, Some(time)) => Ok(Expiry::At(time)),
        (Some(ttl), None) => {
            const LONGEST_YEARS: i128 = 1000;
            const YEAR_MICROS: i128 = 365 * 24 * 3600 * 1_000_000;
            let micros = ttl.as_micros();
            if micros <= 0 {
                return Err(Error::argument("ttl is not positive")
                    .hint("Use memory_delete() to end a memory's life at once."));
            }
            if micros > LONGEST_YEARS * YEAR_MICROS {
                return Err(Error::argument(format!("ttl is longer than {LONGEST_YEARS} years"))
                    .hint("Leave out ttl, or use expires_at => 'infinity', for a memory that does not expire."));
            }
            Ok(system::after(system::now(), ttl).map_or(Expiry::Never, Expiry::At))
        }
    }
}

/// Whether an export can hold a point in time.
pub fn is_exportable(time: TimestampWithTimeZone) -> bool {
    times::unix_micros(time).is_some_and(|micros| timestamp::of_unix_micros(micros).is_some())
}

fn default_expiry() -> Option<TimestampWithTimeZone> {
    let seconds = guc::default_ttl()?;
    system::after(system::now(), Interval::from_seconds(f64::from(seconds)))
}
