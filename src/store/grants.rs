//! Grants: which role may do what in which project, and as which agent.

use super::access::{self, Call, Privilege, Right};
use super::open::{self, Store};
use super::{events, memory};
use crate::pg::error::{Error, Result};
use crate::pg::spi::Session;
use crate::pg::system;

pub struct Grant<'a> {
    pub role: &'a str,
    pub project: &'a str,
    pub agent_id: Option<&'a str>,
}

impl Grant<'_> {
    fn check(&self) -> Result<()> {
        if !system::role_exists(self.role) {
            return Err(
                Error::argument(format!("role {:?} does not exist", self.role))
                    .hint("Create it first: CREATE ROLE."),
            );
        }
        if self.project != "*" {
            memory::check_name("project", self.project)?;
        }
        if let Some(agent) = self.agent_id {
            memory::check_name("agent_id", agent)?;
        }
        Ok(())
    }
}

/// The frame for changing the grants of a project: for its admins, and for all projects ('*') the owner.
fn begin(store: std::rc::Rc<Store>, project: &str, operation: &'static str) -> Result<Call> {
    if project != "*" {
        return Call::begin_on(store, Some(project), None, Privilege::Admin, operation);
    }
    let caller = system::current_role();
    if !access::is_master(&store, caller) {
        return Err(Error::denied(
            "only the owner of the memories may grant or revoke rights in every project ('*')",
        ));
    }
    Call::begin_on(
        store,
        Some(access::DEFAULT_PROJECT),
        None,
        Privilege::Admin,
        operation,
    )
}

pub fn grant(grant: &Grant<'_>, privilege: Privilege) -> Result<()> {
    grant.check()?;
    if privilege == Privilege::Admin && grant.agent_id.is_some() {
        return Err(Error::argument("an admin is not bound to an agent")
            .hint("Leave out agent_id, or grant read or write."));
    }
    let call = begin(open::open()?, grant.project, "grant")?;
    call.sql(|session| {
        let sql = call.store.sql(
            "INSERT INTO @s@.memory_grants (role, project_id, agent_id, privilege, granted_by) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        );
        let args = [
            grant.role.into(),
            grant.project.into(),
            grant.agent_id.into(),
            privilege.name().into(),
            call.access.role.as_str().into(),
        ];
        if !session.write(&sql, &args).is_empty() {
            record(&call, session, "grant", grant, Some(privilege));
        }
    });
    Ok(())
}

/// Takes grants back; how many there were.
pub fn revoke(grant: &Grant<'_>, privilege: Option<Privilege>) -> Result<i64> {
    let call = begin(open::open()?, grant.project, "revoke")?;
    Ok(call.sql(|session| {
        let sql = call.store.sql(
            "DELETE FROM @s@.memory_grants WHERE role = $1 AND project_id = $2 AND ($3::text IS NULL OR agent_id = $3)
                    AND ($4::text IS NULL OR privilege = $4)",
        );
        let args = [grant.role.into(), grant.project.into(), grant.agent_id.into(), privilege.map(Privilege::name).into()];
        let removed = session.write(&sql, &args).len();
        if removed > 0 {
            record(&call, session, "revoke", grant, privilege);
        }
        removed as i64
    }))
}

fn record(
    call: &Call,
    session: &Session,
    event: &str,
    grant: &Grant<'_>,
    privilege: Option<Privilege>,
) {
    let payload = serde_json::json!({
        "role": grant.role,
        "project": grant.project,
        "agent_id": grant.agent_id,
        "privilege": privilege.map(Privilege::name),
    });
    events::record(call, session, event, None, &payload);
}

/// The rule of row-level security: what direct SQL of the current role may do with a project's rows. `project` NULL asks
/// for a right in any project.
pub fn right_for_rows(project: Option<&str>, need: Privilege) -> Result<Right> {
    let Some(store) = open::find()? else {
        return Ok(Right::None);
    };
    let caller = system::current_role();
    let _owner = store.as_owner();
    match project {
        Some(project) => Ok(access::right_of(&store, caller, project, need)),
        None => Ok(access::right_anywhere(&store, caller)),
    }
}
