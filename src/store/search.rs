//! Search: two arms find candidates, fusion ranks them, the best are fetched.

mod arms;
mod past_arms;
mod path;
mod population;
mod rank;
mod text_arm;
mod vector_arm;

use pgrx::datum::{Interval, TimestampWithTimeZone};

use super::access::Call;
use super::conditions::{Conditions, Filters};
use super::embedder::Embedder;
use super::learning::types::HalfLives;
use super::memory;
use super::past::{self, Which};
use crate::pg::error::{Error, Result};
use crate::pg::guc;
use crate::pg::hnsw::IndexScan;
use crate::pg::json::Jsonb;
use crate::pg::measure::{self, SearchPath};
use crate::pg::planner::IndexOrder;
use crate::pg::vector::Vector;

pub use arms::Arms;
pub use path::Path;

pub const LARGEST_K: i32 = 10_000;
/// Most memories that are told apart for diversity.
const LARGEST_DIVERSE: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Hybrid,
    Vector,
    Text,
}

impl Mode {
    fn named(name: &str) -> Result<Self> {
        match name {
            "hybrid" => Ok(Mode::Hybrid),
            "vector" => Ok(Mode::Vector),
            "text" => Ok(Mode::Text),
            _ => Err(Error::argument(format!("unknown mode {name:?}"))
                .hint("Modes are: hybrid, vector, text.")),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Mode::Hybrid => "hybrid",
            Mode::Vector => "vector",
            Mode::Text => "text",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fusion {
    Weighted,
    ReciprocalRank,
}

impl Fusion {
    pub fn name(self) -> &'static str {
        match self {
            Fusion::Weighted => "weighted",
            Fusion::ReciprocalRank => "rrf",
        }
    }
}

/// Rows of a set up to which comparing all of them is the cheapest way to `fetch` neighbours.
pub fn exact_threshold(call: &Call, fetch: usize) -> u64 {
    path::exact_threshold(call.store.dimensions, fetch)
}

/// Settings under which a statement finds neighbours by the vector index, as long as the scope lives.
pub fn follow_index(fetch: usize) -> (IndexScan, IndexOrder) {
    vector_arm::index_settings(path::ef_search(fetch, 1.0))
}

/// What a caller asks for.
#[derive(Default)]
pub struct Request<'a> {
    pub query: Option<&'a str>,
    pub k: Option<i32>,
    pub embedding: Option<Vector>,
    pub mode: Option<&'a str>,
    pub filters: Filters<'a>,
    pub min_score: Option<f64>,
    pub text_weight: Option<f64>,
    pub fusion: Option<&'a str>,
    pub recency_half_life: Option<Interval>,
    pub importance_weight: Option<f64>,
    pub diversity: Option<f64>,
    /// Share of the votes' confidence in the score.
    pub effectiveness_weight: f64,
    /// The counters of votes matter: for a past time they have to be counted anew.
    pub votes: bool,
}

/// A checked request.
pub struct Search {
    pub mode: Mode,
    pub k: usize,
    query: Option<String>,
    embedding: Option<Vector>,
    pub text_weight: f64,
    pub fusion: Fusion,
    min_score: Option<f64>,
    recency_half_life_seconds: Option<f64>,
    importance_weight: f64,
    diversity: f64,
    effectiveness_weight: f64,
    /// How memories fade by their type, where they do.
    half_lives: Option<HalfLives>,
    conditions: Conditions,
    /// The time of the memories that are searched and what to read them from, where that is not now.
    past: Option<(TimestampWithTimeZone, String)>,
    /// The set that is searched has a size that can be known in advance, under this key.
    population_key: Option<population::Key>,
}

/// A memory that was found.
pub struct Hit {
    pub id: String,
    pub content: String,
    pub score: f64,
    /// The score before votes, importance and age.
    pub relevance: f64,
    pub similarity: Option<f64>,
    pub text_rank: Option<f64>,
    pub key: Option<String>,
    pub memory_type: String,
    pub scope: String,
    pub agent_id: Option<String>,
    pub namespace: String,
    pub metadata: Jsonb,
    pub created_at: TimestampWithTimeZone,
    pub expires_at: Option<TimestampWithTimeZone>,
    importance: f32,
    pub helpful: i32,
    pub harmful: i32,
    pub error_pattern: Option<String>,
}

impl Search {
    /// Checks a request and completes it with the defaults.
    pub fn new(call: &Call, request: Request<'_>) -> Result<Search> {
        let k = request.k.unwrap_or(5);
        if !(1..=LARGEST_K).contains(&k) {
            return Err(Error::argument(format!(
                "k is {k}, expected a number from 1 to {LARGEST_K}"
            )));
        }
        let query = request
            .query
            .filter(|query| !memory_core::text::is_blank(query))
            .map(str::to_owned);
        if query.is_none() && request.embedding.is_none() {
            return Err(Error::argument("neither query nor embedding is given")
                .hint("Search needs some text, a vector, or both."));
        }
        if let Some(query) = &query {
            memory::check_length("query", query)?;
        }
        if request.diversity.is_some_and(|diversity| diversity > 0.0)
            && k.unsigned_abs() as usize > LARGEST_DIVERSE
        {
            return Err(Error::argument(format!(
                "k is {k}, at most {LARGEST_DIVERSE} with diversity"
            )));
        }
        if let Some(embedding) = &request.embedding {
            memory::check_vector("embedding", embedding, call.store.dimensions)?;
        }
        let asked = request.mode.map(Mode::named).transpose()?;
        let wants_vector = asked != Some(Mode::Text);
        let embedding = match (&request.embedding, &query) {
            (Some(_), _) => request.embedding,
            (None, Some(query)) if wants_vector => {
                call.store.embedder.embed(query, call.store.dimensions)
            }
            (None, _) => None,
        };
        let mode = mode(
            asked,
            query.is_some(),
            embedding.is_some(),
            call.store.embedder,
        )?;
        let mut conditions = Conditions::default();
        let memories = match request.votes {
            true => past::memories_with_votes(call, &mut conditions, Which::Live),
            false => past::memories(call, &mut conditions, Which::Live),
        };
        let required = query
            .as_deref()
            .map(|query| text_arm::required(query, call))
            .transpose()?
            .flatten();
        let hide_flagged = guc::hide_flagged() && call.store.has_safety();
        let population_key = (!request.filters.is_selective() && required.is_none()).then(|| {
            population::key(
                &call.access.project,
                request.filters.namespace,
                &call.access.requester,
                hide_flagged,
            )
        });
        request.filters.apply(&mut conditions)?;
        if hide_flagged {
            conditions.push("m.content_flags IS NULL");
        }
        if let Some(required) = required {
            let place = conditions.arg(required);
            conditions.push(format_args!(
                "m.content_tsv @@ CAST({place} AS pg_catalog.tsquery)"
            ));
        }
        Ok(Search {
            mode,
            k: k.unsigned_abs() as usize,
            query,
            embedding,
            text_weight: share("text_weight", request.text_weight)?
                .unwrap_or_else(guc::text_weight),
            fusion: match request.fusion {
                None | Some("weighted") => Fusion::Weighted,
                Some("rrf") => Fusion::ReciprocalRank,
                Some(other) => {
                    return Err(Error::argument(format!("unknown fusion {other:?}"))
                        .hint("Fusions are: weighted, rrf."));
                }
            },
            min_score: share("min_score", request.min_score)?,
            recency_half_life_seconds: half_life(request.recency_half_life)?,
            importance_weight: share("importance_weight", request.importance_weight)?
                .unwrap_or(0.0),
            diversity: share("diversity", request.diversity)?.unwrap_or(0.0),
            effectiveness_weight: request.effectiveness_weight,
            half_lives: (guc::decay() && call.store.has_ace()).then(|| HalfLives::of(call)),
            conditions,
            past: call.time.map(|time| (time, memories.into_owned())),
            population_key,
        })
    }

