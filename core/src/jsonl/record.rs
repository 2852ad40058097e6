//! A memory as it is exported.

use std::borrow::Cow;
use std::fmt;

use super::jsonb::JsonObject;

type Text<'a> = Cow<'a, str>;

/// One memory with all that the table says of it.
///
/// What a line leaves out has the value that [`Record::new`] gives it, and a `null` is the same as
/// leaving out. Points in time are texts in the form of [`timestamp::normalise`](super::timestamp::normalise).
#[derive(Clone, PartialEq)]
pub struct Record<'a> {
    pub id: Text<'a>,
    /// Left out: whichever project it is imported into.
    pub project_id: Option<Text<'a>>,
    /// Left out: `default`.
    pub namespace: Text<'a>,
    pub content: Text<'a>,
    /// [`content_hash`](crate::text::content_hash) of the content, by which a damaged line is known; 64
    /// hexadecimal digits.
    pub content_hash: Option<[u8; 32]>,
    pub agent_id: Option<Text<'a>>,
    pub user_id: Option<Text<'a>>,
    pub session_id: Option<Text<'a>>,
    pub entity_id: Option<Text<'a>>,
    /// Left out: as `memory_add` decides, see [`default_scope`]. Always written.
    pub scope: Text<'a>,
    pub shared_with_agents: Vec<Text<'a>>,
    pub metadata: JsonObject<'a>,
    /// Left out: `standard`.
    pub memory_type: Text<'a>,
    pub key: Option<Text<'a>>,
    pub is_sensitive: bool,
    /// What [`scan`](crate::scan) found in the content when it was written, where somebody wanted to know.
    pub content_flags: Vec<Text<'a>>,
    /// Whether an equal memory that is added later meets this one, which is what a `dedupe_hash`
    /// in the table means; it never does with a key. Left out: true.
    pub is_deduplicated: bool,
    /// Left out: 0.5.
    pub importance: f32,
    /// Left out: the store's own now.
    pub created_at: Option<Text<'a>>,
    /// Left out: as `created_at`.
    pub updated_at: Option<Text<'a>>,
    /// Left out: never. The text `infinity` is read as never, too.
    pub expires_at: Option<Text<'a>>,
    /// Not a live memory, but the trace of one.
    pub deleted_at: Option<Text<'a>>,
    /// Left out: 1.
    pub version: i32,
    pub is_deprecated: bool,
    pub deprecated_at: Option<Text<'a>>,
    pub deprecated_by: Option<Text<'a>>,
    pub superseded_by: Option<Text<'a>>,
    pub bullet_helpful: i32,
    pub bullet_harmful: i32,
    pub error_pattern: Option<Text<'a>>,
    pub source_trajectory_id: Option<Text<'a>>,
    /// The counters count these, and may count more that were not kept: an import counts the votes
    /// that are there. `None`: the export did not ask for votes, or there are none.
    pub votes: Option<Vec<Vote<'a>>>,
    pub embedding: Option<Vec<f32>>,
    /// The content hash of the text that the embedding is of, where that is not the content: a
    /// stale vector stays known as one.
    pub embedded_hash: Option<[u8; 32]>,
}

/// A vote on the memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Vote<'a> {
    /// Left out: the store gives one.
    pub id: Option<Text<'a>>,
    pub voter_agent_id: Text<'a>,
    /// `helpful` or `harmful`.
    pub vote: Text<'a>,
    pub context: Option<Text<'a>>,
    pub task_id: Option<Text<'a>>,
    pub created_at: Option<Text<'a>>,
    pub updated_at: Option<Text<'a>>,
    pub merged_from: Option<Text<'a>>,
}

/// What an export says of itself, in its first line and its last:
/// `{"memory_ext_export":{"format":1,"extension_version":"2.0.0",...,"counted":true}}` and
/// `{"memory_ext_export":{"format":1,"memories":345}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// What the lines mean; [`FORMAT`](super::FORMAT) or an older number.
    pub format: u32,
    pub extension_version: Option<Text<'a>>,
    pub exported_at: Option<Text<'a>>,
    pub embedder: Option<Text<'a>>,
    pub dimensions: Option<u32>,
    /// A last line of the same kind says how many memories came; a reader that does not know it reads over it.
    pub is_counted: bool,
    /// What that line says.
    pub memories: Option<u64>,
}

