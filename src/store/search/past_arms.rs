//! Both arms over the versions of a past time. No index knows those, so each one that passes the filters is looked at, once:
//! its vector is compared and the query's words are counted in it. What follows is the same as for the memories of now.

use std::collections::HashMap;

use super::arms::{Arms, Numbers, add_similarities};
use super::population::Population;
use super::text_arm::{self, Match, Terms};
use super::{Mode, Search, vector_arm};
use crate::pg::spi::{Arg, Planning, Rows, Session};
use crate::pg::vector::Vector;
use crate::pg::{system, tsvector};
use crate::store::access::Call;
use crate::store::embedder::{Embedder, embedded_text};

/// Versions taken from the server at a time.
const BATCH: i64 = 1000;

/// What both arms find in `past`, the relation that has the versions.
pub fn find(search: &Search, call: &Call, past: &str) -> Arms {
    let started = std::time::Instant::now();
    let fetch = search.fetch();
    let embedding = search
        .embedding
        .as_ref()
        .filter(|_| search.mode != Mode::Text);
    let terms = search
        .query
        .as_deref()
        .filter(|_| search.mode != Mode::Vector)
        .and_then(|query| Terms::of(query, call));
    let mut looked_at = Pass::new(fetch);
    call.sql(|session| looked_at.run(session, search, call, past, embedding, terms.as_ref()));

    let mut numbers = Numbers::default();
    let mut arms = Arms {
        population: Some(looked_at.versions),
        text_matches: looked_at.matches.len(),
        ..Arms::default()
    };
    let population = looked_at.population();
    let nearest = looked_at.nearest.best();
    arms.vector = nearest
        .into_iter()
        .map(|(id, similarity)| (numbers.of(id), similarity))
        .collect();
    if let Some(terms) = &terms {
        let best = text_arm::ranked(looked_at.matches, terms, population, fetch, &numbers.ids);
        arms.text = best
            .into_iter()
            .map(|(id, score)| (numbers.of(id), score))
            .collect();
    }
    if search.mode == Mode::Hybrid {
        add_similarities(&mut arms, &numbers, &looked_at.similarities);
    }
    arms.ids = numbers.ids;
    let elapsed = started.elapsed().as_secs_f64() * 1e3;
    match embedding {
        Some(_) => arms.vector_ms = elapsed,
        None => arms.text_ms = elapsed,
    }
    arms
}

/// The text and the key of a version that has no vector kept, and is to have one made.
pub fn text_columns(call: &Call) -> &'static str {
    match call.store.embedder {
        Embedder::External => "NULL::text, NULL::text",
        Embedder::Hash | Embedder::Md5 => {
            "CASE WHEN m.embedding IS NULL AND NOT m.is_sensitive THEN m.content END, m.key"
        }
    }
}

/// The vector of the text at `column`, with the key behind it.
pub fn embed(call: &Call, rows: &Rows<'_>, row: usize, column: usize) -> Option<Vector> {
    let text: String = rows.get(row, column)?;
    let key: Option<String> = rows.get(row, column + 1);
    call.store
        .embedder
        .embed(&embedded_text(key.as_deref(), &text), call.store.dimensions)
}

/// What was noted on the way through the versions.
struct Pass {
    versions: u64,
    /// Those that have words, and how many these are in all.
    texts: u64,
    words: u64,
    matches: Vec<Match>,
    nearest: Nearest,
    /// Of the matches.
    similarities: HashMap<String, f64>,
}

impl Pass {
    fn new(fetch: usize) -> Self {
        Pass {
            versions: 0,
            texts: 0,
            words: 0,
            matches: Vec::new(),
            nearest: Nearest {
                fetch,
                kept: Vec::new(),
            },
            similarities: HashMap::new(),
        }
    }

    fn population(&self) -> Population {
        Population {
            rows: self.versions,
            total: self.versions,
            average_length: match self.texts {
                0 => 0.0,
                texts => self.words as f64 / texts as f64,
            },
        }
    }

    fn run(
        &mut self,
        session: &Session,
        search: &Search,
        call: &Call,
        past: &str,
        embedding: Option<&Vector>,
        terms: Option<&Terms>,
    ) {
        let mut args = search.conditions.args.clone();
        let (distance, text) = match embedding {
            None => ("NULL::float8".to_owned(), "NULL::text, NULL::text"),
            Some(query) => {
                args.push(Arg::vector(Some(query), call.store.identity.vector_type));
                let distance = format!("m.embedding OPERATOR(@v@.<=>) ${}", args.len());
                (distance, text_columns(call))
            }
        };
        let words = match terms {
            None => "NULL::tsvector",
            Some(_) => "m.content_tsv",
        };
        let sql = call.store.sql(&format!(
            "SELECT m.id, {distance}, {words}, {text} FROM {past} WHERE {}",
            search.conditions.sql()
        ));
        session.scan(&sql, Planning::Custom, &args, BATCH, |rows| {
            system::check_for_interrupts();
            let made = match embedding {
                None => HashMap::new(),
                Some(query) => made_distances(call, query, rows),
            };
            for row in 0..rows.len() {
                let distance = rows.get(row, 2).or_else(|| made.get(&row).copied());
                self.note(rows, row, distance, terms);
            }
        });
    }

    fn note(&mut self, rows: &Rows<'_>, row: usize, distance: Option<f64>, terms: Option<&Terms>) {
        let id: String = rows.required(row, 1);
        let similarity = distance
            .filter(|distance| distance.is_finite())
            .map(|distance| 1.0 - distance);
        self.versions += 1;
        if let Some(terms) = terms
            && let Some(counts) = tsvector::count_terms(rows, row, 3, &terms.lexemes)
        {
            self.texts += 1;
            self.words += u64::from(counts.length);
            if counts.frequencies.iter().any(|frequency| *frequency > 0) {
                if let Some(similarity) = similarity {
                    self.similarities.insert(id.clone(), similarity);
                }
                self.matches.push(Match {
                    id: id.clone(),
                    frequencies: counts.frequencies,
                    length: counts.length,
                });
            }
        }
        if let Some(similarity) = similarity {
            self.nearest.add(id, similarity);
        }
    }
}

/// The distances of the rows whose vectors have to be made; pgvector compares these too, so that equal texts are equally far.
fn made_distances(call: &Call, query: &Vector, rows: &Rows<'_>) -> HashMap<usize, f64> {
    let (mut places, mut vectors) = (Vec::new(), Vec::new());
    for row in 0..rows.len() {
        if let Some(vector) = embed(call, rows, row, 4) {
            places.push(row);
            vectors.push(Some(vector));
        }
    }
    if vectors.is_empty() {
        return HashMap::new();
    }
    let distances = vector_arm::distances(call, query, &vectors);
    places.into_iter().zip(distances).collect()
}

/// The best of many, without keeping all of them.
struct Nearest {
    fetch: usize,
    kept: Vec<(String, f64)>,
}

impl Nearest {
    fn add(&mut self, id: String, similarity: f64) {
        const ROOM: usize = 1000;
        self.kept.push((id, similarity));
        if self.kept.len() >= 2 * self.fetch + ROOM {
            self.kept.select_nth_unstable_by(self.fetch, nearer);
            self.kept.truncate(self.fetch);
        }
    }

    fn best(mut self) -> Vec<(String, f64)> {
        self.kept.sort_by(nearer);
        self.kept.truncate(self.fetch);
        self.kept
    }
}

fn nearer(a: &(String, f64), b: &(String, f64)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0))
}