    /// Candidates to take from each arm: more than k where ranking goes on afterwards.
    fn fetch(&self) -> usize {
        const OVER_FETCH: usize = 5;
        const LEAST: usize = 50;
        if self.mode == Mode::Hybrid || self.reranks() {
            (self.k * OVER_FETCH).clamp(LEAST, LARGEST_K as usize * 2)
        } else {
            self.k
        }
    }

    /// Whether the nearest vectors are the answer, so that their rows may be read as they are met.
    fn is_nearest_only(&self) -> bool {
        self.mode == Mode::Vector && !self.reranks()
    }

    /// Whether the score is more than relevance.
    fn boosts(&self) -> bool {
        self.recency_half_life_seconds.is_some()
            || self.importance_weight > 0.0
            || self.effectiveness_weight > 0.0
            || self.half_lives.is_some()
    }

    fn reranks(&self) -> bool {
        self.boosts() || self.diversity > 0.0
    }

    /// Finds the memories.
    pub fn run(&self, call: &Call) -> Vec<Hit> {
        if self.is_nearest_only()
            && self.past.is_none()
            && let Some(embedding) = &self.embedding
        {
            let nearest = vector_arm::nearest(self, call, embedding, self.k);
            measure::search(nearest.path.counted());
            return rank::nearest(self, call, nearest);
        }
        let (hits, arms) = self.run_explained(call);
        measure::search(match (&self.past, arms.path) {
            (Some(_), _) => SearchPath::Past,
            (None, Some(path)) => path.counted(),
            (None, None) => SearchPath::Text,
        });
        hits
    }

    /// Finds the memories, and keeps what each arm found.
    pub fn run_explained(&self, call: &Call) -> (Vec<Hit>, Arms) {
        let mut arms = arms::find(self, call);
        let hits = rank::hits(self, call, &mut arms);
        (hits, arms)
    }
}

fn mode(
    asked: Option<Mode>,
    has_query: bool,
    has_vector: bool,
    embedder: Embedder,
) -> Result<Mode> {
    match asked {
        Some(Mode::Text) if !has_query => Err(Error::argument("mode 'text' needs a query")),
        Some(Mode::Vector | Mode::Hybrid) if !has_vector => Err(Error::argument(format!(
            "the store's embedder is {:?}: a vector search needs the query's embedding",
            embedder.name()
        ))
        .hint("Pass embedding => '[...]', made by the model that the store was filled with, or use mode => 'text'.")),
        Some(Mode::Hybrid) if !has_query => Err(Error::argument("mode 'hybrid' needs a query").hint("Use mode => 'vector' for a vector alone.")),
        Some(mode) => Ok(mode),
        None => Ok(match (has_query, has_vector) {
            (true, true) => Mode::Hybrid,
            (false, _) => Mode::Vector,
            (true, false) => Mode::Text,
        }),
    }
}

fn share(argument: &str, value: Option<f64>) -> Result<Option<f64>> {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) => Err(Error::argument(format!(
            "{argument} is {value}, expected a number from 0 to 1"
        ))),
        value => Ok(value),
    }
}

fn half_life(interval: Option<Interval>) -> Result<Option<f64>> {
    let Some(interval) = interval else {
        return Ok(None);
    };
    let seconds = interval.as_micros() as f64 / 1e6;
    if seconds <= 0.0 {
        return Err(Error::argument("recency_half_life is not positive"));
    }
    Ok(Some(seconds))
}
