//! A piece of work whose failure undoes it, and nothing else.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_sys};

use super::error::{Error, Result, SqlState};
use super::passed_on;

/// What a piece of work came to.
pub enum Outcome<T> {
    Done(T),
    /// It failed and was undone.
    Failed {
        sqlstate: String,
        message: String,
    },
}

enum Ended<T> {
    Done(T),
    Refused(Error),
    Raised {
        sqlstate: SqlState,
        message: String,
    },
    /// It is nobody's here to deal with.
    Passed(CaughtError),
}

/// Runs `work` in a subtransaction. Whoever wants the whole call to end (a cancelled query, a server that shuts down) has his
/// way; so has a defect of ours.
pub fn attempt<T>(work: impl FnOnce() -> Result<T>) -> Outcome<T> {
    attempt_unless(ends_the_call, work)
}

/// The same for work that may meet what is corrupt, which PostgreSQL may call an internal error.
pub fn attempt_any<T>(work: impl FnOnce() -> Result<T>) -> Outcome<T> {
    attempt_unless(
        |state| state != PgSqlErrorCode::ERRCODE_INTERNAL_ERROR.into() && ends_the_call(state),
        work,
    )
}

fn attempt_unless<T>(
    ends_the_call: impl Fn(SqlState) -> bool + std::panic::RefUnwindSafe,
    work: impl FnOnce() -> Result<T>,
) -> Outcome<T> {
    // SAFETY: the way PL/pgSQL runs a block with an exception clause: the subtransaction is released or rolled back before
    // this returns or an error passes through (a session would take one that is left open for a block of its user's), and
    // memory context and resource owner are what they were.
    unsafe {
        let (context, owner) = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        let callbacks = pg_sys::error_context_stack;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let ended = PgTryBuilder::new(AssertUnwindSafe(|| match work() {
            Ok(result) => Ended::Done(result),
            Err(error) => Ended::Refused(error),
        }))
        .catch_others(|error| match error {
            CaughtError::PostgresError(ref report) | CaughtError::ErrorReport(ref report)
                if !ends_the_call(passed_on::sqlstate(report)) =>
            {
                Ended::Raised {
                    sqlstate: passed_on::sqlstate(report),
                    message: report.message().to_owned(),
                }
            }
            error => Ended::Passed(error),
        })
        .catch_rust_panic(Ended::Passed)
        .execute();
        if !matches!(ended, Ended::Passed(_)) {
            pg_sys::error_context_stack = callbacks;
        }
        match ended {
            Ended::Done(_) => pg_sys::ReleaseCurrentSubTransaction(),
            Ended::Refused(_) | Ended::Raised { .. } | Ended::Passed(_) => {
                pg_sys::RollbackAndReleaseCurrentSubTransaction();
            }
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        match ended {
            Ended::Done(result) => Outcome::Done(result),
            Ended::Refused(error) => Outcome::Failed {
                sqlstate: SqlState::from(error.code()).to_string(),
                message: error.to_string(),
            },
            Ended::Raised { sqlstate, message } => Outcome::Failed {
                sqlstate: sqlstate.to_string(),
                message,
            },
            Ended::Passed(error) => error.rethrow(),
        }
    }
}

fn ends_the_call(state: SqlState) -> bool {
    state.is_carried()
        && matches!(
            state.carried(),
            PgSqlErrorCode::ERRCODE_QUERY_CANCELED
                | PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN
                | PgSqlErrorCode::ERRCODE_CRASH_SHUTDOWN
                | PgSqlErrorCode::ERRCODE_DATABASE_DROPPED
                | PgSqlErrorCode::ERRCODE_INTERNAL_ERROR
                | PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY
        )
}
