//! Small questions to the server: roles, time, randomness, recovery.

use std::ffi::{CStr, CString};

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::{PgLogLevel, PgSqlErrorCode};
use pgrx::{IntoDatum, pg_sys};

/// The role whose rights count now.
pub fn current_role() -> pg_sys::Oid {
    // SAFETY: reads a session variable.
    unsafe { pg_sys::GetUserId() }
}

pub fn role_name(role: pg_sys::Oid) -> String {
    // SAFETY: with `noerr` a missing role gives null; otherwise a palloc'd string.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        if name.is_null() {
            role.to_u32().to_string()
        } else {
            CStr::from_ptr(name).to_string_lossy().into_owned()
        }
    }
}

pub fn role_exists(name: &str) -> bool {
    let Ok(name) = CString::new(name) else {
        return false;
    };
    // SAFETY: a catalog look-up by name; a missing role is InvalidOid, not an error.
    unsafe { pg_sys::get_role_oid(name.as_ptr(), true) != pg_sys::InvalidOid }
}

pub fn is_superuser(role: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up.
    unsafe { pg_sys::superuser_arg(role) }
}

/// Whether `role` has the rights of `owner`: is it, or a member that inherits.
pub fn has_rights_of(role: pg_sys::Oid, owner: pg_sys::Oid) -> bool {
    // SAFETY: catalog look-ups.
    unsafe { pg_sys::has_privs_of_role(role, owner) }
}

pub fn in_recovery() -> bool {
    // SAFETY: reads shared memory.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// A transaction that may not write: read-only, or on a standby.
pub fn read_only() -> bool {
    // SAFETY: reads a session variable.
    unsafe { pg_sys::XactReadOnly }
}

/// Whether the transaction keeps seeing what was there when it began, whatever others commit.
pub fn sees_one_snapshot() -> bool {
    // SAFETY: reads a session variable.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// A line in the server's log that the client does not get, and that stays when the transaction is rolled back.
pub fn log_for_operators(message: String) {
    pgrx::ereport!(
        PgLogLevel::LOG_SERVER_ONLY,
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        message
    );
}

/// A line for the client, on the way of long work.
pub fn notice(message: &str) {
    pgrx::notice!("{message}");
}

/// A name as SQL spells it.
pub fn quoted_identifier(name: &str) -> String {
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: quote_identifier returns its argument or a palloc'd string; it is copied.
    unsafe {
        CStr::from_ptr(pg_sys::quote_identifier(name.as_ptr()))
            .to_string_lossy()
            .into_owned()
    }
}

pub fn warning(message: &str) {
    pgrx::warning!("{message}");
}

/// 25006 in a read-only transaction, whose effects the named command's would outlive.
pub fn refuse_read_only_transaction(command: &std::ffi::CStr) {
    // SAFETY: reads a session variable, and raises an error with a copy of the name.
    unsafe { pg_sys::PreventCommandIfReadOnly(command.as_ptr()) };
}

/// A string as SQL spells it, for statements that take no parameters.
pub fn quoted_literal(text: &str) -> String {
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: quote_literal_cstr copies its argument into a palloc'd string.
    unsafe {
        let quoted = pg_sys::quote_literal_cstr(text.as_ptr());
        let copy = CStr::from_ptr(quoted).to_string_lossy().into_owned();
        pg_sys::pfree(quoted.cast());
        copy
    }
}

/// The transaction's time, as `now()` gives it.
pub fn now() -> TimestampWithTimeZone {
    // SAFETY: reads a session variable.
    let micros = unsafe { pg_sys::GetCurrentTransactionStartTimestamp() };
    TimestampWithTimeZone::try_from(micros)
        .unwrap_or_else(|_| TimestampWithTimeZone::positive_infinity())
}

/// The clock's time, as `clock_timestamp()` gives it.
pub fn clock() -> TimestampWithTimeZone {
    // SAFETY: reads the clock.
    let micros = unsafe { pg_sys::GetCurrentTimestamp() };
    TimestampWithTimeZone::try_from(micros)
        .unwrap_or_else(|_| TimestampWithTimeZone::positive_infinity())
}

/// What the clock's time would have been so long ago, had it not been set meanwhile.
pub fn clock_before(elapsed: std::time::Duration) -> TimestampWithTimeZone {
    let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
    let now = clock();
    TimestampWithTimeZone::try_from(now.into_inner().saturating_sub(micros)).unwrap_or(now)
}

/// `start + length`, by the calendar of the session's time zone.
pub fn after(start: TimestampWithTimeZone, length: Interval) -> Option<TimestampWithTimeZone> {
    // SAFETY: timestamptz_pl_interval takes these two types and returns a timestamptz.
    unsafe {
        pgrx::direct_function_call(
            pg_sys::timestamptz_pl_interval,
            &[start.into_datum(), length.into_datum()],
        )
    }
}

/// Microseconds since the Unix epoch.
pub fn unix_micros() -> u64 {
    // SAFETY: reads the clock. PostgreSQL counts from 2000-01-01.
    let since_2000 = unsafe { pg_sys::GetCurrentTimestamp() };
    const FROM_1970_TO_2000_SECONDS: i64 = 946_684_800;
    u64::try_from(since_2000 + FROM_1970_TO_2000_SECONDS * 1_000_000).unwrap_or(0)
}

/// Microseconds of the clock that never jumps, the same in all processes; where it began is not said.
pub fn monotonic_micros() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes the structure; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1000
}

/// Connections to all databases of the server.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// Those of clients. The server's own processes do not take from what clients may have.
    pub clients: i32,
    pub most: i32,
    /// Of them, those that only superusers and members of pg_use_reserved_connections get.
    pub reserved: i32,
}

