//! The server programming interface: kept plans, typed arguments, rows read while the connection is open.
//!
//! pgrx's own client parses and plans a statement on every call and assigns a transaction id when it writes; search is on
//! the way of every call and runs on a standby, so statements here are planned once per backend and read-only ones say so.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CString, c_char, c_int};
use std::rc::Rc;

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::{FromDatum, IntoDatum, pg_sys};

use super::json::Jsonb;
use super::passed_on;
use super::vector::Vector;

/// Plans kept per backend and way of planning. Search with many combinations of filters makes many statements; beyond this
/// number the least recently used goes, so that a long session's memory stays bounded.
const MAX_PLANS: usize = 64;

/// Which plan PostgreSQL is to use for a kept statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Planning {
    /// PostgreSQL decides.
    Auto,
    /// Planned once, whatever the arguments: right where one shape is best for all of them.
    Generic,
    /// Planned at every call, for the arguments at hand: right where selectivities differ widely.
    Custom,
}

impl Planning {
    const WAYS: usize = 3;

    fn cursor_options(self) -> c_int {
        let options = match self {
            Planning::Auto => 0,
            Planning::Generic => pg_sys::CURSOR_OPT_GENERIC_PLAN,
            Planning::Custom => pg_sys::CURSOR_OPT_CUSTOM_PLAN,
        };
        options as c_int
    }
}

/// One argument of a statement: its type and its value, which it owns.
#[derive(Clone)]
pub struct Arg {
    oid: pg_sys::Oid,
    value: Value,
}

#[derive(Clone)]
enum Value {
    Null,
    /// Passed by value.
    Plain(pg_sys::Datum),
    /// Passed by reference: a copy of the bytes, in words for their alignment. PostgreSQL's own memory would not do: it is
    /// freed with its context, and an argument may be used in a later connection.
    Bytes(Rc<[u64]>),
}

impl Value {
    /// # Safety
    /// `datum` is a value of type `oid`, freshly allocated if it is passed by reference.
    unsafe fn own(datum: pg_sys::Datum, oid: pg_sys::Oid) -> Self {
        // SAFETY: the type's length says how many bytes there are: its own number, or what the varlena's header says.
        unsafe {
            let (mut length, mut by_value) = (0i16, false);
            pg_sys::get_typlenbyval(oid, &mut length, &mut by_value);
            if by_value {
                return Value::Plain(datum);
            }
            let data = datum.cast_mut_ptr::<u8>();
            let size = if length > 0 {
                length as usize
            } else {
                pgrx::varsize_any(data.cast())
            };
            let mut words = vec![0u64; size.div_ceil(size_of::<u64>())];
            std::ptr::copy_nonoverlapping(data, words.as_mut_ptr().cast::<u8>(), size);
            pg_sys::pfree(data.cast());
            Value::Bytes(words.into())
        }
    }
}

impl Arg {
    fn of<T: IntoDatum>(value: Option<T>, oid: pg_sys::Oid) -> Self {
        let value = match value.and_then(IntoDatum::into_datum) {
            None => Value::Null,
            // SAFETY: the conversions below pair each Rust type with its PostgreSQL type, and into_datum allocates.
            Some(datum) => unsafe { Value::own(datum, oid) },
        };
        Arg { oid, value }
    }

    /// A vector, whose type belongs to another extension and has another id in every database.
    pub fn vector(value: Option<&Vector>, vector_type: pg_sys::Oid) -> Self {
        Arg::of(value.cloned(), vector_type)
    }

    /// An array of vectors.
    pub fn vectors(values: &[Option<Vector>], vector_type: pg_sys::Oid) -> Self {
        let (oid, datum) = Vector::array_datum(values, vector_type);
        // SAFETY: a fresh array of that type.
        let value = unsafe { Value::own(datum, oid) };
        Arg { oid, value }
    }

    /// A row of a table, as a trigger is handed it; `datum` is a fresh copy.
    pub(super) fn composite(datum: pg_sys::Datum, row_type: pg_sys::Oid) -> Self {
        // SAFETY: heap_copy_tuple_as_datum made it for this row type.
        let value = unsafe { Value::own(datum, row_type) };
        Arg {
            oid: row_type,
            value,
        }
    }

    /// An array of JSON objects.
    pub fn jsonb_array(values: Vec<Option<Jsonb>>) -> Self {
        let datum = Jsonb::array_datum(values);
        // SAFETY: a fresh array of that type.
        let value = unsafe { Value::own(datum, pg_sys::JSONBARRAYOID) };
        Arg {
            oid: pg_sys::JSONBARRAYOID,
            value,
        }
    }

