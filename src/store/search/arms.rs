//! The two arms together: what each found, and each one's view of what the other found.

use std::collections::HashMap;

use super::path::Path;
use super::{Hit, Mode, Search, past_arms, text_arm, vector_arm};
use crate::store::access::Call;

/// What was found before ranking.
#[derive(Default)]
pub struct Arms {
    /// Every candidate's id; the arms speak of them by number.
    pub ids: Vec<String>,
    /// The candidates' rows by id, where the vector arm could read them on the way; otherwise empty.
    pub rows: HashMap<String, Hit>,
    /// Candidate and cosine similarity, best first.
    pub vector: Vec<(u32, f64)>,
    /// Candidate and BM25 score, best first.
    pub text: Vec<(u32, f64)>,
    pub path: Option<Path>,
    /// Size of the searched set, as far as it was counted.
    pub population: Option<u64>,
    /// The HNSW index gave fewer than asked for, and all were compared.
    pub fallback: bool,
    /// The statement of the vector arm, for memory_explain.
    pub vector_statement: Option<vector_arm::Statement>,
    /// Memories with a word of the query.
    pub text_matches: usize,
    pub vector_ms: f64,
    pub text_ms: f64,
}

impl Arms {
    /// What the vector arm alone found.
    pub fn of_vectors(found: vector_arm::Nearest) -> Self {
        let mut numbers = Numbers::default();
        let mut arms = Arms::default();
        arms.take(found, &mut numbers);
        arms.ids = numbers.ids;
        arms
    }

    fn take(&mut self, found: vector_arm::Nearest, numbers: &mut Numbers) {
        self.path = Some(found.path);
        self.population = found.population;
        self.fallback = found.fallback;
        self.vector_statement = Some(found.statement);
        let rows = found.rows.into_iter();
        self.rows = rows.map(|hit| (hit.id.clone(), hit)).collect();
        self.vector = found
            .nearest
            .into_iter()
            .map(|(id, similarity)| (numbers.of(id), similarity))
            .collect();
    }

    pub fn similarity(&self, candidate: u32) -> Option<f64> {
        self.vector
            .iter()
            .find(|(number, _)| *number == candidate)
            .map(|(_, similarity)| *similarity)
    }

    pub fn text_rank(&self, candidate: u32) -> Option<f64> {
        self.text
            .iter()
            .find(|(number, _)| *number == candidate)
            .map(|(_, score)| *score)
    }
}

/// Gives every id one number.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) ids: Vec<String>,
    by_id: HashMap<String, u32>,
}

impl Numbers {
    pub(super) fn of(&mut self, id: String) -> u32 {
        if let Some(&number) = self.by_id.get(&id) {
            return number;
        }
        let number = self.ids.len() as u32;
        self.by_id.insert(id.clone(), number);
        self.ids.push(id);
        number
    }
}

pub fn find(search: &Search, call: &Call) -> Arms {
    if let Some((_, past)) = &search.past {
        return past_arms::find(search, call, past);
    }
    let mut numbers = Numbers::default();
    let mut arms = Arms::default();
    let fetch = search.fetch();
    if search.mode != Mode::Text
        && let Some(embedding) = &search.embedding
    {
        let started = std::time::Instant::now();
        let found = vector_arm::nearest(search, call, embedding, fetch);
        arms.take(found, &mut numbers);
        arms.vector_ms = started.elapsed().as_secs_f64() * 1e3;
    }
    if search.mode != Mode::Vector
        && let Some(query) = &search.query
    {
        let started = std::time::Instant::now();
        let found = text_arm::best(search, call, query, fetch, &numbers.ids);
        arms.text_matches = found.matches;
        arms.text = found
            .best
            .into_iter()
            .map(|(id, score)| (numbers.of(id), score))
            .collect();
        arms.text_ms = started.elapsed().as_secs_f64() * 1e3;
    }
    if search.mode == Mode::Hybrid
        && let Some(embedding) = &search.embedding
    {
        complete_similarities(call, embedding, &mut arms, &numbers);
    }
    arms.ids = numbers.ids;
    arms
}

/// What only the text arm found has a similarity too: without it, fusion would take it for unlike the query.
fn complete_similarities(
    call: &Call,
    embedding: &crate::pg::vector::Vector,
    arms: &mut Arms,
    numbers: &Numbers,
) {
    let known = arms.vector.len();
    let missing: Vec<String> = numbers.ids.iter().skip(known).cloned().collect();
    if missing.is_empty() {
        return;
    }
    let by_id = vector_arm::similarities(call, embedding, missing)
        .into_iter()
        .collect();
    add_similarities(arms, numbers, &by_id);
}

/// Gives candidates that the vector arm did not find theirs.
pub(super) fn add_similarities(arms: &mut Arms, numbers: &Numbers, by_id: &HashMap<String, f64>) {
    let known = arms.vector.len();
    for (number, id) in numbers.ids.iter().enumerate().skip(known) {
        if let Some(&similarity) = by_id.get(id) {
            arms.vector.push((number as u32, similarity));
        }
    }
    arms.vector.sort_by(|a, b| {
        b.1.total_cmp(&a.1)
            .then_with(|| numbers.ids[a.0 as usize].cmp(&numbers.ids[b.0 as usize]))
    });
}
