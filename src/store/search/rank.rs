//! From candidates to the answer: fusion, recency and importance, diversity, and the rows themselves.

use std::borrow::Cow;
use std::collections::HashMap;

use memory_core::rank::{self, fuse};

use super::arms::Arms;
use super::vector_arm::Nearest;
use super::{Fusion, Hit, LARGEST_DIVERSE, Mode, Search, past_arms};
use crate::pg::spi::{Planning, Rows};
use crate::pg::system;
use crate::pg::vector::Vector;
use crate::store::access::Call;
use crate::store::conditions;

pub fn hits(search: &Search, call: &Call, arms: &mut Arms) -> Vec<Hit> {
    let mut scored = fused(search, arms);
    // Ties by id, so that equal questions have equal answers.
    let by_score = |a: &(u32, f64), b: &(u32, f64)| {
        b.1.total_cmp(&a.1)
            .then_with(|| arms.ids[a.0 as usize].cmp(&arms.ids[b.0 as usize]))
    };
    scored.sort_by(by_score);
    if !search.reranks() {
        scored.truncate(search.k);
    }
    let mut rows = fetch(search, call, arms, &scored);
    if search.boosts() {
        for hit in &mut rows {
            hit.score = boosted(search, hit);
        }
        rows.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    }
    if let Some(least) = search.min_score {
        rows.retain(|hit| hit.score >= least);
    }
    if search.diversity > 0.0 {
        rows = diverse(search, call, rows);
    }
    rows.truncate(search.k);
    rows
}

/// The nearest vectors as the answer: nothing is fused, and the rows may be there already.
pub fn nearest(search: &Search, call: &Call, found: Nearest) -> Vec<Hit> {
    if found.rows.is_empty() {
        let mut arms = Arms::of_vectors(found);
        return hits(search, call, &mut arms);
    }
    let mut rows = found.rows;
    for row in &mut rows {
        row.score = vector_score(row.similarity.unwrap_or(0.0));
    }
    rows.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    if let Some(least) = search.min_score {
        rows.retain(|hit| hit.score >= least);
    }
    rows
}

/// A cosine as a score from 0 to 1.
fn vector_score(similarity: f64) -> f64 {
    (similarity + 1.0) / 2.0
}

/// One score from 0 to 1 a candidate.
fn fused(search: &Search, arms: &Arms) -> Vec<(u32, f64)> {
    match search.mode {
        Mode::Vector => arms
            .vector
            .iter()
            .map(|&(candidate, similarity)| (candidate, vector_score(similarity)))
            .collect(),
        Mode::Text => {
            let best = arms.text.first().map_or(1.0, |(_, score)| *score);
            arms.text
                .iter()
                .map(|&(candidate, score)| (candidate, if best > 0.0 { score / best } else { 1.0 }))
                .collect()
        }
        Mode::Hybrid => match search.fusion {
            Fusion::ReciprocalRank => fuse::rrf(&arms.vector, &arms.text),
            Fusion::Weighted => {
                // A candidate without any word of the query has text score 0, which is a score like any other.
                let mut text = arms.text.clone();
                let matched: std::collections::HashSet<u32> =
                    text.iter().map(|(candidate, _)| *candidate).collect();
                text.extend(
                    (0..arms.ids.len() as u32)
                        .filter(|candidate| !matched.contains(candidate))
                        .map(|candidate| (candidate, 0.0)),
                );
                fuse::weighted(&arms.vector, &text, search.text_weight)
            }
        },
    }
}

/// Relevance, partly replaced by what votes say and by importance, faded by age.
fn boosted(search: &Search, hit: &Hit) -> f64 {
    let mix = |score: f64, other: f64, share: f64| score * (1.0 - share) + other * share;
    let mut score = mix(hit.score, hit.confidence(), search.effectiveness_weight);
    score = mix(score, f64::from(hit.importance), search.importance_weight);
    let now = match &search.past {
        None => system::now(),
        Some((time, _)) => *time,
    };
    let age_micros = now.into_inner() - hit.created_at.into_inner();
    let age_seconds = age_micros as f64 / 1e6;
    if let Some(half_life) = search.recency_half_life_seconds {
        score *= rank::recency(age_seconds, half_life);
    }
    if let Some(half_lives) = &search.half_lives {
        score *= half_lives.decay(&hit.memory_type, age_seconds);
    }
    score
}

impl Hit {
    /// A lower bound of the share of tasks the memory helps with, by its votes.
    pub fn confidence(&self) -> f64 {
        rank::votes::confidence(self.helpful.unsigned_abs(), self.harmful.unsigned_abs())
    }

    pub fn effectiveness(&self) -> f64 {
        rank::votes::effectiveness(self.helpful.unsigned_abs(), self.harmful.unsigned_abs())
    }
}

macro_rules! columns {
    ($votes:literal) => {
        concat!(
            "m.id, CASE WHEN m.is_sensitive THEN '***' ELSE m.content END AS content, m.key, m.memory_type, m.scope,
             m.agent_id, m.namespace, m.metadata, m.created_at, m.expires_at, m.importance, ",
            $votes
        )
    };
}

