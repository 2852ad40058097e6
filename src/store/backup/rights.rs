//! Who may make and open backups: admins, of a project for the project's, of all for the whole store's.

use std::rc::Rc;

use pgrx::pg_sys;

use super::read::Checked;
use crate::pg::error::{Error, Result};
use crate::pg::identity;
use crate::pg::spi::{self, Arg, Planning};
use crate::pg::system;
use crate::store::access::{self, Call, Privilege};
use crate::store::{Store, migrate, open};

/// The frame of a call that makes a backup or restores one, of a project or (`None`) of the whole store.
pub fn begin(project: Option<&str>, operation: &'static str) -> Result<Call> {
    match project {
        // Not as calls enter that work with memories: a restore takes a stronger lock of its own, which has to be the first.
        Some(_) => {
            let store = open::open()?;
            store.require(migrate::SAFETY)?;
            Call::begin_on(store, project, Some("*"), Privilege::Admin, operation)
        }
        None => begin_on(open::open()?, project, Privilege::Admin, operation),
    }
}

/// The frame of a call that only looks at a backup: on a standby too.
pub fn begin_looking(store: Rc<Store>, project: Option<&str>) -> Result<Call> {
    begin_on(store, project, Privilege::Read, "verify a backup of")
}

pub fn begin_on(
    store: Rc<Store>,
    project: Option<&str>,
    need: Privilege,
    operation: &'static str,
) -> Result<Call> {
    store.require(migrate::SAFETY)?;
    let caller = system::current_role();
    if project.is_none() && !may_do_all(&store, caller) {
        return Err(Error::denied(format!(
            "role {:?} may not {operation} memories of every project",
            system::role_name(caller)
        ))
        .hint(
            "Name a project_id whose admin it is, or ask for memory_grant(role, '*', 'admin').",
        ));
    }
    Call::begin_on(
        store,
        project.or(Some(access::DEFAULT_PROJECT)),
        Some("*"),
        need,
        operation,
    )
}

/// Whether a role may do all with the whole store, but what is its owner's only.
pub fn may_do_all(store: &Store, role: pg_sys::Oid) -> bool {
    access::is_master(store, role) || access::is_admin_everywhere(store, role)
}

/// Where there is no store yet, backups are for those who may make one.
pub fn refuse_strangers() -> Result<()> {
    let identity = identity::get()?;
    let allowed: bool = spi::connect(|session| {
        let sql = "SELECT pg_catalog.has_schema_privilege($1, 'CREATE')";
        session
            .read(sql, Planning::Auto, &[Arg::oid(identity.schema_oid)])
            .required(0, 1)
    });
    match allowed {
        true => Ok(()),
        false => Err(Error::denied(format!(
            "this database has no memory store, and role {:?} may not create one in schema {}",
            system::role_name(system::current_role()),
            identity.schema
        ))
        .hint("Let the role that is to own the memories restore the backup.")),
    }
}

/// BK-6: what is sensitive needs, besides an admin, that he says so.
pub fn refuse_unconfirmed(confirmed: bool, doing: &str) -> Result<()> {
    match confirmed {
        true => Ok(()),
        false => Err(
            Error::argument(format!("{doing} sensitive memories needs a confirmation"))
                .hint("If that is meant, say confirm_sensitive => true."),
        ),
    }
}

/// A call for one project has to do with that project's backups only.
pub fn refuse_foreign(call: &Call, checked: &Checked) -> Result<()> {
    match checked.header.project {
        Some(_) => refuse_another_projects(call, checked),
        None if may_do_all(&call.store, call.access.caller()) => Ok(()),
        None => Err(foreign(call)),
    }
}

/// The same where a backup of the whole store will do, of which the call takes its project.
pub fn refuse_another_projects(call: &Call, checked: &Checked) -> Result<()> {
    match checked.header.project.as_deref() {
        Some(project)
            if project != call.project() && !may_do_all(&call.store, call.access.caller()) =>
        {
            Err(foreign(call))
        }
        _ => Ok(()),
    }
}

fn foreign(call: &Call) -> Error {
    Error::denied(format!("the backup is not of project {:?}", call.project())).hint(
        "It is for those who may do all: the owner of the memories, or an admin of project '*'.",
    )
}
