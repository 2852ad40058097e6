//! Who may know what.

use pgrx::pg_sys;

use super::look::{self, Found};
use crate::pg::error::{Error, Result};
use crate::pg::system;

/// Metrics are for whoever monitors the server or looks after the store; those of a project for its admins too.
pub fn check(found: &Found, project: Option<&str>) -> Result<()> {
    let caller = system::current_role();
    let allowed = system::may_monitor(caller)
        || look::is_admin_everywhere(found, caller)
        || project.is_some_and(|project| look::is_admin_of(found, caller, project));
    if allowed {
        return Ok(());
    }
    let role = system::role_name(caller);
    Err(Error::denied(format!(
        "role {role:?} may not see the metrics of the memory store"
    ))
    .hint(format!(
        "GRANT pg_monitor TO {}; or make it an admin of project '*' by memory_grant().",
        system::quoted_identifier(&role)
    )))
}

/// How far a call is, is for its own role and for whoever monitors the server.
pub fn may_see_call(of: pg_sys::Oid) -> bool {
    let caller = system::current_role();
    system::may_monitor(caller) || system::has_rights_of(caller, of)
}
