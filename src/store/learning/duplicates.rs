//! Memories that say nearly the same, found by the vector index, and merging them.

use crate::pg::error::{Error, Result};
use crate::pg::spi::{Planning, Session};
use crate::store::access::Call;
use crate::store::conditions::{Conditions, Filters};
use crate::store::learning::deprecate;
use crate::store::maintenance::progress::{Phase, Progress};
use crate::store::update;
use crate::store::{read, search};

/// Two memories alike; the first is the older one.
pub struct Pair {
    pub id: String,
    pub duplicate_id: String,
    pub similarity: f64,
    pub content: String,
    pub duplicate_content: String,
    /// What the votes say of each.
    confidence: f64,
    duplicate_confidence: f64,
    author: Option<String>,
    scope: String,
}

/// Neighbours of a memory that are looked at.
const NEIGHBOURS: usize = 8;

/// Columns that have to be equal: memories of different owners or kinds are not the same, however alike they are.
const ALIKE: &str = "o.project_id = m.project_id AND o.namespace = m.namespace AND o.scope = m.scope AND o.memory_type = m.memory_type
    AND o.agent_id IS NOT DISTINCT FROM m.agent_id AND o.user_id IS NOT DISTINCT FROM m.user_id
    AND o.session_id IS NOT DISTINCT FROM m.session_id AND o.entity_id IS NOT DISTINCT FROM m.entity_id
    AND o.shared_with_agents = m.shared_with_agents";

/// The pairs of greatest similarity among what the requester sees: for each memory the index is asked for its nearest, or,
/// where the set is small, all are compared.
pub fn pairs(
    call: &Call,
    similarity: f64,
    filters: Filters<'_>,
    page_size: i32,
) -> Result<Vec<Pair>> {
    if !(0.0..=1.0).contains(&similarity) {
        return Err(Error::argument(format!(
            "similarity is {similarity}, expected a number from 0 to 1"
        )));
    }
    read::check_page_size(page_size)?;
    let mut conditions = Conditions::default();
    conditions.visible(&call.access, false);
    filters.apply(&mut conditions)?;
    conditions.push("m.key IS NULL AND m.embedding IS NOT NULL");
    let of_one = conditions.sql().to_owned();
    let of_other = of_one.replace("m.", "o.");
    let threshold = search::exact_threshold(call, NEIGHBOURS);
    let small = call.store.sql(&format!(
        "SELECT count(*) <= {threshold} FROM (SELECT FROM @s@.memories m WHERE {of_one} LIMIT {threshold} + 1) counted"
    ));
    let least = conditions.arg(1.0 - similarity);
    // One statement: how far it is cannot be told, but that it is under way.
    let _comparing = Progress::of(Phase::Comparing, 0);
    call.sql(|session| {
        let small: bool = session
            .read(&small, Planning::Custom, &conditions.args[..conditions.args.len() - 1])
            .required(0, 1);
        let (order, settings) = match small {
            true => ("(o.embedding OPERATOR(@v@.<=>) m.embedding) + 0", None),
            false => (
                "o.embedding OPERATOR(@v@.<=>) m.embedding",
                Some(search::follow_index(NEIGHBOURS)),
            ),
        };
        // The older one of a pair finds the younger one or is found by it: either way it is one pair.
        let sql = call.store.sql(&format!(
            "WITH near AS MATERIALIZED (
                 SELECT DISTINCT CASE WHEN older THEN id ELSE other END AS id, CASE WHEN older THEN other ELSE id END AS duplicate_id, distance
                 FROM (SELECT m.id, o.id AS other, (m.created_at, m.id) < (o.created_at, o.id) AS older, o.distance
                       FROM @s@.memories m CROSS JOIN LATERAL (
                           SELECT o.id, o.created_at, o.embedding OPERATOR(@v@.<=>) m.embedding AS distance FROM @s@.memories o
                           WHERE {of_other} AND o.id <> m.id AND {ALIKE} ORDER BY {order} LIMIT {NEIGHBOURS}) o
                       WHERE {of_one} AND o.distance <= {least}) found
                 ORDER BY distance, id, duplicate_id LIMIT {page_size})
             SELECT n.id, n.duplicate_id, 1 - n.distance, m.content, d.content, {}, {}, m.agent_id, m.scope
             FROM near n JOIN @s@.memories m ON m.id = n.id AND m.project_id = $1
             JOIN @s@.memories d ON d.id = n.duplicate_id AND d.project_id = $1
             ORDER BY n.distance, n.id, n.duplicate_id",
            crate::store::learning::playbook::confidence_sql("m.bullet_helpful", "m.bullet_harmful"),
            crate::store::learning::playbook::confidence_sql("d.bullet_helpful", "d.bullet_harmful"),
        ));
        let rows = session.read(&sql, Planning::Custom, &conditions.args);
        drop(settings);
        Ok((0..rows.len())
            .map(|row| Pair {
                id: rows.required(row, 1),
                duplicate_id: rows.required(row, 2),
                similarity: rows.required(row, 3),
                content: rows.required(row, 4),
                duplicate_content: rows.required(row, 5),
                confidence: rows.required(row, 6),
                duplicate_confidence: rows.required(row, 7),
                author: rows.get(row, 8),
                scope: rows.required(row, 9),
            })
            .collect())
    })
}