    pub fn oid(value: pg_sys::Oid) -> Self {
        Arg {
            oid: pg_sys::OIDOID,
            value: Value::Plain(pg_sys::Datum::from(value)),
        }
    }

    fn datum(&self) -> Option<pg_sys::Datum> {
        match &self.value {
            Value::Null => None,
            Value::Plain(datum) => Some(*datum),
            Value::Bytes(words) => Some(pg_sys::Datum::from(words.as_ptr().cast_mut())),
        }
    }
}

macro_rules! arg_from {
    ($($type:ty => $oid:ident),* $(,)?) => {$(
        impl From<$type> for Arg {
            fn from(value: $type) -> Self {
                Arg::of(Some(value), pg_sys::$oid)
            }
        }
        impl From<Option<$type>> for Arg {
            fn from(value: Option<$type>) -> Self {
                Arg::of(value, pg_sys::$oid)
            }
        }
    )*};
}

arg_from! {
    &str => TEXTOID,
    String => TEXTOID,
    bool => BOOLOID,
    i32 => INT4OID,
    i64 => INT8OID,
    f32 => FLOAT4OID,
    f64 => FLOAT8OID,
    &[u8] => BYTEAOID,
    TimestampWithTimeZone => TIMESTAMPTZOID,
    Interval => INTERVALOID,
    Jsonb => JSONBOID,
    Vec<Option<String>> => TEXTARRAYOID,
    Vec<Option<&str>> => TEXTARRAYOID,
    Vec<String> => TEXTARRAYOID,
    Vec<i32> => INT4ARRAYOID,
    Vec<bool> => BOOLARRAYOID,
    Vec<f32> => FLOAT4ARRAYOID,
    Vec<f64> => FLOAT8ARRAYOID,
    Vec<Option<TimestampWithTimeZone>> => TIMESTAMPTZARRAYOID,
    Vec<Option<Vec<u8>>> => BYTEAARRAYOID,
}

struct Kept {
    plan: pg_sys::SPIPlanPtr,
    used: u64,
}

#[derive(Default)]
struct Plans {
    /// One map a way of planning, so that a statement is found by its text as it stands.
    by_statement: [HashMap<String, Kept>; Planning::WAYS],
    clock: u64,
}

thread_local! {
    static PLANS: RefCell<Plans> = RefCell::default();
    /// Plans that are executing now, one inside the other by way of triggers: none of them may be freed meanwhile.
    static EXECUTING: RefCell<Vec<pg_sys::SPIPlanPtr>> = const { RefCell::new(Vec::new()) };
    static FORGET: Cell<bool> = const { Cell::new(false) };
}

/// Drops every kept plan, as soon as none is executing: their argument types no longer mean what they did.
pub fn forget_plans() {
    FORGET.set(true);
}

fn forget_plans_now() {
    PLANS.with_borrow_mut(|plans| {
        for (_, kept) in plans.by_statement.iter_mut().flat_map(HashMap::drain) {
            // SAFETY: the plan came from SPI_keepplan, is out of the map, and no statement is executing.
            unsafe { pg_sys::SPI_freeplan(kept.plan) };
        }
    });
}

/// Notes a plan as executing until it ends, be it by a panic.
struct Executing;

impl Executing {
    fn begin(plan: pg_sys::SPIPlanPtr) -> Self {
        EXECUTING.with_borrow_mut(|executing| executing.push(plan));
        Executing
    }
}

impl Drop for Executing {
    fn drop(&mut self) {
        EXECUTING.with_borrow_mut(|executing| {
            executing.pop();
        });
    }
}

