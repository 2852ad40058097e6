//! Rankings computed without the extension: BM25 over PostgreSQL's English stems, exact cosine, and
//! their weighted fusion.

use std::collections::{BTreeMap, HashMap};

use postgres::Client;

use super::locomo::{Locomo, Question, Turn};
use crate::Result;
use crate::quality::K;

const K1: f64 = 1.2;
const B: f64 = 0.75;
/// What each arm brings to the fusion.
const CANDIDATES: usize = 50;

/// Ids per question, best first.
pub struct Rankings {
    pub bm25: Vec<Vec<String>>,
    pub cosine: Vec<Vec<String>>,
    /// Scores of both arms stretched over 0..1, half and half.
    pub fused: Vec<Vec<String>>,
}

/// Ranks the turns of each question's own conversation; `client` gives the stems and nothing else.
pub fn rankings(client: &mut Client, data: &Locomo) -> Result<Rankings> {
    let mut conversations = BTreeMap::new();
    for name in data.conversations() {
        let turns = data.turns_of(name);
        let texts: Vec<&str> = turns.iter().map(|turn| turn.text.as_str()).collect();
        let bm25 = Bm25::new(stems(client, &texts)?);
        conversations.insert(name, (turns, bm25));
    }
    let texts: Vec<&str> = data
        .questions
        .iter()
        .map(|question| question.text.as_str())
        .collect();
    let question_stems = stems(client, &texts)?;

    let mut rankings = Rankings {
        bm25: Vec::new(),
        cosine: Vec::new(),
        fused: Vec::new(),
    };
    for (question, stems) in data.questions.iter().zip(&question_stems) {
        let (turns, bm25) = conversations
            .get(question.conversation.as_str())
            .ok_or_else(|| format!("no turns of {}", question.conversation))?;
        let by_words = best(&bm25.scores(stems), |score| score > 0.0);
        let by_vector = best(&cosines(question, turns), |_| true);
        let ids = |ranked: &[(usize, f64)]| {
            ranked
                .iter()
                .take(K)
                .map(|(turn, _)| turns[*turn].id.clone())
                .collect()
        };
        rankings.bm25.push(ids(&by_words));
        rankings.cosine.push(ids(&by_vector));
        rankings.fused.push(ids(&fused(&by_words, &by_vector)));
    }
    Ok(rankings)
}

/// Stems of a text with their number.
type Stems = HashMap<String, f64>;

fn stems(client: &mut Client, texts: &[&str]) -> Result<Vec<Stems>> {
    let mut stems = vec![Stems::new(); texts.len()];
    let rows = client.query(
        "SELECT number, lexeme, cardinality(positions)
         FROM unnest($1::text[]) WITH ORDINALITY AS texts (content, number), unnest(to_tsvector('english', content))",
        &[&texts],
    )?;
    for row in rows {
        let (number, stem, count): (i64, String, i32) = (row.get(0), row.get(1), row.get(2));
        stems[usize::try_from(number - 1)?].insert(stem, f64::from(count));
    }
    Ok(stems)
}

struct Bm25 {
    documents: Vec<Stems>,
    lengths: Vec<f64>,
    average_length: f64,
    /// In how many documents each stem is.
    frequencies: HashMap<String, f64>,
}

impl Bm25 {
    fn new(documents: Vec<Stems>) -> Self {
        let lengths: Vec<f64> = documents.iter().map(|stems| stems.values().sum()).collect();
        let mut frequencies = HashMap::new();
        for stem in documents.iter().flat_map(|stems| stems.keys()) {
            *frequencies.entry(stem.clone()).or_insert(0.0) += 1.0;
        }
        Self {
            average_length: lengths.iter().sum::<f64>() / lengths.len().max(1) as f64,
            documents,
            lengths,
            frequencies,
        }
    }

    fn scores(&self, query: &Stems) -> Vec<f64> {
        let count = self.documents.len() as f64;
        let score = |(document, length): (&Stems, &f64)| {
            let norm = K1 * (1.0 - B + B * length / self.average_length);
            query
                .keys()
                .filter_map(|stem| Some((document.get(stem)?, self.frequencies.get(stem)?)))
                .map(|(tf, df)| {
                    ((count - df + 0.5) / (df + 0.5)).ln_1p() * tf * (K1 + 1.0) / (tf + norm)
                })
                .sum()
        };
        self.documents
            .iter()
            .zip(&self.lengths)
            .map(score)
            .collect()
    }
}

fn cosines(question: &Question, turns: &[&Turn]) -> Vec<f64> {
    let dot =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum() };
    let cosine = |turn: &&Turn| {
        let lengths =
            (dot(&turn.vector, &turn.vector) * dot(&question.vector, &question.vector)).sqrt();
        dot(&turn.vector, &question.vector) / lengths
    };
    turns.iter().map(cosine).collect()
}

/// The places of the best scores, best first; equal ones in the order of the conversation.
fn best(scores: &[f64], counts: fn(f64) -> bool) -> Vec<(usize, f64)> {
    let mut ranked: Vec<(usize, f64)> = scores
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, score)| counts(*score))
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(CANDIDATES);
    ranked
}

fn fused(one: &[(usize, f64)], other: &[(usize, f64)]) -> Vec<(usize, f64)> {
    let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
    for arm in [one, other] {
        let scores = || arm.iter().map(|(_, score)| *score);
        let (least, most) = (
            scores().fold(f64::INFINITY, f64::min),
            scores().fold(f64::NEG_INFINITY, f64::max),
        );
        for (turn, score) in arm {
            let stretched = if most > least {
                (score - least) / (most - least)
            } else {
                1.0
            };
            *sums.entry(*turn).or_default() += stretched / 2.0;
        }
    }
    let mut ranked: Vec<(usize, f64)> = sums.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(words: &str) -> Stems {
        let mut stems = Stems::new();
        for word in words.split_whitespace() {
            *stems.entry(word.to_owned()).or_default() += 1.0;
        }
        stems
    }

    #[test]
    fn rare_words_and_short_documents_win() {
        let bm25 = Bm25::new(vec![
            document("dog walk park"),
            document("dog walk"),
            document("dog cat"),
            document("fish"),
        ]);
        let scores = bm25.scores(&document("cat walk dog"));
        assert!(scores[2] > scores[1] && scores[1] > scores[0]);
        assert_eq!(scores[3], 0.0);
    }

    #[test]
    fn fusion_prefers_what_both_arms_find() {
        let ranked = fused(
            &[(0, 9.0), (1, 8.0), (2, 1.0)],
            &[(3, 0.9), (1, 0.8), (4, 0.1)],
        );
        assert_eq!(ranked[0].0, 1);
        assert_eq!(ranked.len(), 5);
    }
}
