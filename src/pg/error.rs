//! Every error the extension raises, and its SQLSTATE: one place.
//!
//! The primary message is lower case without a full stop and says what was got and what was expected; DETAIL and HINT are
//! whole sentences.

use std::cell::Cell;
use std::ffi::c_int;
use std::fmt::Write;
use std::ptr::null_mut;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a `#[pg_extern]` function returns: pgrx raises an `ErrorReport` with its own SQLSTATE.
pub type SqlResult<T, E = ErrorReport> = std::result::Result<T, E>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Argument,
    Unparsable,
    NotFound,
    Duplicate,
    Rule,
    Denied,
    VersionConflict,
    Limit,
    State,
    Coded(PgSqlErrorCode),
}

impl Kind {
    fn sqlstate(self) -> PgSqlErrorCode {
        match self {
            Kind::Argument => PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            Kind::Unparsable => PgSqlErrorCode::ERRCODE_INVALID_TEXT_REPRESENTATION,
            Kind::NotFound => PgSqlErrorCode::ERRCODE_NO_DATA_FOUND,
            Kind::Duplicate => PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION,
            Kind::Rule => PgSqlErrorCode::ERRCODE_CHECK_VIOLATION,
            Kind::Denied => PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            Kind::VersionConflict => PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
            Kind::Limit => PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            Kind::State => PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Kind::Coded(code) => code,
        }
    }
}

#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    is_alone: bool,
}

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            detail: None,
            hint: None,
            is_alone: false,
        }
    }

    /// 22023: an argument outside what the function takes.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(Kind::Argument, message)
    }

    /// 22P02: text that cannot be read as what it should be.
    pub fn unparsable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unparsable, message)
    }

    /// P0002: no such row, or none the caller may see; the two are not told apart.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// 23505: it is there already.
    pub fn duplicate(message: impl Into<String>) -> Self {
        Self::new(Kind::Duplicate, message)
    }

    /// 23514: a row that breaks a rule of its table.
    pub fn rule(message: impl Into<String>) -> Self {
        Self::new(Kind::Rule, message)
    }

    /// 42501: no right.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(Kind::Denied, message)
    }

    /// 40001: somebody else changed it first; retry.
    pub fn version_conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::VersionConflict, message)
    }

    /// 54000: over a limit.
    pub fn limit(message: impl Into<String>) -> Self {
        Self::new(Kind::Limit, message)
    }

    /// 55000: the store, the server or a setting is not in the state the call needs.
    pub fn state(message: impl Into<String>) -> Self {
        Self::new(Kind::State, message)
    }

    /// 22000: a backup that this key does not open, or that is not what was written.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::coded(PgSqlErrorCode::ERRCODE_DATA_EXCEPTION, message)
    }

    /// An error of the file system or of PostgreSQL's, with the code it has there.
    pub fn coded(code: PgSqlErrorCode, message: impl Into<String>) -> Self {
        Self::new(Kind::Coded(code), message)
    }

    /// Raises it where nothing can be returned: in the middle of a set-returning function.
    pub fn raise(self) -> ! {
        ErrorReport::from(self).report(PgLogLevel::ERROR);
        unreachable!("an error does not return")
    }

    /// The same error, said of what stands at a place of the input.
    pub fn at(mut self, place: impl std::fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The same error, said of one item of a batch.
    pub fn of_item(self, ordinal: usize) -> Self {
        self.at(format_args!("item {ordinal}"))
    }

    pub fn code(&self) -> PgSqlErrorCode {
        self.kind.sqlstate()
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// A sentence after those of the detail.
    pub fn also(mut self, sentence: &str) -> Self {
        let detail = self.detail.get_or_insert_default();
        if !detail.is_empty() {
            detail.push(' ');
        }
        detail.push_str(sentence);
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Told without CONTEXT, in which COPY quotes its line: what was refused is not to stand in a log.
    pub fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }
}

/// To be called when an error is on its way and nothing is to be told of what led there.
pub fn leave_context_out() {
    // SAFETY: the backend has one thread. Whoever catches the error puts back the callbacks that he began with.
    unsafe { pg_sys::error_context_stack = null_mut() };
}

thread_local! {
    static LAST: Cell<PgSqlErrorCode> = const { Cell::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR) };
}

/// The code of the report that was made last: pgrx's reports do not tell theirs.
pub fn last_code() -> PgSqlErrorCode {
    LAST.get()
}

/// An error's code as PostgreSQL has it: five characters of six bits each, the first in the lowest (utils/elog.h). Users make up
/// their own, which no `PgSqlErrorCode` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlState(pub c_int);

impl SqlState {
    /// The code that pgrx carries in its place.
    pub fn carried(self) -> PgSqlErrorCode {
        PgSqlErrorCode::from(self.0)
    }

    pub fn is_carried(self) -> bool {
        SqlState::from(self.carried()) == self
    }
}

impl From<PgSqlErrorCode> for SqlState {
    fn from(code: PgSqlErrorCode) -> Self {
        SqlState(code as c_int)
    }
}

impl std::fmt::Display for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (0..5).try_for_each(|place| {
            f.write_char(char::from(((self.0 >> (6 * place)) & 0x3f) as u8 + b'0'))
        })
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for ErrorReport {
    fn from(error: Error) -> Self {
        LAST.set(error.code());
        if error.is_alone {
            leave_context_out();
        }
        let mut report = ErrorReport::new(error.kind.sqlstate(), error.message, "memory_ext");
        if let Some(detail) = error.detail {
            report = report.set_detail(detail);
        }
        if let Some(hint) = error.hint {
            report = report.set_hint(hint);
        }
        report
    }
}
