//! How the store is: for scrapers, probes and people. Nothing here raises an error for what it is to report.

mod families;
mod health;
mod look;
mod rights;
mod state;
mod stats;

pub use health::report as health;
pub use look::ready;
pub use rights::may_see_call;
pub use stats::rows as stats;

use memory_core::exposition::{Exposition, ExpositionError};
use pgrx::PgSqlErrorCode;

use crate::pg::error::{Error, Result};
use families::{Families, Value};
use look::Found;
use state::State;

/// Everything in Prometheus's text format.
pub fn metrics() -> Result<String> {
    let found = Found::now();
    rights::check(&found, None)?;
    let state = State::of(&found);
    let mut families = Families::default();
    families.of_server(&state);
    families.of_store(&state);
    families.of_counters(&state);
    families.of_looks(state.failed.len());
    expose(&families).map_err(|error| {
        Error::coded(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            format!("the metrics cannot be written: {error}"),
        )
    })
}

fn expose(families: &Families) -> Result<String, ExpositionError> {
    let mut exposition = Exposition::default();
    for family in families.all() {
        let mut to = exposition.family(family.name, family.help, family.kind)?;
        for (labels, value) in &family.samples {
            let labels: Vec<(&str, &str)> = labels
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            match value {
                Value::Count(count) => to.count(&labels, *count)?,
                Value::Number(number) => to.number(&labels, *number)?,
                Value::Durations(durations) => to.histogram(
                    &labels,
                    &memory_core::counters::Distribution::bounds(),
                    &durations.cumulative,
                    durations.sum_seconds,
                )?,
            }
        }
    }
    Ok(exposition.into_text())
}
