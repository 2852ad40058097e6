//! Samples of the memories.

use crate::pg::spi::{Arg, Session};
use crate::pg::system;
use crate::store::access::Call;

/// Memories by id and project.
pub type Sample = Vec<(String, String)>;

/// Draws rows as they come by, each with the same chance (Vitter's algorithm R).
#[derive(Default)]
pub struct Draw {
    size: usize,
    offered: u64,
    random: u64,
    drawn: Sample,
}

impl Draw {
    pub fn new(size: usize) -> Self {
        Draw {
            size,
            random: u64::from_ne_bytes(system::random()) | 1,
            ..Draw::default()
        }
    }

    pub fn offer(&mut self, one: impl FnOnce() -> (String, String)) {
        self.offered += 1;
        if self.drawn.len() < self.size {
            self.drawn.push(one());
        } else if let Ok(place) = usize::try_from(self.below(self.offered))
            && place < self.size
        {
            self.drawn[place] = one();
        }
    }

    pub fn drawn(self) -> Sample {
        self.drawn
    }

    /// Marsaglia's xorshift; the remainder's bias is nothing at this size.
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }
}

/// What says which memories a sample has, as arguments of `unnest`.
pub fn arrays(sample: &[(String, String)]) -> (Vec<String>, Vec<String>) {
    sample.iter().cloned().unzip()
}

/// Memories with a vector, drawn without reading all of them where there are many; all projects' where none is named.
pub fn embedded(call: &Call, session: &Session, project_id: Option<&str>, size: usize) -> Sample {
    // Rows of one page were written together, so that far more pages are read than rows are wanted.
    const SPREAD: f64 = 20.0;
    let sql = "SELECT greatest(reltuples, 0)::float8 FROM pg_class WHERE oid = $1";
    let rows = session.write(sql, &[Arg::oid(call.store.memories)]);
    let total: f64 = rows.get(0, 1).unwrap_or(0.0);
    let drawn = |from: &str, percent: f64| -> Sample {
        let sql = call.store.sql(&format!(
            "SELECT m.id, m.project_id FROM @s@.memories m {from} WHERE m.embedding IS NOT NULL AND ($1::text IS NULL OR m.project_id = $1)
                    AND m.deleted_at IS NULL AND NOT m.is_deprecated AND (m.expires_at IS NULL OR m.expires_at > now())
             ORDER BY random() LIMIT $2"
        ));
        let args = [
            project_id.into(),
            (size as i64).into(),
            (percent as f32).into(),
        ];
        let rows = session.write(&sql, &args);
        (0..rows.len())
            .map(|row| (rows.required(row, 1), rows.required(row, 2)))
            .collect()
    };
    let percent = 100.0 * SPREAD * size as f64 / total;
    if percent < 50.0 {
        let sample = drawn("TABLESAMPLE SYSTEM ($3)", percent);
        if sample.len() == size {
            return sample;
        }
    }
    drawn("", percent)
}
