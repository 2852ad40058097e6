//! LoCoMo: conversations, questions about them, and the turns that hold the answers.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::corpus::{DIMENSIONS, read_f16};

/// Questions that the conversation does not answer; they have no place in the averages.
const ADVERSARIAL: i64 = 5;

pub struct Turn {
    pub conversation: String,
    /// Name of the turn within its conversation.
    pub id: String,
    pub text: String,
    pub vector: Vec<f32>,
}

pub struct Question {
    pub conversation: String,
    pub text: String,
    pub evidence: Vec<String>,
    pub vector: Vec<f32>,
}

pub struct Locomo {
    pub turns: Vec<Turn>,
    /// Those of categories 1 to 4 that name their evidence.
    pub questions: Vec<Question>,
}

impl Locomo {
    /// `None` when the folder has no data.
    pub fn open(folder: &Path) -> Result<Option<Self>> {
        if !folder.join("turns.jsonl").is_file() {
            return Ok(None);
        }
        let turns = records(folder, "turns.jsonl", "emb_turns.f16")?
            .map(|(record, vector)| {
                Ok(Turn {
                    conversation: text(&record, "sample_id")?,
                    id: text(&record, "dia_id")?,
                    text: text(&record, "doc")?,
                    vector,
                })
            })
            .collect::<Result<_>>()?;
        let mut questions = Vec::new();
        for (record, vector) in records(folder, "questions.jsonl", "emb_questions.f16")? {
            let evidence: Vec<String> = serde_json::from_value(record["evidence"].clone())?;
            if record["category"].as_i64() != Some(ADVERSARIAL) && !evidence.is_empty() {
                questions.push(Question {
                    conversation: text(&record, "sample_id")?,
                    text: text(&record, "question")?,
                    evidence,
                    vector,
                });
            }
        }
        Ok(Some(Self { turns, questions }))
    }

    pub fn conversations(&self) -> BTreeSet<&str> {
        self.turns
            .iter()
            .map(|turn| turn.conversation.as_str())
            .collect()
    }

    pub fn turns_of(&self, conversation: &str) -> Vec<&Turn> {
        self.turns
            .iter()
            .filter(|turn| turn.conversation == conversation)
            .collect()
    }
}

/// The lines of a file, each with its vector.
fn records(
    folder: &Path,
    lines: &str,
    vectors: &str,
) -> Result<impl Iterator<Item = (Value, Vec<f32>)>> {
    let records = std::fs::read_to_string(folder.join(lines))?
        .lines()
        .map(serde_json::from_str)
        .collect::<std::result::Result<Vec<Value>, _>>()?;
    let numbers = read_f16(&folder.join(vectors))?;
    if numbers.len() != records.len() * DIMENSIONS {
        return Err(format!(
            "{vectors} does not have {DIMENSIONS} numbers for each line of {lines}"
        )
        .into());
    }
    let vectors: Vec<Vec<f32>> = numbers.chunks(DIMENSIONS).map(<[f32]>::to_vec).collect();
    Ok(records.into_iter().zip(vectors))
}

fn text(record: &Value, name: &str) -> Result<String> {
    let value = record[name]
        .as_str()
        .ok_or_else(|| format!("a line without {name}: {record}"))?;
    Ok(value.to_owned())
}
