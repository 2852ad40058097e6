//! The best texts: memories with any of the query's words, ranked by BM25.
//!
//! Every match is visited once. That gives the words' document frequencies within the searched set, exact and with nothing
//! to maintain; the scores follow from what was noted on the way.

use std::collections::HashSet;

use memory_core::query;
use memory_core::rank::bm25::{self, Bm25};

use super::{Search, population};
use crate::pg::error::{Error, Result};
use crate::pg::spi::Planning;
use crate::pg::{system, tsvector};
use crate::store::access::Call;

/// More words than this are a document, not a query; its first ones decide.
const MOST_WORDS: usize = 64;
const MOST_CHARACTERS: usize = 20_000;
/// Phrases and excluded words, each of which every match has to be held against.
const MOST_DEMANDS: usize = 64;
/// Matches taken from the server at a time.
const BATCH: i64 = 2000;

#[derive(Default)]
pub struct Best {
    /// Id and BM25 score, best first; then those of `also` that did not make it.
    pub best: Vec<(String, f64)>,
    pub matches: usize,
}

/// What was noted of a match.
pub(super) struct Match {
    pub id: String,
    pub frequencies: Vec<u16>,
    pub length: u32,
}

/// The `fetch` best matches, and the score of each of `also` that is a match.
pub fn best(search: &Search, call: &Call, query: &str, fetch: usize, also: &[String]) -> Best {
    let Some(terms) = Terms::of(query, call) else {
        return Best::default();
    };
    let mut conditions = search.conditions.sql().to_owned();
    let mut args = search.conditions.args.clone();
    args.push(terms.tsquery.as_str().into());
    conditions.push_str(&format!(
        " AND m.content_tsv @@ CAST(${} AS pg_catalog.tsquery)",
        args.len()
    ));
    let sql = call.store.sql(&format!(
        "SELECT m.id, m.content_tsv FROM @s@.memories m WHERE {conditions}"
    ));
    let (matches, population) = call.sql(|session| {
        let mut matches = Vec::new();
        session.scan(&sql, Planning::Custom, &args, BATCH, |rows| {
            system::check_for_interrupts();
            for row in 0..rows.len() {
                if let (Some(id), Some(counts)) = (
                    rows.get(row, 1),
                    tsvector::count_terms(rows, row, 2, &terms.lexemes),
                ) {
                    matches.push(Match {
                        id,
                        frequencies: counts.frequencies,
                        length: counts.length,
                    });
                }
            }
        });
        (matches, population::of(search, call, session))
    });
    Best {
        matches: matches.len(),
        best: ranked(matches, &terms, population, fetch, also),
    }
}

pub(super) fn ranked(
    matches: Vec<Match>,
    terms: &Terms,
    population: population::Population,
    fetch: usize,
    also: &[String],
) -> Vec<(String, f64)> {
    let documents = (population.rows as f64).max(matches.len() as f64);
    let idfs: Vec<f64> = (0..terms.lexemes.len())
        .map(|term| {
            let having = matches
                .iter()
                .filter(|found| found.frequencies[term] > 0)
                .count();
            bm25::idf(documents, having as f64)
        })
        .collect();
    let bm25 = Bm25::default();
    let mut scored: Vec<(String, f64)> = matches
        .into_iter()
        .map(|found| {
            let score = bm25.score(
                &found.frequencies,
                &idfs,
                f64::from(found.length),
                population.average_length,
            );
            (found.id, score)
        })
        .collect();
    let order =
        |a: &(String, f64), b: &(String, f64)| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0));
    if scored.len() > fetch {
        scored.select_nth_unstable_by(fetch, order);
        let wanted: HashSet<&String> = also.iter().collect();
        let mut rest = scored.split_off(fetch);
        rest.retain(|(id, _)| wanted.contains(id));
        scored.append(&mut rest);
    }
    scored.sort_by(order);
    scored
}

/// What a query demands of every answer, whichever arm finds it: its phrases, and none of its excluded words.
pub fn required(text: &str, call: &Call) -> Result<Option<String>> {
    let parsed = query::parse(text);
    let demands = parsed.phrases.len() + parsed.excluded.len();
    if demands > MOST_DEMANDS {
        return Err(Error::limit(format!(
            "query has {demands} phrases and exclusions, at most {MOST_DEMANDS} are allowed"
        )));
    }
    if let Some(long) = parsed
        .phrases
        .iter()
        .chain(&parsed.excluded)
        .map(|phrase| phrase.chars().count())
        .find(|length| *length > MOST_CHARACTERS)
    {
        return Err(Error::limit(format!(
            "query has a phrase of {long} characters, at most {MOST_CHARACTERS} are allowed"
        )));
    }
    let clause = |text: &String| {
        Some(tsvector::lexemes(call.store.config, text)).filter(|lexemes| !lexemes.is_empty())
    };
    let phrases = parsed
        .phrases
        .iter()
        .filter_map(clause)
        .map(|phrase| format!("({})", followed_by(&phrase)));
    let excluded = parsed
        .excluded
        .iter()
        .filter_map(clause)
        .map(|phrase| format!("!({})", followed_by(&phrase)));
    let clauses: Vec<String> = phrases.chain(excluded).collect();
    Ok((!clauses.is_empty()).then(|| clauses.join(" & ")))
}

/// A query's words as PostgreSQL's text search sees them, those of its phrases too.
pub(super) struct Terms {
    /// Any of the words.
    tsquery: String,
    pub lexemes: Vec<String>,
}

impl Terms {
    /// `None` when nothing is left to look for: stop words only.
    pub fn of(text: &str, call: &Call) -> Option<Terms> {
        let mut parsed = query::parse(text);
        parsed.words.append(&mut parsed.phrases);
        let words: String = parsed
            .words
            .join(" ")
            .chars()
            .take(MOST_CHARACTERS)
            .collect();
        let mut lexemes: Vec<String> = tsvector::lexemes(call.store.config, &words)
            .into_iter()
            .map(|(lexeme, _)| lexeme)
            .collect();
        lexemes.truncate(MOST_WORDS);
        if lexemes.is_empty() {
            return None;
        }
        let tsquery = lexemes
            .iter()
            .map(|lexeme| quoted(lexeme))
            .collect::<Vec<_>>()
            .join(" | ");
        Some(Terms { tsquery, lexemes })
    }
}

/// The lexemes one after the other, as far apart as in the text they are from: stop words between them count.
fn followed_by(lexemes: &[(String, u16)]) -> String {
    let mut clause = String::new();
    let mut last = None;
    for (lexeme, position) in lexemes {
        match last {
            None => {}
            Some(before) if before == *position => clause.push_str(" & "),
            Some(before) => clause.push_str(&format!(" <{}> ", position - before)),
        }
        clause.push_str(&quoted(lexeme));
        last = Some(*position);
    }
    clause
}

/// A lexeme as tsquery's input syntax quotes it.
fn quoted(lexeme: &str) -> String {
    format!("'{}'", lexeme.replace('\\', "\\\\").replace('\'', "''"))
}