/// Explicit arguments decide, never the text: shared with somebody, of an agent, or everybody's.
pub fn default_scope(is_shared: bool, is_of_agent: bool) -> &'static str {
    match (is_shared, is_of_agent) {
        (true, _) => "agent-shared",
        (false, true) => "agent-private",
        (false, false) => "global",
    }
}

impl<'a> Record<'a> {
    /// A memory of which nothing else is known.
    pub fn new(id: impl Into<Text<'a>>, content: impl Into<Text<'a>>) -> Self {
        Self {
            id: id.into(),
            project_id: None,
            namespace: Cow::Borrowed("default"),
            content: content.into(),
            content_hash: None,
            agent_id: None,
            user_id: None,
            session_id: None,
            entity_id: None,
            scope: Cow::Borrowed(default_scope(false, false)),
            shared_with_agents: Vec::new(),
            metadata: JsonObject::default(),
            memory_type: Cow::Borrowed(crate::MEMORY_TYPES[0]),
            key: None,
            is_sensitive: false,
            content_flags: Vec::new(),
            is_deduplicated: true,
            importance: 0.5,
            created_at: None,
            updated_at: None,
            expires_at: None,
            deleted_at: None,
            version: 1,
            is_deprecated: false,
            deprecated_at: None,
            deprecated_by: None,
            superseded_by: None,
            bullet_helpful: 0,
            bullet_harmful: 0,
            error_pattern: None,
            source_trajectory_id: None,
            votes: None,
            embedding: None,
            embedded_hash: None,
        }
    }

    pub fn into_owned(self) -> Record<'static> {
        Record {
            id: owned(self.id),
            project_id: self.project_id.map(owned),
            namespace: owned(self.namespace),
            content: owned(self.content),
            content_hash: self.content_hash,
            agent_id: self.agent_id.map(owned),
            user_id: self.user_id.map(owned),
            session_id: self.session_id.map(owned),
            entity_id: self.entity_id.map(owned),
            scope: owned(self.scope),
            shared_with_agents: self.shared_with_agents.into_iter().map(owned).collect(),
            metadata: self.metadata.into_owned(),
            memory_type: owned(self.memory_type),
            key: self.key.map(owned),
            is_sensitive: self.is_sensitive,
            content_flags: self.content_flags.into_iter().map(owned).collect(),
            is_deduplicated: self.is_deduplicated,
            importance: self.importance,
            created_at: self.created_at.map(owned),
            updated_at: self.updated_at.map(owned),
            expires_at: self.expires_at.map(owned),
            deleted_at: self.deleted_at.map(owned),
            version: self.version,
            is_deprecated: self.is_deprecated,
            deprecated_at: self.deprecated_at.map(owned),
            deprecated_by: self.deprecated_by.map(owned),
            superseded_by: self.superseded_by.map(owned),
            bullet_helpful: self.bullet_helpful,
            bullet_harmful: self.bullet_harmful,
            error_pattern: self.error_pattern.map(owned),
            source_trajectory_id: self.source_trajectory_id.map(owned),
            votes: self
                .votes
                .map(|votes| votes.into_iter().map(Vote::into_owned).collect()),
            embedding: self.embedding,
            embedded_hash: self.embedded_hash,
        }
    }
}

impl Vote<'_> {
    pub fn into_owned(self) -> Vote<'static> {
        Vote {
            id: self.id.map(owned),
            voter_agent_id: owned(self.voter_agent_id),
            vote: owned(self.vote),
            context: self.context.map(owned),
            task_id: self.task_id.map(owned),
            created_at: self.created_at.map(owned),
            updated_at: self.updated_at.map(owned),
            merged_from: self.merged_from.map(owned),
        }
    }
}

fn owned(text: Text<'_>) -> Text<'static> {
    Cow::Owned(text.into_owned())
}

/// Says how long the texts are: any of them may be a secret.
impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("namespace", &self.namespace)
            .field("content_bytes", &self.content.len())
            .field("metadata", &self.metadata)
            .field("votes", &self.votes.as_ref().map(Vec::len))
            .field("dimensions", &self.embedding.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Vote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vote")
            .field("id", &self.id)
            .field("voter_agent_id", &self.voter_agent_id)
            .field("vote", &self.vote)
            .finish_non_exhaustive()
    }
}
