//! Errors that quote data, which may be secret, are replaced by errors that do not.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder};

use super::error::{self, Error, Result};

/// Runs `work`. When PostgreSQL refuses a value or a row (SQLSTATE classes 22 and 23, and what triggers raise), the error tells
/// `whose` rows they were and the broken rule's name, and nothing of the data. The transaction has to end with it, as with any
/// error.
pub fn rows_of<T>(whose: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    PgTryBuilder::new(AssertUnwindSafe(work))
        .catch_others(|error| match error {
            CaughtError::PostgresError(ref report) => {
                let code = report.sql_error_code();
                match Class::of(code) {
                    Some(class) => Err(class.refusal(whose, code, report.message())),
                    None => error.rethrow(),
                }
            }
            error => error.rethrow(),
        })
        .execute()
}

enum Class {
    /// A value is none of its type: the message quotes it.
    Data,
    /// A constraint: the message names it, the detail has the row.
    Constraint,
    Raised,
}

impl Class {
    fn of(code: PgSqlErrorCode) -> Option<Self> {
        match error::sqlstate(code).get(..2) {
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
            Class::Raised => format!("{whose}: a trigger of the table refused a row"),
        };
        Error::coded(code, message)
    }
}
