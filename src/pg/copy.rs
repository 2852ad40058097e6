//! Rows out of and into tables by PostgreSQL's own COPY, in its text format and in UTF-8.
//!
//! COPY's callbacks take no pointer of ours: whom they serve is left in a thread-local variable, for one COPY in each
//! direction at a time.

use std::cell::Cell;
use std::ffi::{CString, c_int, c_void};
use std::ptr::NonNull;
use std::thread::LocalKey;

use pgrx::PgLogLevel;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;

use super::error::{Error, Result};

/// Takes a row, without its newline.
type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;
/// Puts the next bytes into the buffer and says how many; 0 at the end.
type Source<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<usize>;

type Slot<T> = LocalKey<Cell<State<T>>>;

enum State<T> {
    Free,
    /// Lent to the COPY that runs, whose callback is not at work.
    Lent(NonNull<T>),
    AtWork,
}

thread_local! {
    static SINK: Cell<State<Sink<'static>>> = const { Cell::new(State::Free) };
    static SOURCE: Cell<State<Source<'static>>> = const { Cell::new(State::Free) };
}

/// The slot is filled until this is dropped, be it by a panic.
struct Lease<T: 'static>(&'static Slot<T>);

impl<T: 'static> Lease<T> {
    /// The pointer must be valid until the lease ends.
    fn take(slot: &'static Slot<T>, lent: NonNull<T>) -> Result<Self> {
        match slot.replace(State::AtWork) {
            State::Free => {
                slot.set(State::Lent(lent));
                Ok(Lease(slot))
            }
            busy => {
                slot.set(busy);
                Err(Error::state(
                    "a backup, a restore or an export is running in this session already",
                )
                .hint("Call one after the other."))
            }
        }
    }
}

impl<T: 'static> Drop for Lease<T> {
    fn drop(&mut self) {
        self.0.set(State::Free);
    }
}

/// Runs the callback's work with what was lent. An error is raised as PostgreSQL's, through COPY's frames.
fn serve<T: 'static, R>(slot: &'static Slot<T>, work: impl FnOnce(&mut T) -> Result<R>) -> R {
    let State::Lent(mut lent) = slot.replace(State::AtWork) else {
        raise(Error::state("COPY called back out of turn"));
    };
    // SAFETY: the lease holds the pointer's target alive and borrowed while COPY runs, and AtWork keeps a second reference
    // from being made meanwhile.
    let result = work(unsafe { lent.as_mut() });
    slot.set(State::Lent(lent));
    match result {
        Ok(value) => value,
        Err(error) => raise(error),
    }
}

fn raise(error: Error) -> ! {
    ErrorReport::from(error).report(PgLogLevel::ERROR);
    unreachable!("an error does not return")
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn put_row(data: *mut c_void, length: c_int) {
    // SAFETY: COPY hands over a buffer of that length, which outlives the call.
    let row =
        unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length.unsigned_abs() as usize) };
    serve(&SINK, |sink| sink(row));
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn get_bytes(buffer: *mut c_void, _least: c_int, most: c_int) -> c_int {
    let most = most.unsigned_abs() as usize;
    // SAFETY: COPY hands over a buffer with room for that many bytes; they are initialised before there is a reference.
    let buffer = unsafe {
        buffer.cast::<u8>().write_bytes(0, most);
        std::slice::from_raw_parts_mut(buffer.cast::<u8>(), most)
    };
    serve(&SOURCE, |source| source(buffer)).min(most) as c_int
}

/// The options of both directions. The client's encoding is nobody's business here.
///
/// # Safety
/// Allocates in the current memory context.
unsafe fn options() -> *mut pg_sys::List {
    // SAFETY: the names are literals, which the nodes point to and nobody writes to.
    unsafe {
        let encoding = pg_sys::makeString(c"UTF8".as_ptr().cast_mut());
        let option = pg_sys::makeDefElem(c"encoding".as_ptr().cast_mut(), encoding.cast(), -1);
        pg_sys::lappend(std::ptr::null_mut(), option.cast())
    }
}

/// Hands each row of a SELECT to `row`, as a line of COPY's text format without its newline; how many there were. The rows are
/// those of the calling statement's snapshot, and of what this transaction itself has done before.
pub fn copy_out(select: &str, row: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let statement = CString::new(select)
        .map_err(|_| Error::argument("a statement to copy has a NUL character in it"))?;
    let mut sink: Sink<'_> = row;
    let _lease = Lease::take(&SINK, NonNull::from(&mut sink).cast())?;
    // SAFETY: what the functions are given outlives them: `statement` and `sink` live in this frame. They raise errors as panics
    // here; then the end of the (sub)transaction cleans up what COPY had open, and the lease ends on the way.
    unsafe {
        assert!(pg_sys::ActiveSnapshotSet(), "COPY needs a snapshot");
        let parsed = pg_sys::pg_parse_query(statement.as_ptr());
        let query = pg_sys::list_nth(parsed, 0).cast::<pg_sys::RawStmt>();
        let parsing = pg_sys::make_parsestate(std::ptr::null_mut());
        (*parsing).p_sourcetext = statement.as_ptr();
        let copy = pg_sys::BeginCopyTo(
            parsing,
            std::ptr::null_mut(),
            query,
            pg_sys::InvalidOid,
            std::ptr::null(),
            false,
            Some(put_row),
            std::ptr::null_mut(),
            options(),
        );
        let rows = pg_sys::DoCopyTo(copy);
        pg_sys::EndCopyTo(copy);
        pg_sys::free_parsestate(parsing);
        Ok(rows)
    }
}

/// Fills a table that is this transaction's own, all its columns, with the lines of COPY's text format that `source` gives; how
/// many rows they were.
pub fn copy_in(
    table: pg_sys::Oid,
    source: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
) -> Result<u64> {
    let mut source: Source<'_> = source;
    let _lease = Lease::take(&SOURCE, NonNull::from(&mut source).cast())?;
    let lock = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: as in `copy_out`. The table stays open and locked while COPY runs.
    unsafe {
        assert!(pg_sys::ActiveSnapshotSet(), "COPY needs a snapshot");
        let relation = pg_sys::table_open(table, lock);
        let parsing = pg_sys::make_parsestate(std::ptr::null_mut());
        pg_sys::addRangeTableEntryForRelation(
            parsing,
            relation,
            lock,
            std::ptr::null_mut(),
            false,
            false,
        );
        let copy = pg_sys::BeginCopyFrom(
            parsing,
            relation,
            std::ptr::null_mut(),
            std::ptr::null(),
            false,
            Some(get_bytes),
            std::ptr::null_mut(),
            options(),
        );
        let rows = pg_sys::CopyFrom(copy);
        pg_sys::EndCopyFrom(copy);
        pg_sys::free_parsestate(parsing);
        pg_sys::table_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
        Ok(rows)
    }
}
