//! Running SQL as the owner of the tables, the way PostgreSQL's foreign-key checks do, and settings that last for one call.
//!
//! Both are undone at the end of the call. When an error is on its way, the end of the (sub)transaction undoes them:
//! PostgreSQL restores user, security context and nested settings there.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use super::error::leave_context_out;

/// Settings made in this scope are undone when it ends.
pub struct SettingScope {
    level: i32,
}

impl SettingScope {
    pub fn open() -> Self {
        // SAFETY: only counts a nesting level.
        let level = unsafe { pg_sys::NewGUCNestLevel() };
        SettingScope { level }
    }

    pub fn set(&self, name: &CStr, value: &str) {
        let value = CString::new(value).unwrap_or_default();
        // SAFETY: both strings outlive the call, which copies them. A refused value is raised as an error.
        unsafe {
            pg_sys::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
    }
}

/// Runs `work` without showing the statement that called, which may have a passphrase in it: pg_stat_activity tells of it no
/// more, and if the work fails, the server's log has it not beside the error, as log_min_error_statement has it for others, nor
/// is it in the CONTEXT, as that of a function in PL/pgSQL would be.
pub fn keeping_statement_secret<T, E>(
    work: impl FnOnce() -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let scope = SettingScope::open();
    // SAFETY: the string is a literal, and is copied.
    unsafe {
        pg_sys::pgstat_report_activity(
            pg_sys::BackendState::STATE_RUNNING,
            c"<a call of memory_ext with a passphrase>".as_ptr(),
        );
    }
    // SAFETY: both strings are literals. The level of a superuser: the setting is theirs, and comes back with the scope.
    unsafe {
        pg_sys::set_config_option(
            c"log_min_error_statement".as_ptr(),
            c"panic".as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
    let _context = ContextLeftOut;
    let result = work();
    if result.is_err() {
        leave_context_out();
        // The error is raised by our caller and logged before the end of the (sub)transaction brings the setting back.
        std::mem::forget(scope);
    }
    result
}

/// For the errors that are no `Err`.
struct ContextLeftOut;

impl Drop for ContextLeftOut {
    fn drop(&mut self) {
        if std::thread::panicking() {
            leave_context_out();
        }
    }
}

impl Drop for SettingScope {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the level is the one this scope opened, and inner scopes are closed already.
            unsafe { pg_sys::AtEOXact_GUC(true, self.level) };
        }
    }
}

/// As long as this lives, SQL runs as `owner`, with `search_path` pinned.
pub struct AsOwner {
    // Dropped first: settings are restored while still the owner, as a SECURITY DEFINER function does.
    _settings: SettingScope,
    _user: UserScope,
}

struct UserScope {
    user: pg_sys::Oid,
    security_context: i32,
}

impl AsOwner {
    pub fn enter(owner: pg_sys::Oid) -> Self {
        let mut user = pg_sys::InvalidOid;
        let mut security_context = 0;
        // SAFETY: plain reads and writes of the session's user; restored by `UserScope` or by the transaction's end.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut user, &mut security_context);
            let mut flags = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_NOFORCE_RLS;
            if owner != user {
                // A trigger of the owner's must not leave something behind that runs later, as the caller: a held cursor, say.
                flags |= pg_sys::SECURITY_RESTRICTED_OPERATION;
            }
            pg_sys::SetUserIdAndSecContext(owner, security_context | flags as i32);
        }
        let user = UserScope {
            user,
            security_context,
        };
        let settings = SettingScope::open();
        // Neither the extension's schema nor pgvector's: who may create functions or operators there could have them called
        // with the owner's rights. The extension's statements name both.
        settings.set(c"search_path", "pg_catalog, pg_temp");
        // With the one a GIN index finds only some of the rows, with the other names are not written as they are compared.
        // SAFETY: plain reads.
        let (finds_some, quotes_all) = unsafe {
            (
                pg_sys::GinFuzzySearchLimit != 0,
                pg_sys::quote_all_identifiers,
            )
        };
        if finds_some {
            settings.set(c"gin_fuzzy_search_limit", "0");
        }
        if quotes_all {
            settings.set(c"quote_all_identifiers", "off");
        }
        AsOwner {
            _settings: settings,
            _user: user,
        }
    }
}

impl Drop for UserScope {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: puts back what `enter` found.
            unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.security_context) };
        }
    }
}

/// As long as this lives, the owner may make temporary tables, which PostgreSQL forbids in a security-restricted operation: code
/// of the owner's could leave something in them that the session later runs as the caller. So nothing but such a CREATE TABLE
/// belongs in this scope; it runs nobody's code.
pub struct MayMakeTemporaryTables {
    user: pg_sys::Oid,
    security_context: i32,
}

impl MayMakeTemporaryTables {
    pub fn enter() -> Self {
        let mut user = pg_sys::InvalidOid;
        let mut security_context = 0;
        // SAFETY: as in `AsOwner::enter`; the user stays the same.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut user, &mut security_context);
            let restricted = pg_sys::SECURITY_RESTRICTED_OPERATION as i32;
            pg_sys::SetUserIdAndSecContext(user, security_context & !restricted);
        }
        MayMakeTemporaryTables {
            user,
            security_context,
        }
    }
}

impl Drop for MayMakeTemporaryTables {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: puts back what `enter` found.
            unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.security_context) };
        }
    }
}
