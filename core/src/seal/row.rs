//! Rows of the audit trail, and the leaves they give.

use std::borrow::Cow;

use hmac::Mac;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::chain::mac;
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

/// What hides the contents of a batch of versions in their leaves: random bytes that are kept beside the seal and never leave the
/// database. Without it a leaf would let anybody try guesses of a short secret.
#[derive(Clone)]
pub struct Blind(Hash);

impl Blind {
    pub fn new(bytes: Hash) -> Self {
        Self(bytes)
    }

    /// What hides the content of one version; told to whoever may read that content.
    pub fn of_row(&self, history_id: i64) -> Hash {
        let message = [
            &b"memory_ext audit blind 1"[..],
            &history_id.to_be_bytes()[..],
        ]
        .concat();
        mac(&self.0, &message).finalize().into_bytes().into()
    }
}

/// What stands for a content in its row's leaf: it binds to the content, and tells nothing of it to who lacks `blind`.
pub fn commitment(blind: &Hash, content_sha256: &Hash, content_hash: &[u8]) -> Hash {
    let mut encoder = Encoder::new(Vec::new(), "memory_ext audit content 1");
    encoder.bytes(content_sha256);
    encoder.bytes(content_hash);
    mac(blind, &encoder.finish()).finalize().into_bytes().into()
}

/// A row of memory_history.
///
/// Either with its content, the hash of it and what blinds both, or, where the content is secret, with the commitment to it
/// alone.
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
    pub content: Option<Cow<'a, str>>,
    /// In an export as hexadecimal digits, as the next two.
    #[serde(with = "super::export::hexadecimal")]
    pub content_hash: Option<Cow<'a, [u8]>>,
    #[serde(with = "super::export::hexadecimal_hash")]
    pub blind: Option<Hash>,
    #[serde(with = "super::export::hexadecimal_hash")]
    pub commitment: Option<Hash>,
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
    /// The commitment to the content. A row that was not sealed has none: the zeros are no commitment to anything.
    fn committed(&self) -> Hash {
        let (content, content_hash) = (self.content.as_deref(), self.content_hash.as_deref());
        match (content, content_hash, &self.blind, self.commitment) {
            (None, None, None, Some(commitment)) => commitment,
            (Some(content), Some(content_hash), Some(blind), None) => {
                let content_sha256: Hash = Sha256::digest(content.as_bytes()).into();
                commitment(blind, &content_sha256, content_hash)
            }
            _ => [0; 32],
        }
    }

    pub fn leaf(&self) -> Leaf {
        self.leaf_as(self.is_sensitive)
    }

    /// The row as it is compared: a memory that becomes secret makes its older versions secret too, and nothing else of them
    /// ever changes.
    pub fn seen(&self) -> SeenRow {
        SeenRow {
            leaf: self.leaf(),
            before_secret: self.is_sensitive.then(|| self.leaf_as(false).digest),
        }
    }

    fn leaf_as(&self, is_sensitive: bool) -> Leaf {
        let mut encoder = Encoder::new(Sha256::new(), "memory_ext audit history 1");
        encoder.int(self.history_id);
        encoder.text(&self.project_id);
        encoder.text(&self.memory_id);
        encoder.int(self.version.into());
        encoder.text(&self.operation);
        encoder.bytes(&self.committed());
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
        encoder.flag(is_sensitive);
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

/// A row as it is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenRow {
    pub leaf: Leaf,
    /// The digest that a version had before its memory became secret.
    pub before_secret: Option<Hash>,
}

impl From<Leaf> for SeenRow {
    fn from(leaf: Leaf) -> Self {
        Self {
            leaf,
            before_secret: None,
        }
    }
}

impl SeenRow {
    /// Whether it is the row of this leaf.
    pub(super) fn is(&self, kept: &Leaf) -> bool {
        self.leaf.digest == kept.digest || self.before_secret == Some(kept.digest)
    }
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