fn plan(sql: &str, planning: Planning, args: &[Arg]) -> pg_sys::SPIPlanPtr {
    let executing = EXECUTING.with_borrow(Clone::clone);
    if executing.is_empty() && FORGET.replace(false) {
        forget_plans_now();
    }
    let found = PLANS.with_borrow_mut(|plans| {
        plans.clock += 1;
        let clock = plans.clock;
        let kept = plans.by_statement[planning as usize].get_mut(sql)?;
        kept.used = clock;
        Some(kept.plan)
    });
    if let Some(plan) = found {
        return plan;
    }
    let source = CString::new(sql).unwrap_or_default();
    let mut types: Vec<pg_sys::Oid> = args.iter().map(|arg| arg.oid).collect();
    // SAFETY: SPI is connected (a `Session` exists), `source` and `types` outlive the call. A parse error is raised as a
    // PostgreSQL error; a null plan is a wrong call, which is checked.
    let plan = unsafe {
        let plan = pg_sys::SPI_prepare_cursor(
            source.as_ptr(),
            types.len() as c_int,
            types.as_mut_ptr(),
            planning.cursor_options(),
        );
        assert!(!plan.is_null(), "SPI_prepare_cursor failed");
        pg_sys::SPI_keepplan(plan);
        plan
    };
    PLANS.with_borrow_mut(|plans| {
        plans.clock += 1;
        let used = plans.clock;
        let kept = &mut plans.by_statement[planning as usize];
        if kept.len() >= MAX_PLANS
            && let Some(oldest) = kept
                .iter()
                .filter(|(_, kept)| !executing.contains(&kept.plan))
                .min_by_key(|(_, kept)| kept.used)
                .map(|(key, _)| key.clone())
            && let Some(kept) = kept.remove(&oldest)
        {
            // SAFETY: as in `forget_plans_now`, but that others may be executing: this one is not.
            unsafe { pg_sys::SPI_freeplan(kept.plan) };
        }
        kept.insert(sql.to_owned(), Kept { plan, used });
    });
    plan
}

/// An open connection to SPI: statements run, and their rows live, as long as it does.
pub struct Session(());

/// Connects to SPI for the time of `work`.
pub fn connect<R>(work: impl FnOnce(&Session) -> R) -> R {
    // SAFETY: SPI_connect raises an error or succeeds. When `work` panics (a PostgreSQL error on its way), the end of the
    // (sub)transaction cleans the connection up; otherwise SPI_finish follows below.
    unsafe { pg_sys::SPI_connect() };
    let result = passed_on::noting(|| work(&Session(())));
    // SAFETY: the connection of this frame is the innermost one: `work` nests properly.
    unsafe { pg_sys::SPI_finish() };
    result
}

impl Session {
    /// Runs a statement that only reads, under the snapshot of the calling statement.
    pub fn read<'s>(&'s self, sql: &str, planning: Planning, args: &[Arg]) -> Rows<'s> {
        // A read-only SPI call would not see what this very transaction's earlier function calls in the same statement
        // wrote; the caller's snapshot is what a STABLE function is entitled to.
        self.run(plan(sql, planning, args), true, args)
    }

    /// Runs a statement that only reads and may return very many rows: they come in batches, each freed after `work`.
    pub fn scan(
        &self,
        sql: &str,
        planning: Planning,
        args: &[Arg],
        batch: i64,
        mut work: impl FnMut(&Rows<'_>),
    ) {
        let plan = plan(sql, planning, args);
        let (mut values, nulls) = datums(args);
        let _executing = Executing::begin(plan);
        // SAFETY: as in `run`; the portal ends with the transaction if `work` panics. A batch's tuple table is freed after
        // `work` has seen it, and `Rows` cannot outlive the closure.
        unsafe {
            let portal = pg_sys::SPI_cursor_open(
                std::ptr::null(),
                plan,
                values.as_mut_ptr(),
                nulls.as_ptr(),
                true,
            );
            loop {
                pg_sys::SPI_cursor_fetch(portal, true, batch as _);
                let rows = Rows {
                    table: pg_sys::SPI_tuptable,
                    processed: pg_sys::SPI_processed as usize,
                    current: RefCell::default(),
                    session: std::marker::PhantomData,
                };
                if !rows.is_empty() {
                    work(&rows);
                }
                pg_sys::SPI_freetuptable(rows.table);
                if (rows.processed as i64) < batch {
                    break;
                }
            }
            pg_sys::SPI_cursor_close(portal);
        }
    }

    /// Runs a statement that writes, or that must see what this transaction wrote a moment ago.
    pub fn write<'s>(&'s self, sql: &str, args: &[Arg]) -> Rows<'s> {
        self.run(plan(sql, Planning::Auto, args), false, args)
    }

    /// The same, planned anew each time: a plan for a table that grows from nothing while the statement is repeated would not
    /// be one for many rows.
    pub fn write_planned_anew<'s>(&'s self, sql: &str, args: &[Arg]) -> Rows<'s> {
        self.run(plan(sql, Planning::Custom, args), false, args)
    }

    /// Runs a statement that is too rare to keep a plan of, such as DDL.
    pub fn once(&self, sql: &str) {
        let source = CString::new(sql).unwrap_or_default();
        // SAFETY: SPI is connected and `source` outlives the call.
        unsafe { pg_sys::SPI_execute(source.as_ptr(), false, 0) };
    }

    /// The same with arguments, for a statement that names what is there for this call only.
    pub fn once_with<'s>(&'s self, sql: &str, args: &[Arg]) -> Rows<'s> {
        let source = CString::new(sql).unwrap_or_default();
        let mut types: Vec<pg_sys::Oid> = args.iter().map(|arg| arg.oid).collect();
        let (mut values, nulls) = datums(args);
        // SAFETY: SPI is connected; source, types, values and nulls outlive the call.
        unsafe {
            pg_sys::SPI_tuptable = std::ptr::null_mut();
            let status = pg_sys::SPI_execute_with_args(
                source.as_ptr(),
                types.len() as c_int,
                types.as_mut_ptr(),
                values.as_mut_ptr(),
                nulls.as_ptr(),
                false,
                0,
            );
            assert!(status >= 0, "SPI_execute_with_args failed with {status}");
            Rows {
                table: pg_sys::SPI_tuptable,
                processed: pg_sys::SPI_processed as usize,
                current: RefCell::default(),
                session: std::marker::PhantomData,
            }
        }
    }

    fn run(&self, plan: pg_sys::SPIPlanPtr, read_only: bool, args: &[Arg]) -> Rows<'_> {
        let (mut values, nulls) = datums(args);
        let _executing = Executing::begin(plan);
        // SAFETY: the plan is kept and was prepared for these argument types (the statement's text decides them, and plans
        // are forgotten when a type's id changes); `values` and `nulls` outlive the call.
        unsafe {
            pg_sys::SPI_tuptable = std::ptr::null_mut();
            let status =
                pg_sys::SPI_execute_plan(plan, values.as_mut_ptr(), nulls.as_ptr(), read_only, 0);
            assert!(status >= 0, "SPI_execute_plan failed with {status}");
            Rows {
                table: pg_sys::SPI_tuptable,
                processed: pg_sys::SPI_processed as usize,
                current: RefCell::default(),
                session: std::marker::PhantomData,
            }
        }
    }
}

