//! Who may know what.

use pgrx::{PgSqlErrorCode, pg_sys};

use super::look::{self, Found};
use crate::pg::error::{Error, Result};
use crate::pg::system;

/// Metrics are for whoever monitors the server or looks after the store; those of a project for its admins too.
pub fn check(found: &Found, project: Option<&str>) -> Result<()> {
    let caller = system::current_role();
    if system::may_monitor(caller) {
        return Ok(());
    }
    let allowed = match (look::is_admin_everywhere(found, caller), project) {
        (Some(false), Some(project)) => look::is_admin_of(found, caller, project),
        (answer, _) => answer,
    };
    let role = system::role_name(caller);
    let monitor = format!("GRANT pg_monitor TO {}", system::quoted_identifier(&role));
    match allowed {
        Some(true) => Ok(()),
        Some(false) => Err(Error::denied(format!(
            "role {role:?} may not see the metrics of the memory store"
        ))
        .hint(format!(
            "{monitor}; or make it an admin of project '*' by memory_grant()."
        ))),
        // Neither an answer that could be wrong tomorrow, nor a scraper that hangs.
        None => Err(Error::coded(
            PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
            format!("whether role {role:?} may see the metrics cannot be told: a table of the memory store is locked"),
        )
        .hint(format!(
            "Try again. Members of pg_monitor see what can be seen meanwhile: {monitor}."
        ))),
    }
}

/// How far a call is, is for its own role and for whoever monitors the server.
pub fn may_see_call(of: pg_sys::Oid) -> bool {
    let caller = system::current_role();
    system::may_monitor(caller) || system::has_rights_of(caller, of)
}
