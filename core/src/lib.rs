//! The parts of memory_ext that need no PostgreSQL: pure functions, tested without a server.
//!
//! | module | topic |
//! |---|---|
//! | [`embed`] | built-in embedders: `hash` (lexical similarity, the default) and `md5` (compatibility) |
//! | [`text`] | content normalisation, content hash, deduplication key, token estimate |
//! | [`id`] | time-ordered memory ids |
//! | [`rank`] | BM25, fusion of ranked lists, recency, diversity |
//! | [`query`] | the query syntax of search: words, "phrases", -exclusions |
//! | [`filter`] | the JSON filter language, compiled to an SQL/JSON path predicate |
//! | [`merge_patch`] | RFC 7396 on JSON texts |
//! | [`vector`] | which vectors can be compared |
//! | [`jsonl`] | the record of export and import: JSON lines, JSON, CSV, the formats of other systems |
//! | [`progress`] | states of sessions and features, their items, how far they are |
//! | [`container`] | the encrypted container of a backup, and its manifest |
//! | [`copy_text`] | PostgreSQL's COPY text format: fields of a line, and back |
//! | [`scan`] | personal data, secrets and prompt injection in a text; redaction |
//! | [`seal`] | tamper evidence of the audit trail: Merkle roots chained by HMAC |
//! | [`counters`] | counters and histograms that many count in at once |
//! | [`template`] | statements with placeholders, filled in one pass |
//! | [`exposition`] | Prometheus's text format |
//!
//! No function here panics on any input, reads a clock or draws a random number.
#![forbid(unsafe_code)]

pub mod container;
pub mod copy_text;
pub mod counters;
pub mod embed;
pub mod exposition;
pub mod filter;
pub mod id;
pub mod jsonl;
pub mod merge_patch;
pub mod progress;
pub mod query;
pub mod rank;
pub mod scan;
pub mod seal;
pub mod template;
pub mod text;
pub mod vector;

/// What a memory can be; the first is the default.
pub const MEMORY_TYPES: &[&str] = &[
    "standard",
    "reflection",
    "strategy",
    "progress",
    "feature",
    "episodic",
    "semantic",
    "procedural",
    "control",
];

/// Who may see a memory, from narrow to wide. The store's CHECK constraint lists the same.
pub const SCOPES: &[&str] = &["agent-private", "agent-shared", "global"];