pub fn connections() -> Connections {
    // SAFETY: reads this process's copy of who is connected, made by the first call and kept until the end of the transaction,
    // by numbers that it has; and settings that do not change while the server runs.
    unsafe {
        let clients = (1..=pg_sys::pgstat_fetch_stat_numbackends())
            .filter(|number| {
                let backend = pg_sys::pgstat_get_local_beentry_by_index(*number);
                !backend.is_null()
                    && (*backend).backendStatus.st_backendType == pg_sys::BackendType::B_BACKEND
            })
            .count();
        Connections {
            clients: i32::try_from(clients).unwrap_or(i32::MAX),
            most: pg_sys::MaxConnections,
            reserved: pg_sys::SuperuserReservedConnections + pg_sys::ReservedConnections,
        }
    }
}

impl Connections {
    /// How many there may be of ordinary roles.
    pub fn ordinary(self) -> i32 {
        self.most - self.reserved
    }
}

/// Whether a role may look at what the server does: it is pg_monitor, or a member that inherits.
pub fn may_monitor(role: pg_sys::Oid) -> bool {
    has_rights_of(role, pg_sys::Oid::from(pg_sys::ROLE_PG_MONITOR))
}

/// Bytes from the server's strong random source.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    // SAFETY: writes exactly N bytes.
    let filled = unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), N) };
    assert!(filled, "no randomness to be had");
    bytes
}

/// Lets a cancel or a termination through.
pub fn check_for_interrupts() {
    pgrx::check_for_interrupts!();
}

/// Tells every session, when the transaction commits, that a table is not what it was.
pub fn announce_change(table: pg_sys::Oid) {
    // SAFETY: queues an invalidation message.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(table) };
}

/// Makes this backend's caches see what other transactions committed.
pub fn accept_changes_by_others() {
    // SAFETY: PostgreSQL does the same whenever it locks a table.
    unsafe { pg_sys::AcceptInvalidationMessages() };
}

pub fn encoding_is_utf8() -> bool {
    // SAFETY: reads a session variable.
    unsafe { pg_sys::GetDatabaseEncoding() == pg_sys::pg_enc::PG_UTF8 as i32 }
}

/// The id of a text search configuration by its name as SQL spells it, `None` when there is none.
pub fn text_search_config(name: &str) -> Option<pg_sys::Oid> {
    let name = CString::new(name).ok()?;
    // SAFETY: splits a possibly qualified name and looks it up; a missing one is InvalidOid, not an error.
    let oid = unsafe {
        let names = pg_sys::stringToQualifiedNameList(name.as_ptr(), std::ptr::null_mut());
        pg_sys::get_ts_config_oid(names, true)
    };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// The name of a text search configuration with its schema, as SQL spells it; without it for PostgreSQL's own.
pub fn qualified_config_name(config: pg_sys::Oid) -> String {
    let sql = "SELECT CASE WHEN n.nspname = 'pg_catalog' THEN quote_ident(c.cfgname) ELSE format('%I.%I', n.nspname, c.cfgname) END
               FROM pg_catalog.pg_ts_config c JOIN pg_catalog.pg_namespace n ON n.oid = c.cfgnamespace WHERE c.oid = $1";
    super::spi::connect(|session| {
        session
            .read(
                sql,
                super::spi::Planning::Auto,
                &[super::spi::Arg::oid(config)],
            )
            .required(0, 1)
    })
}

/// The owner of a table.
pub fn table_owner(table: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: a syscache look-up; the tuple is released after its owner is read.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::RELOID as i32,
            pg_sys::Datum::from(table),
        );
        if tuple.is_null() {
            return None;
        }
        let class = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>();
        let owner = (*class).relowner;
        pg_sys::ReleaseSysCache(tuple);
        Some(owner)
    }
}

/// Objects made in this scope do not become members of an extension whose script is running.
pub struct OutsideExtensionScript {
    creating: bool,
}

impl OutsideExtensionScript {
    pub fn enter() -> Self {
        // SAFETY: a session variable of this single-threaded backend.
        unsafe {
            let creating = pg_sys::creating_extension;
            pg_sys::creating_extension = false;
            OutsideExtensionScript { creating }
        }
    }
}

impl Drop for OutsideExtensionScript {
    fn drop(&mut self) {
        // After an error the script is over, and PostgreSQL clears the flag itself.
        if !std::thread::panicking() {
            // SAFETY: as in `enter`.
            unsafe { pg_sys::creating_extension = self.creating };
        }
    }
}