/// What is read of a found row, from the alias `m`.
pub fn columns(call: &Call) -> &'static str {
    match call.store.has_ace() {
        true => columns!("m.bullet_helpful, m.bullet_harmful, m.error_pattern"),
        false => {
            columns!("0 AS bullet_helpful, 0 AS bullet_harmful, NULL::text AS error_pattern")
        }
    }
}

/// Columns of the rows with these ids, by primary key: `id = ANY (...)` could be planned as a scan of the whole project's
/// part of another index.
fn rows_of(
    search: &Search,
    call: &Call,
    columns: &str,
    ids: Vec<String>,
    take: impl FnOnce(&Rows<'_>),
) {
    let Some((_, past)) = &search.past else {
        let sql = call.store.sql(&format!(
            "SELECT {columns} FROM unnest($2) AS wanted (id) JOIN @s@.memories m ON m.id = wanted.id AND m.project_id = $1"
        ));
        let args = [call.project().into(), ids.into()];
        return call.sql(|session| take(&session.read(&sql, Planning::Generic, &args)));
    };
    let mut args = search.conditions.args.clone();
    let ids = conditions::append(&mut args, ids);
    let sql = call.store.sql(&format!(
        "SELECT {columns} FROM {past} WHERE {} AND m.id = ANY ({ids})",
        search.conditions.sql()
    ));
    call.sql(|session| take(&session.read(&sql, Planning::Custom, &args)));
}

/// The rows of what was found.
fn fetch(search: &Search, call: &Call, arms: &mut Arms, scored: &[(u32, f64)]) -> Vec<Hit> {
    let mut found = std::mem::take(&mut arms.rows);
    if found.is_empty() && !scored.is_empty() {
        let ids: Vec<String> = scored
            .iter()
            .map(|(candidate, _)| arms.ids[*candidate as usize].clone())
            .collect();
        rows_of(search, call, columns(call), ids, |rows| {
            let hits = (0..rows.len()).map(|row| hit(rows, row));
            found = hits.map(|hit| (hit.id.clone(), hit)).collect();
        });
    }
    scored
        .iter()
        .filter_map(|&(candidate, score)| {
            let mut hit = found.remove(&arms.ids[candidate as usize])?;
            hit.score = score;
            hit.relevance = score;
            hit.similarity = arms.similarity(candidate);
            hit.text_rank = arms.text_rank(candidate);
            Some(hit)
        })
        .collect()
}

/// A row that begins with these columns.
pub fn hit(rows: &Rows<'_>, row: usize) -> Hit {
    Hit {
        id: rows.required(row, 1),
        content: rows.required(row, 2),
        key: rows.get(row, 3),
        memory_type: rows.required(row, 4),
        scope: rows.required(row, 5),
        agent_id: rows.get(row, 6),
        namespace: rows.required(row, 7),
        metadata: rows.required(row, 8),
        created_at: rows.required(row, 9),
        expires_at: rows.get(row, 10),
        importance: rows.required(row, 11),
        helpful: rows.required(row, 12),
        harmful: rows.required(row, 13),
        error_pattern: rows.get(row, 14),
        score: 0.0,
        relevance: 0.0,
        similarity: None,
        text_rank: None,
    }
}

/// How many they are; what a statement adds comes behind them.
pub const COLUMN_COUNT: usize = 14;

/// Maximal marginal relevance over the candidates' vectors. Its work grows with candidates times k, so both are bounded.
fn diverse(search: &Search, call: &Call, mut rows: Vec<Hit>) -> Vec<Hit> {
    rows.truncate(LARGEST_DIVERSE);
    let ids: Vec<String> = rows.iter().map(|hit| hit.id.clone()).collect();
    let columns = match &search.past {
        None => "m.id, m.embedding".into(),
        Some(_) => Cow::from(format!(
            "m.id, m.embedding, {}",
            past_arms::text_columns(call)
        )),
    };
    let mut vectors: HashMap<String, Vector> = HashMap::new();
    rows_of(search, call, &columns, ids, |found| {
        // Of now there are two columns only, and nothing to make a vector of.
        let vector = |row| {
            let kept: Option<Vector> = found.get(row, 2);
            kept.or_else(|| past_arms::embed(call, found, row, 3))
        };
        vectors = (0..found.len())
            .filter_map(|row| Some((found.get(row, 1)?, vector(row)?)))
            .collect();
    });
    let relevance: Vec<f64> = rows.iter().map(|hit| hit.score).collect();
    let vectors: Vec<Option<&[f32]>> = rows
        .iter()
        .map(|hit| vectors.get(&hit.id).map(|vector| vector.0.as_slice()))
        .collect();
    let picked = rank::mmr(&relevance, &vectors, search.diversity, search.k);
    let mut rows: Vec<Option<Hit>> = rows.into_iter().map(Some).collect();
    picked
        .into_iter()
        .filter_map(|place| rows[place].take())
        .collect()
}
