//! The playbook of a past time: contents, deprecations, ends of life and votes as they were then.
//!
//! The versions of that time have no index of their own; all that match are compared.

use pgrx::datum::TimestampWithTimeZone;

use crate::pg::error::{Error, Result};
use crate::pg::guc;
use crate::pg::spi::{Arg, Planning};
use crate::pg::system;
use crate::store::access::Call;
use crate::store::conditions::Conditions;
use crate::store::embedder::Embedder;
use crate::store::learning::playbook::{
    Entry, Question, check_k, confidence_sql, decay_sql, entry,
};
use crate::store::memory;

/// The k best entries as of `time`.
pub fn at(call: &Call, question: Question<'_>, time: TimestampWithTimeZone) -> Result<Vec<Entry>> {
    check_k(question.k)?;
    if time.into_inner() > system::now().into_inner() {
        return Err(Error::argument("as_of is in the future")
            .hint("Leave it out for the playbook as it is now."));
    }
    if let Some(embedding) = &question.embedding {
        memory::check_vector("embedding", embedding, call.store.dimensions)?;
    }
    let mut conditions = Conditions::default();
    conditions.in_scope(&call.access);
    // Who may not see a memory as it is now does not see what it was either.
    let now_visible = conditions.sql().replace("m.", "c.");
    let time = conditions.arg(time);
    conditions.push(format_args!("m.created_at <= {time}"));
    conditions.push(format_args!(
        "(m.deleted_at IS NULL OR m.deleted_at > {time})"
    ));
    conditions.push(format_args!(
        "(m.expires_at IS NULL OR m.expires_at > {time})"
    ));
    conditions.push("NOT m.is_deprecated");
    let query = question
        .query
        .filter(|query| !memory_core::text::is_blank(query));
    if let Some(query) = query {
        memory::check_length("query", query)?;
    }
    let embedding = question
        .embedding
        .or_else(|| call.store.embedder.embed(query?, call.store.dimensions));
    question.filters.apply(&mut conditions)?;

    let similarity = embedding.as_ref().map(|embedding| {
        let place = {
            conditions.args.push(Arg::vector(
                Some(embedding),
                call.store.identity.vector_type,
            ));
            format!("${}", conditions.args.len())
        };
        // A version's vector is the current one's if the content is the same, or one that was kept; else it is made again.
        let made = match call.store.embedder {
            Embedder::External => "NULL",
            Embedder::Hash | Embedder::Md5 => "CASE WHEN NOT m.is_sensitive THEN @s@.memory_embed(m.content) END",
        };
        let model = conditions.arg(call.store.model.as_str());
        format!(
            "(SELECT (2 - (v.vector OPERATOR(@v@.<=>) {place})) / 2 FROM (SELECT coalesce(
                 CASE WHEN c.embedded_hash = m.content_hash THEN c.embedding END,
                 (SELECT e.embedding FROM @s@.embedding_cache e WHERE e.model = {model} AND e.content_hash = m.content_hash),
                 {made}) AS vector) v)"
        )
    });
    let text = query.map(|query| {
        let query = conditions.arg(query);
        let config = {
            conditions.args.push(Arg::oid(call.store.config));
            format!("${}::regconfig", conditions.args.len())
        };
        format!(
            "CASE WHEN NOT m.is_sensitive THEN ts_rank(to_tsvector({config}, left(m.content, 100000)),
                 replace(plainto_tsquery({config}, {query})::text, ' & ', ' | ')::tsquery, 32)::float8 ELSE 0 END"
        )
    });
    let weight = guc::text_weight();
    let relevance = match (similarity, text) {
        (Some(similarity), Some(text)) => {
            format!(
                "coalesce({similarity} * {} + {text} * {weight}, {text})",
                1.0 - weight
            )
        }
        (Some(similarity), None) => format!("coalesce({similarity}, 0)"),
        (None, Some(text)) => text,
        (None, None) => "NULL::float8".to_owned(),
    };
    let share = guc::effectiveness_weight();
    let confidence = confidence_sql("m.bullet_helpful", "m.bullet_harmful");
    let decay = match guc::decay() {
        true => decay_sql(time),
        false => "1".to_owned(),
    };
    let sql = call.store.sql(&format!(
        "WITH past AS (
             SELECT m.id, m.project_id, m.namespace, m.content, m.content_hash, m.agent_id, m.user_id, m.session_id, m.entity_id, m.scope,
                    m.shared_with_agents, m.metadata, m.memory_type, m.is_sensitive, m.created_at, m.expires_at, m.deleted_at,
                    m.is_deprecated, m.error_pattern
             FROM @s@.memories m WHERE m.project_id = $1 AND m.updated_at <= {time}
             UNION ALL
             SELECT m.memory_id, m.project_id, m.namespace, m.content, m.content_hash, m.agent_id, m.user_id, m.session_id, m.entity_id, m.scope,
                    m.shared_with_agents, m.metadata, m.memory_type, m.is_sensitive, m.created_at, m.expires_at, m.deleted_at,
                    m.is_deprecated, m.error_pattern
             FROM @s@.memory_history m WHERE m.project_id = $1 AND m.valid_from <= {time} AND m.valid_to > {time}),
         counted AS (
             SELECT p.*, v.bullet_helpful, v.bullet_harmful FROM past p, LATERAL (
                 SELECT count(*) FILTER (WHERE vote = 'helpful')::int AS bullet_helpful, count(*) FILTER (WHERE vote = 'harmful')::int AS bullet_harmful
                 FROM (SELECT coalesce((SELECT c.vote FROM @s@.vote_changes c
                                        WHERE c.memory_id = h.memory_id AND c.project_id = h.project_id AND c.voter_agent_id = h.voter_agent_id
                                              AND c.task_id IS NOT DISTINCT FROM h.task_id AND c.changed_at > {time}
                                        ORDER BY c.changed_at, c.change_id LIMIT 1), h.vote) AS vote
                       FROM @s@.vote_history h
                       WHERE h.memory_id = p.id AND h.project_id = p.project_id AND h.created_at <= {time}) votes) v),
         found AS (
             SELECT m.id, CASE WHEN m.is_sensitive OR c.is_sensitive THEN '***' ELSE m.content END AS content, m.memory_type,
                    {relevance} AS relevance, m.bullet_helpful, m.bullet_harmful, m.error_pattern, m.agent_id, m.namespace, m.metadata,
                    m.created_at, {confidence} AS confidence, {decay} AS decay
             FROM counted m JOIN @s@.memories c ON c.id = m.id AND c.project_id = m.project_id
             WHERE {} AND {now_visible})
         SELECT id, content, memory_type, coalesce(relevance * {} + confidence * {share}, confidence) * decay AS score, relevance, bullet_helpful,
                bullet_harmful, error_pattern, agent_id, namespace, metadata, created_at
         FROM found ORDER BY score DESC, created_at DESC, id LIMIT {}",
        conditions.sql(),
        1.0 - share,
        question.k
    ));
    Ok(call.sql(|session| {
        let rows = session.read(&sql, Planning::Custom, &conditions.args);
        (0..rows.len()).map(|row| entry(&rows, row)).collect()
    }))
}
