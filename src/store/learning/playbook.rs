//! The playbook: what agents have learned, best first by relevance and by what votes say of it; of now or of a past time.

use pgrx::datum::TimestampWithTimeZone;

use crate::pg::error::{Error, Result};
use crate::pg::guc;
use crate::pg::json::Jsonb;
use crate::pg::spi::{Planning, Rows};
use crate::pg::vector::Vector;
use crate::store::access::Call;
use crate::store::conditions::{Conditions, Filters};
use crate::store::past::{self, Which};
use crate::store::search::{self, Request, Search};

/// What a caller asks for.
pub struct Question<'a> {
    pub query: Option<&'a str>,
    pub embedding: Option<Vector>,
    pub k: i32,
    pub filters: Filters<'a>,
}

pub struct Entry {
    pub id: String,
    pub content: String,
    pub memory_type: String,
    pub score: f64,
    pub relevance: Option<f64>,
    pub effectiveness: f64,
    pub confidence: f64,
    pub helpful: i32,
    pub harmful: i32,
    pub error_pattern: Option<String>,
    pub agent_id: Option<String>,
    pub namespace: String,
    pub metadata: Jsonb,
    pub created_at: TimestampWithTimeZone,
}

/// The k best entries.
pub fn best(call: &Call, question: Question<'_>) -> Result<Vec<Entry>> {
    let asked = question.embedding.is_some()
        || question
            .query
            .is_some_and(|query| !memory_core::text::is_blank(query));
    if !asked {
        return by_votes(call, question);
    }
    let request = Request {
        query: question.query,
        k: Some(question.k),
        embedding: question.embedding,
        filters: question.filters,
        effectiveness_weight: guc::effectiveness_weight(),
        votes: true,
        ..Request::default()
    };
    let hits = Search::new(call, request)?.run(call);
    Ok(hits
        .into_iter()
        .map(|hit| Entry {
            effectiveness: hit.effectiveness(),
            confidence: hit.confidence(),
            id: hit.id,
            content: hit.content,
            memory_type: hit.memory_type,
            score: hit.score,
            relevance: Some(hit.relevance),
            helpful: hit.helpful,
            harmful: hit.harmful,
            error_pattern: hit.error_pattern,
            agent_id: hit.agent_id,
            namespace: hit.namespace,
            metadata: hit.metadata,
            created_at: hit.created_at,
        })
        .collect())
}

fn check_k(k: i32) -> Result<()> {
    if (1..=search::LARGEST_K).contains(&k) {
        return Ok(());
    }
    Err(Error::argument(format!(
        "k is {k}, expected a number from 1 to {}",
        search::LARGEST_K
    )))
}

/// memory_core::rank::votes::confidence, in SQL, of the votes that two expressions count.
pub fn confidence_sql(helpful: &str, harmful: &str) -> String {
    let mean = format!("({helpful} + 1.0::float8) / ({helpful} + {harmful} + 2)");
    format!("({mean} - sqrt(({mean}) * (1 - {mean}) / ({helpful} + {harmful} + 3)))")
}

/// What is left of a weight at `now`: types::HalfLives::decay, in SQL, of the alias `m`.
fn decay_sql(now: impl std::fmt::Display) -> String {
    let age = format!("greatest(extract(epoch FROM {now} - m.created_at)::float8 / 86400, 0)");
    let half_life = "(SELECT CASE WHEN t.memory_type IS NULL THEN s.half_life_days ELSE t.half_life_days END
                      FROM (SELECT max(half_life_days) AS half_life_days FROM @s@.memory_types WHERE memory_type = 'standard') s
                      LEFT JOIN @s@.memory_types t ON t.memory_type = m.memory_type)";
    format!("coalesce(exp(-ln(2.0::float8) * {age} / {half_life}), 1)")
}

/// The k best entries by their votes alone.
fn by_votes(call: &Call, question: Question<'_>) -> Result<Vec<Entry>> {
    check_k(question.k)?;
    let mut conditions = Conditions::default();
    let memories = past::memories_with_votes(call, &mut conditions, Which::Live);
    question.filters.apply(&mut conditions)?;
    if guc::hide_flagged() && call.store.has_safety() {
        conditions.push("m.content_flags IS NULL");
    }
    let mut score = confidence_sql("m.bullet_helpful", "m.bullet_harmful");
    if guc::decay() {
        let decay = match call.time {
            None => decay_sql("now()"),
            Some(time) => decay_sql(conditions.arg(time)),
        };
        score = format!("{score} * {decay}");
    }
    let columns = |score: &str| {
        format!(
            "m.id, CASE WHEN m.is_sensitive THEN '***' ELSE m.content END, m.memory_type, {score}, NULL::float8, m.bullet_helpful,
             m.bullet_harmful, m.error_pattern, m.agent_id, m.namespace, m.metadata, m.created_at"
        )
    };
    let (conditions_sql, k) = (conditions.sql(), question.k);
    let sql = match call.time {
        // Only ids go through the sort.
        None => format!(
            "SELECT {} FROM (SELECT m.id, m.created_at, {score} AS score FROM {memories} WHERE {conditions_sql}
                   ORDER BY score DESC, m.created_at DESC, m.id LIMIT {k}) b
             JOIN @s@.memories m ON m.id = b.id AND m.project_id = $1
             ORDER BY b.score DESC, b.created_at DESC, b.id",
            columns("b.score")
        ),
        Some(_) => format!(
            "SELECT {} FROM (SELECT m.*, {score} AS score FROM {memories} WHERE {conditions_sql}) m
             ORDER BY m.score DESC, m.created_at DESC, m.id LIMIT {k}",
            columns("m.score")
        ),
    };
    let sql = call.store.sql(&sql);
    Ok(call.sql(|session| {
        let rows = session.read(&sql, Planning::Custom, &conditions.args);
        (0..rows.len()).map(|row| entry(&rows, row)).collect()
    }))
}

/// id, content, memory_type, score, relevance, helpful, harmful, error_pattern, agent_id, namespace, metadata, created_at.
fn entry(rows: &Rows<'_>, row: usize) -> Entry {
    let (helpful, harmful): (i32, i32) = (rows.required(row, 6), rows.required(row, 7));
    let votes = (helpful.unsigned_abs(), harmful.unsigned_abs());
    Entry {
        id: rows.required(row, 1),
        content: rows.required(row, 2),
        memory_type: rows.required(row, 3),
        score: rows.required(row, 4),
        relevance: rows.get(row, 5),
        effectiveness: memory_core::rank::votes::effectiveness(votes.0, votes.1),
        confidence: memory_core::rank::votes::confidence(votes.0, votes.1),
        helpful,
        harmful,
        error_pattern: rows.get(row, 8),
        agent_id: rows.get(row, 9),
        namespace: rows.required(row, 10),
        metadata: rows.required(row, 11),
        created_at: rows.required(row, 12),
    }
}
