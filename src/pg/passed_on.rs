//! Errors that somebody else raised, passed on as they are.
//!
//! pgrx carries an error through Rust with those SQLSTATEs alone that PostgreSQL has: one that a user's trigger made up would
//! arrive as XX000. The names of the constraint, the table and the column, and the CONTEXT, which says where in whose code it was,
//! do not arrive at all. So an error is noted as it is raised, and what it has lost is put back when pgrx raises it again; both in
//! PostgreSQL's callbacks for the context of errors, which run while the error is in the making.
//!
//! But not its row: where a constraint is broken PostgreSQL shows that to whoever may read the table, and while a function of ours
//! runs that is the owner, not the caller.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{null_mut, without_provenance_mut};

use pgrx::pg_sys::panic::ErrorReportWithLevel;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

use super::error::SqlState;

// Unguarded: they run amid an error, in frames of PostgreSQL, through which no panic may pass.
unsafe extern "C-unwind" {
    fn errcode(sqlstate: c_int) -> c_int;
    fn errdetail_internal(format: *const c_char, ...) -> c_int;
    fn errcontext_msg(format: *const c_char, ...) -> c_int;
    fn err_generic_string(field: c_int, text: *const c_char) -> c_int;
    fn geterrcode() -> c_int;
    fn CopyErrorData() -> *mut pg_sys::ErrorData;
    fn FreeErrorData(error: *mut pg_sys::ErrorData);
}

/// The fields of an error that name things.
const NAMES: [(u8, fn(&pg_sys::ErrorData) -> *mut c_char); 5] = [
    (pg_sys::PG_DIAG_SCHEMA_NAME, |error| error.schema_name),
    (pg_sys::PG_DIAG_TABLE_NAME, |error| error.table_name),
    (pg_sys::PG_DIAG_COLUMN_NAME, |error| error.column_name),
    (pg_sys::PG_DIAG_DATATYPE_NAME, |error| error.datatype_name),
    (pg_sys::PG_DIAG_CONSTRAINT_NAME, |error| {
        error.constraint_name
    }),
];

struct Noted {
    sqlstate: SqlState,
    message: CString,
    names: [Option<CString>; NAMES.len()],
    context: Option<CString>,
}

thread_local! {
    /// How many calls of `noting` enclose what runs now. An error meets the callbacks of all of them, and passes through the
    /// innermost one first.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static LAST: RefCell<Option<Noted>> = const { RefCell::new(None) };
}

/// Runs `work`; an error that passes through it keeps its SQLSTATE and names.
pub fn noting<R>(work: impl FnOnce() -> R) -> R {
    let depth = DEPTH.get() + 1;
    DEPTH.set(depth);
    let mut callback = pg_sys::ErrorContextCallback {
        // SAFETY: the backend has one thread.
        previous: unsafe { pg_sys::error_context_stack },
        callback: Some(note),
        arg: without_provenance_mut(depth),
    };
    let _end = End(callback.previous);
    // SAFETY: as above; `_end` takes the callback off again before this frame is left, in whatever way.
    unsafe { pg_sys::error_context_stack = &raw mut callback };
    work()
}

/// The SQLSTATE that the error was raised with.
pub fn sqlstate(error: &ErrorReportWithLevel) -> SqlState {
    let carried = error.sql_error_code();
    LAST.with_borrow(|last| match last {
        Some(noted)
            if noted.sqlstate.carried() == carried
                && noted.message.as_bytes() == error.message().as_bytes() =>
        {
            noted.sqlstate
        }
        _ => carried.into(),
    })
}

/// Puts nothing back: the context of the error that is on its way may quote what is secret.
pub fn forget() {
    LAST.set(None);
}

struct End(*mut pg_sys::ErrorContextCallback);

impl Drop for End {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        // SAFETY: the callbacks before this frame's are those of frames that enclose it.
        unsafe { pg_sys::error_context_stack = self.0 };
        if std::thread::panicking() && LAST.with_borrow(|last| last.as_ref().is_some_and(loses)) {
            put_back_later();
        }
    }
}

/// Whether pgrx does not carry all of it.
fn loses(noted: &Noted) -> bool {
    !noted.sqlstate.is_carried()
        || noted.context.is_some()
        || noted.names.iter().any(Option::is_some)
}

