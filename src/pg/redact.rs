//! Errors that quote data, which may be secret, are replaced by errors that do not.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder};

use super::error::{Error, Result, SqlState};
use super::passed_on;

/// Runs `work`. When PostgreSQL refuses a value or a row (SQLSTATE classes 22 and 23, and what triggers raise), the error tells
/// `whose` rows they were and the broken rule's name, and nothing of the data. The transaction has to end with it, as with any
/// error.
pub fn rows_of<T>(whose: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    PgTryBuilder::new(AssertUnwindSafe(|| passed_on::noting(work)))
        .catch_others(|error| match error {
            CaughtError::PostgresError(ref report) => {
                let class = Class::of(passed_on::sqlstate(report));
                // COPY's context has the row in it, whatever the error.
                passed_on::forget();
                match class {
                    Some(class) => {
                        Err(class.refusal(whose, report.sql_error_code(), report.message()))
                    }
                    None => error.rethrow(),
                }
            }
            error => {
                passed_on::forget();
                error.rethrow()
            }
        })
        .execute()
}

enum Class {
    /// A value is none of its type: the message quotes it.
    Data,
    /// A constraint: the message names it, the detail has the row.
    Constraint,
    Raised,
    /// Raised as well, with a code that is its user's.
    MadeUp,
}

impl Class {
    fn of(state: SqlState) -> Option<Self> {
        if !state.is_carried() {
            return Some(Class::MadeUp);
        }
        match state.to_string().get(..2) {
            Some("22") => Some(Class::Data),
            Some("23") => Some(Class::Constraint),
            Some("P0") => Some(Class::Raised),
            _ => None,
        }
    }

    fn refusal(&self, whose: &str, code: PgSqlErrorCode, message: &str) -> Error {
        let message = match self {
            Class::Data => format!("{whose}: a value is none of its column's type"),
            Class::Constraint => format!("{whose}: {message}"),
            Class::Raised | Class::MadeUp => {
                format!("{whose}: a trigger of the table refused a row")
            }
        };
        let code = match self {
            Class::MadeUp => PgSqlErrorCode::ERRCODE_RAISE_EXCEPTION,
            Class::Data | Class::Constraint | Class::Raised => code,
        };
        Error::coded(code, message)
    }
}