/// A query whose rows are fetched as they are needed, in several connections of one call.
pub struct Cursor {
    name: CString,
}

impl Cursor {
    /// Opens a query that only reads, under the snapshot of the calling statement, with the rights of the current role.
    pub fn open(sql: &str) -> Self {
        let source = CString::new(sql).unwrap_or_default();
        // SAFETY: `source` outlives the connection. The portal outlives it too: SPI hands it over to the transaction, which
        // closes it if an error passes through. Its name is copied.
        let name = unsafe {
            pg_sys::SPI_connect();
            let plan = pg_sys::SPI_prepare(source.as_ptr(), 0, std::ptr::null_mut());
            assert!(!plan.is_null(), "SPI_prepare failed");
            let portal = pg_sys::SPI_cursor_open(
                std::ptr::null(),
                plan,
                std::ptr::null_mut(),
                std::ptr::null(),
                true,
            );
            let name = std::ffi::CStr::from_ptr((*portal).name).to_owned();
            pg_sys::SPI_finish();
            name
        };
        Cursor { name }
    }

    /// The next rows, at most `count`; none at the end.
    pub fn fetch<R>(&self, count: i64, work: impl FnOnce(&Rows<'_>) -> R) -> R {
        connect(|session| {
            // SAFETY: the portal is looked up by its name, and a missing one is an assertion. The tuple table lives until the
            // connection ends, and `Rows` cannot outlive the closure.
            let rows = unsafe {
                let portal = pg_sys::SPI_cursor_find(self.name.as_ptr());
                assert!(!portal.is_null(), "a cursor was closed by somebody else");
                pg_sys::SPI_cursor_fetch(portal, true, count as _);
                rows_of(session)
            };
            work(&rows)
        })
    }
}

/// # Safety
/// A statement was executed in this connection.
unsafe fn rows_of(_session: &Session) -> Rows<'_> {
    // SAFETY: plain reads of what SPI left.
    unsafe {
        Rows {
            table: pg_sys::SPI_tuptable,
            processed: pg_sys::SPI_processed as usize,
            current: RefCell::default(),
            session: std::marker::PhantomData,
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: closes the portal if it is still there. When an error is on its way, the transaction's end does that.
            unsafe {
                let portal = pg_sys::SPI_cursor_find(self.name.as_ptr());
                if !portal.is_null() {
                    pg_sys::SPI_cursor_close(portal);
                }
            }
        }
    }
}