/// Puts a callback before all others, for the error that is on its way. It stays until somebody has caught the error, as every
/// catcher sets the callbacks to what they were when he began.
fn put_back_later() {
    static mut CALLBACK: pg_sys::ErrorContextCallback = pg_sys::ErrorContextCallback {
        previous: null_mut(),
        callback: Some(put_back),
        arg: null_mut(),
    };
    // SAFETY: the backend has one thread; the list consists of callbacks of frames that are still there, and of this one at most
    // once, which would otherwise make it a ring.
    unsafe {
        let ours = &raw mut CALLBACK;
        let mut callback = pg_sys::error_context_stack;
        while !callback.is_null() {
            if callback == ours {
                return;
            }
            callback = (*callback).previous;
        }
        (*ours).previous = pg_sys::error_context_stack;
        pg_sys::error_context_stack = ours;
    }
}

unsafe extern "C-unwind" fn note(depth: *mut c_void) {
    if depth.addr() != DEPTH.get() {
        return;
    }
    look(|error| {
        if shows_row(error) {
            // SAFETY: the error is in the making, and copies what it is given.
            unsafe { errdetail_internal(c"%s".as_ptr(), ROW_HIDDEN.as_ptr()) };
        }
        let owned = |text: *mut c_char| {
            // SAFETY: PostgreSQL's strings end with a zero byte.
            (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_owned())
        };
        LAST.set(owned(error.message).map(|message| Noted {
            sqlstate: SqlState(error.sqlerrcode),
            message,
            names: NAMES.map(|(_, of)| owned(of(error))),
            context: owned(error.context).and_then(|context| of_others(&context)),
        }));
    });
}

const ROW_HIDDEN: &CStr = c"The row is not shown: it may hold what the caller may not see.";

/// Whether PostgreSQL found that a constraint of a table is broken: who raises such an error himself does not name the table.
fn shows_row(error: &pg_sys::ErrorData) -> bool {
    const CLASS_23: c_int = PgSqlErrorCode::ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION as c_int;
    const CLASS: c_int = 0xfff;
    error.sqlerrcode & CLASS == CLASS_23 & CLASS
        && !error.table_name.is_null()
        && !error.detail.is_null()
}

/// The context without the statement of ours in which it happened: it comes last, and tells users nothing. In another language
/// than English it stays.
fn of_others(context: &CStr) -> Option<CString> {
    const STATEMENT: &str = "SQL statement \"";
    let text = context.to_str().ok()?;
    let is_start = |place: &usize| *place == 0 || text[..*place].ends_with('\n');
    let ours = text
        .rmatch_indices(STATEMENT)
        .map(|(place, _)| place)
        .find(is_start)
        .filter(|_| text.ends_with('"'));
    let others = text[..ours.unwrap_or(text.len())].trim_end();
    (!others.is_empty()).then(|| CString::new(others).ok())?
}

unsafe extern "C-unwind" fn put_back(_: *mut c_void) {
    look(|error| {
        LAST.with_borrow(|last| {
            let Some(noted) = last else {
                return;
            };
            // SAFETY: PostgreSQL's strings end with a zero byte.
            let is_same = SqlState(error.sqlerrcode) == noted.sqlstate.carried().into()
                && !error.message.is_null()
                && unsafe { CStr::from_ptr(error.message) } == noted.message.as_c_str();
            if !is_same {
                return;
            }
            // SAFETY: an error is in the making, and both copy what they are given.
            unsafe {
                errcode(noted.sqlstate.0);
                if let Some(context) = &noted.context {
                    errcontext_msg(c"%s".as_ptr(), context.as_ptr());
                }
                for ((field, of), name) in NAMES.iter().zip(&noted.names) {
                    if let Some(name) = name
                        && of(error).is_null()
                    {
                        err_generic_string(c_int::from(*field), name.as_ptr());
                    }
                }
            }
        });
    });
}

/// Looks at the error that is in the making, unless it is none or memory is out.
fn look(at: impl FnOnce(&pg_sys::ErrorData)) {
    // SAFETY: this runs in a callback, so there is an error. Its context of memory is to be left to it.
    unsafe {
        const CLASS: c_int = 0xfff;
        let code = geterrcode();
        let is_notice = code & CLASS == 0;
        if is_notice || SqlState(code) == PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY.into() {
            return;
        }
        let before = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = pg_sys::TopMemoryContext;
        let error = CopyErrorData();
        if (*error).elevel >= PgLogLevel::ERROR as c_int {
            at(&*error);
        }
        FreeErrorData(error);
        pg_sys::CurrentMemoryContext = before;
    }
}
