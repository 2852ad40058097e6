//! The types a memory can have, and how fast each fades: data that the owner may add to.

use std::collections::HashMap;

use crate::pg::error::{Error, Result};
use crate::pg::spi::{self, Planning};
use crate::store::access::Call;
use crate::store::open;

/// Days after which half of a memory's weight is left, by type; a type without one does not fade.
#[derive(Default)]
pub struct HalfLives(HashMap<String, Option<f64>>);

/// The type whose half-life counts for types that the table does not have.
const OTHERWISE: &str = "standard";

impl HalfLives {
    pub fn of(call: &Call) -> Self {
        let sql = call
            .store
            .sql("SELECT memory_type, half_life_days FROM @s@.memory_types");
        HalfLives(call.sql(|session| {
            let rows = session.read(&sql, Planning::Generic, &[]);
            (0..rows.len())
                .map(|row| (rows.required(row, 1), rows.get(row, 2)))
                .collect()
        }))
    }

    /// What is left of the weight of a memory of this type and age: exp(-ln 2 * age / half-life).
    pub fn decay(&self, memory_type: &str, age_seconds: f64) -> f64 {
        const DAY: f64 = 86_400.0;
        match self.0.get(memory_type).or_else(|| self.0.get(OTHERWISE)) {
            Some(Some(days)) => memory_core::rank::recency(age_seconds, days * DAY),
            Some(None) | None => 1.0,
        }
    }
}

/// Accepts a type that is none of the built-in ones if the owner has added it to memory_types.
pub fn check_added(memory_type: &str) -> Result<()> {
    let mut known: Vec<String> = memory_core::MEMORY_TYPES
        .iter()
        .map(|&name| name.to_owned())
        .collect();
    if let Some(store) = open::enter_if_present(false)?
        && store.has_ace()
    {
        let _owner = store.as_owner();
        let sql = store.sql("SELECT memory_type FROM @s@.memory_types ORDER BY memory_type");
        known = spi::connect(|session| {
            let rows = session.read(&sql, Planning::Generic, &[]);
            (0..rows.len()).map(|row| rows.required(row, 1)).collect()
        });
        if known.iter().any(|name| name == memory_type) {
            return Ok(());
        }
    }
    Err(
        Error::argument(format!("unknown memory_type {memory_type:?}"))
            .hint(format!("Types are: {}.", known.join(", "))),
    )
}