/// A merge, done or proposed.
pub struct Merge {
    pub kept_id: String,
    pub merged_id: String,
    pub similarity: f64,
    pub votes: i32,
    pub done: bool,
}

/// Merges pairs, most alike first: the one with more confidence stays, then the older one. A memory takes part in one merge
/// a call; what the requester may not change is left out.
pub fn consolidate(
    call: &Call,
    similarity: f64,
    filters: Filters<'_>,
    page_size: i32,
    dry_run: bool,
) -> Result<Vec<Merge>> {
    let mut merged = std::collections::HashSet::new();
    let mut merges = Vec::new();
    for pair in pairs(call, similarity, filters, page_size)? {
        if merged.contains(&pair.id)
            || merged.contains(&pair.duplicate_id)
            || !call.access.may_write(pair.author.as_deref(), &pair.scope)
        {
            continue;
        }
        let (kept_id, merged_id) = match pair.duplicate_confidence > pair.confidence {
            true => (pair.duplicate_id, pair.id),
            false => (pair.id, pair.duplicate_id),
        };
        merged.insert(merged_id.clone());
        merges.push(Merge {
            kept_id,
            merged_id,
            similarity: pair.similarity,
            votes: 0,
            done: false,
        });
    }
    call.sql(|session| {
        let progress = Progress::of(Phase::Writing, merges.len() as i64);
        for (done, merge) in merges.iter_mut().enumerate() {
            progress.note(done as u64);
            merge.votes = votes_to_come(call, session, merge);
            if !dry_run {
                merge.done = unite(call, session, merge)?;
            }
        }
        Ok(merges)
    })
}

/// Votes of the one that voters have not cast on the other.
const NEW_VOTES: &str = "FROM @s@.vote_history v WHERE v.memory_id = $2 AND v.project_id = $3 AND NOT EXISTS (
    SELECT FROM @s@.vote_history k WHERE k.memory_id = $1 AND k.project_id = $3 AND k.voter_agent_id = v.voter_agent_id
           AND k.task_id IS NOT DISTINCT FROM v.task_id)";

fn votes_to_come(call: &Call, session: &Session, merge: &Merge) -> i32 {
    let sql = call.store.sql(&format!("SELECT count(*)::int {NEW_VOTES}"));
    let args = [
        merge.kept_id.as_str().into(),
        merge.merged_id.as_str().into(),
        call.project().into(),
    ];
    session.write(&sql, &args).required(0, 1)
}

/// Deprecates one for the other and counts its votes there; false when somebody has changed one of them meanwhile.
fn unite(call: &Call, session: &Session, merge: &Merge) -> Result<bool> {
    let (first, second) = match merge.kept_id < merge.merged_id {
        true => (&merge.kept_id, &merge.merged_id),
        false => (&merge.merged_id, &merge.kept_id),
    };
    if update::lock(call, session, first)?.is_none()
        || update::lock(call, session, second)?.is_none()
    {
        return Ok(false);
    }
    let sql = call.store.sql(&format!(
        "WITH moved AS (
             INSERT INTO @s@.vote_history (memory_id, project_id, voter_agent_id, vote, context, task_id, merged_from)
             SELECT $1, v.project_id, v.voter_agent_id, v.vote, v.context, v.task_id, $2 {NEW_VOTES}
             ON CONFLICT DO NOTHING RETURNING vote)
         UPDATE @s@.memories SET bullet_helpful = bullet_helpful + (SELECT count(*) FROM moved WHERE vote = 'helpful'),
                bullet_harmful = bullet_harmful + (SELECT count(*) FROM moved WHERE vote = 'harmful')
         WHERE id = $1 AND project_id = $3"
    ));
    let args = [
        merge.kept_id.as_str().into(),
        merge.merged_id.as_str().into(),
        call.project().into(),
    ];
    session.write(&sql, &args);
    deprecate::deprecate(
        call,
        &merge.merged_id,
        Some("consolidated"),
        Some(&merge.kept_id),
    )
}