/// Arguments the way SPI takes them.
fn datums(args: &[Arg]) -> (Vec<pg_sys::Datum>, Vec<c_char>) {
    let null = |arg: &Arg| if matches!(arg.value, Value::Null) { b'n' } else { b' ' } as c_char;
    (
        args.iter()
            .map(|arg| arg.datum().unwrap_or(pg_sys::Datum::from(0)))
            .collect(),
        args.iter().map(null).collect(),
    )
}

/// What a statement returned.
pub struct Rows<'s> {
    table: *mut pg_sys::SPITupleTable,
    processed: usize,
    /// The row looked at last, taken apart.
    current: RefCell<Current>,
    session: std::marker::PhantomData<&'s Session>,
}

#[derive(Default)]
struct Current {
    row: Option<usize>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Rows<'_> {
    /// Rows returned, or changed by a statement that returns none.
    pub fn len(&self) -> usize {
        self.processed
    }

    pub fn is_empty(&self) -> bool {
        self.processed == 0
    }

    /// The value at `row` (from 0) and `column` (from 1), copied out; `None` for NULL.
    pub fn get<T: FromDatum>(&self, row: usize, column: usize) -> Option<T> {
        if self.table.is_null() || row >= self.processed {
            return None;
        }
        let mut current = self.current.borrow_mut();
        if current.row != Some(row) {
            self.take_apart(row, &mut current);
        }
        let place = column.checked_sub(1)?;
        let (datum, is_null) = (*current.values.get(place)?, *current.nulls.get(place)?);
        // SAFETY: the datum is of the row's column, and lives as long as the session. `T` copies what it needs.
        unsafe { T::from_datum(datum, is_null) }
    }

    fn take_apart(&self, row: usize, current: &mut Current) {
        // SAFETY: the tuple table is not null and lives as long as the session; `row` is within it; both vectors have an
        // element a column.
        unsafe {
            let descriptor = (*self.table).tupdesc;
            let columns = (*descriptor).natts.unsigned_abs() as usize;
            current.values.resize(columns, pg_sys::Datum::from(0));
            current.nulls.resize(columns, true);
            pg_sys::heap_deform_tuple(
                *(*self.table).vals.add(row),
                descriptor,
                current.values.as_mut_ptr(),
                current.nulls.as_mut_ptr(),
            );
        }
        current.row = Some(row);
    }

    /// The bytes of a value of varying length (text, bytea, vector, bit, ...) behind its header, whatever they are: what may be
    /// corrupt must not be taken for text. A value that lies in the row is not copied.
    pub fn bytes(&self, row: usize, column: usize) -> Option<Cow<'_, [u8]>> {
        if self.table.is_null() || row >= self.processed {
            return None;
        }
        let mut current = self.current.borrow_mut();
        if current.row != Some(row) {
            self.take_apart(row, &mut current);
        }
        let place = column.checked_sub(1)?;
        let (datum, is_null) = (*current.values.get(place)?, *current.nulls.get(place)?);
        if is_null {
            return None;
        }
        // SAFETY: the datum is a varlena of the row's, which lives as long as the tuple table, and so as `self`. Detoasting
        // gives the same varlena, or a fresh copy, which is freed after its bytes were copied.
        unsafe {
            let original = datum.cast_mut_ptr::<pg_sys::varlena>();
            let toasted =
                pgrx::varatt_is_1b_e(original.cast()) || pgrx::varatt_is_4b_c(original.cast());
            let plain = match toasted {
                true => pg_sys::pg_detoast_datum_packed(original),
                false => original,
            };
            let bytes = std::slice::from_raw_parts(
                pgrx::vardata_any(plain).cast::<u8>(),
                pgrx::varsize_any_exhdr(plain),
            );
            if !toasted {
                return Some(Cow::Borrowed(bytes));
            }
            let copy = bytes.to_vec();
            pg_sys::pfree(plain.cast());
            Some(Cow::Owned(copy))
        }
    }

    /// A value that the statement never returns as NULL.
    pub fn required<T: FromDatum>(&self, row: usize, column: usize) -> T {
        match self.get(row, column) {
            Some(value) => value,
            None => {
                pgrx::ereport!(
                    pgrx::PgLogLevel::ERROR,
                    pgrx::PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
                    "a column of the memory store is NULL that never is",
                    "The tables of the store were altered."
                );
                unreachable!("an error does not return")
            }
        }
    }
}
