//! Rows of the audit trail, and the leaves they give.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::encoding::Encoder;
use super::{Hash, Table};

/// A row of memory_events. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventFields<'a> {
    pub event_id: i64,
    pub occurred_at: i64,
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    #[serde(borrow)]
    pub project_id: Cow<'a, str>,
    #[serde(borrow)]
    pub memory_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub role: Cow<'a, str>,
    #[serde(borrow)]
    pub agent_id: Option<Cow<'a, str>>,
    /// The text of the jsonb, as PostgreSQL writes it.
    #[serde(borrow)]
    pub payload: Cow<'a, str>,
}

impl EventFields<'_> {
    pub fn leaf(&self) -> Leaf {
        let mut encoder = Encoder::new(Sha256::new(), "memory_ext audit event 1");
        encoder.int(self.event_id);
        encoder.int(self.occurred_at);
        encoder.text(&self.event);
        encoder.text(&self.project_id);
        encoder.optional_text(self.memory_id.as_deref());
        encoder.text(&self.role);
        encoder.optional_text(self.agent_id.as_deref());
        encoder.text(&self.payload);
        Leaf {
            id: self.event_id,
            digest: encoder.finish().finalize().into(),
        }
    }
}

/// A row of memory_history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryFields<'a> {
    pub history_id: i64,
    #[serde(borrow)]
    pub project_id: Cow<'a, str>,
    #[serde(borrow)]
    pub memory_id: Cow<'a, str>,
    pub version: i32,
    #[serde(borrow)]
    pub operation: Cow<'a, str>,
    #[serde(borrow)]
    pub content: Cow<'a, str>,
    /// In an export as hexadecimal digits.
    #[serde(with = "super::export::hexadecimal")]
    pub content_hash: Cow<'a, [u8]>,
    #[serde(borrow)]
    pub namespace: Cow<'a, str>,
    #[serde(borrow)]
    pub agent_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub user_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub session_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub entity_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub scope: Cow<'a, str>,
    pub shared_with_agents: Vec<Option<String>>,
    /// The text of the jsonb, as PostgreSQL writes it.
    #[serde(borrow)]
    pub metadata: Cow<'a, str>,
    #[serde(borrow)]
    pub memory_type: Cow<'a, str>,
    #[serde(borrow)]
    pub key: Option<Cow<'a, str>>,
    pub is_sensitive: bool,
    pub importance: f32,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub deleted_at: Option<i64>,
    pub valid_from: i64,
    pub valid_to: i64,
    #[serde(borrow)]
    pub changed_by: Cow<'a, str>,
    #[serde(borrow)]
    pub changed_as_agent: Option<Cow<'a, str>>,
    pub is_deprecated: bool,
    #[serde(borrow)]
    pub superseded_by: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub error_pattern: Option<Cow<'a, str>>,
}

impl HistoryFields<'_> {
    pub fn leaf(&self) -> Leaf {
        let mut encoder = Encoder::new(Sha256::new(), "memory_ext audit history 1");
        encoder.int(self.history_id);
        encoder.text(&self.project_id);
        encoder.text(&self.memory_id);
        encoder.int(self.version.into());
        encoder.text(&self.operation);
        encoder.text(&self.content);
        encoder.bytes(&self.content_hash);
        encoder.text(&self.namespace);
        encoder.optional_text(self.agent_id.as_deref());
        encoder.optional_text(self.user_id.as_deref());
        encoder.optional_text(self.session_id.as_deref());
        encoder.optional_text(self.entity_id.as_deref());
        encoder.text(&self.scope);
        encoder.list(self.shared_with_agents.len());
        for agent in &self.shared_with_agents {
            encoder.optional_text(agent.as_deref());
        }
        encoder.text(&self.metadata);
        encoder.text(&self.memory_type);
        encoder.optional_text(self.key.as_deref());
        encoder.flag(self.is_sensitive);
        encoder.bytes(&self.importance.to_bits().to_be_bytes());
        encoder.int(self.created_at);
        encoder.optional_int(self.expires_at);
        encoder.optional_int(self.deleted_at);
        encoder.int(self.valid_from);
        encoder.int(self.valid_to);
        encoder.text(&self.changed_by);
        encoder.optional_text(self.changed_as_agent.as_deref());
        encoder.flag(self.is_deprecated);
        encoder.optional_text(self.superseded_by.as_deref());
        encoder.optional_text(self.error_pattern.as_deref());
        Leaf {
            id: self.history_id,
            digest: encoder.finish().finalize().into(),
        }
    }
}

/// What is kept of a row: its id, and the hash of all its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub id: i64,
    pub digest: Hash,
}

/// A leaf as bytes: the id, the highest byte first, and the digest.
pub const LEAF_BYTES: usize = 40;

impl Leaf {
    /// The leaf hash of RFC 6962: SHA-256 of 0x00 and the leaf's input, here table, id and digest. The id stands
    /// there by itself so that it is proven even when the row is gone.
    pub fn hash(&self, table: Table) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update([0x00, table.code()]);
        hasher.update(self.id.to_be_bytes());
        hasher.update(self.digest);
        hasher.finalize().into()
    }

    pub fn to_bytes(&self) -> [u8; LEAF_BYTES] {
        let mut bytes = [0; LEAF_BYTES];
        let (id, digest) = bytes.split_at_mut(8);
        id.copy_from_slice(&self.id.to_be_bytes());
        digest.copy_from_slice(&self.digest);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, digest) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            id: i64::from_be_bytes(*id),
            digest: digest.try_into().ok()?,
        })
    }
}

/// The leaf hash of an event.
pub fn leaf_hash(row: &EventFields) -> Hash {
    row.leaf().hash(Table::Events)
}

/// Leaves as one value to be kept with their seal.
pub fn leaves_to_bytes(leaves: &[Leaf]) -> Vec<u8> {
    leaves.iter().flat_map(Leaf::to_bytes).collect()
}

/// None if the length is none that leaves have.
pub fn leaves_from_bytes(bytes: &[u8]) -> Option<Vec<Leaf>> {
    bytes.chunks(LEAF_BYTES).map(Leaf::from_bytes).collect()
}
